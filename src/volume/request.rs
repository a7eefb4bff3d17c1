//! What may be asked of a container: words already parsed, disks already resolved. Planning turns one of these and a
//! model into the next model, or refuses with a sentence.

use crate::base::id::{ClusterId, DiskId, DiskNumber, NodeUuid};
use crate::base::name::Name;
use crate::base::size::{Resize, Size};
use crate::base::units::{Bytes, Sectors};
use crate::format::model::{ContainerKind, Model};

/// A disk that shall join: looked at, free, with a layout already made for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDisk {
    /// Its fresh identity.
    pub id: DiskId,
    /// Its WWID, or empty.
    pub wwid: String,
    /// Its logical block size.
    pub logical_block: u32,
    /// First sector of its data area.
    pub data_start: Sectors,
    /// Length of its data area.
    pub data_length: Sectors,
}

/// The machine that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its identity; `NodeUuid::NONE` when it has none.
    pub node: NodeUuid,
    /// Its name, for people.
    pub name: Option<Name>,
}

/// Who shall own a private container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerAsk {
    /// This machine.
    Machine(Machine),
    /// Nobody yet: the first machine that activates it.
    Unclaimed,
}

/// A new container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateContainer {
    /// Its name.
    pub name: Name,
    /// Private, shared, deported.
    pub kind: ContainerKind,
    /// Owner of a private one.
    pub owner: OwnerAsk,
    /// Its cluster; none makes it standalone.
    pub cluster: ClusterId,
    /// Gets fresh ids when claimed.
    pub template: bool,
    /// Length of an extent.
    pub extent: Bytes,
    /// Its disks; the first one is marked *first*.
    pub disks: Vec<NewDisk>,
}

/// What the head of a volume holds, as far as it can be told (safety 3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// All zero.
    Empty,
    /// A file system that states its size.
    FileSystem {
        /// Its kind, for people.
        name: String,
        /// The size that its superblock states.
        size: Bytes,
    },
    /// Something else.
    Unknown,
}

/// A change of an existing container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Owner, type, name.
    Modify {
        /// New owner; the container becomes or stays private.
        owner: Option<OwnerAsk>,
        /// New type.
        kind: Option<ContainerKind>,
        /// New name.
        name: Option<Name>,
    },
    /// The container of a machine that is gone, for who asks.
    Takeover {
        /// That machine.
        from: NodeUuid,
        /// On which evidence, and why.
        words: String,
        /// Who takes it is admitted at once, with a watchdog that bites after so many milliseconds, zero being none.
        admit: Option<u32>,
    },
    /// Gates of it for who asks.
    Admit {
        /// Milliseconds after which its watchdog bites; zero without one.
        watchdog_ms: u32,
    },
    /// Who asks has no gates of it any more.
    Withdraw,
    /// An administrator closes it, or opens it again (safety 4.4).
    Suspend {
        /// Closed?
        is: bool,
    },
    /// A node that shared it is gone.
    Expel {
        /// Its machine.
        node: NodeUuid,
        /// On which evidence, and why.
        words: String,
    },
    /// More disks.
    Expand {
        /// The disks.
        disks: Vec<NewDisk>,
    },
    /// Fewer disks.
    Shrink {
        /// The disks.
        disks: Vec<DiskNumber>,
    },
    /// Disks that missed commits and are back.
    Readmit {
        /// The disks.
        disks: Vec<DiskNumber>,
    },
    /// A new volume.
    VolumeCreate {
        /// Its name.
        name: Name,
        /// Its size; rounded up to extents.
        size: Size,
        /// Stripes, 1 or none is linear.
        stripes: Option<u16>,
        /// Stripe unit.
        stripe_bytes: Option<Bytes>,
        /// Only on these disks; empty is any.
        on: Vec<DiskNumber>,
    },
    /// A larger volume.
    VolumeExpand {
        /// Its name.
        name: Name,
        /// To or by; a share of the free space is always *by*.
        size: Resize,
        /// Only on these disks; empty is any.
        on: Vec<DiskNumber>,
    },
    /// A smaller volume.
    VolumeShrink {
        /// Its name.
        name: Name,
        /// To or by.
        size: Resize,
        /// What is on it.
        content: Content,
        /// Consent to lose what lies beyond this size. It states the new size, and is rounded up as that is.
        lose_data_beyond: Option<Bytes>,
    },
    /// Another name.
    VolumeRename {
        /// Its name.
        name: Name,
        /// Its new name.
        new: Name,
    },
    /// No volume.
    VolumeDelete {
        /// Its name.
        name: Name,
    },
    /// Volumes and regions as an earlier model had them.
    Restore {
        /// That model.
        from: Box<Model>,
    },
    /// The end of the container: nobody may use it again, and then its disks lose their labels.
    Delete,
    /// The second half of a change of the disk set: the old set is let go.
    Settle,
}
