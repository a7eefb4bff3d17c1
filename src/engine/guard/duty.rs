//! What a quorate node owes to containers of which nodes are absent: what it read on their disks in, what is to be done out. Pure, so
//! that the product and its simulator decide by the same words.

use crate::base::gather::Gather;
use crate::base::id::{ClusterId, ContainerId, Incarnation, NodeUuid};
use crate::base::time::BootTime;
use crate::cluster::timing::Timing;
use crate::engine::guard::evidence::{self, Absence, Evidence, Prospect, Receipt};
use crate::format::model::{Container, ContainerKind, Holder, Model, Owner};

/// Milliseconds by which each member of a view waits longer than the one before it: a takeover is done in less. Who misses disks of a
/// container waits longer than all of those (F30).
pub const RANK_MS: u64 = 3000;

/// Milliseconds for which a node that was in the view may be absent before it is asked, and its power cut: a cut of two seconds costs
/// nobody anything (F56).
pub const GRACE_MS: u64 = 2000;
/// Milliseconds that asking a node takes, and taking what it answers of.
pub const ASKED_MS: u64 = 3 * RANK_MS;

/// When a node that is absent since then is first asked, and an agent told `off`, by who has that rank and whose asking and agents take
/// so long: who was `seen` gets a moment to come back, who was not yet the time in which it would have stopped, and each of a higher rank
/// waits for all that those before it must have tried.
pub fn first_asked(since: BootTime, (rank, limit_ms): (u64, u64), seen: bool, timing: &Timing) -> BootTime {
    let grace_ms = if seen { GRACE_MS } else { timing.stopped_ms(timing.watchdog_ms) };
    since.plus_ms(grace_ms).plus_ms(rank.saturating_mul(limit_ms))
}

/// What is to be done about a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Its owner is gone.
    Take(Owner, Evidence),
    /// It was taken by this node already, which did not get to the end.
    Finish,
    /// A node that shared it is gone.
    Expel(Evidence),
    /// A node that has gates of it is absent, and nothing proves yet that this life of it cannot write any more: its power is to be cut.
    Fence(NodeUuid, Incarnation),
    /// A node that has gates of it is absent, and there is nothing but somebody's word to take it on.
    WordAlone(NodeUuid),
}

/// What an absent node said of one container, over a disk of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The container.
    pub container: ContainerId,
    /// What that is worth.
    pub evidence: Evidence,
    /// When it was read.
    pub read: BootTime,
}

/// Who looks: this node, as long as one term of its lease goes on.
#[derive(Clone, Copy, Debug)]
pub struct Heir<'a> {
    /// Its machine.
    pub node: NodeUuid,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its cluster.
    pub cluster: ClusterId,
    /// Who is not in its view.
    pub absent: &'a [Absence],
    /// Machines of these whose power it can have cut, and whose turn that is.
    pub agents: &'a [NodeUuid],
    /// What became of that.
    pub receipts: &'a [Receipt],
    /// What absent nodes said over disks of containers.
    pub answers: &'a [Answered],
    /// The times that evidence goes by.
    pub timing: &'a Timing,
    /// When it looks.
    pub now: BootTime,
}

impl Heir<'_> {
    /// What there is to be done about a container that a majority of its disks showed; `taking`: a takeover of it was begun in this boot,
    /// and neither came to its end nor was given up.
    pub fn duties(&self, model: &Model, taking: bool) -> Vec<Duty> {
        let container = &model.container;
        if container.cluster != self.cluster {
            return Vec::new();
        }
        match (container.kind, &container.owner) {
            (ContainerKind::Private, Some(owner)) if owner.node == self.node => {
                let unfinished = taking && self.is_admitted(container);
                unfinished.then_some(Duty::Finish).into_iter().collect()
            }
            // What its owner had no gates of nobody was using.
            (ContainerKind::Private, Some(owner)) if container.holder(owner.node).is_some() => {
                let take = |evidence| Duty::Take(owner.clone(), evidence);
                self.against(container, owner.node, take).into_iter().collect()
            }
            (ContainerKind::Shared, _) => {
                let others = container.holders.iter().filter(|holder| !holder.expelled);
                others.filter_map(|holder| self.against(container, holder.node, Duty::Expel)).gather()
            }
            _ => Vec::new(),
        }
    }

    /// Has it this life of this node admitted, as a takeover does?
    fn is_admitted(&self, container: &Container) -> bool {
        container.holder(self.node).is_some_and(|holder| holder.incarnation == self.incarnation)
    }

    fn against(
        &self,
        container: &Container,
        node: NodeUuid,
        duty: impl FnOnce(Evidence) -> Duty,
    ) -> Option<Duty> {
        let absence = self.absent.iter().find(|absence| absence.node == node)?;
        let later = match absence.against(container, self.timing, self.now) {
            Prospect::Now(evidence) => return Some(duty(evidence)),
            later => later,
        };
        if let Some(answer) = self.answered(container, absence) {
            // Its power is not cut for that. What is shared nobody waits for, and who is counted out of it loses what waits.
            let is_due = container.kind == ContainerKind::Private && self.is_drained(answer);
            return is_due.then(|| duty(answer.evidence));
        }
        let holder = container.holder(node)?;
        match self.proven(holder) {
            Some(Prospect::Now(evidence)) => Some(duty(evidence)),
            // It is off, and what was under way is waited for.
            Some(_) => None,
            None if self.may_cut(node) => Some(Duty::Fence(node, holder.incarnation)),
            None => (later == Prospect::ByWordAlone).then_some(Duty::WordAlone(node)),
        }
    }

    /// What it said itself, of this very life of it and this container, in this absence and no other.
    fn answered(&self, container: &Container, absence: &Absence) -> Option<&Answered> {
        let about =
            |answer: &&Answered| answer.container == container.id && answer.evidence.victim() == absence.node;
        let answer = self.answers.iter().find(about).filter(|answer| answer.read >= absence.since)?;
        Some(answer).filter(|answer| answer.evidence.covers(container))
    }

    /// What it had under way is waited for, as it is for a machine that is off: it may be in a switch, though the kernel has it back.
    fn is_drained(&self, answer: &Answered) -> bool {
        answer.read.plus_ms(self.timing.stopped_ms(0)) <= self.now
    }

    /// What agents proved of this very life of a node.
    fn proven(&self, holder: &Holder) -> Option<Prospect> {
        let of_it =
            |receipt: &&Receipt| (receipt.victim, receipt.incarnation) == (holder.node, holder.incarnation);
        let all = self.receipts.iter().filter(of_it);
        let mut all = all.map(|receipt| evidence::off(receipt, self.timing, self.now));
        all.find(|prospect| *prospect != Prospect::ByWordAlone)
    }

    /// Nobody cuts his own power.
    fn may_cut(&self, node: NodeUuid) -> bool {
        node != self.node && self.agents.contains(&node)
    }
}

#[cfg(test)]
mod tests;
