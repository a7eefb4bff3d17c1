//! Damage that is more than one rotten copy: what is refused, what is told, and what a repair mends.

use evms::base::id::NodeId;
use evms::format::layout::{AreaKind, End};
use evms::format::node_block::{NodeBlocks, place};

use crate::bench::{BLOCK_BYTES, Bench};
use crate::cut_short::label;

/// A disk whose front was written over by something that nobody knows: its tail label is left, and all that follows it.
/// It may be another program's disk by now, so nothing is written before somebody says that it is not.
#[test]
fn a_strange_front_is_not_written_over() {
    let bench = Bench::with_container();
    bench.done("volume create data/v --size 3M");
    bench.write("a.img", 0, &[0xa5; 2 * BLOCK_BYTES]);
    assert!(bench.done("list volumes").contains("data/v"));
    let words = ["disk 1 of container data (a.img) holds data at its front", "evms check data --repair"];
    for line in
        ["volume create data/w --size 1M", "container import data --new-ids", "container expand data d.img"]
    {
        bench.refused(line, 5, &words);
    }
    assert!(bench.done("list").contains("holds data at its front that nobody knows"));
    let before = bench.read("a.img");
    let ended = bench.evms("check --repair");
    assert!(ended.code == 5 && ended.out.contains("was not mended: disk 1 of container data"), "{ended:?}");
    assert!(bench.read("a.img") == before, "a front that nobody knows was written over");
    let said = bench.done("check data --repair");
    assert!(said.contains("all mended"), "{said}");
    assert!(bench.done("check").contains("all is well"));
    bench.done("volume create data/w --size 1M");
    assert_eq!(bench.read("a.img")[..BLOCK_BYTES], bench.read("b.img")[..BLOCK_BYTES]);
}

/// The record of a change of ids rots where no change is under way: it is mended on command, and by nothing else.
#[test]
fn a_rotten_record_of_no_change_is_mended() {
    let bench = Bench::with_container();
    let (_, layout) = label(&bench.read("b.img"));
    let at = layout.area(AreaKind::Intent, End::Primary).start_bytes().0;
    bench.write("b.img", at, &[0x5a; BLOCK_BYTES]);
    bench.done("volume create data/v --size 1M");
    assert!(bench.done("check").contains("the intent record has a foreign magic"));
    assert!(bench.done("check --repair").contains("all mended"));
    assert!(bench.done("check").contains("all is well"));
    assert!(bench.read("b.img")[at as usize..][..BLOCK_BYTES].iter().all(|&byte| byte == 0));
}

/// Node blocks that cannot be read may have held a promise: an opening goes far above it, and a repair clears them.
#[test]
fn a_promise_that_cannot_be_read_is_outbid() {
    let bench = Bench::with_container();
    let (_, layout) = label(&bench.read("b.img"));
    let blocks = layout.area(AreaKind::NodeBlocks, End::Primary);
    let round = || bench.json("list containers")["containers"][0]["epoch"].as_u64().unwrap() >> 16;
    bench.done("volume create data/v --size 1M");
    let before = round();
    // Both blocks of a node that is not this machine.
    let (start, length) = (blocks.start_bytes().0 as usize, blocks.length_bytes().0 as usize);
    let said = NodeBlocks::decode(&bench.read("b.img")[start..start + length]);
    let mine = said.newest.iter().map(|block| block.id).collect::<Vec<_>>();
    let other = [NodeId(1), NodeId(2)].into_iter().find(|id| !mine.contains(id)).unwrap();
    let at = place(&blocks, other, 0).unwrap().0;
    bench.write("b.img", at, &[0x5a; 2 * BLOCK_BYTES]);
    bench.done("volume create data/w --size 1M");
    assert!(round() >= before + (1 << 16), "an opening went from round {before} to {} only", round());
    assert!(bench.done("check").contains(&format!("neither block of node {other} can be read")));
    assert!(bench.done("check --repair").contains("all mended"));
    let after = round();
    bench.done("volume create data/x --size 1M");
    assert_eq!(round(), after + 1);
}

/// A container of which one disk has a volume `left`, and the others, which never heard of it, these; and that disk before all of it.
fn parted(alone: &str, right: &[&str]) -> (Bench, Vec<u8>) {
    let bench = Bench::with_container();
    let images = ["a.img", "b.img", "c.img"];
    let before = images.map(|name| bench.read(name));
    bench.done("volume create data/left --size 1M");
    let left = bench.read(alone);
    images.iter().zip(&before).for_each(|(name, image)| bench.write(name, 0, image));
    let was = bench.read(alone);
    for volume in right {
        bench.done(&format!("volume create data/{volume} --size 1M"));
    }
    bench.write(alone, 0, &left);
    (bench, was)
}

/// Two halves of one container that went different ways under one number: found by name, shown, and not decided.
#[test]
fn two_contents_under_one_number_are_shown_under_their_name() {
    let (bench, _) = parted("c.img", &["w"]);
    bench.refused(
        "volume create data/x --size 1M",
        5,
        &["container data was changed in two ways", "--new-ids"],
    );
    let said = bench.evms("check data");
    assert!(said.code == 5 && !said.out.contains("older model"), "{said:?}");
    assert_eq!(bench.json("list containers")["containers"][0]["state"], "conflict");
    bench.done("--disk a.img --disk b.img volume create data/x --size 1M");
}

/// Both halves of a container were changed under force, each on its own, and stand side by side again (F44). Both are shown, with their
/// values and what may be done; nothing is chosen and nothing is merged, whatever is asked.
#[test]
fn f44_both_halves_changed_under_force_are_shown_side_by_side() {
    let (bench, _) = parted("a.img", &["right"]);
    let words = [
        "container data was changed in two ways under one number",
        "disk 1 holds ",
        "disk 2 holds ",
        "nothing was written",
        "name only the disks of the side that shall count with --disk",
        "--wipe evms",
        "container import data --new-ids",
    ];
    for line in [
        "info data",
        "volume create data/new --size 1M",
        "volume delete data/right",
        "container modify data --owner here",
        "container deport data",
        "history data",
    ] {
        bench.refused(line, 5, &words);
    }
    let said = bench.evms("info data").err;
    let value = |disk: &str| said.split(disk).nth(1).and_then(|rest| rest.split([',', ';']).next());
    let (one, other) = (value("disk 1 holds "), value("disk 2 holds "));
    assert!(one.is_some_and(|one| one.len() >= 8) && one != other, "two values are shown: {said}");
    let hashes = bench.hashes();
    for line in ["list", "check data", "check data --repair"] {
        bench.evms(line);
        assert_eq!(bench.hashes(), hashes, "evms {line}: something was written");
    }
    assert_eq!(bench.json("list containers")["containers"][0]["state"], "conflict");
    // A person says which side counts: then that goes on, as it was, and the other one stays as it is.
    bench.done("--disk b.img --disk c.img volume create data/new --size 1M");
    let volumes = bench.done("--disk b.img --disk c.img list volumes");
    assert!(volumes.contains("data/right") && !volumes.contains("data/left"), "{volumes}");
    assert_eq!(bench.hashes()["a.img"], hashes["a.img"]);
}

/// The same when one half was changed more often: no two models on the disks have one number any more, and it is what each was made from,
/// and what the histories keep, that tells.
#[test]
fn f44_one_half_changed_more_often_is_shown_too() {
    let names = ["r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9"];
    for often in [2, 3, 9] {
        let (bench, was) = parted("a.img", &names[..often]);
        bench.refused("volume create data/new --size 1M", 5, &["container data was changed in two ways"]);
        // One that is behind, and of the same lineage, is not that.
        let right = bench.read("b.img");
        bench.write("a.img", 0, &was);
        bench.done("volume create data/new --size 1M");
        assert_ne!(bench.read("b.img"), right);
    }
}

/// Two containers of one name: what is given by its id is mended, and a refusal has a code of its own.
#[test]
fn a_container_is_mended_by_its_id() {
    let bench = Bench::with_container();
    let id = bench.json("list containers")["containers"][0]["id"].as_str().unwrap().to_string();
    bench.done("container create other --private d.img");
    bench.done("--disk d.img container modify other --name data");
    bench.write("a.img", BLOCK_BYTES as u64, &[0; BLOCK_BYTES]);
    let before = bench.hashes();
    let plan = bench.evms(&format!("check {id} --repair --dry-run")).out;
    assert!(plan.contains("a.img") && plan.contains("SECTOR") && plan.contains("dry run"), "{plan}");
    assert_eq!(bench.hashes(), before, "a dry run wrote");
    let said = bench.done(&format!("check {id} --repair"));
    assert!(said.contains("all mended"), "{said}");
    bench.done(&format!("container modify {id} --name first"));
    bench.done("container deport first");
    let ended = bench.evms("check");
    assert!(ended.out.contains("all is well"), "{ended:?}");
}
