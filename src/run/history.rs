//! `history`, `backup`, `restore`: models that were, on the disks' rings and in files.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::base::epoch::{Epoch, Order};
use crate::base::failure::Kind;
use crate::base::hash::Hash128;
use crate::base::limits::SLOT_BYTES_MAX;
use crate::base::units::{Bytes, SECTOR_BYTES};
use crate::engine::guard::Act;
use crate::format::history::Ring;
use crate::format::layout::{AreaKind, End};
use crate::format::model::{ChangeKind, Model};
use crate::format::slot::SlotImage;
use crate::run::change::find;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::look::read_long;
use crate::run::report::{BackedUp, Changed, History, HistoryLine};
use crate::run::scene::Scene;
use crate::volume::choose::Chosen;
use crate::volume::discover::Found;
use crate::volume::request::Request;

/// Where a model is brought back from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// A file made by `backup`.
    File(PathBuf),
    /// The ring.
    Kept(Which),
}

/// One of the models that are kept. Its generation tells it, but for a commit that lost against another of the same
/// number: then the epoch is needed too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Which {
    /// Its generation.
    pub generation: u64,
    /// Its epoch, when that was given.
    pub epoch: Option<Epoch>,
}

impl Which {
    /// `12`, or `12@7.1`: generation 12 of epoch 7.1; the epoch may also be the number that `--json` prints.
    pub fn parse(text: &str) -> Option<Which> {
        let (generation, epoch) = match text.split_once('@') {
            Some((generation, epoch)) => {
                (generation, Some(Epoch::parse(epoch).or_else(|| epoch.parse().ok().map(Epoch))?))
            }
            None => (text, None),
        };
        let digits = !generation.is_empty() && generation.bytes().all(|byte| byte.is_ascii_digit());
        Some(Which { generation: generation.parse().ok().filter(|_| digits)?, epoch })
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.generation)?;
        self.epoch.map_or(Ok(()), |epoch| write!(f, "@{epoch}"))
    }
}

/// A model that is kept, and on which disks.
pub(super) struct Kept {
    pub(super) image: SlotImage,
    disks: Vec<u16>,
}

/// All models that the rings and slots of a container's disks keep, newest first.
pub(super) fn kept(scene: &Scene, found: &Found) -> Vec<Kept> {
    let mut all: BTreeMap<(Order, Hash128), Kept> = BTreeMap::new();
    for read in &found.disks {
        let number = read.labelled.label.number.0;
        let area = read.labelled.layout.area(AreaKind::History, End::Primary);
        let disk = scene.disks.get(read.place).and_then(|seen| seen.open.as_ref().ok());
        let ring = disk.and_then(|disk| read_long(disk, area.start_bytes(), area.length_bytes().0).ok());
        let records = Ring::decode(&ring.unwrap_or_default()).records.into_iter().map(|record| record.image);
        let slots = read.copies.slots.iter().filter_map(|(_, _, copy)| copy.as_ref().ok().cloned());
        for image in records.chain(slots).filter(|image| image.header.container == found.id) {
            let key = (image.header.order, image.header.hash);
            let entry = all.entry(key).or_insert_with(|| Kept { image, disks: Vec::new() });
            if !entry.disks.contains(&number) {
                entry.disks.push(number);
            }
        }
    }
    all.into_values().rev().collect()
}

fn kind_word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Create => "create",
        ChangeKind::Opening => "opening",
        ChangeKind::Change => "change",
        ChangeKind::Settle => "settle",
        ChangeKind::Takeover => "takeover",
    }
}

fn line(kept: &Kept, present: &Chosen) -> Option<HistoryLine> {
    let model = Model::decode(&kept.image.body).ok()?;
    let order = kept.image.header.order;
    Some(HistoryLine {
        epoch: order.epoch.0,
        generation: order.generation.0,
        at: model.change.at.to_string(),
        by: model.change.by.map_or(String::new(), |by| by.to_string()),
        words: model.change.text,
        kind: kind_word(model.change.kind),
        volumes: model.volumes.len(),
        present: kept.image.header.hash == present.image.header.hash,
        kept_on: kept.disks.clone(),
    })
}

impl Context {
    /// `history NAME [--compare G1 [G2]]`; without G2 the present model is compared.
    pub fn history(&self, name: &str, compare: Option<(Which, Option<Which>)>) -> Result<History, RunError> {
        let scene = self.look_for_members()?;
        let (found, chosen) = find(&scene, name)?;
        let kept = kept(&scene, found);
        let differences = match compare {
            None => Vec::new(),
            Some((one, other)) => {
                let before = one_of(&kept, one, name)?;
                let after = match other {
                    Some(other) => one_of(&kept, other, name)?,
                    None => chosen.model.clone(),
                };
                differences(&before, &after)
            }
        };
        let models = kept.iter().filter_map(|kept| line(kept, chosen)).collect();
        Ok(History { container: chosen.model.container.name.to_string(), models, differences })
    }

    /// `backup NAME FILE`: the present model, whole, into a new file.
    pub fn backup(&self, name: &str, file: &Path) -> Result<BackedUp, RunError> {
        let scene = self.look_for_members()?;
        let (_, chosen) = find(&scene, name)?;
        let bytes = chosen.image.encode();
        write_new(file, &bytes).map_err(|error| {
            RunError::say(
                unsaved_kind(&error),
                format!(
                    "the model of {name} was not saved to {}: {error}; no disk was touched; name a file that does not \
                     exist yet, on a file system with room",
                    file.display()
                ),
            )
        })?;
        let order = chosen.image.header.order;
        Ok(BackedUp {
            container: chosen.model.container.name.to_string(),
            file: file.display().to_string(),
            epoch: order.epoch.0,
            generation: order.generation.0,
            bytes: bytes.len() as u64,
        })
    }

    /// `restore NAME --from FILE | --generation N`: volumes and regions as they were; all else stays.
    pub fn restore(&mut self, name: &str, from: &RestoreFrom) -> Result<Changed, RunError> {
        let held = self.hold(name, Act::Change)?;
        let model = match from {
            RestoreFrom::Kept(which) => one_of(&kept(&held.scene, &held.found), *which, name)?,
            RestoreFrom::File(file) => read_backup(file)?,
        };
        if model.container.id != held.found.id {
            return Err(RunError::say(
                Kind::Refused,
                format!(
                    "the backup is of container {} ({}) and not of {name} ({}); nothing was written; name the right one",
                    model.container.name, model.container.id, held.found.id
                ),
            ));
        }
        self.errand(&held, Request::Restore { from: Box::new(model) }, Act::Change)
    }
}

fn unsaved_kind(error: &std::io::Error) -> Kind {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::PermissionDenied | ErrorKind::NotADirectory => Kind::Refused,
        ErrorKind::NotFound => Kind::NotFound,
        _ => Kind::Device,
    }
}

fn write_new(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).open(file)?;
    let written = out.write_all(bytes).and_then(|()| out.sync_all());
    if written.is_err() {
        // Half a backup is worse than none; the error that led here is what the user must hear.
        let _ = std::fs::remove_file(file);
    }
    written
}

fn read_backup(file: &Path) -> Result<Model, RunError> {
    let refuse = |kind, why: String| {
        RunError::say(
            kind,
            format!(
                "{} cannot be restored from: {why}; nothing was written; name a file made by evms backup",
                file.display()
            ),
        )
    };
    let meta = std::fs::metadata(file).map_err(|error| refuse(Kind::NotFound, error.to_string()))?;
    if !meta.is_file() || meta.len() > SLOT_BYTES_MAX {
        return Err(refuse(
            Kind::Refused,
            format!("it is no file of at most {}", Bytes(SLOT_BYTES_MAX).human()),
        ));
    }
    let bytes = std::fs::read(file).map_err(|error| refuse(Kind::Device, error.to_string()))?;
    let image = SlotImage::decode(&bytes).map_err(|damage| refuse(Kind::Damage, damage.to_string()))?;
    Model::decode(&image.body).map_err(|damage| refuse(Kind::Damage, damage.to_string()))
}

/// The one model that is meant, or a refusal when there is none or more than one.
fn one_of(kept: &[Kept], which: Which, name: &str) -> Result<Model, RunError> {
    let meant = |kept: &&Kept| {
        let order = kept.image.header.order;
        order.generation.0 == which.generation && which.epoch.is_none_or(|epoch| epoch == order.epoch)
    };
    let found = kept.iter().filter(meant).collect::<Vec<_>>();
    let [found] = found.as_slice() else {
        return Err(not_one(&found, which, name));
    };
    Model::decode(&found.image.body).map_err(|damage| RunError::Unusable {
        name: format!("generation {which} of container {name}"),
        why: format!("{damage}; nothing was written; choose another"),
    })
}

fn not_one(found: &[&Kept], which: Which, name: &str) -> RunError {
    if found.is_empty() {
        return RunError::NotFound {
            what: "model of generation",
            name: which.to_string(),
            hint: format!("see what is kept with: evms history {name}"),
        };
    }
    let words = found.iter().map(|kept| {
        let Order { epoch, generation } = kept.image.header.order;
        Which { generation: generation.0, epoch: Some(epoch) }.to_string()
    });
    RunError::say(
        Kind::Refused,
        format!(
            "{} models of container {name} have generation {which}, for one commit lost against another; nothing was \
             written; name one of them: {}",
            found.len(),
            words.collect::<Vec<_>>().join(" or ")
        ),
    )
}

/// What a person would call the differences between two models.
fn differences(before: &Model, after: &Model) -> Vec<String> {
    let mut out = Vec::new();
    let mut differ = |what: &str, one: String, other: String| {
        if one != other {
            out.push(format!("{what}: {one} became {other}"));
        }
    };
    let owner = |model: &Model| {
        let owner = model.container.owner.as_ref();
        owner.map_or("nobody".into(), |owner| {
            owner.name.as_ref().map_or(owner.node.to_string(), ToString::to_string)
        })
    };
    let kind = |model: &Model| crate::volume::check::kind_word(model.container.kind).to_string();
    differ("name", before.container.name.to_string(), after.container.name.to_string());
    differ("type", kind(before), kind(after));
    differ("owner", owner(before), owner(after));
    out.extend(disk_differences(before, after));
    out.extend(volume_differences(before, after));
    out
}

fn disk_differences(before: &Model, after: &Model) -> Vec<String> {
    let member = |model: &Model, id| model.disk_by_id(id).is_some_and(crate::format::model::Disk::is_member);
    let joined = after.table.disks.iter().filter(|disk| disk.is_member() && !member(before, disk.id));
    let left = before.table.disks.iter().filter(|disk| disk.is_member() && !member(after, disk.id));
    let joined = joined.map(|disk| format!("disk {} joined", disk.number));
    joined.chain(left.map(|disk| format!("disk {} was let go", disk.number))).collect()
}

fn volume_differences(before: &Model, after: &Model) -> Vec<String> {
    let size = |sectors: u64| Bytes(sectors.saturating_mul(SECTOR_BYTES)).human().to_string();
    let mut out = Vec::new();
    for volume in &before.volumes {
        match after.volumes.iter().find(|other| other.id == volume.id) {
            None => out.push(format!("volume {} ({}) was deleted", volume.name, size(volume.size.0))),
            Some(other) => {
                if other.name != volume.name {
                    out.push(format!("volume {} was renamed to {}", volume.name, other.name));
                }
                if other.size != volume.size {
                    out.push(format!(
                        "volume {}: {} became {}",
                        other.name,
                        size(volume.size.0),
                        size(other.size.0)
                    ));
                }
                if before.region_of(volume).map(|region| &region.columns)
                    != after.region_of(other).map(|region| &region.columns)
                    && other.size == volume.size
                {
                    out.push(format!("volume {} lies elsewhere", other.name));
                }
            }
        }
    }
    let new = after.volumes.iter().filter(|volume| before.volumes.iter().all(|other| other.id != volume.id));
    out.extend(new.map(|volume| format!("volume {} ({}) was made", volume.name, size(volume.size.0))));
    out
}
