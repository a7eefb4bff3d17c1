//! How much of what was sent on one link was lost, over the last minute: a ring of stretches of time.

use crate::base::time::BootMicros;
use crate::cluster::transport::limits::{LOSS_STRETCH_US, LOSS_STRETCHES};

/// What was lost of a link's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Packets of which it is known, and those lost, by stretch.
    stretches: [(u64, u64); LOSS_STRETCHES],
    /// The number of the newest stretch since boot.
    newest: u64,
}

impl Losses {
    /// The stretch of now, emptied when it is a new one.
    fn stretch(&mut self, now: BootMicros) -> &mut (u64, u64) {
        let number = now.us / LOSS_STRETCH_US;
        let passed = number.saturating_sub(self.newest).min(LOSS_STRETCHES as u64);
        for back in 0..passed {
            self.stretches[((number - back) % LOSS_STRETCHES as u64) as usize] = (0, 0);
        }
        self.newest = self.newest.max(number);
        &mut self.stretches[(self.newest % LOSS_STRETCHES as u64) as usize]
    }

    /// So many arrived.
    pub fn arrived(&mut self, now: BootMicros, packets: u64) {
        self.stretch(now).0 += packets;
    }

    /// So many were lost.
    pub fn lost(&mut self, now: BootMicros, packets: u64) {
        let stretch = self.stretch(now);
        *stretch = (stretch.0 + packets, stretch.1 + packets);
    }

    /// One that counted as lost arrived after all.
    pub fn late(&mut self, now: BootMicros) {
        let stretch = self.stretch(now);
        stretch.1 = stretch.1.saturating_sub(1);
    }

    /// How many of a thousand were lost; nothing while fewer than twenty are known.
    pub fn per_mille(&self) -> Option<u64> {
        let (known, lost) = self.stretches.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        (known >= 20).then(|| 1000 * lost / known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_later_it_is_forgotten() {
        let mut losses = Losses::default();
        let mut now = BootMicros { us: 1_000_000_000 };
        losses.arrived(now, 18);
        assert_eq!(losses.per_mille(), None);
        losses.lost(now, 3);
        losses.late(now);
        assert_eq!(losses.per_mille(), Some(95));
        for _ in 0..LOSS_STRETCHES {
            now = now.plus_us(LOSS_STRETCH_US);
            losses.arrived(now, 20);
        }
        assert_eq!(losses.per_mille(), Some(0));
        losses.arrived(now.plus_us(LOSS_STRETCH_US * 100), 20);
        assert_eq!(losses, {
            let mut fresh = Losses::default();
            fresh.arrived(now.plus_us(LOSS_STRETCH_US * 100), 20);
            fresh
        });
    }
}
