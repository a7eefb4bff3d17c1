//! What is owed to a container of a node that is absent, with agents and without.

use super::*;
use crate::engine::guard::evidence::{AgentName, Power};
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
        timing: &Timing::default(),
        now: BootTime { ms: now },
    };
    heir.duties(model, false)
}

const ALONE: Sees = Sees { absent: &[VICTIM], agents: &[], receipts: &[] };
const AGENT: Sees = Sees { absent: &[VICTIM], agents: &[VICTIM, ME], receipts: &[] };

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
