//! A node's own block among those of all: whose it is, and when it may be taken.

use crate::base::hash::Hash128;
use crate::base::id::{ClusterId, NodeId};
use crate::base::limits::NODE_ID_MAX;
use crate::format::layout::{AreaKind, End};
use crate::format::node_block::{self, NodeBlock};
use crate::volume::commit::lane::Lane;
use crate::volume::commit::opening::{Opening, Unopened};
use crate::volume::mistake::breaks;

impl Opening {
    /// This node's number on these disks: its cluster's, or the block that already carries its identity, or the first
    /// that is free on all disks from a place that its identity chooses, so that two newcomers seldom want the same. Nothing where
    /// another machine's block is to be watched first.
    pub(super) fn claim(&mut self, cluster: Option<ClusterId>) -> Result<Option<NodeId>, Unopened> {
        if let Some(id) = self.me.id {
            return self.claim_numbered(id, cluster);
        }
        let blocks = || self.lanes.iter().flat_map(|lane| lane.blocks.newest.iter());
        if let Some(mine) = blocks().find(|block| block.node == self.me.node) {
            return Ok(Some(mine.id));
        }
        self.claimed = true;
        let room = self
            .lanes
            .iter()
            .map(|lane| node_block::nodes_in(&lane.member.layout.area(AreaKind::NodeBlocks, End::Primary)));
        let room = room.min().unwrap_or(0).min(NODE_ID_MAX);
        let [first, ..] = Hash128::of(&[&self.me.node.0]).0;
        let order = (0..room).map(|step| NodeId((u16::from(first) + step) % room + 1));
        let taken = |id: &NodeId| {
            self.lanes.iter().any(|lane| lane.blocks.of(*id).is_some() || lane.blocks.damaged.contains(id))
        };
        let spoken_for = |id: &NodeId| self.lanes.iter().any(|lane| lane.blocks.of(*id).is_some());
        // Where no block is blank, one that speaks for nobody will do: the epoch goes above what it may have said.
        let free = order.clone().find(|id| !taken(id)).or_else(|| order.clone().find(|id| !spoken_for(id)));
        free.map(Some).ok_or(Unopened::NoBlockFree)
    }

    /// Does another machine's block stand at that number?
    pub(super) fn is_anothers(&self, id: NodeId) -> bool {
        self.lanes.iter().filter_map(|lane| lane.blocks.of(id)).any(|block| block.node != self.me.node)
    }

    /// The number that its cluster gave it. Another machine had it, perhaps: one that this one stands in for, or of the cluster that the
    /// container was in before.
    fn claim_numbered(&mut self, id: NodeId, cluster: Option<ClusterId>) -> Result<Option<NodeId>, Unopened> {
        let of_another = |lane: &Lane| lane.blocks.of(id).filter(|block| block.node != self.me.node).cloned();
        let others = self.lanes.iter().map(of_another).collect::<Vec<_>>();
        let is_mine = |lane: &Lane| lane.blocks.of(id).is_some_and(|block| block.node == self.me.node);
        self.claimed = others.iter().any(Option::is_some) || !self.lanes.iter().any(is_mine);
        let may_go_on = |block: &&NodeBlock| cluster.is_none_or(|cluster| block.cluster == cluster);
        let Some(first) =
            others.iter().flatten().find(may_go_on).filter(|_| !breaks!(self.rules, BlockOfAnotherTaken))
        else {
            return Ok(Some(id));
        };
        match self.watched.take() {
            None => {
                self.watched = Some(others);
                Ok(None)
            }
            Some(before) if before == others => Ok(Some(id)),
            Some(_) => Err(Unopened::BlockTaken { id, by: first.node }),
        }
    }
}
