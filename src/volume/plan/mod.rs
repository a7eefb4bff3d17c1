//! Planning: a model and a request in, the next model or a refusal out. Nothing is written here. Picture a notary who
//! reads the old deed, drafts the new one, and reads that through as well before anybody signs.

use crate::base::dice::Dice;
use crate::base::epoch::{Generation, Order};
use crate::base::id::{ClusterId, ContainerId, DiskNumber, Incarnation};
use crate::base::limits::CHANGE_TEXT_BYTES_MAX;
use crate::base::name::Name;
use crate::base::time::WallTime;
use crate::base::units::Bytes;
use crate::format::model::deed::{self, Entry};
use crate::format::model::{Change, ChangeKind, ContainerKind, DiskState, Model};
use crate::volume::check::{self, Broken};
use crate::volume::mistake::{Rules, breaks};
use crate::volume::request::{CreateContainer, Machine, Request};
use crate::volume::room;

mod container;
mod disks;
mod draft;
mod refusal;
mod resize;
mod restore;
mod size;
mod volumes;

use draft::{Draft, Said};
pub use refusal::{ContainerWhy, DisksWhy, NewDiskWord, Refusal, RestoreWhy, VolumeWhy};

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The machine.
    pub machine: Machine,
    /// The life of it that asks.
    pub incarnation: Incarnation,
    /// The cluster for which it asks; what it imports that was deported is of that one from then on.
    pub cluster: ClusterId,
    /// When, for people.
    pub at: WallTime,
    /// The rules it is planned by: all of them, outside of the crash model.
    pub rules: Rules,
}

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is to be done; why, in words.
    AlreadySo(String),
    /// This is next.
    Next(Box<Planned>),
}

/// A model that may be committed with the generation after the one it was planned from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The model.
    pub model: Model,
    /// What changed, in words; the model holds them too, cut to their limit.
    pub words: String,
}

/// The first model of a container.
pub fn create(ask: &CreateContainer, id: ContainerId, asker: &Asker) -> Result<Model, Refusal> {
    let (mut model, words) = container::create(ask, id, asker)?;
    model.change = change(ChangeKind::Create, &words, asker);
    proofread("create container", &model)?;
    Ok(model)
}

/// Enters into a model that is to be committed as `order` that it was founded: nobody knows its epoch before.
pub fn found(model: &mut Model, order: Order) {
    let Change { kind, text, by, at } = model.change.clone();
    deed::enter(
        &mut model.deeds,
        &model.container,
        Entry { order, why: kind, words: &text, by: by.as_ref(), at },
    );
}

/// The model that follows `model` when `asker` gets what it requests: `at` is the generation that `model` was committed with, and the
/// epoch that the next one is to be committed in. Disks that cannot be reached must have been marked by [`mark_absent`] before, so that
/// nothing new is laid on them.
pub fn plan(
    model: &Model,
    at: Order,
    request: &Request,
    asker: &Asker,
    dice: &mut Dice,
) -> Result<Outcome, Refusal> {
    let act = act(request);
    let name = model.container.name.clone();
    let refuse = |why| Refusal::Container { act, container: name.clone(), why };
    if model.read_only {
        return Err(refuse(ContainerWhy::ReadOnly));
    }
    check::laws(model).map_err(|broken| refuse(ContainerWhy::Damaged(Box::new(broken))))?;
    if model.container.kind == ContainerKind::Deleted && !matches!(request, Request::Delete | Request::Settle)
    {
        return Err(refuse(ContainerWhy::Deleted));
    }
    let next = at.generation.next().ok_or_else(|| refuse(ContainerWhy::NoGeneration))?;
    let mut draft = Draft { model: model.clone(), at: at.generation, next, asker, act };
    if breaks!(asker.rules, FreedExtentsReusedAtOnce) {
        draft.model.freed.clear();
    }
    match answer(&mut draft, request, dice)? {
        Said::AlreadySo(words) => Ok(Outcome::AlreadySo(words)),
        Said::Changed(words) => {
            let kind = match request {
                Request::Settle => ChangeKind::Settle,
                Request::Takeover { .. } | Request::Expel { .. } => ChangeKind::Takeover,
                _ => ChangeKind::Change,
            };
            draft.model.change = change(kind, &words, asker);
            enter(model, &mut draft.model, Order { generation: next, ..at }, &words);
            proofread(act, &draft.model)?;
            Ok(Outcome::Next(Box::new(Planned { model: draft.model, words })))
        }
    }
}

/// What is asked, as it stands in a refusal.
fn act(request: &Request) -> &'static str {
    match request {
        Request::Modify { .. } => "modify container",
        Request::Takeover { .. } => "take over container",
        Request::Admit { .. } => "be admitted to container",
        Request::Withdraw => "withdraw from container",
        Request::Suspend { is: true } => "suspend container",
        Request::Suspend { is: false } => "resume container",
        Request::Expel { .. } => "expel a node from container",
        Request::Expand { .. } => "expand container",
        Request::Shrink { .. } => "shrink container",
        Request::Readmit { .. } => "readmit disks of container",
        Request::VolumeCreate { .. } => "create volume",
        Request::VolumeExpand { .. } => "expand volume",
        Request::VolumeShrink { .. } => "shrink volume",
        Request::VolumeRename { .. } => "rename volume",
        Request::VolumeDelete { .. } => "delete volume",
        Request::Restore { .. } => "restore the volumes of",
        Request::Delete => "delete container",
        Request::Settle => "settle the disks of container",
    }
}

fn answer(draft: &mut Draft<'_>, request: &Request, dice: &mut Dice) -> Result<Said, Refusal> {
    match request {
        // These ask themselves whether the asker may: a container that nobody holds can be imported, settled, deleted.
        Request::Modify { owner, kind, name } => {
            return container::modify(draft, owner.as_ref(), *kind, name.as_ref());
        }
        Request::Takeover { from, words, admit } => {
            return container::takeover(draft, *from, words, *admit);
        }
        Request::Admit { watchdog_ms } => return container::admit(draft, *watchdog_ms),
        Request::Withdraw => return Ok(container::withdraw(draft)),
        Request::Suspend { is } => return container::suspend(draft, *is),
        Request::Expel { node, words } => return Ok(container::expel(draft, *node, words)),
        Request::Settle => return disks::settle(draft),
        Request::Delete => return container::delete(draft),
        _ => draft.take_hold()?,
    }
    if matches!(
        request,
        Request::Shrink { .. }
            | Request::VolumeShrink { .. }
            | Request::VolumeRename { .. }
            | Request::VolumeDelete { .. }
            | Request::Restore { .. }
    ) {
        draft.refuse_held()?;
    }
    match request {
        Request::Expand { disks } => disks::expand(draft, disks),
        Request::Shrink { disks } => disks::shrink(draft, disks),
        Request::Readmit { disks } => disks::readmit(draft, disks),
        Request::VolumeCreate { name, size, stripes, stripe_bytes, on } => {
            volumes::create(draft, dice, name, *size, size::shape(*stripes, *stripe_bytes), on)
        }
        // Its table would be exchanged under what waits, which would never end.
        Request::VolumeExpand { .. } if draft.model.container.suspended => {
            Err(draft.container(ContainerWhy::Suspended))
        }
        Request::VolumeExpand { name, size, on } => resize::expand(draft, name, *size, on),
        Request::VolumeShrink { name, size, content, lose_data_beyond } => {
            resize::shrink(draft, name, *size, content, *lose_data_beyond)
        }
        Request::VolumeRename { name, new } => volumes::rename(draft, name, new),
        Request::VolumeDelete { name } => volumes::delete(draft, name),
        Request::Restore { from } => restore::restore(draft, from),
        Request::Modify { .. }
        | Request::Takeover { .. }
        | Request::Admit { .. }
        | Request::Withdraw
        | Request::Suspend { .. }
        | Request::Expel { .. }
        | Request::Settle
        | Request::Delete => Ok(Said::AlreadySo(String::new())),
    }
}

/// The laws once more, before the model leaves the room.
fn proofread(act: &'static str, model: &Model) -> Result<(), Refusal> {
    check::laws(model).map_err(|broken| {
        let container = model.container.name.clone();
        let why = match broken {
            Broken::TooMany { .. } => ContainerWhy::Beyond(Box::new(broken)),
            _ => ContainerWhy::Defect(Box::new(broken)),
        };
        Refusal::Container { act, container, why }
    })
}

/// What changes whose a container is, or counts somebody out of it, is entered into its deeds, with all its words.
fn enter(before: &Model, model: &mut Model, order: Order, words: &str) {
    let owner = |model: &Model| model.container.owner.as_ref().map(|owner| owner.node);
    let hands = (before.container.kind, owner(before)) != (model.container.kind, owner(model));
    let Change { kind, by, at, .. } = &model.change;
    if hands || *kind == ChangeKind::Takeover {
        let entry = Entry { order, why: *kind, words, by: by.as_ref(), at: *at };
        deed::enter(&mut model.deeds, &model.container, entry);
    }
}

fn change(kind: ChangeKind, words: &str, asker: &Asker) -> Change {
    let text = deed::cut(words, CHANGE_TEXT_BYTES_MAX).to_owned();
    Change { kind, text, by: asker.machine.name.clone(), at: asker.at }
}

/// Refuses a planned model that does not fit the container's slots.
pub fn must_fit(slot: Bytes, planned: &Model) -> Result<room::Fill, Refusal> {
    let fill = room::room(slot, planned);
    if fill.fits() {
        return Ok(fill);
    }
    let container: Name = planned.container.name.clone();
    Err(Refusal::Container { act: "change container", container, why: ContainerWhy::Full(fill) })
}

/// Marks members that were not reached: they miss the commit of `generation`, the next one, and nothing new is laid on
/// them until they are readmitted. Gives those newly marked.
pub fn mark_absent(model: &mut Model, reached: &[DiskNumber], generation: Generation) -> Vec<DiskNumber> {
    let missing = |disk: &&mut crate::format::model::Disk| {
        disk.state == DiskState::In && !reached.contains(&disk.number)
    };
    let mark = |disk: &mut crate::format::model::Disk| {
        disk.state = DiskState::AbsentSince(generation);
        disk.number
    };
    model.table.disks.iter_mut().filter(missing).map(mark).collect()
}

#[cfg(test)]
pub mod fixture;
#[cfg(test)]
mod tests;
