//! What a quorate node owes to containers of which nodes are absent: what it read on their disks in, what is to be done out. Pure, so
//! that the product and its simulator decide by the same words.

use crate::base::gather::Gather;
use crate::base::id::{ClusterId, Incarnation, NodeUuid};
use crate::base::time::BootTime;
use crate::cluster::timing::Timing;
use crate::engine::guard::evidence::{Absence, Evidence, Prospect};
use crate::format::model::{ChangeKind, Container, ContainerKind, Model, Owner};

/// What is to be done about a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Its owner is gone.
    Take(Owner, Evidence),
    /// It was taken by this node already, which did not get to the end.
    Finish,
    /// A node that shared it is gone.
    Expel(Evidence),
    /// This node is absent and has gates of it, and there is nothing but somebody's word to take it on.
    WordAlone(NodeUuid),
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
    /// The times that evidence goes by.
    pub timing: &'a Timing,
    /// When it looks.
    pub now: BootTime,
}

impl Heir<'_> {
    /// What there is to be done about a container that a majority of its disks showed; `has_gates`: has this node some of it?
    pub fn duties(&self, model: &Model, has_gates: bool) -> Vec<Duty> {
        let container = &model.container;
        if container.cluster != self.cluster {
            return Vec::new();
        }
        match (container.kind, &container.owner) {
            (ContainerKind::Private, Some(owner)) if owner.node == self.node => {
                let unfinished = self.is_unfinished(model) && !has_gates;
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

    /// It was taken over by this life of this node, which was to have gates of it.
    fn is_unfinished(&self, model: &Model) -> bool {
        let mine = model.container.holder(self.node).map(|holder| holder.incarnation);
        model.change.kind == ChangeKind::Takeover && mine == Some(self.incarnation)
    }

    fn against(
        &self,
        container: &Container,
        node: NodeUuid,
        duty: impl FnOnce(Evidence) -> Duty,
    ) -> Option<Duty> {
        let absence = self.absent.iter().find(|absence| absence.node == node)?;
        match absence.against(container, self.timing, self.now) {
            Prospect::Now(evidence) => Some(duty(evidence)),
            Prospect::At(_) => None,
            Prospect::ByWordAlone => Some(Duty::WordAlone(node)),
        }
    }
}
