//! The boot sector. Its magic, 55 AA, stands in an MBR, in the first sector of many file systems, and behind
//! any boot code; so what is in it decides what it is called.

use super::super::peek::Peek;
use super::Signature;
use crate::base::units::{Bytes, SECTOR_BYTES};

/// Where the magic stands.
const MAGIC_AT: u64 = 510;
/// Four entries of sixteen bytes stand before it; before them, code.
const ENTRIES_AT: u64 = 446;
const ENTRY_BYTES: usize = 16;
/// The type of the entry that guards a GPT.
const PROTECTIVE: u8 = 0xee;

/// The words that `--wipe` takes for what is found here.
pub(super) const NAMES: &[&str] = &["mbr", "gpt", "grub"];

/// What the table of partitions says.
#[derive(PartialEq, Eq)]
enum Entries {
    /// These bytes are no partition table.
    None,
    /// All zero.
    Empty,
    Partitions,
    Protective,
}

fn entries(table: &[u8]) -> Entries {
    let used = |entry: &[u8]| entry[4] != 0 && entry[12..16] != [0; 4];
    let rows = || table.chunks_exact(ENTRY_BYTES);
    if table.iter().all(|byte| *byte == 0) {
        Entries::Empty
    } else if !rows().all(|entry| matches!(entry[0], 0 | 0x80)) || !rows().any(used) {
        Entries::None
    } else if rows().any(|entry| entry[4] == PROTECTIVE) {
        Entries::Protective
    } else {
        Entries::Partitions
    }
}

fn describe(code: &[u8], entries: &Entries) -> (&'static str, &'static str) {
    match entries {
        Entries::Partitions => ("mbr", "MBR partition table"),
        Entries::Protective => ("gpt", "MBR that protects a GPT partition table"),
        _ if code.windows(5).any(|word| word == b"GRUB ") => ("grub", "GRUB boot code"),
        _ if code.iter().any(|byte| *byte != 0) => ("mbr", "boot code"),
        _ => ("mbr", "MBR partition table without partitions"),
    }
}

/// The boot sector, if there is one. A sector in which the table has already found something, and which holds
/// no partitions, is that thing's boot sector and not one more.
pub(super) fn recognise(peek: &Peek, found: &[Signature]) -> Option<Signature> {
    if !peek.has(MAGIC_AT, b"\x55\xaa") {
        return None;
    }
    let code = peek.bytes(0, ENTRIES_AT as usize)?;
    let entries = entries(peek.bytes(ENTRIES_AT, 4 * ENTRY_BYTES)?);
    let partitioned = matches!(entries, Entries::Partitions | Entries::Protective);
    if !partitioned && found.iter().any(|other| other.at.0 < SECTOR_BYTES) {
        return None;
    }
    let (name, what) = describe(code, &entries);
    Some(Signature { at: Bytes(MAGIC_AT), name, what })
}
