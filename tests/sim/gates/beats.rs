//! Who beats on the disks of a machine's containers, and answers there who asks whether its gates are closed, step by step as
//! `run::disk_beats` has it: reads what is said on a disk, looks at the gates, writes one block; between any two of these it may be
//! stopped. What it says it decides by the product's own `engine::guard::answer`.

use evms::engine::guard::answer::{self, Given, Me, Stranger};
use evms::format::disk_beat::{DiskBeat, Words};

use crate::chance::Chance;
use crate::gates::errand::{Act, Asker, Word};
use crate::gates::founding;
use crate::gates::machine::{Standing, Table, Used};
use crate::gates::mistake::Mistake;
use crate::gates::world::{Event, World};

const BEAT_US: u64 = 1_000_000;
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
    /// A machine comes up.
    pub fn begin_beats(&mut self, place: usize) {
        let disks = self.disks.len();
        self.machines[place].beaters = vec![Beater::default(); disks];
        if !self.asks {
            return;
        }
        let boot = self.machines[place].boot;
        for disk in 0..disks {
            let us = self.chance.below(BEAT_US);
            self.after(us, Event::Beats { machine: place, boot, disk });
        }
    }

    /// The thread of a disk does what comes next.
    pub fn beats(&mut self, place: usize, boot: u64, disk: usize) {
        let machine = &mut self.machines[place];
        if !machine.on || machine.boot != boot {
            return;
        }
        if machine.beats_paused_us > self.now_us {
            let at = machine.beats_paused_us;
            return self.at(at, Event::Beats { machine: place, boot, disk });
        }
        if machine.daemon.is_some() {
            machine.lived_us = self.now_us;
        }
        match std::mem::replace(&mut self.machines[place].beaters[disk].stage, Stage::Waits) {
            Stage::Begins => self.reads_words(place, boot, disk),
            Stage::Decides(words) => self.decides(place, boot, disk, &words),
            Stage::Puts(beat) => {
                self.begin(place, disk, Act::Say(Asker::Beats, Word::Beat(beat)));
            }
            Stage::Waits => (),
        }
    }

    fn reads_words(&mut self, place: usize, boot: u64, disk: usize) {
        let container = disk / self.each;
        if !self.has_gates(place, container) {
            return self.rests(place, boot, disk, BEAT_US);
        }
        let looked = self.are_shut(place, container);
        let now_us = self.now_us;
        let beater = &mut self.machines[place].beaters[disk];
        (beater.begun_us, beater.looked) = (now_us, looked);
        self.begin(place, disk, Act::Hear(Asker::Beats));
    }

    /// A disk has told what is said on it, or has not.
    pub fn beater_heard(&mut self, place: usize, disk: usize, words: Option<Words>) {
        let boot = self.machines[place].boot;
        match words {
            Some(words) => self.goes_to(place, boot, disk, Stage::Decides(words)),
            None => self.rests(place, boot, disk, BEAT_US),
        }
    }

    /// A disk has taken the word, or has not: what stands nowhere was not said.
    pub fn beater_said(&mut self, place: usize, disk: usize, word: &Word, lost: bool) {
        let (now_us, boot) = (self.now_us, self.machines[place].boot);
        let beater = &mut self.machines[place].beaters[disk];
        if let Word::Beat(beat) = word
            && !lost
        {
            beater.given.note(&beat.shut);
        }
        let us = (beater.begun_us + BEAT_US).saturating_sub(now_us).max(BEAT_US / 10);
        self.rests(place, boot, disk, us);
    }

    fn rests(&mut self, place: usize, boot: u64, disk: usize, us: u64) {
        self.machines[place].beaters[disk].stage = Stage::Begins;
        self.after(us, Event::Beats { machine: place, boot, disk });
    }

    /// Soon, or when it was stopped for a while.
    fn goes_to(&mut self, place: usize, boot: u64, disk: usize, stage: Stage) {
        self.machines[place].beaters[disk].stage = stage;
        let us = match self.chance.per_mille(self.nervous * 2) && !self.calm {
            true => self.chance.between(100_000, 12_000_000),
            false => self.chance.between(50, 3000),
        };
        self.after(us, Event::Beats { machine: place, boot, disk });
    }

    /// `Beater::beat_on_it`.
    fn decides(&mut self, place: usize, boot: u64, disk: usize, words: &Words) {
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
        let answers = machine.daemon.is_some() || self.now_us.saturating_sub(machine.lived_us) > RESTART_US;
        let shut = match self.rules.broken() {
            Some(Mistake::LooksBeforeReading) => machine.beaters[disk].looked,
            _ => self.are_shut(place, container),
        };
        let over = self.makes(Mistake::SpeaksOverAnother);
        let beater = &mut self.machines[place].beaters[disk];
        let there = words.beats.iter().find(|beat| beat.id == id);
        beater.counter = beater.counter.max(there.map_or(0, |beat| beat.counter)).wrapping_add(1);
        // Before anything else: a word that stands still is counted at every look.
        if !beater.stranger.gives_way(there, me) && !over {
            return self.rests(place, boot, disk, BEAT_US);
        }
        let asked = beater.given.still_due(answer::to_me(&words.questions, me));
        let Some(said) = answer::said(leased, asked, || answers && shut) else {
            return self.rests(place, boot, disk, BEAT_US);
        };
        let Me { node, cluster, incarnation, container: of } = me;
        let counter = beater.counter;
        if !said.is_empty() {
            self.tell(|| format!("machine {place}: says on disk {disk} that its gates are closed"));
            self.witness.answers += 1;
        }
        let beat = DiskBeat { id, node, cluster, container: of, incarnation, counter, shut: said };
        self.goes_to(place, boot, disk, Stage::Puts(beat));
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
