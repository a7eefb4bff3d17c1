//! Whom this node would have as members, and what it does about that: proposes, or accepts what another proposes.

use crate::base::gather::Gather;
use crate::base::id::{Incarnation, NodeId};
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::cluster::beat::Row;
use crate::cluster::clique::{self, Taste};
use crate::cluster::membership::{Change, Membership};
use crate::cluster::mistake::breaks;
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::{Stage, View, ViewNumber};

/// Why a node is in no view with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// Those who are chosen.
    pub chosen: NodeSet,
    /// Those of them whom it does not hear.
    pub unheard: NodeSet,
    /// Those of them who do not hear it.
    pub deaf: NodeSet,
}

/// All that the choice depends on: where nothing of it changed there is nothing to be chosen anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grounds {
    hears: Vec<(NodeId, NodeSet)>,
    current: NodeSet,
    proposer: NodeId,
}

impl Membership {
    /// Who hears whom, as far as this node knows.
    pub(super) fn rows(&self, now: BootTime) -> SmallMap<NodeId, Row> {
        let mut rows = self.hearing.rows(now).map(|(node, row)| (node, *row)).gather::<SmallMap<_, _>>();
        let (view, members) = self.last_view;
        let (incarnation, beat, hears) = (self.incarnation, self.number, self.hearing.row(now));
        let own = Row { incarnation, beat, hears, view, members };
        rows.insert(self.node, own);
        rows.retain(|node, _| self.voters.has(*node));
        rows
    }

    /// What the choice goes by, now.
    fn grounds(&self, now: BootTime) -> Grounds {
        // Of a majority before any other: who was alone has a view of itself with a number as high, and coming back half it would put
        // one out of those who went on (F6).
        let weigh = |view: ViewNumber, members: NodeSet| {
            let votes = self.configuration.votes(members);
            (self.configuration.is_majority(votes, self.rules), view, members)
        };
        let mut standing = weigh(self.last_view.0, self.last_view.1);
        let mut hears = Vec::with_capacity(self.configuration.nodes.len());
        hears.push((self.node, self.hearing.row(now)));
        for (node, row) in self.hearing.rows(now).filter(|(node, _)| self.voters.has(*node)) {
            hears.push((node, row.hears));
            standing = standing.max(weigh(row.view, row.members));
        }
        // The view that stands, in the eyes of all who know the same rows.
        let (_, view, members) = standing;
        Grounds { hears, current: members, proposer: view.proposer }
    }

    fn chosen_on(&self, grounds: &Grounds, now: BootTime) -> NodeSet {
        if breaks!(self.rules, NoCliqueRule) {
            return self.hearing.row(now).with(self.node);
        }
        let (current, proposer) = (grounds.current, grounds.proposer);
        clique::best(&grounds.hears, Taste { configuration: &self.configuration, current, proposer })
    }

    /// The largest set of nodes that hear each other.
    pub fn chosen(&self, now: BootTime) -> NodeSet {
        self.chosen_on(&self.grounds(now), now)
    }

    /// Is this node left out of the choice, and by whom?
    pub fn excluded(&self, now: BootTime) -> Option<Excluded> {
        let chosen = self.chosen(now);
        if chosen.has(self.node) {
            return None;
        }
        let rows = self.rows(now);
        let deaf = chosen.iter().filter(|node| rows.get(node).is_some_and(|row| !row.hears.has(self.node)));
        Some(Excluded { chosen, unheard: chosen.minus(self.hearing.row(now)), deaf: deaf.collect() })
    }

    /// These nodes in the boots that are heard; nothing when one of them is not heard itself.
    fn in_their_boots(&self, nodes: NodeSet) -> Option<SmallMap<NodeId, Incarnation>> {
        let boot = |node: NodeId| {
            let incarnation =
                if node == self.node { self.incarnation } else { self.hearing.peer(node)?.beat.incarnation };
            Some((node, incarnation))
        };
        let boots = nodes.iter().filter_map(boot).gather::<SmallMap<_, _>>();
        (boots.len() as u32 == nodes.len()).then_some(boots)
    }

    /// Are these the members of the view that was promised, and has none of them promised a higher one since?
    fn is_mine(&self, members: &SmallMap<NodeId, Incarnation>) -> bool {
        let Some((view, _)) = &self.view else { return false };
        !self.is_left(view) && !self.is_misnumbered(view) && view.members == *members
    }

    pub(super) fn choose(&mut self, now: BootTime) {
        let grounds = self.grounds(now);
        if self.grounds != grounds {
            let chosen = self.chosen_on(&grounds, now);
            self.grounds = grounds;
            if self.choice.0 != chosen {
                self.choice = (chosen, now);
            }
        }
        let chosen = self.choice.0;
        if !chosen.has(self.node) {
            return;
        }
        let Some(members) = self.in_their_boots(chosen) else { return };
        if chosen.lowest() == Some(self.node) {
            self.propose(now, members);
        } else {
            self.consider(now, &members);
        }
    }

    fn propose(&mut self, now: BootTime, members: SmallMap<NodeId, Incarnation>) {
        let timing = self.configuration.timing;
        if self.is_mine(&members) {
            if !self.counts && self.proposed.plus_ms(timing.propose_ms) <= now {
                self.leave_out_who_did_not_answer(now);
            }
            return;
        }
        let stands = self.choice.1.plus_ms(timing.settle_ms).max(self.proposes_from) <= now;
        if !stands || !self.all_choose(&members) {
            return;
        }
        // Who says to have seen the last number of all leaves none to propose: that stops this node, and makes no number anew.
        let Some(counter) = self.highest.max(self.promised().counter).checked_add(1) else { return };
        let number = ViewNumber::mint(counter, self.node, self.incarnation);
        let view = View { number, members };
        self.proposed = now;
        self.tell(Change::Proposed(view.clone()));
        self.accept(now, view);
    }

    /// Would all of them have these members? Who would not will not accept them either.
    fn all_choose(&self, members: &SmallMap<NodeId, Incarnation>) -> bool {
        let chosen = self.choice.0;
        members.iter().all(|(node, incarnation)| {
            *node == self.node
                || self.hearing.beat_of(*node, *incarnation).is_some_and(|beat| beat.choice == chosen)
        })
    }

    fn leave_out_who_did_not_answer(&mut self, now: BootTime) {
        self.proposed = now;
        let Some((view, stage)) = &self.view else { return };
        let number = view.number;
        let wanted = match stage {
            Stage::Accepted => Stage::Accepted,
            Stage::Installed => Stage::Installed,
        };
        let behind = view.members.iter().filter(|(node, incarnation)| {
            let beat = self.hearing.beat_of(**node, **incarnation);
            let agrees = beat.is_some_and(|beat| beat.choice == self.choice.0);
            **node != self.node && agrees && !beat.is_some_and(|beat| beat.is_at(number, wanted))
        });
        let behind = behind.map(|(node, _)| *node).collect::<Vec<_>>();
        if behind.is_empty() {
            return;
        }
        for node in behind {
            self.hearing.leave_out(node, now);
        }
    }

    /// Somebody's proposal is accepted when it is what this node would choose too.
    fn consider(&mut self, now: BootTime, members: &SmallMap<NodeId, Incarnation>) {
        let promised = self.promised();
        let fits = |view: &View| {
            let higher =
                view.number > promised || breaks!(self.rules, LowerNumberAccepted) && view.number != promised;
            let lowest = view.nodes().lowest() == Some(view.number.proposer);
            higher && lowest && view.members == *members
        };
        let proposals = self.hearing.peers().filter_map(|peer| {
            let proposal = peer.beat.proposal.as_ref()?;
            (proposal.number.proposer == peer.beat.node && fits(proposal)).then_some(proposal)
        });
        if let Some(view) = proposals.max_by_key(|view| view.number).cloned() {
            self.accept(now, view);
        }
    }

    fn accept(&mut self, now: BootTime, view: View) {
        self.highest = self.highest.max(view.number.counter);
        self.tell(Change::Accepted(view.clone()));
        self.tie = self.is_tie(&view);
        self.view = Some((view, Stage::Accepted));
        if !breaks!(self.rules, LeaseOutlivesView) {
            self.lease_until = BootTime::default();
        }
        if !breaks!(self.rules, TieOutlivesView) {
            self.tie_until = BootTime::default();
        }
        self.counts = false;
        self.urgent = true;
        self.hurries_until = now.plus_ms(self.configuration.timing.propose_ms / 2);
    }

    /// What this node proposes: its own view, until that counts, and as long as somebody might not know it.
    pub(super) fn proposal(&self) -> Option<View> {
        let (view, _) = self.view.as_ref()?;
        (view.number.proposer == self.node && !self.counts).then(|| view.clone())
    }
}
