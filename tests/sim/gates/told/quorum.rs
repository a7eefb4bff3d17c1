//! What comes of a cluster that is not there, comes up at once, or never comes back (F27, F28, F52, F57).

use crate::gates::process::Kind;
use crate::gates::told::{
    BOTH, Lit, SECOND, Stage, ends_well, first_commit, is_shut, is_up, must, opened_nothing, owner,
};
use crate::gates::world::{PRIVATE, SHARED, World};
use crate::laws::Broken;

/// All are down, one comes back: it is no majority, and opens nothing, however long that lasts and whoever asks. The second one is.
pub fn f27_one_of_all_comes_back_and_waits(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 1)?;
    (0..3).for_each(|place| world.power_off(place));
    world.witness.views.clear();
    let first = stage.pick(3) as usize;
    let (back_us, second_us) = (15 * SECOND, 180 * SECOND);
    world.boot_at(back_us, first);
    for at in (20..180).step_by(7) {
        world.play(at * SECOND)?;
        world.spawn(first, Kind::Activate(at as usize % 2));
    }
    world.play(second_us)?;
    let (opened, views) = (&world.witness.opened, &world.witness.views);
    must("F27", views.is_empty(), || format!("machine {first} alone was quorate by {views:?}"))?;
    must("F27", opened_nothing(&world, first, back_us), || format!("it opened {:?}", opened.last()))?;
    for container in BOTH {
        let commit = first_commit(&world, container, back_us);
        must("F27", commit.is_none(), || format!("it wrote to container {container} at {commit:?}"))?;
    }
    let second = (first + 1) % 3;
    world.boot_at(second_us, second);
    world.play(second_us + 20 * SECOND)?;
    must("F27", is_up(&world, second, SHARED), || "two of three do not go on".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// Switched on at one moment: one view of all of them, each container opened once where it belongs, and nobody's power is cut.
pub fn f28_all_boot_at_once(stage: Stage) -> Result<u64, Broken> {
    let nodes = 3 + stage.pick(3) as u16;
    let mut world = stage.dark(nodes, 1);
    world.agents = true;
    (0..usize::from(nodes)).for_each(|place| world.boot_at(SECOND, place));
    world.play(60 * SECOND)?;
    let views = &world.witness.views;
    must("F28", views.len() == 1, || format!("{nodes} nodes at once were quorate by {views:?}"))?;
    let members =
        |place: usize| world.machines[place].engine.view.as_ref().map_or(0, |view| view.members.len());
    for place in 0..usize::from(nodes) {
        let found = members(place);
        must("F28", found == usize::from(nodes), || format!("machine {place} is in a view of {found}"))?;
    }
    for place in 0..usize::from(nodes) {
        for container in BOTH {
            let gates = world.gates_of(container);
            let opened = world.witness.opened.iter();
            let opened = opened.filter(|one| one.place == place && gates.contains(&one.gate)).count();
            let wanted = usize::from(container == SHARED || place == 0);
            must("F28", opened == wanted, || {
                format!("container {container} was opened {opened} times on machine {place}, not {wanted}")
            })?;
        }
    }
    must("F28", world.witness.offs == 0, || format!("{} times somebody was to be off", world.witness.offs))?;
    must("F28", owner(&world) == 0, || "the private container changed hands".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// The owner had no watchdog, because there is none or another program has it: nothing but somebody's word would be evidence, so it
/// keeps what it has, however long it is gone; and who has one is not better off for that.
pub fn f52_who_has_no_watchdog_is_not_taken_from(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.dark(3, 1);
    if let Some(watchdogs_ms) = &mut world.watchdogs_ms {
        watchdogs_ms[0] = 0;
    }
    (0..3).for_each(|place| world.boot_at(100_000 * (place as u64 + 1), place));
    world.play(12 * SECOND)?;
    must("F52", is_up(&world, 0, PRIVATE), || "without a watchdog nothing comes up".into())?;
    let said_ms = |world: &World, container: usize| {
        let uuid = world.uuid(0);
        world.laws.committed(container)?.container.holder(uuid).map(|holder| holder.watchdog_ms)
    };
    for container in BOTH {
        let said_ms = said_ms(&world, container);
        must("F52", said_ms == Some(0), || {
            format!("container {container} says that a watchdog of {said_ms:?} ms looks after machine 0")
        })?;
    }
    world.power_off(0);
    let died_us = world.now_us;
    world.play(180 * SECOND)?;
    must("F52", owner(&world) == 0, || format!("machine {} took it without evidence", owner(&world)))?;
    let commit = first_commit(&world, PRIVATE, died_us);
    must("F52", commit.is_none(), || format!("somebody wrote to it at {commit:?}"))?;
    let stays = said_ms(&world, SHARED);
    must("F52", stays == Some(0), || "it was counted out of the shared container without evidence".into())?;
    ends_well(&mut world)?;
    Ok(1)
}

/// Two of three never come back. What writes waits, hears no error and passes nothing, for as long as anybody looks; letting it fail is
/// an administrator's word, and ends it. (The watchdog does not bite: all is closed.)
pub fn f57_quorum_that_is_lost_for_good(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 1)?;
    let boot = world.machines[0].boot;
    let lost_us = world.now_us;
    world.power_off(1);
    world.power_off(2);
    world.play(lost_us + 2 * SECOND)?;
    for container in BOTH {
        must("F57", is_shut(&world, 0, container), || format!("container {container} is open after 2 s"))?;
    }
    world.play(lost_us + 1200 * SECOND)?;
    let later = |world: &World| opened_nothing(world, 0, lost_us) && world.witness.errors.is_empty();
    must("F57", later(&world), || {
        format!("in 20 minutes: opened {:?}, errors {:?}", world.witness.opened.last(), world.witness.errors)
    })?;
    must("F57", world.machines[0].boot == boot, || "its watchdog bit though all was closed".into())?;
    for container in BOTH {
        let gates = world.gates_of(container);
        let waits = world.machines[0].gates[gates].iter().flatten().any(|gate| !gate.held.is_empty());
        must("F57", waits, || format!("nothing waits in front of container {container}"))?;
        world.machines[0].wanted[container] = false;
        world.spawn(0, Kind::Fail(container));
    }
    world.play(lost_us + 1230 * SECOND)?;
    for container in BOTH {
        let told = world.witness.errors.iter().any(|(_, place, of)| (*place, *of) == (0, container));
        must("F57", told, || format!("who wrote to container {container} waits still"))?;
        let gates = &world.machines[0].gates[world.gates_of(container)];
        must("F57", gates.iter().all(Option::is_none), || format!("container {container} is not down"))?;
    }
    ends_well(&mut world)?;
    Ok(1)
}
