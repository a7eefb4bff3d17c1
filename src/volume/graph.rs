//! The graph of objects: disk → segment → container → region → feature object → volume. Think of a wall: a stone can
//! only be laid on stones that lie already, so no stone ever stands on itself and there is no cycle to look for.

use std::collections::BTreeMap;

use crate::base::epoch::Generation;
use crate::base::id::{ContainerId, DiskId, DiskNumber, RegionId};
use crate::base::units::{Bytes, Extents, SECTOR_BYTES, Sectors};
use crate::format::model::{Disk, DiskState, Model, ObjectRef};
use crate::volume::alloc;
use crate::volume::check::{kind_word, room_of};
use crate::volume::object::{DiskView, Holds, NoObject, Object, ObjectKind};
use crate::volume::plugins::csm::{self, SegmentKind};
use crate::volume::plugins::{self, Layer};

/// A container whose model was read.
#[derive(Clone, Debug)]
pub struct ContainerView<'a> {
    /// Its model.
    pub model: &'a Model,
    /// The generation under which that was committed.
    pub generation: Generation,
    /// Words about its state.
    pub states: Vec<String>,
}

/// An object's place in its graph. Only [`Graph::add`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(usize);

#[derive(Clone, Debug)]
struct Stone {
    object: Object,
    children: Vec<Place>,
    parents: Vec<Place>,
}

/// All objects of this machine.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    stones: Vec<Stone>,
}

fn bytes(sectors: Sectors) -> Bytes {
    Bytes(sectors.0.saturating_mul(SECTOR_BYTES))
}

fn layer_name(layer: Layer) -> &'static str {
    plugins::of_layer(layer).next().map_or("", |plugin| plugin.name())
}

impl Graph {
    /// Lays an object on others. Places of another graph, or beyond the last stone, are left out.
    pub fn add(&mut self, object: Object, children: Vec<Place>) -> Place {
        let place = Place(self.stones.len());
        let children: Vec<Place> = children.into_iter().filter(|child| child.0 < place.0).collect();
        for child in &children {
            self.stones[child.0].parents.push(place);
        }
        self.stones.push(Stone { object, children, parents: Vec::new() });
        place
    }

    /// The graph of these disks and containers.
    pub fn build(disks: &[DiskView], containers: &[ContainerView<'_>]) -> Graph {
        let mut graph = Graph::default();
        let mut members: BTreeMap<(ContainerId, DiskId), (Place, Bytes)> = BTreeMap::new();
        for disk in disks {
            let place = graph.add_disk(disk);
            if let Holds::Member { container, disk: id } = disk.holds {
                members.insert((container, id), (place, disk.size));
            }
        }
        for container in containers {
            graph.add_container(container, &members);
        }
        graph
    }

    fn add_disk(&mut self, disk: &DiskView) -> Place {
        let mut states = disk.states.clone();
        match &disk.holds {
            Holds::Nothing => states.push("free".into()),
            Holds::Foreign(what) => states.push(format!("holds {what}")),
            Holds::Damaged(what) => states.push(format!("damaged: {what}")),
            Holds::Member { .. } => states.push("member".into()),
        }
        let object = Object {
            name: disk.name.clone(),
            kind: ObjectKind::Disk,
            plugin: layer_name(Layer::DeviceManager),
            size: disk.size,
            states,
            container: None,
            id: disk.wwid.clone(),
        };
        self.add(object, Vec::new())
    }

    fn add_container(
        &mut self,
        view: &ContainerView<'_>,
        members: &BTreeMap<(ContainerId, DiskId), (Place, Bytes)>,
    ) {
        let model = view.model;
        let mut data = Vec::new();
        for disk in model.table.disks.iter().filter(|disk| disk.is_member()) {
            let seen = members.get(&(model.container.id, disk.id)).copied();
            let (place, size) = seen.unwrap_or_else(|| self.add_missing(model, disk));
            data.extend(self.add_segments(model, disk, place, size));
        }
        let usage = alloc::usage(model, view.generation);
        let mut states = vec![kind_word(model.container.kind).to_owned()];
        states.extend(model.container.suspended.then(|| "suspended".to_owned()));
        states.extend(view.states.iter().cloned());
        let name = model.container.name.to_string();
        let size = extents(model, usage.total);
        let id = model.container.id.to_string();
        let container = self.add(of_container(model, name, ObjectKind::Container, size, states, id), data);
        self.add_free(model, container, &usage);
        self.add_volumes(model, container);
    }

    fn add_missing(&mut self, model: &Model, disk: &Disk) -> (Place, Bytes) {
        let data = disk.extents.0.saturating_mul(model.container.extent.0);
        let size = bytes(Sectors(disk.data_start.0.saturating_add(data)));
        let name = missing_name(model, disk.number);
        let states = vec!["missing".to_owned()];
        let object = of_container(model, name, ObjectKind::Disk, size, states, disk.wwid.clone());
        (self.add(object, Vec::new()), size)
    }

    /// Cuts a member into segments; gives the one with data.
    fn add_segments(&mut self, model: &Model, disk: &Disk, place: Place, size: Bytes) -> Option<Place> {
        let on = &mut self.stones[place.0].object;
        on.container = Some(model.container.name.clone());
        let name = on.name.clone();
        let mut data = None;
        for segment in csm::segments(disk, model.container.extent, size) {
            let kind = ObjectKind::Segment(segment.kind);
            let name = format!("{name}:{}", segment.kind.word());
            let mut object =
                of_container(model, name, kind, bytes(segment.length), state_words(disk), String::new());
            object.plugin = layer_name(Layer::SegmentManager);
            let segment_place = self.add(object, vec![place]);
            if segment.kind == SegmentKind::Data {
                data = Some(segment_place);
            }
        }
        data
    }

    fn add_free(&mut self, model: &Model, container: Place, usage: &alloc::Usage) {
        let mut states = Vec::new();
        if usage.waiting > Extents::ZERO {
            states.push(format!(
                "{} more wait until every holder lets go",
                extents(model, usage.waiting).human()
            ));
        }
        if usage.absent > Extents::ZERO {
            states.push(format!("{} more are on absent disks", extents(model, usage.absent).human()));
        }
        let name = format!("{}/free", model.container.name);
        let size = extents(model, usage.free);
        let object = of_container(model, name, ObjectKind::FreeSpace, size, states, String::new());
        self.add(object, vec![container]);
    }

    fn add_volumes(&mut self, model: &Model, container: Place) {
        let mut regions: BTreeMap<RegionId, Place> = BTreeMap::new();
        for region in &model.regions {
            let name = format!("{}/region-{}", model.container.name, region.id.short());
            let size = bytes(room_of(region, model.container.extent).unwrap_or(Sectors::ZERO));
            let shape = plugins::manager(region).and_then(|manager| manager.shape(region).ok());
            let states = shape.map(|shape| shape.to_string()).into_iter().collect();
            let id = region.id.to_string();
            let mut object = of_container(model, name, ObjectKind::Region, size, states, id);
            object.plugin = plugins::by_id(region.plugin).map_or("unknown", |plugin| plugin.name());
            regions.insert(region.id, self.add(object, vec![container]));
        }
        for volume in &model.volumes {
            let ObjectRef::Region(id) = volume.on;
            let name = format!("{}/{}", model.container.name, volume.name);
            let size = bytes(volume.size);
            let object =
                of_container(model, name, ObjectKind::Volume, size, Vec::new(), volume.id.to_string());
            self.add(object, regions.get(&id).copied().into_iter().collect());
        }
    }

    /// Every place, lowest objects first.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        (0..self.stones.len()).map(Place)
    }

    /// The object at a place; `None` for a place of another graph.
    pub fn object(&self, place: Place) -> Option<&Object> {
        self.stones.get(place.0).map(|stone| &stone.object)
    }

    /// What it stands on.
    pub fn children(&self, place: Place) -> &[Place] {
        self.stones.get(place.0).map_or(&[], |stone| &stone.children)
    }

    /// What stands on it.
    pub fn parents(&self, place: Place) -> &[Place] {
        self.stones.get(place.0).map_or(&[], |stone| &stone.parents)
    }

    /// The objects that pass.
    pub fn list<'a>(
        &'a self,
        pass: impl Fn(&Object) -> bool + 'a,
    ) -> impl Iterator<Item = (Place, &'a Object)> + 'a {
        let all = self.stones.iter().enumerate().map(|(nth, stone)| (Place(nth), &stone.object));
        all.filter(move |(_, object)| pass(object))
    }

    /// The objects with this name: a volume may be called like a file.
    pub fn find(&self, name: &str) -> Result<Vec<Place>, NoObject> {
        let found: Vec<Place> = self.list(|object| object.name == name).map(|(place, _)| place).collect();
        if found.is_empty() { Err(NoObject { name: name.into() }) } else { Ok(found) }
    }
}

fn extents(model: &Model, count: Extents) -> Bytes {
    bytes(Sectors(count.0.saturating_mul(model.container.extent.0)))
}

fn missing_name(model: &Model, number: DiskNumber) -> String {
    format!("{}:disk{number}", model.container.name)
}

fn state_words(disk: &Disk) -> Vec<String> {
    match disk.state {
        DiskState::In => Vec::new(),
        DiskState::AbsentSince(generation) => vec![format!("absent since generation {generation}")],
        DiskState::Released(generation) => vec![format!("removed in generation {generation}")],
    }
}

fn of_container(
    model: &Model,
    name: String,
    kind: ObjectKind,
    size: Bytes,
    states: Vec<String>,
    id: String,
) -> Object {
    Object { name, kind, plugin: "", size, states, container: Some(model.container.name.clone()), id }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::MIB;
    use crate::volume::plan::fixture;

    fn graph() -> (Graph, Model) {
        let mut model = fixture::container(&[16, 16]);
        fixture::volume(&mut model, "home", 24 * MIB, 1);
        fixture::volume(&mut model, "fast", 16 * MIB, 2);
        let member =
            |nth: usize| Holds::Member { container: model.container.id, disk: model.table.disks[nth].id };
        let disk = |name: &str, holds| {
            let size = Bytes(16 * MIB + 64 * MIB + 16 * MIB);
            DiskView { name: name.into(), size, states: vec![], wwid: format!("w-{name}"), holds }
        };
        let disks =
            [disk("a", member(0)), disk("b", Holds::Nothing), disk("c", Holds::Foreign("an ext4".into()))];
        let view = ContainerView { model: &model, generation: Generation(9), states: vec!["healthy".into()] };
        (Graph::build(&disks, &[view]), model)
    }

    #[test]
    fn objects_stand_on_each_other_in_the_order_of_the_design() {
        let (graph, _) = graph();
        let home = graph.find("data/home").unwrap()[0];
        let mut chain = vec![];
        let mut at = home;
        loop {
            chain.push(graph.object(at).unwrap().kind.word());
            let Some(&below) = graph.children(at).first() else { break };
            assert!(below < at, "a stone lies on earlier stones");
            assert!(graph.parents(below).contains(&at), "both ends of an edge know it");
            at = below;
        }
        assert_eq!(chain, ["volume", "region", "container", "segment", "disk"]);
        assert_eq!(graph.object(home).unwrap().size, Bytes(24 * MIB));
    }

    #[test]
    fn what_is_missing_free_or_foreign_is_shown_as_such() {
        let (graph, _) = graph();
        let words = |name: &str| graph.object(graph.find(name).unwrap()[0]).unwrap().states.join(", ");
        assert_eq!(words("data:disk2"), "missing");
        assert_eq!((words("b"), words("c")), ("free".into(), "holds an ext4".into()));
        assert_eq!(words("data"), "private, healthy");
        let free = graph.object(graph.find("data/free").unwrap()[0]).unwrap();
        assert_eq!((free.kind, free.size), (ObjectKind::FreeSpace, Bytes((128 - 40) * MIB)));
        assert_eq!(graph.list(|object| matches!(object.kind, ObjectKind::Segment(_))).count(), 3 + 2);
        assert_eq!(graph.find("data/nothing").unwrap_err().kind(), Kind::NotFound);
    }

    use crate::base::failure::{Failure, Kind};

    #[test]
    fn a_place_that_does_not_exist_carries_nothing() {
        let (mut graph, _) = graph();
        let object = graph.object(graph.places().next().unwrap()).unwrap().clone();
        let beyond = Place(graph.stones.len());
        let place = graph.add(object, vec![beyond]);
        assert!(graph.children(place).is_empty() && graph.parents(place).is_empty());
    }
}
