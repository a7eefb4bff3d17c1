//! One fixture, `tests/fixtures/sysfs/machine`, has a disk of every sort.

use super::*;
use crate::volume::plugins::local_disk::{Filter, duplicates, judge};

fn fixture() -> Roots {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sysfs/machine");
    Roots { sys: root.join("sys"), proc: root.join("proc") }
}

fn one(name: &str) -> DiskFacts {
    let found = disks(&fixture()).unwrap();
    found.into_iter().find(|facts| facts.kernel_name == name).unwrap()
}

#[test]
fn every_disk_is_judged_by_what_sysfs_says() {
    let filter = Filter::default();
    let judged: Vec<(String, String)> = disks(&fixture())
        .unwrap()
        .iter()
        .map(|facts| {
            let verdict =
                judge(facts, &filter).map_or_else(|declined| declined.to_string(), |()| "taken".into());
            (facts.kernel_name.clone(), verdict)
        })
        .collect();
    let held = |by: &str| format!("it, or a partition of it, is held by {by}");
    let mapping = |name: &str| {
        format!("it is the device-mapper device {name}, and of those only multipath maps are disks")
    };
    let path = "it is a path of the multipath map mpatha; use the map".to_string();
    let memory = "it is memory and gone with the next boot".to_string();
    let empty = "it has no medium, its size is 0 bytes".to_string();
    let taken = || "taken".to_string();
    let expected = [
        ("cciss!c0d0", taken()),
        ("dm-0", taken()),
        ("dm-1", mapping("vg-home")),
        ("dm-2", "it is evms:gate:0a1b2c3d:1:e65537, which evms made".into()),
        ("loop0", empty.clone()),
        ("md0", taken()),
        ("nbd0", empty),
        ("nvme0n1", taken()),
        ("nvme1c0n1", "it is one path of an NVMe multipath disk; use that disk".into()),
        ("nvme1n1", taken()),
        ("ram0", memory.clone()),
        ("sda", taken()),
        ("sdb", "it, or a partition of it, is mounted at /srv/my data".into()),
        ("sdc", path.clone()),
        ("sdd", path),
        ("sde", held("md0")),
        ("sdf", taken()),
        ("sdg", "it is read-only".into()),
        ("sdh", held("dm-1 (vg-home)")),
        ("sdi", taken()),
        ("sdj", held("btrfs 6a1f")),
        ("sdk", "the machine swaps to it".into()),
        ("sr0", "it is an optical drive".into()),
        ("vda", taken()),
        ("zram0", memory),
    ];
    let expected: Vec<(String, String)> =
        expected.into_iter().map(|(name, text)| (name.into(), text)).collect();
    assert_eq!(judged, expected);
}

#[test]
fn facts_are_read_as_the_kernel_states_them() {
    let sda = one("sda");
    assert_eq!((sda.path.as_str(), sda.size, sda.logical_block), ("/dev/sda", Bytes(2 << 30), 512));
    assert_eq!((sda.kind, sda.is_partition, sda.uses.clone()), (DiskKind::Plain, false, Uses::default()));
    assert_eq!(one("nvme0n1").logical_block, 4096);
    assert_eq!(one("cciss!c0d0").path, "/dev/cciss/c0d0");
    assert_eq!(one("dm-1").uses.mounted_at, ["/home"]);
    for (name, kind) in
        [("md0", DiskKind::Md), ("loop0", DiskKind::Loop), ("nbd0", DiskKind::Nbd), ("ram0", DiskKind::Ram)]
    {
        assert_eq!(one(name).kind, kind);
    }
}

#[test]
fn a_disk_is_known_by_its_own_name_for_itself() {
    for (name, wwid) in [
        ("sda", Some("naa.5000c500a1b2c3d4")),
        ("nvme0n1", Some("eui.0025388b710116a3")),
        ("vda", Some("virtio.shared-1")),
        ("sdc", Some("naa.600a0b80001234560000000000000001")),
        ("dm-0", Some("naa.600a0b80001234560000000000000001")),
        ("dm-1", None),
        ("md0", Some("md.0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")),
        ("sdf", Some("t10.ATA     STICK")),
        ("sdg", None),
        ("zram0", None),
    ] {
        assert_eq!(one(name).wwid.as_deref(), wwid, "{name}");
    }
    assert_eq!(duplicates(&disks(&fixture()).unwrap()), []);
}

#[test]
fn what_firmware_writes_is_not_believed_blindly() {
    for bad in [
        "naa.0000000000000000",
        // Of a disk whose driver was given no serial number (ubd of a user-mode kernel).
        "virtio.(null)",
        "00000000-0000-0000-0000-000000000000",
        "naa.",
        "serial\n2",
        &"x".repeat(300),
    ] {
        assert_eq!(clean_wwid(bad.into()), None, "{bad:?}");
    }
    assert_eq!(wwid_of_map("1ATA_disk"), "1ATA_disk");
    assert_eq!(wwid_of_map("eui.0025388b710116a3"), "eui.0025388b710116a3");
    assert_eq!(wwid_of_map(""), "");
}

#[test]
fn a_partition_is_found_by_name_and_knows_its_block_size() {
    let facts = disk(&fixture(), "sdb1").unwrap();
    assert!(facts.is_partition && facts.uses.mounted_at == ["/srv/my data"] && facts.logical_block == 512);
    for name in ["sdz", "../block/sda", "", ".", ".."] {
        assert!(matches!(disk(&fixture(), name), Err(SysfsError::NotFound { .. })), "{name}");
    }
}

#[test]
fn users_are_found_by_number_in_both_directions() {
    let words = |major, minor| uses_of(&fixture(), DeviceNumber { major, minor }).unwrap().in_words();
    assert_eq!(words(8, 16), ["mounted at /srv/my data"]);
    assert_eq!(words(8, 17), ["mounted at /srv/my data"]);
    assert_eq!(words(8, 18), [""; 0]);
    assert_eq!(words(8, 32), ["held by dm-0 (mpatha)"]);
    assert_eq!(words(8, 160), ["used as swap"]);
    let gate = uses_of(&fixture(), DeviceNumber { major: 8, minor: 128 }).unwrap();
    assert!(gate.only_ours() && !gate.holders.is_empty());
    assert!(uses_of(&fixture(), DeviceNumber { major: 99, minor: 0 }).is_err());
}

#[test]
fn missing_sysfs_or_proc_is_told_and_nobody_is_taken_for_unmounted() {
    let nowhere = PathBuf::from("/nonexistent");
    let no_sys = disks(&Roots { sys: nowhere.clone(), ..fixture() }).unwrap_err();
    assert!(matches!(no_sys, SysfsError::NoSys { .. }) && no_sys.to_string().contains("mount sysfs"));
    let no_proc = disks(&Roots { proc: nowhere, ..fixture() }).unwrap_err();
    assert!(matches!(no_proc, SysfsError::NoProc { .. }) && no_proc.to_string().contains("mount proc"));
}

#[test]
fn this_machine_can_be_listed() {
    if let Err(error) = disks(&Roots::default()) {
        assert!(matches!(error, SysfsError::NoSys { .. } | SysfsError::NoProc { .. }), "{error}");
    }
}
