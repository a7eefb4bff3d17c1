//! When the next packet may leave a link: as fast as the window allows over a round trip and a quarter more, in bursts that a
//! switch has room for. A bucket of bytes.

use crate::base::time::BootMicros;
use crate::cluster::transport::limits::{BURST_PACKETS, BURST_US};

/// The pace of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Bytes in the bucket when it was last looked into.
    bytes: u64,
    /// When that was.
    at: BootMicros,
    /// Bytes that the bucket holds.
    most: u64,
    /// Microseconds in which so many bytes come in.
    window: u64,
    trip_us: u64,
}

impl Pace {
    /// So many bytes may be under way, a round trip takes so long, packets are so large.
    pub fn set(&mut self, now: BootMicros, window: u64, trip_us: u64, packet: u64) {
        self.bytes = self.filled(now);
        self.at = now;
        self.window = window + window / 4;
        self.trip_us = trip_us.max(1);
        let in_burst = u128::from(self.window) * u128::from(BURST_US) / u128::from(self.trip_us);
        self.most = u64::try_from(in_burst).unwrap_or(u64::MAX).max(BURST_PACKETS * packet);
        self.bytes = self.bytes.min(self.most);
    }

    /// A link that was idle may begin with a burst.
    pub fn fill(&mut self) {
        self.bytes = self.most;
    }

    fn filled(&self, now: BootMicros) -> u64 {
        let came = u128::from(self.window) * u128::from(now.since(self.at)) / u128::from(self.trip_us.max(1));
        self.bytes.saturating_add(u64::try_from(came).unwrap_or(u64::MAX)).min(self.most)
    }

    /// When a packet of so many bytes may leave.
    pub fn free(&self, now: BootMicros, packet: u64) -> BootMicros {
        let missing = packet.min(self.most).saturating_sub(self.filled(now));
        if missing == 0 {
            return now;
        }
        let us = (u128::from(missing) * u128::from(self.trip_us)).div_ceil(u128::from(self.window.max(1)));
        now.plus_us(u64::try_from(us).unwrap_or(u64::MAX).max(1))
    }

    /// A packet left.
    pub fn sent(&mut self, now: BootMicros, packet: u64) {
        self.bytes = self.filled(now).saturating_sub(packet);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_it_is_the_window_over_the_round_trip() {
        let mut pace = Pace::default();
        let mut now = BootMicros { us: 1_000_000 };
        pace.set(now, 80_000, 10_000, 1000);
        now = now.plus_us(1_000_000);
        let (mut at_once, mut sent) = (0, 0);
        let end = now.plus_us(100_000);
        while now < end {
            let free = pace.free(now, 1000);
            at_once += u64::from(sent == at_once && free == now);
            now = free;
            pace.sent(now, 1000);
            sent += 1;
        }
        // The bucket holds what comes in 2 ms or 16 packets, whichever is more; then 10 bytes each microsecond.
        assert_eq!(at_once, 20);
        assert!((1015..=1025).contains(&sent), "{sent}");
    }
}
