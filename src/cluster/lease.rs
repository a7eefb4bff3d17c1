//! Quorum is a lease, and an echo is a promise (safety 1.3).
//!
//! Picture a man who calls "I am here" and notes the time of each call. Whoever answers "I heard call 17" thereby promises
//! to act with nobody else for as long as a lease from call 17 lasts. With answers of a majority to call 17 the man knows
//! that until then nobody else can have one: he counts from when he *called*, they from when they *heard*, which is later.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::base::id::{Incarnation, NodeId};
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

/// One promise: in no quorate view without this boot of that node before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// To which boot of the node.
    pub incarnation: Incarnation,
    /// By this node's clock.
    pub until: BootTime,
}

/// All promises of this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promises {
    given: BTreeMap<NodeId, Promise>,
}

impl Promises {
    /// Promises, or promises for longer.
    pub fn give(&mut self, node: NodeId, incarnation: Incarnation, until: BootTime) {
        let promise = self.given.entry(node).or_insert(Promise { incarnation, until });
        if promise.incarnation == incarnation {
            promise.until = promise.until.max(until);
        } else {
            *promise = Promise { incarnation, until };
        }
    }

    /// The node left with its gates closed.
    pub fn release(&mut self, node: NodeId, incarnation: Incarnation) {
        self.given.retain(|other, promise| *other != node || promise.incarnation != incarnation);
    }

    /// Until when nothing may be granted in this view: the last end of a promise to somebody who is no member. A node that
    /// is a member in a later boot has ended the one before itself.
    pub fn wait_for(&self, view: &View) -> BootTime {
        let outside = self.given.iter().filter(|(node, _)| !view.members.contains_key(node));
        outside.map(|(_, promise)| promise.until).max().unwrap_or_default()
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

    #[test]
    fn promises_to_members_are_not_waited_for() {
        let (old, new) = (Incarnation([1; 16]), Incarnation([2; 16]));
        let mut promises = Promises::default();
        promises.give(NodeId(1), old, BootTime { ms: 500 });
        promises.give(NodeId(1), old, BootTime { ms: 400 });
        promises.give(NodeId(2), old, BootTime { ms: 900 });
        let view = |members: &[(u16, Incarnation)]| View {
            members: members.iter().map(|(node, incarnation)| (NodeId(*node), *incarnation)).collect(),
            ..View::default()
        };
        assert_eq!(promises.wait_for(&view(&[(3, old)])), BootTime { ms: 900 });
        assert_eq!(promises.wait_for(&view(&[(2, new)])), BootTime { ms: 500 }, "it was booted anew");
        promises.release(NodeId(2), new);
        assert_eq!(promises.wait_for(&view(&[])), BootTime { ms: 900 }, "another boot of it left");
        promises.release(NodeId(2), old);
        assert_eq!(promises.wait_for(&view(&[])), BootTime { ms: 500 });
    }
}
