//! One disk, open, read and written on the very thread that asks: what a crew's worker has in hand. A hung disk holds him, and the
//! crew goes on without.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::base::limits::LOOK_BYTES;
use crate::base::time::BootTime;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::host::blocks::{Blocks, check_place, read_whole};
use crate::host::clock;
use crate::host::crew::Pulse;
use crate::host::disk_error::{DiskError, Doing};
use crate::host::disk_kind::{Medium, Want};
use crate::host::disk_open::{self, Opened};
use crate::host::sys::AlignedBuffer;

/// An open disk whose reads hang as long as the disk does.
pub struct BareDisk {
    path: PathBuf,
    want: Want,
    opened: Opened,
    /// Milliseconds that its slowest answer took, the opening among them.
    slowest_ms: Cell<u64>,
    /// Told of every answer.
    pulse: Option<Pulse>,
    /// What one answer after another is read into.
    scratch: RefCell<AlignedBuffer>,
}

/// That nobody changes a disk as long as this lives.
pub struct Turn(#[expect(dead_code, reason = "the lock ends with it")] File);

/// Grows with the first answer.
fn no_scratch() -> RefCell<AlignedBuffer> {
    RefCell::new(AlignedBuffer::zeroed(0))
}

/// Milliseconds since then.
fn since(begin: BootTime) -> u64 {
    clock::boot_now().ms.saturating_sub(begin.ms)
}

/// The first and the last [`LOOK_BYTES`] of a disk, as far as it has them; one piece of memory for one disk after another.
pub struct Ends {
    head: AlignedBuffer,
    tail: AlignedBuffer,
    bytes: usize,
}

impl Default for Ends {
    fn default() -> Self {
        let zeroed = || AlignedBuffer::zeroed(LOOK_BYTES as usize);
        Ends { head: zeroed(), tail: zeroed(), bytes: 0 }
    }
}

impl Ends {
    /// From the first byte on.
    pub fn head(&self) -> &[u8] {
        &self.head.bytes()[..self.bytes]
    }

    /// Up to the last whole block.
    pub fn tail(&self) -> &[u8] {
        &self.tail.bytes()[..self.bytes]
    }
}

/// What `path` is, told without opening it.
pub fn medium_of(path: &Path) -> Result<Medium, DiskError> {
    disk_open::medium_of(path)
}

impl BareDisk {
    /// Opens a disk or an image file.
    pub fn open(path: &Path, want: Want) -> Result<BareDisk, DiskError> {
        let begin = clock::boot_now();
        let opened = match disk_open::medium_of(path)? {
            Medium::Image => disk_open::open_image(path, want)?,
            Medium::BlockDevice => disk_open::open_device(path, want)?,
        };
        Ok(BareDisk {
            path: path.into(),
            want,
            opened,
            slowest_ms: Cell::new(since(begin)),
            pulse: None,
            scratch: no_scratch(),
        })
    }

    /// Opens a block device that the kernel has named itself, to look at it or to read it steadily; reads both ends into `ends`, and goes on only
    /// where they are `wanted`. Of the many disks that are not, no more is asked than this.
    pub fn open_if(
        path: &Path,
        want: Want,
        ends: &mut Ends,
        pulse: &Pulse,
        wanted: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Option<BareDisk>, DiskError> {
        let begin = clock::boot_now();
        let bare = disk_open::open_unmeasured(path)?;
        pulse.beat();
        let usable = bare.size.round_down(BLOCK_BYTES).0;
        ends.bytes = usable.min(LOOK_BYTES) as usize;
        for (at, buffer) in [(0, &mut ends.head), (usable - ends.bytes as u64, &mut ends.tail)] {
            let doing = Doing::Read { at: Bytes(at), len: ends.bytes };
            let done = read_whole(&bare.file, &mut buffer.bytes_mut()[..ends.bytes], Bytes(at))
                .map_err(|error| DiskError::from_io(path, doing, &error))?;
            pulse.beat();
            if done < ends.bytes {
                return Err(DiskError::Short { path: path.into(), doing, done });
            }
        }
        if !wanted(ends.head(), ends.tail()) {
            return Ok(None);
        }
        let opened = bare.measure(path, want)?;
        // Three answers; they are not told apart.
        let slowest_ms = Cell::new(since(begin) / 3);
        Ok(Some(BareDisk {
            path: path.into(),
            want,
            opened,
            slowest_ms,
            pulse: Some(pulse.clone()),
            scratch: no_scratch(),
        }))
    }

    /// Writes `data` at `at`, whole blocks, and returns when it is on the medium. After an error any part of it may be
    /// there; never later than this returns.
    pub fn write_through(&self, at: Bytes, data: &[u8]) -> Result<(), DiskError> {
        let doing = Doing::Write { at, len: data.len() };
        check_place(&self.path, self.size(), doing, at, data.len())?;
        if !self.want.writes() {
            return Err(DiskError::OpenedToLook { path: self.path.clone(), doing });
        }
        let buffer = AlignedBuffer::copy_of(data);
        let bytes = buffer.bytes().get(..data.len()).unwrap_or_default();
        let file = &self.opened.file;
        file.write_all_at(bytes, at.0).map_err(|error| DiskError::from_io(&self.path, doing, &error))?;
        file.sync_data().map_err(|error| DiskError::from_io(&self.path, Doing::Flush, &error))
    }

    /// Keeps away who would change the disk, until it is dropped; refused while somebody does.
    pub fn share(&self) -> Result<Turn, DiskError> {
        disk_open::share(&self.path, self.opened.measured.number).map(Turn)
    }

    /// The same disk, every answer of which is told.
    pub fn beating(self, pulse: &Pulse) -> BareDisk {
        pulse.beat();
        BareDisk { pulse: Some(pulse.clone()), ..self }
    }

    pub(super) fn into_parts(self) -> (PathBuf, Want, Opened, u64) {
        (self.path, self.want, self.opened, self.slowest_ms.get())
    }
}

impl Blocks for BareDisk {
    fn size(&self) -> Bytes {
        self.opened.measured.size
    }

    fn logical_block(&self) -> u32 {
        self.opened.measured.logical_block
    }

    fn read(&self, at: Bytes, len: usize) -> Result<Vec<u8>, DiskError> {
        self.see(at, len, <[u8]>::to_vec)
    }

    fn see<R>(&self, at: Bytes, len: usize, see: impl FnOnce(&[u8]) -> R) -> Result<R, DiskError> {
        let doing = Doing::Read { at, len };
        check_place(&self.path, self.size(), doing, at, len)?;
        let mut buffer = self.scratch.borrow_mut();
        if buffer.bytes().len() < len {
            *buffer = AlignedBuffer::zeroed(len);
        }
        let bytes = &mut buffer.bytes_mut()[..len];
        let begin = clock::boot_now();
        let done = read_whole(&self.opened.file, bytes, at);
        self.slowest_ms.set(self.slowest_ms.get().max(since(begin)));
        self.pulse.as_ref().inspect(|pulse| pulse.beat());
        let done = done.map_err(|error| DiskError::from_io(&self.path, doing, &error))?;
        if done < len {
            return Err(DiskError::Short { path: self.path.clone(), doing, done });
        }
        Ok(see(bytes))
    }
}
