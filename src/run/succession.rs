//! What absent nodes held: reads the disks, and takes over every private container whose owner cannot write to it any more, admitted and
//! with its volumes up; of what is shared it has such nodes counted out. A process of its own, which evmsd starts while a node is
//! absent from the view: a disk that hangs holds this one alone. All that it finds holds for one term of the lease; when that
//! is over it writes nothing any more (safety 5.4).

use crate::base::gather::Gather;
use crate::base::id::{ContainerId, NodeUuid};
use crate::engine::guard::Act;
use crate::engine::guard::evidence::{Evidence, Prospect};
use crate::format::model::{ChangeKind, Container, ContainerKind, Holder, Owner};
use crate::run::activate::Wanted;
use crate::run::company::{Cluster, Company};
use crate::run::context::{Context, Options};
use crate::run::failure::RunError;
use crate::run::live::keeping;
use crate::run::takeover::called;
use crate::volume::choose::Chosen;
use crate::volume::discover::Found;
use crate::volume::request::Request;

/// The reason that stands in the history.
const REASON: &str = "its owner is gone";

/// What is to be done about a container.
enum Duty {
    /// Its owner is gone.
    Take(Owner, Evidence),
    /// It was taken by this node already, which did not get to the end.
    Finish,
    /// A node that shared it is gone.
    Expel(Evidence, String),
}

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
    let container = &chosen.model.container;
    if container.cluster != cluster.warrant.cluster || !chosen.majority_read {
        return Vec::new();
    }
    match (container.kind, &container.owner) {
        (ContainerKind::Private, Some(owner)) if owner.node == context.machine.node => {
            if is_unfinished(context, cluster, chosen) { vec![Duty::Finish] } else { Vec::new() }
        }
        // What its owner had no gates of nobody was using.
        (ContainerKind::Private, Some(owner)) if container.holder(owner.node).is_some() => {
            let evidence = against(context, container, owner.node, &called(owner));
            evidence.map(|evidence| Duty::Take(owner.clone(), evidence)).into_iter().collect()
        }
        (ContainerKind::Shared, _) => {
            let others = container.holders.iter().filter(|holder| !holder.expelled);
            let expel = |holder: &Holder| {
                let name =
                    cluster.name_of(holder.node).map_or_else(|| holder.node.short(), ToString::to_string);
                against(context, container, holder.node, &name).map(|evidence| Duty::Expel(evidence, name))
            };
            others.filter_map(expel).collect()
        }
        _ => Vec::new(),
    }
}

/// It was taken over by this life of this node, which was to have gates of it and has none.
fn is_unfinished(context: &Context, cluster: &Cluster, chosen: &Chosen) -> bool {
    let model = &chosen.model;
    let mine = model.container.holder(context.machine.node).map(|holder| holder.incarnation);
    model.change.kind == ChangeKind::Takeover
        && mine == Some(cluster.warrant.incarnation)
        && !keeping::has_gates(model.container.id)
}

fn against(context: &Context, container: &Container, node: NodeUuid, name: &str) -> Option<Evidence> {
    match context.prospect(container, node)? {
        Prospect::Now(evidence) => Some(evidence),
        Prospect::At(_) => None,
        Prospect::ByWordAlone => {
            log::warn!(
                "container {}: {name}, which has gates of it, is absent and had no watchdog: nothing proves that it cannot write any \
                 more; when it is off, say: evms container takeover {0} --reason WHY",
                container.name
            );
            None
        }
    }
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
        Duty::Expel(evidence, name) => {
            let held = context.hold(&id, Act::Expel(evidence))?;
            let words = format!("{name} counted out {}", evidence.in_words());
            let request = Request::Expel { node: evidence.victim(), words };
            let done = context.errand(&held, request, Act::Expel(evidence))?;
            log::warn!("{}", done.done);
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
