//! Why devices were not made, or are not as they should be.

use std::fmt;

use crate::base::failure::{Failure, Kind};
use crate::base::id::DiskNumber;
use crate::host::dm::DmError;
use crate::run::ask::AskError;

/// What is wrong with the devices of a container.
#[derive(Debug)]
pub enum LiveError {
    /// Device-mapper refused.
    Dm(DmError),
    /// A step was not done in time, or nobody could be sent to do it; in words.
    TooLate(String),
    /// A gate is there that maps something else.
    GateBusy {
        /// Its name.
        name: String,
        /// The disk.
        disk: DiskNumber,
    },
    /// A gate is closed: its I/O waits.
    GateClosed {
        /// Its name.
        name: String,
        /// The disk.
        disk: DiskNumber,
        /// Is it the keeper's?
        kept: bool,
        /// Whose it is, as `deactivate` is told.
        of: String,
    },
    /// Gates of a cluster's container were made and not opened.
    NotOpened(AskError),
    /// A volume is being taken away and somebody has it open still.
    VolumeGoing {
        /// The volume.
        volume: String,
        /// Who has it open, as far as is known.
        holders: Vec<String>,
    },
    /// A device is half made and another command is at it.
    HalfMade {
        /// Its name.
        name: String,
    },
    /// Another device has the name of one that was to be made.
    NameTaken {
        /// The name.
        name: String,
    },
    /// A device was taken away by somebody else meanwhile.
    VanishedDevice {
        /// Its name.
        name: String,
    },
    /// After a failure, devices that were made for nothing could not be taken away.
    LeftBehind {
        /// What failed.
        error: Box<LiveError>,
        /// Their names.
        names: Vec<String>,
    },
    /// A volume is live with another table.
    LiveDiffers {
        /// The volume.
        volume: String,
        /// The device.
        name: String,
    },
    /// A volume cannot be laid on its gates.
    NoLines {
        /// The volume.
        volume: String,
    },
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LiveError::Dm(error) => error.fmt(f),
            LiveError::TooLate(words) => f.write_str(words),
            LiveError::GateBusy { name, disk } => write!(
                f,
                "disk {disk} has a gate from before ({name}) that maps something else than the container says now; nothing was \
                 activated; take it away first with: evms deactivate --all"
            ),
            LiveError::GateClosed { name, disk, kept, of } => write!(
                f,
                "the gate of disk {disk} ({name}) is closed and its I/O waits; nothing was activated; {}, or take its volumes down \
                 first with: evms deactivate {of}",
                if *kept {
                    "evmsd has it opened when its disks were read: see evms-fence status, and say the command again"
                } else {
                    "whoever closed it opens it again"
                }
            ),
            LiveError::NotOpened(error) => write!(
                f,
                "the volumes were not brought up because evmsd did not open the gates under them: {error}; what had been made was \
                 taken away; see: evms-fence status"
            ),
            LiveError::VolumeGoing { volume, holders } => {
                let by =
                    if holders.is_empty() { String::new() } else { format!(" ({})", holders.join(", ")) };
                write!(
                    f,
                    "volume {volume} is being taken away and somebody has it open still{by}; nothing was activated; close it, \
                     then activate it again"
                )
            }
            LiveError::HalfMade { name } => write!(
                f,
                "the device {name} is half made and another command of evms is at it, or hangs; nothing was activated; wait for \
                 that one to end and say the command again"
            ),
            LiveError::NameTaken { name } => write!(
                f,
                "the device {name} cannot be made because another one has its name: a volume of another container that is called \
                 the same, or what another program made; nothing was activated; see whose it is with: evms check, and rename \
                 the container or take the other one down"
            ),
            LiveError::VanishedDevice { name } => write!(
                f,
                "the device {name} was taken away by somebody else meanwhile; nothing was activated; say the command again"
            ),
            LiveError::LeftBehind { error, names } => write!(
                f,
                "{error}; and what had been made could not all be taken away again ({}): do that with evms deactivate --all",
                names.join(", ")
            ),
            LiveError::LiveDiffers { volume, name } => write!(
                f,
                "volume {volume} is live ({name}) with another table than the container says now, and a live mapping is never \
                 changed by looking; nothing was activated; close it and run: evms deactivate {volume}"
            ),
            LiveError::NoLines { volume } => write!(
                f,
                "volume {volume} was not activated because its extents do not lie on the gates of its container; nothing was \
                 activated; look at it with: evms check"
            ),
        }
    }
}

impl std::error::Error for LiveError {}

impl Failure for LiveError {
    fn kind(&self) -> Kind {
        match self {
            LiveError::GateBusy { .. }
            | LiveError::GateClosed { .. }
            | LiveError::VolumeGoing { .. }
            | LiveError::NameTaken { .. }
            | LiveError::LiveDiffers { .. } => Kind::Refused,
            LiveError::Dm(_)
            | LiveError::TooLate(_)
            | LiveError::HalfMade { .. }
            | LiveError::VanishedDevice { .. } => Kind::Device,
            LiveError::LeftBehind { error, .. } => error.kind(),
            LiveError::NotOpened(error) => error.kind(),
            LiveError::NoLines { .. } => Kind::Damage,
        }
    }
}
