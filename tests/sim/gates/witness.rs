//! What is looked at by who tells a fault step by step (`told`): what was opened, committed, refused, and when; and one process that is
//! to die at a chosen step of it. Nothing here decides anything.

use std::collections::{BTreeMap, BTreeSet};

use evms::base::epoch::{Epoch, Order};
use evms::cluster::view::ViewNumber;
use evms::volume::commit::io::{Op, Purpose};

use crate::gates::errand::Act;
use crate::gates::process::Kind;
use crate::gates::world::{Event, World};
use crate::laws::Broken;

/// How a command ended, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Done(Order),
    AlreadySo,
    /// Another one opened the container at the same time; whether it was done is to be asked.
    Outbid,
    /// By the planner, in its words.
    Refused(String),
    GaveUp(&'static str),
}

/// A gate was let go on.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    pub at_us: u64,
    pub place: usize,
    pub gate: usize,
    pub epoch: Epoch,
}

/// Of what the steps are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before a step of a process.
    Step,
    /// After a write of it has reached a disk.
    Write,
}

/// Who dies, after how many steps of one kind; of its machine's power, where that goes too.
#[derive(Clone, Copy, Debug)]
pub struct Doom {
    pub machine: usize,
    pub kind: Kind,
    pub moment: Moment,
    pub after: u64,
    pub with_its_machine: bool,
    /// The first of that kind, once there is one.
    pub process: Option<u64>,
}

/// Whose models reach a disk late, from which one on, and by how much.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    pub machine: usize,
    pub after: u64,
    pub us: u64,
}

#[derive(Default)]
pub struct Witness {
    /// By which views anybody was quorate.
    pub views: BTreeSet<ViewNumber>,
    pub opened: Vec<Opened>,
    /// Writers that were told of an error: when, on which machine, of which container.
    pub errors: Vec<(u64, usize, usize)>,
    /// When another model of a container came to be committed.
    pub commits: Vec<(u64, usize)>,
    /// Processes of which a model reached a disk.
    pub writers: BTreeSet<u64>,
    /// How often gates were said to be closed, over a disk; and how often something was taken on that.
    pub answers: u64,
    pub takes: u64,
    /// How often a machine found that it had stood still, and how many writes passed before.
    pub noticed: u64,
    pub forgiven: u64,
    /// How often an agent was told `off`.
    pub offs: u64,
    /// Writes that land late.
    pub late: Option<Late>,
    /// The machine that proves its lease behind a promise next stands still then, with its clock, for so many microseconds.
    pub stops_proven: Option<u64>,
    pub said: BTreeMap<u64, Vec<Said>>,
    pub doom: Option<Doom>,
    /// When it was met, or nothing.
    pub doomed_us: Option<u64>,
}

impl Witness {
    /// By how much does this land late?
    pub fn late_us(&mut self, place: usize, act: &Act) -> u64 {
        let is_model = matches!(act, Act::Meta(_, _, Op::Write { purpose: Purpose::Slot, .. }));
        let Some(late) = self.late.as_mut().filter(|late| late.machine == place && is_model) else {
            return 0;
        };
        late.after = late.after.saturating_sub(1);
        if late.after == 0 { late.us } else { 0 }
    }

    pub fn hear(&mut self, process: u64, said: Said) {
        self.said.entry(process).or_default().push(said);
    }
}

impl World {
    /// Did any model of this process reach a disk?
    pub fn wrote_a_model_for(&self, process: u64) -> bool {
        self.witness.writers.contains(&process)
    }

    /// Is this the step at which this process is to die? Then it does.
    pub fn meets_its_doom(&mut self, number: u64, moment: Moment) -> Result<bool, Broken> {
        let Some(process) = self.processes.get(&number) else { return Ok(false) };
        let (machine, kind) = (process.machine, process.kind);
        let Some(doom) = &mut self.witness.doom else { return Ok(false) };
        if (doom.machine, doom.kind) != (machine, kind) || *doom.process.get_or_insert(number) != number {
            return Ok(false);
        }
        if doom.moment != moment {
            return Ok(false);
        }
        if doom.after > 0 {
            doom.after -= 1;
            return Ok(false);
        }
        let with_its_machine = doom.with_its_machine;
        self.witness.doom = None;
        self.witness.doomed_us = Some(self.now_us);
        self.tell(|| format!("process {number} on machine {machine} is to die here"));
        match with_its_machine {
            true => self.power_off(machine),
            false => {
                self.forget_unbegun(number);
                self.kill(number)?;
            }
        }
        Ok(true)
    }

    /// A machine comes up, and the service that looks after what it has.
    pub fn boot_at(&mut self, at_us: u64, place: usize) {
        self.at(at_us, Event::PowerOn(place));
        self.at(at_us + 1_000_000, Event::Agent { machine: place });
    }
}
