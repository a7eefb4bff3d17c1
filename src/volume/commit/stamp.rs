//! Turning a model into the slot image of its commit: order, parent, writer.

use crate::base::epoch::{Epoch, Generation, Order};
use crate::base::hash::Hash128;
use crate::base::id::{Incarnation, NodeUuid};
use crate::base::units::Bytes;
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

    /// The same, for slots of this size: what is told gives way to what is, and so the oldest deeds go where a model would not fit with
    /// them. One that does not fit without any is given as it is.
    pub fn fitting(&self, model: &mut Model, slot: Bytes) -> Option<SlotImage> {
        // At most one more round than there are deeds.
        loop {
            let image = self.image(model)?;
            if image.header.slot_bytes() <= slot || model.deeds.is_empty() {
                return Some(image);
            }
            model.deeds.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::BLOCK_BYTES;
    use crate::format::model::deed::{self, Entry};
    use crate::volume::plan::fixture;

    #[test]
    fn a_full_slot_forgets_the_oldest_deeds_and_takes_the_change() {
        let stamp = Stamp {
            epoch: Epoch(9),
            parent: None,
            node: NodeUuid([1; 16]),
            incarnation: Incarnation([2; 16]),
            configuration: Generation(0),
        };
        let order = Order { epoch: Epoch(9), generation: Generation(9) };
        let mut model = fixture::container(&[10]);
        let bare = stamp.image(&model).unwrap().header.slot_bytes();
        let words = "w".repeat(500);
        // A dozen of them need a block more than none, or two.
        for _ in 0..12 {
            let Model { deeds, container, change, .. } = &mut model;
            deed::enter(
                deeds,
                container,
                Entry { order, why: change.kind, words: &words, by: None, at: change.at },
            );
        }
        let all = stamp.image(&model).unwrap().header.slot_bytes();
        assert!(all.0 >= bare.0 + BLOCK_BYTES);
        for (slot, least) in [(all, 12), (bare, 0)] {
            let mut kept = model.clone();
            let image = stamp.fitting(&mut kept, slot).unwrap();
            assert!(image.header.slot_bytes() <= slot && kept.deeds.len() >= least);
            assert_eq!(kept.deeds, model.deeds[12 - kept.deeds.len()..], "the newest stay");
            assert_eq!(Model { deeds: model.deeds.clone(), ..kept }, model, "nothing else goes");
        }
        let mut none = model.clone();
        let image = stamp.fitting(&mut none, Bytes(BLOCK_BYTES)).unwrap();
        assert!(none.deeds.is_empty() && image.header.slot_bytes() > Bytes(BLOCK_BYTES), "said by who looks");
    }
}
