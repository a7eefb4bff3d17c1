//! What comes of what is late, or was looked at too early: a watchdog that is fed for the last time just before it bites (F19), a command
//! that was stopped between reading and doing (F24), a model that stands at one end of the disks and is written away by an opening that
//! began before (F39), and a wait that is counted from the wrong moment (F40).

use evms::engine::guard::Act;

use crate::gates::process::Kind;
use crate::gates::story::{self, Fault};
use crate::gates::told::commands::volume;
use crate::gates::told::disks::{LATER_US, LATEST_US, had_by_both, proof_us};
use crate::gates::told::{
    Lit, SECOND, Stage, ends_well, first_commit, is_shut, is_up, must, owner, play_until, play_until_by,
};
use crate::gates::witness::Late;
use crate::gates::world::{Event, PRIVATE, SHARED, World};
use crate::laws::Broken;

const MILLISECOND: u64 = 1000;
/// So long before its watchdog bites a keeper is killed.
const EARLY_US: u64 = 60 * MILLISECOND;

/// Just before its watchdog bites, the keeper that could be the last to have fed it is killed; that feeds it.
fn kills_late(world: &mut World) -> Result<(), Broken> {
    let machine = &world.machines[0];
    let bites_us = machine.watchdog.fed_us + machine.watchdog.device_ms * MILLISECOND;
    world.play(bites_us - EARLY_US)?;
    story::befall(world, Fault::KillKeeper(0))
}

/// The owner is cut off while one of its disks takes no write. Its keeper is killed as late as can be, which feeds the watchdog once more
/// and lets what waits through; another one begins, and is killed too. It does not feed what its own gate keeps from being fed: that is
/// over, and what was under way has landed, when somebody takes the container.
pub fn f19_a_keeper_is_killed_just_before_its_watchdog_bites(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 3)?;
    had_by_both(&mut world)?;
    let boot = world.machines[0].boot;
    let disk = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    story::befall(&mut world, Fault::HangDisk(0, disk, 300 * SECOND))?;
    world.play(world.now_us + SECOND)?;
    let cut_us = world.now_us;
    story::befall(&mut world, Fault::Partition(1))?;
    let is_over = |world: &World| !world.reign_of(0).lasts(world.now_of(0));
    play_until(&mut world, is_over, "cut off, its lease goes on")?;
    world.play(world.now_us + SECOND)?;
    kills_late(&mut world)?;
    let fed_us = world.machines[0].watchdog.fed_us;
    must("F19", fed_us == world.now_us, || "the kernel did not feed it as its keeper was killed".into())?;
    let begins = |world: &World| world.machines[0].keeper.is_some();
    play_until(&mut world, begins, "no other keeper begins")?;
    world.play(world.now_us + SECOND)?;
    kills_late(&mut world)?;
    world.play(cut_us + proof_us(&world))?;
    let taken = first_commit(&world, PRIVATE, cut_us);
    must("F19", taken.is_none(), || format!("taken at {taken:?}, before its watchdog proves anything"))?;
    world.play(cut_us + LATEST_US + LATER_US)?;
    let machine = &world.machines[0];
    must("F19", !machine.on || machine.boot > boot, || "its watchdog did not bite".into())?;
    must("F19", owner(&world) != 0, || "nobody took it".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// A command has read that its machine owns the container, and is stopped. Meanwhile its machine is cut off, another one takes the
/// container, and all is mended. It goes on, and what it knows is of before.
pub fn f24_a_command_that_was_stopped_believes_nothing_that_it_read(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, [1, 3][stage.pick(2) as usize])?;
    let command = world.spawn(0, Kind::Activate(PRIVATE));
    let has_read =
        |world: &World| world.processes.get(&command).is_some_and(|process| process.seen[PRIVATE].is_some());
    play_until_by(&mut world, MILLISECOND / 20, has_read, "it reads nothing")?;
    let stopped_us = world.now_us;
    let goes_on_us = stopped_us + 45 * SECOND;
    if let Some(process) = world.processes.get_mut(&command) {
        process.paused_us = goes_on_us;
    }
    story::befall(&mut world, Fault::Partition(1))?;
    play_until(&mut world, |world| owner(world) != 0, "nobody takes it")?;
    let taker = owner(&world);
    world.play(stopped_us + 30 * SECOND)?;
    story::befall(&mut world, Fault::MendAll)?;
    world.play(goes_on_us)?;
    let here = world.processes.contains_key(&command);
    must("F24", here && is_up(&world, taker, PRIVATE), || {
        format!("machine {taker} has it not up, or the command is gone")
    })?;
    world.play(goes_on_us + 20 * SECOND)?;
    must("F24", owner(&world) == taker && is_up(&world, taker, PRIVATE), || {
        format!("it is not up on machine {taker} any more")
    })?;
    must("F24", is_shut(&world, 0, PRIVATE), || "who lost it has a gate open".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

fn is_admitted(world: &World) -> bool {
    world.laws.committed(SHARED).is_some_and(|model| model.container.holder(world.uuid(1)).is_some())
}

/// A node is being admitted, and its write takes long. An opening of another node outbids it and has read what stood there before; then
/// the write lands, at one end, and its process dies. The node looks: most disks say that it is admitted, and soon none does. It may
/// believe that only when it stands at both ends, and has to settle it.
pub fn f39_an_admission_at_one_end_is_none(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit_without(3, 1, 1)?;
    // Both ends of what it opens the container with, and then one of what admits it.
    world.witness.late = Some(Late { machine: 1, after: 3, us: 3 * SECOND });
    let first = world.spawn(1, Kind::Activate(SHARED));
    let late = |place: usize| move |world: &World| world.has_a_model_late(place);
    play_until_by(&mut world, MILLISECOND, late(1), "nobody is admitted")?;
    world.witness.late = Some(Late { machine: 2, after: 1, us: 6 * SECOND });
    world.command(2, SHARED, Act::Change, volume("later", 1));
    play_until_by(&mut world, MILLISECOND, late(2), "nobody outbids it")?;
    must("F39", !is_admitted(&world), || "what was to be late is not".into())?;
    play_until_by(&mut world, MILLISECOND / 50, is_admitted, "it is not admitted")?;
    world.kill(first)?;
    must("F39", late(2)(&world), || "the other one's model landed first".into())?;
    world.witness.late = None;
    world.spawn(1, Kind::Activate(SHARED));
    world.play(world.now_us + 20 * SECOND)?;
    must("F39", is_up(&world, 1, SHARED), || "it is not up".into())?;
    must("F39", is_admitted(&world), || "it is up, and its container does not say so".into())?;
    world.at(world.now_us, Event::Agent { machine: 1 });
    ends_well(&mut world)?;
    Ok(1)
}

/// Who takes it was cut off from all for a while, and heard the owner last before that. Then the owner is cut off, and one of its disks
/// takes no write: it is waited for from when the view without it began, not from when it was heard.
pub fn f40_the_wait_begins_with_the_view_and_not_with_the_last_beat(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 3)?;
    had_by_both(&mut world)?;
    story::befall(&mut world, Fault::Partition(1 << 1))?;
    world.play(world.now_us + 20 * SECOND)?;
    must("F40", is_up(&world, 0, PRIVATE), || "two of three do not go on".into())?;
    let disk = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    story::befall(&mut world, Fault::HangDisk(0, disk, 300 * SECOND))?;
    world.play(world.now_us + SECOND)?;
    let cut_us = world.now_us;
    story::befall(&mut world, Fault::MendAll)?;
    story::befall(&mut world, Fault::Partition(1))?;
    world.play(cut_us + proof_us(&world))?;
    let taken = first_commit(&world, PRIVATE, cut_us);
    must("F40", taken.is_none(), || format!("taken at {taken:?}, by how long it was not heard"))?;
    world.play(cut_us + LATEST_US + LATER_US)?;
    must("F40", owner(&world) != 0, || "nobody took it".into())?;
    ends_well(&mut world)?;
    Ok(1)
}
