//! Volumes, linear and striped: made, resized, renamed, deleted; each verb twice.

use crate::bench::Bench;

fn volume(bench: &Bench, name: &str) -> serde_json::Value {
    bench.json(&format!("info {name}"))["volume"].clone()
}

#[test]
fn a_linear_volume_lives() {
    let bench = Bench::with_container();
    let said = bench.twice("volume create data/home --size 2.5M");
    assert!(said.contains("rounded up"), "{said}");
    assert_eq!(volume(&bench, "data/home")["size_bytes"], 3 << 20);
    bench.twice("volume expand data/home --size 5M");
    bench.done("volume expand data/home --size +2M");
    assert_eq!(volume(&bench, "data/home")["size_bytes"], 7 << 20);
    bench.twice("volume shrink data/home --size 4M");
    bench.done("volume shrink data/home --size -1M");
    assert_eq!(volume(&bench, "data/home")["size_bytes"], 3 << 20);
    bench.twice("volume rename data/home house");
    bench.twice("volume rename data/house data/home");
    bench.done("volume expand data/home --size +100%FREE");
    assert_eq!(bench.json("list containers")["containers"][0]["free_bytes"], 0);
    bench.twice("volume delete data/home");
}

#[test]
fn a_striped_volume_lives() {
    let bench = Bench::with_container();
    bench.twice("volume create data/fast --size 6M --stripes 3 --stripe-size 16K");
    let line = volume(&bench, "data/fast");
    assert_eq!((&line["stripes"], &line["stripe_bytes"]), (&3.into(), &(16 << 10).into()));
    assert_eq!(line["disks"], serde_json::json!([1, 2, 3]));
    bench.twice("volume expand data/fast --size 12M");
    bench.twice("volume shrink data/fast --size 3M");
    bench.twice("volume rename data/fast slow");
    let said = bench.done("info data/slow");
    assert!(said.contains("striped") && said.contains("stripe 3 x 16 KiB"), "{said}");
    bench.twice("volume delete data/slow");
}

#[test]
fn volumes_lie_where_they_are_told_to() {
    let bench = Bench::with_container();
    bench.done("volume create data/x --size 2M --on c.img");
    bench.done("volume create data/y --size 2M --stripes 2 --on 1,3");
    assert_eq!(volume(&bench, "data/x")["disks"], serde_json::json!([3]));
    assert_eq!(volume(&bench, "data/y")["disks"], serde_json::json!([1, 3]));
    bench.done("volume expand data/x --size +1M --on 2");
    assert_eq!(volume(&bench, "data/x")["disks"], serde_json::json!([2, 3]));
}

/// What a file system states that it needs is never cut off, and what nobody knows only on the user's word.
#[test]
fn shrinking_below_a_file_system_is_refused() {
    let bench = Bench::with_container();
    bench.done("volume create data/fs --size 8M --on 1");
    let at = bench.json("info data/fs")["pieces"][0]["on"][0][1].as_u64().unwrap() * 512;
    let mut image = vec![0; 1024];
    let (blocks, magic) = (2048u32, 0xef53u16);
    image.extend([0u8; 4]);
    image.extend(blocks.to_le_bytes());
    image.resize(1024 + 56, 0);
    image.extend(magic.to_le_bytes());
    image.resize(4096, 0);
    bench.write("a.img", at, &image);
    bench.refused("volume shrink data/fs --size 1M", 1, &["2 MiB"]);
    bench.done("volume shrink data/fs --size 2M");
    bench.write("a.img", at, &[7; 4096]);
    bench.refused("volume shrink data/fs --size 1M", 1, &["--lose-data-beyond"]);
    bench.done("volume shrink data/fs --size 1M --lose-data-beyond 1M");
}

#[test]
fn what_cannot_be_is_refused() {
    let bench = Bench::with_container();
    bench.done("volume create data/x --size 2M");
    for (words, code, part) in [
        ("volume create data/big --size 1T", 1, "free"),
        ("volume create data/x --size 9M", 1, "data/x"),
        ("volume create data/y --size 4M --stripes 4", 1, "disks"),
        ("volume create data/y --size 4M --stripes 2 --stripe-size 3K", 1, "3 KiB"),
        ("volume create data/y --size 4M --on 9", 3, "'9'"),
        ("volume create nix/y --size 4M", 3, "'nix'"),
        ("volume expand data/nix --size 4M", 3, "data/nix"),
        ("volume rename data/nix other", 3, "data/nix"),
        ("volume expand data/x --size 1M", 1, "shrink"),
        ("volume shrink data/x --size 9M", 1, "expand"),
        ("volume create data/y", 2, "--size is missing"),
        ("volume create data --size 1M", 2, "'data' does not name a volume"),
        ("volume create data/-y --size 1M", 2, "'-'"),
        ("volume create data/all --size 1M", 2, "reserved"),
        ("volume create data/y --size 10X", 2, "'10X' has a unit that is not known"),
        ("volume create data/y --size 0", 2, "out of range"),
        ("volume create data/y --size 1M --stripe-size 64K", 2, "--stripes"),
        ("volume create data/y --size 1M --stripes two", 2, "'two'"),
        ("volume rename data/x", 2, "NEW is missing"),
    ] {
        bench.refused(words, code, &[part]);
    }
}
