//! Devices of ours that live in the kernel and that no container explains: its disks are gone, or it was deleted or
//! changed by another machine under them. Whoever has them open reads and writes what is not his any more.

use std::collections::BTreeSet;

use crate::format::model::Model;
use crate::host::dm::Dm;
use crate::run::live::Live;
use crate::run::scene::Scene;
use crate::volume::stack::{GATES, UUID_PREFIX, gate_uuids, volume_uuid};

/// Their names, each with a sentence. Without device-mapper there are none.
pub fn of(scene: &Scene) -> Vec<(String, String)> {
    let Ok(live) = Dm::open().and_then(|mut dm| Live::look(&mut dm)) else { return Vec::new() };
    let models = scene.containers.iter().filter_map(|found| found.chosen.as_ref().ok());
    let known = models.flat_map(|chosen| uuids(&chosen.model)).collect::<BTreeSet<_>>();
    let strays = live.beginning(UUID_PREFIX).filter(|(uuid, _)| !known.contains(*uuid));
    let told = strays.map(|(uuid, listed)| {
        let what = if uuid.starts_with(GATES) { "gate" } else { "volume" };
        let words = format!(
            "this {what} is in the kernel and no container that can be read here has it: its disks are gone, or it was \
             deleted meanwhile; see who uses it, and take it away with: evms deactivate --all (with --fail when it is open)"
        );
        (listed.name.clone(), words)
    });
    told.collect()
}

/// What a model may have in the kernel.
fn uuids(model: &Model) -> Vec<String> {
    let id = model.container.id;
    let gates = model.table.disks.iter().map(|disk| format!("{}{}", gate_uuids(id), disk.id));
    gates.chain(model.volumes.iter().map(|volume| volume_uuid(id, volume))).collect()
}
