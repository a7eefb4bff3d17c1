//! Nodes that are not in the view, and what they held: another process (`run::succession`) reads the disks and takes over what there is
//! evidence for, once there can be some. Who comes first in the view is first; the others wait for it, each longer than the one
//! before, and find nothing left to do.

use std::cell::{Cell, RefCell};

use crate::base::gather::Gather;
use crate::base::id::{NodeId, NodeUuid};
use crate::base::time::BootTime;
use crate::cluster::view::ViewNumber;
use crate::engine::guard::duty::RANK_MS;
use crate::format::control::AbsentLine;
use crate::host::clock;
use crate::host::keeper_process::{self, Beside};
use crate::host::pending;
use crate::run::daemon::engine::Engine;
use crate::run::daemon::gates::start;

/// Milliseconds until disks are read again, while somebody is absent: twice as long each time, between these.
pub(super) const AGAIN_MS: (u64, u64) = (2000, 60_000);

/// What stands of it.
#[derive(Default)]
pub struct Succession {
    /// The term of the lease, and since when it is known of.
    term: Cell<Term>,
    /// Who reads the disks.
    reader: RefCell<Option<Beside>>,
    /// When that is to be done next, and how long after it again.
    next: Cell<Option<(BootTime, u64)>>,
    /// When it is this node's turn to take what others had.
    turn: Cell<BootTime>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Term {
    number: u64,
    since: BootTime,
}

impl Engine {
    /// The lease is by this view in this term. Whatever was found in an earlier one counts no more (safety 5.4).
    pub fn note_term(&self, view: ViewNumber, term: u64) {
        let number = if self.is_view(view) { term } else { 0 };
        let since = clock::boot_now();
        self.succession.term.set(Term { number, since });
        if number == 0 {
            return self.plan_fencing(0, since, 0);
        }
        let timing = self.settings().roster.configuration.timing;
        let rank = self.turn_in_view();
        self.plan_fencing(number, since, rank);
        let turn = since.plus_ms(timing.stopped_ms(timing.watchdog_ms) + rank * RANK_MS);
        self.succession.turn.set(turn);
        // What was cut off is its own that began it.
        let first = match (pending::all().is_empty(), self.absentees().is_empty()) {
            (false, _) => Some(since),
            (true, false) => Some(turn),
            (true, true) => None,
        };
        self.succession.next.set(first.map(|first| (first, AGAIN_MS.0)));
    }

    /// Is an absent machine on its way back? Where that takes longer than a watchdog's time it is not (F6: one of the
    /// view does not hear it).
    pub(super) fn is_coming_back(&self, machine: NodeUuid, now: BootTime) -> bool {
        let configuration = &self.settings().roster.configuration;
        let mut back = self.mail.approaching().iter().filter_map(|node| configuration.nodes.get(&node));
        let timing = configuration.timing;
        let until = self.succession.term.get().since.plus_ms(timing.stopped_ms(timing.watchdog_ms));
        now < until && back.any(|voter| voter.uuid == machine)
    }

    /// What is known of the term that is, said once more: other agents are there by now.
    pub fn plan_fencing_of_now(&self) {
        let Term { number, since } = self.succession.term.get();
        if number != 0 {
            self.plan_fencing(number, since, self.turn_in_view());
        }
    }

    /// How many come before this node in the view.
    fn turn_in_view(&self) -> u64 {
        self.members().iter().position(|node| *node == self.settings().node).unwrap_or(0) as u64
    }

    /// Who is in the configuration and not in the view.
    pub fn absentees(&self) -> Vec<NodeId> {
        let members = self.members();
        let all = self.settings().roster.members.keys().copied();
        all.filter(|node| !members.contains(node)).gather()
    }

    /// Who is not in the view, and not on its way back.
    pub fn absent(&self) -> AbsentLine {
        let Term { number, since } = self.succession.term.get();
        let configuration = &self.settings().roster.configuration;
        let machine = |node: &NodeId| configuration.nodes.get(node).map(|voter| voter.uuid);
        let now = clock::boot_now();
        let is_gone = |machine: &NodeUuid| !self.is_coming_back(*machine, now);
        let machines: Vec<NodeUuid> = self.absentees().iter().filter_map(machine).filter(is_gone).gather();
        let timing = &configuration.timing;
        AbsentLine {
            term: number,
            since_ms: since.ms,
            machines,
            drain_ms: timing.drain_ms,
            drift_ppm: timing.drift_ppm,
        }
    }

    /// Has the disks read when it is time to; and again, as long as somebody is absent or something was left to do.
    pub fn see_to_absent(&self) {
        let ended = self.succession.reader.borrow_mut().as_mut().and_then(Beside::ended_well);
        if let Some(well) = ended {
            *self.succession.reader.borrow_mut() = None;
            if well && self.absentees().is_empty() {
                self.succession.next.set(None);
            }
        }
        let Some((at, pause_ms)) = self.succession.next.get() else { return };
        let now = clock::boot_now();
        if now < at || !self.is_quorate() || !start(&self.succession.reader, keeper_process::SUCCESSION) {
            return;
        }
        let again = now.plus_ms(pause_ms);
        let again = if pending::all().is_empty() { again.max(self.succession.turn.get()) } else { again };
        self.succession.next.set(Some((again, (pause_ms * 2).min(AGAIN_MS.1))));
    }
}
