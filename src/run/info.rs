//! `info`: one container, volume or disk in full. Reads only.

use std::path::{Path, PathBuf};

use crate::base::id::DiskNumber;
use crate::base::name::VolumePath;
use crate::base::units::Extents;
use crate::format::layout::{AreaKind, End};
use crate::format::model::{DiskState, Model};
use crate::run::activity::Activity;
use crate::run::change::{Held, find};
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::listing::{container_line, disk_line, disk_word, extent_bytes, volume_line, volume_lines};
use crate::run::report::{Info, MemberLine, PieceLine, Room, WriteLine};
use crate::run::scene::{Scene, Seen};
use crate::run::volume::read_head;
use crate::volume::alloc::{self, FreeSpace};
use crate::volume::choose::Chosen;
use crate::volume::discover::Found;
use crate::volume::lines::{DmLine, DmWord, Geometry};
use crate::volume::plugins::{self, fsim};
use crate::volume::room;

impl Context {
    /// `info NAME`: a disk by its path, a volume by CONTAINER/VOLUME, else a container by name or id.
    pub fn info(&self, name: &str) -> Result<Info, RunError> {
        let scene = self.look()?;
        if let Some((place, seen)) = disk_by_path(&scene, name) {
            return Ok(disk_info(&scene, place, seen));
        }
        match VolumePath::parse(name) {
            Ok(path) => volume_info(scene, &path),
            Err(_) => container_info(&scene, name),
        }
    }
}

fn disk_by_path<'a>(scene: &'a Scene, name: &str) -> Option<(usize, &'a Seen)> {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let wanted = PathBuf::from(name);
    scene.disks.iter().enumerate().find(|(_, seen)| seen.path == wanted || real(&seen.path) == real(&wanted))
}

fn disk_info(scene: &Scene, place: usize, seen: &Seen) -> Info {
    let line = disk_line(scene, place, seen);
    let areas = seen.labelled().map_or(Vec::new(), |labelled| {
        let named = |kind: AreaKind, end: End| match (kind, end) {
            (AreaKind::Label, End::Primary) => "label, front",
            (AreaKind::Label, End::Secondary) => "label, tail",
            (AreaKind::NodeBlocks, _) => "node blocks",
            (AreaKind::Intent, _) => "intent",
            (AreaKind::Proof, _) => "proof ring",
            (AreaKind::Drill, _) => "drill scratch",
            (AreaKind::Slot0, End::Primary) => "slot 0, primary",
            (AreaKind::Slot1, End::Primary) => "slot 1, primary",
            (AreaKind::Slot0, End::Secondary) => "slot 0, secondary",
            (AreaKind::Slot1, End::Secondary) => "slot 1, secondary",
            (AreaKind::History, _) => "history ring",
            (AreaKind::Data, _) => "data",
            (AreaKind::Unknown(_), _) => "unknown area",
        };
        let areas = labelled.layout.areas().iter();
        areas
            .map(|area| WriteLine {
                disk: line.path.clone(),
                sector: area.start.0,
                sectors: area.length.0,
                what: named(area.kind, area.end),
            })
            .collect()
    });
    Info::Disk { disk: line, areas }
}

fn volume_info(scene: Scene, path: &VolumePath) -> Result<Info, RunError> {
    let container = path.container.as_str();
    let (found, chosen) = find(&scene, container)?;
    let (found, model) = (found.clone(), chosen.model.clone());
    let volume = model.volume(&path.volume).ok_or_else(|| RunError::NotFound {
        what: "volume",
        name: path.to_string(),
        hint: format!("see the volumes of {container} with: evms info {container}"),
    })?;
    let line = volume_line(&found, &model, volume, &Activity::of(&scene));
    let pieces = model.region_of(volume).map_or(Vec::new(), |region| {
        let lines = plugins::manager(region).and_then(|manager| manager.lines(region, &Geometry::of(&model)));
        lines.unwrap_or_default().iter().map(piece).collect()
    });
    let held = Held { name: container.into(), found, scene };
    let content = match read_head(&held, &model, volume).map(|head| fsim::content(&head)) {
        None => "cannot be read: a disk that it lies on is not here".to_string(),
        Some(fsim::Content::Empty) => "nothing: its head is all zero".into(),
        Some(fsim::Content::Unknown) => "something that states no size".into(),
        Some(fsim::Content::FileSystem(stated)) => format!("{}, {}", stated.name, stated.size.human()),
    };
    Ok(Info::Volume { volume: line, content, pieces })
}

fn piece(line: &DmLine) -> PieceLine {
    let place = |word: &DmWord| match word {
        DmWord::Place(disk, sector) => Some((disk.0, sector.0)),
        DmWord::Number(_) => None,
    };
    PieceLine {
        start_sector: line.start.0,
        sectors: line.length.0,
        target: line.target,
        on: line.words.iter().filter_map(place).collect(),
    }
}

fn container_info(scene: &Scene, name: &str) -> Result<Info, RunError> {
    let (found, chosen) = match scene.containers_named(name).as_slice() {
        [found] if found.chosen.is_ok() => (*found, found.chosen.as_ref().ok()),
        _ => find(scene, name).map(|(found, chosen)| (found, Some(chosen)))?,
    };
    let Some(chosen) = chosen else { return Err(RunError::say(crate::base::failure::Kind::Damage, name)) };
    let model = &chosen.model;
    let generation = chosen.image.header.order.generation;
    let slot = found.disks.iter().map(|read| read.labelled.layout.slot_bytes()).min().unwrap_or_default();
    let fill = room::room(slot, model);
    Ok(Info::Container {
        container: container_line(scene, found),
        extent_bytes: extent_bytes(model, Extents(1)),
        template: model.container.template,
        created: model.container.created.to_string(),
        members: members(scene, found, chosen),
        volumes: volume_lines(found, model, &Activity::of(scene)),
        room: Room {
            used_bytes: fill.used.0,
            of_bytes: fill.of.0,
            percent: fill.percent,
            linear_volumes_left: fill.linear_volumes_left,
        },
        waiting_bytes: extent_bytes(model, alloc::usage(model, generation).waiting),
    })
}

fn members(scene: &Scene, found: &Found, chosen: &Chosen) -> Vec<MemberLine> {
    let model = &chosen.model;
    let free = FreeSpace::of(model, chosen.image.header.order.generation);
    let known =
        model.table.disks.iter().filter(|disk| disk.is_member() || is_here(found, disk.number, model));
    known
        .map(|disk| {
            let read = found.disks.iter().find(|read| read.labelled.label.disk == disk.id);
            let mut state = read.map_or("missing", |read| disk_word(found.word(read))).to_string();
            if let DiskState::AbsentSince(generation) = disk.state {
                state = format!("{state}, absent since generation {generation}");
            }
            MemberLine {
                number: disk.number.0,
                id: disk.id.to_string(),
                path: read
                    .and_then(|read| scene.disks.get(read.place))
                    .map_or(String::new(), |seen| seen.path.display().to_string()),
                state,
                first: model.table.first == disk.number,
                wwid: disk.wwid.clone(),
                size_bytes: extent_bytes(model, disk.extents),
                free_bytes: extent_bytes(model, free.on(disk.number)),
            }
        })
        .collect()
}

fn is_here(found: &Found, number: DiskNumber, model: &Model) -> bool {
    let id = model.disk(number).map(|disk| disk.id);
    found.disks.iter().any(|read| Some(read.labelled.label.disk) == id)
}
