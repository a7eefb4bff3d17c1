//! Device-mapper: one operation each, through one control file and one buffer. No crate stands between, for two reasons
//! that were measured: the crates wait for udev without a limit and allocate on every call (safety T9), and activating a
//! thousand volumes is nothing but these calls.
//!
//! Devices are named by name, never by number: a number is given out again as soon as its device is gone.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::path::Path;

use nix::errno::Errno;

use crate::base::failure::{Failure, Kind};
use crate::host::device::DeviceNumber;
use crate::host::sys;

pub mod wire;

use wire::{Command, Listed, State, Target, TooLong, flag};

/// The way to device-mapper.
pub(super) const CONTROL: &str = "/dev/mapper/control";
/// Bytes of a request that brings no table and wants no list. The kernel copies as many as it is told: the fewer the better.
const SHORT_BYTES: usize = 512;
const _: () = assert!(wire::HEADER_BYTES + wire::NAME_BYTES <= SHORT_BYTES);
/// Bytes of the buffer at first; a table or list that needs more makes it grow.
const BUFFER_BYTES: usize = 4 * 1024;
/// Bytes that the buffer may grow to: the longest list or table that is asked for.
const BUFFER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Why device-mapper did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DmError {
    /// There is no device-mapper here, or this process may not use it.
    NoControl {
        /// What opening its control file said.
        errno: Errno,
    },
    /// The kernel refused.
    Refused {
        /// What was asked.
        command: Command,
        /// Of which device.
        name: String,
        /// What it said.
        errno: Errno,
    },
    /// A name, uuid or table that is longer than the kernel takes.
    TooLong {
        /// Of which device.
        name: String,
    },
    /// Nobody waits for it any more; nothing was asked.
    TooLate {
        /// Of which device.
        name: String,
    },
    /// The kernel's answer makes no sense.
    Nonsense {
        /// What was asked.
        command: Command,
        /// Of which device.
        name: String,
    },
}

impl fmt::Display for DmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DmError::NoControl { errno: Errno::ENOENT } => write!(
                f,
                "device-mapper is not here: {CONTROL} does not exist; nothing was changed; load it with: modprobe dm-mod"
            ),
            DmError::NoControl { errno: Errno::EACCES | Errno::EPERM } => {
                write!(f, "device-mapper may not be used; nothing was changed; do it as root")
            }
            DmError::NoControl { errno } => write!(
                f,
                "device-mapper cannot be used: {CONTROL}: {}; nothing was changed; load it with: modprobe dm-mod",
                errno.desc()
            ),
            DmError::Refused { command, name, errno } => {
                write!(f, "the device {name} could not be {}: {}", command.words(), errno.desc())
            }
            DmError::TooLong { name } => {
                write!(
                    f,
                    "the device {name} was not asked for: its name or table is longer than device-mapper takes"
                )
            }
            DmError::TooLate { name } => {
                write!(f, "the device {name} was not made because an earlier one took too long")
            }
            DmError::Nonsense { command, name } => {
                write!(f, "the device {name} was {} and the kernel's answer makes no sense", command.words())
            }
        }
    }
}

impl std::error::Error for DmError {}

impl Failure for DmError {
    fn kind(&self) -> Kind {
        Kind::Device
    }
}

impl DmError {
    /// Is the device in use?
    pub fn is_busy(&self) -> bool {
        matches!(self, DmError::Refused { errno: Errno::EBUSY, .. })
    }

    /// Is there no such device (any more)?
    pub fn is_gone(&self) -> bool {
        matches!(self, DmError::Refused { errno: Errno::ENXIO, .. })
    }
}

/// What udev is told of a change, and how it answers: `DM_UDEV_…` flags in the high half, the low half of a cookie in the
/// low one; zero says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event(pub u32);

/// Device-mapper, open.
pub struct Dm {
    control: File,
    buffer: Vec<u8>,
}

impl Dm {
    /// Opens the control file.
    pub fn open() -> Result<Dm, DmError> {
        Dm::open_at(Path::new(CONTROL))
    }

    fn open_at(path: &Path) -> Result<Dm, DmError> {
        let control = OpenOptions::new().read(true).write(true).open(path).map_err(|error| {
            DmError::NoControl { errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)) }
        })?;
        Ok(Dm { control, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Asks for something that is said with these first bytes of the buffer.
    fn ask_with(
        &mut self,
        bytes: usize,
        command: Command,
        name: &str,
        flags: u32,
        fill: impl Fn(&mut [u8]) -> Result<(), TooLong>,
    ) -> Result<(), DmError> {
        let buffer = &mut self.buffer[..bytes];
        wire::begin(buffer, flags);
        let filled = wire::set_name(buffer, name).and_then(|()| fill(buffer));
        filled.map_err(|TooLong| DmError::TooLong { name: name.into() })?;
        let refused = |errno| DmError::Refused { command, name: name.into(), errno };
        sys::dm_ioctl(&self.control, command as u8, buffer).map_err(refused)
    }

    /// Asks for something whose answer is no longer than the question.
    fn ask(
        &mut self,
        command: Command,
        name: &str,
        flags: u32,
        fill: impl Fn(&mut [u8]) -> Result<(), TooLong>,
    ) -> Result<(), DmError> {
        self.ask_with(SHORT_BYTES, command, name, flags, fill)
    }

    /// Asks for something whose answer may be long: until it fits.
    fn ask_long(&mut self, command: Command, name: &str, flags: u32) -> Result<(), DmError> {
        loop {
            self.ask_with(self.buffer.len(), command, name, flags, |_| Ok(()))?;
            if wire::flags(&self.buffer) & flag::BUFFER_FULL == 0 {
                return Ok(());
            }
            let larger = self.buffer.len() * 4;
            if larger > BUFFER_BYTES_MAX {
                return Err(DmError::Nonsense { command, name: name.into() });
            }
            self.buffer.resize(larger, 0);
        }
    }

    fn state(&self, command: Command, name: &str) -> Result<State, DmError> {
        wire::state(&self.buffer).ok_or_else(|| DmError::Nonsense { command, name: name.into() })
    }

    /// All devices of the machine.
    pub fn list(&mut self) -> Result<Vec<Listed>, DmError> {
        self.ask_long(Command::List, "", 0)?;
        wire::list(&self.buffer).ok_or(DmError::Nonsense { command: Command::List, name: "list".into() })
    }

    /// Makes a device without a table; its number.
    pub fn create(&mut self, name: &str, uuid: &str) -> Result<DeviceNumber, DmError> {
        self.ask(Command::Create, name, 0, |buffer| wire::set_uuid(buffer, uuid))?;
        Ok(self.state(Command::Create, name)?.number)
    }

    /// Puts a table into the inactive slot.
    pub fn load(&mut self, name: &str, targets: &[Target]) -> Result<(), DmError> {
        let needed = wire::HEADER_BYTES + wire::table_bytes(targets);
        if needed > BUFFER_BYTES_MAX {
            return Err(DmError::TooLong { name: name.into() });
        }
        if needed > self.buffer.len() {
            self.buffer.resize(needed, 0);
        }
        self.ask_with(needed.max(SHORT_BYTES), Command::Load, name, 0, |buffer| {
            wire::set_table(buffer, targets)
        })
    }

    /// Empties the inactive slot.
    pub fn clear(&mut self, name: &str) -> Result<(), DmError> {
        self.ask(Command::Clear, name, 0, |_| Ok(()))
    }

    /// Lets a device go on, with the table of the inactive slot if there is one. Gives true when udev was told.
    pub fn resume(&mut self, name: &str, event: Event) -> Result<bool, DmError> {
        self.told(Command::Suspend, name, event)
    }

    /// Stops a device: I/O waits. Without `flush`, what is queued inside is not waited for, and no file system on it
    /// is frozen.
    pub fn suspend(&mut self, name: &str, flush: bool) -> Result<(), DmError> {
        let how = if flush { 0 } else { flag::SKIP_LOCKFS | flag::NO_FLUSH };
        self.ask(Command::Suspend, name, flag::SUSPENDED | how, |_| Ok(()))
    }

    /// Takes a device away; refused with EBUSY while it is open. Gives true when udev was told.
    pub fn remove(&mut self, name: &str, event: Event) -> Result<bool, DmError> {
        self.told(Command::Remove, name, event)
    }

    /// Has a device taken away as soon as its last user closes it.
    pub fn remove_when_closed(&mut self, name: &str) -> Result<(), DmError> {
        self.ask(Command::Remove, name, flag::DEFERRED, |_| Ok(()))
    }

    /// Gives a device another name. Gives true when udev was told.
    pub fn rename(&mut self, name: &str, new: &str, event: Event) -> Result<bool, DmError> {
        self.ask(Command::Rename, name, 0, |buffer| {
            wire::set_event(buffer, event.0);
            wire::set_data(buffer, new)
        })?;
        Ok(wire::flags(&self.buffer) & flag::UEVENT != 0)
    }

    /// How a device is; `None` when there is none of this name.
    pub fn status(&mut self, name: &str) -> Result<Option<State>, DmError> {
        match self.ask(Command::Status, name, 0, |_| Ok(())) {
            Err(DmError::Refused { errno: Errno::ENXIO, .. }) => Ok(None),
            Err(other) => Err(other),
            Ok(()) => self.state(Command::Status, name).map(Some),
        }
    }

    /// The live table of a device.
    pub fn table(&mut self, name: &str) -> Result<Vec<Target>, DmError> {
        self.ask_long(Command::TableStatus, name, flag::TABLE)?;
        let nonsense = || DmError::Nonsense { command: Command::TableStatus, name: name.into() };
        wire::table(&self.buffer).ok_or_else(nonsense)
    }

    fn told(&mut self, command: Command, name: &str, event: Event) -> Result<bool, DmError> {
        self.ask(command, name, 0, |buffer| {
            wire::set_event(buffer, event.0);
            Ok(())
        })?;
        Ok(wire::flags(&self.buffer) & flag::UEVENT != 0)
    }
}
