//! What this machine itself stands on: the root of its file systems, and where it swaps to. Who suspends that stops with it, and has
//! nothing left to let it go on with.

use std::collections::BTreeSet;

use crate::host::device::DeviceNumber;
use crate::host::folder;
use crate::host::sysfs::{self, Roots};

/// What of that lies on devices whose device-mapper uuids begin so, through however many devices between.
pub fn stands_on(roots: &Roots, uuids: &str) -> Option<&'static str> {
    let is_of = |name: &String| sysfs::dm_uuid(roots, name).is_some_and(|uuid| uuid.starts_with(uuids));
    let all =
        folder::entries(&roots.sys.join("block")).unwrap_or_default().into_iter().map(|entry| entry.name);
    let mut todo = all.filter(is_of).collect::<Vec<_>>();
    // Each device is looked at once.
    let mut seen = BTreeSet::new();
    while let Some(name) = todo.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(uses) = number_of(roots, &name).and_then(|number| sysfs::uses_of(roots, number).ok()) else {
            continue;
        };
        if uses.mounted_at.iter().any(|at| at == "/") {
            return Some("its root");
        }
        if uses.swap {
            return Some("its swap");
        }
        todo.extend(uses.holders.into_iter().map(|holder| holder.name));
    }
    None
}

fn number_of(roots: &Roots, kernel_name: &str) -> Option<DeviceNumber> {
    let text = std::fs::read_to_string(roots.sys.join("class/block").join(kernel_name).join("dev")).ok()?;
    DeviceNumber::parse(text.trim())
}
