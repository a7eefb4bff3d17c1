//! Machines that stand still with their clocks and go on (T6): the clock on the board of some of them went on, and is looked at.

use evms::cluster::stillness::Stillness;

use crate::machine::Power;
use crate::story::Fault;
use crate::world::{Event, World};

/// Between two looks at it.
const LOOK_US: u64 = 100_000;

pub fn stop(world: &mut World, place: usize, us: u64) {
    let now = world.now_us;
    let machine = &mut world.machines[place];
    if machine.power != Power::On {
        return;
    }
    machine.power = Power::Stopped;
    machine.still = Stillness::default();
    machine.still.look(now / 1_000_000, machine.clock.now(now));
    machine.clock.stop(now);
    world.at(now + us, Event::Fault(Fault::Thaw(place)));
}

pub fn thaw(world: &mut World, place: usize) {
    let now = world.now_us;
    let machine = &mut world.machines[place];
    if machine.power != Power::Stopped {
        return;
    }
    machine.power = Power::On;
    machine.clock.go_on(now);
    machine.thawed = machine.clock.now(now);
    let board = machine.board;
    world.ring(place);
    if board {
        world.at(now + now % LOOK_US, Event::Fault(Fault::LooksAtBoard(place)));
    }
}

/// It counts whole seconds: who stood still for little more than three of them may not be told.
pub fn look(world: &mut World, place: usize) {
    let now = world.now_us;
    let machine = &mut world.machines[place];
    let (shown, at) = (machine.clock.now(now), machine.now(now));
    if !machine.runs() || machine.still.look(now / 1_000_000, shown).is_none() {
        return;
    }
    if let Some(daemon) = &mut machine.daemon {
        daemon.stood_still(at);
        world.ring(place);
    }
}
