//! What happens to letters: faults thrown from the seed, then calm, in which a link may stay dead and paths become narrow; some
//! last letters are written into it.

use crate::chance::Chance;
use crate::letters::paths::PAYLOADS;
use crate::letters::world::{Event, World};
use crate::network::Weather;

/// When the last fault may come, how long the calm after it lasts.
const FAULTS_US: u64 = 12_000_000;
const CALM_US: u64 = 15_000_000;

#[derive(Clone, Debug)]
pub enum Fault {
    Weather(usize, Weather),
    CutOneWay(usize, usize, usize),
    CutLink(usize, usize, usize),
    /// A whole link dies, for all.
    LinkDies(usize),
    /// Between those whose bit is set and the others nothing passes on any link.
    Partition(u64),
    MendAll,
    /// Packets that are larger vanish.
    Hole(usize, usize, usize, usize),
    Crash(usize, u64),
    Starts(usize),
    /// A peer leaves one machine's view for a while.
    LeavesView(usize, usize, u64),
    /// An application takes nothing for a while.
    Busy(usize, u64),
    /// A process does not run for a while; what comes meanwhile waits in its socket.
    Pause(usize, u64),
    /// Many messages at once.
    Flood(usize, usize, u64, u64),
}

pub fn faults(world: &mut World) {
    let rate = [300_000, 1_000_000, 4_000_000][world.chance.below(3) as usize];
    let mut at = world.chance.between(100_000, 3_000_000);
    while at < FAULTS_US {
        let fault = one(world);
        world.at(at, Event::Fault(fault));
        at += world.chance.between(rate / 10, rate);
    }
    if world.chance.per_mille(30) {
        long(world);
    }
    world.at(FAULTS_US, Event::Calm);
}

/// Some of the longest messages, and a receiver who lets them stand.
fn long(world: &mut World) {
    let (from, to) = two(world);
    for _ in 0..world.chance.between(1, 4) {
        let at = world.chance.between(500_000, FAULTS_US);
        let bytes = world.chance.between(2 << 20, (16 << 20) + 1);
        world.at(at, Event::Fault(Fault::Flood(from, to, 1, bytes)));
    }
    let (at, us) = (world.chance.below(FAULTS_US), world.chance.below(3_000_000));
    world.at(at, Event::Fault(Fault::Busy(to, us)));
}

fn two(world: &mut World) -> (usize, usize) {
    let machines = world.offices.len() as u64;
    let from = world.chance.below(machines);
    let to = (from + world.chance.between(1, machines)) % machines;
    (from as usize, to as usize)
}

fn one(world: &mut World) -> Fault {
    let (from, to) = two(world);
    let links = world.paths.links.len() as u64;
    let chance = &mut world.chance;
    let link = chance.below(links) as usize;
    match chance.below(100) {
        0..20 => Fault::Weather(link, Weather::some(chance)),
        20..28 => Fault::CutOneWay(link, from, to),
        28..36 => Fault::CutLink(link, from, to),
        36..40 => Fault::LinkDies(link),
        40..45 => Fault::Partition(chance.number()),
        45..60 => Fault::MendAll,
        60..68 => Fault::Hole(link, from, to, PAYLOADS[chance.below(3) as usize]),
        68..75 => Fault::Crash(from, chance.between(10_000, 2_000_000)),
        75..82 => Fault::LeavesView(from, to, chance.between(1000, 1_000_000)),
        82..89 => Fault::Busy(from, chance.between(10_000, 3_000_000)),
        89..93 => Fault::Pause(from, chance.between(1000, 3_000_000)),
        _ => flood(from, to, chance),
    }
}

/// Messages of which many are short, or few long: up to somewhat more than a peer's queue holds.
fn flood(from: usize, to: usize, chance: &mut Chance) -> Fault {
    let (count, bytes) = [(9000, 20), (300, 2000), (40, 60_000), (3, 1 << 20)][chance.below(4) as usize];
    Fault::Flood(from, to, chance.between(1, count), bytes)
}

/// Does what a fault says.
pub fn befall(world: &mut World, fault: Fault) {
    let now = world.now_us;
    match fault {
        Fault::Weather(link, weather) => world.paths.links[link].weather = weather,
        Fault::CutOneWay(link, from, to) => world.paths.links[link].cut(from, to),
        Fault::CutLink(link, from, to) => cut(world, link, from, to),
        Fault::LinkDies(link) => {
            each_two(world, |world, from, to| world.paths.links[link].cut(from, to));
        }
        Fault::Partition(bits) => each_two(world, |world, from, to| {
            if bits >> from & 1 != bits >> to & 1 {
                world.paths.links.iter_mut().for_each(|link| link.cut(from, to));
            }
        }),
        Fault::MendAll => world.paths.links.iter_mut().for_each(|link| link.mend_all()),
        Fault::Hole(link, from, to, largest) => world.paths.set_largest(link, from, to, largest),
        Fault::Crash(place, us) => {
            world.crash(place);
            world.at(now + us, Event::Fault(Fault::Starts(place)));
        }
        Fault::Starts(place) => world.start(place),
        Fault::LeavesView(place, peer, us) => world.leaves_view(place, peer, us),
        Fault::Busy(place, us) => {
            let office = &mut world.offices[place];
            office.busy_until = office.busy_until.max(now + us);
            world.at(now + us, Event::Wakes { place });
        }
        Fault::Pause(place, us) => {
            let office = &mut world.offices[place];
            office.paused_until = office.paused_until.max(now + us);
            world.at(now + us, Event::Wakes { place });
        }
        Fault::Flood(from, to, count, bytes) => {
            for _ in 0..count {
                world.writes(from, to, bytes as usize);
            }
            world.at(now, Event::Wakes { place: from });
        }
    }
}

fn cut(world: &mut World, link: usize, one: usize, other: usize) {
    world.paths.links[link].cut(one, other);
    world.paths.links[link].cut(other, one);
}

fn each_two(world: &mut World, mut what: impl FnMut(&mut World, usize, usize)) {
    let machines = world.offices.len();
    for from in 0..machines {
        for to in (0..machines).filter(|to| *to != from) {
            what(world, from, to);
        }
    }
}

/// All is mended, but one link may stay dead, or be cut one way, where there is another.
pub fn calm(world: &mut World) {
    let now = world.now_us;
    for link in &mut world.paths.links {
        link.mend_all();
        link.weather = Weather::FAIR;
    }
    if world.paths.links.len() > 1 && world.chance.per_mille(500) {
        let link = world.chance.below(world.paths.links.len() as u64) as usize;
        let both = world.chance.per_mille(500);
        each_two(world, |world, from, to| {
            if both || from < to {
                world.paths.links[link].cut(from, to);
            }
        });
    }
    let narrow = world.chance.per_mille(300);
    each_two(world, |world, from, to| {
        if narrow {
            (0..world.paths.links.len())
                .for_each(|link| world.paths.set_largest(link, from, to, PAYLOADS[0]));
        }
        let bytes = world.chance.below(60_000) as usize;
        world.writes(from, to, bytes);
    });
    for place in 0..world.offices.len() {
        world.offices[place].busy_until = 0;
        world.offices[place].paused_until = 0;
        world.start(place);
        world.at(now, Event::Wakes { place });
    }
    world.at(now + CALM_US, Event::End);
}
