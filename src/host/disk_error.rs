//! What can go wrong with one disk: one enum, one sentence each, and the path and place in every one of them.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::base::failure::{Failure, Kind};
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::host::crew::Missed;

/// What was being done to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Opening it.
    Open,
    /// Asking its size and block sizes.
    Measure,
    /// Opening it and reading both ends and, of a member, its slots.
    Look,
    /// Reading.
    Read {
        /// Where, from the start of the disk.
        at: Bytes,
        /// How many bytes.
        len: usize,
    },
    /// Writing.
    Write {
        /// Where, from the start of the disk.
        at: Bytes,
        /// How many bytes.
        len: usize,
    },
    /// Making what was written durable.
    Flush,
}

impl Doing {
    /// What may have been touched when this failed half way.
    fn touched(self) -> &'static str {
        match self {
            Doing::Open | Doing::Measure | Doing::Look | Doing::Read { .. } => "nothing was written",
            Doing::Write { .. } => "a part of it may have been written",
            Doing::Flush => "what was written since the last flush may be lost",
        }
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Open => f.write_str("opening it"),
            Doing::Measure => f.write_str("asking its size"),
            Doing::Look => f.write_str("looking at it"),
            Doing::Read { at, len } => write!(f, "reading {len} bytes at byte {}", at.0),
            Doing::Write { at, len } => write!(f, "writing {len} bytes at byte {}", at.0),
            Doing::Flush => f.write_str("flushing it"),
        }
    }
}

/// Why a disk was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// No such path.
    NotFound {
        /// The disk.
        path: PathBuf,
    },
    /// Neither a block device nor a regular file.
    NotADisk {
        /// The path.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// The kernel says that this user may not.
    Denied {
        /// The disk.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// To be changed, but it cannot be written.
    ReadOnly {
        /// The disk.
        path: PathBuf,
    },
    /// A block device that something else holds.
    Busy {
        /// The disk.
        path: PathBuf,
        /// By whom, as far as the kernel tells; may be empty.
        by: Vec<String>,
    },
    /// An image file that another process has locked.
    Locked {
        /// The image.
        path: PathBuf,
    },
    /// A device of no bytes: no medium, or nothing behind it.
    NoMedium {
        /// The disk.
        path: PathBuf,
    },
    /// Logical blocks larger than ours.
    BlockTooLarge {
        /// The disk.
        path: PathBuf,
        /// Its logical block size in bytes.
        logical_block: u32,
    },
    /// A bug of the caller: not in whole blocks. Nothing was touched.
    Unaligned {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
    },
    /// Outside of the whole blocks of the disk.
    OutOfRange {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
        /// The disk's true size.
        size: Bytes,
    },
    /// A bug of the caller: the disk was opened to look.
    OpenedToLook {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
    },
    /// The image file became shorter since it was opened.
    Shrank {
        /// The image.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
        /// Its size when it was opened.
        was: Bytes,
        /// Its size now.
        now: Bytes,
    },
    /// The device gave or took fewer bytes than asked, without saying why.
    Short {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
        /// Bytes that did go through.
        done: usize,
    },
    /// The file system below an image (or a thin device) has no room left.
    Full {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
    },
    /// A persistent reservation keeps this machine out: it has been fenced.
    Reserved {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
    },
    /// The kernel reported an error.
    Io {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
        /// What the kernel said.
        errno: Errno,
    },
    /// No answer within the limit. The disk is not used again by this process.
    TimedOut {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
        /// The limit in milliseconds.
        limit_ms: u64,
    },
    /// Not used any more, because it timed out or failed to flush earlier.
    GivenUp {
        /// The disk.
        path: PathBuf,
        /// What was asked.
        doing: Doing,
    },
}

impl DiskError {
    /// The disk that it is about.
    pub fn path(&self) -> &Path {
        match self {
            DiskError::NotFound { path }
            | DiskError::NotADisk { path, .. }
            | DiskError::Denied { path, .. }
            | DiskError::ReadOnly { path }
            | DiskError::Busy { path, .. }
            | DiskError::Locked { path }
            | DiskError::NoMedium { path }
            | DiskError::BlockTooLarge { path, .. }
            | DiskError::Unaligned { path, .. }
            | DiskError::OutOfRange { path, .. }
            | DiskError::OpenedToLook { path, .. }
            | DiskError::Shrank { path, .. }
            | DiskError::Short { path, .. }
            | DiskError::Full { path, .. }
            | DiskError::Reserved { path, .. }
            | DiskError::Io { path, .. }
            | DiskError::TimedOut { path, .. }
            | DiskError::GivenUp { path, .. } => path,
        }
    }

    /// A look that a crew could not end.
    pub fn missed(path: &Path, why: Missed, limit_ms: u64) -> DiskError {
        let path = path.to_path_buf();
        match why {
            Missed::TooLate => DiskError::TimedOut { path, doing: Doing::Look, limit_ms },
            Missed::NoThread => DiskError::Io { path, doing: Doing::Look, errno: Errno::EAGAIN },
        }
    }

    /// What the kernel's answer to an open, read, write or flush means.
    pub(super) fn from_errno(path: &Path, doing: Doing, errno: Errno) -> DiskError {
        let path = path.to_path_buf();
        match (errno, doing) {
            (Errno::ENOENT | Errno::ENOTDIR, Doing::Open) => DiskError::NotFound { path },
            (Errno::EACCES | Errno::EPERM, Doing::Open) => DiskError::Denied { path, errno },
            (Errno::EROFS, Doing::Open) => DiskError::ReadOnly { path },
            (Errno::ENOMEDIUM, Doing::Open | Doing::Measure) => DiskError::NoMedium { path },
            (Errno::ENOSPC | Errno::EDQUOT, _) => DiskError::Full { path, doing },
            // What the block layer makes of SCSI's and NVMe's "reservation conflict".
            (Errno::EBADE, _) => DiskError::Reserved { path, doing },
            _ => DiskError::Io { path, doing, errno },
        }
    }

    /// As [`DiskError::from_errno`], from the standard library's error.
    pub(super) fn from_io(path: &Path, doing: Doing, error: &io::Error) -> DiskError {
        Self::from_errno(path, doing, error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}

fn busy(f: &mut fmt::Formatter<'_>, by: &[String]) -> fmt::Result {
    f.write_str("it is in use")?;
    if by.is_empty() {
        f.write_str(" and the kernel does not tell by whom")?;
    } else {
        write!(f, ": {}", by.join(", "))?;
    }
    f.write_str("; nothing was touched; unmount it or stop what uses it first")
}

fn io_advice(errno: Errno) -> &'static str {
    match errno {
        Errno::ENXIO | Errno::ENODEV => "the device is gone; look at its cable, path or target",
        Errno::EIO | Errno::ENOLINK | Errno::EREMOTEIO => "look at the kernel's log for what the device said",
        Errno::EMFILE | Errno::ENFILE => "raise the limit of open files",
        Errno::EAGAIN | Errno::ENOMEM => "the machine is out of memory or threads",
        _ => "look at the kernel's log",
    }
}

impl DiskError {
    /// Refused before anything was asked of an open disk.
    fn at_the_door(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskError::NotFound { .. } => f.write_str("there is no such disk or file; nothing was touched; check the name"),
            DiskError::NotADisk { what, .. } => write!(
                f,
                "it is {what}, not a block device or an image file; nothing was touched; name a disk or a regular file"
            ),
            DiskError::Denied { errno, .. } => write!(
                f,
                "it may not be opened ({}); nothing was touched; run as root, or as the owner of the image",
                errno.desc()
            ),
            DiskError::ReadOnly { .. } => {
                f.write_str("it is read-only and was to be changed; nothing was written; make it writable first")
            }
            DiskError::Busy { by, .. } => busy(f, by),
            DiskError::Locked { .. } => f.write_str(
                "another process has it locked; nothing was touched; wait until that process has ended",
            ),
            DiskError::NoMedium { .. } => f.write_str(
                "it has no medium, its size is 0 bytes; nothing was touched; insert a medium or attach what it stands for",
            ),
            DiskError::BlockTooLarge { logical_block, .. } => write!(
                f,
                "its logical blocks have {logical_block} bytes and {BLOCK_BYTES} is the most; nothing was touched; \
                 use another disk, or format it to {BLOCK_BYTES} bytes a block"
            ),
            _ => self.when_asked(f),
        }
    }

    /// Refused although the disk is open.
    fn when_asked(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskError::Unaligned { doing, .. } => {
                write!(
                    f,
                    "refused {doing}: not in whole blocks of {BLOCK_BYTES} bytes; nothing was touched; this is a bug in evms"
                )
            }
            DiskError::OutOfRange { doing, size, .. } => write!(
                f,
                "refused {doing}: outside of its whole blocks, its size is {} bytes; nothing was touched; \
                 see whether the disk or image has been replaced by a smaller one",
                size.0
            ),
            DiskError::OpenedToLook { doing, .. } => {
                write!(
                    f,
                    "refused {doing}: it was opened to look only; nothing was touched; this is a bug in evms"
                )
            }
            DiskError::GivenUp { doing, .. } => write!(
                f,
                "refused {doing}: it did not answer or did not flush earlier, and is not used again before evms \
                 is started anew; nothing was touched by this; look at the disk and its paths"
            ),
            _ => self.half_way(f),
        }
    }

    /// Failed while it was done.
    fn half_way(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DiskError::Shrank { doing, was, now, .. } => write!(
                f,
                "failed {doing}: the file shrank from {} to {} bytes while it was open; {}; \
                 give it its size back and see what cut it",
                was.0,
                now.0,
                doing.touched()
            ),
            DiskError::Short { doing, done, .. } => write!(
                f,
                "failed {doing}: only {done} bytes went through; {}; look at the kernel's log",
                doing.touched()
            ),
            DiskError::Full { doing, .. } => write!(
                f,
                "failed {doing}: there is no room left below it; {}; free some room in the file system or pool that holds it",
                doing.touched()
            ),
            DiskError::Reserved { doing, .. } => write!(
                f,
                "failed {doing}: a persistent reservation keeps this machine out, it has been fenced; {}; \
                 let the cluster admit this node again",
                doing.touched()
            ),
            DiskError::Io { doing, errno, .. } => {
                write!(
                    f,
                    "failed {doing}: {} ({errno:?}); {}; {}",
                    errno.desc(),
                    doing.touched(),
                    io_advice(*errno)
                )
            }
            DiskError::TimedOut { doing, limit_ms, .. } => write!(
                f,
                "no answer within {limit_ms} ms while {doing}; {}{}; look at the disk and its paths",
                doing.touched(),
                if matches!(doing, Doing::Write { .. }) { " and may still be" } else { "" }
            ),
            // Said by the two above.
            DiskError::NotFound { .. }
            | DiskError::NotADisk { .. }
            | DiskError::Denied { .. }
            | DiskError::ReadOnly { .. }
            | DiskError::Busy { .. }
            | DiskError::Locked { .. }
            | DiskError::NoMedium { .. }
            | DiskError::BlockTooLarge { .. }
            | DiskError::Unaligned { .. }
            | DiskError::OutOfRange { .. }
            | DiskError::OpenedToLook { .. }
            | DiskError::GivenUp { .. } => Ok(()),
        }
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path().to_string_lossy().escape_debug())?;
        self.at_the_door(f)
    }
}

impl std::error::Error for DiskError {}

impl Failure for DiskError {
    fn kind(&self) -> Kind {
        match self {
            DiskError::NotFound { .. } => Kind::NotFound,
            DiskError::Reserved { .. } => Kind::NotOwner,
            DiskError::NotADisk { .. }
            | DiskError::Denied { .. }
            | DiskError::ReadOnly { .. }
            | DiskError::Busy { .. }
            | DiskError::Locked { .. }
            | DiskError::BlockTooLarge { .. }
            | DiskError::Unaligned { .. }
            | DiskError::OutOfRange { .. }
            | DiskError::OpenedToLook { .. } => Kind::Refused,
            DiskError::NoMedium { .. }
            | DiskError::Shrank { .. }
            | DiskError::Short { .. }
            | DiskError::Full { .. }
            | DiskError::Io { .. }
            | DiskError::TimedOut { .. }
            | DiskError::GivenUp { .. } => Kind::Device,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_answers_are_told_apart() {
        let path = Path::new("/dev/sdx");
        let write = Doing::Write { at: Bytes(8192), len: 4096 };
        let kinds = [
            (Errno::ENOENT, Doing::Open, Kind::NotFound),
            (Errno::EACCES, Doing::Open, Kind::Refused),
            (Errno::ENOSPC, write, Kind::Device),
            (Errno::EBADE, write, Kind::NotOwner),
            (Errno::EIO, write, Kind::Device),
            (Errno::ENXIO, Doing::Flush, Kind::Device),
            (Errno::ENOENT, write, Kind::Device),
        ];
        for (errno, doing, kind) in kinds {
            assert_eq!(DiskError::from_errno(path, doing, errno).kind(), kind, "{errno}");
        }
    }

    #[test]
    fn a_sentence_names_disk_place_reason_and_what_was_touched() {
        let doing = Doing::Write { at: Bytes(8192), len: 4096 };
        let text = DiskError::from_errno(Path::new("/dev/sd\nx"), doing, Errno::EIO).to_string();
        for part in [
            r"/dev/sd\nx: ",
            "writing 4096 bytes at byte 8192",
            "(EIO)",
            "a part of it may have been written",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
