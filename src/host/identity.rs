//! Who this machine is. Its node UUID is what owns a container (safety 3.1): 16 random bytes given once, on the
//! kernel's line or in a file, never derived from hardware or a name. What cannot be read is refused, not guessed:
//! a machine that takes itself for another would open what is not its own.

use core::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;

use crate::base::dice::Dice;
use crate::base::failure::{Failure, Kind};
use crate::base::id::NodeUuid;
use crate::base::name::Name;

/// What to do when this machine has no identity yet.
pub const HOW_TO_MAKE_ONE: &str = "this machine has no node identity; write a random UUID into /etc/evms/node (for \
     example: mkdir -p /etc/evms && cat /proc/sys/kernel/random/uuid > /etc/evms/node), or put evms.node=UUID on \
     the kernel's command line";

/// The word on the kernel's command line.
const KERNEL_WORD: &str = "evms.node=";
/// Bytes read of a file that holds one identity or one command line.
/// Bytes that such a file usually has at most.
const FILE_BYTES_USUAL: usize = 2048;
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The files that say who this machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The kernel's command line.
    pub kernel_line: PathBuf,
    /// One line with a UUID.
    pub node: PathBuf,
    /// The kernel's random id of this boot.
    pub boot_id: PathBuf,
}

impl Default for IdentityFiles {
    fn default() -> Self {
        Self {
            kernel_line: "/proc/cmdline".into(),
            node: "/etc/evms/node".into(),
            boot_id: "/proc/sys/kernel/random/boot_id".into(),
        }
    }
}

/// One boot of a machine: the kernel draws a new one each time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootId(pub [u8; 16]);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", uuid::Uuid::from_bytes(self.0).hyphenated())
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

/// Why this machine does not know who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// There is something, and it is no UUID.
    Malformed {
        /// Where it stands.
        path: PathBuf,
        /// What stands there, cut short.
        text: String,
    },
    /// The kernel's line names two.
    Ambiguous {
        /// Where it stands.
        path: PathBuf,
    },
    /// It cannot be read or written.
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// A new identity stands in its file, and may be gone after a power failure.
    NotDurable {
        /// The directory that could not be flushed.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::Malformed { path, text } => write!(
                f,
                "cannot tell who this machine is: {} says '{}', which is not a UUID; nothing was touched; correct it, \
                 and do not invent a new one if containers are owned by the old one",
                path.display(),
                text.escape_debug()
            ),
            IdentityError::Ambiguous { path } => write!(
                f,
                "cannot tell who this machine is: {} names two different {KERNEL_WORD}UUID; nothing was touched; leave one",
                path.display()
            ),
            IdentityError::Io { path, doing, errno } => {
                write!(
                    f,
                    "failed {doing} {}: {} ({errno:?}); no identity was made or changed",
                    path.display(),
                    errno.desc()
                )
            }
            IdentityError::NotDurable { path, errno } => write!(
                f,
                "a new identity was written, but flushing {} failed: {} ({errno:?}); see that the disk below it is \
                 well and run 'sync' before a container is given to this machine",
                path.display(),
                errno.desc()
            ),
        }
    }
}

impl std::error::Error for IdentityError {}

impl Failure for IdentityError {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn io_failed(path: &Path, doing: &'static str, error: &io::Error) -> IdentityError {
    IdentityError::Io { path: path.into(), doing, errno: errno_of(error) }
}

/// `None` when there is no such file.
fn read_text(path: &Path) -> Result<Option<String>, IdentityError> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| io_failed(path, "opening", &e))?,
    };
    // Room for what it usually is: else it is read in pieces that begin small.
    let mut bytes = Vec::with_capacity(FILE_BYTES_USUAL);
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|e| io_failed(path, "reading", &e))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Only the plain forms, and not the identity of nothing.
fn parse_uuid(path: &Path, text: &str) -> Result<[u8; 16], IdentityError> {
    let text = text.trim_ascii();
    let plain = text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    match uuid::Uuid::try_parse(text) {
        Ok(uuid) if plain && !uuid.is_nil() => Ok(uuid.into_bytes()),
        _ => Err(IdentityError::Malformed { path: path.into(), text: text.chars().take(80).collect() }),
    }
}

/// This machine's node UUID: the kernel's line first, then the file. `None`: see [`HOW_TO_MAKE_ONE`].
pub fn node_uuid(files: &IdentityFiles) -> Result<Option<NodeUuid>, IdentityError> {
    match node_of_kernel_line(&files.kernel_line)? {
        Some(uuid) => Ok(Some(uuid)),
        None => node_of_file(&files.node),
    }
}

fn node_of_kernel_line(path: &Path) -> Result<Option<NodeUuid>, IdentityError> {
    let line = read_text(path)?.unwrap_or_default();
    let words =
        line.split_ascii_whitespace().filter_map(|word| word.trim_matches('"').strip_prefix(KERNEL_WORD));
    let mut found = None;
    for word in words {
        let uuid = NodeUuid(parse_uuid(path, word.trim_matches('"'))?);
        if found.is_some_and(|earlier| earlier != uuid) {
            return Err(IdentityError::Ambiguous { path: path.into() });
        }
        found = Some(uuid);
    }
    Ok(found)
}

fn node_of_file(path: &Path) -> Result<Option<NodeUuid>, IdentityError> {
    read_text(path)?.map(|text| parse_uuid(path, &text).map(NodeUuid)).transpose()
}

/// What [`make_node_file`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// A new identity stands in the file.
    New(NodeUuid),
    /// There was one; it was not touched.
    AlreadySo(NodeUuid),
}

/// Gives this machine an identity unless the file has one: mode 0644, whole or not at all, also when two do it at
/// once or the power fails. A malformed file is an error and stays as it is.
pub fn make_node_file(path: &Path, dice: &mut Dice) -> Result<Made, IdentityError> {
    if let Some(uuid) = node_of_file(path)? {
        return Ok(Made::AlreadySo(uuid));
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|e| io_failed(dir, "making", &e))?;
    let uuid = NodeUuid::random(dice);
    let draft = Draft { path: dir.join(format!(".node.{:016x}", dice.number())) };
    draft.write(&format!("{uuid}\n")).map_err(|e| io_failed(&draft.path, "writing", &e))?;
    match fs::hard_link(&draft.path, path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            let other = node_of_file(path)?.ok_or_else(|| io_failed(path, "making", &e))?;
            return Ok(Made::AlreadySo(other));
        }
        linked => linked.map_err(|e| io_failed(path, "making", &e))?,
    }
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        Ok(()) => Ok(Made::New(uuid)),
        Err(e) => Err(IdentityError::NotDurable { path: dir.into(), errno: errno_of(&e) }),
    }
}

/// A file that is removed again whatever happens; what was linked from it stays.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn write(&self, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&self.path)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(0o644))?; // whatever the umask
        file.sync_all()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// The host's name, when it has one that can be a node's name.
pub fn host_name() -> Option<Name> {
    let name = nix::unistd::gethostname().ok()?;
    Name::parse_node(name.to_str()?).ok()
}

/// This boot's id.
pub fn boot_id(files: &IdentityFiles) -> Result<BootId, IdentityError> {
    let path = &files.boot_id;
    let missing = || IdentityError::Io { path: path.clone(), doing: "opening", errno: Errno::ENOENT };
    parse_uuid(path, &read_text(path)?.ok_or_else(missing)?).map(BootId)
}

#[cfg(test)]
mod tests;
