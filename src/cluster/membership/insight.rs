//! What people may ask of the membership: how each node is heard, and why this node may act, or may not.

use crate::base::id::{Incarnation, NodeId};
use crate::base::time::BootTime;
use crate::cluster::arbiter;
use crate::cluster::beat::Session;
use crate::cluster::membership::{Excluded, Membership};
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::Stage;

/// How a node is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerInsight {
    /// When it was heard last.
    pub last: BootTime,
    /// Is it heard?
    pub heard: bool,
    /// For long enough to count, and in one boot only?
    pub counts: bool,
    /// Did it leave in good order?
    pub left: bool,
    /// Another boot of it that lives too, or did.
    pub rival: Option<Incarnation>,
    /// Its boot.
    pub incarnation: Incarnation,
    /// The life of its daemon.
    pub session: Session,
}

/// Why this node may act, or may not: the first reason that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may, for so many milliseconds if nothing is heard any more.
    Quorate(u64),
    /// It leaves.
    Leaving,
    /// These go by a newer configuration; nobody when that is known from before.
    Outdated(NodeSet),
    /// Others know another boot of it.
    Replaced,
    /// For so many milliseconds it says nothing: what it promised before is not known.
    Quiet(u64),
    /// This other boot of it lives too, or did: for so many milliseconds neither counts.
    Doubled(Incarnation, u64),
    /// It did not run for a window, and for so many milliseconds hears the others before it joins them.
    Woke(u64),
    /// Those who hear each other are others.
    Excluded(Excluded),
    /// It was in no view yet.
    NoView,
    /// These have not agreed on the view yet.
    Agreeing(NodeSet),
    /// The view has too few votes.
    TooFewVotes,
    /// The engine of this daemon stands.
    Stuck,
    /// The view has half of the votes, and the arbiter stands like this; is it a cold start that is left alone?
    Tie(arbiter::Standing, bool),
    /// For so many milliseconds it keeps what it promised to nodes that are no members.
    Promised(u64),
    /// The members do not echo it.
    NotEchoed,
}

impl Membership {
    /// This node.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// This life of its daemon.
    pub fn session(&self) -> Session {
        self.number.session
    }

    /// How a node is heard; nothing when it never was.
    pub fn peer(&self, node: NodeId, now: BootTime) -> Option<PeerInsight> {
        let peer = self.hearing.peer(node)?;
        Some(PeerInsight {
            last: peer.last,
            heard: peer.is_heard(),
            counts: self.hearing.counts(node, now),
            left: peer.beat.left,
            rival: peer.rival(now).filter(|_| peer.is_heard()),
            incarnation: peer.beat.incarnation,
            session: peer.beat.number.session,
        })
    }

    /// Nodes that are heard here, or heard of, and do not hear this one.
    pub fn deaf_to(&self, node: NodeId, now: BootTime) -> NodeSet {
        let rows = self.rows(now);
        rows.iter()
            .filter(|(other, row)| **other != node && !row.hears.has(node))
            .map(|(other, _)| *other)
            .collect()
    }

    /// Votes of the view that was promised, those that are needed, and those of all.
    pub fn votes(&self) -> (u32, u32, u32) {
        let all = self.configuration.votes_of_all();
        let of_view = self.view.as_ref().map(|(view, _)| self.configuration.votes(view.nodes()));
        (of_view.unwrap_or(0), all / 2 + 1, all)
    }

    /// Members of the promised view that are not as far as they should be.
    fn behind(&self) -> NodeSet {
        let Some((view, stage)) = &self.view else { return NodeSet::EMPTY };
        let behind = view.members.iter().filter(|(node, incarnation)| {
            let beat = self.hearing.beat_of(**node, **incarnation);
            **node != self.node && !beat.is_some_and(|beat| beat.is_at(view.number, *stage))
        });
        behind.map(|(node, _)| *node).collect()
    }

    /// Why this node may act, or may not.
    pub fn standing(&self, now: BootTime) -> Standing {
        let left_of = |until: BootTime| until.ms.saturating_sub(now.ms);
        if let Some((_, until)) = self.quorate(now) {
            return Standing::Quorate(left_of(until));
        }
        if self.left {
            return Standing::Leaving;
        }
        if self.is_outdated() {
            return Standing::Outdated(self.newer);
        }
        if self.replaced {
            return Standing::Replaced;
        }
        if self.is_stuck(now) {
            return Standing::Stuck;
        }
        if now < self.quiet_until {
            return Standing::Quiet(left_of(self.quiet_until));
        }
        if let Some((other, ms)) = self.rival.living(now) {
            return Standing::Doubled(other, ms);
        }
        let woke = self.woke.map_or(0, |woke| left_of(woke.plus_ms(self.configuration.timing.window_ms)));
        if woke > 0 {
            return Standing::Woke(woke);
        }
        if let Some(excluded) = self.excluded(now) {
            return Standing::Excluded(excluded);
        }
        let Some((view, stage)) = &self.view else { return Standing::NoView };
        if *stage != Stage::Installed || !self.counts {
            return Standing::Agreeing(self.behind());
        }
        let votes = self.configuration.votes(view.nodes());
        if !self.tie && !self.configuration.is_majority(votes, self.rules) {
            return Standing::TooFewVotes;
        }
        match left_of(self.promises.wait_for(view)) {
            0 => (),
            waits => return Standing::Promised(waits),
        }
        // The arbiter is asked by who is echoed by all of its half.
        if self.tie && now < self.lease_until {
            return Standing::Tie(self.arbiter.standing(now), self.is_cold(view));
        }
        Standing::NotEchoed
    }
}
