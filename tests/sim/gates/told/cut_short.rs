//! Whoever changes a container is killed at every step of it and after every write, alone or with its machine (F20, F21): before a
//! model was written nothing happened anywhere, after it was acknowledged it happens everywhere, and in between one of both for all,
//! whoever finishes it.

use evms::engine::guard::Act;

use crate::gates::process::Kind;
use crate::gates::story::{self, Fault};
use crate::gates::told::commands::volume;
use crate::gates::told::{BOTH, Lit, SECOND, Stage, ends_well, is_up, must, owner};
use crate::gates::witness::{Doom, Moment, Said};
use crate::gates::world::{PRIVATE, SHARED, World};
use crate::laws::Broken;

/// A process has fewer steps than that, and writes.
const STEPS_MAX: u64 = 2000;

/// Runs one case with each step of a process as its last one, until it has no more steps.
fn at_every(
    moment: Moment,
    (machine, kind, with_its_machine): (usize, Kind, bool),
    mut case: impl FnMut(Doom) -> Result<bool, Broken>,
) -> Result<u64, Broken> {
    for after in 0..STEPS_MAX {
        let doom = Doom { machine, kind, moment, after, with_its_machine, process: None };
        let met = case(doom).map_err(|broken| Broken {
            law: broken.law,
            words: format!("killed at {moment:?} {after}: {}", broken.words),
        })?;
        if !met {
            return must("F20", after > 4, || format!("{kind:?} had {after} times of {moment:?}"))
                .map(|()| after);
        }
    }
    must("F20", false, || format!("{kind:?} does not end")).map(|()| 0)
}

fn at_all(
    doomed: (usize, Kind, bool),
    mut case: impl FnMut(Doom) -> Result<bool, Broken>,
) -> Result<u64, Broken> {
    Ok(at_every(Moment::Step, doomed, &mut case)? + at_every(Moment::Write, doomed, &mut case)?)
}

/// The owner is somebody who was told so: whoever had it, unless it was acknowledged that it is given.
fn is_as_told(world: &World, doomed: u64) -> Result<(), Broken> {
    let said = world.witness.said.get(&doomed).cloned().unwrap_or_default();
    // The first thing that a switchover commits is that its owner has no gates; the last one, that it is given.
    let given = said.iter().filter(|said| matches!(said, Said::Done(_))).count() >= 2;
    let has = owner(world);
    must("F20", has == 1 || has == 0 && !given, || format!("{said:?} was told, and machine {has} has it"))
}

fn switchover(stage: Stage, doom: Doom) -> Result<bool, Broken> {
    let mut world = stage.lit(3, 3)?;
    world.witness.doom = Some(doom);
    world.machines[0].wanted[PRIVATE] = false;
    let number = world.spawn(0, Kind::Switch(1));
    world.play(world.now_us + 5 * SECOND)?;
    let met = world.witness.doomed_us.is_some();
    if met && !world.wrote_a_model_for(number) {
        must("F20", owner(&world) == 0, || "no model was written, and it is another's".into())?;
    }
    is_as_told(&world, number)?;
    if doom.with_its_machine {
        // Nobody mends anything: who is left finishes it, or takes it.
        world.machines.iter_mut().for_each(|machine| machine.wanted = [true; 2]);
        world.play(world.now_us + 40 * SECOND)?;
        let has = owner(&world);
        let (dead, read) = (world.uuid(0), world.read_of_all(PRIVATE));
        let holds = read.and_then(|chosen| chosen.model.container.holder(dead).cloned());
        // What its owner had taken down nobody takes from him on his own account: nobody was using it.
        let unused = has == 0 && holds.is_none();
        let up = has != 0 && is_up(&world, has, PRIVATE);
        must("F20", up || unused || !met, || format!("machine {has} has it, and it is not up"))?;
    }
    ends_well(&mut world)?;
    is_as_told(&world, number)?;
    for container in BOTH {
        must("F20", world.is_settled_on_disk(container), || {
            format!("what became of {container} is in doubt")
        })?;
    }
    Ok(met)
}

pub fn f20_a_switchover_killed_at_every_step(stage: Stage) -> Result<u64, Broken> {
    at_all((0, Kind::Switch(1), false), |doom| switchover(stage, doom))
}

pub fn f20_a_switchover_whose_machine_dies(stage: Stage) -> Result<u64, Broken> {
    at_all((0, Kind::Switch(1), true), |doom| switchover(stage, doom))
}

fn takeover(stage: Stage, doom: Doom) -> Result<bool, Broken> {
    // Of five, two may die.
    let mut world = stage.lit(if doom.with_its_machine { 5 } else { 3 }, 3)?;
    world.witness.doom = Some(doom);
    world.power_off(0);
    let died_us = world.now_us;
    world.play(died_us + 60 * SECOND)?;
    let met = world.witness.doomed_us.is_some();
    let has = owner(&world);
    must("F20", has != 0 && is_up(&world, has, PRIVATE), || {
        format!("machine {has} has it, and it is not up")
    })?;
    must("F20", !met || !doom.with_its_machine || has != 1, || "a dead machine has it".into())?;
    ends_well(&mut world)?;
    for container in BOTH {
        must("F20", world.is_settled_on_disk(container), || {
            format!("what became of {container} is in doubt")
        })?;
    }
    Ok(met)
}

pub fn f20_a_takeover_killed_at_every_step(stage: Stage) -> Result<u64, Broken> {
    at_all((1, Kind::Succession, false), |doom| takeover(stage, doom))
}

pub fn f20_a_takeover_whose_machine_dies(stage: Stage) -> Result<u64, Broken> {
    at_all((1, Kind::Succession, true), |doom| takeover(stage, doom))
}

/// A command of the owner is killed when it has promised on all three disks, and written nothing else.
fn promised_only(world: &mut World) -> Result<(), Broken> {
    let kind = Kind::Change(PRIVATE);
    let (moment, after, with_its_machine, process) = (Moment::Write, 2, false, None);
    world.witness.doom = Some(Doom { machine: 0, kind, moment, after, with_its_machine, process });
    let number = world.command(0, PRIVATE, Act::Change, volume("never", 1));
    world.play(world.now_us + SECOND)?;
    let met = world.witness.doomed_us.take().is_some();
    must("F20", met && !world.wrote_a_model_for(number), || "it was not killed behind its promise".into())
}

/// The owner was cut off for a while, and its evmsd looks at the container before anything goes on; and opens it again, where a promise
/// is on its disks by which nothing was written.
fn regain(stage: Stage, opens: bool, doom: Doom) -> Result<bool, Broken> {
    let mut world = stage.lit(3, 3)?;
    if opens {
        promised_only(&mut world)?;
    }
    world.witness.doom = Some(doom);
    story::befall(&mut world, Fault::Partition(1))?;
    world.play(world.now_us + 4 * SECOND)?;
    must("F20", !is_up(&world, 0, PRIVATE), || "cut off for 4 s, and its gates are open".into())?;
    story::befall(&mut world, Fault::MendAll)?;
    world.play(world.now_us + 20 * SECOND)?;
    let met = world.witness.doomed_us.is_some();
    must("F20", owner(&world) == 0 && is_up(&world, 0, PRIVATE), || {
        "it did not go on with what it has".into()
    })?;
    must("F20", world.witness.errors.is_empty(), || format!("errors: {:?}", world.witness.errors))?;
    ends_well(&mut world)?;
    Ok(met)
}

pub fn f20_a_regain_killed_at_every_step(stage: Stage) -> Result<u64, Broken> {
    let doomed = (0, Kind::Regain, false);
    let looks = at_every(Moment::Step, doomed, |doom| regain(stage, false, doom))?;
    Ok(looks + at_all(doomed, |doom| regain(stage, true, doom))?)
}

/// A node is admitted to the shared container, or about to be, and dies. The others do not wait for it: they write, change the container
/// and count it out. It comes back, and reads what became of that before it opens anything.
fn admission(stage: Stage, doom: Doom) -> Result<bool, Broken> {
    let mut world = stage.lit_without(3, 1, 1)?;
    world.witness.doom = Some(doom);
    world.spawn(1, doom.kind);
    world.play(20 * SECOND)?;
    let met = world.witness.doomed_us.is_some();
    if !met {
        return Ok(false);
    }
    let change = world.command(2, SHARED, Act::Change, volume("later", 1));
    world.play(50 * SECOND)?;
    let said = world.witness.said.get(&change).cloned().unwrap_or_default();
    let [Said::Done(changed)] = said[..] else {
        return must("F21", false, || format!("the others cannot change it: {said:?}")).map(|()| true);
    };
    for place in [0, 2] {
        must("F21", is_up(&world, place, SHARED), || format!("machine {place} does not go on"))?;
    }
    let dead = world.uuid(1);
    let holds = world.laws.committed(SHARED).and_then(|model| model.container.holder(dead).cloned());
    must("F21", holds.is_none(), || format!("it was dead for 30 s, and counts as {holds:?}"))?;
    let (back_us, since) = (world.now_us, world.witness.opened.len());
    world.boot_at(back_us, 1);
    ends_well(&mut world)?;
    let opened = world.witness.opened[since..].iter().filter(|opened| opened.place == 1);
    let early = opened.clone().find(|opened| opened.epoch < changed.epoch);
    must("F21", early.is_none(), || format!("{early:?} does not know of {changed:?}"))?;
    must("F21", opened.count() > 0, || "it never opened anything again".into())?;
    Ok(true)
}

pub fn f21_who_was_admitted_dies_at_every_step(stage: Stage) -> Result<u64, Broken> {
    at_all((1, Kind::Activate(SHARED), true), |doom| admission(stage, doom))
}
