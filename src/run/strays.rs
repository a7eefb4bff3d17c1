//! What `check` says of devices of ours in the kernel: those that no container explains (its disks are gone, or it was
//! deleted or changed by another machine under them), and those that hold or fail I/O.

use std::collections::BTreeSet;

use crate::base::gather::Gather;
use crate::format::model::Model;
use crate::host::dm::wire::Listed;
use crate::host::dm::{Dm, DmError};
use crate::run::live::{Live, aside};
use crate::run::report::DeadLine;
use crate::run::scene::Scene;
use crate::volume::stack::{GATES, NAME_PREFIX, UUID_PREFIX, gate_uuids, volume_uuid};

/// Their names, each with a sentence. Without device-mapper there are none.
pub fn of(scene: &Scene) -> Vec<(String, String)> {
    let Ok(mut dm) = Dm::open() else { return Vec::new() };
    let Ok(live) = Live::look(&mut dm) else { return Vec::new() };
    let known = Known::of(scene);
    let mut told = Vec::new();
    for (uuid, listed) in live.beginning(UUID_PREFIX) {
        let words = if known.explains(uuid) {
            in_trouble(&mut dm, uuid, listed).unwrap_or_default()
        } else {
            Some(stray(uuid, listed))
        };
        told.extend(words.map(|words| (listed.name.clone(), words)));
    }
    told.extend(aside::volumes().into_iter().map(dead));
    told
}

/// What was lost, or let fail, while somebody had it open.
fn dead(line: DeadLine) -> (String, String) {
    let DeadLine { volume, epoch, name, holders, .. } = line;
    let by =
        if holders.is_empty() { "somebody who cannot be told from here".into() } else { holders.join(", ") };
    let words = format!(
        "was {volume} until its I/O was made to fail (epoch {epoch}), and is open still: {by}; it goes when that closes it, and nothing \
         waits for it"
    );
    (name, words)
}

/// What may be in the kernel.
struct Known {
    uuids: BTreeSet<String>,
    /// Of these containers it cannot be told, because no model of them counts.
    containers: Vec<String>,
    /// Not all disks were looked at, or one did not answer: what is not known may be well.
    all: bool,
}

impl Known {
    fn of(scene: &Scene) -> Known {
        let models = scene.containers.iter().filter_map(|found| found.chosen.as_ref().ok());
        let unchosen = scene.containers.iter().filter(|found| found.chosen.is_err());
        let late = scene.disks.iter().any(|seen| seen.declined.is_none() && seen.sighting.is_err());
        Known {
            uuids: models.flat_map(|chosen| uuids(&chosen.model)).gather(),
            containers: unchosen.map(|found| found.id.to_string()).gather(),
            all: !scene.named && !late,
        }
    }

    fn explains(&self, uuid: &str) -> bool {
        !self.all || self.uuids.contains(uuid) || self.containers.iter().any(|id| uuid.contains(id.as_str()))
    }
}

/// What a model may have in the kernel.
fn uuids(model: &Model) -> Vec<String> {
    let id = model.container.id;
    let gates = model.table.disks.iter().map(|disk| format!("{}{}", gate_uuids(id), disk.id));
    gates.chain(model.volumes.iter().map(|volume| volume_uuid(id, volume))).collect()
}

fn stray(uuid: &str, listed: &Listed) -> String {
    let reason = "is in the kernel and no container that can be read here has it: its disks are gone, or it was deleted meanwhile";
    let name = listed.name.trim_start_matches(NAME_PREFIX).replace(':', "/");
    if uuid.starts_with(GATES) {
        format!("this gate {reason}; it goes with its volumes, or by: evms deactivate {}", container_of(uuid))
    } else {
        format!("this volume {reason}; see who uses it, and take it away with: evms deactivate {name}")
    }
}

/// The id of the container in a uuid of ours: 36 characters behind the kind.
fn container_of(uuid: &str) -> &str {
    uuid.splitn(3, '-').nth(2).and_then(|ids| ids.get(..36)).unwrap_or_default()
}

/// What stops or fails the I/O of a device that is known.
fn in_trouble(dm: &mut Dm, uuid: &str, listed: &Listed) -> Result<Option<String>, DmError> {
    let Some(state) = dm.status(&listed.name)? else { return Ok(None) };
    let container = container_of(uuid);
    let gate = uuid.starts_with(GATES);
    Ok(if !state.is_live() {
        Some(format!("is half made, by a command that was killed; finish it with: evms activate {container}"))
    } else if state.is_going() {
        Some("is being taken away and somebody has it open still; it goes when that closes it".into())
    } else if state.is_suspended() && gate {
        Some(format!(
            "is closed and its I/O waits; see why with: evms-fence status; whoever closed it opens it again, or: evms deactivate {container}"
        ))
    } else if state.is_suspended() {
        Some(format!("is suspended and its I/O waits; let it go on with: evms activate {container}"))
    } else if gate && dm.table(&listed.name)?.iter().all(|target| target.kind == "error") {
        Some(format!(
            "fails all I/O, by a deactivation with --fail that did not come to its end; take all of it down with: evms \
             deactivate --fail {container}"
        ))
    } else {
        None
    })
}
