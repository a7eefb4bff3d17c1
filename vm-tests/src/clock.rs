//! A guest's clocks: read all of them, step the wall clock, let time itself run fast or slow.

use crate::guest::Guest;
use crate::trouble::Trouble;

/// A tick has so many microseconds; the kernel takes a tenth more or less.
const TICK: i64 = 10_000;
/// The kernel takes no more.
pub const DRIFT_PERCENT_MAX: i64 = 10;

/// What the clocks showed, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Clocks {
    /// Since boot, stops of the machine's software included (`CLOCK_BOOTTIME`).
    pub boot: f64,
    /// The wall clock, whole seconds since 1970 (`CLOCK_REALTIME`).
    pub wall: i64,
    /// The hardware clock, whole seconds since 1970.
    pub hardware: i64,
    /// Since boot by the processor's counter, which nobody corrects: what the kernel's messages are stamped with.
    pub counter: f64,
}

impl Clocks {
    /// Reads them, one right after another.
    pub fn of(guest: &mut Guest) -> Result<Self, Trouble> {
        let said = guest.ok("echo now >/dev/kmsg
            read -r boot rest </proc/uptime
            date +%s; cat /sys/class/rtc/rtc0/since_epoch; echo $boot
            dmesg | tail -n 1 | sed 's/^\\[ *//; s/].*//'")?;
        let lines: Vec<&str> = said.lines().collect();
        let [wall, hardware, boot, counter] = lines[..] else { return Err(Trouble::Unexpected(said)) };
        let whole = |text: &str| text.parse().map_err(|_| Trouble::Unexpected(said.clone()));
        let broken = |text: &str| text.parse().map_err(|_| Trouble::Unexpected(said.clone()));
        Ok(Self {
            boot: broken(boot)?,
            wall: whole(wall)?,
            hardware: whole(hardware)?,
            counter: broken(counter)?,
        })
    }
}

/// Steps the wall clock, and that alone, by so many seconds.
pub fn step(guest: &mut Guest, seconds: i64) -> Result<(), Trouble> {
    guest.ok(&format!("date -s @$(($(date +%s) + {seconds}))")).map(drop)
}

/// From now on the guest's time runs faster by so many percent, or slower: the wall clock, and also `CLOCK_MONOTONIC`
/// and `CLOCK_BOOTTIME`, which the kernel derives from the same corrected counter.
pub fn drift(guest: &mut Guest, percent: i64) -> Result<(), Trouble> {
    assert!(percent.abs() <= DRIFT_PERCENT_MAX, "the kernel takes no drift of {percent} %");
    guest.ok(&format!("adjtimex -q -t {}", TICK + TICK * percent / 100)).map(drop)
}
