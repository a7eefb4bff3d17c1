//! A cluster of guests: founded on the first one, joined by the others with a token each, and waited for until all of them are in
//! one view by which they are quorate.

use crate::guest::Guest;
use crate::network::Network;
use crate::task::{Task, wait_until};
use crate::trouble::Trouble;

/// Holds in a guest whose node is quorate.
pub const QUORATE: &str = "evms status --json | grep -q '\"quorate\":true'";

/// Founds the cluster `prod` of n1, n2 and so on, one a guest; every evmsd is a task of its guest, in the same order. Before the
/// first one starts `before` is said there.
pub fn found(guests: &mut [&mut Guest], lan: &Network, before: &str) -> Result<Vec<Task>, Trouble> {
    for guest in guests.iter_mut() {
        guest.wait_for_boot()?;
    }
    let Some((first, others)) = guests.split_first_mut() else { return Ok(Vec::new()) };
    first.ok(&format!("evmsd init prod --node n1 --link {}", lan.address(first.number())))?;
    if !before.is_empty() {
        first.ok(before)?;
    }
    let mut daemons = vec![Task::start(first, "evmsd", "evmsd")?];
    wait_until(first, QUORATE)?;
    for (number, guest) in (2..).zip(others) {
        let address = lan.address(guest.number());
        let token = first.ok(&format!("evmsd invite n{number} --link {address}"))?;
        guest.push("/tmp/token", token.as_bytes())?;
        guest.ok("evmsd join - </tmp/token")?;
        daemons.push(Task::start(guest, "evmsd", "evmsd")?);
        // It has its vote before the next one is invited.
        for guest in [&mut **first, &mut **guest] {
            wait_until(guest, &format!("evms status --json | grep -q '\"all\":{number}'"))?;
            wait_until(guest, QUORATE)?;
        }
    }
    Ok(daemons)
}

/// Stops, or lets go on, who speaks for a node over disks, once there is anybody.
fn signal_beats(guest: &mut Guest, signal: &str) -> Result<(), Trouble> {
    let one =
        "for p in $(pidof evmsd); do tr '\\0' ' ' </proc/$p/cmdline | grep -q 'evmsd beats' && echo $p; done";
    wait_until(guest, &format!("[ \"$({one})\" ]"))?;
    guest.ok(&format!("kill -{signal} $({one})")).map(drop)
}

/// From now on a node with gates says nothing over disks: who asks it there has no answer, as if it were dead.
pub fn mute(guest: &mut Guest) -> Result<(), Trouble> {
    signal_beats(guest, "STOP")
}

/// It speaks again.
pub fn unmute(guest: &mut Guest) -> Result<(), Trouble> {
    signal_beats(guest, "CONT")
}
