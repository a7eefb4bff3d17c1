//! Waits for any of several descriptors to have something, or for time to pass.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll, ppoll};
use nix::sys::time::TimeSpec;

/// Milliseconds that are waited for at most in one go.
const WAIT_MS_MAX: u64 = 60_000;

/// Waits until one of them has something to be read, or so many milliseconds are over.
pub fn for_any(descriptors: &[BorrowedFd<'_>], ms: u64) {
    let mut all = descriptors.iter().map(|one| PollFd::new(*one, PollFlags::POLLIN)).collect::<Vec<_>>();
    let timeout = PollTimeout::try_from(ms.min(WAIT_MS_MAX)).unwrap_or(PollTimeout::ZERO);
    // An interrupted wait is a short one.
    let _ = poll(&mut all, timeout);
}

/// Descriptors that are waited for again and again: the list is made once.
pub struct Watch<'a> {
    all: Vec<PollFd<'a>>,
}

impl<'a> Watch<'a> {
    /// Over these, in this order.
    pub fn new(descriptors: impl Iterator<Item = BorrowedFd<'a>>) -> Watch<'a> {
        Watch { all: descriptors.map(|one| PollFd::new(one, PollFlags::POLLIN)).collect() }
    }

    /// Waits until one of them has something to be read, or so many microseconds are over.
    pub fn wait(&mut self, us: u64) {
        let us = us.min(WAIT_MS_MAX * 1000);
        let limit = TimeSpec::from_duration(Duration::from_micros(us));
        // An interrupted wait is a short one, and whoever reads what has nothing finds nothing.
        let _ = ppoll(&mut self.all, Some(limit), None);
    }

    /// Had this one something?
    pub fn is_ready(&self, place: usize) -> bool {
        self.all.get(place).is_some_and(|one| one.any().unwrap_or(true))
    }
}

/// Did the other end of this pipe or socket go away?
pub fn is_closed(descriptor: &impl AsFd) -> bool {
    let mut one = [PollFd::new(descriptor.as_fd(), PollFlags::empty())];
    let asked = poll(&mut one, PollTimeout::ZERO);
    let gone = PollFlags::POLLERR | PollFlags::POLLHUP;
    asked.is_ok() && one.iter().any(|one| one.revents().is_some_and(|events| events.intersects(gone)))
}

/// Can something be written there at once? Of a file always.
pub fn is_writable(descriptor: &impl AsFd) -> bool {
    let mut one = [PollFd::new(descriptor.as_fd(), PollFlags::POLLOUT)];
    let asked = poll(&mut one, PollTimeout::ZERO);
    asked.is_ok_and(|ready| ready > 0)
        && one.iter().any(|one| one.revents().is_some_and(|events| events.contains(PollFlags::POLLOUT)))
}
