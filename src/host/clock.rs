//! The one place where the present is looked up. Everyone below takes it as an argument.

use nix::time::{ClockId, clock_gettime};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::time::{BootMicros, BootTime, WallTime};

/// CLOCK_BOOTTIME now. A machine without that clock (Linux before 2.6.39) is told the end of time, so that every
/// permit has run out and nothing is written.
pub fn boot_now() -> BootTime {
    let Ok(now) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return BootTime::FOREVER };
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let ms = u64::try_from(now.tv_nsec() / 1_000_000).unwrap_or(0);
    BootTime { ms: seconds.saturating_mul(1000).saturating_add(ms) }
}

/// The same in microseconds; for messages.
pub fn boot_micros() -> BootMicros {
    let Ok(now) = clock_gettime(ClockId::CLOCK_BOOTTIME) else { return BootMicros::FOREVER };
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let us = u64::try_from(now.tv_nsec() / 1000).unwrap_or(0);
    BootMicros { us: seconds.saturating_mul(1_000_000).saturating_add(us) }
}

/// The wall clock now, for people; 0 when it stands before 1970.
pub fn wall_now() -> WallTime {
    WallTime { seconds: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) }
}

/// What the kernel counts time by; nothing where it does not tell.
pub fn source() -> Option<String> {
    let text = std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    text.ok().map(|text| text.trim().to_string()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_does_not_go_back() {
        let (first, second) = (boot_now(), boot_now());
        assert!(first <= second && first != BootTime::default() && second != BootTime::FOREVER);
        assert!(wall_now().seconds > 1_700_000_000);
    }
}
