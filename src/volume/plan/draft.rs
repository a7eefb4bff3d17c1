//! The next model while it is drafted, and what every request does to it first.

use crate::base::epoch::Generation;
use crate::base::id::DiskNumber;
use crate::base::limits::HOLDERS_MAX;
use crate::base::name::{Name, VolumePath};
use crate::base::units::{Bytes, Extents, SECTOR_BYTES, Sectors};
use crate::format::model::{ContainerKind, Freed, Holder, Model, Owner, Run};
use crate::volume::alloc::{self, FreeSpace};
use crate::volume::plan::Asker;
use crate::volume::plan::refusal::{ContainerWhy, DisksWhy, Refusal, VolumeWhy};
use crate::volume::plugins::region::Decline;
use crate::volume::request::Machine;
use crate::volume::runs;

/// A model on its way to become the next one.
pub(super) struct Draft<'a> {
    /// As it will be.
    pub model: Model,
    /// Generation of the model it began as.
    pub at: Generation,
    /// Generation that it will have.
    pub next: Generation,
    /// Who asks.
    pub asker: &'a Asker,
    /// What is asked.
    pub act: &'static str,
}

/// What a request did to a draft.
pub(super) enum Said {
    /// Nothing.
    AlreadySo(String),
    /// This.
    Changed(String),
}

/// A machine in words.
pub(super) fn owner_words(owner: &Owner) -> String {
    machine_words(&owner.name, &owner.node.to_string())
}

fn machine_words(name: &Option<Name>, node: &str) -> String {
    match name {
        Some(name) => format!("{name} ({node})"),
        None => node.to_owned(),
    }
}

pub(super) fn asker_words(machine: &Machine) -> String {
    if machine.node.is_none() {
        "one without identity".into()
    } else {
        machine_words(&machine.name, &machine.node.to_string())
    }
}

/// Makes the asker the holder of a private standalone container that is its machine's, or confirms for it when it is the sole
/// holder of another one. Of a cluster's container is a holder who was admitted before its gates were made, and nobody else
/// ([`admit`]).
pub(super) fn hold(model: &mut Model, asker: &Asker, at: Generation) {
    let (node, incarnation) = (asker.machine.node, asker.incarnation);
    let container = &mut model.container;
    if container.cluster.is_none() && container.owner.as_ref().is_some_and(|owner| owner.node == node) {
        let mine = container.holder(node).filter(|holder| holder.incarnation == incarnation);
        let confirmed = mine.map(|holder| holder.confirmed).unwrap_or_default();
        admit(model, Holder { node, incarnation, confirmed, expelled: false, watchdog_ms: 0 });
    }
    let container = &mut model.container;
    let mut active = container.holders.iter_mut().filter(|holder| !holder.expelled);
    if let (Some(sole), None) = (active.next(), active.next())
        && (sole.node, sole.incarnation) == (node, incarnation)
    {
        sole.confirmed = at;
    }
}

/// Makes it a holder. A machine has one life at a time: its earlier lives are over, and hold nothing.
pub(super) fn admit(model: &mut Model, new: Holder) {
    let holders = &mut model.container.holders;
    let same = |holder: &Holder| (holder.node, holder.incarnation) == (new.node, new.incarnation);
    holders.retain(|holder| !same(holder) && (holder.expelled || holder.node != new.node));
    while holders.len() >= HOLDERS_MAX {
        // The longest expelled is forgotten; without one, the laws refuse what follows.
        let Some(oldest) = holders.iter().position(|holder| holder.expelled) else { break };
        holders.remove(oldest);
    }
    holders.push(new);
}

impl Draft<'_> {
    pub(super) fn container(&self, why: ContainerWhy) -> Refusal {
        Refusal::Container { act: self.act, container: self.model.container.name.clone(), why }
    }

    pub(super) fn disks(&self, why: DisksWhy) -> Refusal {
        Refusal::Disks { act: self.act, container: self.model.container.name.clone(), why }
    }

    pub(super) fn volume(&self, name: &Name, why: VolumeWhy) -> Refusal {
        Refusal::Volume { act: self.act, volume: self.path(name), why }
    }

    /// The refusal of a region manager, with what is in quarantine.
    pub(super) fn declined(&self, name: &Name, decline: Decline) -> Refusal {
        let waiting = alloc::usage(&self.model, self.at).waiting;
        let short = matches!(decline, Decline::NoSpace { .. } | Decline::NoColumns { .. });
        self.volume(
            name,
            VolumeWhy::Declined { decline, waiting: if short { waiting } else { Extents::ZERO } },
        )
    }

    pub(super) fn path(&self, name: &Name) -> VolumePath {
        VolumePath { container: self.model.container.name.clone(), volume: name.clone() }
    }

    /// May the asker change a container that it would hold?
    pub(super) fn may_hold(&self) -> Result<(), Refusal> {
        let (container, machine) = (&self.model.container, &self.asker.machine);
        let me = (machine.node, self.asker.incarnation);
        // Of a cluster's container no command is let near as long as this node has gates from before (`guard`), and so the same life
        // may be admitted again once they are gone.
        let expelled = |holder: &Holder| holder.expelled && (holder.node, holder.incarnation) == me;
        if container.cluster.is_none() && container.holders.iter().any(expelled) {
            return Err(self.container(ContainerWhy::Expelled));
        }
        match &container.owner {
            Some(owner) if owner.node != machine.node => {
                let (owner, asker) = (owner_words(owner), asker_words(machine));
                Err(self.container(ContainerWhy::NotOwner { owner, asker }))
            }
            _ => Ok(()),
        }
    }

    /// How many other machines have gates of it, as far as it says.
    pub(super) fn others(&self) -> usize {
        let me = self.asker.machine.node;
        let others = |holder: &&Holder| !holder.expelled && holder.node != me;
        self.model.container.holders.iter().filter(others).count()
    }

    /// Tables of other nodes point at what is to be somebody else's: no change of this build spans nodes.
    pub(super) fn refuse_held(&self) -> Result<(), Refusal> {
        match self.others() {
            others if others > 0 && !self.model.container.cluster.is_none() => {
                Err(self.container(ContainerWhy::Held { others }))
            }
            _ => Ok(()),
        }
    }

    /// Before a change of disks or volumes: the asker must be allowed to, holds the container, and what left
    /// quarantine by that is free.
    pub(super) fn take_hold(&mut self) -> Result<(), Refusal> {
        if self.model.container.kind == ContainerKind::Deported {
            return Err(self.container(ContainerWhy::Deported));
        }
        self.may_hold()?;
        hold(&mut self.model, self.asker, self.at);
        let Model { container, freed, .. } = &mut self.model;
        freed.retain(|freed| !alloc::available(container, freed, self.at));
        Ok(())
    }

    /// Free extents on these disks; none named is all. Refuses disks that are not there or give nothing.
    pub(super) fn free(&self, name: &Name, on: &[DiskNumber]) -> Result<FreeSpace, Refusal> {
        for &number in on {
            match self.model.disk(number) {
                None => return Err(self.volume(name, VolumeWhy::UnknownDisk(number))),
                Some(disk) if !alloc::gives(disk) => {
                    return Err(self.volume(name, VolumeWhy::DiskGivesNot(number)));
                }
                Some(_) => {}
            }
        }
        Ok(FreeSpace::of(&self.model, self.at).only(on))
    }

    /// Puts extents into quarantine.
    pub(super) fn give_back(&mut self, freed: Vec<Run>) {
        let generation = self.next;
        self.model.freed.extend(runs::merged(freed).into_iter().map(|run| Freed { run, generation }));
    }

    /// Sectors of so many extents.
    pub(super) fn sectors(&self, count: Extents) -> Option<Sectors> {
        count.0.checked_mul(self.model.container.extent.0).map(Sectors)
    }

    /// Bytes of an extent; a lawful model's fit.
    pub(super) fn extent_bytes(&self) -> Bytes {
        bytes(self.model.container.extent)
    }
}

/// Bytes of a size that the laws have seen.
pub(super) fn bytes(sectors: Sectors) -> Bytes {
    Bytes(sectors.0.saturating_mul(SECTOR_BYTES))
}
