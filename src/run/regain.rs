//! After a time without quorum: reads the disks of every container of which this node has closed gates, and says what becomes of what
//! waits in front of them (safety 4.3, 7). A process of its own, which evmsd starts: a disk that hangs holds this one alone. What it
//! finds it writes into the page of the gates, for the term of the lease in which it read; if that is over meanwhile, it opens nothing.

use std::collections::BTreeMap;

use crate::base::epoch::Epoch;
use crate::base::gather::Gather;
use crate::base::id::ContainerId;
use crate::engine::guard::Warrant;
use crate::engine::guard::keeping::{Regained, regained};
use crate::host::device::DeviceNumber;
use crate::host::dm::Dm;
use crate::host::gate_page::{GatePage, Slot};
use crate::run::activate::Wanted;
use crate::run::company::Company;
use crate::run::context::{Context, Options};
use crate::run::deactivate::Open;
use crate::run::failure::RunError;
use crate::run::live::keeping;
use crate::run::scene::{Scene, Seen};
use crate::volume::discover::Sighting;

/// Reads and judges all of them, once.
pub fn run() -> Result<(), RunError> {
    let mut context = Context::new(Options::default())?;
    // Asked for before anything is read: what follows counts in this term alone.
    let Company::Of(cluster) = context.company() else { return Ok(()) };
    let warrant = cluster.warrant;
    let Some(page) = keeping::page() else { return Ok(()) };
    let closed = closed(page, warrant.lease.term());
    if closed.is_empty() {
        return Ok(());
    }
    let scene = context.look_for_members()?;
    for (container, held) in closed {
        let short = container.short();
        match judge(&context, &scene, page, (container, held), warrant) {
            Regained::Held(epoch) => {
                log::info!("container {short}: this node's still, epoch {epoch}: its gates open");
                order(page, container, epoch, warrant);
            }
            Regained::Unclear => log::warn!(
                "container {short}: no majority of its disks tells whose it is: its gates stay closed, and they are read again; see: \
                 evms-fence status"
            ),
            Regained::Lost => {
                log::error!(
                    "container {short}: another node had it meanwhile, or it is gone: what waits for its volumes fails, and they are \
                     taken down"
                );
                let wanted = Wanted { container: container.to_string(), volumes: Vec::new() };
                let down = context.deactivate(Some(&[wanted]), Open::Fail)?;
                down.left.iter().for_each(|words| log::warn!("{words}"));
            }
        }
    }
    Ok(())
}

/// Containers with gates that may not be open in this term, each with the epoch that it was opened under last.
fn closed(page: GatePage, term: u64) -> BTreeMap<ContainerId, Epoch> {
    let mut containers: BTreeMap<ContainerId, Epoch> = BTreeMap::new();
    for slot in page.kept().filter(|slot| slot.term() != term) {
        let epoch = containers.entry(slot.container()).or_default();
        *epoch = slot.epoch().max(*epoch);
    }
    containers
}

fn order(page: GatePage, container: ContainerId, epoch: Epoch, warrant: Warrant) {
    for slot in page.of_container(container) {
        slot.set_epoch(epoch);
        slot.order(warrant.lease.term());
    }
    page.ring();
}

fn judge(
    context: &Context,
    scene: &Scene,
    page: GatePage,
    (container, held): (ContainerId, Epoch),
    warrant: Warrant,
) -> Regained {
    let found = scene.containers.iter().find(|found| found.id == container);
    let Some(found) = found else {
        return if is_gone(context, page, container) { Regained::Lost } else { Regained::Unclear };
    };
    let chosen = found.chosen.as_ref().ok().filter(|chosen| chosen.majority_read);
    let chosen = chosen.map(|chosen| (&chosen.model, chosen.image.header.order.epoch, chosen.committed));
    regained(chosen, held, warrant.node, context.machine.node)
}

/// Were the very disks under its gates read, all of them, and are blank or another container's? Then it was deleted, or they were
/// given away. A label of ours that cannot be used tells nothing.
fn is_gone(context: &Context, page: GatePage, container: ContainerId) -> bool {
    let (Ok(mut dm), Ok(scene)) = (Dm::open(), context.look()) else { return false };
    let anothers = |seen: &&Seen| match &seen.sighting {
        Ok(Sighting::Ours(labelled)) => labelled.label.container != container,
        Ok(Sighting::Blank) => true,
        Ok(Sighting::Unusable(_) | Sighting::Foreign(_)) | Err(_) => false,
    };
    let read = scene.disks.iter().filter(anothers);
    let read = read.filter_map(|seen| seen.open.as_ref().ok()?.number()).gather::<Vec<_>>();
    let mut under = |slot: Slot| {
        let table = dm.table(&slot.name()).ok()?;
        let [line] = table.as_slice() else { return None };
        DeviceNumber::parse(line.params.split(' ').next()?)
    };
    page.of_container(container).all(|slot| under(slot).is_some_and(|disk| read.contains(&disk)))
}
