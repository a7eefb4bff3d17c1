//! A bell between threads: who waits for sockets is woken by it too (eventfd).

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

/// A bell.
#[derive(Debug)]
pub struct Bell {
    counter: EventFd,
}

impl Bell {
    /// A bell that nobody rang.
    pub fn new() -> Result<Bell, Errno> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        EventFd::from_value_and_flags(0, flags).map(|counter| Bell { counter })
    }

    /// Rings it. Never waits: a bell that rings already rings.
    pub fn ring(&self) {
        let _ = self.counter.write(1);
    }

    /// Was it rung since it was asked last?
    pub fn was_rung(&self) -> bool {
        self.counter.read().is_ok()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}
