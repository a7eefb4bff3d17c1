//! The container itself: created, given to somebody, named.

use crate::base::epoch::Generation;
use crate::base::id::{ContainerId, DiskNumber, NodeUuid};
use crate::base::limits::{EXTENT_BYTES_MAX, EXTENT_BYTES_MIN};
use crate::base::name::Name;
use crate::base::units::Bytes;
use crate::format::layout::DATA_ALIGN_BYTES;
use crate::format::model::{Change, ChangeKind, Container, ContainerKind, DiskTable, Holder, Model, Owner};
use crate::volume::check::kind_word;
use crate::volume::plan::Asker;
use crate::volume::plan::disks;
use crate::volume::plan::draft::{self, Draft, Said, asker_words, hold, owner_words};
use crate::volume::plan::refusal::{ContainerWhy, Refusal};
use crate::volume::request::{CreateContainer, Machine, OwnerAsk};

/// The first number that a disk gets.
const FIRST_NUMBER: u16 = 1;

fn owner_of(machine: &Machine) -> Result<Owner, ContainerWhy> {
    if machine.node.is_none() {
        return Err(ContainerWhy::NoIdentity);
    }
    Ok(Owner { node: machine.node, name: machine.name.clone() })
}

fn asked_owner(ask: &OwnerAsk) -> Result<Option<Owner>, ContainerWhy> {
    match ask {
        OwnerAsk::Machine(machine) => owner_of(machine).map(Some),
        OwnerAsk::Unclaimed => Ok(None),
    }
}

fn check_extent(asked: Bytes) -> Result<(), ContainerWhy> {
    if (EXTENT_BYTES_MIN..=EXTENT_BYTES_MAX).contains(&asked.0) && asked.0.is_multiple_of(DATA_ALIGN_BYTES) {
        return Ok(());
    }
    Err(ContainerWhy::Extent { asked, least: Bytes(EXTENT_BYTES_MIN), most: Bytes(EXTENT_BYTES_MAX) })
}

fn blank(ask: &CreateContainer, id: ContainerId, owner: Option<Owner>, asker: &Asker) -> Model {
    let container = Container {
        id,
        name: ask.name.clone(),
        kind: ask.kind,
        home: owner.clone(),
        owner,
        cluster: ask.cluster,
        extent: ask.extent.whole_sectors(),
        template: ask.template,
        suspended: false,
        holders: Vec::new(),
        created: asker.at,
    };
    Model {
        container,
        table: DiskTable {
            disks: Vec::new(),
            first: DiskNumber(FIRST_NUMBER),
            old_set: None,
            next_number: FIRST_NUMBER,
        },
        regions: Vec::new(),
        volumes: Vec::new(),
        freed: Vec::new(),
        change: Change { kind: ChangeKind::Create, text: String::new(), by: None, at: asker.at },
        deeds: Vec::new(),
        unknown: Vec::new(),
        read_only: false,
    }
}

/// A container without volumes, and words about it.
pub(super) fn create(
    ask: &CreateContainer,
    id: ContainerId,
    asker: &Asker,
) -> Result<(Model, String), Refusal> {
    let act = "create container";
    let refuse = |why| Refusal::Container { act, container: ask.name.clone(), why };
    check_extent(ask.extent).map_err(refuse)?;
    let owner = match ask.kind {
        ContainerKind::Private => asked_owner(&ask.owner).map_err(refuse)?,
        ContainerKind::Shared | ContainerKind::Deported | ContainerKind::Deleted => None,
    };
    let mut model = blank(ask, id, owner, asker);
    disks::admit(&mut model, &ask.disks).map_err(|why| Refusal::Disks {
        act,
        container: ask.name.clone(),
        why,
    })?;
    hold(&mut model, asker, Generation::default());
    let disks = ask.disks.len();
    let words = format!(
        "created with {disks} disk{}, {}",
        if disks == 1 { "" } else { "s" },
        belongs(&model.container)
    );
    Ok((model, words))
}

fn belongs(container: &Container) -> String {
    match (&container.owner, container.kind) {
        (Some(owner), _) => format!("private to {}", owner_words(owner)),
        (None, ContainerKind::Private) => "private and unclaimed".into(),
        (None, kind) => kind_word(kind).into(),
    }
}

/// Kind and owner that are asked, given those there are.
fn wanted(
    draft: &Draft<'_>,
    owner: Option<&OwnerAsk>,
    kind: Option<ContainerKind>,
) -> Result<(ContainerKind, Option<Owner>), ContainerWhy> {
    let now = &draft.model.container;
    match (owner, kind) {
        (Some(_), Some(kind @ (ContainerKind::Shared | ContainerKind::Deported))) => {
            Err(ContainerWhy::OwnerOf(kind))
        }
        (Some(ask), _) => {
            let asked = asked_owner(ask)?;
            // The same machine under another name is the same owner.
            let same = asked.as_ref().map(|owner| owner.node) == now.owner.as_ref().map(|owner| owner.node);
            let owner = if same { now.owner.clone() } else { asked };
            Ok((ContainerKind::Private, owner))
        }
        (None, Some(ContainerKind::Private)) if now.kind != ContainerKind::Private => {
            Ok((ContainerKind::Private, Some(owner_of(&draft.asker.machine)?)))
        }
        (None, Some(kind @ (ContainerKind::Shared | ContainerKind::Deported))) => Ok((kind, None)),
        (None, _) => Ok((now.kind, now.owner.clone())),
    }
}

/// Gives the container to somebody, or another name.
pub(super) fn modify(
    draft: &mut Draft<'_>,
    owner: Option<&OwnerAsk>,
    kind: Option<ContainerKind>,
    name: Option<&Name>,
) -> Result<Said, Refusal> {
    let (kind, owner) = wanted(draft, owner, kind).map_err(|why| draft.container(why))?;
    let now = &draft.model.container;
    let new_name = name.filter(|name| **name != now.name).cloned();
    let hands = (now.kind, &now.owner) != (kind, &owner);
    if !hands && new_name.is_none() {
        return Ok(Said::AlreadySo(format!("{} is {} already", now.name, belongs(now))));
    }
    draft.may_hold()?;
    let others = draft.others();
    if hands && kind != ContainerKind::Shared && others > 0 {
        return Err(draft.container(ContainerWhy::Held { others }));
    }
    if new_name.is_some() {
        draft.refuse_held()?;
    }
    let old_name = now.name.clone();
    let container = &mut draft.model.container;
    if hands {
        if container.kind == ContainerKind::Deported && container.cluster != draft.asker.cluster {
            // It comes from another cluster, which never counts out anybody of it any more.
            container.cluster = draft.asker.cluster;
            container.holders.clear();
            container.home = None;
        }
        container.home = owner.clone().or(container.home.take());
        // A shared container keeps who holds it; otherwise only a new owner who asks itself holds it at once.
        // Of a cluster's container no volumes are up while it is handed over: nobody holds tables, and who is kept would keep all
        // that is freed from being used again.
        let keeps = kind == ContainerKind::Shared && container.cluster.is_none();
        container.holders.retain(|holder| holder.expelled || keeps);
        (container.kind, container.owner) = (kind, owner);
    }
    let mut words = Vec::new();
    if hands {
        words.push(format!("made {}", belongs(container)));
    }
    if let Some(name) = new_name {
        words.push(format!("renamed from {old_name} to {name}"));
        container.name = name;
    }
    hold(&mut draft.model, draft.asker, draft.at);
    Ok(Said::Changed(words.join(", ")))
}

/// Takes it from a machine that cannot write to it any more: the caller has the evidence. Where it belongs when all is well stays as
/// it is, and who held it is expelled, so that it learns of it when it returns (safety 3.4).
/// Who takes it to bring its volumes up is admitted by the same commit.
pub(super) fn takeover(
    draft: &mut Draft<'_>,
    from: NodeUuid,
    words: &str,
    watchdog_ms: Option<u32>,
) -> Result<Said, Refusal> {
    let machine = &draft.asker.machine;
    let owner = owner_of(machine).map_err(|why| draft.container(why))?;
    let container = &draft.model.container;
    match &container.owner {
        Some(now) if now.node == owner.node => {
            return Ok(Said::AlreadySo(format!("{} is {} already", container.name, belongs(container))));
        }
        Some(now) if now.node == from => (),
        // It changed hands meanwhile.
        _ => {
            let (owner, asker) = (belongs(container), asker_words(machine));
            return Err(draft.container(ContainerWhy::NotOwner { owner, asker }));
        }
    }
    draft.model.container.owner = Some(owner);
    expel_all(draft, from);
    hold(&mut draft.model, draft.asker, draft.at);
    if let Some(watchdog_ms) = watchdog_ms {
        draft::admit(&mut draft.model, as_holder(draft.asker, draft.at, watchdog_ms));
    }
    Ok(Said::Changed(words.into()))
}

fn expel_all(draft: &mut Draft<'_>, node: NodeUuid) -> bool {
    let holders = draft.model.container.holders.iter_mut();
    let all = holders.filter(|holder| holder.node == node && !holder.expelled);
    all.map(|holder| holder.expelled = true).count() > 0
}

fn as_holder(asker: &Asker, confirmed: Generation, watchdog_ms: u32) -> Holder {
    let (node, incarnation) = (asker.machine.node, asker.incarnation);
    Holder { node, incarnation, confirmed, expelled: false, watchdog_ms }
}

/// Lets the asker have gates of it: said on the disks before the first of them is made, so that whoever finds that machine silent
/// later knows that it has to be stopped, and which life of it (safety 3.4).
pub(super) fn admit(draft: &mut Draft<'_>, watchdog_ms: u32) -> Result<Said, Refusal> {
    draft.may_hold()?;
    let container = &draft.model.container;
    let now = container.holder(draft.asker.machine.node);
    let now = now.filter(|holder| holder.incarnation == draft.asker.incarnation);
    if now.is_some_and(|holder| holder.watchdog_ms == watchdog_ms) {
        return Ok(Said::AlreadySo(format!("{} has this node admitted already", container.name)));
    }
    draft::admit(&mut draft.model, as_holder(draft.asker, draft.at, watchdog_ms));
    Ok(Said::Changed(format!("admitted {}", asker_words(&draft.asker.machine))))
}

/// The asker has no gates of it any more.
pub(super) fn withdraw(draft: &mut Draft<'_>) -> Said {
    let node = draft.asker.machine.node;
    if draft.model.container.holder(node).is_none() {
        return Said::AlreadySo(format!("{} does not count on this node", draft.model.container.name));
    }
    draft.model.container.holders.retain(|holder| holder.expelled || holder.node != node);
    Said::Changed(format!("left by {}", asker_words(&draft.asker.machine)))
}

/// Closed by an administrator, or not any more: it stands in the model, so that whoever comes to have it finds it so.
pub(super) fn suspend(draft: &mut Draft<'_>, is: bool) -> Result<Said, Refusal> {
    draft.may_hold()?;
    let container = &mut draft.model.container;
    let words = if is { "suspended" } else { "not suspended" };
    if container.suspended == is {
        return Ok(Said::AlreadySo(format!("{} is {words} already", container.name)));
    }
    container.suspended = is;
    hold(&mut draft.model, draft.asker, draft.at);
    Ok(Said::Changed(if is { "suspended by an administrator" } else { "resumed" }.into()))
}

/// A node that shared it cannot write to it any more: the caller has the evidence.
pub(super) fn expel(draft: &mut Draft<'_>, node: NodeUuid, words: &str) -> Said {
    match expel_all(draft, node) {
        true => Said::Changed(words.into()),
        false => {
            Said::AlreadySo(format!("{} does not count on that node any more", draft.model.container.name))
        }
    }
}

/// Names of volumes that a refusal shows.
const VOLUMES_SHOWN_MAX: usize = 8;

/// Nobody's ever again. The old set stands beside it until a majority holds that, as with a change of disks: only what
/// is settled may be finished on fewer disks, and only then do labels go. A crash in the middle of the wiping would
/// otherwise leave a minority that nobody can tell from the rest of a container in use.
pub(super) fn delete(draft: &mut Draft<'_>) -> Result<Said, Refusal> {
    if draft.model.container.kind == ContainerKind::Deleted {
        return Ok(Said::AlreadySo(format!("{} is deleted already", draft.model.container.name)));
    }
    if draft.model.container.kind == ContainerKind::Deported {
        return Err(draft.container(ContainerWhy::Deported));
    }
    draft.may_hold()?;
    let count = draft.model.volumes.len();
    if count > 0 {
        let some = draft.model.volumes.iter().take(VOLUMES_SHOWN_MAX).map(|volume| volume.name.clone());
        return Err(draft.container(ContainerWhy::HasVolumes { count, some: some.collect() }));
    }
    let others = draft.others();
    if others > 0 {
        return Err(draft.container(ContainerWhy::Held { others }));
    }
    draft.model.table.old_set = Some(disks::set_now(&draft.model));
    let container = &mut draft.model.container;
    (container.kind, container.owner) = (ContainerKind::Deleted, None);
    container.holders.retain(|holder| holder.expelled);
    Ok(Said::Changed("deleted".into()))
}
