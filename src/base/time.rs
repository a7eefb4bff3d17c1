//! Time as an argument. Decisions use [`BootTime`] alone; [`WallTime`] is stored for people and never compared
//! (design section 4, safety section 6).

use core::fmt;
use serde::{Deserialize, Serialize};

/// CLOCK_BOOTTIME in milliseconds since this boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BootTime {
    /// Milliseconds since boot, suspend included.
    pub ms: u64,
}

impl BootTime {
    /// The end of time: a permit on what only this process can reach (a locked image file) has no earlier end.
    pub const FOREVER: Self = Self { ms: u64::MAX };

    /// This moment plus `ms` milliseconds; the end of time when it would pass it.
    pub fn plus_ms(self, ms: u64) -> Self {
        Self { ms: self.ms.saturating_add(ms) }
    }
}

/// CLOCK_BOOTTIME in microseconds since this boot: for messages, whose round trips are shorter than a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootMicros {
    /// Microseconds since boot, suspend included.
    pub us: u64,
}

impl BootMicros {
    /// The end of time: what waits for nothing waits until here.
    pub const FOREVER: Self = Self { us: u64::MAX };

    /// This moment plus `us` microseconds; the end of time when it would pass it.
    pub fn plus_us(self, us: u64) -> Self {
        Self { us: self.us.saturating_add(us) }
    }

    /// Microseconds since `earlier`; none when that is not earlier.
    pub fn since(self, earlier: Self) -> u64 {
        self.us.saturating_sub(earlier.us)
    }
}

/// Seconds since 1970 by the wall clock, for people. Deliberately without an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallTime {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub seconds: u64,
}

impl fmt::Display for WallTime {
    /// `2026-11-23 00:02:29Z`; proleptic Gregorian calendar (Hinnant's days-to-civil arithmetic).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.seconds / 86_400, self.seconds % 86_400);
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
        let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_prints_the_calendar() {
        // `date -u -d @N` of coreutils.
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_795_392_149, "2026-11-23 00:02:29Z"),
            (4_107_542_399, "2100-02-28 23:59:59Z"),
        ] {
            assert_eq!(WallTime { seconds }.to_string(), text);
        }
    }
}
