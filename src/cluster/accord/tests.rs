//! Proposers that die and come back, messages that are lost, nodes that restart with what they kept: one decision.

use super::*;
use crate::base::dice::Dice;

fn roster(generation: u64, votes: &[u16]) -> Roster {
    let mut text = format!(
        "cluster = \"c\"\nid = \"11111111-1111-4111-8111-111111111111\"\ngeneration = {generation}\n"
    );
    for (place, votes) in votes.iter().enumerate() {
        let id = place + 1;
        text.push_str(&format!(
            "[[node]]\nid = {id}\nname = \"n{id}\"\nmachine = \"22222222-2222-4222-8222-22222222222{id}\"\n\
             links = [\"10.0.0.{id}\"]\nvotes = {votes}\n"
        ));
    }
    Roster::parse(&text).unwrap()
}

#[test]
fn one_vote_at_a_time_and_one_generation_at_a_time() {
    let before = roster(3, &[1, 1, 1]);
    let may = |now: &Roster| may_follow(&before, now);
    assert_eq!(may(&roster(4, &[1, 1])), Ok(()));
    assert_eq!(may(&roster(4, &[1, 1, 1, 1])), Ok(()));
    assert_eq!(may(&roster(4, &[1, 1, 2])), Ok(()));
    assert_eq!(may(&roster(4, &[1])), Err(NoStep::Votes(2, 2)));
    assert_eq!(may(&roster(4, &[1, 1, 3])), Err(NoStep::Votes(1, 2)));
    assert_eq!(may(&roster(3, &[1, 1])), Err(NoStep::Same(3)));
    assert_eq!(may(&roster(2, &[1, 1, 1])), Err(NoStep::NotNext(2, 3)));
    assert_eq!(may(&roster(5, &[1, 1, 1])), Err(NoStep::NotNext(5, 3)));
    let mut other = roster(4, &[1, 1, 1]);
    other.configuration.cluster = Default::default();
    assert!(matches!(may(&other), Err(NoStep::Cluster(_))));
    let mut other = roster(4, &[1, 1, 1]);
    other.configuration.nodes.get_mut(&NodeId(2)).unwrap().uuid = Default::default();
    assert!(may(&other).is_err());
    assert_eq!(may(&Roster { port: 77, ..roster(4, &[1, 1, 1]) }), Err(NoStep::Port));
    let mut shorter = roster(4, &[1, 1, 1]);
    shorter.configuration.timing.lease_ms -= 100;
    assert_eq!(may(&shorter), Err(NoStep::Shorter));
    let gone = roster(4, &[1, 1]).following(&before);
    assert_eq!(gone.highest(), NodeId(3));
    assert_eq!(may_follow(&gone, &roster(5, &[1, 1, 1]).following(&gone)), Err(NoStep::OldId(NodeId(3))));
    let disk = |path: &str, id: u8| crate::cluster::roster::ArbitrationDisk {
        path: path.into(),
        id: crate::base::id::DiskId([id; 16]),
    };
    let with = |generation, disks: &[(&str, u8)]| Roster {
        arbitration: disks.iter().map(|(path, id)| disk(path, *id)).collect(),
        ..roster(generation, &[1, 1])
    };
    assert_eq!(may_follow(&with(3, &[("/a", 1)]), &with(4, &[("/b", 2)])), Err(NoStep::Disks));
    assert_eq!(may_follow(&with(3, &[("/a", 1)]), &with(4, &[])), Ok(()));
    assert_eq!(may_follow(&with(3, &[]), &with(4, &[("/b", 2)])), Ok(()));
    let both = Roster { arbitration: Vec::new(), ..roster(4, &[1]) };
    assert_eq!(may_follow(&with(3, &[("/a", 1)]), &both), Err(NoStep::VotesAndDisks));
}

#[test]
fn a_vote_for_a_node_that_is_not_there_is_not_decided() {
    let (before, wish) = (roster(1, &[1]), roster(2, &[1, 1]));
    let mut attempt = Attempt::new(&before, wish, Ballot(1 << 16 | 1), Rules::ALL);
    let ballot = attempt.ballot;
    attempt.promise(NodeId(1), ballot, None);
    assert!(attempt.value().is_some());
    attempt.accept(NodeId(1), ballot);
    assert!(!attempt.is_decided(), "half of the new votes is no majority");
    attempt.accept(NodeId(2), ballot);
    assert!(attempt.is_decided());
}

/// One of two votes, and of those who stay only the other knows: it ends then, and not before.
#[test]
fn who_is_taken_out_stays_until_the_others_know() {
    let decided = roster(8, &[1, 0]);
    let may = |node: u16, kept_by: &[u16]| {
        let kept_by = kept_by.iter().copied().map(NodeId).collect();
        may_keep(&decided, NodeId(node), kept_by, Rules::ALL)
    };
    assert!(may(1, &[]), "who has a vote is asked by the others");
    for goes in [2, 3] {
        assert!(!may(goes, &[]) && !may(goes, &[2]) && !may(goes, &[3]) && may(goes, &[1]));
    }
}

/// Those who accepted have it decided again without who did not have to.
#[test]
fn a_decision_rests_on_who_it_would_not_be_one_without() {
    let before = roster(7, &[1, 1, 1]);
    let ballot = Ballot(1 << 16 | 3);
    let mut attempt = Attempt::new(&before, roster(8, &[1, 1]), ballot, Rules::ALL);
    attempt.accept(NodeId(1), ballot);
    assert!(!attempt.rests_on(NodeId(1)), "nothing is decided");
    attempt.accept(NodeId(2), ballot);
    assert!(attempt.rests_on(NodeId(1)) && attempt.rests_on(NodeId(2)) && !attempt.rests_on(NodeId(3)));
    attempt.accept(NodeId(3), ballot);
    assert!(attempt.rests_on(NodeId(1)), "the new votes are two, and both are needed");
    assert!(!attempt.rests_on(NodeId(3)), "its own has no part in either majority");
}

/// What a node said to an earlier life of a proposer comes late: of another ballot, it is nobody's word for this one.
#[test]
fn an_answer_to_another_ballot_counts_for_nothing() {
    let before = roster(7, &[1, 1, 1]);
    let (earlier, now) = (Ballot(1 << 16 | 1), Ballot(2 << 16 | 1));
    let mut attempt = Attempt::new(&before, roster(8, &[1, 1, 2]), now, Rules::ALL);
    attempt.promise(NodeId(1), now, None);
    attempt.promise(NodeId(2), earlier, None);
    assert_eq!(attempt.value(), None, "one of three promised");
    attempt.promise(NodeId(2), now, None);
    assert!(attempt.value().is_some());
    attempt.accept(NodeId(1), now);
    attempt.accept(NodeId(2), now);
    attempt.accept(NodeId(3), earlier);
    assert!(!attempt.is_decided(), "two of four new votes accepted");
    attempt.accept(NodeId(3), now);
    assert!(attempt.is_decided());
}

/// A ballot of an earlier life, made again with another value, would be two values of one ballot.
#[test]
fn one_ballot_has_one_value() {
    let before = roster(7, &[1, 1, 1]);
    let (one, other) = (roster(8, &[1, 1]).following(&before), roster(8, &[1, 1, 2]));
    let mut accord = Accord::of(&before, None);
    let ballot = Ballot(1 << 16 | 1);
    assert_eq!(accord.prepare(8, ballot), Ok(None));
    assert_eq!(accord.prepare(8, ballot), Err(NotSo::Promised(ballot)));
    assert_eq!(accord.accept(&before, ballot, one.clone(), Rules::ALL), Ok(()));
    assert_eq!(accord.accept(&before, ballot, one, Rules::ALL), Ok(()), "said twice");
    assert_eq!(accord.accept(&before, ballot, other, Rules::ALL), Err(NotSo::Promised(ballot)));
}

/// What is under way between proposers and nodes: it may be lost, and it may overtake.
struct World {
    before: Roster,
    kept: Vec<Accord>,
    dice: Dice,
    decided: Vec<Roster>,
}

/// Of four messages how many arrive.
const ARRIVE: u64 = 3;

impl World {
    fn arrives(&mut self) -> bool {
        self.dice.below(4) < ARRIVE
    }

    fn accord(&self, node: usize) -> Accord {
        // Every time from what was kept: a daemon may be started anew between any two messages.
        Accord::of(&self.before, Some(self.kept[node].clone()))
    }
}

/// Some proposers at once, each somewhere in its attempt; any of them goes on at any time, or dies.
fn play(seed: u64) -> (usize, usize) {
    let votes = [1, 1, 1, 1, 1];
    let before = roster(7, &votes);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let kept = vec![Accord::of(&before, None); votes.len()];
    let mut world = World { before: before.clone(), kept, dice: Dice::from_seed(bytes), decided: Vec::new() };
    let wishes = [
        roster(8, &[1, 1, 1, 1]).following(&before),
        roster(8, &[1, 1, 1, 1, 1, 1]),
        roster(8, &[1, 1, 2, 1, 1]),
    ];
    let mut attempts: Vec<Attempt> = Vec::new();
    for step in 0..400 {
        let pick = world.dice.below(8);
        if attempts.is_empty() || pick == 0 && attempts.len() < 4 {
            let wish = wishes[world.dice.below(3) as usize].clone();
            let seen = world.kept.iter().map(|accord| accord.promised).max().unwrap_or_default();
            // Not every proposer knows the highest ballot.
            let seen = if world.dice.below(2) == 0 { seen } else { Ballot::default() };
            let me = NodeId(world.dice.below(5) as u16 + 1);
            let ballot = Ballot::above(seen, me);
            // To itself it promises first: a ballot of an earlier life is refused there.
            let mut accord = world.accord(usize::from(me.0) - 1);
            if let Ok(accepted) = accord.prepare(8, ballot).map(Option::<&_>::cloned) {
                world.kept[usize::from(me.0) - 1] = accord;
                let mut attempt = Attempt::new(&before, wish, ballot, Rules::ALL);
                attempt.promise(me, ballot, accepted);
                attempts.push(attempt);
            }
            continue;
        }
        let at = world.dice.below(attempts.len() as u64) as usize;
        if pick == 1 && step % 7 == 0 {
            attempts.remove(at);
            continue;
        }
        let node = world.dice.below(5) as usize;
        let (asked, answered) = (world.arrives(), world.arrives());
        let mut accord = world.accord(node);
        let attempt = &mut attempts[at];
        let id = NodeId(node as u16 + 1);
        let Some(value) = attempt.value().cloned() else {
            if asked && let Ok(accepted) = accord.prepare(8, attempt.ballot) {
                let accepted = accepted.cloned();
                world.kept[node] = accord;
                if answered {
                    attempt.promise(id, attempt.ballot, accepted);
                }
            }
            continue;
        };
        if asked && accord.accept(&before, attempt.ballot, value.clone(), Rules::ALL).is_ok() {
            world.kept[node] = accord;
            if answered {
                attempt.accept(id, attempt.ballot);
            }
        }
        if attempt.is_decided() {
            world.decided.push(value);
            attempts.remove(at);
        }
    }
    let differ = world.decided.iter().filter(|roster| **roster != world.decided[0]).count();
    (world.decided.len(), differ)
}

/// Safety 1.6: of one generation at most one configuration is ever decided, by whomever.
#[test]
fn one_generation_is_decided_once() {
    let mut decided = 0;
    for seed in 0..400 {
        let (count, differ) = play(seed);
        assert_eq!(differ, 0, "seed {seed}");
        decided += count;
    }
    assert!(decided > 400, "{decided} decisions were made, of several proposers");
}
