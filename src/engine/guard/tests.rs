//! Who gets a mandate, what a permit covers, and that it ends.

use core::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::base::epoch::Generation;
use crate::base::id::{ClusterId, Incarnation, NodeId};
use crate::cluster::timing::Timing;
use crate::engine::guard::evidence::{Absence, Prospect};
use crate::format::model::{Holder, Owner};
use crate::volume::plan::fixture::{asker, container, name};
use crate::volume::request::Machine;

const ALL: [Purpose; 6] =
    [Purpose::OwnBlock, Purpose::Slot, Purpose::History, Purpose::Blank, Purpose::Label, Purpose::Intent];

/// Design section 4 and safety 2.5: what may be written in each part of a change, and nothing else.
#[test]
fn a_permit_covers_its_part_of_a_change_and_nothing_else() {
    let mandate = may_found(ContainerId([9; 16]), None);
    for (permit, covered) in [
        (mandate.opening(), &[Purpose::OwnBlock, Purpose::Slot, Purpose::History][..]),
        (mandate.holding(Epoch(1 << 16)), &[Purpose::Slot, Purpose::History]),
        (mandate.disks(), &[Purpose::Slot, Purpose::Blank, Purpose::Label, Purpose::Intent]),
    ] {
        assert_eq!(permit.container(), ContainerId([9; 16]));
        for purpose in ALL {
            let wanted = if covered.contains(&purpose) { Ok(()) } else { Err(NoPermit::OutOfScope(purpose)) };
            assert_eq!(permit.allows(purpose, BootTime { ms: 5 }), wanted, "{permit:?}");
        }
    }
}

/// Safety 2.5: what is asked for within the lease and written behind its end is not written; and a lease that is taken back ends at
/// once, whatever was granted under it.
#[test]
fn a_permit_ends_with_the_lease_that_it_was_given_under() {
    let words: &keeping::Words = Box::leak(Box::new([100, 7, 90].map(AtomicU64::new)));
    let warrant = Warrant {
        cluster: ClusterId([3; 16]),
        node: NodeId(1),
        configuration: Generation(7),
        incarnation: Incarnation([4; 16]),
        lease: Lease::of(words),
    };
    let permit = may_found(ContainerId([9; 16]), Some(warrant)).opening();
    let at = |ms| permit.allows(Purpose::Slot, BootTime { ms });
    assert_eq!(at(99), Ok(()));
    for ms in [100, 101, u64::MAX] {
        let (end, now) = (BootTime { ms: 100 }, BootTime { ms });
        assert_eq!(at(ms), Err(NoPermit::Expired { end, now }));
    }
    words[0].store(250, Ordering::Release);
    assert_eq!(at(249), Ok(()), "it was extended");
    assert_eq!(warrant.lease.proven(), BootTime { ms: 90 });
    words[0].store(0, Ordering::Release);
    let (end, now) = (BootTime { ms: 0 }, BootTime { ms: 0 });
    assert_eq!(at(0), Err(NoPermit::Expired { end, now }));
    // The node is quorate again: that is another lease.
    words[1].store(8, Ordering::Release);
    words[0].store(900, Ordering::Release);
    assert!(at(300).is_err());
    assert_eq!(
        warrant.lease.proven(),
        BootTime { ms: 0 },
        "what proves another lease proves nothing of this one"
    );
    let again = Warrant { lease: Lease::of(words), ..warrant };
    assert_eq!(may_found(ContainerId([9; 16]), Some(again)).opening().allows(Purpose::Slot, now), Ok(()));
}

/// T6: which of them a machine that stood still with its clock could go by though it is not so any more.
#[test]
fn what_rests_on_the_view_is_proven_behind_the_promise() {
    use crate::engine::author::Planner;
    use crate::engine::change::Author as _;
    use crate::engine::guard::evidence;

    let mut model = container(&[10]);
    let victim = NodeUuid([2; 16]);
    let absence = Absence { node: victim, since: BootTime { ms: 0 } };
    let judge = |model: &Model| match absence.against(
        &model.container,
        &Timing::default(),
        BootTime { ms: 60_000 },
    ) {
        Prospect::Now(evidence) => evidence,
        other => panic!("{other:?}"),
    };
    let (incarnation, confirmed) = (Incarnation([1; 16]), Generation(1));
    model.container.holders =
        vec![Holder { node: victim, incarnation, confirmed, expelled: false, watchdog_ms: 5000 }];
    let by_time = judge(&model);
    let word = evidence::word(&model.container, victim, "n2", "n2 is off").unwrap();
    let who = asker(1, 1);
    let rests = |act| {
        let planner = Planner {
            principal: principal(&who.machine, None),
            asker: who.clone(),
            place: Place::Devices,
            act,
            request: None,
            joiners: Vec::new(),
            first: None,
            dice: crate::base::dice::Dice::from_number(1),
            words: None,
            already: None,
        };
        planner.rests_on_view()
    };
    for (act, it_does) in [
        (Act::Takeover(by_time), true),
        (Act::Expel(by_time), true),
        (Act::Takeover(word), true),
        (Act::Regain, true),
        (Act::Change, false),
    ] {
        assert_eq!(rests(act), it_does, "{act:?}");
    }
}

/// Safety 3.1 and 3.2, row by row: whose container, where, what for.
#[test]
fn a_mandate_is_given_to_whom_the_model_names() {
    let me = asker(1, 1).machine;
    let other = asker(2, 1).machine;
    let nobody = Machine { node: crate::base::id::NodeUuid::NONE, name: None };
    let of = |kind, owner: Option<&Machine>| {
        let mut model = container(&[10]);
        model.container.kind = kind;
        model.container.owner = owner.map(|machine| Owner { node: machine.node, name: machine.name.clone() });
        model
    };
    let private = of(ContainerKind::Private, Some(&me));
    let unclaimed = of(ContainerKind::Private, None);
    let shared = of(ContainerKind::Shared, None);
    let deported = of(ContainerKind::Deported, None);
    let deleted = of(ContainerKind::Deleted, None);
    let (images, devices) = (Place::Images, Place::Devices);
    let (change, import, delete) = (Act::Change, Act::Import, Act::Delete);
    for (model, machine, place, act, may_it) in [
        (&private, &me, devices, change, true),
        (&private, &me, devices, delete, true),
        (&private, &other, devices, change, false),
        (&private, &other, devices, import, false),
        (&private, &other, images, delete, false),
        (&private, &nobody, images, change, false),
        (&unclaimed, &me, devices, change, false),
        (&unclaimed, &me, devices, delete, false),
        (&unclaimed, &me, devices, import, true),
        (&unclaimed, &nobody, images, change, true),
        (&unclaimed, &nobody, devices, import, false),
        (&shared, &me, devices, change, false),
        (&shared, &me, images, change, true),
        (&deported, &me, images, change, false),
        (&deported, &me, images, delete, false),
        (&deported, &me, devices, import, true),
        (&deleted, &me, images, change, false),
        (&deleted, &me, devices, import, false),
        (&deleted, &other, devices, delete, true),
        (&deleted, &nobody, devices, delete, false),
    ] {
        let who = principal(machine, None);
        let said = may(model, &who, place, act);
        let words = (model.container.kind, &model.container.owner, machine, place, act);
        assert_eq!(said.is_ok(), may_it, "{words:?}: {said:?}");
    }
    let newer = Model { read_only: true, ..private };
    let me = principal(&me, None);
    assert_eq!(may(&newer, &me, images, change), Err(Denied::NewerProgram { name: name("data") }));
}

fn principal(machine: &Machine, cluster: Option<ClusterId>) -> Principal {
    let words: &keeping::Words = Box::leak(Box::new([100, 7, 90].map(AtomicU64::new)));
    let warrant = cluster.map(|cluster| Warrant {
        cluster,
        node: NodeId(2),
        configuration: Generation(7),
        incarnation: Incarnation([4; 16]),
        lease: Lease::of(words),
    });
    Principal { machine: machine.clone(), warrant, refusal: None }
}

/// Safety 3.1: a container of a cluster is for those alone who have that cluster's lease, whatever its owner says; and having one
/// opens nobody else's.
#[test]
fn a_clusters_container_needs_that_clusters_lease() {
    let me = asker(1, 1).machine;
    let other = asker(2, 1).machine;
    let (ours, theirs) = (ClusterId([3; 16]), ClusterId([4; 16]));
    let of = |kind, owner: Option<&Machine>, cluster| {
        let mut model = container(&[10]);
        model.container.kind = kind;
        model.container.owner = owner.map(|machine| Owner { node: machine.node, name: machine.name.clone() });
        model.container.cluster = cluster;
        model
    };
    let mine = of(ContainerKind::Private, Some(&me), ours);
    let anothers = of(ContainerKind::Private, Some(&other), ours);
    let shared = of(ContainerKind::Shared, None, ours);
    let deported = of(ContainerKind::Deported, None, ours);
    let strange = of(ContainerKind::Private, Some(&me), theirs);
    let standalone = of(ContainerKind::Private, Some(&me), ClusterId::NONE);
    let unowned = of(ContainerKind::Shared, None, ClusterId::NONE);
    let unclaimed = of(ContainerKind::Private, None, ours);
    let (change, import, over) = (Act::Change, Act::Import, Act::BringOver);
    for (model, cluster, act, may_it) in [
        (&mine, Some(ours), change, true),
        (&mine, None, change, false),
        (&mine, None, import, false),
        (&anothers, Some(ours), change, false),
        (&anothers, Some(ours), import, false),
        (&shared, Some(ours), change, true),
        (&shared, None, change, false),
        (&deported, Some(ours), change, false),
        (&deported, Some(ours), import, true),
        (&deported, None, import, false),
        (&deported, None, over, false),
        (&deported, Some(theirs), over, true),
        (&deported, Some(theirs), import, false),
        (&deported, Some(theirs), change, false),
        (&mine, Some(theirs), over, false),
        (&unclaimed, Some(theirs), over, false),
        (&shared, Some(theirs), over, false),
        (&strange, Some(ours), change, false),
        (&strange, Some(ours), import, false),
        (&standalone, Some(ours), change, true),
        (&unowned, Some(ours), change, false),
    ] {
        for place in [Place::Images, Place::Devices] {
            if model == &unowned && place == Place::Images {
                continue;
            }
            let said = may(model, &principal(&me, cluster), place, act);
            assert_eq!(said.is_ok(), may_it, "{:?} {cluster:?} {place:?} {act:?}: {said:?}", model.container);
            // A lease ends; what is standalone depends on none.
            if let Ok(mandate) = said {
                let ends = mandate.opening().allows(Purpose::Slot, BootTime { ms: 100 }).is_err();
                assert_eq!(ends, !model.container.cluster.is_none());
            }
        }
    }
}

/// The words say how it can be had.
#[test]
fn what_is_deported_comes_over_by_a_lease_of_ones_own() {
    let mut deported = container(&[10]);
    (deported.container.kind, deported.container.owner) = (ContainerKind::Deported, None);
    deported.container.cluster = ClusterId([3; 16]);
    let mut who = principal(&asker(1, 1).machine, None);
    for (refusal, words) in [(None, "evmsd init"), (Some("see: evms why".to_string()), "see: evms why")] {
        who.refusal = refusal;
        let refused = may(&deported, &who, Place::Devices, Act::Import).unwrap_err();
        assert!(matches!(refused, Denied::DeportedElsewhere { .. }), "{refused:?}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
}

/// Safety 1.6: who slept through a change of the configuration may be quorate by votes that were taken away.
#[test]
fn what_a_later_configuration_wrote_is_not_for_who_goes_by_an_older_one() {
    let me = asker(1, 1).machine;
    let ours = ClusterId([3; 16]);
    let mut model = container(&[10]);
    model.container.cluster = ours;
    let ask =
        |model: &Model, written, who: &Principal| refuse_outdated(&model.container, Generation(written), who);
    let node = principal(&me, Some(ours));
    assert_eq!([0, 6, 7].map(|written| ask(&model, written, &node)), [Ok(()), Ok(()), Ok(())]);
    let refused = Denied::OutdatedNode { name: name("data"), written: Generation(8), mine: Generation(7) };
    assert_eq!(ask(&model, 8, &node), Err(refused));
    // What is standalone has nothing to do with it.
    model.container.cluster = ClusterId::NONE;
    assert_eq!(ask(&model, 8, &node), Ok(()));
}

/// L8: evidence against one machine takes nothing from another one, and nothing that has no owner to take it from.
#[test]
fn evidence_is_against_one_machine() {
    let (me, owner, third) = (asker(1, 1).machine, asker(2, 1).machine, asker(3, 1).machine);
    let mut model = container(&[10]);
    let told_of = model.container.clone();
    let against =
        |machine: &Machine| Act::Takeover(evidence::word(&told_of, machine.node, "n2", "n2 is off").unwrap());
    model.container.kind = ContainerKind::Private;
    let of = |model: &Model, machine: &Machine| Model {
        container: Container {
            owner: Some(Owner { node: machine.node, name: None }),
            ..model.container.clone()
        },
        ..model.clone()
    };
    for place in [Place::Devices, Place::Images] {
        let ask = |model: &Model, act| may(model, &principal(&me, None), place, act);
        assert!(ask(&of(&model, &owner), against(&owner)).is_ok());
        for (model, act) in [
            (of(&model, &third), against(&owner)),
            (of(&model, &owner), against(&third)),
            (of(&model, &owner), Act::Change),
            (of(&model, &owner), Act::Import),
        ] {
            assert!(matches!(ask(&model, act), Err(Denied::OwnedBy { .. })), "{act:?}");
        }
    }
    for kind in [ContainerKind::Deported, ContainerKind::Deleted] {
        model.container.kind = kind;
        assert!(may(&model, &principal(&me, None), Place::Devices, against(&owner)).is_err());
    }
    // Of a cluster it takes the lease besides.
    let mut ours = of(&model, &owner);
    (ours.container.kind, ours.container.cluster) = (ContainerKind::Private, ClusterId([3; 16]));
    assert!(may(&ours, &principal(&me, None), Place::Devices, against(&owner)).is_err());
    assert!(may(&ours, &principal(&me, Some(ClusterId([3; 16]))), Place::Devices, against(&owner)).is_ok());
}

/// L8: what was found against a node holds for what the container said of it then.
#[test]
fn evidence_is_held_against_the_container_once_more() {
    let cluster = ClusterId([3; 16]);
    let (me, owner) = (asker(1, 1).machine, asker(2, 1).machine);
    let mut model = container(&[10]);
    model.container.cluster = cluster;
    model.container.owner = Some(Owner { node: owner.node, name: None });
    let holder = |life: u8| Holder {
        node: owner.node,
        incarnation: Incarnation([life; 16]),
        confirmed: Generation(1),
        expelled: false,
        watchdog_ms: 5000,
    };
    model.container.holders = vec![holder(1)];
    let absence = Absence { node: owner.node, since: BootTime { ms: 0 } };
    let judged = absence.against(&model.container, &Timing::default(), BootTime { ms: 60_000 });
    let Prospect::Now(evidence) = judged else { panic!("{judged:?}") };
    let ask = |model: &Model, act| may(model, &principal(&me, Some(cluster)), Place::Devices, act);
    assert!(ask(&model, Act::Takeover(evidence)).is_ok());
    // It was back meanwhile, in another life.
    model.container.holders = vec![holder(2)];
    let no_more = Err(Denied::NoEvidence { name: name("data") });
    assert_eq!(ask(&model, Act::Takeover(evidence)), no_more);
    (model.container.kind, model.container.owner) = (ContainerKind::Shared, None);
    assert_eq!(ask(&model, Act::Expel(evidence)), no_more);
    model.container.holders = vec![holder(1)];
    assert!(ask(&model, Act::Expel(evidence)).is_ok());
}

/// Safety 3.4: a node that was counted out of what is shared does not go on with it; its other acts are no matter of that.
#[test]
fn who_was_counted_out_does_not_go_on() {
    let cluster = ClusterId([3; 16]);
    let me = asker(1, 1).machine;
    let mut model = container(&[10]);
    model.container.cluster = cluster;
    (model.container.kind, model.container.owner) = (ContainerKind::Shared, None);
    let mine = |expelled, life| Holder {
        node: me.node,
        incarnation: Incarnation([life; 16]),
        confirmed: Generation(1),
        expelled,
        watchdog_ms: 0,
    };
    let who = principal(&me, Some(cluster));
    let mut ask = |holders: Vec<Holder>, act| {
        model.container.holders = holders;
        may(&model, &who, Place::Devices, act).is_ok()
    };
    assert!(ask(vec![mine(false, 4)], Act::Regain), "the life that its warrant tells");
    for holders in [vec![], vec![mine(true, 4)], vec![mine(false, 5)]] {
        assert!(!ask(holders.clone(), Act::Regain), "{holders:?}");
        assert!(ask(holders, Act::Change));
    }
}
