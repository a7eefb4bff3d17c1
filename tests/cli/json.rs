//! Answers in JSON hold to the schemas kept in the tree.

use serde_json::Value;

use crate::bench::{Bench, NODE};
use crate::schema::problems;

fn schema(name: &str) -> Value {
    let path = format!("{}/tests/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn holds(name: &str, answer: &str) {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let found = problems(&schema(name), &answer);
    assert!(found.is_empty(), "{name}: {found:#?}\n{answer:#}");
}

/// A bench with something of everything in it: volumes, a missing disk, a foreign one, a damaged one.
fn rich() -> Bench {
    let bench = Bench::with_container();
    bench.done("volume create data/x --size 2M");
    bench.done("volume create data/fast --size 6M --stripes 3");
    bench.done(&format!("container modify data --owner {NODE}"));
    bench.done("container create more --deported d.img");
    bench.image("e.img", 24 << 20);
    bench.write("e.img", 1024 + 56, &[0x53, 0xef]);
    bench.image("f.img", 20 << 20);
    bench.copy("a.img", "g.img");
    std::fs::File::options().write(true).open(bench.path("g.img")).unwrap().set_len(20 << 20).unwrap();
    bench
}

#[test]
fn lists_hold_to_their_schema() {
    let bench = rich();
    for what in ["", "disks", "segments", "containers", "regions", "objects", "volumes"] {
        holds("list", &bench.done(&format!("--json list {what}")));
    }
    std::fs::remove_file(bench.path("b.img")).unwrap();
    let said = bench.done("list --json");
    assert!(said.contains("disk 2 is missing"), "{said}");
    holds("list", &said);
    holds("list", &Bench::new(&["a.img"]).done("--json list"));
    holds("list", &crate::deletion::gone().done("--json list"));
    holds("info", &crate::deletion::gone().done("--json info data"));
    holds("check", &bench.evms("--json check --repair --dry-run").out);
}

#[test]
fn other_answers_hold_to_theirs() {
    let bench = rich();
    for name in ["data", "data/x", "data/fast", "a.img", "e.img", "f.img", "g.img"] {
        holds("info", &bench.done(&format!("--json info {name}")));
    }
    for container in ["data", "more"] {
        holds("tenure", &bench.done(&format!("--json why {container}")));
    }
    holds("check", &bench.evms("--json check").out);
    holds("history", &bench.done("--json history data"));
    holds("history", &bench.done("--json history data --compare 1"));
    holds("changed", &bench.done(&format!("--json --as {NODE} volume create data/x --size 2M")));
    holds("changed", &bench.done(&format!("--json --as {NODE} volume create data/y --size 2M --dry-run")));
    holds("backup", &bench.done("--json backup data saved"));
}

#[test]
fn refusals_are_told_in_json_too() {
    let bench = rich();
    for (line, code, kind) in [
        ("volume create data/y --size 1M", 4, "not owner or not quorate"),
        ("info data/nix", 3, "not found"),
        ("lust", 2, "usage"),
        ("container create data --private d.img", 1, "refused"),
        ("--node far list", 7, "no daemon"),
        ("restore data --from e.img", 5, "damage"),
    ] {
        let line = if kind == "damage" { format!("--as {NODE} {line}") } else { line.into() };
        let ended = bench.evms(&format!("--json {line}"));
        holds("error", &ended.out);
        let answer: Value = serde_json::from_str(&ended.out).unwrap();
        let error = &answer["error"];
        assert_eq!(
            (ended.code, &error["kind"], &error["exit"]),
            (code, &kind.into(), &code.into()),
            "{line}"
        );
        assert_eq!(ended.err, format!("evms: {}\n", error["text"].as_str().unwrap()));
    }
}

/// The validator can fail: each of these breaks one word of the schema.
#[test]
fn a_wrong_answer_does_not_hold() {
    let bench = rich();
    let right: Value = serde_json::from_str(&bench.done("--json list")).unwrap();
    let schema = schema("list");
    assert!(problems(&schema, &right).is_empty());
    let breaks: [fn(&mut Value); 7] = [
        |answer| answer["evms"] = 2.into(),
        |answer| answer["result"]["more"] = 1.into(),
        |answer| answer["result"]["disks"][0]["state"] = "lost".into(),
        |answer| answer["result"]["disks"][0]["size_bytes"] = (-1).into(),
        |answer| answer["result"]["disks"][0]["size_bytes"] = "1".into(),
        |answer| answer["result"]["containers"][0]["id"] = "x".into(),
        |answer| {
            answer["result"]["volumes"][0].as_object_mut().unwrap().remove("name");
        },
    ];
    for (number, spoil) in breaks.iter().enumerate() {
        let mut wrong = right.clone();
        spoil(&mut wrong);
        assert_eq!(problems(&schema, &wrong).len(), 1, "case {number}");
    }
}
