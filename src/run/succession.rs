//! What absent nodes held: reads the disks, and takes over every private container whose owner cannot write to it any more, admitted and
//! with its volumes up; of what is shared it has such nodes counted out. A process of its own, which evmsd starts while a node is
//! absent from the view or a takeover is not at its end: a disk that hangs holds this one alone. All that it finds holds for one term of the lease; when that
//! is over it writes nothing any more (safety 5.4).

use std::sync::{Mutex, PoisonError};

use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::id::{ContainerId, NodeUuid};
use crate::base::time::BootTime;
use crate::engine::guard::duty::{Answered, Duty, Heir, RANK_MS};
use crate::engine::guard::evidence::Receipt;
use crate::engine::guard::{Act, Warrant};
use crate::format::model::ContainerKind;
use crate::host::{clock, pending};
use crate::run::abreast::abreast;
use crate::run::activate::Wanted;
use crate::run::company::{Cluster, Company};
use crate::run::context::{Context, Options};
use crate::run::failure::RunError;
use crate::volume::discover::Found;

/// The reason that stands in the history.
const REASON: &str = "its owner is gone";

/// Does what there is to be done, once. An error is one of whom somebody should know, and of which this is to be done again.
pub fn run() -> Result<(), RunError> {
    let context = Context::new(Options::default())?;
    // Asked for before anything is read: what follows counts in this term alone.
    let cluster = match context.company() {
        Company::Of(cluster) => cluster,
        Company::None => return Ok(()),
        Company::NotNow(why) => return Err(RunError::say(Kind::NotOwner, why.clone())),
    };
    let duties = {
        let scene = context.look_for_members()?;
        scene.containers.iter().for_each(|found| tell_of_few(&context, cluster, found));
        let duties = scene.containers.iter().flat_map(|found| {
            duties(&context, cluster, found, Asked::default()).into_iter().map(|duty| (found.id, duty))
        });
        duties.gather::<Vec<_>>()
    };
    carry_all_out(&context, duties)?;
    // One whose disks could not be read is among them.
    if !pending::all().is_empty() {
        return Err(RunError::say(Kind::Refused, "a takeover is not at its end; it is looked at again"));
    }
    Ok(())
}

/// All of them side by side: the containers of one node that is gone are taken in the time of one, and none waits for another's disks. What
/// is to be done about one container is done in its order. What fails is told in the log; an error says that something did.
pub(super) fn carry_all_out(context: &Context, duties: Vec<(ContainerId, Duty)>) -> Result<(), RunError> {
    let failed = Mutex::new(Ok(()));
    let work = |(container, duties): &(ContainerId, Vec<Duty>)| {
        for duty in duties {
            if let Err(why) = carry_out(&mut context.clone(), *container, duty) {
                log::error!("container {}: {why}", container.short());
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Err(why);
            }
        }
    };
    abreast(&of_each(duties), &work);
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What is to be done about each container.
fn of_each(duties: Vec<(ContainerId, Duty)>) -> Vec<(ContainerId, Vec<Duty>)> {
    let mut all: Vec<(ContainerId, Vec<Duty>)> = Vec::new();
    for (container, duty) in duties {
        match all.iter_mut().find(|(known, _)| *known == container) {
            Some((_, its)) => its.push(duty),
            None => all.push((container, vec![duty])),
        }
    }
    all
}

/// What fence agents may do, and did. Who waits for the watchdogs' time asks none: `run::fencing` does.
#[derive(Clone, Copy, Default)]
pub(super) struct Asked<'a> {
    /// Machines whose power is to be cut.
    pub agents: &'a [NodeUuid],
    /// What was done of it.
    pub receipts: &'a [Receipt],
    /// What was said over disks.
    pub answers: &'a [Answered],
}

/// Where most disks are not here nothing is taken, whoever is gone, and somebody should know that it waits for them (F32).
fn tell_of_few(context: &Context, cluster: &Cluster, found: &Found) {
    let Ok(chosen) = found.chosen.as_ref() else { return };
    let container = &chosen.model.container;
    let owner = container.owner.as_ref().filter(|owner| owner.node != context.machine.node);
    if let Some(owner) =
        owner.filter(|owner| !chosen.majority_read && cluster.absence_of(owner.node).is_some())
    {
        log::warn!(
            "container {}: its owner {} is absent, and less than a majority of its disks is here: nobody takes it over by what is here; \
             bring disks back, see: evms check {}",
            container.name,
            name_of(context, owner.node),
            container.id
        );
    }
}

/// What there is to be done about a container, where a majority of its disks tells.
pub(super) fn duties(context: &Context, cluster: &Cluster, found: &Found, asked: Asked<'_>) -> Vec<Duty> {
    let Ok(chosen) = &found.chosen else { return Vec::new() };
    if !chosen.majority_read {
        return Vec::new();
    }
    let container = &chosen.model.container;
    if container.suspended {
        // Nothing of it would come up, and an administrator is at it: whoever resumes it on another node takes it over first.
        pending::end_if_idle(container.id);
        return Vec::new();
    }
    let mine = container.owner.as_ref().is_some_and(|owner| owner.node == context.machine.node);
    if chosen.committed && !mine {
        // Somebody else was quicker, unless this look is older than what another process of this node does.
        pending::end_if_idle(container.id);
    }
    // Who sees all of its disks comes before who does not (F30).
    let waits = container.kind == ContainerKind::Private && !found.missing().is_empty();
    let waits_ms = if waits { RANK_MS * cluster.size() } else { 0 };
    let now = BootTime { ms: clock::boot_now().ms.saturating_sub(waits_ms) };
    let Warrant { cluster: of, incarnation, .. } = cluster.warrant;
    let node = context.machine.node;
    let heir = Heir {
        node,
        incarnation,
        cluster: of,
        absent: &cluster.absent,
        agents: asked.agents,
        receipts: asked.receipts,
        answers: asked.answers,
        timing: &cluster.timing,
        now,
    };
    heir.duties(&chosen.model, pending::is_pending(found.id))
}

/// By its name in the cluster.
fn name_of(context: &Context, node: NodeUuid) -> String {
    let name = match context.company() {
        Company::Of(cluster) => cluster.name_of(node),
        Company::None | Company::NotNow(_) => None,
    };
    name.map_or_else(|| node.short(), ToString::to_string)
}

/// Does it.
fn carry_out(context: &mut Context, container: ContainerId, duty: &Duty) -> Result<(), RunError> {
    let id = container.to_string();
    match duty {
        Duty::Take(owner, evidence) => {
            let watchdog_ms = context.watchdog(&id)?;
            let _pending = pending::begin(container).map_err(|error| {
                let words =
                    "it was not taken: another process of this node is at it, or /run/evms takes no file";
                RunError::say(Kind::Refused, format!("{words}: {error}"))
            })?;
            let done = context.take_over(&id, owner, *evidence, (REASON, Some(watchdog_ms)))?;
            log::warn!("{}", done.done);
            bring_up(context, container)
        }
        Duty::Finish => bring_up(context, container),
        Duty::Expel(evidence) => {
            let name = name_of(context, evidence.victim());
            let held = context.hold(&id, Act::Expel(*evidence))?;
            let done = context.count_out(&held, (&name, *evidence), "it is gone")?;
            log::warn!("{}", done.done);
            Ok(())
        }
        // Who asks agents goes on with what came of that.
        Duty::Fence(..) => Ok(()),
        Duty::WordAlone(node) => {
            log::warn!(
                "container {}: {}, which has gates of it, is absent and had no watchdog: nothing proves that it cannot write any \
                 more; when it is off, say: evms container takeover {id} --reason WHY",
                container.short(),
                name_of(context, *node)
            );
            Ok(())
        }
    }
}

fn bring_up(context: &mut Context, container: ContainerId) -> Result<(), RunError> {
    let wanted = Wanted { container: container.to_string(), volumes: Vec::new() };
    let up = context.activate_beside_others(&wanted)?;
    pending::end(container);
    up.up.iter().for_each(|volume| log::info!("volume {} is up on {}", volume.name, volume.node));
    up.down.iter().for_each(|volume| log::error!("volume {} is not up: {}", volume.name, volume.why));
    Ok(())
}
