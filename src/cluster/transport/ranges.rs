//! A set of numbers as ranges: what of a stream is lost or acknowledged, which packets came. Ranges hold their first number and
//! not their last, and never touch each other.

use std::collections::BTreeMap;

/// A set of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// From the first number to the one behind the last.
    ends: BTreeMap<u64, u64>,
}

impl Ranges {
    /// How many ranges it is.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Is nothing in it?
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Takes `from..to` in.
    pub fn insert(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        let (mut from, mut to) = (from, to);
        while let Some((start, end)) = self.ends.range(..=to).next_back().map(|(start, end)| (*start, *end)) {
            if end < from {
                break;
            }
            self.ends.remove(&start);
            from = from.min(start);
            to = to.max(end);
        }
        self.ends.insert(from, to);
    }

    /// Takes `from..to` out.
    pub fn remove(&mut self, from: u64, to: u64) {
        if from >= to {
            return;
        }
        while let Some((start, end)) = self.ends.range(..to).next_back().map(|(start, end)| (*start, *end)) {
            if end <= from {
                break;
            }
            self.ends.remove(&start);
            if start < from {
                self.ends.insert(start, from);
            }
            if end > to {
                self.ends.insert(to, end);
            }
        }
    }

    /// Is this number in it?
    #[cfg(test)]
    pub fn has(&self, number: u64) -> bool {
        self.ends.range(..=number).next_back().is_some_and(|(_, end)| *end > number)
    }

    /// The lowest range.
    pub fn first(&self) -> Option<(u64, u64)> {
        self.ends.first_key_value().map(|(start, end)| (*start, *end))
    }

    /// Takes the lowest range out.
    pub fn pop_first(&mut self) {
        self.ends.pop_first();
    }

    /// All ranges, highest first.
    pub fn downward(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ends.iter().rev().map(|(start, end)| (*start, *end))
    }

    /// What of `from..to` is not in it.
    pub fn missing(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        if from >= to {
            return Vec::new();
        }
        let (mut missing, mut at) = (Vec::new(), from);
        let before = self.ends.range(..=from).next_back();
        let within = self.ends.range(from..to).filter(|(start, _)| **start != from);
        for (start, end) in before.into_iter().chain(within) {
            if *start > at {
                missing.push((at, (*start).min(to)));
            }
            at = at.max(*end);
        }
        if at < to {
            missing.push((at, to));
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_set_that_it_says() {
        // Every operation against a set of flags, numbers from a multiplier that visits all.
        let (mut ranges, mut flags, mut dice) = (Ranges::default(), [false; 64], 1_u64);
        for _ in 0..20_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (from, to, inserts) = ((dice >> 40) % 64, (dice >> 50) % 65, dice >> 63 == 0);
            if inserts {
                ranges.insert(from, to)
            } else {
                ranges.remove(from, to)
            }
            (from..to).for_each(|at| flags[at as usize] = inserts);
            assert!((0..64).all(|at| ranges.has(at) == flags[at as usize]));
            let runs = (0..64).filter(|at| flags[*at] && (*at == 0 || !flags[at - 1])).count();
            assert_eq!(ranges.len(), runs);
            let missing = ranges.missing(from, to);
            let told = |at: u64| missing.iter().any(|(start, end)| (*start..*end).contains(&at));
            assert!((0..64).all(|at| told(at) == ((from..to).contains(&at) && !flags[at as usize])));
        }
    }
}
