//! An arbitration disk: slow, torn, gone for some, and older than it was. A write lands at some moment between its start and
//! its answer; a read shows one such moment.

use std::sync::Arc;

use evms::base::units::BLOCK_BYTES;
use evms::cluster::arbiter::{Act, Answer, Command};

use crate::chance::Chance;

/// What is under way on a disk.
#[derive(Clone, Debug)]
pub struct Errand {
    pub machine: usize,
    pub boot: u64,
    /// The life of the daemon that asked.
    pub life: u64,
    pub disk: usize,
    pub id: u64,
    pub act: Act,
    pub begun_us: u64,
    pub fate: Fate,
    pub shows: Option<Arc<Vec<u8>>>,
}

impl Errand {
    /// What became of it, for who asked.
    pub fn answer(&self) -> Answer<'_> {
        match (&self.shows, self.fate, &self.act) {
            (Some(bytes), ..) => Answer::Read(bytes),
            (None, Fate::Well, _) => Answer::Written,
            (None, _, Act::Read { .. }) => Answer::NotRead,
            _ => Answer::Unknown,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Well,
    /// It lands, and an error is answered.
    LandsUntold,
    /// Half of it lands.
    Torn,
    Lost,
}

pub struct Disk {
    bytes: Arc<Vec<u8>>,
    older: Option<Arc<Vec<u8>>>,
    pub gone_for: Vec<bool>,
    /// Writes of this machine are answered so late, and have their effect at once or at the end.
    pub late_for: Option<(usize, u64, bool)>,
    /// What this machine reads is answered so late, and shows what stood there when it was asked.
    pub stale_for: Option<(usize, u64)>,
    /// Writes of this machine are lost.
    pub mute_for: Option<usize>,
    pub delay_us: (u64, u64),
    pub unsure_per_mille: u64,
}

pub const SWIFT_US: (u64, u64) = (500, 8_000);

impl Disk {
    pub fn new(machines: usize, length: usize) -> Disk {
        Disk {
            bytes: Arc::new(vec![0; length]),
            older: None,
            gone_for: vec![false; machines],
            late_for: None,
            stale_for: None,
            mute_for: None,
            delay_us: SWIFT_US,
            unsure_per_mille: 0,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn mend(&mut self) {
        self.gone_for.fill(false);
        (self.late_for, self.stale_for, self.mute_for) = (None, None, None);
        self.delay_us = SWIFT_US;
        self.unsure_per_mille = 0;
    }

    pub fn remember(&mut self) {
        self.older = Some(Arc::clone(&self.bytes));
    }

    /// It is again what it was.
    pub fn go_back(&mut self) {
        if let Some(older) = self.older.take() {
            self.bytes = older;
        }
    }

    /// What will become of a command, and after how long it has its effect, and is answered.
    pub fn fate(&self, machine: usize, command: &Command, chance: &mut Chance) -> (Fate, u64, u64) {
        let lasts = chance.between(self.delay_us.0, self.delay_us.1);
        let effect = chance.between(0, lasts + 1);
        if self.gone_for[machine] {
            return (Fate::Lost, effect, lasts + 50_000);
        }
        if let (Act::Write { .. }, Some((late, us, at_the_end))) = (&command.act, self.late_for)
            && late == machine
        {
            return (Fate::Well, if at_the_end { us } else { effect.min(10_000) }, us);
        }
        if let (Act::Read { .. }, Some((_, us))) =
            (&command.act, self.stale_for.filter(|(stale, _)| *stale == machine))
        {
            return (Fate::Well, effect.min(lasts), us);
        }
        if matches!(command.act, Act::Write { .. }) && self.mute_for == Some(machine) {
            return (Fate::Lost, effect, lasts);
        }
        let unsure = chance.per_mille(self.unsure_per_mille);
        let fate = match command.act {
            Act::Write { .. } if unsure => {
                [Fate::LandsUntold, Fate::Torn, Fate::Lost][chance.below(3) as usize]
            }
            Act::Read { .. } if unsure => Fate::Lost,
            _ => Fate::Well,
        };
        (fate, effect, lasts)
    }

    /// The moment at which it counts.
    pub fn effect(&mut self, errand: &mut Errand) {
        match &errand.act {
            Act::Read { .. } if errand.fate == Fate::Well => errand.shows = Some(Arc::clone(&self.bytes)),
            Act::Write { at, block } if errand.fate != Fate::Lost => {
                let length = if errand.fate == Fate::Torn { 100 } else { BLOCK_BYTES as usize };
                let at = at.0 as usize;
                Arc::make_mut(&mut self.bytes)[at..at + length].copy_from_slice(&block[..length]);
            }
            _ => (),
        }
    }
}
