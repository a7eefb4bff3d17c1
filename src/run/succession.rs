//! What absent nodes held: reads the disks, and takes over every private container whose owner cannot write to it any more, admitted and
//! with its volumes up; of what is shared it has such nodes counted out. A process of its own, which evmsd starts while a node is
//! absent from the view: a disk that hangs holds this one alone. All that it finds holds for one term of the lease; when that
//! is over it writes nothing any more (safety 5.4).

use crate::base::gather::Gather;
use crate::base::id::{ContainerId, NodeUuid};
use crate::engine::guard::duty::{Duty, Heir};
use crate::engine::guard::{Act, Warrant};
use crate::host::clock;
use crate::run::activate::Wanted;
use crate::run::company::{Cluster, Company};
use crate::run::context::{Context, Options};
use crate::run::failure::RunError;
use crate::run::live::keeping;
use crate::volume::discover::Found;
use crate::volume::request::Request;

/// The reason that stands in the history.
const REASON: &str = "its owner is gone";

/// Does what there is to be done, once.
pub fn run() -> Result<(), RunError> {
    let mut context = Context::new(Options::default())?;
    // Asked for before anything is read: what follows counts in this term alone.
    let Company::Of(cluster) = context.company() else { return Ok(()) };
    let duties = {
        let scene = context.look_for_members()?;
        let duties = scene
            .containers
            .iter()
            .flat_map(|found| duties(&context, cluster, found).into_iter().map(|duty| (found.id, duty)));
        duties.gather::<Vec<_>>()
    };
    for (container, duty) in duties {
        if let Err(why) = carry_out(&mut context, container, duty) {
            log::error!("container {}: {why}", container.short());
        }
    }
    Ok(())
}

fn duties(context: &Context, cluster: &Cluster, found: &Found) -> Vec<Duty> {
    let Ok(chosen) = &found.chosen else { return Vec::new() };
    if !chosen.majority_read {
        return Vec::new();
    }
    let Warrant { cluster: of, incarnation, .. } = cluster.warrant;
    let (node, now) = (context.machine.node, clock::boot_now());
    let heir = Heir { node, incarnation, cluster: of, absent: &cluster.absent, timing: &cluster.timing, now };
    heir.duties(&chosen.model, keeping::has_gates(found.id))
}

/// By its name in the cluster.
fn name_of(context: &Context, node: NodeUuid) -> String {
    let name = match context.company() {
        Company::Of(cluster) => cluster.name_of(node),
        Company::None | Company::NotNow(_) => None,
    };
    name.map_or_else(|| node.short(), ToString::to_string)
}

fn carry_out(context: &mut Context, container: ContainerId, duty: Duty) -> Result<(), RunError> {
    let id = container.to_string();
    match duty {
        Duty::Take(owner, evidence) => {
            let watchdog_ms = context.watchdog(&id)?;
            let done = context.take_over(&id, &owner, evidence, (REASON, Some(watchdog_ms)))?;
            log::warn!("{}", done.done);
            bring_up(context, id)
        }
        Duty::Finish => bring_up(context, id),
        Duty::Expel(evidence) => {
            let name = name_of(context, evidence.victim());
            let held = context.hold(&id, Act::Expel(evidence))?;
            let words = format!("{name} counted out {}", evidence.in_words());
            let request = Request::Expel { node: evidence.victim(), words };
            let done = context.errand(&held, request, Act::Expel(evidence))?;
            log::warn!("{}", done.done);
            Ok(())
        }
        Duty::WordAlone(node) => {
            log::warn!(
                "container {}: {}, which has gates of it, is absent and had no watchdog: nothing proves that it cannot write any \
                 more; when it is off, say: evms container takeover {id} --reason WHY",
                container.short(),
                name_of(context, node)
            );
            Ok(())
        }
    }
}

fn bring_up(context: &mut Context, container: String) -> Result<(), RunError> {
    let up = context.activate(&[Wanted { container, volumes: Vec::new() }])?;
    up.up.iter().for_each(|volume| log::info!("volume {} is up on {}", volume.name, volume.node));
    up.down.iter().for_each(|volume| log::error!("volume {} is not up: {}", volume.name, volume.why));
    Ok(())
}
