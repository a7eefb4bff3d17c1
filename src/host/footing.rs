//! What this machine itself stands on: the root of its file systems, and where it swaps to. Who suspends that stops with it, and has
//! nothing left to let it go on with.

use std::collections::BTreeSet;

use crate::host::mounts::InUse;
use crate::host::sysfs::{self, Roots};

/// What of that lies on devices whose device-mapper uuids begin so, through however many devices between. From the root and the
/// swaps downwards: those are few, and devices may be thousands.
pub fn stands_on(roots: &Roots, uuids: &str) -> Option<&'static str> {
    let in_use = InUse::read(&roots.proc).ok()?;
    // Each device is looked at once.
    let mut seen = BTreeSet::new();
    for (what, number) in in_use.footing() {
        let mut todo = vec![number];
        while let Some(number) = todo.pop() {
            if !seen.insert(number) {
                continue;
            }
            if sysfs::dm_uuid_of(roots, number).is_some_and(|uuid| uuid.starts_with(uuids)) {
                return Some(what);
            }
            todo.extend(sysfs::below(roots, number));
            todo.extend(sysfs::backing_file(roots, number).and_then(|file| in_use.device_of(&file)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// A block device as sysfs shows it, on those that are named.
    fn device(sys: &Path, name: &str, number: &str, uuid: &str, slaves: &[&str]) {
        let dir = sys.join("devices").join(name);
        fs::create_dir_all(dir.join("slaves")).unwrap();
        fs::create_dir_all(sys.join("dev/block")).unwrap();
        fs::write(dir.join("dev"), format!("{number}\n")).unwrap();
        if !uuid.is_empty() {
            fs::create_dir(dir.join("dm")).unwrap();
            fs::write(dir.join("dm/uuid"), format!("{uuid}\n")).unwrap();
        }
        symlink(&dir, sys.join("dev/block").join(number)).unwrap();
        for slave in slaves {
            symlink(sys.join("devices").join(slave), dir.join("slaves").join(slave)).unwrap();
        }
    }

    fn machine(root: &Path, mounts: &str, swaps: &str) -> Roots {
        let (sys, proc) = (root.join("sys"), root.join("proc"));
        device(&sys, "sda", "8:0", "", &[]);
        device(&sys, "dm-0", "254:0", "evms-gate-1", &["sda"]);
        device(&sys, "dm-1", "254:1", "evms-vol-1", &["dm-0"]);
        device(&sys, "dm-2", "254:2", "CRYPT-x", &["dm-1"]);
        device(&sys, "loop0", "7:0", "", &[]);
        fs::create_dir(sys.join("devices/loop0/loop")).unwrap();
        fs::write(sys.join("devices/loop0/loop/backing_file"), "/srv/image\n").unwrap();
        fs::create_dir_all(proc.join("self")).unwrap();
        fs::write(proc.join("self/mountinfo"), mounts).unwrap();
        fs::write(proc.join("swaps"), format!("Filename Type Size Used Priority\n{swaps}")).unwrap();
        Roots { sys, proc }
    }

    #[test]
    fn root_and_swap_are_followed_down_to_what_they_lie_on() {
        let elsewhere = "1 0 8:0 / / rw - ext4 /dev/sda rw\n";
        let cases = [
            ("1 0 254:1 / / rw - ext4 /dev/x rw\n", "", Some("its root")),
            ("1 0 254:2 / / rw - ext4 /dev/x rw\n", "", Some("its root")),
            (elsewhere, "", None),
            ("1 0 8:0 / / rw - ext4 /dev/sda rw\n2 1 254:1 / /srv rw - ext4 /dev/x rw\n", "", None),
            (
                "1 0 8:0 / / rw - ext4 /dev/sda rw\n2 1 254:1 / /srv rw - ext4 /dev/x rw\n",
                "/srv/swap file 1 0 -2\n",
                Some("its swap"),
            ),
            (
                "1 0 7:0 / / rw - ext4 /dev/loop0 rw\n2 1 254:1 / /srv rw - ext4 /dev/x rw\n",
                "",
                Some("its root"),
            ),
        ];
        for (mounts, swaps, expected) in cases {
            let root = std::env::temp_dir().join(format!("evms-footing-{}", std::process::id()));
            let roots = machine(&root, mounts, swaps);
            let found = stands_on(&roots, "evms-vol-1");
            let others = stands_on(&roots, "evms-vol-9");
            fs::remove_dir_all(&root).unwrap();
            assert_eq!((found, others), (expected, None), "{mounts}{swaps}");
        }
    }
}
