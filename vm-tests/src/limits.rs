//! How long things may take. Every wait names its limit, so that a late guest says what it was late with.

use std::env;
use std::time::{Duration, Instant};

/// A wait's limit and its name.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What takes that long at most.
    pub name: &'static str,
    /// On a machine of usual speed.
    pub time: Duration,
}

/// From power on until the shell answers. Usual: 3 to 6 seconds, 30 when the machine is busy.
pub const BOOT: Limit = Limit::seconds("boot", 120);
/// One command.
pub const COMMAND: Limit = Limit::seconds("command", 60);
/// One piece of a file on its way into the guest.
pub const PIECE: Limit = Limit::seconds("piece of a file", 30);
/// From the order to power off until the machine is off.
pub const POWER_OFF: Limit = Limit::seconds("power off", 60);
/// An answer of the machine's control.
pub const CONTROL: Limit = Limit::seconds("answer of the control", 30);

impl Limit {
    /// A limit of so many seconds.
    pub const fn seconds(name: &'static str, seconds: u64) -> Self {
        Self { name, time: Duration::from_secs(seconds) }
    }

    /// This limit on this machine: `EVMS_VM_SLOW=N` makes every limit N times as long.
    pub fn here(self) -> Duration {
        let slow = env::var("EVMS_VM_SLOW").ok().and_then(|times| times.parse().ok());
        self.time * slow.unwrap_or(1).max(1)
    }

    /// When it is over, when it begins now.
    pub fn deadline(self) -> Instant {
        Instant::now() + self.here()
    }
}
