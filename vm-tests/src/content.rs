//! What stands on a disk, as blocks that many states share; and the states that a disk went through, from its log.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::log_writes::{self, Entry, Kind};
use crate::trouble::Trouble;

/// What evms writes at once, and most disks tear at.
pub const BLOCK_BYTES: usize = 4096;

type Block = [u8; BLOCK_BYTES];

/// All bytes of a disk. Blocks of zeros are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    blocks: BTreeMap<u64, Arc<Block>>,
}

impl Content {
    /// Puts bytes at a place, wherever it begins and ends.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let (mut at, mut bytes) = (at, bytes);
        while !bytes.is_empty() {
            let (number, begin) = (at / BLOCK_BYTES as u64, (at % BLOCK_BYTES as u64) as usize);
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK_BYTES - begin));
            let mut block = self.blocks.get(&number).map_or([0; BLOCK_BYTES], |block| **block);
            block[begin..begin + piece.len()].copy_from_slice(piece);
            if block == [0; BLOCK_BYTES] {
                self.blocks.remove(&number);
            } else {
                self.blocks.insert(number, Arc::new(block));
            }
            at += piece.len() as u64;
            bytes = rest;
        }
    }

    /// Every block that is not all zeros, with its place in bytes.
    pub fn blocks(&self) -> impl Iterator<Item = (u64, &Block)> {
        self.blocks.iter().map(|(number, block)| (number * BLOCK_BYTES as u64, &**block))
    }
}

/// What a disk went through, from blank.
#[derive(Debug)]
pub struct History {
    log: Vec<u8>,
    entries: Vec<Entry>,
}

impl History {
    /// Reads the log of a disk that was blank.
    pub fn read(log: Vec<u8>) -> Result<Self, Trouble> {
        let entries = log_writes::parse(&log).map_err(|bad| Trouble::Unexpected(bad.to_string()))?;
        match entries.iter().any(|entry| matches!(entry.kind, Kind::Discard { .. })) {
            true => Err(Trouble::Unexpected("a discard in a log: what it left is not known".into())),
            false => Ok(Self { log, entries }),
        }
    }

    /// How many entries lie before the mark of this text.
    pub fn mark(&self, text: &str) -> Result<usize, Trouble> {
        let found = self.entries.iter().position(|entry| entry.kind == Kind::Mark(text.into()));
        found.ok_or_else(|| Trouble::Unexpected(format!("no mark '{text}' in a log")))
    }

    /// Every point between two at which something had just become durable, both of them included.
    pub fn cuts(&self, from: usize, to: usize) -> Vec<usize> {
        let inner = (from + 1..to).filter(|cut| self.entries[cut - 1].is_boundary);
        let mut cuts: Vec<usize> = std::iter::once(from).chain(inner).chain([to]).collect();
        cuts.dedup();
        cuts
    }

    /// What stands on the disk after so many entries.
    pub fn content(&self, cut: usize) -> Content {
        let mut content = Content::default();
        self.writes(0, cut).for_each(|(at, bytes)| content.write(at, bytes));
        content
    }

    /// The writes between two points that have bytes.
    pub fn writes(&self, from: usize, to: usize) -> impl Iterator<Item = (u64, &[u8])> {
        self.entries[from..to].iter().filter_map(|entry| match &entry.kind {
            Kind::Write { at, data } if !data.is_empty() => Some((*at, &self.log[data.clone()])),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_where_they_were_put() {
        let mut content = Content::default();
        content.write(4000, &[5; 200]);
        let found: Vec<_> = content.blocks().collect();
        assert_eq!(found.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 4096]);
        assert!(
            found[0].1[3999] == 0 && found[0].1[4000] == 5 && found[1].1[103] == 5 && found[1].1[104] == 0
        );
        content.write(0, &[0; 8192]);
        assert_eq!(content, Content::default(), "zeros are nothing");
    }
}
