//! Breaches of the laws, each with its sentence.

use core::fmt;

use crate::base::failure::{Failure, Kind};
use crate::base::id::{DiskNumber, NodeUuid, RegionId, VolumeId};
use crate::base::name::Name;
use crate::base::units::{Extents, Sectors};
use crate::format::model::{ContainerKind, Run};
use crate::volume::plugins::region::Flaw;

/// Which part of a model is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The container.
    Container,
    /// Its owner.
    Owner,
    /// One of its holders.
    Holder,
    /// A disk.
    Disk(DiskNumber),
    /// A region.
    Region(RegionId),
    /// A volume.
    Volume(VolumeId),
    /// The extents in quarantine.
    Freed,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whose::Container => write!(f, "the container"),
            Whose::Owner => write!(f, "its owner"),
            Whose::Holder => write!(f, "one of its holders"),
            Whose::Disk(number) => write!(f, "disk {number}"),
            Whose::Region(id) => write!(f, "region {}", id.short()),
            Whose::Volume(id) => write!(f, "volume {}", id.short()),
            Whose::Freed => write!(f, "the freed extents"),
        }
    }
}

/// How a model breaks a law.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// More than the limit.
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The limit.
        most: usize,
    },
    /// No disk is a member.
    NoDisks,
    /// An identity is all zero.
    NoIdentity(Whose),
    /// An identity or a number is there twice.
    Twice(Whose),
    /// An extent outside the limits or off the grid.
    Extent(Sectors),
    /// A container of this kind has an owner.
    OwnerOf(ContainerKind),
    /// A deported container has so many holders.
    HeldButDeported(usize),
    /// A deleted container has volumes or holders.
    DeletedButUsed {
        /// Volumes.
        volumes: usize,
        /// Machines that may hold it.
        holders: usize,
    },
    /// A life of this machine is among the holders twice.
    HolderTwice(NodeUuid),
    /// A disk number that was never given out.
    DiskNumber {
        /// The number.
        number: DiskNumber,
        /// The next one to give out.
        next: u16,
    },
    /// A logical block that no disk has.
    LogicalBlock {
        /// The disk.
        disk: DiskNumber,
        /// The block.
        bytes: u32,
    },
    /// The data area of this disk is off the grid or ends past 64 bits.
    DataArea(DiskNumber),
    /// The disk marked *first* is no member.
    FirstMark(DiskNumber),
    /// This disk makes no sense in the old set.
    OldSet(DiskNumber),
    /// A plug-in number that no region manager has.
    Plugin {
        /// The region.
        region: RegionId,
        /// The number.
        plugin: u16,
    },
    /// The plug-in of a region rejects it.
    Flaw {
        /// The region.
        region: RegionId,
        /// Why.
        flaw: Flaw,
    },
    /// A region has a column without extents.
    EmptyColumn(RegionId),
    /// A run lies on a disk that is no member.
    RunNowhere {
        /// The run.
        run: Run,
        /// Whose.
        whose: Whose,
    },
    /// A run is empty or ends past its disk.
    RunOutside {
        /// The run.
        run: Run,
        /// Whose.
        whose: Whose,
        /// Extents of the disk.
        extents: Extents,
    },
    /// One extent belongs to two.
    Overlap {
        /// The disk.
        disk: DiskNumber,
        /// The extent.
        extent: Extents,
        /// The one.
        one: Whose,
        /// The other.
        other: Whose,
    },
    /// A volume stands on a region that is not there.
    VolumeOnNothing(Name),
    /// A volume is empty or larger than its region.
    VolumeSize {
        /// The volume.
        name: Name,
        /// Its size.
        size: Sectors,
        /// The size of its region.
        room: Sectors,
    },
    /// Two volumes stand on this region.
    SharedRegion(RegionId),
    /// Two volumes have this name.
    VolumeName(Name),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::TooMany { what, count, most } => {
                write!(f, "it has {count} {what} and {most} is the most")
            }
            Broken::NoDisks => write!(f, "it has no disks"),
            Broken::NoIdentity(whose) => write!(f, "{whose} has no identity"),
            Broken::Twice(whose) => write!(f, "{whose} is there twice"),
            Broken::Extent(extent) => write!(f, "an extent of {extent} is not possible"),
            Broken::OwnerOf(kind) => write!(f, "it has an owner and is {}", kind_word(*kind)),
            Broken::HeldButDeported(count) => write!(f, "it is deported and {count} machines may hold it"),
            Broken::DeletedButUsed { volumes, holders } => {
                write!(f, "it is deleted and has {volumes} volumes and {holders} machines that may hold it")
            }
            Broken::HolderTwice(node) => write!(f, "machine {node} holds it twice in one life"),
            Broken::DiskNumber { number, next } => {
                write!(f, "disk {number} has a number that was not given out, the next one is {next}")
            }
            Broken::LogicalBlock { disk, bytes } => {
                write!(f, "disk {disk} has logical blocks of {bytes} bytes")
            }
            Broken::DataArea(disk) => {
                write!(f, "the data area of disk {disk} is off the grid or past all disks")
            }
            Broken::FirstMark(disk) => write!(f, "disk {disk} is marked first and is no member"),
            Broken::OldSet(disk) => write!(f, "the old set of disks makes no sense at disk {disk}"),
            Broken::Plugin { region, plugin } => {
                write!(
                    f,
                    "region {} is of plug-in {plugin:#x}, which is no region manager here",
                    region.short()
                )
            }
            Broken::Flaw { region, flaw } => {
                write!(f, "region {} is not as its plug-in makes them: {flaw}", region.short())
            }
            Broken::EmptyColumn(region) => {
                write!(f, "region {} has a column without extents", region.short())
            }
            Broken::RunNowhere { run, whose } => {
                write!(
                    f,
                    "extents {} to {} of {whose} lie on disk {}, which is no member",
                    run.start.0,
                    run.end().0,
                    run.disk
                )
            }
            Broken::RunOutside { run, whose, extents } => write!(
                f,
                "{whose}: a run of {} extents from {} on does not fit disk {}, which has {}",
                run.count.0, run.start.0, run.disk, extents.0
            ),
            Broken::Overlap { disk, extent, one, other } => {
                write!(f, "extent {} of disk {disk} belongs to {one} and to {other}", extent.0)
            }
            Broken::VolumeOnNothing(name) => write!(f, "volume {name} stands on a region that is not there"),
            Broken::VolumeSize { name, size, room } => {
                write!(f, "volume {name} has {size} and its region has {room}")
            }
            Broken::SharedRegion(region) => write!(f, "two volumes stand on region {}", region.short()),
            Broken::VolumeName(name) => write!(f, "two volumes are named {name}"),
        }
    }
}

impl std::error::Error for Broken {}

impl Failure for Broken {
    fn kind(&self) -> Kind {
        Kind::Damage
    }
}

/// The kind of a container as people say it.
pub fn kind_word(kind: ContainerKind) -> &'static str {
    match kind {
        ContainerKind::Private => "private",
        ContainerKind::Shared => "shared",
        ContainerKind::Deported => "deported",
        ContainerKind::Deleted => "deleted",
    }
}
