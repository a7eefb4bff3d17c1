//! Tests: what every region manager must keep to.

use std::collections::BTreeSet;

use super::*;
use crate::base::dice::Dice;
use crate::base::id::{DiskNumber, RegionId};
use crate::base::units::{KIB, MIB};
use crate::format::label::Label;
use crate::format::layout::End;
use crate::format::model::Model;
use crate::volume::alloc::FreeSpace;
use crate::volume::lines::{DmLine, DmWord, Geometry};
use crate::volume::plan::fixture::{self, EXTENT};
use region::{Decline, Flaw, RegionManager, Shape};

fn shape(columns: u16, chunk: Option<u64>) -> Shape {
    Shape { columns, chunk: chunk.map(Bytes) }
}

fn free(model: &Model) -> FreeSpace {
    FreeSpace::of(model, crate::base::epoch::Generation(1))
}

fn run(disk: u16, start: u64, count: u64) -> Run {
    Run { disk: DiskNumber(disk), start: Extents(start), count: Extents(count) }
}

fn region(shape: &Shape, length: u64, free: &mut FreeSpace) -> Result<Region, Decline> {
    let (plugin, manager) = for_shape(shape, Sectors(EXTENT))?;
    let made = manager.make(shape, Extents(length), free)?;
    Ok(Region { id: RegionId([1; 16]), plugin, params: made.params, columns: made.columns })
}

fn validate(region: &Region) -> Result<(), Flaw> {
    manager(region).unwrap().validate(region, Sectors(EXTENT))
}

#[test]
fn the_table_names_everyone_once() {
    let ids: BTreeSet<u16> = TABLE.iter().map(|plugin| plugin.id()).collect();
    let names: BTreeSet<&str> = TABLE.iter().map(|plugin| plugin.name()).collect();
    assert_eq!((ids.len(), names.len()), (TABLE.len(), TABLE.len()));
    for plugin in TABLE {
        assert!(by_id(plugin.id()).is_some_and(|found| found.name() == plugin.name()));
        assert_eq!(plugin.id() / 16, plugin.layer() as u16, "{}", plugin.name());
        // One byte in a model; `LINEAR_VOLUME_BYTES_MAX` counts on it.
        assert!(plugin.id() < 128 && !plugin.makes().is_empty());
        assert_eq!(plugin.region_manager().is_some(), plugin.layer() == Layer::RegionManager);
    }
    assert!(of_layer(Layer::RegionManager).count() >= 2);
    assert!(by_id(0).is_none());
}

#[test]
fn every_shape_has_one_manager_or_a_reason() {
    let choose = |columns, chunk| {
        for_shape(&shape(columns, chunk), Sectors(EXTENT)).map(|(id, _)| by_id(id).unwrap().name())
    };
    assert_eq!(choose(1, None), Ok("linear"));
    assert_eq!(choose(2, None), Ok("stripe"));
    assert_eq!(choose(1, Some(64 * KIB)), Err(Decline::UnitWithoutStripes(Bytes(64 * KIB))));
    for columns in [0, 65] {
        assert_eq!(choose(columns, None), Err(Decline::StripeCount(columns)));
    }
    for bad in [0, 2 * KIB, 96 * KIB, 8 * MIB, 32 * MIB] {
        assert_eq!(
            choose(2, Some(bad)),
            Err(Decline::StripeUnit { unit: Bytes(bad), extent: Bytes(4 * MIB) })
        );
    }
}

#[test]
fn a_linear_region_takes_what_continues_it_first() {
    let model = fixture::container(&[10, 10]);
    let mut free = free(&model);
    let linear = region(&shape(1, None), 4, &mut free).unwrap();
    assert_eq!(linear.columns, [[run(1, 0, 4)]]);
    let columns = manager(&linear).unwrap().grow(&linear, Extents(8), &mut free).unwrap();
    assert_eq!(columns, [[run(1, 0, 10), run(2, 0, 2)]]);
    let grown = Region { columns, ..linear };
    let cut = manager(&grown).unwrap().shrink(&grown, Extents(3)).unwrap();
    assert_eq!((cut.columns, cut.freed), (vec![vec![run(1, 0, 3)]], vec![run(1, 3, 7), run(2, 0, 2)]));
    assert_eq!(manager(&grown).unwrap().shrink(&grown, Extents(0)), Err(Decline::NothingLeft));
    let short = manager(&grown).unwrap().grow(&grown, Extents(9), &mut free).unwrap_err();
    assert_eq!(short.to_string(), "it needs 9 free extents and there are 8: disk 1 has 0, disk 2 has 8");
}

#[test]
fn stripes_need_disks_of_their_own() {
    let model = fixture::container(&[7, 2, 5]);
    let two = region(&shape(2, None), 10, &mut free(&model)).unwrap();
    assert_eq!(two.columns, [[run(1, 0, 5)], [run(3, 0, 5)]]);
    let three = region(&shape(3, None), 15, &mut free(&model)).unwrap_err();
    let words = "3 stripes need 3 disks with 5 free extents each: disk 1 has 7, disk 2 has 2, disk 3 has 5";
    assert_eq!(three.to_string(), words);
    let manager = for_shape(&shape(3, None), Sectors(EXTENT)).unwrap().1;
    assert_eq!(manager.capacity(&shape(3, None), &free(&model)), Extents(6));
    assert_eq!(manager.capacity(&shape(4, None), &free(&model)), Extents(0));
}

#[test]
fn stripes_grow_in_place_then_elsewhere_then_both() {
    let model = fixture::container(&[6, 6, 8, 8]);
    let mut all = free(&model);
    let first = Region {
        columns: vec![vec![run(1, 0, 4)], vec![run(2, 0, 4)]],
        ..region(&shape(2, None), 2, &mut all).unwrap()
    };
    let mut all = free(&model);
    all.take_on(DiskNumber(1), Extents(4)).unwrap();
    all.take_on(DiskNumber(2), Extents(4)).unwrap();
    let grow = |by| manager(&first).unwrap().grow(&first, Extents(by), &mut all.clone());
    assert_eq!(grow(4).unwrap(), [[run(1, 0, 6)], [run(2, 0, 6)]]);
    assert_eq!(grow(16).unwrap(), [[run(1, 0, 4), run(3, 0, 8)], [run(2, 0, 4), run(4, 0, 8)]]);
    assert_eq!(grow(20).unwrap(), [[run(1, 0, 6), run(3, 0, 8)], [run(2, 0, 6), run(4, 0, 8)]]);
    assert_eq!(manager(&first).unwrap().can_grow(&first, &all), Extents(20));
    assert!(matches!(grow(22), Err(Decline::NoColumns { each: Extents(11), .. })));
    let grown = Region { columns: grow(20).unwrap(), ..first.clone() };
    let cut = manager(&grown).unwrap().shrink(&grown, Extents(6)).unwrap();
    assert_eq!(cut.columns, [[run(1, 0, 3)], [run(2, 0, 3)]]);
    assert_eq!(cut.freed, [run(1, 3, 3), run(3, 0, 8), run(2, 3, 3), run(4, 0, 8)]);
    assert_eq!(manager(&grown).unwrap().shrink(&grown, Extents(1)), Err(Decline::NothingLeft));
}

#[test]
fn regions_that_lie_are_rejected() {
    let model = fixture::container(&[10, 10, 10]);
    let linear = region(&shape(1, None), 4, &mut free(&model)).unwrap();
    let stripe = region(&shape(2, None), 4, &mut free(&model)).unwrap();
    assert_eq!((validate(&linear), validate(&stripe)), (Ok(()), Ok(())));
    let with = |region: &Region, change: &dyn Fn(&mut Region)| {
        let mut region = region.clone();
        change(&mut region);
        validate(&region)
    };
    assert_eq!(with(&linear, &|r| r.params.push(0)), Err(Flaw::Params));
    assert_eq!(with(&linear, &|r| r.columns.push(vec![run(2, 0, 1)])), Err(Flaw::Columns(2)));
    assert_eq!(with(&stripe, &|r| r.params.push(0)), Err(Flaw::Params));
    assert_eq!(with(&stripe, &|r| r.params.clear()), Err(Flaw::Params));
    assert_eq!(with(&stripe, &|r| r.params = vec![7]), Err(Flaw::Unit(Sectors(7))));
    assert_eq!(with(&stripe, &|r| drop(r.columns.pop())), Err(Flaw::Columns(1)));
    assert_eq!(with(&stripe, &|r| r.columns[0][0].count.0 += 1), Err(Flaw::Unequal));
    assert_eq!(
        with(&stripe, &|r| r.columns[0][0].disk = r.columns[1][0].disk),
        Err(Flaw::SameDisk(DiskNumber(2)))
    );
    // Side by side counts, one after the other does not.
    let crossed = |second: u16| vec![vec![run(1, 0, 2), run(2, 5, 2)], vec![run(2, 0, 2), run(second, 5, 2)]];
    assert_eq!(with(&stripe, &|r| r.columns = crossed(1)), Ok(()));
    assert_eq!(with(&stripe, &|r| r.columns = crossed(2)), Err(Flaw::SameDisk(DiskNumber(2))));
    let long = |r: &mut Region| r.columns = vec![vec![run(1, 0, 2)], vec![run(2, 0, 1), run(1, 5, 1)]];
    assert_eq!(with(&stripe, &long), Err(Flaw::SameDisk(DiskNumber(1))));
}

/// What the kernel does with a sector: dm-linear and dm-striped by their documentation.
fn kernel(lines: &[DmLine], sector: u64) -> Option<(DiskNumber, Sectors)> {
    let line = lines.iter().find(|line| (line.start.0..line.start.0 + line.length.0).contains(&sector))?;
    let at = sector - line.start.0;
    let place = |word: &DmWord, more: u64| match *word {
        DmWord::Place(disk, start) => Some((disk, Sectors(start.0 + more))),
        DmWord::Number(_) => None,
    };
    match (line.target, line.words.as_slice()) {
        ("linear", [word]) => place(word, at),
        ("striped", [DmWord::Number(count), DmWord::Number(unit), words @ ..]) => {
            assert_eq!((words.len() as u64, line.length.0 % (count * unit)), (*count, 0));
            let chunk = at / unit;
            place(&words[(chunk % count) as usize], chunk / count * unit + at % unit)
        }
        _ => None,
    }
}

/// Grows and shrinks a region by dice; what it maps must stay, and the lines must say the same.
fn live(columns: u16, seed: u64) {
    let model = fixture::container(&[40, 40, 40, 40]);
    let (geometry, mut dice) = (Geometry::of(&model), Dice::from_number(seed));
    let mut space = free(&model);
    for disk in 1..=4 {
        // Holes make bands.
        let taken = space.take_on(DiskNumber(disk), Extents(9)).unwrap();
        assert_eq!(taken.len(), 1);
    }
    let shape = shape(columns, (columns > 1).then_some(64 * KIB));
    let mut region = region(&shape, u64::from(columns), &mut space).unwrap();
    let manager = manager(&region).unwrap();
    for _ in 0..12 {
        let before = region.clone();
        let length = manager.length(&region).0;
        if dice.below(3) > 0 {
            let by = Extents(u64::from(columns) * (1 + dice.below(6)));
            let others = space.by_disk()[dice.below(4) as usize].0;
            let limited = space.clone().without(&[others]);
            let mut source = if dice.below(2) == 0 { limited } else { space.clone() };
            let Ok(columns) = manager.grow(&region, by, &mut source) else { continue };
            region.columns = columns;
            let grown = crate::volume::runs::subtract(region.columns.concat(), before.columns.concat());
            assert_eq!(crate::volume::runs::total(&grown), by);
            for run in grown {
                assert_eq!(space.take_exactly(run), Some(()), "grown into what was free");
            }
        } else if length > u64::from(columns) {
            let keep = u64::from(columns) * (1 + dice.below(length / u64::from(columns)));
            region.columns = manager.shrink(&region, Extents(keep)).unwrap().columns;
        }
        same_places(manager, &before, &region, &geometry, &mut dice);
    }
}

fn same_places(
    manager: &dyn RegionManager,
    old: &Region,
    new: &Region,
    geometry: &Geometry,
    dice: &mut Dice,
) {
    assert_eq!(validate(new), Ok(()));
    let lines = manager.lines(new, geometry).unwrap();
    let length = |region: &Region| manager.length(region).0 * EXTENT;
    assert_eq!(lines.iter().map(|line| line.length.0).sum::<u64>(), length(new));
    for _ in 0..60 {
        let sector = dice.below(length(new) + 5);
        let place = manager.map(new, Sectors(sector), geometry);
        assert_eq!(place, kernel(&lines, sector), "sector {sector} of {new:?}");
        assert_eq!(place.is_some(), sector < length(new));
        if sector < length(old).min(length(new)) {
            assert_eq!(place, manager.map(old, Sectors(sector), geometry), "sector {sector} moved");
        }
    }
}

#[test]
fn no_sector_moves_and_the_lines_say_where_it_is() {
    for seed in 0..40 {
        live(1 + (seed % 4) as u16, seed);
    }
}

#[test]
fn csm_claims_by_either_label_and_cuts_the_whole_disk() {
    let model = fixture::container(&[10]);
    let label = Label {
        features: Default::default(),
        container: model.container.id,
        disk: model.table.disks[0].id,
        number: DiskNumber(1),
        logical_block: 512,
        nodes: 64,
        size: Sectors(200_001),
        created: Default::default(),
        wwid: String::new(),
        areas: vec![],
        extension: vec![],
    };
    let size = Bytes(200_001 * 512);
    let mut head = vec![0; 8192];
    head[4096..].copy_from_slice(&label.encode(End::Primary).unwrap());
    let mut tail = vec![0; 12288 + 512];
    tail[4096..8192].copy_from_slice(&label.encode(End::Secondary).unwrap());
    let blank = [0; 8192];
    let probe = |head: &[u8], tail: &[u8]| csm::Csm.probe(&Look { size, head, tail });
    assert_eq!(probe(&head, &blank).unwrap().size, Some(size));
    assert_eq!(probe(&blank, &tail), probe(&head, &tail));
    assert_eq!((probe(&blank, &blank), probe(&[], &[])), (None, None));

    let segments = csm::segments(&model.table.disks[0], Sectors(EXTENT), size);
    let lengths: Vec<u64> = segments.iter().map(|segment| segment.length.0).collect();
    assert_eq!(lengths, [32_768, 10 * EXTENT, 200_001 - 32_768 - 10 * EXTENT]);
    assert_eq!(
        csm::segments(&model.table.disks[0], Sectors(EXTENT), Bytes(512)).len(),
        1,
        "a disk that shrank"
    );
}
