//! Tests: requests about the set of disks.

use super::*;
use crate::format::model::OldSet;

fn expand(ids: &[u8]) -> Request {
    Request::Expand { disks: ids.iter().map(|&id| new_disk(id, 10)).collect() }
}

fn shrink(numbers: &[u16]) -> Request {
    Request::Shrink { disks: on(numbers) }
}

fn readmit(numbers: &[u16]) -> Request {
    Request::Readmit { disks: on(numbers) }
}

#[test]
fn a_larger_set_keeps_the_smaller_until_it_is_settled() {
    let model = container(&[10, 10]);
    let larger = twice(&model, &expand(&[5, 6]));
    assert_eq!(larger.table.old_set, Some(OldSet { disks: on(&[1, 2]), first: disk(1) }));
    assert_eq!((larger.table.disks[3].number, larger.table.next_number), (disk(4), 5));
    assert_eq!(larger.change.text, "added disks 3, 4");
    for request in [expand(&[7]), shrink(&[3])] {
        assert!(
            refused(&larger, &request)
                .0
                .contains("the last change of its disks is not settled yet; nothing was")
        );
    }
    assert_eq!(ask_as(&larger, &Request::Settle, &asker(2, 1)).unwrap_err().kind(), Kind::NotOwner);
    let settled = twice(&larger, &Request::Settle);
    assert_eq!((settled.table.old_set.as_ref(), settled.change.kind), (None, ChangeKind::Settle));
    assert!(ask(&settled, &expand(&[7])).is_ok());
    assert_eq!(refused(&model, &Request::Expand { disks: vec![] }).1, Kind::Usage);
    assert!(
        refused(&model, &expand(&[5, 1])).0.contains("the new disk 2 (wwid-1) was given twice or belongs")
    );
    let mut coarse = new_disk(5, 10);
    coarse.logical_block = 4096;
    says(
        refused(&model, &Request::Expand { disks: vec![coarse] }),
        "cannot expand container data: the new disk 1 (wwid-5) has logical blocks of 4096 bytes and the container was \
         made for 512; nothing was written; give a disk with blocks no larger than that",
        Kind::Refused,
    );
    let mut last = model;
    last.table.next_number = u16::MAX;
    says(
        refused(&last, &expand(&[5])),
        "cannot expand container data: all its disk numbers were given out; \
         nothing was written; make a second container",
        Kind::Refused,
    );
}

#[test]
fn a_disk_leaves_when_nothing_lies_on_it() {
    let mut model = container(&[10, 10, 10]);
    volume(&mut model, "a", 8 * MIB, 2);
    model.freed = vec![freed(3, 0, 2, 9), freed(1, 5, 1, 9)];
    says(
        refused(&model, &shrink(&[3, 2])),
        "cannot shrink container data: disk 2 has 1 extents in use, by volume a; \
         nothing was written; delete or shrink these volumes first",
        Kind::Refused,
    );
    says(
        refused(&model, &shrink(&[4])),
        "cannot shrink container data: it has no disk 4; nothing was written; \
         'evms info' of the container shows its disks",
        Kind::NotFound,
    );
    assert_eq!(refused(&model, &shrink(&[])).1, Kind::Usage);
    let smaller = twice(&model, &shrink(&[3]));
    assert_eq!(smaller.table.disks[2].state, DiskState::Released(Generation(6)));
    assert_eq!(smaller.table.old_set, Some(OldSet { disks: on(&[1, 2, 3]), first: disk(1) }));
    assert_eq!(smaller.freed, [freed(1, 5, 1, 9)], "what waited on it waits no more");
    says(
        refused(&smaller, &readmit(&[3])),
        "cannot readmit disks of container data: disk 3 was removed from it; \
         nothing was written; add it as a new disk with 'evms container expand'",
        Kind::Refused,
    );
    // It may come back as a new disk, with the WWID that it has.
    let mut back = new_disk(77, 10);
    back.wwid = "wwid-3".into();
    let settled = next(&smaller, &Request::Settle);
    assert_eq!(next(&settled, &Request::Expand { disks: vec![back] }).table.disks[3].number, disk(4));
}

#[test]
fn the_first_mark_and_the_last_disk_stay() {
    let model = container(&[10, 10, 10]);
    let moved = next(&model, &shrink(&[1]));
    assert_eq!((moved.table.first, moved.table.old_set.unwrap().first), (disk(2), disk(1)));
    assert_eq!(moved.change.text, "removed disk 1, disk 2 is first now");
    let none = "cannot shrink container data: no disk with its present model would be left; nothing was written; \
                keep one, or delete the container";
    says(refused(&model, &shrink(&[1, 2, 3])), none, Kind::Refused);
    let mut absent = model;
    assert_eq!(mark_absent(&mut absent, &on(&[1, 3]), Generation(6)), on(&[2]));
    says(refused(&absent, &shrink(&[1, 3])), none, Kind::Refused);
    assert_eq!(next(&absent, &shrink(&[1])).table.first, disk(3), "an absent disk is not marked");
    assert!(ask(&absent, &shrink(&[2])).is_ok(), "a dead disk can be let go");
}

#[test]
fn absent_disks_are_marked_avoided_and_readmitted() {
    let mut model = container(&[10, 10]);
    assert_eq!(mark_absent(&mut model, &on(&[2]), Generation(6)), on(&[1]));
    assert_eq!(mark_absent(&mut model, &on(&[2]), Generation(7)), on(&[]), "it is marked once");
    assert_eq!(model.table.disks[0].state, DiskState::AbsentSince(Generation(6)));
    let with = next(&model, &make("a", mib(40), None, &[]));
    assert_eq!(with.regions[0].columns[0][0].disk, disk(2));
    says(
        refused(&model, &make("a", mib(4), None, &[1])),
        "cannot create volume data/a: disk 1 is absent or removed and \
         gives no extents; nothing was written; name another disk, or bring this one back",
        Kind::Refused,
    );
    let back = twice(&model, &readmit(&[1, 2]));
    assert_eq!((back.table.disks[0].state, back.change.text.as_str()), (DiskState::In, "readmitted disk 1"));
    assert_eq!(refused(&model, &readmit(&[9])).1, Kind::NotFound);
}

#[test]
fn removed_disks_are_forgotten_when_there_are_too_many() {
    let mut model = container(&[10, 10]);
    let released = model.table.disks[1].clone();
    for nth in 0..crate::base::limits::RELEASED_DISKS_MAX as u16 {
        let id = DiskId([nth as u8, (nth >> 8) as u8, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let state = DiskState::Released(Generation(1 + u64::from(nth)));
        model.table.disks.push(crate::format::model::Disk {
            id,
            number: disk(100 + nth),
            state,
            ..released.clone()
        });
    }
    model.table.next_number = 1000;
    let smaller = plan(&model, at(900), &shrink(&[2]), &asker(1, 1), &mut Dice::from_number(1));
    let Ok(Outcome::Next(planned)) = smaller else { panic!("{smaller:?}") };
    assert!(planned.model.disk(disk(2)).is_some() && planned.model.disk(disk(100)).is_none());
}
