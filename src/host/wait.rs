//! Waits for any of several descriptors to have something, or for time to pass.

use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Milliseconds that are waited for at most in one go.
const WAIT_MS_MAX: u64 = 60_000;

/// Waits until one of them has something to be read, or so many milliseconds are over.
pub fn for_any(descriptors: &[BorrowedFd<'_>], ms: u64) {
    let mut all = descriptors.iter().map(|one| PollFd::new(*one, PollFlags::POLLIN)).collect::<Vec<_>>();
    let timeout = PollTimeout::try_from(ms.min(WAIT_MS_MAX)).unwrap_or(PollTimeout::ZERO);
    // An interrupted wait is a short one.
    let _ = poll(&mut all, timeout);
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
