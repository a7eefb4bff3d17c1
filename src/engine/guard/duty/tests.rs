//! What is owed to a container of a node that is absent, with agents and without.

use super::*;
use crate::base::id::NodeId;
use crate::engine::guard::evidence::{AgentName, Power, Question};
use crate::format::disk_beat::{DiskBeat, Nonce};
use crate::format::model::Holder;
use crate::volume::plan::fixture;

const ME: NodeUuid = NodeUuid([2; 16]);
const VICTIM: NodeUuid = NodeUuid([1; 16]);
const OTHER: NodeUuid = NodeUuid([3; 16]);
const CLUSTER: ClusterId = ClusterId([7; 16]);

fn holder(node: NodeUuid, life: u8, watchdog_ms: u32) -> Holder {
    let (confirmed, expelled) = Default::default();
    Holder { node, incarnation: Incarnation([life; 16]), confirmed, expelled, watchdog_ms }
}

/// Private to the victim, who has gates of it.
fn private(watchdog_ms: u32) -> Model {
    let mut model = fixture::container(&[10]);
    model.container.cluster = CLUSTER;
    model.container.holders = vec![holder(VICTIM, 7, watchdog_ms)];
    model
}

fn shared(holders: Vec<Holder>) -> Model {
    let mut model = private(0);
    (model.container.kind, model.container.owner) = (ContainerKind::Shared, None);
    model.container.holders = holders;
    model
}

struct Sees<'a> {
    absent: &'a [NodeUuid],
    agents: &'a [NodeUuid],
    receipts: &'a [Receipt],
    answers: &'a [Answered],
}

/// At so many milliseconds, by a lease that began at 1000.
fn duties(model: &Model, sees: &Sees, now: u64) -> Vec<Duty> {
    let absence = |node: &NodeUuid| Absence { node: *node, since: BootTime { ms: 1000 } };
    let heir = Heir {
        node: ME,
        incarnation: Incarnation([9; 16]),
        cluster: CLUSTER,
        absent: &sees.absent.iter().map(absence).collect::<Vec<_>>(),
        agents: sees.agents,
        receipts: sees.receipts,
        answers: sees.answers,
        timing: &Timing::default(),
        now: BootTime { ms: now },
    };
    heir.duties(model, false)
}

const ALONE: Sees = Sees { absent: &[VICTIM], agents: &[], receipts: &[], answers: &[] };
const AGENT: Sees = Sees { absent: &[VICTIM], agents: &[VICTIM, ME], receipts: &[], answers: &[] };

fn cut(life: u8, status: Power) -> [Receipt; 1] {
    [Receipt {
        victim: VICTIM,
        incarnation: Incarnation([life; 16]),
        agent: AgentName::of("fence_x"),
        off_done: Some(BootTime { ms: 2000 }),
        status_asked: BootTime { ms: 2000 },
        status,
        status_read: BootTime { ms: 2000 },
    }]
}

#[test]
fn an_agent_is_asked_where_there_would_be_nothing_yet() {
    let fence = vec![Duty::Fence(VICTIM, Incarnation([7; 16]))];
    assert_eq!(duties(&private(5000), &ALONE, 1000), []);
    assert_eq!(duties(&private(5000), &AGENT, 1000), fence);
    assert_eq!(duties(&private(0), &ALONE, 1000), [Duty::WordAlone(VICTIM)]);
    assert_eq!(duties(&private(0), &AGENT, u64::MAX), fence, "nothing else ever proves it");
    // The watchdog's time is over: whoever is still to be asked need not be.
    assert!(matches!(duties(&private(5000), &AGENT, 13_245)[..], [Duty::Take(..)]));
}

#[test]
fn nobody_is_fenced_who_is_here_or_holds_nothing() {
    let here = Sees { absent: &[OTHER], ..AGENT };
    assert_eq!(duties(&private(5000), &here, 1000), []);
    let mut model = private(5000);
    model.container.holders.clear();
    assert_eq!(duties(&model, &AGENT, 1000), [], "it had nothing up (safety 3.4)");
    let mut model = private(5000);
    model.container.holders[0].expelled = true;
    assert_eq!(duties(&model, &AGENT, 1000), []);
    let mut model = private(5000);
    model.container.cluster = ClusterId([8; 16]);
    assert_eq!(duties(&model, &AGENT, 1000), [], "another cluster's");
    let absent = Sees { absent: &[VICTIM, ME], ..AGENT };
    let model = shared(vec![holder(ME, 9, 0), holder(OTHER, 5, 0)]);
    assert_eq!(duties(&model, &absent, 1000), [Duty::WordAlone(ME)], "nobody cuts his own power");
}

#[test]
fn of_what_is_shared_each_that_is_absent_is_asked_for() {
    let model = shared(vec![holder(VICTIM, 7, 0), holder(ME, 9, 0), holder(OTHER, 5, 0)]);
    let sees = Sees { absent: &[VICTIM, OTHER], ..AGENT };
    let fence = Duty::Fence(VICTIM, Incarnation([7; 16]));
    assert_eq!(duties(&model, &sees, 1000), [fence, Duty::WordAlone(OTHER)]);
}

#[test]
fn what_an_agent_proved_is_evidence_when_nothing_is_under_way_any_more() {
    let off = cut(7, Power::Off);
    let proven = Sees { receipts: &off, ..AGENT };
    for watchdog_ms in [0, 5000] {
        assert_eq!(duties(&private(watchdog_ms), &proven, 4042), [], "not asked again, and not yet");
        let taken = duties(&private(watchdog_ms), &proven, 4043);
        let [Duty::Take(owner, evidence)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!((owner.node, evidence.victim()), (VICTIM, VICTIM));
        assert!(evidence.covers(&private(watchdog_ms).container));
    }
    let model = shared(vec![holder(VICTIM, 7, 0), holder(ME, 9, 0)]);
    assert!(matches!(duties(&model, &proven, 4043)[..], [Duty::Expel(_)]));
}

#[test]
fn what_an_agent_did_not_prove_changes_nothing() {
    let fence = vec![Duty::Fence(VICTIM, Incarnation([7; 16]))];
    for receipts in [cut(7, Power::On), cut(7, Power::Unknown), cut(8, Power::Off)] {
        let sees = Sees { receipts: &receipts, ..AGENT };
        assert_eq!(duties(&private(5000), &sees, 9000), fence, "{receipts:?}");
    }
}

/// What it says of one container, at 3000 ms by this clock.
fn said_shut(container: ContainerId, life: u8) -> [Answered; 1] {
    let (victim, incarnation) = (VICTIM, Incarnation([life; 16]));
    let asked = BootTime { ms: 2000 };
    let question = Question { victim, incarnation, container, nonce: Nonce([1; 16]), asked };
    let beat = DiskBeat {
        id: NodeId(1),
        node: victim,
        cluster: CLUSTER,
        container,
        incarnation,
        counter: 1,
        shut: vec![question.nonce],
    };
    let absence = Absence { node: victim, since: BootTime { ms: 1000 } };
    let evidence = evidence::shut(&question, &beat, absence).unwrap();
    [Answered { container, evidence, read: BootTime { ms: 3000 } }]
}

/// Safety 5.1: closed gates are evidence, with a watchdog and without, and nobody is switched off for what he says himself.
#[test]
fn who_says_that_it_is_shut_is_taken_from_and_not_cut() {
    for watchdog_ms in [0, 5000] {
        let model = private(watchdog_ms);
        let said = said_shut(model.container.id, 7);
        let sees = Sees { answers: &said, ..AGENT };
        // 2000 ms for what was under way, by clocks that are wrong by 1 %, as behind an agent's word: 2043.
        let taken = duties(&model, &sees, 5043);
        let [Duty::Take(owner, evidence)] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!((owner.node, evidence.victim()), (VICTIM, VICTIM));
        // Who misses disks of it looks as if it were earlier, and leaves it to the others for so long (F30).
        assert_eq!(duties(&model, &sees, 5042), []);
    }
}

/// Whoever lives and is cut off is not switched off for what is shared, and counted out when its time is over and not before.
#[test]
fn who_says_that_what_is_shared_is_shut_is_not_cut() {
    let model = shared(vec![holder(VICTIM, 7, 5000), holder(ME, 9, 0)]);
    let said = said_shut(model.container.id, 7);
    let sees = Sees { answers: &said, ..AGENT };
    for ms in [3000, 5043, 13_244] {
        assert_eq!(duties(&model, &sees, ms), [], "after {ms} ms");
    }
    assert!(matches!(duties(&model, &sees, 13_245)[..], [Duty::Expel(_)]));
    let another_life = said_shut(model.container.id, 8);
    let sees = Sees { answers: &another_life, ..AGENT };
    assert_eq!(duties(&model, &sees, 5043), [Duty::Fence(VICTIM, Incarnation([7; 16]))]);
}

#[test]
fn what_it_says_is_of_that_container_and_of_that_life() {
    let model = private(5000);
    for said in [said_shut(ContainerId([77; 16]), 7), said_shut(model.container.id, 8)] {
        let sees = Sees { answers: &said, ..ALONE };
        assert_eq!(duties(&model, &sees, 9000), [], "{said:?}");
    }
    let said = said_shut(model.container.id, 7);
    let here = Sees { absent: &[OTHER], answers: &said, ..ALONE };
    assert_eq!(duties(&model, &here, 9000), [], "it is in the view again");
    let old = [Answered { read: BootTime { ms: 999 }, ..said[0] }];
    let sees = Sees { answers: &old, ..ALONE };
    assert_eq!(duties(&model, &sees, 9000), [], "it was back since, and had a lease (safety 5.4)");
}

/// 2 s for who was here; (2 · 5 s + 2 s) · 1.01 / 0.99, rounded up, and 2 ms for who was not; and 6 s for each before it.
#[test]
fn nobody_is_switched_off_before_he_could_be_back() {
    let timing = Timing { watchdog_ms: 5000, drain_ms: 2000, drift_ppm: 10_000, ..Timing::default() };
    let off = |rank, seen| first_asked(BootTime { ms: 1000 }, (rank, 6000), seen, &timing).ms;
    assert_eq!([off(0, true), off(1, true), off(3, true)], [3000, 9000, 21_000]);
    assert_eq!([off(0, false), off(2, false)], [1000 + 12_245, 13_000 + 12_245]);
    let last = first_asked(BootTime { ms: u64::MAX - 1 }, (u64::MAX, 6000), true, &timing);
    assert_eq!(last.ms, u64::MAX, "it does not begin again at zero");
}
