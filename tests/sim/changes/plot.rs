//! What happens to a cluster while its configuration is changed: changes, and cuts, crashes and power losses close to them.

use evms::base::id::NodeId;
use evms::cluster::accord;
use evms::cluster::roster::Roster;

use super::paper::{disks, member, voter};
use super::{Happens, PLACES, desk, of};
use crate::chance::Chance;
use crate::laws::Broken;
use crate::machine::Power;
use crate::network::Weather;
use crate::story::{self, CALM_US, Fault};
use crate::world::{Event, World};

/// When the first fault may come, and the last.
const FAULTS_US: (u64, u64) = (4_000_000, 45_000_000);

/// What somebody wants, of whom: the machine that is told, and what chance makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub place: usize,
    pub number: u64,
}

/// What is laid for the next decision: it comes just then, or a moment later.
#[derive(Clone, Copy, Debug)]
pub enum Ambush {
    /// The network falls apart, and one side, or a part of it, sees no arbitration disk.
    Cut { sides: u64, blind: u64, late_us: u64 },
    /// The same, and who had it decided has half of the new votes on its side, where there is such a half.
    Halve { number: u64 },
    /// Who had it decided dies before it keeps it, and so do others.
    Crash { us: u64, others: u64 },
}

fn ambush(chance: &mut Chance) -> Ambush {
    if chance.per_mille(250) {
        return Ambush::Crash { us: chance.between(20_000, 3_000_000), others: chance.number() };
    }
    if chance.per_mille(400) {
        return Ambush::Halve { number: chance.number() };
    }
    let sides = chance.number();
    let blind = [sides, !sides, chance.number(), 0][chance.below(4) as usize];
    let late_us = [0, 0, 300, 400_000][chance.below(4) as usize];
    Ambush::Cut { sides, blind, late_us: chance.below(late_us + 1) }
}

/// The machines of one side, among them this one, by whose votes it has just half of all.
fn half(value: &Roster, place: usize, chance: &mut Chance) -> u64 {
    let configuration = &value.configuration;
    let nodes = |bits: u64| {
        let inside = (0..PLACES).filter(move |place| bits >> place & 1 == 1);
        inside.map(|place| NodeId(place as u16 + 1)).collect()
    };
    let mut bits = 0;
    for _ in 0..HALVES_TRIED {
        bits = chance.number() | 1 << place;
        if configuration.votes(nodes(bits)) * 2 == configuration.votes_of_all() {
            break;
        }
    }
    bits
}

/// A decision was made here. Does its maker die of it?
pub fn spring(world: &mut World, place: usize, value: &Roster) -> bool {
    let now = world.now_us;
    match of(world).ambush.take() {
        None => false,
        Some(Ambush::Crash { us, others }) => {
            for other in (0..PLACES).filter(|other| *other == place || others >> other & 1 == 1) {
                world.at(now, Event::Fault(Fault::Crash(other, us, true)));
            }
            true
        }
        Some(Ambush::Halve { number }) => {
            let chance = &mut Chance::new(number);
            let sides = half(value, place, chance);
            let blind = [!sides, !sides, sides, 0][chance.below(4) as usize];
            fall_apart(world, sides, blind);
            false
        }
        Some(Ambush::Cut { sides, blind, late_us: 0 }) => {
            fall_apart(world, sides, blind);
            false
        }
        Some(Ambush::Cut { sides, blind, late_us }) => {
            super::plan(world, late_us, Happens::FallsApart { sides, blind });
            false
        }
    }
}

/// Sides that are looked at for one with half of the votes.
const HALVES_TRIED: usize = 30;
/// How long a side sees no disk.
const BLIND_US: u64 = 8_000_000;

pub fn fall_apart(world: &mut World, sides: u64, blind: u64) {
    story::befall(world, &Fault::MendAll);
    story::befall(world, &Fault::Partition(sides));
    for disk in &mut world.disks {
        for (place, gone) in disk.gone_for.iter_mut().enumerate() {
            *gone |= blind >> place & 1 == 1;
        }
    }
    let at = world.now_us + BLIND_US;
    world.at(at, Event::Fault(Fault::Seeing));
}

/// All of one run.
pub fn plan(world: &mut World) {
    for place in 0..PLACES {
        let at = world.chance.below(1_000_000);
        world.at(at, Event::Fault(Fault::Restart(place, false)));
    }
    let rate = [700_000, 2_000_000, 4_000_000][world.chance.below(3) as usize];
    let mut at = FAULTS_US.0 + world.chance.below(4_000_000);
    while at < FAULTS_US.1 {
        one(world, at);
        at += world.chance.between(rate / 10, rate);
    }
    world.at(FAULTS_US.1 + 8_000_000, Event::Calm);
}

fn wants(chance: &mut Chance) -> Event {
    let change = Change { place: chance.below(PLACES as u64) as usize, number: chance.number() };
    Event::Changes(Box::new(Happens::Wants(change)))
}

/// A fault, or a change, or both close to each other.
fn one(world: &mut World, at: u64) {
    let chance = &mut world.chance;
    if chance.per_mille(450) {
        // Two may want something at once.
        for _ in 0..chance.between(1, 4) {
            let event = wants(&mut world.chance);
            let late = world.chance.below(300_000);
            world.at(at + late, event);
        }
        if world.chance.per_mille(500) {
            let ambush = ambush(&mut world.chance);
            world.at(at, Event::Changes(Box::new(Happens::Lies(ambush))));
        } else if world.chance.per_mille(600) {
            let late = [5_000, 60_000, 400_000, 2_000_000][world.chance.below(4) as usize];
            let late = world.chance.below(late);
            let fault = cut_or_crash(&mut world.chance);
            world.at(at + late, Event::Fault(fault));
        }
        return;
    }
    let fault = any(&mut world.chance, world.disks.len());
    world.at(at, Event::Fault(fault));
}

fn some(chance: &mut Chance) -> usize {
    chance.below(PLACES as u64) as usize
}

fn cut_or_crash(chance: &mut Chance) -> Fault {
    match chance.below(10) {
        0..5 => Fault::Partition(chance.number()),
        5 => Fault::Pause(some(chance), chance.between(100_000, 4_000_000)),
        6 => Fault::PowerOff(some(chance), chance.between(100_000, 6_000_000)),
        7 => Fault::CutOneWay(some(chance), some(chance)),
        _ => Fault::Crash(some(chance), chance.between(20_000, 3_000_000), true),
    }
}

fn any(chance: &mut Chance, arbitration_disks: usize) -> Fault {
    let disk = |chance: &mut Chance| chance.below(arbitration_disks as u64) as usize;
    let lasts = chance.between(200_000, 8_000_000);
    match chance.below(22) {
        0..9 => Fault::MendAll,
        9 => Fault::Weather(Weather::some(chance)),
        10 => Fault::Weather(Weather::FAIR),
        11 if arbitration_disks > 0 => Fault::DiskGone(disk(chance), Some(some(chance)), lasts),
        15 if arbitration_disks > 0 => Fault::DiskSlow(disk(chance), (500, 4_000_000), lasts),
        12 if arbitration_disks > 0 => Fault::DiskUnsure(disk(chance), lasts),
        16 => Fault::Sleep(some(chance), chance.between(300_000, 6_000_000)),
        17 => Fault::Stuck(some(chance), chance.between(500_000, 9_000_000)),
        18 => Fault::Stop(some(chance), chance.between(500_000, 6_000_000)),
        19 => Fault::Crash(some(chance), chance.between(20_000, 3_000_000), false),
        13 => Fault::Leave(some(chance), chance.between(500_000, 4_000_000)),
        14 => Fault::CutBothWays(some(chance), some(chance)),
        _ => cut_or_crash(chance),
    }
}

/// Somebody says to a machine what is to be next.
pub fn wanted(world: &mut World, change: Change) -> Result<(), Broken> {
    if world.calm {
        return Ok(());
    }
    let rules = of(world).rules;
    let Some(before) = of(world).desks[change.place].before.clone() else { return Ok(()) };
    let wish = wish(&before, change.number);
    if accord::may_follow_by(&before, &wish, rules).is_err() {
        return Ok(());
    }
    desk::propose(world, change.place, wish.following(&before))
}

/// Something that might follow. Mostly it may; where several votes are changed it may not.
fn wish(before: &Roster, number: u64) -> Roster {
    let chance = &mut Chance::new(number);
    let mut next = before.clone();
    next.configuration.generation += 1;
    let nodes = before.members.keys().copied().collect::<Vec<_>>();
    let of_them = |chance: &mut Chance| nodes[chance.below(nodes.len() as u64) as usize];
    match chance.below(10) {
        0..3 => {
            let new = NodeId(before.highest().0 + 1);
            if usize::from(new.0) <= PLACES {
                next.members.insert(new, member(new));
                next.configuration.nodes.insert(new, voter(new, chance.below(2) as u16));
            }
        }
        3..5 => {
            let gone = of_them(chance);
            next.members.retain(|node, _| *node != gone);
            next.configuration.nodes.retain(|node, _| *node != gone);
        }
        5..8 => vote(&mut next, of_them(chance), chance),
        8 => {
            let count = if before.arbitration.is_empty() { [1, 3][chance.below(2) as usize] } else { 0 };
            next.arbitration = disks(count);
            next.configuration.arbitration_disks = count;
        }
        _ => {
            for _ in 0..2 {
                vote(&mut next, of_them(chance), chance);
            }
        }
    }
    next
}

fn vote(next: &mut Roster, node: NodeId, chance: &mut Chance) {
    if let Some(voter) = next.configuration.nodes.get_mut(&node) {
        voter.votes = match voter.votes {
            0 => 1,
            votes if chance.per_mille(500) && votes < 3 => votes + 1,
            votes => votes - 1,
        };
    }
}

/// All is mended, and everybody runs.
pub fn calm(world: &mut World) {
    world.calm = true;
    of(world).ambush = None;
    world.network.weather = Weather::FAIR;
    world.network.mend_all();
    world.disks.iter_mut().for_each(crate::disk::Disk::mend);
    for place in 0..PLACES {
        let machine = &mut world.machines[place];
        (machine.paused, machine.stuck, machine.asleep) = (false, false, false);
        story::befall(world, &Fault::Thaw(place));
        let (power, is_up) = (world.machines[place].power, world.machines[place].daemon.is_some());
        match power {
            // Who never joined has nothing to start by.
            Power::Off if of(world).papers[place].is_none() => (),
            Power::Off => world.power_on(place),
            _ if !is_up => world.start(place, true),
            _ => world.ring(place),
        }
    }
    let at = world.now_us + CALM_US;
    world.at(at, Event::End);
}
