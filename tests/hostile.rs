//! Metadata that lies with checksums that fit: written by a program that errs, or by somebody who means harm. Every lie
//! ends in a typed refusal, at bounded cost, and never in a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "golden/specimen.rs"]
mod specimen;

use evms::base::bits::Features;
use evms::base::id::{ContainerId, DiskId, DiskNumber};
use evms::base::limits::{
    AREAS_MAX, DISKS_MAX, FREED_RUNS_MAX, HISTORY_BYTES_MAX, HOLDERS_MAX, NODE_BLOCKS_BYTES_MAX,
    RELEASED_DISKS_MAX, RUNS_PER_REGION_MAX, SECTIONS_MAX, SLOT_BYTES_MAX, STRIPES_MAX, VOLUMES_MAX,
};
use evms::base::units::{BLOCK_BYTES, Bytes, Extents, Sectors};
use evms::format::damage::{Damage, Fault, What};
use evms::format::first_block;
use evms::format::history::{Record, Ring, RingEnd};
use evms::format::label::{Label, MAGIC};
use evms::format::layout::{Area, AreaKind, End, LayoutError, SlotIndex};
use evms::format::model::{ChangeKind, Freed, Model, ObjectRef, Region, Run, Volume};
use evms::format::node_block::{NodeBlock, NodeBlocks};
use evms::format::seal::{self, ROOM};
use evms::format::section::{self, INCOMPAT, RO_COMPAT, Section};
use evms::format::slot::{SlotHeader, SlotImage};
use evms::volume::choose::{self, DiskCopies, Unchosen};
use evms::volume::discover::{self, Sighting, Unusable};
use evms::volume::mistake::Rules;
use specimen::SIZE;

const BLOCK: usize = BLOCK_BYTES as usize;
const CONTAINER: u16 = 1;
const REGIONS: u16 = 3;
const VOLUMES: u16 = 4;
const FREED: u16 = 5;
const CHANGE: u16 = 6;

/// Looks at a disk of `size` bytes that carries this label at both ends.
fn sight(label: &Label, size: Bytes) -> Sighting {
    let front = [first_block::encode(size).to_vec(), label.encode(End::Primary).unwrap()].concat();
    let tail = [label.encode(End::Secondary).unwrap(), vec![0; BLOCK]].concat();
    discover::sight(size, 512, &front, &tail)
}

fn with_area(kind: AreaKind, end: End, change: impl Fn(&mut Area)) -> Label {
    let mut label = specimen::label(1);
    let area = label.areas.iter_mut().find(|area| (area.kind, area.end) == (kind, end)).unwrap();
    change(area);
    label
}

fn layout_error(label: &Label) -> LayoutError {
    match sight(label, SIZE) {
        Sighting::Unusable(Unusable::Areas(error)) => error,
        other => panic!("believed: {other:?}"),
    }
}

#[test]
fn tables_of_areas_that_lie_are_refused() {
    use AreaKind::{Data, History, Intent, Label as LabelArea, NodeBlocks, Slot0, Slot1};
    use End::{Primary, Secondary};
    let end = SIZE.0 / 512;
    let lie = |kind, end, change: &dyn Fn(&mut Area)| layout_error(&with_area(kind, end, change));
    for (kind, end) in [(NodeBlocks, Primary), (Slot1, Secondary), (Data, Primary), (Intent, Primary)] {
        assert_eq!(lie(kind, end, &|area| area.length.0 = 0), LayoutError::Misaligned(kind, end));
        assert_eq!(lie(kind, end, &|area| area.start.0 += 1), LayoutError::Misaligned(kind, end));
        assert_eq!(lie(kind, end, &|area| area.start.0 = u64::MAX), LayoutError::Outside(kind, end));
        assert_eq!(lie(kind, end, &|area| area.length.0 = u64::MAX), LayoutError::Outside(kind, end));
        assert_eq!(lie(kind, end, &|area| area.start.0 = u64::MAX / 512), LayoutError::Outside(kind, end));
    }
    assert_eq!(
        lie(Intent, Primary, &|area| area.start.0 = end - 128),
        LayoutError::Overlap(Intent, LabelArea)
    );
    assert_eq!(lie(Slot0, Primary, &|area| area.start.0 = 8192), LayoutError::Overlap(Slot0, Data));
    assert!(matches!(lie(Slot0, Primary, &|area| area.length.0 = 8), LayoutError::SlotLength(_)));
    assert_eq!(lie(Data, Primary, &|area| area.length.0 -= 8), LayoutError::Misaligned(Data, Primary));
    assert_eq!(lie(History, Primary, &|area| area.kind = Slot0), LayoutError::Missing(History, Primary));
    assert_eq!(
        lie(Slot1, Secondary, &|area| area.end = Primary),
        LayoutError::Missing(Slot1, Primary),
        "two there"
    );
    // The front label's own place must be in its area, or data could be laid over it.
    let elsewhere = lie(LabelArea, Primary, &|area| (area.start.0, area.length.0) = (16, 112));
    assert_eq!(elsewhere, LayoutError::LabelElsewhere(Primary));
    let elsewhere = lie(LabelArea, Secondary, &|area| area.start.0 -= 2048);
    assert_eq!(elsewhere, LayoutError::LabelElsewhere(Secondary));
}

#[test]
fn areas_that_are_read_whole_are_bounded() {
    let size = Bytes(1 << 40);
    for (kind, most) in
        [(AreaKind::NodeBlocks, NODE_BLOCKS_BYTES_MAX), (AreaKind::History, HISTORY_BYTES_MAX)]
    {
        let mut label = Label {
            areas: specimen::layout(size).areas().to_vec(),
            size: size.whole_sectors(),
            ..specimen::label(1)
        };
        let data = label.areas.iter_mut().find(|area| area.kind == AreaKind::Data).unwrap();
        let start = data.start;
        data.start.0 += 1 << 21;
        data.length.0 -= 1 << 21;
        let area = label.areas.iter_mut().find(|area| area.kind == kind).unwrap();
        (area.start, area.length) = (start, Sectors(most / 512));
        assert!(matches!(sight(&label, size), Sighting::Ours(_)), "{kind} at its most");
        let area = label.areas.iter_mut().find(|area| area.kind == kind).unwrap();
        area.length.0 += 8;
        assert_eq!(
            sight(&label, size),
            Sighting::Unusable(Unusable::Areas(LayoutError::TooLong(kind, Bytes(most))))
        );
    }
}

#[test]
fn labels_that_do_not_fit_their_disk_are_refused() {
    let label = specimen::label(1);
    let why = |label: &Label, size, block| {
        let front = [first_block::encode(size).to_vec(), label.encode(End::Primary).unwrap()].concat();
        match discover::sight(size, block, &front, &[0; 2 * BLOCK]) {
            Sighting::Unusable(why) => why,
            other => panic!("believed: {other:?}"),
        }
    };
    let smaller = Bytes(SIZE.0 - BLOCK_BYTES);
    assert_eq!(why(&label, smaller, 512), Unusable::Shrunk { labelled: SIZE, now: smaller });
    let larger = Unusable::BlockTooLarge { labelled: 512, now: 4096 };
    assert_eq!(why(&label, SIZE, 4096), larger, "file systems with blocks of 512 bytes would not mount");
    let endless = Label { size: Sectors(u64::MAX), ..label.clone() };
    assert!(matches!(why(&endless, SIZE, 512), Unusable::Shrunk { .. }));
    let crowded = Label { nodes: 129, ..label };
    assert_eq!(why(&crowded, SIZE, 512), Unusable::NodeBlocks { nodes: 129, room: 128 });
}

/// The front label with some bytes changed and sealed again.
fn patched(patches: &[(usize, &[u8])]) -> Result<Label, Damage> {
    let mut block = specimen::label(1).encode(End::Primary).unwrap();
    for (at, bytes) in patches {
        block[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    Label::decode(&seal::close(&block[..ROOM]).unwrap(), End::Primary)
}

#[test]
fn label_fields_that_no_writer_writes_are_refused() {
    let fault = |patches: &[(usize, &[u8])]| patched(patches).unwrap_err().fault;
    for version in [0u16, 2, 65535] {
        assert_eq!(fault(&[(16, &version.to_le_bytes())]), Fault::Version(version));
    }
    assert_eq!(fault(&[(18, &[3, 0])]), Fault::Field("copy"));
    assert_eq!(
        fault(&[(36, &[1]), (18, &[9])]),
        Fault::Incompat(1),
        "behind that bit anything may mean anything"
    );
    assert_eq!(fault(&[(44, &[0; 16])]), Fault::Field("identity"));
    assert_eq!(fault(&[(60, &[0; 16])]), Fault::Field("identity"));
    assert_eq!(fault(&[(78, &[0, 0])]), Fault::Field("identity"), "no nodes");
    for block in [0u32, 3, 256, 8192, u32::MAX] {
        assert_eq!(fault(&[(80, &block.to_le_bytes())]), Fault::Field("identity"), "{block}");
    }
    assert_eq!(fault(&[(100, &[0xff, 0xff])]), Fault::Field("wwid length"));
    assert_eq!(fault(&[(102, &[0xff, 0xff])]), Fault::Field("area count"));
    assert_eq!(fault(&[(102, &[AREAS_MAX as u8])]), Fault::Field("areas"), "beyond the last is no area");
    assert_eq!(fault(&[(104, &[0xff, 0xff])]), Fault::Short);
    assert_eq!(fault(&[(106, &[1])]), Fault::Field("reserved"));
    assert_eq!(fault(&[(108, &[0xff])]), Fault::Field("wwid"), "not UTF-8");
    assert_eq!(fault(&[(ROOM - 1, &[1])]), Fault::Field("padding"));
    assert_eq!(MAGIC.len(), 16);
}

#[test]
fn a_label_that_no_reader_takes_is_not_written() {
    let label = specimen::label(1);
    let long = Label { wwid: "w".repeat(257), ..label.clone() };
    let many = Label { areas: vec![label.areas[0]; AREAS_MAX + 1], ..label.clone() };
    let full = Label { extension: vec![0; 4000], ..label };
    assert!([long, many, full].iter().all(|label| label.encode(End::Primary).is_none()));
}

#[test]
fn ends_that_disagree_are_not_believed_or_not_written() {
    let label = specimen::label(1);
    let look = |tail: &Label| {
        let front = [first_block::encode(SIZE).to_vec(), label.encode(End::Primary).unwrap()].concat();
        let tail = [tail.encode(End::Secondary).unwrap(), vec![0; BLOCK]].concat();
        discover::sight(SIZE, 512, &front, &tail)
    };
    let other = Label { disk: DiskId([9; 16]), ..label.clone() };
    assert!(matches!(look(&other), Sighting::Unusable(Unusable::TwoLabels { .. })));
    let other = Label { container: ContainerId([9; 16]), ..label.clone() };
    assert!(matches!(look(&other), Sighting::Unusable(Unusable::TwoLabels { .. })));
    let stricter = Label { features: Features { ro_compat: 4, ..Features::default() }, ..label.clone() };
    let Sighting::Ours(seen) = look(&stricter) else { panic!("only one end forbids writing") };
    assert_eq!(seen.access(), evms::base::bits::Access::ReadOnly(4));
    assert_eq!(seen.damaged.len(), 1);
}

/// A slot header with some bytes changed and sealed again, over the specimen's body.
fn patched_slot(patches: &[(usize, &[u8])]) -> Result<SlotImage, Damage> {
    let mut slot = specimen::image().encode();
    for (at, bytes) in patches {
        slot[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    let header = seal::close(&slot[..ROOM]).unwrap();
    slot[..BLOCK].copy_from_slice(&header);
    SlotImage::decode(&slot)
}

#[test]
fn slot_headers_that_lie_are_refused() {
    let fault = |patches: &[(usize, &[u8])]| patched_slot(patches).unwrap_err().fault;
    for version in [0u16, 2, 65535] {
        assert_eq!(fault(&[(8, &version.to_le_bytes())]), Fault::Version(version));
    }
    for bit in 1..16u16 {
        assert_eq!(fault(&[(10, &(1u16 << bit).to_le_bytes())]), Fault::Incompat(1 << bit));
    }
    for length in [0u32, SLOT_BYTES_MAX as u32, u32::MAX] {
        assert_eq!(fault(&[(12, &length.to_le_bytes())]), Fault::Field("body length"), "{length}");
    }
    let longest = (SLOT_BYTES_MAX - BLOCK_BYTES) as u32;
    assert_eq!(fault(&[(12, &longest.to_le_bytes())]), Fault::Short, "longer than its area");
    assert_eq!(fault(&[(32, &[1])]), Fault::Checksum, "another order than the hash names");
    assert_eq!(fault(&[(136, &[1])]), Fault::Field("padding"));
    let (header, body) = (specimen::image().header, vec![1; longest as usize + 1]);
    assert!(SlotImage::new(header.clone(), body).is_none() && SlotImage::new(header, vec![]).is_none());
}

fn choose_one(image: SlotImage) -> Result<choose::Chosen, Unchosen> {
    let slots = vec![(End::Primary, SlotIndex::Zero, Ok(image))];
    choose::choose(&[DiskCopies { number: DiskNumber(1), id: specimen::disk_id(1), slots }], Rules::ALL)
}

#[test]
fn header_and_body_must_tell_one_story() {
    let field = |image| match choose_one(image) {
        Err(Unchosen::Unreadable { damage, .. }) => damage,
        other => panic!("believed: {other:?}"),
    };
    let mut header = specimen::image().header;
    header.old_set = true;
    let image = SlotImage::new(header, specimen::image().body.to_vec()).unwrap();
    assert_eq!(field(image), Damage::new(What::SlotBody, Fault::Field("old set")));
    let header = SlotHeader { container: ContainerId([5; 16]), ..specimen::image().header };
    let image = SlotImage::new(header, specimen::image().body.to_vec()).unwrap();
    assert_eq!(field(image), Damage::new(What::SlotBody, Fault::Field("container")));
    // The highest order counts even if nobody can read it: the one below is never taken instead.
    let garbage = specimen::image_of_body(vec![7; 40]);
    assert!(matches!(choose_one(garbage), Err(Unchosen::Unreadable { .. })));
}

fn replace(kind: u16, bytes: Vec<u8>) -> Result<Model, Damage> {
    change(kind, |section| section.bytes = bytes)
}

fn change(kind: u16, change: impl FnOnce(&mut Section)) -> Result<Model, Damage> {
    let image = specimen::image_of_sections(|sections| {
        change(sections.iter_mut().find(|section| section.kind == kind).unwrap());
    });
    Model::of(&image)
}

fn fault(read: Result<Model, Damage>) -> Fault {
    read.unwrap_err().fault
}

#[test]
fn sections_that_no_writer_writes_are_refused() {
    for kind in CONTAINER..=CHANGE {
        for version in [0, 2, 65535] {
            assert_eq!(fault(change(kind, |section| section.version = version)), Fault::Version(version));
        }
        assert_eq!(fault(change(kind, |section| section.flags = 0)), Fault::Field("flags"));
        assert_eq!(fault(change(kind, |section| section.flags |= 0x100)), Fault::Incompat(0x100));
        assert_eq!(fault(change(kind, |section| section.bytes.push(0))), Fault::Field("length"));
        assert_eq!(
            fault(change(kind, |section| section.bytes.truncate(section.bytes.len() - 1))),
            Fault::Field("content")
        );
        assert_eq!(fault(replace(kind, vec![])), Fault::Field("content"));
        assert_eq!(fault(replace(kind, vec![0xff; 40])), Fault::Field("content"));
        let twice =
            specimen::image_of_sections(|sections| sections.push(sections[kind as usize - 1].clone()));
        assert_eq!(fault(Model::of(&twice)), Fault::Field("count"));
        let none = specimen::image_of_sections(|sections| drop(sections.remove(kind as usize - 1)));
        assert_eq!(fault(Model::of(&none)), Fault::Field("presence"));
    }
    for (flags, expected) in
        [(INCOMPAT, Some(1)), (INCOMPAT | RO_COMPAT, Some(3)), (RO_COMPAT, None), (0x8000, None)]
    {
        let read = Model::of(&specimen::image_with_unknown(flags));
        assert_eq!(read.err().map(|damage| damage.fault), expected.map(Fault::Incompat));
    }
}

/// Section 7, which is not in every model, and section 6 where it tells of a takeover.
#[test]
fn sections_that_are_seldom_written_are_refused_likewise() {
    let mut model = specimen::model_watched();
    model.change.kind = ChangeKind::Takeover;
    let sections = section::decode(&model.encode().unwrap()).unwrap();
    let with = |kind: u16, change: &dyn Fn(&mut Section)| {
        let mut sections = sections.clone();
        sections.iter_mut().filter(|section| section.kind == kind).for_each(change);
        Model::of(&specimen::image_of_body(section::encode(&sections)))
    };
    assert_eq!(with(7, &|_| ()).unwrap().container, model.container);
    for (kind, versions) in [(7, [0, 2]), (6, [1, 3])] {
        for version in versions {
            assert_eq!(fault(with(kind, &|section| section.version = version)), Fault::Version(version));
        }
        assert_eq!(fault(with(kind, &|section| section.flags = 0)), Fault::Field("flags"));
        assert_eq!(fault(with(kind, &|section| section.bytes.push(0))), Fault::Field("length"));
        assert_eq!(fault(with(kind, &|section| section.bytes.truncate(1))), Fault::Field("content"));
    }
    // More than there can be holders.
    let many = |section: &mut Section| section.bytes = [vec![65], vec![0; 65 * 33]].concat();
    assert_eq!(fault(with(7, &many)), Fault::Field("content"));
}

#[test]
fn lists_of_sections_that_lie_are_refused() {
    let unknown = |count: usize| {
        specimen::image_of_sections(|sections| {
            sections.truncate(6);
            sections.extend(vec![specimen::unknown(0); count]);
        })
    };
    assert!(Model::of(&unknown(SECTIONS_MAX - 6)).is_ok());
    assert_eq!(fault(Model::of(&unknown(SECTIONS_MAX - 5))), Fault::Field("section count"));
    let patched = |at: usize, bytes: &[u8]| {
        let mut body = specimen::image().body.to_vec();
        body[at..at + bytes.len()].copy_from_slice(bytes);
        fault(Model::of(&specimen::image_of_body(body)))
    };
    assert_eq!(patched(6, &[1]), Fault::Field("reserved"));
    assert_eq!(patched(8, &[0xff; 4]), Fault::Short);
    assert_eq!(patched(12, &[0; 4]), Fault::Checksum);
    let mut body = specimen::image().body.to_vec();
    body.push(1);
    assert_eq!(fault(Model::of(&specimen::image_of_body(body))), Fault::Short);
}

#[test]
fn names_in_a_model_are_checked_as_typed_ones_are() {
    // `n1` is a node's name in sections 1 and 6, `home` a volume's in 4: the same length, another word.
    for (kind, from, to) in [
        (CONTAINER, "\u{4}data", "\u{4}a/b:"),
        (CONTAINER, "\u{4}data", "\u{4}none"),
        (CONTAINER, "\u{2}n1", "\u{2}.."),
        (VOLUMES, "\u{4}home", "\u{4}\u{1b}[2J"),
        (VOLUMES, "\u{4}home", "\u{4}-rf/"),
        (CHANGE, "\u{2}n1", "\u{2}\n1"),
    ] {
        let read = change(kind, |section| {
            let at = section.bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
            section.bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        });
        assert_eq!(fault(read), Fault::Field("content"), "{to:?}");
    }
}

/// A list length of 64 bits, and then nothing.
fn endless() -> Vec<u8> {
    vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]
}

#[test]
fn lists_longer_than_their_maximum_are_refused_while_they_are_read() {
    for kind in [REGIONS, VOLUMES, FREED] {
        assert_eq!(fault(replace(kind, endless())), Fault::Field("content"));
    }
    let region = |columns: Vec<Vec<Run>>| Region { columns, ..specimen::model().regions[0].clone() };
    let run = specimen::model().freed[0].run;
    let refused = |longer: &dyn Fn(&mut Model)| {
        let mut model = specimen::model();
        longer(&mut model);
        let image = specimen::image_at(&model, 302);
        assert_eq!(fault(Model::of(&image)), Fault::Field("content"));
    };
    refused(&|model| model.regions = vec![region(vec![]); VOLUMES_MAX + 1]);
    refused(&|model| model.regions = vec![region(vec![vec![]; usize::from(STRIPES_MAX) + 1])]);
    refused(&|model| model.regions = vec![region(vec![vec![run; RUNS_PER_REGION_MAX + 1]])]);
    refused(&|model| model.volumes = vec![model.volumes[0].clone(); VOLUMES_MAX + 1]);
    refused(&|model| model.freed = vec![model.freed[0]; FREED_RUNS_MAX + 1]);
    refused(&|model| model.container.holders = vec![model.container.holders[0].clone(); HOLDERS_MAX + 1]);
    refused(&|model| {
        model.table.disks = vec![model.table.disks[0].clone(); DISKS_MAX + RELEASED_DISKS_MAX + 1];
    });
    let old = specimen::model_mid_set_change().table.old_set.unwrap();
    let many = evms::format::model::OldSet { disks: vec![DiskNumber(1); DISKS_MAX + 1], ..old };
    refused(&|model| model.table.old_set = Some(many.clone()));
}

/// Bytes that this process ever had in memory at once.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map_or(0, |kib| kib * 1024)
}

#[test]
fn the_longest_slot_full_of_lies_costs_bounded_memory() {
    let room = (SLOT_BYTES_MAX - 8 * BLOCK_BYTES) as usize;
    // One region whose list of columns is as long as the slot, each column empty: one byte becomes twenty-four.
    let mut columns = [vec![1], vec![0xd0; 16], vec![0x31, 0]].concat();
    columns.extend([0x80, 0x80, 0x80, 0x1e]);
    columns.resize(room, 0);
    // As many regions as bytes allow, each with as many empty columns as are believed.
    let one = [vec![0xd0; 16], vec![0x32, 0, 64], vec![0; 64]].concat();
    let mut regions = vec![0x80, 0x80, 0x40];
    (0..room / one.len() - 1).for_each(|_| regions.extend_from_slice(&one));
    for (bytes, what) in [(columns, "columns"), (regions, "regions")] {
        let image = specimen::image_of_sections(|sections| sections[2].bytes = bytes);
        let before = peak();
        assert_eq!(fault(Model::of(&image)), Fault::Field("content"), "{what}");
        let grown = peak().saturating_sub(before);
        println!("{what}: a body of {} bytes, {grown} more at the peak", image.body.len());
        assert!(grown < 4 * SLOT_BYTES_MAX, "{what}: {grown} bytes");
    }
}

#[test]
fn numbers_of_64_bits_in_a_model_overflow_nothing() {
    let mut model = specimen::model();
    let most = Run { disk: DiskNumber(u16::MAX), start: Extents(u64::MAX), count: Extents(u64::MAX) };
    model.container.extent = Sectors(u64::MAX);
    for disk in &mut model.table.disks {
        (disk.data_start, disk.extents) = (Sectors(u64::MAX), Extents(u64::MAX));
    }
    model.regions = vec![Region { columns: vec![vec![most; 4]; 2], ..model.regions[1].clone() }];
    model.freed = vec![Freed { run: most, ..model.freed[0] }; 3];
    let on = ObjectRef::Region(model.regions[0].id);
    model.volumes = vec![Volume { size: Sectors(u64::MAX), on, ..model.volumes[0].clone() }];
    let read = Model::of(&specimen::image_at(&model, 302)).unwrap();
    assert_eq!(read, model);
    assert!(!evms::volume::check::all(&read).is_empty());
}

#[test]
fn a_promise_in_anothers_place_speaks_for_nobody() {
    let mut area = vec![0; 4 * BLOCK];
    area[..BLOCK].copy_from_slice(&specimen::node_block(3).encode());
    let found = NodeBlocks::decode(&area);
    assert_eq!((found.newest.len(), found.damaged.len()), (0, 1));
    let mut version = specimen::node_block(3).encode();
    version[8] = 9;
    let sealed = seal::close(&version[..ROOM]).unwrap();
    assert_eq!(NodeBlock::decode(&sealed).unwrap_err().fault, Fault::Version(9));
}

/// A record whose head says `length` for its image, sealed as if it were meant.
fn record_of_length(sequence: u64, length: u32) -> Vec<u8> {
    let mut record = specimen::record(sequence).encode();
    record[12..16].copy_from_slice(&length.to_le_bytes());
    let head = seal::close(&record[..ROOM]).unwrap();
    record[..BLOCK].copy_from_slice(&head);
    record
}

#[test]
fn a_record_that_lies_about_its_length_leaves_the_ring_on_its_grid() {
    let true_length = (specimen::record(1).encode().len() - BLOCK) as u32;
    for length in [0, 1, 4096, true_length - 1, true_length + 1, true_length + 4096, u32::MAX] {
        let mut ring = record_of_length(9, length);
        ring.extend(specimen::record(1).encode());
        ring.resize(64 * BLOCK, 0);
        let read = Ring::decode(&ring);
        assert_eq!(read.records, [specimen::record(1)], "{length}");
        assert_eq!(RingEnd::find(&ring).next_at % BLOCK_BYTES, 0);
    }
    let last = Record { sequence: u64::MAX, ..specimen::record(1) }.encode();
    assert_eq!(RingEnd::find(&last).next_sequence, u64::MAX);
}

#[test]
fn a_ring_full_of_long_lies_is_given_up_in_time() {
    // Every second block says that the rest of the ring is its image, and that image's header agrees.
    let (blocks, mut ring) = (1024, Vec::new());
    for block in (0..blocks).step_by(2) {
        let rest = (blocks - block - 2) * BLOCK;
        let mut lie = record_of_length(1, (rest + BLOCK) as u32);
        lie[BLOCK + 12..BLOCK + 16].copy_from_slice(&(rest as u32).to_le_bytes());
        let header = seal::close(&lie[BLOCK..BLOCK + ROOM]).unwrap();
        lie[BLOCK..2 * BLOCK].copy_from_slice(&header);
        ring.extend_from_slice(&lie[..2 * BLOCK]);
    }
    // Hashed in full this would be a gigabyte of work for four megabytes of ring.
    assert_eq!(Ring::decode(&ring).records, []);
}
