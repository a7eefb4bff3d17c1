//! Refusals to bring an earlier model back.

use core::fmt;

use super::Why;
use super::disks::names;
use crate::base::failure::Kind;
use crate::base::id::{ContainerId, DiskNumber};
use crate::base::name::Name;
use crate::base::units::{Bytes, Extents};
use crate::volume::check::Broken;

/// Why an earlier model cannot come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreWhy {
    /// It is of another container.
    OtherContainer(ContainerId),
    /// Its extents have another length.
    OtherExtent {
        /// Then.
        then: Bytes,
        /// Now.
        now: Bytes,
    },
    /// It breaks a law.
    Damaged(Box<Broken>),
    /// It needs a disk that is not a member with the present model.
    Disk(DiskNumber),
    /// It needs extents that are in quarantine.
    Waiting {
        /// How many.
        extents: Extents,
    },
    /// It needs extents that other holders use for present volumes.
    Held {
        /// How many.
        extents: Extents,
        /// The volumes.
        volumes: Vec<Name>,
    },
}

impl fmt::Display for RestoreWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RestoreWhy::OtherContainer(id) => write!(f, "the earlier model is of container {id}"),
            RestoreWhy::OtherExtent { then, now } => {
                write!(f, "an extent was {} then and is {} now", then.human(), now.human())
            }
            RestoreWhy::Damaged(broken) => write!(f, "the earlier model is damaged: {broken}"),
            RestoreWhy::Disk(disk) => write!(f, "they lay on disk {disk}, which is not in now"),
            RestoreWhy::Waiting { extents } => {
                write!(f, "they need {} extents that wait until every holder lets go of them", extents.0)
            }
            RestoreWhy::Held { extents, volumes } => {
                write!(f, "they need {} extents that other machines may write to under ", extents.0)?;
                names(f, volumes)
            }
        }
    }
}

impl Why for RestoreWhy {
    fn advice(&self) -> &'static str {
        match self {
            RestoreWhy::OtherContainer(_) | RestoreWhy::OtherExtent { .. } | RestoreWhy::Damaged(_) => {
                "choose another model of its history"
            }
            RestoreWhy::Disk(_) => "bring the disk back, or choose a later model",
            RestoreWhy::Waiting { .. } => "deactivate the container on the other machines, then ask again",
            RestoreWhy::Held { .. } => "deactivate these volumes on the other machines, or delete them first",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            RestoreWhy::Damaged(_) => Kind::Damage,
            _ => Kind::Refused,
        }
    }
}
