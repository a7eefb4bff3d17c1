//! What a node says over a disk of a container to who asks it there whether its gates are closed: to which questions, when, and how often.

use crate::base::gather::Gather;
use crate::base::id::{ClusterId, ContainerId, Incarnation, NodeUuid};
use crate::format::disk_beat::{DiskBeat, DiskQuestion, Nonce};

/// Without a lease nothing is written but answers, and each so often: a disk that took it shows it, and questions stand for ever.
const ANSWERS_EACH: u8 = 3;
/// Beats for which another machine's word in this node's place has to stand still before it is overwritten (safety 2.8).
const STILL_BEATS: u32 = 10;

/// Who is asked, on one disk.
#[derive(Clone, Copy, Debug)]
pub struct Me {
    /// This machine.
    pub node: NodeUuid,
    /// Its cluster.
    pub cluster: ClusterId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// The container that the disk is of.
    pub container: ContainerId,
}

/// Questions to this life of this node about that container.
pub fn to_me(questions: &[DiskQuestion], me: Me) -> Vec<Nonce> {
    let mine = |question: &&DiskQuestion| {
        (question.asked, question.incarnation) == (me.node, me.incarnation)
            && (question.cluster, question.container) == (me.cluster, me.container)
    };
    questions.iter().filter(mine).map(|question| question.nonce).gather()
}

/// What the next beat answers: nothing to anybody while there is a lease, all that is `asked` when it is over and `are_shut` says of the
/// gates that nothing passes them. No beat is to be written where this is nothing: whoever has neither a lease nor an answer touches no
/// disk. `are_shut` has to look behind the moment at which the questions were read (safety 5.1).
pub fn said(has_lease: bool, asked: Vec<Nonce>, are_shut: impl FnOnce() -> bool) -> Option<Vec<Nonce>> {
    if has_lease {
        return Some(Vec::new());
    }
    (!asked.is_empty() && are_shut()).then_some(asked)
}

/// How often each question was answered on this disk.
#[derive(Clone, Debug, Default)]
pub struct Given(Vec<(Nonce, u8)>);

impl Given {
    /// Those of them that are still to be answered; others are forgotten.
    pub fn still_due(&mut self, asked: Vec<Nonce>) -> Vec<Nonce> {
        self.0.retain(|(nonce, _)| asked.contains(nonce));
        let done =
            |nonce: &Nonce| self.0.iter().any(|(known, times)| known == nonce && *times >= ANSWERS_EACH);
        asked.into_iter().filter(|nonce| !done(nonce)).collect()
    }

    /// These answers stand on the disk.
    pub fn note(&mut self, answered: &[Nonce]) {
        for nonce in answered {
            match self.0.iter_mut().find(|(known, _)| known == nonce) {
                Some((_, times)) => *times = times.saturating_add(1),
                None => self.0.push((*nonce, 1)),
            }
        }
    }
}

/// Another machine's word in this node's place: which one, and for how many beats it stood so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stranger(Option<(NodeUuid, ClusterId, u64)>, u32);

impl Stranger {
    /// May this node write over what is `there`?
    pub fn gives_way(&mut self, there: Option<&DiskBeat>, me: Me) -> bool {
        let there = there.filter(|beat| (beat.node, beat.cluster) != (me.node, me.cluster));
        let seen = there.map(|beat| (beat.node, beat.cluster, beat.counter));
        if seen.is_none() || seen != self.0 {
            *self = Stranger(seen, 0);
        }
        self.1 += 1;
        seen.is_none() || self.1 > STILL_BEATS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::NodeId;

    const ME: Me = Me {
        node: NodeUuid([1; 16]),
        cluster: ClusterId([5; 16]),
        incarnation: Incarnation([3; 16]),
        container: ContainerId([9; 16]),
    };

    fn question() -> DiskQuestion {
        DiskQuestion {
            id: NodeId(2),
            cluster: ME.cluster,
            container: ME.container,
            asked: ME.node,
            incarnation: ME.incarnation,
            nonce: Nonce([8; 16]),
        }
    }

    #[test]
    fn only_what_is_asked_of_this_life_about_this_container_is_answered() {
        let questions = [
            DiskQuestion { cluster: ClusterId([6; 16]), ..question() },
            DiskQuestion { container: ContainerId([8; 16]), ..question() },
            DiskQuestion { asked: NodeUuid([2; 16]), ..question() },
            DiskQuestion { incarnation: Incarnation([4; 16]), ..question() },
            question(),
        ];
        assert_eq!(to_me(&questions, ME), [Nonce([8; 16])]);
    }

    /// With a lease it beats and answers nobody; without one it answers what its gates bear out, or is silent.
    #[test]
    fn an_answer_is_that_of_who_has_no_lease_and_closed_gates() {
        let asked = || vec![Nonce([8; 16])];
        assert_eq!(said(true, asked(), || true), Some(Vec::new()));
        assert_eq!(said(true, Vec::new(), || false), Some(Vec::new()));
        assert_eq!(said(false, asked(), || true), Some(asked()));
        assert_eq!(said(false, asked(), || false), None);
        assert_eq!(said(false, Vec::new(), || true), None);
    }

    /// Safety 2.8: who moves is there, and who stands still for long is gone.
    #[test]
    fn another_machine_in_this_place_is_overwritten_when_it_stands_still() {
        let other = |counter| DiskBeat {
            id: NodeId(1),
            node: NodeUuid([2; 16]),
            cluster: ME.cluster,
            container: ME.container,
            incarnation: ME.incarnation,
            counter,
            shut: Vec::new(),
        };
        let mut stranger = Stranger::default();
        assert!(stranger.gives_way(None, ME));
        assert!(stranger.gives_way(Some(&DiskBeat { node: ME.node, ..other(1) }), ME));
        for counter in 0..100 {
            assert!(!stranger.gives_way(Some(&other(counter)), ME), "it beats");
        }
        let still = other(99);
        let refused = (0..20).take_while(|_| !stranger.gives_way(Some(&still), ME)).count();
        assert_eq!(refused, 9, "and one before");
    }

    /// A question stands on the disk for ever, and is answered a few times; one that was wiped away is forgotten.
    #[test]
    fn a_question_is_answered_a_few_times() {
        let (one, two) = (Nonce([1; 16]), Nonce([2; 16]));
        let mut given = Given::default();
        for _ in 0..3 {
            assert_eq!(given.still_due(vec![one]), [one]);
            given.note(&[one]);
        }
        assert_eq!(given.still_due(vec![one, two]), [two]);
        assert_eq!(given.still_due(vec![two]), [two]);
        assert_eq!(given.still_due(vec![one]), [one]);
    }
}
