//! The device manager: which of the machine's disks may be looked at as members, and why the others are left alone.
//!
//! Pure: the hands bring [`DiskFacts`] as the kernel states them, this file judges. A disk is known by its WWID and
//! by the ids that evms wrote on it, never by `sdX`, which is only today's place in a queue.

use core::fmt;
use std::collections::BTreeMap;

use crate::base::failure::{Failure, Kind};
use crate::base::sorted::sort;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::volume::plugins::glob::{BadGlob, Glob};
use crate::volume::plugins::{Layer, Plugin};

/// The plug-in.
pub struct LocalDisk;

impl Plugin for LocalDisk {
    fn name(&self) -> &'static str {
        "local_disk"
    }

    fn layer(&self) -> Layer {
        Layer::DeviceManager
    }

    fn id(&self) -> u16 {
        0x11
    }

    fn makes(&self) -> &'static str {
        "whole disks and multipath maps of this machine"
    }
}

/// What the dm uuids of our own devices begin with (design section 4).
const OUR_DM_UUID: &str = "EVMS-";
/// What the dm uuids of multipath maps begin with.
const MULTIPATH_DM_UUID: &str = "mpath-";

/// What drives a disk, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskKind {
    /// SCSI, NVMe, virtio, MMC and whatever else has a disk behind it.
    Plain,
    /// A file or device by way of the loop driver.
    Loop,
    /// Memory.
    Ram,
    /// Compressed memory.
    Zram,
    /// A network block device.
    Nbd,
    /// CD, DVD and the like.
    Optical,
    /// A device-mapper device.
    DeviceMapper,
    /// A software RAID array.
    Md,
}

/// A device or file system that the kernel says stands on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its kernel name (`dm-3`, `md0`), or `btrfs UUID`.
    pub name: String,
    /// Its device-mapper name.
    pub dm_name: Option<String>,
    /// Its device-mapper uuid.
    pub dm_uuid: Option<String>,
}

impl Holder {
    /// Is it a device that evms made?
    pub fn is_ours(&self) -> bool {
        self.dm_uuid.as_deref().is_some_and(|uuid| uuid.starts_with(OUR_DM_UUID))
    }

    /// Is it a multipath map?
    pub fn is_multipath_map(&self) -> bool {
        self.dm_uuid.as_deref().is_some_and(|uuid| uuid.starts_with(MULTIPATH_DM_UUID))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.dm_name {
            Some(name) => write!(f, "{} ({name})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// Who uses a disk or one of its partitions, as far as the kernel tells. Empty is no proof: only an exclusive
/// opening is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Devices and file systems that stand on it.
    pub holders: Vec<Holder>,
    /// Where it is mounted.
    pub mounted_at: Vec<String>,
    /// Does the machine swap to it?
    pub swap: bool,
}

impl Uses {
    /// Nobody but devices that evms made (or nobody at all).
    pub fn only_ours(&self) -> bool {
        self.mounted_at.is_empty() && !self.swap && self.holders.iter().all(Holder::is_ours)
    }

    /// One phrase a use: `mounted at /srv`, `swap`, `held by dm-3 (vg-root)`.
    pub fn in_words(&self) -> Vec<String> {
        let mounts = self.mounted_at.iter().map(|at| format!("mounted at {}", at.escape_debug()));
        let swap = self.swap.then(|| "used as swap".to_string());
        mounts.chain(swap).chain(self.holders.iter().map(|holder| format!("held by {holder}"))).collect()
    }

    /// Adds the uses of a part (a partition).
    pub fn absorb(&mut self, part: Uses) {
        self.holders.extend(part.holders);
        self.mounted_at.extend(part.mounted_at);
        self.swap |= part.swap;
        sort(&mut self.holders);
        self.holders.dedup();
        sort(&mut self.mounted_at);
        self.mounted_at.dedup();
    }
}

/// One disk as the kernel states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    /// Its device node.
    pub path: String,
    /// Its name in the kernel.
    pub kernel_name: String,
    /// What drives it.
    pub kind: DiskKind,
    /// The name it gives itself, world-wide, as the kernel prints it; a multipath map has that of its paths.
    pub wwid: Option<String>,
    /// Its size.
    pub size: Bytes,
    /// Bytes of a logical block.
    pub logical_block: u32,
    /// Does the kernel refuse writes to it?
    pub read_only: bool,
    /// Can its medium be taken out?
    pub removable: bool,
    /// Has it no device node (a single path of a native NVMe multipath disk)?
    pub hidden: bool,
    /// Is it a partition of another disk?
    pub is_partition: bool,
    /// Who uses it, its partitions included.
    pub uses: Uses,
    /// Its device-mapper name.
    pub dm_name: Option<String>,
    /// Its device-mapper uuid.
    pub dm_uuid: Option<String>,
    /// The multipath map that it is a path of.
    pub path_of_multipath: Option<String>,
}

impl DiskFacts {
    /// Is it a device that evms made?
    pub fn is_ours(&self) -> bool {
        self.dm_uuid.as_deref().is_some_and(|uuid| uuid.starts_with(OUR_DM_UUID))
    }

    /// Is it a multipath map?
    pub fn is_multipath_map(&self) -> bool {
        self.dm_uuid.as_deref().is_some_and(|uuid| uuid.starts_with(MULTIPATH_DM_UUID))
    }

    fn matches(&self, glob: &Glob) -> bool {
        let mapper = self.dm_name.as_ref().map(|name| format!("/dev/mapper/{name}"));
        glob.matches(&self.kernel_name)
            || glob.matches(&self.path)
            || mapper.is_some_and(|path| glob.matches(&path))
    }
}

/// Which disks the administrator wants looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
    size_min: Bytes,
}

impl Filter {
    /// Patterns over kernel names, device nodes and `/dev/mapper` names. No include pattern means every disk; an
    /// exclude pattern wins. Disks below `size_min` are left alone, and those of no bytes always.
    pub fn parse(include: &[&str], exclude: &[&str], size_min: Bytes) -> Result<Filter, BadGlob> {
        let parse =
            |texts: &[&str]| texts.iter().map(|text| Glob::parse(text)).collect::<Result<Vec<_>, _>>();
        Ok(Filter { include: parse(include)?, exclude: parse(exclude)?, size_min })
    }

    /// Does no pattern name a disk?
    pub fn is_empty(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

/// Why a disk is left alone. Its sentence speaks of "it": put the disk's path and a colon before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declined {
    /// An exclude pattern names it.
    Excluded {
        /// The pattern.
        pattern: String,
    },
    /// There are include patterns, and none names it.
    NotIncluded,
    /// A part of a disk.
    Partition,
    /// CD, DVD and the like.
    Optical,
    /// Memory: gone with the next boot.
    Memory,
    /// A device that evms itself made.
    Ours {
        /// Its dm name.
        name: String,
    },
    /// A device-mapper device that is no multipath map.
    OtherMapping {
        /// Its dm name.
        name: String,
    },
    /// One path of a native NVMe multipath disk, without a device node.
    Hidden,
    /// One path of a multipath map.
    PathOf {
        /// The map's name.
        map: String,
    },
    /// Below the minimum, or of no bytes at all.
    TooSmall {
        /// Its size.
        size: Bytes,
        /// The least.
        min: Bytes,
    },
    /// Its logical blocks are larger than ours.
    BlockTooLarge {
        /// Their bytes.
        logical_block: u32,
    },
    /// The kernel refuses writes to it.
    ReadOnly,
    /// Its medium can be taken out.
    Removable,
    /// Mounted, it or a partition of it.
    Mounted {
        /// Where.
        at: Vec<String>,
    },
    /// The machine swaps to it or to a partition of it.
    Swap,
    /// Something stands on it or on a partition of it.
    Held {
        /// What.
        by: Vec<Holder>,
    },
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Declined::Excluded { pattern } => {
                write!(f, "the pattern '{}' excludes it", pattern.escape_debug())
            }
            Declined::NotIncluded => f.write_str("no include pattern names it"),
            Declined::Partition => f.write_str("it is a partition; name the whole disk"),
            Declined::Optical => f.write_str("it is an optical drive"),
            Declined::Memory => f.write_str("it is memory and gone with the next boot"),
            Declined::Ours { name } => write!(f, "it is {name}, which evms made"),
            Declined::OtherMapping { name } => {
                write!(f, "it is the device-mapper device {name}, and of those only multipath maps are disks")
            }
            Declined::Hidden => f.write_str("it is one path of an NVMe multipath disk; use that disk"),
            Declined::PathOf { map } => write!(f, "it is a path of the multipath map {map}; use the map"),
            Declined::TooSmall { size: Bytes::ZERO, .. } => {
                f.write_str("it has no medium, its size is 0 bytes")
            }
            Declined::TooSmall { size, min } => {
                write!(f, "it has {} and {} is the least", size.human(), min.human())
            }
            Declined::BlockTooLarge { logical_block } => {
                write!(f, "its logical blocks have {logical_block} bytes and {BLOCK_BYTES} is the most")
            }
            Declined::ReadOnly => f.write_str("it is read-only"),
            Declined::Removable => f.write_str("its medium can be taken out"),
            Declined::Mounted { at } => {
                write!(f, "it, or a partition of it, is mounted at {}", at.join(", ").escape_debug())
            }
            Declined::Swap => f.write_str("the machine swaps to it"),
            Declined::Held { by } => {
                let by: Vec<String> = by.iter().map(Holder::to_string).collect();
                write!(f, "it, or a partition of it, is held by {}", by.join(", "))
            }
        }
    }
}

impl std::error::Error for Declined {}

impl Failure for Declined {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

/// May this disk be looked at as a member? What only our own devices hold may.
pub fn judge(facts: &DiskFacts, filter: &Filter) -> Result<(), Declined> {
    judge_filter(facts, filter)?;
    judge_kind(facts)?;
    judge_medium(facts, filter)?;
    judge_uses(&facts.uses)
}

/// What drives a disk, as far as its name in the kernel tells.
pub fn kind_by_name(kernel_name: &str) -> DiskKind {
    match without_number(kernel_name) {
        "loop" => DiskKind::Loop,
        "ram" => DiskKind::Ram,
        "zram" => DiskKind::Zram,
        "nbd" => DiskKind::Nbd,
        "sr" => DiskKind::Optical,
        "dm-" => DiskKind::DeviceMapper,
        _ => DiskKind::Plain,
    }
}

/// May a device of this name stand on another one? Those alone are listed as holders: device-mapper's, md's, bcache's.
pub fn may_hold(kernel_name: &str) -> bool {
    ["dm-", "md", "bcache"].iter().any(|driver| kernel_name.starts_with(driver))
}

fn without_number(kernel_name: &str) -> &str {
    kernel_name.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Floppy drives: opening an empty one takes seconds and is heard.
const FLOPPY: &str = "fd";

/// May this disk be opened to see whether it carries a label of ours? Judged by the little that is known of it before:
/// its name, and of a device-mapper device its uuid. What stands on it is judged by [`judge_holders`].
pub fn judge_name(kernel_name: &str, dm_uuid: Option<&str>) -> Result<(), Declined> {
    let mapping = || kernel_name.to_string();
    match kind_by_name(kernel_name) {
        DiskKind::Optical => Err(Declined::Optical),
        DiskKind::Ram | DiskKind::Zram => Err(Declined::Memory),
        DiskKind::DeviceMapper => match dm_uuid {
            Some(uuid) if uuid.starts_with(OUR_DM_UUID) => Err(Declined::Ours { name: mapping() }),
            Some(uuid) if uuid.starts_with(MULTIPATH_DM_UUID) => Ok(()),
            _ => Err(Declined::OtherMapping { name: mapping() }),
        },
        DiskKind::Plain if without_number(kernel_name) == FLOPPY => Err(Declined::Removable),
        _ => Ok(()),
    }
}

/// May a disk be opened on which these stand? Ours may be: they are its gates. Where it is mounted or swapped to is not
/// asked: what carries our label is neither, and who opens it for a change claims it.
pub fn judge_holders(holders: &[Holder]) -> Result<(), Declined> {
    if let Some(map) = holders.iter().find(|holder| holder.is_multipath_map()) {
        return Err(Declined::PathOf { map: map.dm_name.clone().unwrap_or_else(|| map.name.clone()) });
    }
    judge_uses(&Uses { holders: holders.to_vec(), ..Uses::default() })
}

/// May a disk that somebody named become a member? Filters do not speak; what it is does, and a medium that can be
/// taken out is refused too. (Looked at it is: a stick with an appliance's image on it boots.)
pub fn judge_taking(facts: &DiskFacts) -> Result<(), Declined> {
    judge(facts, &Filter::default())?;
    if facts.removable { Err(Declined::Removable) } else { Ok(()) }
}

fn judge_filter(facts: &DiskFacts, filter: &Filter) -> Result<(), Declined> {
    if let Some(glob) = filter.exclude.iter().find(|glob| facts.matches(glob)) {
        return Err(Declined::Excluded { pattern: glob.to_string() });
    }
    match filter.include.is_empty() || filter.include.iter().any(|glob| facts.matches(glob)) {
        true => Ok(()),
        false => Err(Declined::NotIncluded),
    }
}

fn judge_kind(facts: &DiskFacts) -> Result<(), Declined> {
    let mapping = || facts.dm_name.clone().unwrap_or_else(|| facts.kernel_name.clone());
    match facts.kind {
        _ if facts.is_partition => Err(Declined::Partition),
        DiskKind::Optical => Err(Declined::Optical),
        DiskKind::Ram | DiskKind::Zram => Err(Declined::Memory),
        DiskKind::DeviceMapper if facts.is_ours() => Err(Declined::Ours { name: mapping() }),
        DiskKind::DeviceMapper if !facts.is_multipath_map() => {
            Err(Declined::OtherMapping { name: mapping() })
        }
        _ if facts.hidden => Err(Declined::Hidden),
        _ => match &facts.path_of_multipath {
            Some(map) => Err(Declined::PathOf { map: map.clone() }),
            None => Ok(()),
        },
    }
}

fn judge_medium(facts: &DiskFacts, filter: &Filter) -> Result<(), Declined> {
    if facts.size < filter.size_min || facts.size == Bytes::ZERO {
        return Err(Declined::TooSmall { size: facts.size, min: filter.size_min });
    }
    if u64::from(facts.logical_block) > BLOCK_BYTES {
        return Err(Declined::BlockTooLarge { logical_block: facts.logical_block });
    }
    if facts.read_only {
        return Err(Declined::ReadOnly);
    }
    Ok(())
}

fn judge_uses(uses: &Uses) -> Result<(), Declined> {
    if !uses.mounted_at.is_empty() {
        return Err(Declined::Mounted { at: uses.mounted_at.clone() });
    }
    if uses.swap {
        return Err(Declined::Swap);
    }
    let by: Vec<Holder> = uses.holders.iter().filter(|holder| !holder.is_ours()).cloned().collect();
    if by.is_empty() { Ok(()) } else { Err(Declined::Held { by }) }
}

/// Disks that say they are the same disk: paths without a multipath map, or a clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicates {
    /// What they all call themselves.
    pub wwid: String,
    /// Their device nodes, at least two, in order.
    pub paths: Vec<String>,
}

impl fmt::Display for Duplicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} all have the WWID {} and no multipath map joins them; set up multipath, or exclude all but one",
            self.paths.join(", "),
            self.wwid.escape_debug()
        )
    }
}

/// The groups of disks with one WWID. Paths that a multipath map joins do not count, the map does.
pub fn duplicates(disks: &[DiskFacts]) -> Vec<Duplicates> {
    let mut by_wwid: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let alone =
        |facts: &&DiskFacts| facts.path_of_multipath.is_none() && !facts.hidden && !facts.is_partition;
    for facts in disks.iter().filter(alone) {
        if let Some(wwid) = &facts.wwid {
            by_wwid.entry(wwid).or_default().push(facts.path.clone());
        }
    }
    let groups = by_wwid.into_iter().filter(|(_, paths)| paths.len() > 1);
    groups
        .map(|(wwid, mut paths)| {
            sort(&mut paths);
            Duplicates { wwid: wwid.into(), paths }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::GIB;

    /// What a name tells agrees with what all facts tell, wherever the name is enough to decline.
    #[test]
    fn a_name_declines_only_what_all_facts_decline() {
        let mapping = |name: &str| Declined::OtherMapping { name: name.into() };
        for (name, uuid, wanted) in [
            ("sda", None, Ok(())),
            ("nvme0n1", None, Ok(())),
            ("loop3", None, Ok(())),
            ("md127", None, Ok(())),
            ("sr0", None, Err(Declined::Optical)),
            ("zram0", None, Err(Declined::Memory)),
            ("fd0", None, Err(Declined::Removable)),
            ("dm-1", Some("LVM-abc"), Err(mapping("dm-1"))),
            ("dm-1", None, Err(mapping("dm-1"))),
            ("dm-1", Some("mpath-36001"), Ok(())),
            ("dm-1", Some("EVMS-gate-1"), Err(Declined::Ours { name: "dm-1".into() })),
        ] {
            assert_eq!(judge_name(name, uuid), wanted, "{name}");
        }
    }

    #[test]
    fn a_labelled_disk_is_declined_for_its_map_and_its_holders() {
        let holder = |uuid: &str| Holder { name: "dm-9".into(), dm_name: None, dm_uuid: Some(uuid.into()) };
        assert_eq!(judge_holders(&[]), Ok(()));
        assert_eq!(judge_holders(&[holder("EVMS-gate-1")]), Ok(()));
        assert_eq!(judge_holders(&[holder("mpath-1")]), Err(Declined::PathOf { map: "dm-9".into() }));
        assert!(matches!(judge_holders(&[holder("CRYPT-1")]), Err(Declined::Held { .. })));
    }

    #[test]
    fn a_stick_is_looked_at_and_not_taken() {
        let stick = DiskFacts { removable: true, ..disk("sda") };
        assert_eq!(judge(&stick, &Filter::default()), Ok(()));
        assert_eq!(judge_taking(&stick), Err(Declined::Removable));
        assert_eq!(judge_taking(&disk("sda")), Ok(()));
    }

    fn disk(kernel_name: &str) -> DiskFacts {
        DiskFacts {
            path: format!("/dev/{kernel_name}"),
            kernel_name: kernel_name.into(),
            kind: DiskKind::Plain,
            wwid: Some(format!("naa.{kernel_name}")),
            size: Bytes(GIB),
            logical_block: 512,
            read_only: false,
            removable: false,
            hidden: false,
            is_partition: false,
            uses: Uses::default(),
            dm_name: None,
            dm_uuid: None,
            path_of_multipath: None,
        }
    }

    fn mapping(name: &str, uuid: &str) -> DiskFacts {
        let (dm_name, dm_uuid) = (Some(name.into()), Some(uuid.into()));
        DiskFacts { kind: DiskKind::DeviceMapper, dm_name, dm_uuid, ..disk("dm-0") }
    }

    fn held_by(uuid: &str) -> Uses {
        let holder = Holder { name: "dm-1".into(), dm_name: Some("x".into()), dm_uuid: Some(uuid.into()) };
        Uses { holders: vec![holder], ..Uses::default() }
    }

    #[test]
    fn every_reason_to_decline_has_its_sentence() {
        let filter = Filter::parse(&[], &["sdx"], Bytes(GIB)).unwrap();
        let mounted = Uses { mounted_at: vec!["/srv".into()], ..Uses::default() };
        let swap = Uses { swap: true, ..Uses::default() };
        let sda = || disk("sda");
        let cases: Vec<(DiskFacts, &str)> = vec![
            (disk("sdx"), "the pattern 'sdx' excludes it"),
            (DiskFacts { is_partition: true, ..sda() }, "it is a partition; name the whole disk"),
            (DiskFacts { kind: DiskKind::Optical, ..sda() }, "it is an optical drive"),
            (DiskFacts { kind: DiskKind::Ram, ..sda() }, "it is memory and gone with the next boot"),
            (DiskFacts { kind: DiskKind::Zram, ..sda() }, "it is memory and gone with the next boot"),
            (mapping("evms:data:home", "EVMS-vol-1"), "it is evms:data:home, which evms made"),
            (
                mapping("vg-root", "LVM-1"),
                "it is the device-mapper device vg-root, and of those only multipath maps are disks",
            ),
            (
                mapping("mpatha1", "part1-mpath-1"),
                "it is the device-mapper device mpatha1, and of those only multipath maps are disks",
            ),
            (DiskFacts { hidden: true, ..sda() }, "it is one path of an NVMe multipath disk; use that disk"),
            (
                DiskFacts { path_of_multipath: Some("mpatha".into()), uses: held_by("mpath-1"), ..sda() },
                "it is a path of the multipath map mpatha; use the map",
            ),
            (DiskFacts { size: Bytes(GIB / 2), ..sda() }, "it has 512 MiB and 1 GiB is the least"),
            (DiskFacts { size: Bytes(0), ..sda() }, "it has no medium, its size is 0 bytes"),
            (
                DiskFacts { logical_block: 8192, ..sda() },
                "its logical blocks have 8192 bytes and 4096 is the most",
            ),
            (DiskFacts { read_only: true, ..sda() }, "it is read-only"),
            (DiskFacts { uses: mounted, ..sda() }, "it, or a partition of it, is mounted at /srv"),
            (DiskFacts { uses: swap, ..sda() }, "the machine swaps to it"),
            (DiskFacts { uses: held_by("LVM-1"), ..sda() }, "it, or a partition of it, is held by dm-1 (x)"),
        ];
        for (facts, sentence) in cases {
            assert_eq!(judge(&facts, &filter).unwrap_err().to_string(), sentence);
        }
    }

    #[test]
    fn plain_disks_maps_and_what_only_we_hold_may_be_looked_at() {
        let filter = Filter::default();
        for facts in [
            disk("sda"),
            DiskFacts { kind: DiskKind::Loop, ..disk("loop0") },
            DiskFacts { kind: DiskKind::Md, ..disk("md0") },
            mapping("mpatha", "mpath-1"),
            DiskFacts { uses: held_by("EVMS-gate-1"), ..disk("sdb") },
        ] {
            assert_eq!(judge(&facts, &filter), Ok(()), "{}", facts.path);
        }
    }

    #[test]
    fn exclude_wins_and_maps_answer_to_all_their_names() {
        let filter = Filter::parse(&["sd*", "/dev/mapper/mpath*"], &["/dev/sdb"], Bytes(0)).unwrap();
        assert_eq!(judge(&disk("sda"), &filter), Ok(()));
        assert_eq!(judge(&disk("sdb"), &filter), Err(Declined::Excluded { pattern: "/dev/sdb".into() }));
        assert_eq!(judge(&disk("vda"), &filter), Err(Declined::NotIncluded));
        assert_eq!(judge(&mapping("mpatha", "mpath-1"), &filter), Ok(()));
        assert!(Filter::parse(&["[x"], &[], Bytes(0)).is_err());
    }

    #[test]
    fn one_wwid_twice_is_told_unless_a_map_joins_them() {
        let same = |name: &str| DiskFacts { wwid: Some("naa.5".into()), ..disk(name) };
        let joined = |name: &str| DiskFacts { path_of_multipath: Some("mpatha".into()), ..same(name) };
        let map = DiskFacts { wwid: Some("naa.5".into()), ..mapping("mpatha", "mpath-35") };
        assert_eq!(duplicates(&[joined("sda"), joined("sdb"), map.clone(), disk("sdc")]), []);
        let nameless = DiskFacts { wwid: None, ..disk("sdd") };
        let found = duplicates(&[same("sdb"), same("sda"), disk("sdc"), nameless.clone(), nameless]);
        assert_eq!(
            found,
            [Duplicates { wwid: "naa.5".into(), paths: vec!["/dev/sda".into(), "/dev/sdb".into()] }]
        );
        assert_eq!(duplicates(&[joined("sda"), same("sdb"), map])[0].paths, ["/dev/dm-0", "/dev/sdb"]);
    }
}
