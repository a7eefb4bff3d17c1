//! Tells a service manager how the daemon is (sd_notify): datagrams to the socket that it named in `NOTIFY_SOCKET`. Without
//! one nothing is told.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Who is told.
pub struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
}

impl Notify {
    /// Whom the environment names.
    pub fn of_environment() -> Notify {
        Notify { to: std::env::var_os("NOTIFY_SOCKET").and_then(|name| open(name.as_encoded_bytes())) }
    }

    /// Milliseconds between two signs of life that it wants (`WATCHDOG=1`): half of what it waits for (`WATCHDOG_USEC`).
    pub fn watchdog_ms(&self) -> Option<u64> {
        self.to.as_ref()?;
        half_ms(&std::env::var("WATCHDOG_USEC").ok()?)
    }

    /// Tells it, or not: nobody waits for it.
    pub fn tell(&self, words: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(words.as_bytes(), address);
        }
    }
}

/// Does a service manager look after this process, and begin it anew: systemd, or OpenRC's?
pub fn is_supervised() -> bool {
    ["NOTIFY_SOCKET", "RC_SVCNAME"].iter().any(|name| std::env::var_os(name).is_some())
}

fn half_ms(usec: &str) -> Option<u64> {
    usec.parse::<u64>().ok().map(|usec| usec / 2000).filter(|ms| *ms > 0)
}

fn open(name: &[u8]) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix(b"@") {
        Some(hidden) => SocketAddr::from_abstract_name(hidden).ok()?,
        None => SocketAddr::from_pathname(std::str::from_utf8(name).ok()?).ok()?,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_is_given_twice_as_often_as_it_is_waited_for() {
        for (usec, ms) in [("10000000", Some(5000)), ("1999", None), ("0", None), ("", None), ("x", None)] {
            assert_eq!(half_ms(usec), ms, "{usec}");
        }
    }

    #[test]
    fn what_is_told_arrives() {
        let name = format!("evms-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        Notify { to: open(format!("@{name}").as_bytes()) }.tell("READY=1");
        let mut buffer = [0; 32];
        let read = manager.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..read], b"READY=1");
        Notify { to: open(b"@nobody-is-there") }.tell("READY=1");
    }
}
