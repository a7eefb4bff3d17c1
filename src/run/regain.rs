//! After a time without quorum: reads the disks of every container of which this node has closed gates, and says what becomes of what
//! waits in front of them (safety 4.3, 7). A process of its own, which evmsd starts: a disk that hangs holds this one alone. What it
//! finds it writes into the page of the gates, for the term of the lease in which it read; if that is over meanwhile, it opens nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::thread;

use crate::base::epoch::{Epoch, Generation};
use crate::base::gather::Gather;
use crate::base::id::ContainerId;
use crate::base::time::BootTime;
use crate::engine::guard::evidence::Prospect;
use crate::engine::guard::keeping::{Me, Regained, regained};
use crate::engine::guard::{Act, Warrant};
use crate::format::model::Model;
use crate::host::beat_note::{self, BeatNote};
use crate::host::clock;
use crate::host::device::DeviceNumber;
use crate::host::disk::Want;
use crate::host::dm::Dm;
use crate::host::gate_page::{GatePage, Slot};
use crate::run::abreast::abreast;
use crate::run::activate::Wanted;
use crate::run::change::Errand;
use crate::run::company::Company;
use crate::run::context::{Context, Options};
use crate::run::deactivate::Open;
use crate::run::failure::RunError;
use crate::run::live::keeping;
use crate::run::scene::{Scene, Seen};
use crate::volume::discover::{Found, Sighting};

/// A disk that took no beat for so many milliseconds is not read for what an administrator said.
const BEATS_MS: u64 = 5_000;

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
    scene.containers.iter().for_each(|found| _ = heed_read(found, page));
    let (mut held_still, mut lost) = (Vec::new(), Vec::new());
    for (container, held) in closed {
        match judge(&context, &scene, page, (container, held), warrant) {
            Regained::Held(_) => held_still.push(container),
            Regained::Unclear => unclear(container, &"no majority of its disks tells whose it is"),
            Regained::Lost => lost.push(container),
        }
    }
    // Neither waits for the other: to take down what is lost may take as long as a disk hangs.
    let (own, scene) = (context.clone(), &scene);
    thread::scope(|scope| {
        let held = held_still.as_slice();
        // Each waits for a proof of the lease, which comes with a beat, or a slow one where it is a tie.
        let each = move |container: &ContainerId| go_on(&mut own.clone(), scene, page, *container, warrant);
        let work = move || abreast(held, &each);
        if let Err(error) = thread::Builder::new().name("go on".into()).spawn_scoped(scope, work) {
            held.iter()
                .for_each(|container| unclear(*container, &format!("there is no thread for it ({error})")));
        }
        lost.into_iter().for_each(|container| lose(&mut context, container));
    });
    Ok(())
}

/// Reads what an administrator said of containers that this node has gates of, once: whoever said it may have been killed between writing
/// and telling it, or could not reach this node.
pub fn look() -> Result<(), RunError> {
    let Some(page) = keeping::page() else { return Ok(()) };
    let containers = page.kept().map(Slot::container).collect::<BTreeSet<_>>();
    // Of the disks that take its beats: others, which sleep or hang, are left alone as long as these tell.
    let mut left = BTreeSet::new();
    let (notes, now) = (beat_note::read(), clock::boot_now());
    for container in containers {
        let its = notes.iter().filter(|note| note.container == container && takes_beats(note, now));
        let paths = its.map(|note| PathBuf::from(&note.disk)).gather::<Vec<_>>();
        let scene = Scene::of_named(&paths, Want::Look);
        let told = scene.is_ok_and(|scene| heed_of(&scene, container, page));
        left.extend((!told).then_some(container));
    }
    if left.is_empty() {
        return Ok(());
    }
    // Its gates stand on a minority of its disks, or some of them hang: those are not asked.
    let late = notes.iter().filter(|note| !takes_beats(note, now)).map(|note| note.disk.clone());
    let options = Options { exclude: late.collect(), ..Options::default() };
    let scene = Context::new(options)?.look_for_members()?;
    left.into_iter().for_each(|container| _ = heed_of(&scene, container, page));
    Ok(())
}

/// Heeds what stands in one container; false where no majority of its disks tells.
fn heed_of(scene: &Scene, container: ContainerId, page: GatePage) -> bool {
    scene.containers.iter().find(|found| found.id == container).is_some_and(|found| heed_read(found, page))
}

/// Did the disk take a beat just now, or is asked for one no longer than that?
fn takes_beats(note: &BeatNote, now: BootTime) -> bool {
    let lately = |then: u64| now.ms.saturating_sub(then) < BEATS_MS;
    lately(note.last) && (note.under_way == 0 || lately(note.under_way))
}

/// As it was left, where nobody began anything since (F56). Else by an opening of its own: whoever began to take it meanwhile, in a view
/// that is over, and has not come to an end with it, finds himself outbid; or this node does, and the next look tells (safety 2.2, 5.4).
fn go_on(context: &mut Context, scene: &Scene, page: GatePage, container: ContainerId, warrant: Warrant) {
    let Some(found) = scene.containers.iter().find(|found| found.id == container) else { return };
    let opened = context.hold_seen(scene, found, Act::Regain).and_then(|held| {
        context.run(Errand { held: &held, request: None, act: Act::Regain, joining: Vec::new() })
    });
    match opened {
        Ok(done) => {
            log::info!("container {}: this node's still: its gates open", container.short());
            // Committed since the look, perhaps, by who was killed before he told it.
            heed_administrator(page, container, done.suspended, Generation(done.generation));
            order(page, container, Epoch(done.epoch), warrant);
        }
        Err(why) => unclear(container, &why),
    }
}

/// Whether an administrator suspended it stands in the model: he may have said so, or taken it back, when this node could not be told.
/// False where no majority of its disks tells.
fn heed_read(found: &Found, page: GatePage) -> bool {
    let chosen = found.chosen.as_ref().ok().filter(|chosen| chosen.majority_read && chosen.committed);
    if let Some(chosen) = chosen {
        let is = chosen.model.container.suspended;
        heed_administrator(page, found.id, is, chosen.image.header.order.generation);
    }
    chosen.is_some()
}

/// What he said by a newer generation than this one counts more.
fn heed_administrator(page: GatePage, container: ContainerId, is_suspended: bool, by: Generation) {
    for slot in page.of_container(container) {
        slot.heed(is_suspended, by);
    }
    page.ring();
}

fn unclear(container: ContainerId, why: &dyn Display) {
    log::warn!(
        "container {}: {why}: its gates stay closed, and its disks are read again; see: evms-fence status",
        container.short()
    );
}

fn lose(context: &mut Context, container: ContainerId) {
    log::error!(
        "container {}: another node had it meanwhile, or the others had to go on without this one, or it is gone: what waits for its \
         volumes fails, and they are taken down",
        container.short()
    );
    let wanted = Wanted { container: container.to_string(), volumes: Vec::new() };
    match context.deactivate(Some(&[wanted]), Open::Fail) {
        Ok(down) => down.left.iter().for_each(|words| log::warn!("{words}")),
        // The others are not to wait for it: it is tried again.
        Err(why) => log::error!("container {}: {why}", container.short()),
    }
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
    let read = chosen.map(|chosen| (&chosen.model, chosen.image.header.order.epoch, chosen.committed));
    let Warrant { node: id, incarnation, .. } = warrant;
    let judged = regained(read, held, Me { id, node: context.machine.node, incarnation });
    // Whoever wrote that he takes it, and is dead before a majority had it, decides nothing any more: it is to be taken from him, by this
    // node or another one, and what waits here was meant for what stood there before.
    let is_of_the_dead = |(model, epoch, _): (&Model, Epoch, bool)| {
        let taker = model.container.owner.as_ref().filter(|taker| taker.node != context.machine.node);
        let prospect = taker.and_then(|taker| context.prospect(&model.container, taker.node));
        epoch >= held && matches!(prospect, Some(Prospect::Now(_)))
    };
    if judged == Regained::Unclear && read.is_some_and(is_of_the_dead) { Regained::Lost } else { judged }
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
