//! The number of a block device, and why devices cannot be listed.

use std::fmt;
use std::path::PathBuf;

use nix::libc;

use crate::base::failure::{Failure, Kind};
use crate::base::limits::CANDIDATE_DISKS_MAX;

/// The number of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeviceNumber {
    /// The driver's number.
    pub major: u64,
    /// The device's number with its driver.
    pub minor: u64,
}

impl DeviceNumber {
    /// The number as `stat` gives it.
    pub fn of_rdev(rdev: u64) -> Self {
        Self { major: libc::major(rdev).into(), minor: libc::minor(rdev).into() }
    }

    /// Reads `MAJOR:MINOR`.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.trim().split_once(':')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

/// Why the machine's disks cannot be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SysfsError {
    /// No sysfs where it should be.
    NoSys {
        /// What is missing.
        path: PathBuf,
    },
    /// No procfs where it should be, so nobody knows what is mounted.
    NoProc {
        /// What is missing.
        path: PathBuf,
    },
    /// More disks than are looked at.
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// An attribute that is not what the kernel's documentation says.
    Malformed {
        /// The attribute.
        path: PathBuf,
        /// What it says.
        text: String,
    },
    /// The kernel knows no such block device.
    NotFound {
        /// Its name or number.
        name: String,
    },
}

impl fmt::Display for SysfsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SysfsError::NoSys { path } => write!(
                f,
                "cannot list the disks: {} is not there; nothing was touched; mount sysfs, or name image files with --disk",
                path.display()
            ),
            SysfsError::NoProc { path } => write!(
                f,
                "cannot tell which disks are mounted: {} cannot be read; nothing was touched; mount proc",
                path.display()
            ),
            SysfsError::TooMany { found } => write!(
                f,
                "cannot list the disks: the machine has {found} and {CANDIDATE_DISKS_MAX} is the most; nothing was \
                 touched; name the disks with --disk"
            ),
            SysfsError::Malformed { path, text } => write!(
                f,
                "cannot list the disks: {} says '{}', which is not understood; nothing was touched; name the disks \
                 with --disk",
                path.display(),
                text.escape_debug()
            ),
            SysfsError::NotFound { name } => write!(
                f,
                "the kernel knows no block device '{}'; nothing was touched; check the name",
                name.escape_debug()
            ),
        }
    }
}

impl std::error::Error for SysfsError {}

impl Failure for SysfsError {
    fn kind(&self) -> Kind {
        match self {
            SysfsError::NotFound { .. } => Kind::NotFound,
            SysfsError::TooMany { .. } => Kind::Refused,
            SysfsError::NoSys { .. } | SysfsError::NoProc { .. } | SysfsError::Malformed { .. } => {
                Kind::Device
            }
        }
    }
}
