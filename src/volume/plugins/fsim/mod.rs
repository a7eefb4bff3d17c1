//! File systems, as far as evms knows them: how large one says it is, so that a volume is never made smaller
//! than what lives on it. Nothing here reads more than a superblock, and nothing is mounted.

#[cfg(test)]
mod tests;

use super::peek::Peek;
use crate::base::units::{Bytes, KIB, SECTOR_BYTES};
use crate::volume::plugins::{Claim, Layer, Look, Plugin};

/// The plug-in.
pub struct Fsim;

impl Plugin for Fsim {
    fn name(&self) -> &'static str {
        "fsim"
    }

    fn layer(&self) -> Layer {
        Layer::Fsim
    }

    fn id(&self) -> u16 {
        0x61
    }

    fn makes(&self) -> &'static str {
        "nothing: it says how much of a volume its content needs"
    }

    fn probe(&self, look: &Look<'_>) -> Option<Claim> {
        stated_size(look.head).map(|stated| Claim { what: stated.name.into(), size: Some(stated.size) })
    }
}

/// What a file system, or whatever else keeps its size in its superblock, says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The same word as the signature's: `ext4`'s family is `ext`, others are `xfs`, `btrfs`, `swap`.
    pub name: &'static str,
    /// The room it needs from offset 0 on, in bytes.
    pub size: Bytes,
}

/// What is on a volume, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// All zero.
    Empty,
    /// Something that states its size.
    FileSystem(Stated),
    /// Something that does not, or whose statement is nonsense.
    Unknown,
}

/// What one format says: `None` when its magic is not there, else its size, `Some(None)` for nonsense.
type Reading = Option<Option<u64>>;

/// A name, and who reads the size behind it.
type Reader = (&'static str, fn(&Peek) -> Reading);

const READERS: &[Reader] = &[
    ("ext", ext),
    ("xfs", xfs),
    ("btrfs", btrfs),
    ("vfat", vfat),
    ("exfat", exfat),
    ("ntfs", ntfs),
    ("swap", swap),
    ("f2fs", f2fs),
    ("nilfs2", nilfs2),
    ("reiserfs", reiserfs),
    ("lvm2", lvm2),
    ("luks", luks),
];

/// How large the content of a volume says it is, from the volume's first 128 KiB (fewer see less). `None` when
/// it does not say, or says nonsense, or when two formats are there and one of them says nonsense; of several
/// sizes, the largest. Encrypted volumes say nothing.
pub fn stated_size(head: &[u8]) -> Option<Stated> {
    let peek = Peek::of_head(head);
    let mut largest: Option<Stated> = None;
    for (name, read) in READERS {
        let Some(reading) = read(&peek) else { continue };
        let size = Bytes(reading.filter(|size| *size > 0)?);
        if largest.is_none_or(|stated| stated.size < size) {
            largest = Some(Stated { name, size });
        }
    }
    largest
}

/// What is on a volume, from its first 128 KiB. A head without any byte is unknown, not empty.
pub fn content(head: &[u8]) -> Content {
    match stated_size(head) {
        Some(stated) => Content::FileSystem(stated),
        None if !head.is_empty() && head.iter().all(|byte| *byte == 0) => Content::Empty,
        None => Content::Unknown,
    }
}

/// `count * unit`, when the unit is a power of two between 512 and 64 KiB and the product fits.
fn units(count: Option<u64>, unit: Option<u64>) -> Option<u64> {
    let unit = unit.filter(|unit| unit.is_power_of_two() && (512..=64 * KIB).contains(unit))?;
    count?.checked_mul(unit)
}

/// `count` units of `2^shift` bytes.
fn shifted(count: Option<u64>, shift: Option<u32>) -> Option<u64> {
    units(count, shift.and_then(|shift| 1u64.checked_shl(shift)))
}

/// `s_blocks_count` of 32 or, with feature 64BIT, 64 bits.
fn ext(peek: &Peek) -> Reading {
    const BASE: u64 = KIB;
    const WIDE: u32 = 0x80;
    peek.has(BASE + 56, b"\x53\xef").then(|| {
        let low = u64::from(peek.le32(BASE, 4)?);
        let high = if peek.le32(BASE, 96)? & WIDE != 0 { u64::from(peek.le32(BASE, 0x150)?) } else { 0 };
        shifted(Some(high << 32 | low), peek.le32(BASE, 24)?.checked_add(10))
    })
}

/// `sb_dblocks` blocks of `sb_blocksize`.
fn xfs(peek: &Peek) -> Reading {
    peek.has(0, b"XFSB").then(|| units(peek.be64(0, 8), peek.be32(0, 4).map(u64::from)))
}

/// `dev_item.total_bytes`: what the file system uses of this device, not what it has on all of them.
fn btrfs(peek: &Peek) -> Reading {
    const BASE: u64 = 64 * KIB;
    const DEVICE: u64 = BASE + 0xc9;
    peek.has(BASE + 0x40, b"_BHRfS_M").then(|| {
        let sector = u64::from(peek.le32(BASE, 0x90)?);
        peek.le64(DEVICE, 8).filter(|_| sector.is_power_of_two() && sector >= SECTOR_BYTES)
    })
}

/// Total sectors, in 16 or 32 bits. FAT has no magic of its own: the boot sector must make sense, and neither
/// NTFS nor exFAT may claim it.
fn vfat(peek: &Peek) -> Reading {
    let named = peek.has(82, b"FAT32   ")
        || [b"FAT12   ", b"FAT16   ", b"FAT     "].iter().any(|name| peek.has(54, *name));
    named.then(|| {
        let total = match peek.le16(0, 19)? {
            0 => u64::from(peek.le32(0, 32)?),
            short => u64::from(short),
        };
        let sane = peek.byte(0, 13)?.is_power_of_two()
            && peek.le16(0, 14)? != 0
            && matches!(peek.byte(0, 16)?, 1 | 2);
        units(Some(total), peek.le16(0, 11).map(u64::from)).filter(|_| sane)
    })
}

/// `VolumeLength` sectors of `2^BytesPerSectorShift`.
fn exfat(peek: &Peek) -> Reading {
    peek.has(3, b"EXFAT   ").then(|| shifted(peek.le64(0, 72), peek.byte(0, 108).map(u32::from)))
}

/// The sectors the boot sector counts, and one more behind them, where its copy is.
fn ntfs(peek: &Peek) -> Reading {
    peek.has(3, b"NTFS    ").then(|| {
        let counted = peek.le64(0, 40)?.checked_add(1)?;
        units(Some(counted), peek.le16(0, 11).map(u64::from))
    })
}

/// `last_page + 1` pages, in the byte order in which the version is 1. The page size shows in the place of the
/// magic: the last ten bytes of the first page.
fn swap(peek: &Peek) -> Reading {
    const HEADER: u64 = KIB;
    let page = [4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB]
        .into_iter()
        .find(|page| peek.has(page - 10, b"SWAPSPACE2"))?;
    let last = match (peek.le32(HEADER, 0), peek.be32(HEADER, 0)) {
        (Some(1), _) => peek.le32(HEADER, 4),
        (_, Some(1)) => peek.be32(HEADER, 4),
        _ => None,
    };
    Some(units(last.map(|last| u64::from(last) + 1), Some(page)))
}

/// `block_count` blocks of `2^log_blocksize`.
fn f2fs(peek: &Peek) -> Reading {
    const BASE: u64 = KIB;
    peek.has(BASE, b"\x10\x20\xf5\xf2").then(|| shifted(peek.le64(BASE, 36), peek.le32(BASE, 16)))
}

/// `s_dev_size`, in bytes.
fn nilfs2(peek: &Peek) -> Reading {
    const BASE: u64 = KIB;
    (peek.has(BASE + 6, b"\x34\x34") && peek.le32(BASE, 0) == Some(2)).then(|| peek.le64(BASE, 32))
}

/// `s_block_count` blocks of `s_blocksize`.
fn reiserfs(peek: &Peek) -> Reading {
    const BASE: u64 = 64 * KIB;
    [&b"ReIsErFs"[..], b"ReIsEr2Fs", b"ReIsEr3Fs"]
        .iter()
        .any(|magic| peek.has(BASE + 52, magic))
        .then(|| units(peek.le32(BASE, 0).map(u64::from), peek.le16(BASE, 44).map(u64::from)))
}

/// `device_size` of the physical volume header, to which the label in one of the first four sectors points.
fn lvm2(peek: &Peek) -> Reading {
    let label = (0..4).map(|sector| sector * SECTOR_BYTES).find(|at| peek.has(*at, b"LABELONE"))?;
    Some(peek.le32(label, 20).and_then(|header| {
        // The header stands in the label's own sector, behind it.
        let header = Some(u64::from(header)).filter(|offset| (32..SECTOR_BYTES).contains(offset))?;
        peek.le64(label + header, 32)
    }))
}

/// A LUKS header is content whose size nobody knows, whatever older things shine through.
fn luks(peek: &Peek) -> Reading {
    peek.has(0, b"LUKS\xba\xbe").then_some(None)
}
