//! Which containers of a cluster are meant to be up on this machine: a file each in `/var/lib/evms`, made when one is activated and gone
//! when somebody takes it down. It outlives a boot, and is a wish and no right: whether it may be up is asked of the disks.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::base::id::ContainerId;

/// Where what outlives a boot is.
const KEPT: &str = "/var/lib/evms";
/// Of the names of these files.
const PREFIX: &str = "up-";

fn path(kept: &Path, container: ContainerId) -> PathBuf {
    kept.join(format!("{PREFIX}{container}"))
}

/// It is up, and is to be again. Where nothing can be kept it is brought up by hand after a boot: that is told, and no reason to fail.
pub fn note(container: ContainerId) {
    if let Err(error) = note_at(Path::new(KEPT), container) {
        log::warn!(
            "container {}: that it is up cannot be kept in {KEPT} ({error}); after a boot say: evms activate {container}",
            container.short()
        );
    }
}

fn note_at(kept: &Path, container: ContainerId) -> io::Result<()> {
    let path = path(kept, container);
    if path.exists() {
        return Ok(());
    }
    File::create(path)?;
    // A name is on the disk when its folder is.
    File::open(kept)?.sync_all()
}

/// Somebody took it down, or it is another's.
pub fn forget(container: ContainerId) {
    forget_at(Path::new(KEPT), container);
}

fn forget_at(kept: &Path, container: ContainerId) {
    // Not there, it was not meant to be up.
    if fs::remove_file(path(kept, container)).is_ok() {
        // It is up once more after a crash at worst.
        let _ = File::open(kept).and_then(|folder| folder.sync_all());
    }
}

/// All of them.
pub fn all() -> Vec<ContainerId> {
    all_at(Path::new(KEPT))
}

fn all_at(kept: &Path) -> Vec<ContainerId> {
    let entries = fs::read_dir(kept).into_iter().flatten().flatten();
    let id = |entry: fs::DirEntry| ContainerId::parse(entry.file_name().to_str()?.strip_prefix(PREFIX)?);
    entries.filter_map(id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_known_until_it_is_forgotten() {
        let kept = std::env::temp_dir().join(format!("evms-meant-up-{}", std::process::id()));
        fs::create_dir(&kept).unwrap();
        let (one, two) = (ContainerId([1; 16]), ContainerId([2; 16]));
        fs::write(kept.join("cluster"), "").unwrap();
        fs::write(kept.join("up-nobody"), "").unwrap();
        note_at(&kept, one).unwrap();
        note_at(&kept, one).unwrap();
        note_at(&kept, two).unwrap();
        let mut all = all_at(&kept);
        all.sort();
        assert_eq!(all, [one, two]);
        forget_at(&kept, one);
        forget_at(&kept, one);
        assert_eq!(all_at(&kept), [two]);
        fs::remove_dir_all(&kept).unwrap();
        assert!(note_at(&kept, one).is_err());
        assert_eq!(all_at(&kept), []);
    }
}
