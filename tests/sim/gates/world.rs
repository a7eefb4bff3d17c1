//! The world of one run: machines, the network between them, the disks that they share, and what is to happen, in one order that the
//! seed decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use evms::base::id::{ClusterId, NodeId};
use evms::base::time::BootTime;
use evms::cluster::beat::Beat;
use evms::cluster::configuration::{Configuration, Voter};
use evms::cluster::timing::Timing;
use evms::engine::guard::keeping;
use evms::format::layout::Layout;

use crate::chance::Chance;
use crate::clock::Clock;
use crate::gates::disk::{self, Disk};
use crate::gates::errand::Errand;
use crate::gates::laws::Laws;
use crate::gates::machine::{Engine, Machine, Page};
use crate::gates::mistake::{Mistake, Rules, makes};
use crate::gates::process::Process;
use crate::gates::story::{self, Fault, Style};
use crate::gates::ties::{self, Arbitration};
use crate::gates::witness::Witness;
use crate::gates::{agents, beats, founding, laws, stops};
use crate::laws::Broken;
use crate::network::Network;
use crate::plan::Plan;
use crate::tale::Tale;

pub const PRIVATE: usize = 0;
pub const SHARED: usize = 1;
/// Events of one run at most: a run that goes on and on is broken.
const EVENTS_MAX: u64 = 8_000_000;

#[derive(Clone, Debug)]
pub enum Event {
    Arrives { to: usize, beat: Arc<Beat> },
    Alarm { machine: usize, number: u64 },
    Tend { machine: usize, life: u64 },
    Looks { machine: usize, life: u64, look: u64 },
    Post { machine: usize, life: u64, gate: usize },
    Bites { machine: usize, boot: u64 },
    Beats { machine: usize, life: u64, disk: usize },
    BeatsLook { machine: usize, life: u64 },
    BeatsBegin { machine: usize, boot: u64 },
    Writes { machine: usize, container: usize, life: u64 },
    Agent { machine: usize },
    LooksAtBoard { machine: usize, boot: u64 },
    Thaw { machine: usize, boot: u64 },
    Lands(u64),
    Answered(u64),
    Late(u64),
    Steps { process: u64, token: u64 },
    KeeperBegins(usize),
    PowerOn(usize),
    Arbitration(ties::Happens),
    Fault(Fault),
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
    /// Those by which ties are decided, where there are any.
    pub arbitration: Arbitration,
    /// Disks of each container.
    pub each: usize,
    pub layout: Layout,
    pub processes: BTreeMap<u64, Process>,
    pub errands: BTreeMap<u64, Errand>,
    pub laws: Laws,
    pub rules: Rules,
    pub style: Style,
    /// In how many of a thousand steps a command is stopped for a while, or killed.
    pub nervous: u64,
    pub calm: bool,
    /// Have all machines fence agents for all others?
    pub agents: bool,
    /// Is anybody asked over disks?
    pub asks: bool,
    /// What the watchdog of each machine does, where that is told and not thrown.
    pub watchdogs_ms: Option<Vec<u64>>,
    /// What is looked at by who tells a fault step by step.
    pub witness: Witness,
    pub landed: u64,
    numbers: u64,
    plan: Plan<Event>,
    tale: Tale,
}

fn configuration(chance: &mut Chance) -> Configuration {
    let nodes = [3, 3, 3, 4, 5][chance.below(5) as usize];
    let watchdog_ms = [5000, 5000, 3000][chance.below(3) as usize];
    configuration_of(nodes, Timing { watchdog_ms, ..Timing::default() })
}

fn configuration_of(nodes: u16, timing: Timing) -> Configuration {
    let voter = |node: u16| {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&u64::from(node).to_le_bytes());
        (NodeId(node), Voter { uuid: evms::base::id::NodeUuid(uuid), votes: 1 })
    };
    Configuration {
        cluster: ClusterId([7; 16]),
        generation: 3,
        nodes: (1..=nodes).map(voter).collect(),
        arbitration_disks: 0,
        timing,
    }
}

/// What is decided before anything happens.
struct Scene {
    chance: Chance,
    configuration: Configuration,
    each: usize,
    machines: Vec<Machine>,
    style: Style,
    nervous: u64,
    agents: bool,
    asks: bool,
}

/// Machines whose clocks are wrong by so many parts in a million at most.
fn machines(chance: &mut Chance, nodes: usize, each: usize, drift: u64) -> Vec<Machine> {
    let machine = |place: usize, chance: &mut Chance| {
        let ppm = chance.below(2 * drift + 1) as i64 - drift as i64;
        let clock = Clock::new(0, chance.between(1_000_000, 900_000_000), ppm);
        Machine::new(place, clock, 2 * each, nodes)
    };
    (0..nodes).map(|place| machine(place, chance)).collect()
}

impl World {
    pub fn new(seed: u64, rules: Rules, tells: bool) -> World {
        let mut chance = Chance::new(seed ^ 0x6a7e_0000);
        let mut configuration = configuration(&mut chance);
        let has_ties = ties::are_there(seed);
        if has_ties {
            let (nodes, disks) = ties::of(seed);
            configuration = configuration_of(nodes as u16, configuration.timing);
            configuration.arbitration_disks = disks;
        }
        let nodes = configuration.nodes.len();
        let each = [1, 1, 3][chance.below(3) as usize];
        let drift = [0, 100, 9_900][chance.below(3) as usize];
        let machines = machines(&mut chance, nodes, each, drift);
        let mut style = Style::some(&mut chance);
        if has_ties && style == Style::Quiet {
            // Who is to take something has to win a tie first, which takes as long as a takeover.
            style = Style::Siege;
        }
        let nervous = [0, 5, 20, 60][chance.below(4) as usize];
        let quiet = style == Style::Quiet;
        let (nervous, agents) =
            (if quiet { 0 } else { nervous }, agents::are_there(seed) && style != Style::Quiet);
        let asks = beats::are_there(seed);
        let scene = Scene { chance, configuration, each, machines, style, nervous, agents, asks };
        let mut world = World::of(scene, rules, tells);
        for place in 0..nodes {
            let at = world.chance.below(2_000_000);
            world.at(at, Event::PowerOn(place));
            world.at(at + 1_000_000, Event::Agent { machine: place });
        }
        story::faults(&mut world);
        stops::faults(&mut world, seed, story::FAULTY_US);
        ties::faults(&mut world, seed, story::FAULTY_US);
        world
    }

    /// So many nodes with so many disks for each container, of which all is well and nothing is thrown at: for a fault of faults.md
    /// that is told step by step. All machines are off; the chance is that of small delays.
    pub fn staged(seed: u64, nodes: u16, each: usize, rules: Rules, tells: bool) -> World {
        let mut chance = Chance::new(seed ^ 0x57a6_ed00);
        let configuration = configuration_of(nodes, Timing::default());
        let machines = machines(&mut chance, usize::from(nodes), each, 100);
        let scene = Scene {
            chance,
            configuration,
            each,
            machines,
            style: Style::Quiet,
            nervous: 0,
            agents: false,
            asks: false,
        };
        let mut world = World::of(scene, rules, false);
        let watchdog_ms = world.configuration.timing.watchdog_ms;
        world.watchdogs_ms = Some(vec![watchdog_ms; usize::from(nodes)]);
        world.tale = Tale::aloud(tells);
        world
    }

    fn of(scene: Scene, rules: Rules, tells: bool) -> World {
        let Scene { chance, configuration, each, machines, style, nervous, agents, asks } = scene;
        let nodes = machines.len();
        let mut world = World {
            now_us: 0,
            network: Network::new(nodes),
            disks: (0..2 * each).map(|_| Disk::default()).collect(),
            arbitration: Arbitration::of(&configuration),
            chance,
            configuration,
            machines,
            each,
            layout: disk::layout(),
            processes: BTreeMap::new(),
            errands: BTreeMap::new(),
            laws: Laws::new(nodes),
            rules,
            style,
            nervous,
            calm: false,
            agents,
            asks,
            watchdogs_ms: None,
            witness: Witness::default(),
            landed: 0,
            numbers: 0,
            plan: Plan::default(),
            tale: Tale::new(tells),
        };
        founding::found(&mut world);
        world
    }

    pub fn at(&mut self, at_us: u64, event: Event) {
        self.plan.put(at_us.max(self.now_us), event);
    }

    pub fn after(&mut self, us: u64, event: Event) {
        self.plan.put(self.now_us + us, event);
    }

    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub fn makes(&self, mistake: Mistake) -> bool {
        makes(self.rules, mistake)
    }

    pub fn tell(&mut self, words: impl FnOnce() -> String) {
        self.tale.tell(self.now_us, words);
    }

    pub fn told(&self) -> impl Iterator<Item = &String> {
        self.tale.lines()
    }

    /// How things stand, for who replays a seed.
    pub fn standing(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:?}, {} disks each, {} arbitration disks, {} nodes, agents: {}, asked over disks: {}",
            self.style,
            self.each,
            self.arbitration.disks.len(),
            self.machines.len(),
            self.agents,
            self.asks
        )];
        for (place, machine) in self.machines.iter().enumerate() {
            let now = machine.now(self.now_us);
            lines.push(format!(
                "machine {place} boot {} on {} at {now:?}: daemon {} paused {} keeper {} reign {:?} watchdog {:?} page {} engine \
                 quorate {} view {:?} term {} next {:?} apps {:?} locks {:?}",
                machine.boot,
                machine.on,
                machine.daemon.is_some(),
                machine.paused_us > self.now_us,
                machine.keeper.is_some(),
                machine.reign(),
                machine.watchdog,
                machine.page.watchdog_ms,
                machine.engine.quorate,
                machine.engine.view.as_ref().map(ToString::to_string),
                machine.engine.term,
                machine.engine.next,
                machine.apps.iter().map(|app| app.runs).collect::<Vec<_>>(),
                machine.locks
            ));
            for (gate, (slot, device)) in machine.page.slots.iter().zip(&machine.gates).enumerate() {
                lines.push(format!("    gate {gate}: {slot:?}"));
                lines.push(format!("    {device:?}"));
            }
        }
        for (number, process) in &self.processes {
            lines.push(format!("process {number} on machine {}: {}", process.machine, process.in_words()));
        }
        lines.extend(self.laws.standing());
        lines
    }

    pub fn gates_of(&self, container: usize) -> core::ops::Range<usize> {
        container * self.each..(container + 1) * self.each
    }

    pub fn now_of(&self, place: usize) -> BootTime {
        self.machines[place].now(self.now_us)
    }

    pub fn place_of(&self, node: evms::base::id::NodeUuid) -> usize {
        self.machines.iter().position(|machine| machine.uuid == node).unwrap_or(0)
    }

    /// A machine comes up: nothing of what it had before is there.
    pub fn power_on(&mut self, place: usize) {
        if self.machines[place].on {
            return;
        }
        let nodes = self.machines.len();
        let drift = self.chance.below(201) as i64 - 100;
        // Which machines have a watchdog is theirs for the run; the time of it is that of its driver in this boot.
        let watched = self.chance.per_mille(if self.style == Style::Quiet { 800 } else { 850 });
        let short = self.chance.per_mille(200);
        let wanted_ms = self.configuration.timing.watchdog_ms;
        let disks = self.disks.len();
        let machine = &mut self.machines[place];
        machine.on = true;
        machine.boot += 1;
        if machine.boot > 1 {
            machine.clock = Clock::new(self.now_us, 1_000_000, drift);
        }
        machine.watchdog.device_ms = match &self.watchdogs_ms {
            Some(told) => told[place],
            None if !watched => 0,
            None if short => wanted_ms - 2000,
            None => wanted_ms,
        };
        machine.watchdog.pinged = BootTime::default();
        machine.paused_us = 0;
        machine.keeper_paused_us = 0;
        machine.stuck = false;
        machine.hurt = false;
        machine.stands = machine.stands.of_the_next_boot();
        machine.page = Page::new(disks);
        machine.words.iter().for_each(|word| word.store(0, std::sync::atomic::Ordering::Release));
        keeping::tell(machine.words, None, BootTime::default(), BootTime::default());
        machine.engine = Engine::default();
        machine.absent_first = vec![None; nodes];
        machine.taking = [false; 2];
        machine.proven.clear();
        self.laws.boots(place);
        self.tell(|| format!("machine {place} comes up"));
        self.start(place, false);
    }

    /// Its power goes. What it had under way to a disk may still land for a while.
    pub fn power_off(&mut self, place: usize) {
        if !self.machines[place].on {
            return;
        }
        self.tell(|| format!("machine {place} loses its power"));
        self.scatter(place);
        self.processes.retain(|_, process| process.machine != place);
        self.end_beats(place);
        self.lets_go(place);
        let machine = &mut self.machines[place];
        (machine.beats.looked, machine.beats.next_us) = (BootTime::default(), 0);
        machine.on = false;
        machine.daemon = None;
        machine.memory = None;
        machine.keeper = None;
        machine.keeper_life += 1;
        machine.watchdog.armed = false;
        machine.socket.clear();
        machine.answers.clear();
        machine.gates.iter_mut().for_each(|gate| *gate = None);
        for app in &mut machine.apps {
            app.runs = false;
            app.closing = false;
            app.life += 1;
        }
        machine.locks.fill(0);
    }

    fn happens(&mut self, event: Event) -> Result<bool, Broken> {
        if self.freezes(&event) {
            return Ok(true);
        }
        match event {
            Event::Arrives { to, beat } => self.receive(to, beat),
            Event::Alarm { machine, number } if self.machines[machine].alarm == number => self.wake(machine),
            Event::Alarm { .. } => (),
            Event::Tend { machine, life } => self.tend(machine, life),
            Event::Looks { machine, life, look } => self.keeper_looks(machine, life, look),
            Event::Post { machine, life, gate } => self.post(machine, life, gate)?,
            Event::Bites { machine, boot } => self.bites(machine, boot)?,
            Event::Beats { machine, life, disk } => self.beats(machine, life, disk),
            Event::BeatsLook { machine, life } => self.beats_look(machine, life),
            Event::BeatsBegin { machine, boot } => self.begin_beats(machine, boot),
            Event::Writes { machine, container, life } => self.app_writes(machine, container, life)?,
            Event::Agent { machine } => self.agent(machine),
            Event::LooksAtBoard { machine, boot } => self.looks_at_board(machine, boot),
            Event::Thaw { machine, boot } => self.thaw(machine, boot),
            Event::Lands(errand) => self.lands(errand)?,
            Event::Answered(errand) => self.answered(errand)?,
            Event::Late(errand) => self.is_late(errand),
            Event::Steps { process, token } => self.steps(process, token)?,
            Event::KeeperBegins(place) => self.begin_keeper(place),
            Event::PowerOn(place) => self.power_on(place),
            Event::Arbitration(happens) => self.happens_to_arbitration(happens),
            Event::Fault(_) if self.calm => (),
            Event::Fault(fault) => {
                self.tell(|| format!("{fault:?}"));
                story::befall(self, fault)?;
            }
            Event::Calm => {
                self.tell(|| "calm".into());
                story::calm(self)?;
            }
            Event::End => {
                laws::ending::check(self)?;
                return Ok(false);
            }
        }
        laws::one_writer::check(self)?;
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
