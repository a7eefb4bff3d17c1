//! Volumes and regions as an earlier model had them. The container keeps its name, kind, owner and disks.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::gather::Gather;
use crate::base::id::{DiskNumber, RegionId};
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::base::units::Extents;
use crate::format::model::{DiskState, Holder, Model, ObjectRef, Run, Volume};
use crate::volume::alloc::region_runs;
use crate::volume::check;
use crate::volume::plan::draft::{Draft, Said, bytes};
use crate::volume::plan::refusal::{Refusal, RestoreWhy};
use crate::volume::runs;

/// Brings volumes and regions of `from` back.
pub(super) fn restore(draft: &mut Draft<'_>, from: &Model) -> Result<Said, Refusal> {
    let refuse =
        |draft: &Draft<'_>, why| Refusal::Restore { container: draft.model.container.name.clone(), why };
    if (&draft.model.volumes, &draft.model.regions) == (&from.volumes, &from.regions) {
        return Ok(Said::AlreadySo(format!(
            "the volumes of {} are as they were then",
            draft.model.container.name
        )));
    }
    comparable(&draft.model, from).map_err(|why| refuse(draft, why))?;
    let needed: Vec<Run> = region_runs(from).collect();
    reachable(&draft.model, from, &needed).map_err(|why| refuse(draft, why))?;
    let waiting = draft.model.freed.iter().map(|freed| freed.run).collect();
    let extents = runs::total(&runs::common(needed.clone(), waiting));
    if extents.0 > 0 {
        return Err(refuse(draft, RestoreWhy::Waiting { extents }));
    }
    held(draft, from).map_err(|why| refuse(draft, why))?;
    let words = words(&draft.model, from);
    let freed = runs::subtract(region_runs(&draft.model).collect(), needed);
    draft.model.regions.clone_from(&from.regions);
    draft.model.volumes.clone_from(&from.volumes);
    draft.give_back(freed);
    Ok(Said::Changed(words))
}

fn comparable(now: &Model, from: &Model) -> Result<(), RestoreWhy> {
    check::laws(from).map_err(|broken| RestoreWhy::Damaged(Box::new(broken)))?;
    if from.container.id != now.container.id {
        return Err(RestoreWhy::OtherContainer(from.container.id));
    }
    let (then, now) = (from.container.extent, now.container.extent);
    if then != now {
        return Err(RestoreWhy::OtherExtent { then: bytes(then), now: bytes(now) });
    }
    Ok(())
}

/// Every disk that is needed must be in, and be the same disk in the same place.
fn reachable(now: &Model, from: &Model, needed: &[Run]) -> Result<(), RestoreWhy> {
    let place = |model: &Model, number: DiskNumber| model.disk(number).map(|disk| (disk.id, disk.data_start));
    let mut ends: SmallMap<DiskNumber, u64> = SmallMap::new();
    for run in needed {
        let end = ends.or_insert_with(run.disk, || 0);
        *end = run.end().0.max(*end);
    }
    for (number, end) in ends {
        let fits = now.disk(number).is_some_and(|disk| disk.state == DiskState::In && end <= disk.extents.0);
        if !fits || place(now, number) != place(from, number) {
            return Err(RestoreWhy::Disk(number));
        }
    }
    Ok(())
}

/// Extents that present regions lose to others would be freed and given out by one plan: only the asker itself may
/// still have them in its hands (safety 2.7).
fn held(draft: &Draft<'_>, from: &Model) -> Result<(), RestoreWhy> {
    let me = (draft.asker.machine.node, draft.asker.incarnation);
    let others = |holder: &Holder| !holder.expelled && (holder.node, holder.incarnation) != me;
    if !draft.model.container.holders.iter().any(others) {
        return Ok(());
    }
    let then: BTreeMap<_, _> = from.regions.iter().map(|region| (region.id, region)).gather();
    let mut moved = Vec::new();
    for region in &draft.model.regions {
        let kept = then.get(&region.id).map(|then| then.columns.concat()).unwrap_or_default();
        moved.extend(runs::subtract(region.columns.concat(), kept));
    }
    let taken = runs::common(moved, region_runs(from).collect());
    if taken.is_empty() {
        return Ok(());
    }
    Err(RestoreWhy::Held { extents: runs::total(&taken), volumes: volumes_on(&draft.model, &taken) })
}

/// The volumes whose regions have one of these extents.
fn volumes_on(model: &Model, taken: &[Run]) -> Vec<Name> {
    let mut index: BTreeMap<Run, RegionId> = BTreeMap::new();
    for region in &model.regions {
        index.extend(region.columns.iter().flatten().map(|run| (*run, region.id)));
    }
    let mut hit = BTreeSet::new();
    for run in taken {
        // Runs of a lawful model are disjoint, so the last ones that begin before its end are those it touches.
        let before_end = ..Run { disk: run.disk, start: run.end(), count: Extents::ZERO };
        let touches = |(other, _): &(&Run, &RegionId)| other.disk == run.disk && other.end() > run.start;
        hit.extend(index.range(before_end).rev().take_while(touches).map(|(_, id)| *id));
    }
    let stands_there = |volume: &&Volume| {
        let ObjectRef::Region(id) = volume.on;
        hit.contains(&id)
    };
    model.volumes.iter().filter(stands_there).map(|volume| volume.name.clone()).collect()
}

fn words(now: &Model, from: &Model) -> String {
    let of =
        |model: &Model| model.volumes.iter().map(|volume| (volume.name.clone(), volume.clone())).gather();
    let (before, after): (BTreeMap<Name, Volume>, BTreeMap<Name, Volume>) = (of(now), of(from));
    let list = |word: &str, names: Vec<&Name>| {
        let names: Vec<&str> = names.into_iter().map(Name::as_str).collect();
        if names.is_empty() { String::new() } else { format!(", {word} {}", names.join(" ")) }
    };
    let gone = before.keys().filter(|name| !after.contains_key(name)).collect();
    let back = after.keys().filter(|name| !before.contains_key(name)).collect();
    format!("restored the volumes of {}{}{}", from.change.at, list("gone:", gone), list("back:", back))
}
