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
    /// To read what nobody changes meanwhile: as [`Want::Look`], and locked against who would, for as long as it is open.
    Steady,
    /// To write, and nobody else uses it: O_EXCL on a device, and an exclusive lock.
    Change,
    /// To write while our own gates may hold it: a gate claims its disk, so O_EXCL fails there, and any other holder,
    /// mount or swap in sight refuses; where no gate is, O_EXCL claims it as with [`Want::Change`]. Locked like that.
    ChangeUnderGates,
    /// To write this node's own blocks on a disk that all nodes write, each its own (an arbitration disk): nobody is kept
    /// away but who would change all of it.
    OwnBlocks,
    /// To write what this node says to others, on a member disk that gates of ours may hold: locked for each such write alone, as with
    /// [`Want::OwnBlocks`], so that it keeps nobody away who changes the disk meanwhile.
    OwnWords,
}

impl Want {
    /// Is nobody else to have it meanwhile?
    pub fn is_alone(self) -> bool {
        matches!(self, Want::Change | Want::ChangeUnderGates)
    }

    /// Is it opened for writing?
    pub fn writes(self) -> bool {
        self.is_alone() || matches!(self, Want::OwnBlocks | Want::OwnWords)
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
