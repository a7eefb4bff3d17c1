//! The states that several disks can be in when power is cut inside a step, from the history of each.
//!
//! Disks have caches of their own, so each is at any of its own moments; what evms waits for between two disks is left
//! out of account, so that more states are judged than a crash alone can leave.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::content::{Content, History};
use crate::dice::Dice;
use crate::trouble::Trouble;

/// A disk on which nothing happened in a step has its begin and its end.
const QUIET_CUTS: usize = 2;
/// Of more than two disks that differ, so many mixtures of each step are drawn.
const MIXTURES: usize = 60;
/// Of each step's torn writes, so many are drawn.
const TEARS: usize = 100;
/// One in so many states is also finished: the same command again, then `check`.
const FINISHED: usize = 8;

/// What a state may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// The model before the step.
    Old,
    /// Either of both.
    Either,
    /// The model after it.
    New,
}

/// A state of all disks inside a step, and what it may show.
#[derive(Clone, Debug)]
pub struct State {
    /// Which step.
    pub step: usize,
    /// Where in it, for people.
    pub told: String,
    /// What each disk holds.
    pub disks: Vec<Arc<Content>>,
    /// What it may show.
    pub may: May,
    /// Is the step also said again?
    pub is_finished: bool,
}

/// All states of a step.
#[derive(Debug)]
pub struct Window<'a> {
    step: usize,
    histories: &'a [History],
    /// Of each disk: every point in the step at which something had just become durable.
    cuts: Vec<Vec<usize>>,
    /// What was put.
    pub states: Vec<State>,
    /// Which cuts were put already. A disk on which nothing happened is always at its first.
    put: BTreeSet<Vec<usize>>,
    /// What each disk held at each cut, as far as asked: a log is long, and states share what they can.
    contents: RefCell<BTreeMap<(usize, usize), Arc<Content>>>,
    dice: Dice,
}

impl<'a> Window<'a> {
    /// The step between two marks, which every disk's history has.
    pub fn of(step: usize, histories: &'a [History], marks: [&str; 2], seed: u64) -> Result<Self, Trouble> {
        let cuts = |history: &History| Ok(history.cuts(history.mark(marks[0])?, history.mark(marks[1])?));
        let cuts = histories.iter().map(cuts).collect::<Result<Vec<_>, Trouble>>()?;
        Ok(Self {
            step,
            histories,
            cuts,
            states: Vec::new(),
            put: BTreeSet::new(),
            contents: RefCell::default(),
            dice: Dice::new(seed ^ (step as u64) << 32),
        })
    }

    /// All disks as they were when the step began.
    pub fn at_begin(&self) -> Vec<Arc<Content>> {
        self.cuts.iter().enumerate().map(|(disk, cuts)| self.content(disk, cuts[0])).collect()
    }

    /// How many cuts the disk with most of them has.
    fn depth(&self) -> usize {
        self.cuts.iter().map(Vec::len).max().unwrap_or_default()
    }

    /// Every disk at its cut of this number, or its last.
    fn abreast(&self, number: usize) -> Vec<usize> {
        self.cuts.iter().map(|cuts| number.min(cuts.len() - 1)).collect()
    }

    fn content(&self, disk: usize, cut: usize) -> Arc<Content> {
        let mut contents = self.contents.borrow_mut();
        let content =
            contents.entry((disk, cut)).or_insert_with(|| Arc::new(self.histories[disk].content(cut)));
        Arc::clone(content)
    }

    fn put(&mut self, told: String, disks: Vec<Arc<Content>>, may: May, is_crash: bool) {
        let is_finished = is_crash && self.dice.below(FINISHED) == 0;
        self.states.push(State { step: self.step, told, disks, may, is_finished });
    }

    /// Can a crash of evms alone leave this? It waits for all disks before it goes on, so none is far ahead. What is
    /// no crash is a disk that forgot.
    fn is_crash(&self, numbers: &[usize]) -> bool {
        let changed = || {
            numbers
                .iter()
                .zip(&self.cuts)
                .filter(|(_, cuts)| cuts.len() > QUIET_CUTS)
                .map(|(number, _)| *number)
        };
        let (least, most) = (changed().min().unwrap_or_default(), changed().max().unwrap_or_default());
        most <= least + 1
    }

    /// The state in which each disk is at its cut of this number.
    fn put_cuts(&mut self, numbers: &[usize]) {
        let is_quiet = |disk: &usize| self.cuts[*disk].len() <= QUIET_CUTS;
        let told = numbers.iter().enumerate().map(|(disk, number)| if is_quiet(&disk) { 0 } else { *number });
        if !self.put.insert(told.collect()) {
            return;
        }
        let is_at = |end: fn(&[usize]) -> usize| {
            let quiet = |cuts: &[usize]| cuts.len() <= QUIET_CUTS;
            numbers.iter().zip(&self.cuts).all(|(number, cuts)| quiet(cuts) || *number == end(cuts))
        };
        let may = match (is_at(|_| 0), is_at(|cuts| cuts.len() - 1)) {
            (true, _) => May::Old,
            (_, true) => May::New,
            _ => May::Either,
        };
        let disks = numbers.iter().enumerate();
        let disks = disks.map(|(disk, number)| self.content(disk, self.cuts[disk][*number])).collect();
        self.put(format!("disks at their cuts {numbers:?}"), disks, may, self.is_crash(numbers));
    }

    /// All disks abreast; every two of them anywhere, the others at either end; and mixtures of all.
    pub fn put_flushed(&mut self) {
        for number in 0..self.depth() {
            self.put_cuts(&self.abreast(number));
        }
        for (one, other) in [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)] {
            for rest in [0, usize::MAX] {
                self.put_pair(one, other, rest);
            }
        }
        for _ in 0..MIXTURES {
            let numbers: Vec<usize> = self.cuts.iter().map(|cuts| self.dice.below(cuts.len())).collect();
            self.put_cuts(&numbers);
        }
    }

    fn put_pair(&mut self, one: usize, other: usize, rest: usize) {
        for first in 0..self.cuts[one].len() {
            for second in 0..self.cuts[other].len() {
                let mut numbers = self.abreast(rest);
                (numbers[one], numbers[other]) = (first, second);
                self.put_cuts(&numbers);
            }
        }
    }

    /// F47: one disk forgot what it had acknowledged, back to any moment of its life; the others have all of the step.
    pub fn put_forgetful(&mut self) {
        for disk in 0..self.cuts.len() {
            for cut in self.histories[disk].cuts(0, self.cuts[disk][0]) {
                let now = self.abreast(usize::MAX).into_iter().enumerate();
                let mut disks: Vec<_> =
                    now.map(|(disk, number)| self.content(disk, self.cuts[disk][number])).collect();
                disks[disk] = self.content(disk, cut);
                self.put(format!("disk {disk} fell back to its entry {cut}"), disks, May::New, false);
            }
        }
    }

    /// F41: on one disk or on all, what was not flushed is there in part, its writes torn between two sectors, of 4096
    /// bytes and of 512.
    pub fn put_torn(&mut self) {
        for _ in 0..TEARS {
            let number = self.dice.below(self.depth() - 1);
            let (alone, unit) = (self.dice.below(2 * self.cuts.len()), *self.dice.one_of(&[512, 4096]));
            let disks = (0..self.cuts.len()).map(|disk| {
                let cuts = self.cuts[disk].clone();
                let at = |number: usize| cuts[number.min(cuts.len() - 1)];
                match alone < self.cuts.len() && alone != disk {
                    true => {
                        let number = number + self.dice.below(2);
                        self.content(disk, at(number))
                    }
                    false => Arc::new(self.torn(disk, at(number), at(number + 1), unit)),
                }
            });
            let disks = disks.collect();
            self.put(
                format!("torn at {unit} bytes behind cut {number}, on disk {alone} or all"),
                disks,
                May::Either,
                true,
            );
        }
    }

    /// What the disk holds when of each write between two flushes all is there, or nothing, or a part: up to some
    /// sector, or any sectors at all.
    fn torn(&mut self, disk: usize, from: usize, to: usize, unit: usize) -> Content {
        let history = &self.histories[disk];
        let mut content = (*self.content(disk, from)).clone();
        for (at, bytes) in history.writes(from, to) {
            let count = bytes.len().div_ceil(unit);
            let prefix = match self.dice.below(4) {
                0 => Some(0),
                1 => Some(count),
                2 => Some(self.dice.below(count + 1)),
                _ => None,
            };
            for (place, piece) in bytes.chunks(unit).enumerate() {
                if prefix.map_or_else(|| self.dice.below(2) == 0, |prefix| place < prefix) {
                    content.write(at + (place * unit) as u64, piece);
                }
            }
        }
        content
    }
}
