//! Ties: in some runs the nodes are two or four, and one or three arbitration disks decide which half goes on, with the product's own
//! arbiter. They are slow, unsure, or gone for some, apart from the disks of containers. By a chance of its own: other runs are as they
//! would be without.

use std::collections::BTreeMap;

use evms::cluster::arbiter::Command;
use evms::cluster::configuration::Configuration;
use evms::cluster::mistake as membership;

use crate::chance::Chance;
use crate::disk::{Disk, Errand};
use crate::gates::mistake::{Mistake, Rules, makes};
use crate::gates::world::{Event, World};

/// Bytes of a node's blocks.
const BLOCKS_BYTES: usize = 2 * 4096;
/// What was under way of a machine whose power went lands for so long at most.
const LANDS_US: u64 = 2_000_000;

/// Has the cluster of this seed arbitration disks?
pub fn are_there(seed: u64) -> bool {
    Chance::new(seed ^ 0x71e5_0d15).per_mille(200)
}

/// How many nodes it has then, and how many of these disks.
pub fn of(seed: u64) -> (usize, u8) {
    let chance = &mut Chance::new(seed ^ 0x71e5_c0de);
    ([2, 2, 4][chance.below(3) as usize], [1, 3, 3][chance.below(3) as usize])
}

/// Is such a seed worth a run for this mistake?
pub fn fits(mistake: Mistake, seed: u64) -> bool {
    mistake != Mistake::BothHalvesGoOn || are_there(seed)
}

/// By what the membership goes: each half is enough for itself where nobody asks the disks.
pub fn gone_by(configuration: &Configuration, rules: Rules) -> (Configuration, membership::Rules) {
    match makes(rules, Mistake::BothHalvesGoOn) {
        true => (
            Configuration { arbitration_disks: 0, ..configuration.clone() },
            membership::Rules::without(membership::Mistake::HalfIsMajority),
        ),
        false => (configuration.clone(), membership::Rules::ALL),
    }
}

/// The arbitration disks, and until when each has something to do for a machine, and for which life of its daemon.
pub struct Arbitration {
    pub disks: Vec<Disk>,
    busy: BTreeMap<(usize, usize), (u64, u64)>,
}

impl Arbitration {
    pub fn of(configuration: &Configuration) -> Arbitration {
        let nodes = configuration.nodes.len();
        let disk = |_| Disk::new(nodes, nodes * BLOCKS_BYTES);
        Arbitration { disks: (0..configuration.arbitration_disks).map(disk).collect(), busy: BTreeMap::new() }
    }
}

/// What befalls an arbitration disk.
#[derive(Clone, Debug)]
pub enum Happens {
    Effect(Box<Errand>, u64),
    Answered(Box<Errand>),
    Gone(usize, Option<usize>, u64),
    Slow(usize, u64),
    Unsure(usize, u64),
    Mends(usize),
}

/// Throws it.
pub fn faults(world: &mut World, seed: u64, (begin_us, end_us): (u64, u64)) {
    let disks = world.arbitration.disks.len() as u64;
    if disks == 0 {
        return;
    }
    let chance = &mut Chance::new(seed ^ 0x71e5_fa17);
    let rate = [2_000_000, 6_000_000, 20_000_000][chance.below(3) as usize];
    let mut at = begin_us + chance.below(rate);
    while at < end_us {
        let disk = chance.below(disks) as usize;
        let lasts = chance.between(500_000, 16_000_000);
        let place = chance.below(world.machines.len() as u64) as usize;
        let happens = match chance.below(10) {
            0..5 => Happens::Gone(disk, Some(place), lasts),
            5..7 => Happens::Gone(disk, None, lasts),
            7..9 => Happens::Slow(disk, lasts),
            _ => Happens::Unsure(disk, lasts),
        };
        world.at(at, Event::Arbitration(happens));
        at += chance.between(rate / 10, rate);
    }
}

impl World {
    /// Has these done, after what its disk does for a daemon of the machine that died.
    pub fn arbitrate(&mut self, place: usize, commands: Vec<Command>) {
        let (boot, life) = (self.machines[place].boot, self.machines[place].daemon_life);
        for command in commands {
            let arbitration = &mut self.arbitration;
            let (fate, effect, lasts) =
                arbitration.disks[command.disk].fate(place, &command, &mut self.chance);
            let busy = arbitration.busy.get(&(place, command.disk)).filter(|(_, of)| *of != life);
            let begun_us = busy.map_or(self.now_us, |(until, _)| (*until).max(self.now_us));
            arbitration.busy.insert((place, command.disk), (begun_us + lasts, life));
            let Command { disk, id, act } = command;
            let errand = Errand { machine: place, boot, life, disk, id, act, begun_us, fate, shows: None };
            let happens = Happens::Effect(Box::new(errand), begun_us + lasts);
            self.at(begun_us + effect, Event::Arbitration(happens));
        }
    }

    pub fn happens_to_arbitration(&mut self, happens: Happens) {
        let mends = |world: &mut World, disk: usize, us: u64| {
            world.after(us, Event::Arbitration(Happens::Mends(disk)));
        };
        match happens {
            Happens::Effect(errand, answered_us) => self.takes_effect(errand, answered_us),
            Happens::Answered(errand) => {
                let machine = &mut self.machines[errand.machine];
                if machine.daemon_life == errand.life
                    && machine.boot == errand.boot
                    && machine.daemon.is_some()
                {
                    let place = errand.machine;
                    machine.answers.push(*errand);
                    self.wake(place);
                }
            }
            Happens::Mends(disk) => self.arbitration.disks[disk].mend(),
            _ if self.calm => (),
            Happens::Gone(disk, place, us) => {
                self.tell(|| format!("arbitration disk {disk} is gone for {place:?}"));
                for (machine, gone) in self.arbitration.disks[disk].gone_for.iter_mut().enumerate() {
                    *gone |= place.is_none_or(|place| place == machine);
                }
                mends(self, disk, us);
            }
            Happens::Slow(disk, us) => {
                self.arbitration.disks[disk].delay_us = (500_000, 6_000_000);
                mends(self, disk, us);
            }
            Happens::Unsure(disk, us) => {
                self.arbitration.disks[disk].unsure_per_mille = 300;
                mends(self, disk, us);
            }
        }
    }

    /// What a machine had under way when its power went may still land for a while.
    fn takes_effect(&mut self, mut errand: Box<Errand>, answered_us: u64) {
        let machine = &self.machines[errand.machine];
        let dead = machine.boot != errand.boot || !machine.on;
        let unbegun = machine.daemon_life != errand.life && errand.begun_us > self.now_us;
        if unbegun || dead && (self.now_us > errand.begun_us + LANDS_US || self.chance.per_mille(500)) {
            return;
        }
        self.arbitration.disks[errand.disk].effect(&mut errand);
        self.at(answered_us, Event::Arbitration(Happens::Answered(errand)));
    }
}
