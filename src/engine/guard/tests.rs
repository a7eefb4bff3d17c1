//! Who gets a mandate, what a permit covers, and that it ends.

use super::*;
use crate::format::model::Owner;
use crate::volume::plan::fixture::{asker, container, name};

const ALL: [Purpose; 6] =
    [Purpose::OwnBlock, Purpose::Slot, Purpose::History, Purpose::Blank, Purpose::Label, Purpose::Intent];

/// Design section 4 and safety 2.5: what may be written in each part of a change, and nothing else.
#[test]
fn a_permit_covers_its_part_of_a_change_and_nothing_else() {
    let mandate = may_found(ContainerId([9; 16]));
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

#[test]
fn a_permit_ends() {
    let end = BootTime { ms: 100 };
    let permit = Mandate { container: ContainerId([9; 16]), end }.opening();
    assert_eq!(permit.allows(Purpose::Slot, BootTime { ms: 99 }), Ok(()));
    for now in [BootTime { ms: 100 }, BootTime { ms: 101 }, BootTime::FOREVER] {
        assert_eq!(permit.allows(Purpose::Slot, now), Err(NoPermit::Expired { end, now }));
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
        let said = may(model, machine, place, act);
        let words = (model.container.kind, &model.container.owner, machine, place, act);
        assert_eq!(said.is_ok(), may_it, "{words:?}: {said:?}");
    }
    let mut of_cluster = private.clone();
    of_cluster.container.cluster = ClusterId([3; 16]);
    assert!(matches!(may(&of_cluster, &me, images, change), Err(Denied::OfCluster { .. })));
    let newer = Model { read_only: true, ..private };
    assert_eq!(may(&newer, &me, images, change), Err(Denied::NewerProgram { name: name("data") }));
}
