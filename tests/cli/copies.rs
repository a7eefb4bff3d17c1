//! Models that were: history, comparisons, backups, and what comes back of them.

use crate::bench::Bench;

#[test]
fn history_tells_every_change_and_what_differs() {
    let bench = Bench::with_container();
    bench.done("volume create data/x --size 2M");
    bench.done("volume rename data/x y");
    let history = bench.json("history data");
    let words = history["models"].to_string();
    for part in ["created with 3 disks", "created volume x", "renamed volume x to y"] {
        assert!(words.contains(part), "{words}");
    }
    let models = history["models"].as_array().unwrap();
    let present = models.iter().filter(|model| model["present"] == true).collect::<Vec<_>>();
    assert_eq!((present.len(), &present[0]["kept_on"]), (1, &serde_json::json!([1, 2, 3])));
    assert!(bench.done("history data --compare 1").contains("volume y (2 MiB) was made"));
    let made = models.iter().find(|model| model["words"].to_string().contains("created volume x")).unwrap();
    let generation = made["generation"].as_u64().unwrap();
    assert!(
        bench.done(&format!("history --compare 1 {generation} data")).contains("volume x (2 MiB) was made")
    );
    assert_eq!(bench.done(&format!("history data --compare {generation} {generation}")), "nothing differs\n");
    bench.refused("history data --compare 99", 3, &["'99'"]);
    bench.refused("history data --compare x", 2, &["'x' is no generation"]);
}

#[test]
fn a_backup_brings_volumes_back() {
    let bench = Bench::with_container();
    bench.done("volume create data/x --size 2M");
    bench.done("volume create data/y --size 6M --stripes 3");
    let pieces = bench.json("info data/y")["pieces"].clone();
    let said = bench.done("backup data saved");
    assert!(said.contains("saved in saved"), "{said}");
    bench.refused("backup data saved", 1, &["File exists"]);
    bench.refused("backup data no/where", 3, &["no/where"]);
    bench.done("volume delete data/y");
    bench.twice("restore data --from saved");
    assert_eq!(bench.json("info data/y")["pieces"], pieces);
    bench.done("volume delete data/x");
    let generation = bench.json("history data")["models"][2]["generation"].as_u64().unwrap();
    bench.twice(&format!("restore data --generation {generation}"));
    assert!(bench.done("list volumes").contains("data/x"));
    assert!(bench.done("check").contains("all is well"));
}

#[test]
fn what_cannot_be_restored_is_refused() {
    let bench = Bench::with_container();
    bench.done("backup data saved");
    bench.done("container create other --private d.img");
    bench.refused("restore other --from saved", 1, &["of container data"]);
    bench.refused("restore data --from nix", 3, &["nix"]);
    bench.refused("restore data --from a.img", 5, &["a.img"]);
    bench.refused("restore data --generation 99", 3, &["'99'"]);
    bench.refused("restore data", 2, &["--from or --generation is missing"]);
    bench.refused("restore data --from saved --generation 1", 2, &["exclude each other"]);
    let mut cut = bench.read("saved");
    cut[4100] ^= 1;
    std::fs::write(bench.path("flipped"), &cut).unwrap();
    bench.refused("restore data --from flipped", 5, &["flipped"]);
}
