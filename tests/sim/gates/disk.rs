//! The member disks of a container as all nodes see them: blocks that land when the world says so. What was written stays; that disks
//! lose or tear what they said they have is the crash model's matter.

use std::collections::BTreeMap;
use std::sync::Arc;

use evms::base::id::{DiskId, DiskNumber};
use evms::base::units::{Bytes, KIB, MIB};
use evms::format::damage::Damage;
use evms::format::disk_beat::Words;
use evms::format::layout::{End, Layout, Recipe, SlotIndex};
use evms::format::slot::SlotImage;
use evms::volume::choose::{Copy, DiskCopies};

use crate::gates::errand::Word;

const BLOCK: u64 = 4096;
/// Nodes that the disks have room for.
pub const NODES: u64 = 5;
pub const SIZE: Bytes = Bytes(8 * MIB);

/// As small as the format allows: every command reads all of it.
pub fn layout() -> Layout {
    let recipe = Recipe {
        node_blocks: Bytes(NODES * 8 * KIB),
        proof: Bytes(4 * KIB),
        drill: Bytes(4 * KIB),
        slot: Bytes(16 * KIB),
        history: Bytes(24 * KIB),
        end: Bytes(MIB),
    };
    Layout::make(SIZE, &recipe).unwrap()
}

/// Blocks, and what they are.
type Decoded = (Vec<Arc<[u8]>>, Copy);

#[derive(Default)]
pub struct Disk {
    blocks: BTreeMap<u64, Arc<[u8]>>,
    /// What was decoded last of each slot, and of which bytes.
    known: BTreeMap<u64, Decoded>,
    /// What nodes say on it, one beat and one question each. That blocks may be torn is the format's matter: those say nothing.
    pub words: Words,
}

impl Disk {
    pub fn read(&self, at: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; length as usize];
        for (index, block) in self.blocks.range(at / BLOCK..(at + length) / BLOCK) {
            let start = (index * BLOCK - at) as usize;
            bytes[start..start + BLOCK as usize].copy_from_slice(block);
        }
        bytes
    }

    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        for (place, chunk) in bytes.chunks_exact(BLOCK as usize).enumerate() {
            self.blocks.insert(at / BLOCK + place as u64, chunk.into());
        }
    }

    /// In the place of whoever says it.
    pub fn say(&mut self, word: &Word) {
        match word {
            Word::Beat(beat) => {
                self.words.beats.retain(|other| other.id != beat.id);
                self.words.beats.push(beat.clone());
            }
            Word::Question(question) => {
                self.words.questions.retain(|other| other.id != question.id);
                self.words.questions.push(question.clone());
            }
        }
    }

    /// All slots, as whoever looks reads them.
    pub fn copies(&mut self, number: DiskNumber, id: DiskId, layout: &Layout) -> DiskCopies {
        let places = End::BOTH.into_iter().flat_map(|end| SlotIndex::BOTH.map(|index| (end, index)));
        let slots = places.map(|(end, index)| {
            let copy = self.copy(layout.slot(index, end).start_bytes().0, layout.slot_bytes().0);
            (end, index, copy)
        });
        DiskCopies { number, id, slots: slots.collect() }
    }

    fn copy(&mut self, at: u64, length: u64) -> Copy {
        let blocks = self.blocks.range(at / BLOCK..(at + length) / BLOCK).map(|(_, block)| Arc::clone(block));
        let blocks = blocks.collect::<Vec<_>>();
        if let Some((before, copy)) = self.known.get(&at) {
            let same = before.len() == blocks.len()
                && before.iter().zip(&blocks).all(|(one, other)| Arc::ptr_eq(one, other));
            if same {
                return copy.clone();
            }
        }
        let copy: Result<SlotImage, Damage> = SlotImage::decode(&self.read(at, length));
        self.known.insert(at, (blocks, copy.clone()));
        copy
    }
}

/// How a disk answers one node.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Microseconds that it takes.
    pub delay_us: (u64, u64),
    /// What is begun before that takes effect then, or a little later.
    pub hangs_until_us: u64,
    /// Of a thousand requests so many come to nothing: it is gone, or nearly.
    pub lost_per_mille: u64,
}

impl Path {
    pub const WELL: Path = Path { delay_us: (100, 1500), hangs_until_us: 0, lost_per_mille: 0 };
}
