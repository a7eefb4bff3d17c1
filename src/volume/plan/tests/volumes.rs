//! Tests: requests about volumes.

use super::*;
use crate::base::units::Sectors;

fn size_of(model: &Model, volume: &str) -> u64 {
    model.volume(&name(volume)).unwrap().size.to_bytes().unwrap().0 / MIB
}

fn to(size: Size) -> Resize {
    Resize::To(size)
}

#[test]
fn a_volume_is_made_once() {
    let model = container(&[10, 10]);
    let made = twice(&model, &make("a", mib(10), None, &[]));
    assert_eq!(made.change.text, "created volume a of 12 MiB (10 MiB rounded up to whole extents), linear");
    assert_eq!(
        made.volumes[0].id,
        next(&model, &make("a", mib(10), None, &[])).volumes[0].id,
        "the same dice"
    );
    already(&made, &make("a", mib(12), Some(1), &[1]));
    already(&made, &make("a", Size::PercentFree(50), None, &[]));
    let striped = twice(&model, &make("s", mib(10), Some(2), &[]));
    assert_eq!(size_of(&striped, "s"), 16);
    assert_eq!(
        striped.change.text,
        "created volume s of 16 MiB (10 MiB rounded up to whole extents), 2 stripes"
    );
    for (percent, stripes, size) in [(100, 1, 80), (50, 1, 40), (33, 1, 24), (1, 2, 8), (100, 2, 80)] {
        let full = twice(&model, &make("f", Size::PercentFree(percent), Some(stripes), &[]));
        assert_eq!(size_of(&full, "f"), size, "{percent}% on {stripes}");
    }
    assert_eq!(size_of(&next(&model, &make("o", Size::PercentFree(100), None, &[2])), "o"), 40);
}

#[test]
fn a_volume_that_is_otherwise_is_refused_by_the_difference() {
    let model = next(&container(&[10, 10]), &make("a", mib(8), None, &[]));
    says(
        refused(&model, &make("a", mib(9), None, &[])),
        "cannot create volume data/a: it exists with 8 MiB and 12 MiB \
         was asked; nothing was written; change its size with 'evms volume expand' or 'shrink', or choose another name",
        Kind::Refused,
    );
    says(
        refused(&model, &make("a", mib(8), Some(2), &[])),
        "cannot create volume data/a: it exists as linear and 2 \
         stripes was asked; nothing was written; choose another name",
        Kind::Refused,
    );
    says(
        refused(&model, &make("a", mib(8), None, &[2])),
        "cannot create volume data/a: it exists and lies on disk 1, \
         which was not asked; nothing was written; choose another name",
        Kind::Refused,
    );
    let unit = |unit| Request::VolumeCreate {
        name: name("s"),
        size: mib(8),
        stripes: Some(2),
        stripe_bytes: Some(Bytes(unit)),
        on: vec![],
    };
    let striped = twice(&model, &unit(65_536));
    already(&striped, &make("s", mib(8), Some(2), &[]));
    assert!(
        refused(&striped, &unit(4096))
            .0
            .contains("it exists as 2 stripes of 64 KiB and 2 stripes of 4 KiB was asked")
    );
}

#[test]
fn what_does_not_fit_is_refused_with_figures() {
    let mut model = container(&[7, 2]);
    says(
        refused(&model, &make("a", mib(40), None, &[])),
        "cannot create volume data/a: it needs 10 free extents and \
         there are 9: disk 1 has 7, disk 2 has 2; nothing was written; ask for less, or add a disk with \
         'evms container expand'",
        Kind::Refused,
    );
    says(
        refused(&model, &make("a", mib(40), Some(3), &[])),
        "cannot create volume data/a: 3 stripes need 3 disks with 4 \
         free extents each: disk 1 has 7, disk 2 has 2; nothing was written; ask for less or for fewer stripes, or add \
         disks with 'evms container expand'",
        Kind::Refused,
    );
    says(
        refused(&model, &make("a", mib(4), Some(0), &[])),
        "cannot create volume data/a: 0 stripes are not possible, 1 \
         to 64 are; nothing was written; give another number of stripes",
        Kind::Usage,
    );
    says(
        refused(&model, &make("a", mib(4), None, &[9])),
        "cannot create volume data/a: the container has no disk 9; \
         nothing was written; 'evms info' of the container shows its disks",
        Kind::NotFound,
    );
    let unit = |stripes, unit| Request::VolumeCreate {
        name: name("a"),
        size: mib(4),
        stripes,
        stripe_bytes: Some(Bytes(unit)),
        on: vec![],
    };
    says(
        refused(&model, &unit(None, 4096)),
        "cannot create volume data/a: a stripe unit of 4 KiB was given and no number \
         of stripes; nothing was written; give --stripes too, or no stripe size",
        Kind::Usage,
    );
    says(
        refused(&model, &unit(Some(2), 8 * MIB)),
        "cannot create volume data/a: a stripe unit of 8 MiB is not possible, \
         it is a power of two from 4 KiB to 16 MiB that divides the extent of 4 MiB; nothing was written; give another \
         stripe size",
        Kind::Refused,
    );
    says(
        refused(&model, &make("a", Size::Exactly(Bytes(u64::MAX)), None, &[])),
        "cannot create volume data/a: the size \
         is past all disks; nothing was written; give a smaller size",
        Kind::Refused,
    );
    model.freed = vec![freed(1, 0, 7, 4)];
    model.container.holders.push(holder(2, 1, 3, false));
    assert!(
        refused(&model, &make("a", mib(12), None, &[]))
            .0
            .contains("disk 2 has 2; 7 more wait until every holder lets go")
    );
    assert!(
        refused(&model, &make("a", Size::PercentFree(100), Some(2), &[]))
            .0
            .contains("2 stripes need 2 disks with 1")
    );
}

#[test]
fn too_many_pieces_are_refused() {
    let mut model = container(&[20_000]);
    model.freed = (0..10_000).map(|nth| freed(1, 2 * nth, 1, 9)).collect();
    let many = refused(&model, &make("a", mib(4 * 5000), None, &[]));
    says(
        many,
        "cannot create volume data/a: it would lie in 5000 pieces and 4096 is the most; nothing was written; \
         delete volumes around it, or add a disk",
        Kind::Refused,
    );
}

#[test]
fn a_volume_grows_to_or_by() {
    let model = next(&container(&[10, 10]), &make("a", mib(8), None, &[]));
    let grown = twice(&model, &grow("a", to(mib(13))));
    assert_eq!(
        grown.change.text,
        "expanded volume a from 8 MiB to 16 MiB (13 MiB rounded up to whole extents)"
    );
    assert_eq!(size_of(&next(&model, &grow("a", Resize::Grow(mib(5)))), "a"), 16);
    assert_eq!(size_of(&next(&model, &grow("a", Resize::Grow(Size::PercentFree(50)))), "a"), 8 + 36);
    already(&model, &grow("a", to(mib(5))));
    says(
        refused(&grown, &grow("a", to(mib(8)))),
        "cannot expand volume data/a: it has 16 MiB, more than 8 MiB; nothing \
         was written; use 'evms volume shrink' if that is meant",
        Kind::Refused,
    );
    says(
        refused(&model, &grow("b", to(mib(8)))),
        "cannot expand volume data/b: there is no such volume; nothing was \
         written; 'evms list volumes' shows what there is",
        Kind::NotFound,
    );
    says(
        refused(&model, &grow("a", to(Size::PercentFree(9)))),
        "cannot expand volume data/a: a share of the free space \
         is no size to grow or shrink to; nothing was written; write a size as in 10G, or +50%FREE to grow",
        Kind::Usage,
    );
    says(
        refused(&model, &grow("a", Resize::Shrink(mib(4)))),
        "cannot expand volume data/a: the size asks for the \
         opposite, which is 'volume shrink'; nothing was written; use that verb if it is meant",
        Kind::Usage,
    );
    assert!(
        refused(&model, &grow("a", Resize::Grow(mib(73))))
            .0
            .contains("needs 19 free extents and there are 18:")
    );
    assert!(
        refused(&model, &grow("a", Resize::Grow(Size::Exactly(Bytes(u64::MAX)))))
            .0
            .contains("past all disks")
    );
    let only = Request::VolumeExpand { name: name("a"), size: to(mib(12)), on: on(&[2]) };
    assert_eq!(next(&model, &only).regions[0].columns[0][1].disk, disk(2));
    let striped = next(&model, &make("s", mib(8), Some(2), &[]));
    let full = next(&striped, &grow("s", Resize::Grow(Size::PercentFree(100))));
    assert_eq!(size_of(&full, "s"), 8 + 2 * 4 * 7);
    assert!(
        refused(&full, &grow("s", Resize::Grow(Size::PercentFree(100))))
            .0
            .contains("2 stripes need 2 disks with 1 ")
    );
}

#[test]
fn a_volume_smaller_than_its_region_grows_into_it() {
    let mut model = next(&container(&[10]), &make("a", mib(12), None, &[]));
    model.volumes[0].size = Sectors(2 * fixture::EXTENT + 8);
    let grown = next(&model, &grow("a", to(mib(12))));
    assert_eq!((size_of(&grown, "a"), &grown.regions), (12, &model.regions));
    let cut = next(&model, &cut("a", to(mib(8)), Content::Empty, None));
    assert_eq!((size_of(&cut, "a"), cut.freed[0]), (8, freed(1, 2, 1, 6)));
}

#[test]
fn a_volume_shrinks_only_when_nothing_is_lost_unasked() {
    let model = next(&container(&[10, 10]), &make("a", mib(16), None, &[]));
    let empty = twice(&model, &cut("a", to(mib(7)), Content::Empty, None));
    assert_eq!((size_of(&empty, "a"), &empty.freed), (8, &vec![freed(1, 2, 2, 6)]));
    assert_eq!(empty.change.text, "shrunk volume a from 16 MiB to 8 MiB (7 MiB rounded up to whole extents)");
    let states = |mib| Content::FileSystem { name: "ext4".into(), size: Bytes(mib * MIB) };
    assert!(ask(&model, &cut("a", to(mib(8)), states(8), None)).is_ok());
    for consent in [None, Some(8)] {
        says(
            refused(&model, &cut("a", to(mib(8)), states(9), consent)),
            "cannot shrink volume data/a: the ext4 on it \
             states 9 MiB and the volume would have 8 MiB; nothing was written; shrink the file system first",
            Kind::Refused,
        );
    }
    let unknown = |size, consent| cut("a", Resize::Shrink(mib(size)), Content::Unknown, consent);
    says(
        refused(&model, &unknown(8, None)),
        "cannot shrink volume data/a: what is on it is not known and all beyond 8 \
         MiB would be lost; nothing was written; say --lose-data-beyond with the new size if that is meant",
        Kind::Refused,
    );
    for consent in [0, 4, 9, 16] {
        let words = format!(
            "the consent is to lose what is beyond {} and the volume would have 8 MiB",
            Bytes(consent * MIB).human()
        );
        assert!(refused(&model, &unknown(8, Some(consent))).0.contains(&words));
    }
    assert_eq!(size_of(&next(&model, &unknown(8, Some(8))), "a"), 8);
    assert_eq!(
        size_of(&next(&model, &unknown(10, Some(6))), "a"),
        8,
        "asked size and consent are rounded alike"
    );
}

#[test]
fn a_volume_does_not_shrink_the_wrong_way() {
    let model = next(&container(&[10, 10]), &make("a", mib(16), Some(2), &[]));
    let refused = |size| refused(&model, &cut("a", size, Content::Empty, None));
    says(
        refused(to(mib(20))),
        "cannot shrink volume data/a: it has 16 MiB, less than 24 MiB; nothing was written; use \
         'evms volume expand' if that is meant",
        Kind::Refused,
    );
    says(
        refused(Resize::Shrink(mib(16))),
        "cannot shrink volume data/a: nothing of its 16 MiB would be left; nothing was \
         written; use 'evms volume delete' if that is meant",
        Kind::Refused,
    );
    assert_eq!(refused(Resize::Shrink(mib(17))), refused(Resize::Shrink(mib(16))));
    assert!(refused(Resize::Grow(mib(4))).0.contains("the opposite, which is 'volume expand'"));
    assert_eq!(refused(Resize::Shrink(Size::PercentFree(5))).1, Kind::Usage);
    assert_eq!(super::refused(&model, &cut("b", to(mib(4)), Content::Empty, None)).1, Kind::NotFound);
    already(&model, &cut("a", Resize::Shrink(mib(7)), Content::Empty, None));
    assert_eq!(size_of(&next(&model, &cut("a", Resize::Shrink(mib(8)), Content::Empty, None)), "a"), 8);
}

#[test]
fn names_change_and_volumes_go_once() {
    let model = next(&next(&container(&[10]), &make("a", mib(8), None, &[])), &make("b", mib(4), None, &[]));
    let renamed = twice(&model, &rename("a", "c"));
    assert_eq!(
        renamed.volume(&name("c")).map(|volume| volume.id),
        model.volume(&name("a")).map(|volume| volume.id)
    );
    already(&model, &rename("a", "a"));
    says(
        refused(&model, &rename("a", "b")),
        "cannot rename volume data/a: another volume is named b; nothing was \
         written; choose another name",
        Kind::Refused,
    );
    assert_eq!(refused(&model, &rename("x", "y")).1, Kind::NotFound);
    assert_eq!(refused(&model, &rename("x", "x")).1, Kind::NotFound);
    let gone = twice(&model, &delete("a"));
    assert_eq!(
        (gone.volumes.len(), gone.regions.len(), gone.freed.as_slice()),
        (1, 1, &[freed(1, 0, 2, 6)][..])
    );
    assert_eq!(already(&gone, &delete("a")), "there is no volume a in data (nothing to delete)");
}

#[test]
fn the_sole_holder_confirms_and_gets_its_extents_back() {
    let full = next(&container(&[2]), &make("a", mib(8), None, &[]));
    assert_eq!(full.container.holders, [holder(1, 1, 5, false)]);
    let gone = next(&full, &delete("a"));
    let again =
        |who, order| plan(&gone, order, &make("b", mib(8), None, &[]), &who, &mut Dice::from_number(2));
    assert!(again(asker(1, 1), at(6)).is_ok(), "a later plan runs the tables of generation 6");
    assert!(again(asker(1, 2), at(6)).is_ok(), "so does the next life of the machine");
    assert!(again(asker(1, 1), at(5)).is_err(), "not the plan that frees them");
    let mut held = gone.clone();
    held.container.holders.push(holder(2, 1, 5, false));
    assert!(
        plan(&held, at(6), &make("b", mib(8), None, &[]), &asker(1, 1), &mut Dice::from_number(2)).is_err()
    );
}

#[test]
fn one_of_several_holders_does_not_confirm_by_asking() {
    let mut private = container(&[4]);
    private.container.holders = vec![holder(1, 1, 3, false), holder(2, 1, 1, false)];
    let mut shared = private.clone();
    (shared.container.kind, shared.container.owner) = (ContainerKind::Shared, None);
    for model in [private, shared] {
        let mut confirmed: Vec<u64> = next(&model, &make("a", mib(4), None, &[]))
            .container
            .holders
            .iter()
            .map(|h| h.confirmed.0)
            .collect();
        confirmed.sort_unstable();
        assert_eq!(confirmed, [1, 3]);
        let mut sole = model;
        sole.container.holders[1].expelled = true;
        let holders = next(&sole, &make("a", mib(4), None, &[])).container.holders;
        assert!(holders.contains(&holder(1, 1, 5, false)) && holders.contains(&holder(2, 1, 1, true)));
    }
}
