//! The specimen container: fixed values, written out by hand, from which every golden file was made once. Three disks
//! of 64 MiB, linear and striped volumes, freed runs, holders, a removed disk, a section of a newer program.
#![allow(dead_code, reason = "several tests take what they need")]

use evms::base::bits::Features;
use evms::base::epoch::{Epoch, Generation, Order};
use evms::base::hash::Hash128;
use evms::base::id::{
    ClusterId, ContainerId, DiskId, DiskNumber, Incarnation, NodeId, NodeUuid, RegionId, VolumeId,
};
use evms::base::name::Name;
use evms::base::time::WallTime;
use evms::base::units::{Bytes, Extents, MIB, Sectors};
use evms::format::disk_beat::{DiskBeat, DiskQuestion, Nonce};
use evms::format::history::Record;
use evms::format::intent::Intent;
use evms::format::label::Label;
use evms::format::layout::{Layout, Recipe};
use evms::format::model::deed::Deed;
use evms::format::model::{
    Change, ChangeKind, Container, ContainerKind, Disk, DiskState, DiskTable, Freed, Holder, Model,
    ObjectRef, OldSet, Owner, Region, Run, Volume,
};
use evms::format::node_block::NodeBlock;
use evms::format::section::{self, Section};
use evms::format::slot::{SlotHeader, SlotImage};

/// Size of each disk of the specimen.
pub const SIZE: Bytes = Bytes(64 * MIB);
/// A disk with the default ends of 16 MiB.
pub const LARGE: Bytes = Bytes(4 << 40);
pub const CONTAINER: ContainerId = ContainerId(*b"\xc0container-uuid\xc1");
pub const CLUSTER: ClusterId = ClusterId(*b"\xc2a-cluster-uuid\xc3");
pub const NODE: NodeUuid = NodeUuid(*b"\xa0node-one-uuid-\xa1");
pub const OTHER_NODE: NodeUuid = NodeUuid(*b"\xa2node-two-uuid-\xa3");
pub const LIFE: Incarnation = Incarnation(*b"\xb0incarnation-1-\xb1");
pub const OTHER_LIFE: Incarnation = Incarnation(*b"\xb2incarnation-2-\xb3");
pub const LINEAR: RegionId = RegionId(*b"\xd0linear-region-\xd1");
pub const STRIPED: RegionId = RegionId(*b"\xd2striped-regionx");
/// Plug-ins `linear` and `stripe`.
const PLUGIN_LINEAR: u16 = 0x31;
const PLUGIN_STRIPE: u16 = 0x32;

pub fn disk_id(number: u16) -> DiskId {
    DiskId([0xd0 + number as u8; 16])
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn layout(size: Bytes) -> Layout {
    Layout::make(size, &Recipe::for_size(size)).unwrap()
}

/// The label of disk `number` as evms writes it today.
pub fn label(number: u16) -> Label {
    Label {
        features: Features::default(),
        container: CONTAINER,
        disk: disk_id(number),
        number: DiskNumber(number),
        logical_block: 512,
        nodes: 64,
        size: SIZE.whole_sectors(),
        created: WallTime { seconds: 1_795_392_149 },
        wwid: format!("naa.60014057a1b2c3{number:02}"),
        areas: layout(SIZE).areas().to_vec(),
        extension: Vec::new(),
    }
}

/// As above on a disk of 4 TiB with blocks of 4096 bytes, a WWID that is not known, unknown compat bits and a
/// newer program's bytes behind the fields.
pub fn label_extended() -> Label {
    Label {
        features: Features { compat: 0x8000_0000_0000_0005, ..Features::default() },
        logical_block: 4096,
        size: LARGE.whole_sectors(),
        wwid: String::new(),
        areas: layout(LARGE).areas().to_vec(),
        extension: b"words of a newer program".to_vec(),
        ..label(7)
    }
}

pub fn node_block(counter: u64) -> NodeBlock {
    NodeBlock {
        id: NodeId(2),
        node: NODE,
        cluster: CLUSTER,
        container: CONTAINER,
        incarnation: LIFE,
        epoch: Epoch(0x0001_0203_0405_0002 + (counter << 16)),
        counter,
    }
}

pub fn disk_beat() -> DiskBeat {
    DiskBeat {
        id: NodeId(1),
        node: NODE,
        cluster: CLUSTER,
        container: CONTAINER,
        incarnation: LIFE,
        counter: 0x0102_0304_0506_0708,
        shut: vec![Nonce(*b"the first nonce."), Nonce(*b"the second one..")],
    }
}

pub fn disk_question() -> DiskQuestion {
    DiskQuestion {
        id: NodeId(1),
        cluster: CLUSTER,
        container: CONTAINER,
        asked: NODE,
        incarnation: LIFE,
        nonce: Nonce(*b"the first nonce."),
    }
}

pub fn intent() -> Intent {
    Intent {
        old_container: CONTAINER,
        new_container: ContainerId(*b"\xc4new-container-\xc5"),
        old_disk: disk_id(1),
        new_disk: DiskId(*b"\xd4new-disk-uuid-\xd5"),
    }
}

fn run(disk: u16, start: u64, count: u64) -> Run {
    Run { disk: DiskNumber(disk), start: Extents(start), count: Extents(count) }
}

fn disk(number: u16, state: DiskState) -> Disk {
    Disk {
        id: disk_id(number),
        number: DiskNumber(number),
        state,
        wwid: format!("naa.60014057a1b2c3{number:02}"),
        data_start: Sectors(8192),
        extents: Extents(14),
        logical_block: 512,
    }
}

fn owner(node: NodeUuid, text: &str) -> Owner {
    Owner { node, name: Some(name(text)) }
}

fn container() -> Container {
    Container {
        id: CONTAINER,
        name: name("data"),
        kind: ContainerKind::Private,
        owner: Some(owner(NODE, "n1")),
        home: Some(Owner { node: OTHER_NODE, name: None }),
        cluster: CLUSTER,
        extent: Sectors(8192),
        template: false,
        suspended: true,
        holders: vec![
            Holder {
                node: NODE,
                incarnation: LIFE,
                confirmed: Generation(300),
                expelled: false,
                watchdog_ms: 0,
            },
            Holder {
                node: OTHER_NODE,
                incarnation: OTHER_LIFE,
                confirmed: Generation(127),
                expelled: true,
                watchdog_ms: 0,
            },
        ],
        created: WallTime { seconds: 1_795_392_149 },
    }
}

fn regions() -> Vec<Region> {
    let linear = vec![vec![run(1, 0, 3), run(3, 5, 2)]];
    let striped = vec![vec![run(1, 3, 4)], vec![run(2, 0, 4)]];
    vec![
        Region { id: LINEAR, plugin: PLUGIN_LINEAR, params: vec![], columns: linear },
        // 128 sectors of stripe unit as a varint.
        Region { id: STRIPED, plugin: PLUGIN_STRIPE, params: vec![0x80, 0x01], columns: striped },
    ]
}

fn volumes() -> Vec<Volume> {
    let volume = |id: &[u8; 16], text, on, size| Volume {
        id: VolumeId(*id),
        name: name(text),
        on: ObjectRef::Region(on),
        size: Sectors(size),
    };
    vec![
        volume(b"\xe0home-volume-id\xe1", "home", LINEAR, 5 * 8192),
        volume(b"\xe3fast-volume-id\xe4", "fast_1.2+x", STRIPED, 8 * 8192 - 8),
    ]
}

/// A section that a newer program added and an older one may ignore.
pub fn unknown(flags: u16) -> Section {
    Section { kind: 0x4242, version: 7, flags, bytes: b"what a newer program keeps here".to_vec() }
}

fn change(kind: ChangeKind, text: &str) -> Change {
    Change { kind, text: text.into(), by: Some(name("n1")), at: WallTime { seconds: 1_795_392_200 } }
}

/// The model of the specimen slot: nothing under way.
pub fn model() -> Model {
    let states = [DiskState::In, DiskState::AbsentSince(Generation(299)), DiskState::In];
    let mut disks: Vec<Disk> = (1..).zip(states).map(|(number, state)| disk(number, state)).collect();
    disks.push(disk(4, DiskState::Released(Generation(250))));
    Model {
        container: container(),
        table: DiskTable { disks, first: DiskNumber(1), old_set: None, next_number: 300 },
        regions: regions(),
        volumes: volumes(),
        freed: vec![
            Freed { run: run(2, 4, 3), generation: Generation(299) },
            Freed { run: run(3, 0, 1), generation: Generation(301) },
        ],
        change: change(ChangeKind::Change, "volume old deleted"),
        deeds: vec![],
        unknown: vec![unknown(0)],
        read_only: false,
    }
}

/// Disk 4 has just been let go and disk 5 taken in: both sets count.
pub fn model_mid_set_change() -> Model {
    let mut model = model();
    model.container.kind = ContainerKind::Shared;
    model.container.owner = None;
    model.container.template = true;
    model.table.disks.push(disk(5, DiskState::In));
    model.table.first = DiskNumber(3);
    let disks = [1, 2, 3, 4].map(DiskNumber).to_vec();
    model.table.old_set = Some(OldSet { disks, first: DiskNumber(1) });
    model.change = change(ChangeKind::Settle, "disks 5 in, 4 out");
    model.unknown.clear();
    model
}

/// The first model of a container: nobody's yet, and empty.
pub fn model_first() -> Model {
    let mut model = model();
    model.container.owner = None;
    model.container.home = None;
    model.container.cluster = ClusterId::NONE;
    model.container.suspended = false;
    model.container.holders.clear();
    model.table.disks = vec![disk(1, DiskState::In)];
    model.table.next_number = 2;
    (model.regions, model.volumes, model.freed) = (vec![], vec![], vec![]);
    model.change = Change { by: None, ..change(ChangeKind::Create, "") };
    model.unknown.clear();
    model
}

/// Deported by an opening.
pub fn model_opening() -> Model {
    let mut model = model();
    model.container.kind = ContainerKind::Deported;
    model.container.owner = None;
    model.container.holders.retain(|holder| holder.expelled);
    model.change = change(ChangeKind::Opening, "taken over");
    model
}

/// One of whose holders has a watchdog.
pub fn model_watched() -> Model {
    let mut model = model();
    model.container.holders[0].watchdog_ms = 5000;
    model
}

/// By `sha256sum`, of the bytes that FORMAT.md gives the deed before.
const DEED_2: [u8; 16] =
    [0x4c, 0x73, 0xc2, 0x55, 0x1a, 0x97, 0x29, 0x05, 0xc5, 0x20, 0x52, 0x96, 0x4b, 0x3d, 0xad, 0x69];

/// One that was founded, given and taken; its first deeds gave way.
pub fn model_deeds() -> Model {
    let mut model = model();
    let order = |generation| Order { epoch: Epoch(5 << 16 | 2), generation: Generation(generation) };
    let owner = model.container.owner.clone();
    model.deeds = vec![
        Deed {
            number: 2,
            order: order(200),
            kind: ContainerKind::Deported,
            owner: None,
            why: ChangeKind::Change,
            text: "made deported".into(),
            by: None,
            at: WallTime { seconds: 1_795_392_000 },
            before: Hash128([0xd1; 16]),
        },
        Deed {
            number: 3,
            order: order(302),
            kind: ContainerKind::Private,
            owner,
            why: ChangeKind::Takeover,
            text: "taken over from n2 by an administrator's word that it is off: fire".into(),
            by: Some(name("n1")),
            at: WallTime { seconds: 1_795_392_200 },
            before: Hash128(DEED_2),
        },
    ];
    model
}

/// The slot image of a model at a generation, made from the generation before.
pub fn image_at(model: &Model, generation: u64) -> SlotImage {
    let header = SlotHeader {
        container: CONTAINER,
        order: Order { epoch: Epoch(5 << 16 | 2), generation: Generation(generation) },
        parent_order: Order { epoch: Epoch(4 << 16 | 1), generation: Generation(generation - 1) },
        parent: Hash128(*b"\xf0parent-hash-16\xf1"),
        writer: NODE,
        incarnation: LIFE,
        configuration: Generation(77),
        old_set: model.table.old_set.is_some(),
        body_bytes: 0,
        hash: Hash128::NONE,
    };
    SlotImage::new(header, model.encode().unwrap()).unwrap()
}

/// The specimen slot.
pub fn image() -> SlotImage {
    image_at(&model(), 302)
}

/// The same with a section of these flags that this program does not know.
pub fn image_with_unknown(flags: u16) -> SlotImage {
    image_at(&Model { unknown: vec![unknown(flags)], ..model() }, 302)
}

/// A body in which the sections of `change` replaced those of the specimen; sealed as if it were meant.
pub fn image_of_sections(change: impl FnOnce(&mut Vec<Section>)) -> SlotImage {
    let mut sections = section::decode(&image().body).unwrap();
    change(&mut sections);
    image_of_body(section::encode(&sections))
}

/// Any body, sealed as if it were meant.
pub fn image_of_body(body: Vec<u8>) -> SlotImage {
    SlotImage::new(image().header, body).unwrap()
}

pub fn record(sequence: u64) -> Record {
    let model = if sequence.is_multiple_of(2) { model_first() } else { model_opening() };
    Record { sequence, image: image_at(&model, 298 + sequence) }
}
