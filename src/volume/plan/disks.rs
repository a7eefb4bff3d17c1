//! The set of disks: more, fewer, back again, settled. A change of the set keeps the set before it until the commit
//! after it is complete (safety 2.4), so there is never a second one before the first is settled.

use std::collections::BTreeSet;

use crate::base::id::DiskNumber;
use crate::base::limits::{DISK_NUMBER_MAX, DISKS_MAX, RELEASED_DISKS_MAX, WWID_BYTES_MAX};
use crate::base::name::Name;
use crate::base::small_set::SmallSet;
use crate::base::sorted::sort;
use crate::base::units::Extents;
use crate::format::model::{Disk, DiskState, Model, ObjectRef, OldSet};
use crate::volume::check;
use crate::volume::plan::draft::{Draft, Said, bytes};
use crate::volume::plan::refusal::{DisksWhy, NewDiskWord, Refusal};
use crate::volume::request::NewDisk;
use crate::volume::runs;

fn members(model: &Model) -> impl Iterator<Item = &Disk> {
    model.table.disks.iter().filter(|disk| disk.is_member())
}

fn numbers(disks: &[DiskNumber]) -> String {
    let words: Vec<String> = disks.iter().map(ToString::to_string).collect();
    format!("{} {}", if disks.len() == 1 { "disk" } else { "disks" }, words.join(", "))
}

/// Makes members of new disks; gives their numbers.
pub(super) fn admit(model: &mut Model, new: &[NewDisk]) -> Result<Vec<DiskNumber>, DisksWhy> {
    if new.is_empty() {
        return Err(DisksWhy::NoneGiven);
    }
    let count = members(model).count().saturating_add(new.len());
    if count > DISKS_MAX {
        return Err(DisksWhy::TooMany { count, most: DISKS_MAX });
    }
    // Fixed at create: what the largest block was then is the largest ever.
    let block_most = model.table.disks.iter().map(|disk| disk.logical_block).max();
    let mut admitted = Vec::new();
    for (nth, disk) in new.iter().enumerate() {
        let word = NewDiskWord { nth: nth + 1, wwid: disk.wwid.clone() };
        let number = admit_one(model, disk, word, block_most)?;
        admitted.push(number);
    }
    Ok(admitted)
}

fn admit_one(
    model: &mut Model,
    new: &NewDisk,
    word: NewDiskWord,
    block_most: Option<u32>,
) -> Result<DiskNumber, DisksWhy> {
    let same_wwid = members(model).any(|disk| !new.wwid.is_empty() && disk.wwid == new.wwid);
    if same_wwid || model.disk_by_id(new.id).is_some() {
        return Err(DisksWhy::Twice(word));
    }
    if let Some(most) = block_most.filter(|&most| new.logical_block > most) {
        return Err(DisksWhy::Block { disk: word, has: new.logical_block, most });
    }
    let extent = model.container.extent;
    let extents = Extents(new.data_length.0.checked_div(extent.0).unwrap_or(0));
    if extents == Extents::ZERO {
        let (has, extent) = (bytes(new.data_length), bytes(extent));
        return Err(DisksWhy::TooSmall { disk: word, has, extent });
    }
    if new.id.is_none()
        || new.wwid.len() > WWID_BYTES_MAX
        || !check::possible_data_area(new.data_start, new.data_length)
        || !check::possible_block(new.logical_block)
    {
        return Err(DisksWhy::Layout(word));
    }
    let number = DiskNumber(model.table.next_number);
    if number.0 > DISK_NUMBER_MAX {
        return Err(DisksWhy::NoNumber);
    }
    model.table.next_number = number.0.saturating_add(1);
    model.table.disks.push(Disk {
        id: new.id,
        number,
        state: DiskState::In,
        wwid: new.wwid.clone(),
        data_start: new.data_start,
        extents,
        logical_block: new.logical_block,
    });
    Ok(number)
}

pub(super) fn set_now(model: &Model) -> OldSet {
    OldSet { disks: members(model).map(|disk| disk.number).collect(), first: model.table.first }
}

/// More disks.
pub(super) fn expand(draft: &mut Draft<'_>, new: &[NewDisk]) -> Result<Said, Refusal> {
    let is_member = |disk: &NewDisk| draft.model.disk_by_id(disk.id).is_some_and(Disk::is_member);
    if !new.is_empty() && new.iter().all(is_member) {
        return Ok(Said::AlreadySo(format!("{} has these disks already", draft.model.container.name)));
    }
    if draft.model.table.old_set.is_some() {
        return Err(draft.disks(DisksWhy::SetChanging));
    }
    let before = set_now(&draft.model);
    let added = admit(&mut draft.model, new).map_err(|why| draft.disks(why))?;
    draft.model.table.old_set = Some(before);
    Ok(Said::Changed(format!("added {}", numbers(&added))))
}

/// Every disk must be known; gives those in a state that `concerns`.
fn concerned(
    draft: &Draft<'_>,
    disks: &[DiskNumber],
    concerns: impl Fn(&Disk) -> bool,
) -> Result<Vec<DiskNumber>, Refusal> {
    if disks.is_empty() {
        return Err(draft.disks(DisksWhy::NoneGiven));
    }
    let mut found = SmallSet::new();
    for &number in disks {
        let disk = draft.model.disk(number).ok_or_else(|| draft.disks(DisksWhy::Unknown(number)))?;
        if concerns(disk) {
            found.insert(number);
        }
    }
    Ok(found.into_iter().collect())
}

/// Volumes, and extents of regions, on a disk.
fn load(model: &Model, disk: DiskNumber) -> (Extents, Vec<Name>) {
    let (mut extents, mut on_it) = (Extents::ZERO, BTreeSet::new());
    for region in &model.regions {
        for run in region.columns.iter().flatten().filter(|run| run.disk == disk) {
            extents = runs::add(extents, run.count);
            on_it.insert(region.id);
        }
    }
    let stands_there = |volume: &&crate::format::model::Volume| {
        let ObjectRef::Region(id) = volume.on;
        on_it.contains(&id)
    };
    (extents, model.volumes.iter().filter(stands_there).map(|volume| volume.name.clone()).collect())
}

/// Fewer disks.
pub(super) fn shrink(draft: &mut Draft<'_>, disks: &[DiskNumber]) -> Result<Said, Refusal> {
    let leaving = concerned(draft, disks, Disk::is_member)?;
    if leaving.is_empty() {
        return Ok(Said::AlreadySo(format!(
            "{} has no {} any more",
            draft.model.container.name,
            numbers(disks)
        )));
    }
    if draft.model.table.old_set.is_some() {
        return Err(draft.disks(DisksWhy::SetChanging));
    }
    for &disk in &leaving {
        let (extents, volumes) = load(&draft.model, disk);
        if extents > Extents::ZERO {
            return Err(draft.disks(DisksWhy::InUse { disk, extents, volumes }));
        }
    }
    let stays = |disk: &&Disk| disk.state == DiskState::In && !leaving.contains(&disk.number);
    let Some(first_left) = draft.model.table.disks.iter().filter(stays).map(|disk| disk.number).min() else {
        return Err(draft.disks(DisksWhy::NoneLeft));
    };
    let mut words = format!("removed {}", numbers(&leaving));
    draft.model.table.old_set = Some(set_now(&draft.model));
    if leaving.contains(&draft.model.table.first) {
        draft.model.table.first = first_left;
        words = format!("{words}, disk {first_left} is first now");
    }
    let next = draft.next;
    for disk in draft.model.table.disks.iter_mut().filter(|disk| leaving.contains(&disk.number)) {
        disk.state = DiskState::Released(next);
    }
    draft.model.freed.retain(|freed| !leaving.contains(&freed.run.disk));
    forget_released(&mut draft.model);
    Ok(Said::Changed(words))
}

/// Forgets the longest removed disks beyond the limit; their numbers are never given out again.
fn forget_released(model: &mut Model) {
    let mut released: Vec<_> = model
        .table
        .disks
        .iter()
        .filter_map(|disk| match disk.state {
            DiskState::Released(generation) => Some((generation, disk.number)),
            DiskState::In | DiskState::AbsentSince(_) => None,
        })
        .collect();
    sort(&mut released);
    let beyond = released.len().saturating_sub(RELEASED_DISKS_MAX);
    let forgotten: SmallSet<DiskNumber> =
        released.into_iter().take(beyond).map(|(_, number)| number).collect();
    model.table.disks.retain(|disk| !forgotten.contains(&disk.number));
}

/// Disks that missed commits and are back.
pub(super) fn readmit(draft: &mut Draft<'_>, disks: &[DiskNumber]) -> Result<Said, Refusal> {
    let released = concerned(draft, disks, |disk| !disk.is_member())?;
    if let Some(&disk) = released.first() {
        return Err(draft.disks(DisksWhy::Released(disk)));
    }
    let back = concerned(draft, disks, |disk| disk.state != DiskState::In)?;
    if back.is_empty() {
        return Ok(Said::AlreadySo(format!(
            "{} of {} did not miss a commit",
            numbers(disks),
            draft.model.container.name
        )));
    }
    for disk in draft.model.table.disks.iter_mut().filter(|disk| back.contains(&disk.number)) {
        disk.state = DiskState::In;
    }
    Ok(Said::Changed(format!("readmitted {}", numbers(&back))))
}

/// Lets the old set go.
pub(super) fn settle(draft: &mut Draft<'_>) -> Result<Said, Refusal> {
    draft.may_hold()?;
    match draft.model.table.old_set.take() {
        None => Ok(Said::AlreadySo(format!("the disks of {} are settled", draft.model.container.name))),
        Some(_) => {
            super::draft::hold(&mut draft.model, draft.asker, draft.at);
            Ok(Said::Changed("disks settled".into()))
        }
    }
}
