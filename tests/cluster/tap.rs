//! Network namespaces and the ends of their cables: a TAP device is a cable of which this process holds the other end, so
//! that every frame between nodes goes through it.
#![allow(unsafe_code, reason = "TUNSETIFF is an ioctl")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;

use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};

nix::ioctl_write_int!(tun_set_iff, b'T', 202);

const IFF_TAP: i16 = 2;
const IFF_NO_PI: i16 = 0x1000;

/// A network namespace, for as long as it is held.
pub struct Namespace {
    handle: OwnedFd,
}

/// Names all neighbours for good: a cut must not be followed by the kernel's own search for them.
pub fn neighbours(all: &[(usize, String, String)]) {
    all.iter().for_each(|(link, address, hardware)| {
        ip(&format!("neigh replace {address} lladdr {hardware} dev l{link} nud permanent"));
    });
}

/// The end of the first cable has this address and hardware from now on, whatever it had; all neighbours are forgotten.
pub fn take_the_place_of(address: &str, hardware: &str) {
    ip("link set l0 down");
    ip("addr flush dev l0");
    ip(&format!("link set l0 address {hardware}"));
    ip(&format!("addr add {address} dev l0 nodad"));
    ip("link set l0 up");
}

/// A new one, with a cable for each address and prefix, named `l0`, `l1`, …; `address(link)` is what stands on it.
pub fn namespace(
    links: usize,
    hardware: impl Fn(usize) -> String + Sync,
    address: impl Fn(usize) -> String + Sync,
) -> (Namespace, Vec<File>) {
    let made = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace can be made");
                let handle = File::open("/proc/thread-self/ns/net").unwrap();
                ip("link set lo up");
                let cables = (0..links).map(|link| cable(link, &hardware(link), &address(link))).collect();
                (Namespace { handle: handle.into() }, cables)
            })
            .join()
    });
    made.expect("the namespace is made")
}

impl Namespace {
    /// This thread, and what it starts, is in it from now on.
    pub fn enter(&self) {
        setns(&self.handle, CloneFlags::CLONE_NEWNET).expect("the namespace is there");
    }
}

fn ip(words: &str) {
    let ran = Command::new("ip").args(words.split(' ')).output().expect("ip of iproute2 is there");
    assert!(ran.status.success(), "ip {words}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn cable(link: usize, hardware: &str, address: &str) -> File {
    let name = format!("l{link}");
    let tun = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .expect("there is /dev/net/tun");
    // `struct ifreq`: sixteen bytes of name, then the flags.
    let mut request = [0u8; 40];
    request[..name.len()].copy_from_slice(name.as_bytes());
    request[16..18].copy_from_slice(&(IFF_TAP | IFF_NO_PI).to_ne_bytes());
    // SAFETY: the kernel reads and writes the forty bytes of a `struct ifreq`, which outlives the call.
    unsafe { tun_set_iff(tun.as_raw_fd(), request.as_mut_ptr() as libc::c_ulong) }
        .expect("a TAP can be made");
    ip(&format!("link set {name} address {hardware}"));
    ip(&format!("addr add {address} dev {name} nodad"));
    ip(&format!("link set {name} up"));
    tun
}
