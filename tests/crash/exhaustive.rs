//! Every crash point of every scenario: after each operation that changes a disk, with each way the caches may have
//! been lost, with the next write torn, with every subset of disks missing at reopening.

use std::collections::BTreeSet;

use evms::format::layout::{End, SlotIndex};
use evms::volume::commit::io::Op;
use evms::volume::mistake::Rules;

use crate::author::Task;
use crate::disk::{Disk, Kept};
use crate::laws::Broken;
use crate::recover::{attempt, recover, subsets};
use crate::world::{Schedule, World};

pub struct Scenario {
    pub name: &'static str,
    /// Disks labelled at the start, and how many exist.
    pub start: Vec<u16>,
    pub disks: u16,
    /// A disk that is away from the second task on.
    pub away: Option<u16>,
    /// Machine and task, one after the other.
    pub tasks: Vec<(u16, Task)>,
}

pub fn scenarios() -> Vec<Scenario> {
    use Task::{Bump, Deport, Expand, Import, Own, Shrink};
    let found = |numbers: &[u16]| (1, Task::Found(numbers.to_vec()));
    let make = |name, start: &[u16], disks, rest: Vec<(u16, Task)>| Scenario {
        name,
        start: start.to_vec(),
        disks,
        away: None,
        tasks: [vec![found(start)], rest].concat(),
    };
    let away = |away, scenario: Scenario| Scenario { away: Some(away), ..scenario };
    vec![
        away(3, make("three disks, one away", &[1, 2, 3], 3, vec![(1, Bump)])),
        make("one disk, owner changes", &[1], 1, vec![(1, Bump), (2, Own(2)), (2, Bump)]),
        make("one disk becomes two", &[1], 2, vec![(1, Expand(2)), (1, Bump)]),
        make("two disks become one", &[1, 2], 2, vec![(1, Shrink(1)), (1, Bump)]),
        make("two disks, deport and import", &[1, 2], 2, vec![(1, Deport), (2, Import(2))]),
        make("two disks become three", &[1, 2], 3, vec![(1, Expand(3)), (2, Own(2))]),
        make("three disks become two", &[1, 2, 3], 3, vec![(1, Shrink(2))]),
        make("three disks, owner changes", &[1, 2, 3], 3, vec![(1, Bump), (2, Own(2))]),
        make("three disks become four", &[1, 2, 3], 4, vec![(1, Expand(4))]),
        make("four disks become three", &[1, 2, 3, 4], 4, vec![(1, Shrink(1))]),
    ]
}

/// Worlds that were tried: what is on the disks, and how much was acknowledged.
type Seen = BTreeSet<(u64, usize)>;

/// Ways to lose a cache: the machine alone died, or the power went.
const LOSSES: [Kept; 4] = [Kept::All, Kept::Nothing, Kept::Front, Kept::Back];
/// Writes of more blocks than this (blanking) are torn at the first, middle and last block only.
const TEAR_EACH_MAX: usize = 8;

pub fn run(scenario: &Scenario, order: Schedule, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let mut seen = Seen::new();
    let mut world = World::new(scenario.disks);
    world.label_disks(&scenario.start);
    for (place, (node, task)) in scenario.tasks.iter().enumerate() {
        let mut all = world.numbers();
        all.retain(|number| place == 0 || Some(*number) != scenario.away);
        let mut actor = world.actor(*node, task.clone(), &all, rules);
        while let Some(ask) = actor.next_ask(order) {
            let changes = matches!(ask.op, Op::Write { .. } | Op::Flush);
            if let Op::Write { at, bytes, .. } = &ask.op
                && let Some(number) = actor.disk_of_lane(ask.lane)
            {
                for after in torn(&world, number, at.0, bytes) {
                    everyone(&after, &mut seen, rules, cases)?;
                }
            }
            world.execute(&mut actor, &ask)?;
            world.take_acks(&mut actor)?;
            if changes {
                crash(&world, &mut seen, rules, cases)?;
            }
        }
        world.take_acks(&mut actor)?;
        for end in End::BOTH {
            rotten_end(&world, end, rules, cases)?;
        }
        lying_disk(&world, rules, cases)?;
        if actor.outcome().is_err() {
            return Err(Broken::L7Stuck(format!("{task:?} failed without any fault: {:?}", actor.outcome())));
        }
    }
    Ok(())
}

fn crash(world: &World, seen: &mut Seen, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let pending = world.disks.values().any(|disk| disk.has_pending());
    for kept in LOSSES.into_iter().take(if pending { LOSSES.len() } else { 1 }) {
        let mut after = world.clone();
        after.disks.values_mut().for_each(|disk| disk.lose_power(kept));
        everyone(&after, seen, rules, cases)?;
    }
    Ok(())
}

/// The world with one write landed in part, in every way.
fn torn(world: &World, number: u16, at: u64, bytes: &[u8]) -> Vec<World> {
    let blocks = bytes.len() / crate::disk::BLOCK as usize;
    let each = blocks <= TEAR_EACH_MAX;
    let fronts = (1..blocks).filter(|&front| each || [1, blocks / 2, blocks - 1].contains(&front));
    let ways = fronts.flat_map(|front| [(front, true), (front, false)]);
    ways.map(|(front, keep_front)| {
        let mut after = world.clone();
        after.disks.values_mut().for_each(Disk::flush);
        after.disks.get_mut(&number).unwrap().write_torn(at, bytes, front, keep_front);
        after
    })
    .collect()
}

fn everyone(world: &World, seen: &mut Seen, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    // Many crash points leave the very same bytes and the same promises behind: one is enough.
    if !seen.insert(world.fingerprint()) {
        return Ok(());
    }
    for present in subsets(&world.numbers()) {
        recover(world, &present, rules, cases)?;
    }
    Ok(())
}

/// Between tasks, one end of every disk rots: the other end must do.
fn rotten_end(world: &World, end: End, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    let mut after = world.clone();
    for disk in after.disks.values_mut() {
        for index in SlotIndex::BOTH {
            let area = world.layout.slot(index, end);
            disk.rot(area.start_bytes().0, area.length_bytes().0);
        }
    }
    recover(&after, &after.numbers(), rules, cases)
}

/// Between tasks, one disk begins to say "written" and to forget; a change is asked for; the power fails.
fn lying_disk(world: &World, rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    for liar in world.numbers() {
        let mut after = world.clone();
        after.disks.get_mut(&liar).unwrap().drops_writes = true;
        attempt(&mut after, 2, &Task::Bump, &world.numbers(), rules)?;
        for disk in after.disks.values_mut() {
            disk.lose_power(Kept::Nothing);
            disk.drops_writes = false;
        }
        recover(&after, &world.numbers(), rules, cases)?;
    }
    Ok(())
}
