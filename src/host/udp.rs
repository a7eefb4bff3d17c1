//! One UDP socket on one network of a node: bound to its own address, never blocking, its datagrams never cut into pieces by
//! the network, so that what is too long for a path is lost and noticed and not half there (F10).
//!
//! Where many datagrams wait together, the kernel takes and gives them as a *run*: one behind the other in one buffer, all of
//! one size but the last, which may be shorter. On the network they are datagrams like any others; what is saved is the way
//! through the kernel, which costs for a run about what it costs for one.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::slice::Chunks;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::base::failure::{Failure, Kind};
use crate::host::sys;

/// Bytes that the kernel keeps of what was not read yet: half a second of a peer's full speed.
const RECEIVE_BYTES: usize = 2 * 1024 * 1024;
/// Bytes that it keeps of what was not sent yet.
const SEND_BYTES: usize = 1024 * 1024;
/// What routers may know it by: network control (CS6), so that a full network drops others first.
const TRAFFIC_CLASS: i32 = 0xc0;

/// Datagrams in one run at most: what every kernel that knows of runs takes.
pub const RUN_DATAGRAMS_MAX: usize = 64;
/// Bytes in a run that is sent, at most: a run is one packet of IP until it meets the device.
pub const RUN_BYTES_MAX: usize = 65_000;
/// Bytes of the longest run that may come.
const RUN_BUFFER_BYTES: usize = 65_536;

/// A socket could not be had.
#[derive(Debug)]
pub struct NoSocket {
    address: SocketAddr,
    error: io::Error,
}

impl fmt::Display for NoSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next = match self.error.kind() {
            io::ErrorKind::AddrNotAvailable => {
                "no interface of this machine has this address; bring the network up, or correct the links of this node"
            }
            io::ErrorKind::AddrInUse => {
                "another program has this port; end it, or give the cluster another port"
            }
            _ => "see that the network is up",
        };
        write!(f, "cannot listen on {}: {}; nothing was sent; {next}", self.address, self.error)
    }
}

impl Failure for NoSocket {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

/// A socket.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    /// Does the kernel take runs?
    sends_runs: bool,
}

impl Udp {
    /// On this address of this machine; on one that no interface has yet it hears what comes when one has (a node whose second
    /// network is down at boot shall not wait for that).
    pub fn bind(address: IpAddr, port: u16) -> Result<Udp, NoSocket> {
        let address = SocketAddr::new(address, port);
        open(address)
            .map(|socket| Udp { socket, sends_runs: false })
            .map_err(|error| NoSocket { address, error })
    }

    /// The same for many datagrams: takes and sends runs, where the kernel does (Linux 4.18 sends, 5.0 gives).
    pub fn bind_for_runs(address: IpAddr, port: u16) -> Result<Udp, NoSocket> {
        let mut udp = Udp::bind(address, port)?;
        let option = |option, value| sys::set_option(udp.socket.as_raw_fd(), libc::SOL_UDP, option, value);
        let sends_runs = option(libc::UDP_SEGMENT, 0).is_ok();
        let _ = option(libc::UDP_GRO, 1);
        udp.sends_runs = sends_runs;
        Ok(udp)
    }

    /// The next datagram, cut to `buffer`, and who says that he sent it; nothing when none waits. Errors of the network
    /// (somebody's port is closed) say nothing of this socket.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        loop {
            match self.socket.recv_from(buffer) {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                // What an earlier datagram met on its way.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => (),
                Err(_) => return None,
            }
        }
    }

    /// The datagrams of the next run; nothing when none waits.
    pub fn receive_run<'a>(&self, buffer: &'a mut RunBuffer) -> Option<Chunks<'a, u8>> {
        let RunBuffer { bytes, said } = buffer;
        let (length, each) = loop {
            let mut parts = [IoSliceMut::new(bytes)];
            match recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(said), MsgFlags::MSG_DONTWAIT) {
                Ok(message) => {
                    let each = message.cmsgs().ok().and_then(|mut all| all.find_map(size_of_each));
                    break (message.bytes, each.unwrap_or(message.bytes));
                }
                // What an earlier datagram met on its way.
                Err(Errno::EINTR | Errno::ECONNREFUSED) => (),
                Err(_) => return None,
            }
        };
        Some(bytes.get(..length).unwrap_or_default().chunks(each.max(1)))
    }

    /// Sends datagrams of `each` bytes, the last may be shorter; or not, as [`Udp::send`].
    pub fn send_run(&self, to: SocketAddr, run: &[u8], each: usize) {
        let is_run = self.sends_runs && run.len() > each;
        // What is refused may be a path that is too narrow, or one that cannot cut runs: then each goes for itself.
        if is_run && self.send_as_run(to, run, each) {
            return;
        }
        for datagram in run.chunks(each.max(1)) {
            self.send(to, datagram);
        }
    }

    fn send_as_run(&self, to: SocketAddr, run: &[u8], each: usize) -> bool {
        let Ok(each) = u16::try_from(each) else { return false };
        let (parts, how) = ([IoSlice::new(run)], [ControlMessage::UdpGsoSegments(&each)]);
        let (to, flags) = (SockaddrStorage::from(to), MsgFlags::MSG_DONTWAIT);
        match sendmsg(self.socket.as_raw_fd(), &parts, &how, flags, Some(&to)) {
            // Where nothing has room, none of them has.
            Ok(_) | Err(Errno::EAGAIN) => true,
            Err(_) => false,
        }
    }

    /// Sends it, or not: who waits for an answer sends again. Was it too long for the path?
    pub fn send(&self, to: SocketAddr, datagram: &[u8]) -> bool {
        match self.socket.send_to(datagram, to) {
            Err(error) => error.raw_os_error() == Some(libc::EMSGSIZE),
            Ok(_) => false,
        }
    }
}

/// Room for a run that comes.
pub struct RunBuffer {
    bytes: Vec<u8>,
    /// What the kernel says beside it: one number.
    said: Vec<u8>,
}

impl Default for RunBuffer {
    fn default() -> Self {
        RunBuffer { bytes: vec![0; RUN_BUFFER_BYTES], said: nix::cmsg_space!(i32) }
    }
}

fn size_of_each(said: ControlMessageOwned) -> Option<usize> {
    match said {
        ControlMessageOwned::UdpGroSegments(bytes) => usize::try_from(bytes).ok().filter(|bytes| *bytes > 0),
        _ => None,
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        // Not allowed everywhere, and only a wish.
        let _ = sys::set_option(socket.as_raw_fd(), libc::IPPROTO_IPV6, libc::IPV6_TCLASS, TRAFFIC_CLASS);
    } else {
        let _ = sys::set_option(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_TOS, TRAFFIC_CLASS);
    }
    never_cut(&socket, address.is_ipv6())?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BYTES);
    let _ = socket.set_send_buffer_size(SEND_BYTES);
    socket.set_nonblocking(true)?;
    let _ = sys::set_option(socket.as_raw_fd(), libc::IPPROTO_IP, libc::IP_FREEBIND, 1);
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Has an interface of this machine this address?
pub fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// Sets "do not fragment" and has the kernel believe nothing of what strangers say of the path.
fn never_cut(socket: &Socket, six: bool) -> io::Result<()> {
    let (level, option, probe) = if six {
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
    } else {
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    };
    sys::set_option(socket.as_raw_fd(), level, option, probe).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_received_and_errors_say_what_to_do() {
        let here = IpAddr::from([127, 0, 0, 1]);
        let one = Udp::bind(here, 0).unwrap();
        let other = Udp::bind(here, 0).unwrap();
        let to = other.socket.local_addr().unwrap();
        assert!(!one.send(to, b"beat"));
        let mut buffer = [0; 16];
        // Loopback delivers before send returns.
        assert_eq!(other.receive(&mut buffer), Some((4, one.socket.local_addr().unwrap())));
        assert_eq!(other.receive(&mut buffer), None);
        let taken = Udp::bind(here, to.port()).unwrap_err().to_string();
        assert!(taken.contains("another program has this port"), "{taken}");
        let nowhere = IpAddr::from([192, 0, 2, 1]);
        assert!(Udp::bind(nowhere, 0).is_ok(), "it waits for its interface");
        assert!(is_here(here) && !is_here(nowhere));
    }
    #[test]
    fn a_run_comes_as_the_datagrams_that_it_is() {
        let here = IpAddr::from([127, 0, 0, 1]);
        let (plain, runs) = (Udp::bind(here, 0).unwrap(), Udp::bind_for_runs(here, 0).unwrap());
        let run: Vec<u8> = (0..1000).map(|at| (at / 300) as u8).collect();
        let datagrams = || run.chunks(300).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let mut buffer = RunBuffer::default();
        for to in [&plain, &runs] {
            for from in [&plain, &runs] {
                let mut came = Vec::new();
                from.send_run(to.socket.local_addr().unwrap(), &run, 300);
                while let Some(run) = to.receive_run(&mut buffer) {
                    came.extend(run.map(<[u8]>::to_vec));
                }
                assert_eq!(came, datagrams());
            }
        }
        runs.send_run(plain.socket.local_addr().unwrap(), &run, 1000);
        assert_eq!(
            plain.receive_run(&mut buffer).map(|run| run.map(<[u8]>::len).collect()),
            Some(vec![1000])
        );
    }
}
