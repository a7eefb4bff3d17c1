//! What daemons have resident, minute by minute, in runs of ten minutes: the second one against the tenth.

use std::time::Duration;

use crate::lab::Lab;

pub const MINUTE: Duration = Duration::from_secs(60);
/// The issue: KiB that a daemon may have more in the tenth minute than in the second.
const GROWTH_KIB_MAX: u64 = 256;

/// Ten minutes with `EVMS_CLUSTER_LONG`, of which the second and the tenth are compared; else so long as it takes to see something.
pub fn lasts(short: Duration) -> Duration {
    if std::env::var_os("EVMS_CLUSTER_LONG").is_some() { MINUTE * 10 } else { short }
}

/// What each daemon had resident at most, minute by minute.
#[derive(Default)]
pub struct Memory(Vec<Vec<u64>>);

impl Memory {
    pub fn look(&mut self, lab: &Lab, since: Duration) {
        let minute = (since.as_secs_f64() / MINUTE.as_secs_f64()) as usize;
        self.0.resize(self.0.len().max(minute + 1), vec![0; lab.nodes.len()]);
        for (most, node) in self.0[minute].iter_mut().zip(&lab.nodes) {
            *most = node.resident_kib().max(*most);
        }
    }

    /// The second minute against the tenth; a short run says nothing.
    pub fn is_flat(&self) {
        let (Some(second), Some(tenth)) = (self.0.get(1), self.0.get(9)) else { return };
        println!("       KiB resident: {second:?} in the second minute, {tenth:?} in the tenth");
        for (second, tenth) in second.iter().zip(tenth) {
            assert!(second.abs_diff(*tenth) <= GROWTH_KIB_MAX, "{:?}", self.0);
        }
    }
}
