//! A machine's CLOCK_BOOTTIME: it runs too fast or too slow by so many parts in a million, stands while the machine is
//! stopped (T6), and begins anew with each boot.

use evms::base::time::BootTime;

const MILLION: i128 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What it showed, in microseconds, when it was last touched, and when that was.
    local_us: u64,
    real_us: u64,
    drift_ppm: i64,
    stopped: bool,
}

impl Clock {
    pub fn new(real_us: u64, local_us: u64, drift_ppm: i64) -> Clock {
        Clock { local_us, real_us, drift_ppm, stopped: false }
    }

    fn us(&self, real_us: u64) -> u64 {
        if self.stopped {
            return self.local_us;
        }
        let gone = i128::from(real_us - self.real_us);
        self.local_us + (gone * (MILLION + i128::from(self.drift_ppm)) / MILLION) as u64
    }

    pub fn now(&self, real_us: u64) -> BootTime {
        BootTime { ms: self.us(real_us) / 1000 }
    }

    /// When it will show this.
    pub fn real_us(&self, at: BootTime) -> u64 {
        let gone = i128::from(at.ms.saturating_mul(1000).saturating_sub(self.local_us));
        let rate = MILLION + i128::from(self.drift_ppm);
        self.real_us + ((gone * MILLION + rate - 1) / rate) as u64
    }

    fn touch(&mut self, real_us: u64) {
        self.local_us = self.us(real_us);
        self.real_us = real_us;
    }

    pub fn stop(&mut self, real_us: u64) {
        self.touch(real_us);
        self.stopped = true;
    }

    pub fn go_on(&mut self, real_us: u64) {
        self.touch(real_us);
        self.stopped = false;
    }

    pub fn drift(&mut self, real_us: u64, ppm: i64) {
        self.touch(real_us);
        self.drift_ppm = ppm;
    }
}
