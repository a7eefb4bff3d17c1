//! What happens: faults thrown from the seed, in one of four styles, then calm.

use evms::engine::guard::duty;

use crate::chance::Chance;
use crate::gates::disk::Path;
use crate::gates::laws::ending;
use crate::gates::process::Kind;
use crate::gates::world::{Event, PRIVATE, World};
use crate::laws::Broken;
use crate::network::Weather;

const BEGIN_US: u64 = 8_000_000;
const FAULTS_US: u64 = 42_000_000;
/// Between these faults are thrown.
pub const FAULTY_US: (u64, u64) = (BEGIN_US, FAULTS_US);
const CALM_US: u64 = 75_000_000;
/// The owner that dies and stays dead does so then, and what it had must be taken then.
const DEATH_US: u64 = 12_000_000;
const TAKEN_US: u64 = 32_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Storm,
    /// The owner is cut off, or hurt otherwise, and is back just when it is taken from.
    Siege,
    /// The container changes hands while something is cut.
    Exchange,
    /// The owner dies, and nothing else happens.
    Quiet,
}

impl Style {
    pub fn some(chance: &mut Chance) -> Style {
        match chance.below(100) {
            0..35 => Style::Storm,
            35..75 => Style::Siege,
            75..90 => Style::Exchange,
            _ => Style::Quiet,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Fault {
    /// Between those whose bit is set and the others nothing passes.
    Partition(u64),
    CutOneWay(usize, usize),
    CutBothWays(usize, usize),
    MendAll,
    Weather(Weather),
    PauseDaemon(usize, u64),
    KillDaemon(usize, u64, bool),
    StartDaemon(usize, bool),
    Stick(usize, u64),
    Unstick(usize),
    PauseKeeper(usize, u64),
    KillKeeper(usize),
    PauseBeats(usize, u64),
    KillBeats(usize),
    KillCommands(usize),
    PauseCommands(usize, u64),
    PowerOff(usize, Option<u64>),
    HangDisk(usize, usize, u64),
    SlowDisk(usize, usize, (u64, u64), u64),
    LoseDisk(usize, usize, u64),
    MendDisk(usize, usize),
    ForeignResume(usize),
    Deactivate(usize, usize),
    /// The owner gives the private container to this machine.
    Switch(usize),
    /// The owner is cut off, in this way.
    Besiege(Siege),
    TakerPauses(u64),
    /// A machine stands still with its clock, or the owner does; and it is cut off.
    Stop(Option<usize>, u64),
    CutOff(Option<usize>),
    Dies,
    Taken(usize, bool),
}

impl Fault {
    /// On which machine it happens, where it needs one that runs.
    pub fn inside(&self) -> Option<usize> {
        match self {
            Fault::PauseDaemon(place, _)
            | Fault::KillDaemon(place, ..)
            | Fault::StartDaemon(place, _)
            | Fault::Stick(place, _)
            | Fault::Unstick(place)
            | Fault::PauseKeeper(place, _)
            | Fault::KillKeeper(place)
            | Fault::PauseBeats(place, _)
            | Fault::KillBeats(place)
            | Fault::KillCommands(place)
            | Fault::PauseCommands(place, _)
            | Fault::ForeignResume(place)
            | Fault::Deactivate(place, _) => Some(*place),
            _ => None,
        }
    }
}

/// How the owner is hurt.
#[derive(Clone, Copy, Debug)]
pub struct Siege {
    how: u64,
    lasts_us: u64,
    hang: Option<(u64, u64)>,
    keeper_us: Option<u64>,
    /// Who beats on its disks is stopped so late for so long; or killed.
    beats: Option<(u64, u64)>,
    pause_us: Option<u64>,
    /// A disk hangs for another one, about when that takes what the owner has.
    taker: Option<(usize, u64, u64)>,
}

pub fn faults(world: &mut World) {
    world.at(FAULTS_US, Event::Calm);
    match world.style {
        Style::Storm => storm(world, 100),
        Style::Siege => {
            for begins in [BEGIN_US, 26_000_000] {
                let at = begins + world.chance.below(3_000_000);
                let siege = siege(world);
                world.at(at, Event::Fault(Fault::Besiege(siege)));
            }
            if world.chance.per_mille(300) {
                storm(world, 20);
            }
        }
        Style::Exchange => {
            let mut at = BEGIN_US + world.chance.below(3_000_000);
            while at < FAULTS_US - 5_000_000 {
                let to = some(world);
                world.at(at, Event::Fault(Fault::Switch(to)));
                if world.chance.per_mille(700) {
                    let siege = siege(world);
                    let late = world.chance.below(1_500_000);
                    world.at(at + late, Event::Fault(Fault::Besiege(siege)));
                }
                at += world.chance.between(6_000_000, 16_000_000);
            }
        }
        Style::Quiet => world.at(DEATH_US, Event::Fault(Fault::Dies)),
    }
}

fn some(world: &mut World) -> usize {
    let machines = world.machines.len() as u64;
    world.chance.below(machines) as usize
}

/// Lasts about as long as it takes until the others may take what the owner has.
fn siege(world: &mut World) -> Siege {
    let timing = world.configuration.timing;
    let place = some(world);
    let taken_us = (timing.lease_ms + 1000 + timing.stopped_ms(timing.watchdog_ms)) * 1000;
    let chance = &mut world.chance;
    let lasts_us = match chance.below(10) {
        0..2 => chance.between(1_200_000, 4_000_000),
        // Or about until what the owner answers over the disks is taken.
        2..4 => (timing.lease_ms + duty::GRACE_MS + timing.stopped_ms(0)) * 1000 + chance.below(6_000_000),
        _ => taken_us - 2_500_000 + chance.below(6_000_000),
    };
    // Where it takes a tie to take something, that is won when the record of who had it stood still for long enough.
    let is_tied = !world.arbitration.disks.is_empty() && chance.per_mille(600);
    let lasts_us = lasts_us + if is_tied { timing.take_ms() * 1000 } else { 0 };
    let hang =
        chance.per_mille(500).then(|| (chance.below(2_000_000), chance.between(2_000_000, 14_000_000)));
    let keeper_us = chance.per_mille(400).then(|| chance.between(1_000_000, 8_000_000));
    let beats_us = [0, 0, 4_000_000, 12_000_000][chance.below(4) as usize];
    let beats = chance.per_mille(300).then(|| (chance.below(8_000_000), chance.below(beats_us + 1)));
    let pause_us = chance.per_mille(500).then(|| chance.between(500_000, 8_000_000));
    let late_us = taken_us - 300_000 + chance.below(2_000_000);
    let taker = chance.per_mille(300).then(|| (place, late_us, chance.between(300_000, 5_000_000)));
    Siege { how: chance.below(12), lasts_us, hang, keeper_us, beats, pause_us, taker }
}

fn storm(world: &mut World, share: u64) {
    let rate = [500_000, 1_500_000, 4_000_000][world.chance.below(3) as usize] * 100 / share;
    let mut at = BEGIN_US + world.chance.below(rate);
    while at < FAULTS_US {
        let fault = one(world);
        world.at(at, Event::Fault(fault));
        at += world.chance.between(rate / 10, rate);
    }
}

fn one(world: &mut World) -> Fault {
    let (one, other) = (some(world), some(world));
    let disk = world.chance.below(world.disks.len() as u64) as usize;
    let siege = siege(world);
    let chance = &mut world.chance;
    let lasts = chance.between(200_000, 12_000_000);
    match chance.below(107) {
        0..10 => Fault::Partition(chance.number()),
        10..16 => Fault::CutOneWay(one, other),
        16..22 => Fault::CutBothWays(one, other),
        22..32 => Fault::MendAll,
        32..37 => Fault::Weather(Weather::some(chance)),
        37..42 => Fault::PauseDaemon(one, chance.between(100_000, 5_000_000)),
        42..50 => Fault::KillDaemon(one, chance.between(20_000, 5_000_000), chance.per_mille(750)),
        50..53 => Fault::Stick(one, lasts),
        53..56 => Fault::PauseKeeper(one, chance.between(50_000, 6_000_000)),
        56..62 => Fault::KillKeeper(one),
        62..65 => Fault::KillCommands(one),
        65..69 => Fault::PauseCommands(one, lasts),
        69..74 => Fault::PowerOff(one, chance.per_mille(800).then_some(lasts)),
        74..81 => Fault::HangDisk(one, disk, lasts),
        81..84 => {
            Fault::SlowDisk(one, disk, [(500, 400_000), (5000, 1_500_000)][chance.below(2) as usize], lasts)
        }
        84..88 => Fault::LoseDisk(one, disk, lasts),
        88..90 => Fault::ForeignResume(one),
        90..93 => Fault::Deactivate(one, chance.below(2) as usize),
        93..96 => Fault::Switch(one),
        96..100 => Fault::PauseBeats(one, lasts),
        100..103 => Fault::KillBeats(one),
        _ => Fault::Besiege(siege),
    }
}

/// Who has the private container.
pub fn owner(world: &World) -> usize {
    let model = world.laws.committed(PRIVATE);
    model.and_then(|model| model.container.owner.as_ref()).map_or(0, |owner| world.place_of(owner.node))
}

fn besiege(world: &mut World, siege: Siege) -> Result<(), Broken> {
    let place = owner(world);
    let back = siege.lasts_us;
    match siege.how {
        0..5 => befall(world, Fault::Partition(1 << place))?,
        5 => {
            let other = some(world);
            befall(world, Fault::CutBothWays(place, other))?;
        }
        6 => (0..world.machines.len()).filter(|to| *to != place).for_each(|to| world.network.cut(place, to)),
        7 => {
            let other = (place + 1) % world.machines.len();
            world.network.cut(place, other);
            let late = world.chance.between(500_000, 4_000_000);
            world.after(late, Event::Fault(Fault::Partition(1 << place)));
        }
        8 => befall(world, Fault::PauseDaemon(place, back))?,
        9 => {
            let remembers = world.chance.per_mille(600);
            befall(world, Fault::KillDaemon(place, back, remembers))?;
        }
        10 => befall(world, Fault::Stick(place, back))?,
        _ => befall(world, Fault::PowerOff(place, Some(back)))?,
    }
    world.after(back, Event::Fault(Fault::MendAll));
    if let Some((late, lasts)) = siege.hang {
        let container = world.chance.below(2) as usize;
        let disk = world.gates_of(container).start + world.chance.below(world.each as u64) as usize;
        world.after(late, Event::Fault(Fault::HangDisk(place, disk, lasts)));
    }
    if let Some((taker, late, lasts)) = siege.taker.filter(|(taker, ..)| *taker != place) {
        // Or its disks are slow for all of the time, so that it is met in the middle of it.
        let slow = world.chance.per_mille(600);
        for disk in 0..world.disks.len() {
            let fault = match slow {
                true => Fault::SlowDisk(taker, disk, (50_000, 1_800_000), lasts + 6_000_000),
                false => Fault::HangDisk(taker, disk, lasts),
            };
            world.after(late, Event::Fault(fault));
        }
    }
    if let Some((late, lasts)) = siege.beats {
        let fault = if lasts == 0 { Fault::KillBeats(place) } else { Fault::PauseBeats(place, lasts) };
        world.after(late, Event::Fault(fault));
    }
    if let Some(late) = siege.keeper_us {
        world.after(late, Event::Fault(Fault::KillKeeper(place)));
    }
    if let Some(lasts) = siege.pause_us {
        let early = world.chance.below(2_500_000);
        world.after(back.saturating_sub(early), Event::Fault(Fault::TakerPauses(lasts)));
    }
    Ok(())
}

/// Does what a fault says.
pub fn befall(world: &mut World, fault: Fault) -> Result<(), Broken> {
    let now = world.now_us;
    match fault {
        Fault::Partition(bits) => partition(world, bits),
        Fault::CutOneWay(from, to) => world.network.cut(from, to),
        Fault::CutBothWays(one, other) => {
            world.network.cut(one, other);
            world.network.cut(other, one);
        }
        Fault::MendAll => world.network.mend_all(),
        Fault::Weather(weather) => world.network.weather = weather,
        Fault::PauseDaemon(place, us) => {
            let machine = &mut world.machines[place];
            machine.paused_us = machine.paused_us.max(now + us);
            machine.alarm += 1;
            let number = machine.alarm;
            world.after(us, Event::Alarm { machine: place, number });
        }
        Fault::KillDaemon(place, us, remembers) => {
            world.kill_daemon(place);
            if world.makes(crate::gates::mistake::Mistake::KeeperDiesWithDaemon) {
                world.kill_keeper(place)?;
            }
            world.after(us, Event::Fault(Fault::StartDaemon(place, remembers)));
        }
        Fault::StartDaemon(place, remembers) => world.start(place, remembers),
        Fault::Stick(place, us) => {
            world.machines[place].stuck = true;
            world.after(us, Event::Fault(Fault::Unstick(place)));
        }
        Fault::Unstick(place) => world.machines[place].stuck = false,
        Fault::PauseKeeper(place, us) => {
            let machine = &mut world.machines[place];
            (machine.keeper_paused_us, machine.hurt) = (machine.keeper_paused_us.max(now + us), true);
        }
        Fault::KillKeeper(place) => {
            world.machines[place].hurt = true;
            world.kill_keeper(place)?;
        }
        Fault::PauseBeats(place, us) => {
            let paused_us = &mut world.machines[place].beats.paused_us;
            *paused_us = (*paused_us).max(now + us);
        }
        Fault::KillBeats(place) => world.end_beats(place),
        Fault::PowerOff(place, back) => {
            world.power_off(place);
            if let Some(us) = back {
                world.after(us, Event::PowerOn(place));
            }
        }
        other => befall_commands(world, other)?,
    }
    Ok(())
}

fn befall_commands(world: &mut World, fault: Fault) -> Result<(), Broken> {
    let now = world.now_us;
    match fault {
        Fault::KillCommands(place) => {
            for number in commands(world, |one| one == place) {
                world.kill(number)?;
            }
        }
        Fault::PauseCommands(place, us) => pause(world, us, |one| one == place),
        Fault::TakerPauses(us) => {
            let victim = owner(world);
            pause(world, us, |one| one != victim);
        }
        Fault::HangDisk(place, disk, us) => {
            let machine = &mut world.machines[place];
            (machine.paths[disk].hangs_until_us, machine.hurt) = (now + us, true);
        }
        Fault::SlowDisk(place, disk, delay_us, us) => {
            let machine = &mut world.machines[place];
            (machine.paths[disk].delay_us, machine.hurt) = (delay_us, true);
            world.after(us, Event::Fault(Fault::MendDisk(place, disk)));
        }
        Fault::LoseDisk(place, disk, us) => {
            world.machines[place].paths[disk].lost_per_mille = 900;
            world.after(us, Event::Fault(Fault::MendDisk(place, disk)));
        }
        Fault::MendDisk(place, disk) => world.machines[place].paths[disk] = Path::WELL,
        Fault::ForeignResume(place) => world.foreign_resume(place)?,
        Fault::Deactivate(place, container) if world.machines[place].on => {
            world.machines[place].wanted[container] = false;
            world.spawn(place, Kind::Deactivate(container));
        }
        Fault::Switch(to) => {
            let place = owner(world);
            let runs = world.machines[place].on && world.machines[place].stands.since_us.is_none();
            if place != to && runs {
                world.machines[place].wanted[PRIVATE] = false;
                world.machines[to].wanted[PRIVATE] = true;
                world.spawn(place, Kind::Switch(to));
            }
        }
        Fault::Besiege(siege) => besiege(world, siege)?,
        Fault::Stop(place, us) => world.stop(place.unwrap_or_else(|| owner(world)), us),
        Fault::CutOff(place) => partition(world, 1 << place.unwrap_or_else(|| owner(world))),
        Fault::Dies => dies(world),
        Fault::Taken(dead, watched) => ending::is_taken(world, dead, watched)?,
        _ => (),
    }
    Ok(())
}

/// The owner dies for good; with five nodes another one does that never held the container, and was not watched.
fn dies(world: &mut World) {
    let place = owner(world);
    let model = world.laws.committed(PRIVATE).cloned();
    let holder = model.and_then(|model| model.container.holder(world.uuid(place)).cloned());
    world.power_off(place);
    if world.machines.len() == 5 {
        world.power_off((place + 1) % 5);
    }
    // Who had nothing up when it died leaves nothing that somebody would miss.
    if let Some(holder) = holder {
        let watched = holder.watchdog_ms > 0;
        world.at(TAKEN_US, Event::Fault(Fault::Taken(place, watched)));
    }
}

fn commands(world: &World, on: impl Fn(usize) -> bool) -> Vec<u64> {
    world.processes.iter().filter(|(_, process)| on(process.machine)).map(|(number, _)| *number).collect()
}

fn pause(world: &mut World, us: u64, on: impl Fn(usize) -> bool) {
    for number in commands(world, on) {
        let until = world.now_us + us;
        if let Some(process) = world.processes.get_mut(&number) {
            process.paused_us = process.paused_us.max(until);
        }
    }
}

fn partition(world: &mut World, bits: u64) {
    for from in 0..world.machines.len() {
        for to in 0..world.machines.len() {
            if bits >> from & 1 != bits >> to & 1 {
                world.network.cut(from, to);
            }
        }
    }
}

/// All is mended, and everybody is back.
pub fn calm(world: &mut World) -> Result<(), Broken> {
    let now = world.now_us;
    world.calm = true;
    world.network.mend_all();
    world.network.weather = Weather::FAIR;
    world.arbitration.disks.iter_mut().for_each(crate::disk::Disk::mend);
    for place in 0..world.machines.len() {
        let boot = world.machines[place].boot;
        world.thaw(place, boot);
        let machine = &mut world.machines[place];
        machine.paths.fill(Path::WELL);
        machine.paused_us = machine.paused_us.min(now);
        // Keepers, and who beats on disks, go on when they would.
        (machine.stuck, machine.wanted) = (false, [true; 2]);
        machine.alarm += 1;
        let (number, life) = (machine.alarm, machine.daemon_life);
        world.at(now, Event::Alarm { machine: place, number });
        world.after(1000, Event::Tend { machine: place, life });
        world.power_on(place);
        let remembers = world.machines[place].memory.is_some();
        world.start(place, remembers);
    }
    world.after(CALM_US, Event::End);
    Ok(())
}

impl World {
    /// Is it the owner by the newest model on any disk, in doubt as it may be? Nobody else is let near it then.
    fn is_the_owner_to_be(&mut self, place: usize) -> bool {
        let owner = self.read_of_all(PRIVATE).and_then(|chosen| chosen.model.container.owner);
        owner.is_some_and(|owner| self.place_of(owner.node) == place)
    }

    /// The service that brings up what this machine has, and looks after it as an administrator would.
    pub fn agent(&mut self, place: usize) {
        let us = self.chance.between(1_500_000, 4_000_000);
        self.after(us, Event::Agent { machine: place });
        let machine = &self.machines[place];
        if !machine.on || machine.daemon.is_none() || !machine.engine.quorate {
            return;
        }
        if !self.calm && self.chance.per_mille(100) {
            let container = self.chance.below(2) as usize;
            self.machines[place].wanted[container] = true;
        }
        for container in [0, 1] {
            let busy = self.processes.values().any(|process| {
                let about = match process.kind {
                    Kind::Activate(c) | Kind::Deactivate(c) | Kind::Fail(c) | Kind::Change(c) => {
                        c == container
                    }
                    Kind::Switch(_) => container == PRIVATE,
                    Kind::Regain | Kind::Succession | Kind::Fence(_) => false,
                };
                about && process.machine == place
            });
            let to_be = container == PRIVATE && self.is_the_owner_to_be(place);
            let machine = &self.machines[place];
            let fails = machine.gates[self.gates_of(container)].iter().flatten();
            let fails = fails.into_iter().any(|gate| gate.live == crate::gates::machine::Table::Error);
            match () {
                () if busy => (),
                () if fails => {
                    self.spawn(place, Kind::Fail(container));
                }
                () if machine.wanted[container] && !machine.apps[container].runs => {
                    let mine = container != PRIVATE || owner(self) == place || to_be;
                    if mine || self.chance.per_mille(100) {
                        self.spawn(place, Kind::Activate(container));
                    }
                }
                () => (),
            }
        }
    }
}
