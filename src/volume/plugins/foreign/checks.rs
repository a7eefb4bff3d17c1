//! What must hold beside a magic that is short, or that several formats share. Each check is given the offset
//! of the magic. Field offsets are relative to the structure the magic belongs to.

use super::super::peek::Peek;
use crate::base::units::KIB;

/// Nothing more is asked.
pub(super) fn any(_: &Peek, _: u64) -> bool {
    true
}

/// LVM1 had versions 1 and 2, 16 bits behind "HM".
pub(super) fn lvm1(peek: &Peek, at: u64) -> bool {
    matches!(peek.le16(at, 2), Some(1 | 2))
}

/// Kernel snapshot stores: magic, valid (0 or 1), version 1.
pub(super) fn dm_snapshot(peek: &Peek, at: u64) -> bool {
    matches!(peek.le32(at, 4), Some(0 | 1)) && peek.le32(at, 8) == Some(1)
}

/// Write cache: magic, version 1 or 2.
pub(super) fn dm_writecache(peek: &Peek, at: u64) -> bool {
    matches!(peek.le32(at, 4), Some(1 | 2))
}

/// `mdp_super_t`: major version 0, in the byte order of the machine that wrote it.
pub(super) fn md0(peek: &Peek, at: u64) -> bool {
    peek.le32(at, 4) == Some(0)
}

/// `mdp_superblock_1`: major version 1.
pub(super) fn md1(peek: &Peek, at: u64) -> bool {
    peek.le32(at, 4) == Some(1)
}

/// The version of a LUKS header is big-endian, behind six bytes of magic.
pub(super) fn luks1(peek: &Peek, at: u64) -> bool {
    peek.be16(at, 6) == Some(1)
}

/// Version 2, or one that is not known yet.
pub(super) fn not_luks1(peek: &Peek, at: u64) -> bool {
    !luks1(peek, at)
}

/// Start of the superblock that every ext file system and its external journal share.
const EXT: u64 = KIB;
const EXT_HAS_JOURNAL: u32 = 0x4;
const EXT_JOURNAL_DEVICE: u32 = 0x8;
/// FILETYPE, RECOVER, META_BG: what ext3 knew among the incompatible features.
const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
/// SPARSE_SUPER, LARGE_FILE, BTREE_DIR: what ext3 knew among the read-only compatible features.
const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;
/// `log2(block size) - 10` for blocks of 64 KiB, the largest there are.
const EXT_LOG_BLOCK_MAX: u32 = 6;

#[derive(PartialEq, Eq)]
enum Ext {
    Two,
    Three,
    Four,
    Journal,
}

fn ext_kind(peek: &Peek) -> Option<Ext> {
    if peek.le32(EXT, 24)? > EXT_LOG_BLOCK_MAX {
        return None;
    }
    let (compat, incompat, ro_compat) = (peek.le32(EXT, 92)?, peek.le32(EXT, 96)?, peek.le32(EXT, 100)?);
    Some(match (incompat, compat) {
        _ if incompat & EXT_JOURNAL_DEVICE != 0 => Ext::Journal,
        _ if incompat & !EXT3_INCOMPAT != 0 || ro_compat & !EXT3_RO_COMPAT != 0 => Ext::Four,
        _ if compat & EXT_HAS_JOURNAL != 0 => Ext::Three,
        _ => Ext::Two,
    })
}

/// No journal and nothing that came with ext4.
pub(super) fn ext2(peek: &Peek, _: u64) -> bool {
    ext_kind(peek) == Some(Ext::Two)
}

/// A journal and nothing that came with ext4.
pub(super) fn ext3(peek: &Peek, _: u64) -> bool {
    ext_kind(peek) == Some(Ext::Three)
}

/// Some feature that ext3 does not know.
pub(super) fn ext4(peek: &Peek, _: u64) -> bool {
    ext_kind(peek) == Some(Ext::Four)
}

/// A device that is nothing but the journal of another.
pub(super) fn ext_journal(peek: &Peek, _: u64) -> bool {
    ext_kind(peek) == Some(Ext::Journal)
}

/// A log record's version is 1 or 2 (a cycle number stands between magic and version).
pub(super) fn xfs_log(peek: &Peek, at: u64) -> bool {
    matches!(peek.be32(at, 8), Some(1 | 2))
}

/// `sb_fs_format` is 1309 in GFS and 1800 upward in GFS2.
pub(super) fn gfs1(peek: &Peek, at: u64) -> bool {
    matches!(peek.be32(at, 24), Some(1300..=1399))
}

/// See [`gfs1`].
pub(super) fn not_gfs1(peek: &Peek, at: u64) -> bool {
    !gfs1(peek, at)
}

/// Revision 2 stands six bytes before the magic; the checked length behind it is at most a block.
pub(super) fn nilfs2(peek: &Peek, at: u64) -> bool {
    let Some(base) = at.checked_sub(6) else { return false };
    peek.le32(base, 0) == Some(2) && matches!(peek.le16(base, 8), Some(1..=1024))
}

/// Versions 1 and 2, names of 14 and 30 bytes, both byte orders.
pub(super) const MINIX_1_2_MAGICS: &[&[u8]] =
    &[b"\x7f\x13", b"\x8f\x13", b"\x13\x7f", b"\x13\x8f", b"\x68\x24", b"\x78\x24", b"\x24\x68", b"\x24\x78"];

/// Minix keeps 16 bits of magic where ext keeps a counter; whoever says ext there is ext.
fn not_ext(peek: &Peek) -> bool {
    !peek.has(1080, b"\x53\xef")
}

/// Inodes, and zones of one block.
pub(super) fn minix_1_2(peek: &Peek, _: u64) -> bool {
    peek.le16(KIB, 0).is_some_and(|inodes| inodes != 0) && peek.le16(KIB, 10) == Some(0) && not_ext(peek)
}

/// The same in the wider superblock of version 3.
pub(super) fn minix_3(peek: &Peek, _: u64) -> bool {
    peek.le32(KIB, 0).is_some_and(|inodes| inodes != 0) && peek.le16(KIB, 12) == Some(0) && not_ext(peek)
}

/// Allocation blocks are a multiple of 512 bytes.
pub(super) fn hfs(peek: &Peek, at: u64) -> bool {
    peek.be32(at, 20).is_some_and(|block| block != 0 && block % 512 == 0)
}

/// "H+" is version 4, "HX" version 5.
pub(super) fn hfsplus(peek: &Peek, at: u64) -> bool {
    matches!(peek.be16(at, 2), Some(4 | 5))
}

/// The driver descriptor names its block size.
pub(super) fn apple_driver_map(peek: &Peek, at: u64) -> bool {
    matches!(peek.be16(at, 2), Some(512 | 1024 | 2048 | 4096))
}

/// The exclusive-or of all 16-bit words of a Sun label is zero.
pub(super) fn sun(peek: &Peek, _: u64) -> bool {
    let Some(label) = peek.bytes(0, 512) else { return false };
    label.chunks_exact(2).fold([0u8; 2], |sum, word| [sum[0] ^ word[0], sum[1] ^ word[1]]) == [0, 0]
}
