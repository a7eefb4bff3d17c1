//! Disks that are not to be taken or not to be believed: each refused by name, with its code, and nothing written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use evms::base::bits::Features;
use evms::base::id::ClusterId;
use evms::format::label::Label;
use evms::format::layout::{AreaKind, End, HEAD_LABEL_AT, SlotIndex};
use evms::format::model::Model;
use evms::format::slot::SlotImage;

use crate::bench::{BLOCK_BYTES, Bench, IMAGE_BYTES, NODE};
use crate::devices::{Loop, Mount, is_root, tool};

const CREATE: &str = "container create new --private";

#[test]
fn a_disk_with_a_foreign_signature_is_refused_by_its_name() {
    for (maker, name) in [
        ("mkfs.ext4 -q", "ext4"),
        ("mkfs.xfs -q -f", "xfs"),
        ("mkswap -q", "swap"),
        ("mkfs.vfat", "vfat"),
        ("parted -s FILE mklabel gpt", "gpt"),
        ("parted -s FILE mklabel msdos", "mbr"),
        (
            "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file KEY",
            "luks2",
        ),
    ] {
        let bench = Bench::new(&[]);
        // The smallest that mkfs.xfs takes; the others need less to hash.
        bench.image("a.img", if name == "xfs" { 300 << 20 } else { 40 << 20 });
        bench.image("KEY", 32);
        let file = bench.path("a.img").display().to_string();
        let line = maker.replace("KEY", &bench.path("KEY").display().to_string());
        tool(&if line.contains("FILE") { line.replace("FILE", &file) } else { format!("{line} {file}") });
        bench.refused(&format!("{CREATE} a.img"), 1, &["a.img was not taken", &format!("--wipe {name}")]);
        assert!(bench.done("list disks").contains("foreign"), "{name}");
        bench.done(&format!("{CREATE} a.img --wipe {name},mbr,ext2"));
        assert!(bench.done("check").contains("all is well"));
    }
}

#[test]
fn data_that_no_signature_explains_is_refused() {
    let bench = Bench::new(&["a.img"]);
    bench.write("a.img", 70_000, b"somebody's data");
    bench.refused(&format!("{CREATE} a.img"), 1, &["a.img was not taken", "byte 70000", "--wipe unknown"]);
    bench.refused(&format!("{CREATE} a.img --wipe data"), 2, &["'data' names no signature", "xfs"]);
    bench.done(&format!("{CREATE} a.img --wipe unknown"));
}

#[test]
fn a_member_is_not_taken_again() {
    let bench = Bench::with_container();
    bench.refused(&format!("{CREATE} a.img"), 1, &["a member already: disk 1 of container", "--wipe evms"]);
    bench.refused("container create data --private d.img", 1, &["data exists already", "other disks"]);
    bench.done("container create new --private d.img");
    bench.refused("container expand data d.img", 1, &["d.img was not taken", "a member already"]);
}

#[test]
fn a_disk_that_is_too_small_is_refused() {
    let bench = Bench::with_container();
    bench.image("small.img", 1 << 20);
    bench.image("empty.img", 0);
    for name in ["small.img", "empty.img"] {
        bench.refused(&format!("{CREATE} {name}"), 1, &[name, "was not taken"]);
        bench.refused(&format!("container expand data {name}"), 1, &[name]);
    }
}

#[test]
fn what_is_no_disk_is_refused() {
    let bench = Bench::new(&["a.img"]);
    fs::create_dir(bench.path("folder")).unwrap();
    for (path, code, part) in [
        ("gone.img", 3, "gone.img: there is no such"),
        ("/dev/null", 1, "a character device"),
        (".", 1, "a directory"),
    ] {
        let lines =
            [format!("{CREATE} {path}"), format!("--disk {path} list"), format!("--disk {path} info x")];
        for line in lines {
            let ended = bench.evms(&line);
            ended.refused(code, "evms", part);
        }
    }
}

#[test]
fn a_disk_listed_twice_is_refused_by_whatever_path() {
    let bench = Bench::new(&["a.img"]);
    std::os::unix::fs::symlink("a.img", bench.path("link")).unwrap();
    fs::hard_link(bench.path("a.img"), bench.path("hard")).unwrap();
    for (disks, part) in [
        ("a.img a.img", "a.img was named twice"),
        ("a.img ./a.img", "the same disk"),
        ("a.img link", "a.img and link are the same disk"),
        ("a.img hard", "a.img and hard are the same disk"),
    ] {
        bench.refused(&format!("{CREATE} {disks}"), 1, &[part]);
    }
    bench.refused("--disk a.img --disk link list", 1, &["the same disk"]);
}

#[test]
fn a_shrunken_disk_is_refused_and_told() {
    let bench = Bench::with_container();
    let image = fs::File::options().write(true).open(bench.path("a.img")).unwrap();
    image.set_len(IMAGE_BYTES - (4 << 20)).unwrap();
    assert!(bench.done("list").contains("the disk had 24 MiB"));
    let ended = bench.evms("check");
    assert!(ended.code == 5 && ended.out.contains("damage: a.img: the disk had 24 MiB"), "{ended:?}");
    bench.refused("container expand data a.img", 1, &["a.img was not taken", "the disk had 24 MiB"]);
    // The other two are a majority and go on.
    assert!(bench.done("volume create data/x --size 1M").contains("disk 1 missed this change"));
}

fn labels(bench: &Bench, name: &str) -> (Label, u64) {
    let bytes = bench.read(name);
    let head = HEAD_LABEL_AT.0 as usize;
    let label = Label::decode(&bytes[head..head + BLOCK_BYTES], End::Primary).unwrap();
    let tail = label.areas.iter().find(|area| (area.kind, area.end) == (AreaKind::Label, End::Secondary));
    let at = tail.unwrap().start_bytes().0;
    (label, at)
}

/// Writes both labels of a disk with other features, sealed as they should be.
fn set_features(bench: &Bench, name: &str, features: Features) {
    let (label, tail) = labels(bench, name);
    let label = Label { features, ..label };
    bench.write(name, HEAD_LABEL_AT.0, &label.encode(End::Primary).unwrap());
    bench.write(name, tail, &label.encode(End::Secondary).unwrap());
}

#[test]
fn unknown_feature_bits_are_refused() {
    let bench = Bench::with_container();
    for name in ["a.img", "b.img", "c.img"] {
        set_features(&bench, name, Features { incompat: 1 << 5, ..Features::default() });
    }
    bench.refused("volume create data/x --size 1M", 5, &["0x20"]);
    bench.refused(&format!("{CREATE} a.img --wipe evms"), 1, &["a.img was not taken", "0x20", "newer evms"]);
    assert!(bench.done("list disks").contains("0x20"));
    let bench = Bench::with_container();
    set_features(&bench, "b.img", Features { ro_compat: 1 << 6, ..Features::default() });
    bench.refused("volume create data/x --size 1M", 5, &["disk 2", "0x40"]);
    bench.done("info data");
}

/// Rewrites every slot of an image with a model that `change` made other.
fn change_model(bench: &Bench, name: &str, change: impl Fn(&mut Model)) {
    let (label, _) = labels(bench, name);
    let bytes = bench.read(name);
    for area in label
        .areas
        .iter()
        .filter(|area| [SlotIndex::Zero, SlotIndex::One].map(SlotIndex::kind).contains(&area.kind))
    {
        let at = area.start_bytes().0;
        let Ok(image) = SlotImage::decode(&bytes[at as usize..area.end_bytes().0 as usize]) else { continue };
        let mut model = Model::decode(&image.body).unwrap();
        change(&mut model);
        bench.write(name, at, &SlotImage::new(image.header, model.encode().unwrap()).unwrap().encode());
    }
}

#[test]
fn a_container_of_a_cluster_is_left_to_its_daemon() {
    let bench = Bench::with_container();
    for name in ["a.img", "b.img", "c.img"] {
        change_model(&bench, name, |model| model.container.cluster = ClusterId([7; 16]));
    }
    let cluster = ClusterId([7; 16]).to_string();
    for line in [
        "volume create data/x --size 1M",
        "container deport data",
        "container delete data",
        "container expand data d.img",
    ] {
        bench.refused(&format!("--as {NODE} {line}"), 4, &["belongs to the cluster", &cluster]);
    }
    assert_eq!(bench.json("list containers")["containers"][0]["cluster"], cluster.as_str());
}

#[test]
fn too_few_disks_are_no_majority() {
    let bench = Bench::with_container();
    bench.refused(
        "--disk c.img volume create data/x --size 1M",
        4,
        &["1 of the 2 votes", "missing: disk 1, 2"],
    );
    assert!(bench.done("--disk c.img info data").contains("incomplete"));
}

#[test]
fn a_read_only_image_is_looked_at_and_not_taken() {
    let bench = Bench::with_container();
    fs::set_permissions(bench.path("d.img"), Permissions::from_mode(0o400)).unwrap();
    if is_root() {
        let device = Loop::read_only(&bench.path("d.img"));
        bench.refused(&format!("{CREATE} {}", device.name()), 1, &[device.name(), "read-only"]);
    } else {
        bench.refused(&format!("{CREATE} d.img"), 1, &["d.img", "may not be opened"]);
    }
}

/// `None`, said aloud, where devices cannot be had.
fn device(bench: &Bench, name: &str) -> Option<Loop> {
    if is_root() {
        return Some(Loop::over(&bench.path(name)));
    }
    crate::devices::not_run("refusals of block devices: not root");
    None
}

#[test]
fn a_mounted_device_is_refused() {
    let bench = Bench::new(&["a.img"]);
    tool(&format!("mkfs.ext4 -q {}", bench.path("a.img").display()));
    let Some(device) = device(&bench, "a.img") else { return };
    fs::create_dir(bench.path("at")).unwrap();
    let mount = Mount::over(device.name(), &bench.path("at"));
    let line = format!("{CREATE} {} --wipe ext4", device.name());
    let ended = bench.evms(&line);
    ended.refused(1, "evms", "mounted at");
    drop(mount);
    bench.refused(&format!("{CREATE} {}", device.name()), 1, &["ext4"]);
}

#[test]
fn a_device_that_something_holds_is_refused() {
    let bench = Bench::new(&["a.img"]);
    let Some(device) = device(&bench, "a.img") else { return };
    tool(&format!("mkswap -q {}", device.name()));
    if tool_works(&format!("swapon {}", device.name())) {
        let ended = bench.evms(&format!("{CREATE} {} --wipe swap", device.name()));
        tool(&format!("swapoff {}", device.name()));
        ended.refused(1, "evms", "swap");
    }
    // Held open exclusively, as a mount or a map would.
    use std::os::unix::fs::OpenOptionsExt;
    const O_EXCL: i32 = 0o200;
    let held = fs::File::options().read(true).write(true).custom_flags(O_EXCL).open(device.name()).unwrap();
    bench.refused(&format!("{CREATE} {} --wipe swap", device.name()), 1, &[device.name(), "in use"]);
    drop(held);
}

fn tool_works(line: &str) -> bool {
    crate::devices::ask(line).0 == 0
}

/// On devices a machine without identity owns nothing, and nobody speaks for another machine.
#[test]
fn devices_need_an_identity() {
    let bench = Bench::new(&["a.img"]);
    let Some(device) = device(&bench, "a.img") else { return };
    bench.refused(&format!("{CREATE} {}", device.name()), 4, &["no node identity"]);
    bench.refused(&format!("--as {NODE} {CREATE} {}", device.name()), 4, &["--as"]);
    bench.refused(&format!("container create new --shared {}", device.name()), 4, &["evmsd"]);
    // The file that the bench names gives this machine one.
    fs::write(bench.path("no-identity"), format!("{NODE}\n")).unwrap();
    bench.done(&format!("{CREATE} {}", device.name()));
    let line = bench.json(&format!("--disk {} list", device.name()))["containers"][0].clone();
    assert_eq!((&line["owner"], &line["kind"]), (&NODE.into(), &"private".into()));
    let refused = bench.evms(&format!("--disk {} --as {NODE} volume create new/x --size 4M", device.name()));
    refused.refused(4, "evms", "--as");
}

/// What needs device-mapper needs disks that the kernel knows.
#[test]
fn image_files_are_not_activated() {
    let bench = Bench::with_container();
    bench.refused("activate data", 1, &["its disks are image files", "losetup"]);
    bench.refused("activate", 2, &["NAME or --all is missing"]);
    bench.refused("activate data --all", 2, &["NAME and --all exclude each other"]);
    bench.refused("activate nothing", 3, &["there is no container 'nothing'"]);
}

/// Nothing is mounted from image files: the file system on one is not told to be mounted.
#[test]
fn a_file_system_on_image_files_is_not_grown() {
    let bench = Bench::with_container();
    bench.done("volume create data/v --size 4M");
    bench.refused(
        "volume expand data/v --size 8M --fs",
        1,
        &["are image files", "without --fs", "nothing was written"],
    );
}
