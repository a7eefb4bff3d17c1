//! Who beats on the disks of a machine's containers, and answers there who asks whether its gates are closed, step by step as
//! `run::disk_beats` has it: reads what is said on a disk, looks at the gates, writes one block; between any two of these it may be
//! stopped, or killed: evmsd starts another one, which knows nothing of what that one said. What it says it decides by the product's own `engine::guard::answer`.

use evms::base::time::BootTime;
use evms::engine::guard::answer::{self, Given, Me, Stranger};
use evms::format::disk_beat::{DiskBeat, Words};

use crate::chance::Chance;
use crate::gates::errand::{Act, Asker, Word};
use crate::gates::founding;
use crate::gates::machine::{Standing, Table, Used};
use crate::gates::mistake::Mistake;
use crate::gates::world::{Event, World};

const BEAT_US: u64 = 1_000_000;
/// Who has not looked for so long is none; nobody is started sooner than so long after the one before.
const LOOKED_MS_MAX: u64 = 4000;
const PAUSE_US: u64 = 5_000_000;
const IDLE_LOOKS_MAX: u32 = 3;
/// Without an evmsd for so long, a node is one that does not come back by itself.
const RESTART_US: u64 = 10_000_000;

/// Are there beats on disks in the run of this seed, and is anybody asked over them? By a chance of its own, as that of agents is.
pub fn are_there(seed: u64) -> bool {
    Chance::new(seed ^ 0x0d15_c0b3).per_mille(600)
}

/// What the thread of a disk does next.
#[derive(Clone, Debug, Default)]
pub enum Stage {
    #[default]
    Begins,
    /// A disk has its question or its word.
    Waits,
    /// It has read this.
    Decides(Words),
    /// It is to write this.
    Puts(DiskBeat),
}

/// The process.
#[derive(Clone, Debug, Default)]
pub struct Beats {
    /// Which one it is; older ones do nothing.
    life: u64,
    lives: bool,
    /// Not before then.
    pub paused_us: u64,
    /// The evmsd that started it, and when one was last seen.
    of_daemon: u64,
    lived_us: u64,
    /// Is anything answered now?
    answers: bool,
    pub looked: BootTime,
    idle: u32,
    /// Nobody starts another one before that.
    pub next_us: u64,
    threads: Vec<Beater>,
}

/// The thread of one disk.
#[derive(Clone, Debug, Default)]
pub struct Beater {
    stage: Stage,
    begun_us: u64,
    counter: u64,
    given: Given,
    stranger: Stranger,
    /// Were the gates closed before it read? For who makes the mistake of looking then.
    looked: bool,
}

impl World {
    /// Starts it where nobody beats, and something is kept.
    pub fn see_to_beats(&mut self, place: usize) {
        let now = self.now_of(place);
        let machine = &self.machines[place];
        let kept = machine.page.slots.iter().any(|slot| slot.used == Used::Kept);
        let looked = machine.beats.looked;
        let looks = looked.ms != 0 && now.ms.saturating_sub(looked.ms) <= LOOKED_MS_MAX;
        if !self.asks || !kept || looks || machine.beats.next_us > self.now_us {
            return;
        }
        let us = self.chance.between(20_000, 200_000);
        let machine = &mut self.machines[place];
        machine.beats.next_us = self.now_us + PAUSE_US;
        let boot = machine.boot;
        self.after(us, Event::BeatsBegin { machine: place, boot });
    }

    /// It begins, unless the one before has the lock still.
    pub fn begin_beats(&mut self, place: usize, boot: u64) {
        let disks = self.disks.len();
        let machine = &mut self.machines[place];
        if !machine.on || machine.boot != boot || machine.beats.lives {
            return;
        }
        let Beats { life, next_us, .. } = machine.beats;
        machine.beats = Beats {
            life: life + 1,
            lives: true,
            of_daemon: machine.page.daemon,
            lived_us: self.now_us,
            answers: true,
            next_us,
            threads: vec![Beater::default(); disks],
            ..Beats::default()
        };
        let life = machine.beats.life;
        self.at(self.now_us, Event::BeatsLook { machine: place, life });
        for disk in 0..disks {
            let us = self.chance.below(BEAT_US);
            self.after(us, Event::Beats { machine: place, life, disk });
        }
    }

    /// It is killed, or its machine is: what it said, and how often, nobody knows any more.
    pub fn end_beats(&mut self, place: usize) {
        let Beats { life, next_us, looked, .. } = self.machines[place].beats;
        self.machines[place].beats = Beats { life: life + 1, next_us, looked, ..Beats::default() };
    }

    fn beats_of(&self, place: usize, life: u64) -> Option<&Beats> {
        let machine = &self.machines[place];
        Some(&machine.beats).filter(|beats| machine.on && beats.lives && beats.life == life)
    }

    /// It looks whether there is an evmsd, and whether it is needed.
    pub fn beats_look(&mut self, place: usize, life: u64) {
        let Some(beats) = self.beats_of(place, life) else { return };
        if beats.paused_us > self.now_us {
            let at = beats.paused_us;
            return self.at(at, Event::BeatsLook { machine: place, life });
        }
        let (now, now_us) = (self.now_of(place), self.now_us);
        let machine = &mut self.machines[place];
        let gates = machine.page.slots.iter().any(|slot| slot.used != Used::Free);
        let (daemon, lives) = (machine.page.daemon, machine.daemon.is_some());
        let beats = &mut machine.beats;
        if lives {
            beats.lived_us = now_us;
        }
        beats.looked = now;
        beats.answers = lives || now_us.saturating_sub(beats.lived_us) > RESTART_US;
        beats.idle = if gates { 0 } else { beats.idle + 1 };
        let waits = beats.threads.iter().any(|thread| matches!(thread.stage, Stage::Waits));
        if beats.idle >= IDLE_LOOKS_MAX || beats.of_daemon != daemon && !waits {
            return self.end_beats(place);
        }
        self.after(BEAT_US, Event::BeatsLook { machine: place, life });
    }

    /// The thread of a disk does what comes next.
    pub fn beats(&mut self, place: usize, life: u64, disk: usize) {
        let Some(beats) = self.beats_of(place, life) else { return };
        if beats.paused_us > self.now_us {
            let at = beats.paused_us;
            return self.at(at, Event::Beats { machine: place, life, disk });
        }
        let machine = &mut self.machines[place];
        match std::mem::replace(&mut machine.beats.threads[disk].stage, Stage::Waits) {
            Stage::Begins => self.reads_words(place, life, disk),
            Stage::Decides(words) => self.decides(place, life, disk, &words),
            Stage::Puts(beat) => {
                self.begin(place, disk, Act::Say(Asker::Beats(life), Word::Beat(beat)));
            }
            Stage::Waits => (),
        }
    }

    fn reads_words(&mut self, place: usize, life: u64, disk: usize) {
        let container = disk / self.each;
        if !self.has_gates(place, container) {
            return self.rests(place, life, disk, BEAT_US);
        }
        let looked = self.are_shut(place, container);
        let now_us = self.now_us;
        let beater = &mut self.machines[place].beats.threads[disk];
        (beater.begun_us, beater.looked) = (now_us, looked);
        self.begin(place, disk, Act::Hear(Asker::Beats(life)));
    }

    /// A disk has told what is said on it, or has not.
    pub fn beater_heard(&mut self, place: usize, life: u64, disk: usize, words: Option<Words>) {
        if self.beats_of(place, life).is_none() {
            return;
        }
        match words {
            Some(words) => self.goes_to(place, life, disk, Stage::Decides(words)),
            None => self.rests(place, life, disk, BEAT_US),
        }
    }

    /// A disk has taken the word, or has not: what stands nowhere was not said.
    pub fn beater_said(&mut self, place: usize, life: u64, (disk, word): (usize, &Word), lost: bool) {
        if self.beats_of(place, life).is_none() {
            return;
        }
        let now_us = self.now_us;
        let beater = &mut self.machines[place].beats.threads[disk];
        if let Word::Beat(beat) = word
            && !lost
        {
            beater.given.note(&beat.shut);
        }
        let us = (beater.begun_us + BEAT_US).saturating_sub(now_us).max(BEAT_US / 10);
        self.rests(place, life, disk, us);
    }

    fn rests(&mut self, place: usize, life: u64, disk: usize, us: u64) {
        self.machines[place].beats.threads[disk].stage = Stage::Begins;
        self.after(us, Event::Beats { machine: place, life, disk });
    }

    /// Soon, or when it was stopped for a while.
    fn goes_to(&mut self, place: usize, life: u64, disk: usize, stage: Stage) {
        self.machines[place].beats.threads[disk].stage = stage;
        let us = match self.chance.per_mille(self.nervous * 2) && !self.calm {
            true => self.chance.between(100_000, 12_000_000),
            false => self.chance.between(50, 3000),
        };
        self.after(us, Event::Beats { machine: place, life, disk });
    }

    /// `Beater::beat_on_it`.
    fn decides(&mut self, place: usize, life: u64, disk: usize, words: &Words) {
        let container = disk / self.each;
        let machine = &self.machines[place];
        let me = Me {
            node: machine.uuid,
            cluster: self.configuration.cluster,
            incarnation: machine.incarnation,
            container: founding::id(container),
        };
        let id = machine.node;
        let leased = machine.reign().lasts(self.now_of(place));
        let answers = machine.beats.answers;
        let shut = match self.rules.broken() {
            Some(Mistake::LooksBeforeReading) => machine.beats.threads[disk].looked,
            _ => self.are_shut(place, container),
        };
        let over = self.makes(Mistake::SpeaksOverAnother);
        let beater = &mut self.machines[place].beats.threads[disk];
        let there = words.beats.iter().find(|beat| beat.id == id);
        beater.counter = beater.counter.max(there.map_or(0, |beat| beat.counter)).wrapping_add(1);
        // Before anything else: a word that stands still is counted at every look.
        if !beater.stranger.gives_way(there, me) && !over {
            return self.rests(place, life, disk, BEAT_US);
        }
        let asked = beater.given.still_due(answer::to_me(&words.questions, me));
        let Some(said) = answer::said(leased, asked, || answers && shut) else {
            return self.rests(place, life, disk, BEAT_US);
        };
        let Me { node, cluster, incarnation, container: of } = me;
        let counter = beater.counter;
        if !said.is_empty() {
            self.tell(|| format!("machine {place}: says on disk {disk} that its gates are closed"));
            self.witness.answers += 1;
        }
        let beat = DiskBeat { id, node, cluster, container: of, incarnation, counter, shut: said };
        self.goes_to(place, life, disk, Stage::Puts(beat));
    }

    /// `Gates::are_shut`: by the page, by the kernel, and without a lease.
    fn are_shut(&self, place: usize, container: usize) -> bool {
        let machine = &self.machines[place];
        let broken = self.rules.broken();
        if broken == Some(Mistake::AnswersUnlooked) {
            return true;
        }
        let drains = broken == Some(Mistake::AnswersWhileDraining);
        let gates = self.gates_of(container);
        let mut slots = machine.page.slots[gates.clone()].iter().filter(|slot| slot.used != Used::Free);
        let by_page = slots.all(|slot| slot.is_shut() || drains && slot.standing == Standing::Draining);
        let mut devices = machine.gates[gates].iter().flatten();
        let by_kernel = devices.all(|gate| {
            let armed = gate.inactive == Table::Error;
            let stopped = gate.suspended && armed || gate.live == Table::None && !armed && !gate.suspended;
            stopped || gate.live == Table::Error || drains && gate.draining
        });
        by_page && by_kernel && !machine.reign().lasts(self.now_of(place))
    }
}
