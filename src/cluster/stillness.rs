//! A machine that is stopped as a whole, and its clocks with it, goes on as if nothing had been (safety T6): only the clock on its board
//! went on. What that one says tells that time went by, before anybody else does.

use crate::base::time::BootTime;

/// Milliseconds by which the board's clock may be ahead of this machine's from one look to the next: it counts whole seconds, and
/// nobody takes anything over from a node that is silent for so long.
pub const AHEAD_MS_MAX: u64 = 3000;

/// Compares them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stillness {
    last: Option<(u64, BootTime)>,
}

impl Stillness {
    /// The board's clock stands at so many seconds now. For how many milliseconds this machine stood still since the look before, when
    /// it did; or somebody set that clock, which looks the same.
    pub fn look(&mut self, board_seconds: u64, now: BootTime) -> Option<u64> {
        let (seconds, then) = self.last.replace((board_seconds, now))?;
        let board_ms = board_seconds.saturating_sub(seconds).saturating_mul(1000);
        let ahead_ms = board_ms.saturating_sub(now.ms.saturating_sub(then.ms));
        (ahead_ms > AHEAD_MS_MAX).then_some(ahead_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> BootTime {
        BootTime { ms }
    }

    /// T6: 20 s by the board, a tenth of a second by every other clock.
    #[test]
    fn a_board_that_is_ahead_tells_that_the_machine_stood() {
        let mut still = Stillness::default();
        assert_eq!(still.look(1000, at(5_000)), None, "nothing to compare with");
        assert_eq!(still.look(1001, at(5_100)), None, "its second turned");
        assert_eq!(still.look(1001, at(5_900)), None);
        assert_eq!(still.look(1021, at(6_000)), Some(19_900));
        assert_eq!(still.look(1021, at(6_100)), None, "once");
        // 4 s by the board and a second by the others: 3000 is allowed, 3001 is not.
        assert_eq!(still.look(1025, at(7_100)), None);
        assert_eq!(still.look(1029, at(8_099)), Some(3001));
    }

    #[test]
    fn a_board_that_goes_back_or_a_look_that_is_late_tells_nothing() {
        let mut still = Stillness::default();
        still.look(1000, at(5_000));
        assert_eq!(still.look(10, at(5_100)), None, "somebody set it");
        assert_eq!(still.look(70, at(65_100)), None, "nobody looked for a minute");
    }
}
