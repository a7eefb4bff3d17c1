//! F20: a change of owner is cut off after every operation of it on a disk, with every loss of caches; then other machines open what is
//! left, one after the other, the first of them with any disks that are enough. Before a model of the new owner reached a disk nothing
//! happened; after it was acknowledged it happened; and in between it is one of both, the same for whoever looks.

use evms::base::id::NodeUuid;
use evms::volume::commit::io::{Op, Purpose};
use evms::volume::mistake::Rules;

use crate::author::Task;
use crate::disk::Kept;
use crate::laws::Broken;
use crate::recover::{attempt, choice, must_open, subsets};
use crate::world::{Schedule, World, node_uuid};

/// Ways to lose a cache: the machine alone died, or the power went.
const LOSSES: [Kept; 4] = [Kept::All, Kept::Nothing, Kept::Front, Kept::Back];
/// Who had it, and to whom it is given.
const BEFORE: u16 = 1;
const AFTER: u16 = 2;

/// What is known of the change where it is cut off.
#[derive(Clone, Copy, Default)]
struct Known {
    /// A write of a model was begun after the opening.
    begun: bool,
    acknowledged: bool,
}

pub fn f20_a_commit_killed_at_every_write(rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    for count in 1..=3u16 {
        for order in [Schedule::Breadth, Schedule::Depth, Schedule::Reverse] {
            given(count, order, rules, cases)?;
        }
    }
    Ok(())
}

fn given(count: u16, order: Schedule, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let mut world = World::new(count);
    let all = world.numbers();
    world.label_disks(&all);
    for task in [Task::Found(all.clone()), Task::Own(BEFORE)] {
        let mut actor = world.actor(BEFORE, task, &all, rules);
        world.run(&mut actor, order)?;
    }
    let mut giver = world.actor(BEFORE, Task::Own(AFTER), &all, rules);
    let mut known = Known::default();
    after(&world, known, rules, cases)?;
    while let Some(ask) = giver.next_ask(order) {
        let is_model = matches!(ask.op, Op::Write { purpose: Purpose::Slot, .. });
        // Its opening says whose it was before; only what follows on that gives it away.
        known.begun |= is_model && !giver.change.author().told.is_empty();
        world.execute(&mut giver, &ask)?;
        world.take_acks(&mut giver)?;
        after(&world, known, rules, cases)?;
    }
    // That it has no more to ask is how it says so.
    known.acknowledged = giver.outcome().is_ok();
    after(&world, known, rules, cases)?;
    if !known.begun || !known.acknowledged {
        return Err(Broken::L7Stuck("a change of owner did not go through, without any fault".into()));
    }
    Ok(())
}

/// Who has it, by what all disks say.
fn owner(world: &World) -> Option<NodeUuid> {
    let chosen = choice(world, &world.numbers()).ok()?;
    chosen.model.container.owner.map(|owner| owner.node)
}

/// It is cut off here.
fn after(world: &World, known: Known, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    for kept in LOSSES {
        let mut left = world.clone();
        left.disks.values_mut().for_each(|disk| disk.lose_power(kept));
        for present in subsets(&left.numbers()) {
            if must_open(&left, &present) {
                *cases += 1;
                finished(left.clone(), known, &present, rules)?;
            }
        }
    }
    Ok(())
}

/// One machine opens it with these disks, then another with all.
fn finished(mut world: World, known: Known, present: &[u16], rules: Rules) -> Result<(), Broken> {
    let words = |what: &str, world: &World| {
        let (begun, acknowledged) = (known.begun, known.acknowledged);
        Broken::L7Torn(format!(
            "F20: {what}: {:?} has it; begun {begun}, acknowledged {acknowledged}, opened with {present:?}",
            owner(world)
        ))
    };
    if !attempt(&mut world, 3, &Task::Bump, present, rules)? {
        return Err(words("nobody can finish it", &world));
    }
    let first = owner(&world);
    let is = |node: u16| first == Some(node_uuid(node));
    if !is(BEFORE) && !is(AFTER) || !known.begun && !is(BEFORE) || known.acknowledged && !is(AFTER) {
        return Err(words("it did not end as it had to", &world));
    }
    let all = world.numbers();
    if !attempt(&mut world, AFTER, &Task::Bump, &all, rules)? {
        return Err(words("who looks later cannot open it", &world));
    }
    match owner(&world) == first {
        true => Ok(()),
        false => Err(words("who looked later found another outcome", &world)),
    }
}
