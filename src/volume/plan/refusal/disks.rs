//! Refusals that lie in the disks.

use core::fmt;

use super::Why;
use crate::base::failure::Kind;
use crate::base::id::DiskNumber;
use crate::base::name::Name;
use crate::base::units::{Bytes, Extents};

/// A disk that was to join, in words: its WWID, or its place among those given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDiskWord {
    /// Its place among those given, from 1.
    pub nth: usize,
    /// Its WWID, or empty.
    pub wwid: String,
}

impl fmt::Display for NewDiskWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the new disk {}", self.nth)?;
        if self.wwid.is_empty() { Ok(()) } else { write!(f, " ({})", self.wwid.escape_default()) }
    }
}

/// Why the disks do not allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DisksWhy {
    /// No disk was named.
    NoneGiven,
    /// The container has no such disk.
    Unknown(DiskNumber),
    /// An earlier change of the set is not complete.
    SetChanging,
    /// Extents of the disk are in use.
    InUse {
        /// The disk.
        disk: DiskNumber,
        /// How many.
        extents: Extents,
        /// By these volumes.
        volumes: Vec<Name>,
    },
    /// No disk would remain that has the present model.
    NoneLeft,
    /// A disk was given twice, or is a member already.
    Twice(NewDiskWord),
    /// A disk holds no whole extent.
    TooSmall {
        /// The disk.
        disk: NewDiskWord,
        /// Bytes of its data area.
        has: Bytes,
        /// Bytes of an extent.
        extent: Bytes,
    },
    /// A disk has larger blocks than the container was made for.
    Block {
        /// The disk.
        disk: NewDiskWord,
        /// Its block.
        has: u32,
        /// The largest that the container knows.
        most: u32,
    },
    /// A disk's data area or WWID is not possible.
    Layout(NewDiskWord),
    /// All disk numbers were given out.
    NoNumber,
    /// More disks than a container can have.
    TooMany {
        /// How many it would have.
        count: usize,
        /// The limit.
        most: usize,
    },
    /// The disk was removed.
    Released(DiskNumber),
}

/// Volumes of at most this many are named in one sentence.
const VOLUMES_SHOWN_MAX: usize = 8;

pub(super) fn names(f: &mut fmt::Formatter<'_>, names: &[Name]) -> fmt::Result {
    for (nth, name) in names.iter().take(VOLUMES_SHOWN_MAX).enumerate() {
        write!(f, "{}{name}", if nth == 0 { "" } else { ", " })?;
    }
    match names.len().saturating_sub(VOLUMES_SHOWN_MAX) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

impl fmt::Display for DisksWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DisksWhy::NoneGiven => write!(f, "no disk was given"),
            DisksWhy::Unknown(disk) => write!(f, "it has no disk {disk}"),
            DisksWhy::SetChanging => write!(f, "the last change of its disks is not settled yet"),
            DisksWhy::InUse { disk, extents, volumes } => {
                write!(f, "disk {disk} has {} extents in use, ", extents.0)?;
                if volumes.is_empty() {
                    write!(f, "by no volume")
                } else {
                    write!(f, "by volume ").and_then(|()| names(f, volumes))
                }
            }
            DisksWhy::NoneLeft => write!(f, "no disk with its present model would be left"),
            DisksWhy::Twice(disk) => write!(f, "{disk} was given twice or belongs to it already"),
            DisksWhy::TooSmall { disk, has, extent } => {
                write!(f, "{disk} has {} for data and one extent is {}", has.human(), extent.human())
            }
            DisksWhy::Block { disk, has, most } => {
                write!(f, "{disk} has logical blocks of {has} bytes and the container was made for {most}")
            }
            DisksWhy::Layout(disk) => write!(f, "{disk} has a data area or a WWID that is not possible"),
            DisksWhy::NoNumber => write!(f, "all its disk numbers were given out"),
            DisksWhy::TooMany { count, most } => {
                write!(f, "it would have {count} disks and {most} is the most")
            }
            DisksWhy::Released(disk) => write!(f, "disk {disk} was removed from it"),
        }
    }
}

impl Why for DisksWhy {
    fn advice(&self) -> &'static str {
        match self {
            DisksWhy::NoneGiven => "name at least one",
            DisksWhy::Unknown(_) => "'evms info' of the container shows its disks",
            DisksWhy::SetChanging => "let it settle with 'evms check --repair', then ask again",
            DisksWhy::InUse { .. } => "delete or shrink these volumes first",
            DisksWhy::NoneLeft => "keep one, or delete the container",
            DisksWhy::Twice(_) => "name each disk once, by one path",
            DisksWhy::TooSmall { .. } => "give a larger disk, or a smaller extent at create",
            DisksWhy::Block { .. } => "give a disk with blocks no larger than that",
            DisksWhy::Layout(_) => "give another disk",
            DisksWhy::NoNumber | DisksWhy::TooMany { .. } => "make a second container",
            DisksWhy::Released(_) => "add it as a new disk with 'evms container expand'",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            DisksWhy::NoneGiven => Kind::Usage,
            DisksWhy::Unknown(_) => Kind::NotFound,
            _ => Kind::Refused,
        }
    }
}
