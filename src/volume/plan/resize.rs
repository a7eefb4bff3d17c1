//! Volumes grow and shrink.

use crate::base::id::DiskNumber;
use crate::base::name::Name;
use crate::base::size::{Resize, Size};
use crate::base::units::{Bytes, Extents, Sectors};
use crate::format::model::{Region, Run, Volume};
use crate::volume::plan::draft::{Draft, Said, bytes};
use crate::volume::plan::refusal::{Refusal, VolumeWhy};
use crate::volume::plan::size;
use crate::volume::plan::volumes::{extents_for, region_of};
use crate::volume::request::Content;
use crate::volume::runs;

fn find(draft: &Draft<'_>, name: &Name) -> Result<Volume, Refusal> {
    draft.model.volume(name).cloned().ok_or_else(|| draft.volume(name, VolumeWhy::NotFound))
}

fn sectors(draft: &Draft<'_>, name: &Name, length: Extents) -> Result<Sectors, Refusal> {
    draft.sectors(length).ok_or_else(|| draft.volume(name, VolumeWhy::TooLarge))
}

/// Gives the volume its size, and its region these columns if they change.
fn apply(draft: &mut Draft<'_>, volume: &Volume, size: Sectors, region: Region) {
    for old in draft.model.regions.iter_mut().filter(|old| old.id == region.id) {
        old.columns.clone_from(&region.columns);
    }
    for old in draft.model.volumes.iter_mut().filter(|old| old.id == volume.id) {
        old.size = size;
    }
}

fn grown_words(name: &Name, old: Sectors, new: Sectors, exactly: Option<Bytes>) -> String {
    format!("expanded volume {name} from {} to {}", bytes(old).human(), size::words(bytes(new), exactly))
}

/// A larger volume.
pub(super) fn expand(
    draft: &mut Draft<'_>,
    name: &Name,
    asked: Resize,
    on: &[DiskNumber],
) -> Result<Said, Refusal> {
    let volume = find(draft, name)?;
    let mut free = draft.free(name, on)?;
    let (region, manager, shape) = region_of(draft, &volume)?;
    let (has, length) = (bytes(volume.size), manager.length(region));
    let exactly = |size| extents_for(draft, name, size, shape.columns).map(|extents| (extents, Some(size)));
    let (target, rounded) = match asked {
        Resize::To(Size::Exactly(size)) => exactly(size)?,
        Resize::Grow(Size::Exactly(more)) => {
            exactly(has.plus(more).ok_or_else(|| draft.volume(name, VolumeWhy::TooLarge))?)?
        }
        Resize::Grow(Size::PercentFree(percent)) => {
            (runs::add(length, size::share(percent, manager.can_grow(region, &free), shape.columns)), None)
        }
        Resize::To(Size::PercentFree(_)) => return Err(draft.volume(name, VolumeWhy::Share)),
        Resize::Shrink(_) => return Err(draft.volume(name, VolumeWhy::WrongVerb { verb: "shrink" })),
    };
    let size = sectors(draft, name, target)?;
    if size < volume.size {
        return Err(draft.volume(name, VolumeWhy::WouldShrink { has, asked: bytes(size) }));
    }
    if size == volume.size {
        return Ok(Said::AlreadySo(format!("{} has {}", draft.path(name), size::words(has, rounded))));
    }
    let mut region = region.clone();
    let by = runs::sub(target, length);
    if by > Extents::ZERO {
        let grown = manager.grow(&region, by, &mut free);
        region.columns = grown.map_err(|decline| draft.declined(name, decline))?;
    }
    apply(draft, &volume, size, region);
    Ok(Said::Changed(grown_words(name, volume.size, size, rounded)))
}

/// The size in bytes that is asked, before it is rounded.
fn smaller(draft: &Draft<'_>, name: &Name, has: Bytes, asked: Resize) -> Result<Bytes, Refusal> {
    match asked {
        Resize::To(Size::Exactly(size)) => Ok(size),
        Resize::Shrink(Size::Exactly(less)) => Ok(has.minus(less).unwrap_or_default()),
        Resize::Grow(_) => Err(draft.volume(name, VolumeWhy::WrongVerb { verb: "expand" })),
        Resize::To(Size::PercentFree(_)) | Resize::Shrink(Size::PercentFree(_)) => {
            Err(draft.volume(name, VolumeWhy::Share))
        }
    }
}

/// Is nothing lost beyond `new`, or did somebody consent to just that (safety 3.6)? A consent is rounded like the size.
fn guard(
    draft: &Draft<'_>,
    name: &Name,
    new: (Extents, Bytes),
    columns: u16,
    content: &Content,
    consent: Option<Bytes>,
) -> Result<(), Refusal> {
    let (extents, new) = new;
    match (content, consent) {
        (Content::Empty, _) => Ok(()),
        (Content::FileSystem { size, .. }, _) if *size <= new => Ok(()),
        (Content::FileSystem { name: kind, size }, _) => {
            let why = VolumeWhy::FileSystem { name: kind.clone(), states: *size, new };
            Err(draft.volume(name, why))
        }
        (Content::Unknown, None) => Err(draft.volume(name, VolumeWhy::NoConsent { new })),
        (Content::Unknown, Some(consent)) => {
            match size::extents_for(consent, draft.extent_bytes(), columns) {
                Some(stated) if stated == extents => Ok(()),
                _ => Err(draft.volume(name, VolumeWhy::OtherConsent { consent, new })),
            }
        }
    }
}

/// A smaller volume.
pub(super) fn shrink(
    draft: &mut Draft<'_>,
    name: &Name,
    asked: Resize,
    content: &Content,
    consent: Option<Bytes>,
) -> Result<Said, Refusal> {
    let volume = find(draft, name)?;
    let has = bytes(volume.size);
    let wanted = smaller(draft, name, has, asked)?;
    if wanted == Bytes::ZERO {
        return Err(draft.volume(name, VolumeWhy::NothingLeft(has)));
    }
    let (region, manager, shape) = region_of(draft, &volume)?;
    let target = extents_for(draft, name, wanted, shape.columns)?;
    let size = sectors(draft, name, target)?;
    if size > volume.size {
        return Err(draft.volume(name, VolumeWhy::WouldGrow { has, asked: bytes(size) }));
    }
    if size == volume.size {
        return Ok(Said::AlreadySo(format!("{} has {}", draft.path(name), size::words(has, Some(wanted)))));
    }
    guard(draft, name, (target, bytes(size)), shape.columns, content, consent)?;
    let mut region = region.clone();
    let mut freed: Vec<Run> = Vec::new();
    if target < manager.length(&region) {
        let cut = manager.shrink(&region, target).map_err(|decline| draft.declined(name, decline))?;
        (region.columns, freed) = (cut.columns, cut.freed);
    }
    apply(draft, &volume, size, region);
    draft.give_back(freed);
    let (old, new) = (has.human(), size::words(bytes(size), Some(wanted)));
    Ok(Said::Changed(format!("shrunk volume {name} from {old} to {new}")))
}
