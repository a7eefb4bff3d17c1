//! Chance that can be played again: the same seed, the same throws. What it decided is told with the seed.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the environment may hold: the seed of an earlier run.
pub const SEED_VARIABLE: &str = "EVMS_VM_SEED";

/// A row of throws (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The row that belongs to a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The environment's seed, or one of this moment.
    pub fn seed() -> u64 {
        let given = env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        given.unwrap_or_else(|| now() % 1_000_000)
    }

    /// The next throw.
    pub fn throw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not zero.
    pub fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "a die has sides");
        (self.throw() % end as u64) as usize
    }

    /// One of them.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_row() {
        let row = |seed| {
            Vec::from_iter(std::iter::repeat_with(|| 0).take(4).scan(Dice::new(seed), |d, _| Some(d.throw())))
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        // The first throw of seed 0 as the inventors of SplitMix64 print it.
        assert_eq!(row(0)[0], 0xe220_a839_7b1d_cdaf);
    }
}
