//! A disk as the crash model sees it.
//!
//! Fault model: writes are kept in a volatile cache until flushed. Power loss keeps any 4096-byte block of an unflushed
//! write or loses it: nothing, all, a front part, or a back part of each write is tried. A machine that dies alone
//! loses nothing that had landed. A disk may be missing and come back as it was. It may lie: say "written" and drop it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

pub const BLOCK: u64 = 4096;
pub type Block = Arc<Stone>;

/// A block and a hash of it, so that worlds are compared without reading them.
#[derive(Debug)]
pub struct Stone {
    bytes: [u8; 4096],
    tag: u64,
}

impl Stone {
    fn new(bytes: [u8; 4096]) -> Block {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Arc::new(Stone { bytes, tag: hasher.finish() })
    }
}

#[derive(Clone, Debug)]
pub struct Write {
    pub at: u64,
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug, Default)]
pub struct Disk {
    durable: BTreeMap<u64, Block>,
    pending: Vec<Write>,
    pub drops_writes: bool,
}

fn blocks_of(bytes: &[u8]) -> Vec<Block> {
    bytes.chunks_exact(BLOCK as usize).map(|chunk| Stone::new(chunk.try_into().unwrap())).collect()
}

impl Disk {
    pub fn read(&self, at: u64, length: u64) -> Vec<u8> {
        let first = at / BLOCK;
        let count = (length / BLOCK) as usize;
        let mut out = vec![0; length as usize];
        let mut put = |index: u64, block: &Block| {
            if let Some(place) = index.checked_sub(first).filter(|&place| (place as usize) < count) {
                let start = place as usize * BLOCK as usize;
                out[start..start + BLOCK as usize].copy_from_slice(&block.bytes);
            }
        };
        for (index, block) in self.durable.range(first..first + count as u64) {
            put(*index, block);
        }
        for write in &self.pending {
            for (offset, block) in write.blocks.iter().enumerate() {
                put(write.at / BLOCK + offset as u64, block);
            }
        }
        out
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut blocks = blocks_of(bytes);
        if self.drops_writes {
            // The lie is about long writes, of which the first block lands: the header is there, the body is not.
            blocks.truncate(1);
        }
        self.pending.push(Write { at, blocks });
    }

    fn store(durable: &mut BTreeMap<u64, Block>, write: &Write, keep: impl Fn(usize) -> bool) {
        for (offset, block) in write.blocks.iter().enumerate().filter(|(offset, _)| keep(*offset)) {
            let index = write.at / BLOCK + offset as u64;
            if block.bytes.iter().all(|&byte| byte == 0) {
                durable.remove(&index);
            } else {
                durable.insert(index, block.clone());
            }
        }
    }

    pub fn flush(&mut self) {
        for write in self.pending.drain(..) {
            Self::store(&mut self.durable, &write, |_| true);
        }
    }

    /// Mixes what is durable here into a fingerprint.
    pub fn mark(&self, hasher: &mut impl Hasher) {
        for (index, block) in &self.durable {
            (index, block.tag).hash(hasher);
        }
    }

    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Lands only part of a write: its first `front` blocks, or all behind them.
    pub fn write_torn(&mut self, at: u64, bytes: &[u8], front: usize, keep_front: bool) {
        let write = Write { at, blocks: blocks_of(bytes) };
        self.flush();
        Self::store(&mut self.durable, &write, |offset| (offset < front) == keep_front);
    }

    /// The power goes: of each unflushed write survives what `kept` says.
    pub fn lose_power(&mut self, kept: Kept) {
        for write in std::mem::take(&mut self.pending) {
            let half = write.blocks.len() / 2;
            Self::store(&mut self.durable, &write, |offset| match kept {
                Kept::Nothing => false,
                Kept::All => true,
                Kept::Front => offset <= half && offset + 1 < write.blocks.len(),
                Kept::Back => offset > 0,
            });
        }
    }

    /// Every block of `[at, at + length)` becomes unreadable noise.
    pub fn rot(&mut self, at: u64, length: u64) {
        self.flush();
        for index in at / BLOCK..(at + length) / BLOCK {
            if let Some(block) = self.durable.get_mut(&index) {
                let mut noise = block.bytes;
                noise[17] ^= 0x40;
                *block = Stone::new(noise);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    All,
    Front,
    Back,
}
