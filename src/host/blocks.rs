//! Reading whole blocks of 4096 bytes: what is asked of a disk, whoever does its I/O.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::host::disk_error::{DiskError, Doing};

/// What can be read in whole blocks, whoever does the reading.
pub trait Blocks {
    /// Its true size when it was opened.
    fn size(&self) -> Bytes;

    /// Bytes of a logical block.
    fn logical_block(&self) -> u32;

    /// Reads `len` bytes at `at`; both multiples of 4096.
    fn read(&self, at: Bytes, len: usize) -> Result<Vec<u8>, DiskError>;

    /// The same, seen where they were read to: a copy of them costs memory that nobody has touched yet.
    fn see<R>(&self, at: Bytes, len: usize, see: impl FnOnce(&[u8]) -> R) -> Result<R, DiskError> {
        self.read(at, len).map(|bytes| see(&bytes))
    }
}

/// Whole blocks, inside of the disk?
pub(super) fn check_place(
    path: &Path,
    size: Bytes,
    doing: Doing,
    at: Bytes,
    len: usize,
) -> Result<(), DiskError> {
    if !at.0.is_multiple_of(BLOCK_BYTES) || !(len as u64).is_multiple_of(BLOCK_BYTES) {
        return Err(DiskError::Unaligned { path: path.into(), doing });
    }
    let reachable = size.round_down(BLOCK_BYTES);
    match at.plus(Bytes(len as u64)) {
        Some(end) if end <= reachable => Ok(()),
        _ => Err(DiskError::OutOfRange { path: path.into(), doing, size }),
    }
}

/// Reads until `out` is full or the file ends; the bytes read.
pub(super) fn read_whole(file: &File, out: &mut [u8], at: Bytes) -> io::Result<usize> {
    let mut done = 0;
    while done < out.len() {
        match file.read_at(&mut out[done..], at.0 + done as u64) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}
