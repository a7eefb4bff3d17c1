//! Tests: every law of a model, broken on purpose.

use super::*;
use crate::base::dice::Dice;
use crate::base::epoch::Generation;
use crate::base::id::{ContainerId, Incarnation, NodeUuid};
use crate::base::units::MIB;
use crate::format::model::{DiskState, Freed, Holder, OldSet, Owner};
use crate::format::section::Section;
use crate::volume::alloc::{self, FreeSpace};
use crate::volume::graph::{ContainerView, Graph};
use crate::volume::lines::Geometry;
use crate::volume::plan::fixture::{self, EXTENT, name};

/// Two volumes on three disks, and extents in quarantine.
fn lawful() -> Model {
    let mut model = fixture::container(&[10, 10, 10]);
    fixture::volume(&mut model, "a", 12 * MIB, 1);
    fixture::volume(&mut model, "b", 16 * MIB, 2);
    model.freed.push(Freed { run: run(3, 8, 2), generation: Generation(2) });
    model
}

fn run(disk: u16, start: u64, count: u64) -> Run {
    Run { disk: DiskNumber(disk), start: Extents(start), count: Extents(count) }
}

/// Both ways of looking at a model that was changed.
fn broken(change: impl Fn(&mut Model)) -> Broken {
    let mut model = lawful();
    change(&mut model);
    let first = laws(&model).unwrap_err();
    assert!(all(&model).contains(&first));
    assert!(!first.to_string().is_empty());
    first
}

#[test]
fn a_planned_model_is_lawful() {
    assert_eq!(laws(&lawful()), Ok(()));
    assert_eq!(all(&lawful()), []);
}

#[test]
fn what_is_counted_is_limited() {
    let too_many = |change: &dyn Fn(&mut Model)| match broken(change) {
        Broken::TooMany { what, count, most } => {
            assert_eq!(count, most + 1);
            what
        }
        other => panic!("{other}"),
    };
    let disks = |state: DiskState, count: usize| {
        move |m: &mut Model| {
            let disk = m.table.disks[0].clone();
            m.table.disks.extend((0..count).map(|_| Disk { state, ..disk.clone() }));
        }
    };
    assert_eq!(too_many(&disks(DiskState::In, DISKS_MAX - 2)), "disks");
    assert_eq!(
        too_many(&disks(DiskState::Released(Generation(1)), RELEASED_DISKS_MAX + 1)),
        "disks that were removed"
    );
    let old = |m: &mut Model| {
        m.table.old_set = Some(OldSet { disks: vec![DiskNumber(1); DISKS_MAX + 1], first: DiskNumber(1) });
    };
    assert_eq!(too_many(&old), "disks in the old set");
    let holder = |m: &Model| m.container.holders[0].clone();
    assert_eq!(too_many(&|m| m.container.holders = vec![holder(m); HOLDERS_MAX + 1]), "holders");
    assert_eq!(too_many(&|m| m.regions = vec![m.regions[0].clone(); VOLUMES_MAX + 1]), "regions");
    assert_eq!(too_many(&|m| m.volumes = vec![m.volumes[0].clone(); VOLUMES_MAX + 1]), "volumes");
    assert_eq!(too_many(&|m| m.freed = vec![m.freed[0]; FREED_RUNS_MAX + 1]), "freed runs");
    let text = "bytes in the sentence about its last change";
    assert_eq!(too_many(&|m| m.change.text = "x".repeat(CHANGE_TEXT_BYTES_MAX + 1)), text);
    let section = Section { kind: 77, version: 1, flags: 0, bytes: vec![] };
    assert_eq!(
        too_many(&|m| m.unknown = vec![section.clone(); SECTIONS_MAX - SECTIONS_KNOWN + 1]),
        "sections"
    );
    assert_eq!(too_many(&|m| m.table.disks[1].wwid = "w".repeat(WWID_BYTES_MAX + 1)), "bytes in a WWID");
    let runs = |m: &mut Model| m.regions[0].columns[0] = vec![run(1, 0, 1); RUNS_PER_REGION_MAX + 1];
    assert_eq!(too_many(&runs), "runs in a region");
}

#[test]
fn a_container_is_somebodys_or_nobodys() {
    let owner = Owner { node: NodeUuid([1; 16]), name: None };
    assert_eq!(broken(|m| m.container.id = ContainerId::NONE), Broken::NoIdentity(Whose::Container));
    assert_eq!(broken(|m| m.container.kind = ContainerKind::Shared), Broken::OwnerOf(ContainerKind::Shared));
    let deport = |m: &mut Model| (m.container.kind, m.container.owner) = (ContainerKind::Deported, None);
    assert_eq!(broken(deport), Broken::HeldButDeported(1));
    let nobody = Some(Owner { node: NodeUuid::NONE, ..owner.clone() });
    assert_eq!(broken(|m| m.container.owner = nobody.clone()), Broken::NoIdentity(Whose::Owner));
    let no_life = |m: &mut Model| m.container.holders[0].incarnation = Incarnation::NONE;
    assert_eq!(broken(no_life), Broken::NoIdentity(Whose::Holder));
    let twice = |m: &mut Model| {
        let holder = m.container.holders[0].clone();
        m.container.holders.push(Holder { expelled: true, ..holder });
    };
    assert_eq!(broken(twice), Broken::HolderTwice(NodeUuid([1; 16])));
    for extent in [0, 1024, EXTENT + 8, u64::MAX, 1024 * 2048 + 2048] {
        assert_eq!(broken(|m| m.container.extent = Sectors(extent)), Broken::Extent(Sectors(extent)));
    }
}

#[test]
fn disks_are_numbered_once_and_lie_on_the_grid() {
    let number = |number| Broken::DiskNumber { number: DiskNumber(number), next: 4 };
    assert_eq!(broken(|m| m.table.disks[2].number = DiskNumber(4)), number(4));
    let highest = |m: &mut Model| {
        m.table.next_number = u16::MAX;
        m.table.disks[2].number = DiskNumber(u16::MAX);
    };
    assert!(matches!(broken(highest), Broken::DiskNumber { .. }));
    assert_eq!(
        broken(|m| m.table.disks[1].number = DiskNumber(1)),
        Broken::Twice(Whose::Disk(DiskNumber(1)))
    );
    assert!(matches!(broken(|m| m.table.disks[1].id = m.table.disks[0].id), Broken::Twice(Whose::Disk(_))));
    let blank = |m: &mut Model| m.table.disks[0].id = DiskId::NONE;
    assert_eq!(broken(blank), Broken::NoIdentity(Whose::Disk(DiskNumber(1))));
    for bytes in [0, 256, 1000, 8192] {
        let block = |m: &mut Model| m.table.disks[0].logical_block = bytes;
        assert_eq!(broken(block), Broken::LogicalBlock { disk: DiskNumber(1), bytes });
    }
    for start in [0, 2049, u64::MAX - 2047] {
        assert_eq!(broken(|m| m.table.disks[0].data_start = Sectors(start)), Broken::DataArea(DiskNumber(1)));
    }
    let endless = |m: &mut Model| m.table.disks[0].extents = Extents(u64::MAX);
    assert_eq!(broken(endless), Broken::DataArea(DiskNumber(1)));
    assert_eq!(broken(|m| m.table.disks.clear()), Broken::NoDisks);
}

#[test]
fn the_sets_of_disks_make_sense() {
    assert_eq!(broken(|m| m.table.first = DiskNumber(9)), Broken::FirstMark(DiskNumber(9)));
    let released = |m: &mut Model| {
        m.freed.clear();
        m.table.disks[2].state = DiskState::Released(Generation(2));
        m.table.first = DiskNumber(3);
    };
    assert_eq!(broken(released), Broken::FirstMark(DiskNumber(3)));
    let old = |disks: &[u16], first| {
        let disks = disks.iter().copied().map(DiskNumber).collect();
        move |m: &mut Model| {
            m.table.old_set = Some(OldSet { disks: Vec::clone(&disks), first: DiskNumber(first) })
        }
    };
    assert_eq!(broken(old(&[1, 2], 3)), Broken::OldSet(DiskNumber(3)));
    assert_eq!(broken(old(&[], 1)), Broken::OldSet(DiskNumber(1)));
    assert_eq!(broken(old(&[1, 8], 1)), Broken::OldSet(DiskNumber(8)));
    assert_eq!(broken(old(&[1, 2, 2], 1)), Broken::OldSet(DiskNumber(2)));
    let mut model = lawful();
    old(&[1, 2], 2)(&mut model);
    assert_eq!(laws(&model), Ok(()));
}

#[test]
fn regions_are_as_their_plugins_make_them() {
    let id = lawful().regions[0].id;
    assert_eq!(broken(|m| m.regions[0].plugin = 0x7777), Broken::Plugin { region: id, plugin: 0x7777 });
    assert_eq!(broken(|m| m.regions[0].plugin = 0x21), Broken::Plugin { region: id, plugin: 0x21 });
    assert_eq!(broken(|m| m.regions[0].params.push(1)), Broken::Flaw { region: id, flaw: Flaw::Params });
    assert_eq!(broken(|m| m.regions[0].columns[0].clear()), Broken::EmptyColumn(id));
    assert_eq!(
        broken(|m| m.regions[0].id = RegionId::NONE),
        Broken::NoIdentity(Whose::Region(RegionId::NONE))
    );
    assert_eq!(broken(|m| m.regions[1].id = id), Broken::Twice(Whose::Region(id)));
}

#[test]
fn every_extent_is_on_a_member_and_belongs_to_one() {
    let id = lawful().regions[0].id;
    for stray in [run(9, 0, 1), run(3, 0, 1)] {
        let change = |m: &mut Model| {
            m.freed.clear();
            m.table.disks[2].state = DiskState::Released(Generation(2));
            m.regions[0].columns[0].push(stray);
        };
        assert_eq!(broken(change), Broken::RunNowhere { run: stray, whose: Whose::Region(id) });
    }
    for stray in [run(3, 10, 1), run(3, 5, 6), run(3, 5, 0), run(3, u64::MAX, 1)] {
        let outside = |whose| Broken::RunOutside { run: stray, whose, extents: Extents(10) };
        assert_eq!(broken(|m| m.regions[0].columns[0].push(stray)), outside(Whose::Region(id)));
        let freed = Freed { run: stray, generation: Generation(1) };
        assert_eq!(broken(|m| m.freed.push(freed)), outside(Whose::Freed));
    }
    let overlap = |change: &dyn Fn(&mut Model)| match broken(change) {
        Broken::Overlap { disk, extent, .. } => (disk.0, extent.0),
        other => panic!("{other}"),
    };
    assert_eq!(overlap(&|m| m.regions[0].columns[0].push(run(3, 9, 1))), (3, 9), "region and freed");
    assert_eq!(overlap(&|m| m.regions[0].columns[0].push(run(1, 2, 1))), (1, 2), "one region with itself");
    let freed = |m: &mut Model| m.freed.push(Freed { run: run(3, 9, 1), generation: Generation(1) });
    assert_eq!(overlap(&freed), (3, 9), "freed twice");
    let swallowed = |m: &mut Model| {
        m.freed = [run(3, 2, 8), run(3, 3, 1), run(3, 5, 1)]
            .map(|run| Freed { run, generation: Generation(1) })
            .into();
    };
    assert_eq!(overlap(&swallowed), (3, 3));
    let mut model = lawful();
    swallowed(&mut model);
    assert_eq!(all(&model).len(), 2, "a long run does not hide behind a short one");
}

#[test]
fn a_volume_stands_on_a_region_of_its_own_that_holds_it() {
    assert_eq!(broken(|m| drop(m.regions.remove(0))), Broken::VolumeOnNothing(name("a")));
    let room = Sectors(3 * EXTENT);
    for size in [Sectors(3 * EXTENT + 1), Sectors::ZERO] {
        assert_eq!(broken(|m| m.volumes[0].size = size), Broken::VolumeSize { name: name("a"), size, room });
    }
    let shared = |m: &mut Model| m.volumes[1].on = m.volumes[0].on;
    assert!(matches!(
        broken(|m| {
            shared(m);
            m.volumes[1].size = room
        }),
        Broken::SharedRegion(_)
    ));
    assert_eq!(broken(|m| m.volumes[1].name = name("a")), Broken::VolumeName(name("a")));
    assert!(matches!(broken(|m| m.volumes[1].id = m.volumes[0].id), Broken::Twice(Whose::Volume(_))));
    assert!(matches!(broken(|m| m.volumes[1].id = VolumeId::NONE), Broken::NoIdentity(Whose::Volume(_))));
    let mut model = lawful();
    model.volumes.remove(0);
    assert_eq!(laws(&model), Ok(()), "a region may stand alone");
}

/// A number as a hostile disk would have it.
fn nasty(dice: &mut Dice) -> u64 {
    match dice.below(6) {
        0 => 0,
        1 => u64::MAX,
        2 => u64::MAX - dice.below(10_000),
        3 => 1 << dice.below(64),
        4 => dice.below(12),
        _ => dice.number(),
    }
}

fn spoil(model: &mut Model, dice: &mut Dice) {
    let run = Run {
        disk: DiskNumber(dice.below(5) as u16),
        start: Extents(nasty(dice)),
        count: Extents(nasty(dice)),
    };
    let region = dice.below(2) as usize;
    match dice.below(12) {
        0 => model.regions[region].columns.iter_mut().for_each(|column| column.push(run)),
        1 => model.regions[region].columns.push(vec![run]),
        2 => model.regions[region].columns.clear(),
        3 => model.regions[region].columns.iter_mut().for_each(Vec::clear),
        4 => model.regions[region].params = dice.bytes16()[..dice.below(10) as usize].to_vec(),
        5 => model.regions[region].plugin = [0x31, 0x32, 0x21, 0][dice.below(4) as usize],
        6 => model.freed.push(Freed { run, generation: Generation(nasty(dice)) }),
        7 => model.table.disks[dice.below(3) as usize].extents = Extents(nasty(dice)),
        8 => model.table.disks[dice.below(3) as usize].data_start = Sectors(nasty(dice)),
        9 => model.container.extent = Sectors(nasty(dice)),
        10 => model.volumes[region].size = Sectors(nasty(dice)),
        _ => model.table.disks[0].number = DiskNumber(nasty(dice) as u16),
    }
}

/// Every view of a model that `evms list`, `info` and `check` show, of models that nobody has checked.
#[test]
fn hostile_models_are_looked_at_without_panic() {
    let mut dice = Dice::from_number(4);
    for _ in 0..4000 {
        let mut model = lawful();
        (0..1 + dice.below(3)).for_each(|_| spoil(&mut model, &mut dice));
        assert_eq!(laws(&model).err(), all(&model).into_iter().next());
        let at = Generation(nasty(&mut dice));
        let free = FreeSpace::of(&model, at);
        alloc::usage(&model, at);
        let geometry = Geometry::of(&model);
        for region in &model.regions {
            let Some(manager) = plugins::manager(region) else { continue };
            manager.lines(region, &geometry);
            manager.map(region, Sectors(nasty(&mut dice)), &geometry);
            let _ = manager.shape(region);
            let _ = manager.shrink(region, Extents(nasty(&mut dice)));
            let _ = manager.grow(region, Extents(nasty(&mut dice)), &mut free.clone());
            manager.can_grow(region, &free);
        }
        let view = ContainerView { model: &model, generation: at, states: vec![] };
        Graph::build(&[], &[view]);
    }
}
