//! Where things are on a member disk: a table of areas, chosen once when the disk is labelled and recorded in its
//! label; nothing else in the house knows an offset (design section 4).

use core::fmt;
use serde::{Deserialize, Serialize};

use crate::base::limits::{
    AREAS_MAX, HISTORY_BYTES_MAX, NODE_BLOCKS_BYTES_MAX, SLOT_BYTES_MAX, SLOT_BYTES_MIN,
};
use crate::base::sorted::sort_by_key;
use crate::base::units::{BLOCK_BYTES, Bytes, GIB, KIB, MIB, SECTOR_BYTES, Sectors};

/// What an area holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AreaKind {
    /// First block and label.
    Label,
    /// Two 4 KiB blocks per node.
    NodeBlocks,
    /// Record of a change of ids under way.
    Intent,
    /// Proofs and flight recorder.
    Proof,
    /// Scratch for drills.
    Drill,
    /// Model copy 0.
    Slot0,
    /// Model copy 1.
    Slot1,
    /// Ring of models that were superseded.
    History,
    /// Where volumes live.
    Data,
    /// A kind from a newer program; kept, never touched.
    Unknown(u16),
}

impl AreaKind {
    /// The number on disk.
    pub fn code(self) -> u16 {
        match self {
            AreaKind::Label => 1,
            AreaKind::NodeBlocks => 2,
            AreaKind::Intent => 3,
            AreaKind::Proof => 4,
            AreaKind::Drill => 5,
            AreaKind::Slot0 => 6,
            AreaKind::Slot1 => 7,
            AreaKind::History => 8,
            AreaKind::Data => 9,
            AreaKind::Unknown(code) => code,
        }
    }

    /// The kind with this number.
    pub fn from_code(code: u16) -> AreaKind {
        match code {
            1 => AreaKind::Label,
            2 => AreaKind::NodeBlocks,
            3 => AreaKind::Intent,
            4 => AreaKind::Proof,
            5 => AreaKind::Drill,
            6 => AreaKind::Slot0,
            7 => AreaKind::Slot1,
            8 => AreaKind::History,
            9 => AreaKind::Data,
            other => AreaKind::Unknown(other),
        }
    }
}

impl fmt::Display for AreaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AreaKind::Label => write!(f, "label"),
            AreaKind::NodeBlocks => write!(f, "node blocks"),
            AreaKind::Intent => write!(f, "intent"),
            AreaKind::Proof => write!(f, "proof ring"),
            AreaKind::Drill => write!(f, "drill scratch"),
            AreaKind::Slot0 => write!(f, "slot 0"),
            AreaKind::Slot1 => write!(f, "slot 1"),
            AreaKind::History => write!(f, "history ring"),
            AreaKind::Data => write!(f, "data"),
            AreaKind::Unknown(code) => write!(f, "area of unknown kind {code}"),
        }
    }
}

/// Which end of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum End {
    /// The front.
    Primary,
    /// The tail.
    Secondary,
}

impl End {
    /// Both, in the order in which a commit writes them.
    pub const BOTH: [End; 2] = [End::Primary, End::Secondary];
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            End::Primary => "primary",
            End::Secondary => "secondary",
        })
    }
}

/// One area: absolute place on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Area {
    /// What it holds.
    pub kind: AreaKind,
    /// At which end it counts.
    pub end: End,
    /// First sector.
    pub start: Sectors,
    /// Length.
    pub length: Sectors,
}

impl Area {
    /// First byte. Areas of a [`Layout`] are bounded, so this cannot pass 64 bits.
    pub fn start_bytes(&self) -> Bytes {
        Bytes(self.start.0.saturating_mul(SECTOR_BYTES))
    }

    /// Length in bytes.
    pub fn length_bytes(&self) -> Bytes {
        Bytes(self.length.0.saturating_mul(SECTOR_BYTES))
    }

    /// First byte after the area.
    pub fn end_bytes(&self) -> Bytes {
        Bytes(self.start_bytes().0.saturating_add(self.length_bytes().0))
    }

    /// Does the area hold all of `[at, at + length)`?
    pub fn holds(&self, at: Bytes, length: u64) -> bool {
        at >= self.start_bytes() && at.0.checked_add(length).is_some_and(|end| end <= self.end_bytes().0)
    }
}

/// A checked table of areas: inside the disk, aligned to blocks, disjoint, with every kind that a member needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    areas: Vec<Area>,
}

/// Bytes from the end of a disk at which the second label lies; also the length of its area.
pub const TAIL_LABEL_BYTES: u64 = 2 * BLOCK_BYTES;
/// Where the first label lies.
pub const HEAD_LABEL_AT: Bytes = Bytes(BLOCK_BYTES);
/// Data starts and is measured in multiples of this (design section 4).
pub const DATA_ALIGN_BYTES: u64 = MIB;

const LABEL_BYTES: u64 = 64 * KIB;
const NODE_BLOCKS_BYTES: u64 = MIB;
const INTENT_BYTES: u64 = 64 * KIB;

/// Lengths that depend on how large a disk is and on how much room for the model was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Length of the node blocks.
    pub node_blocks: Bytes,
    /// Length of the proof ring.
    pub proof: Bytes,
    /// Length of the drill scratch.
    pub drill: Bytes,
    /// Length of one slot, header included.
    pub slot: Bytes,
    /// Length of the history ring.
    pub history: Bytes,
    /// Least length of one end.
    pub end: Bytes,
}

impl Recipe {
    /// The default for a disk of `size` bytes: ends of 16 MiB, of 4 MiB below 1 GiB.
    pub fn for_size(size: Bytes) -> Recipe {
        if size.0 < GIB { Recipe::SMALL } else { Recipe::LARGE }
    }

    const LARGE: Recipe = Recipe {
        node_blocks: Bytes(NODE_BLOCKS_BYTES),
        proof: Bytes(2 * MIB),
        drill: Bytes(MIB),
        slot: Bytes(4 * MIB),
        history: Bytes(2 * MIB),
        end: Bytes(16 * MIB),
    };
    const SMALL: Recipe = Recipe {
        node_blocks: Bytes(NODE_BLOCKS_BYTES),
        proof: Bytes(256 * KIB),
        drill: Bytes(128 * KIB),
        slot: Bytes(768 * KIB),
        history: Bytes(512 * KIB),
        end: Bytes(4 * MIB),
    };

    /// The same with slots of `slot` bytes; the ends grow as needed.
    pub fn with_slot(self, slot: Bytes) -> Recipe {
        Recipe { slot, ..self }
    }
}

/// Why no layout could be made, or a table of areas is not believed. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The disk has no room for both ends and 1 MiB of data.
    TooSmall {
        /// Bytes the disk has.
        size: Bytes,
        /// Bytes it would need.
        needed: Bytes,
    },
    /// A slot length outside the limits or not a multiple of 4096.
    SlotLength(Bytes),
    /// An area lies outside the disk.
    Outside(AreaKind, End),
    /// An area is not aligned to blocks, or is empty.
    Misaligned(AreaKind, End),
    /// Two areas share bytes.
    Overlap(AreaKind, AreaKind),
    /// No area of a kind that a member needs.
    Missing(AreaKind, End),
    /// An area that is read whole is longer than any writer makes it.
    TooLong(AreaKind, Bytes),
    /// The area of a label is not where that label stands.
    LabelElsewhere(End),
    /// More areas than [`AREAS_MAX`].
    TooMany(usize),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::TooSmall { size, needed } => {
                write!(f, "it has {} and the least is {}", size.human(), needed.human())
            }
            LayoutError::SlotLength(bytes) => write!(
                f,
                "a slot of {} bytes is not possible; give a multiple of {BLOCK_BYTES} from {} to {}",
                bytes.0,
                Bytes(SLOT_BYTES_MIN).human(),
                Bytes(SLOT_BYTES_MAX).human()
            ),
            LayoutError::Outside(kind, end) => {
                write!(f, "its label places the {end} {kind} outside the disk")
            }
            LayoutError::Misaligned(kind, end) => {
                write!(f, "its label places the {end} {kind} off the 4096-byte grid")
            }
            LayoutError::Overlap(one, other) => write!(f, "its label lets {one} and {other} share bytes"),
            LayoutError::Missing(kind, end) => write!(f, "its label names no {end} {kind}"),
            LayoutError::TooLong(kind, most) => {
                write!(f, "its label gives the {kind} more than the {} that it may have", most.human())
            }
            LayoutError::LabelElsewhere(end) => {
                write!(f, "its label names a place for the {end} label where it does not stand")
            }
            LayoutError::TooMany(count) => {
                write!(f, "its label names {count} areas and {AREAS_MAX} is the most")
            }
        }
    }
}

impl std::error::Error for LayoutError {}

fn round_up(value: u64, unit: u64) -> u64 {
    value.div_ceil(unit) * unit
}

fn sectors(bytes: u64) -> Sectors {
    Sectors(bytes / SECTOR_BYTES)
}

impl Layout {
    /// The layout for a disk of `size` bytes by `recipe`.
    pub fn make(size: Bytes, recipe: &Recipe) -> Result<Layout, LayoutError> {
        let slot = recipe.slot.0;
        if !(SLOT_BYTES_MIN..=SLOT_BYTES_MAX).contains(&slot) || !slot.is_multiple_of(BLOCK_BYTES) {
            return Err(LayoutError::SlotLength(recipe.slot));
        }
        let mut areas = Vec::new();
        let mut at = 0;
        let mut place = |kind, length: u64| {
            areas.push(Area { kind, end: End::Primary, start: sectors(at), length: sectors(length) });
            at += length;
        };
        place(AreaKind::Label, LABEL_BYTES);
        place(AreaKind::NodeBlocks, recipe.node_blocks.0);
        place(AreaKind::Intent, INTENT_BYTES);
        place(AreaKind::Proof, recipe.proof.0);
        place(AreaKind::Drill, recipe.drill.0);
        place(AreaKind::Slot0, slot);
        place(AreaKind::Slot1, slot);
        place(AreaKind::History, recipe.history.0);
        let end_bytes = round_up(at.max(recipe.end.0), DATA_ALIGN_BYTES);
        let usable = size.round_down(BLOCK_BYTES).0;
        let needed = 2 * end_bytes + DATA_ALIGN_BYTES;
        if usable < needed {
            return Err(LayoutError::TooSmall { size, needed: Bytes(needed) });
        }
        let data_end = Bytes(usable - end_bytes).round_down(DATA_ALIGN_BYTES).0;
        let mut add = |kind, end, start: u64, length: u64| {
            areas.push(Area { kind, end, start: sectors(start), length: sectors(length) });
        };
        add(AreaKind::Data, End::Primary, end_bytes, data_end - end_bytes);
        add(AreaKind::Slot0, End::Secondary, data_end, slot);
        add(AreaKind::Slot1, End::Secondary, data_end + slot, slot);
        add(AreaKind::Label, End::Secondary, usable - TAIL_LABEL_BYTES, TAIL_LABEL_BYTES);
        Layout::check(areas, size)
    }

    /// Believes a table of areas read from a label on a disk of `size` bytes, or says why not.
    pub fn check(areas: Vec<Area>, size: Bytes) -> Result<Layout, LayoutError> {
        if areas.len() > AREAS_MAX {
            return Err(LayoutError::TooMany(areas.len()));
        }
        for area in &areas {
            let end = area.start.plus(area.length).and_then(Sectors::to_bytes);
            if end.is_none_or(|end| end > size) {
                return Err(LayoutError::Outside(area.kind, area.end));
            }
            let aligned = area.start_bytes().0.is_multiple_of(BLOCK_BYTES)
                && area.length_bytes().0.is_multiple_of(BLOCK_BYTES);
            if !aligned || area.length.0 == 0 {
                return Err(LayoutError::Misaligned(area.kind, area.end));
            }
        }
        let mut sorted = areas.clone();
        sort_by_key(&mut sorted, |area| area.start);
        for pair in sorted.windows(2) {
            if let [one, other] = pair
                && one.end_bytes() > other.start_bytes()
            {
                return Err(LayoutError::Overlap(one.kind, other.kind));
            }
        }
        let layout = Layout { areas };
        layout.check_complete()?;
        layout.check_labels(size)?;
        layout.check_read_whole()?;
        Ok(layout)
    }

    /// The labels stand where they are looked for, and nothing else may be laid there.
    fn check_labels(&self, size: Bytes) -> Result<(), LayoutError> {
        let front = self.area(AreaKind::Label, End::Primary);
        if !front.holds(Bytes::ZERO, HEAD_LABEL_AT.0 + BLOCK_BYTES) {
            return Err(LayoutError::LabelElsewhere(End::Primary));
        }
        let tail = self.area(AreaKind::Label, End::Secondary);
        if size.round_down(BLOCK_BYTES).minus(Bytes(TAIL_LABEL_BYTES)) != Some(tail.start_bytes()) {
            return Err(LayoutError::LabelElsewhere(End::Secondary));
        }
        Ok(())
    }

    /// What is read into memory in one piece is bounded, whatever the label says.
    fn check_read_whole(&self) -> Result<(), LayoutError> {
        let bounds = [(AreaKind::NodeBlocks, NODE_BLOCKS_BYTES_MAX), (AreaKind::History, HISTORY_BYTES_MAX)];
        match bounds.into_iter().find(|(kind, most)| self.area(*kind, End::Primary).length_bytes().0 > *most)
        {
            Some((kind, most)) => Err(LayoutError::TooLong(kind, Bytes(most))),
            None => Ok(()),
        }
    }

    fn check_complete(&self) -> Result<(), LayoutError> {
        use AreaKind::{Data, History, Intent, Label, NodeBlocks, Slot0, Slot1};
        let needed = [
            (NodeBlocks, End::Primary),
            (Intent, End::Primary),
            (History, End::Primary),
            (Data, End::Primary),
        ];
        let both = [Label, Slot0, Slot1].into_iter().flat_map(|kind| End::BOTH.map(|end| (kind, end)));
        for (kind, end) in needed.into_iter().chain(both) {
            if self.areas.iter().filter(|area| area.kind == kind && area.end == end).count() != 1 {
                return Err(LayoutError::Missing(kind, end));
            }
        }
        let slots =
            [(Slot0, End::Primary), (Slot1, End::Primary), (Slot0, End::Secondary), (Slot1, End::Secondary)];
        let lengths = slots.map(|(kind, end)| self.area(kind, end).length_bytes());
        if lengths
            .iter()
            .any(|length| *length != lengths[0] || length.0 < SLOT_BYTES_MIN || length.0 > SLOT_BYTES_MAX)
        {
            return Err(LayoutError::SlotLength(lengths[0]));
        }
        let data = self.area(Data, End::Primary);
        if !data.start_bytes().0.is_multiple_of(DATA_ALIGN_BYTES)
            || !data.length_bytes().0.is_multiple_of(DATA_ALIGN_BYTES)
        {
            return Err(LayoutError::Misaligned(Data, End::Primary));
        }
        Ok(())
    }

    /// All areas, in the order of the label.
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }

    /// The area of this kind at this end. Every kind that [`Layout::check`] demands is there; for others an empty
    /// area at sector 0 answers, into which nothing fits.
    pub fn area(&self, kind: AreaKind, end: End) -> Area {
        let found = self.areas.iter().find(|area| area.kind == kind && area.end == end);
        found.copied().unwrap_or(Area { kind, end, start: Sectors::ZERO, length: Sectors::ZERO })
    }

    /// Where volumes live.
    pub fn data(&self) -> Area {
        self.area(AreaKind::Data, End::Primary)
    }

    /// The area of slot `index` (0 or 1) at this end.
    pub fn slot(&self, index: SlotIndex, end: End) -> Area {
        self.area(index.kind(), end)
    }

    /// Length of one slot, header included.
    pub fn slot_bytes(&self) -> Bytes {
        self.slot(SlotIndex::Zero, End::Primary).length_bytes()
    }
}

/// One of the two slots of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlotIndex {
    /// Slot 0.
    Zero,
    /// Slot 1.
    One,
}

impl SlotIndex {
    /// Both.
    pub const BOTH: [SlotIndex; 2] = [SlotIndex::Zero, SlotIndex::One];

    /// The area kind of this slot.
    pub fn kind(self) -> AreaKind {
        match self {
            SlotIndex::Zero => AreaKind::Slot0,
            SlotIndex::One => AreaKind::Slot1,
        }
    }

    /// 0 or 1.
    pub fn number(self) -> usize {
        match self {
            SlotIndex::Zero => 0,
            SlotIndex::One => 1,
        }
    }

    /// The other one.
    pub fn other(self) -> SlotIndex {
        match self {
            SlotIndex::Zero => SlotIndex::One,
            SlotIndex::One => SlotIndex::Zero,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_ends_are_those_of_the_design() {
        let large = Layout::make(Bytes(8 * GIB), &Recipe::for_size(Bytes(8 * GIB))).unwrap();
        assert_eq!(large.data().start_bytes(), Bytes(16 * MIB));
        assert_eq!(large.data().end_bytes(), Bytes(8 * GIB - 16 * MIB));
        let small = Layout::make(Bytes(64 * MIB), &Recipe::for_size(Bytes(64 * MIB))).unwrap();
        assert_eq!(small.data().start_bytes(), Bytes(4 * MIB));
        assert_eq!(small.data().length_bytes(), Bytes(56 * MIB));
    }

    #[test]
    fn an_odd_size_keeps_the_grid_and_the_tail_label() {
        let size = Bytes(100 * MIB + 512 * 7);
        let layout = Layout::make(size, &Recipe::for_size(size)).unwrap();
        let tail = layout.area(AreaKind::Label, End::Secondary);
        assert_eq!(tail.start_bytes(), Bytes(size.round_down(BLOCK_BYTES).0 - TAIL_LABEL_BYTES));
        assert_eq!(layout.data().length_bytes().0 % MIB, 0);
    }

    #[test]
    fn tables_that_lie_are_not_believed() {
        let size = Bytes(64 * MIB);
        let good = Layout::make(size, &Recipe::for_size(size)).unwrap();
        let with = |change: &dyn Fn(&mut Vec<Area>)| {
            let mut areas = good.areas().to_vec();
            change(&mut areas);
            Layout::check(areas, size)
        };
        assert!(with(&|_| ()).is_ok());
        assert!(matches!(with(&|a| a[3].start.0 = u64::MAX), Err(LayoutError::Outside(..))));
        assert!(matches!(with(&|a| a[3].start.0 += 1), Err(LayoutError::Misaligned(..))));
        assert!(matches!(with(&|a| a[3].start = a[4].start), Err(LayoutError::Overlap(..))));
        assert!(matches!(
            with(&|a| a.retain(|area| area.kind != AreaKind::Slot0)),
            Err(LayoutError::Missing(..))
        ));
        assert!(matches!(with(&|a| a[5].length = Sectors(8)), Err(LayoutError::SlotLength(..))));
        let labels = |index: usize, start: u64| {
            with(&|a| a[index] = Area { start: Sectors(start), length: Sectors(16), ..a[index] })
        };
        assert_eq!(labels(0, 16), Err(LayoutError::LabelElsewhere(End::Primary)));
        assert_eq!(labels(11, 60 * 2048 + 4096), Err(LayoutError::LabelElsewhere(End::Secondary)));
        assert!(matches!(
            Layout::check(good.areas().to_vec(), Bytes(32 * MIB)),
            Err(LayoutError::Outside(..))
        ));
        assert!(matches!(
            Layout::make(Bytes(8 * MIB), &Recipe::for_size(size)),
            Err(LayoutError::TooSmall { .. })
        ));
    }
}
