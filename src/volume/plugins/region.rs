//! What a region manager can do: make a region from free extents, let it grow and shrink, say where a sector lies, and
//! give the lines for device-mapper.

use core::fmt;

use crate::base::id::DiskNumber;
use crate::base::limits::{RUNS_PER_REGION_MAX, STRIPE_BYTES_MAX, STRIPE_BYTES_MIN, STRIPES_MAX};
use crate::base::units::{Bytes, Extents, Sectors};
use crate::format::model::{Region, Run};
use crate::volume::alloc::FreeSpace;
use crate::volume::lines::{DmLine, Geometry};

/// How a region shall be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Columns that are read and written side by side.
    pub columns: u16,
    /// Bytes that lie in one column before the next one's turn; `None` is the plug-in's choice.
    pub chunk: Option<Bytes>,
}

impl Shape {
    /// Does a region of this shape fulfil what was `asked`? What was not asked may be anything.
    pub fn fulfils(&self, asked: &Shape) -> bool {
        self.columns == asked.columns && (asked.chunk.is_none() || self.chunk == asked.chunk)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.columns, self.chunk) {
            (1, None) => write!(f, "linear"),
            (columns, None) => write!(f, "{columns} stripes"),
            (columns, Some(chunk)) => write!(f, "{columns} stripes of {}", chunk.human()),
        }
    }
}

/// What a region manager made: its words about it, and the extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// For [`Region::params`].
    pub params: Vec<u8>,
    /// For [`Region::columns`].
    pub columns: Vec<Vec<Run>>,
}

/// A region that became smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What it keeps.
    pub columns: Vec<Vec<Run>>,
    /// What it gave back.
    pub freed: Vec<Run>,
}

/// Why a region manager does not do what was asked. The text is a clause, without "nothing was written".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decline {
    /// Another plug-in makes such regions.
    NotMine,
    /// Not enough free extents.
    NoSpace {
        /// Extents it needs.
        needed: Extents,
        /// Free ones, by disk.
        free: Vec<(DiskNumber, Extents)>,
    },
    /// Not enough disks with enough free extents.
    NoColumns {
        /// Columns, each on a disk of its own.
        columns: u16,
        /// Extents that each needs.
        each: Extents,
        /// Free ones, by disk.
        free: Vec<(DiskNumber, Extents)>,
    },
    /// A number of stripes that is not possible.
    StripeCount(u16),
    /// A stripe unit that is not possible with these extents.
    StripeUnit {
        /// The unit.
        unit: Bytes,
        /// Length of an extent.
        extent: Bytes,
    },
    /// A stripe unit was given for a region without stripes.
    UnitWithoutStripes(Bytes),
    /// The extents that are free are in too many pieces.
    TooManyRuns(usize),
    /// Nothing would be left.
    NothingLeft,
    /// The region is not one of this manager's.
    Flawed(Flaw),
}

/// Free extents of at most this many disks are listed in one sentence.
const DISKS_SHOWN_MAX: usize = 12;

fn free_list(f: &mut fmt::Formatter<'_>, free: &[(DiskNumber, Extents)]) -> fmt::Result {
    if free.is_empty() {
        return write!(f, "no disk may be used");
    }
    for (nth, (disk, extents)) in free.iter().take(DISKS_SHOWN_MAX).enumerate() {
        write!(f, "{}disk {disk} has {}", if nth == 0 { "" } else { ", " }, extents.0)?;
    }
    match free.len().saturating_sub(DISKS_SHOWN_MAX) {
        0 => Ok(()),
        more => write!(f, ", and {more} more disks"),
    }
}

impl fmt::Display for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decline::NotMine => write!(f, "no plug-in makes such a region"),
            Decline::NoSpace { needed, free } => {
                let have: u64 = free.iter().map(|(_, extents)| extents.0).fold(0, u64::saturating_add);
                write!(f, "it needs {} free extents and there are {have}: ", needed.0)?;
                free_list(f, free)
            }
            Decline::NoColumns { columns, each, free } => {
                write!(f, "{columns} stripes need {columns} disks with {} free extents each: ", each.0)?;
                free_list(f, free)
            }
            Decline::StripeCount(count) => {
                write!(f, "{count} stripes are not possible, 1 to {STRIPES_MAX} are")
            }
            Decline::StripeUnit { unit, extent } => write!(
                f,
                "a stripe unit of {} is not possible, it is a power of two from {} to {} that divides the extent of {}",
                unit.human(),
                Bytes(STRIPE_BYTES_MIN).human(),
                Bytes(STRIPE_BYTES_MAX).human(),
                extent.human()
            ),
            Decline::UnitWithoutStripes(unit) => {
                write!(f, "a stripe unit of {} was given and no number of stripes", unit.human())
            }
            Decline::TooManyRuns(count) => {
                write!(f, "it would lie in {count} pieces and {RUNS_PER_REGION_MAX} is the most")
            }
            Decline::NothingLeft => write!(f, "nothing of it would be left"),
            Decline::Flawed(flaw) => write!(f, "its region is damaged: {flaw}"),
        }
    }
}

impl std::error::Error for Decline {}

/// What is wrong with a region that claims to be of a plug-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The words about it cannot be read.
    Params,
    /// A number of columns that it cannot have.
    Columns(usize),
    /// Columns of unequal length.
    Unequal,
    /// Two columns lie on one disk at the same place of the region.
    SameDisk(DiskNumber),
    /// A stripe unit that does not fit the extents.
    Unit(Sectors),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::Params => write!(f, "its parameters cannot be read"),
            Flaw::Columns(count) => write!(f, "it has {count} columns"),
            Flaw::Unequal => write!(f, "its columns have unequal lengths"),
            Flaw::SameDisk(disk) => write!(f, "two of its columns lie on disk {disk} side by side"),
            Flaw::Unit(unit) => write!(f, "its stripe unit of {unit} does not fit its extents"),
        }
    }
}

/// A region manager. Regions that reach any method but [`RegionManager::validate`] have been validated; those that
/// were not lead to wrong answers, never to a panic.
pub trait RegionManager: Sync {
    /// Does it make regions of this shape from extents of this length?
    fn can_make(&self, shape: &Shape, extent: Sectors) -> Result<(), Decline>;

    /// Is this region as this manager makes them?
    fn validate(&self, region: &Region, extent: Sectors) -> Result<(), Flaw>;

    /// The shape of a region, with nothing left open.
    fn shape(&self, region: &Region) -> Result<Shape, Flaw>;

    /// Extents that a volume on the region can use.
    fn length(&self, region: &Region) -> Extents;

    /// The longest region of this shape that these extents allow.
    fn capacity(&self, shape: &Shape, free: &FreeSpace) -> Extents;

    /// Takes extents for a new region of `length`, a multiple of the shape's columns.
    fn make(&self, shape: &Shape, length: Extents, free: &mut FreeSpace) -> Result<Made, Decline>;

    /// By how much a region can grow with these extents.
    fn can_grow(&self, region: &Region, free: &FreeSpace) -> Extents;

    /// Takes extents for `by` more, a multiple of the columns; gives the columns as they become.
    fn grow(&self, region: &Region, by: Extents, free: &mut FreeSpace) -> Result<Vec<Vec<Run>>, Decline>;

    /// Cuts a region down to `length`, a multiple of the columns.
    fn shrink(&self, region: &Region, length: Extents) -> Result<Cut, Decline>;

    /// Disk and sector of the disk where a sector of the region lies.
    fn map(&self, region: &Region, sector: Sectors, geometry: &Geometry) -> Option<(DiskNumber, Sectors)>;

    /// The region as device-mapper lines. `None` when a place is past 64 bits or on no disk of the container.
    fn lines(&self, region: &Region, geometry: &Geometry) -> Option<Vec<DmLine>>;
}

/// Refuses columns in too many pieces.
pub(super) fn bounded(columns: Vec<Vec<Run>>) -> Result<Vec<Vec<Run>>, Decline> {
    match columns.iter().map(Vec::len).sum::<usize>() {
        count if count > RUNS_PER_REGION_MAX => Err(Decline::TooManyRuns(count)),
        _ => Ok(columns),
    }
}
