//! The keeper of gates, step by step as `run::keeper` has it: a look at least every tenth of a second, a thread for each gate, and the
//! watchdog. What it decides by is the product's own `engine::guard::keeping`.

use evms::engine::guard::keeping::{Reign, is_watched};

use crate::gates::machine::{Doing, Keeper, Post, Standing, Table, Used};
use crate::gates::mistake::Mistake;
use crate::gates::world::{Event, World};
use crate::laws::Broken;

const LOOK_MS: u64 = 100;
/// For who makes the mistake of looking so seldom, and not when the lease ends.
const SELDOM_MS: u64 = 900;
const LOOKS_UNWATCHED: u32 = 10;
const IDLE_LOOKS_MAX: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Open,
    Closed,
    Nothing,
}

/// Who was to open, and closed because he may no more, has not done what was wished.
fn unless_withdrawn(code: u64) -> u64 {
    if code & 3 == Wish::Open as u64 + 1 { 0 } else { code }
}

impl World {
    pub fn begin_keeper(&mut self, place: usize) {
        if self.machines[place].keeper.is_some() || !self.machines[place].on {
            return;
        }
        let (gates, now_us) = (self.disks.len(), self.now_us);
        let machine = &mut self.machines[place];
        machine.keeper_life += 1;
        machine.keeper_begun_us = now_us;
        let life = machine.keeper_life;
        let post = Post { settled: 0, code: 0, doing: Doing::Nothing };
        machine.keeper =
            Some(Keeper { life, posts: vec![post; gates], watchdog: false, unwatched: 0, idle: 0, look: 0 });
        self.tell(|| format!("machine {place}: a keeper begins"));
        self.after(100, Event::Looks { machine: place, life, look: 0 });
    }

    /// Has the keeper look.
    pub fn ring(&mut self, place: usize) {
        if let Some(keeper) = &self.machines[place].keeper {
            let (life, look) = (keeper.life, keeper.look);
            let us = self.chance.between(30, 1000);
            self.after(us, Event::Looks { machine: place, life, look });
        }
    }

    fn wish(&self, place: usize, gate: usize) -> Wish {
        let machine = &self.machines[place];
        let slot = &machine.page.slots[gate];
        if slot.used == Used::Free {
            return Wish::Nothing;
        }
        let reign = machine.reign();
        let ordered =
            if self.makes(Mistake::OpensByEarlierTerm) && slot.term != 0 { reign.term } else { slot.term };
        let covered = slot.used == Used::Kept
            && reign.covers(ordered, machine.now(self.now_us))
            && is_watched(slot.promised_ms, machine.page.watchdog_ms);
        if covered { Wish::Open } else { Wish::Closed }
    }

    fn code(&self, place: usize, gate: usize) -> u64 {
        let wish = self.wish(place, gate);
        self.machines[place].page.slots[gate].life << 2 | (wish as u64 + 1)
    }

    /// One look; it is `Keeper::look` and `Keeper::wait` of the product.
    pub fn keeper_looks(&mut self, place: usize, life: u64, look: u64) {
        let now_us = self.now_us;
        let now = self.now_of(place);
        let machine = &mut self.machines[place];
        let Some(keeper) =
            machine.keeper.as_mut().filter(|keeper| keeper.life == life && keeper.look == look)
        else {
            return;
        };
        if machine.keeper_paused_us > now_us {
            let at = machine.keeper_paused_us;
            self.at(at, Event::Looks { machine: place, life, look });
            return;
        }
        keeper.look += 1;
        let look = keeper.look;
        machine.page.looked = Some(now);
        let page = &machine.page;
        let all_shut = page.slots.iter().all(|slot| slot.is_settled());
        let any = page.slots.iter().any(|slot| slot.used != Used::Free);
        let feeds = machine.reign().feeds(all_shut, now) || self.makes(Mistake::FedWhileOpen);
        if any || self.machines[place].page.watchdog_ms != 0 || self.machines[place].page.wish != 0 {
            self.arm_watchdog(place, feeds);
        }
        for gate in 0..self.disks.len() {
            let code = self.code(place, gate);
            let busy = self.machines[place].keeper.as_ref().map(|keeper| keeper.posts[gate]);
            if busy.is_some_and(|post| post.settled != code && post.doing == Doing::Nothing) {
                let us = self.chance.between(20, 1500);
                self.after(us, Event::Post { machine: place, life, gate });
            }
        }
        let has = self.machines[place].keeper.as_ref().is_some_and(|keeper| keeper.watchdog);
        if has && feeds {
            self.feed(place);
        }
        if self.ends_idle(place, any) {
            return;
        }
        let left_ms = self.machines[place].reign().end.ms.saturating_sub(now.ms);
        let ms = match left_ms {
            _ if self.makes(Mistake::LooksSeldom) => SELDOM_MS,
            0 => LOOK_MS,
            left_ms => left_ms.min(LOOK_MS),
        };
        let us = ms * 1000 + self.chance.below(2000);
        self.after(us, Event::Looks { machine: place, life, look });
    }

    /// Without a gate and without an evmsd it ends, and lets the watchdog go.
    fn ends_idle(&mut self, place: usize, any: bool) -> bool {
        let machine = &mut self.machines[place];
        let needed = any || machine.daemon.is_some();
        let Some(keeper) = &mut machine.keeper else { return true };
        keeper.idle = if needed { 0 } else { keeper.idle + 1 };
        if keeper.idle < IDLE_LOOKS_MAX {
            return false;
        }
        if keeper.watchdog {
            machine.watchdog.armed = false;
            machine.page.watchdog_ms = 0;
        }
        machine.keeper = None;
        machine.keeper_life += 1;
        true
    }

    /// Opening it feeds it: so a keeper that follows on one that is dead does not open it while that one could not have fed it.
    fn arm_watchdog(&mut self, place: usize, feeds: bool) {
        let wanted_ms = self.configuration.timing.watchdog_ms;
        let rearms_open = self.makes(Mistake::ArmedWhileOpen);
        let machine = &mut self.machines[place];
        let Some(keeper) = &mut machine.keeper else { return };
        let armed_ms = machine.page.watchdog_ms;
        let wanted_ms = if armed_ms == 0 { wanted_ms } else { armed_ms };
        let wish = machine.page.wish;
        if keeper.watchdog || wanted_ms == 0 {
            machine.page.tried = wish;
            return;
        }
        if keeper.unwatched > 0 && machine.page.tried == wish {
            keeper.unwatched -= 1;
            return;
        }
        if armed_ms != 0 && !feeds && !rearms_open {
            return;
        }
        keeper.unwatched = LOOKS_UNWATCHED;
        machine.page.tried = wish;
        if machine.watchdog.device_ms > 0 {
            keeper.watchdog = true;
            machine.page.watchdog_ms = machine.watchdog.device_ms;
            self.feed(place);
        }
    }

    fn stands(&mut self, place: usize, gate: usize, standing: Standing) {
        self.machines[place].page.slots[gate].standing = standing;
    }

    /// One step of the thread that stands at a gate.
    pub fn post(&mut self, place: usize, life: u64, gate: usize) -> Result<(), Broken> {
        let machine = &self.machines[place];
        let Some(keeper) = machine.keeper.as_ref().filter(|keeper| keeper.life == life) else {
            return Ok(());
        };
        if machine.keeper_paused_us > self.now_us {
            let at = machine.keeper_paused_us;
            self.at(at, Event::Post { machine: place, life, gate });
            return Ok(());
        }
        let post = keeper.posts[gate];
        let device = machine.gates[gate].clone();
        let Some(device) = device else {
            if post.doing != Doing::Nothing || post.settled != self.code(place, gate) {
                if self.wish(place, gate) != Wish::Nothing {
                    self.stands(place, gate, Standing::Gone);
                }
                let code = self.code(place, gate);
                self.settle(place, gate, code);
            }
            return Ok(());
        };
        match post.doing {
            Doing::Nothing => self.begins(place, gate)?,
            Doing::Draining if device.suspended => {
                self.stands(place, gate, Standing::Closed);
                self.settle(place, gate, unless_withdrawn(post.code));
            }
            Doing::Draining if !device.draining => self.close(place, gate),
            Doing::Draining => (),
            Doing::Disarming => {
                if device.live != Table::None
                    && let Some(device) = &mut self.machines[place].gates[gate]
                {
                    device.inactive = Table::None;
                }
                self.goes_on(place, gate, Doing::Resuming);
            }
            Doing::Resuming => {
                if self.wish(place, gate) != Wish::Open {
                    self.arm(place, gate);
                    self.close(place, gate);
                    return Ok(());
                }
                self.resume(place, gate)?;
                self.goes_on(place, gate, Doing::Arming);
            }
            Doing::Arming => {
                self.arm(place, gate);
                self.stands(place, gate, Standing::Open);
                self.settle(place, gate, post.code);
            }
        }
        Ok(())
    }

    fn arm(&mut self, place: usize, gate: usize) {
        let arms = !self.makes(Mistake::UnarmedGate);
        if let Some(device) = self.machines[place].gates[gate].as_mut().filter(|_| arms) {
            device.inactive = Table::Error;
        }
    }

    /// Looks what is wished, and begins with it.
    fn begins(&mut self, place: usize, gate: usize) -> Result<(), Broken> {
        let (wish, code) = (self.wish(place, gate), self.code(place, gate));
        let Some(device) = self.machines[place].gates[gate].clone() else { return Ok(()) };
        let Some(keeper) = &mut self.machines[place].keeper else { return Ok(()) };
        if keeper.posts[gate].settled == code {
            return Ok(());
        }
        keeper.posts[gate].code = code;
        match wish {
            Wish::Nothing => {
                self.stands(place, gate, Standing::Unknown);
                self.settle(place, gate, code);
            }
            Wish::Closed => self.close(place, gate),
            Wish::Open if device.live == Table::None || device.suspended => {
                self.stands(place, gate, Standing::Unknown);
                self.goes_on(place, gate, Doing::Disarming);
            }
            Wish::Open => self.goes_on(place, gate, Doing::Arming),
        }
        Ok(())
    }

    fn close(&mut self, place: usize, gate: usize) {
        let counts = self.makes(Mistake::DrainingCountsAsClosed);
        let Some(device) = &mut self.machines[place].gates[gate] else { return };
        if device.suspended || device.live == Table::Error {
            self.stands(place, gate, Standing::Closed);
            let code = self.machines[place].keeper.as_ref().map_or(0, |keeper| keeper.posts[gate].code);
            self.settle(place, gate, unless_withdrawn(code));
            return;
        }
        if !device.draining {
            (device.draining, device.drained_by) = (true, 0);
        }
        self.stands(place, gate, if counts { Standing::Closed } else { Standing::Draining });
        self.tell(|| format!("machine {place}: gate {gate} drains"));
        if let Some(keeper) = &mut self.machines[place].keeper {
            keeper.posts[gate].doing = Doing::Draining;
        }
        self.drained(place, gate);
    }

    fn goes_on(&mut self, place: usize, gate: usize, doing: Doing) {
        let us = if self.chance.per_mille(30) {
            self.chance.below(300_000)
        } else {
            self.chance.between(50, 8000)
        };
        let Some(keeper) = &mut self.machines[place].keeper else { return };
        keeper.posts[gate].doing = doing;
        let life = keeper.life;
        self.after(us, Event::Post { machine: place, life, gate });
    }

    /// What was wished is done; and looks again whether it still is.
    fn settle(&mut self, place: usize, gate: usize, code: u64) {
        let Some(keeper) = &mut self.machines[place].keeper else { return };
        let life = keeper.life;
        keeper.posts[gate] = Post { settled: code, code, doing: Doing::Nothing };
        if code != self.code(place, gate) {
            self.after(50, Event::Post { machine: place, life, gate });
        }
    }

    /// The lease of a machine, for whoever asks.
    pub fn reign_of(&self, place: usize) -> Reign {
        self.machines[place].reign()
    }
}
