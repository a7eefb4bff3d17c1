//! Volumes: made, renamed, deleted.

use crate::base::dice::Dice;
use crate::base::id::{DiskNumber, RegionId, VolumeId};
use crate::base::name::Name;
use crate::base::size::Size;
use crate::base::units::{Bytes, Extents};
use crate::format::model::{ObjectRef, Region, Volume};
use crate::volume::plan::draft::{Draft, Said, bytes};
use crate::volume::plan::refusal::{Refusal, VolumeWhy};
use crate::volume::plan::size;
use crate::volume::plugins::region::{Flaw, RegionManager, Shape};
use crate::volume::plugins::{self, region::Decline};

/// A volume's region and its manager. A lawful model has both.
pub(super) fn region_of<'m>(
    draft: &'m Draft<'_>,
    volume: &Volume,
) -> Result<(&'m Region, &'static dyn RegionManager, Shape), Refusal> {
    let flawed = |flaw| draft.declined(&volume.name, Decline::Flawed(flaw));
    let region = draft.model.region_of(volume).ok_or_else(|| flawed(Flaw::Params))?;
    let manager = plugins::manager(region).ok_or_else(|| flawed(Flaw::Params))?;
    let shape = manager.shape(region).map_err(flawed)?;
    Ok((region, manager, shape))
}

/// Whole extents for a size in bytes.
pub(super) fn extents_for(
    draft: &Draft<'_>,
    name: &Name,
    size: Bytes,
    columns: u16,
) -> Result<Extents, Refusal> {
    let extents = size::extents_for(size, draft.extent_bytes(), columns);
    let fits =
        extents.filter(|&extents| draft.sectors(extents).is_some_and(|sectors| sectors.to_bytes().is_some()));
    fits.ok_or_else(|| draft.volume(name, VolumeWhy::TooLarge))
}

/// A new volume.
pub(super) fn create(
    draft: &mut Draft<'_>,
    dice: &mut Dice,
    name: &Name,
    asked: Size,
    shape: Shape,
    on: &[DiskNumber],
) -> Result<Said, Refusal> {
    if let Some(volume) = draft.model.volume(name).cloned() {
        return same(draft, &volume, asked, shape, on);
    }
    let mut free = draft.free(name, on)?;
    let made = plugins::for_shape(&shape, draft.model.container.extent);
    let (plugin, manager) = made.map_err(|decline| draft.declined(name, decline))?;
    let (length, exactly) = match asked {
        Size::Exactly(size) => (extents_for(draft, name, size, shape.columns)?, Some(size)),
        Size::PercentFree(percent) => {
            (size::share(percent, manager.capacity(&shape, &free), shape.columns), None)
        }
    };
    let made = manager.make(&shape, length, &mut free).map_err(|decline| draft.declined(name, decline))?;
    let size = draft.sectors(length).ok_or_else(|| draft.volume(name, VolumeWhy::TooLarge))?;
    let region = Region { id: RegionId::random(dice), plugin, params: made.params, columns: made.columns };
    let on = ObjectRef::Region(region.id);
    draft.model.regions.push(region);
    draft.model.volumes.push(Volume { id: VolumeId::random(dice), name: name.clone(), on, size });
    Ok(Said::Changed(format!("created volume {name} of {}, {shape}", size::words(bytes(size), exactly))))
}

/// The volume exists: as it was asked, or otherwise?
fn same(
    draft: &Draft<'_>,
    volume: &Volume,
    asked: Size,
    shape: Shape,
    on: &[DiskNumber],
) -> Result<Said, Refusal> {
    let name = &volume.name;
    let (region, _, has) = region_of(draft, volume)?;
    if !has.fulfils(&shape) {
        return Err(draft.volume(name, VolumeWhy::OtherShape { has, asked: shape }));
    }
    // A share was one of what was free then; nobody can tell now.
    if let Size::Exactly(size) = asked {
        let asked = extents_for(draft, name, size, shape.columns)?;
        if draft.sectors(asked) != Some(volume.size) {
            let asked = Bytes(asked.0.saturating_mul(draft.extent_bytes().0));
            return Err(draft.volume(name, VolumeWhy::OtherSize { has: bytes(volume.size), asked }));
        }
    }
    let elsewhere = region.columns.iter().flatten().find(|run| !on.is_empty() && !on.contains(&run.disk));
    match elsewhere {
        Some(run) => Err(draft.volume(name, VolumeWhy::OtherDisk(run.disk))),
        None => Ok(Said::AlreadySo(format!(
            "{} exists with {}, {has}",
            draft.path(name),
            bytes(volume.size).human()
        ))),
    }
}

/// Another name.
pub(super) fn rename(draft: &mut Draft<'_>, name: &Name, new: &Name) -> Result<Said, Refusal> {
    let (is_old, is_new) = (draft.model.volume(name).is_some(), draft.model.volume(new).is_some());
    match (is_old, is_new) {
        (_, true) if name == new => Ok(Said::AlreadySo(format!("{} has this name", draft.path(name)))),
        (true, true) => Err(draft.volume(name, VolumeWhy::NameTaken(new.clone()))),
        (false, true) => {
            Ok(Said::AlreadySo(format!("there is no {}, and {} exists", draft.path(name), draft.path(new))))
        }
        (false, false) => Err(draft.volume(name, VolumeWhy::NotFound)),
        (true, false) => {
            for volume in draft.model.volumes.iter_mut().filter(|volume| volume.name == *name) {
                volume.name = new.clone();
            }
            Ok(Said::Changed(format!("renamed volume {name} to {new}")))
        }
    }
}

/// No volume.
pub(super) fn delete(draft: &mut Draft<'_>, name: &Name) -> Result<Said, Refusal> {
    let Some(volume) = draft.model.volume(name).cloned() else {
        let container = &draft.model.container.name;
        return Ok(Said::AlreadySo(format!("there is no volume {name} in {container} (nothing to delete)")));
    };
    let ObjectRef::Region(id) = volume.on;
    draft.model.volumes.retain(|other| other.id != volume.id);
    let gone: Vec<Region> = draft.model.regions.extract_if(.., |region| region.id == id).collect();
    draft.give_back(gone.into_iter().flat_map(|region| region.columns.concat()).collect());
    Ok(Said::Changed(format!("deleted volume {name} of {}", bytes(volume.size).human())))
}
