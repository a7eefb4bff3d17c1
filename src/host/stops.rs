//! Signals that ask the daemon to end, as something that can be waited for (signalfd).

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that ask to end.
#[derive(Debug)]
pub struct Stops {
    descriptor: SignalFd,
}

impl Stops {
    /// From now on they end nobody by themselves. Call it before the first thread is started: threads inherit that.
    pub fn hold() -> Result<Stops, Errno> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            set.add(signal);
        }
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        SignalFd::with_flags(&set, flags).map(|descriptor| Stops { descriptor })
    }

    /// The name of the next that came.
    pub fn next(&self) -> Option<&'static str> {
        let came = self.descriptor.read_signal().ok()??;
        Signal::try_from(came.ssi_signo as i32).ok().map(Signal::as_str)
    }
}

impl AsFd for Stops {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
