//! Three machines at one container, two of which stand still: one before it writes over a slot, and one of a later opening likewise. The
//! third opens it and is told that it is done; then the two go on as if nothing had happened. What they write may take away one end of
//! what counts, and not both. No lease, no fence: the protocol alone, and a clock that goes on while they stand.

use evms::base::time::BootTime;
use evms::volume::commit::io::{Op, Purpose};
use evms::volume::mistake::Rules;

use crate::author::{Actor, Task};
use crate::disk::Kept;
use crate::laws::Broken;
use crate::recover::recover;
use crate::world::{Schedule, World};

/// Of disks: two ends of each are all that there is.
pub const DISKS: [u16; 2] = [1, 3];
/// What a stop costs at least: a process is stopped for as long as anybody likes.
const STOP_MS: u64 = 1;

pub fn run(disks: u16, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let mut world = World::new(disks);
    let members = (1..=disks).collect::<Vec<_>>();
    world.label_disks(&members);
    // Each of them had it before: who never had lets two beats pass for his block alone.
    for (node, task) in [(1, Task::Found(members)), (2, Task::Bump), (3, Task::Bump), (1, Task::Bump)] {
        let all = world.numbers();
        let mut actor = world.actor(node, task, &all, rules);
        world.run(&mut actor, Schedule::Breadth)?;
    }
    let all = world.numbers();
    let mut first = world.actor(1, Task::Bump, &all, rules);
    while goes_to_its_next_slot(&mut world, &mut first)? {
        second_opens(world.clone(), &first, rules, cases)?;
        steps(&mut world, &mut first)?;
    }
    Ok(())
}

fn second_opens(mut world: World, first: &Actor, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let all = world.numbers();
    let mut second = world.actor(2, Task::Bump, &all, rules);
    while goes_to_its_next_slot(&mut world, &mut second)? {
        third_opens(&world, [first, &second], rules, cases)?;
        steps(&mut world, &mut second)?;
    }
    Ok(())
}

/// Goes on until what it asks next is to be written over a slot, of which nothing is asked yet; false where it ends before.
fn goes_to_its_next_slot(world: &mut World, actor: &mut Actor) -> Result<bool, Broken> {
    loop {
        let mut asked = actor.clone();
        let asks = asked.waiting();
        if asks.is_empty() {
            return Ok(false);
        }
        if asks.iter().any(|ask| matches!(ask.op, Op::Write { purpose: Purpose::Slot, .. })) {
            return Ok(true);
        }
        steps(world, actor)?;
    }
}

/// What it asks is done.
fn steps(world: &mut World, actor: &mut Actor) -> Result<(), Broken> {
    for ask in actor.waiting() {
        actor.take(&ask);
        world.execute(actor, &ask)?;
    }
    world.take_acks(actor)
}

fn third_opens(world: &World, asleep: [&Actor; 2], rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    for order in [[0, 1], [1, 0]] {
        let mut world = world.clone();
        let mut asleep = asleep.map(Actor::clone);
        let all = world.numbers();
        let mut third = world.actor(3, Task::Own(3), &all, rules);
        third.now = asleep[1].now;
        world.run(&mut third, Schedule::Breadth)?;
        for place in order {
            asleep[place].now = BootTime { ms: third.now.ms + STOP_MS };
            world.run(&mut asleep[place], Schedule::Breadth)?;
        }
        world.disks.values_mut().for_each(|disk| disk.lose_power(Kept::Nothing));
        recover(&world, &all, rules, cases)?;
    }
    Ok(())
}
