//! FORMAT.md against the code: every table of places is held against the bytes of a specimen in which each field has a
//! value of its own, the sections are read by a reader that knows only the document, limits and layouts are compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "golden/specimen.rs"]
mod specimen;
#[path = "format_doc/tables.rs"]
mod tables;
#[path = "format_doc/walk.rs"]
mod walk;

use std::collections::BTreeSet;

use evms::base::bits::Features;
use evms::base::id::{ClusterId, DiskId, Incarnation, NodeId};
use evms::base::limits;
use evms::base::units::{BLOCK_BYTES, Bytes, GIB, KIB, MIB, Sectors};
use evms::format::arbitration::{AREA_AT, ArbitrationBlock, ArbitrationHead, Ballot, ViewRecord};
use evms::format::first_block;
use evms::format::label::{self, Label};
use evms::format::layout::{Area, AreaKind, End, Layout, Recipe};
use evms::format::model::deed;
use evms::format::model::{LINEAR_VOLUME_BYTES_MAX, Model};
use evms::format::section;
use evms::volume::room::SPARE_BYTES;
use specimen::{LARGE, SIZE};
use walk::Walk;

/// A field's name and the bytes that a specimen has there.
type Fields = Vec<(&'static str, Vec<u8>)>;

fn le16(value: u16) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn le32(value: u32) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

fn le64(value: u64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

/// The value of `108+W+24*A`.
fn sum(text: &str, letters: &[(&str, usize)]) -> usize {
    let factor = |word: &str| {
        let letter = letters.iter().find(|(letter, _)| *letter == word).map(|(_, value)| *value);
        letter.or_else(|| word.parse().ok()).unwrap_or_else(|| panic!("{word} is no number"))
    };
    text.split('+').map(|term| term.split('*').map(factor).product::<usize>()).sum()
}

/// Walks a table of places: rows follow each other without a gap, and each holds what it should. What is not named in
/// `fields` must be zero, but for a checksum.
fn compare(title: &str, bytes: &[u8], fields: &Fields, letters: &[(&str, usize)]) {
    let mut next = 0;
    let mut named = BTreeSet::new();
    for row in tables::find(&format!("structure: {title}")) {
        let (offset, name) = (sum(row[0], letters), row[2]);
        let end = match row[1].strip_prefix("to ") {
            Some(end) => sum(end, letters),
            None => offset + sum(row[1], letters),
        };
        assert_eq!(offset, next, "{title}: {name} leaves a gap");
        next = end;
        let expected = fields.iter().find(|(field, _)| *field == name).map(|(_, bytes)| bytes.clone());
        let crc = (name == "crc").then(|| le32(crc32fast::hash(&bytes[..offset])));
        let expected = expected.or(crc).unwrap_or(vec![0; end - offset]);
        assert_eq!(walk::hex(&bytes[offset..end]), walk::hex(&expected), "{title}: {name}");
        named.insert(name);
    }
    assert_eq!(next, bytes.len(), "{title} ends elsewhere");
    assert!(fields.iter().all(|(field, _)| named.contains(field)), "{title}: {named:?}");
}

#[test]
fn first_blocks_are_as_told() {
    let block = first_block::encode(SIZE);
    let fields = vec![
        ("parted", b"GNU Parted Loopback 0".to_vec()),
        ("mark", b"evms member disk".to_vec()),
        // For people: not compared.
        ("sentence", block[48..440].to_vec()),
        ("entry", vec![0, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0]),
        ("length", le32((SIZE.0 / 512 - 1) as u32)),
        ("magic", vec![0x55, 0xaa]),
    ];
    compare("first block", &block, &fields, &[]);
}

/// A label in which no two fields are alike.
fn distinct() -> Label {
    Label {
        features: Features { compat: 0x1111_2222_3333_4444, ro_compat: 0x5555_6666_7777_8888, incompat: 0 },
        nodes: 0x0102,
        ..specimen::label_extended()
    }
}

#[test]
fn labels_are_as_told() {
    let label = Label { wwid: "wwn-0x5000".into(), ..distinct() };
    let areas = label.areas.iter().flat_map(area_bytes).collect::<Vec<u8>>();
    let letters = [("W", label.wwid.len()), ("A", label.areas.len()), ("E", label.extension.len())];
    for (end, copy) in [(End::Primary, 1), (End::Secondary, 2)] {
        let fields = vec![
            ("magic", label::MAGIC.to_vec()),
            ("version", le16(1)),
            ("copy", le16(copy)),
            ("compat", le64(label.features.compat)),
            ("ro-compat", le64(label.features.ro_compat)),
            ("container", label.container.0.to_vec()),
            ("disk", label.disk.0.to_vec()),
            ("number", le16(7)),
            ("nodes", le16(0x0102)),
            ("logical block", le32(4096)),
            ("size", le64(LARGE.0 / 512)),
            ("created", le64(label.created.seconds)),
            ("wwid length", le16(10)),
            ("area count", le16(12)),
            ("extension length", le16(label.extension.len() as u16)),
            ("wwid", label.wwid.clone().into_bytes()),
            ("areas", areas.clone()),
            ("extension", label.extension.clone()),
        ];
        compare("label", &label.encode(end).unwrap(), &fields, &letters);
    }
}

/// One entry of the table, by the document's own table of it.
fn area_bytes(area: &Area) -> Vec<u8> {
    let end = if area.end == End::Primary { 1 } else { 2 };
    let fields: Fields = vec![
        ("kind", le16(area.kind.code())),
        ("end", le16(end)),
        ("start", le64(area.start.0)),
        ("length", le64(area.length.0)),
    ];
    let mut bytes = vec![0; 24];
    for row in tables::find("structure: area") {
        let at: usize = row[0].parse().unwrap();
        if let Some((_, value)) = fields.iter().find(|(name, _)| *name == row[2]) {
            bytes[at..at + value.len()].copy_from_slice(value);
        }
    }
    compare("area", &bytes, &fields, &[]);
    bytes
}

#[test]
fn the_incompat_mask_is_where_it_is_told() {
    let row = tables::find("structure: label").into_iter().find(|row| row[2] == "incompat").unwrap();
    let at: usize = row[0].parse().unwrap();
    let features = Features { incompat: 0x99aa_bbcc_ddee_ff00, ..Features::default() };
    let block = Label { features, ..distinct() }.encode(End::Primary).unwrap();
    assert_eq!(block[at..at + 8], le64(features.incompat));
}

fn words_are_as_told() {
    let beat = specimen::disk_beat();
    let fields = vec![
        ("magic", b"EVMSBEAT".to_vec()),
        ("version", le16(1)),
        ("id", le16(1)),
        ("answers", le32(2)),
        ("node", beat.node.0.to_vec()),
        ("cluster", beat.cluster.0.to_vec()),
        ("container", beat.container.0.to_vec()),
        ("incarnation", beat.incarnation.0.to_vec()),
        ("counter", le64(beat.counter)),
        ("shut", beat.shut.iter().flat_map(|nonce| nonce.0).collect()),
    ];
    compare("disk beat", &beat.encode(), &fields, &[("N", 2)]);
    let question = specimen::disk_question();
    let fields = vec![
        ("magic", b"EVMSQUES".to_vec()),
        ("version", le16(1)),
        ("id", le16(1)),
        ("cluster", question.cluster.0.to_vec()),
        ("container", question.container.0.to_vec()),
        ("asked", question.asked.0.to_vec()),
        ("incarnation", question.incarnation.0.to_vec()),
        ("nonce", question.nonce.0.to_vec()),
    ];
    compare("question", &question.encode(), &fields, &[]);
}

#[test]
fn node_blocks_and_intents_are_as_told() {
    let block = specimen::node_block(9);
    let fields = vec![
        ("magic", b"EVMSNODE".to_vec()),
        ("version", le16(1)),
        ("id", le16(2)),
        ("node", block.node.0.to_vec()),
        ("cluster", block.cluster.0.to_vec()),
        ("container", block.container.0.to_vec()),
        ("incarnation", block.incarnation.0.to_vec()),
        ("epoch", le64(block.epoch.0)),
        ("counter", le64(9)),
    ];
    compare("node block", &block.encode(), &fields, &[]);
    words_are_as_told();
    arbitration_blocks_are_as_told();
    let intent = specimen::intent();
    let fields = vec![
        ("magic", b"EVMSINTT".to_vec()),
        ("version", le16(1)),
        ("old container", intent.old_container.0.to_vec()),
        ("new container", intent.new_container.0.to_vec()),
        ("old disk", intent.old_disk.0.to_vec()),
        ("new disk", intent.new_disk.0.to_vec()),
    ];
    compare("intent", &intent.encode(), &fields, &[]);
}

fn arbitration_blocks_are_as_told() {
    let view = |counter, members| ViewRecord { counter, proposer: NodeId(5), boot: 0x0605_0403, members };
    let block = ArbitrationBlock {
        id: NodeId(2),
        node: specimen::NODE,
        cluster: ClusterId([0xc7; 16]),
        incarnation: Incarnation([0x1c; 16]),
        generation: 11,
        counter: 12,
        promised: Ballot(0x0d_0002),
        accepted: Ballot(0x0c_0002),
        holder: view(13, 0x8000_0000_0000_0006),
        renewals: 14,
        quorate: view(15, 0x4000_0000_0000_0002),
    };
    let fields = vec![
        ("magic", b"EVMSARBI".to_vec()),
        ("version", le16(1)),
        ("id", le16(2)),
        ("node", block.node.0.to_vec()),
        ("cluster", block.cluster.0.to_vec()),
        ("incarnation", block.incarnation.0.to_vec()),
        ("generation", le64(11)),
        ("counter", le64(12)),
        ("promised", le64(block.promised.0)),
        ("accepted", le64(block.accepted.0)),
        ("holder counter", le64(13)),
        ("holder proposer", le16(5)),
        ("holder set", le16(8)),
        ("holder boot", vec![3, 4, 5, 6]),
        ("holder members", le64(block.holder.members)),
        ("renewals", le64(14)),
        ("quorate counter", le64(15)),
        ("quorate proposer", le16(5)),
        ("quorate set", le16(8)),
        ("quorate boot", vec![3, 4, 5, 6]),
        ("quorate members", le64(block.quorate.members)),
    ];
    compare("arbitration block", &block.encode(), &fields, &[]);
    let head = ArbitrationHead { cluster: ClusterId([0xc7; 16]), disk: DiskId([0xd1; 16]) };
    let fields = vec![
        ("magic", b"EVMSARBH".to_vec()),
        ("version", le16(1)),
        ("cluster", head.cluster.0.to_vec()),
        ("disk", head.disk.0.to_vec()),
    ];
    compare("arbitration head", &head.encode(), &fields, &[]);
    assert_eq!(AREA_AT.0, 65536);
}

#[test]
fn slots_are_as_told() {
    let image = specimen::image_at(&specimen::model_mid_set_change(), 303);
    let (header, bytes) = (&image.header, image.encode());
    let hash = evms::base::hash::Hash128::of(&[&bytes[8..120], &image.body]);
    assert_eq!(hash, header.hash, "what the hash covers is as told");
    let fields = vec![
        ("magic", b"EVMSSLOT".to_vec()),
        ("version", le16(1)),
        ("flags", le16(1)),
        ("body length", le32(image.body.len() as u32)),
        ("container", header.container.0.to_vec()),
        ("epoch", le64(5 << 16 | 2)),
        ("generation", le64(303)),
        ("parent epoch", le64(4 << 16 | 1)),
        ("parent generation", le64(302)),
        ("parent hash", header.parent.0.to_vec()),
        ("writer", header.writer.0.to_vec()),
        ("incarnation", header.incarnation.0.to_vec()),
        ("configuration", le64(77)),
        ("hash", hash.0.to_vec()),
    ];
    compare("slot header", &bytes[..BLOCK_BYTES as usize], &fields, &[]);
    let record = specimen::record(7).encode();
    let length = record.len() as u32 - BLOCK_BYTES as u32;
    let fields = vec![
        ("magic", b"EVMSHIST".to_vec()),
        ("version", le16(1)),
        ("length", le32(length)),
        ("sequence", le64(7)),
    ];
    compare("history record", &record[..BLOCK_BYTES as usize], &fields, &[]);
}

#[test]
fn a_section_is_as_told() {
    let unknown = specimen::unknown(2);
    let crc = {
        let head = [le16(unknown.kind), le16(unknown.version), le16(unknown.flags)].concat();
        crc32fast::hash(&[head, unknown.bytes.clone()].concat())
    };
    let fields = vec![
        ("type", le16(0x4242)),
        ("version", le16(7)),
        ("flags", le16(2)),
        ("length", le32(unknown.bytes.len() as u32)),
        ("crc", le32(crc)),
        ("content", unknown.bytes.clone()),
    ];
    let letters = [("L", unknown.bytes.len())];
    compare("section", &section::encode(&[unknown]), &fields, &letters);
}

/// Reads the sections of a model by the document alone and gives what it says.
fn told(model: &Model) -> Vec<String> {
    let kinds = [
        "container",
        "disk table",
        "list of region, most 16384",
        "list of volume, most 16384",
        "list of freed, most 65536",
        "change",
        "list of watch, most 64",
        "list of deed, most 64",
    ];
    let sections = section::decode(&model.encode().unwrap()).unwrap();
    let mut said = Vec::new();
    let known = sections.iter().filter(|section| usize::from(section.kind) <= kinds.len());
    for section in known {
        let (number, kind) = (section.kind, kinds[usize::from(section.kind) - 1]);
        assert_eq!((section.version, section.flags), (1, section::INCOMPAT));
        let mut walk = Walk { rest: &section.bytes, said: Vec::new() };
        walk.read("section", kind);
        assert!(walk.rest.is_empty(), "section {number} is longer than its table");
        said.extend(walk.said);
    }
    said
}

#[test]
fn watchdogs_stand_in_a_section_of_their_own() {
    let said = told(&specimen::model_watched());
    assert!(said.iter().any(|line| line == "ms 5000"), "{said:?}");
    assert!(told(&specimen::model()).iter().all(|line| !line.starts_with("ms ")));
}

#[test]
fn deeds_stand_in_a_section_of_their_own() {
    let said = told(&specimen::model_deeds());
    for line in ["why takeover", "epoch 327682", "kind deported", &format!("before {}", "d1".repeat(16))] {
        assert!(said.iter().any(|told| told == line), "{line}: {said:#?}");
    }
    assert!(told(&specimen::model()).iter().all(|line| !line.starts_with("before ")));
    assert_eq!(deed::broken_at(&specimen::model_deeds().deeds), None, "by a hash made by sha256sum");
}

#[test]
fn sections_are_read_by_the_document_alone() {
    let said = told(&specimen::model());
    for line in [
        "name data",
        "kind private",
        "home none",
        "extent 8192",
        "suspended 1",
        "holders x2",
        "confirmed 300",
        "state in",
        "state absent since",
        "absent since 299",
        "released 250",
        "old set none",
        "next number 300",
        "params 8001",
        "plug-in 50",
        "size 65528",
        "generation 301",
        "text volume old deleted",
        "at 1795392200",
    ] {
        let without_home = line != "home none";
        assert_eq!(said.iter().any(|told| told == line), without_home, "{line}: {said:#?}");
    }
    let said = told(&specimen::model_mid_set_change());
    assert!(
        ["kind shared", "kind settle", "template 1"].iter().all(|line| said.iter().any(|told| told == line))
    );
    let said = told(&specimen::model_first());
    assert!(
        ["owner none", "home none", "by none", "kind create"]
            .iter()
            .all(|line| said.iter().any(|told| told == line))
    );
    let said = told(&specimen::model_opening());
    assert!(["kind deported", "kind opening"].iter().all(|line| said.iter().any(|told| told == line)));
}

/// `16 MiB`, `D + 768 KiB`, `S - 8 KiB`, `D - start`.
fn place(text: &str, data_end: u64, size: u64, start: u64) -> u64 {
    let word = |word: &str| match word {
        "D" => data_end,
        "S" => size,
        "start" => start,
        other => {
            let (number, unit) = other.split_once(' ').unwrap_or((other, ""));
            let unit = match unit {
                "" => 1,
                "KiB" => KIB,
                "MiB" => MIB,
                unit => panic!("{unit}"),
            };
            number.parse::<u64>().unwrap() * unit
        }
    };
    match (text.split_once(" + "), text.split_once(" - ")) {
        (Some((one, other)), _) => word(one) + word(other),
        (_, Some((one, other))) => word(one) - word(other),
        _ => word(text),
    }
}

#[test]
fn layouts_are_as_told() {
    for (size, column) in [(Bytes(GIB), 3), (LARGE, 3), (SIZE, 5), (Bytes(GIB - 512), 5)] {
        let layout = Layout::make(size, &Recipe::for_size(size)).unwrap();
        let (data_end, usable) = (layout.data().end_bytes().0, size.round_down(BLOCK_BYTES).0);
        let rows = tables::find("layout");
        assert_eq!(rows.len(), layout.areas().len());
        for (row, area) in rows.iter().zip(layout.areas()) {
            let start = place(row[column], data_end, usable, 0);
            let length = place(row[column + 1], data_end, usable, start);
            let expected = Area {
                kind: AreaKind::from_code(row[1].parse().unwrap()),
                end: if row[2] == "primary" { End::Primary } else { End::Secondary },
                start: Sectors(start / 512),
                length: Sectors(length / 512),
            };
            assert_eq!(*area, expected, "{size}: {}", row[0]);
            assert_eq!(area.kind.to_string(), row[0]);
        }
    }
}

#[test]
fn limits_are_as_told() {
    let known: [(&str, u64); 14] = [
        ("name bytes", limits::NAME_BYTES_MAX as u64),
        ("linear volume bytes", LINEAR_VOLUME_BYTES_MAX),
        ("spare bytes", SPARE_BYTES),
        ("node ids", limits::NODE_ID_MAX.into()),
        ("areas", limits::AREAS_MAX as u64),
        ("sections", limits::SECTIONS_MAX as u64),
        ("wwid bytes", limits::WWID_BYTES_MAX as u64),
        ("slot bytes least", limits::SLOT_BYTES_MIN),
        ("slot bytes most", limits::SLOT_BYTES_MAX),
        ("node blocks bytes", limits::NODE_BLOCKS_BYTES_MAX),
        ("history bytes", limits::HISTORY_BYTES_MAX),
        ("extent bytes least", limits::EXTENT_BYTES_MIN),
        ("extent bytes default", limits::EXTENT_BYTES_DEFAULT),
        ("stripes", limits::STRIPES_MAX.into()),
    ];
    let rows = tables::find("limits");
    let told: Vec<(&str, u64)> = rows.iter().map(|row| (row[0], row[1].parse().unwrap())).collect();
    assert_eq!(told, known);
}

#[test]
fn maxima_of_lists_are_as_told() {
    let most = |table: &str, field: &str| {
        let rows = tables::find(&format!("fields: {table}"));
        let kind = rows.iter().find(|row| row[0] == field).unwrap()[1];
        kind.rsplit_once(' ').unwrap().1.parse::<usize>().unwrap()
    };
    assert_eq!(most("container", "holders"), limits::HOLDERS_MAX);
    assert_eq!(most("disk table", "disks"), limits::DISKS_MAX + limits::RELEASED_DISKS_MAX);
    assert_eq!(most("old set", "disks"), limits::DISKS_MAX);
    assert_eq!(most("region", "columns"), usize::from(limits::STRIPES_MAX));
    assert_eq!(most("column", "runs"), limits::RUNS_PER_REGION_MAX);
    assert_eq!((16_384, 65_536), (limits::VOLUMES_MAX, limits::FREED_RUNS_MAX));
}
