//! The laws, checked on every write and on every answer: L5 (an epoch has one writer, an order one content), L7 (what
//! was acknowledged is in every later state; nothing opens as a mixture), L10 (nothing is written outside the plan).

use std::collections::BTreeMap;

use evms::base::epoch::{Epoch, Order};
use evms::base::hash::Hash128;
use evms::base::id::{Incarnation, NodeUuid};
use evms::base::units::Bytes;
use evms::format::layout::{AreaKind, End, Layout};
use evms::format::node_block;
use evms::format::slot::SlotHeader;
use evms::volume::commit::io::Purpose;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    L5TwoContents(Order),
    L5TwoWriters(Epoch),
    L7Lost { acked: Order, by: Order },
    L7Unknown(Order),
    L7Stuck(String),
    L7Torn(String),
    L10Outside { purpose: Purpose, at: u64 },
    L10NotNamed { purpose: Purpose, disk: usize },
    GivenOutEarly(String),
}

#[derive(Clone, Debug, Default)]
pub struct Laws {
    contents: BTreeMap<Order, Hash128>,
    writers: BTreeMap<Epoch, (NodeUuid, Incarnation)>,
    parents: BTreeMap<Hash128, Hash128>,
    pub acked: Vec<(Order, Hash128)>,
}

impl Laws {
    /// A write is about to land.
    pub fn on_write(
        &mut self,
        layout: &Layout,
        at: u64,
        bytes: &[u8],
        purpose: Purpose,
    ) -> Result<(), Broken> {
        let inside = |kind, end| layout.area(kind, end).holds(Bytes(at), bytes.len() as u64);
        let allowed = match purpose {
            Purpose::OwnBlock => own_place(layout, at, bytes),
            Purpose::Slot => [AreaKind::Slot0, AreaKind::Slot1]
                .into_iter()
                .any(|kind| End::BOTH.iter().any(|&end| inside(kind, end))),
            Purpose::History => inside(AreaKind::History, End::Primary),
            Purpose::Intent => inside(AreaKind::Intent, End::Primary),
            Purpose::Label => End::BOTH.iter().any(|&end| inside(AreaKind::Label, end)),
            Purpose::Blank => {
                at + bytes.len() as u64 <= layout.data().start_bytes().0 || at >= layout.data().end_bytes().0
            }
        };
        if !allowed {
            return Err(Broken::L10Outside { purpose, at });
        }
        if purpose == Purpose::Slot
            && let Ok(header) = SlotHeader::decode(bytes)
        {
            self.on_slot(&header)?;
        }
        Ok(())
    }

    fn on_slot(&mut self, header: &SlotHeader) -> Result<(), Broken> {
        if *self.contents.entry(header.order).or_insert(header.hash) != header.hash {
            return Err(Broken::L5TwoContents(header.order));
        }
        let writer = (header.writer, header.incarnation);
        if *self.writers.entry(header.order.epoch).or_insert(writer) != writer {
            return Err(Broken::L5TwoWriters(header.order.epoch));
        }
        self.parents.insert(header.hash, header.parent);
        Ok(())
    }

    /// Somebody was told that the model of this order counts.
    pub fn on_ack(&mut self, order: Order) -> Result<(), Broken> {
        let hash = *self.contents.get(&order).ok_or(Broken::L7Unknown(order))?;
        if let Some(&(acked, wanted)) = self.acked.last()
            && !self.descends(hash, wanted)
        {
            // Word of an older commit may arrive late; what it said must then be part of what came since.
            return if self.descends(wanted, hash) {
                Ok(())
            } else {
                Err(Broken::L7Lost { acked, by: order })
            };
        }
        self.acked.push((order, hash));
        Ok(())
    }

    fn descends(&self, mut hash: Hash128, wanted: Hash128) -> bool {
        loop {
            if hash == wanted {
                return true;
            }
            match self.parents.get(&hash) {
                Some(parent) => hash = *parent,
                None => return false,
            }
        }
    }
}

fn own_place(layout: &Layout, at: u64, bytes: &[u8]) -> bool {
    let area = layout.area(AreaKind::NodeBlocks, End::Primary);
    node_block::NodeBlock::decode(bytes)
        .is_ok_and(|block| node_block::place(&area, block.id, block.counter) == Some(Bytes(at)))
}
