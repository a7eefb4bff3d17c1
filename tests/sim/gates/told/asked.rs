//! What comes of asking over the disks who is silent on the network (F1, F17, F33): closed gates are told and save the time of a watchdog;
//! gates that drain, and a node whose evmsd may come back any moment, are not closed, and tell nothing.

use crate::gates::story::{self, Fault};
use crate::gates::told::disks::{LATER_US, LATEST_US, proof_us};
use crate::gates::told::{
    Lit, SECOND, Stage, UP_US, ends_well, first_commit, is_shut, is_up, must, owner, play_until,
};
use crate::gates::world::{PRIVATE, World};
use crate::laws::Broken;

/// Cut off, asked, answered, drained: a lease of 3 s and a moment, 2 s of grace, two beats of a second, 2 s for what is under way, and a
/// claim of 2 s on disks that the taker never wrote to.
const ASKED_US: u64 = 12 * SECOND;

/// The private container is up on the first machine, the shared one on all, and all beat on their disks.
fn lit(stage: Stage, each: usize) -> Result<World, Broken> {
    let mut world = stage.dark(3, each);
    world.asks = true;
    for place in 0..3 {
        let at = world.chance.below(SECOND);
        world.boot_at(at, place);
    }
    world.play(UP_US)?;
    must("F1", is_up(&world, 0, PRIVATE), || "the private container is not up".into())?;
    Ok(world)
}

/// The owner is cut off and closes its gates: it says so over the disks, and is not waited for; nor is it harmed by that.
pub fn f1_who_is_cut_off_says_that_its_gates_are_closed(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, [1, 3][stage.pick(2) as usize])?;
    let cut_us = world.now_us;
    story::befall(&mut world, Fault::Partition(1))?;
    world.play(cut_us + ASKED_US)?;
    let taken = first_commit(&world, PRIVATE, cut_us).map(|at| at - cut_us);
    let taker = owner(&world);
    must("F1", taken.is_some() && taker != 0 && world.witness.takes > 0, || {
        format!("cut off and asked, machine 0 was taken from after {taken:?} us")
    })?;
    must("F1", is_shut(&world, 0, PRIVATE), || "it has a gate open".into())?;
    world.play(cut_us + ASKED_US + LATER_US)?;
    must("F1", is_up(&world, taker, PRIVATE), || format!("it is not up on machine {taker}"))?;
    must("F1", world.machines[0].boot == 1, || "who was cut off was bitten".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// One disk of the owner's hangs when it is cut off: that gate drains and does not close. The others could tell, and do not: what is
/// under way lands before anybody takes it, or its watchdog bites.
pub fn f33_a_gate_that_drains_is_no_answer(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 3)?;
    let disk = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    // So short before the cut that nothing but what is under way then hangs.
    let hangs_us = world.now_us;
    story::befall(&mut world, Fault::HangDisk(0, disk, 300 * SECOND))?;
    world.play(hangs_us + SECOND)?;
    let cut_us = world.now_us;
    story::befall(&mut world, Fault::Partition(1))?;
    world.play(cut_us + proof_us(&world))?;
    let answers = world.witness.answers;
    must("F33", answers == 0, || format!("{answers} times a gate that drains was said to be closed"))?;
    let taken = first_commit(&world, PRIVATE, cut_us);
    must("F33", taken.is_none(), || {
        format!("it was taken at {taken:?}, before its watchdog proves anything")
    })?;
    world.play(cut_us + proof_us(&world) + LATEST_US)?;
    must("F33", owner(&world) != 0, || "nobody took it".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// The owner's evmsd is gone and comes back within 10 s, as its service manager sees to: its gates are closed, and still it is not taken
/// from, for it is about to go on.
pub fn f18_an_evmsd_that_is_restarted_is_not_taken_from(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 1)?;
    let killed_us = world.now_us;
    let away_us = 5 * SECOND + stage.pick(4) * SECOND / 2;
    story::befall(&mut world, Fault::KillDaemon(0, away_us, true))?;
    world.play(killed_us + away_us + 10 * SECOND)?;
    let takes = world.witness.takes;
    must("F18", takes == 0, || format!("it was away for {away_us} us, and taken from {takes} times"))?;
    must("F18", owner(&world) == 0 && is_up(&world, 0, PRIVATE), || "it does not go on".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// Longer than it takes to mend a cut and to be cut off again, and shorter than its watchdog needs then.
const ASKER_PAUSES_US: u64 = 8 * SECOND;

/// Cut off, and has said that its gates are closed; then all is mended before anybody takes what it has, and it goes on. From before it is
/// mended until much later the disk `hangs` for it, where one is named; else who asked stands still, for longer than it takes to mend it.
fn cut_and_mended(world: &mut World, hangs: Option<usize>) -> Result<(), Broken> {
    story::befall(world, Fault::Partition(1))?;
    // Each step is so small that nobody takes it in between: that takes the time in which what is under way lands.
    play_until(world, |world| world.witness.answers > 0, "cut off, it answers nobody")?;
    // The answer reaches its disks, and who asked reads it.
    world.play(world.now_us + SECOND / 4)?;
    let second = match hangs {
        Some(disk) => Fault::HangDisk(0, disk, 300 * SECOND),
        None => Fault::PauseCommands(1, ASKER_PAUSES_US),
    };
    story::befall(world, second)?;
    story::befall(world, Fault::MendAll)?;
    let goes_on = |world: &World| owner(world) == 0 && is_up(world, 0, PRIVATE);
    play_until(world, goes_on, "mended, it does not go on")
}

/// Cut off once more, while one of its disks takes no write: that gate drains for as long as its watchdog lets it, and nobody takes it
/// before that, whatever was said in the first cut.
fn cut_again(mut world: World, hangs: usize) -> Result<u64, Broken> {
    let waits = |world: &World| {
        world.machines[0].gates[hangs].as_ref().is_some_and(|gate| !gate.under_way.is_empty())
    };
    play_until(&mut world, waits, "nothing is under way on the disk that hangs")?;
    let cut_us = world.now_us;
    story::befall(&mut world, Fault::Partition(1))?;
    world.play(cut_us + proof_us(&world))?;
    let taken = first_commit(&world, PRIVATE, cut_us);
    must("F33", taken.is_none(), || {
        format!("an answer of the first cut is believed in the second, at {taken:?}")
    })?;
    world.play(cut_us + proof_us(&world) + LATEST_US)?;
    must("F33", owner(&world) != 0, || "nobody took it".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// The answer of the first cut still stands on a disk that took no beat since: in the second it answers nobody.
pub fn f33_an_old_answer_is_none(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 3)?;
    let hangs = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    cut_and_mended(&mut world, Some(hangs))?;
    cut_again(world, hangs)
}

/// Who asked in the first cut goes on in the second: what was answered then is void.
pub fn f33_an_answer_ends_with_the_term(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 3)?;
    let hangs = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    cut_and_mended(&mut world, None)?;
    story::befall(&mut world, Fault::HangDisk(0, hangs, 300 * SECOND))?;
    cut_again(world, hangs)
}

/// Who beats on one disk stood still in the first cut, with closed gates, and reads the question of the second, in which another disk's
/// gate drains: what he saw then is no answer now.
pub fn f33_an_answer_is_newer_than_its_question(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 3)?;
    let first = world.gates_of(PRIVATE).start;
    let (reads, drains) = (first + stage.pick(3) as usize, first + (stage.pick(3) as usize + 1) % 3);
    cut_and_mended(&mut world, Some(reads))?;
    let reads_us = world.machines[0].paths[reads].hangs_until_us;
    // The lease ends, and 2 s later it is asked, and is listened to for 3 s: then that disk answers.
    let early_us = 5 * SECOND + stage.pick(20) * SECOND / 10;
    world.play(reads_us - early_us - 3 * SECOND)?;
    story::befall(&mut world, Fault::HangDisk(0, drains, 300 * SECOND))?;
    world.play(reads_us - early_us)?;
    cut_again(world, drains)
}
