//! `/dev/evms/CONTAINER/VOLUME`: links to the kernel's own nodes, or nodes where there is no devtmpfs. Made and taken away
//! by us alone, with udev and without.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::base::name::VolumePath;
use crate::host::device::DeviceNumber;

/// Where the nodes of volumes are.
pub const ROOT: &str = "/dev/evms";

/// The node of a volume.
pub fn path_of(volume: &VolumePath) -> PathBuf {
    Path::new(ROOT).join(volume.container.as_str()).join(volume.volume.as_str())
}

/// Makes the node of a volume, in place of whatever stood there.
pub fn make(volume: &VolumePath, number: DeviceNumber) -> io::Result<()> {
    let path = path_of(volume);
    match place(&path, number) {
        // The first of its container.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(ROOT)))?;
            place(&path, number)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if fs::read_link(&path).is_ok_and(|to| to == link_to(number)) {
                return Ok(());
            }
            fs::remove_file(&path)?;
            place(&path, number)
        }
        done => done,
    }
}

fn kernel_name(number: DeviceNumber) -> String {
    format!("dm-{}", number.minor)
}

fn link_to(number: DeviceNumber) -> PathBuf {
    Path::new("../..").join(kernel_name(number))
}

/// A link where the kernel keeps the node itself (devtmpfs), a node of our own elsewhere.
fn place(path: &Path, number: DeviceNumber) -> io::Result<()> {
    if Path::new("/dev").join(kernel_name(number)).exists() {
        return symlink(link_to(number), path);
    }
    let mode = Mode::from_bits_truncate(0o600);
    mknod(path, SFlag::S_IFBLK, mode, makedev(number.major, number.minor)).map_err(io::Error::from)
}

/// Takes the node of a volume away, and its folder when that was the last one.
pub fn remove(volume: &VolumePath) -> io::Result<()> {
    let path = path_of(volume);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    if let Some(folder) = path.parent() {
        // Not empty yet, or gone already: both are well.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}
