//! One machine: a clock, perhaps a daemon, what the daemon left in memory, and the page in which it keeps its lease, which
//! outlives it as the gates do.

use std::collections::VecDeque;
use std::sync::Arc;

use evms::base::id::{Incarnation, NodeId};
use evms::base::time::BootTime;
use evms::cluster::beat::Beat;
use evms::cluster::membership::{Membership, Memory};
use evms::cluster::view::ViewNumber;

use crate::clock::Clock;

/// Datagrams that the kernel keeps for a process that does not run.
const SOCKET_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    Off,
    On,
    /// Stopped with its clock, as a virtual machine can be.
    Stopped,
}

pub struct Machine {
    pub node: NodeId,
    pub clock: Clock,
    pub power: Power,
    /// The daemon does not run, its clock does.
    pub paused: bool,
    pub boot: u64,
    pub daemon: Option<Membership>,
    /// The boot that it is of.
    pub memory: Option<(u64, Memory)>,
    /// What guards its I/O: the view, and until when by its own clock.
    pub page: Option<(ViewNumber, BootTime)>,
    /// When the machine was last stopped and went on. Nothing tells it that time went by (T6): a lease from beats that it
    /// sent before is not held against the protocol.
    pub thawed: BootTime,
    pub socket: VecDeque<Arc<Beat>>,
    pub lives: u64,
    /// The alarm that counts; older ones do not ring.
    pub alarm: u64,
}

impl Machine {
    pub fn new(node: NodeId, clock: Clock) -> Machine {
        Machine {
            node,
            clock,
            power: Power::On,
            paused: false,
            boot: 1,
            daemon: None,
            memory: None,
            page: None,
            thawed: BootTime { ms: 0 },
            socket: VecDeque::new(),
            lives: 0,
            alarm: 0,
        }
    }

    pub fn runs(&self) -> bool {
        self.power == Power::On && !self.paused && self.daemon.is_some()
    }

    pub fn receive(&mut self, beat: Arc<Beat>) {
        if self.power == Power::Off || self.daemon.is_none() {
            return;
        }
        if self.socket.len() < SOCKET_MAX {
            self.socket.push_back(beat);
        }
    }

    /// An incarnation that was never there.
    pub fn next_incarnation(&mut self, machine: usize) -> Incarnation {
        self.lives += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(machine as u64 + 1).to_le_bytes());
        bytes[8..].copy_from_slice(&self.lives.to_le_bytes());
        Incarnation(bytes)
    }

    /// The view by which it does I/O right now.
    pub fn claims(&self, real_us: u64, lease_ms: u64) -> Option<ViewNumber> {
        let (number, until) = self.page?;
        let runs = self.power == Power::On && (self.thawed.ms == 0 || until > self.thawed.plus_ms(lease_ms));
        (runs && self.clock.now(real_us) < until).then_some(number)
    }
}
