//! One disk, open: a block device or an image file, read and written in whole blocks of 4096 bytes.
//!
//! Block devices are opened O_DIRECT, always (a buffered read returns yesterday's page cache, safety 2.6), and
//! O_EXCL to be changed. All their I/O runs on one thread a disk, in order, so that a hung disk costs its caller
//! the deadline and not the process; that thread is started with the first I/O. (Looking at many disks is a crew's
//! work, and a [`BareDisk`] in its hands needs no thread of its own.) Image files are buffered, locked, and never
//! extended.
//!
//! A disk that missed its deadline or failed to flush is given up: what it holds is not known any more, and a
//! second try on the same descriptor may claim a success that is none.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::base::limits::IO_BYTES_MAX;
use crate::base::units::{BLOCK_BYTES, Bytes, SECTOR_BYTES};
pub use crate::host::blocks::Blocks;
use crate::host::blocks::{check_place, read_whole};
use crate::host::clock;
use crate::host::device::DeviceNumber;
pub use crate::host::disk_bare::BareDisk;
use crate::host::disk_error::{DiskError, Doing};
pub use crate::host::disk_kind::{Identity, Medium, Want};
use crate::host::disk_open::{self, Measured, Opened};
use crate::host::sys::AlignedBuffer;
use crate::host::worker::{NoAnswer, OnCall, Worker};

/// Milliseconds that one I/O of a block device (at most [`IO_BYTES_MAX`] bytes), or its opening, may take.
pub const IO_DEADLINE_MS: u64 = 10_000;

enum Way {
    Image(File),
    Device(OnCall<Opened>),
}

impl Blocks for OpenDisk {
    fn size(&self) -> Bytes {
        OpenDisk::size(self)
    }

    fn logical_block(&self) -> u32 {
        OpenDisk::logical_block(self)
    }

    fn read(&self, at: Bytes, len: usize) -> Result<Vec<u8>, DiskError> {
        OpenDisk::read(self, at, len)
    }
}

/// An open disk. Closed when dropped; the lock or claim ends with it.
pub struct OpenDisk {
    path: PathBuf,
    want: Want,
    measured: Measured,
    way: Way,
    limit_ms: u64,
    given_up: OnceLock<()>,
    slowest_ms: AtomicU64,
}

impl OpenDisk {
    /// Opens `path` with the default deadline ([`IO_DEADLINE_MS`]).
    pub fn open(path: &Path, want: Want) -> Result<OpenDisk, DiskError> {
        Self::open_within(path, want, IO_DEADLINE_MS)
    }

    /// Opens `path`; on a block device the opening and every I/O may take `limit_ms` milliseconds.
    pub fn open_within(path: &Path, want: Want, limit_ms: u64) -> Result<OpenDisk, DiskError> {
        let (way, measured) = match disk_open::medium_of(path)? {
            Medium::Image => {
                let opened = disk_open::open_image(path, want)?;
                (Way::Image(opened.file), opened.measured)
            }
            Medium::BlockDevice => open_on_own_thread(path, want, limit_ms)?,
        };
        Ok(OpenDisk {
            path: path.into(),
            want,
            measured,
            way,
            limit_ms,
            given_up: OnceLock::new(),
            slowest_ms: AtomicU64::new(0),
        })
    }

    /// Takes over a disk that was opened by who could wait for it.
    pub fn of(bare: BareDisk) -> OpenDisk {
        let (path, want, opened, slowest_ms) = bare.into_parts();
        let measured = opened.measured;
        let limit = Duration::from_millis(IO_DEADLINE_MS);
        let way = match measured.medium {
            Medium::Image => Way::Image(opened.file),
            Medium::BlockDevice => Way::Device(OnCall::new(limit, opened)),
        };
        OpenDisk {
            path,
            want,
            measured,
            way,
            limit_ms: IO_DEADLINE_MS,
            given_up: OnceLock::new(),
            slowest_ms: AtomicU64::new(slowest_ms),
        }
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Image or block device.
    pub fn medium(&self) -> Medium {
        self.measured.medium
    }

    /// Its true size when it was opened. A tail that is no whole block is counted here and cannot be reached.
    pub fn size(&self) -> Bytes {
        self.measured.size
    }

    /// Bytes of a logical block; 512 for images.
    pub fn logical_block(&self) -> u32 {
        self.measured.logical_block
    }

    /// Bytes of a physical block; 4096 for images.
    pub fn physical_block(&self) -> u32 {
        self.measured.physical_block
    }

    /// Would the medium itself refuse to be written?
    pub fn read_only(&self) -> bool {
        self.measured.read_only
    }

    /// What it is opened for.
    pub fn want(&self) -> Want {
        self.want
    }

    /// The kernel's number of it; nothing for an image file.
    pub fn number(&self) -> Option<DeviceNumber> {
        self.measured.number
    }

    /// Which disk it is, whatever it was called.
    pub fn identity(&self) -> Identity {
        self.measured.identity
    }

    /// Reads `len` bytes at `at`; both multiples of 4096. A block device is asked for at most [`IO_BYTES_MAX`]
    /// at a time, each with the whole deadline.
    pub fn read(&self, at: Bytes, len: usize) -> Result<Vec<u8>, DiskError> {
        self.check(Doing::Read { at, len }, at, len)?;
        self.read_checked(at, len)
    }

    /// The sectors behind the last whole block of 4096 bytes; nothing where the size is a multiple of that. Nothing of
    /// ours ever stands there, but a backup partition table of somebody else does.
    pub fn read_odd_tail(&self) -> Result<Vec<u8>, DiskError> {
        let at = self.size().round_down(BLOCK_BYTES);
        let len = (self.size().round_down(SECTOR_BYTES).0 - at.0) as usize;
        self.check_given_up(Doing::Read { at, len })?;
        self.read_checked(at, len)
    }

    fn read_checked(&self, at: Bytes, len: usize) -> Result<Vec<u8>, DiskError> {
        let mut out = Vec::with_capacity(len);
        for (start, part) in parts(at, len) {
            let doing = Doing::Read { at: start, len: part };
            match &self.way {
                Way::Image(file) => {
                    out.resize(out.len() + part, 0);
                    let begin = out.len() - part;
                    let got =
                        read_whole(file, &mut out[begin..], start).map_err(|e| self.failed(doing, &e))?;
                    self.whole(file, doing, got, part)?;
                }
                Way::Device(worker) => {
                    out.extend_from_slice(&self.read_part(worker, doing, start, part)?.bytes()[..part])
                }
            }
        }
        Ok(out)
    }

    /// Writes `data` at `at`; place and length are multiples of 4096. Not durable before [`OpenDisk::flush`]. After
    /// an error any part of it may have been written.
    pub fn write(&self, at: Bytes, data: &[u8]) -> Result<(), DiskError> {
        let whole = Doing::Write { at, len: data.len() };
        self.check(whole, at, data.len())?;
        self.check_writes(whole)?;
        let mut rest = data;
        for (start, part) in parts(at, data.len()) {
            let (now, later) = rest.split_at(part);
            rest = later;
            let doing = Doing::Write { at: start, len: part };
            match &self.way {
                Way::Image(file) => self.write_image(file, doing, start, now)?,
                Way::Device(worker) => self.write_part(worker, doing, start, now)?,
            }
        }
        Ok(())
    }

    /// Makes durable what was written (fdatasync; on a block device that flushes the device's cache too). A disk
    /// that fails here is given up.
    pub fn flush(&self) -> Result<(), DiskError> {
        self.check_given_up(Doing::Flush)?;
        self.check_writes(Doing::Flush)?;
        let flushed = match &self.way {
            Way::Image(file) => file.sync_data(),
            Way::Device(worker) => self.ask(worker, Doing::Flush, |opened| opened.file.sync_data())?,
        };
        flushed.map_err(|e| {
            self.give_up();
            self.failed(Doing::Flush, &e)
        })
    }

    fn failed(&self, doing: Doing, error: &io::Error) -> DiskError {
        DiskError::from_io(&self.path, doing, error)
    }

    fn give_up(&self) {
        let _ = self.given_up.set(());
    }

    fn check_given_up(&self, doing: Doing) -> Result<(), DiskError> {
        match self.given_up.get() {
            Some(()) => Err(DiskError::GivenUp { path: self.path.clone(), doing }),
            None => Ok(()),
        }
    }

    fn check_writes(&self, doing: Doing) -> Result<(), DiskError> {
        match self.want.writes() {
            true => Ok(()),
            false => Err(DiskError::OpenedToLook { path: self.path.clone(), doing }),
        }
    }

    fn check(&self, doing: Doing, at: Bytes, len: usize) -> Result<(), DiskError> {
        self.check_given_up(doing)?;
        check_place(&self.path, self.size(), doing, at, len)
    }

    fn ask<R: Send + 'static>(
        &self,
        worker: &OnCall<Opened>,
        doing: Doing,
        job: impl FnOnce(&mut Opened) -> R + Send + 'static,
    ) -> Result<R, DiskError> {
        let begin = clock::boot_now();
        let answer = worker.ask(job);
        self.slowest_ms.fetch_max(clock::boot_now().ms.saturating_sub(begin.ms), Ordering::Relaxed);
        answer.map_err(|why| {
            self.give_up();
            no_answer(&self.path, doing, self.limit_ms, why)
        })
    }

    /// Milliseconds that its slowest answer took until now.
    pub fn slowest_ms(&self) -> u64 {
        self.slowest_ms.load(Ordering::Relaxed)
    }

    fn read_part(
        &self,
        worker: &OnCall<Opened>,
        doing: Doing,
        at: Bytes,
        len: usize,
    ) -> Result<AlignedBuffer, DiskError> {
        let job = move |opened: &mut Opened| {
            let mut buffer = AlignedBuffer::zeroed(len);
            read_whole(&opened.file, &mut buffer.bytes_mut()[..len], at).map(|done| (buffer, done))
        };
        let (buffer, done) = self.ask(worker, doing, job)?.map_err(|e| self.failed(doing, &e))?;
        if done < len {
            return Err(DiskError::Short { path: self.path.clone(), doing, done });
        }
        Ok(buffer)
    }

    fn write_part(
        &self,
        worker: &OnCall<Opened>,
        doing: Doing,
        at: Bytes,
        data: &[u8],
    ) -> Result<(), DiskError> {
        let buffer = AlignedBuffer::copy_of(data);
        let job = move |opened: &mut Opened| write_whole(&opened.file, buffer.bytes(), at);
        let done = self.ask(worker, doing, job)?.map_err(|e| self.failed(doing, &e))?;
        if done < data.len() {
            return Err(DiskError::Short { path: self.path.clone(), doing, done });
        }
        Ok(())
    }

    /// The size is looked at before each write: a file that was cut meanwhile is not made longer again.
    fn write_image(&self, file: &File, doing: Doing, at: Bytes, data: &[u8]) -> Result<(), DiskError> {
        let now = file.metadata().map_err(|e| self.failed(doing, &e))?.len();
        if at.0 + data.len() as u64 > now {
            return Err(self.shrank(doing, now));
        }
        let done = write_whole(file, data, at).map_err(|e| self.failed(doing, &e))?;
        self.whole(file, doing, done, data.len())
    }

    fn whole(&self, file: &File, doing: Doing, done: usize, asked: usize) -> Result<(), DiskError> {
        if done == asked {
            return Ok(());
        }
        match file.metadata() {
            Ok(metadata) if metadata.len() < self.size().0 => Err(self.shrank(doing, metadata.len())),
            _ => Err(DiskError::Short { path: self.path.clone(), doing, done }),
        }
    }

    fn shrank(&self, doing: Doing, now: u64) -> DiskError {
        DiskError::Shrank { path: self.path.clone(), doing, was: self.size(), now: Bytes(now) }
    }
}

fn open_on_own_thread(path: &Path, want: Want, limit_ms: u64) -> Result<(Way, Measured), DiskError> {
    let owned = path.to_path_buf();
    let lost = |why| no_answer(path, Doing::Open, limit_ms, why);
    let limit = Duration::from_millis(limit_ms);
    let worker = Worker::start(limit, move || disk_open::open_device(&owned, want)).map_err(lost)??;
    let measured = worker.ask(|opened| opened.measured).map_err(lost)?;
    Ok((Way::Device(OnCall::hired(worker)), measured))
}

fn no_answer(path: &Path, doing: Doing, limit_ms: u64, why: NoAnswer) -> DiskError {
    let path = path.to_path_buf();
    match why {
        NoAnswer::TooLate => DiskError::TimedOut { path, doing, limit_ms },
        NoAnswer::Closed => DiskError::GivenUp { path, doing },
        NoAnswer::NoThread(errno) => DiskError::Io { path, doing, errno },
    }
}

/// `len` bytes from `at` on, cut into what is asked of a device at a time.
fn parts(at: Bytes, len: usize) -> impl Iterator<Item = (Bytes, usize)> {
    let step = IO_BYTES_MAX as usize;
    (0..len).step_by(step).map(move |done| (Bytes(at.0 + done as u64), step.min(len - done)))
}

/// Writes until all is written or the file takes no more; the bytes written.
fn write_whole(file: &File, data: &[u8], at: Bytes) -> io::Result<usize> {
    let mut done = 0;
    while done < data.len() {
        match file.write_at(&data[done..], at.0 + done as u64) {
            Ok(0) => break,
            Ok(got) => done += got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests;
