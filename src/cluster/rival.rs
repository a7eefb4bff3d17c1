//! Two living boots of one node: a machine and its copy, or one boot that follows the other right now (F25).

use crate::base::id::Incarnation;
use crate::base::time::BootTime;
use crate::cluster::beat::{BeatNumber, Row};

/// What is known of another boot of a node than the one that this node hears, or is.
///
/// Of two that live neither counts until only one does, and what the other may have been granted has ended, lest each makes a
/// majority with those who hear it (seed 63185 of its day: the one that fell silent was quorate still).
#[derive(Clone, Copy, Debug, Default)]
pub struct Rival {
    /// By its newest beat that anybody told of.
    known: Option<(Incarnation, BeatNumber)>,
    doubtful_until: BootTime,
}

impl Rival {
    /// Somebody hears another boot. It lives when that is a beat of it which is newer than any before, and is in doubt for as
    /// long as what it was granted with that, which is `lasts_ms`.
    pub fn see(&mut self, row: Row, now: BootTime, lasts_ms: u64) {
        let lives = self.known.is_none_or(|(known, beat)| known != row.incarnation || beat < row.beat);
        if lives {
            self.known = Some((row.incarnation, row.beat));
            self.doubtful_until = now.plus_ms(lasts_ms);
        }
    }

    /// May both live?
    pub fn is_doubtful(&self, now: BootTime) -> bool {
        self.living(now).is_some()
    }

    /// The other one where both may live, and for how many milliseconds if nothing more is heard of it.
    pub fn living(&self, now: BootTime) -> Option<(Incarnation, u64)> {
        let (other, _) = self.known?;
        let left_ms = self.doubtful_until.ms.saturating_sub(now.ms);
        (left_ms > 0).then_some((other, left_ms))
    }
}
