//! What commands do, step by step as `run::activate`, `deactivate`, `admission`, `regain` and `succession` have it.

use evms::base::epoch::Epoch;
use evms::base::id::NodeUuid;
use evms::base::time::BootTime;
use evms::engine::guard::duty::{self, Answered, Duty, Heir};
use evms::engine::guard::evidence::{self, Absence, Evidence, Receipt};
use evms::engine::guard::keeping::{Me, Regained, regained};
use evms::engine::guard::{self, Act, Lease, Place, Warrant};
use evms::format::model::{Container, Model};
use evms::volume::choose::{self, Chosen};
use evms::volume::mistake::Rules;
use evms::volume::request::{OwnerAsk, Request};

use crate::gates::errand;
use crate::gates::founding;
use crate::gates::machine::{Standing, Table, Used};
use crate::gates::mistake::Mistake;
use crate::gates::process::{Do, Kind, Next};
use crate::gates::world::{PRIVATE, World};
use crate::laws::Broken;

const ASK_US: u64 = 10_000_000;
const OPEN_US: u64 = 3_000_000;
const CLOSE_US: u64 = 1_000_000;
const IDLE_US: u64 = 8_000_000;
const FAIL_US: u64 = 10_000_000;
/// Tries, a quarter of a second apart, for which evmsd, or a lock, is waited for.
const TRIES: u32 = 40;
const TRY_US: u64 = 250_000;

fn hold(c: usize, act: Act) -> Vec<Do> {
    vec![Do::Lock(c, 0), Do::Look(vec![c]), Do::May(c, act)]
}

fn withdraw(c: usize) -> Vec<Do> {
    let mut todo = vec![Do::Ask(0)];
    todo.extend(hold(c, Act::Change));
    todo.extend([Do::Run(c, Act::Change, Some(Request::Withdraw)), Do::Unlock(c)]);
    todo
}

fn take_down(c: usize) -> Vec<Do> {
    vec![
        Do::CloseApp(c),
        Do::AwaitIdle(c, 0),
        Do::Close(c),
        Do::AwaitClosed(c, 0),
        Do::Remove(c),
        Do::Forget(c),
    ]
}

pub fn deactivate(world: &World, c: usize) -> Vec<Do> {
    if world.makes(Mistake::WithdrawsFirst) {
        return [withdraw(c), take_down(c)].concat();
    }
    [take_down(c), withdraw(c)].concat()
}

pub fn fail(c: usize) -> Vec<Do> {
    vec![
        Do::Close(c),
        Do::AwaitClosed(c, 0),
        Do::FailGates(c),
        Do::AwaitFailed(c, 0),
        Do::Remove(c),
        Do::Forget(c),
    ]
}

pub fn switch(world: &World, to: usize) -> Vec<Do> {
    let owner = OwnerAsk::Machine(founding::machine(world, to));
    let request = Request::Modify { owner: Some(owner), kind: None, name: None };
    let mut todo = deactivate(world, PRIVATE);
    todo.extend(hold(PRIVATE, Act::Import));
    todo.extend([Do::Run(PRIVATE, Act::Import, Some(request)), Do::Unlock(PRIVATE)]);
    todo
}

fn activate(c: usize) -> Vec<Do> {
    vec![Do::Lock(c, 0), Do::Look(vec![c]), Do::Ready(c)]
}

/// What a process knows of who is absent.
struct Known<'a> {
    absent: &'a [Absence],
    agents: &'a [NodeUuid],
    receipts: &'a [Receipt],
    answers: &'a [Answered],
}

fn sworn(container: &Container, victim: NodeUuid) -> Option<Evidence> {
    evidence::word(container, victim, "it", &evidence::oath("it"))
}

impl World {
    pub fn does(&mut self, number: u64, place: usize, what: Do) -> Result<Next, Broken> {
        Ok(match what {
            Do::Mark => Next::Go,
            Do::Ask(tries) => self.asks_daemon(number, place, tries),
            Do::Look(containers) => self.looks(number, place, containers),
            Do::Saw(containers) => self.chooses(number, &containers),
            Do::Lock(c, tries) => self.locks(number, place, c, tries),
            Do::Unlock(c) => {
                self.machines[place].locks[c] = 0;
                Next::Go
            }
            Do::Arm => self.arms(number, place),
            Do::AwaitArm(wish, until_us) => self.is_armed(number, place, wish, until_us),
            Do::Ready(c) => self.is_ready(number, place, c),
            Do::Admit(c) => self.admits(number, place, c),
            Do::May(c, act) => self.may(number, place, c, act),
            Do::Run(c, act, request) => self.runs(number, c, act, request),
            Do::Drive => self.drives(number, place)?,
            Do::Proof(done) => self.awaits_proof(number, place, done),
            Do::Raise(c) => self.raises(number, place, c),
            Do::AskOpen(c, tries) => self.asks_open(number, place, c, tries),
            Do::AwaitOpen(c, until_us) => self.is_open(number, place, c, until_us),
            Do::Up(c) => {
                self.machines[place].taking[c] = false;
                if let Some(process) = self.processes.get_mut(&number) {
                    process.made.clear();
                }
                if self.machines[place].gates[self.gates_of(c)].iter().all(Option::is_some) {
                    self.start_app(place, c);
                }
                Next::Go
            }
            Do::ListClosed => self.lists_closed(number, place),
            Do::Judge(c, held) => self.judges(number, place, c, held),
            Do::Order(c) => self.orders(number, place, c),
            Do::Duties => self.has_duties(number, place),
            Do::Named(victim) => self.is_named(number, place, victim),
            Do::Question(victim) => self.asks_over_disks(number, place, victim),
            Do::Listen(victim, until_us) => self.listens(number, place, victim, until_us),
            Do::Answered(victim, round) => self.waits_for_answered(number, place, victim, round),
            Do::TakeAnswered(victim, round) => self.takes_answered(number, place, victim, round),
            Do::Cut(victim) => self.is_to_be_cut(number, place, victim),
            Do::Off(victim) => self.is_told_off(number, place, victim),
            Do::Status(victim) => self.tells_status(number, place, victim),
            Do::Drained(victim) => self.is_drained(number, place, victim),
            Do::Fenced(victim) => self.is_fenced(number, place, victim),
            Do::TakeFrom(from, act) => {
                self.machines[place].taking[PRIVATE] = true;
                self.takes_from(number, from, act)
            }
            other => self.takes_down(number, place, other)?,
        })
    }

    /// An administrator's command on a machine.
    pub fn command(&mut self, place: usize, c: usize, act: Act, request: Request) -> u64 {
        let number = self.spawn(place, Kind::Change(c));
        let todo = [hold(c, act), vec![Do::Run(c, act, Some(request)), Do::Unlock(c)]].concat();
        if let Some(process) = self.processes.get_mut(&number) {
            process.todo.extend(todo);
        }
        number
    }

    pub fn first(&mut self, number: u64, todo: Vec<Do>) -> Next {
        if let Some(process) = self.processes.get_mut(&number) {
            todo.into_iter().rev().for_each(|what| process.todo.push_front(what));
        }
        Next::Go
    }

    fn asks_daemon(&mut self, number: u64, place: usize, tries: u32) -> Next {
        let machine = &self.machines[place];
        if machine.daemon.is_none() {
            return Next::Fail("there is no evmsd");
        }
        if machine.paused_us > self.now_us || machine.stuck {
            return if u64::from(tries) * TRY_US > ASK_US {
                Next::Fail("evmsd is silent")
            } else {
                Next::Again(Do::Ask(tries + 1), TRY_US)
            };
        }
        if !machine.engine.quorate {
            return Next::Fail("not quorate");
        }
        let warrant = Warrant {
            cluster: self.configuration.cluster,
            node: machine.node,
            incarnation: machine.incarnation,
            configuration: evms::base::epoch::Generation(self.configuration.generation),
            lease: Lease::of(machine.words),
        };
        let absent = self.absent(place, warrant.lease.term());
        if let Some(process) = self.processes.get_mut(&number) {
            (process.warrant, process.absent) = (Some(warrant), absent);
        }
        Next::Go
    }

    fn looks(&mut self, number: u64, place: usize, containers: Vec<usize>) -> Next {
        let disks = containers.iter().flat_map(|c| self.gates_of(*c)).collect::<Vec<_>>();
        if let Some(process) = self.processes.get_mut(&number) {
            process.looked.clear();
            process.looked_at = disks.len();
            process.todo.push_front(Do::Saw(containers));
        }
        for disk in disks {
            self.begin(place, disk, errand::Act::Look(number));
        }
        Next::Wait
    }

    fn chooses(&mut self, number: u64, containers: &[usize]) -> Next {
        for c in containers {
            let ids = self.gates_of(*c).map(founding::disk_id).collect::<Vec<_>>();
            if let Some(process) = self.processes.get_mut(&number) {
                let of = process.looked.iter().filter(|copies| ids.contains(&copies.id)).cloned();
                let of = of.collect::<Vec<_>>();
                let chosen = choose::choose(&of, Rules::ALL).ok();
                let hash = chosen.as_ref().map(|chosen| chosen.image.header.hash);
                process.sound[*c] =
                    hash.is_some_and(|hash| of.iter().all(|disk| disk.holds_at_both_ends(hash)));
                process.seen[*c] = chosen;
            }
        }
        Next::Go
    }

    fn locks(&mut self, number: u64, place: usize, c: usize, tries: u32) -> Next {
        let by = &mut self.machines[place].locks[c];
        match *by {
            0 => *by = number,
            own if own == number => (),
            _ if tries > TRIES => return Next::Fail("another command has it locked"),
            _ => return Next::Again(Do::Lock(c, tries + 1), TRY_US),
        }
        Next::Go
    }

    /// `Context::may`.
    fn may(&mut self, number: u64, place: usize, c: usize, act: Act) -> Next {
        let Some(chosen) = &self.processes[&number].seen[c] else {
            return Next::Fail("nothing can be chosen");
        };
        let principal = self.principal(number);
        if guard::may(&chosen.model, &principal, Place::Devices, act).is_err() {
            return Next::Fail("the guard denies");
        }
        let Some(warrant) = principal.warrant else { return Next::Fail("no warrant") };
        let page = &self.machines[place].page;
        let goes_on = act == Act::Regain || self.makes(Mistake::ExpelledGoesOn);
        let mut slots = page.slots[self.gates_of(c)].iter();
        if !goes_on && slots.any(|slot| slot.used != Used::Free && slot.term != warrant.lease.term()) {
            return Next::Fail("its gates are closed");
        }
        Next::Go
    }

    fn arms(&mut self, number: u64, place: usize) -> Next {
        if !self.machines[place].runs(self.now_us) || self.machines[place].stuck {
            return Next::Fail("evmsd is silent");
        }
        self.see_to_keeper(place, true);
        self.machines[place].page.wish += 1;
        let wish = self.machines[place].page.wish;
        self.ring(place);
        self.first(number, vec![Do::AwaitArm(wish, self.now_us + OPEN_US)])
    }

    fn is_armed(&mut self, number: u64, place: usize, wish: u64, until_us: u64) -> Next {
        let page = &self.machines[place].page;
        match () {
            () if page.tried >= wish => {
                let ms = page.watchdog_ms as u32;
                if let Some(process) = self.processes.get_mut(&number) {
                    process.watchdog_ms = ms;
                }
                Next::Go
            }
            () if self.now_us > until_us => Next::Fail("the keeper does not answer"),
            () => Next::Again(Do::AwaitArm(wish, until_us), 2000),
        }
    }

    pub fn has_gates(&self, place: usize, c: usize) -> bool {
        self.machines[place].page.slots[self.gates_of(c)].iter().any(|slot| slot.used != Used::Free)
    }

    /// `Context::ready`: does it have to be admitted first, or what a crash left to be settled?
    fn is_ready(&mut self, number: u64, place: usize, c: usize) -> Next {
        if let refused @ Next::Fail(_) = self.may(number, place, c, Act::Change) {
            return refused;
        }
        let process = &self.processes[&number];
        let (Some(chosen), Some(warrant)) = (&process.seen[c], process.warrant) else {
            return Next::Fail("nothing read");
        };
        if !chosen.majority_read {
            return Next::Fail("no majority");
        }
        let mine = chosen.model.container.holder(self.uuid(place));
        let mine = mine.filter(|holder| holder.incarnation == warrant.incarnation);
        let known = mine.is_some() && self.has_gates(place, c);
        if self.makes(Mistake::AdmittedAfterOpening) && !known {
            let arm = vec![Do::Arm, Do::Raise(c)];
            let behind = [hold(c, Act::Change), vec![Do::Admit(c), Do::Unlock(c)]].concat();
            self.first(number, arm);
            if let Some(process) = self.processes.get_mut(&number) {
                process.todo.extend(behind);
            }
            return Next::Go;
        }
        let settled = self.is_settled(chosen);
        if known && settled {
            return self.first(number, vec![Do::Raise(c), Do::Unlock(c)]);
        }
        if known {
            return self.first(
                number,
                vec![Do::Run(c, Act::Change, None), Do::Look(vec![c]), Do::Raise(c), Do::Unlock(c)],
            );
        }
        self.first(number, vec![Do::Arm, Do::Admit(c), Do::Raise(c), Do::Unlock(c)])
    }

    /// May be gone by it without an opening?
    fn is_settled(&self, chosen: &Chosen) -> bool {
        chosen.settled || chosen.committed && self.makes(Mistake::OneEndIsEnough)
    }

    fn admits(&mut self, number: u64, place: usize, c: usize) -> Next {
        let process = &self.processes[&number];
        let (Some(chosen), Some(warrant)) = (&process.seen[c], process.warrant) else {
            return Next::Fail("nothing read");
        };
        let watchdog_ms = process.watchdog_ms;
        let mine = chosen.model.container.holder(self.uuid(place));
        let mine = mine.filter(|holder| holder.incarnation == warrant.incarnation);
        let said = mine.is_some_and(|holder| holder.watchdog_ms == watchdog_ms);
        if said && self.is_settled(chosen) {
            return Next::Go;
        }
        let request = Some(Request::Admit { watchdog_ms });
        self.first(
            number,
            vec![
                Do::Look(vec![c]),
                Do::May(c, Act::Change),
                Do::Run(c, Act::Change, request),
                Do::Look(vec![c]),
            ],
        )
    }

    /// `Raising::gates`: makes what is missing, and has it kept and opened.
    fn raises(&mut self, number: u64, place: usize, c: usize) -> Next {
        if let refused @ Next::Fail(_) = self.may(number, place, c, Act::Change) {
            return refused;
        }
        let process = &self.processes[&number];
        let model = process.seen[c].as_ref().map(|chosen| &chosen.model.container);
        let mine = model.and_then(|model| model.holder(self.uuid(place))).map(|holder| holder.incarnation);
        let admitted = mine.is_some() && mine == process.warrant.map(|warrant| warrant.incarnation);
        let looks = !self.makes(Mistake::AdmittedAfterOpening);
        if looks && !admitted {
            return Next::Fail("it does not count on this node");
        }
        for gate in self.gates_of(c) {
            match &mut self.machines[place].gates[gate] {
                None => {
                    self.make_gate(place, gate);
                    if let Some(process) = self.processes.get_mut(&number) {
                        process.made.push(gate);
                    }
                }
                Some(device) if device.live == Table::None => device.inactive = Table::Linear,
                Some(device) if device.live == Table::Error => return Next::Fail("a gate leads elsewhere"),
                Some(device) if device.suspended || device.draining => return Next::Fail("a gate is closed"),
                Some(_) => (),
            }
        }
        self.first(number, vec![Do::AskOpen(c, 0)])
    }

    /// `Engine::open_gates`.
    fn asks_open(&mut self, number: u64, place: usize, c: usize, tries: u32) -> Next {
        if !self.machines[place].runs(self.now_us) || self.machines[place].stuck {
            return if tries > TRIES {
                Next::Fail("evmsd is silent")
            } else {
                Next::Again(Do::AskOpen(c, tries + 1), TRY_US)
            };
        }
        let process = &self.processes[&number];
        let (Some(chosen), Some(warrant)) = (&process.seen[c], process.warrant) else {
            return Next::Fail("nothing read");
        };
        let term = warrant.lease.term();
        if !self.reign_of(place).covers(term, self.now_of(place)) {
            return Next::Fail("not quorate any more");
        }
        let mine = chosen.model.container.holder(self.uuid(place));
        let promised_ms = mine.map_or(0, |mine| u64::from(mine.watchdog_ms));
        let epoch = chosen.image.header.order.epoch;
        self.see_to_keeper(place, true);
        for gate in self.gates_of(c) {
            let slot = &mut self.machines[place].page.slots[gate];
            if slot.used != Used::Kept {
                slot.standing = Standing::Unknown;
                slot.life += 1;
                slot.used = Used::Kept;
            }
            (slot.epoch, slot.promised_ms, slot.term) = (epoch, promised_ms, term);
        }
        self.ring(place);
        self.first(number, vec![Do::AwaitOpen(c, self.now_us + OPEN_US), Do::Up(c)])
    }

    fn is_open(&mut self, number: u64, place: usize, c: usize, until_us: u64) -> Next {
        let slots = &self.machines[place].page.slots[self.gates_of(c)];
        let all = slots.iter().all(|slot| slot.standing == Standing::Open);
        let term = self.processes[&number].warrant.map_or(0, |warrant| warrant.lease.term());
        match () {
            () if all => Next::Go,
            () if !self.reign_of(place).covers(term, self.now_of(place)) => {
                Next::Fail("not quorate any more")
            }
            () if self.now_us > until_us => Next::Fail("the gates do not open"),
            () => Next::Again(Do::AwaitOpen(c, until_us), 2000),
        }
    }

    fn lists_closed(&mut self, number: u64, place: usize) -> Next {
        let term = self.processes[&number].warrant.map_or(0, |warrant| warrant.lease.term());
        let closed = |c: usize| {
            let slots = self.machines[place].page.slots[self.gates_of(c)].iter();
            let slots = slots.filter(|slot| slot.used == Used::Kept && slot.term != term);
            slots.map(|slot| slot.epoch).max().map(|epoch| (c, epoch))
        };
        let closed = [0, 1].into_iter().filter_map(closed).collect::<Vec<_>>();
        let mut todo = vec![Do::Look(closed.iter().map(|(c, _)| *c).collect())];
        if closed.is_empty() {
            return Next::Go;
        }
        todo.extend(closed.into_iter().flat_map(|(c, epoch)| [Do::Judge(c, epoch), Do::Mark]));
        self.first(number, todo)
    }

    fn judges(&mut self, number: u64, place: usize, c: usize, held: Epoch) -> Next {
        let process = &self.processes[&number];
        let Some(Warrant { node: id, incarnation, .. }) = process.warrant else {
            return Next::Fail("no warrant");
        };
        let chosen = process.seen[c].as_ref().filter(|chosen| chosen.majority_read);
        let read = chosen.map(|chosen| (&chosen.model, chosen.image.header.order.epoch, chosen.committed));
        let me = Me { id, node: self.uuid(place), incarnation };
        let found = regained(read, held, me);
        let stays = self.makes(Mistake::ExpelledGoesOn) && c == 1;
        self.tell(|| format!("process {number} on machine {place}: container {c}: {found:?}"));
        match found {
            Regained::Lost if !stays => self.first(number, fail(c)),
            Regained::Unclear => Next::Fail("that cannot be told"),
            _ => {
                let act = if stays { Act::Change } else { Act::Regain };
                let todo = [hold(c, act), vec![Do::Run(c, act, None), Do::Order(c), Do::Unlock(c)]];
                self.first(number, todo.concat())
            }
        }
    }

    fn orders(&mut self, number: u64, place: usize, c: usize) -> Next {
        let process = &self.processes[&number];
        let (Some(epoch), Some(warrant)) = (process.done, process.warrant) else {
            return Next::Fail("not opened");
        };
        let gates = self.gates_of(c);
        for slot in self.machines[place].page.slots[gates].iter_mut().filter(|slot| slot.used == Used::Kept) {
            (slot.epoch, slot.term) = (epoch, warrant.lease.term());
        }
        self.ring(place);
        Next::Go
    }

    /// What there is to be done, by the product's own judgement.
    fn has_duties(&mut self, number: u64, place: usize) -> Next {
        let mut todo = Vec::new();
        for (c, duty) in self.all_duties(number, place, &[]) {
            self.tell(|| format!("process {number} on machine {place}: container {c}: {duty:?}"));
            todo.extend(self.fulfils(c, duty));
            todo.push(Do::Mark);
        }
        self.first(number, todo)
    }

    /// The same of each container, with these machines' power to be cut.
    pub fn all_duties(&mut self, number: u64, place: usize, agents: &[NodeUuid]) -> Vec<(usize, Duty)> {
        let mut all = Vec::new();
        for c in [0, 1] {
            let process = &self.processes[&number];
            let (Some(chosen), Some(warrant)) = (&process.seen[c], process.warrant) else { continue };
            if !chosen.majority_read {
                continue;
            }
            let owner = chosen.model.container.owner.as_ref().map(|owner| owner.node);
            let others = chosen.committed && owner != Some(self.uuid(place));
            let taking = self.machines[place].taking[c] && !others;
            let known = Known {
                absent: &process.absent,
                agents,
                receipts: &process.receipts,
                answers: &process.answers,
            };
            // Who sees all of its disks comes before who does not (F30).
            let members = chosen.model.table.disks.iter().filter(|disk| disk.is_member()).count();
            let waits = owner.is_some() && chosen.read.len() < members;
            let waits_ms = if waits { duty::RANK_MS * self.machines.len() as u64 } else { 0 };
            let now = self.now_of(place);
            let now = BootTime { ms: now.ms.saturating_sub(waits_ms) };
            let duties = self.judged((place, now), &chosen.model, warrant, known, taking);
            self.machines[place].taking[c] = taking;
            all.extend(duties.into_iter().map(|duty| (c, duty)));
        }
        all
    }

    fn judged(
        &self,
        (place, mut now): (usize, BootTime),
        model: &Model,
        warrant: Warrant,
        known: Known<'_>,
        taking: bool,
    ) -> Vec<Duty> {
        let mut timing = self.configuration.timing;
        let mut model = model.clone();
        match self.rules.broken() {
            Some(Mistake::DrainNotWaited) => timing.drain_ms = 0,
            Some(Mistake::TakesAtOnce) => now = now.plus_ms(60_000),
            Some(Mistake::WatchdogOfAnotherLife) => self.shorten(&mut model.container),
            _ => (),
        }
        let Known { absent, agents, receipts, answers } = known;
        let mut receipts = receipts.to_vec();
        if self.makes(Mistake::OffCoversTheNextLife) {
            receipts.extend(self.machines[place].proven.iter().cloned());
            for receipt in &mut receipts {
                let holder = model.container.holder(receipt.victim);
                receipt.incarnation = holder.map_or(receipt.incarnation, |holder| holder.incarnation);
            }
        }
        let heir = Heir {
            node: self.uuid(place),
            incarnation: warrant.incarnation,
            cluster: warrant.cluster,
            absent,
            agents,
            receipts: &receipts,
            answers,
            timing: &timing,
            now,
        };
        let duties = heir.duties(&model, taking);
        let word = |duty: Duty| match (self.rules.broken(), duty) {
            (Some(Mistake::TakesUnwatched), Duty::WordAlone(node)) => self.unwatched(&model, node),
            (Some(Mistake::WatchdogOfAnotherLife), Duty::Take(owner, evidence)) => {
                Duty::Take(owner, sworn(&model.container, evidence.victim()).unwrap_or(evidence))
            }
            (Some(Mistake::WatchdogOfAnotherLife), Duty::Expel(evidence)) => {
                Duty::Expel(sworn(&model.container, evidence.victim()).unwrap_or(evidence))
            }
            (_, duty) => duty,
        };
        let duties = duties.into_iter().map(word).collect::<Vec<_>>();
        // Who never held it must not count.
        let all_proven = || absent.iter().all(|one| model.container.holder(one.node).is_some());
        if self.makes(Mistake::BystanderStops) && !all_proven() { Vec::new() } else { duties }
    }

    /// Every holder gets the shortest time that any life of its node ever said.
    fn shorten(&self, container: &mut Container) {
        let shortest = self.configuration.timing.watchdog_ms as u32 - 2000;
        container
            .holders
            .iter_mut()
            .filter(|one| one.watchdog_ms > 0)
            .for_each(|one| one.watchdog_ms = shortest);
    }

    fn unwatched(&self, model: &Model, node: NodeUuid) -> Duty {
        match (&model.container.owner, sworn(&model.container, node)) {
            (Some(owner), Some(evidence)) => Duty::Take(owner.clone(), evidence),
            (None, Some(evidence)) => Duty::Expel(evidence),
            (_, None) => Duty::WordAlone(node),
        }
    }

    pub fn fulfils(&mut self, c: usize, duty: Duty) -> Vec<Do> {
        if let Duty::Take(_, evidence) | Duty::Expel(evidence) = &duty {
            self.goes_by(c, *evidence);
        }
        match duty {
            Duty::Take(owner, evidence) => {
                let act = Act::Takeover(evidence);
                let take = vec![Do::Arm, Do::TakeFrom(owner.node, act), Do::Unlock(c)];
                [take, activate(c)].concat()
            }
            Duty::Finish => activate(c),
            Duty::Expel(evidence) => {
                let act = Act::Expel(evidence);
                let request = Request::Expel { node: evidence.victim(), words: "it is gone".into() };
                [hold(c, act), vec![Do::Run(c, act, Some(request)), Do::Unlock(c)]].concat()
            }
            Duty::WordAlone(_) | Duty::Fence(..) => Vec::new(),
        }
    }

    /// With the watchdog that was armed just now.
    pub fn takes_from(&mut self, number: u64, from: NodeUuid, act: Act) -> Next {
        let admit = Some(self.processes[&number].watchdog_ms);
        let request = Request::Takeover { from, words: "its owner is gone".into(), admit };
        let todo = [hold(PRIVATE, act), vec![Do::Run(PRIVATE, act, Some(request))]].concat();
        self.first(number, todo)
    }
}

/// How long each part of taking gates away may take.
pub fn limit_us(what: &Do) -> u64 {
    match what {
        Do::AwaitIdle(..) => IDLE_US,
        Do::AwaitFailed(..) => FAIL_US,
        _ => CLOSE_US,
    }
}
