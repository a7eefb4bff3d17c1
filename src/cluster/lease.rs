//! Quorum is a lease, and an echo is a promise (safety 1.3).
//!
//! Picture a man who calls "I am here" and notes the time of each call. Whoever answers "I heard call 17" thereby promises
//! to act with nobody else for as long as a lease from call 17 lasts. With answers of a majority to call 17 the man knows
//! that until then nobody else can have one: he counts from when he *called*, they from when they *heard*, which is later.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::base::id::{Incarnation, NodeId};
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::cluster::beat::BeatNumber;
use crate::cluster::view::View;

/// Beats of which the time of sending is kept: more than may be sent within a lease.
const SENT_MAX: usize = 512;

/// When each of this session's beats was sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    beats: VecDeque<(BeatNumber, BootTime)>,
}

impl Sent {
    /// Notes a beat, before it goes out.
    pub fn note(&mut self, number: BeatNumber, now: BootTime) {
        if self.beats.len() == SENT_MAX {
            self.beats.pop_front();
        }
        self.beats.push_back((number, now));
    }

    /// When this beat was sent; nothing of one that is forgotten, or of another session.
    pub fn at(&self, number: BeatNumber) -> Option<BootTime> {
        // Counters of one session leave no gap.
        let first = self.beats.front()?.0;
        let place = number.counter.checked_sub(first.counter).filter(|_| number.session == first.session)?;
        self.beats.get(usize::try_from(place).ok()?).map(|(_, at)| *at)
    }
}

/// All promises of this node, each to one boot of a node: in no quorate view without that boot before the end, by this node's
/// clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promises {
    given: SmallMap<(NodeId, Incarnation), BootTime>,
}

impl Promises {
    /// Promises, or promises for longer.
    pub fn give(&mut self, node: NodeId, incarnation: Incarnation, until: BootTime) {
        let known = self.given.or_insert_with((node, incarnation), || until);
        *known = until.max(*known);
    }

    /// What has ended need not be known any more. A node changes its boot once in a window at most, so that few are left.
    pub fn forget(&mut self, now: BootTime) {
        self.given.retain(|_, until| now < *until);
    }

    /// The node left with its gates closed.
    pub fn release(&mut self, node: NodeId, incarnation: Incarnation) {
        self.given.remove(&(node, incarnation));
    }

    /// Until when nothing may be granted in this view: the last end of a promise to somebody who is no member. A member in a
    /// later boot need not have ended the one before: that may be the machine, and this its copy (F25). Who was really booted
    /// anew is heard later than that anyway.
    pub fn wait_for(&self, view: &View) -> BootTime {
        let is_member = |(node, boot): &(NodeId, Incarnation)| view.members.get(node) == Some(boot);
        let outside = self.given.iter().filter(|(whom, _)| !is_member(whom));
        outside.map(|(_, until)| *until).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::beat::Session;

    fn number(session: u64, counter: u64) -> BeatNumber {
        BeatNumber { session: Session(session), counter }
    }

    #[test]
    fn times_of_sending_are_kept_for_a_while() {
        let mut sent = Sent::default();
        for counter in 1..=SENT_MAX as u64 + 10 {
            sent.note(number(2, counter), BootTime { ms: counter * 100 });
        }
        assert_eq!(sent.at(number(2, 500)), Some(BootTime { ms: 50_000 }));
        assert_eq!(sent.at(number(2, 10)), None, "forgotten");
        assert_eq!(sent.at(number(1, 500)), None, "of the session before");
    }

    /// F25: a copy of a machine is a member, and the machine may live.
    #[test]
    fn promises_to_boots_that_are_no_members_are_waited_for() {
        let (old, new) = (Incarnation([1; 16]), Incarnation([2; 16]));
        let ms = |ms| BootTime { ms };
        let mut promises = Promises::default();
        promises.give(NodeId(1), old, ms(500));
        promises.give(NodeId(1), old, ms(400));
        promises.give(NodeId(2), old, ms(900));
        promises.give(NodeId(2), new, ms(700));
        let view = |members: &[(u16, Incarnation)]| View {
            members: members.iter().map(|(node, incarnation)| (NodeId(*node), *incarnation)).collect(),
            ..View::default()
        };
        assert_eq!(promises.wait_for(&view(&[(3, old)])), ms(900));
        assert_eq!(promises.wait_for(&view(&[(2, new)])), ms(900), "another boot of it");
        assert_eq!(
            promises.wait_for(&view(&[(2, old), (1, old)])),
            ms(700),
            "both of them were promised something"
        );
        promises.release(NodeId(2), old);
        assert_eq!(promises.wait_for(&view(&[(2, new)])), ms(500), "it left");
        promises.forget(ms(500));
        assert_eq!(promises.wait_for(&view(&[(2, new)])), ms(0));
        assert_eq!(promises.wait_for(&view(&[])), ms(700), "that goes on");
    }
}
