//! The engine's loop. What asks and answers is tasks of an executor; the mail is not, for a task that waits for a socket costs
//! half a dozen calls of the system for each time that it waits, and a message is worth three: one that waits, one that
//! receives, one that sends. So the thread itself waits for the sockets of messages, and for a bell that is rung when a task
//! can go on (what tasks wait for is watched by smol's own thread). A turn is: the tasks, what they and others have to say,
//! waiting, what came.

use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::base::time::{BootMicros, BootTime};
use crate::host::bell::Bell;
use crate::host::clock;
use crate::host::wait::Watch;
use crate::run::daemon::DaemonError;
use crate::run::daemon::engine::Engine;

/// Microseconds between two stamps of the engine.
const STAMP_US: u64 = 200_000;

/// The loop works, and nothing calls for another turn.
const WORKS: u8 = 0;
/// It waits: who has something for it rings.
const WAITS: u8 = 1;
/// A task can go on: another turn is due at once.
const CALLED: u8 = 2;

/// Calls the loop, out of its wait if need be.
struct Caller {
    state: AtomicU8,
    bell: Bell,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(CALLED, Ordering::AcqRel) == WAITS {
            self.bell.ring();
        }
    }
}

impl Caller {
    /// What is called from now on is heard by the next wait; what was called before is seen to before that.
    fn works(&self) {
        self.state.store(WORKS, Ordering::SeqCst);
    }

    /// May the loop wait?
    fn may_wait(&self) -> bool {
        self.state.compare_exchange(WORKS, WAITS, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Turns until the work is done.
pub fn run<T>(engine: &Engine, work: impl Future<Output = T>) -> Result<T, DaemonError> {
    let bell = Bell::new().map_err(|errno| DaemonError::System("making an eventfd", errno.into()))?;
    let caller = Arc::new(Caller { state: AtomicU8::new(WORKS), bell });
    let waker = Waker::from(Arc::clone(&caller));
    let mut context = Context::from_waker(&waker);
    let mut work = pin!(work);
    let sockets = engine.mail.sockets();
    let mut watch = Watch::new(sockets.iter().map(AsFd::as_fd).chain([caller.bell.as_fd()]));
    let mut stamp_at = BootMicros::default();
    loop {
        caller.works();
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return Ok(done);
        }
        let due = engine.mail.speak();
        let now = clock::boot_micros();
        if stamp_at <= now {
            // The detector sees by it that tasks and mail have their turns.
            engine.pulse.stamp(BootTime { ms: now.us / 1000 });
            stamp_at = now.plus_us(STAMP_US);
        }
        let us = if caller.may_wait() { due.min(stamp_at).since(now) } else { 0 };
        watch.wait(us);
        caller.works();
        if watch.is_ready(sockets.len()) {
            caller.bell.was_rung();
        }
        engine.mail.hear(|link| watch.is_ready(link));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_heard_whenever_it_comes() {
        let caller = Arc::new(Caller { state: AtomicU8::new(WORKS), bell: Bell::new().unwrap() });
        let waker = Waker::from(Arc::clone(&caller));
        waker.wake_by_ref();
        assert!(!caller.may_wait(), "called before the wait");
        assert!(!caller.bell.was_rung());
        caller.works();
        assert!(caller.may_wait());
        waker.wake_by_ref();
        assert!(caller.bell.was_rung(), "called out of the wait");
        caller.works();
        waker.wake_by_ref();
        waker.wake();
        assert!(!caller.may_wait() && !caller.bell.was_rung());
    }
}
