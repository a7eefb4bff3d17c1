//! Tests: bringing volumes of an earlier model back.

use super::*;

fn back(from: &Model) -> Request {
    Request::Restore { from: Box::new(from.clone()) }
}

/// Before: a on extents 0 to 2, b on 2 to 5. After: a is gone, b is larger, c lies where a was.
fn story() -> (Model, Model) {
    let before =
        next(&next(&container(&[10, 10]), &make("a", mib(8), None, &[])), &make("b", mib(12), None, &[]));
    let mut after = before.clone();
    for request in [delete("a"), grow("b", Resize::To(mib(16))), make("c", mib(4), None, &[])] {
        after = plan_next(&after, &request);
        // Its quarantine is over.
        after.freed.clear();
    }
    (before, after)
}

/// A plan that starts late: nothing waits.
fn plan_next(model: &Model, request: &Request) -> Model {
    match plan(model, at(50), request, &asker(1, 1), &mut Dice::from_number(8)).unwrap() {
        Outcome::Next(planned) => planned.model,
        Outcome::AlreadySo(words) => panic!("{words}"),
    }
}

#[test]
fn volumes_come_back_and_the_container_stays() {
    let (before, mut after) = story();
    after.freed.clear();
    after.container.name = name("other");
    let restored = twice(&after, &back(&before));
    assert_eq!((&restored.volumes, &restored.regions), (&before.volumes, &before.regions));
    assert_eq!((&restored.container.name, &restored.table), (&name("other"), &after.table));
    assert_eq!(restored.change.text, "restored the volumes of 1970-01-01 00:00:01Z, gone: c, back: a");
    let at: Vec<Run> = restored.freed.iter().map(|freed| freed.run).collect();
    let lost = crate::volume::runs::subtract(
        after.regions.iter().flat_map(|region| region.columns.concat()).collect(),
        before.regions.iter().flat_map(|region| region.columns.concat()).collect(),
    );
    assert_eq!(at, lost, "what only later volumes had is in quarantine");
    assert!(!lost.is_empty() && restored.freed.iter().all(|freed| freed.generation == Generation(6)));
}

#[test]
fn volumes_do_not_come_back_onto_what_is_not_there() {
    let (before, mut after) = story();
    after.freed.clear();
    says(
        refused(&Model { table: absent(&after), ..after.clone() }, &back(&before)),
        "cannot restore the volumes of data: \
         they lay on disk 1, which is not in now; nothing was written; bring the disk back, or choose a later model",
        Kind::Refused,
    );
    let mut replaced = after.clone();
    replaced.table.disks[0].id = DiskId([99; 16]);
    assert!(refused(&replaced, &back(&before)).0.contains("they lay on disk 1"));
    let mut foreign = before.clone();
    foreign.container.id = ContainerId([8; 16]);
    assert!(refused(&after, &back(&foreign)).0.contains("the earlier model is of container 08080808-"));
    let mut coarse = before.clone();
    coarse.container.extent.0 *= 2;
    coarse.regions.clear();
    coarse.volumes.clear();
    says(
        refused(&after, &back(&coarse)),
        "cannot restore the volumes of data: an extent was 8 MiB then and is 4 MiB \
         now; nothing was written; choose another model of its history",
        Kind::Refused,
    );
    let mut damaged = before;
    damaged.volumes[0].size.0 += 1;
    let told = refused(&after, &back(&damaged));
    assert!(told.0.contains("the earlier model is damaged: volume a has"), "{told:?}");
    assert_eq!(told.1, Kind::Damage);
}

fn absent(model: &Model) -> crate::format::model::DiskTable {
    let mut model = model.clone();
    mark_absent(&mut model, &[disk(2)], Generation(4));
    model.table
}

#[test]
fn volumes_do_not_come_back_under_another_holders_hands() {
    let (before, mut after) = story();
    after.freed = vec![];
    let other = Model {
        container: next(&after, &hand(None, Some(ContainerKind::Shared))).container,
        ..after.clone()
    };
    assert!(ask(&other, &back(&before)).is_ok(), "the asker alone holds it");
    let mut held = other.clone();
    held.container.holders.push(holder(2, 1, 5, false));
    says(
        refused(&held, &back(&before)),
        "cannot restore the volumes of data: they need 1 extents that other machines may \
         write to under c; nothing was written; deactivate these volumes on the other machines, or delete them first",
        Kind::Refused,
    );
    let mut waits = plan_next(&held, &delete("c"));
    waits.freed.iter_mut().for_each(|freed| freed.generation = Generation(5));
    waits.container.holders[1].confirmed = Generation(4);
    says(
        refused(&waits, &back(&before)),
        "cannot restore the volumes of data: they need 1 extents that wait until every \
         holder lets go of them; nothing was written; deactivate the container on the other machines, then ask again",
        Kind::Refused,
    );
    waits.container.holders[1].confirmed = Generation(5);
    assert!(ask(&waits, &back(&before)).is_ok());
}
