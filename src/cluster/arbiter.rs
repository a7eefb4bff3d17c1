//! The one arbiter of ties: of two halves of a cluster at most one is quorate (safety 1.5; F2, F4). Disk Paxos (Gafni and
//! Lamport) over 1 or 3 arbitration disks, with a lease in the place of a decision for ever.
//!
//! Each node has a block of its own on each disk. A bid, per disk, and counted when a majority of the disks did it:
//! ```text
//! first:  write "I promise ballot 7"        ─▶ read all blocks: nobody promised more, nobody else's lease may run
//! second: write "in 7 I accepted my view"   ─▶ read all blocks: as before  ─▶ won: a lease, from the start of that write
//! renew:  write "and again", every beat     ─▶ read all blocks: as before  ─▶ the lease goes on
//! ```
//! Two that write and then read on one disk cannot miss each other, and two majorities share a disk. Who finds another view
//! accepted waits until its record stood still, between two reads that succeeded, for longer than a lease can last (R9).
//!
//! This is a machine without hands: [`Arbiter::command`] gives what is to be read or written, at most one for each disk until
//! it was answered (R8); [`Arbiter::answer`] takes the answer. A write without an answer is waited for.

use std::collections::VecDeque;

use crate::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::base::units::Bytes;
use crate::cluster::beat::BeatNumber;
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::node_set::NodeSet;
use crate::cluster::timing::Timing;
use crate::cluster::view::ViewNumber;
use crate::format::arbitration::{ArbitrationBlock, Ballot, ViewRecord};

mod bid;
mod disk;
mod standing;
#[cfg(test)]
mod tests;

use disk::Disk;
pub use standing::{DiskStanding, Standing};

/// Something to be done on an arbitration disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// On which one, from zero.
    pub disk: usize,
    /// Given back with the answer.
    pub id: u64,
    /// What.
    pub act: Act,
}

/// What is to be done; places count from the start of the area of arbitration blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Read so much from the start of the area, past every cache.
    Read {
        /// How much.
        length: Bytes,
    },
    /// Write this block, and have it on the medium before the answer.
    Write {
        /// Where.
        at: Bytes,
        /// 4096 bytes.
        block: Vec<u8>,
    },
}

/// What became of a command. It is given when the command has ended: a write that may land later has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// These bytes were read.
    Read(&'a [u8]),
    /// Nothing could be read.
    NotRead,
    /// It stands on the medium.
    Written,
    /// It ended with an error: it stands there, or half of it, or not at all.
    Unknown,
}

/// What this node is to the arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its cluster.
    pub cluster: ClusterId,
    /// The machine.
    pub uuid: NodeUuid,
    /// Its number.
    pub node: NodeId,
    /// This boot.
    pub incarnation: Incarnation,
    /// Of the configuration that it goes by.
    pub generation: u64,
    /// All nodes of that.
    pub nodes: NodeSet,
}

/// A view that wants to be quorate: half of the votes, granted by all of them, and this node bids for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The view.
    pub view: ViewRecord,
    /// Those of its members who have votes.
    pub voters: NodeSet,
    /// When this node sent the newest beat that a majority echoed: what was accepted before then is quorate no more.
    pub majority: BootTime,
    /// Milliseconds that it waits before it bids: who holds containers goes first (R14).
    pub delay_ms: u64,
}

/// What this node says on every disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    promised: Ballot,
    accepted: Ballot,
    holder: ViewRecord,
    renewals: u64,
    counter: u64,
}

/// The newest beat heard of each peer, and of which boot of it.
pub type Heard = SmallMap<NodeId, (Incarnation, BeatNumber)>;

/// One node's part in the arbiter.
#[derive(Clone, Debug)]
pub struct Arbiter {
    me: Identity,
    timing: Timing,
    rules: Rules,
    disks: Vec<Disk>,
    said: Said,
    /// The newest view by which this node was quorate.
    quorate: ViewRecord,
    /// Is it known what this node said before?
    recovered: bool,
    wish: Option<(Wish, BootTime)>,
    /// The view that the promised ballot is for.
    bids: Option<ViewRecord>,
    not_before: BootTime,
    /// Since when this node holds a tie, and until when by its own clock.
    held: Option<(BootTime, BootTime)>,
    /// What had been heard of others when the write began from which the lease is counted.
    stands: Heard,
    heard: Heard,
    next_id: u64,
    commands: VecDeque<Command>,
}

/// How a disk's own room sees the arbiter.
struct Asked<'a> {
    me: &'a Identity,
    timing: &'a Timing,
    rules: Rules,
    now: BootTime,
}

impl Arbiter {
    /// Nothing was read yet: nothing is written before it is known what this node said before.
    pub fn new(me: Identity, disks: usize, timing: Timing, rules: Rules, now: BootTime) -> Arbiter {
        Arbiter {
            me,
            timing,
            rules,
            disks: (0..disks).map(|_| Disk::new(now)).collect(),
            said: Said::default(),
            quorate: ViewRecord::default(),
            recovered: false,
            wish: None,
            bids: None,
            not_before: now,
            held: None,
            stands: Heard::new(),
            heard: Heard::new(),
            next_id: 1,
            commands: VecDeque::new(),
        }
    }

    /// The next thing to be done on a disk; what belongs to the daemon must be kept before.
    pub fn command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// A command has ended.
    pub fn answer(&mut self, now: BootTime, disk: usize, id: u64, answer: Answer<'_>) {
        let asked = Asked { me: &self.me, timing: &self.timing, rules: self.rules, now };
        let Some(ended) = self.disks.get_mut(disk) else { return };
        ended.answer(now, id, answer, &asked);
        self.recover();
        self.count_on();
        self.think(now);
        self.issue(now);
    }

    /// Time went by, or something changed: what is wanted, what was heard of others, by what this node was quorate last.
    pub fn tick(&mut self, now: BootTime, wish: Option<Wish>, heard: impl FnOnce() -> Heard) {
        if self.disks.is_empty() {
            return;
        }
        let same = |(known, _): &(Wish, BootTime)| wish.as_ref().is_some_and(|wish| wish.view == known.view);
        let since = self.wish.as_ref().filter(|known| same(known)).map_or(now, |(_, since)| *since);
        let known = self.wish.as_ref().map(|(known, _)| known.view);
        self.wish = wish.map(|wish| (wish, since));
        let due = self.is_due(now);
        if due || known != self.wish.as_ref().map(|(wish, _)| wish.view) {
            self.think(now);
        }
        if due {
            self.heard = heard();
            self.issue(now);
        }
    }

    /// By what this node is quorate, for its block.
    pub fn note_quorate(&mut self, view: ViewRecord) {
        self.quorate = view;
    }

    /// When to call [`Arbiter::tick`] at the latest; nothing while every disk has something to do.
    pub fn deadline(&self) -> Option<BootTime> {
        self.disks.iter().filter_map(Disk::due).min()
    }

    /// How many disks are a majority.
    fn majority(&self) -> usize {
        if breaks!(self.rules, HalfOfTheDisks) {
            self.disks.len().div_ceil(3)
        } else {
            self.disks.len() / 2 + 1
        }
    }

    /// What this node said before stands in its own blocks, on a majority of the disks at least.
    fn recover(&mut self) {
        if self.recovered || self.disks.iter().filter(|disk| disk.was_read()).count() < self.majority() {
            return;
        }
        self.recovered = true;
        let own = self.disks.iter().filter_map(|disk| disk.known(self.me.node)).copied();
        for block in own.collect::<Vec<ArbitrationBlock>>() {
            if breaks!(self.rules, ArbiterForgets) {
                continue;
            }
            self.said.promised = self.said.promised.max(block.promised);
            if block.accepted > self.said.accepted {
                self.said.accepted = block.accepted;
                self.said.holder = block.holder;
            }
            if ViewNumber::of(&block.quorate) > ViewNumber::of(&self.quorate) {
                self.quorate = block.quorate;
            }
        }
    }

    /// No count is said twice, on no disk: one that answered late may have been written last, before this life began.
    fn count_on(&mut self) {
        for block in self.disks.iter().filter_map(|disk| disk.known(self.me.node)) {
            self.said.counter = self.said.counter.max(block.counter);
            self.said.renewals = self.said.renewals.max(block.renewals);
        }
    }

    fn is_due(&self, now: BootTime) -> bool {
        self.disks.iter().any(|disk| {
            disk.due().is_some_and(|due| due <= now) || disk.is_overdue(now, self.rules, &self.timing)
        })
    }

    /// Begins a round on each disk where one is due, and goes on where a write has ended.
    fn issue(&mut self, now: BootTime) {
        for place in 0..self.disks.len() {
            let Some(disk) = self.disks.get(place) else { continue };
            let again = disk.is_overdue(now, self.rules, &self.timing);
            let act = if disk.wants_to_read() {
                Some(Act::Read { length: self.length() })
            } else if again || disk.due().is_some_and(|due| due <= now) {
                self.round(place, now)
            } else {
                None
            };
            let (Some(act), Some(disk)) = (act, self.disks.get_mut(place)) else { continue };
            let id = self.next_id;
            self.next_id += 1;
            disk.begun(id, now, matches!(act, Act::Read { .. }));
            self.commands.push_back(Command { disk: place, id, act });
        }
    }

    /// Bytes of the area that hold the blocks of this configuration's nodes.
    fn length(&self) -> Bytes {
        let highest = self.me.nodes.iter().last().unwrap_or_default();
        crate::format::arbitration::place(NodeId(highest.0.saturating_add(1)), false).unwrap_or_default()
    }

    /// The first act of a round: the write, where it is known what was said before and the place is this node's own.
    fn round(&mut self, place: usize, now: BootTime) -> Option<Act> {
        let renews = self.renews();
        let asked = Asked { me: &self.me, timing: &self.timing, rules: self.rules, now };
        let disk = self.disks.get_mut(place)?;
        if !self.recovered || !disk.may_be_written(&asked) {
            return Some(Act::Read { length: self.length() });
        }
        self.said.counter += 1;
        if renews {
            self.said.renewals += 1;
        }
        let said = self.said;
        let block = ArbitrationBlock {
            id: self.me.node,
            node: self.me.uuid,
            cluster: self.me.cluster,
            incarnation: self.me.incarnation,
            generation: self.me.generation,
            counter: said.counter,
            promised: said.promised,
            accepted: said.accepted,
            holder: said.holder,
            renewals: said.renewals,
            quorate: self.quorate,
        };
        let at = disk.write(said, block, renews, now, &self.heard, self.rules)?;
        Some(Act::Write { at, block: block.encode() })
    }
}
