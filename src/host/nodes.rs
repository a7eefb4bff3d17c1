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
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let kernel = format!("dm-{}", number.minor);
    let wanted = Path::new("../..").join(&kernel);
    if fs::read_link(&path).is_ok_and(|to| to == wanted) {
        return Ok(());
    }
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    if Path::new("/dev").join(&kernel).exists() {
        return symlink(&wanted, &path);
    }
    let mode = Mode::from_bits_truncate(0o600);
    mknod(&path, SFlag::S_IFBLK, mode, makedev(number.major, number.minor)).map_err(io::Error::from)
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
