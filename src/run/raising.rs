//! Brings up what was up on this node when it went down: a process of its own, which evmsd starts once it is quorate. What was taken down
//! since, or is another node's by now, stays as it is. So a cluster whose power was gone comes back by itself (F28).

use crate::base::failure::Kind;
use crate::base::id::ContainerId;
use crate::format::model::{Container, ContainerKind};
use crate::host::meant_up;
use crate::run::activate::Wanted;
use crate::run::company::{Cluster, Company};
use crate::run::context::{Context, Options};
use crate::run::failure::RunError;
use crate::run::live::keeping;

/// What is to be done about a container that was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// It is to be up.
    Raise,
    /// It is another's by now.
    Forget,
    /// An administrator suspended it: it is raised when he lets it go on.
    Wait,
}

/// Brings all of them up. An error is one after which this is to be tried again.
pub fn run() -> Result<(), RunError> {
    let meant = meant_up::all();
    if meant.is_empty() {
        return Ok(());
    }
    let mut context = Context::new(Options::default())?;
    let wishes = match context.company() {
        Company::Of(cluster) => wishes(&context, cluster, &meant)?,
        Company::None => return Ok(()),
        Company::NotNow(why) => return Err(RunError::say(Kind::NotOwner, why.clone())),
    };
    let mut failed = Ok(());
    for (container, wish) in wishes {
        let done = match wish {
            Some(Wish::Forget) => {
                meant_up::forget(container);
                Ok(())
            }
            // It is as he wants it; he may let it go on when this node cannot be told, so that it is tried again.
            Some(Wish::Wait) => {
                log::info!(
                    "container {}: it was up here, and an administrator suspended it",
                    container.short()
                );
                failed = Err(suspended(container));
                continue;
            }
            Some(Wish::Raise) if keeping::has_gates(container) => Ok(()),
            Some(Wish::Raise) => raise(&mut context, container),
            None => Err(RunError::say(
                Kind::NotFound,
                format!(
                    "container {container} was up on this node, and no majority of its disks is here; they are looked for again"
                ),
            )),
        };
        if let Err(why) = done {
            log::error!("container {}: {why}", container.short());
            failed = Err(why);
        }
    }
    failed
}

fn suspended(container: ContainerId) -> RunError {
    RunError::say(
        Kind::Refused,
        format!("container {container} comes up when it is let go on: evms-fence resume {container}"),
    )
}

/// Of each what there is to be done; nothing where its disks do not tell.
fn wishes(
    context: &Context,
    cluster: &Cluster,
    meant: &[ContainerId],
) -> Result<Vec<(ContainerId, Option<Wish>)>, RunError> {
    let scene = context.look_for_members()?;
    let of = |id: &ContainerId| {
        let found = scene.containers.iter().find(|found| found.id == *id);
        let chosen = found.and_then(|found| found.chosen.as_ref().ok()).filter(|chosen| chosen.majority_read);
        let wish = chosen.map(|chosen| {
            let container = &chosen.model.container;
            match container.cluster == cluster.warrant.cluster && is_its(container, context) {
                true if container.suspended => Wish::Wait,
                true => Wish::Raise,
                false => Wish::Forget,
            }
        });
        (*id, wish)
    };
    Ok(meant.iter().map(of).collect())
}

/// May this node have it up?
fn is_its(container: &Container, context: &Context) -> bool {
    match container.kind {
        ContainerKind::Shared => true,
        ContainerKind::Private => {
            container.owner.as_ref().is_some_and(|owner| owner.node == context.machine.node)
        }
        ContainerKind::Deported | ContainerKind::Deleted => false,
    }
}

fn raise(context: &mut Context, container: ContainerId) -> Result<(), RunError> {
    let up = context.activate(&[Wanted { container: container.to_string(), volumes: Vec::new() }])?;
    log::warn!("container {}: it was up here when this node went down, and is again", container.short());
    up.down.iter().for_each(|volume| log::error!("volume {} is not up: {}", volume.name, volume.why));
    Ok(())
}
