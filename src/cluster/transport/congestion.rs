//! How many bytes may be under way on one link: slow start, then one packet more per round trip, and a third less when something
//! was lost (RFC 9002, section 7, with the gentler step back of RFC 9438).

use crate::base::time::BootMicros;
use crate::cluster::transport::limits::{FLIGHT_BYTES_FIRST, FLIGHT_BYTES_MAX, FLIGHT_BYTES_MIN};

/// The window of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Congestion {
    window: u64,
    /// Slow start ends here.
    threshold: u64,
    /// What was sent before this moment was lost for a reason that was already answered.
    answered: BootMicros,
    /// Window and threshold before the last step back, until it turns out to have been wrong.
    before: Option<(u64, u64)>,
}

impl Congestion {
    /// As a path of which nothing is known.
    pub fn new() -> Congestion {
        Congestion {
            window: FLIGHT_BYTES_FIRST,
            threshold: FLIGHT_BYTES_MAX,
            answered: BootMicros::default(),
            before: None,
        }
    }

    /// Bytes that may be under way.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// So many bytes, sent then, arrived. The window grows only when it was what held the sender back.
    pub fn arrived(&mut self, sent: BootMicros, bytes: u64, was_full: bool) {
        if !was_full || sent <= self.answered {
            return;
        }
        let more = if self.window < self.threshold { bytes } else { 1232 * bytes / self.window.max(1) };
        self.window = (self.window + more).min(FLIGHT_BYTES_MAX);
    }

    /// Something that was sent then was lost.
    pub fn lost(&mut self, sent: BootMicros, now: BootMicros) {
        if sent > self.answered {
            self.answered = now;
            self.before = Some((self.window, self.threshold));
            self.window = (self.window / 10 * 7).max(FLIGHT_BYTES_MIN);
            self.threshold = self.window;
        }
    }

    /// What was sent then and counted as lost arrived after all: the last step back was for nothing (RFC 4015).
    pub fn late(&mut self, sent: BootMicros) {
        if let Some((window, threshold)) = self.before.take_if(|_| sent <= self.answered) {
            self.window = self.window.max(window);
            self.threshold = self.threshold.max(threshold);
        }
    }

    /// Nothing arrives at all: what comes next is careful.
    pub fn stalled(&mut self, now: BootMicros) {
        self.answered = now;
        self.before = None;
        self.threshold = (self.window / 2).max(FLIGHT_BYTES_MIN);
        self.window = FLIGHT_BYTES_MIN;
    }
}

impl Default for Congestion {
    fn default() -> Self {
        Congestion::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> BootMicros {
        BootMicros { us }
    }

    #[test]
    fn it_doubles_until_something_is_lost_and_steps_back_once_for_it() {
        let mut congestion = Congestion::new();
        congestion.arrived(at(5), FLIGHT_BYTES_FIRST, true);
        assert_eq!(congestion.window(), 2 * FLIGHT_BYTES_FIRST);
        congestion.arrived(at(6), FLIGHT_BYTES_FIRST, false);
        assert_eq!(congestion.window(), 2 * FLIGHT_BYTES_FIRST);
        congestion.lost(at(7), at(20));
        let less = congestion.window();
        assert_eq!(less, 2 * FLIGHT_BYTES_FIRST / 10 * 7);
        congestion.lost(at(19), at(21));
        assert_eq!(congestion.window(), less);
        congestion.late(at(7));
        congestion.late(at(8));
        assert_eq!(congestion.window(), 2 * FLIGHT_BYTES_FIRST);
        congestion.lost(at(21), at(22));
        congestion.arrived(at(22), 1232, true);
        assert_eq!(congestion.window(), less);
        congestion.arrived(at(23), less, true);
        assert_eq!(congestion.window(), less + 1232);
        (0..100).for_each(|turn| congestion.lost(at(30 + turn), at(30 + turn)));
        assert_eq!(congestion.window(), FLIGHT_BYTES_MIN);
        (0..100).for_each(|turn| congestion.arrived(at(200 + turn), FLIGHT_BYTES_MAX, true));
        assert!(congestion.window() <= FLIGHT_BYTES_MAX);
        congestion.stalled(at(400));
        assert_eq!(congestion.window(), FLIGHT_BYTES_MIN);
    }
}
