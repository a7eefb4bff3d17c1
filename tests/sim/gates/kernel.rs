//! What device-mapper does with gates, and who writes through them: a write passes an open gate, waits at one that is stopped, and
//! fails at one that has its error table.

use crate::gates::errand::{Act, Stamp};
use crate::gates::machine::{Gate, Table};
use crate::gates::mistake::Mistake;
use crate::gates::witness::Opened;
use crate::gates::world::{Event, World};
use crate::laws::Broken;

/// When the gates are closed at the latest behind the end of the lease, where there is a keeper to do it (safety 6, T_s).
const GATE_DEADLINE_US: u64 = 500_000;
/// Writes of one volume that wait at most.
const WAITING_MAX: usize = 4;

impl World {
    /// A device without a live table; the one that it is to have lies beside it.
    pub fn make_gate(&mut self, place: usize, gate: usize) {
        let made = Gate {
            live: Table::None,
            inactive: Table::Linear,
            suspended: false,
            draining: false,
            drained_by: 0,
            held: Default::default(),
            held_since_us: 0,
            under_way: Default::default(),
        };
        self.machines[place].gates[gate] = Some(made);
    }

    /// A resume, whoever asks for it: what lies in the inactive slot goes live (T3).
    pub fn resume(&mut self, place: usize, gate: usize) -> Result<(), Broken> {
        let Some(device) = &mut self.machines[place].gates[gate] else { return Ok(()) };
        if device.draining {
            return Ok(());
        }
        if device.inactive != Table::None {
            device.live = device.inactive;
            device.inactive = Table::None;
        }
        device.suspended = false;
        let live = device.live;
        if live == Table::Linear {
            let epoch = self.machines[place].page.slots[gate].epoch;
            self.witness.opened.push(Opened { at_us: self.now_us, place, gate, epoch });
        }
        self.tell(|| format!("machine {place}: gate {gate} goes on with {live:?}"));
        self.release(place, gate)
    }

    /// What waited goes on, or fails.
    pub fn release(&mut self, place: usize, gate: usize) -> Result<(), Broken> {
        let Some(device) = &mut self.machines[place].gates[gate] else { return Ok(()) };
        let held = std::mem::take(&mut device.held);
        for counter in held {
            self.submit(place, gate, counter)?;
        }
        Ok(())
    }

    /// A write comes to a gate.
    pub fn submit(&mut self, place: usize, gate: usize, counter: u64) -> Result<(), Broken> {
        let now_us = self.now_us;
        let container = gate / self.each;
        let machine = &mut self.machines[place];
        let Some(device) = &mut machine.gates[gate] else { return Ok(()) };
        match () {
            () if device.is_open() => {
                let stamp = Stamp { epoch: machine.page.slots[gate].epoch, counter };
                self.passes(place, (gate, container), stamp)?;
                let errand = self.begin(place, gate, Act::Data(stamp));
                if let Some(device) = &mut self.machines[place].gates[gate] {
                    device.under_way.insert(errand);
                }
            }
            () if device.live == Table::Error && !device.suspended && !device.draining => {
                self.app_fails(place, container);
            }
            () => {
                if device.held.is_empty() {
                    device.held_since_us = now_us;
                }
                device.held.push_back(counter);
            }
        }
        Ok(())
    }

    /// Whoever writes hears of an error, and ends.
    fn app_fails(&mut self, place: usize, container: usize) {
        let app = &mut self.machines[place].apps[container];
        if app.runs {
            app.runs = false;
            app.life += 1;
            self.witness.errors.push((self.now_us, place, container));
            self.tell(|| format!("machine {place}: I/O on container {container} fails"));
        }
    }

    /// A write is passed: does the law allow that?
    fn passes(
        &mut self,
        place: usize,
        (gate, container): (usize, usize),
        stamp: Stamp,
    ) -> Result<(), Broken> {
        let (uuid, reign) = (self.machines[place].uuid, self.machines[place].reign());
        let now = self.now_of(place);
        if self.is_forgiven(place, container) {
            self.witness.forgiven += 1;
            return Ok(());
        }
        self.laws.passes(container, place, uuid, stamp)?;
        let machine = &self.machines[place];
        let ended = self.laws.ended(place, reign, now);
        // Of an earlier term is what was ordered to be open in one.
        let of_now = machine.page.slots[gate].term == reign.term;
        let closes = if of_now { ended } else { self.laws.ended_before(place).min(ended) };
        // And what was to be open until a moment ago is to close from then on.
        let closes_us = machine.clock.real_us(closes).max(machine.page.slots[gate].back_us);
        let kept = machine.kept_since(self.now_us).map(|since_us| since_us.max(closes_us));
        if let Some(since_us) = kept.filter(|since_us| self.now_us > since_us + GATE_DEADLINE_US) {
            let words = format!(
                "machine {place} writes to container {container} {} us after its keeper was to close gate {gate}",
                self.now_us - since_us
            );
            return Err(Broken { law: "L10", words });
        }
        // Through what no keeper closed nothing passes for longer than the watchdog lets the machine live; and once more so long, if who
        // fed it was killed before it bit.
        let watchdog_ms = machine.watchdog.device_ms;
        let lives_ms = if machine.watchdog.pinged > ended { 2 * watchdog_ms } else { watchdog_ms };
        if watchdog_ms > 0 && now.ms > ended.ms + lives_ms + 1000 {
            let words = format!(
                "machine {place} writes to container {container} {} ms after the end of its lease",
                now.ms - ended.ms
            );
            return Err(Broken { law: "L10", words });
        }
        Ok(())
    }

    /// A write that passed a gate is over.
    pub fn came_back(&mut self, place: usize, gate: usize, errand: u64) -> Result<(), Broken> {
        let Some(device) = &mut self.machines[place].gates[gate] else { return Ok(()) };
        device.under_way.remove(&errand);
        self.drained(place, gate);
        Ok(())
    }

    /// Ends a closing if nothing is under way any more: only then the kernel's call returns.
    pub fn drained(&mut self, place: usize, gate: usize) {
        let Some(device) = &mut self.machines[place].gates[gate] else { return };
        if device.draining && device.under_way.is_empty() {
            device.draining = false;
            device.suspended = true;
            let life = self.machines[place].keeper_life;
            self.after(20, Event::Post { machine: place, life, gate });
        }
    }

    /// Whoever waited inside of the closing was killed: it is undone (T1).
    pub fn undo_draining(&mut self, place: usize, by: u64) -> Result<(), Broken> {
        for gate in 0..self.disks.len() {
            let Some(device) = &mut self.machines[place].gates[gate] else { continue };
            if device.draining && device.drained_by == by {
                device.draining = false;
                self.tell(|| format!("machine {place}: the closing of gate {gate} is undone"));
                self.release(place, gate)?;
            }
        }
        Ok(())
    }

    pub fn start_app(&mut self, place: usize, container: usize) {
        let app = &mut self.machines[place].apps[container];
        app.closing = false;
        if !app.runs {
            app.runs = true;
            app.life += 1;
            let life = app.life;
            self.after(1000, Event::Writes { machine: place, container, life });
        }
    }

    pub fn app_writes(&mut self, place: usize, container: usize, life: u64) -> Result<(), Broken> {
        let app = &self.machines[place].apps[container];
        if !app.runs || app.life != life {
            return Ok(());
        }
        let pause = if self.calm { (700_000, 1_500_000) } else { (20_000, 180_000) };
        let pause = self.chance.between(pause.0, pause.1);
        self.after(pause, Event::Writes { machine: place, container, life });
        let gates = self.gates_of(container);
        let gate = gates.start + self.chance.below(self.each as u64) as usize;
        let waits = self.machines[place].gates[gate]
            .as_ref()
            .map_or(WAITING_MAX, |device| device.held.len() + device.under_way.len());
        if self.machines[place].apps[container].closing || waits >= WAITING_MAX {
            return Ok(());
        }
        let counter = self.number();
        self.submit(place, gate, counter)
    }

    /// Does nothing of it wait or lie on its way? Then whoever writes can close his volume.
    pub fn app_is_idle(&self, place: usize, container: usize) -> bool {
        let gates = self.machines[place].gates[self.gates_of(container)].iter().flatten();
        gates.into_iter().all(|gate| gate.held.is_empty() && gate.under_way.is_empty())
    }

    /// Somebody who knows nothing of evms lets a stopped gate go on.
    pub fn foreign_resume(&mut self, place: usize) -> Result<(), Broken> {
        for gate in 0..self.disks.len() {
            if self.machines[place].gates[gate].as_ref().is_some_and(|gate| gate.suspended) {
                self.tell(|| format!("machine {place}: somebody resumes gate {gate}"));
                self.resume(place, gate)?;
            }
        }
        Ok(())
    }

    /// The watchdog's time is over, if it was not fed meanwhile.
    pub fn bites(&mut self, place: usize, boot: u64) -> Result<(), Broken> {
        let machine = &self.machines[place];
        if machine.boot != boot || !machine.on || !machine.watchdog.armed {
            return Ok(());
        }
        let due = machine.clock.real_us(machine.watchdog.fed.plus_ms(machine.watchdog.device_ms));
        if due > self.now_us {
            self.at(due, Event::Bites { machine: place, boot });
            return Ok(());
        }
        self.tell(|| format!("machine {place}: its watchdog bites"));
        if !self.machines[place].hurt && !self.hangs(place) {
            let words = format!("machine {place} is bitten, though its keeper was well and no disk hung");
            return Err(Broken { law: "F19", words });
        }
        self.power_off(place);
        let back = self.chance.between(500_000, 8_000_000);
        if self.calm || self.chance.per_mille(600) {
            self.after(back, Event::PowerOn(place));
        }
        Ok(())
    }

    /// It is fed, by opening it or by food.
    pub fn feed(&mut self, place: usize) {
        let now = self.now_of(place);
        let machine = &mut self.machines[place];
        machine.watchdog.fed = now;
        machine.watchdog.fed_us = self.now_us;
        if !machine.watchdog.armed {
            machine.watchdog.armed = true;
            let due = machine.clock.real_us(now.plus_ms(machine.watchdog.device_ms));
            let boot = machine.boot;
            self.at(due, Event::Bites { machine: place, boot });
        }
    }

    /// The keeper is killed. The kernel closes the watchdog that it had open, without its word: that feeds it once more (safety 5.1).
    pub fn kill_keeper(&mut self, place: usize) -> Result<(), Broken> {
        if self.machines[place].keeper.is_none() {
            return Ok(());
        }
        self.tell(|| format!("machine {place}: its keeper is killed"));
        let disarms = self.makes(Mistake::DisarmedAtItsEnd);
        self.loses_its_keeper(place);
        let now = self.now_of(place);
        let machine = &mut self.machines[place];
        let had_it = machine.keeper.take().is_some_and(|keeper| keeper.watchdog);
        machine.keeper_life += 1;
        machine.keeper_paused_us = 0;
        if disarms {
            machine.watchdog.armed = false;
        } else if had_it {
            machine.watchdog.pinged = now;
            self.feed(place);
        }
        self.undo_draining(place, 0)
    }
}
