//! The end of a container: what a crash leaves of it is freed by the same command, and nothing that lives is.

use evms::base::epoch::{Generation, Order};
use evms::base::id::DiskId;
use evms::format::label::Label;
use evms::format::layout::{AreaKind, End, HEAD_LABEL_AT, SlotIndex};
use evms::format::model::{ContainerKind, Model, OldSet};
use evms::format::node_block::place;
use evms::format::slot::SlotImage;

use crate::bench::{BLOCK_BYTES, Bench, NODE, OTHER};
use crate::cut_short::label;

/// Puts a model that follows the newest one of a disk into its other slot, at both ends, so many generations on.
fn follow(bench: &Bench, name: &str, raise: u64, change: impl Fn(&mut Model)) {
    let bytes = bench.read(name);
    let (_, layout) = label(&bytes);
    let read = |index| {
        let area = layout.slot(index, End::Primary);
        SlotImage::decode(&bytes[area.start_bytes().0 as usize..area.end_bytes().0 as usize]).ok()
    };
    let both = SlotIndex::BOTH.map(|index| (index, read(index)));
    let (index, image) =
        both.into_iter().max_by_key(|(_, image)| image.as_ref().map(|i| i.header.order)).unwrap();
    let image = image.unwrap();
    let mut model = Model::decode(&image.body).unwrap();
    change(&mut model);
    let mut header = image.header;
    let Order { epoch, generation } = header.order;
    header.order = Order { epoch, generation: Generation(generation.0 + raise) };
    header.old_set = model.table.old_set.is_some();
    let image = SlotImage::new(header, model.encode().unwrap()).unwrap().encode();
    for end in End::BOTH {
        bench.write(name, layout.slot(index.other(), end).start_bytes().0, &image);
    }
}

/// As the last commit of a deletion makes it.
fn deleted(model: &mut Model) {
    (model.container.kind, model.container.owner) = (ContainerKind::Deleted, None);
    model.container.holders.clear();
    (model.regions, model.volumes, model.freed) = (Vec::new(), Vec::new(), Vec::new());
}

/// As its first commit makes it.
fn being_deleted(model: &mut Model) {
    deleted(model);
    let disks = model.table.disks.iter().map(|disk| disk.number).collect();
    model.table.old_set = Some(OldSet { disks, first: model.table.first });
}

/// A container whose deletion was settled on all of its disks, labels still on.
pub fn gone() -> Bench {
    let bench = Bench::with_container();
    for name in ["a.img", "b.img", "c.img"] {
        follow(&bench, name, 3, deleted);
    }
    bench
}

/// The first commit reached one disk: that alone frees nothing; with a majority it is finished.
#[test]
fn a_deletion_that_was_begun_is_finished_by_a_majority_only() {
    let bench = Bench::with_container();
    follow(&bench, "c.img", 2, being_deleted);
    bench.refused("--disk c.img container delete data", 4, &["1 of the 2 votes"]);
    bench.refused("volume create data/v --size 1M", 4, &["is being deleted", "evms container delete data"]);
    bench.refused("container import data", 4, &["is being deleted"]);
    let said = bench.done("check");
    assert!(said.contains("its deletion is half done") && !said.contains("can be mended"), "{said}");
    let said = bench.done("container delete data");
    assert!(said.starts_with("container data: deleted, its 3 disks are free"), "{said}");
    assert!(bench.done("list containers").contains("no containers"));
}

/// A majority held it and the labels were going: whatever is left is freed, one disk or two.
#[test]
fn a_deletion_that_was_settled_is_finished_on_what_is_left() {
    for left in [&["c.img"][..], &["b.img", "c.img"]] {
        let bench = gone();
        for name in ["a.img", "b.img"].into_iter().filter(|name| !left.contains(name)) {
            bench.write(name, 0, &vec![0; bench.read(name).len()]);
        }
        let said = bench.done("list");
        assert!(said.contains("deleted") && !said.contains("a newer model may exist"), "{said}");
        let said = bench.done("container delete data");
        assert!(!said.contains("already so") && said.contains("if it still carries its label"), "{said}");
        bench.already("container delete data");
        bench.done("container create data --private a.img b.img c.img");
    }
}

/// One copy that says "deleted for good" beside a majority that never heard of it: a member that came back from another
/// time, a member of somebody else's container, and a disk that is no member at all.
#[test]
fn a_lone_word_of_deletion_frees_nothing_that_lives() {
    let bench = Bench::with_container();
    bench.done("volume create data/precious --size 2M");
    bench.done(&format!("container modify data --owner {NODE}"));
    let before = bench.read("c.img");
    follow(&bench, "c.img", 3, deleted);
    for machine in [NODE, OTHER] {
        let words = ["disk 3 of container data says that it was deleted", "a majority, never heard of it"];
        bench.refused(&format!("--as {machine} container delete data"), 5, &words);
    }
    assert_eq!(bench.json("list containers")["containers"][0]["state"], "conflict");
    bench.write("c.img", 0, &before);
    // The same on a disk that carries the container's label under an identity that no model knows.
    bench.copy("c.img", "d.img");
    follow(&bench, "d.img", 3, deleted);
    let (mine, layout) = label(&bench.read("d.img"));
    let stranger = Label { disk: DiskId([0xaa; 16]), ..mine };
    bench.write("d.img", HEAD_LABEL_AT.0, &stranger.encode(End::Primary).unwrap());
    let tail = layout.area(AreaKind::Label, End::Secondary).start_bytes().0;
    bench.write("d.img", tail, &stranger.encode(End::Secondary).unwrap());
    assert_eq!(bench.json("list containers")["containers"][0]["state"], "committed");
    bench.refused(&format!("--as {NODE} container delete data"), 1, &["it has volumes (precious)"]);
    bench.refused(&format!("--as {OTHER} container delete data"), 4, &["owned by another machine"]);
}

/// A front that nobody knows stops a deletion too, and a repair of the labels is the way on.
#[test]
fn a_strange_front_does_not_end_in_a_circle() {
    let bench = gone();
    bench.write("c.img", 0, &[0xa5; 2 * BLOCK_BYTES]);
    bench.refused("container delete data", 5, &["evms check data --repair"]);
    bench.evms("check data --repair");
    bench.done("container delete data");
    let bench = Bench::with_container();
    bench.done("container deport data");
    bench.write("c.img", 0, &[0xa5; 2 * BLOCK_BYTES]);
    bench.refused(&format!("--as {NODE} container import data"), 5, &["evms check data --repair"]);
    bench.evms("check data --repair");
    bench.done(&format!("--as {NODE} container import data"));
}

/// What is left of a container after its deletion without one disk gives way to a new one of its name.
#[test]
fn a_left_over_disk_gives_way_to_a_new_container() {
    let bench = Bench::with_container();
    let said = bench.done("--disk a.img --disk b.img container delete data");
    assert!(!said.contains("readmit") && said.contains("disk 3 was not here"), "{said}");
    bench.refused("container create data --private a.img b.img c.img", 1, &["exists already"]);
    bench.done("container create data --private a.img b.img c.img --wipe evms");
}

/// A promise that a newer program wrote is neither passed over nor blanked.
#[test]
fn a_newer_programs_promise_is_respected() {
    let bench = Bench::with_container();
    let (_, layout) = label(&bench.read("b.img"));
    let at = place(&layout.area(AreaKind::NodeBlocks, End::Primary), evms::base::id::NodeId(60), 0).unwrap();
    let mut block = vec![0; BLOCK_BYTES];
    block[..8].copy_from_slice(b"EVMSNODE");
    block[8] = 2;
    let sealed = evms::format::seal::close(&block[..BLOCK_BYTES - 4]).unwrap();
    bench.write("b.img", at.0, &sealed);
    bench.refused(
        "volume create data/v --size 1M",
        5,
        &["on disk 2 a newer evms wrote the block of node 60"],
    );
    let ended = bench.evms("check --repair");
    assert!(ended.code == 5 && ended.out.contains("a newer evms wrote the block of node 60"), "{ended:?}");
    assert_eq!(bench.read("b.img")[at.0 as usize..][..BLOCK_BYTES], sealed[..]);
}
