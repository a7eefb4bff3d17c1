//! A node's own block on a member disk: its promise (the epoch it mints or holds). Two blocks per node are written in turn, so a torn
//! write never takes the promise before it away (safety 2.6). Behind those of all nodes stands what is no promise.

use crate::base::epoch::Epoch;
use crate::base::id::{ClusterId, ContainerId, Incarnation, NodeId, NodeUuid};
use crate::base::limits::NODE_ID_MAX;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::cursor::{Reader, Writer};
use crate::format::damage::{Damage, Fault, What};
use crate::format::layout::Area;
use crate::format::seal;

const MAGIC: &[u8; 8] = b"EVMSNODE";

/// Is this one, whole?
pub(super) fn is_one(block: &[u8]) -> bool {
    seal::open(block, MAGIC, What::NodeBlock).is_ok()
}
const VERSION: u16 = 1;
/// Blocks per node.
pub const BLOCKS_PER_NODE: u64 = 2;

/// What a node says on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeBlock {
    /// The node's number; also the block's place.
    pub id: NodeId,
    /// The machine.
    pub node: NodeUuid,
    /// Its cluster, `NONE` when standalone.
    pub cluster: ClusterId,
    /// The container this block stands in.
    pub container: ContainerId,
    /// The life of the node that wrote it.
    pub incarnation: Incarnation,
    /// The highest epoch it minted.
    pub epoch: Epoch,
    /// Grows with each write; the block with the higher counter counts.
    pub counter: u64,
}

impl NodeBlock {
    /// The sealed block.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(MAGIC).u16(VERSION).u16(self.id.0).u32(0);
        writer.bytes(&self.node.0).bytes(&self.cluster.0).bytes(&self.container.0).bytes(&self.incarnation.0);
        writer.u64(self.epoch.0).u64(self.counter);
        // 96 bytes of fields always fit one block.
        seal::close(&writer.finish()).unwrap_or_default()
    }

    /// Reads one block.
    pub fn decode(block: &[u8]) -> Result<NodeBlock, Damage> {
        let mut reader = Reader::new(seal::open(block, MAGIC, What::NodeBlock)?);
        let version = reader.u16().unwrap_or(0);
        if version != VERSION {
            return Err(Damage::new(What::NodeBlock, Fault::Version(version)));
        }
        NodeBlock::fields(&mut reader).ok_or(Damage::new(What::NodeBlock, Fault::Short))
    }

    fn fields(reader: &mut Reader<'_>) -> Option<NodeBlock> {
        let id = NodeId(reader.u16()?);
        reader.u32()?;
        Some(NodeBlock {
            id,
            node: NodeUuid(reader.array()?),
            cluster: ClusterId(reader.array()?),
            container: ContainerId(reader.array()?),
            incarnation: Incarnation(reader.array()?),
            epoch: Epoch(reader.u64()?),
            counter: reader.u64()?,
        })
    }
}

/// How many nodes have room in an area.
pub fn nodes_in(area: &Area) -> u16 {
    u16::try_from(area.length_bytes().0 / (BLOCKS_PER_NODE * BLOCK_BYTES)).unwrap_or(u16::MAX)
}

/// Where block `counter & 1` of a node lies, or `None` when the area has no room for that node (ids start at 1).
pub fn place(area: &Area, id: NodeId, counter: u64) -> Option<Bytes> {
    let first = u64::from(id.0.checked_sub(1)?) * BLOCKS_PER_NODE;
    let at = area.start_bytes().0.checked_add((first + counter % BLOCKS_PER_NODE) * BLOCK_BYTES)?;
    area.holds(Bytes(at), BLOCK_BYTES).then_some(Bytes(at))
}

/// What an area of node blocks says, read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeBlocks {
    /// The newest whole block of each node that has one, by node id.
    pub newest: Vec<NodeBlock>,
    /// Nodes of whose two blocks none can be read although something stands there.
    pub damaged: Vec<NodeId>,
    /// Nodes of which a newer program wrote a block: what it promised cannot be told.
    pub newer: Vec<NodeId>,
}

impl NodeBlocks {
    /// Reads an area, given its bytes from the start. A node with one torn block is known by the other.
    pub fn decode(bytes: &[u8]) -> NodeBlocks {
        let mut found = NodeBlocks::default();
        for (index, pair) in bytes.chunks_exact((BLOCKS_PER_NODE * BLOCK_BYTES) as usize).enumerate() {
            let id = NodeId(u16::try_from(index + 1).unwrap_or(u16::MAX));
            let blocks = pair.chunks_exact(BLOCK_BYTES as usize).map(NodeBlock::decode).collect::<Vec<_>>();
            // A whole block in another node's place is a misplaced write: it speaks for nobody.
            let whole =
                blocks.iter().flatten().filter(|block| block.id == id).max_by_key(|block| block.counter);
            // Behind as many as there are nodes stands what is no promise; what a later program promises there is heard.
            if id.0 > NODE_ID_MAX {
                found.newest.extend(whole.cloned());
                continue;
            }
            if blocks.iter().any(|block| block.as_ref().is_err_and(Damage::is_newer)) {
                found.newer.push(id);
                continue;
            }
            match whole {
                Some(block) => found.newest.push(block.clone()),
                None if blocks.iter().all(|block| matches!(block, Err(damage) if damage.is_blank())) => (),
                None => found.damaged.push(id),
            }
        }
        found
    }

    /// The newest block of one node.
    pub fn of(&self, id: NodeId) -> Option<&NodeBlock> {
        self.newest.iter().find(|block| block.id == id)
    }

    /// The highest epoch that any node promised here.
    pub fn highest(&self) -> Option<&NodeBlock> {
        self.newest.iter().max_by_key(|block| block.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::layout::{AreaKind, End};

    fn block(id: u16, counter: u64) -> NodeBlock {
        NodeBlock {
            id: NodeId(id),
            node: NodeUuid([id as u8; 16]),
            cluster: ClusterId::NONE,
            container: ContainerId([9; 16]),
            incarnation: Incarnation([3; 16]),
            epoch: Epoch(counter << 16),
            counter,
        }
    }

    #[test]
    fn a_torn_write_leaves_the_promise_before_it() {
        let mut area = vec![0; 4 * BLOCK_BYTES as usize];
        area[8192..12288].copy_from_slice(&block(2, 4).encode());
        area[12288..].copy_from_slice(&block(2, 5).encode());
        assert_eq!(NodeBlocks::decode(&area).newest, vec![block(2, 5)]);
        area[12288 + 100] ^= 1;
        assert_eq!(NodeBlocks::decode(&area).newest, vec![block(2, 4)]);
        area[8192 + 100] ^= 1;
        assert_eq!(NodeBlocks::decode(&area).damaged, vec![NodeId(2)]);
    }

    #[test]
    fn places_are_inside_the_area_or_nowhere() {
        let (kind, end) = (AreaKind::NodeBlocks, End::Primary);
        let area = Area {
            kind,
            end,
            start: crate::base::units::Sectors(128),
            length: crate::base::units::Sectors(64),
        };
        assert_eq!(nodes_in(&area), 4);
        assert_eq!(place(&area, NodeId(1), 0), Some(Bytes(65536)));
        assert_eq!(place(&area, NodeId(4), 7), Some(Bytes(65536 + 7 * 4096)));
        assert_eq!(place(&area, NodeId(5), 0), None);
        assert_eq!(place(&area, NodeId(0), 0), None);
    }
}
