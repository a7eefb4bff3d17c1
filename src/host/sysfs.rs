//! Which disks the machine has and who uses them, from sysfs and proc alone. No device is opened here: opening
//! wakes drives, loads modules, and hangs on a dead path. What sysfs says is a hint; the exclusive opening decides.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::base::gather::Gather;
use crate::base::limits::{CANDIDATE_DISKS_MAX, WWID_BYTES_MAX};
use crate::base::small_set::SmallSet;
use crate::base::units::{Bytes, SECTOR_BYTES, Sectors};
pub use crate::host::device::{DeviceNumber, SysfsError};
use crate::host::folder;
use crate::host::mounts::InUse;
use crate::volume::plugins::local_disk::{self, DiskFacts, DiskKind, Holder, Uses};

/// Bytes read of one attribute; sysfs gives one page at most.
const ATTRIBUTE_BYTES_MAX: u64 = 4096;
/// SCSI's device type of CD and DVD drives.
const SCSI_TYPE_OPTICAL: &str = "5";

/// Where sysfs and proc are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// sysfs, usually `/sys`.
    pub sys: PathBuf,
    /// procfs, usually `/proc`.
    pub proc: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

/// Kernel names of all whole disks, in order; what each of them is is not asked.
pub fn names(roots: &Roots) -> Result<Vec<String>, SysfsError> {
    let block = roots.sys.join("block");
    let names = names_in(&block).map_err(|_| SysfsError::NoSys { path: block.clone() })?;
    if names.len() > CANDIDATE_DISKS_MAX {
        return Err(SysfsError::TooMany { found: names.len() });
    }
    Ok(names)
}

/// All whole disks, by kernel name, in one pass. One that vanishes meanwhile is left out.
pub fn disks(roots: &Roots) -> Result<Vec<DiskFacts>, SysfsError> {
    let block = roots.sys.join("block");
    let names = names(roots)?;
    let walk = Walk::start(roots)?;
    let found = names.iter().map(|name| walk.facts(&block.join(name), name));
    found.filter_map(Result::transpose).collect()
}

/// One block device by its kernel name (`sda`, also a partition: `sda1`).
pub fn disk(roots: &Roots, kernel_name: &str) -> Result<DiskFacts, SysfsError> {
    let not_found = || SysfsError::NotFound { name: kernel_name.into() };
    if kernel_name.contains('/') || kernel_name.starts_with('.') {
        return Err(not_found());
    }
    let dir = roots.sys.join("class/block").join(kernel_name);
    Walk::start(roots)?.facts(&dir, kernel_name)?.ok_or_else(not_found)
}

/// The device-mapper uuid of a block device by its kernel name; nothing where there is none.
pub fn dm_uuid(roots: &Roots, kernel_name: &str) -> Option<String> {
    text(&roots.sys.join("block").join(kernel_name), "dm/uuid")
}

/// What stands on a disk by its kernel name.
pub fn holders(roots: &Roots, kernel_name: &str) -> Vec<Holder> {
    let names = names_in(&roots.sys.join("block").join(kernel_name).join("holders")).unwrap_or_default();
    names.iter().map(|name| holder(roots, name)).collect()
}

/// The node of a block device by its kernel name, which has `!` where the node's name has a slash.
pub fn node_of(kernel_name: &str) -> String {
    let node = ["/dev/", kernel_name].concat();
    if node.contains('!') { node.replace('!', "/") } else { node }
}

/// Who uses the block device of this number: its partitions count, and for a partition the whole disk's own users.
pub fn uses_of(roots: &Roots, number: DeviceNumber) -> Result<Uses, SysfsError> {
    let dir = dir_of(roots, number)?;
    let walk = Walk::start(roots)?;
    let mut uses = walk.uses_with_parts(&dir, &Attributes::of(&dir))?;
    if dir.join("partition").exists()
        && let Some(whole) = dir.parent()
    {
        uses.absorb(walk.uses(whole)?);
    }
    Ok(uses)
}

/// The directory of the block device of this number.
fn dir_of(roots: &Roots, number: DeviceNumber) -> Result<PathBuf, SysfsError> {
    let link = roots.sys.join("dev/block").join(number.to_string());
    fs::canonicalize(link).map_err(|_| SysfsError::NotFound { name: number.to_string() })
}

/// The device-mapper uuid of the block device of this number; nothing where there is none.
pub fn dm_uuid_of(roots: &Roots, number: DeviceNumber) -> Option<String> {
    text(&dir_of(roots, number).ok()?, "dm/uuid")
}

/// The file that the loop device of this number shows; nothing where it is none.
pub fn backing_file(roots: &Roots, number: DeviceNumber) -> Option<String> {
    text(&dir_of(roots, number).ok()?, "loop/backing_file")
}

/// The block devices that the one of this number lies on: those it is made of, the whole disk of a partition, and where a btrfs
/// lies on it, the others of that.
pub fn below(roots: &Roots, number: DeviceNumber) -> Vec<DeviceNumber> {
    let Ok(dir) = dir_of(roots, number) else { return Vec::new() };
    let slaves = names_in(&dir.join("slaves")).unwrap_or_default();
    let mut dirs = slaves.iter().map(|name| dir.join("slaves").join(name)).gather::<Vec<_>>();
    if dir.join("partition").exists()
        && let Some(whole) = dir.parent()
    {
        dirs.push(whole.to_path_buf());
    }
    let members = btrfs_members(&roots.sys.join("fs/btrfs"));
    let name = dir.file_name().unwrap_or_default();
    if let Some((_, its)) = members.iter().find(|(member, _)| name == member.as_str()) {
        let others = members.iter().filter(|(_, of)| of == its);
        dirs.extend(others.map(|(member, _)| roots.sys.join("class/block").join(member)));
    }
    let dev = |dir: &PathBuf| DeviceNumber::parse(text(dir, "dev")?.trim());
    dirs.iter().filter_map(dev).gather()
}

/// Is the block device of this number a partition?
pub fn is_partition(roots: &Roots, number: DeviceNumber) -> bool {
    roots.sys.join("dev/block").join(number.to_string()).join("partition").exists()
}

/// What is read once for all disks.
struct Walk<'a> {
    roots: &'a Roots,
    in_use: InUse,
    /// (kernel name, file system) of every member of a mounted btrfs, which claims no holder.
    btrfs: SmallSet<(String, String)>,
}

impl<'a> Walk<'a> {
    fn start(roots: &'a Roots) -> Result<Self, SysfsError> {
        let in_use = InUse::read(&roots.proc)?;
        Ok(Walk { roots, in_use, btrfs: btrfs_members(&roots.sys.join("fs/btrfs")) })
    }

    /// `None` when the disk has vanished.
    fn facts(&self, dir: &Path, kernel_name: &str) -> Result<Option<DiskFacts>, SysfsError> {
        let Some(size) = number(dir, "size")? else { return Ok(None) };
        let has = Attributes::of(dir);
        let is_partition = has.attribute("partition");
        let uses = self.uses_with_parts(dir, &has)?;
        let map = uses.holders.iter().find(|holder| holder.is_multipath_map());
        let path_of_multipath = map.map(|map| map.dm_name.clone().unwrap_or_else(|| map.name.clone()));
        Ok(Some(DiskFacts {
            path: node_of(kernel_name),
            kernel_name: kernel_name.into(),
            kind: kind_of(dir, kernel_name, &has),
            wwid: wwid_of(dir, &has),
            size: Sectors(size).to_bytes().unwrap_or(Bytes(u64::MAX)),
            logical_block: logical_block(dir, is_partition)?,
            read_only: flag(dir, "ro"),
            removable: flag(dir, "removable"),
            hidden: flag(dir, "hidden"),
            is_partition,
            uses,
            dm_name: has.text(dir, "dm/name"),
            dm_uuid: has.text(dir, "dm/uuid"),
            path_of_multipath,
        }))
    }

    fn uses_with_parts(&self, dir: &Path, has: &Attributes) -> Result<Uses, SysfsError> {
        let mut uses = self.uses(dir)?;
        for part in has.folders_named_after(dir).map(|name| dir.join(name)) {
            if part.join("partition").exists() {
                uses.absorb(self.uses(&part)?);
            }
        }
        Ok(uses)
    }

    /// The uses of this one device, without its partitions.
    fn uses(&self, dir: &Path) -> Result<Uses, SysfsError> {
        let Some(kernel_name) = dir.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            return Ok(Uses::default());
        };
        let Some(number) = device_number(dir)? else { return Ok(Uses::default()) };
        let mut nodes = vec![node_of(&kernel_name)];
        let is_map = local_disk::kind_by_name(&kernel_name) == DiskKind::DeviceMapper;
        nodes
            .extend(is_map.then(|| text(dir, "dm/name")).flatten().map(|name| format!("/dev/mapper/{name}")));
        let mut uses = Uses {
            holders: names_in(&dir.join("holders"))
                .unwrap_or_default()
                .iter()
                .map(|name| holder(self.roots, name))
                .collect(),
            mounted_at: self.in_use.mounted_at(number, &nodes),
            swap: self.in_use.is_swap(number, &nodes),
        };
        let members = self.btrfs.iter().filter(|(member, _)| *member == kernel_name);
        let btrfs = members.map(|(_, uuid)| Holder { name: format!("btrfs {uuid}"), ..Holder::default() });
        uses.holders.extend(btrfs);
        Ok(uses)
    }
}

fn holder(roots: &Roots, name: &str) -> Holder {
    let dir = roots.sys.join("block").join(name);
    Holder { name: name.into(), dm_name: text(&dir, "dm/name"), dm_uuid: text(&dir, "dm/uuid") }
}

/// What a device's folder holds, read once: asking for an attribute that is not there costs as much as for one that is.
struct Attributes {
    names: BTreeSet<String>,
    folders: Vec<String>,
}

impl Attributes {
    fn of(dir: &Path) -> Attributes {
        let entries = folder::entries(dir).unwrap_or_default();
        let folders =
            entries.iter().filter(|entry| entry.is_folder).map(|entry| entry.name.clone()).collect();
        Attributes { folders, names: entries.into_iter().map(|entry| entry.name).gather() }
    }

    fn attribute(&self, name: &str) -> bool {
        self.names.contains(name.split('/').next().unwrap_or(name))
    }

    fn text(&self, dir: &Path, attribute: &str) -> Option<String> {
        if self.attribute(attribute) { text(dir, attribute) } else { None }
    }

    /// Where partitions are: their names begin with their disk's.
    fn folders_named_after(&self, dir: &Path) -> impl Iterator<Item = &String> {
        let disk = dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        self.folders.iter().filter(move |name| name.starts_with(&disk) && **name != disk)
    }
}

fn btrfs_members(dir: &Path) -> SmallSet<(String, String)> {
    let members = |uuid: String| {
        let names = names_in(&dir.join(&uuid).join("devices")).unwrap_or_default();
        names.into_iter().map(move |name| (name, uuid.clone()))
    };
    names_in(dir).unwrap_or_default().into_iter().flat_map(members).gather()
}

/// The names in a directory, in order.
fn names_in(dir: &Path) -> io::Result<Vec<String>> {
    Ok(folder::entries(dir)?.into_iter().map(|entry| entry.name).collect())
}

/// An attribute without the blanks around it; `None` when absent, empty, or refused by the driver.
fn text(dir: &Path, attribute: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(dir.join(attribute)).ok()?;
    file.take(ATTRIBUTE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_string())
}

fn malformed(dir: &Path, attribute: &str, text: String) -> SysfsError {
    SysfsError::Malformed { path: dir.join(attribute), text }
}

fn number(dir: &Path, attribute: &str) -> Result<Option<u64>, SysfsError> {
    let Some(text) = text(dir, attribute) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| malformed(dir, attribute, text))
}

fn device_number(dir: &Path) -> Result<Option<DeviceNumber>, SysfsError> {
    let Some(text) = text(dir, "dev") else { return Ok(None) };
    DeviceNumber::parse(&text).map(Some).ok_or_else(|| malformed(dir, "dev", text))
}

fn flag(dir: &Path, attribute: &str) -> bool {
    text(dir, attribute).is_some_and(|text| text != "0")
}

/// A partition has no queue of its own; 512 where the kernel says nothing.
fn logical_block(dir: &Path, is_partition: bool) -> Result<u32, SysfsError> {
    let attribute = "queue/logical_block_size";
    let own = number(dir, attribute)?;
    // Behind class/block/sda1 the link must be followed before the way up is the whole disk.
    let whole = || fs::canonicalize(dir).ok().and_then(|dir| dir.parent().map(Path::to_path_buf));
    let found = match (own, is_partition) {
        (None, true) => whole().map_or(Ok(None), |whole| number(&whole, attribute))?,
        (own, _) => own,
    };
    Ok(found.and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(SECTOR_BYTES as u32))
}

fn kind_of(dir: &Path, kernel_name: &str, has: &Attributes) -> DiskKind {
    match local_disk::kind_by_name(kernel_name) {
        DiskKind::Plain if has.attribute("md") => DiskKind::Md,
        DiskKind::Plain if has.text(dir, "device/type").as_deref() == Some(SCSI_TYPE_OPTICAL) => {
            DiskKind::Optical
        }
        kind => kind,
    }
}

/// The disk's own name for itself: SCSI and NVMe as the kernel prints it, a multipath map as its paths, then md's
/// uuid, then the serial number of a virtio disk (which is only as unique as who set it up made it).
fn wwid_of(dir: &Path, has: &Attributes) -> Option<String> {
    let plain = |attribute| has.text(dir, attribute).and_then(clean_wwid);
    let tagged =
        |tag: &str, attribute| has.text(dir, attribute).and_then(|own| clean_wwid(format!("{tag}.{own}")));
    plain("device/wwid")
        .or_else(|| plain("wwid"))
        .or_else(|| {
            let uuid = has.text(dir, "dm/uuid")?;
            clean_wwid(wwid_of_map(uuid.strip_prefix("mpath-")?))
        })
        .or_else(|| tagged("md", "md/uuid"))
        .or_else(|| tagged("virtio", "serial"))
}

/// scsi_id, which names the maps, writes the designator's type as one digit where the kernel writes a word.
fn wwid_of_map(name: &str) -> String {
    let hex = |rest: &str| rest.len() >= 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.split_at_checked(1) {
        Some(("3", rest)) if hex(rest) => format!("naa.{rest}"),
        Some(("2", rest)) if hex(rest) => format!("eui.{rest}"),
        _ => name.to_string(),
    }
}

/// What the kernel prints where a driver has no name for its disk at all: one text for all such disks.
const NULL: &str = "(null)";

/// Firmware writes these: what is too long, unprintable, or all zero names nothing.
fn clean_wwid(wwid: String) -> Option<String> {
    let (_, digits) = wwid.split_once('.').unwrap_or(("", &wwid));
    let names = digits.chars().any(|c| c != '0' && c != '-') && digits != NULL;
    (wwid.len() <= WWID_BYTES_MAX && names && !wwid.chars().any(char::is_control)).then_some(wwid)
}

#[cfg(test)]
mod tests;
