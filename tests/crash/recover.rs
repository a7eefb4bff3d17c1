//! What must be true after any crash: whoever comes with a majority of sound disks opens, finds all that was
//! acknowledged, goes on; and when the missing disks return, nothing is lost and nothing is rolled back.

use evms::format::layout::{End, SlotIndex};
use evms::format::slot::SlotImage;
use evms::volume::choose::{self, Chosen, DiskCopies, Unchosen};
use evms::volume::mistake::Rules;
use evms::volume::votes::Quorum;

use crate::author::Task;
use crate::laws::Broken;
use crate::world::{Schedule, World, disk_id};

/// Tries against rivals that are not there any more; one lost try can be due to what a dead one left.
const TRIES: usize = 3;

/// Lets a machine do a task with these disks, trying again when outbid.
pub fn attempt(
    world: &mut World,
    node: u16,
    task: &Task,
    present: &[u16],
    rules: Rules,
) -> Result<bool, Broken> {
    for _ in 0..TRIES {
        let mut actor = world.actor(node, task.clone(), present, rules);
        world.run(&mut actor, Schedule::Breadth)?;
        match actor.outcome() {
            Ok(_) => return Ok(true),
            Err(_) if actor.outbid() => continue,
            Err(_) => return Ok(false),
        }
    }
    Ok(false)
}

/// Must an opening with these disks succeed? By the rules alone, whatever mistake is being made.
pub fn must_open(world: &World, present: &[u16]) -> bool {
    match choice(world, present) {
        Ok(chosen) => {
            let here = world.discover(present).iter().map(|member| member.number).collect();
            chosen.majority_read && Quorum::of(&chosen.model.table).reached_by(&here, Rules::ALL)
        }
        Err(Unchosen::Nothing | Unchosen::Conflict { .. } | Unchosen::Unreadable { .. }) => false,
    }
}

pub fn choice(world: &World, present: &[u16]) -> Result<Chosen, Unchosen> {
    let members = world.discover(present);
    let copies = members.iter().map(|member| {
        let disk = &world.disks[&member.number.0];
        let slots = End::BOTH.into_iter().flat_map(|end| SlotIndex::BOTH.map(|index| (end, index)));
        let read = |(end, index)| {
            let area = world.layout.slot(index, end);
            (end, index, SlotImage::decode(&disk.read(area.start_bytes().0, area.length_bytes().0)))
        };
        DiskCopies { number: member.number, id: disk_id(member.number.0), slots: slots.map(read).collect() }
    });
    let copies = copies.collect::<Vec<_>>();
    choose::choose(&copies, Rules::ALL)
}

/// First these disks only, then all of them, then all but one.
pub fn recover(world: &World, first: &[u16], rules: Rules, cases: &mut u64) -> Result<(), Broken> {
    *cases += 1;
    let mut world = world.clone();
    let all = world.numbers();
    let owed = must_open(&world, first);
    let opened = attempt(&mut world, 2, &Task::Bump, first, rules)?;
    if owed && !opened {
        return Err(Broken::L7Stuck(format!("disks {first:?} are enough and did not open")));
    }
    // Those that were away then, alone: a second majority would be a second truth.
    let others = all.iter().copied().filter(|number| !first.contains(number)).collect::<Vec<_>>();
    let owed = must_open(&world, &others);
    if !attempt(&mut world, 3, &Task::Bump, &others, rules)? && owed {
        return Err(Broken::L7Stuck(format!("disks {others:?} are enough and did not open")));
    }
    // Those and one of the first: the newest model may be a lone copy now, and counts all the same.
    if let Some(one) = first.last().filter(|_| !others.is_empty()) {
        let (mut world, mixed) = (world.clone(), [others.clone(), vec![*one]].concat());
        let owed = must_open(&world, &mixed);
        if !attempt(&mut world, 3, &Task::Bump, &mixed, rules)? && owed {
            return Err(Broken::L7Stuck(format!("disks {mixed:?} are enough and did not open")));
        }
    }
    let owed = must_open(&world, &all);
    let opened = attempt(&mut world, 1, &Task::Readmit, &all, rules)?;
    if owed && !opened {
        return Err(Broken::L7Stuck(format!("all disks came back and did not open, after {first:?}")));
    }
    if !owed && !world.laws.acked.is_empty() {
        let found =
            choice(&world, &all).map(|chosen| (chosen.image.header.order, chosen.read, chosen.model.table));
        return Err(Broken::L7Stuck(format!(
            "what was acknowledged cannot be chosen, after {first:?}: {found:?}"
        )));
    }
    // Everybody holds the same now; any majority must tell the same story.
    for missing in &all {
        let rest = all.iter().copied().filter(|number| number != missing).collect::<Vec<_>>();
        let mut world = world.clone();
        let owed = must_open(&world, &rest);
        if attempt(&mut world, 3, &Task::Bump, &rest, rules)? != owed && owed {
            return Err(Broken::L7Stuck(format!("disks {rest:?} are enough and did not open")));
        }
    }
    Ok(())
}

/// All subsets of some disks, the empty one left out.
pub fn subsets(numbers: &[u16]) -> Vec<Vec<u16>> {
    let chosen = |mask: u32| numbers.iter().enumerate().filter(move |(place, _)| mask >> place & 1 == 1);
    (1..1u32 << numbers.len()).map(|mask| chosen(mask).map(|(_, number)| *number).collect()).collect()
}
