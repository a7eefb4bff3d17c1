//! A watchdog: once it is open, who does not feed it in time loses the machine, whatever became of him.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use crate::host::device::DeviceNumber;
use crate::host::sys;

/// Of what a driver says so that is not there any more.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(nix::libc::ENODEV | nix::libc::ENXIO))
}

/// Where it is.
const DEVICE: &str = "/dev/watchdog";
/// The folder of its driver, where the node is the old one, which has none of its own.
const FIRST: &str = "/sys/class/watchdog/watchdog0";

/// Does the kernel not let it go once it is armed? The node may be a link to another than the first.
fn is_for_ever(device: &File) -> bool {
    let number = device.metadata().map(|metadata| DeviceNumber::of_rdev(metadata.rdev()));
    let own = number.map(|number| format!("/sys/dev/char/{number}/nowayout"));
    let text = own.and_then(std::fs::read_to_string);
    let text = text.or_else(|_| std::fs::read_to_string([FIRST, "/nowayout"].concat()));
    text.is_ok_and(|text| text.trim() == "1")
}

/// One that is armed.
pub struct Watchdog {
    device: File,
    /// Milliseconds without food after which it bites, as its driver says.
    pub timeout_ms: u64,
    /// Does the kernel not let it go once it is armed?
    pub for_ever: bool,
}

impl Watchdog {
    /// Arms it, with this timeout if its driver takes it.
    pub fn arm(timeout_ms: u64) -> io::Result<Watchdog> {
        let device = OpenOptions::new().write(true).open(DEVICE)?;
        let seconds = i32::try_from(timeout_ms.div_ceil(1000)).unwrap_or(i32::MAX);
        // It is armed since it was opened: one whose timeout cannot be set has the one that it has.
        let is = sys::set_watchdog(&device, seconds).or_else(|_| sys::watchdog_timeout(&device));
        // Of a driver that does not ask for a word before it lets go the watchdog ends with the process that has it.
        let ends_with_process = !sys::watchdog_wants_word(&device).unwrap_or(false);
        let for_ever = is_for_ever(&device);
        let mut watchdog = Watchdog { device, timeout_ms: 0, for_ever };
        if ends_with_process && !for_ever {
            return Err(io::Error::other("its driver stops it when the keeper dies"));
        }
        match is {
            Ok(is) => watchdog.timeout_ms = u64::try_from(is).unwrap_or(0) * 1000,
            Err(errno) => {
                watchdog.disarm();
                return Err(errno.into());
            }
        }
        Ok(watchdog)
    }

    /// Feeds it; false when it is gone: its driver let the machine go (a card that was unplugged), and nothing bites any more.
    pub fn feed(&mut self) -> bool {
        // What it does not take for another reason it does not count: it bites.
        !self.device.write(b"\0").is_err_and(|error| is_gone(&error))
    }

    /// Lets it go, where the kernel allows that: the machine is not watched any more.
    pub fn disarm(mut self) {
        let _ = self.device.write(b"V");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_gone_is_told_from_one_that_takes_nothing() {
        for (errno, gone) in [
            (nix::libc::ENODEV, true),
            (nix::libc::ENXIO, true),
            (nix::libc::EIO, false),
            (nix::libc::EINTR, false),
        ] {
            assert_eq!(is_gone(&io::Error::from_raw_os_error(errno)), gone, "{errno}");
        }
        // What takes bytes is there.
        let device = OpenOptions::new().write(true).open("/dev/null").unwrap();
        assert!(Watchdog { device, timeout_ms: 1, for_ever: false }.feed());
    }
}
