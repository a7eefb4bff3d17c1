//! The log of the kernel's `dm-log-writes`: every write to a disk in the order in which it became durable, read back as
//! entries. Its shape is in the kernel's own page on that target.
//!
//! Picture a ledger whose first sector says how many lines it has and how long a sector is. Then, line after line: one
//! sector with the entry, and behind it the data that was written. A write that no flush covered is not in it before the
//! next flush was answered, so what stands before a flush is what that flush made durable.

use std::fmt;
use std::ops::Range;

const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const ENTRY_BYTES: usize = 32;
const SECTOR_BYTES_MIN: usize = 512;
const SECTOR_BYTES_MAX: usize = 4096;

const FLUSH: u64 = 1;
const FUA: u64 = 1 << 1;
const DISCARD: u64 = 1 << 2;
const MARK: u64 = 1 << 3;

/// What an entry tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes, perhaps none, at a place of the disk; they stand in the log at this range.
    Write {
        /// Where on the disk, in bytes.
        at: u64,
        /// Where in the log.
        data: Range<usize>,
    },
    /// So many bytes at a place of the disk were given up.
    Discard {
        /// Where on the disk, in bytes.
        at: u64,
        /// How many bytes.
        length: u64,
    },
    /// Somebody's word, from outside.
    Mark(String),
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it tells.
    pub kind: Kind,
    /// Is all before it, and itself, durable when it is?
    pub is_boundary: bool,
}

/// Why a log is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadLog {
    /// No log begins so.
    Magic(u64),
    /// A version that nobody described.
    Version(u64),
    /// No sector is so long.
    Sector(usize),
    /// An entry, by number, that goes beyond the end.
    Cut(u64),
    /// A mark, by the entry's number, that is no text.
    Mark(u64),
}

impl fmt::Display for BadLog {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(found) => write!(to, "no log begins with {found:#x}"),
            Self::Version(found) => write!(to, "a log of version {found}"),
            Self::Sector(found) => write!(to, "a log with sectors of {found} bytes"),
            Self::Cut(number) => write!(to, "entry {number} goes beyond the end of the log"),
            Self::Mark(number) => write!(to, "entry {number} is a mark and no text"),
        }
    }
}

fn word(log: &[u8], at: usize) -> Option<u64> {
    let bytes = log.get(at..at.checked_add(8)?)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// Reads the entries of a log.
pub fn parse(log: &[u8]) -> Result<Vec<Entry>, BadLog> {
    let field = |at| word(log, at).ok_or(BadLog::Cut(0));
    let (magic, version, count) = (field(0)?, field(8)?, field(16)?);
    if magic != MAGIC {
        return Err(BadLog::Magic(magic));
    }
    if version != VERSION {
        return Err(BadLog::Version(version));
    }
    // The last field has 32 bits.
    let sector = (field(24)? & u64::from(u32::MAX)) as usize;
    if !(SECTOR_BYTES_MIN..=SECTOR_BYTES_MAX).contains(&sector) || !sector.is_power_of_two() {
        return Err(BadLog::Sector(sector));
    }
    let mut at = sector;
    let mut entries = Vec::new();
    for number in 0..count {
        let (entry, next) = entry(log, at, sector, number)?;
        entries.push(entry);
        at = next;
    }
    Ok(entries)
}

/// The entry at this place of the log, and where the next one is.
fn entry(log: &[u8], at: usize, sector: usize, number: u64) -> Result<(Entry, usize), BadLog> {
    let field = |index: usize| word(log, at + index * 8).ok_or(BadLog::Cut(number));
    let (place, count, flags, text_bytes) = (field(0)?, field(1)?, field(2)?, field(3)?);
    let bytes = |sectors: u64| sectors.checked_mul(sector as u64).ok_or(BadLog::Cut(number));
    let (disk_at, length) = (bytes(place)?, bytes(count)?);
    let data = at + sector;
    let (kind, next) = if flags & MARK != 0 {
        (Kind::Mark(mark(log, at, text_bytes, number)?), data)
    } else if flags & DISCARD != 0 {
        (Kind::Discard { at: disk_at, length }, data)
    } else {
        let end = usize::try_from(length).ok().and_then(|length| data.checked_add(length));
        let end = end.filter(|end| *end <= log.len()).ok_or(BadLog::Cut(number))?;
        (Kind::Write { at: disk_at, data: data..end }, end)
    };
    Ok((Entry { kind, is_boundary: flags & (FLUSH | FUA) != 0 }, next))
}

fn mark(log: &[u8], at: usize, text_bytes: u64, number: u64) -> Result<String, BadLog> {
    let begin = at + ENTRY_BYTES;
    let end = usize::try_from(text_bytes).ok().and_then(|length| begin.checked_add(length));
    let text = end.and_then(|end| log.get(begin..end)).ok_or(BadLog::Cut(number))?;
    let text = std::str::from_utf8(text).map_err(|_| BadLog::Mark(number))?;
    Ok(text.trim_end_matches('\0').into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECTOR: usize = 512;

    fn sector(fields: [u64; 4], text: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_le_bytes()).collect();
        bytes.extend_from_slice(text);
        bytes.resize(SECTOR, 0);
        bytes
    }

    /// By the kernel's page: a write of two sectors at sector 8, a flush without data, a discard, a mark, a FUA write.
    fn log() -> Vec<u8> {
        let mut log = sector([0x006a_7366_7773_6872, 1, 5, SECTOR as u64], &[]);
        log.extend(sector([8, 2, 0, 0], &[]));
        log.extend([7; 2 * SECTOR]);
        log.extend(sector([0, 0, FLUSH, 0], &[]));
        log.extend(sector([16, 4, DISCARD, 0], &[]));
        log.extend(sector([0, 0, MARK, 4], b"done"));
        log.extend(sector([24, 1, FUA, 0], &[]));
        log.extend([9; SECTOR]);
        log
    }

    #[test]
    fn every_kind_of_entry_is_read() {
        let log = log();
        let entry = |kind, is_boundary| Entry { kind, is_boundary };
        let first = 2 * SECTOR..4 * SECTOR;
        assert_eq!(
            parse(&log).unwrap(),
            [
                entry(Kind::Write { at: 8 * 512, data: first.clone() }, false),
                entry(Kind::Write { at: 0, data: 5 * SECTOR..5 * SECTOR }, true),
                entry(Kind::Discard { at: 16 * 512, length: 4 * 512 }, false),
                entry(Kind::Mark("done".into()), false),
                entry(Kind::Write { at: 24 * 512, data: 8 * SECTOR..9 * SECTOR }, true),
            ]
        );
        assert!(log[first].iter().all(|byte| *byte == 7));
        assert!(log[8 * SECTOR..].iter().all(|byte| *byte == 9));
    }

    #[test]
    fn what_is_no_log_is_refused() {
        let with = |at: usize, byte: u8| {
            let mut log = log();
            log[at] = byte;
            parse(&log)
        };
        assert!(matches!(with(0, 1), Err(BadLog::Magic(_))));
        assert_eq!(with(8, 2), Err(BadLog::Version(2)));
        assert_eq!(with(24, 1), Err(BadLog::Sector(513)));
        assert_eq!(with(16, 6), Err(BadLog::Cut(5)));
        assert_eq!(with(SECTOR + 8, 255), Err(BadLog::Cut(0)));
        assert_eq!(parse(&log()[..20]), Err(BadLog::Cut(0)));
    }
}
