//! What others have written on a disk. A disk that carries anything of this is refused, unless `--wipe` names it
//! (design section 4): evms claims only what carries its own metadata, or what the user named.
//!
//! The recogniser is a table (`table.rs`) of magic bytes and places, and one rule for the boot sector
//! (`boot.rs`), whose two magic bytes alone say little. It looks at bytes only: the first ones of the disk and
//! the last ones, as many as the caller has read. A doubtful match counts: to refuse a free disk costs a word
//! on the command line, to take a used one costs the data on it.
//!
//! Not recognised, because their place is unknown to us or their magic is too weak: VxVM private regions
//! (VxFS is), Windows Storage Spaces outside of a GPT (inside one, the GPT is), and the firmware RAID of
//! JMicron, Silicon Image and VIA. [`unknown_content`] is the net below the table.

mod boot;
mod checks;
mod table;
#[cfg(test)]
mod tests;

use super::peek::Peek;
use crate::base::sorted::sort;
use crate::base::units::{Bytes, SECTOR_BYTES};
use crate::format::first_block;
use crate::volume::plugins::{Claim, Layer, Look, Plugin};
use table::{Place, Row, TABLE};

/// What was read of a disk.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    /// Length of the disk in bytes.
    pub size: Bytes,
    /// The bytes from offset 0 on; any number of them.
    pub head: &'a [u8],
    /// The bytes that end at `size` rounded down to 512; any number of them.
    pub tail: &'a [u8],
}

/// One thing of somebody else found on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// Where its magic bytes begin, in bytes from the start of the disk.
    pub at: Bytes,
    /// The word that `--wipe` takes: `lvm2`, `ext4`, `gpt`. Several signatures may share one.
    pub name: &'static str,
    /// For people: "LVM2 physical volume".
    pub what: &'static str,
}

/// The plug-in: it claims what is somebody else's, and makes nothing of it.
pub struct Foreign;

impl Plugin for Foreign {
    fn name(&self) -> &'static str {
        "foreign"
    }

    fn layer(&self) -> Layer {
        Layer::SegmentManager
    }

    fn id(&self) -> u16 {
        0x22
    }

    fn makes(&self) -> &'static str {
        "nothing: a disk that somebody else uses is left alone"
    }

    fn probe(&self, look: &Look<'_>) -> Option<Claim> {
        let found = recognise(&Ends { size: look.size, head: look.head, tail: look.tail });
        found.first().map(|signature| Claim { what: signature.what.into(), size: None })
    }
}

/// Everything foreign that can be seen at the ends of a disk, in the order of its place. Our own first block
/// is not foreign; whatever stands beside it is.
pub fn recognise(ends: &Ends) -> Vec<Signature> {
    let peek = Peek::new(ends.size, ends.head, ends.tail);
    let ours = ends.head.get(..SECTOR_BYTES as usize).is_some_and(first_block::is_ours);
    let mut found: Vec<Signature> = TABLE.iter().flat_map(|row| find(&peek, row)).collect();
    found.retain(|seen| !(ours && seen.at.0 < SECTOR_BYTES));
    if !ours {
        found.extend(boot::recognise(&peek, &found));
    }
    sort(&mut found);
    found.dedup();
    found
}

/// Whether some signature goes by this name; `--wipe` of any other word is a mistake of the user.
pub fn is_name(word: &str) -> bool {
    names().any(|name| name == word)
}

/// Every word that `--wipe` takes, some of them more than once.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.name).chain(boot::NAMES.iter().copied())
}

/// The offset of the first nonzero byte of a head in which nothing is recognised: a raw database has no
/// signature, and is content all the same. `None` when something is recognised, or when all is zero. Our own
/// first block is not content.
pub fn unknown_content(head: &[u8]) -> Option<Bytes> {
    if !recognise(&Ends { size: Bytes(u64::MAX), head, tail: &[] }).is_empty() {
        return None;
    }
    let ours = head.get(..SECTOR_BYTES as usize).is_some_and(first_block::is_ours);
    let skip = if ours { first_block::BYTES.min(head.len()) } else { 0 };
    let offset = head[skip..].iter().position(|byte| *byte != 0)?;
    Some(Bytes((skip + offset) as u64))
}

/// Every hit of one row; of a place that repeats, the first.
fn find(peek: &Peek, row: &'static Row) -> Vec<Signature> {
    let hit = |at: &u64| row.magics.iter().any(|magic| peek.has(*at, magic)) && (row.check)(peek, *at);
    let signature = |at: u64| Signature { at: Bytes(at), name: row.name, what: row.what };
    match row.place {
        Place::Head(offsets) => offsets.iter().copied().filter(hit).map(signature).collect(),
        Place::Tail { unit, before_end } => {
            let end = Bytes(peek.size).round_down(unit).0;
            before_end.iter().filter_map(|back| end.checked_sub(*back)).filter(hit).map(signature).collect()
        }
        Place::HeadEvery { first, step, count } => {
            every(first, step, count).find(hit).map(signature).into_iter().collect()
        }
        Place::TailEvery { unit, before_end, step, count } => Bytes(peek.size)
            .round_down(unit)
            .0
            .checked_sub(before_end)
            .and_then(|first| every(first, step, count).find(hit))
            .map(signature)
            .into_iter()
            .collect(),
    }
}

/// `count` offsets, `step` apart.
fn every(first: u64, step: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map_while(move |index| first.checked_add(index * step))
}
