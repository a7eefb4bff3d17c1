//! What beats tell of each path to a node: is it alive, and how much is lost on it. Every beat goes over every path with one
//! number, so that what one path lost shows by what it carried before and after.

use crate::base::time::BootTime;

/// Beats after which the count of losses is halved: what was long ago fades.
const FADE_BEATS: u64 = 600;

/// One direction of one path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// When something was heard on it; nothing when never.
    pub heard: Option<BootTime>,
    highest: u64,
    came: u64,
    lost: u64,
}

impl Link {
    /// Something of this number was heard on it.
    pub fn note(&mut self, now: BootTime, number: u64) {
        if self.heard.is_none() || number > self.highest {
            let missed = if self.heard.is_none() { 0 } else { number - self.highest - 1 };
            self.lost = self.lost.saturating_add(missed);
            self.highest = number;
        } else {
            // Overtaken, not lost.
            self.lost = self.lost.saturating_sub(1);
        }
        self.came += 1;
        self.heard = Some(now);
        if self.came.saturating_add(self.lost) > FADE_BEATS {
            (self.came, self.lost) = (self.came / 2, self.lost / 2);
        }
    }

    /// The highest number that was heard on it in this session.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// A new session counts anew.
    pub fn forget_numbers(&mut self) {
        *self = Link { heard: self.heard, ..Link::default() };
        self.highest = 0;
    }

    /// Of a thousand lately how many were lost.
    pub fn lost_per_mille(&self) -> u64 {
        (self.lost * 1000).checked_div(self.came + self.lost).unwrap_or(0)
    }

    /// Was anything heard on it within so many milliseconds?
    pub fn is_up(&self, now: BootTime, window_ms: u64) -> bool {
        self.heard.is_some_and(|heard| heard.plus_ms(window_ms) > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted_and_what_comes_late_is_not() {
        let mut link = Link::default();
        let now = BootTime { ms: 1 };
        assert!(!link.is_up(now, 1000));
        for number in 1001..=2000 {
            if number % 5 != 0 {
                link.note(now, number);
            }
        }
        assert!((150..=250).contains(&link.lost_per_mille()), "{}", link.lost_per_mille());
        let mut link = Link::default();
        for number in [10, 12, 11, 13, 15, 14, 16] {
            link.note(now, number);
        }
        assert_eq!(link.lost_per_mille(), 0);
        assert!(link.is_up(BootTime { ms: 1000 }, 1000) && !link.is_up(BootTime { ms: 1001 }, 1000));
    }
}
