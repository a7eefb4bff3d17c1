//! `evms --install DIR`: one link for each applet. Everything is looked at before the first link is made, and a
//! link that cannot be made takes the ones before it back, so that a refused install leaves nothing behind.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use evms::base::failure::{Failure, Kind};

use crate::exit::Exit;
use crate::out;
use crate::table::{APPLETS, FRONT};
use crate::usage::Usage;

/// Why links were not made. Nothing is left half done by any of these.
#[derive(Debug)]
enum Refusal {
    /// The file of this program could not be found or read.
    OwnFile(io::Error),
    /// `DIR` is not there, or no directory.
    Directory { directory: PathBuf, error: io::Error },
    /// Something else has the name of an applet.
    Taken { path: PathBuf },
    /// A link could not be made; those before it were removed again, except the ones listed.
    Link { path: PathBuf, error: io::Error, left: Vec<PathBuf> },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::OwnFile(error) => write!(
                f,
                "the file of this program could not be read ({error}); no link was made, \
                 mount /proc or start it by its full path"
            ),
            Refusal::Directory { directory, error } => {
                write!(
                    f,
                    "no links can be made in {}: {error}; no link was made, name a directory",
                    directory.display()
                )
            }
            Refusal::Taken { path } => write!(
                f,
                "{} exists and is not this program; no link was made, move it away or choose another directory",
                path.display()
            ),
            Refusal::Link { path, error, left } => {
                write!(f, "{} could not be made: {error}; ", path.display())?;
                match left.as_slice() {
                    [] => write!(f, "no link was left behind"),
                    [first, ..] => write!(
                        f,
                        "{} and {} more could not be removed again",
                        first.display(),
                        left.len() - 1
                    ),
                }
            }
        }
    }
}

impl Failure for Refusal {
    fn kind(&self) -> Kind {
        match self {
            Refusal::Taken { .. } | Refusal::OwnFile(_) => Kind::Refused,
            Refusal::Directory { error, .. } | Refusal::Link { error, .. } => kind_of(error),
        }
    }
}

fn kind_of(error: &io::Error) -> Kind {
    match error.kind() {
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::PermissionDenied | ErrorKind::NotADirectory | ErrorKind::AlreadyExists => Kind::Refused,
        _ => Kind::Device,
    }
}

/// One link that is missing.
struct Link {
    path: PathBuf,
    target: PathBuf,
}

/// Runs `--install` on the words after it.
pub fn run(words: &[&str]) -> Exit {
    let usage = |refusal| out::refuse(FRONT, &refusal);
    let (directory, dry) = match words {
        ["--dry-run", directory] | [directory, "--dry-run"] => (*directory, true),
        [option, ..] if option.starts_with('-') => {
            return usage(Usage::UnknownOption { option: (*option).into(), applet: FRONT });
        }
        [directory] => (*directory, false),
        [] => return usage(Usage::Missing { what: "the directory after --install", applet: FRONT }),
        [_, word, ..] => return usage(Usage::Surplus { word: (*word).into(), applet: FRONT }),
    };
    let made = plan(Path::new(directory)).and_then(|links| if dry { Ok(links) } else { make(links) });
    match made {
        Ok(links) => out::finish(FRONT, out::text(&report(directory, dry, &links))),
        Err(refusal) => out::refuse(FRONT, &refusal),
    }
}

fn report(directory: &str, dry: bool, links: &[Link]) -> String {
    if links.is_empty() {
        return format!("{directory}: already so\n");
    }
    let verb = if dry { "would link" } else { "linked" };
    links
        .iter()
        .map(|link| format!("{verb} {} -> {}\n", link.path.display(), link.target.display()))
        .collect()
}

/// The links that are missing in `directory`; refuses if any name is taken by something else.
fn plan(directory: &Path) -> Result<Vec<Link>, Refusal> {
    let own = own_file().map_err(Refusal::OwnFile)?;
    let refuse = |error| Refusal::Directory { directory: directory.into(), error };
    if !fs::metadata(directory).map_err(refuse)?.is_dir() {
        return Err(refuse(ErrorKind::NotADirectory.into()));
    }
    let target = target_from(directory, &own).map_err(Refusal::OwnFile)?;
    let mut links = Vec::new();
    for applet in APPLETS {
        let path = directory.join(applet.name);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                links.push(Link { path, target: target.clone() })
            }
            Err(error) => return Err(refuse(error)),
            Ok(_) if is_same_program(&path, &own).map_err(Refusal::OwnFile)? => {}
            Ok(_) => return Err(Refusal::Taken { path }),
        }
    }
    Ok(links)
}

/// A link beside the program names it alone, so that the directory may be packed into an image or mounted
/// elsewhere; from another directory the link has to be absolute.
fn target_from(directory: &Path, own: &Path) -> io::Result<PathBuf> {
    let beside = directory.join(FRONT);
    let lies_there = fs::symlink_metadata(&beside).is_ok_and(|found| found.is_file());
    Ok(if lies_there && is_same_program(&beside, own)? { PathBuf::from(FRONT) } else { own.into() })
}

/// The same file, by whatever link, or an equal copy of it: an image is often filled by `cp` first.
fn is_same_program(path: &Path, own: &Path) -> io::Result<bool> {
    // A dangling link or a directory is somebody else's, whatever the error.
    let Ok(found) = fs::metadata(path) else { return Ok(false) };
    let mine = fs::metadata(own)?;
    if (found.dev(), found.ino()) == (mine.dev(), mine.ino()) {
        return Ok(true);
    }
    Ok(found.is_file() && found.len() == mine.len() && fs::read(path).ok() == Some(fs::read(own)?))
}

/// Where this program lies. Without /proc the name it was started by has to do, if it says a directory.
fn own_file() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| match std::env::args_os().next().map(PathBuf::from) {
        Some(path) if path.components().count() > 1 => fs::canonicalize(path),
        _ => Err(error),
    })
}

fn make(links: Vec<Link>) -> Result<Vec<Link>, Refusal> {
    for (done, link) in links.iter().enumerate() {
        if let Err(error) = symlink(&link.target, &link.path) {
            let left = links.iter().take(done).filter(|link| fs::remove_file(&link.path).is_err());
            let left = left.map(|link| link.path.clone()).collect();
            return Err(Refusal::Link { path: link.path.clone(), error, left });
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_cannot_be_made_takes_the_others_back() {
        let directory = std::env::temp_dir().join(format!("evms-install-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let link = |path: PathBuf| Link { path, target: FRONT.into() };
        let links = vec![
            link(directory.join("one")),
            link(directory.join("two")),
            link(directory.join("gone/three")),
        ];
        let refusal = make(links).err().unwrap();
        let left = fs::read_dir(&directory).unwrap().count();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!((left, refusal.kind()), (0, Kind::NotFound));
        assert!(refusal.to_string().contains("no link was left behind"), "{refusal}");
    }
}
