//! Taking gates away, in good order or with their I/O made to fail, as `run::deactivate` and `live::closing` do it.

use crate::gates::command::limit_us;
use crate::gates::machine::{Table, Used};
use crate::gates::process::{Do, Next};
use crate::gates::world::World;
use crate::laws::Broken;

const POLL_US: u64 = 2000;

impl World {
    pub fn takes_down(&mut self, number: u64, place: usize, what: Do) -> Result<Next, Broken> {
        let until = |at: u64| if at == 0 { self.now_us + limit_us(&what) } else { at };
        Ok(match what {
            Do::CloseApp(c) => {
                self.machines[place].taking[c] = false;
                self.machines[place].apps[c].closing = true;
                Next::Go
            }
            Do::AwaitIdle(c, at) => {
                let at = until(at);
                if self.app_is_idle(place, c) {
                    let app = &mut self.machines[place].apps[c];
                    (app.runs, app.closing) = (false, false);
                    app.life += 1;
                    return Ok(Next::Go);
                }
                if self.now_us > at {
                    self.machines[place].apps[c].closing = false;
                    return Ok(Next::Fail("a volume is in use"));
                }
                Next::Again(Do::AwaitIdle(c, at), 20_000)
            }
            Do::Close(c) => {
                let (term, now_us) = (self.machines[place].reign().term, self.now_us);
                for gate in self.gates_of(c) {
                    let slot = &mut self.machines[place].page.slots[gate];
                    if slot.used != Used::Free {
                        slot.back_us = if slot.term == term { now_us } else { slot.back_us };
                        (slot.term, slot.going_by, slot.used) = (0, number, Used::Going);
                    }
                }
                self.ring(place);
                Next::Go
            }
            Do::AwaitClosed(c, at) => {
                let (at, now) = (until(at), self.now_of(place));
                let page = &self.machines[place].page;
                let settled = page.slots[self.gates_of(c)].iter().all(|slot| slot.is_settled());
                if settled || self.now_us > at || !page.has_keeper(now) {
                    return Ok(Next::Go);
                }
                Next::Again(Do::AwaitClosed(c, at), POLL_US)
            }
            Do::FailGates(c) => {
                for gate in self.gates_of(c) {
                    if let Some(device) = &mut self.machines[place].gates[gate] {
                        device.inactive = Table::Error;
                        if !device.suspended && !device.draining {
                            (device.draining, device.drained_by) = (true, number);
                        }
                        self.drained(place, gate);
                    }
                }
                Next::Go
            }
            Do::AwaitFailed(c, at) => return self.has_failed(place, c, until(at)),
            Do::Remove(c) => self.removes(place, c),
            Do::Forget(c) => self.forgets(number, place, c),
            _ => Next::Go,
        })
    }

    /// What is stopped goes on with its error table, and whoever waited hears of it.
    fn has_failed(&mut self, place: usize, c: usize, at: u64) -> Result<Next, Broken> {
        let drains =
            |gate: usize| self.machines[place].gates[gate].as_ref().is_some_and(|gate| gate.draining);
        let waits = self.gates_of(c).any(drains);
        for gate in self.gates_of(c) {
            if self.machines[place].gates[gate].as_ref().is_some_and(|gate| gate.suspended) {
                self.resume(place, gate)?;
            }
        }
        Ok(match () {
            () if !waits => Next::Go,
            () if self.now_us > at => Next::Go,
            () => Next::Again(Do::AwaitFailed(c, at), POLL_US * 5),
        })
    }

    /// A device of which something is in use stays.
    fn removes(&mut self, place: usize, c: usize) -> Next {
        let runs = self.machines[place].apps[c].runs;
        for gate in self.gates_of(c) {
            let device = &mut self.machines[place].gates[gate];
            let idle = device.as_ref().is_some_and(|gate| gate.held.is_empty() && gate.under_way.is_empty());
            if idle && !runs {
                *device = None;
            }
        }
        Next::Go
    }

    fn forgets(&mut self, number: u64, place: usize, c: usize) -> Next {
        for gate in self.gates_of(c) {
            let machine = &mut self.machines[place];
            let slot = &mut machine.page.slots[gate];
            if slot.used != Used::Going || slot.going_by != number {
                continue;
            }
            let fails = |gate: &crate::gates::machine::Gate| gate.live == Table::Error && !gate.suspended;
            match &machine.gates[gate] {
                None => slot.used = Used::Free,
                Some(gate) if fails(gate) => slot.used = Used::Free,
                Some(_) if slot.is_shut() => {
                    slot.life += 1;
                    slot.used = Used::Kept;
                }
                Some(_) => (),
            }
        }
        self.ring(place);
        Next::Go
    }
}
