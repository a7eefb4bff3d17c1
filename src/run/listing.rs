//! `list`: what there is, as the disks tell it. Reads only.

use crate::base::sorted::sort;
use crate::base::units::{Bytes, Extents, SECTOR_BYTES};
use crate::format::model::{ContainerKind, Model, Volume};
use crate::run::activity::Activity;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::report::{ContainerLine, DiskLine, ListWhat, Listing, ObjectLine, VolumeLine};
use crate::run::scene::{Scene, Seen};
use crate::volume::alloc;
use crate::volume::check::kind_word;
use crate::volume::choose::{Chosen, Unchosen};
use crate::volume::discover::{Deletion, DiskWord, Found, Sighting};
use crate::volume::graph::{ContainerView, Graph};
use crate::volume::object::{DiskView, Holds, ObjectKind};
use crate::volume::plugins::{self, local_disk::DiskFacts};

impl Context {
    /// `list`.
    pub fn list(&self, what: ListWhat) -> Result<Listing, RunError> {
        let scene = match what {
            ListWhat::Containers | ListWhat::Volumes | ListWhat::Regions => self.look_for_members()?,
            ListWhat::Overview | ListWhat::Disks | ListWhat::Segments | ListWhat::Objects => self.look()?,
        };
        let wants = |part| what == ListWhat::Overview || what == part;
        let graph = matches!(what, ListWhat::Segments | ListWhat::Regions | ListWhat::Objects);
        Ok(Listing {
            what,
            disks: if wants(ListWhat::Disks) { disk_lines(&scene) } else { Vec::new() },
            containers: if wants(ListWhat::Containers) { container_lines(&scene) } else { Vec::new() },
            volumes: if wants(ListWhat::Volumes) { all_volumes(&scene) } else { Vec::new() },
            objects: if graph { object_lines(&scene, what) } else { Vec::new() },
            errors: errors(&scene),
        })
    }
}

fn errors(scene: &Scene) -> Vec<String> {
    let looked = scene.disks.iter().filter(|seen| seen.declined.is_none());
    looked.filter_map(|seen| seen.sighting.as_ref().err()).map(ToString::to_string).collect()
}

/// Gates and volumes of ours are no disks to a person, though the kernel lists them among them.
fn disk_lines(scene: &Scene) -> Vec<DiskLine> {
    let ours = |seen: &Seen| seen.facts.as_ref().is_some_and(DiskFacts::is_ours);
    let disks = scene.disks.iter().enumerate().filter(|(_, seen)| !ours(seen));
    disks.map(|(place, seen)| disk_line(scene, place, seen)).collect()
}

/// One disk in a list.
pub fn disk_line(scene: &Scene, place: usize, seen: &Seen) -> DiskLine {
    let known = seen.facts.as_ref().map_or(0, |facts| facts.size.0);
    let blank = DiskLine {
        path: seen.path.display().to_string(),
        size_bytes: seen.open.as_ref().map_or(known, |disk| disk.size().0),
        wwid: seen.wwid(),
        ..DiskLine::default()
    };
    if let Some(why) = &seen.declined {
        return DiskLine { state: "declined", words: why.clone(), ..blank };
    }
    match &seen.sighting {
        Err(error) => DiskLine { state: "error", words: error.to_string(), ..blank },
        Ok(Sighting::Blank) => DiskLine { state: "free", words: "nothing known is on it".into(), ..blank },
        Ok(Sighting::Foreign(found)) => {
            let mut words = found.iter().map(|signature| signature.what).collect::<Vec<_>>();
            words.dedup();
            DiskLine { state: "foreign", words: words.join(", "), ..blank }
        }
        Ok(Sighting::Unusable(why)) => DiskLine { state: "damaged", words: why.to_string(), ..blank },
        Ok(Sighting::Ours(labelled)) => {
            let found = scene.containers.iter().find(|found| found.id == labelled.label.container);
            let name = found.map_or(String::new(), shown_name);
            let read =
                found.and_then(|found| Some((found, found.disks.iter().find(|read| read.place == place)?)));
            let mut words =
                read.map_or(String::new(), |(found, read)| disk_word(found.word(read)).to_string());
            if !labelled.damaged.is_empty() && !labelled.grown {
                words.push_str(", one label damaged");
            }
            if labelled.grown {
                words.push_str(", grown since it was labelled");
            }
            DiskLine { state: "member", container: name, number: labelled.label.number.0, words, ..blank }
        }
    }
}

/// A disk's state in one or two words.
pub fn disk_word(word: DiskWord) -> &'static str {
    match word {
        DiskWord::Current => "current",
        DiskWord::Stale => "stale",
        DiskWord::Empty => "empty",
        DiskWord::Damaged => "damaged",
        DiskWord::NotMember => "not a member",
        DiskWord::Released => "released",
    }
}

/// A container's name, or its id where no model tells one.
pub fn shown_name(found: &Found) -> String {
    found.names().first().map_or_else(|| found.id.to_string(), ToString::to_string)
}

/// The word by which a command means just this container: its name, or its id where the name is not its alone.
pub fn word_for(scene: &Scene, found: &Found) -> String {
    let name = shown_name(found);
    if scene.containers_named(&name).len() == 1 { name } else { found.id.to_string() }
}

fn container_lines(scene: &Scene) -> Vec<ContainerLine> {
    scene.containers.iter().map(|found| container_line(scene, found)).collect()
}

fn state(found: &Found) -> &'static str {
    match &found.chosen {
        _ if !found.clones.is_empty() => "clones",
        _ if found.deletion() == Deletion::Contradicted => "conflict",
        _ if found.deletion() == Deletion::Settled => "deleted",
        Err(Unchosen::Conflict { .. }) => "conflict",
        Err(Unchosen::Nothing | Unchosen::Unreadable { .. }) => "damaged",
        Ok(chosen) if !chosen.majority_read => "incomplete",
        Ok(chosen) if !chosen.committed => "in doubt",
        Ok(_) => "committed",
    }
}

/// One container in a list.
pub fn container_line(scene: &Scene, found: &Found) -> ContainerLine {
    let blank = ContainerLine {
        id: found.id.to_string(),
        name: found.names().first().map_or(String::new(), ToString::to_string),
        state: state(found),
        problems: problems(scene, found),
        ..ContainerLine::default()
    };
    let Ok(chosen) = &found.chosen else {
        return ContainerLine { disks_here: found.disks.len(), ..blank };
    };
    let (model, order) = (&chosen.model, chosen.image.header.order);
    let container = &model.container;
    let usage = alloc::usage(model, order.generation);
    let bytes = |extents| extent_bytes(model, extents);
    let members = model.table.disks.iter().filter(|disk| disk.is_member()).collect::<Vec<_>>();
    let here = |id| found.disks.iter().any(|read| read.labelled.label.disk == id);
    let owner = container.owner.as_ref();
    ContainerLine {
        name: container.name.to_string(),
        kind: kind_word(container.kind),
        owner: owner.map_or(String::new(), |owner| owner.node.to_string()),
        owner_name: owner.and_then(|owner| owner.name.as_ref()).map_or(String::new(), ToString::to_string),
        cluster: if container.cluster.is_none() { String::new() } else { container.cluster.to_string() },
        epoch: order.epoch.0,
        generation: order.generation.0,
        disks_here: members.iter().filter(|disk| here(disk.id)).count(),
        disks: members.len(),
        volumes: model.volumes.len(),
        size_bytes: bytes(usage.total),
        free_bytes: bytes(usage.free),
        changed_at: model.change.at.to_string(),
        changed: model.change.text.clone(),
        ..blank
    }
}

/// Bytes of so many extents of a container.
pub fn extent_bytes(model: &Model, extents: Extents) -> u64 {
    extents.0.saturating_mul(model.container.extent.0).saturating_mul(SECTOR_BYTES)
}

fn path(scene: &Scene, place: usize) -> String {
    scene.disks.get(place).map_or(String::new(), |seen| seen.path.display().to_string())
}

/// What is wrong with a container, one sentence each.
pub fn problems(scene: &Scene, found: &Found) -> Vec<String> {
    let name = shown_name(found);
    let mut out = Vec::new();
    for places in &found.clones {
        let paths = places.iter().map(|place| path(scene, *place)).collect::<Vec<_>>().join(" and ");
        out.push(format!("{paths} carry one identity; take the copy away, or give it new ids"));
    }
    if let Some(intent) = found.intent() {
        out.push(format!(
            "a change of ids to {} was cut short; finish it with: evms container import {name} --new-ids",
            intent.new_container
        ));
    }
    for read in found.disks.iter().filter(|read| read.labelled.front_lost) {
        let (number, path) = (read.labelled.label.number, path(scene, read.place));
        out.push(format!(
            "disk {number} ({path}) holds data at its front that nobody knows; nothing is written before evms check {name} \
             --repair is told to, or the disk is taken away"
        ));
    }
    match &found.chosen {
        Err(why) => out.push(RunError::unchosen(&name, why).to_string()),
        Ok(chosen) => out.extend(chosen_problems(found, chosen, &name)),
    }
    for read in &found.disks {
        let words = match found.word(read) {
            DiskWord::Current => continue,
            // Told already, with the way to take it back.
            DiskWord::Stale if is_absent(found, read) => continue,
            // No model counts, so none is older than it.
            DiskWord::Stale if found.chosen.is_err() => continue,
            DiskWord::Stale => "holds an older model; the next change writes it anew",
            DiskWord::Empty => "was labelled and holds no model yet; the next change writes it",
            DiskWord::Damaged => "holds no copy that can be believed; mend it with: evms check --repair",
            DiskWord::NotMember => "is labelled and no member; free it with: --wipe evms",
            DiskWord::Released => "was let go and still carries its label; evms check --repair takes it away",
        };
        out.push(format!("disk {} ({}) {words}", read.labelled.label.number, path(scene, read.place)));
    }
    out
}

fn is_absent(found: &Found, read: &crate::volume::discover::Read) -> bool {
    let number = read.labelled.label.number;
    let disk = found.chosen.as_ref().ok().and_then(|chosen| chosen.model.disk(number));
    disk.is_some_and(|disk| matches!(disk.state, crate::format::model::DiskState::AbsentSince(_)))
}

fn chosen_problems(found: &Found, chosen: &Chosen, name: &str) -> Vec<String> {
    let mut out = Vec::new();
    let missing = found.missing().iter().map(ToString::to_string).collect::<Vec<_>>();
    if !missing.is_empty() {
        out.push(format!("disk {} is missing", missing.join(", ")));
    }
    let deletion = found.deletion();
    if !chosen.majority_read && deletion != Deletion::Settled {
        out.push("too few of its disks are here to change it; a newer model may exist on the others".into());
    }
    out.extend(unsettled(chosen, name));
    match deletion {
        Deletion::Settled => out.push(format!(
            "it is deleted and some of its disks carry labels still; free them with: evms container delete {name}"
        )),
        Deletion::Contradicted => out.push(RunError::contradicted(name, found).to_string()),
        Deletion::No | Deletion::Begun => (),
    }
    for disk in &chosen.model.table.disks {
        if let crate::format::model::DiskState::AbsentSince(generation) = disk.state {
            out.push(format!(
                "disk {} missed generation {generation} and takes nothing new until: evms container readmit {name} {}",
                disk.number, disk.number
            ));
        }
    }
    out
}

/// What a crash left half done and the next opening by anybody finishes.
pub fn unsettled(chosen: &Chosen, name: &str) -> Vec<String> {
    let mut out = Vec::new();
    if chosen.majority_read && !chosen.committed {
        out.push(format!(
            "its newest model ({}) is held by too few disks and is in doubt; the next change of {name} decides it",
            chosen.image.header.order
        ));
    }
    if chosen.model.table.old_set.is_some() {
        out.push(match chosen.model.container.kind {
            ContainerKind::Deleted => {
                format!("its deletion is half done; finish it with: evms container delete {name}")
            }
            _ => "a change of its disks is half done; the next change finishes it".into(),
        });
    }
    out
}

fn all_volumes(scene: &Scene) -> Vec<VolumeLine> {
    let activity = Activity::of(scene);
    let readable = scene.containers.iter().filter_map(|found| Some((found, found.chosen.as_ref().ok()?)));
    readable.flat_map(|(found, chosen)| volume_lines(found, &chosen.model, &activity)).collect()
}

/// The volumes of one container.
pub fn volume_lines(found: &Found, model: &Model, activity: &Activity) -> Vec<VolumeLine> {
    model.volumes.iter().map(|volume| volume_line(found, model, volume, activity)).collect()
}

/// One volume in a list.
pub fn volume_line(found: &Found, model: &Model, volume: &Volume, activity: &Activity) -> VolumeLine {
    let standing = activity.standing(model.container.id, volume);
    let region = model.region_of(volume);
    let shape = region.and_then(|region| plugins::manager(region)?.shape(region).ok());
    let plugin = region.and_then(|region| plugins::by_id(region.plugin));
    let mut disks = region
        .map_or(Vec::new(), |region| region.columns.iter().flatten().map(|run| run.disk).collect::<Vec<_>>());
    sort(&mut disks);
    disks.dedup();
    let missing = found.missing();
    VolumeLine {
        name: format!("{}/{}", model.container.name, volume.name),
        id: volume.id.to_string(),
        size_bytes: volume.size.0.saturating_mul(SECTOR_BYTES),
        layout: plugin.map_or("unknown", |plugin| plugin.name()),
        stripes: shape.map_or(1, |shape| shape.columns),
        stripe_bytes: shape.and_then(|shape| shape.chunk).unwrap_or(Bytes(0)).0,
        whole: disks.iter().all(|number| !missing.contains(number)),
        disks: disks.into_iter().map(|number| number.0).collect(),
        device: standing.device,
        suspended: standing.suspended,
    }
}

/// The object graph of everything that was seen.
pub fn graph(scene: &Scene) -> Graph {
    let views = scene.disks.iter().enumerate().filter(|(_, seen)| seen.declined.is_none());
    let views = views.map(|(place, seen)| {
        let line = disk_line(scene, place, seen);
        let holds = match &seen.sighting {
            Ok(Sighting::Ours(labelled)) => {
                Holds::Member { container: labelled.label.container, disk: labelled.label.disk }
            }
            Ok(Sighting::Unusable(why)) => Holds::Damaged(why.to_string()),
            Ok(Sighting::Foreign(_)) => Holds::Foreign(line.words.clone()),
            Ok(Sighting::Blank) => Holds::Nothing,
            Err(error) => Holds::Damaged(error.to_string()),
        };
        // What it holds says `member` or `free`; what is known besides is told here.
        let states = if line.number == 0 { Vec::new() } else { vec![line.words.clone()] };
        DiskView { name: line.path, size: Bytes(line.size_bytes), states, wwid: line.wwid, holds }
    });
    let views = views.collect::<Vec<_>>();
    let readable = scene.containers.iter().filter_map(|found| Some((found, found.chosen.as_ref().ok()?)));
    let containers = readable.map(|(found, chosen)| ContainerView {
        model: &chosen.model,
        generation: chosen.image.header.order.generation,
        states: vec![state(found).to_string()],
    });
    Graph::build(&views, &containers.collect::<Vec<_>>())
}

fn object_lines(scene: &Scene, what: ListWhat) -> Vec<ObjectLine> {
    let graph = graph(scene);
    let pass = |kind: ObjectKind| match what {
        ListWhat::Segments => matches!(kind, ObjectKind::Segment(_)),
        ListWhat::Regions => matches!(kind, ObjectKind::Region | ObjectKind::FreeSpace),
        _ => true,
    };
    let name = |place: &crate::volume::graph::Place| graph.object(*place).map(|object| object.name.clone());
    let listed = graph.list(|object| pass(object.kind));
    listed
        .map(|(place, object)| ObjectLine {
            name: object.name.clone(),
            kind: object.kind.word(),
            plugin: object.plugin,
            size_bytes: object.size.0,
            states: object.states.clone(),
            container: object.container.as_ref().map_or(String::new(), ToString::to_string),
            id: object.id.clone(),
            on: graph.children(place).iter().filter_map(name).collect(),
            under: graph.parents(place).iter().filter_map(name).collect(),
        })
        .collect()
}
