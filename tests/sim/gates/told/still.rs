//! What comes of an owner that stands still with its clock and goes on when another one has what it had (F16, F49; safety 5.1: grade C).

use evms::engine::guard::Act;

use crate::gates::process::Do;
use crate::gates::story::{self, Fault};
use crate::gates::told::disks::{LATER_US, LATEST_US, had_by_both};
use crate::gates::told::{Lit, SECOND, Stage, ends_well, is_shut, is_up, must, owner, play_until_by};
use crate::gates::world::{PRIVATE, World};
use crate::laws::Broken;

/// A look at the board's clock, a round of the detector, and what the keeper takes.
const NOTICES_US: u64 = 3 * SECOND / 10;

/// A view with the owner, and what opening its gates takes; and less than what the others take it after.
const BACK_US: u64 = 10 * SECOND;

/// It stood still until another one had taken it, and writes by then.
fn taken_while_it_stood(stage: Stage, cut: bool) -> Result<(World, usize), Broken> {
    let mut world = stage.lit(3, [1, 3][stage.pick(2) as usize])?;
    if cut {
        // What they say meanwhile is not to lie in its sockets when it goes on.
        story::befall(&mut world, Fault::Partition(1))?;
    }
    let lasts_us = LATEST_US + LATER_US + 4 * SECOND + stage.pick(7) * SECOND / 7;
    let thaws_us = world.now_us + lasts_us;
    story::befall(&mut world, Fault::Stop(Some(0), lasts_us))?;
    world.play(thaws_us - SECOND / 1000)?;
    let taker = owner(&world);
    must("F16", taker != 0 && is_up(&world, taker, PRIVATE), || {
        format!("machine 0 stood still for {lasts_us} us, and machine {taker} has it, up or not")
    })?;
    Ok((world, taker))
}

/// It is in its place again, as one that lost the container and is in the view.
fn rejoins(mut world: World, taker: usize) -> Result<u64, Broken> {
    world.play(world.now_us + 20 * SECOND)?;
    must("F16", owner(&world) == taker && is_up(&world, taker, PRIVATE), || "the taker lost it".into())?;
    must("F16", is_shut(&world, 0, PRIVATE), || "who lost it has a gate open".into())?;
    let told = world.witness.errors.iter().any(|(_, place, of)| (*place, *of) == (0, PRIVATE));
    must("F16", told, || "who wrote there was told of no error".into())?;
    must("F16", world.machines[0].engine.quorate, || "it did not rejoin".into())?;
    must("F16", world.machines[0].boot == 1, || "its watchdog bit".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// Cut off when it goes on, nobody tells it: the clock on its board does, and its first act is to close.
pub fn f16_f49_who_stood_still_behind_a_cut_notices_within_a_beat(stage: Stage) -> Result<u64, Broken> {
    let (mut world, taker) = taken_while_it_stood(stage, true)?;
    world.play(world.now_us + NOTICES_US)?;
    must("F16", is_shut(&world, 0, PRIVATE), || "it has a gate open after a beat".into())?;
    must("F16", world.witness.noticed == 1, || format!("it noticed {} times", world.witness.noticed))?;
    world.play(world.now_us + 5 * SECOND)?;
    must("F16", is_shut(&world, 0, PRIVATE), || "it opened a gate behind the cut".into())?;
    story::befall(&mut world, Fault::MendAll)?;
    rejoins(world, taker)
}

/// It is heard and hears: what others say ends its lease, before its board's clock is looked at or after.
pub fn f16_f49_who_stood_still_hears_it_from_the_others(stage: Stage) -> Result<u64, Broken> {
    let (mut world, taker) = taken_while_it_stood(stage, false)?;
    world.play(world.now_us + NOTICES_US)?;
    must("F16", is_shut(&world, 0, PRIVATE), || "it has a gate open after a beat".into())?;
    rejoins(world, taker)
}

/// Which machine has found what it needs to take the private container, and is about to.
fn about_to_take(world: &World) -> Option<usize> {
    let takes = |what: &Do| matches!(what, Do::Run(PRIVATE, Act::Takeover(_), _));
    let taker = world.processes.values().find(|process| process.todo.iter().any(takes));
    taker.map(|process| process.machine)
}

/// The owner is cut off, and just when another machine is about to take what it has that one stands still. The owner comes back, and goes
/// on with what is its own. Then the other one goes on as well, by a lease that lasts as its clock has it, and is to find that out.
pub fn f16_f49_a_taker_that_stood_still_takes_nothing_from_who_is_back(stage: Stage) -> Result<u64, Broken> {
    let mut world = cut_off(stage)?;
    let found = |world: &World| about_to_take(world).is_some();
    play_until_by(&mut world, SECOND / 20_000, found, "nobody is about to take it")?;
    let taker = about_to_take(&world).unwrap_or_default();
    story::befall(&mut world, Fault::Stop(Some(taker), BACK_US))?;
    is_back(world, taker)
}

/// The same where it stands still behind its promise, and behind the proof that the owner was absent when that was made: nothing but the
/// promise tells the owner of it.
pub fn f16_f49_who_goes_on_outbids_a_taker_that_stood_still(stage: Stage) -> Result<u64, Broken> {
    let mut world = cut_off(stage)?;
    world.witness.stops_proven = Some(BACK_US);
    let stands = |world: &World| world.machines.iter().position(|machine| machine.stands.since_us.is_some());
    let found = |world: &World| stands(world).is_some();
    play_until_by(&mut world, SECOND / 20_000, found, "nobody promised to take it")?;
    let taker = stands(&world).unwrap_or_default();
    is_back(world, taker)
}

/// The owner is cut off by itself; who is to take it had it before: who never had it waits longer for its first block there than a lease
/// lasts.
fn cut_off(stage: Stage) -> Result<World, Broken> {
    let mut world = stage.lit(3, [1, 3][stage.pick(2) as usize])?;
    had_by_both(&mut world)?;
    story::befall(&mut world, Fault::Partition(1))?;
    Ok(world)
}

/// While the taker stands still, and behind a cut when it goes on: nothing of its own tells it, nor does anybody.
fn is_back(mut world: World, taker: usize) -> Result<u64, Broken> {
    world.machines[taker].stands.boardless = true;
    let thaws_us = world.now_us + BACK_US;
    story::befall(&mut world, Fault::MendAll)?;
    story::befall(&mut world, Fault::Partition(1 << taker))?;
    world.play(thaws_us - SECOND / 1000)?;
    must("F16", owner(&world) == 0 && is_up(&world, 0, PRIVATE), || "the owner is not back".into())?;
    world.play(thaws_us + 5 * SECOND)?;
    must("F16", owner(&world) == 0 && is_up(&world, 0, PRIVATE), || {
        format!("machine {taker} took it from who was back")
    })?;
    let told = world.witness.errors.iter().any(|(_, place, of)| (*place, *of) == (0, PRIVATE));
    must("F16", !told, || "who wrote there was told of an error".into())?;
    story::befall(&mut world, Fault::MendAll)?;
    ends_well(&mut world)?;
    Ok(1)
}
