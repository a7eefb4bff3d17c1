//! What a command sees before it decides anything: the disks it may look at, what stands on each, and the containers
//! that they make. Nothing here writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::id::{ContainerId, DiskId};
use crate::base::limits::{IO_BYTES_MAX, LOOK_BYTES};
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::engine::guard::Place;
use crate::format::damage::{Damage, Fault, What};
use crate::format::intent::Intent;
use crate::format::layout::{Area, AreaKind, End, SlotIndex};
use crate::format::slot::{SlotHeader, SlotImage};
use crate::host::disk::{Identity, Medium, OpenDisk, Want};
use crate::host::disk_error::DiskError;
use crate::host::sysfs::{self, Roots, SysfsError};
use crate::volume::choose::{Copy, DiskCopies};
use crate::volume::discover::{self, Found, Labelled, Read, Sighting, Unusable};
use crate::volume::plugins::local_disk::{self, DiskFacts, Filter};

/// Milliseconds from which on an answer of a disk is worth a word: a healthy one answers a hundred times in it (F33).
const SLOW_MS: u64 = 1000;

/// A disk that was looked at.
pub struct Seen {
    /// The device or file.
    pub path: PathBuf,
    /// It, open; or why not.
    pub open: Result<OpenDisk, DiskError>,
    /// What both ends show; an error of the device ends the look.
    pub sighting: Result<Sighting, DiskError>,
    /// What sysfs says of it; nothing for image files.
    pub facts: Option<DiskFacts>,
    /// Why it was not looked at or may not be taken, in words.
    pub declined: Option<String>,
}

/// All of it.
pub struct Scene {
    /// Every disk, looked at or declined.
    pub disks: Vec<Seen>,
    /// The containers that were found on them.
    pub containers: Vec<Found>,
    /// Were disks named, or all of the machine's walked?
    pub named: bool,
}

/// Why nothing could be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SceneError {
    /// The machine's disks cannot be listed.
    Walk(SysfsError),
    /// One disk was named twice, perhaps by two paths.
    Twice(PathBuf, PathBuf),
    /// A named disk cannot be opened.
    Open(DiskError),
}

impl std::fmt::Display for SceneError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SceneError::Walk(error) => write!(f, "{error}"),
            SceneError::Twice(one, other) if one == other => {
                write!(f, "{} was named twice; nothing was written; name each disk once", one.display())
            }
            SceneError::Twice(one, other) => write!(
                f,
                "{} and {} are the same disk; nothing was written; name each disk once",
                one.display(),
                other.display()
            ),
            SceneError::Open(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SceneError {}

impl crate::base::failure::Failure for SceneError {
    fn kind(&self) -> crate::base::failure::Kind {
        use crate::base::failure::Kind;
        match self {
            SceneError::Walk(error) => error.kind(),
            SceneError::Twice(..) => Kind::Refused,
            SceneError::Open(error) => error.kind(),
        }
    }
}

/// Reads `length` bytes in pieces that no device refuses.
pub fn read_long(disk: &OpenDisk, at: Bytes, length: u64) -> Result<Vec<u8>, DiskError> {
    let mut bytes = Vec::new();
    let mut done = 0;
    while done < length {
        let piece = (length - done).min(IO_BYTES_MAX);
        bytes.extend(disk.read(Bytes(at.0 + done), piece as usize)?);
        done += piece;
    }
    Ok(bytes)
}

/// The first and the last `length` bytes of a disk, as far as it has them.
pub fn read_ends(disk: &OpenDisk, length: u64) -> Result<(Vec<u8>, Vec<u8>), DiskError> {
    let usable = disk.size().round_down(BLOCK_BYTES).0;
    let length = length.min(usable);
    Ok((read_long(disk, Bytes(0), length)?, read_long(disk, Bytes(usable - length), length)?))
}

fn look(disk: &OpenDisk) -> Result<Sighting, DiskError> {
    let (head, tail) = read_ends(disk, LOOK_BYTES)?;
    let judge = |tail: &[u8]| discover::sight(disk.size(), disk.logical_block(), &head, tail);
    match judge(&tail) {
        // A crash between the two labels of a change of ids: the intent explains both, and the front one counts.
        Sighting::Unusable(Unusable::TwoLabels { front, tail: new }) => match judge(&vec![0; tail.len()]) {
            Sighting::Ours(labelled) if between_labels(disk, &labelled, front, new)? => {
                Ok(Sighting::Ours(labelled))
            }
            _ => Ok(Sighting::Unusable(Unusable::TwoLabels { front, tail: new })),
        },
        other => Ok(other),
    }
}

/// Does the intent on this disk tell of just this change, from the ids in front to those in the tail?
fn between_labels(
    disk: &OpenDisk,
    labelled: &Labelled,
    front: (ContainerId, DiskId),
    tail: (ContainerId, DiskId),
) -> Result<bool, DiskError> {
    let at = labelled.layout.area(AreaKind::Intent, End::Primary).start_bytes();
    let intent = Intent::decode(&disk.read(at, Intent::BYTES.0 as usize)?);
    Ok(intent.is_ok_and(|intent| {
        (intent.old_container, intent.old_disk) == front && (intent.new_container, intent.new_disk) == tail
    }))
}

fn read_copy(disk: &OpenDisk, area: &Area) -> Copy {
    let unreadable = |_| Damage::new(What::SlotBody, Fault::Short);
    let first = disk.read(area.start_bytes(), BLOCK_BYTES as usize).map_err(unreadable)?;
    let header = SlotHeader::decode(&first)?;
    let length = header.slot_bytes().0.min(area.length_bytes().0);
    SlotImage::decode(&read_long(disk, area.start_bytes(), length).map_err(unreadable)?)
}

/// Reads slots and intent of a labelled disk. What cannot be read is a damaged copy, not an end of the look.
pub fn read_member(disk: &OpenDisk, place: usize, labelled: &Labelled) -> Read {
    let slots = End::BOTH.into_iter().flat_map(|end| SlotIndex::BOTH.map(|index| (end, index)));
    let copies = slots.map(|(end, index)| {
        let copy = read_copy(disk, &labelled.layout.slot(index, end));
        let stranger = |image: &SlotImage| image.header.container != labelled.label.container;
        let copy = match copy {
            Ok(image) if stranger(&image) => Err(Damage::new(What::SlotHeader, Fault::Foreign)),
            other => other,
        };
        (end, index, copy)
    });
    let copies =
        DiskCopies { number: labelled.label.number, id: labelled.label.disk, slots: copies.collect() };
    let at = labelled.layout.area(AreaKind::Intent, End::Primary).start_bytes();
    let unreadable = |_| Damage::new(What::Intent, Fault::Short);
    let block = disk.read(at, Intent::BYTES.0 as usize).map_err(unreadable);
    let (intent, intent_damage) = match block.and_then(|block| Intent::decode(&block)) {
        Ok(intent) => (Some(intent), None),
        Err(damage) => (None, Some(damage).filter(|damage| !damage.is_blank())),
    };
    Read { place, labelled: labelled.clone(), copies, intent, intent_damage }
}

impl Seen {
    /// Opens and looks at one disk.
    pub fn at(path: &Path, want: Want, facts: Option<DiskFacts>) -> Seen {
        let open = OpenDisk::open(path, want);
        let sighting = match &open {
            Ok(disk) => look(disk),
            Err(error) => Err(error.clone()),
        };
        Seen { path: path.to_path_buf(), open, sighting, facts, declined: None }
    }

    fn declined(facts: DiskFacts, why: String) -> Seen {
        let path = PathBuf::from(&facts.path);
        let error = DiskError::NotFound { path: path.clone() };
        Seen { path, open: Err(error.clone()), sighting: Err(error), facts: Some(facts), declined: Some(why) }
    }

    /// Its label, when it is a usable member.
    pub fn labelled(&self) -> Option<&Labelled> {
        match &self.sighting {
            Ok(Sighting::Ours(labelled)) => Some(labelled),
            _ => None,
        }
    }

    /// Why it is not to be relied on, though nobody left it alone: it failed, or takes too long to answer.
    pub fn trouble(&self) -> Option<String> {
        if self.declined.is_some() {
            return None;
        }
        match (&self.sighting, &self.open) {
            (Err(error), _) => Some(error.to_string()),
            (Ok(_), Ok(disk)) if disk.slowest_ms() >= SLOW_MS => Some(format!(
                "{}: it is slow, one answer took {} ms; look at the disk and its paths",
                self.path.display(),
                disk.slowest_ms()
            )),
            _ => None,
        }
    }

    /// Its WWID, or nothing.
    pub fn wwid(&self) -> String {
        self.facts.as_ref().and_then(|facts| facts.wwid.clone()).unwrap_or_default()
    }
}

impl Scene {
    /// Looks at the named disks; any that cannot be opened ends the look, for the user meant it.
    pub fn of_named(paths: &[PathBuf], want: Want) -> Result<Scene, SceneError> {
        let roots = Roots::default();
        let mut disks: Vec<Seen> = Vec::new();
        let mut known: BTreeMap<Identity, PathBuf> = BTreeMap::new();
        for path in paths {
            let mut seen = Seen::at(path, want, None);
            match &seen.open {
                // A second lock of one file by one process would deny itself: tell that from another's.
                Err(DiskError::Locked { .. }) if disks.iter().any(|other| same_file(&other.path, path)) => {
                    return Err(SceneError::Twice(other_path(&disks, path), path.clone()));
                }
                Err(DiskError::Busy { .. }) if disks.iter().any(|other| same_file(&other.path, path)) => {
                    return Err(SceneError::Twice(other_path(&disks, path), path.clone()));
                }
                Err(error) => return Err(SceneError::Open(error.clone())),
                Ok(disk) => {
                    if let Some(other) = known.insert(disk.identity(), path.clone()) {
                        return Err(SceneError::Twice(other, path.clone()));
                    }
                    if disk.medium() == Medium::BlockDevice {
                        seen.facts = kernel_name(path).and_then(|name| sysfs::disk(&roots, &name).ok());
                    }
                }
            }
            disks.push(seen);
        }
        Ok(Scene::join(disks, true))
    }

    /// Looks at all disks of the machine that the filter lets through.
    pub fn of_machine(filter: &Filter, want: Want) -> Result<Scene, SceneError> {
        let facts = sysfs::disks(&Roots::default()).map_err(SceneError::Walk)?;
        let disks = facts.into_iter().map(|facts| match local_disk::judge(&facts, filter) {
            Ok(()) => Seen::at(Path::new(&facts.path.clone()), want, Some(facts)),
            Err(declined) => Seen::declined(facts, declined.to_string()),
        });
        Ok(Scene::join(disks.collect(), false))
    }

    fn join(disks: Vec<Seen>, named: bool) -> Scene {
        let reads = disks.iter().enumerate().filter_map(|(place, seen)| {
            let disk = seen.open.as_ref().ok()?;
            Some(read_member(disk, place, seen.labelled()?))
        });
        let containers = Found::join(reads.collect());
        Scene { disks, containers, named }
    }

    /// Containers of this name, or with this identity.
    pub fn containers_named(&self, text: &str) -> Vec<&Found> {
        let by_id = ContainerId::parse(text);
        let is = |found: &&Found| {
            by_id == Some(found.id) || found.names().iter().any(|name| name.as_str() == text)
        };
        self.containers.iter().filter(is).collect()
    }

    /// Where a container lives: on devices as soon as one of its disks is one.
    pub fn place_of(&self, found: &Found) -> Place {
        let device = |read: &Read| {
            let disk = self.disks.get(read.place).and_then(|seen| seen.open.as_ref().ok());
            disk.is_some_and(|disk| disk.medium() == Medium::BlockDevice)
        };
        if found.disks.iter().any(device) { Place::Devices } else { Place::Images }
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (std::fs::canonicalize(one), std::fs::canonicalize(other)) {
        (Ok(a), Ok(b)) if a == b => true,
        _ => {
            use std::os::unix::fs::MetadataExt;
            let meta =
                |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino(), meta.rdev()));
            let (a, b) = (meta(one), meta(other));
            a.is_some() && a == b
        }
    }
}

fn other_path(disks: &[Seen], path: &Path) -> PathBuf {
    disks
        .iter()
        .find(|other| same_file(&other.path, path))
        .map_or_else(|| path.to_path_buf(), |other| other.path.clone())
}

fn kernel_name(path: &Path) -> Option<String> {
    let real = std::fs::canonicalize(path).ok()?;
    Some(real.file_name()?.to_str()?.to_string())
}
