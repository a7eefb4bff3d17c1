//! Which counters of a sender were seen: nothing is taken twice, and what is older than the window not at all (RFC 6479's
//! idea). Packets that overtake each other are taken in any order within it.

/// Counters that may be missing behind the highest one and still come: more than can be under way.
const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// A window over the counters of one sender.
#[derive(Clone, Debug, Default)]
pub struct Window {
    highest: u64,
    seen: [u64; WORDS],
}

impl Window {
    fn bit(counter: u64) -> (usize, u64) {
        ((counter / 64) as usize % WORDS, 1 << (counter % 64))
    }

    /// Takes a counter, once. Counters begin with one. Ask only after the seal was found whole: what is forged must not
    /// move the window.
    pub fn take(&mut self, counter: u64) -> bool {
        if counter == 0 || self.highest.saturating_sub(counter) >= WINDOW {
            return false;
        }
        if counter > self.highest {
            self.forget_up_to(counter);
        }
        let (word, bit) = Window::bit(counter);
        let new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        new
    }

    fn forget_up_to(&mut self, counter: u64) {
        if counter - self.highest >= WINDOW {
            self.seen = [0; WORDS];
        } else {
            for gone in self.highest + 1..=counter {
                let (word, bit) = Window::bit(gone);
                self.seen[word] &= !bit;
            }
        }
        self.highest = counter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_taken_once_in_any_order() {
        let mut dice = crate::base::dice::Dice::from_number(3);
        let (mut window, mut taken) = (Window::default(), std::collections::BTreeSet::new());
        let mut at = 1;
        for _ in 0..20_000 {
            at += dice.below(3);
            let counter = (at + 1).saturating_sub(dice.below(WINDOW)).max(1);
            let highest = taken.last().copied().unwrap_or(0);
            let fits = counter + WINDOW > highest;
            assert_eq!(window.take(counter), fits && taken.insert(counter), "{counter} after {highest}");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_not_taken() {
        let mut window = Window::default();
        assert!(!window.take(0));
        assert!(window.take(1) && window.take(5000) && window.take(5000 - WINDOW + 1));
        assert!(!window.take(1) && !window.take(5000 - WINDOW));
        assert!(window.take(u64::MAX) && !window.take(u64::MAX) && window.take(u64::MAX - 1));
    }
}
