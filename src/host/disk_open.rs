//! How a disk comes to be open: what is named is looked at first, so that a pipe cannot hang us and a directory is
//! called one; then opened with the flags its kind needs; then measured.

use std::fs::{self, File, FileType, Metadata, OpenOptions, TryLockError};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, fcntl, openat};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access};

use crate::base::units::{BLOCK_BYTES, Bytes, SECTOR_BYTES};
use crate::host::disk_error::{DiskError, Doing};
use crate::host::disk_kind::{Identity, Medium, Want};
use crate::host::sys;
use crate::host::sysfs::{self, DeviceNumber, Roots};

/// The major number of the loop driver (`linux/major.h`).
const LOOP_MAJOR: u64 = 7;

/// What a disk is, as found when it was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub medium: Medium,
    pub size: Bytes,
    pub logical_block: u32,
    pub physical_block: u32,
    pub read_only: bool,
    pub identity: Identity,
    /// The kernel's number of a block device.
    pub number: Option<DeviceNumber>,
}

/// An open file with its measures.
pub(super) struct Opened {
    pub file: File,
    pub measured: Measured,
    /// What the lock is on, where that is not `file`.
    _lock: Option<File>,
}

fn kind_of(path: &Path, kind: FileType) -> Result<Medium, DiskError> {
    let what = if kind.is_file() {
        return Ok(Medium::Image);
    } else if kind.is_block_device() {
        return Ok(Medium::BlockDevice);
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_char_device() {
        "a character device"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "something else"
    };
    Err(DiskError::NotADisk { path: path.into(), what })
}

/// What `path` is, without opening it.
pub(super) fn medium_of(path: &Path) -> Result<Medium, DiskError> {
    let metadata = fs::metadata(path).map_err(|e| DiskError::from_io(path, Doing::Open, &e))?;
    kind_of(path, metadata.file_type())
}

/// Opens without waiting for anybody (a pipe put there meanwhile has no peer), checks that it is the kind it was,
/// and makes its I/O wait again.
fn open_file(path: &Path, write: bool, flags: i32, medium: Medium) -> Result<(File, Metadata), DiskError> {
    let failed = |e: &_| DiskError::from_io(path, Doing::Open, e);
    let flags = flags | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).write(write).custom_flags(flags | libc::O_NONBLOCK);
    let file = options.open(path).map_err(|e| failed(&e))?;
    let metadata = file.metadata().map_err(|e| failed(&e))?;
    if kind_of(path, metadata.file_type())? != medium {
        return Err(DiskError::NotADisk { path: path.into(), what: "replaced while it was opened" });
    }
    wait_again(path, &file, flags)?;
    Ok((file, metadata))
}

/// Sets the flags of an open file to these, and so takes O_NONBLOCK away.
fn wait_again(path: &Path, file: &File, flags: i32) -> Result<(), DiskError> {
    fcntl(file, FcntlArg::F_SETFL(OFlag::from_bits_truncate(flags)))
        .map(drop)
        .map_err(|errno| DiskError::from_errno(path, Doing::Open, errno))
}

/// Opens an image file and locks it: shared to look, exclusive to change.
pub(super) fn open_image(path: &Path, want: Want) -> Result<Opened, DiskError> {
    let (file, _) = open_file(path, want.writes(), 0, Medium::Image)?;
    let locked = if want.is_alone() { file.try_lock() } else { file.try_lock_shared() };
    locked.map_err(|error| match error {
        TryLockError::WouldBlock => DiskError::Locked { path: path.into() },
        TryLockError::Error(e) => DiskError::from_io(path, Doing::Open, &e),
    })?;
    let metadata = file.metadata().map_err(|e| DiskError::from_io(path, Doing::Measure, &e))?;
    let measured = Measured {
        medium: Medium::Image,
        size: Bytes(metadata.len()),
        logical_block: SECTOR_BYTES as u32,
        physical_block: BLOCK_BYTES as u32,
        read_only: !want.writes() && access(path, AccessFlags::W_OK).is_err(),
        identity: Identity::File { device: metadata.dev(), inode: metadata.ino() },
        number: None,
    };
    Ok(Opened { file, measured, _lock: None })
}

/// Opens a block device. May hang as long as the device does: call it on a thread that may.
pub(super) fn open_device(path: &Path, want: Want) -> Result<Opened, DiskError> {
    let exclusive = if want.is_alone() { libc::O_EXCL } else { 0 };
    let opened = open_file(path, want.writes(), libc::O_DIRECT | exclusive, Medium::BlockDevice);
    let opened = match opened.map_err(|error| explain(path, error)) {
        Err(DiskError::Busy { .. }) if want == Want::ChangeUnderGates => open_under_gates(path)?,
        opened => opened?,
    };
    let (file, metadata) = opened;
    let measured =
        measure(&file, &metadata).map_err(|errno| DiskError::from_errno(path, Doing::Measure, errno))?;
    judge(path, want, &measured)?;
    let lock = lock(path, &file, measured.number, want)?;
    Ok(Opened { file, measured, _lock: lock })
}

/// A disk that cannot be claimed, because our own gate has claimed it.
fn open_under_gates(path: &Path) -> Result<(File, Metadata), DiskError> {
    let (file, metadata) = open_file(path, true, libc::O_DIRECT, Medium::BlockDevice)?;
    only_our_gates(path, metadata.rdev())?;
    Ok((file, metadata))
}

/// Keeps other commands of ours away: O_EXCL says nothing to who only reads, and cannot be had below a gate. One change at
/// a time, none while somebody maps what he has read; any number may read. Gives what the lock is on, where that is not
/// `file`.
fn lock(
    path: &Path,
    file: &File,
    number: Option<DeviceNumber>,
    want: Want,
) -> Result<Option<File>, DiskError> {
    if matches!(want, Want::Look | Want::OwnWords) {
        return Ok(None);
    }
    let other = number.and_then(|number| kernels_node(path, number));
    let file = other.as_ref().unwrap_or(file);
    let locked = if want.is_alone() { file.try_lock() } else { file.try_lock_shared() };
    locked.map_err(|_| DiskError::Locked { path: path.into() })?;
    Ok(other)
}

/// The lock of a moment, on a disk that is open: nobody changes it before this is dropped. On a descriptor of its own, which only reads:
/// to close one that may write would wake whoever watches disks.
pub(super) fn share(path: &Path, number: Option<DeviceNumber>) -> Result<File, DiskError> {
    let (file, _) = open_file(path, false, 0, Medium::BlockDevice)?;
    let file = number.and_then(|number| kernels_node(path, number)).unwrap_or(file);
    file.try_lock_shared().map_err(|_| DiskError::Locked { path: path.into() })?;
    Ok(file)
}

/// A lock is on a node and not on the disk, and a disk may have several nodes (dmsetup makes some, where no udev runs): so
/// the kernel's own is locked, where there is one and it was not the one that was named.
fn kernels_node(path: &Path, number: DeviceNumber) -> Option<File> {
    let link = fs::read_link(format!("/sys/dev/block/{number}")).ok()?;
    let node = PathBuf::from(sysfs::node_of(link.file_name()?.to_str()?));
    if node == path {
        return None;
    }
    let (file, metadata) = open_file(&node, false, 0, Medium::BlockDevice).ok()?;
    (DeviceNumber::of_rdev(metadata.rdev()) == number).then_some(file)
}

/// A block device of which nothing but the size is known yet.
pub(super) struct Unmeasured {
    pub file: File,
    pub size: Bytes,
}

/// Opens a block device that the kernel has named to look at it, and asks its size alone: what has none is no block
/// device. O_NONBLOCK stays until it is measured, for it means nothing to reads of a block device (open(2)).
pub(super) fn open_unmeasured(path: &Path) -> Result<Unmeasured, DiskError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECT | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    // Not `open`: musl's asks the kernel once more for what O_CLOEXEC has done.
    let file = openat(AT_FDCWD, path, flags, Mode::empty())
        .map_err(|errno| DiskError::from_errno(path, Doing::Open, errno))?;
    let file = File::from(file);
    let size = sys::device_size(&file).map_err(|errno| no_size(path, &file, errno))?;
    if size == Bytes::ZERO {
        return Err(DiskError::NoMedium { path: path.into() });
    }
    Ok(Unmeasured { file, size })
}

fn no_size(path: &Path, file: &File, errno: Errno) -> DiskError {
    match file.metadata() {
        Ok(metadata) if !metadata.file_type().is_block_device() => {
            DiskError::NotADisk { path: path.into(), what: "not what the kernel has named" }
        }
        _ => DiskError::from_errno(path, Doing::Measure, errno),
    }
}

impl Unmeasured {
    /// The rest of its measures, and its lock.
    pub fn measure(self, path: &Path, want: Want) -> Result<Opened, DiskError> {
        let metadata =
            self.file.metadata().map_err(|error| DiskError::from_io(path, Doing::Measure, &error))?;
        if kind_of(path, metadata.file_type())? != Medium::BlockDevice {
            return Err(no_size(path, &self.file, Errno::ENOTTY));
        }
        wait_again(path, &self.file, libc::O_DIRECT | libc::O_NOCTTY)?;
        let measured = measure(&self.file, &metadata)
            .map_err(|errno| DiskError::from_errno(path, Doing::Measure, errno))?;
        judge(path, want, &measured)?;
        let lock = lock(path, &self.file, measured.number, want)?;
        Ok(Opened { file: self.file, measured, _lock: lock })
    }
}

/// Finds the words behind "busy" and "permission denied".
fn explain(path: &Path, error: DiskError) -> DiskError {
    match error {
        DiskError::Io { errno: Errno::EBUSY, .. } => {
            DiskError::Busy { path: path.into(), by: holders_of(path) }
        }
        DiskError::Denied { .. } if is_read_only(path) => DiskError::ReadOnly { path: path.into() },
        other => other,
    }
}

/// The kernel answers EACCES both to who may not and to a device that cannot be written.
fn is_read_only(path: &Path) -> bool {
    open_file(path, false, 0, Medium::BlockDevice).is_ok_and(|(file, _)| sys::is_read_only(&file) == Ok(true))
}

fn holders_of(path: &Path) -> Vec<String> {
    let Ok(metadata) = fs::metadata(path) else { return Vec::new() };
    sysfs::uses_of(&Roots::default(), DeviceNumber::of_rdev(metadata.rdev()))
        .map(|uses| uses.in_words())
        .unwrap_or_default()
}

fn only_our_gates(path: &Path, rdev: u64) -> Result<(), DiskError> {
    let busy = |by| Err(DiskError::Busy { path: path.into(), by });
    match sysfs::uses_of(&Roots::default(), DeviceNumber::of_rdev(rdev)) {
        // Held, and by nobody that is seen: another process has claimed it.
        Ok(uses) if uses.only_ours() && !uses.holders.is_empty() => Ok(()),
        Ok(uses) => busy(uses.in_words()),
        Err(error) => busy(vec![error.to_string()]),
    }
}

fn measure(file: &File, metadata: &Metadata) -> Result<Measured, Errno> {
    Ok(Measured {
        medium: Medium::BlockDevice,
        size: sys::device_size(file)?,
        logical_block: sys::logical_block(file)?,
        physical_block: sys::physical_block(file)?,
        read_only: sys::is_read_only(file)?,
        identity: identity_of(file, metadata.rdev()),
        number: Some(DeviceNumber::of_rdev(metadata.rdev())),
    })
}

/// A loop device over the whole of a file is that file; one over a part of it, or a partition of one, is itself.
fn identity_of(file: &File, rdev: u64) -> Identity {
    let number = DeviceNumber::of_rdev(rdev);
    if number.major == LOOP_MAJOR
        && !sysfs::is_partition(&Roots::default(), number)
        && let Ok(backing) = sys::loop_backing(file)
        && backing.offset == Bytes::ZERO
    {
        return Identity::File { device: backing.device, inode: backing.inode };
    }
    Identity::Device { number: rdev }
}

fn judge(path: &Path, want: Want, measured: &Measured) -> Result<(), DiskError> {
    if measured.size == Bytes::ZERO {
        return Err(DiskError::NoMedium { path: path.into() });
    }
    if u64::from(measured.logical_block) > BLOCK_BYTES {
        return Err(DiskError::BlockTooLarge { path: path.into(), logical_block: measured.logical_block });
    }
    if measured.read_only && want.writes() {
        return Err(DiskError::ReadOnly { path: path.into() });
    }
    Ok(())
}
