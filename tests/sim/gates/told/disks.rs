//! What comes of disks that are lost to all, or to some (F30, F32, F40), or of an owner that is gone while all disks are well (F14).

use evms::engine::guard::Act;
use evms::format::model::DiskState;

use crate::gates::disk::Path;
use crate::gates::founding;
use crate::gates::process::Kind;
use crate::gates::story::{self, Fault};
use crate::gates::told::commands::volume;
use crate::gates::told::{Lit, SECOND, Stage, ends_well, first_commit, is_up, must, owner};
use crate::gates::witness::Said;
use crate::gates::world::{PRIVATE, World};
use crate::laws::Broken;

/// Two of the three disks of the private container are lost to all: by which two, a seed decides. The one that is left.
fn lose_two(world: &mut World, stage: Stage) -> usize {
    let left = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    for disk in world.gates_of(PRIVATE).filter(|disk| *disk != left) {
        world.machines.iter_mut().for_each(|machine| machine.paths[disk].lost_per_mille = 1000);
    }
    left
}

fn mend(world: &mut World) {
    world.machines.iter_mut().for_each(|machine| machine.paths.fill(Path::WELL));
}

/// Nothing of the container is committed, nor opened anew; what is open on the disk that is left goes on.
pub fn f32_a_majority_of_the_disks_is_lost(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 3)?;
    let lost_us = world.now_us;
    let left = lose_two(&mut world, stage);
    let opened = world.witness.opened.len();
    let mut asked = Vec::new();
    for at in 0..10 {
        world.play(lost_us + at * 6 * SECOND)?;
        asked.push(world.command(0, PRIVATE, Act::Change, volume("more", 1)));
        world.spawn(at as usize % 3, Kind::Activate(PRIVATE));
    }
    let before = world.landed;
    world.play(lost_us + 70 * SECOND)?;
    let commit = first_commit(&world, PRIVATE, lost_us);
    must("F32", commit.is_none(), || format!("with one disk of three a commit came to count at {commit:?}"))?;
    let done = asked
        .iter()
        .flat_map(|number| &world.witness.said[number])
        .find(|said| matches!(said, Said::Done(_)));
    must("F32", done.is_none(), || format!("with one disk of three an administrator was told {done:?}"))?;
    let of_it = |gate: usize| world.gates_of(PRIVATE).contains(&gate);
    let again = world.witness.opened[opened..].iter().find(|one| of_it(one.gate));
    must("F32", again.is_none(), || format!("{again:?} was opened"))?;
    let gate = world.machines[0].gates[left].as_ref();
    must("F32", gate.is_some_and(|gate| gate.is_open()), || format!("the gate of disk {left} is not open"))?;
    must("F32", world.landed > before, || "nothing is written any more".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// Its owner dies while most disks of it are lost: nobody takes it, until they are back.
pub fn f32_nothing_is_taken_on_a_minority(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 3)?;
    let lost_us = world.now_us;
    lose_two(&mut world, stage);
    world.power_off(0);
    world.play(lost_us + 90 * SECOND)?;
    let commit = first_commit(&world, PRIVATE, lost_us);
    must("F32", commit.is_none(), || format!("with one disk of three it was taken, at {commit:?}"))?;
    for place in [1, 2] {
        let gates = &world.machines[place].gates[world.gates_of(PRIVATE)];
        must("F32", gates.iter().all(Option::is_none), || format!("it is activated on machine {place}"))?;
    }
    mend(&mut world);
    world.play(lost_us + 240 * SECOND)?;
    let taker = owner(&world);
    must("F32", taker != 0 && is_up(&world, taker, PRIVATE), || {
        "the disks are back, and nobody took it".into()
    })?;
    ends_well(&mut world)?;
    Ok(1)
}

/// Microseconds that a watchdog which is fed for the last time as the lease ends, and once more by the kernel as its feeder is killed
/// just before it bites, leaves its machine; and what is under way then: 2 · 5 s and 2 s (safety 5.1). A hundredth of a second is for
/// clocks.
pub fn proof_us(world: &World) -> u64 {
    let timing = world.configuration.timing;
    assert_eq!((timing.watchdog_ms, timing.drain_ms), (5000, 2000));
    12 * SECOND - 10_000
}

/// What the issue allows a takeover without reservations.
pub const LATEST_US: u64 = 15 * SECOND;
/// And for each who comes first in the view and does not do it (`duty::RANK_MS`).
pub const LATER_US: u64 = 3 * SECOND;

/// When the private container was taken, after its owner's death, and by whom.
fn taken(world: &World, died_us: u64) -> Option<(u64, usize)> {
    first_commit(world, PRIVATE, died_us).map(|at| (at - died_us, owner(world)))
}

/// Machine 0 has it, and machine 1 had it before, so that this one takes it without a claim on disks that it never wrote to.
pub fn had_by_both(world: &mut World) -> Result<(), Broken> {
    for (from, to) in [(0, 1), (1, 0)] {
        world.machines[to].wanted[PRIVATE] = true;
        story::befall(world, Fault::Switch(to))?;
        world.play(world.now_us + 15 * SECOND)?;
        must("F14", is_up(world, to, PRIVATE), || format!("machine {from} does not give it to {to}"))?;
    }
    Ok(())
}

/// The owner is gone: it is taken when its watchdog proves it, and up again within 15 s, under a later epoch.
pub fn f14_the_owner_loses_power(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, [1, 3][stage.pick(2) as usize])?;
    if stage.pick(4) < 2 {
        // Who never wrote to those disks takes it as soon.
        had_by_both(&mut world)?;
    }
    let epoch = |world: &World| world.laws.told[PRIVATE].committed.as_ref().map(|(order, _)| order.epoch);
    let (died_us, before) = (world.now_us, epoch(&world));
    world.power_off(0);
    world.play(died_us + LATEST_US)?;
    let taken = taken(&world, died_us);
    must("F14", taken.is_some_and(|(us, by)| us >= proof_us(&world) && by == 1), || {
        format!("after {taken:?} us, by whom, it was taken")
    })?;
    must("F14", is_up(&world, 1, PRIVATE), || "it is not up after 15 s".into())?;
    must("F14", epoch(&world) > before, || format!("its epoch is {:?}, as before", epoch(&world)))?;
    world.play(died_us + 40 * SECOND)?;
    ends_well(&mut world)?;
    Ok(1)
}

/// The first of the view does not reach a disk of it: whoever reaches all comes first (F30).
pub fn f30_who_reaches_all_disks_takes_it(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 3)?;
    let disk = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    world.machines[1].paths[disk].lost_per_mille = 1000;
    let died_us = world.now_us;
    world.power_off(0);
    world.play(died_us + 40 * SECOND)?;
    let taken = taken(&world, died_us);
    let latest_us = LATEST_US + LATER_US;
    must("F30", taken.is_some_and(|(us, by)| by == 2 && us >= proof_us(&world) && us <= latest_us), || {
        format!("after {taken:?} us, by whom, it was taken")
    })?;
    must("F30", is_up(&world, 2, PRIVATE), || "it is not up".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// One disk of the container is unreachable for whoever could take it, and its owner may write to it: that is a reason to wait, and none
/// to believe anything. It is taken when time proves that the owner is gone; and the disk counts as one that missed it.
pub fn f40_a_disk_that_no_taker_reaches(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 3)?;
    let disk = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    for place in [1, 2] {
        world.machines[place].paths[disk].lost_per_mille = 1000;
    }
    let died_us = world.now_us;
    world.power_off(0);
    world.play(died_us + 60 * SECOND)?;
    let taken = taken(&world, died_us);
    must("F40", taken.is_some_and(|(us, by)| by != 0 && us >= proof_us(&world)), || {
        format!("after {taken:?} us, by whom, it was taken, without proof or not at all")
    })?;
    let number = founding::disk_number(&world, disk);
    let state = world.laws.committed(PRIVATE).and_then(|model| Some(model.disk(number)?.state));
    must("F40", matches!(state, Some(DiskState::AbsentSince(_))), || {
        format!("the disk that the taker did not reach is {state:?}")
    })?;
    ends_well(&mut world)?;
    Ok(1)
}

/// The same of most of its disks, for the first of the view alone: it cannot, and the next one does, no sooner.
pub fn f40_most_disks_that_the_taker_does_not_reach(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 3)?;
    let well = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    for disk in world.gates_of(PRIVATE).filter(|disk| *disk != well) {
        world.machines[1].paths[disk].lost_per_mille = 1000;
    }
    let died_us = world.now_us;
    world.power_off(0);
    world.play(died_us + 40 * SECOND)?;
    let taken = taken(&world, died_us);
    must("F40", taken.is_some_and(|(us, by)| by == 2 && us >= proof_us(&world)), || {
        format!("after {taken:?} us, by whom, it was taken, without proof or not at all")
    })?;
    must("F40", is_up(&world, 2, PRIVATE), || "it is not up".into())?;
    ends_well(&mut world)?;
    Ok(1)
}
