//! Golden files: every structure ever written at layout version 1 and section version 1, as it stands on disk. They
//! were made once and never change; a new version gets new files beside them. Each is decoded and compared with the
//! values in `golden/specimen.rs`, and what is encoded from those values is the same to the byte.
//!
//! `EVMS_GOLDEN=write cargo test --test golden` adds files that are missing and refuses to touch those that are there;
//! `EVMS_GOLDEN=seeds` cuts them into first inputs for the fuzz targets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "golden/hex.rs"]
mod hex;
#[path = "golden/seeds.rs"]
mod seeds;
#[path = "golden/specimen.rs"]
mod specimen;

use std::fs::OpenOptions;
use std::io::Write;

use evms::base::bits::{Access, Features};
use evms::base::id::NodeId;
use evms::base::units::{BLOCK_BYTES, Bytes};
use evms::format::damage::{Fault, What};
use evms::format::disk_beat::Words;
use evms::format::first_block;
use evms::format::history::{Ring, RingEnd};
use evms::format::intent::Intent;
use evms::format::label::Label;
use evms::format::layout::{Area, AreaKind, End};
use evms::format::model::Model;
use evms::format::node_block::{NodeBlock, NodeBlocks};
use evms::format::seal;
use evms::format::section::{self, INCOMPAT, RO_COMPAT};
use evms::format::slot::SlotImage;
use evms::volume::check;
use evms::volume::discover::{self, Sighting, Unusable};
use specimen::{LARGE, SIZE};

const BLOCK: usize = BLOCK_BYTES as usize;
/// Length of the ring of the specimen; areas are longer, a ring takes what it is given.
const RING_BYTES: usize = 12 * BLOCK;

fn label_block(label: &Label, end: End) -> Vec<u8> {
    label.encode(end).unwrap()
}

fn with_features(features: Features) -> Vec<u8> {
    label_block(&Label { features, ..specimen::label(1) }, End::Primary)
}

fn node_area() -> Vec<u8> {
    let mut area = vec![0; 8 * BLOCK];
    area[2 * BLOCK..3 * BLOCK].copy_from_slice(&specimen::node_block(8).encode());
    area[3 * BLOCK..4 * BLOCK].copy_from_slice(&specimen::node_block(9).encode());
    area
}

/// Records 3, 1, 2 in this order: the ring has come round once.
fn ring() -> Vec<u8> {
    let mut ring = Vec::new();
    for sequence in [3, 1, 2] {
        ring.extend(specimen::record(sequence).encode());
    }
    ring.resize(RING_BYTES, 0);
    ring
}

fn front() -> Vec<u8> {
    [first_block::encode(SIZE).to_vec(), label_block(&specimen::label(1), End::Primary)].concat()
}

fn tail() -> Vec<u8> {
    let mut tail = label_block(&specimen::label(1), End::Secondary);
    tail.resize(2 * BLOCK, 0);
    tail
}

fn flipped() -> Vec<u8> {
    let mut label = label_block(&specimen::label(1), End::Primary);
    label[99] ^= 0x10;
    label
}

/// A write of the mid-set-change slot over an older one that ended after its first block.
fn torn() -> Vec<u8> {
    let mut slot = specimen::image().encode();
    slot[..BLOCK]
        .copy_from_slice(&specimen::image_at(&specimen::model_mid_set_change(), 303).encode()[..BLOCK]);
    slot
}

/// The specimen slot with a flag in its header that this program does not know, sealed as if it were meant.
fn slot_flag() -> Vec<u8> {
    let mut slot = specimen::image().encode();
    slot[10] |= 0x80;
    let header = seal::close(&slot[..seal::ROOM]).unwrap();
    slot[..BLOCK].copy_from_slice(&header);
    slot
}

/// Every golden file by name, and what the code of today writes for it.
fn all() -> Vec<(&'static str, Vec<u8>)> {
    let ro = Features { ro_compat: 0x10, ..Features::default() };
    let incompat = Features { incompat: 0x8_0000_0000, ..Features::default() };
    let slot = |model: &Model| specimen::image_at(model, 303).encode();
    vec![
        ("first-block-64-mib", first_block::encode(SIZE).to_vec()),
        ("first-block-4-tib", first_block::encode(LARGE).to_vec()),
        ("disk-front", front()),
        ("disk-tail", tail()),
        ("label-extended", label_block(&specimen::label_extended(), End::Primary)),
        ("label-ro-compat", with_features(ro)),
        ("label-incompat", with_features(incompat)),
        ("label-flipped", flipped()),
        ("node-blocks", node_area()),
        ("disk-words", [specimen::disk_beat().encode(), specimen::disk_question().encode()].concat()),
        ("intent", specimen::intent().encode()),
        ("slot", specimen::image().encode()),
        ("slot-first", slot(&specimen::model_first())),
        ("slot-opening", slot(&specimen::model_opening())),
        ("slot-mid-set-change", slot(&specimen::model_mid_set_change())),
        ("slot-watched", slot(&specimen::model_watched())),
        ("slot-deeds", slot(&specimen::model_deeds())),
        ("slot-torn", torn()),
        ("slot-flag", slot_flag()),
        ("slot-section-ro-compat", specimen::image_with_unknown(RO_COMPAT).encode()),
        ("slot-section-incompat", specimen::image_with_unknown(INCOMPAT).encode()),
        ("history-ring", ring()),
    ]
}

#[test]
fn what_is_written_today_is_what_was_written_ever() {
    if std::env::var_os("EVMS_GOLDEN").is_some_and(|word| word == "write") {
        for (name, bytes) in all().iter().filter(|(name, _)| !hex::path(name).exists()) {
            // Created or refused, never overwritten: a golden file that may change pins nothing.
            let file = OpenOptions::new().write(true).create_new(true).open(hex::path(name));
            file.unwrap().write_all(hex::print(bytes).as_bytes()).unwrap();
        }
    }
    for (name, bytes) in all() {
        assert_eq!(hex::print(&bytes), hex::print(&hex::read(name)), "{name}");
    }
}

#[test]
fn every_file_is_accounted_for_and_all_are_small() {
    let mut names: Vec<String> = all().iter().map(|(name, _)| format!("{name}.hex")).collect();
    names.extend(["hex.rs".into(), "seeds.rs".into(), "specimen.rs".into()]);
    let folder = hex::path("x").with_file_name("");
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(names.contains(&name), "{name} is read by no test");
        bytes += entry.metadata().unwrap().len();
    }
    assert!(bytes < 200 * 1024, "{bytes}");
}

#[test]
fn first_blocks_are_known() {
    for name in ["first-block-64-mib", "first-block-4-tib"] {
        assert!(first_block::is_ours(&hex::read(name)), "{name}");
    }
}

#[test]
fn both_ends_of_a_disk_name_it() {
    let (front, tail) = (hex::read("disk-front"), hex::read("disk-tail"));
    assert_eq!(Label::decode(&front[BLOCK..], End::Primary), Ok(specimen::label(1)));
    assert_eq!(Label::decode(&tail, End::Secondary), Ok(specimen::label(1)));
    let misplaced = Label::decode(&tail, End::Primary).unwrap_err();
    assert_eq!(misplaced.fault, Fault::Field("copy"));
    for (head, tail, damaged) in [(&front, &tail, 0), (&vec![0; 8192], &tail, 2), (&front, &vec![0; 8192], 1)]
    {
        let Sighting::Ours(seen) = discover::sight(SIZE, 512, head, tail) else { panic!("not ours") };
        assert_eq!((&seen.label, seen.damaged.len()), (&specimen::label(1), damaged));
        assert_eq!(seen.layout, specimen::layout(SIZE));
    }
}

#[test]
fn labels_are_read_as_they_were_meant() {
    let read = |name| Label::decode(&hex::read(name), End::Primary);
    assert_eq!(read("label-extended"), Ok(specimen::label_extended()));
    let ro = read("label-ro-compat").unwrap();
    assert_eq!(ro.features.access(evms::format::label::KNOWN), Access::ReadOnly(0x10));
    assert_eq!(Label { features: Features::default(), ..ro }, specimen::label(1));
    assert_eq!(read("label-incompat").unwrap_err().fault, Fault::Incompat(0x8_0000_0000));
    assert_eq!(read("label-flipped").unwrap_err().fault, Fault::Checksum);
}

#[test]
fn one_newer_label_closes_the_disk() {
    let front = [first_block::encode(SIZE).to_vec(), hex::read("label-incompat")].concat();
    let tail = hex::read("disk-tail");
    let Sighting::Unusable(why) = discover::sight(SIZE, 512, &front, &tail) else {
        panic!("it was believed")
    };
    assert!(why.is_newer(), "{why}");
    let front = [first_block::encode(SIZE).to_vec(), hex::read("label-flipped")].concat();
    assert!(matches!(discover::sight(SIZE, 512, &front, &tail), Sighting::Ours(_)));
    let neither = [first_block::encode(SIZE).to_vec(), vec![0; BLOCK]].concat();
    let seen = discover::sight(SIZE, 512, &neither, &[0; 2 * BLOCK]);
    assert_eq!(seen, Sighting::Unusable(Unusable::NoLabel));
}

#[test]
fn promises_are_read_as_they_were_meant() {
    let mut area = hex::read("node-blocks");
    let found = NodeBlocks::decode(&area);
    assert_eq!((found.newest, found.damaged), (vec![specimen::node_block(9)], vec![]));
    assert_eq!(NodeBlock::decode(&area[2 * BLOCK..]), Ok(specimen::node_block(8)));
    area[3 * BLOCK..].fill(0xff);
    let found = NodeBlocks::decode(&area);
    assert_eq!(found.of(NodeId(2)), Some(&specimen::node_block(8)));
    assert_eq!(found.damaged, [NodeId(3), NodeId(4)]);
}

#[test]
fn words_on_a_disk_are_read_as_they_were_meant() {
    let words = Words::decode(&hex::read("disk-words"));
    assert_eq!(
        (words.beats, words.questions),
        (vec![specimen::disk_beat()], vec![specimen::disk_question()])
    );
}

#[test]
fn an_intent_is_read_as_it_was_meant() {
    assert_eq!(Intent::decode(&hex::read("intent")), Ok(specimen::intent()));
}

#[test]
fn slots_are_read_as_they_were_meant() {
    for (name, model, generation) in [
        ("slot", specimen::model(), 302),
        ("slot-first", specimen::model_first(), 303),
        ("slot-opening", specimen::model_opening(), 303),
        ("slot-watched", specimen::model_watched(), 303),
        ("slot-deeds", specimen::model_deeds(), 303),
        ("slot-mid-set-change", specimen::model_mid_set_change(), 303),
    ] {
        assert_eq!(check::all(&model), [], "{name} is a model that evms could write");
        let bytes = hex::read(name);
        let image = SlotImage::decode(&bytes).unwrap();
        let expected = specimen::image_at(&model, generation);
        assert_eq!(image, expected, "{name}");
        assert_eq!(Model::of(&image), Ok(model.clone()), "{name}");
        assert_eq!(Model::of(&image).unwrap().encode().unwrap(), *image.body, "{name}");
        assert_eq!(image.encode(), bytes, "{name}");
    }
}

#[test]
fn a_torn_slot_is_no_slot() {
    let torn = SlotImage::decode(&hex::read("slot-torn")).unwrap_err();
    assert_eq!((torn.what, torn.fault), (What::SlotBody, Fault::Checksum));
}

#[test]
fn newer_words_in_a_slot_are_obeyed() {
    let flag = SlotImage::decode(&hex::read("slot-flag")).unwrap_err();
    assert_eq!(flag.fault, Fault::Incompat(0x80));
    let read = |name| SlotImage::decode(&hex::read(name)).and_then(|image| Model::of(&image));
    let read_only = read("slot-section-ro-compat").unwrap();
    assert!(read_only.read_only && read_only.unknown == [specimen::unknown(RO_COMPAT)]);
    assert_eq!(
        Model { read_only: false, unknown: specimen::model().unknown, ..read_only },
        specimen::model()
    );
    let closed = read("slot-section-incompat").unwrap_err();
    assert_eq!((closed.what, closed.fault), (What::Section(0x4242), Fault::Incompat(u64::from(INCOMPAT))));
}

#[test]
fn unknown_sections_are_written_back_as_they_were() {
    let sections = section::decode(&specimen::image().body).unwrap();
    assert_eq!(sections.last(), Some(&specimen::unknown(0)));
    assert_eq!(section::encode(&sections), *specimen::image().body);
}

#[test]
fn a_ring_gives_its_records_oldest_first() {
    let ring = Ring::decode(&hex::read("history-ring"));
    assert_eq!(ring.records, [1, 2, 3].map(specimen::record));
    let end = RingEnd::find(&hex::read("history-ring"));
    assert_eq!((end.next_at, end.next_sequence), (3 * BLOCK_BYTES, 4));
    assert_eq!(end.last, Some(specimen::record(3).image.header.hash));
    let area = Area {
        kind: AreaKind::History,
        end: End::Primary,
        start: SIZE.whole_sectors(),
        length: Bytes(RING_BYTES as u64).whole_sectors(),
    };
    assert_eq!(end.place(&area, 2 * BLOCK_BYTES), Some(Bytes(SIZE.0 + 3 * BLOCK_BYTES)));
}

#[test]
fn every_file_seeds_a_fuzz_target() {
    let inputs = seeds::from(hex::read);
    assert!(inputs.iter().all(|(target, _, bytes)| !target.is_empty() && !bytes.is_empty()));
    if std::env::var_os("EVMS_GOLDEN").is_some_and(|word| word == "seeds") {
        seeds::write(&inputs);
    }
}
