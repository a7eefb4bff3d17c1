//! One UDP socket on one network of a node: bound to its own address, never blocking, its datagrams never cut into pieces by
//! the network, so that what is too long for a path is lost and noticed and not half there (F10).

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::libc;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::base::failure::{Failure, Kind};
use crate::host::sys;

/// Bytes that the kernel keeps of what was not read yet: half a second of a peer's full speed.
const RECEIVE_BYTES: usize = 2 * 1024 * 1024;
/// Bytes that it keeps of what was not sent yet.
const SEND_BYTES: usize = 1024 * 1024;
/// What routers may know it by: network control (CS6), so that a full network drops others first.
const TRAFFIC_CLASS: i32 = 0xc0;

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
}

impl Udp {
    /// On this address of this machine.
    pub fn bind(address: IpAddr, port: u16) -> Result<Udp, NoSocket> {
        let address = SocketAddr::new(address, port);
        open(address).map(|socket| Udp { socket }).map_err(|error| NoSocket { address, error })
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

    /// Sends it, or not: who waits for an answer sends again. Was it too long for the path?
    pub fn send(&self, to: SocketAddr, datagram: &[u8]) -> bool {
        match self.socket.send_to(datagram, to) {
            Err(error) => error.raw_os_error() == Some(libc::EMSGSIZE),
            Ok(_) => false,
        }
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
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
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
        let nowhere = Udp::bind(IpAddr::from([192, 0, 2, 1]), 0).unwrap_err().to_string();
        assert!(nowhere.contains("correct the links"), "{nowhere}");
    }
}
