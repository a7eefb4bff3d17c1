//! `/dev/evms/CONTAINER/VOLUME`: where udev runs, links to the kernel's own nodes, as its users expect them; elsewhere
//! nodes. Made and taken away by us alone.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
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

/// How a volume's device is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A link to the node that the kernel keeps in devtmpfs.
    Link,
    /// A node of its own.
    Node,
}

/// Makes the node of a volume, in place of whatever stood there.
pub fn make(volume: &VolumePath, number: DeviceNumber, way: Way) -> io::Result<()> {
    let path = path_of(volume);
    match place(&path, number, way) {
        // The first of its container.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(ROOT)))?;
            place(&path, number, way)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if leads_to(&path, number) {
                return Ok(());
            }
            fs::remove_file(&path)?;
            place(&path, number, way)
        }
        done => done,
    }
}

/// Is it that device already, by link or by itself?
fn leads_to(path: &Path, number: DeviceNumber) -> bool {
    let is_it = |metadata: &fs::Metadata| DeviceNumber::of_rdev(metadata.rdev()) == number;
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_block_device() && is_it(&metadata))
}

fn place(path: &Path, number: DeviceNumber, way: Way) -> io::Result<()> {
    match way {
        Way::Link => symlink(format!("../../dm-{}", number.minor), path),
        Way::Node => {
            let mode = Mode::from_bits_truncate(0o600);
            mknod(path, SFlag::S_IFBLK, mode, makedev(number.major, number.minor)).map_err(io::Error::from)
        }
    }
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
