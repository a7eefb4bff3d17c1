//! What absent nodes held: reads the disks, and takes over every private container whose owner cannot write to it any more, admitted and
//! with its volumes up; of what is shared it has such nodes counted out. A process of its own, which evmsd starts while a node is
//! absent from the view: a disk that hangs holds this one alone. All that it finds holds for one term of the lease; when that
//! is over it writes nothing any more (safety 5.4).

use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::id::{ContainerId, NodeUuid};
use crate::engine::guard::Act;
use crate::engine::guard::evidence::{Evidence, Prospect};
use crate::format::model::{Container, ContainerKind, Holder, Owner};
use crate::host::pending;
use crate::run::activate::Wanted;
use crate::run::company::{Cluster, Company};
use crate::run::context::{Context, Options};
use crate::run::failure::RunError;
use crate::run::live::keeping;
use crate::run::takeover::called;
use crate::volume::choose::Chosen;
use crate::volume::discover::Found;

/// The reason that stands in the history.
const REASON: &str = "its owner is gone";

/// Milliseconds by which who misses disks of a container waits longer than the last of those who do not.
const DISKS_MISSING_MS: u64 = 10_000;

/// What is to be done about a container.
enum Duty {
    /// Its owner is gone.
    Take(Owner, Evidence),
    /// It was taken by this node already, which did not get to the end.
    Finish,
    /// A node that shared it is gone.
    Expel(Evidence, String),
}

/// Does what there is to be done, once. An error is one of whom somebody should know, and of which this is to be done again.
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
    let mut failed = Ok(());
    for (container, duty) in duties {
        if let Err(why) = carry_out(&mut context, container, duty) {
            log::error!("container {}: {why}", container.short());
            failed = Err(why);
        }
    }
    failed
}

fn duties(context: &Context, cluster: &Cluster, found: &Found) -> Vec<Duty> {
    let Ok(chosen) = &found.chosen else { return Vec::new() };
    let container = &chosen.model.container;
    if container.cluster != cluster.warrant.cluster || !chosen.majority_read {
        return Vec::new();
    }
    let mine = container.owner.as_ref().is_some_and(|owner| owner.node == context.machine.node);
    if chosen.committed && !mine {
        // Somebody else was quicker.
        pending::end(container.id);
    }
    match (container.kind, &container.owner) {
        (ContainerKind::Private, Some(owner)) if owner.node == context.machine.node => {
            if is_unfinished(context, cluster, chosen) { vec![Duty::Finish] } else { Vec::new() }
        }
        // What its owner had no gates of nobody was using.
        (ContainerKind::Private, Some(owner)) if container.holder(owner.node).is_some() => {
            // Who sees all of its disks comes before who does not (F30).
            let waits_ms = if found.missing().is_empty() { 0 } else { DISKS_MISSING_MS };
            let evidence = against(context, container, (owner.node, &called(owner)), waits_ms);
            evidence.map(|evidence| Duty::Take(owner.clone(), evidence)).into_iter().collect()
        }
        (ContainerKind::Shared, _) => {
            let others = container.holders.iter().filter(|holder| !holder.expelled);
            let expel = |holder: &Holder| {
                let name =
                    cluster.name_of(holder.node).map_or_else(|| holder.node.short(), ToString::to_string);
                against(context, container, (holder.node, &name), 0)
                    .map(|evidence| Duty::Expel(evidence, name))
            };
            others.filter_map(expel).collect()
        }
        _ => Vec::new(),
    }
}

/// It was taken over by this life of this node, which was to have gates of it and has none.
fn is_unfinished(context: &Context, cluster: &Cluster, chosen: &Chosen) -> bool {
    let container = &chosen.model.container;
    let mine = container.holder(context.machine.node).map(|holder| holder.incarnation);
    pending::is_pending(container.id)
        && mine == Some(cluster.warrant.incarnation)
        && !keeping::has_gates(container.id)
}

fn against(
    context: &Context,
    container: &Container,
    (node, name): (NodeUuid, &str),
    waits_ms: u64,
) -> Option<Evidence> {
    match context.prospect_after(container, node, waits_ms)? {
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
            pending::begin(container).map_err(|error| {
                RunError::say(Kind::Refused, format!("it was not taken: /run/evms takes no file: {error}"))
            })?;
            let done = context.take_over(&id, &owner, evidence, (REASON, Some(watchdog_ms)))?;
            log::warn!("{}", done.done);
            bring_up(context, container)
        }
        Duty::Finish => bring_up(context, container),
        Duty::Expel(evidence, name) => {
            let held = context.hold(&id, Act::Expel(evidence))?;
            let done = context.count_out(&held, (&name, evidence), "it is gone")?;
            log::warn!("{}", done.done);
            Ok(())
        }
    }
}

fn bring_up(context: &mut Context, container: ContainerId) -> Result<(), RunError> {
    let up = context.activate(&[Wanted { container: container.to_string(), volumes: Vec::new() }])?;
    pending::end(container);
    up.up.iter().for_each(|volume| log::info!("volume {} is up on {}", volume.name, volume.node));
    up.down.iter().for_each(|volume| log::error!("volume {} is not up: {}", volume.name, volume.why));
    Ok(())
}
