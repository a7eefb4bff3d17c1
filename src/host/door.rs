//! The socket on which a daemon is asked: `/run/evms/evmsd.sock`, for root alone. Who asks is known by what the kernel says
//! of him, whatever the file's mode (SO_PEERCRED).

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

/// Where it is.
pub const DOOR: &str = "/run/evms/evmsd.sock";

/// Opens it. Whoever holds the daemon's lock may take away what a daemon before left there.
pub fn open() -> io::Result<UnixListener> {
    let path = Path::new(DOOR);
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes it away.
pub fn close() {
    let _ = fs::remove_file(DOOR);
}

/// Is it root who asks, or who the daemon itself runs as?
pub fn may_ask(stream: &UnixStream) -> bool {
    let asks = getsockopt(&stream.as_fd(), PeerCredentials).map(|credentials| credentials.uid());
    asks.is_ok_and(|uid| uid == 0 || uid == nix::unistd::geteuid().as_raw())
}

/// Knocks.
pub fn knock() -> io::Result<UnixStream> {
    UnixStream::connect(DOOR)
}
