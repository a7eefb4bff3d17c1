//! The table of foreign magic bytes. Each row's offsets are those of the magic itself, not of the structure
//! around it. Facts come from the formats' own specifications and headers, and from libblkid's list of probes;
//! `tests/foreign.rs` holds them against the tools that write them.

use super::super::peek::Peek;
use super::checks;
use crate::base::units::{KIB, MIB};
use crate::format::arbitration;

/// Where a magic may stand, in bytes.
pub(super) enum Place {
    /// At any of these offsets from the start of the disk.
    Head(&'static [u64]),
    /// At any of these distances before the end of the disk, its size rounded down to `unit` first.
    Tail {
        /// The size is rounded down to a multiple of this.
        unit: u64,
        /// Distances from there back to the magic.
        before_end: &'static [u64],
    },
    /// At `first` or up to `count - 1` steps behind it.
    HeadEvery {
        /// Offset of the first place.
        first: u64,
        /// From one place to the next.
        step: u64,
        /// How many places.
        count: u64,
    },
    /// The same, beginning at a distance before the end.
    TailEvery {
        /// The size is rounded down to a multiple of this.
        unit: u64,
        /// Distance from there back to the first place.
        before_end: u64,
        /// From one place to the next.
        step: u64,
        /// How many places.
        count: u64,
    },
}

/// One kind of signature in one family of places.
pub(super) struct Row {
    /// The word of `--wipe`.
    pub(super) name: &'static str,
    /// For people.
    pub(super) what: &'static str,
    /// Where to look.
    pub(super) place: Place,
    /// Any of these bytes.
    pub(super) magics: &'static [&'static [u8]],
    /// What else must hold; given the offset of the magic.
    pub(super) check: fn(&Peek, u64) -> bool,
}

/// A row that needs no more than its magic.
const fn plain(
    name: &'static str,
    what: &'static str,
    place: Place,
    magics: &'static [&'static [u8]],
) -> Row {
    Row { name, what, place, magics, check: checks::any }
}

/// A row whose magic is short or shared, and asks for more.
const fn checked(
    name: &'static str,
    what: &'static str,
    place: Place,
    magics: &'static [&'static [u8]],
    check: fn(&Peek, u64) -> bool,
) -> Row {
    Row { name, what, place, magics, check }
}

const START: Place = Place::Head(&[0]);
/// Size of one ZFS label; two at each end of the disk, whose size is rounded down to it.
const ZFS_LABEL: u64 = 256 * KIB;
/// Where in a ZFS label the configuration says "version": behind 16 KiB, an XDR header of 20 bytes.
const ZFS_CONFIG: u64 = 16 * KIB + 20;
/// The ring of uberblocks is the second half of a label.
const ZFS_RING: u64 = 128 * KIB;
const ZFS_CONFIG_MAGIC: &[&[u8]] = &[b"\0\0\0\x07version\0"];
const ZFS_UBERBLOCK_MAGIC: &[&[u8]] = &[b"\x0c\xb1\xba\0\0\0\0\0", b"\0\0\0\0\0\xba\xb1\x0c"];
/// The last ten bytes of a page of 4, 8, 16, 32 or 64 KiB.
const PAGE_ENDS: Place = Place::Head(&[0xff6, 0x1ff6, 0x3ff6, 0x7ff6, 0xfff6]);
const MD: &[&[u8]] = &[b"\xfc\x4e\x2b\xa9"];
const BCACHE: &[&[u8]] = &[b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"];
const BCACHEFS: &[&[u8]] = &[b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"];
const EXT: Place = Place::Head(&[1080]);
const EXT_MAGIC: &[&[u8]] = &[b"\x53\xef"];
const GFS_MAGIC: &[&[u8]] = &[b"\x01\x16\x19\x70"];
/// `fs_magic`, 1372 bytes into a UFS superblock, which stands at 0, 8, 64 or 256 KiB.
const UFS: Place = Place::Head(&[1372, 8 * KIB + 1372, 64 * KIB + 1372, 256 * KIB + 1372]);
/// The copies of a LUKS2 header that `cryptsetup` can make, by size of the JSON area.
const LUKS2_COPIES: Place =
    Place::Head(&[16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB]);
/// Sectors before the end where Promise controllers keep their metadata, by drive geometry.
const PROMISE: Place = Place::Tail {
    unit: 512,
    before_end: &[
        16 * 512,
        63 * 512,
        255 * 512,
        256 * 512,
        399 * 512,
        591 * 512,
        675 * 512,
        735 * 512,
        911 * 512,
        951 * 512,
        974 * 512,
        991 * 512,
        3087 * 512,
    ],
};

/// Every signature but the boot sector's.
pub(super) const TABLE: &[Row] = &[
    // Volume managers, RAID, replication.
    plain("evms-arbitration", "arbitration disk of an evms cluster", START, &[arbitration::HEAD_MAGIC]),
    plain("lvm2", "LVM2 physical volume", Place::Head(&[0, 512, 1024, 1536]), &[b"LABELONE"]),
    checked("lvm1", "LVM1 physical volume", START, &[b"HM"], checks::lvm1),
    checked("dm-snapshot", "device-mapper snapshot store", START, &[b"SnAp"], checks::dm_snapshot),
    plain("dm-verity", "dm-verity hash area", START, &[b"verity\0\0"]),
    plain("dm-integrity", "dm-integrity device", START, &[b"integrt\0"]),
    // Superblocks of kernel drivers: checksum, flags, block number and UUID come before the magic.
    plain("dm-thin", "thin pool metadata", Place::Head(&[32]), &[b"\xba\x52\x9c\x01\0\0\0\0"]),
    plain("dm-cache", "cache metadata", Place::Head(&[32]), &[b"\x03\xc4\x18\0\0\0\0\0"]),
    plain("dm-era", "era metadata", Place::Head(&[32]), &[b"\x7b\x07\xc1\x7e\0\0\0\0"]),
    plain("dm-clone", "clone metadata", Place::Head(&[32]), &[b"\x64\x7f\xf2\x8a\0\0\0\0"]),
    checked("dm-writecache", "write cache", START, &[b"\x21\x93\x48\x23"], checks::dm_writecache),
    plain("vdo", "VDO volume", START, &[b"dmvdo001"]),
    plain("stratis", "Stratis member", Place::Head(&[516, 4612]), &[b"!Stra0tis\x86\xff\x02^\x41rh"]),
    checked("md", "Linux RAID member (1.1, 1.2)", Place::Head(&[0, 4 * KIB]), MD, checks::md1),
    checked(
        "md",
        "Linux RAID member (1.0)",
        Place::Tail { unit: 4 * KIB, before_end: &[8 * KIB] },
        MD,
        checks::md1,
    ),
    checked(
        "md",
        "Linux RAID member (0.90)",
        Place::Tail { unit: 64 * KIB, before_end: &[64 * KIB] },
        &[b"\xfc\x4e\x2b\xa9", b"\xa9\x2b\x4e\xfc"],
        checks::md0,
    ),
    plain(
        "imsm",
        "Intel firmware RAID member",
        Place::Tail { unit: 512, before_end: &[1024] },
        &[b"Intel Raid ISM Cfg Sig. "],
    ),
    plain(
        "imsm",
        "Intel firmware RAID member (4 KiB sectors)",
        Place::Tail { unit: 4 * KIB, before_end: &[8 * KIB] },
        &[b"Intel Raid ISM Cfg Sig. "],
    ),
    plain(
        "ddf",
        "DDF firmware RAID member",
        Place::Tail { unit: 512, before_end: &[512, 257 * 512] },
        &[b"\xde\x11\xde\x11", b"\x11\xde\x11\xde"],
    ),
    plain(
        "adaptec",
        "Adaptec firmware RAID member",
        Place::Tail { unit: 512, before_end: &[512] },
        &[b"\x37\xfc\x4d\x1e"],
    ),
    plain("lsi", "LSI firmware RAID member", Place::Tail { unit: 512, before_end: &[512] }, &[b"$XIDE$"]),
    plain(
        "nvidia",
        "NVIDIA firmware RAID member",
        Place::Tail { unit: 512, before_end: &[1024] },
        &[b"NVIDIA  "],
    ),
    plain("promise", "Promise firmware RAID member", PROMISE, &[b"Promise Technology, Inc."]),
    plain(
        "highpoint",
        "HighPoint firmware RAID member",
        Place::Head(&[4640]),
        &[b"\xf0\x16\x78\x5a", b"\xfd\x16\x78\x5a"],
    ),
    plain(
        "highpoint",
        "HighPoint firmware RAID member (45x)",
        Place::Tail { unit: 512, before_end: &[11 * 512] },
        &[b"\xf3\x16\x78\x5a", b"\xfd\x16\x78\x5a"],
    ),
    plain(
        "drbd",
        "DRBD internal metadata",
        Place::Tail { unit: 4 * KIB, before_end: &[4 * KIB - 60] },
        &[b"\x83\x74\x02\x6a", b"\x83\x74\x02\x6b", b"\x83\x74\x02\x6c", b"\x83\x74\x02\x6d"],
    ),
    plain("drbd", "DRBD manage control volume", START, &[b"$DRBDmgr=q"]),
    plain("drbd", "DRBD proxy data log", START, &[b"DRBDdlh*"]),
    plain("sanlock", "sanlock lockspace", START, &[b"\x10\x20\x21\x12"]),
    plain(
        "sanlock",
        "sanlock resource lease",
        Place::Head(&[0, MIB]),
        &[b"\x10\x20\x15\x06", b"\x16\x20\x28\x11"],
    ),
    plain("sanlock", "sanlock resource index", START, &[b"\x18\x20\x04\x01"]),
    plain("sbd", "SBD fencing device", START, &[b"SBD_SBD_"]),
    plain("bluestore", "Ceph BlueStore device", START, &[b"bluestore block device"]),
    plain("oracleasm", "Oracle ASM disk", Place::Head(&[32]), &[b"ORCLDISK"]),
    plain("vmfs", "VMFS volume member", Place::Head(&[MIB]), &[b"\x0d\xd0\x01\xc0"]),
    plain("vmfs", "VMFS file system", Place::Head(&[2 * MIB]), &[b"\x5e\xf1\xab\x2f"]),
    plain("ldm", "Windows dynamic disk", Place::Head(&[6 * 512]), &[b"PRIVHEAD"]),
    plain(
        "ldm",
        "Windows dynamic disk",
        Place::Tail { unit: 512, before_end: &[512, 192 * 512] },
        &[b"PRIVHEAD"],
    ),
    plain("bcache", "bcache device", Place::Head(&[4 * KIB + 24]), BCACHE),
    plain("bcachefs", "bcachefs member", Place::Head(&[4 * KIB + 24, 2 * MIB + 24]), BCACHEFS),
    plain(
        "bcachefs",
        "bcachefs member (last copy)",
        Place::Tail { unit: 512, before_end: &[MIB - 24] },
        BCACHEFS,
    ),
    plain("zfs", "ZFS label", Place::Head(&[ZFS_CONFIG, ZFS_LABEL + ZFS_CONFIG]), ZFS_CONFIG_MAGIC),
    plain(
        "zfs",
        "ZFS label (at the end)",
        Place::Tail { unit: ZFS_LABEL, before_end: &[2 * ZFS_LABEL - ZFS_CONFIG, ZFS_LABEL - ZFS_CONFIG] },
        ZFS_CONFIG_MAGIC,
    ),
    plain(
        "zfs",
        "ZFS uberblock",
        Place::HeadEvery { first: ZFS_RING, step: KIB, count: 128 },
        ZFS_UBERBLOCK_MAGIC,
    ),
    plain(
        "zfs",
        "ZFS uberblock",
        Place::HeadEvery { first: ZFS_LABEL + ZFS_RING, step: KIB, count: 128 },
        ZFS_UBERBLOCK_MAGIC,
    ),
    plain(
        "zfs",
        "ZFS uberblock (at the end)",
        Place::TailEvery { unit: ZFS_LABEL, before_end: ZFS_LABEL + ZFS_RING, step: KIB, count: 128 },
        ZFS_UBERBLOCK_MAGIC,
    ),
    plain(
        "zfs",
        "ZFS uberblock (at the end)",
        Place::TailEvery { unit: ZFS_LABEL, before_end: ZFS_RING, step: KIB, count: 128 },
        ZFS_UBERBLOCK_MAGIC,
    ),
    // Encryption.
    checked("luks1", "LUKS1 encrypted device", START, &[b"LUKS\xba\xbe"], checks::luks1),
    checked("luks2", "LUKS2 encrypted device", START, &[b"LUKS\xba\xbe"], checks::not_luks1),
    plain("luks2", "LUKS2 second header", LUKS2_COPIES, &[b"SKUL\xba\xbe"]),
    plain("bitlocker", "BitLocker encrypted volume", Place::Head(&[3]), &[b"-FVE-FS-"]),
    // File systems and swap.
    checked("ext2", "ext2 file system", EXT, EXT_MAGIC, checks::ext2),
    checked("ext3", "ext3 file system", EXT, EXT_MAGIC, checks::ext3),
    checked("ext4", "ext4 file system", EXT, EXT_MAGIC, checks::ext4),
    checked("jbd", "external journal of an ext file system", EXT, EXT_MAGIC, checks::ext_journal),
    plain("xfs", "XFS file system", START, &[b"XFSB"]),
    checked("xfs-log", "external log of an XFS file system", START, &[b"\xfe\xed\xba\xbe"], checks::xfs_log),
    plain("btrfs", "btrfs file system", Place::Head(&[64 * KIB + 64]), &[b"_BHRfS_M"]),
    plain("f2fs", "F2FS file system", Place::Head(&[KIB, 5 * KIB]), &[b"\x10\x20\xf5\xf2"]),
    checked("gfs", "GFS file system", Place::Head(&[64 * KIB]), GFS_MAGIC, checks::gfs1),
    checked("gfs2", "GFS2 file system", Place::Head(&[64 * KIB]), GFS_MAGIC, checks::not_gfs1),
    plain("ocfs", "OCFS file system", Place::Head(&[8 * KIB]), &[b"OracleCFS"]),
    plain("ocfs2", "OCFS2 file system", Place::Head(&[KIB, 2 * KIB, 4 * KIB, 8 * KIB]), &[b"OCFSV2"]),
    plain(
        "reiserfs",
        "ReiserFS file system",
        Place::Head(&[8 * KIB + 20, 8 * KIB + 52, 64 * KIB + 52]),
        &[b"ReIsErFs"],
    ),
    plain("reiserfs", "ReiserFS file system", Place::Head(&[64 * KIB + 52]), &[b"ReIsEr2Fs", b"ReIsEr3Fs"]),
    plain("reiser4", "Reiser4 file system", Place::Head(&[64 * KIB]), &[b"ReIsEr4"]),
    plain("jfs", "JFS file system", Place::Head(&[32 * KIB]), &[b"JFS1"]),
    checked("nilfs2", "NILFS2 file system", Place::Head(&[KIB + 6]), &[b"\x34\x34"], checks::nilfs2),
    checked(
        "nilfs2",
        "NILFS2 file system (second superblock)",
        Place::Tail { unit: 512, before_end: &[4 * KIB - 6] },
        &[b"\x34\x34"],
        checks::nilfs2,
    ),
    checked(
        "nilfs2",
        "NILFS2 file system (second superblock)",
        Place::Tail { unit: 4 * KIB, before_end: &[4 * KIB - 6] },
        &[b"\x34\x34"],
        checks::nilfs2,
    ),
    plain("erofs", "EROFS file system", Place::Head(&[KIB]), &[b"\xe2\xe1\xf5\xe0"]),
    plain("squashfs", "squashfs file system", START, &[b"hsqs", b"sqsh"]),
    plain("cramfs", "cramfs file system", START, &[b"\x45\x3d\xcd\x28", b"\x28\xcd\x3d\x45"]),
    plain("romfs", "romfs file system", START, &[b"-rom1fs-"]),
    plain("zonefs", "zonefs file system", START, &[b"SFOZ"]),
    plain("ubi", "UBI device", START, &[b"UBI#"]),
    plain("ubifs", "UBIFS file system", START, &[b"\x31\x18\x10\x06"]),
    checked(
        "minix",
        "Minix file system",
        Place::Head(&[KIB + 16]),
        checks::MINIX_1_2_MAGICS,
        checks::minix_1_2,
    ),
    checked(
        "minix",
        "Minix 3 file system",
        Place::Head(&[KIB + 24]),
        &[b"\x5a\x4d", b"\x4d\x5a"],
        checks::minix_3,
    ),
    plain("befs", "BeFS file system", Place::Head(&[32, 544]), &[b"BFS1", b"1SFB"]),
    plain("bfs", "SCO BFS file system", START, &[b"\xce\xfa\xad\x1b"]),
    plain("hpfs", "HPFS file system", Place::Head(&[8 * KIB]), &[b"\x49\xe8\x95\xf9"]),
    plain("vfat", "FAT file system", Place::Head(&[82]), &[b"FAT32   ", b"MSWIN"]),
    plain("vfat", "FAT file system", Place::Head(&[54]), &[b"FAT16   ", b"FAT12   ", b"FAT     ", b"MSDOS"]),
    plain("exfat", "exFAT file system", Place::Head(&[3]), &[b"EXFAT   "]),
    plain(
        "exfat",
        "exFAT file system (second boot sector)",
        Place::Head(&[12 * 512 + 3, 12 * 4 * KIB + 3]),
        &[b"EXFAT   "],
    ),
    plain("ntfs", "NTFS file system", Place::Head(&[3]), &[b"NTFS    "]),
    plain(
        "ntfs",
        "NTFS file system (second boot sector)",
        Place::Tail { unit: 512, before_end: &[512 - 3] },
        &[b"NTFS    "],
    ),
    plain("refs", "ReFS file system", START, &[b"\0\0\0ReFS\0"]),
    checked("hfs", "HFS file system", Place::Head(&[KIB]), &[b"BD"], checks::hfs),
    checked(
        "hfs",
        "HFS file system (second header)",
        Place::Tail { unit: 512, before_end: &[KIB] },
        &[b"BD"],
        checks::hfs,
    ),
    checked("hfsplus", "HFS+ file system", Place::Head(&[KIB]), &[b"H+", b"HX"], checks::hfsplus),
    checked(
        "hfsplus",
        "HFS+ file system (second header)",
        Place::Tail { unit: 512, before_end: &[KIB] },
        &[b"H+", b"HX"],
        checks::hfsplus,
    ),
    plain("apfs", "APFS container", Place::Head(&[32]), &[b"NXSB"]),
    plain(
        "udf",
        "UDF file system",
        Place::HeadEvery { first: 32 * KIB + 1, step: 2 * KIB, count: 64 },
        &[b"NSR02", b"NSR03"],
    ),
    plain("iso9660", "ISO 9660 file system", Place::Head(&[32 * KIB + 1]), &[b"CD001"]),
    plain("iso9660", "High Sierra file system", Place::Head(&[32 * KIB + 9]), &[b"CDROM"]),
    plain(
        "ufs",
        "UFS file system",
        UFS,
        &[b"\x54\x19\x01\0", b"\0\x01\x19\x54", b"\x19\x01\x54\x19", b"\x19\x54\x01\x19"],
    ),
    plain("vxfs", "VxFS file system", Place::Head(&[KIB]), &[b"\xf5\xfc\x01\xa5"]),
    plain("vxfs", "VxFS file system", Place::Head(&[8 * KIB]), &[b"\xa5\x01\xfc\xf5"]),
    plain("swap", "swap space", PAGE_ENDS, &[b"SWAPSPACE2", b"SWAP-SPACE"]),
    plain(
        "swsuspend",
        "sleeping system's memory in swap space",
        PAGE_ENDS,
        &[b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"],
    ),
    plain("swsuspend", "sleeping system's memory (TuxOnIce)", START, &[b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c"]),
    // Partition tables; the MBR is in `boot.rs`.
    plain("gpt", "GPT partition table", Place::Head(&[512, 4 * KIB]), &[b"EFI PART"]),
    plain(
        "gpt",
        "backup of a GPT partition table",
        Place::Tail { unit: 512, before_end: &[512] },
        &[b"EFI PART"],
    ),
    plain(
        "gpt",
        "backup of a GPT partition table (4 KiB sectors)",
        Place::Tail { unit: 4 * KIB, before_end: &[4 * KIB] },
        &[b"EFI PART"],
    ),
    plain("bsd", "BSD disklabel", Place::Head(&[64, 128, 512]), &[b"\x57\x45\x56\x82", b"\x82\x56\x45\x57"]),
    plain("bsd", "DragonFly BSD disklabel", Place::Head(&[512]), &[b"\x59\x4c\x46\xc4"]),
    checked("mac", "Apple partition map", START, &[b"ER"], checks::apple_driver_map),
    plain("mac", "Apple partition map", Place::Head(&[512, 2 * KIB, 4 * KIB]), &[b"PM\0\0"]),
    checked("sun", "Sun disklabel", Place::Head(&[508]), &[b"\xda\xbe"], checks::sun),
    plain("sgi", "SGI disk volume header", START, &[b"\x0b\xe5\xa9\x41"]),
    plain("amiga", "Amiga partition table", Place::HeadEvery { first: 0, step: 512, count: 16 }, &[b"RDSK"]),
    plain("aix", "AIX physical volume", START, &[b"\xc9\xc2\xd4\xc1"]),
    plain("parted-loop", "whole-disk label of GNU Parted", START, &[b"GNU Parted Loopback 0"]),
    // Disk images written where a disk was meant.
    plain("qcow2", "QCOW disk image", START, &[b"QFI\xfb"]),
    plain("qed", "QED disk image", START, &[b"QED\0"]),
    plain("vmdk", "VMDK disk image", START, &[b"KDMV", b"COWD", b"# Disk DescriptorFile"]),
    plain("vhd", "VHD disk image", START, &[b"conectix"]),
    plain("vhd", "VHD disk image (footer)", Place::Tail { unit: 512, before_end: &[512] }, &[b"conectix"]),
    plain("vhdx", "VHDX disk image", START, &[b"vhdxfile"]),
    plain("vdi", "VDI disk image", Place::Head(&[64]), &[b"\x7f\x10\xda\xbe"]),
    plain("parallels", "Parallels disk image", START, &[b"WithoutFreeSpace", b"WithouFreSpacExt"]),
];
