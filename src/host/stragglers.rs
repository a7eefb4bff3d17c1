//! Threads that were left standing in front of something that hangs. One is enough to keep the process from ending.

use std::sync::atomic::{AtomicBool, Ordering};

static ANY: AtomicBool = AtomicBool::new(false);

/// Was a thread of this process left standing?
pub fn any() -> bool {
    ANY.load(Ordering::SeqCst)
}

/// One is left standing now.
pub fn leave() {
    ANY.store(true, Ordering::SeqCst);
}
