//! The quorum of this node: what it grants others, and what others granted it (safety 1.3).

use crate::base::id::{Incarnation, NodeId};
use crate::base::sorted::sort;
use crate::base::time::BootTime;
use crate::cluster::beat::Beat;
use crate::cluster::membership::{Change, Membership};
use crate::cluster::mistake::breaks;
use crate::cluster::view::{Stage, View, ViewNumber};

impl Membership {
    fn installed(&self) -> Option<&View> {
        self.view.as_ref().filter(|(_, stage)| *stage == Stage::Installed).map(|(view, _)| view)
    }

    /// Do this node's echoes extend leases in its view? Not before all that it promised to others has ended.
    pub(super) fn grants(&self, now: BootTime) -> bool {
        let waited = |view: &View| breaks!(self.rules, NoLeaseWait) || self.promises.wait_for(view) <= now;
        let installed = self.installed().filter(|view| !self.withholds(view));
        // Of two boots of this node neither grants: a member that heard nothing of the other would be quorate by both.
        !self.is_silent(now) && !self.rival.is_doubtful(now) && installed.is_some_and(waited)
    }

    /// A beat that grants is a promise to every member that is echoed, from when it was heard.
    pub(super) fn promise_members(&mut self, now: BootTime) {
        let lasts = self.configuration.timing.promise_ms(self.rules);
        let Some(view) = self.installed().cloned() else { return };
        self.promises.forget(now);
        for (node, incarnation) in view.members {
            // Who left was told nothing new by that: nobody need wait for it again.
            let goes_on = |beat: &Beat| beat.incarnation == incarnation && !beat.left;
            let peer = self.hearing.peer(node).filter(|peer| goes_on(&peer.beat));
            if let Some(peer) = peer {
                let until = peer.last.plus_ms(lasts);
                self.promises.give(node, incarnation, until);
            }
        }
    }

    /// The newest time of sending of which a majority of votes, in this view, says that it heard that or later.
    fn echoed(&self, view: &View, now: BootTime) -> Option<BootTime> {
        let unbound = breaks!(self.rules, SleeperGoesOn) || breaks!(self.rules, EchoNotBoundToView);
        if self.is_left(view) && !unbound {
            return None;
        }
        let echo = |beat: &Beat| {
            let bound = beat.is_at(view.number, Stage::Installed) || breaks!(self.rules, EchoNotBoundToView);
            let sent = self.sent.at(beat.echo_to(self.node, self.incarnation)?);
            let sent = if breaks!(self.rules, LeaseFromHearing) { sent.map(|_| now) } else { sent };
            sent.filter(|_| bound && beat.grants)
        };
        let others = view.members.iter().filter_map(|(node, incarnation)| {
            Some((echo(self.hearing.sure_beat_of(*node, *incarnation, now)?)?, *node))
        });
        let mut echoes = others.collect::<Vec<(BootTime, NodeId)>>();
        if self.grants(now) {
            echoes.push((self.sent.at(self.number)?, self.node));
        }
        sort(&mut echoes);
        echoes.reverse();
        if breaks!(self.rules, LeaseFromNewestEcho) {
            let all = echoes.iter().map(|(_, node)| *node).collect();
            return self
                .configuration
                .is_majority(self.configuration.votes(all), self.rules)
                .then_some(echoes.first()?.0);
        }
        let mut votes = 0;
        echoes.into_iter().find_map(|(at, node)| {
            votes += self.configuration.votes(crate::cluster::node_set::NodeSet::of(node));
            self.is_enough(votes).then_some(at)
        })
    }

    /// Did one of its members promise a view beyond it? Then that is what they go on with.
    pub(super) fn is_left(&self, view: &View) -> bool {
        let beyond = |(node, incarnation): (&NodeId, &Incarnation)| {
            self.hearing.beat_of(*node, *incarnation).is_some_and(|beat| beat.promised > view.number)
        };
        view.members.iter().any(beyond)
    }

    /// The view that a member of the promised one counts in now, later and without this node, and that may make quorate: half of all
    /// votes are in it. Who is quorate by that waited until this node's lease was over: so it is, whatever a clock says that stood
    /// still with its machine (T6, safety 5.1). A few who hear nobody else wait for nothing.
    fn passed_over(&self) -> Option<ViewNumber> {
        let (view, _) = self.view.as_ref()?;
        let others = view.members.iter().filter(|(node, _)| **node != self.node);
        let rows = others.filter_map(|(node, boot)| self.hearing.beat_of(*node, *boot)?.rows.get(node));
        let rows = rows.filter(|row| row.view > view.number && !row.members.has(self.node));
        rows.filter(|row| self.configuration.votes(row.members) * 2 >= self.all_votes)
            .map(|row| row.view)
            .max()
    }

    /// Takes the lease back that others have waited out, however long it seems to run.
    fn end_lease_waited_out(&mut self, now: BootTime) {
        let Some(number) = self.passed_over().filter(|_| now < self.lease_until) else { return };
        self.lease_until = BootTime::default();
        self.tell(Change::PassedOver(number));
    }

    pub(super) fn extend_lease(&mut self, now: BootTime) {
        self.end_lease_waited_out(now);
        let counts = self.counts || breaks!(self.rules, QuorateWithoutInstalled);
        let sure = counts && !self.is_silent(now) && !self.rival.is_doubtful(now);
        let view = self.view.as_ref().filter(|_| sure).map(|(view, _)| view);
        if let Some(at) = view.and_then(|view| self.echoed(view, now)) {
            self.lease_until = self.lease_until.max(at.plus_ms(self.configuration.timing.lease_ms));
            if !self.tie {
                // Not now: a machine that was stopped believes its lease for a while.
                self.majority_at = self.majority_at.max(at);
            }
        }
        self.extend_tie(now);
        let quorate = self.quorate(now).map(|(number, _)| number);
        if breaks!(self.rules, MajorityUntilNow) && quorate.is_some() && !self.tie {
            self.majority_at = now;
        }
        if quorate.is_some() && (!self.was_quorate || quorate != Some(self.quorate_by)) {
            self.note_quorate();
        }
        match (quorate, self.was_quorate) {
            (Some(number), false) => self.tell(Change::Quorate(number)),
            (None, true) => self.tell(Change::Inquorate),
            _ => (),
        }
        self.was_quorate = quorate.is_some();
    }

    /// The view by which this node is quorate, and the end of its lease by this node's clock; nothing when it is not.
    pub fn quorate(&self, now: BootTime) -> Option<(ViewNumber, BootTime)> {
        let counts = self.counts || breaks!(self.rules, QuorateWithoutInstalled);
        let stays = !self.left || breaks!(self.rules, LeavingKeepsLease);
        let until = if self.tie { self.lease_until.min(self.tie_until) } else { self.lease_until };
        let until =
            if breaks!(self.rules, NoProgressWord) { until } else { until.min(self.progress_until()) };
        let holds = counts && stays && !self.is_outdated() && !self.replaced && now < until;
        holds.then(|| (self.promised(), until))
    }

    /// The newest moment of which it is known by now that this node was quorate by its view: a majority answered what was said then, or
    /// later, and where it is a tie the arbiter did too. Unlike the end of the lease, this does not rest on a clock that goes on: what
    /// was said then was said before it was answered, however long this machine stood still in between (T6).
    pub fn proven(&self) -> BootTime {
        let timing = &self.configuration.timing;
        let echoed = self.lease_until.ms.saturating_sub(timing.lease_ms);
        let tied = self.tie_until.ms.saturating_sub(timing.disk_lease_ms);
        BootTime { ms: if self.tie { echoed.min(tied) } else { echoed } }
    }

    /// This view made quorate: what follows from that for later ties.
    fn note_quorate(&mut self) {
        let Some((view, _)) = &self.view else { return };
        (self.quorate_by, self.warm) = (view.number, true);
        if !self.tie {
            self.last_majority = view.nodes();
            self.settled = true;
        }
        self.arbiter.note_quorate(view.record());
    }

    /// Until when the engine's last stamp is good: a detector that outlives its engine would be immortal, quorate and deaf
    /// (safety 1.4).
    fn progress_until(&self) -> BootTime {
        self.stamped.plus_ms(self.configuration.timing.progress_ms)
    }

    /// Has the engine stood for too long? Then nothing is said, and nothing granted.
    pub(super) fn is_stuck(&self, now: BootTime) -> bool {
        self.progress_until() <= now && !breaks!(self.rules, NoProgressWord)
    }

    /// The engine has gone round once more, at this time.
    pub fn stamp(&mut self, at: BootTime) {
        self.stamped = self.stamped.max(at);
    }
}
