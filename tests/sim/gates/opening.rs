//! The product's own `Change`, carried out as `run::perform` does it: each write under its permit, which is compared when the write
//! begins; answers are taken when all of a batch are there.

use evms::base::dice::Dice;
use evms::base::epoch::Generation;
use evms::base::limits::OPENING_TRIES_MAX;
use evms::base::time::BootTime;
use evms::engine::author::Planner;
use evms::engine::change::{Change, Halted, Step};
use evms::engine::guard::{self, Act, NoPermit, Permit, Place};
use evms::volume::commit::io::{Answer, Ask, Op};
use evms::volume::commit::{Me, Unopened};
use evms::volume::mistake::{Mistake as OnDisk, Rules};
use evms::volume::plan::{self, Outcome};
use evms::volume::request::Request;

use crate::gates::errand;
use crate::gates::founding;
use crate::gates::mistake::Mistake;
use crate::gates::process::{Do, Next};
use crate::gates::witness::Said;
use crate::gates::world::World;
use crate::laws::Broken;

const CLAIM_WAIT_US: u64 = 2_000_000;
const PROOF_LOOK_US: u64 = 10_000;

pub struct Running {
    container: usize,
    act: Act,
    request: Option<Request>,
    change: Change<Planner>,
    waits: usize,
    answers: Vec<(usize, Answer)>,
    denied: bool,
    looked: bool,
    tries: u32,
}

impl core::fmt::Debug for Running {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?} {:?}, {} answers to come", self.act, self.request, self.waits)
    }
}

impl World {
    /// Runs an errand on a container that is held: says "already so" before anything is written.
    pub fn runs(&mut self, number: u64, container: usize, act: Act, request: Option<Request>) -> Next {
        let place = self.processes[&number].machine;
        let Some(chosen) = self.processes[&number].seen[container].clone() else {
            return Next::Fail("nothing read");
        };
        if !chosen.majority_read {
            return Next::Fail("no majority");
        }
        let Some(warrant) = self.processes[&number].warrant else { return Next::Fail("no warrant") };
        let asker = founding::asker(self, place, warrant.incarnation);
        let sound = self.processes[&number].sound[container];
        if let Some(request) = request.as_ref().filter(|_| chosen.committed && sound) {
            let order = chosen.image.header.order;
            let mut dice = Dice::from_number(1);
            match plan::plan(&chosen.model, order, request, &asker, &mut dice) {
                Err(why) => {
                    self.witness.hear(number, Said::Refused(why.to_string()));
                    return Next::Fail("the planner refuses");
                }
                Ok(Outcome::AlreadySo(_)) => {
                    self.witness.hear(number, Said::AlreadySo);
                    return Next::Go;
                }
                Ok(Outcome::Next(_)) => (),
            }
        }
        let unlooked = self.makes(Mistake::WithdrawsUnlooked) || self.makes(Mistake::WithdrawsFirst);
        let back = self.has_gates(place, container) && !unlooked;
        if back && request == Some(Request::Withdraw) {
            return Next::Go;
        }
        let active = self.machines[place].gates[self.gates_of(container)].iter().any(Option::is_some);
        if active && matches!(request, Some(Request::Modify { .. } | Request::Takeover { .. })) {
            return Next::Fail("it is active here");
        }
        self.change(number, (container, act, request), 0)
    }

    fn change(
        &mut self,
        number: u64,
        (container, act, request): (usize, Act, Option<Request>),
        tries: u32,
    ) -> Next {
        let place = self.processes[&number].machine;
        let (Some(chosen), Some(warrant)) =
            (&self.processes[&number].seen[container], self.processes[&number].warrant)
        else {
            return Next::Fail("nothing read");
        };
        let principal = self.principal(number);
        let mandate = match guard::may(&chosen.model, &principal, Place::Devices, act) {
            Ok(mandate) => mandate,
            Err(_) => return Next::Fail("the guard denies"),
        };
        let me = Me {
            node: self.uuid(place),
            id: Some(self.machines[place].node),
            incarnation: warrant.incarnation,
            cluster: self.configuration.cluster,
            configuration: Generation(self.configuration.generation),
        };
        let planner = Planner {
            asker: founding::asker(self, place, warrant.incarnation),
            principal,
            place: Place::Devices,
            act,
            request: request.clone(),
            joiners: Vec::new(),
            first: None,
            dice: Dice::from_number(number),
            words: None,
            already: None,
        };
        let members = founding::members(self, container);
        let keep = act != Act::Regain;
        let rules = match self.rules.broken() {
            Some(Mistake::TakesAnothersBlock) => Rules::without(OnDisk::BlockOfAnotherTaken),
            Some(Mistake::GoesOnOverPromise) => Rules::without(OnDisk::GoesOnOverPromise),
            _ => Rules::ALL,
        };
        let change = Change::new(members, mandate, me, planner, keep, rules);
        let (waits, answers, denied, looked) = Default::default();
        let running = Running { container, act, request, change, waits, answers, denied, looked, tries };
        if let Some(process) = self.processes.get_mut(&number) {
            process.running = Some(running);
            process.todo.push_front(Do::Drive);
        }
        Next::Go
    }

    /// The answer to one of a batch.
    pub fn hears(&mut self, number: u64, lane: usize, answer: Answer) {
        let Some(running) = self.processes.get_mut(&number).and_then(|process| process.running.as_mut())
        else {
            return;
        };
        running.answers.push((lane, answer));
        running.waits -= 1;
        if running.waits == 0 {
            let us = self.chance.between(10, 150);
            self.step_after(number, us);
        }
    }

    pub fn drives(&mut self, number: u64, place: usize) -> Result<Next, Broken> {
        let Some(mut running) = self.processes.get_mut(&number).and_then(|process| process.running.take())
        else {
            return Ok(Next::Fail("nothing runs"));
        };
        let unproven = self.makes(Mistake::UnprovenBehindPromise);
        for (lane, answer) in std::mem::take(&mut running.answers) {
            running.change.handle(lane, answer);
        }
        match running.change.poll(self.now_of(place)) {
            Step::Pause => {
                self.keep(number, running);
                Ok(Next::Again(Do::Drive, CLAIM_WAIT_US))
            }
            Step::Wait(ms) => {
                self.keep(number, running);
                Ok(Next::Again(Do::Drive, ms * 1000))
            }
            Step::Still => {
                self.keep(number, running);
                Ok(Next::Again(Do::Drive, self.configuration.timing.take_ms() * 1000))
            }
            Step::Proof if unproven => {
                running.change.proof(true);
                self.keep(number, running);
                Ok(Next::Again(Do::Drive, 10))
            }
            Step::Proof => {
                self.keep(number, running);
                Ok(Next::Again(Do::Proof(self.now_of(place)), 10))
            }
            Step::Io(asks, permit) => {
                self.asks(number, place, (&asks, permit), &mut running)?;
                let done = running.waits == 0;
                self.keep(number, running);
                if done {
                    return Ok(Next::Again(Do::Drive, 10));
                }
                if let Some(process) = self.processes.get_mut(&number) {
                    process.todo.push_front(Do::Drive);
                }
                Ok(Next::Wait)
            }
            Step::Over => self.is_over(number, running),
        }
    }

    /// `Hands::await_proof`.
    pub fn awaits_proof(&mut self, number: u64, place: usize, done: BootTime) -> Next {
        let Some(lease) = self.processes[&number].warrant.map(|warrant| warrant.lease) else {
            return Next::Fail("no warrant");
        };
        let is_proven = lease.proven() > done;
        if !is_proven && self.now_of(place) < lease.end() {
            return Next::Again(Do::Proof(done), PROOF_LOOK_US);
        }
        let running = self.processes.get_mut(&number).and_then(|process| process.running.as_mut());
        let Some(running) = running else { return Next::Fail("nothing runs") };
        running.change.proof(is_proven);
        running.denied |= !is_proven;
        let takes = matches!(running.act, Act::Takeover(_));
        if let Some(us) = self.witness.stops_proven.take_if(|_| is_proven && takes) {
            self.stop(place, us);
        }
        Next::Again(Do::Drive, 10)
    }

    fn keep(&mut self, number: u64, running: Running) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.running = Some(running);
        }
    }

    fn asks(
        &mut self,
        number: u64,
        place: usize,
        (asks, permit): (&[Ask], Option<Permit>),
        running: &mut Running,
    ) -> Result<(), Broken> {
        let allowed = asks.iter().map(|ask| self.permitted(place, ask, permit, running)).collect::<Vec<_>>();
        for (ask, allowed) in asks.iter().zip(allowed) {
            if !allowed {
                running.answers.push((ask.lane, Answer::Failed));
                continue;
            }
            if let Op::Write { purpose, .. } = &ask.op {
                let (reign, now) = (self.reign_of(place), self.now_of(place));
                let term = self.processes[&number].warrant.map(|warrant| warrant.lease.term());
                if !reign.lasts(now) || term != Some(reign.term) {
                    let words = format!(
                        "process {number} of machine {place} writes {purpose:?} at {now:?}, begun in term {term:?}, under {reign:?}"
                    );
                    return Err(Broken { law: "L10", words });
                }
            }
            running.waits += 1;
            let disk = self.gates_of(running.container).start + ask.lane;
            self.begin(place, disk, errand::Act::Meta(number, ask.lane, ask.op.clone()));
        }
        Ok(())
    }

    /// `Hands::permitted`: what was denied once is not asked again.
    fn permitted(&self, place: usize, ask: &Ask, permit: Option<Permit>, running: &mut Running) -> bool {
        let Op::Write { purpose, .. } = &ask.op else { return true };
        let Some(permit) = permit.filter(|_| !running.denied) else { return false };
        let known = self.makes(Mistake::PermitLookedAtOnce) && running.looked;
        match permit.allows(*purpose, self.now_of(place)) {
            Ok(()) => {
                running.looked = true;
                true
            }
            Err(NoPermit::Expired { .. }) if known || self.makes(Mistake::PermitWithoutEnd) => true,
            Err(_) => {
                running.denied = true;
                false
            }
        }
    }

    fn is_over(&mut self, number: u64, running: Running) -> Result<Next, Broken> {
        let Running { container, act, request, change, denied, tries, .. } = running;
        let (planner, ended) = change.finish();
        match ended {
            Some(Ok(done)) => {
                self.laws.acknowledged(container, done.order)?;
                let already = planner.already.is_some();
                self.witness.hear(number, if already { Said::AlreadySo } else { Said::Done(done.order) });
                if let Some(process) = self.processes.get_mut(&number) {
                    process.done = Some(done.order.epoch);
                }
                Ok(Next::Go)
            }
            Some(Err(Halted::Unopened(Unopened::Superseded(_)))) if tries < OPENING_TRIES_MAX && !denied => {
                let next = self.change(number, (container, act, request), tries + 1);
                let us = self.chance.below(10_000 << (tries + 1).min(6));
                Ok(match next {
                    Next::Go => {
                        self.step_after(number, us);
                        Next::Wait
                    }
                    other => other,
                })
            }
            Some(Err(_)) if denied => Ok(Next::Fail("its permit ended")),
            Some(Err(Halted::Refused { why, .. })) => {
                self.witness.hear(number, Said::Refused(why.to_string()));
                Ok(Next::Fail("refused at the opening"))
            }
            Some(Err(Halted::Unopened(why @ Unopened::BlockTaken { .. }))) => {
                self.witness.hear(number, Said::Refused(format!("{why:?}")));
                Ok(Next::Fail("its number is another machine's"))
            }
            Some(Err(Halted::Superseded(_) | Halted::InDoubt(_))) => {
                self.witness.hear(number, Said::Outbid);
                Ok(Next::Fail("another one opened it"))
            }
            Some(Err(_)) => Ok(Next::Fail("the change did not go through")),
            None => Ok(Next::Fail("the change did not end")),
        }
    }
}
