//! Two machines at one container. One is stopped anywhere, with an operation under way on every disk; the other goes
//! on for so long; the first wakes up and goes on as if nothing had happened. No lease, no fence: the protocol alone.

use evms::volume::mistake::Rules;

use crate::author::{Actor, Task};
use crate::disk::Kept;
use crate::laws::Broken;
use crate::recover::recover;
use crate::world::{Schedule, World};

pub struct Duel {
    pub name: &'static str,
    pub disks: u16,
    /// What the one that is stopped does.
    pub sleeper: Task,
    /// What the other does meanwhile, life after life.
    pub rival: Vec<Task>,
    /// Of the rival's own stops, every so many are tried.
    pub stride: usize,
}

pub fn duels() -> Vec<Duel> {
    use Task::{Bump, Expand, Own, Shrink};
    let make = |name, disks, sleeper, rival, stride| Duel { name, disks, sleeper, rival, stride };
    vec![
        make("one disk", 1, Bump, vec![Own(2)], 1),
        make("one disk, three lives", 1, Bump, vec![Own(2), Bump, Bump], 5),
        make("two disks", 2, Own(1), vec![Own(2)], 5),
        make("two disks, three lives", 2, Bump, vec![Own(2), Bump, Bump], 37),
        make("three disks", 3, Bump, vec![Own(2), Bump], 53),
        make("three disks, one leaves", 3, Shrink(3), vec![Own(2), Bump], 61),
        make("three disks, one joins", 3, Expand(4), vec![Own(2), Bump], 61),
    ]
}

fn start(duel: &Duel, rules: Rules) -> Result<World, Broken> {
    let count = duel.disks + u16::from(matches!(duel.sleeper, Task::Expand(_)));
    let mut world = World::new(count);
    let members = (1..=duel.disks).collect::<Vec<_>>();
    world.label_disks(&members);
    for task in [Task::Found(members), Task::Bump] {
        let all = world.numbers();
        let mut actor = world.actor(1, task, &all, rules);
        world.run(&mut actor, Schedule::Breadth)?;
    }
    Ok(world)
}

/// The other machine, life after life.
#[derive(Clone)]
struct Rival {
    tasks: Vec<Task>,
    actor: Option<Actor>,
}

impl Rival {
    /// Lets one operation of it land; `false` when all its lives are over.
    fn step(&mut self, world: &mut World, rules: Rules) -> Result<bool, Broken> {
        loop {
            if let Some(actor) = &mut self.actor {
                if let Some(ask) = actor.next_ask(Schedule::Breadth) {
                    world.execute(actor, &ask)?;
                    world.take_acks(actor)?;
                    return Ok(true);
                }
                world.take_acks(actor)?;
            }
            if self.tasks.is_empty() {
                return Ok(false);
            }
            let all = world.numbers();
            self.actor = Some(world.actor(2, self.tasks.remove(0), &all, rules));
        }
    }
}

pub fn run(duel: &Duel, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let mut world = start(duel, rules)?;
    let all = world.numbers();
    let mut sleeper = world.actor(1, duel.sleeper.clone(), &all, rules);
    loop {
        // Everything that the sleeper has asked of its disks is under way now and lands whenever it likes.
        sleeper.waiting();
        rival_goes_on(duel, &world, &sleeper, rules, cases)?;
        let Some(ask) = sleeper.next_ask(Schedule::Breadth) else { return Ok(()) };
        world.execute(&mut sleeper, &ask)?;
        world.take_acks(&mut sleeper)?;
    }
}

fn rival_goes_on(
    duel: &Duel,
    world: &World,
    sleeper: &Actor,
    rules: Rules,
    cases: &mut u64,
) -> Result<(), Broken> {
    let mut world = world.clone();
    let mut rival = Rival { tasks: duel.rival.clone(), actor: None };
    for step in 0usize.. {
        let going = rival.step(&mut world, rules)?;
        if !going || step % duel.stride == 0 {
            wake(&world, sleeper, &rival, rules, cases)?;
        }
        if !going {
            return Ok(());
        }
    }
    Ok(())
}

fn wake(world: &World, sleeper: &Actor, rival: &Rival, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let (mut world, mut sleeper, mut rival) = (world.clone(), sleeper.clone(), rival.clone());
    world.run(&mut sleeper, Schedule::Breadth)?;
    while rival.step(&mut world, rules)? {}
    world.disks.values_mut().for_each(|disk| disk.lose_power(Kept::Nothing));
    let all = world.numbers();
    recover(&world, &all, rules, cases)
}
