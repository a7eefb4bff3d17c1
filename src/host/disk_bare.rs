//! One disk, open, read on the very thread that asks: what a crew's worker has in hand. A hung disk holds him, and the
//! crew goes on without.

use std::path::{Path, PathBuf};

use crate::base::units::Bytes;
use crate::host::disk::{Blocks, check_place, read_whole};
use crate::host::disk_error::{DiskError, Doing};
use crate::host::disk_kind::{Medium, Want};
use crate::host::disk_open::{self, Opened};
use crate::host::sys::AlignedBuffer;

/// An open disk whose reads hang as long as the disk does.
pub struct BareDisk {
    path: PathBuf,
    want: Want,
    opened: Opened,
}

/// What `path` is, told without opening it.
pub fn medium_of(path: &Path) -> Result<Medium, DiskError> {
    disk_open::medium_of(path)
}

impl BareDisk {
    /// Opens a disk or an image file.
    pub fn open(path: &Path, want: Want) -> Result<BareDisk, DiskError> {
        let opened = match disk_open::medium_of(path)? {
            Medium::Image => disk_open::open_image(path, want)?,
            Medium::BlockDevice => disk_open::open_device(path, want)?,
        };
        Ok(BareDisk { path: path.into(), want, opened })
    }

    /// Opens a block device to look at it: what is none is refused after it was opened.
    pub fn open_device(path: &Path) -> Result<BareDisk, DiskError> {
        let opened = disk_open::open_device(path, Want::Look)?;
        Ok(BareDisk { path: path.into(), want: Want::Look, opened })
    }

    pub(super) fn into_parts(self) -> (PathBuf, Want, Opened) {
        (self.path, self.want, self.opened)
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
        let doing = Doing::Read { at, len };
        check_place(&self.path, self.size(), doing, at, len)?;
        let mut buffer = AlignedBuffer::zeroed(len);
        let bytes = &mut buffer.bytes_mut()[..len];
        let done = read_whole(&self.opened.file, bytes, at)
            .map_err(|error| DiskError::from_io(&self.path, doing, &error))?;
        if done < len {
            return Err(DiskError::Short { path: self.path.clone(), doing, done });
        }
        Ok(bytes.to_vec())
    }
}
