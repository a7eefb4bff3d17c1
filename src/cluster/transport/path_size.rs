//! How large a packet may be on one link: the size that every path carries, then larger ones as pings of that size are
//! answered. A path that begins to swallow large packets is noticed by what is lost, and used at the smallest size until the
//! next try (RFC 8899, F10).

use crate::base::time::BootMicros;
use crate::cluster::transport::limits::{
    LARGE_LOST_MAX, PAYLOAD_BYTES_BASE, PAYLOAD_BYTES_TRIED, SIZE_RETRY_US, SIZE_RETRY_US_MAX, SIZE_TRIES,
    SIZE_TRY_US,
};

/// The size of packets of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSize {
    payload: usize,
    /// Which size is tried next, how often it was, and when it may be again.
    next: usize,
    tries: u32,
    at: BootMicros,
    /// The wait after it failed.
    retry_us: u64,
    large_lost: u32,
}

impl PathSize {
    /// The smallest; larger ones are tried from now on.
    pub fn new(now: BootMicros) -> PathSize {
        PathSize {
            payload: PAYLOAD_BYTES_BASE,
            next: 0,
            tries: 0,
            at: now,
            retry_us: SIZE_RETRY_US,
            large_lost: 0,
        }
    }

    /// Bytes of payload that a packet may have.
    pub fn payload(&self) -> usize {
        self.payload
    }

    /// When a larger size is to be tried; never when there is none.
    pub fn due(&self) -> BootMicros {
        if self.next < PAYLOAD_BYTES_TRIED.len() { self.at } else { BootMicros::FOREVER }
    }

    /// The size to try now, if any.
    pub fn try_now(&mut self, now: BootMicros) -> Option<usize> {
        let size = PAYLOAD_BYTES_TRIED.get(self.next).copied().filter(|_| self.at <= now)?;
        if self.tries == SIZE_TRIES {
            self.wait(now);
            return None;
        }
        self.tries += 1;
        self.at = now.plus_us(SIZE_TRY_US);
        Some(size)
    }

    fn wait(&mut self, now: BootMicros) {
        self.tries = 0;
        self.at = now.plus_us(self.retry_us);
        self.retry_us = (2 * self.retry_us).min(SIZE_RETRY_US_MAX);
    }

    /// A ping of that size was answered.
    pub fn passed(&mut self, now: BootMicros, payload: usize) {
        if payload > self.payload {
            self.payload = payload;
            self.next = PAYLOAD_BYTES_TRIED.iter().position(|size| *size > payload).unwrap_or(usize::MAX);
            self.tries = 0;
            self.at = now;
            self.large_lost = 0;
        }
    }

    /// So many packets larger than the smallest size were lost while others arrived, and `large_arrived` says whether a large
    /// one was among those.
    pub fn learn(&mut self, now: BootMicros, large_lost: u32, large_arrived: bool) {
        self.large_lost = if large_arrived { 0 } else { self.large_lost.saturating_add(large_lost) };
        if self.large_lost >= LARGE_LOST_MAX {
            self.payload = PAYLOAD_BYTES_BASE;
            self.next = 0;
            self.large_lost = 0;
            self.retry_us = SIZE_RETRY_US;
            self.wait(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_falls_and_climbs_again_later() {
        let mut now = BootMicros { us: 1 };
        let mut size = PathSize::new(now);
        for tried in [1404, 1424] {
            assert_eq!(size.try_now(now), Some(tried));
            size.passed(now, tried);
            assert_eq!((size.payload(), size.due()), (tried, now));
        }
        for _ in 0..SIZE_TRIES {
            assert_eq!(size.try_now(now), Some(8904));
            assert_eq!(size.try_now(now), None);
            now = now.plus_us(SIZE_TRY_US);
        }
        assert_eq!((size.try_now(now), size.due()), (None, now.plus_us(SIZE_RETRY_US)));
        size.learn(now, 2, true);
        size.learn(now, 2, false);
        assert_eq!(size.payload(), 1424);
        size.learn(now, 1, false);
        assert_eq!((size.payload(), size.due()), (PAYLOAD_BYTES_BASE, now.plus_us(SIZE_RETRY_US)));
        now = size.due();
        assert_eq!(size.try_now(now), Some(1404));
        size.passed(now, 8924);
        assert_eq!((size.payload(), size.due()), (8924, BootMicros::FOREVER));
    }
}
