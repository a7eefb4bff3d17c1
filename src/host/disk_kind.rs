//! What a disk is to us: what carries its bytes, what it is opened for, and what makes two names the same disk.

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A regular file.
    Image,
    /// A block device.
    BlockDevice,
}

/// What a disk is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// To read. Opened read-only: no write, no claim, no udev event when it is closed.
    Look,
    /// To write, and nobody else uses it: O_EXCL, or an exclusive lock on an image.
    Change,
    /// To write while our own gates may hold it: a gate claims its disk, so O_EXCL fails there, and any other holder,
    /// mount or swap in sight refuses; where no gate is, O_EXCL claims it as with [`Want::Change`]. An image is locked.
    ChangeUnderGates,
}

impl Want {
    /// Is it opened for writing?
    pub fn writes(self) -> bool {
        self != Want::Look
    }
}

/// What makes two names the same disk: hard links, symlinks, a second device node, or a loop device over the
/// whole of an image file. (A loop device that begins inside of its file counts as a disk of its own.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// A regular file.
    File {
        /// The device number of its file system.
        device: u64,
        /// Its inode.
        inode: u64,
    },
    /// A block device.
    Device {
        /// Its device number.
        number: u64,
    },
}
