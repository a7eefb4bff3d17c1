//! The files of a daemon: its configuration, and the secret of its cluster, which nobody but root may read.

use core::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::base::failure::{Failure, Kind};

/// Bytes that such a file has at most.
const FILE_BYTES_MAX: u64 = 128 * 1024;

/// A file that cannot be used.
#[derive(Debug)]
pub enum BadFile {
    /// It is not there.
    Missing(PathBuf),
    /// It is there, and it was not to be.
    Exists(PathBuf),
    /// Others may read it: its mode and its owner.
    Open(PathBuf, u32, u32),
    /// It cannot be read or written.
    Io(PathBuf, io::Error),
}

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFile::Missing(path) => write!(f, "there is no {}", path.display()),
            BadFile::Exists(path) => {
                write!(
                    f,
                    "{} is there already and was not touched; move it away if it shall be made anew",
                    path.display()
                )
            }
            BadFile::Open(path, mode, owner) => write!(
                f,
                "{} can be read by others (mode {mode:04o}, owner {owner}), so that it is no secret; it was not used; if \
                 nobody has it: chown 0:0 and chmod 600, else make a new key on all nodes",
                path.display()
            ),
            BadFile::Io(path, error) => write!(f, "cannot use {}: {error}", path.display()),
        }
    }
}

impl Failure for BadFile {
    fn kind(&self) -> Kind {
        match self {
            BadFile::Missing(_) => Kind::NotFound,
            _ => Kind::Refused,
        }
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> BadFile + '_ {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => BadFile::Missing(path.into()),
        io::ErrorKind::AlreadyExists => BadFile::Exists(path.into()),
        _ => BadFile::Io(path.into(), error),
    }
}

fn read(file: File, path: &Path) -> Result<String, BadFile> {
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed(path))?;
    Ok(text)
}

/// The text of a file.
pub fn text(path: &Path) -> Result<String, BadFile> {
    read(File::open(path).map_err(failed(path))?, path)
}

/// The text of a file that only its owner, root, may read.
pub fn secret(path: &Path) -> Result<String, BadFile> {
    let file = File::open(path).map_err(failed(path))?;
    let about = file.metadata().map_err(failed(path))?;
    let me = nix::unistd::geteuid().as_raw();
    if about.mode() & 0o077 != 0 || (about.uid() != 0 && about.uid() != me) {
        return Err(BadFile::Open(path.into(), about.mode() & 0o7777, about.uid()));
    }
    read(file, path)
}

/// Makes a file with this text, whole or not at all, that only its owner may read; what is there already is not touched.
pub fn make(path: &Path, text: &str) -> Result<(), BadFile> {
    put(path, text, |draft, path| {
        fs::hard_link(draft, path)?;
        fs::remove_file(draft)
    })
}

/// The same, in place of what is there.
pub fn replace(path: &Path, text: &str) -> Result<(), BadFile> {
    put(path, text, |draft, path| fs::rename(draft, path))
}

fn put(path: &Path, text: &str, place: impl Fn(&Path, &Path) -> io::Result<()>) -> Result<(), BadFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(failed(folder))?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        // One that a daemon left which died in the middle may be of another mode.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        place(&draft, path)?;
        File::open(folder)?.sync_all()
    };
    let written = write().map_err(failed(path));
    if written.is_err() {
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_is_none() {
        let folder = std::env::temp_dir().join(format!("evms-secret-{}", std::process::id()));
        let path = folder.join("key");
        assert!(matches!(secret(&path), Err(BadFile::Missing(_))));
        make(&path, "one\n").unwrap();
        assert_eq!(secret(&path).unwrap(), "one\n");
        assert!(matches!(make(&path, "two\n"), Err(BadFile::Exists(_))));
        assert_eq!(text(&path).unwrap(), "one\n");
        replace(&path, "three\n").unwrap();
        assert_eq!(secret(&path).unwrap(), "three\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(secret(&path), Err(BadFile::Open(_, 0o640, _))));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "no drafts are left");
        fs::remove_dir_all(&folder).unwrap();
    }
}
