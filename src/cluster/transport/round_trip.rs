//! How long a packet and its answer take on one link (RFC 9002, section 5), and what follows from it: when a packet counts as
//! lost, and when to try again.

use crate::cluster::transport::limits::{ACKNOWLEDGE_US, PATIENCE_US_MIN, RETRY_US_MAX, ROUND_TRIP_US_FIRST};

/// The round trip of one link, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoundTrip {
    measured: Option<Measured>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Measured {
    latest_us: u64,
    least_us: u64,
    smoothed_us: u64,
    varied_us: u64,
}

impl RoundTrip {
    /// Takes one measurement in; `held_back_us` of it the peer waited before it answered.
    pub fn measure(&mut self, us: u64, held_back_us: u64) {
        let us = us.max(1);
        let Some(known) = &mut self.measured else {
            self.measured =
                Some(Measured { latest_us: us, least_us: us, smoothed_us: us, varied_us: us / 2 });
            return;
        };
        known.least_us = known.least_us.min(us);
        let held_back_us = held_back_us.min(ACKNOWLEDGE_US);
        let us = if us >= known.least_us + held_back_us { us - held_back_us } else { us };
        known.latest_us = us;
        known.varied_us = (3 * known.varied_us + known.smoothed_us.abs_diff(us)) / 4;
        known.smoothed_us = ((7 * known.smoothed_us + us) / 8).max(1);
    }

    /// The smoothed round trip in microseconds, once there was one.
    pub fn smoothed_us(&self) -> Option<u64> {
        self.measured.map(|known| known.smoothed_us)
    }

    /// By how many microseconds it varies.
    pub fn varied_us(&self) -> u64 {
        self.measured.map_or(ROUND_TRIP_US_FIRST / 2, |known| known.varied_us)
    }

    /// For how many microseconds a packet may be missing while later ones arrive. Where packets overtake each other the spread
    /// counts too.
    pub fn patience_us(&self, overtaking: bool) -> u64 {
        let Some(known) = self.measured else { return ROUND_TRIP_US_FIRST * 9 / 8 };
        let trip = known.smoothed_us.max(known.latest_us);
        let usual = trip + trip / 8;
        let spread = if overtaking { known.smoothed_us + 4 * known.varied_us } else { 0 };
        usual.max(spread).max(PATIENCE_US_MIN)
    }

    /// Microseconds from the last packet that asked for an acknowledgement to the next try, when so many tries went
    /// unanswered.
    pub fn retry_us(&self, retries: u32) -> u64 {
        let smoothed = self.smoothed_us().unwrap_or(ROUND_TRIP_US_FIRST);
        let first = smoothed + (4 * self.varied_us()).max(PATIENCE_US_MIN) + ACKNOWLEDGE_US;
        (first << retries.min(16)).min(RETRY_US_MAX.max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_is_measured() {
        let mut trip = RoundTrip::default();
        assert_eq!((trip.smoothed_us(), trip.retry_us(0)), (None, 305_000));
        trip.measure(800, 0);
        assert_eq!((trip.smoothed_us(), trip.varied_us()), (Some(800), 400));
        // Held back for 1000 of 1600 would be less than the least: not believed.
        trip.measure(1600, 1000);
        assert_eq!((trip.smoothed_us(), trip.varied_us()), (Some(900), 500));
        trip.measure(1900, 1000);
        assert_eq!((trip.smoothed_us(), trip.varied_us()), (Some(900), 375));
        assert_eq!((trip.retry_us(0), trip.retry_us(1), trip.retry_us(60)), (7400, 14_800, RETRY_US_MAX));
        assert_eq!((trip.patience_us(false), trip.patience_us(true)), (1012, 2400));
    }
}
