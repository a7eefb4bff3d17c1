//! One object: what a person sees in `list` and `info`. Disk, segment, container, region, feature object, volume, and
//! the free space of a container.

use crate::base::failure::{Failure, Kind};
use crate::base::id::{ContainerId, DiskId};
use crate::base::name::Name;
use crate::base::units::Bytes;
use crate::volume::plugins::csm::SegmentKind;

/// A disk as the machine shows it, member or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskView {
    /// Its path or name; what the user calls it.
    pub name: String,
    /// Its size.
    pub size: Bytes,
    /// Words about its state.
    pub states: Vec<String>,
    /// Its WWID, or empty.
    pub wwid: String,
    /// What it holds.
    pub holds: Holds,
}

/// What a disk holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// Nothing that anybody knows.
    Nothing,
    /// Something that is not ours, in words.
    Foreign(String),
    /// A label of ours that is not believed, in words.
    Damaged(String),
    /// It is a member.
    Member {
        /// Of this container.
        container: ContainerId,
        /// It is this one of its disks.
        disk: DiskId,
    },
}

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// A disk.
    Disk,
    /// Sectors in a row on a disk.
    Segment(SegmentKind),
    /// A cluster container.
    Container,
    /// Storage made from extents.
    Region,
    /// What is left of a container.
    FreeSpace,
    /// An object with a feature.
    Feature,
    /// What is mounted.
    Volume,
}

impl ObjectKind {
    /// For people, and for `--json`.
    pub fn word(self) -> &'static str {
        match self {
            ObjectKind::Disk => "disk",
            ObjectKind::Segment(_) => "segment",
            ObjectKind::Container => "container",
            ObjectKind::Region => "region",
            ObjectKind::FreeSpace => "free space",
            ObjectKind::Feature => "feature object",
            ObjectKind::Volume => "volume",
        }
    }
}

/// An object, without its place in the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ObjectKind,
    /// Name of the plug-in that made it; empty for what no plug-in made.
    pub plugin: &'static str,
    /// Its size.
    pub size: Bytes,
    /// Words about its state.
    pub states: Vec<String>,
    /// The container it belongs to.
    pub container: Option<Name>,
    /// WWID of a disk, id of anything else; may be empty.
    pub id: String,
}

/// No object has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoObject {
    /// The name.
    pub name: String,
}

impl core::fmt::Display for NoObject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let name = self.name.escape_default();
        write!(
            f,
            "there is no object '{name}' on the disks that were looked at; 'evms list objects' shows all"
        )
    }
}

impl std::error::Error for NoObject {}

impl Failure for NoObject {
    fn kind(&self) -> Kind {
        Kind::NotFound
    }
}
