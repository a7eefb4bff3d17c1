//! The last changes of the view, each with its reason, for who asks what happened in the night.

use std::collections::VecDeque;

use crate::base::id::NodeId;
use crate::base::time::{BootTime, WallTime};
use crate::cluster::membership::Membership;
use crate::cluster::roster::Roster;
use crate::cluster::view::View;

/// Changes that are remembered.
const CHANGES_MAX: usize = 10;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The view that came.
    pub view: View,
    /// When.
    pub at: BootTime,
    /// When, for people.
    pub wall: WallTime,
    /// Why, in words.
    pub why: String,
}

/// The last changes.
#[derive(Clone, Debug, Default)]
pub struct Chronicle {
    changes: VecDeque<Changed>,
}

impl Chronicle {
    /// A view counts from now on.
    pub fn note(&mut self, now: (BootTime, WallTime), view: &View, membership: &Membership, roster: &Roster) {
        let before = self.changes.front().map(|changed| &changed.view);
        let why = match before {
            None => "the first view of this daemon".to_string(),
            Some(before) => difference(now.0, before, view, membership, roster),
        };
        self.changes.push_front(Changed { view: view.clone(), at: now.0, wall: now.1, why });
        self.changes.truncate(CHANGES_MAX);
    }

    /// The newest first.
    pub fn changes(&self) -> impl Iterator<Item = &Changed> {
        self.changes.iter()
    }

    /// Since when this view counts, if it is the last one.
    pub fn since(&self, view: &View) -> Option<BootTime> {
        self.changes.front().filter(|changed| changed.view.number == view.number).map(|changed| changed.at)
    }
}

fn difference(now: BootTime, before: &View, view: &View, membership: &Membership, roster: &Roster) -> String {
    let gone = before.nodes().minus(view.nodes());
    let gone = gone.iter().map(|node| why_gone(now, node, membership, roster));
    let come = view.members.iter().filter_map(|(node, incarnation)| {
        let name = roster.name_of(*node);
        match before.members.get(node) {
            None => Some(format!("{name} joined")),
            Some(known) if known != incarnation => Some(format!("{name} was started anew")),
            Some(_) => None,
        }
    });
    let reasons = gone.chain(come).collect::<Vec<_>>();
    if reasons.is_empty() { "the same members agreed again".into() } else { reasons.join(", ") }
}

fn why_gone(now: BootTime, node: NodeId, membership: &Membership, roster: &Roster) -> String {
    let name = roster.name_of(node);
    let Some(peer) = membership.peer(node, now) else { return format!("{name} is not known any more") };
    let deaf = membership.deaf_to(node, now);
    if peer.left {
        format!("{name} left in good order")
    } else if !peer.heard {
        format!("{name} was silent for {} ms", now.ms.saturating_sub(peer.last.ms))
    } else if let Some(rival) = peer.rival {
        format!("{name} was heard in two boots, {} and {}", peer.incarnation.short(), rival.short())
    } else if deaf.is_empty() {
        format!("{name} did not answer")
    } else {
        let names = deaf.iter().map(|node| roster.name_of(node)).collect::<Vec<_>>().join(" and ");
        format!("{name} was not heard by {names}")
    }
}
