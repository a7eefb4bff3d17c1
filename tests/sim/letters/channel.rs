//! The sealed channel between two sessions, as a model: what is not of the present pair is dropped, and so is what came before.
//! Numbers grow and are never used again.

use std::collections::BTreeSet;

/// Numbers that are remembered; older ones count as doubles.
const REMEMBERED: usize = 8192;

#[derive(Default)]
pub struct Channel {
    /// Which pair of sessions it is, among all of the run.
    pub pair: u64,
    sent: u64,
    came: BTreeSet<u64>,
    least: u64,
}

impl Channel {
    pub fn new(pair: u64) -> Channel {
        Channel { pair, ..Channel::default() }
    }

    pub fn number(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    /// Is it the first of this number?
    pub fn is_first(&mut self, number: u64) -> bool {
        if number < self.least || !self.came.insert(number) {
            return false;
        }
        if self.came.len() > REMEMBERED {
            self.least = self.came.pop_first().map_or(0, |least| least + 1);
        }
        true
    }
}
