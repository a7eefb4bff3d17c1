//! The first 4096 bytes of a member disk. They carry nothing that evms reads: the label stands behind them.
//! They are there for everybody else, so that no tool takes the disk for an empty one, and so that the kernel
//! makes no partition of it on which somebody could build a file system.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 21 | `GNU Parted Loopback 0`: GNU Parted's own word for "this disk is used whole" |
//! | 32 | 16 | `evms member disk`, by which [`is_ours`] knows it |
//! | 48 | ..440 | a sentence for people, zero-filled |
//! | 440 | 6 | disk signature: zero, so that udev has nothing to name a link after |
//! | 446 | 16 | one entry of type EE from sector 1 to the end, at most 2^32 - 1 sectors of 512 bytes |
//! | 462 | 48 | three entries, zero |
//! | 510 | 2 | 55 AA |
//! | 512 | 3584 | zero |
//!
//! Chosen by experiment, on image files and loop devices, among: all zero; an MBR without partitions; one of
//! type DA; one of type EE; Parted's signature alone; and this. `tests/first_block.rs` repeats what counts.
//!
//! | asked | an empty disk | EE alone | this block |
//! |---|---|---|---|
//! | `wipefs -n` (util-linux 2.38) | nothing | `0x1fe PMBR` | `0x1fe PMBR` |
//! | `blkid -p` | nothing | `PTTYPE="PMBR"` | `PTTYPE="PMBR"` and no UUID |
//! | `parted -s print` (3.5) | `unrecognised disk label` | `unrecognised disk label` | `Partition Table: loop`, one partition, all of the disk |
//! | `sfdisk -l` | nothing | one partition, `ee GPT` | one partition, `ee GPT` |
//! | `mkfs.ext4` on a terminal (1.47) | writes | `Found a PMBR partition table`, asks | the same |
//! | `mkfs.xfs`, `mkfs.btrfs` | write | refuse without `-f` | refuse without `-f` |
//! | `pvcreate` (2.03) | writes | `Cannot use …: device is partitioned` | the same |
//! | `cryptsetup luksFormat` on a terminal (2.6) | asks | `already contains a 'PMBR' partition signature`, asks | the same |
//! | partitions the kernel makes (Debian's 6.1, sectors of 512 and 4096 bytes, disks of 64 MiB and 3 TiB) | none | none | none |
//!
//! An MBR without partitions is "msdos" to Parted, but a disk of free space too, and `pvcreate` only asks
//! where it refuses here. Type DA is one partition to everybody, and a block device of its own to the kernel.
//! A GPT needs space behind 4 KiB on disks with sectors of 4 KiB, where the label stands.
//!
//! What no content prevents: without a terminal `mkfs.ext4` asks nobody and looks at nothing (it overwrites an
//! ext4 and an LVM2 label just so); `cryptsetup` then warns and goes on, and so does `mkswap` always;
//! `mkfs.vfat`, `mkfs.exfat` and `mkntfs` never look for signatures. What stops them is a device that is held
//! open: an active container's disks are.
//!
//! An entry of type EE without a GPT is all the kernel needs to leave the disk alone, unless a stale backup GPT
//! stands at the end of the disk and the kernel's command line says `gpt`: then it makes the partitions of that
//! one. So a stale backup is foreign, and must be gone before the disk is taken.
//!
//! The block is no boot code, and cannot be any: Parted's word stands where the code would begin. A BIOS that
//! boots from such a disk stops there, so it does not belong into the boot order.

use crate::base::units::{BLOCK_BYTES, Bytes, SECTOR_BYTES};

/// Length of the first block.
pub const BYTES: usize = BLOCK_BYTES as usize;

/// `LOOP_SIGNATURE` of libparted.
const PARTED: &[u8] = b"GNU Parted Loopback 0";
const MARK_AT: usize = 32;
const MARK: &[u8] = b"evms member disk";
const TEXT: &[u8] = b": all of it is in use, it is not empty.\r\n\
    Do not partition, format or mount it; to see what it is part of, say `evms info'.\r\n";
/// Code, by the MBR's rules, ends here.
const CODE_END: usize = 440;
const ENTRIES_AT: usize = 446;
const ENTRY_BYTES: usize = 16;
/// Status, first sector by cylinder-head-sector, type EE, last sector, first sector (UEFI 2.10, table 5.4).
const ENTRY: [u8; 12] = [0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0];
const LENGTH_AT: usize = ENTRIES_AT + ENTRY.len();
const MAGIC_AT: usize = 510;
const MAGIC: [u8; 2] = [0x55, 0xaa];

const _: () = assert!(PARTED.len() <= MARK_AT);
const _: () = assert!(MARK_AT + MARK.len() + TEXT.len() <= CODE_END);
const _: () = assert!(ENTRIES_AT + 4 * ENTRY_BYTES == MAGIC_AT);
const _: () = assert!(MAGIC_AT + MAGIC.len() == SECTOR_BYTES as usize);

/// The first block of a member disk of this size. The size only shows in what other tools print.
pub fn encode(size: Bytes) -> [u8; BYTES] {
    let behind_first = size.whole_sectors().0.saturating_sub(1).max(1);
    let length = u32::try_from(behind_first).unwrap_or(u32::MAX);
    let mut block = [0; BYTES];
    for (at, bytes) in [
        (0, PARTED),
        (MARK_AT, MARK),
        (MARK_AT + MARK.len(), TEXT),
        (ENTRIES_AT, &ENTRY),
        (LENGTH_AT, &length.to_le_bytes()),
        (MAGIC_AT, &MAGIC),
    ] {
        block[at..at + bytes.len()].copy_from_slice(bytes);
    }
    block
}

/// Whether this is the first block of a member disk; the first 512 bytes suffice. The sentence for people and
/// the size may differ, a partition may not.
pub fn is_ours(block: &[u8]) -> bool {
    let Some(sector) = block.get(..SECTOR_BYTES as usize) else { return false };
    sector.starts_with(PARTED)
        && sector[MARK_AT..].starts_with(MARK)
        && sector[ENTRIES_AT..].starts_with(&ENTRY)
        && sector[ENTRIES_AT + ENTRY_BYTES..MAGIC_AT].iter().all(|byte| *byte == 0)
        && sector[MAGIC_AT..] == MAGIC
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::{GIB, MIB};

    #[test]
    fn the_entry_covers_the_disk_up_to_32_bits() {
        for (size, length) in [(Bytes(64 * MIB), 131_071u32), (Bytes(4096 * GIB), u32::MAX), (Bytes::ZERO, 1)]
        {
            assert_eq!(encode(size)[458..462], length.to_le_bytes(), "{size}");
        }
    }

    #[test]
    fn our_block_is_known_at_any_size_and_a_changed_one_is_not() {
        let block = encode(Bytes(GIB));
        assert!(is_ours(&block) && is_ours(&block[..512]) && is_ours(&encode(Bytes(u64::MAX))));
        assert!(!is_ours(&block[..511]) && !is_ours(&[]) && !is_ours(&[0; BYTES]));
        for at in [0, MARK_AT, ENTRIES_AT + 4, ENTRIES_AT + 16 + 4, MAGIC_AT] {
            let mut changed = block;
            changed[at] ^= 0x83;
            assert!(!is_ours(&changed), "byte {at}");
        }
    }
}
