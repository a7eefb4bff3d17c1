//! What one daemon of this machine leaves to the next one of the same boot, in `/run/evms`: the lock that only one holds,
//! and the pages of its memory (safety 1.3, 1.7). Both are gone with the boot.
//!
//! `state` is two places of the same size, written in turn, so that a write that was cut short leaves the one before:
//! ```text
//! offset bytes what
//!      0     8 magic "EVMSRUN1"
//!      8     4 crc32 of all behind it, up to its length
//!     12     4 length of the memory
//!     16     8 counter: the higher one of two counts
//!     24    16 the boot
//!     40     … the memory
//! ```

use core::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::posix_fallocate;

use crate::base::failure::{Failure, Kind};
use crate::format::cursor::{Reader, Writer};
use crate::format::seal;
use crate::host::identity::BootId;
use crate::host::sys::SharedPages;

/// Where it is.
pub const RUN: &str = "/run/evms";
const MAGIC: &[u8; 8] = b"EVMSRUN1";
/// Bytes of one place: the memory of 64 nodes needs a fifth of it.
const PLACE_BYTES: usize = 32 * 1024;
const HEAD_BYTES: usize = 40;

/// The room cannot be had.
#[derive(Debug)]
pub enum NoRoom {
    /// Another daemon has it.
    Taken {
        /// The lock.
        path: PathBuf,
    },
    /// It cannot be made, opened or mapped.
    Io {
        /// What.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoRoom::Taken { path } => write!(
                f,
                "another evmsd of this machine holds {}, or has not ended in all its threads; nothing was started; see \
                 'evms status', and end it first if this one shall take its place",
                path.display()
            ),
            NoRoom::Io { path, error } => write!(
                f,
                "cannot use {}: {error}; nothing was started; it has to be writable and of this boot (a tmpfs)",
                path.display()
            ),
        }
    }
}

impl Failure for NoRoom {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

/// The room of a running daemon.
pub struct RunDir {
    // Freed by the kernel when the last thread of this process has ended, and not before.
    _lock: File,
    pages: SharedPages,
    counter: u64,
    boot: BootId,
}

fn failed(path: &Path) -> impl Fn(io::Error) -> NoRoom + '_ {
    move |error| NoRoom::Io { path: path.into(), error }
}

impl RunDir {
    /// Takes it; and what the daemon before left, if it was of this boot and is whole.
    pub fn take(boot: BootId) -> Result<(RunDir, Option<Vec<u8>>), NoRoom> {
        let room = Path::new(RUN);
        fs::create_dir_all(room).map_err(failed(room))?;
        let open = |path: &Path| {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
        };
        let path = room.join("lock");
        let lock = open(&path).map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(fs::TryLockError::WouldBlock) => return Err(NoRoom::Taken { path }),
            Err(fs::TryLockError::Error(error)) => return Err(NoRoom::Io { path, error }),
        }
        let path = room.join("state");
        let state = open(&path).map_err(failed(&path))?;
        state.set_len(2 * PLACE_BYTES as u64).map_err(failed(&path))?;
        // A page that there is no room for would end the daemon without a word when it is written.
        posix_fallocate(&state, 0, 2 * PLACE_BYTES as i64).map_err(|errno| failed(&path)(errno.into()))?;
        let pages = SharedPages::map(&state, 2 * PLACE_BYTES).map_err(|errno| failed(&path)(errno.into()))?;
        let newest = newest(&pages.read());
        let counter = newest.as_ref().map_or(0, |(counter, ..)| *counter);
        let left = newest.filter(|(_, of, _)| *of == boot).map(|(_, _, memory)| memory);
        Ok((RunDir { _lock: lock, pages, counter, boot }, left))
    }

    /// Keeps a memory; when this returns the next daemon of this boot finds it, however this one ends. False when it is too
    /// long to be kept.
    pub fn keep(&mut self, memory: &[u8]) -> bool {
        let counter = self.counter + 1;
        let Some(place) = write_place(counter, self.boot, memory) else { return false };
        let at = (counter % 2) as usize * PLACE_BYTES;
        if self.pages.write(at, &place).is_err() {
            return false;
        }
        self.counter = counter;
        true
    }
}

/// Of the bytes of `state`, what counts: its counter, the boot that it is of, and the memory.
pub fn newest(state: &[u8]) -> Option<(u64, BootId, Vec<u8>)> {
    state.chunks(PLACE_BYTES).filter_map(read_place).max_by_key(|(counter, ..)| *counter)
}

fn write_place(counter: u64, boot: BootId, memory: &[u8]) -> Option<Vec<u8>> {
    let length =
        u32::try_from(memory.len()).ok().filter(|length| *length as usize + HEAD_BYTES <= PLACE_BYTES)?;
    let mut body = Writer::new();
    body.u32(length).u64(counter).bytes(&boot.0).bytes(memory);
    let body = body.finish();
    let mut place = Writer::new();
    place.bytes(MAGIC).u32(seal::crc(&body)).bytes(&body);
    Some(place.finish())
}

fn read_place(place: &[u8]) -> Option<(u64, BootId, Vec<u8>)> {
    let mut reader = Reader::new(place);
    if reader.array()? != *MAGIC {
        return None;
    }
    let crc = reader.u32()?;
    let body = reader.rest();
    let length = reader.u32()? as usize;
    let (counter, boot) = (reader.u64()?, BootId(reader.array()?));
    let memory = reader.bytes(length)?;
    let sealed = body.get(..HEAD_BYTES - 12 + length)?;
    (seal::crc(sealed) == crc).then(|| (counter, boot, memory.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written_and_damage_is_nothing() {
        let boot = BootId([5; 16]);
        let place = write_place(7, boot, b"promises").unwrap();
        assert_eq!(read_place(&[&place[..], &[0; 100]].concat()), Some((7, boot, b"promises".to_vec())));
        for at in 0..place.len() {
            let mut bad = place.clone();
            bad[at] ^= 0x10;
            assert_eq!(read_place(&bad), None, "byte {at}");
            assert_eq!(read_place(&place[..at]), None, "cut at {at}");
        }
        assert!(write_place(1, boot, &vec![0; PLACE_BYTES]).is_none());
    }
}
