//! Commands that a crash cut in two, and disks that another program took: every state in between, made by hand, block
//! for block, and the same command said again.

use evms::format::intent::Intent;
use evms::format::label::Label;
use evms::format::layout::{AreaKind, End, HEAD_LABEL_AT, Layout, SlotIndex};

use crate::bench::{BLOCK_BYTES, Bench};

const DISKS: [&str; 3] = ["a.img", "b.img", "c.img"];

/// A disk's label and where things are on it.
pub fn label(image: &[u8]) -> (Label, Layout) {
    let at = HEAD_LABEL_AT.0 as usize;
    let label = Label::decode(&image[at..at + BLOCK_BYTES], End::Primary).unwrap();
    let layout = Layout::check(label.areas.clone(), label.size_bytes()).unwrap();
    (label, layout)
}

fn slot_at(layout: &Layout, index: SlotIndex, end: End) -> usize {
    layout.slot(index, end).start_bytes().0 as usize
}

/// Takes every model off a disk; its labels stay.
fn unmodel(bench: &Bench, name: &str) {
    let (_, layout) = label(&bench.read(name));
    for index in SlotIndex::BOTH {
        for end in End::BOTH {
            bench.write(name, slot_at(&layout, index, end) as u64, &[0; BLOCK_BYTES]);
        }
    }
}

/// A change of ids that was cut on this disk after so many of its steps.
fn part_way(old: &[u8], new: &[u8], steps: usize) -> Vec<u8> {
    let ((before, layout), (after, _)) = (label(old), label(new));
    let mut image = old.to_vec();
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let slot = layout.slot_bytes().0 as usize;
    let tail = layout.area(AreaKind::Label, End::Secondary).start_bytes().0 as usize;
    let intent_at = layout.area(AreaKind::Intent, End::Primary).start_bytes().0 as usize;
    let intent = Intent {
        old_container: before.container,
        new_container: after.container,
        old_disk: before.disk,
        new_disk: after.disk,
    };
    put(intent_at, &intent.encode());
    let front = HEAD_LABEL_AT.0 as usize;
    for step in 1..=steps {
        match step {
            1 => put(slot_at(&layout, SlotIndex::Zero, End::Primary), {
                let at = slot_at(&layout, SlotIndex::Zero, End::Primary);
                &new[at..at + slot]
            }),
            2 => put(slot_at(&layout, SlotIndex::Zero, End::Secondary), {
                let at = slot_at(&layout, SlotIndex::Zero, End::Secondary);
                &new[at..at + slot]
            }),
            3 => put(tail, &new[tail..tail + BLOCK_BYTES]),
            4 => put(front, &new[front..front + BLOCK_BYTES]),
            5 => {
                for end in End::BOTH {
                    put(slot_at(&layout, SlotIndex::One, end), &[0; BLOCK_BYTES]);
                }
            }
            _ => put(intent_at, &[0; BLOCK_BYTES]),
        }
    }
    image
}

/// Every cut of `import --new-ids` over three disks: some are one step ahead of the others. With one commit, and with
/// two, for then the other slot holds an older model under the old ids.
#[test]
fn new_ids_are_finished_from_every_step() {
    for commits in 1..=2 {
        let bench = Bench::with_container();
        if commits == 2 {
            bench.done("volume create data/v --size 2M");
        }
        std::fs::remove_file(bench.path("d.img")).unwrap();
        let old = DISKS.map(|name| bench.read(name));
        bench.done("container import data --new-ids");
        let new = DISKS.map(|name| bench.read(name));
        for cut in 0..=17 {
            for (place, name) in DISKS.iter().enumerate() {
                let steps = cut / 3 + usize::from(place < cut % 3);
                bench.write(name, 0, &part_way(&old[place], &new[place], steps));
            }
            let said = bench.done("container import data --new-ids");
            assert!(said.contains("has new ids"), "cut {cut}: {said}");
            let checked = bench.done("check");
            assert!(checked.contains("1 container on 3 disks checked: all is well"), "cut {cut}: {checked}");
            bench.done("volume create data/w --size 1M");
            for two in ["--disk a.img --disk b.img", "--disk b.img --disk c.img", "--disk a.img --disk c.img"]
            {
                let found = bench.done(&format!("{two} list volumes"));
                assert!(found.contains("data/w"), "cut {cut}, {two}: {found}");
            }
        }
    }
}

/// Two labels of two containers that no intent explains stay refused.
#[test]
fn two_labels_without_an_intent_are_refused() {
    let bench = Bench::with_container();
    let old = bench.read("c.img");
    bench.done("--disk a.img --disk b.img --disk c.img container import data --new-ids");
    let new = bench.read("c.img");
    let mut image = part_way(&old, &new, 3);
    let intent = label(&old).1.area(AreaKind::Intent, End::Primary).start_bytes().0 as usize;
    image[intent..intent + BLOCK_BYTES].fill(0);
    bench.write("c.img", 0, &image);
    assert!(bench.done("list disks").contains("its front label names disk"));
}

/// The first commit stands on one disk of three: saying it again puts it on all, before anyone is told that it is so.
#[test]
fn a_founding_that_was_cut_is_finished_before_it_is_called_so() {
    let bench = Bench::with_container();
    unmodel(&bench, "b.img");
    unmodel(&bench, "c.img");
    bench.twice("container create data --private --extent 1M a.img b.img c.img");
    assert!(bench.done("--disk b.img --disk c.img list containers").contains("data"));
}

/// Labelled and no member: the same command takes the disk, and does not call it a member.
#[test]
fn an_expansion_that_was_cut_is_said_again() {
    let bench = Bench::with_container();
    let before = DISKS.map(|name| bench.read(name));
    bench.done("container expand data d.img");
    let after = DISKS.map(|name| bench.read(name));
    let joined = bench.read("d.img");
    DISKS.iter().zip(&before).for_each(|(name, image)| bench.write(name, 0, image));
    unmodel(&bench, "d.img");
    let said = bench.twice("container expand data d.img");
    assert!(said.contains("added disk 4"), "{said}");
    assert!(bench.done("check").contains("1 container on 4 disks checked: all is well"));
    // The commit stands on the new disk and an unmarked old one: in doubt, and not yet so.
    for (name, image) in
        [("a.img", &before[0]), ("b.img", &after[1]), ("c.img", &before[2]), ("d.img", &joined)]
    {
        bench.write(name, 0, image);
    }
    bench.twice("container expand data d.img");
    assert!(bench.done("--disk b.img --disk c.img --disk d.img info data").contains("d.img"));
}

/// A partition table over our first block, with both labels still there: the disk is theirs, and no byte of it changes.
#[test]
fn a_disk_that_another_program_took_is_not_written() {
    let bench = Bench::with_container();
    let mut sector = [0; 512];
    sector[446..462].copy_from_slice(&[0x80, 0x20, 0x21, 0, 0x83, 5, 4, 3, 0, 8, 0, 0, 0, 0x50, 0, 0]);
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    bench.write("c.img", 0, &sector);
    let theirs = bench.read("c.img");
    bench.refused("container create new --private c.img", 1, &["MBR partition table", "--wipe evms,mbr"]);
    assert!(bench.done("volume create data/v --size 2M").contains("disk 3 missed this change"));
    assert_eq!(bench.evms("check --repair").code, 5);
    bench.done("volume delete data/v");
    bench.done("container delete data");
    assert!(bench.read("c.img") == theirs, "a disk of somebody else was written");
    bench.done("container create new --private --wipe evms,mbr c.img");
    // One rotten byte of our own block is nobody's partition table.
    bench.write("c.img", 450, &[0xef]);
    bench.done("container modify new --name newer");
}

/// A disk that was away while it was let go: it comes back with its labels, and the change that takes them says so.
#[test]
fn a_disk_that_was_let_go_while_away_is_freed_with_a_word() {
    let bench = Bench::with_container();
    let away = bench.read("c.img");
    bench.done("--disk a.img --disk b.img volume create data/v --size 1M");
    bench.done("--disk a.img --disk b.img container shrink data 3");
    bench.write("c.img", 0, &away);
    assert!(bench.done("list").contains("disk 3 (c.img) was let go and still carries its label"));
    let said = bench.done("volume create data/w --size 1M");
    assert!(
        said.contains("note: disk 3 was let go before and still had its labels; they go with this change"),
        "{said}"
    );
    assert!(bench.done("check").contains("all is well"));
}

/// A disk that was let go, and the wipe was cut after the labels: what is left is known as ours. One byte of anything else
/// among it, and it is unknown.
#[test]
fn what_a_wipe_left_is_told_from_what_nobody_knows() {
    let bench = Bench::with_container();
    let (_, layout) = label(&bench.read("b.img"));
    let tail = layout.area(AreaKind::Label, End::Secondary);
    bench.write("b.img", 0, &[0; 2 * BLOCK_BYTES]);
    bench.write("b.img", tail.start_bytes().0, &vec![0; tail.length_bytes().0 as usize]);
    let create = "container create other --private --owner none b.img";
    bench.refused(create, 1, &["what is left of a disk of evms", "--wipe evms"]);
    bench.write("b.img", 900_000, b"x");
    bench.refused(&format!("{create} --wipe evms"), 1, &["no known signature explains", "--wipe unknown"]);
    bench.write("b.img", 900_000, &[0]);
    bench.done(&format!("{create} --wipe evms"));
}
