//! evmsd: the detector with the product's own membership, which tells the lease as the product does; and of the engine what has to do
//! with gates (`run::daemon::gates` and `succession`), step by step.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use evms::base::id::{NodeId, NodeUuid};
use evms::base::time::BootTime;
use evms::cluster::beat::Beat;
use evms::cluster::membership::{Change, Membership};
use evms::cluster::view::ViewNumber;
use evms::engine::guard::evidence::Absence;
use evms::engine::guard::keeping::{self, Leased, Words};

use crate::gates::machine::{Engine, Standing, Used, Word};
use crate::gates::mistake::Mistake;
use crate::gates::process::Kind;
use crate::gates::ties;
use crate::gates::world::{Event, World};

const SOCKET_MAX: usize = 200;
const TEND_US: u64 = 500_000;
const RANK_MS: u64 = 3000;
const READ_MS: (u64, u64) = (500, 60_000);
const AGAIN_MS: (u64, u64) = (2000, 60_000);

impl World {
    /// Starts evmsd, with what the one before left in this boot or without.
    pub fn start(&mut self, place: usize, remembers: bool) {
        let now = self.now_of(place);
        let (configuration, rules) = ties::gone_by(&self.configuration, self.rules);
        let machine = &mut self.machines[place];
        if !machine.on || machine.daemon.is_some() {
            return;
        }
        let memory = machine.memory.take().filter(|_| remembers);
        machine.engine = Engine::default();
        machine.leased = Leased::default();
        machine.told_term = 0;
        machine.forgot = memory.is_none();
        let daemon = match memory {
            Some(memory) => Membership::resume(configuration, machine.node, memory, rules, now),
            None => {
                let incarnation = machine.next_incarnation();
                Membership::start(configuration, machine.node, incarnation, rules, now)
            }
        };
        machine.incarnation = daemon.incarnation();
        if let Some(view) = daemon.view() {
            machine.leased = Leased::by(view.number);
            machine.engine.words.push_back(Word::Installed(view.clone()));
            let quorate = daemon.quorate(now).is_some();
            machine.engine.words.push_back(Word::Quorate(quorate));
        }
        machine.daemon = Some(daemon);
        machine.daemon_life += 1;
        machine.page.daemon = machine.daemon_life;
        machine.beats.next_us = 0;
        machine.paused_us = 0;
        machine.stuck = false;
        machine.socket.clear();
        machine.answers.clear();
        machine.alarm += 1;
        let (number, life) = (machine.alarm, machine.daemon_life);
        self.tell(|| format!("machine {place}: evmsd starts, remembers: {remembers}"));
        self.at(self.now_us, Event::Alarm { machine: place, number });
        self.after(10_000, Event::Tend { machine: place, life });
    }

    pub fn kill_daemon(&mut self, place: usize) {
        let machine = &mut self.machines[place];
        machine.daemon = None;
        machine.daemon_life += 1;
        machine.engine = Engine::default();
        machine.paused_us = 0;
    }

    pub fn receive(&mut self, to: usize, beat: Arc<Beat>) {
        let now = self.now_of(to);
        let machine = &mut self.machines[to];
        if machine.on && machine.daemon.is_some() && machine.socket.len() < SOCKET_MAX {
            machine.heard[usize::from(beat.node.0) - 1] = now;
            machine.socket.push_back(beat);
            self.wake(to);
        }
    }

    /// The detector goes round once: `Heart::live` of the product.
    pub fn wake(&mut self, place: usize) {
        if !self.machines[place].runs(self.now_us) {
            return;
        }
        let mistake = self.rules.broken();
        let machine = &mut self.machines[place];
        let now = machine.clock.now(self.now_us);
        let Some(mut daemon) = machine.daemon.take() else { return };
        if !machine.stuck {
            daemon.stamp(now);
        }
        // Its side goes first where there is a tie (R14).
        daemon.hold_containers(machine.gates.iter().any(Option::is_some));
        for errand in std::mem::take(&mut machine.answers) {
            daemon.answer(now, errand.disk, errand.id, errand.answer());
        }
        for beat in std::mem::take(&mut machine.socket) {
            daemon.hear(now, &beat);
        }
        daemon.tick(now);
        let before = machine.reign();
        let quorate = daemon.quorate(now);
        match mistake {
            Some(Mistake::ViewKeepsTerm | Mistake::TermNeverChanges) => {
                let for_ever = mistake == Some(Mistake::TermNeverChanges);
                let known = (&mut machine.leased, &mut machine.last_ms);
                tell_by_mistake(for_ever, machine.words, known, quorate, now);
            }
            _ => machine.leased.tell(machine.words, quorate, daemon.proven(), now),
        }
        let after = machine.reign();
        let beat = daemon.beat(now);
        let commands = std::iter::from_fn(|| daemon.command()).collect::<Vec<_>>();
        if beat.is_some() || !commands.is_empty() || daemon.has_changed() {
            machine.memory = Some(daemon.memory());
        }
        let mut replaced = false;
        let mut told = false;
        while let Some(change) = daemon.change() {
            replaced |= matches!(change, Change::Replaced(_));
            let word = match change {
                Change::Installed(view) => Word::Installed(view),
                Change::Quorate(_) => Word::Quorate(true),
                Change::Inquorate => Word::Quorate(false),
                _ => continue,
            };
            machine.engine.words.push_back(word);
            told = true;
        }
        let leased = daemon.quorate(now).map(|(number, _)| number);
        self.witness.views.extend(leased);
        let by = leased.filter(|number| machine.leased.is_by(*number));
        let term = by.map_or(0, |_| machine.reign().term);
        if let Some(number) = by.filter(|_| term != 0 && term != machine.told_term) {
            machine.engine.words.push_back(Word::Leased(number, term));
            told = true;
        }
        machine.told_term = term;
        machine.alarm += 1;
        let (number, life) = (machine.alarm, machine.daemon_life);
        let alarm = machine.clock.real_us(daemon.deadline().max(now)).max(self.now_us + 1000);
        machine.daemon = Some(daemon);
        self.laws.reigns(place, before, after, now);
        if before.term != after.term && before.end != after.end {
            self.tell(|| format!("machine {place}: {after:?} by {leased:?} at {now:?}"));
        }
        self.at(alarm, Event::Alarm { machine: place, number });
        if told {
            let us = self.chance.between(100, 20_000);
            self.after(us, Event::Tend { machine: place, life });
        }
        self.arbitrate(place, commands);
        if let Some(beat) = beat {
            self.send(place, Arc::new(beat));
        }
        if replaced {
            self.kill_daemon(place);
            self.start(place, false);
        }
    }

    fn send(&mut self, from: usize, beat: Arc<Beat>) {
        for to in (0..self.machines.len()).filter(|to| *to != from) {
            for after in self.network.fates(from, to, &mut self.chance) {
                self.after(after, Event::Arrives { to, beat: Arc::clone(&beat) });
            }
        }
    }

    /// The engine goes round once: what it was told, and what it sees to.
    pub fn tend(&mut self, place: usize, life: u64) {
        let machine = &mut self.machines[place];
        if !machine.on || machine.daemon_life != life || machine.daemon.is_none() {
            return;
        }
        if machine.paused_us > self.now_us {
            let at = machine.paused_us;
            return self.at(at, Event::Tend { machine: place, life });
        }
        self.after(TEND_US, Event::Tend { machine: place, life });
        if self.machines[place].stuck {
            return;
        }
        while let Some(word) = self.machines[place].engine.words.pop_front() {
            match word {
                Word::Installed(view) => self.machines[place].engine.view = Some(view),
                Word::Quorate(is) => self.machines[place].engine.quorate = is,
                Word::Leased(view, term) => self.note_term(place, view, term),
            }
        }
        self.sweep(place);
        self.see_to_keeper(place, false);
        self.see_to_beats(place);
        self.see_to_closed(place);
        self.see_to_absent(place);
        self.see_to_fencing(place);
    }

    fn note_term(&mut self, place: usize, view: ViewNumber, term: u64) {
        let now = self.now_of(place);
        let timing = self.configuration.timing;
        let engine = &mut self.machines[place].engine;
        let is_known = engine.view.as_ref().is_some_and(|known| known.number == view);
        let may_be_unfinished = engine.next.take().is_some();
        engine.term = if is_known { term } else { 0 };
        engine.since = now;
        self.machines[place].engine.fences.clear();
        if !is_known {
            return;
        }
        let members = self.members(place);
        let rank = members.iter().position(|node| *node == self.machines[place].node).unwrap_or(0) as u64;
        self.plan_fencing(place, now, rank);
        let absentees = self.absentees(place);
        for other in &absentees {
            self.machines[place].absent_first[*other].get_or_insert(now);
        }
        let wait_ms = match self.rules.broken() {
            Some(Mistake::TakesAtOnce) => 0,
            Some(Mistake::DrainNotWaited) => timing.stopped_ms(timing.watchdog_ms - timing.drain_ms / 2),
            Some(Mistake::WatchdogOfAnotherLife) => timing.stopped_ms(timing.watchdog_ms - 2000),
            Some(Mistake::WaitFromLastBeat) => timing.stopped_ms(timing.watchdog_ms).saturating_sub(2000),
            _ => timing.stopped_ms(timing.watchdog_ms),
        };
        let first = match (absentees.is_empty(), may_be_unfinished) {
            (_, true) => now,
            (true, false) => return,
            (false, false) => now.plus_ms(wait_ms + rank * RANK_MS),
        };
        self.machines[place].engine.next = Some((first, AGAIN_MS.0));
    }

    fn members(&self, place: usize) -> Vec<NodeId> {
        let view = self.machines[place].engine.view.as_ref();
        view.map(|view| view.members.keys().copied().collect()).unwrap_or_default()
    }

    /// Who is not in the view, by place.
    pub fn absentees(&self, place: usize) -> Vec<usize> {
        let members = self.members(place);
        (0..self.machines.len()).filter(|other| !members.contains(&self.machines[*other].node)).collect()
    }

    /// What evmsd answers of them, for a lease of this term.
    pub fn absent(&self, place: usize, term: u64) -> Vec<Absence> {
        let engine = &self.machines[place].engine;
        if engine.term != term && !self.makes(Mistake::EarlierAbsence) {
            return Vec::new();
        }
        let uuid = |other: usize| -> NodeUuid { self.machines[other].uuid };
        let since = |other: usize| match self.rules.broken() {
            Some(Mistake::WaitFromLastBeat) => self.machines[place].heard[other],
            Some(Mistake::EarlierAbsence) => self.machines[place].absent_first[other].unwrap_or(engine.since),
            _ => engine.since,
        };
        self.absentees(place)
            .into_iter()
            .map(|other| Absence { node: uuid(other), since: since(other) })
            .collect()
    }

    fn sweep(&mut self, place: usize) {
        let lives = |by: u64| self.processes.contains_key(&by);
        let stale = self.machines[place].page.slots.iter();
        let stale = stale.map(|slot| slot.used == Used::Going && !lives(slot.going_by)).collect::<Vec<_>>();
        for (slot, stale) in self.machines[place].page.slots.iter_mut().zip(stale) {
            if slot.used == Used::Free || slot.used == Used::Going && !stale {
                continue;
            }
            match (slot.standing, slot.used) {
                (Standing::Gone, _) => slot.used = Used::Free,
                (_, Used::Going) => {
                    slot.life += 1;
                    slot.used = Used::Kept;
                }
                (Standing::Closed, _) if slot.term == 0 => slot.life += 1,
                _ => (),
            }
        }
    }

    pub fn see_to_keeper(&mut self, place: usize, needed: bool) {
        let now = self.now_of(place);
        let machine = &mut self.machines[place];
        let kept = machine.page.slots.iter().any(|slot| slot.used != Used::Free);
        let needed = needed || kept || machine.page.watchdog_ms != 0;
        if needed && !machine.page.has_keeper(now) && machine.engine.keeper_begins <= self.now_us {
            let us = self.chance.between(20_000, 400_000);
            self.machines[place].engine.keeper_begins = self.now_us + us + 500_000;
            self.after(us, Event::KeeperBegins(place));
        }
    }

    fn see_to_closed(&mut self, place: usize) {
        let now = self.now_of(place);
        let reign = self.machines[place].reign();
        let adopts = self.makes(Mistake::ResumeUnread)
            || self.makes(Mistake::NewLifeAdoptsGates) && self.machines[place].forgot;
        if adopts && reign.lasts(now) {
            let kept = self.machines[place].page.slots.iter_mut().filter(|slot| slot.used == Used::Kept);
            kept.for_each(|slot| slot.term = reign.term);
            return self.ring(place);
        }
        let lives = self.processes.contains_key(&self.machines[place].engine.regain);
        let machine = &mut self.machines[place];
        let closed = machine.page.slots.iter().any(|slot| slot.used == Used::Kept && slot.term != reign.term);
        let engine = &mut machine.engine;
        if !closed || !reign.lasts(now) {
            (engine.read_term, engine.read_next, engine.read_pause_ms) = Default::default();
            return;
        }
        let first = engine.read_term != reign.term;
        if (first || engine.read_next <= now) && !lives {
            let pause_ms = if first { READ_MS.0 } else { (engine.read_pause_ms * 2).min(READ_MS.1) };
            engine.read_term = reign.term;
            engine.read_next = now.plus_ms(pause_ms);
            engine.read_pause_ms = pause_ms;
            let process = self.spawn(place, Kind::Regain);
            self.machines[place].engine.regain = process;
        }
    }

    fn see_to_absent(&mut self, place: usize) {
        let now = self.now_of(place);
        let nobody = self.absentees(place).is_empty();
        let engine = &self.machines[place].engine;
        let Some((at, pause_ms)) = engine.next else { return };
        if now < at || !engine.quorate || self.processes.contains_key(&engine.succession) {
            return;
        }
        let process = self.spawn(place, Kind::Succession);
        let engine = &mut self.machines[place].engine;
        engine.succession = process;
        let again = (now.plus_ms(pause_ms), (pause_ms * 2).min(AGAIN_MS.1));
        engine.next = (!nobody).then_some(again);
    }
}

/// The lease told so that its term outlives the view, or anything.
fn tell_by_mistake(
    for_ever: bool,
    words: &Words,
    (leased, last_ms): (&mut Leased, &mut u64),
    quorate: Option<(ViewNumber, BootTime)>,
    now: BootTime,
) {
    let [end, ..] = words;
    if let Some((number, until)) = quorate {
        if !for_ever && *last_ms <= now.ms {
            keeping::tell(words, None, BootTime::default(), now);
        }
        (*leased, *last_ms) = (Leased::by(number), until.ms);
    }
    end.store(quorate.map_or(0, |(_, until)| until.ms), Ordering::Release);
}
