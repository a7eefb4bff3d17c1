//! The body of a slot: sections whose checksums are made to fit, with any content. What decodes is written back with
//! the same meaning, and everything that looks at a model bears it: laws, graph, space, room, lines, choice, plans.
#![no_main]

use evms::base::dice::Dice;
use evms::base::epoch::{Epoch, Generation, Order};
use evms::base::hash::Hash128;
use evms::base::id::{DiskNumber, Incarnation, NodeUuid};
use evms::base::name::Name;
use evms::base::size::{Resize, Size};
use evms::base::time::WallTime;
use evms::base::units::{Bytes, MIB, Sectors};
use evms::format::layout::{End, SlotIndex};
use evms::format::model::Model;
use evms::format::section::{self, HEADER_BYTES, Section};
use evms::format::slot::{SlotHeader, SlotImage};
use evms::volume::alloc::{self, FreeSpace};
use evms::volume::choose::{self, DiskCopies};
use evms::volume::graph::{ContainerView, Graph};
use evms::volume::lines::Geometry;
use evms::volume::mistake::Rules;
use evms::volume::plan::{self, Asker, Outcome};
use evms::volume::request::{Content, Machine, OwnerAsk, Request};
use evms::volume::{check, plugins, room};
use libfuzzer_sys::fuzz_target;

const LAWFUL_AT: Order = Order { epoch: Epoch(1 << 16 | 1), generation: Generation(400) };

fuzz_target!(|input: &[u8]| {
    let body = fitted(input);
    let raw = section::decode(input);
    let model = match Model::decode(&body) {
        Ok(model) => model,
        Err(damage) => return assert!(!damage.to_string().is_empty() && raw.is_ok() | raw.is_err()),
    };
    let written = model.encode().unwrap();
    assert_eq!(Model::decode(&written).as_ref(), Ok(&model));
    look(&model);
    choice(&model, written);
    if check::laws(&model).is_ok() {
        plans(&model);
    }
});

/// The sections that the input lists, each length cut to what is there and each checksum made to fit.
fn fitted(mut rest: &[u8]) -> Vec<u8> {
    let mut sections = Vec::new();
    while let Some((head, behind)) = rest.split_at_checked(HEADER_BYTES) {
        let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let wanted = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let (bytes, after) = behind.split_at(wanted.min(behind.len()));
        sections.push(Section { kind: word(0), version: word(2), flags: word(4), bytes: bytes.to_vec() });
        rest = after;
    }
    section::encode(&sections)
}

fn look(model: &Model) {
    for broken in check::all(model) {
        assert!(!broken.to_string().is_empty());
    }
    let usage = alloc::usage(model, LAWFUL_AT.generation);
    assert_eq!(FreeSpace::of(model, LAWFUL_AT.generation).total(), usage.free);
    let _ = room::room(Bytes(768 * 1024), model).to_string();
    let view = ContainerView { model, generation: LAWFUL_AT.generation, states: Vec::new() };
    let graph = Graph::build(&[], &[view]);
    for place in graph.places() {
        assert!(graph.children(place).iter().all(|child| *child < place));
    }
    let geometry = Geometry::of(model);
    for region in &model.regions {
        let Some(manager) = plugins::manager(region) else { continue };
        let lawful = manager.validate(region, model.container.extent).is_ok();
        let lines = manager.lines(region, &geometry);
        let end = Sectors(manager.length(region).0.saturating_mul(model.container.extent.0));
        for sector in [0, 1, 127, 128, 8191, 8192, end.0.saturating_sub(1), end.0, u64::MAX] {
            let _ = manager.map(region, Sectors(sector), &geometry);
        }
        if let (true, Some(lines)) = (lawful, lines) {
            let mut next = Sectors::ZERO;
            for line in lines {
                assert_eq!(line.start, next, "lines follow each other");
                next = line.start.plus(line.length).unwrap();
            }
        }
    }
}

fn choice(model: &Model, body: Vec<u8>) {
    let header = SlotHeader {
        container: model.container.id,
        order: LAWFUL_AT,
        parent_order: Order::default(),
        parent: Hash128::NONE,
        writer: NodeUuid([1; 16]),
        incarnation: Incarnation([2; 16]),
        configuration: Generation(0),
        old_set: model.table.old_set.is_some(),
        body_bytes: 0,
        hash: Hash128::NONE,
    };
    let Some(image) = SlotImage::new(header, body) else { return };
    let copies = |(number, id)| {
        let slots = End::BOTH
            .into_iter()
            .flat_map(|end| SlotIndex::BOTH.map(|index| (end, index, Ok(image.clone()))));
        DiskCopies { number, id, slots: slots.collect() }
    };
    let disks: Vec<_> = model.table.disks.iter().take(8).map(|disk| copies((disk.number, disk.id))).collect();
    if let Ok(chosen) = choose::choose(&disks, Rules::ALL) {
        assert_eq!(chosen.model, *model);
    }
}

fn plans(model: &Model) {
    let node = model.container.owner.as_ref().map_or(NodeUuid([1; 16]), |owner| owner.node);
    let machine = Machine { node, name: None };
    let asker = Asker {
        machine: machine.clone(),
        incarnation: Incarnation([2; 16]),
        cluster: model.container.cluster,
        at: WallTime::default(),
        rules: Rules::ALL,
    };
    let name = |text: &str| Name::parse(text).unwrap();
    let first = model.volumes.first().map_or(name("first"), |volume| volume.name.clone());
    let size = Size::Exactly(Bytes(8 * MIB));
    let create =
        |stripes| Request::VolumeCreate { name: name("new"), size, stripes, stripe_bytes: None, on: vec![] };
    let by = |size| Request::VolumeExpand { name: first.clone(), size, on: vec![] };
    let numbers: Vec<DiskNumber> = model.table.disks.iter().map(|disk| disk.number).collect();
    let requests = [
        create(None),
        create(Some(2)),
        by(Resize::Grow(size)),
        by(Resize::Grow(Size::PercentFree(100))),
        Request::VolumeShrink {
            name: first.clone(),
            size: Resize::Shrink(size),
            content: Content::Empty,
            lose_data_beyond: None,
        },
        Request::VolumeRename { name: first.clone(), new: name("renamed") },
        Request::VolumeDelete { name: first },
        Request::Shrink { disks: numbers.iter().copied().take(1).collect() },
        Request::Readmit { disks: numbers },
        Request::Modify { owner: Some(OwnerAsk::Machine(machine)), kind: None, name: None },
        Request::Restore { from: Box::new(Model { volumes: vec![], ..model.clone() }) },
        Request::Settle,
    ];
    for request in requests {
        match plan::plan(model, LAWFUL_AT, &request, &asker, &mut Dice::from_number(1)) {
            Ok(Outcome::Next(planned)) => assert_eq!(check::laws(&planned.model), Ok(())),
            Ok(Outcome::AlreadySo(_)) => {}
            Err(refusal) => assert!(!refusal.to_string().is_empty()),
        }
    }
}
