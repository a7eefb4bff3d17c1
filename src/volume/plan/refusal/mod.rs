//! Why a plan is refused. One sentence each: what was refused, why, with values, that nothing was written, and what to
//! do next. There is one enum for each matter, and one frame around them.

use core::fmt;

use crate::base::failure::{Failure, Kind};
use crate::base::name::{Name, VolumePath};

mod container;
mod disks;
mod restore;
mod volume;

pub use container::ContainerWhy;
pub use disks::{DisksWhy, NewDiskWord};
pub use restore::RestoreWhy;
pub use volume::VolumeWhy;

/// A request that was refused. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The container as it is does not allow it.
    Container {
        /// What was asked, as a verb and a noun.
        act: &'static str,
        /// The container.
        container: Name,
        /// Why not.
        why: ContainerWhy,
    },
    /// The disks do not allow it.
    Disks {
        /// What was asked.
        act: &'static str,
        /// The container.
        container: Name,
        /// Why not.
        why: DisksWhy,
    },
    /// The volume, or what is free, does not allow it.
    Volume {
        /// What was asked.
        act: &'static str,
        /// The volume.
        volume: VolumePath,
        /// Why not.
        why: VolumeWhy,
    },
    /// The earlier model cannot come back.
    Restore {
        /// The container.
        container: Name,
        /// Why not.
        why: RestoreWhy,
    },
}

/// One reason: a clause, advice that follows it, and the kind of failure.
trait Why: fmt::Display {
    /// What to do next.
    fn advice(&self) -> &'static str;

    /// Decides the exit code.
    fn kind(&self) -> Kind;
}

impl Refusal {
    fn why(&self) -> &dyn Why {
        match self {
            Refusal::Container { why, .. } => why,
            Refusal::Disks { why, .. } => why,
            Refusal::Volume { why, .. } => why,
            Refusal::Restore { why, .. } => why,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Container { act, container, .. } | Refusal::Disks { act, container, .. } => {
                write!(f, "cannot {act} {container}: ")?;
            }
            Refusal::Volume { act, volume, .. } => write!(f, "cannot {act} {volume}: ")?,
            Refusal::Restore { container, .. } => write!(f, "cannot restore the volumes of {container}: ")?,
        }
        let why = self.why();
        write!(f, "{why}; nothing was written; {}", why.advice())
    }
}

impl std::error::Error for Refusal {}

impl Failure for Refusal {
    fn kind(&self) -> Kind {
        self.why().kind()
    }
}
