//! L5 (I3): an epoch has one writer, an order one content. L7 (I6): what was acknowledged is in every later state. L10 (I10): nothing is
//! written outside of the area that its purpose names. As the crash model has them, here under leases that come and go.

use std::collections::BTreeMap;

use evms::base::epoch::{Epoch, Order};
use evms::base::hash::Hash128;
use evms::base::id::{Incarnation, NodeUuid};
use evms::base::units::Bytes;
use evms::format::layout::{AreaKind, End, Layout};
use evms::format::slot::SlotHeader;
use evms::volume::choose::Chosen;
use evms::volume::commit::io::Purpose;

use crate::gates::laws::Laws;
use crate::laws::Broken;

#[derive(Default)]
pub struct Models {
    contents: BTreeMap<Order, Hash128>,
    writers: BTreeMap<Epoch, (NodeUuid, Incarnation)>,
    parents: BTreeMap<Hash128, Hash128>,
    acked: Vec<(Order, Hash128)>,
}

impl Models {
    fn slot(&mut self, header: &SlotHeader) -> Result<(), Broken> {
        let order = header.order;
        if *self.contents.entry(order).or_insert(header.hash) != header.hash {
            return Err(Broken { law: "L5", words: format!("two models of {order:?}") });
        }
        let writer = (header.writer, header.incarnation);
        let first = *self.writers.entry(order.epoch).or_insert(writer);
        if first != writer {
            let words = format!("{:?} has two writers, {first:?} and {writer:?}", order.epoch);
            return Err(Broken { law: "L5", words });
        }
        self.parents.insert(header.hash, header.parent);
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

fn is_inside(layout: &Layout, at: u64, length: u64, purpose: Purpose) -> bool {
    let inside = |kind, end| layout.area(kind, end).holds(Bytes(at), length);
    match purpose {
        Purpose::OwnBlock => inside(AreaKind::NodeBlocks, End::Primary),
        Purpose::Slot => [AreaKind::Slot0, AreaKind::Slot1]
            .into_iter()
            .any(|kind| End::BOTH.iter().any(|end| inside(kind, *end))),
        Purpose::History => inside(AreaKind::History, End::Primary),
        // No disk joins or leaves in this world.
        Purpose::Intent | Purpose::Label | Purpose::Blank => false,
    }
}

impl Laws {
    /// Something landed on one of the container's disks; is it a model?
    pub fn wrote(
        &mut self,
        container: usize,
        (at, bytes): (u64, &[u8]),
        purpose: Purpose,
        layout: &Layout,
    ) -> Result<bool, Broken> {
        if !is_inside(layout, at, bytes.len() as u64, purpose) {
            return Err(Broken { law: "L10", words: format!("{purpose:?} is written at {at}") });
        }
        let header = SlotHeader::decode(bytes).ok().filter(|_| purpose == Purpose::Slot);
        let Some(header) = header else { return Ok(false) };
        self.told[container].models.slot(&header)?;
        Ok(true)
    }

    /// What whoever reads all disks now takes for committed; is it another model than before? (Not what a majority was seen to take
    /// at one end: a stale write may destroy that again, as long as nobody was told that it counts.)
    pub fn reads(&mut self, container: usize, chosen: Option<Chosen>) -> bool {
        let told = &mut self.told[container];
        let Some(chosen) = chosen.filter(|chosen| chosen.committed) else { return false };
        let order = chosen.image.header.order;
        if told.committed.as_ref().is_some_and(|(before, _)| *before == order) {
            return false;
        }
        told.before = told.committed.take().map(|(_, model)| model);
        told.committed = Some((order, chosen.model));
        true
    }

    /// Somebody was told that the model of this order counts.
    pub fn acknowledged(&mut self, container: usize, order: Order) -> Result<(), Broken> {
        let models = &mut self.told[container].models;
        let Some(hash) = models.contents.get(&order).copied() else {
            return Err(Broken {
                law: "L7",
                words: format!("{order:?} is acknowledged and was never written"),
            });
        };
        if let Some((acked, wanted)) = models.acked.last().copied()
            && !models.descends(hash, wanted)
        {
            if models.descends(wanted, hash) {
                return Ok(());
            }
            let words = format!("{acked:?} was acknowledged, and {order:?} does not follow on it");
            return Err(Broken { law: "L7", words });
        }
        models.acked.push((order, hash));
        Ok(())
    }
}
