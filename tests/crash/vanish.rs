//! A change of the disk set is cut short; the next machine opens what is left, and while it writes, a disk vanishes
//! under its hands; then that disk alone comes back.

use evms::volume::commit::io::Op;
use evms::volume::mistake::Rules;

use crate::author::Task;
use crate::laws::Broken;
use crate::recover::recover;
use crate::world::{Schedule, World};

pub struct Cut {
    pub name: &'static str,
    pub members: Vec<u16>,
    pub disks: u16,
    pub task: Task,
}

pub fn cuts() -> Vec<Cut> {
    vec![
        Cut { name: "two disks become three", members: vec![1, 2], disks: 3, task: Task::Expand(3) },
        Cut { name: "three disks become two", members: vec![1, 2, 3], disks: 3, task: Task::Shrink(1) },
    ]
}

/// Of the writes at which a disk may vanish, every so many are tried.
const STRIDE: usize = 3;

fn is_write(op: &Op) -> bool {
    matches!(op, Op::Write { .. })
}

pub fn run(cut: &Cut, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let mut world = World::new(cut.disks);
    world.label_disks(&cut.members);
    let all = world.numbers();
    let mut founder = world.actor(1, Task::Found(cut.members.clone()), &all, rules);
    world.run(&mut founder, Schedule::Breadth)?;
    let mut actor = world.actor(1, cut.task.clone(), &all, rules);
    // From the last disk to the first: the newcomer holds the change while the marked disk does not.
    while let Some(ask) = actor.next_ask(Schedule::Reverse) {
        world.execute(&mut actor, &ask)?;
        world.take_acks(&mut actor)?;
        if is_write(&ask.op) {
            for disk in &all {
                opened_while_vanishing(&world, *disk, rules, cases)?;
            }
        }
    }
    Ok(())
}

fn opened_while_vanishing(world: &World, disk: u16, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let mut world = world.clone();
    let all = world.numbers();
    let mut opener = world.actor(2, Task::Bump, &all, rules);
    let mut writes = 0;
    while let Some(ask) = opener.next_ask(Schedule::Breadth) {
        if is_write(&ask.op) {
            writes += 1;
            if writes % STRIDE == 1 {
                let (mut world, mut opener) = (world.clone(), opener.clone());
                opener.present.retain(|number| *number != disk);
                world.execute(&mut opener, &ask)?;
                world.run(&mut opener, Schedule::Breadth)?;
                recover(&world, &[disk], rules, cases)?;
            }
        }
        world.execute(&mut opener, &ask)?;
        world.take_acks(&mut opener)?;
    }
    Ok(())
}
