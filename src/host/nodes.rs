//! `/dev/evms/CONTAINER/VOLUME`: where udev runs, links to the kernel's own nodes, as its users expect them; elsewhere
//! nodes. Made and taken away by us alone.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::base::name::{Name, VolumePath};
use crate::host::device::DeviceNumber;

/// Where the nodes of volumes are.
pub const ROOT: &str = "/dev/evms";
/// Entries of one folder that are looked at: more volumes than a container may have.
const ENTRIES_MAX: usize = 1 << 16;

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

/// A link or a node, which is what we make; a file of somebody else's is neither.
fn is_ours(path: &Path) -> bool {
    fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.file_type().is_symlink() || metadata.file_type().is_block_device())
}

/// Whether a volume has a device could not be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

/// Nodes whose device is gone: the kernel gives its number to the next device, and they would lead to that. `lives` is
/// asked, at the moment, for the device that a volume has in the kernel; a node that leads anywhere else is taken away, and
/// where the volume lives made anew. Of what cannot be known the node stays.
pub fn sweep(way: Way, lives: impl FnMut(&VolumePath) -> Result<Option<DeviceNumber>, Unknown>) {
    for (path, number) in sweep_below(Path::new(ROOT), lives) {
        // It has none now, which is told by whoever wants to use it.
        let _ = place(&path, number, way);
    }
}

/// Nodes of living volumes that led elsewhere and are gone now.
fn sweep_below(
    root: &Path,
    mut lives: impl FnMut(&VolumePath) -> Result<Option<DeviceNumber>, Unknown>,
) -> Vec<(PathBuf, DeviceNumber)> {
    let mut wrong = Vec::new();
    for folder in entries(root) {
        let Some(container) = name_of(&folder) else { continue };
        for path in entries(&folder).into_iter().filter(|path| is_ours(path)) {
            let volume = name_of(&path).map(|volume| VolumePath { container: container.clone(), volume });
            let mut lives = || volume.as_ref().map_or(Ok(None), &mut lives);
            match lives() {
                Ok(live) if live.is_none_or(|number| !leads_to(&path, number)) => (),
                _ => continue,
            }
            // Refused when it is gone meanwhile, or in a folder that nobody may write: it is as stale as before. The
            // volume may have come up between question and removal, and relied on this node.
            if fs::remove_file(&path).is_ok()
                && let Ok(Some(number)) = lives()
            {
                wrong.push((path, number));
            }
        }
        if wrong.iter().all(|(path, _)| path.parent() != Some(&folder)) {
            // Refused unless that was the last of them.
            let _ = fs::remove_dir(&folder);
        }
    }
    wrong
}

/// At most [`ENTRIES_MAX`] paths in a folder; none where there is no folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.take(ENTRIES_MAX).map(|entry| entry.path()).collect()
}

fn name_of(path: &Path) -> Option<Name> {
    Name::parse(path.file_name()?.to_str()?).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes away with the test.
    struct Room(PathBuf);

    impl Room {
        fn new() -> Room {
            let name = format!("evms-nodes-{:016x}", crate::host::entropy::dice().unwrap().number());
            let room = Room(std::env::temp_dir().join(name));
            fs::create_dir(&room.0).unwrap();
            room
        }
    }

    impl Drop for Room {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn link(root: &Path, container: &str, volume: &str, to: &str) -> PathBuf {
        fs::create_dir_all(root.join(container)).unwrap();
        let path = root.join(container).join(volume);
        symlink(to, &path).unwrap();
        path
    }

    #[test]
    fn only_what_leads_to_the_volume_itself_is_left() {
        let room = Room::new();
        let root = room.0.as_path();
        let here = link(root, "data", "dangling", "/dev/no-such-device");
        let odd = link(root, "data", "no volume's name", "/dev/null");
        let theirs = root.join("notes");
        fs::write(&theirs, "a file of somebody else's").unwrap();
        fs::create_dir(root.join("mixed")).unwrap();
        let file = root.join("mixed").join("file");
        fs::write(&file, "another").unwrap();
        let elsewhere = link(root, "lives", "v", "/dev/null");
        let kept = link(root, "doubt", "v", "/dev/no-such-device");
        let number = DeviceNumber { major: 7, minor: 1_000_000 };
        let mut asked = Vec::new();
        let wrong = sweep_below(root, |volume| {
            asked.push(volume.to_string());
            match volume.container.as_str() {
                "doubt" => Err(Unknown),
                "lives" => Ok(Some(number)),
                _ => Ok(None),
            }
        });
        asked.sort();
        asked.dedup();
        assert_eq!(asked, ["data/dangling", "doubt/v", "lives/v"]);
        assert!(fs::symlink_metadata(&kept).is_ok(), "nobody knows whether it lives");
        assert_eq!(wrong, [(elsewhere, number)], "it lives, and its node led elsewhere");
        assert!(root.join("lives").exists(), "where its node is made anew");
        for gone in [&here, &odd] {
            assert!(fs::symlink_metadata(gone).is_err(), "{}", gone.display());
        }
        assert!(!root.join("data").exists(), "its last node went");
        assert!(theirs.exists() && file.exists(), "what is no node is nobody's business here");
    }
}
