//! Takeovers of this boot that are not at their end: a file each in `/run/evms`, made before the container is taken and gone when its
//! volumes are up, or taken down again. What was cut off in between is known by it, and what an administrator took down is not brought
//! up behind his back.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::base::id::ContainerId;
use crate::host::run_dir::RUN;

/// Of the names of these files.
const PREFIX: &str = "taking-";
/// How often one is made anew that somebody takes away at the same time.
const TRIES_MAX: usize = 16;

/// A takeover that somebody is at: as long as this lives nobody else takes it for one that has come to its end.
pub struct Pending(#[expect(dead_code, reason = "its lock ends with it")] File);

fn path(container: ContainerId) -> PathBuf {
    Path::new(RUN).join(format!("{PREFIX}{container}"))
}

/// It is about to be taken. Refused while another process is at it.
pub fn begin(container: ContainerId) -> io::Result<Pending> {
    begin_at(&path(container))
}

fn begin_at(path: &Path) -> io::Result<Pending> {
    for _ in 0..TRIES_MAX {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.try_lock()?;
        // Whoever took it away between opening and locking left nothing that anybody finds.
        if fs::metadata(path).is_ok_and(|there| file.metadata().is_ok_and(|mine| mine.ino() == there.ino())) {
            return Ok(Pending(file));
        }
    }
    Err(io::ErrorKind::ResourceBusy.into())
}

/// Was it begun, and did not come to its end?
pub fn is_pending(container: ContainerId) -> bool {
    path(container).exists()
}

/// All that were begun and did not come to their end.
pub fn all() -> Vec<ContainerId> {
    let entries = fs::read_dir(RUN).into_iter().flatten().flatten();
    let id = |entry: fs::DirEntry| ContainerId::parse(entry.file_name().to_str()?.strip_prefix(PREFIX)?);
    entries.filter_map(id).collect()
}

/// Somebody else has it by now: it is at its end, unless a process is at it still, and took it or fails to by itself.
pub fn end_if_idle(container: ContainerId) {
    end_if_idle_at(&path(container));
}

fn end_if_idle_at(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    if !matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        let _ = fs::remove_file(path);
    }
}

/// It is at its end, or given up.
pub fn end(container: ContainerId) {
    // Not there, it is at its end already.
    let _ = fs::remove_file(path(container));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two processes of one node look at all containers: what one of them is about to take is another's in the look of the other.
    #[test]
    fn what_somebody_is_at_is_not_at_its_end() {
        let path = std::env::temp_dir().join(format!("evms-taking-{}", std::process::id()));
        end_if_idle_at(&path);
        let begun = begin_at(&path).unwrap();
        end_if_idle_at(&path);
        assert!(path.exists());
        assert!(begin_at(&path).is_err(), "one at a time");
        drop(begun);
        assert!(path.exists(), "it was cut off, and is finished by whoever comes next");
        let again = begin_at(&path).unwrap();
        // Its end does not wait for the lock.
        fs::remove_file(&path).unwrap();
        let third = begin_at(&path).unwrap();
        drop((again, third));
        end_if_idle_at(&path);
        assert!(!path.exists());
    }
}
