//! The only place with `unsafe`: calls that the kernel offers and no safe crate wraps, each behind a safe function
//! of a few lines, and a buffer aligned as O_DIRECT wants it.
#![allow(unsafe_code)]

use nix::errno::Errno;
use nix::libc;
use std::fs::File;
use std::os::fd::AsRawFd;

use crate::base::units::{BLOCK_BYTES, Bytes};

/// The raw ioctls; numbers from `linux/fs.h` and `linux/loop.h`.
mod raw {
    use super::{LoopWords, libc};

    nix::ioctl_read!(blkgetsize64, 0x12, 114, libc::size_t);
    nix::ioctl_read_bad!(blksszget, nix::request_code_none!(0x12, 104), libc::c_int);
    nix::ioctl_read_bad!(blkpbszget, nix::request_code_none!(0x12, 123), libc::c_uint);
    nix::ioctl_read_bad!(blkroget, nix::request_code_none!(0x12, 94), libc::c_int);
    nix::ioctl_read_bad!(loop_get_status64, 0x4C05, LoopWords);
}

// BLKGETSIZE64 writes a u64 although its number says `size_t`: this code is for 64-bit machines.
const _: () = assert!(size_of::<libc::size_t>() == size_of::<u64>());

/// `struct loop_info64` as words: device, inode, rdevice, offset, size limit, then what nobody here reads.
type LoopWords = [u64; 29];
const _: () = assert!(size_of::<LoopWords>() == 232);

/// The size of a block device in bytes (BLKGETSIZE64).
pub fn device_size(device: &File) -> Result<Bytes, Errno> {
    let mut size: libc::size_t = 0;
    // SAFETY: `size` outlives the call and the kernel writes exactly eight bytes, which it has (asserted above).
    unsafe { raw::blkgetsize64(device.as_raw_fd(), &mut size) }?;
    Ok(Bytes(size as u64))
}

/// The logical block size of a block device in bytes (BLKSSZGET).
pub fn logical_block(device: &File) -> Result<u32, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: `bytes` outlives the call and the kernel writes exactly one int into it.
    unsafe { raw::blksszget(device.as_raw_fd(), &mut bytes) }?;
    u32::try_from(bytes).map_err(|_| Errno::EINVAL)
}

/// The physical block size of a block device in bytes (BLKPBSZGET).
pub fn physical_block(device: &File) -> Result<u32, Errno> {
    let mut bytes: libc::c_uint = 0;
    // SAFETY: `bytes` outlives the call and the kernel writes exactly one unsigned int into it.
    unsafe { raw::blkpbszget(device.as_raw_fd(), &mut bytes) }?;
    Ok(bytes)
}

/// Does the kernel refuse writes to this block device (BLKROGET)?
pub fn is_read_only(device: &File) -> Result<bool, Errno> {
    let mut flag: libc::c_int = 0;
    // SAFETY: `flag` outlives the call and the kernel writes exactly one int into it.
    unsafe { raw::blkroget(device.as_raw_fd(), &mut flag) }?;
    Ok(flag != 0)
}

/// What lies behind a loop device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopBacking {
    /// The device number of the file system that holds the backing file, as `stat` gives it.
    pub device: u64,
    /// The backing file's inode.
    pub inode: u64,
    /// Bytes of the file that the loop device skips.
    pub offset: Bytes,
}

/// What lies behind an open loop device (LOOP_GET_STATUS64). Ask only devices of the loop driver.
pub fn loop_backing(device: &File) -> Result<LoopBacking, Errno> {
    let mut words: LoopWords = [0; 29];
    // SAFETY: `words` outlives the call; the kernel writes one `struct loop_info64`, 232 bytes, which it has
    // (asserted above), at an alignment of eight; every bit pattern is a value of u64.
    unsafe { raw::loop_get_status64(device.as_raw_fd(), &mut words) }?;
    Ok(LoopBacking { device: words[0], inode: words[1], offset: Bytes(words[3]) })
}

/// Fills `out` from the kernel's generator; waits once, early in boot, until that is seeded.
pub fn fill_random(out: &mut [u8]) -> Result<(), Errno> {
    let mut done = 0;
    while done < out.len() {
        let rest = &mut out[done..];
        // SAFETY: `rest` is writable for the `rest.len()` bytes that are given as the most to write.
        let got = unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) };
        match Errno::result(got) {
            Ok(got) => done += got.unsigned_abs(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[derive(Clone)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES as usize]);

const _: () = assert!(size_of::<Block>() as u64 == BLOCK_BYTES && align_of::<Block>() as u64 == BLOCK_BYTES);

/// Whole blocks of memory, aligned to 4096 and zeroed: what O_DIRECT reads into and writes from.
pub struct AlignedBuffer {
    blocks: Vec<Block>,
}

impl AlignedBuffer {
    /// At least `bytes` zero bytes, rounded up to whole blocks.
    pub fn zeroed(bytes: usize) -> Self {
        Self { blocks: vec![Block([0; BLOCK_BYTES as usize]); bytes.div_ceil(size_of::<Block>())] }
    }

    /// A copy of `data`, with zeroes up to the end of its last block.
    pub fn copy_of(data: &[u8]) -> Self {
        let mut buffer = Self::zeroed(data.len());
        buffer.bytes_mut()[..data.len()].copy_from_slice(data);
        buffer
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: a Block is 4096 bytes without padding and lies in the Vec without gaps; the slice borrows `self`.
        unsafe {
            core::slice::from_raw_parts(self.blocks.as_ptr().cast(), size_of_val(self.blocks.as_slice()))
        }
    }

    /// The bytes, for change.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let bytes = size_of_val(self.blocks.as_slice());
        // SAFETY: as in `bytes`, and `self` is borrowed for change, so no other slice of it lives.
        unsafe { core::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast(), bytes) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_zeroed_and_whole_blocks() {
        for (asked, got) in [(0, 0), (1, 4096), (4096, 4096), (4097, 8192)] {
            let buffer = AlignedBuffer::zeroed(asked);
            assert_eq!(buffer.bytes().len(), got);
            assert_eq!(buffer.bytes().as_ptr() as usize % 4096, 0);
            assert!(buffer.bytes().iter().all(|&byte| byte == 0));
        }
        let mut copy = AlignedBuffer::copy_of(b"abc");
        copy.bytes_mut()[1] = b'x';
        assert_eq!(&copy.bytes()[..4], b"axc\0");
    }

    #[test]
    fn a_file_is_no_block_device() {
        let file = File::open("/proc/self/status").unwrap();
        assert_eq!(device_size(&file), Err(Errno::ENOTTY));
        assert!(
            is_read_only(&file).is_err() && logical_block(&file).is_err() && physical_block(&file).is_err()
        );
        assert!(loop_backing(&file).is_err());
    }
}
