//! What a machine has a disk do: it takes effect at one moment and is answered at another; who asked may be dead by then, and what his
//! machine had under way may land for a while after its power went.

use evms::base::epoch::Epoch;
use evms::format::disk_beat::{DiskBeat, DiskQuestion, Words};
use evms::volume::choose::{self, Chosen, DiskCopies};
use evms::volume::commit::io::{Answer, Op, Purpose};
use evms::volume::mistake::Rules;

use crate::gates::founding;
use crate::gates::laws::evidence;
use crate::gates::witness::Moment;
use crate::gates::world::{Event, World};
use crate::laws::Broken;

/// Microseconds after which a command gives up on a disk; looking gives up sooner.
const DEADLINE_US: u64 = 10_000_000;
const LOOK_US: u64 = 3_000_000;

/// Who wrote it, and under what.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "the counter is for who reads what happened")]
pub struct Stamp {
    pub epoch: Epoch,
    pub counter: u64,
}

#[derive(Clone, Debug)]
pub enum Act {
    /// Data, through a gate.
    Data(Stamp),
    /// What a command asks for, in the lane of this disk.
    Meta(u64, usize, Op),
    /// A look at all slots.
    Look(u64),
    /// What is said on it is read, and something is said.
    Hear(Asker),
    Say(Asker, Word),
}

/// Who has to do with what is said on disks.
#[derive(Clone, Copy, Debug)]
pub enum Asker {
    /// The thread that beats there, of this process.
    Beats(u64),
    /// A process that asks somebody.
    Process(u64),
}

/// What is said on disks.
#[derive(Clone, Debug)]
pub enum Word {
    Beat(DiskBeat),
    Question(DiskQuestion),
}

#[derive(Clone, Debug)]
pub struct Errand {
    pub machine: usize,
    pub boot: u64,
    pub disk: usize,
    pub act: Act,
    begun_us: u64,
    lands_us: u64,
    answers_us: u64,
    landed: bool,
    /// Nothing came of it.
    lost: bool,
    shows: Option<Answer>,
    copies: Option<DiskCopies>,
    words: Option<Words>,
    /// Its asker gave up on it.
    late: bool,
    ghost: bool,
}

impl Errand {
    /// The disk, if it is data of that machine that passed a gate after that moment.
    pub fn writes_data_later_than(&self, us: u64, place: usize) -> Option<usize> {
        let is = self.machine == place && matches!(self.act, Act::Data(_)) && self.begun_us > us;
        is.then_some(self.disk)
    }
}

impl World {
    pub fn begin(&mut self, machine: usize, disk: usize, act: Act) -> u64 {
        let path = self.machines[machine].paths[disk];
        let begins = self.now_us.max(path.hangs_until_us);
        let begins = begins + self.witness.late_us(machine, &act);
        let lands_us = begins + self.chance.between(path.delay_us.0, path.delay_us.1);
        let answers_us = lands_us + self.chance.between(20, 300);
        let lost = path.lost_per_mille > 0 && !self.chance.per_mille(1000 - path.lost_per_mille);
        let boot = self.machines[machine].boot;
        let number = self.number();
        let limit = match &act {
            Act::Data(_) | Act::Hear(_) | Act::Say(..) => None,
            Act::Meta(..) => Some(DEADLINE_US),
            Act::Look(_) => Some(LOOK_US),
        };
        if let Some(limit) = limit.filter(|limit| answers_us > self.now_us + limit) {
            self.after(limit, Event::Late(number));
        }
        let (landed, shows, copies, words, late, ghost) = Default::default();
        let errand = Errand {
            machine,
            boot,
            disk,
            act,
            begun_us: self.now_us,
            lands_us,
            answers_us,
            landed,
            lost,
            shows,
            copies,
            words,
            late,
            ghost,
        };
        self.errands.insert(number, errand);
        self.at(lands_us, Event::Lands(number));
        number
    }

    /// The power of a machine goes: what it had under way lands within the time that counts for that, or never.
    pub fn scatter(&mut self, place: usize) {
        let drain_us = self.configuration.timing.drain_ms * 1000;
        let all = self.errands.iter().filter(|(_, errand)| errand.machine == place && !errand.ghost);
        let all = all.map(|(number, _)| *number).collect::<Vec<_>>();
        for number in all {
            let writes = match &self.errands[&number].act {
                Act::Data(_) | Act::Say(..) => true,
                Act::Meta(_, _, op) => matches!(op, Op::Write { .. }),
                Act::Look(_) | Act::Hear(_) => false,
            };
            let late_us = self.chance.below(drain_us);
            let stays = self.chance.per_mille(700) && writes && !self.errands[&number].landed;
            let Some(errand) = self.errands.get_mut(&number).filter(|_| stays) else {
                self.errands.remove(&number);
                continue;
            };
            errand.ghost = true;
            errand.lands_us = errand.lands_us.min(self.now_us + late_us);
            let (at, disk) = (errand.lands_us, errand.disk);
            if matches!(errand.act, Act::Data(_)) {
                self.machines[place].ghosts[disk / self.each] += 1;
            }
            self.at(at, Event::Lands(number));
        }
    }

    pub fn lands(&mut self, number: u64) -> Result<(), Broken> {
        let Some(mut errand) = self.errands.remove(&number) else { return Ok(()) };
        if errand.landed || errand.lands_us != self.now_us {
            self.errands.insert(number, errand);
            return Ok(());
        }
        errand.landed = true;
        let (container, disk) = (errand.disk / self.each, errand.disk);
        if errand.ghost && matches!(errand.act, Act::Data(_)) {
            self.machines[errand.machine].ghosts[container] -= 1;
        }
        match &errand.act {
            _ if errand.lost => (),
            Act::Data(stamp) => {
                let (machine, boot, stamp) = (errand.machine, errand.boot, *stamp);
                self.tell(|| format!("machine {machine} boot {boot}: {stamp:?} lands on disk {disk}"));
                self.landed += 1;
                let unaware = self.is_of_the_unaware(machine, errand.begun_us);
                if !(unaware && self.laws.told[container].by_time[machine]) {
                    self.laws.lands(container, machine, boot, stamp)?;
                }
            }
            Act::Look(_) => {
                let number = founding::disk_number(self, disk);
                let copies = self.disks[disk].copies(number, founding::disk_id(disk), &self.layout);
                errand.copies = Some(copies);
            }
            Act::Hear(_) => errand.words = Some(self.disks[disk].words.clone()),
            Act::Say(_, word) => self.disks[disk].say(word),
            Act::Meta(_, _, Op::Write { at, bytes, purpose }) => {
                self.disks[disk].write(at.0, bytes);
                if self.laws.wrote(container, (at.0, bytes), *purpose, &self.layout)? {
                    if let Act::Meta(process, ..) = &errand.act {
                        self.witness.writers.insert(*process);
                    }
                    self.looks_at_all(container)?;
                }
                errand.shows = Some(Answer::Done);
            }
            Act::Meta(_, _, Op::Flush) => errand.shows = Some(Answer::Done),
            Act::Meta(_, _, Op::Read { at, length } | Op::BufferedRead { at, length }) => {
                errand.shows = Some(Answer::Read(self.disks[disk].read(at.0, *length)));
            }
        }
        let writer = match &errand.act {
            Act::Meta(process, _, Op::Write { .. }) if !errand.ghost => Some(*process),
            _ => None,
        };
        if !errand.ghost {
            let at = errand.answers_us;
            self.errands.insert(number, errand);
            self.at(at, Event::Answered(number));
        }
        if let Some(process) = writer {
            self.meets_its_doom(process, Moment::Write)?;
        }
        Ok(())
    }

    /// Is another model committed by now?
    pub fn looks_at_all(&mut self, container: usize) -> Result<(), Broken> {
        let chosen = self.read_of_all(container);
        if self.laws.reads(container, chosen) {
            let words = self.laws.committed_in_words(container);
            self.tell(|| format!("container {container}: {words}"));
            self.witness.commits.push((self.now_us, container));
            evidence::check(self, container)?;
        }
        Ok(())
    }

    /// What whoever reads all of its disks now chooses.
    pub fn read_of_all(&mut self, container: usize) -> Option<Chosen> {
        let numbers = self.gates_of(container).map(|disk| (disk, founding::disk_number(self, disk)));
        let copies = numbers
            .collect::<Vec<_>>()
            .into_iter()
            .map(|(disk, number)| self.disks[disk].copies(number, founding::disk_id(disk), &self.layout));
        choose::choose(&copies.collect::<Vec<_>>(), Rules::ALL).ok()
    }

    /// Is a model of this machine on its way to a disk, and late?
    pub fn has_a_model_late(&self, place: usize) -> bool {
        let slot = |act: &Act| matches!(act, Act::Meta(_, _, Op::Write { purpose: Purpose::Slot, .. }));
        let late = |errand: &Errand| !errand.landed && errand.lands_us > self.now_us + 100_000;
        self.errands.values().any(|errand| errand.machine == place && late(errand) && slot(&errand.act))
    }

    /// Is what all disks say what counts, at both ends of most of them, and so told by every majority?
    pub fn is_settled_on_disk(&mut self, container: usize) -> bool {
        self.read_of_all(container).is_some_and(|chosen| chosen.committed && chosen.settled)
    }

    /// Whoever is killed has a thread for each disk, and some of them had not asked yet for what this world lets begin at one moment.
    pub fn forget_unbegun(&mut self, process: u64) {
        let of_it =
            |errand: &Errand| matches!(errand.act, Act::Meta(by, ..) if by == process) && !errand.landed;
        let all = self.errands.iter().filter(|(_, errand)| of_it(errand)).map(|(number, _)| *number);
        for number in all.collect::<Vec<_>>() {
            if self.chance.per_mille(500) {
                self.errands.remove(&number);
            }
        }
    }

    pub fn answered(&mut self, number: u64) -> Result<(), Broken> {
        let Some(errand) = self.errands.get(&number).filter(|errand| !errand.ghost) else { return Ok(()) };
        let Errand { machine, disk, act, shows, copies, words, late, lost, .. } = errand.clone();
        self.errands.remove(&number);
        match act {
            Act::Data(_) => self.came_back(machine, disk, number)?,
            _ if late => (),
            Act::Meta(process, lane, _) => self.hears(process, lane, shows.unwrap_or(Answer::Failed)),
            Act::Look(process) => self.saw(process, disk, copies),
            Act::Hear(Asker::Beats(life)) => self.beater_heard(machine, life, disk, words),
            Act::Say(Asker::Beats(life), word) => self.beater_said(machine, life, (disk, &word), lost),
            Act::Hear(Asker::Process(process)) => self.asker_heard(process, disk, words),
            Act::Say(Asker::Process(_), _) => (),
        }
        Ok(())
    }

    /// Whoever asked waits no longer. What was to be written may land all the same.
    pub fn is_late(&mut self, number: u64) {
        let Some(errand) = self.errands.get_mut(&number).filter(|errand| !errand.ghost && !errand.late)
        else {
            return;
        };
        errand.late = true;
        let (disk, act) = (errand.disk, errand.act.clone());
        match act {
            Act::Data(_) | Act::Hear(_) | Act::Say(..) => (),
            Act::Meta(process, lane, _) => self.hears(process, lane, Answer::Failed),
            Act::Look(process) => self.saw(process, disk, None),
        }
    }

    /// Is a write of this machine under way, on its own or a dead boot's, to a disk that hangs?
    pub fn hangs(&self, place: usize) -> bool {
        self.errands.values().any(|errand| {
            errand.machine == place && !errand.landed && errand.lands_us > self.now_us + 1_000_000
        })
    }
}
