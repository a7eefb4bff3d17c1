//! What a command sees before it decides anything: the disks it may look at, what stands on each, and the containers
//! that they make. Nothing here writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::id::ContainerId;
use crate::engine::guard::Place;
use crate::host::disk::{Identity, Medium, OpenDisk, Want};
use crate::host::disk_error::DiskError;
use crate::host::sysfs::{self, Roots, SysfsError};
use crate::host::udev::Patience;
use crate::run::look::{self, Looked};
use crate::volume::discover::{Found, Labelled, Read, Sighting};
use crate::volume::plugins::local_disk::{self, Declined, DiskFacts, DiskKind, Filter};

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
    /// What sysfs says of it, where that was asked for all disks; see [`Seen::facts_now`].
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

impl Seen {
    fn new(path: PathBuf, looked: Looked) -> (Seen, Option<Read>) {
        let Looked { open, sighting, read } = looked;
        (Seen { path, open, sighting, facts: None, declined: None }, read)
    }

    fn declined(path: PathBuf, facts: Option<DiskFacts>, why: &Declined) -> Seen {
        let error = DiskError::NotFound { path: path.clone() };
        Seen { path, open: Err(error.clone()), sighting: Err(error), facts, declined: Some(why.to_string()) }
    }

    /// Its label, when it is a usable member.
    pub fn labelled(&self) -> Option<&Labelled> {
        match &self.sighting {
            Ok(Sighting::Ours(labelled)) => Some(labelled),
            _ => None,
        }
    }

    /// What the kernel says of it: as it was asked for all disks, or else asked now. Nothing for image files.
    pub fn facts_now(&self) -> Option<DiskFacts> {
        let is_device = self.open.as_ref().is_ok_and(|disk| disk.medium() == Medium::BlockDevice);
        let ask = || is_device.then(|| facts_of(&self.path)).flatten();
        self.facts.clone().or_else(ask)
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
        self.facts_now().and_then(|facts| facts.wwid).unwrap_or_default()
    }
}

impl Scene {
    /// Looks at the named disks; any that cannot be opened ends the look, for the user meant it.
    pub fn of_named(paths: &[PathBuf], want: Want) -> Result<Scene, SceneError> {
        let mut scene = Scene { disks: Vec::new(), containers: Vec::new(), named: true };
        let mut reads = Vec::new();
        let mut known: BTreeMap<Identity, PathBuf> = BTreeMap::new();
        for (place, (path, looked)) in paths.iter().zip(look::at_all(paths, want)).enumerate() {
            match &looked.open {
                // A second lock or claim of one disk by one process denies itself: tell that from another's.
                Err(DiskError::Locked { .. } | DiskError::Busy { .. }) => {
                    let others = paths.iter().enumerate().filter(|(other, _)| *other != place);
                    if let Some((_, other)) = others.into_iter().find(|(_, other)| same_file(other, path)) {
                        return Err(SceneError::Twice(other.clone(), path.clone()));
                    }
                }
                Err(_) => (),
                Ok(disk) => {
                    if let Some(other) = known.insert(disk.identity(), path.clone()) {
                        return Err(SceneError::Twice(other, path.clone()));
                    }
                }
            }
            match &looked.open {
                // It hangs: the others are looked at all the same, and this one is told (F33).
                Err(DiskError::TimedOut { .. }) | Ok(_) => (),
                Err(error) => return Err(SceneError::Open(error.clone())),
            }
            scene.add(path.clone(), looked, &mut reads);
        }
        scene.containers = Found::join(reads);
        Ok(scene)
    }

    /// Looks at the named disks to change them. A lock on a device is given the time to go: udev locks what it looks into,
    /// and another command of ours ends. An image file that is locked is refused at once.
    pub fn opened(paths: &[PathBuf], want: Want) -> Result<Scene, SceneError> {
        let patience = Patience::for_a_lock();
        loop {
            match Scene::of_named(paths, want) {
                Err(SceneError::Open(DiskError::Locked { path })) if !path.is_file() && patience.wait() => (),
                other => return other,
            }
        }
    }

    /// Looks at all disks of the machine that the filter lets through, and learns all that the kernel says of each.
    pub fn of_machine(filter: &Filter, want: Want) -> Result<Scene, SceneError> {
        let facts = sysfs::disks(&Roots::default()).map_err(SceneError::Walk)?;
        let judged = facts
            .into_iter()
            .map(|facts| (PathBuf::from(&facts.path), local_disk::judge(&facts, filter), facts));
        let judged = judged.collect::<Vec<_>>();
        let paths = judged
            .iter()
            .filter(|(_, word, _)| word.is_ok())
            .map(|(path, _, _)| path.clone())
            .collect::<Vec<_>>();
        let mut looked = look::at_all(&paths, want).into_iter();
        let mut scene = Scene { disks: Vec::new(), containers: Vec::new(), named: false };
        let mut reads = Vec::new();
        for (path, word, facts) in judged {
            match word {
                Err(why) => scene.disks.push(Seen::declined(path, Some(facts), &why)),
                Ok(()) => {
                    if let Some(looked) = looked.next() {
                        scene.add(path, looked, &mut reads).facts = Some(facts);
                    }
                }
            }
        }
        scene.containers = Found::join(reads);
        Ok(scene)
    }

    /// Looks for members among all disks of the machine: what carries no label of ours is read at both ends and no
    /// more is asked of it. Asking sysfs for one attribute costs three times as much as reading a block.
    pub fn of_members(filter: &Filter, want: Want) -> Result<Scene, SceneError> {
        if !filter.is_empty() {
            return Scene::of_machine(filter, want);
        }
        let roots = Roots::default();
        let mut names = sysfs::names(&roots).map_err(SceneError::Walk)?;
        let held = names.iter().any(|name| local_disk::may_hold(name));
        let is_map = |name: &str| local_disk::kind_by_name(name) == DiskKind::DeviceMapper;
        let uuid = |name: &str| is_map(name).then(|| sysfs::dm_uuid(&roots, name)).flatten();
        let mut scene = Scene { disks: Vec::new(), containers: Vec::new(), named: false };
        names.retain(|name| {
            // What somebody else stands on is his: it is not even opened (a failed path of a map may hang).
            let word = local_disk::judge_name(name, uuid(name).as_deref()).and_then(|()| match held {
                true => local_disk::judge_holders(&sysfs::holders(&roots, name)),
                false => Ok(()),
            });
            if let Err(why @ (Declined::PathOf { .. } | Declined::Held { .. })) = &word {
                scene.disks.push(Seen::declined(sysfs::node_of(name).into(), None, why));
            }
            word.is_ok()
        });
        let paths = names.iter().map(|name| PathBuf::from(sysfs::node_of(name))).collect::<Arc<[_]>>();
        let mut reads = Vec::new();
        for ((name, path), looked) in names.iter().zip(paths.iter()).zip(look::for_members(&paths, want)) {
            // What carries nothing of ours is nobody's business here.
            let Some(looked) = looked else { continue };
            match judge_looked(&roots, name, &looked, filter) {
                Ok(()) => drop(scene.add(path.clone(), *looked, &mut reads)),
                Err(why) => scene.disks.push(Seen::declined(path.clone(), None, &why)),
            }
        }
        scene.containers = Found::join(reads);
        Ok(scene)
    }

    /// A disk that another command has locked.
    pub fn locked(&self) -> Option<&DiskError> {
        let errors = self.disks.iter().filter_map(|seen| seen.open.as_ref().err());
        errors.into_iter().find(|error| matches!(error, DiskError::Locked { .. }))
    }

    fn add(&mut self, path: PathBuf, looked: Looked, reads: &mut Vec<Read>) -> &mut Seen {
        let place = self.disks.len();
        let (seen, read) = Seen::new(path, looked);
        reads.extend(read.map(|read| Read { place, ..read }));
        self.disks.push(seen);
        &mut self.disks[place]
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

/// What the kernel says of the block device behind this path.
fn facts_of(path: &Path) -> Option<DiskFacts> {
    let real = std::fs::canonicalize(path).ok()?;
    sysfs::disk(&Roots::default(), real.file_name()?.to_str()?).ok()
}

/// What carries our label is judged by how it stands, what could not be read by all that is known, and the rest not. (What
/// stands on it was judged before.)
fn judge_looked(roots: &Roots, name: &str, looked: &Looked, filter: &Filter) -> Result<(), Declined> {
    match (&looked.open, &looked.sighting) {
        (Ok(disk), Ok(Sighting::Ours(_) | Sighting::Unusable(_))) if disk.read_only() => {
            Err(Declined::ReadOnly)
        }
        (Ok(_), Ok(_)) => Ok(()),
        _ => sysfs::disk(roots, name).map_or(Ok(()), |facts| local_disk::judge(&facts, filter)),
    }
}
