//! Growing a mounted file system to the size of its device, by the kernel's own call: no tool is needed, so it works in
//! an initramfs.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::statvfs::fstatvfs;

use crate::base::failure::{Failure, Kind};
use crate::base::units::Bytes;
use crate::host::mounts::{InUse, Mounted};
use crate::host::sys;

/// Why a file system did not grow. The volume under it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrowError {
    /// It is not mounted here.
    NotMounted,
    /// A kind that is grown by its own tool.
    Unknown {
        /// Its kind as the kernel calls it.
        kind: String,
        /// Where it is mounted.
        at: PathBuf,
    },
    /// It did not come to its end in time; it may yet.
    TooLate {
        /// Seconds that were waited.
        seconds: u64,
    },
    /// The kernel refused.
    Refused {
        /// Where it is mounted.
        at: PathBuf,
        /// What it said.
        errno: Errno,
    },
}

impl fmt::Display for GrowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GrowError::NotMounted => {
                write!(
                    f,
                    "its file system was not grown because it is not mounted here; mount it and say the command again"
                )
            }
            GrowError::Unknown { kind, at } => write!(
                f,
                "its file system was not grown because evms cannot grow a mounted {} (at {}); grow it with its own tool",
                kind.escape_debug(),
                at.display()
            ),
            GrowError::TooLate { seconds } => write!(
                f,
                "its file system has not grown within {seconds} s because a disk under it does not answer; it grows when that \
                 does; see which hangs with: evms list disks"
            ),
            GrowError::Refused { at, errno } => write!(
                f,
                "its file system at {} was not grown: {}; the volume has its new size, say the command again or use the file \
                 system's own tool",
                at.display(),
                errno.desc()
            ),
        }
    }
}

impl std::error::Error for GrowError {}

impl Failure for GrowError {
    fn kind(&self) -> Kind {
        match self {
            GrowError::Refused { .. } | GrowError::TooLate { .. } => Kind::Device,
            GrowError::NotMounted | GrowError::Unknown { .. } => Kind::Refused,
        }
    }
}

/// Grows what is mounted from this node to all of its device; what was done, in words.
pub fn grow(node: &Path) -> Result<String, GrowError> {
    let mounted = InUse::read(Path::new("/proc")).ok().and_then(|in_use| in_use.mounted_from(node));
    let Some(Mounted { at, kind }) = mounted else { return Err(GrowError::NotMounted) };
    let refused = |error: io::Error| GrowError::Refused {
        at: at.clone(),
        errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
    };
    let folder = File::open(&at).map_err(refused)?;
    let size = File::open(node).map_err(refused).and_then(|device| {
        sys::device_size(&device).map_err(|errno| GrowError::Refused { at: at.clone(), errno })
    })?;
    let grown = match kind.as_str() {
        "ext4" | "ext3" | "ext2" => grow_ext(&folder, size),
        "btrfs" => sys::grow_btrfs(&folder),
        "xfs" => sys::grow_xfs(&folder, size),
        _ => return Err(GrowError::Unknown { kind, at }),
    };
    grown.map_err(|errno| GrowError::Refused { at: at.clone(), errno })?;
    Ok(format!("{kind} at {} has {} now", at.display(), size.human()))
}

fn grow_ext(folder: &File, size: Bytes) -> Result<(), Errno> {
    let block = fstatvfs(folder)?.block_size();
    sys::grow_ext(folder, size.0 / block.max(1))
}
