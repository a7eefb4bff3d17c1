//! `container import --new-ids`: makes a clone, or an image made as a template, a container of its own. All disks get
//! an intent first; then each gets its model and labels; a crash anywhere is finished by the same command.

use std::collections::BTreeMap;

use crate::base::epoch::{Epoch, Generation};
use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::id::{ContainerId, DiskId, DiskNumber, NodeId, RegionId, VolumeId};
use crate::base::small_map::SmallMap;
use crate::engine::guard::{self, Act};
use crate::format::intent::Intent;
use crate::format::label::Label;
use crate::format::layout::{End, SlotIndex};
use crate::format::model::{ChangeKind, ContainerKind, Model, ObjectRef, Owner};
use crate::format::slot::SlotImage;
use crate::host::clock;
use crate::host::disk::Want;
use crate::run::change::write_lines;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::labels;
use crate::run::look::read_long;
use crate::run::report::Changed;
use crate::run::scene::Scene;
use crate::run::writable;
use crate::volume::choose::Unchosen;
use crate::volume::commit::stamp::Stamp;
use crate::volume::commit::{Labels, NewId};
use crate::volume::discover::{Found, Read};
use crate::volume::mistake::Rules;
use crate::volume::plan;
use crate::volume::votes::Quorum;

/// What the disks of one container become.
struct Renaming {
    intents: SmallMap<usize, Intent>,
    image: SlotImage,
    disks: Vec<Read>,
}

impl Context {
    /// `container import NAME --new-ids`.
    pub fn container_new_ids(&mut self, name: &str) -> Result<Changed, RunError> {
        let paths = {
            let scene = self.look_for_members()?;
            let found = named(&scene, name);
            if found.is_empty() {
                return Err(RunError::NotFound {
                    what: "container",
                    name: name.into(),
                    hint: "see what there is with: evms list".into(),
                });
            }
            let places = found.iter().flat_map(|found| found.disks.iter().map(|read| read.place));
            places
                .filter_map(|place| scene.disks.get(place))
                .map(|seen| seen.path.clone())
                .collect::<Vec<_>>()
        };
        let want = if self.options.dry_run { Want::Look } else { Want::Change };
        let scene = Scene::opened(&paths, want).map_err(RunError::Scene)?;
        let founds = named(&scene, name);
        let (old, done) = halves(name, &founds)?;
        crate::run::change::refuse_clones(&scene, old, name)?;
        writable::refuse_newer(name, old)?;
        writable::refuse_strange_fronts(name, &scene, old)?;
        let renaming = match old.intent() {
            Some(intent) => self.resume(name, &scene, old, done, &intent.clone())?,
            None => self.begin(&scene, old, name)?,
        };
        self.rename(&scene, old, name, &renaming)
    }

    fn begin(&mut self, scene: &Scene, old: &Found, name: &str) -> Result<Renaming, RunError> {
        let chosen = old.chosen.as_ref().map_err(|why| RunError::unchosen(name, why))?;
        self.may(&chosen.model, scene.place_of(old), Act::Import).map_err(RunError::Denied)?;
        if !chosen.model.container.cluster.is_none() {
            return Err(RunError::say(
                Kind::Refused,
                format!(
                    "container {name} belongs to a cluster, and a copy of such a one gets no ids of its own yet; nothing was written; \
                     copy a standalone container, or keep the copy away from this machine"
                ),
            ));
        }
        let missing = old.missing();
        if !missing.is_empty() || !chosen.committed {
            let quorum = Quorum::of(&chosen.model.table);
            let tally = quorum.tally(&chosen.held_by, Rules::ALL);
            return Err(RunError::NoMajority {
                name: name.into(),
                tally,
                missing: missing.into_iter().collect(),
            });
        }
        let new_container = ContainerId::random(&mut self.dice);
        let mut intents = SmallMap::new();
        for read in &old.disks {
            let (old_disk, new_disk) = (read.labelled.label.disk, DiskId::random(&mut self.dice));
            let intent = Intent { old_container: old.id, new_container, old_disk, new_disk };
            intents.insert(read.place, intent);
        }
        let model = self.renamed_model(&chosen.model, new_container, &intents, scene, old)?;
        let image = self.renamed_image(chosen.image.header.order.epoch, model, name)?;
        Ok(Renaming { intents, image, disks: old.disks.clone() })
    }

    /// The model with fresh ids: container, disks, regions, volumes. This machine owns it where it can.
    fn renamed_model(
        &mut self,
        before: &Model,
        id: ContainerId,
        intents: &SmallMap<usize, Intent>,
        scene: &Scene,
        old: &Found,
    ) -> Result<Model, RunError> {
        let mut model = before.clone();
        model.container.id = id;
        model.container.template = false;
        model.container.holders.clear();
        model.freed.clear();
        if model.container.kind != ContainerKind::Shared {
            model.container.kind = ContainerKind::Private;
            let node = self.machine.node;
            let owner = Owner { node, name: self.machine.name.clone() };
            model.container.owner = (!node.is_none()).then_some(owner);
        }
        if scene.place_of(old) == guard::Place::Devices && self.machine.node.is_none() {
            return Err(RunError::Denied(guard::Denied::NoIdentity { name: model.container.name.clone() }));
        }
        let new_ids =
            intents.values().map(|intent| (intent.old_disk, intent.new_disk)).gather::<SmallMap<_, _>>();
        for disk in &mut model.table.disks {
            if let Some(new) = new_ids.get(&disk.id) {
                disk.id = *new;
            }
        }
        model.table.disks.retain(crate::format::model::Disk::is_member);
        let mut regions: BTreeMap<RegionId, RegionId> = BTreeMap::new();
        for region in &mut model.regions {
            let new = RegionId::random(&mut self.dice);
            regions.insert(region.id, new);
            region.id = new;
        }
        for volume in &mut model.volumes {
            volume.id = VolumeId::random(&mut self.dice);
            let ObjectRef::Region(on) = volume.on;
            volume.on = ObjectRef::Region(regions.get(&on).copied().unwrap_or(on));
        }
        model.change.kind = ChangeKind::Create;
        model.change.text = format!("new ids, made from container {}", old.id);
        model.change.at = clock::wall_now();
        model.change.by = self.machine.name.clone();
        Ok(model)
    }

    /// A first model, under an epoch above the one it was made from.
    fn renamed_image(&self, seen: Epoch, mut model: Model, name: &str) -> Result<SlotImage, RunError> {
        let epoch = Epoch::above(seen, NodeId(1));
        let image = epoch.and_then(|epoch| {
            // Those of what it was made from are not its own.
            model.deeds.clear();
            let (node, configuration) = (self.machine.node, Generation(0));
            let stamp = Stamp { epoch, parent: None, node, incarnation: self.incarnation, configuration };
            plan::found(&mut model, stamp.order()?);
            stamp.image(&model)
        });
        image.ok_or_else(|| RunError::say(Kind::Refused, format!("container {name}: its epochs are used up")))
    }

    /// Finds what a crashed run had begun: intents on the disks still to be done, and the new model wherever it stands.
    fn resume(
        &mut self,
        name: &str,
        scene: &Scene,
        old: &Found,
        done: Option<&Found>,
        first: &Intent,
    ) -> Result<Renaming, RunError> {
        let begun = done.and_then(|done| done.chosen.as_ref().ok());
        // All disks may have their new labels, and some their intent still: then the new container itself was found.
        let begun = begun.or_else(|| old.chosen.as_ref().ok().filter(|_| old.id == first.new_container));
        let begun = begun.map(|chosen| chosen.image.clone());
        let begun =
            begun.or_else(|| old.disks.iter().find_map(|read| raw_image(scene, read, first.new_container)));
        let Some(image) = begun else {
            // No disk has the new model yet: all intents may be written anew.
            let name =
                old.chosen.as_ref().map_or(String::new(), |chosen| chosen.model.container.name.to_string());
            return self.begin(scene, old, &name);
        };
        let model = Model::decode(&image.body).map_err(|damage| {
            RunError::unchosen(name, &Unchosen::Unreadable { disk: DiskNumber(0), damage })
        })?;
        self.may(&model, scene.place_of(old), Act::Import).map_err(RunError::Denied)?;
        let mut intents = SmallMap::new();
        let mut disks = Vec::new();
        for read in old.disks.iter().chain(done.into_iter().flat_map(|done| &done.disks)) {
            let label = &read.labelled.label;
            let intent = match &read.intent {
                Some(intent) => intent.clone(),
                // It has its new label and its intent is cleared: it is done, and its new id stands in the model.
                None if label.container == first.new_container => continue,
                // Its intent is lost: what it becomes stands in the model, by its number.
                None => Intent {
                    old_container: old.id,
                    new_container: first.new_container,
                    old_disk: label.disk,
                    new_disk: model
                        .disk(label.number)
                        .map_or_else(|| DiskId::random(&mut self.dice), |disk| disk.id),
                },
            };
            intents.insert(read.place, intent);
            disks.push(read.clone());
        }
        Ok(Renaming { intents, image, disks })
    }

    fn rename(
        &mut self,
        scene: &Scene,
        old: &Found,
        name: &str,
        renaming: &Renaming,
    ) -> Result<Changed, RunError> {
        let open = |read: &Read| scene.disks.get(read.place).and_then(|seen| seen.open.as_ref().ok());
        let disks = renaming.disks.iter().filter_map(open).collect::<Vec<_>>();
        let paths = disks.iter().map(|disk| disk.path().display().to_string()).collect::<Vec<_>>();
        let members = renaming.disks.iter().map(|read| read.labelled.member()).collect::<Vec<_>>();
        let mandate = guard::may_found(renaming.image.header.container, None);
        let mut hands = self.hands(disks);
        let mut intents = Labels::new(members.clone(), Rules::ALL);
        for (lane, read) in renaming.disks.iter().enumerate() {
            renaming
                .intents
                .get(&read.place)
                .into_iter()
                .for_each(|intent| intents.push_intent(lane, intent));
        }
        labels::drive(&mut intents, &mandate, &mut hands);
        let mut ids = Labels::new(members, Rules::ALL);
        if intents.failed().is_empty() {
            for (lane, read) in renaming.disks.iter().enumerate() {
                if let Some(intent) = renaming.intents.get(&read.place) {
                    ids.push_new_ids(lane, &new_id(read, intent, scene, &renaming.image));
                }
            }
            labels::drive(&mut ids, &mandate, &mut hands);
        }
        if let Some((_, error)) = hands.errors.first() {
            return Err(RunError::say(
                Kind::Device,
                format!(
                    "container {name} has got its new ids in part: {error}; say the same command again to finish"
                ),
            ));
        }
        let order = renaming.image.header.order;
        Ok(Changed {
            done: format!(
                "container {name}: has new ids, {} instead of {}",
                renaming.image.header.container, old.id
            ),
            dry_run: self.options.dry_run,
            container: name.into(),
            epoch: order.epoch.0,
            generation: order.generation.0,
            writes: if self.options.dry_run { write_lines(&hands, &paths) } else { Vec::new() },
            ..Changed::default()
        })
    }
}

fn new_id(read: &Read, intent: &Intent, scene: &Scene, image: &SlotImage) -> NewId {
    let wwid = scene.disks.get(read.place).map(|seen| seen.wwid()).unwrap_or_default();
    let label =
        Label { container: intent.new_container, disk: intent.new_disk, wwid, ..read.labelled.label.clone() };
    NewId { intent: intent.clone(), label, image: image.clone() }
}

/// The containers that `name` means; also one whose old model is gone already and whose new one has this name.
fn named<'a>(scene: &'a Scene, name: &str) -> Vec<&'a Found> {
    let becomes = |found: &Found| {
        let new = found.intent().filter(|_| found.chosen.is_err())?.new_container;
        let image = found.disks.iter().find_map(|read| raw_image(scene, read, new))?;
        Some(Model::decode(&image.body).ok()?.container.name.as_str() == name)
    };
    let mut founds = scene.containers_named(name);
    let known = founds.iter().map(|found| found.id).collect::<Vec<_>>();
    founds.extend(
        scene.containers.iter().filter(|found| !known.contains(&found.id) && becomes(found) == Some(true)),
    );
    founds
}

/// The container that still has its old ids, and, after a crash, the part of it that has new ones.
fn halves<'a>(name: &str, founds: &[&'a Found]) -> Result<(&'a Found, Option<&'a Found>), RunError> {
    match founds {
        [one] => Ok((one, None)),
        [one, other] => {
            let makes =
                |old: &Found, new: &Found| old.intent().is_some_and(|intent| intent.new_container == new.id);
            if makes(one, other) {
                Ok((one, Some(other)))
            } else if makes(other, one) {
                Ok((other, Some(one)))
            } else {
                Err(RunError::Ambiguous { name: name.into(), ids: vec![one.id, other.id] })
            }
        }
        several => Err(RunError::Ambiguous {
            name: name.into(),
            ids: several.iter().map(|found| found.id).collect(),
        }),
    }
}

/// The new model, if it stands in a slot of a disk whose label is still the old one.
fn raw_image(scene: &Scene, read: &Read, new: ContainerId) -> Option<SlotImage> {
    let disk = scene.disks.get(read.place)?.open.as_ref().ok()?;
    let ends = End::BOTH.into_iter().flat_map(|end| SlotIndex::BOTH.map(|index| (end, index)));
    ends.into_iter().find_map(|(end, index)| {
        let area = read.labelled.layout.slot(index, end);
        let bytes = read_long(disk, area.start_bytes(), area.length_bytes().0).ok()?;
        SlotImage::decode(&bytes).ok().filter(|image| image.header.container == new)
    })
}
