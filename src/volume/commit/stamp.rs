//! Turning a model into the slot image of its commit: order, parent, writer.

use crate::base::epoch::{Epoch, Generation, Order};
use crate::base::hash::Hash128;
use crate::base::id::{Incarnation, NodeUuid};
use crate::format::model::Model;
use crate::format::slot::{SlotHeader, SlotImage};

/// Who writes, and after what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The epoch held.
    pub epoch: Epoch,
    /// Order and hash of the model before; `None` for a container's first.
    pub parent: Option<(Order, Hash128)>,
    /// The machine.
    pub node: NodeUuid,
    /// Its life.
    pub incarnation: Incarnation,
    /// The generation of its cluster's configuration; zero without one.
    pub configuration: Generation,
}

impl Stamp {
    /// The order that the next model gets: this epoch, the generation after the parent's. `None` when they are used up.
    pub fn order(&self) -> Option<Order> {
        let before = self.parent.map_or(Generation(0), |(order, _)| order.generation);
        Some(Order { epoch: self.epoch, generation: before.next()? })
    }

    /// The image of `model`. `None` when it cannot be encoded or generations are used up.
    pub fn image(&self, model: &Model) -> Option<SlotImage> {
        let (parent_order, parent) = self.parent.unwrap_or((Order::default(), Hash128::NONE));
        let header = SlotHeader {
            container: model.container.id,
            order: self.order()?,
            parent_order,
            parent,
            writer: self.node,
            incarnation: self.incarnation,
            configuration: self.configuration,
            old_set: model.table.old_set.is_some(),
            body_bytes: 0,
            hash: Hash128::NONE,
        };
        SlotImage::new(header, model.encode()?)
    }
}
