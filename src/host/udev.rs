//! udev, where it runs: one cookie for all devices of one command, waited for once and with a limit (safety T9). The
//! cookie is a semaphore that libdevmapper's own rules count down when they are done with a device
//! (`dmsetup udevcomplete`); where no udevd runs there is none, and nobody is waited for.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;

use crate::base::time::BootTime;
use crate::host::clock;
use crate::host::dm::Event;
use crate::host::sys;

/// Milliseconds that udev may take for all devices of one command.
pub const WAIT_MS: u64 = 10_000;
/// Milliseconds that a device may stay open after its last user closed it: udev looks into what was written to.
pub const LOOK_MS: u64 = 5_000;
/// Milliseconds between two looks at whether it is closed.
const LOOK_STEP_MS: u64 = 20;
/// What processes of udev call themselves, by version.
const PROCESSES: [&str; 4] = ["systemd-udevd", "(udev-worker)", "udev-worker", "udevd"];
/// Where a running udevd listens.
const CONTROL: &str = "/run/udev/control";
/// The rule that gives cookies back.
const NOTIFY: &str = "95-dm-notify.rules";
/// Where rules stand.
const RULES: [&str; 4] =
    ["/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"];
/// The high half of the key of every cookie (`DM_COOKIE_MAGIC`).
const COOKIE_MAGIC: u32 = 0x0d4d;
/// Keys that are tried before a command goes without a cookie.
const KEYS_TRIED_MAX: u16 = 64;

/// Flags of a change, as libdevmapper's rules read them (`DM_UDEV_…`), already in the high half.
mod rule {
    pub const NO_SUBSYSTEM: u32 = 0x0002 << 16;
    pub const NO_DISK: u32 = 0x0004 << 16;
    pub const NO_OTHER: u32 = 0x0008 << 16;
    pub const NO_FALLBACK: u32 = 0x0020 << 16;
    pub const PRIMARY: u32 = 0x0040 << 16;
}

/// What kind of device udev is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A gate: nothing is to be looked for on it, and no link is to point at it (safety 4.9).
    Gate,
    /// A volume: a disk like any other.
    Volume,
}

impl Role {
    /// What udev is told of it, in the high half of an event.
    pub fn flags(self) -> u32 {
        match self {
            Role::Gate => rule::NO_SUBSYSTEM | rule::NO_DISK | rule::NO_OTHER | rule::NO_FALLBACK,
            Role::Volume => rule::NO_FALLBACK | rule::PRIMARY,
        }
    }
}

/// The cookie of one command. Shared with workers that may be left standing; after [`Cookie::wait`] it is empty.
pub struct Cookie {
    key: u32,
    semaphore: Mutex<Option<i32>>,
}

/// udev did not answer in time; the devices are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slow;

/// Does a udevd run here that gives cookies back? One without libdevmapper's rules never would.
pub fn runs() -> bool {
    Path::new(CONTROL).exists() && RULES.iter().any(|folder| Path::new(folder).join(NOTIFY).exists())
}

/// Is a process with this name one of udev's?
pub fn is_named(process: &str) -> bool {
    PROCESSES.contains(&process)
}

/// How long a command waits for devices that udev may be looking into: one patience for all of them. Where no udevd runs
/// there is none.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    ends: Option<BootTime>,
}

impl Patience {
    /// It begins now.
    pub fn new() -> Patience {
        let ends = || BootTime { ms: clock::boot_now().ms.saturating_add(LOOK_MS) };
        Patience { ends: Path::new(CONTROL).exists().then(ends) }
    }

    /// For another command of ours, which has locked what this one needs: it ends by itself, with udev and without.
    pub fn for_a_lock() -> Patience {
        Patience { ends: Some(BootTime { ms: clock::boot_now().ms.saturating_add(LOOK_MS) }) }
    }

    /// Waits a moment; false, at once, when there is no patience left.
    pub fn wait(&self) -> bool {
        let left = self.ends.is_some_and(|ends| clock::boot_now() < ends);
        if left {
            std::thread::sleep(Duration::from_millis(LOOK_STEP_MS));
        }
        left
    }
}

impl Default for Patience {
    fn default() -> Self {
        Patience::new()
    }
}

impl Cookie {
    /// A cookie where udevd runs, and an empty one else. `start` chooses where the search for a free key begins.
    pub fn new(start: u16) -> Cookie {
        let keys = (0..KEYS_TRIED_MAX).map(|step| start.wrapping_add(step)).filter(|&low| low != 0);
        let make = |low: u16| {
            let key = COOKIE_MAGIC << 16 | u32::from(low);
            let id = sys::new_semaphore(key as i32).ok()?;
            // Ours: taken back when the waiting begins, so that it is never zero before.
            sys::add_to_semaphore(id, 1).ok()?;
            Some(Cookie { key: u32::from(low), semaphore: Mutex::new(Some(id)) })
        };
        let none = Cookie { key: 0, semaphore: Mutex::new(None) };
        if runs() { keys.into_iter().find_map(make).unwrap_or(none) } else { none }
    }

    /// What to tell udev of the next change. Follow with [`Cookie::told`].
    pub fn event(&self, role: Role) -> Event {
        match self.semaphore() {
            Some(id) if sys::add_to_semaphore(id, 1).is_ok() => Event(role.flags() | self.key),
            // A word without a cookie still carries the flags.
            _ => Event(role.flags()),
        }
    }

    /// The change was made, or refused; `told` is whether the kernel told udev, who will count down then.
    pub fn told(&self, told: bool) {
        if let (Some(id), false) = (self.semaphore(), told) {
            // Refused only when it is zero or gone: then nobody waits for it.
            let _ = sys::add_to_semaphore(id, -1);
        }
    }

    /// Waits until udev is done with all that it was told.
    pub fn wait(&self) -> Result<(), Slow> {
        let Some(id) = self.semaphore() else { return Ok(()) };
        let _ = sys::add_to_semaphore(id, -1);
        let done = sys::wait_for_zero(id, Duration::from_millis(WAIT_MS));
        self.drop_semaphore();
        if done == Err(Errno::EAGAIN) { Err(Slow) } else { Ok(()) }
    }

    fn semaphore(&self) -> Option<i32> {
        *self.semaphore.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_semaphore(&self) {
        let id = self.semaphore.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(id) = id {
            let _ = sys::remove_semaphore(id);
        }
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        self.drop_semaphore();
    }
}
