//! The laws of a model. A model that was read from a disk is hostile until it passes; one that was planned passes
//! before anything is written. Each law is one function that looks at all of the model and reports every breach.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::gather::Gather;
use crate::base::id::{DiskId, DiskNumber, RegionId, VolumeId};
use crate::base::limits::{
    CHANGE_TEXT_BYTES_MAX, DEED_TEXT_BYTES_MAX, DEEDS_MAX, DISK_NUMBER_MAX, DISKS_MAX, EXTENT_BYTES_MAX,
    EXTENT_BYTES_MIN, FREED_RUNS_MAX, HOLDERS_MAX, RELEASED_DISKS_MAX, RUNS_PER_REGION_MAX, SECTIONS_MAX,
    VOLUMES_MAX, WWID_BYTES_MAX,
};
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::base::small_set::SmallSet;
use crate::base::sorted::sort_by_key;
use crate::base::units::{Extents, SECTOR_BYTES, Sectors};
use crate::format::layout::DATA_ALIGN_BYTES;
use crate::format::model::{ContainerKind, Disk, Model, ObjectRef, Region, Run, Volume};
use crate::volume::plugins::{self, region::Flaw};

mod broken;
pub use broken::{Broken, Whose, kind_word};

/// Sections that every model has; see `format::model`.
const SECTIONS_KNOWN: usize = 8;

/// A model, with what many laws look up.
struct Facts<'a> {
    model: &'a Model,
    disks: SmallMap<DiskNumber, &'a Disk>,
    regions: BTreeMap<RegionId, &'a Region>,
}

type Law = fn(&Facts<'_>, &mut Vec<Broken>);

const LAWS: [Law; 10] =
    [counts, container, disks, disk_ids, disk_sets, regions, runs_inside, runs_apart, volumes, volume_ids];

/// Every breach of every law.
pub fn all(model: &Model) -> Vec<Broken> {
    let facts = Facts::of(model);
    let mut broken = Vec::new();
    LAWS.iter().for_each(|law| law(&facts, &mut broken));
    broken
}

/// Is the model lawful? Gives the first breach.
pub fn laws(model: &Model) -> Result<(), Broken> {
    let facts = Facts::of(model);
    for law in LAWS {
        let mut broken = Vec::new();
        law(&facts, &mut broken);
        if let Some(first) = broken.into_iter().next() {
            return Err(first);
        }
    }
    Ok(())
}

impl<'a> Facts<'a> {
    fn of(model: &'a Model) -> Facts<'a> {
        Facts {
            model,
            disks: model.table.disks.iter().map(|disk| (disk.number, disk)).gather(),
            regions: model.regions.iter().map(|region| (region.id, region)).gather(),
        }
    }
}

/// Gives every value that comes more than once.
fn twice<T: Ord + Clone>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    values.filter(|value| !seen.insert(value.clone())).collect()
}

fn counts(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    let model = facts.model;
    let members = model.table.disks.iter().filter(|disk| disk.is_member()).count();
    let old_set = model.table.old_set.as_ref().map_or(0, |old| old.disks.len());
    let longest = model.deeds.iter().map(|deed| deed.text.len()).max().unwrap_or(0);
    let limits = [
        ("disks", members, DISKS_MAX),
        ("disks that were removed", model.table.disks.len() - members, RELEASED_DISKS_MAX),
        ("disks in the old set", old_set, DISKS_MAX),
        ("holders", model.container.holders.len(), HOLDERS_MAX),
        ("regions", model.regions.len(), VOLUMES_MAX),
        ("volumes", model.volumes.len(), VOLUMES_MAX),
        ("freed runs", model.freed.len(), FREED_RUNS_MAX),
        ("bytes in the sentence about its last change", model.change.text.len(), CHANGE_TEXT_BYTES_MAX),
        ("deeds", model.deeds.len(), DEEDS_MAX),
        ("bytes in the sentence of a deed", longest, DEED_TEXT_BYTES_MAX),
        ("sections", model.unknown.len() + SECTIONS_KNOWN, SECTIONS_MAX),
    ];
    for (what, count, most) in limits {
        if count > most {
            broken.push(Broken::TooMany { what, count, most });
        }
    }
    if members == 0 {
        broken.push(Broken::NoDisks);
    }
}

fn container(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    let container = &facts.model.container;
    if container.id.is_none() {
        broken.push(Broken::NoIdentity(Whose::Container));
    }
    let bytes = container.extent.to_bytes().map_or(u64::MAX, |bytes| bytes.0);
    if !(EXTENT_BYTES_MIN..=EXTENT_BYTES_MAX).contains(&bytes) || !bytes.is_multiple_of(DATA_ALIGN_BYTES) {
        broken.push(Broken::Extent(container.extent));
    }
    if container.owner.is_some() && container.kind != ContainerKind::Private {
        broken.push(Broken::OwnerOf(container.kind));
    }
    if container.owner.as_ref().is_some_and(|owner| owner.node.is_none()) {
        broken.push(Broken::NoIdentity(Whose::Owner));
    }
    if container.holders.iter().any(|holder| holder.node.is_none() || holder.incarnation.is_none()) {
        broken.push(Broken::NoIdentity(Whose::Holder));
    }
    let active = container.holders.iter().filter(|holder| !holder.expelled).count();
    if container.kind == ContainerKind::Deported && active > 0 {
        broken.push(Broken::HeldButDeported(active));
    }
    let volumes = facts.model.volumes.len();
    if container.kind == ContainerKind::Deleted && volumes + active > 0 {
        broken.push(Broken::DeletedButUsed { volumes, holders: active });
    }
    let holders = container.holders.iter().map(|holder| (holder.node, holder.incarnation));
    broken.extend(twice(holders).into_iter().map(|(node, _)| Broken::HolderTwice(node)));
}

fn disks(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for disk in &facts.model.table.disks {
        let number = disk.number;
        if number.0 > DISK_NUMBER_MAX || number.0 >= facts.model.table.next_number {
            broken.push(Broken::DiskNumber { number, next: facts.model.table.next_number });
        }
        if disk.wwid.len() > WWID_BYTES_MAX {
            broken.push(Broken::TooMany {
                what: "bytes in a WWID",
                count: disk.wwid.len(),
                most: WWID_BYTES_MAX,
            });
        }
        if !possible_block(disk.logical_block) {
            broken.push(Broken::LogicalBlock { disk: number, bytes: disk.logical_block });
        }
        let length = disk.extents.0.checked_mul(facts.model.container.extent.0).map(Sectors);
        if !length.is_some_and(|length| possible_data_area(disk.data_start, length)) {
            broken.push(Broken::DataArea(number));
        }
    }
}

/// Is this a logical block size that disks have?
pub fn possible_block(bytes: u32) -> bool {
    bytes.is_power_of_two() && (512..=4096).contains(&bytes)
}

/// Can data of this length begin here: behind metadata, on the grid, within 64 bits of bytes?
pub fn possible_data_area(start: Sectors, length: Sectors) -> bool {
    let end = start.plus(length).and_then(Sectors::to_bytes);
    end.is_some() && start > Sectors::ZERO && start.0.is_multiple_of(DATA_ALIGN_BYTES / SECTOR_BYTES)
}

fn disk_ids(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    let disks = || facts.model.table.disks.iter();
    broken.extend(
        twice(disks().map(|disk| disk.number)).into_iter().map(|number| Broken::Twice(Whose::Disk(number))),
    );
    let ids: SmallSet<DiskId> = twice(disks().map(|disk| disk.id)).into_iter().gather();
    let again = disks().filter(|disk| ids.contains(&disk.id));
    broken.extend(again.map(|disk| Broken::Twice(Whose::Disk(disk.number))));
    let blank = disks().filter(|disk| disk.id.is_none());
    broken.extend(blank.map(|disk| Broken::NoIdentity(Whose::Disk(disk.number))));
}

fn disk_sets(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    let table = &facts.model.table;
    if !facts.disks.get(&table.first).is_some_and(|disk| disk.is_member()) {
        broken.push(Broken::FirstMark(table.first));
    }
    let Some(old) = &table.old_set else { return };
    if !old.disks.contains(&old.first) {
        broken.push(Broken::OldSet(old.first));
    }
    let unknown = old.disks.iter().filter(|number| !facts.disks.contains_key(number));
    broken.extend(unknown.map(|&number| Broken::OldSet(number)));
    broken.extend(twice(old.disks.iter().copied()).into_iter().map(Broken::OldSet));
}

fn regions(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    let again = twice(facts.model.regions.iter().map(|region| region.id));
    broken.extend(again.into_iter().map(|id| Broken::Twice(Whose::Region(id))));
    for region in &facts.model.regions {
        let id = region.id;
        if id.is_none() {
            broken.push(Broken::NoIdentity(Whose::Region(id)));
        }
        let count = region.columns.iter().map(Vec::len).fold(0, usize::saturating_add);
        if count > RUNS_PER_REGION_MAX {
            broken.push(Broken::TooMany { what: "runs in a region", count, most: RUNS_PER_REGION_MAX });
            continue;
        }
        match plugins::manager(region) {
            None => broken.push(Broken::Plugin { region: id, plugin: region.plugin }),
            Some(manager) => {
                let flaw = manager.validate(region, facts.model.container.extent).err();
                broken.extend(flaw.map(|flaw: Flaw| Broken::Flaw { region: id, flaw }));
            }
        }
        if region.columns.iter().any(Vec::is_empty) {
            broken.push(Broken::EmptyColumn(id));
        }
    }
}

/// Every run of the model and whose it is.
fn all_runs<'a>(model: &'a Model) -> impl Iterator<Item = (Run, Whose)> + 'a {
    let of_regions = model
        .regions
        .iter()
        .flat_map(|region| region.columns.iter().flatten().map(|run| (*run, Whose::Region(region.id))));
    of_regions.chain(model.freed.iter().map(|freed| (freed.run, Whose::Freed)))
}

fn runs_inside(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for (run, whose) in all_runs(facts.model) {
        match facts.disks.get(&run.disk) {
            None => broken.push(Broken::RunNowhere { run, whose }),
            Some(disk) if !disk.is_member() => broken.push(Broken::RunNowhere { run, whose }),
            Some(disk) => {
                let inside = run.start.plus(run.count).is_some_and(|end| end <= disk.extents);
                if !inside || run.count == Extents::ZERO {
                    broken.push(Broken::RunOutside { run, whose, extents: disk.extents });
                }
            }
        }
    }
}

fn runs_apart(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    let mut runs: Vec<(Run, Whose)> = all_runs(facts.model).collect();
    sort_by_key(&mut runs, |(run, _)| *run);
    // The run that reaches furthest so far; a long run may swallow several that follow.
    let mut furthest: Option<(Run, Whose)> = None;
    for (run, whose) in runs {
        match furthest {
            Some((before, other)) if before.disk == run.disk && run.start < before.end() => {
                broken.push(Broken::Overlap { disk: run.disk, extent: run.start, one: other, other: whose });
                if run.end() > before.end() {
                    furthest = Some((run, whose));
                }
            }
            _ => furthest = Some((run, whose)),
        }
    }
}

/// Sectors that a volume on this region can use.
pub fn room_of(region: &Region, extent: Sectors) -> Option<Sectors> {
    plugins::manager(region)?.length(region).0.checked_mul(extent.0).map(Sectors)
}

fn volumes(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    let extent = facts.model.container.extent;
    for volume in &facts.model.volumes {
        let Volume { name, size, .. } = volume.clone();
        let ObjectRef::Region(id) = volume.on;
        let Some(region) = facts.regions.get(&id) else {
            broken.push(Broken::VolumeOnNothing(name));
            continue;
        };
        let room = room_of(region, extent).unwrap_or(Sectors::ZERO);
        if size > room || size == Sectors::ZERO {
            broken.push(Broken::VolumeSize { name, size, room });
        }
    }
    let under = twice(facts.model.volumes.iter().map(|Volume { on: ObjectRef::Region(id), .. }| *id));
    broken.extend(under.into_iter().map(Broken::SharedRegion));
}

fn volume_ids(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    let names: Vec<Name> = twice(facts.model.volumes.iter().map(|volume| volume.name.clone()));
    broken.extend(names.into_iter().map(Broken::VolumeName));
    let ids: Vec<VolumeId> = twice(facts.model.volumes.iter().map(|volume| volume.id));
    broken.extend(ids.into_iter().map(|id| Broken::Twice(Whose::Volume(id))));
    if let Some(volume) = facts.model.volumes.iter().find(|volume| volume.id.is_none()) {
        broken.push(Broken::NoIdentity(Whose::Volume(volume.id)));
    }
}

#[cfg(test)]
mod tests;
