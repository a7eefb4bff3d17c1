//! Disks that go wrong in a chosen way: between a disk and who uses it stands a device of device-mapper whose table is
//! exchanged while it is in use. It is no disk to evms unless it is named (`--disk`, `EVMS_DISKS`).

use crate::guest::Guest;
use crate::task::wait_until;
use crate::trouble::Trouble;

/// What a disk does with what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All of it.
    Well,
    /// Every read and every write fails: the disk is gone, its cable is out.
    Gone,
    /// Writes fail, reads do not.
    FailsWrites,
    /// Writes are taken and never land.
    LosesWrites,
    /// Writes land with one byte of each wrong. (Spoiling reads does nothing in Linux 6.1, though it can be asked for.)
    SpoilsWrites,
    /// Reads fail in so many sectors from one on.
    Unreadable {
        /// The first of them.
        begin: u64,
        /// How many.
        count: u64,
    },
    /// Everything takes so many milliseconds longer.
    Late(u32),
    /// Nothing ever comes back, until it goes another way.
    Hangs,
}

/// A disk with a fault in front of it.
#[derive(Debug)]
pub struct Faulty {
    name: String,
    disk: String,
    node: String,
    sectors: u64,
}

/// Byte of every piece that lands wrong, and what it is instead.
const ROTTEN_BYTE: u32 = 32;
const ROTTEN_VALUE: u32 = 0xa5;

impl Faulty {
    /// Puts a fault in front of a disk; until it is told otherwise the disk is well.
    pub fn over(guest: &mut Guest, name: &str, disk: &str) -> Result<Self, Trouble> {
        let sectors = guest.ok(&format!("blockdev --getsz {disk}"))?;
        let sectors =
            sectors.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{sectors}' is no size")))?;
        let mut fault = Self { name: name.into(), disk: disk.into(), node: String::new(), sectors };
        guest.ok(&format!("printf '{}' | dmsetup create {name}", fault.table(Way::Well)))?;
        let node = guest.ok(&format!("dmsetup info -c --noheadings -o blkdevname {name}"))?;
        fault.node = format!("/dev/{}", node.trim());
        wait_until(guest, &format!("[ -b {} ]", fault.node))?;
        Ok(fault)
    }

    /// What it is used by.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The disk behind it.
    pub fn disk(&self) -> &str {
        &self.disk
    }

    /// Goes another way from now on. What was asked for before ends as it would have; what hung goes the new way.
    pub fn becomes(&self, guest: &mut Guest, way: Way) -> Result<(), Trouble> {
        let (name, table) = (&self.name, self.table(way));
        let suspend = format!("dmsetup suspend --noflush --nolockfs {name}");
        match way {
            Way::Hangs => guest.ok(&suspend),
            _ => guest
                .ok(&format!("{suspend} && printf '{table}' | dmsetup load {name} && dmsetup resume {name}")),
        }
        .map(drop)
    }

    /// Lets sectors rot: what stands there is random from now on. Places and lengths are multiples of eight.
    pub fn rot(&self, guest: &mut Guest, begin: u64, count: u64) -> Result<(), Trouble> {
        let (disk, seek, count) = (&self.disk, begin / 8, count / 8);
        guest
            .ok(&format!(
                "dd if=/dev/urandom of={disk} bs=4k seek={seek} count={count} oflag=direct conv=notrunc 2>&1"
            ))
            .map(drop)
    }

    fn table(&self, way: Way) -> String {
        let (disk, sectors) = (&self.disk, self.sectors);
        // Never up, always down.
        let flakey = |how: &str| format!("0 {sectors} flakey {disk} 0 0 1 {how}\\n");
        match way {
            Way::Well | Way::Hangs => format!("0 {sectors} linear {disk} 0\\n"),
            Way::Gone => format!("0 {sectors} error\\n"),
            Way::FailsWrites => flakey("1 error_writes"),
            Way::LosesWrites => flakey("1 drop_writes"),
            Way::SpoilsWrites => flakey(&format!("5 corrupt_bio_byte {ROTTEN_BYTE} w {ROTTEN_VALUE} 0")),
            Way::Unreadable { begin, count } => {
                let end = begin + count;
                format!(
                    "0 {begin} linear {disk} 0\\n{begin} {count} error\\n{end} {} linear {disk} {end}\\n",
                    sectors - end
                )
            }
            Way::Late(milliseconds) => format!("0 {sectors} delay {disk} 0 {milliseconds}\\n"),
        }
    }
}
