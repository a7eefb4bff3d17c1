//! Every maximum of the house, by name, with const asserts on how they relate.

use crate::base::units::{BLOCK_BYTES, KIB, MIB};

/// Highest node id (design section 2); the field on disk is 16 bits wide.
pub const NODE_ID_MAX: u16 = 64;
/// Member disks of one container, released ones not counted.
pub const DISKS_MAX: usize = 256;
/// Removed disks that a container remembers; the longest removed are forgotten first.
pub const RELEASED_DISKS_MAX: usize = 256;
/// Highest disk number ever given out in one container.
pub const DISK_NUMBER_MAX: u16 = u16::MAX - 1;
/// Volumes of one container.
pub const VOLUMES_MAX: usize = 16_384;
/// Runs of extents of one region.
pub const RUNS_PER_REGION_MAX: usize = 4096;
/// Runs of extents waiting in quarantine after delete or shrink (safety 2.7).
pub const FREED_RUNS_MAX: usize = 65_536;
/// Incarnations that may hold one container at once.
pub const HOLDERS_MAX: usize = 64;
/// Stripes of one striped region.
pub const STRIPES_MAX: u16 = 64;
/// Smallest stripe unit.
pub const STRIPE_BYTES_MIN: u64 = 4 * KIB;
/// Largest stripe unit.
pub const STRIPE_BYTES_MAX: u64 = 16 * MIB;
/// Smallest extent of a container.
pub const EXTENT_BYTES_MIN: u64 = MIB;
/// Largest extent of a container.
pub const EXTENT_BYTES_MAX: u64 = 1024 * MIB;
/// Extent of a container when nothing else is asked.
pub const EXTENT_BYTES_DEFAULT: u64 = 4 * MIB;
/// Bytes of a name (design section 4).
pub const NAME_BYTES_MAX: usize = 60;
/// Bytes of the sentence that says what a commit changed.
pub const CHANGE_TEXT_BYTES_MAX: usize = 200;
/// Changes of whose a container is that its model remembers; the oldest give way.
pub const DEEDS_MAX: usize = 64;
/// Bytes of the sentence of such a change: from whom, on which evidence, and the reason that somebody gave.
pub const DEED_TEXT_BYTES_MAX: usize = 512;
/// Bytes of a disk's WWID as the kernel prints it.
pub const WWID_BYTES_MAX: usize = 256;
/// Longest slot, header included.
pub const SLOT_BYTES_MAX: u64 = 64 * MIB;
/// Shortest slot, header included: one block of header, one of body.
pub const SLOT_BYTES_MIN: u64 = 2 * BLOCK_BYTES;
/// Longest area of node blocks that is believed: all of it is read at an opening.
pub const NODE_BLOCKS_BYTES_MAX: u64 = 16 * MIB;
/// Longest history ring that is believed: all of it is read at an opening that keeps history.
pub const HISTORY_BYTES_MAX: u64 = 64 * MIB;
/// Sections of one model; more is damage.
pub const SECTIONS_MAX: usize = 64;
/// Areas in one label.
pub const AREAS_MAX: usize = 32;
/// Disks looked at in one discovery.
pub const CANDIDATE_DISKS_MAX: usize = 4096;
/// Openings tried against competitors before giving up with their names.
pub const OPENING_TRIES_MAX: u32 = 8;
/// Bytes read at each end of a disk that is not ours (issue: discovery).
pub const LOOK_BYTES: u64 = 8 * KIB;
/// Bytes read at each end of a disk before it is taken: every place where a foreign signature is expected, but
/// VMFS outside of a partition (1 and 2 MiB) and LUKS2 copies behind an unusually large first header.
pub const DEEP_LOOK_BYTES: u64 = MIB;
/// Longest single read or write asked of a device.
pub const IO_BYTES_MAX: u64 = MIB;

const _: () = assert!(SLOT_BYTES_MIN <= SLOT_BYTES_MAX);
const _: () = assert!(IO_BYTES_MAX.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(LOOK_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(LOOK_BYTES <= DEEP_LOOK_BYTES && DEEP_LOOK_BYTES.is_multiple_of(BLOCK_BYTES));
const _: () = assert!(EXTENT_BYTES_MIN <= EXTENT_BYTES_DEFAULT && EXTENT_BYTES_DEFAULT <= EXTENT_BYTES_MAX);
// One change may remove all disks but one, and the old set must stay known until it is settled.
const _: () = assert!(DISKS_MAX <= RELEASED_DISKS_MAX);
const _: () = assert!(STRIPE_BYTES_MIN <= STRIPE_BYTES_MAX && STRIPE_BYTES_MIN.is_multiple_of(BLOCK_BYTES));
