//! *May this node touch this container now?* The only mint of permits: a write to a shared disk carries one, and the
//! hands compare it before every write (safety 2.5). What each rule prevents stands in safety section 3.

use core::fmt;

use crate::base::epoch::{Epoch, Generation};
use crate::base::failure::{Failure, Kind};
use crate::base::id::{ContainerId, NodeUuid};
use crate::base::time::BootTime;
use crate::format::model::{Container, ContainerKind, Model};
use crate::volume::commit::io::Purpose;

pub mod answer;
mod denied;
pub mod duty;
pub mod evidence;
pub mod keeping;
mod warrant;

pub use denied::Denied;
use evidence::Evidence;
pub use warrant::{Lease, Principal, Warrant};

/// What a permit is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// This node's own block, and models and rings under the epoch that it promises: an opening under way.
    Opening,
    /// Models and rings under an epoch that is held.
    Container(Epoch),
    /// Labels and blank areas of disks that the plan named.
    Disks,
}

/// Leave to write, made by the guard alone. Carries the container and its end; the hands refuse it afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    container: ContainerId,
    scope: Scope,
    end: End,
}

/// When a permit ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Not by itself: the disks are locked, and nobody else may touch what is on them.
    Never,
    /// With the lease of this node.
    Lease(Lease),
}

impl End {
    fn of(warrant: Option<Warrant>) -> End {
        warrant.map_or(End::Never, |warrant| End::Lease(warrant.lease))
    }

    fn at(self) -> BootTime {
        match self {
            End::Never => BootTime::FOREVER,
            End::Lease(lease) => lease.end(),
        }
    }
}

/// Why a write was not made. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPermit {
    /// This node's lease ended before the write began.
    Expired {
        /// When it ended; zero when it was taken back.
        end: BootTime,
        /// When the write was to begin.
        now: BootTime,
    },
    /// The permit is for something else.
    OutOfScope(Purpose),
}

impl fmt::Display for NoPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoPermit::Expired { .. } => write!(
                f,
                "this node is not quorate any more, and what was to be written then was not; see why with: evms why, and then run \
                 the command again"
            ),
            NoPermit::OutOfScope(purpose) => {
                write!(
                    f,
                    "a write ({}) was not made because no permit covers it; this is a fault of evms, report it",
                    purpose.words()
                )
            }
        }
    }
}

impl std::error::Error for NoPermit {}

impl Failure for NoPermit {
    fn kind(&self) -> Kind {
        Kind::NotOwner
    }
}

impl Permit {
    /// The container that it is for.
    pub fn container(&self) -> ContainerId {
        self.container
    }

    /// May a write of this purpose begin at `now`?
    pub fn allows(&self, purpose: Purpose, now: BootTime) -> Result<(), NoPermit> {
        let end = self.end.at();
        if now >= end {
            return Err(NoPermit::Expired { end, now });
        }
        let covered = match self.scope {
            Scope::Opening => matches!(purpose, Purpose::OwnBlock | Purpose::Slot | Purpose::History),
            Scope::Container(_) => matches!(purpose, Purpose::Slot | Purpose::History),
            Scope::Disks => {
                matches!(purpose, Purpose::Label | Purpose::Blank | Purpose::Intent | Purpose::Slot)
            }
        };
        if covered { Ok(()) } else { Err(NoPermit::OutOfScope(purpose)) }
    }
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On image files, locked for the length of the command.
    Images,
    /// On block devices that other machines may see.
    Devices,
}

/// What shall be done, as far as ownership is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Change it while holding it.
    Change,
    /// Take it: import, or a change of owner or type.
    Import,
    /// Take what another cluster deported.
    BringOver,
    /// Take it from the machine that owns it and cannot write to it any more.
    Takeover(Evidence),
    /// Count a node out of a shared one to which it cannot write any more.
    Expel(Evidence),
    /// Go on with it after a time without a lease, in which gates of it were closed here.
    Regain,
    /// Delete it, or go on deleting it.
    Delete,
    /// Write anew what is damaged of its labels: that changes nothing of whose it is.
    Mend,
}

/// The guard's word that this machine may act on this container: made by [`may`], needed for every permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mandate {
    container: ContainerId,
    end: End,
}

/// Asks for a mandate on a container as it was read.
pub fn may(model: &Model, who: &Principal, place: Place, act: Act) -> Result<Mandate, Denied> {
    let me = &who.machine;
    let container = &model.container;
    let name = || container.name.clone();
    if model.read_only {
        return Err(Denied::NewerProgram { name: name() });
    }
    let warrant = who.warrant_for(container, act);
    if !container.cluster.is_none() && warrant.is_none() {
        let why = who.refusal.clone().unwrap_or_default();
        let comes_by =
            || format!("take it, where it lies on devices, with: evms container import {}", name());
        if container.kind == ContainerKind::Deported && matches!(act, Act::Import | Act::BringOver) {
            return Err(Denied::DeportedElsewhere {
                name: name(),
                cluster: container.cluster,
                why: if who.warrant.is_some() { comes_by() } else { why },
            });
        }
        return Err(Denied::OfCluster { name: name(), cluster: container.cluster, why });
    }
    match (container.kind, &container.owner) {
        _ if act == Act::Mend && nobodys(container) => (),
        (ContainerKind::Deported, _) if !matches!(act, Act::Import | Act::BringOver) => {
            return Err(Denied::Deported { name: name() });
        }
        (ContainerKind::Deleted, _) if act != Act::Delete => return Err(Denied::Deleted { name: name() }),
        (ContainerKind::Shared, _) if place == Place::Devices && warrant.is_none() => {
            return Err(Denied::SharedNeedsDaemon { name: name() });
        }
        (ContainerKind::Private, Some(owner)) if owner.node != me.node && !takes_from(act, owner.node) => {
            return Err(Denied::OwnedBy {
                name: name(),
                owner: owner.node,
                owner_name: owner.name.clone(),
                me: me.node,
            });
        }
        // On devices the first change of an unclaimed container must be its import: that mints the owner.
        (ContainerKind::Private, None) if place == Place::Devices && act != Act::Import => {
            return Err(Denied::Unclaimed { name: name() });
        }
        _ => (),
    }
    if let Act::Takeover(evidence) | Act::Expel(evidence) = act
        && !evidence.covers(container)
    {
        return Err(Denied::NoEvidence { name: name() });
    }
    if act == Act::Regain && !is_admitted(container, warrant, me.node) {
        return Err(Denied::Expelled { name: name() });
    }
    if place == Place::Devices && me.node.is_none() {
        return Err(Denied::NoIdentity { name: name() });
    }
    Ok(Mandate { container: container.id, end: End::of(warrant) })
}

/// Does the act bring a container from one cluster to another? What is deported is nobody's, and the cluster that imports it has it
/// (safety 2.8). A machine of none does not: its permit would never end, and there is no way back.
pub fn comes_over(container: &Container, act: Act) -> bool {
    container.kind == ContainerKind::Deported && act == Act::BringOver && !container.cluster.is_none()
}

/// Was the container written under a later configuration than this node goes by? Then this node may be quorate by votes that were
/// taken away while it slept (safety 1.6).
pub fn refuse_outdated(container: &Container, written: Generation, who: &Principal) -> Result<(), Denied> {
    let warrant = who.warrant_of(container.cluster);
    match warrant.map(|warrant| warrant.configuration) {
        Some(mine) if mine < written => {
            Err(Denied::OutdatedNode { name: container.name.clone(), written, mine })
        }
        _ => Ok(()),
    }
}

/// Is there evidence against that machine?
fn takes_from(act: Act, owner: NodeUuid) -> bool {
    matches!(act, Act::Takeover(evidence) if evidence.victim() == owner)
}

/// Is this life of the node one that may have gates of the container?
fn is_admitted(container: &Container, warrant: Option<Warrant>, node: NodeUuid) -> bool {
    let mine = container.holder(node).map(|holder| holder.incarnation);
    mine.is_some() && mine == warrant.map(|warrant| warrant.incarnation)
}

/// Deported, deleted or not claimed yet: no machine uses it.
fn nobodys(container: &Container) -> bool {
    match container.kind {
        ContainerKind::Private => container.owner.is_none(),
        ContainerKind::Deported | ContainerKind::Deleted => true,
        ContainerKind::Shared => false,
    }
}

/// A mandate on a container that does not exist yet: its disks are blank, named by the user, and held open exclusively. Of a
/// cluster's other nodes may see them too.
pub fn may_found(container: ContainerId, warrant: Option<Warrant>) -> Mandate {
    Mandate { container, end: End::of(warrant) }
}

impl Mandate {
    /// Leave for an opening: own block, then the model under the epoch that it promised.
    pub fn opening(&self) -> Permit {
        self.permit(Scope::Opening)
    }

    /// Leave for commits under an epoch that an opening won.
    pub fn holding(&self, epoch: Epoch) -> Permit {
        self.permit(Scope::Container(epoch))
    }

    /// Leave to label, blank or re-id the disks that the plan named.
    pub fn disks(&self) -> Permit {
        self.permit(Scope::Disks)
    }

    fn permit(&self, scope: Scope) -> Permit {
        Permit { container: self.container, scope, end: self.end }
    }
}

#[cfg(test)]
mod tests;
