//! The keeper's hand on one gate: device-mapper from a buffer that is there before it is needed. Nothing here asks for memory,
//! waits for udev or opens a file once it began (safety 4.1, 4.2).

use std::fs::{File, OpenOptions};

use nix::errno::Errno;

use crate::base::units::Sectors;
use crate::host::dm::CONTROL;
use crate::host::dm::wire::{self, Command, Target, flag};
use crate::host::sys;
use crate::host::udev::Role;

/// Bytes of the longest question: a header and one line of a table.
const BUFFER_BYTES: usize = 512;

/// How a gate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Has it a live table? One that has not was never open.
    pub live: bool,
    /// Is it stopped?
    pub suspended: bool,
    /// Does a table wait in its inactive slot?
    pub armed: bool,
}

/// Why a gate is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmoved {
    /// There is no such device.
    Gone,
    /// The kernel refused, with this number.
    Refused(i32),
}

impl From<Errno> for Unmoved {
    fn from(errno: Errno) -> Unmoved {
        if errno == Errno::ENXIO { Unmoved::Gone } else { Unmoved::Refused(errno as i32) }
    }
}

/// What the kernel means by this number.
pub fn words_of(errno: i32) -> &'static str {
    Errno::from_raw(errno).desc()
}

/// A hand.
pub struct GateHand {
    control: File,
    buffer: Box<[u8; BUFFER_BYTES]>,
    error_table: [Target; 1],
}

impl GateHand {
    /// Device-mapper, open.
    pub fn new() -> Result<GateHand, Unmoved> {
        let control = OpenOptions::new().read(true).write(true).open(CONTROL);
        let control = control.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        let line = Target {
            start: Sectors::ZERO,
            length: Sectors::ZERO,
            kind: "error".into(),
            params: String::new(),
        };
        let mut hand = GateHand { control, buffer: Box::new([0; BUFFER_BYTES]), error_table: [line] };
        // Asked once now: what has to be set up for it is set up.
        wire::begin(&mut hand.buffer[..], 0);
        sys::dm_ioctl(&hand.control, Command::Version as u8, &mut hand.buffer[..])?;
        Ok(hand)
    }

    fn ask(
        &mut self,
        command: Command,
        name: &str,
        flags: u32,
        fill: impl FnOnce(&mut [u8], &[Target]) -> Result<(), wire::TooLong>,
    ) -> Result<u32, Unmoved> {
        let buffer = &mut self.buffer[..];
        wire::begin(buffer, flags);
        let filled = wire::set_name(buffer, name).and_then(|()| fill(buffer, &self.error_table));
        filled.map_err(|wire::TooLong| Errno::ENAMETOOLONG)?;
        sys::dm_ioctl(&self.control, command as u8, buffer)?;
        Ok(wire::flags(buffer))
    }

    /// How it is.
    pub fn look(&mut self, name: &str) -> Result<Seen, Unmoved> {
        let flags = self.ask(Command::Status, name, 0, |_, _| Ok(()))?;
        let has = |one| flags & one != 0;
        Ok(Seen { live: has(flag::ACTIVE), suspended: has(flag::SUSPENDED), armed: has(flag::INACTIVE) })
    }

    /// Does all of its I/O fail, by its live table? Asked without memory, as all here.
    pub fn fails(&mut self, name: &str) -> Result<bool, Unmoved> {
        self.ask(Command::TableStatus, name, flag::TABLE, |_, _| Ok(()))?;
        Ok(wire::first_kind(&self.buffer[..]) == Some(b"error"))
    }

    /// Stops it. When this returns well, nothing that went through is under way any more; until then nothing new goes through.
    pub fn close(&mut self, name: &str) -> Result<(), Unmoved> {
        let how = flag::SUSPENDED | flag::SKIP_LOCKFS | flag::NO_FLUSH;
        self.ask(Command::Suspend, name, how, |_, _| Ok(())).map(drop)
    }

    /// Empties its inactive slot: the next resume goes on with the live table.
    pub fn disarm(&mut self, name: &str) -> Result<(), Unmoved> {
        self.ask(Command::Clear, name, 0, |_, _| Ok(())).map(drop)
    }

    /// Lets it go on, with the table of the inactive slot if there is one. udev is told what it is, and not waited for.
    pub fn resume(&mut self, name: &str) -> Result<(), Unmoved> {
        self.ask(Command::Suspend, name, 0, |buffer, _| {
            wire::set_event(buffer, Role::Gate.flags());
            Ok(())
        })
        .map(drop)
    }

    /// Puts an error table of this length into its inactive slot: any other's resume fails what waits instead of landing it (T3).
    pub fn arm(&mut self, name: &str, length: Sectors) -> Result<(), Unmoved> {
        let [line] = &mut self.error_table;
        line.length = length;
        self.ask(Command::Load, name, 0, wire::set_table).map(drop)
    }
}
