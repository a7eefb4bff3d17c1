//! The bytes of device-mapper's ioctls (`linux/dm-ioctl.h`, interface 4): a header of 312 bytes, and behind it tables,
//! names or whatever the command is about. What the kernel answers is checked before it is believed, like a disk.

use crate::base::units::Sectors;
use crate::host::device::DeviceNumber;

/// Bytes of `struct dm_ioctl`.
pub const HEADER_BYTES: usize = 312;
/// The interface that is asked for: every kernel since 3.x answers it.
const VERSION: [u32; 3] = [4, 0, 0];
/// Bytes of a name, its end included (`DM_NAME_LEN`).
pub const NAME_BYTES: usize = 128;
/// Bytes of a uuid, its end included (`DM_UUID_LEN`).
const UUID_BYTES: usize = 129;
/// Bytes of `struct dm_target_spec`.
const SPEC_BYTES: usize = 40;
/// Bytes of a target's name in it, its end included.
const TARGET_NAME_BYTES: usize = 16;

const DATA_SIZE_AT: usize = 12;
const DATA_START_AT: usize = 16;
const TARGET_COUNT_AT: usize = 20;
const OPEN_COUNT_AT: usize = 24;
const FLAGS_AT: usize = 28;
const EVENT_AT: usize = 32;
const DEVICE_AT: usize = 40;
const NAME_AT: usize = 48;
const UUID_AT: usize = NAME_AT + NAME_BYTES;
const _: () = assert!(UUID_AT + UUID_BYTES <= HEADER_BYTES);

/// What is asked of the kernel; the number of the ioctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Command {
    /// Says which interface the kernel has.
    Version = 0,
    /// Names of all devices.
    List = 2,
    /// A new device without a table.
    Create = 3,
    /// Takes a device away.
    Remove = 4,
    /// Gives a device another name.
    Rename = 5,
    /// Stops a device, or lets it go on.
    Suspend = 6,
    /// How a device is.
    Status = 7,
    /// Puts a table into the inactive slot.
    Load = 9,
    /// Empties the inactive slot.
    Clear = 10,
    /// The table, or how its targets are.
    TableStatus = 12,
}

impl Command {
    /// For sentences: "the device could not be …".
    pub fn words(self) -> &'static str {
        match self {
            Command::Version => "asked for its version",
            Command::List => "listed",
            Command::Create => "created",
            Command::Remove => "removed",
            Command::Rename => "renamed",
            Command::Suspend => "suspended or resumed",
            Command::Status => "looked at",
            Command::Load => "given its table",
            Command::Clear => "cleared of its waiting table",
            Command::TableStatus => "asked for its table",
        }
    }
}

/// Flags of a request and of an answer (`DM_…_FLAG`).
pub mod flag {
    /// The device cannot be written.
    pub const READ_ONLY: u32 = 1;
    /// With [`super::Command::Suspend`]: stop it. In an answer: it is stopped.
    pub const SUSPENDED: u32 = 1 << 1;
    /// Give the table and not how its targets are.
    pub const TABLE: u32 = 1 << 4;
    /// There is a live table.
    pub const ACTIVE: u32 = 1 << 5;
    /// A table waits in the inactive slot.
    pub const INACTIVE: u32 = 1 << 6;
    /// The answer did not fit.
    pub const BUFFER_FULL: u32 = 1 << 8;
    /// Do not freeze a file system on it.
    pub const SKIP_LOCKFS: u32 = 1 << 10;
    /// Do not wait for I/O that is queued inside.
    pub const NO_FLUSH: u32 = 1 << 11;
    /// An event went to udev, which will give the cookie back.
    pub const UEVENT: u32 = 1 << 13;
    /// Remove it when its last user closes it.
    pub const DEFERRED: u32 = 1 << 17;
}

/// One line of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// First sector of the mapped device.
    pub start: Sectors,
    /// How many.
    pub length: Sectors,
    /// The kernel's target: `linear`, `striped`, `error`, …
    pub kind: String,
    /// Its parameters.
    pub params: String,
}

/// A device as a list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its uuid, where the kernel tells it in a list (since 5.14).
    pub uuid: Option<String>,
    /// Its number.
    pub number: DeviceNumber,
}

/// How a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Its name.
    pub name: String,
    /// Its uuid; may be empty.
    pub uuid: String,
    /// Its number.
    pub number: DeviceNumber,
    /// How often it is open.
    pub open_count: u32,
    /// Flags, see [`flag`].
    pub flags: u32,
}

impl State {
    /// Is it stopped?
    pub fn is_suspended(&self) -> bool {
        self.flags & flag::SUSPENDED != 0
    }

    /// Does a table wait in its inactive slot?
    pub fn is_armed(&self) -> bool {
        self.flags & flag::INACTIVE != 0
    }

    /// Does it go with its last user?
    pub fn is_going(&self) -> bool {
        self.flags & flag::DEFERRED != 0
    }

    /// Has it a live table?
    pub fn is_live(&self) -> bool {
        self.flags & flag::ACTIVE != 0
    }
}

/// A name, uuid or parameter that does not fit, or has a zero byte in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

fn put(buffer: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = buffer.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

fn text(buffer: &[u8], at: usize, bytes: usize) -> Option<String> {
    let field = buffer.get(at..at.checked_add(bytes)?)?;
    let end = field.iter().position(|&byte| byte == 0)?;
    String::from_utf8(field.get(..end)?.to_vec()).ok()
}

fn word(buffer: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(buffer.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn long(buffer: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(buffer.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The kernel's `huge_encode_dev`: 12 bits of major between two parts of the minor.
fn number(encoded: u64) -> DeviceNumber {
    DeviceNumber { major: (encoded >> 8) & 0xfff, minor: (encoded & 0xff) | ((encoded >> 12) & 0xfff_ff00) }
}

/// Empties the header of `buffer` and fills in what every command has. `buffer` is longer than a header.
pub fn begin(buffer: &mut [u8], flags: u32) {
    let length = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    put(buffer, 0, &[0; HEADER_BYTES]);
    for (place, part) in VERSION.iter().enumerate() {
        put(buffer, place * 4, &part.to_ne_bytes());
    }
    put(buffer, DATA_SIZE_AT, &length.to_ne_bytes());
    put(buffer, DATA_START_AT, &(HEADER_BYTES as u32).to_ne_bytes());
    put(buffer, FLAGS_AT, &flags.to_ne_bytes());
}

fn put_text(buffer: &mut [u8], at: usize, limit: usize, text: &str) -> Result<(), TooLong> {
    if text.len() >= limit || text.contains('\0') {
        return Err(TooLong);
    }
    put(buffer, at, text.as_bytes());
    Ok(())
}

/// Says which device is meant, or how a new one is called.
pub fn set_name(buffer: &mut [u8], name: &str) -> Result<(), TooLong> {
    put_text(buffer, NAME_AT, NAME_BYTES, name)
}

/// Gives a new device its uuid.
pub fn set_uuid(buffer: &mut [u8], uuid: &str) -> Result<(), TooLong> {
    put_text(buffer, UUID_AT, UUID_BYTES, uuid)
}

/// Puts udev's flags and the low half of a cookie in.
pub fn set_event(buffer: &mut [u8], event: u32) {
    put(buffer, EVENT_AT, &event.to_ne_bytes());
}

/// Puts a text behind the header, as [`Command::Rename`] wants the new name.
pub fn set_data(buffer: &mut [u8], text: &str) -> Result<(), TooLong> {
    let limit = buffer.len().checked_sub(HEADER_BYTES).ok_or(TooLong)?;
    put_text(buffer, HEADER_BYTES, limit, text)?;
    put(buffer, HEADER_BYTES + text.len(), &[0]);
    Ok(())
}

/// Bytes that a table needs behind the header.
pub fn table_bytes(targets: &[Target]) -> usize {
    targets.iter().map(target_bytes).sum()
}

fn target_bytes(target: &Target) -> usize {
    (SPEC_BYTES + target.params.len() + 1).next_multiple_of(8)
}

/// Puts a table behind the header.
pub fn set_table(buffer: &mut [u8], targets: &[Target]) -> Result<(), TooLong> {
    if HEADER_BYTES + table_bytes(targets) > buffer.len() {
        return Err(TooLong);
    }
    let mut at = HEADER_BYTES;
    for target in targets {
        let bytes = target_bytes(target);
        put(buffer, at, &target.start.0.to_ne_bytes());
        put(buffer, at + 8, &target.length.0.to_ne_bytes());
        put(buffer, at + 16, &0u32.to_ne_bytes());
        put(buffer, at + 20, &u32::try_from(bytes).map_err(|_| TooLong)?.to_ne_bytes());
        put(buffer, at + 24, &[0; TARGET_NAME_BYTES]);
        put_text(buffer, at + 24, TARGET_NAME_BYTES, &target.kind)?;
        if target.params.contains('\0') {
            return Err(TooLong);
        }
        put(buffer, at + SPEC_BYTES, target.params.as_bytes());
        put(buffer, at + SPEC_BYTES + target.params.len(), &[0]);
        at += bytes;
    }
    put(buffer, TARGET_COUNT_AT, &u32::try_from(targets.len()).map_err(|_| TooLong)?.to_ne_bytes());
    Ok(())
}

/// Flags of an answer.
pub fn flags(answer: &[u8]) -> u32 {
    word(answer, FLAGS_AT).unwrap_or(0)
}

/// How the device of an answer is; `None` when the kernel answered nonsense.
pub fn state(answer: &[u8]) -> Option<State> {
    Some(State {
        name: text(answer, NAME_AT, NAME_BYTES)?,
        uuid: text(answer, UUID_AT, UUID_BYTES)?,
        number: number(long(answer, DEVICE_AT)?),
        open_count: word(answer, OPEN_COUNT_AT)?,
        flags: flags(answer),
    })
}

fn data(answer: &[u8]) -> Option<&[u8]> {
    let (start, size) = (word(answer, DATA_START_AT)? as usize, word(answer, DATA_SIZE_AT)? as usize);
    answer.get(start..size.min(answer.len()))
}

/// The targets of a table. Each says where the next one begins, counted from the start of the data.
pub fn table(answer: &[u8]) -> Option<Vec<Target>> {
    let data = data(answer)?;
    let count = word(answer, TARGET_COUNT_AT)? as usize;
    let mut targets = Vec::new();
    let mut at = 0;
    for _ in 0..count {
        let params_at = at + SPEC_BYTES;
        targets.push(Target {
            start: Sectors(long(data, at)?),
            length: Sectors(long(data, at + 8)?),
            kind: text(data, at + 24, TARGET_NAME_BYTES)?,
            params: text(data, params_at, data.len().checked_sub(params_at)?)?,
        });
        let next = word(data, at + 20)? as usize;
        // It only ever goes forward, so that a nonsense answer ends.
        at = Some(next).filter(|&next| next > at)?;
    }
    Some(targets)
}

/// The kind of the first target of a table, as its bytes stand in the answer.
pub fn first_kind(answer: &[u8]) -> Option<&[u8]> {
    if word(answer, TARGET_COUNT_AT)? == 0 {
        return None;
    }
    data(answer)?.get(24..24 + TARGET_NAME_BYTES)?.split(|byte| *byte == 0).next()
}

/// The devices of a list. Each says how far behind it the next one begins; the last says zero.
pub fn list(answer: &[u8]) -> Option<Vec<Listed>> {
    let data = data(answer)?;
    let mut listed = Vec::new();
    let mut at = 0;
    while let Some(encoded) = long(data, at) {
        // A list of nothing is one entry without a number.
        if encoded == 0 {
            break;
        }
        let next = word(data, at + 8)? as usize;
        let name = text(data, at + 12, data.len().checked_sub(at + 12)?.min(NAME_BYTES))?;
        let uuid = uuid_behind(data, at + 12 + name.len() + 1);
        listed.push(Listed { name, uuid, number: number(encoded) });
        if next == 0 {
            break;
        }
        at += next;
    }
    Some(listed)
}

/// Behind the name, on the next multiple of eight: an event number, flags (1: a uuid follows), the uuid.
fn uuid_behind(data: &[u8], at: usize) -> Option<String> {
    const HAS_UUID: u32 = 1;
    let at = at.next_multiple_of(8);
    (word(data, at + 4)? & HAS_UUID != 0).then_some(())?;
    text(data, at + 8, data.len().checked_sub(at + 8)?.min(UUID_BYTES))
}

#[cfg(test)]
mod tests;
