//! Machines that stand still as a whole, with their clocks, and go on (F16, F49; safety T6, 5.1): nothing of theirs happens meanwhile, but
//! what was on its way to a disk lands. Only the clock on the board went on: a look at it tells, within a beat, by the product's own
//! `cluster::stillness`; or the others do; or what is left of the lease ends.
//!
//! This is grade C, and what is forgiven for it: until it has noticed, such a machine may write to what was taken from it *because time
//! had passed*, and what passed its gates until then may land. Nothing is forgiven that was taken on anything else, nor what passes later.

use evms::cluster::stillness::Stillness;
use evms::engine::guard::evidence::Evidence;

use crate::chance::Chance;
use crate::gates::machine::Machine;
use crate::gates::mistake::Mistake;
use crate::gates::story::{Fault, Style};
use crate::gates::world::{Event, World};

/// A look at the board's clock, ten times in a second, a round of the detector, and what the keeper takes.
const LOOK_US: u64 = 100_000;
const NOTICES_US: u64 = 300_000;
/// What the keeper may take behind the end of the lease, or of its watchdog.
const CLOSES_US: u64 = 500_000;

/// What is known of a machine that stood still in this boot.
#[derive(Clone, Debug, Default)]
pub struct Stillnesses {
    /// Since when it stands.
    pub since_us: Option<u64>,
    /// What was to happen, and how long after it stopped.
    frozen: Vec<(u64, Event)>,
    still: Stillness,
    /// Until then it need not have noticed; zero when it never stood.
    forgiven_us: u64,
    /// It has no clock on its board, or one that cannot be read.
    pub boardless: bool,
}

impl Stillnesses {
    /// What passed before its power went is forgiven as it was.
    pub fn of_the_next_boot(&self) -> Stillnesses {
        let Stillnesses { forgiven_us, boardless, .. } = *self;
        Stillnesses { forgiven_us, boardless, ..Stillnesses::default() }
    }
}

/// Do machines stand still in the run of this seed? By a chance of its own: other runs are as they would be without.
pub fn are_there(seed: u64) -> bool {
    Chance::new(seed ^ 0x5709_57e9).per_mille(250)
}

/// Throws it.
pub fn faults(world: &mut World, seed: u64, (begin_us, end_us): (u64, u64)) {
    if !are_there(seed) || world.style == Style::Quiet {
        return;
    }
    let chance = &mut Chance::new(seed ^ 0x0005_709e_d057_0ffe);
    // By a chance of its own: what befalls them is as it was.
    let boards = &mut Chance::new(seed ^ 0x0b0a_12d5);
    world.machines.iter_mut().for_each(|machine| machine.stands.boardless = boards.per_mille(300));
    for _ in 0..=chance.below(3) {
        let at = chance.between(begin_us, end_us);
        let us = match chance.below(10) {
            0..3 => chance.between(200_000, 3_500_000),
            3..5 => chance.between(3_500_000, 11_000_000),
            _ => chance.between(11_000_000, 24_000_000),
        };
        let place = chance.per_mille(400).then(|| chance.below(world.machines.len() as u64) as usize);
        world.at(at, Event::Fault(Fault::Stop(place, us)));
        // Behind a cut nobody tells it.
        if chance.per_mille(500) {
            let early_us = [us + 1000, us / 20][chance.below(2) as usize];
            world.at((at + us).saturating_sub(early_us), Event::Fault(Fault::CutOff(place)));
        }
    }
}

impl World {
    pub fn stop(&mut self, place: usize, us: u64) {
        let now_us = self.now_us;
        let machine = &mut self.machines[place];
        if !machine.on || machine.stands.since_us.is_some() {
            return;
        }
        machine.stands.still = Stillness::default();
        machine.stands.still.look(now_us / 1_000_000, machine.clock.now(now_us));
        machine.clock.stop(now_us);
        machine.stands.since_us = Some(now_us);
        let boot = machine.boot;
        self.tell(|| format!("machine {place} stands still for {us} us"));
        self.after(us, Event::Thaw { machine: place, boot });
    }

    /// Its power goes: what was to happen on it is for the next boot to pass over, or to do.
    pub fn lets_go(&mut self, place: usize) {
        let now_us = self.now_us;
        let stands = &mut self.machines[place].stands;
        stands.forgiven_us =
            if stands.since_us.take().is_some() { now_us } else { stands.forgiven_us.min(now_us) };
        for (late_us, event) in std::mem::take(&mut stands.frozen) {
            self.after(late_us, event);
        }
    }

    /// It goes on as if nothing had been.
    pub fn thaw(&mut self, place: usize, boot: u64) {
        let now_us = self.now_us;
        let lease_us = self.configuration.timing.lease_ms * 1010;
        let machine = &mut self.machines[place];
        let Some(since_us) = machine.stands.since_us.take_if(|_| machine.boot == boot) else { return };
        machine.clock.go_on(now_us);
        // Who was stopped on it is so for as long as was left of that.
        for paused_us in [&mut machine.paused_us, &mut machine.keeper_paused_us, &mut machine.beats.paused_us]
        {
            if *paused_us > since_us {
                *paused_us += now_us - since_us;
            }
        }
        machine.keeper_begun_us = machine.keeper_begun_us.max(now_us);
        let bites_us = 2 * machine.watchdog.device_ms * 1000;
        let unkept = machine.kept_since(now_us).is_none() && machine.watchdog.armed;
        machine.stands.forgiven_us = now_us + CLOSES_US + if unkept { bites_us } else { lease_us };
        let frozen = std::mem::take(&mut machine.stands.frozen);
        self.tell(|| format!("machine {place} goes on"));
        for (late_us, event) in frozen {
            let soon = matches!(event, Event::Answered(_));
            self.after(if soon { late_us.min(2000) } else { late_us }, event);
        }
        let us = self.chance.below(LOOK_US);
        self.after(us, Event::LooksAtBoard { machine: place, boot });
    }

    /// Its keeper is killed: what that had begun to close goes on. If its watchdog was fed last before it had noticed, that one is late by
    /// as long as the machine stood still, and nothing else ends this.
    pub fn loses_its_keeper(&mut self, place: usize) {
        let now_us = self.now_us;
        let Machine { stands, watchdog, .. } = &mut self.machines[place];
        if watchdog.armed && watchdog.fed_us <= stands.forgiven_us {
            let bites_us = now_us + watchdog.device_ms * 1000 + CLOSES_US;
            stands.forgiven_us = stands.forgiven_us.max(bites_us);
        }
    }

    /// The clock on its board went on.
    pub fn looks_at_board(&mut self, place: usize, boot: u64) {
        let (now, now_us) = (self.now_of(place), self.now_us);
        let blind = self.makes(Mistake::StandsUnnoticed);
        let holds = [0, 1].into_iter().any(|container| self.has_gates(place, container));
        let machine = &mut self.machines[place];
        let looks = machine.runs(now_us) && !machine.stuck && !machine.stands.boardless;
        if machine.boot != boot || !looks || !holds {
            return;
        }
        let Some(ms) = machine.stands.still.look(now_us / 1_000_000, now) else { return };
        if machine.kept_since(now_us).is_some() {
            machine.stands.forgiven_us = machine.stands.forgiven_us.min(now_us - LOOK_US + NOTICES_US);
        }
        if blind {
            return;
        }
        if let Some(daemon) = &mut machine.daemon {
            daemon.stood_still(now);
        }
        self.witness.noticed += 1;
        self.tell(|| format!("machine {place} finds that it stood still for {ms} ms"));
        self.wake(place);
        self.ring(place);
    }

    /// Whose doing it is, if anybody's: that does not happen while he stands still.
    fn doer(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Alarm { machine, .. }
            | Event::Tend { machine, .. }
            | Event::Looks { machine, .. }
            | Event::Post { machine, .. }
            | Event::Bites { machine, .. }
            | Event::Beats { machine, .. }
            | Event::BeatsLook { machine, .. }
            | Event::BeatsBegin { machine, .. }
            | Event::LooksAtBoard { machine, .. }
            | Event::Writes { machine, .. }
            | Event::Agent { machine } => Some(*machine),
            Event::KeeperBegins(place) => Some(*place),
            Event::Steps { process, .. } => self.processes.get(process).map(|process| process.machine),
            Event::Answered(number) | Event::Late(number) => {
                self.errands.get(number).map(|errand| errand.machine)
            }
            Event::Fault(fault) => fault.inside(),
            _ => None,
        }
    }

    /// Is it kept for when whoever does it goes on?
    pub fn freezes(&mut self, event: &Event) -> bool {
        let Some(place) = self.doer(event) else { return false };
        let now_us = self.now_us;
        let stands = &mut self.machines[place].stands;
        let Some(since_us) = stands.since_us else { return false };
        stands.frozen.push((now_us - since_us, event.clone()));
        true
    }

    /// Is whatever a machine can still do to a container forgiven, because it stood still and that was taken by time?
    pub fn is_forgiven(&self, place: usize, container: usize) -> bool {
        let stands = &self.machines[place].stands;
        let unaware = stands.since_us.is_some() || self.now_us <= stands.forgiven_us;
        let by_time = self.laws.told[container].by_time[place];
        by_time && (unaware || self.lies_from_before(place, container))
    }

    /// Is all that it still has under way there from before it noticed? It may lie in a path for longer: its gate drains, and its
    /// watchdog stood still too.
    fn lies_from_before(&self, place: usize, container: usize) -> bool {
        let machine = &self.machines[place];
        let forgiven_us = machine.stands.forgiven_us;
        forgiven_us > 0 && !machine.may_write_more(container) && {
            let of_it = |disk| self.gates_of(container).contains(&disk);
            self.errands.values().all(|errand| {
                errand.writes_data_later_than(forgiven_us, place).is_none_or(|disk| !of_it(disk))
            })
        }
    }

    /// Was it begun by a machine that had not noticed?
    pub fn is_of_the_unaware(&self, place: usize, begun_us: u64) -> bool {
        let stands = &self.machines[place].stands;
        stands.since_us.is_some() || begun_us <= stands.forgiven_us
    }

    /// Something is to be taken, or somebody counted out, on this.
    pub fn goes_by(&mut self, container: usize, evidence: Evidence) {
        let place = self.place_of(evidence.victim());
        let by_time = evidence.in_words().contains("its watchdog of");
        self.laws.told[container].by_time[place] = by_time;
    }
}
