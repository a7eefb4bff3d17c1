//! One machine: a clock, perhaps a daemon, what the daemon left in memory, and the page in which it keeps its lease, which
//! outlives it as the gates do.

use std::collections::VecDeque;
use std::sync::Arc;

use evms::base::id::{Incarnation, NodeId};
use evms::base::time::BootTime;
use evms::cluster::beat::Beat;
use evms::cluster::membership::{Membership, Memory};
use evms::cluster::stillness::Stillness;
use evms::cluster::view::ViewNumber;

use crate::clock::Clock;
use crate::disk::Errand;
use crate::laws::identity::Told;

/// Datagrams that the kernel keeps for a process that does not run.
const SOCKET_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    Off,
    On,
    /// Stopped with its clock, as a virtual machine can be.
    Stopped,
}

/// What guards a machine's I/O.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub view: ViewNumber,
    /// By its own clock.
    pub until: BootTime,
    /// Of when it is proven that this was so, by its own clock.
    pub proven: BootTime,
}

pub struct Machine {
    pub node: NodeId,
    pub clock: Clock,
    pub power: Power,
    /// Has it a clock on its board, which goes on while it is stopped, and what was that looked at last?
    pub board: bool,
    pub still: Stillness,
    /// The daemon does not run, its clock does.
    pub paused: bool,
    /// The machine sleeps: nothing runs but CLOCK_BOOTTIME.
    pub asleep: bool,
    /// For how many milliseconds it slept: CLOCK_MONOTONIC lacks them, for who makes the mistake of asking it.
    pub slept_ms: u64,
    pub monotonic: bool,
    /// The engine gives no stamps.
    pub stuck: bool,
    /// The last one that it gave.
    pub stamped: BootTime,
    /// What the disks answered while nobody listened.
    pub answers: VecDeque<Errand>,
    pub boot: u64,
    pub daemon: Option<Membership>,
    /// The boot that it is of.
    pub memory: Option<(u64, Memory)>,
    /// What guards its I/O: the view, and until when by its own clock.
    pub page: Option<Page>,
    /// When the machine was last stopped and went on. Nothing tells it that time went by (T6): a lease from beats that it
    /// sent before is not held against the protocol.
    pub thawed: BootTime,
    pub socket: VecDeque<Arc<Beat>>,
    /// What this incarnation heard.
    pub told: Told,
    pub lives: u64,
    pub lives_of_daemon: u64,
    /// The alarm that counts; older ones do not ring.
    pub alarm: u64,
}

impl Machine {
    pub fn new(node: NodeId, clock: Clock) -> Machine {
        Machine {
            node,
            clock,
            power: Power::On,
            board: false,
            still: Stillness::default(),
            paused: false,
            asleep: false,
            slept_ms: 0,
            monotonic: false,
            stuck: false,
            stamped: BootTime { ms: 0 },
            answers: VecDeque::new(),
            boot: 1,
            daemon: None,
            memory: None,
            page: None,
            thawed: BootTime { ms: 0 },
            socket: VecDeque::new(),
            told: Told::default(),
            lives: 0,
            lives_of_daemon: 0,
            alarm: 0,
        }
    }

    pub fn runs(&self) -> bool {
        self.power == Power::On && !self.paused && !self.asleep && self.daemon.is_some()
    }

    pub fn receive(&mut self, beat: Arc<Beat>) {
        if self.power == Power::Off || self.asleep || self.daemon.is_none() {
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

    /// The view by which it does I/O right now. Of one that stood still with its clock only what is proven since then counts: by that it
    /// may take what others had.
    pub fn claims(&self, real_us: u64) -> Option<ViewNumber> {
        let page = self.page?;
        let fresh = self.thawed.ms == 0 || page.proven > self.thawed;
        let runs = self.power == Power::On && !self.asleep && fresh;
        (runs && self.now(real_us) < page.until).then_some(page.view)
    }

    /// What its programs take for the time.
    pub fn now(&self, real_us: u64) -> BootTime {
        let now = self.clock.now(real_us);
        if self.monotonic { BootTime { ms: now.ms - self.slept_ms } } else { now }
    }

    /// When it will be so late.
    pub fn real_us(&self, at: BootTime) -> u64 {
        self.clock.real_us(if self.monotonic { at.plus_ms(self.slept_ms) } else { at })
    }
}
