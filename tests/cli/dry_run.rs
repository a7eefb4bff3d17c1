//! `--dry-run` writes nothing and tells the truth: every block that really changes lies in a range that it printed.

use std::collections::BTreeMap;

use crate::bench::{BLOCK_BYTES, Bench, NODE};

const SECTOR_BYTES: u64 = 512;

/// Every changing verb, in an order in which each can be done.
const CHANGES: &[&str] = &[
    "container create data --private --extent 1M a.img b.img c.img",
    "volume create data/x --size 3M",
    "volume create data/fast --size 6M --stripes 3",
    "volume expand data/x --size +2M",
    "volume shrink data/x --size 4M",
    "volume rename data/x y",
    "container expand data d.img",
    "volume delete data/y",
    "restore data --generation 5",
    "container shrink data d.img",
    "container modify data --name other",
    "container deport other",
    "--as 11111111-2222-4333-8444-555555555555 container import other",
    "--as 11111111-2222-4333-8444-555555555555 container import other --new-ids",
    "--as 11111111-2222-4333-8444-555555555555 volume delete other/fast",
    "--as 11111111-2222-4333-8444-555555555555 volume delete other/x",
    "--as 11111111-2222-4333-8444-555555555555 container delete other",
];

fn images(bench: &Bench) -> BTreeMap<String, Vec<u8>> {
    ["a.img", "b.img", "c.img", "d.img"].map(|name| (name.to_string(), bench.read(name))).into()
}

/// Byte offsets of the blocks that differ.
fn changed(before: &[u8], after: &[u8]) -> Vec<u64> {
    let blocks = before.chunks(BLOCK_BYTES).zip(after.chunks(BLOCK_BYTES)).enumerate();
    blocks.filter(|(_, (one, other))| one != other).map(|(place, _)| (place * BLOCK_BYTES) as u64).collect()
}

#[test]
fn a_dry_run_writes_nothing_and_names_every_block_that_will_change() {
    let bench = Bench::new(&["a.img", "b.img", "c.img", "d.img"]);
    assert!(CHANGES[12].contains(NODE));
    for line in CHANGES {
        let before = images(&bench);
        let planned = bench.json(&format!("{line} --dry-run"));
        let said = bench.done(&format!("{line} --dry-run"));
        assert!(
            said.starts_with("would be done: ")
                && said.ends_with("nothing was written: this was a dry run\n"),
            "{said}"
        );
        assert!(images(&bench) == before, "{line}: the dry run wrote");
        bench.done(line);
        let after = images(&bench);
        let writes = planned["writes"].as_array().unwrap();
        assert!(!writes.is_empty(), "{line}");
        for (name, old) in &before {
            for at in changed(old, &after[name]) {
                let covers = |write: &&serde_json::Value| {
                    let start = write["sector"].as_u64().unwrap() * SECTOR_BYTES;
                    let end = start + write["sectors"].as_u64().unwrap() * SECTOR_BYTES;
                    write["disk"] == name.as_str() && start <= at && at + BLOCK_BYTES as u64 <= end
                };
                assert!(
                    writes.iter().any(|write| covers(&write)),
                    "{line}: {name} changed at byte {at}: {said}"
                );
            }
        }
    }
}

#[test]
fn a_dry_run_of_what_is_so_says_so_and_one_of_what_is_refused_refuses() {
    let bench = Bench::with_container();
    bench.done("volume create data/x --size 2M");
    bench.already("volume create data/x --size 2M --dry-run");
    bench.already("container expand data a.img --dry-run");
    bench.refused("volume create data/y --size 1T --dry-run", 1, &["free"]);
    bench.refused("container delete data --dry-run", 1, &["has volumes"]);
}
