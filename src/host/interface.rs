//! The network interfaces of this machine, for who asks whether they do.

use core::net::IpAddr;
use std::fs;

use nix::ifaddrs::getifaddrs;

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Bytes that its network carries in one piece; nothing where the kernel does not tell.
    pub mtu_bytes: Option<u64>,
}

/// The interface that has this address.
pub fn of(address: IpAddr) -> Option<Interface> {
    let has = |of: &nix::ifaddrs::InterfaceAddress| {
        let storage = of.address.as_ref()?;
        let four = storage.as_sockaddr_in().map(|four| IpAddr::from(four.ip()));
        let six = storage.as_sockaddr_in6().map(|six| IpAddr::from(six.ip()));
        four.or(six).filter(|known| *known == address)
    };
    let name = getifaddrs().ok()?.find(|of| has(of).is_some())?.interface_name;
    let mtu = fs::read_to_string(format!("/sys/class/net/{name}/mtu")).ok();
    let mtu_bytes = mtu.and_then(|text| text.trim().parse().ok());
    Some(Interface { name, mtu_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_is_found_by_its_address() {
        let found = of(IpAddr::from([127, 0, 0, 1])).expect("there is a loopback");
        assert_eq!(found.name, "lo");
        assert_eq!(of(IpAddr::from([192, 0, 2, 1])), None);
    }
}
