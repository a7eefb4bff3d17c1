//! Tests: who gets which extents, and what quarantine withholds.

use super::*;
use crate::base::id::{Incarnation, NodeUuid};
use crate::base::small_map::SmallMap;
use crate::format::model::Holder;
use crate::volume::plan::fixture;

fn run(disk: u16, start: u64, count: u64) -> Run {
    Run { disk: DiskNumber(disk), start: Extents(start), count: Extents(count) }
}

fn holder(node: u8, confirmed: u64, expelled: bool) -> Holder {
    let incarnation = Incarnation([node; 16]);
    Holder {
        node: NodeUuid([node; 16]),
        incarnation,
        confirmed: Generation(confirmed),
        expelled,
        watchdog_ms: 0,
    }
}

/// Ten extents on disk 1, of which 0 to 3 were freed by generation 5.
fn freed(holders: &[Holder]) -> Model {
    let mut model = fixture::container(&[10]);
    model.freed = vec![Freed { run: run(1, 0, 4), generation: Generation(5) }];
    model.container.holders = holders.to_vec();
    model
}

#[test]
fn freed_extents_wait_for_every_holder_that_was_not_expelled() {
    let free = |holders: &[Holder]| FreeSpace::of(&freed(holders), Generation(9)).total().0;
    assert_eq!(free(&[holder(1, 4, false)]), 6);
    assert_eq!(free(&[holder(1, 5, false)]), 10);
    assert_eq!(free(&[holder(1, 9, false), holder(2, 4, false)]), 6, "the slowest holder counts");
    assert_eq!(free(&[holder(1, 9, false), holder(2, 4, true)]), 10, "an expelled one does not");
    assert_eq!(free(&[]), 10, "nobody holds it");
}

#[test]
fn a_plan_never_gives_out_what_it_frees_itself() {
    for holders in [vec![], vec![holder(1, 5, false)], vec![holder(1, 9, false)]] {
        let free = FreeSpace::of(&freed(&holders), Generation(4));
        assert_eq!(free.total(), Extents(6), "generation 5 is the plan that starts at 4");
    }
}

#[test]
fn absent_and_removed_disks_give_nothing() {
    let mut model = fixture::container(&[10, 10, 10]);
    model.table.disks[0].state = DiskState::AbsentSince(Generation(2));
    model.table.disks[1].state = DiskState::Released(Generation(2));
    let free = FreeSpace::of(&model, Generation(3));
    assert_eq!(free.by_disk(), [(DiskNumber(3), Extents(10))]);
    assert_eq!(free.on(DiskNumber(1)), Extents::ZERO);
    let usage = usage(&model, Generation(3));
    assert_eq!((usage.total.0, usage.free.0, usage.absent.0), (20, 10, 10));
}

/// Free runs as given, on disks of 100 extents.
fn space(free: &[Run]) -> FreeSpace {
    let mut disks: SmallMap<DiskNumber, Vec<Run>> = SmallMap::new();
    free.iter().for_each(|run| disks.or_insert_with(run.disk, Vec::new).push(*run));
    FreeSpace { disks }
}

#[test]
fn the_first_run_that_is_long_enough_is_taken() {
    let mut free = space(&[run(1, 0, 3), run(1, 10, 6), run(2, 0, 50)]);
    assert_eq!(free.take(Extents(5)), Some(vec![run(1, 10, 5)]));
    assert_eq!(free.runs().collect::<Vec<_>>(), [run(1, 0, 3), run(1, 15, 1), run(2, 0, 50)]);
}

#[test]
fn then_one_disk_and_then_few_pieces_are_preferred() {
    let mut one_disk = space(&[run(1, 0, 4), run(2, 0, 3), run(2, 10, 3)]);
    assert_eq!(one_disk.take(Extents(6)), Some(vec![run(2, 0, 3), run(2, 10, 3)]));
    let mut whole = space(&[run(1, 0, 4), run(1, 10, 4), run(2, 0, 6)]);
    assert_eq!(whole.take(Extents(6)), Some(vec![run(2, 0, 6)]), "one run anywhere comes first");
    let mut few = space(&[run(1, 0, 1), run(1, 10, 2), run(2, 0, 5)]);
    assert_eq!(few.take(Extents(7)), Some(vec![run(1, 10, 2), run(2, 0, 5)]));
    let before = space(&[run(1, 0, 4)]);
    let mut short = before.clone();
    assert_eq!(short.take(Extents(5)), None);
    assert_eq!(short, before, "nothing was taken");
}

#[test]
fn a_region_is_continued_where_it_ends() {
    let mut free = space(&[run(1, 4, 6), run(2, 4, 9)]);
    assert_eq!(free.take_after(run(1, 0, 4), Extents(2)), Some(run(1, 4, 2)));
    assert_eq!(free.take_after(run(1, 0, 4), Extents(2)), None, "that place is gone");
    assert_eq!(free.clone().only(&[DiskNumber(2)]).total(), Extents(9));
    assert_eq!(free.clone().only(&[]).total(), free.total());
    assert_eq!(free.without(&[DiskNumber(2)]).total(), Extents(4));
}
