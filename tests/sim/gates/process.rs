//! A command, or a process that evmsd started: a list of things to do, one after the other, between any two of which it may be
//! stopped for a while or killed. What each does stands in `command` and `opening`.

use std::collections::{BTreeSet, VecDeque};

use evms::base::epoch::Epoch;
use evms::base::id::{Incarnation, NodeUuid};
use evms::base::time::BootTime;
use evms::engine::guard::duty::Answered;
use evms::engine::guard::evidence::{Absence, Question, Receipt};
use evms::engine::guard::{Act, Principal, Warrant};
use evms::volume::choose::{Chosen, DiskCopies};
use evms::volume::request::Request;

use crate::gates::founding;
use crate::gates::opening::Running;
use crate::gates::witness::{Moment, Said};
use crate::gates::world::{Event, World};
use crate::laws::Broken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Activate(usize),
    Deactivate(usize),
    /// Lets what waits fail, and takes it down: `deactivate --fail`.
    Fail(usize),
    /// The private container is given to this machine.
    Switch(usize),
    /// An administrator's command: see `World::command`.
    Change(usize),
    Regain,
    Succession,
    /// Asks this machine over the disks, and has its power cut.
    Fence(usize),
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Do {
    /// Here goes on who failed before.
    Mark,
    Ask(u32),
    Look(Vec<usize>),
    Saw(Vec<usize>),
    Lock(usize, u32),
    Unlock(usize),
    Ready(usize),
    Arm,
    AwaitArm(u64, u64),
    Admit(usize),
    May(usize, Act),
    Run(usize, Act, Option<Request>),
    Drive,
    /// Until the lease is proven behind that.
    Proof(BootTime),
    Raise(usize),
    AskOpen(usize, u32),
    AwaitOpen(usize, u64),
    Up(usize),
    ListClosed,
    Judge(usize, Epoch),
    Order(usize),
    Duties,
    Named(usize),
    Question(usize),
    Listen(usize, u64),
    Answered(usize, u32),
    TakeAnswered(usize, u32),
    Cut(usize),
    Off(usize),
    Status(usize),
    Drained(usize),
    Fenced(usize),
    TakeFrom(NodeUuid, Act),
    CloseApp(usize),
    AwaitIdle(usize, u64),
    Close(usize),
    AwaitClosed(usize, u64),
    FailGates(usize),
    AwaitFailed(usize, u64),
    Remove(usize),
    Forget(usize),
}

/// What follows on a step.
pub enum Next {
    Go,
    /// The same once more, after so long.
    Again(Do, u64),
    /// Somebody answers.
    Wait,
    Fail(&'static str),
}

#[derive(Debug)]
pub struct Process {
    pub machine: usize,
    pub kind: Kind,
    pub todo: VecDeque<Do>,
    pub warrant: Option<Warrant>,
    pub absent: Vec<Absence>,
    /// What it fences: the lives that are named, when `off` came back, and what is proven.
    pub lives: Vec<Incarnation>,
    pub off_done: Option<BootTime>,
    pub receipts: Vec<Receipt>,
    /// What it asks over disks: the question, in which term, of which disks the answer is awaited, and what was answered.
    pub question: Option<Question>,
    pub asked_term: u64,
    pub listens: BTreeSet<usize>,
    pub answers: Vec<Answered>,
    /// What was read last of each container.
    pub seen: [Option<Chosen>; 2],
    /// Does every disk that was read hold it at both ends?
    pub sound: [bool; 2],
    pub looked: Vec<DiskCopies>,
    pub looked_at: usize,
    pub running: Option<Running>,
    pub watchdog_ms: u32,
    pub done: Option<Epoch>,
    /// Gates that it made and that are not in anybody's use.
    pub made: Vec<usize>,
    pub token: u64,
    pub paused_us: u64,
}

impl Process {
    pub fn in_words(&self) -> String {
        format!("{:?}: {:?}", self.kind, self.todo)
    }
}

/// What a kind of process has to do.
fn todo(world: &World, kind: Kind) -> Vec<Do> {
    let both = || vec![0, 1];
    match kind {
        Kind::Activate(c) if world.makes(crate::gates::mistake::Mistake::LooksBeforeAsking) => {
            vec![Do::Lock(c, 0), Do::Look(vec![c]), Do::Ask(0), Do::Ready(c)]
        }
        Kind::Activate(c) => vec![Do::Ask(0), Do::Lock(c, 0), Do::Look(vec![c]), Do::Ready(c)],
        Kind::Deactivate(c) => super::command::deactivate(world, c),
        Kind::Fail(c) => super::command::fail(c),
        Kind::Switch(to) => super::command::switch(world, to),
        Kind::Change(_) => vec![Do::Ask(0)],
        Kind::Regain => vec![Do::Ask(0), Do::ListClosed],
        Kind::Fence(victim) => vec![Do::Ask(0), Do::Look(both()), Do::Named(victim)],
        Kind::Succession => vec![Do::Ask(0), Do::Look(both()), Do::Duties],
    }
}

impl World {
    pub fn spawn(&mut self, machine: usize, kind: Kind) -> u64 {
        let number = self.number();
        let todo = todo(self, kind).into();
        let process = Process {
            machine,
            kind,
            todo,
            warrant: None,
            absent: Vec::new(),
            lives: Vec::new(),
            off_done: None,
            receipts: Vec::new(),
            question: None,
            asked_term: 0,
            listens: BTreeSet::new(),
            answers: Vec::new(),
            seen: [None, None],
            sound: [false; 2],
            looked: Vec::new(),
            looked_at: 0,
            running: None,
            watchdog_ms: 0,
            done: None,
            made: Vec::new(),
            token: 0,
            paused_us: 0,
        };
        self.processes.insert(number, process);
        self.tell(|| format!("machine {machine}: process {number} begins: {kind:?}"));
        let us = self.chance.between(1000, 30_000);
        self.after(us, Event::Steps { process: number, token: 0 });
        number
    }

    /// It is killed: what it locked is free.
    pub fn kill(&mut self, number: u64) -> Result<(), Broken> {
        if let Some(process) = self.processes.remove(&number) {
            self.tell(|| format!("machine {}: process {number} ends", process.machine));
            self.machines[process.machine]
                .locks
                .iter_mut()
                .filter(|by| **by == number)
                .for_each(|by| *by = 0);
            // Whoever was to close his volume goes on with it.
            if matches!(process.kind, Kind::Deactivate(_) | Kind::Switch(_)) {
                self.machines[process.machine].apps.iter_mut().for_each(|app| app.closing = false);
            }
            self.undo_draining(process.machine, number)?;
        }
        Ok(())
    }

    /// It goes on after so long.
    pub fn step_after(&mut self, number: u64, us: u64) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.token += 1;
            let token = process.token;
            self.after(us, Event::Steps { process: number, token });
        }
    }

    /// Is it stopped here, or killed? True when it does nothing now.
    fn is_cut(&mut self, number: u64) -> Result<bool, Broken> {
        let paused_us = self.processes[&number].paused_us;
        if paused_us > self.now_us {
            self.step_after(number, paused_us - self.now_us);
            return Ok(true);
        }
        if self.calm || !self.chance.per_mille(self.nervous) {
            return Ok(false);
        }
        let us = match self.chance.below(100) {
            0..6 => {
                self.kill(number)?;
                return Ok(true);
            }
            6..50 => self.chance.between(5000, 300_000),
            50..75 => self.chance.between(300_000, 3_000_000),
            _ => self.chance.between(3_000_000, 14_000_000),
        };
        self.tell(|| format!("process {number} is stopped for {us} us"));
        if let Some(process) = self.processes.get_mut(&number) {
            process.paused_us = self.now_us + us;
        }
        self.step_after(number, us);
        Ok(true)
    }

    pub fn steps(&mut self, number: u64, token: u64) -> Result<(), Broken> {
        let process = self.processes.get(&number).filter(|process| process.token == token);
        if process.is_none() || self.meets_its_doom(number, Moment::Step)? || self.is_cut(number)? {
            return Ok(());
        }
        let Some(process) = self.processes.get_mut(&number) else { return Ok(()) };
        let Some(what) = process.todo.pop_front() else { return self.kill(number) };
        let place = process.machine;
        let drives = matches!(what, Do::Drive);
        let waits = matches!(
            what,
            Do::Listen(..) | Do::AwaitOpen(..) | Do::AwaitArm(..) | Do::AwaitClosed(..) | Do::AwaitFailed(..)
        );
        if !drives && !waits {
            self.tell(|| format!("process {number} on machine {place}: {what:?}"));
        }
        match self.does(number, place, what)? {
            Next::Go => {
                let us = if drives { 10 } else { self.chance.between(100, 6000) };
                self.step_after(number, us);
            }
            Next::Again(what, us) => {
                if let Some(process) = self.processes.get_mut(&number) {
                    process.todo.push_front(what);
                }
                self.step_after(number, us);
            }
            Next::Wait => (),
            Next::Fail(why) => self.gives_up(number, place, why),
        }
        Ok(())
    }

    /// Takes away what it made, and goes on behind the next mark.
    fn gives_up(&mut self, number: u64, place: usize, why: &'static str) {
        self.tell(|| format!("process {number} on machine {place} gives up: {why}"));
        self.witness.hear(number, Said::GaveUp(why));
        let container = |gate: &usize| *gate / self.each;
        let Some(process) = self.processes.get_mut(&number) else { return };
        while process.todo.front().is_some_and(|what| !matches!(what, Do::Mark)) {
            process.todo.pop_front();
        }
        let made = std::mem::take(&mut process.made);
        if let Some(of) = made.first().map(container) {
            let until = self.now_us + 1_000_000;
            for what in [Do::Forget(of), Do::Remove(of), Do::AwaitClosed(of, until), Do::Close(of)] {
                process.todo.push_front(what);
            }
        }
        process.running = None;
        self.machines[place].locks.iter_mut().filter(|by| **by == number).for_each(|by| *by = 0);
        self.step_after(number, 1000);
    }

    pub fn principal(&self, number: u64) -> Principal {
        let process = &self.processes[&number];
        let machine = founding::machine(self, process.machine);
        Principal { machine, warrant: process.warrant, refusal: None }
    }

    /// A look at a disk is over.
    pub fn saw(&mut self, number: u64, _disk: usize, copies: Option<DiskCopies>) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        process.looked.extend(copies);
        process.looked_at -= 1;
        if process.looked_at == 0 {
            let us = self.chance.between(50, 3000);
            self.step_after(number, us);
        }
    }

    pub fn uuid(&self, place: usize) -> NodeUuid {
        self.machines[place].uuid
    }
}
