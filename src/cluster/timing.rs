//! Every time of the cluster, in one place, and the arithmetic that they must satisfy (R11, R18).

use serde::{Deserialize, Serialize};

use crate::cluster::mistake::{Rules, breaks};

/// Parts in a million of which a clock may be wrong: the largest that is believed.
pub const DRIFT_PPM_MAX: u32 = 100_000;
/// Milliseconds of any time at most: an hour. Longer ones are mistakes, and all arithmetic with these is exact.
pub const TIME_MS_MAX: u64 = 3_600_000;
const MILLION: u64 = 1_000_000;

/// Times of a cluster; all nodes have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Milliseconds between two beats.
    pub beat_ms: u64,
    /// Milliseconds of silence after which a peer is not heard any more; and how long it must be heard without a gap before
    /// it counts (R10).
    pub window_ms: u64,
    /// Milliseconds for which an echoed beat makes quorate, counted from its sending.
    pub lease_ms: u64,
    /// Parts in a million by which a node's clock may run too fast or too slow.
    pub drift_ppm: u32,
    /// Milliseconds for which a choice of members must stand before a view is proposed.
    pub settle_ms: u64,
    /// Milliseconds between two beats on an arbitration disk.
    pub disk_beat_ms: u64,
    /// Milliseconds for which such a beat holds a tie, counted from the start of its write.
    pub disk_lease_ms: u64,
    /// Milliseconds after which a watchdog bites; zero where there is none.
    pub watchdog_ms: u64,
    /// Milliseconds that a write may still be under way after its machine was stopped.
    pub drain_ms: u64,
    /// Milliseconds after which an engine that gave no stamp is stuck (safety 1.4).
    pub progress_ms: u64,
    /// Milliseconds after which a view that not all have installed is given up, without those who did not answer.
    pub propose_ms: u64,
}

impl Default for Timing {
    /// What is right for a switched network: silent for a second is not heard; quorum ends 1.5 s after the last beat.
    fn default() -> Self {
        Timing {
            beat_ms: 100,
            window_ms: 1000,
            lease_ms: 1500,
            drift_ppm: 10_000,
            settle_ms: 200,
            disk_beat_ms: 1000,
            disk_lease_ms: 5000,
            watchdog_ms: 5000,
            drain_ms: 2000,
            progress_ms: 2000,
            propose_ms: 1000,
        }
    }
}

/// Why times cannot work, with the figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTiming {
    /// Something is zero.
    Zero,
    /// Longer than an hour.
    TooLong {
        /// Milliseconds of it.
        ms: u64,
    },
    /// A peer would be lost with one lost beat or two.
    WindowTooShort {
        /// Milliseconds of silence.
        window_ms: u64,
        /// Milliseconds between beats.
        beat_ms: u64,
    },
    /// The lease would end before silence is noticed, and every hiccup would stop I/O.
    LeaseTooShort {
        /// Milliseconds of a lease.
        lease_ms: u64,
        /// Milliseconds of silence.
        window_ms: u64,
    },
    /// A tie would be lost with one late write.
    DiskLeaseTooShort {
        /// Milliseconds of a disk lease.
        disk_lease_ms: u64,
        /// Milliseconds between disk beats.
        disk_beat_ms: u64,
    },
    /// A hiccup of the engine would cost the quorum.
    ProgressTooShort {
        /// Milliseconds without a stamp.
        progress_ms: u64,
        /// Milliseconds between beats.
        beat_ms: u64,
    },
    /// Clocks that wrong are broken.
    DriftTooLarge {
        /// Parts in a million.
        drift_ppm: u32,
    },
}

impl core::fmt::Display for BadTiming {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BadTiming::Zero => write!(f, "no time may be zero"),
            BadTiming::TooLong { ms } => {
                write!(f, "a time of {ms} ms is longer than {TIME_MS_MAX}, the most")
            }
            BadTiming::WindowTooShort { window_ms, beat_ms } => write!(
                f,
                "a window of {window_ms} ms is less than four beats of {beat_ms} ms: a few lost packets would cost a node"
            ),
            BadTiming::LeaseTooShort { lease_ms, window_ms } => write!(
                f,
                "a lease of {lease_ms} ms is not longer than the window of {window_ms} ms: I/O would stop before anybody is \
                 missed"
            ),
            BadTiming::DiskLeaseTooShort { disk_lease_ms, disk_beat_ms } => write!(
                f,
                "a disk lease of {disk_lease_ms} ms is less than three disk beats of {disk_beat_ms} ms: one slow write would \
                 cost the tie"
            ),
            BadTiming::ProgressTooShort { progress_ms, beat_ms } => write!(
                f,
                "an engine is called stuck after {progress_ms} ms, less than four beats of {beat_ms} ms"
            ),
            BadTiming::DriftTooLarge { drift_ppm } => {
                write!(
                    f,
                    "clocks that are wrong by {drift_ppm} parts in a million are more than {DRIFT_PPM_MAX} allowed"
                )
            }
        }
    }
}

impl Timing {
    /// All times in milliseconds, by the names that they have in a configuration.
    pub fn fields(&mut self) -> [(&'static str, &mut u64); 10] {
        [
            ("beat", &mut self.beat_ms),
            ("window", &mut self.window_ms),
            ("lease", &mut self.lease_ms),
            ("settle", &mut self.settle_ms),
            ("propose", &mut self.propose_ms),
            ("disk_beat", &mut self.disk_beat_ms),
            ("disk_lease", &mut self.disk_lease_ms),
            ("watchdog", &mut self.watchdog_ms),
            ("drain", &mut self.drain_ms),
            ("progress", &mut self.progress_ms),
        ]
    }

    /// Can a cluster work by these times?
    pub fn check(&self) -> Result<(), BadTiming> {
        let mut all = *self;
        if let Some((_, ms)) = all.fields().into_iter().find(|(_, ms)| **ms > TIME_MS_MAX) {
            return Err(BadTiming::TooLong { ms: *ms });
        }
        let Timing { beat_ms, window_ms, lease_ms, drift_ppm, settle_ms, propose_ms, .. } = *self;
        let Timing { disk_beat_ms, disk_lease_ms, progress_ms, .. } = *self;
        let none_is_zero = [beat_ms, window_ms, lease_ms, settle_ms, propose_ms, disk_beat_ms, progress_ms];
        if none_is_zero.contains(&0) {
            return Err(BadTiming::Zero);
        }
        if window_ms < beat_ms.saturating_mul(4) {
            return Err(BadTiming::WindowTooShort { window_ms, beat_ms });
        }
        if lease_ms <= window_ms {
            return Err(BadTiming::LeaseTooShort { lease_ms, window_ms });
        }
        if disk_lease_ms < disk_beat_ms.saturating_mul(3) {
            return Err(BadTiming::DiskLeaseTooShort { disk_lease_ms, disk_beat_ms });
        }
        if progress_ms < beat_ms.saturating_mul(4) {
            return Err(BadTiming::ProgressTooShort { progress_ms, beat_ms });
        }
        if drift_ppm > DRIFT_PPM_MAX {
            return Err(BadTiming::DriftTooLarge { drift_ppm });
        }
        Ok(())
    }

    /// How long a promise lasts by the clock of who gave it: not shorter than a lease by any other clock. A lease of a slow
    /// clock lasts `lease / (1 - d)`, a promise of a fast one `promise / (1 + d)`, so it is `lease · (1 + d) / (1 - d)`,
    /// rounded up. (Safety 1.3 has `1 + 2·d`, which falls short by a part of d².)
    pub fn promise_ms(&self, rules: Rules) -> u64 {
        if breaks!(rules, PromiseWithoutDrift) {
            return self.lease_ms;
        }
        self.outlasting(self.lease_ms)
    }

    /// For how long, by the clock of any node, so many milliseconds of any other's may last.
    fn outlasting(&self, ms: u64) -> u64 {
        let drift = u64::from(self.drift_ppm.min(DRIFT_PPM_MAX));
        // A millisecond for each of the two clocks, which count whole ones.
        ms.saturating_mul(MILLION + drift).div_ceil(MILLION - drift).saturating_add(2)
    }

    /// How long after the end of its lease a machine has written for the last time, by the clock of any node: a watchdog of so many
    /// milliseconds was fed for the last time before that end, once more by the kernel if who fed it was killed just before it bit
    /// (closing it without its word is a ping), and what was under way then is over (safety 5.1). With 5 s, 12.3 s.
    pub fn stopped_ms(&self, watchdog_ms: u64) -> u64 {
        self.outlasting(watchdog_ms.saturating_mul(2).saturating_add(self.drain_ms))
    }

    /// For how long a record must have stood still before its writer is taken for gone (T_take of faults.md; safety 6): its
    /// lease, a beat that it may have been about to write, the watchdog behind it, and what is still under way to the disks.
    /// With the defaults 13.3 s.
    pub fn take_ms(&self) -> u64 {
        let parts = [self.disk_lease_ms, self.disk_beat_ms, self.watchdog_ms, self.drain_ms];
        self.outlasting(parts.iter().fold(0, |sum: u64, part| sum.saturating_add(*part)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_outlasts_a_lease_by_the_worst_clocks() {
        for drift_ppm in [0, 200, 10_000, 100_000] {
            let timing = Timing { drift_ppm, ..Timing::default() };
            let drift = f64::from(drift_ppm) / 1e6;
            let (lease, promise) = (timing.lease_ms as f64, timing.promise_ms(Rules::ALL) as f64);
            assert!(promise / (1.0 + drift) >= lease / (1.0 - drift), "{drift_ppm}");
        }
    }

    #[test]
    fn times_that_cannot_work_are_refused_with_figures() {
        let good = Timing::default();
        assert_eq!(good.check(), Ok(()));
        let told = |timing: Timing| timing.check().unwrap_err().to_string();
        assert!(told(Timing { beat_ms: 0, ..good }).contains("zero"));
        assert!(told(Timing { window_ms: 300, ..good }).contains("300 ms"));
        assert!(told(Timing { lease_ms: 1000, ..good }).contains("lease of 1000 ms"));
        assert!(told(Timing { disk_lease_ms: 2000, ..good }).contains("2000 ms"));
        assert!(told(Timing { progress_ms: 300, ..good }).contains("300 ms"));
        assert_eq!(good.take_ms(), 13_265);
        assert!(told(Timing { drift_ppm: 200_000, ..good }).contains("200000"));
    }
}
