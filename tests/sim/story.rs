//! What happens to a cluster: faults thrown from the seed, one after the other, then calm.

use crate::chance::Chance;
use crate::machine::Power;
use crate::network::Weather;
use crate::stillness;
use crate::world::{Event, World};

/// When the first fault may come, and the last.
const FAULTS_US: (u64, u64) = (2_500_000, 35_000_000);
/// How long calm lasts: a peer that was lost again and again must be heard for 32 windows.
pub const CALM_US: u64 = 45_000_000;
/// How long nothing may have changed at the end.
pub const STABLE_US: u64 = 5_000_000;

#[derive(Clone, Debug)]
pub enum Fault {
    Partition(u64),
    CutOneWay(usize, usize),
    CutBothWays(usize, usize),
    MendAll,
    Weather(Weather),
    Pause(usize, u64),
    GoOn(usize),
    Stop(usize, u64),
    Thaw(usize),
    LooksAtBoard(usize),
    /// The daemon dies and comes back, with what it left in memory or without.
    Crash(usize, u64, bool),
    Restart(usize, bool),
    /// One is cut off, and at that moment all who echoed it crash: its lease runs, and who comes back must know of it (the
    /// story of safety 1.3).
    Forgetting(usize, u64, bool),
    /// A copy of a machine appears while the machine itself does not run.
    Copied(u64),
    /// One leaves, and its daemon is started again.
    LeaveAndReturn(usize),
    PowerOff(usize, u64),
    PowerOn(usize),
    Leave(usize, u64),
    Drift(usize, i64),
    /// A copy of a machine appears, or goes.
    Twin(bool),
    /// The network falls into halves.
    Halves(u64),
    /// A machine sleeps, and CLOCK_BOOTTIME goes on.
    Sleep(usize, u64),
    WakeUp(usize, u64),
    /// The engine stands.
    Stuck(usize, u64),
    Unstuck(usize),
    /// The daemon is started again by the configuration before the last change.
    LastYear(u64),
    /// A machine is cut off; what it is about to write to the disks is answered late, and a while after nothing that it writes
    /// lands any more.
    Stranded(usize, u64, bool, u64),
    Timely,
    /// The disks answer nobody but this machine: what it writes and what is put over that nobody else sees.
    Blind(usize, u64),
    Seeing,
    /// The engine stands of who holds a tie, for about as long as others wait.
    StuckHolder(u64),
    /// A machine is stopped, and goes on behind a cut, just when what the holder of a tie writes begins to be lost.
    Frozen(usize, u64),
    MuteHolder,
    Mute(usize),
    /// An arbitration disk does not answer one machine, or none.
    DiskGone(usize, Option<usize>, u64),
    DiskSlow(usize, (u64, u64), u64),
    DiskUnsure(usize, u64),
    DiskMend(usize),
    DiskRemembers(usize, u64),
    DiskGoesBack(usize),
}

/// All faults of one run, with their times.
pub fn faults(world: &mut World) {
    let (disks, liar) = (world.disks.len(), world.liar);
    let chance = &mut world.chance;
    let nodes = world.configuration.nodes.len();
    // A copy of a machine on the other side of a cut cannot be told from the machine itself by messages: that is for
    // disks to notice (safety 2.8). So where there is one the network is whole.
    let one_each = world.configuration.nodes.values().all(|voter| voter.votes == 1);
    let twins = chance.per_mille(150) && one_each && nodes > 2;
    world.copies = twins;
    if disks > 0 && liar.is_none() && !twins && chance.per_mille(300) {
        return ties(world);
    }
    if twins && chance.per_mille(400) {
        return copies(world);
    }
    let rate = [400_000, 1_500_000, 4_000_000][chance.below(3) as usize];
    let mut at = chance.between(FAULTS_US.0 / 5, FAULTS_US.0 * 2);
    let mut planned = Vec::new();
    while at < FAULTS_US.1 {
        let copied = twins && chance.per_mille(250);
        let fault = if copied {
            Fault::Copied(chance.between(700_000, 7_000_000))
        } else if disks > 0 && chance.per_mille(350) {
            of_disks(chance, nodes, disks, liar)
        } else {
            one(chance, nodes)
        };
        let fits = match fault {
            Fault::Twin(_) | Fault::Copied(_) => twins,
            // Nor can a machine be held to what it granted that does not know that time went by.
            Fault::Partition(_) | Fault::CutOneWay(..) | Fault::CutBothWays(..) => !twins,
            Fault::Stop(..)
            | Fault::Forgetting(..)
            | Fault::Halves(_)
            | Fault::Stranded(..)
            | Fault::Frozen(..) => !twins,
            _ => true,
        };
        if fits {
            planned.push((at, fault));
        }
        at += chance.between(rate / 10, rate);
    }
    for (at, fault) in planned {
        world.at(at, Event::Fault(fault));
    }
    world.at(FAULTS_US.1 + 6_000_000, Event::Calm);
}

/// A quiet run in which a machine and others sleep, or are restarted, and a copy of it takes its place meanwhile; it may be ended
/// shortly before they go on, when nobody names it any more and what it was granted lasts.
fn copies(world: &mut World) {
    let twin = world.machines.len() - 1;
    let node = world.machines[twin].node;
    let first = world.machines.iter().position(|machine| machine.node == node).unwrap_or(twin);
    let chance = &mut world.chance;
    let mut planned = vec![];
    for begins in [7_000_000, 23_000_000] {
        let begins = begins + chance.below(1_000_000);
        let wakes = begins + chance.between(3_000_000, 7_000_000);
        let jitter = [0, 20_000, 200_000, 1_000_000][chance.below(4) as usize];
        // Half of the others sleep too: each half is a majority with the boot that it knows.
        let (mut sleep, mut others) = ((twin as u64 - 1) / 2, twin as u64 - 1);
        for place in 0..twin {
            if place != first {
                let sleeps = chance.below(others) < sleep;
                others -= 1;
                sleep -= u64::from(sleeps);
                if !sleeps {
                    continue;
                }
            }
            let us = wakes - begins + chance.below(jitter + 1);
            let fault =
                if chance.per_mille(300) { Fault::Crash(place, us, true) } else { Fault::Pause(place, us) };
            planned.push((begins, fault));
        }
        planned.push((begins + chance.below(300_000), Fault::Twin(true)));
        let (early, late) = (chance.between(800_000, 1_600_000), chance.below(4_000_000));
        let ends = if chance.per_mille(400) { wakes - early } else { wakes + late };
        planned.push((ends, Fault::Twin(false)));
    }
    for (at, fault) in planned {
        world.at(at, Event::Fault(fault));
    }
    world.at(FAULTS_US.1 + 6_000_000, Event::Calm);
}

/// A quiet run in which halves are cut, and whoever holds the tie is hurt where it matters, at his time.
fn ties(world: &mut World) {
    let chance = &mut world.chance;
    let nodes = world.configuration.nodes.len() as u64;
    let cut = chance.between(9_000_000, 14_000_000);
    let mut planned = vec![];
    if chance.per_mille(300) {
        planned.push((
            cut - 4_000_000,
            Fault::Frozen(chance.below(nodes) as usize, chance.between(3_500_000, 6_000_000)),
        ));
    } else {
        let late_us = chance.between(2_500_000, 6_500_000);
        let stranded = |chance: &mut Chance, at_the_end: bool| {
            let place = chance.below(nodes) as usize;
            Fault::Stranded(place, late_us, at_the_end, late_us - chance.below(1_000_000))
        };
        let at_once = chance.per_mille(450);
        planned.push((cut, if at_once { stranded(chance, true) } else { Fault::Halves(chance.number()) }));
        let hurt = cut + chance.between(6_000_000, 9_000_000);
        let fault = if chance.per_mille(500) {
            Fault::StuckHolder(chance.between(6_800_000, 9_300_000))
        } else {
            stranded(chance, false)
        };
        planned.push((hurt, fault));
    }
    for (at, fault) in planned {
        world.at(at, Event::Fault(fault));
    }
    world.at(FAULTS_US.1 + 6_000_000, Event::Calm);
}

fn of_disks(chance: &mut Chance, nodes: usize, disks: usize, liar: Option<usize>) -> Fault {
    let disk = liar.unwrap_or(chance.below(disks as u64) as usize);
    let some = |chance: &mut Chance| chance.below(nodes as u64) as usize;
    let lasts = chance.between(200_000, 12_000_000);
    match chance.below(100) {
        12..18 if liar.is_none() => Fault::StuckHolder(chance.between(6_800_000, 9_300_000)),
        18..24 if liar.is_none() => Fault::Frozen(some(chance), chance.between(3_500_000, 6_000_000)),
        0..12 if liar.is_none() => {
            let late_us = chance.between(2_500_000, 6_500_000);
            Fault::Stranded(some(chance), late_us, chance.per_mille(500), late_us - chance.below(1_000_000))
        }
        0..30 => Fault::Halves(chance.number()),
        30..50 => Fault::DiskGone(disk, Some(some(chance)), lasts),
        50..58 => Fault::DiskGone(disk, None, lasts),
        58..80 => {
            Fault::DiskSlow(disk, [(500, 4_000_000), (1_000_000, 9_000_000)][chance.below(2) as usize], lasts)
        }
        80..90 => Fault::DiskUnsure(disk, lasts),
        _ if liar.is_some() => Fault::DiskRemembers(disk, chance.between(100_000, 6_000_000)),
        _ => Fault::DiskMend(disk),
    }
}

fn one(chance: &mut Chance, nodes: usize) -> Fault {
    let some = |chance: &mut Chance| chance.below(nodes as u64) as usize;
    let drifts = [-9_900, -3000, 0, 3000, 9_900];
    match chance.below(108) {
        100..103 => Fault::Sleep(some(chance), chance.between(300_000, 6_000_000)),
        103..106 => Fault::Stuck(some(chance), chance.between(500_000, 9_000_000)),
        106..108 => Fault::LastYear(chance.between(1_000_000, 8_000_000)),
        0..16 => Fault::Partition(chance.number()),
        16..24 => Fault::CutOneWay(some(chance), some(chance)),
        24..32 => Fault::CutBothWays(some(chance), some(chance)),
        32..44 => Fault::MendAll,
        44..52 => Fault::Weather(Weather::some(chance)),
        52..60 => Fault::Pause(some(chance), chance.between(100_000, 4_000_000)),
        60..66 => Fault::Stop(some(chance), chance.between(500_000, 6_000_000)),
        66..80 => Fault::Crash(some(chance), chance.between(20_000, 3_000_000), chance.per_mille(700)),
        80..88 => Fault::PowerOff(some(chance), chance.between(100_000, 4_000_000)),
        88..91 => Fault::Leave(some(chance), chance.between(500_000, 4_000_000)),
        91 => Fault::LeaveAndReturn(some(chance)),
        92..94 => Fault::Drift(some(chance), drifts[chance.below(5) as usize]),
        94..98 => Fault::Forgetting(some(chance), chance.between(5_000, 200_000), chance.per_mille(500)),
        98 => Fault::Copied(chance.between(700_000, 7_000_000)),
        _ => Fault::Twin(chance.per_mille(500)),
    }
}

/// Does what a fault says.
pub fn befall(world: &mut World, fault: &Fault) {
    let now = world.now_us;
    match fault {
        Fault::Partition(bits) => {
            for from in 0..world.machines.len() {
                for to in 0..world.machines.len() {
                    if bits >> from & 1 != bits >> to & 1 {
                        world.network.cut(from, to);
                    }
                }
            }
        }
        Fault::CutOneWay(from, to) => world.network.cut(*from, *to),
        Fault::CutBothWays(one, other) => {
            world.network.cut(*one, *other);
            world.network.cut(*other, *one);
        }
        Fault::MendAll => world.network.mend_all(),
        Fault::Weather(weather) => world.network.weather = *weather,
        Fault::Pause(place, us) => {
            world.machines[*place].paused = true;
            world.at(now + us, Event::Fault(Fault::GoOn(*place)));
        }
        Fault::GoOn(place) => {
            world.machines[*place].paused = false;
            world.ring(*place);
        }
        Fault::Stop(place, us) => stillness::stop(world, *place, *us),
        Fault::Thaw(place) => stillness::thaw(world, *place),
        Fault::LooksAtBoard(place) => stillness::look(world, *place),
        Fault::Crash(place, us, remembers) => {
            world.machines[*place].daemon = None;
            world.at(now + us, Event::Fault(Fault::Restart(*place, *remembers)));
        }
        Fault::Forgetting(place, us, remembers) => {
            for other in 0..world.machines.len() {
                world.network.cut(*place, other);
                world.network.cut(other, *place);
                if other != *place {
                    befall(world, &Fault::Crash(other, *us, *remembers));
                }
            }
        }
        Fault::Copied(_) if world.machines.last().is_some_and(|twin| twin.power != Power::Off) => (),
        Fault::Copied(us) => {
            let twin = world.machines.len() - 1;
            let node = world.machines[twin].node;
            let first = world.machines.iter().position(|machine| machine.node == node).unwrap_or(twin);
            befall(world, &Fault::Pause(first, *us));
            befall(world, &Fault::Twin(true));
            // Ended shortly before the machine goes on, nobody names the copy any more, and what it was granted lasts.
            let ends = if us % 3 == 0 { us - us % 1_400_000 } else { us + us % 3_000_000 };
            world.at(now + ends, Event::Fault(Fault::Twin(false)));
            // And others do not run either, until about then.
            for place in (0..twin).filter(|place| *place != first && (us >> place) % 3 == 0) {
                befall(world, &Fault::Pause(place, us + us % 97_000 - us % 19 * 1000));
            }
        }
        Fault::LeaveAndReturn(place) => {
            world.leave(*place);
            world.at(now + 300_000, Event::Fault(Fault::Crash(*place, 50_000, true)));
        }
        Fault::Restart(place, remembers) => world.start(*place, *remembers),
        Fault::PowerOff(place, us) => {
            world.power_off(*place);
            world.at(now + us, Event::Fault(Fault::PowerOn(*place)));
        }
        Fault::PowerOn(place) => world.power_on(*place),
        Fault::Leave(place, us) => {
            world.leave(*place);
            world.at(now + us, Event::Fault(Fault::PowerOff(*place, 100_000)));
        }
        Fault::Drift(place, ppm) => world.machines[*place].clock.drift(now, *ppm),
        Fault::Twin(comes) => world.twin(*comes),
        Fault::Halves(bits) => halves(world, *bits),
        Fault::Sleep(place, us)
            if world.machines[*place].power == Power::On && !world.machines[*place].asleep =>
        {
            world.machines[*place].asleep = true;
            let since = world.machines[*place].clock.now(now).ms;
            world.at(now + us, Event::Fault(Fault::WakeUp(*place, since)));
        }
        Fault::Sleep(..) => (),
        Fault::WakeUp(place, since) => {
            let machine = &mut world.machines[*place];
            if machine.asleep && machine.power == Power::On {
                machine.asleep = false;
                machine.slept_ms += machine.clock.now(now).ms.saturating_sub(*since);
                world.ring(*place);
            }
        }
        Fault::Stuck(place, us) => {
            world.machines[*place].stuck = true;
            world.at(now + us, Event::Fault(Fault::Unstuck(*place)));
        }
        Fault::Unstuck(place) => world.machines[*place].stuck = false,
        Fault::LastYear(us) => {
            if let Some(place) = world.last_year.as_ref().map(|(place, _)| *place) {
                world.machines[place].daemon = None;
                world.start_by_last_years(place);
                world.at(now + us, Event::Fault(Fault::Crash(place, 100_000, true)));
            }
        }
        fault => befall_disk(world, fault),
    }
}

/// What an arbitration disk suffers.
fn befall_disk(world: &mut World, fault: &Fault) {
    let mended = |world: &mut World, disk: usize, us: u64| {
        let at = world.now_us + us;
        world.at(at, Event::Fault(Fault::DiskMend(disk)));
    };
    match *fault {
        Fault::Stranded(place, late_us, at_the_end, mute_us) => {
            // Who holds a tie is the one to whom it matters.
            let holder = (0..world.machines.len()).find(|place| world.holds_a_tie(*place));
            let place = holder.unwrap_or(place);
            if holder.is_none() {
                let bits = world.chance.number();
                halves(world, bits);
            }
            for disk in &mut world.disks {
                disk.mend();
                disk.late_for = Some((place, late_us, at_the_end && holder.is_none()));
            }
            let now = world.now_us;
            world.at(now + 1_050_000, Event::Fault(Fault::Timely));
            let mute_us = if holder.is_none() { mute_us } else { 1_060_000 };
            world.at(now + mute_us, Event::Fault(Fault::Mute(place)));
            if holder.is_none() && at_the_end && world.chance.per_mille(700) {
                let blind_us = late_us + world.chance.below(1_200_000);
                befall_disk(world, &Fault::Blind(place, blind_us));
            }
        }
        Fault::StuckHolder(us) => {
            if let Some(place) = (0..world.machines.len()).find(|place| world.holds_a_tie(*place)) {
                befall(world, &Fault::Stuck(place, us));
            }
        }
        Fault::Frozen(place, us) => {
            let (now, bits) = (world.now_us, world.chance.number());
            befall(world, &Fault::Stop(place, us));
            world.at(now + us - 20_000, Event::Fault(Fault::Halves(bits)));
            world.at(now + us + 100_000, Event::Fault(Fault::MuteHolder));
        }
        Fault::MuteHolder => {
            if let Some(place) = (0..world.machines.len()).find(|place| world.holds_a_tie(*place)) {
                befall(world, &Fault::Mute(place));
            }
        }
        Fault::Blind(sees, us) => {
            for disk in &mut world.disks {
                for (machine, gone) in disk.gone_for.iter_mut().enumerate() {
                    *gone |= machine != sees;
                }
            }
            let at = world.now_us + us;
            world.at(at, Event::Fault(Fault::Seeing));
        }
        Fault::Seeing => world.disks.iter_mut().for_each(|disk| disk.gone_for.fill(false)),
        Fault::Timely => world.disks.iter_mut().for_each(|disk| disk.late_for = None),
        Fault::Mute(place) => {
            for disk in 0..world.disks.len() {
                world.disks[disk].mute_for = Some(place);
                mended(world, disk, 10_000_000);
            }
        }
        Fault::DiskGone(disk, place, us) => {
            for (machine, gone) in world.disks[disk].gone_for.iter_mut().enumerate() {
                *gone |= place.is_none_or(|place| place == machine);
            }
            mended(world, disk, us);
        }
        Fault::DiskSlow(disk, delay_us, us) => {
            world.disks[disk].delay_us = delay_us;
            mended(world, disk, us);
        }
        Fault::DiskUnsure(disk, us) => {
            world.disks[disk].unsure_per_mille = 300;
            mended(world, disk, us);
        }
        Fault::DiskMend(disk) => world.disks[disk].mend(),
        Fault::DiskRemembers(disk, us) => {
            world.disks[disk].remember();
            let at = world.now_us + us;
            world.at(at, Event::Fault(Fault::DiskGoesBack(disk)));
        }
        Fault::DiskGoesBack(disk) => world.disks[disk].go_back(),
        _ => (),
    }
}

/// The network falls into two parts of as many nodes, or nearly.
fn halves(world: &mut World, bits: u64) {
    let nodes = world.configuration.nodes.len();
    let mut places = (0..nodes).collect::<Vec<_>>();
    places.sort_by_key(|place| (bits.rotate_left(*place as u32 * 7) & 0xff, *place));
    let side = |place: usize| places.iter().position(|other| *other == place).unwrap_or(nodes) < nodes / 2;
    let cuts = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
    for (from, to) in cuts.filter(|(from, to)| side(*from) != side(*to)) {
        world.network.cut(from, to);
    }
}

/// All that is broken is mended, but for cuts of the network that may stay as they are.
pub fn calm(world: &mut World) {
    world.calm = true;
    let twin = world.machines.len() - 1;
    world.power_off(twin);
    world.network.weather = Weather::FAIR;
    world.network.mend_all();
    let nodes = world.configuration.nodes.len();
    if world.chance.per_mille(500) {
        for _ in 0..world.chance.between(1, 4) {
            let (from, to) =
                (world.chance.below(nodes as u64) as usize, world.chance.below(nodes as u64) as usize);
            world.network.cut(from, to);
            if world.chance.per_mille(700) {
                world.network.cut(to, from);
            }
        }
    }
    if world.configuration.arbitration_disks > 0 && world.chance.per_mille(500) {
        let bits = world.chance.number();
        halves(world, bits);
    }
    world.disks.iter_mut().for_each(crate::disk::Disk::mend);
    for place in 0..nodes {
        let machine = &mut world.machines[place];
        (machine.paused, machine.stuck) = (false, false);
        if machine.asleep {
            // What it slept does not matter any more.
            machine.asleep = false;
        }
        if world.last_year.as_ref().is_some_and(|(sleeper, _)| *sleeper == place) {
            world.machines[place].daemon = None;
        }
        befall(world, &Fault::Thaw(place));
        match world.machines[place].power {
            Power::Off => world.power_on(place),
            _ if world.machines[place].daemon.is_none() => world.start(place, true),
            _ => world.ring(place),
        }
    }
    let at = world.now_us + CALM_US;
    world.at(at, Event::End);
}
