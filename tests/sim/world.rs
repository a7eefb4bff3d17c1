//! The world of one run: machines, the network between them, and what is to happen, in one order that the seed decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evms::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use evms::base::time::BootTime;
use evms::cluster::arbiter::Standing;
use evms::cluster::beat::Beat;
use evms::cluster::configuration::{Configuration, Voter};
use evms::cluster::membership::{Change, Membership};
use evms::cluster::mistake::{Mistake, Rules};
use evms::cluster::timing::Timing;

use crate::chance::Chance;
use crate::changes::{self, Changes};
use crate::clock::Clock;
use crate::disk::{Disk, Errand};
use crate::laws::agreement::Agreement;
use crate::laws::identity::Told;
use crate::laws::{Broken, cold_start, healing, one_quorum, progress};
use crate::machine::{Machine, Page, Power};
use crate::network::Network;
use crate::plan::Plan;
use crate::story::{self, Fault};
use crate::tale::Tale;

/// Events of one run at most: a run that goes on and on is broken.
const EVENTS_MAX: u64 = 5_000_000;

#[derive(Clone, Debug)]
pub enum Event {
    Arrives {
        to: usize,
        beat: Arc<Beat>,
    },
    Alarm {
        machine: usize,
        number: u64,
    },
    /// Something on a disk has its effect.
    Effect(Box<Errand>, u64),
    /// It is answered.
    Answered(Box<Errand>),
    Fault(Fault),
    /// Something about a change of the configuration.
    Changes(Box<changes::Happens>),
    Calm,
    End,
}

pub struct World {
    pub now_us: u64,
    pub chance: Chance,
    pub configuration: Configuration,
    pub machines: Vec<Machine>,
    pub network: Network,
    pub disks: Vec<Disk>,
    /// Until when a disk has something to do for a machine, and of which life of its daemon.
    busy: BTreeMap<(usize, usize), (u64, u64)>,
    /// The only disk that is ever out of order, where one goes back in time.
    pub liar: Option<usize>,
    /// Do copies of a machine appear?
    pub copies: bool,
    /// The configuration before the last change, and the machine that may be started by it.
    pub last_year: Option<(usize, Configuration)>,
    /// What machines go by where the configuration is changed while they run.
    pub changes: Option<Changes>,
    pub calm: bool,
    rules: Rules,
    plan: Plan<Event>,
    agreement: Agreement,
    /// Boots that were quorate.
    warm: BTreeSet<Incarnation>,
    changed_us: u64,
    tale: Tale,
    pub views: u64,
}

fn configuration(chance: &mut Chance) -> Configuration {
    let nodes = [2, 2, 2, 3, 4, 4, 4, 5, 5, 6, 7, 8, 9][chance.below(13) as usize];
    let weighty = chance.per_mille(200);
    let votes = |chance: &mut Chance| if weighty { chance.below(4) as u16 } else { 1 };
    let voter = |node: u16, chance: &mut Chance| {
        let mut uuid = [0; 16];
        uuid[..2].copy_from_slice(&node.to_le_bytes());
        (NodeId(node), Voter { uuid: NodeUuid(uuid), votes: votes(chance) })
    };
    Configuration {
        cluster: ClusterId([7; 16]),
        generation: 3,
        nodes: (1..=nodes).map(|node| voter(node, chance)).collect(),
        arbitration_disks: if nodes % 2 == 0 || chance.per_mille(100) {
            [0, 1, 1, 3, 3, 3][chance.below(6) as usize]
        } else {
            0
        },
        timing: if chance.per_mille(700) {
            // No watchdog, and nothing under way: nothing makes up for a lease that is wrong.
            Timing { watchdog_ms: 0, drain_ms: 0, ..Timing::default() }
        } else {
            Timing::default()
        },
    }
}

impl World {
    /// The last machine is the twin of another, and off.
    pub fn new(seed: u64, rules: Rules, tells: bool) -> World {
        let mut chance = Chance::new(seed);
        let configuration = configuration(&mut chance);
        let nodes = configuration.nodes.len();
        let twin = NodeId(chance.between(1, nodes as u64 + 1) as u16);
        let ids = configuration.nodes.keys().copied().chain([twin]);
        let drift = [0, 100, 9_900][chance.below(3) as usize];
        let machine = |node: NodeId, chance: &mut Chance| {
            let ppm = chance.below(2 * drift + 1) as i64 - drift as i64;
            Machine::new(node, Clock::new(0, chance.between(1_000_000, 900_000_000), ppm))
        };
        let machines = ids.map(|node| machine(node, &mut chance)).collect::<Vec<_>>();
        let liar =
            (configuration.arbitration_disks == 3 && chance.per_mille(300)).then(|| chance.below(3) as usize);
        let one_each = configuration.nodes.values().all(|voter| voter.votes == 1);
        let last_year = (nodes >= 4 && one_each && chance.per_mille(300)).then(|| {
            let mut before = Configuration { generation: 1, ..configuration.clone() };
            before.nodes.retain(|node, _| usize::from(node.0) <= nodes - 2);
            (chance.below(nodes as u64 - 2) as usize, before)
        });
        let mut world = World::of(chance, configuration, machines, rules);
        (world.liar, world.last_year, world.tale) = (liar, last_year, Tale::new(tells));
        world.machines[nodes].power = Power::Off;
        for (place, machine) in world.machines.iter_mut().enumerate() {
            // By a chance of its own: all else is as it would be without.
            machine.board = Chance::new(seed ^ 0xb0a2_dc10 ^ place as u64).per_mille(600);
            machine.monotonic = world.rules.broken() == Some(Mistake::MonotonicClock);
        }
        for place in 0..nodes {
            let at = world.chance.below(3_000_000);
            world.at(at, Event::Fault(Fault::Restart(place, false)));
        }
        story::faults(&mut world);
        world
    }

    fn of(chance: Chance, configuration: Configuration, machines: Vec<Machine>, rules: Rules) -> World {
        let length = configuration.nodes.len() * 2 * 4096;
        World {
            now_us: 0,
            chance,
            network: Network::new(machines.len()),
            disks: (0..configuration.arbitration_disks).map(|_| Disk::new(machines.len(), length)).collect(),
            busy: BTreeMap::new(),
            liar: None,
            copies: false,
            last_year: None,
            changes: None,
            calm: false,
            rules,
            plan: Plan::default(),
            agreement: Agreement::default(),
            warm: BTreeSet::new(),
            changed_us: 0,
            tale: Tale::default(),
            views: 0,
            configuration,
            machines,
        }
    }

    /// So many nodes and arbitration disks, to which nothing happens but what is told. All machines are on and have no daemon; the last
    /// one is nobody's.
    pub fn staged(seed: u64, nodes: u16, disks: u8, rules: Rules, tells: bool) -> World {
        let mut chance = Chance::new(seed ^ 0x57a6_ed00);
        let mut configuration = configuration(&mut chance);
        let voter = |node: u16| (NodeId(node), Voter { uuid: NodeUuid([node as u8; 16]), votes: 1 });
        configuration.nodes = (1..=nodes).map(voter).collect();
        (configuration.arbitration_disks, configuration.timing) = (disks, Timing::default());
        let ids = configuration.nodes.keys().copied().chain([NodeId(1)]);
        let machine =
            |node: NodeId| Machine::new(node, Clock::new(0, chance.between(1_000_000, 900_000_000), 0));
        let machines = ids.map(machine).collect::<Vec<_>>();
        let mut world = World::of(chance, configuration, machines, rules);
        world.tale = Tale::aloud(tells);
        world.machines[usize::from(nodes)].power = Power::Off;
        world
    }

    /// So many machines with one vote each, three arbitration disks, and the times of this configuration; what they go by is said besides.
    pub fn of_places(seed: u64, places: usize, by: &Configuration, rules: Rules, tells: bool) -> World {
        let mut chance = Chance::new(seed);
        let ids = || (1..=places as u16).map(NodeId);
        let nodes = ids().map(|node| (node, Voter { uuid: NodeUuid([node.0 as u8; 16]), votes: 1 }));
        let all = Configuration { nodes: nodes.collect(), arbitration_disks: 3, ..by.clone() };
        let drift = [0, 100, 9_900][chance.below(3) as usize];
        let machine = |node: NodeId| {
            let ppm = chance.below(2 * drift + 1) as i64 - drift as i64;
            Machine::new(node, Clock::new(0, chance.between(1_000_000, 900_000_000), ppm))
        };
        let machines = ids().chain([NodeId(1)]).map(machine).collect::<Vec<_>>();
        let mut world = World::of(chance, all, machines, rules);
        world.tale = Tale::new(tells);
        world.machines[places].power = Power::Off;
        world
    }

    pub fn at(&mut self, at_us: u64, event: Event) {
        self.plan.put(at_us, event);
    }

    fn tell(&mut self, words: impl FnOnce() -> String) {
        self.tale.tell(self.now_us, words);
    }

    pub fn told(&self) -> impl Iterator<Item = &String> {
        self.tale.lines()
    }

    /// How things stand, for who replays a seed.
    pub fn standing(&self) -> Vec<String> {
        let nodes = self.configuration.nodes.len();
        let cuts = (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to)));
        let cuts = cuts.filter(|(from, to)| self.network.is_cut(*from, *to));
        let mut lines = vec![format!("cut: {:?}", cuts.collect::<Vec<_>>())];
        for (place, machine) in self.machines.iter().enumerate() {
            let now = machine.clock.now(self.now_us);
            let Some(daemon) = &machine.daemon else { continue };
            let votes = self.configuration.nodes.get(&machine.node).map(|voter| voter.votes);
            lines.push(format!(
                "machine {place}, node {} with {votes:?} votes, {:?}: view {:?}, promised {}, chooses {}, is out: {:?}",
                machine.node,
                machine.power,
                daemon.view().map(ToString::to_string),
                daemon.promised(),
                daemon.chosen(now),
                daemon.excluded(now)
            ));
            lines.push(format!("    at {now:?}: {}", daemon.hearing_in_words(now)));
            lines.push(format!("    page {:?}, arbiter: {}", machine.page, daemon.arbiter().standing(now)));
        }
        lines
    }

    /// Does this machine write for a view that holds a tie?
    pub fn holds_a_tie(&self, place: usize) -> bool {
        let machine = &self.machines[place];
        let daemon = machine.daemon.as_ref().filter(|_| machine.runs());
        daemon.is_some_and(|daemon| {
            matches!(daemon.arbiter().standing(machine.now(self.now_us)), Standing::Holds { .. })
        })
    }

    /// Has the machine's daemon run now.
    pub fn ring(&mut self, place: usize) {
        self.machines[place].alarm += 1;
        let number = self.machines[place].alarm;
        self.at(self.now_us, Event::Alarm { machine: place, number });
    }

    pub fn power_off(&mut self, place: usize) {
        let machine = &mut self.machines[place];
        machine.power = Power::Off;
        machine.daemon = None;
        machine.page = None;
        machine.asleep = false;
        machine.stuck = false;
        machine.answers.clear();
        machine.socket.clear();
    }

    pub fn power_on(&mut self, place: usize) {
        if self.machines[place].power != Power::Off {
            return;
        }
        let drift = self.chance.below(201) as i64 - 100;
        let machine = &mut self.machines[place];
        machine.power = Power::On;
        machine.paused = false;
        machine.boot += 1;
        machine.thawed = BootTime::default();
        machine.slept_ms = 0;
        machine.clock = Clock::new(self.now_us, 1_000_000, drift);
        self.start(place, true);
    }

    /// Starts a daemon, with what the last one of this boot left, if it is to be believed.
    pub fn start(&mut self, place: usize, remembers: bool) {
        let configuration = match &self.changes {
            Some(changes) => changes.starts_by(place),
            None => Some(self.configuration.clone()),
        };
        if let Some(configuration) = configuration {
            self.start_by(place, remembers, configuration);
        }
    }

    /// By a configuration that was replaced.
    pub fn start_by_last_years(&mut self, place: usize) {
        if let Some((_, before)) = self.last_year.clone() {
            let remembers = self.chance.per_mille(400);
            self.start_by(place, remembers, before);
        }
    }

    fn start_by(&mut self, place: usize, remembers: bool, configuration: Configuration) {
        let now = self.machines[place].now(self.now_us);
        if self.machines[place].power == Power::Off || self.machines[place].daemon.is_some() {
            return;
        }
        let any_boot = self.rules.broken() == Some(Mistake::MemoryOfAnotherBoot);
        let machine = &mut self.machines[place];
        machine.told.restart();
        let memory =
            machine.memory.take().filter(|(boot, _)| remembers && (any_boot || *boot == machine.boot));
        let daemon = match memory {
            Some((_, memory)) => Membership::resume(configuration, machine.node, memory, self.rules, now),
            None => {
                // A new incarnation closes all gates first.
                machine.page = None;
                machine.told = Told::default();
                let incarnation = machine.next_incarnation(place);
                Membership::start(configuration, machine.node, incarnation, self.rules, now)
            }
        };
        machine.daemon = Some(daemon);
        machine.lives_of_daemon += 1;
        machine.stamped = now;
        machine.answers.clear();
        machine.socket.clear();
        self.tell(|| format!("machine {place} starts a daemon"));
        changes::begun(self, place);
        self.ring(place);
    }

    pub fn leave(&mut self, place: usize) {
        let machine = &mut self.machines[place];
        if let Some(daemon) =
            machine.daemon.as_mut().filter(|_| machine.power == Power::On && !machine.paused)
        {
            daemon.leave();
            self.ring(place);
        }
    }

    pub fn twin(&mut self, comes: bool) {
        let twin = self.machines.len() - 1;
        if comes { self.power_on(twin) } else { self.power_off(twin) }
    }

    fn wake(&mut self, place: usize) -> Result<(), Broken> {
        if !self.machines[place].runs() {
            return Ok(());
        }
        let machine = &mut self.machines[place];
        let now = machine.now(self.now_us);
        let Some(mut daemon) = machine.daemon.take() else { return Ok(()) };
        if !machine.stuck {
            daemon.stamp(now);
            machine.stamped = now;
        }
        for errand in std::mem::take(&mut machine.answers) {
            daemon.answer(now, errand.disk, errand.id, errand.answer());
        }
        for beat in std::mem::take(&mut machine.socket) {
            machine.told.hear(&mut daemon, now, &beat, &self.configuration.timing)?;
        }
        daemon.tick(now);
        let beat = daemon.beat(now);
        // The page and the memory are written before anything is sent.
        machine.page = daemon.quorate(now).map(|(view, until)| Page { view, until, proven: daemon.proven() });
        let commands = std::iter::from_fn(|| daemon.command()).collect::<Vec<_>>();
        if beat.is_some() || !commands.is_empty() || daemon.has_changed() {
            machine.memory = Some((machine.boot, daemon.memory()));
        }
        progress::check(machine, self.now_us, &self.configuration.timing, beat.is_some())?;
        let alarm = machine.real_us(daemon.deadline().max(now)).max(self.now_us + 1);
        machine.alarm += 1;
        let number = machine.alarm;
        self.at(alarm, Event::Alarm { machine: place, number });
        for command in commands {
            self.run_errand(place, command);
        }
        if let Some(beat) = beat {
            self.send(place, Arc::new(beat));
        }
        let replaced = self.hear_of_changes(place, &mut daemon)?;
        if replaced {
            self.start(place, false);
        } else {
            self.machines[place].daemon = Some(daemon);
        }
        Ok(())
    }

    /// A tie that is taken by who was never quorate since its boot is looked at by a law.
    fn look_at_warmth(&mut self, daemon: &Membership) -> Result<(), Broken> {
        let tie = daemon.view().filter(|_| daemon.tied().is_some() && self.liar.is_none());
        if let Some(view) = tie.filter(|view| !view.members.values().any(|boot| self.warm.contains(boot))) {
            cold_start::check(view, &self.disks, self.configuration.nodes.len() as u16)?;
        }
        self.warm.insert(daemon.incarnation());
        Ok(())
    }

    /// Has a disk do something for a machine, after what it does for a daemon of it that died.
    fn run_errand(&mut self, place: usize, command: evms::cluster::arbiter::Command) {
        let (boot, life) = (self.machines[place].boot, self.machines[place].lives_of_daemon);
        let (fate, effect, lasts) = self.disks[command.disk].fate(place, &command, &mut self.chance);
        let busy = self.busy.get(&(place, command.disk)).filter(|(_, of)| *of != life);
        let begun_us = busy.map_or(self.now_us, |(until, _)| (*until).max(self.now_us));
        self.busy.insert((place, command.disk), (begun_us + lasts, life));
        let (disk, id, act) = (command.disk, command.id, command.act);
        let errand = Errand { machine: place, boot, life, disk, id, act, begun_us, fate, shows: None };
        self.at(begun_us + effect, Event::Effect(Box::new(errand), begun_us + lasts));
    }

    /// What a machine had under way when its power went may still land for a while.
    fn takes_effect(&mut self, mut errand: Box<Errand>, answered_us: u64) {
        let machine = &self.machines[errand.machine];
        let dead = machine.boot != errand.boot || machine.power == Power::Off;
        let unbegun = machine.lives_of_daemon != errand.life && errand.begun_us > self.now_us;
        if unbegun || dead && (self.now_us > errand.begun_us + 2_000_000 || self.chance.per_mille(500)) {
            return;
        }
        self.disks[errand.disk].effect(&mut errand);
        self.at(answered_us, Event::Answered(errand));
    }

    fn answered(&mut self, errand: Errand) -> Result<(), Broken> {
        let machine = &mut self.machines[errand.machine];
        if machine.lives_of_daemon != errand.life || machine.boot != errand.boot || machine.daemon.is_none() {
            return Ok(());
        }
        let place = errand.machine;
        machine.answers.push_back(errand);
        self.wake(place)
    }

    fn send(&mut self, from: usize, beat: Arc<Beat>) {
        for to in 0..self.machines.len() {
            if self.machines[to].node == beat.node || !changes::are_acquainted(self, from, to) {
                continue;
            }
            for after in self.network.fates(from, to, &mut self.chance) {
                self.at(self.now_us + after, Event::Arrives { to, beat: Arc::clone(&beat) });
            }
        }
    }

    /// Must it begin anew?
    fn hear_of_changes(&mut self, place: usize, daemon: &mut Membership) -> Result<bool, Broken> {
        let mut replaced = false;
        let incarnation = daemon.incarnation();
        while let Some(change) = daemon.change() {
            self.tell(|| format!("machine {place}: {change:?}"));
            if let Change::Installing(number) = change {
                self.agreement.installing(incarnation, number);
            }
            replaced |= matches!(change, Change::Replaced(_));
            if matches!(change, Change::Outdated { .. }) {
                changes::outdated(self, place);
            }
            if let Change::Quorate(number) = change {
                self.agreement.quorate(self.machines[place].node, incarnation, number)?;
                changes::quorate(self, place, daemon);
                self.look_at_warmth(daemon)?;
            }
            if let Change::Installed(view) = change {
                self.changed_us = self.now_us;
                self.views += 1;
                self.agreement.installed(self.machines[place].node, incarnation, &view)?;
            }
        }
        Ok(replaced)
    }

    fn happens(&mut self, event: Event) -> Result<bool, Broken> {
        match event {
            Event::Arrives { to, beat } => {
                self.machines[to].receive(beat);
                self.wake(to)?;
            }
            Event::Alarm { machine, number } if self.machines[machine].alarm == number => {
                self.wake(machine)?
            }
            Event::Alarm { .. } => return Ok(true),
            Event::Effect(errand, answered_us) => self.takes_effect(errand, answered_us),
            Event::Answered(errand) => self.answered(*errand)?,
            Event::Fault(_) if self.calm => return Ok(true),
            Event::Fault(fault) => {
                self.tell(|| format!("{fault:?}"));
                story::befall(self, &fault);
            }
            Event::Changes(what) => {
                if changes::is_told(self, &what) {
                    self.tell(|| what.in_words());
                }
                changes::happens(self, *what)?;
            }
            Event::Calm => {
                self.tell(|| "calm".into());
                if self.changes.is_some() { changes::calm(self) } else { story::calm(self) }
            }
            Event::End if self.changes.is_some() => {
                changes::check(self)?;
                return Ok(false);
            }
            Event::End => {
                let (now, changed) = (self.now_us, self.changed_us);
                healing::check(
                    &self.configuration,
                    &self.machines,
                    &self.network,
                    now,
                    changed,
                    story::STABLE_US,
                )?;
                return Ok(false);
            }
        }
        one_quorum::check(&self.machines, self.now_us)?;
        Ok(true)
    }

    /// Until it is so late, or a law is broken.
    pub fn play(&mut self, until_us: u64) -> Result<(), Broken> {
        while let Some((at_us, event)) = self.plan.take_before(until_us) {
            self.now_us = at_us;
            self.happens(event)?;
        }
        self.now_us = until_us;
        Ok(())
    }

    /// Until the end, or a law is broken.
    pub fn run(&mut self) -> Result<(), Broken> {
        for _ in 0..EVENTS_MAX {
            let Some((at_us, event)) = self.plan.take() else { break };
            self.now_us = at_us;
            if !self.happens(event)? {
                return Ok(());
            }
        }
        Err(Broken { law: "end", words: "the run did not come to its end".into() })
    }
}
