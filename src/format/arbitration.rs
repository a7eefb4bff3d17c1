//! A node's own block on an arbitration disk: that it lives (its beat), what it promised, and what it accepted (safety 1.5).
//! Two blocks per node, as on a member disk: the one that was written last and answered is never the next to be written, so
//! that a torn write takes no promise away. In front of them stands whose disk it is.

use crate::base::id::{ClusterId, DiskId, Incarnation, NodeId, NodeUuid};
use crate::base::limits::NODE_ID_MAX;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::cursor::{Reader, Writer};
use crate::format::damage::{Damage, Fault, What};
use crate::format::seal;

const MAGIC: &[u8; 8] = b"EVMSARBI";
const VERSION: u16 = 1;
/// Blocks per node.
pub const BLOCKS_PER_NODE: u64 = 2;
/// The highest of a block's numbers that is believed: a thousand a second from now on for thirty years. A block has a
/// checksum and no seal, and a number near the last of all, believed once, would leave none to anybody for good.
const COUNT_MAX: u64 = 1 << 40;
/// Bits of a ballot that hold the id of the node that made it.
const NODE_BITS: u32 = 16;
/// Bytes of a set of nodes.
const SET_BYTES: u16 = 8;

/// The first bytes of an arbitration disk.
pub const HEAD_MAGIC: &[u8; 8] = b"EVMSARBH";
/// Where the blocks of nodes begin; what lies between them and the head is reserved.
pub const AREA_AT: Bytes = Bytes(64 * 1024);
/// Bytes that such a disk has at least: the head, and two blocks for each of 64 nodes.
pub const DISK_BYTES_MIN: Bytes = Bytes(AREA_AT.0 + BLOCKS_PER_NODE * BLOCK_BYTES * NODE_ID_MAX as u64);

/// The first block of an arbitration disk: whose it is, and which. Who finds another one there writes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArbitrationHead {
    /// The cluster.
    pub cluster: ClusterId,
    /// The disk: the same path on two nodes may lead to two disks, and one tie would then have two winners.
    pub disk: DiskId,
}

impl ArbitrationHead {
    /// The sealed block.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(HEAD_MAGIC).u16(VERSION).u16(0).u32(0).bytes(&self.cluster.0).bytes(&self.disk.0);
        // 48 bytes of fields always fit one block.
        seal::close(&writer.finish()).unwrap_or_default()
    }

    /// Reads the block.
    pub fn decode(block: &[u8]) -> Result<ArbitrationHead, Damage> {
        let mut reader = Reader::new(seal::open(block, HEAD_MAGIC, What::Arbitration)?);
        let version = reader.u16().unwrap_or(0);
        if version != VERSION {
            return Err(Damage::new(What::Arbitration, Fault::Version(version)));
        }
        let short = || Damage::new(What::Arbitration, Fault::Short);
        reader.bytes(6).ok_or_else(short)?;
        let cluster = ClusterId(reader.array().ok_or_else(short)?);
        Ok(ArbitrationHead { cluster, disk: DiskId(reader.array().ok_or_else(short)?) })
    }
}

/// One attempt to win: `round << 16 | node id`; no two nodes make the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ballot(pub u64);

impl Ballot {
    /// The first ballot of `node` above `seen`; the same one when the rounds are used up (2^48 of them).
    pub fn above(seen: Ballot, node: NodeId) -> Ballot {
        let round = (seen.0 >> NODE_BITS).saturating_add(1).min(u64::MAX >> NODE_BITS);
        Ballot(round << NODE_BITS | u64::from(node.0))
    }

    /// The node that made it.
    pub fn node(self) -> NodeId {
        NodeId((self.0 & ((1 << NODE_BITS) - 1)) as u16)
    }
}

/// A view as it stands on an arbitration disk: number and members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ViewRecord {
    /// The counter of its number; zero is no view.
    pub counter: u64,
    /// Who proposed it.
    pub proposer: NodeId,
    /// The mark of the proposer's boot.
    pub boot: u32,
    /// Its members, node 1 in the lowest bit.
    pub members: u64,
}

impl ViewRecord {
    /// Is there a view at all?
    pub fn is_some(&self) -> bool {
        self.counter != 0
    }

    fn write(&self, writer: &mut Writer) {
        writer.u64(self.counter).u16(self.proposer.0).u16(SET_BYTES).u32(self.boot).u64(self.members);
    }

    /// `Err` where the set of members is a longer one than is known here.
    fn read(reader: &mut Reader<'_>) -> Option<Result<ViewRecord, ()>> {
        let (counter, proposer) = (reader.u64()?, NodeId(reader.u16()?));
        let bytes = reader.u16()?;
        let (boot, members) = (reader.u32()?, reader.u64()?);
        Some(if bytes == SET_BYTES { Ok(ViewRecord { counter, proposer, boot, members }) } else { Err(()) })
    }
}

/// What a node says on an arbitration disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArbitrationBlock {
    /// The node's number; also the block's place.
    pub id: NodeId,
    /// The machine.
    pub node: NodeUuid,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The life of the node that wrote it.
    pub incarnation: Incarnation,
    /// The generation of the configuration that it goes by.
    pub generation: u64,
    /// Grows with each write: the beat.
    pub counter: u64,
    /// It accepts nothing of a lower ballot.
    pub promised: Ballot,
    /// The ballot in which it accepted; zero when it never did.
    pub accepted: Ballot,
    /// What it accepted in it: the view that is quorate by it.
    pub holder: ViewRecord,
    /// Grows with each write by which it extends the lease of that view.
    pub renewals: u64,
    /// The newest view by which it was quorate, in this way or by a majority.
    pub quorate: ViewRecord,
}

impl ArbitrationBlock {
    /// The sealed block.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(MAGIC).u16(VERSION).u16(self.id.0).u32(0);
        writer.bytes(&self.node.0).bytes(&self.cluster.0).bytes(&self.incarnation.0);
        writer.u64(self.generation).u64(self.counter).u64(self.promised.0).u64(self.accepted.0);
        self.holder.write(&mut writer);
        writer.u64(self.renewals);
        self.quorate.write(&mut writer);
        // 152 bytes of fields always fit one block.
        seal::close(&writer.finish()).unwrap_or_default()
    }

    /// Reads one block.
    pub fn decode(block: &[u8]) -> Result<ArbitrationBlock, Damage> {
        let mut reader = Reader::new(seal::open(block, MAGIC, What::Arbitration)?);
        let version = reader.u16().unwrap_or(0);
        if version != VERSION {
            return Err(Damage::new(What::Arbitration, Fault::Version(version)));
        }
        let short = Damage::new(What::Arbitration, Fault::Short);
        let fields = ArbitrationBlock::fields(&mut reader).ok_or(short)?;
        let field = |name| Damage::new(What::Arbitration, Fault::Field(name));
        let block = fields.map_err(|()| field("bytes of a set"))?;
        block.beyond_belief().map_or(Ok(block), |name| Err(field(name)))
    }

    /// A number that nobody can have come to, by its name.
    fn beyond_belief(&self) -> Option<&'static str> {
        let round = |ballot: Ballot| ballot.0 >> NODE_BITS;
        let numbers = [
            ("generation", self.generation),
            ("counter", self.counter),
            ("promised", round(self.promised)),
            ("accepted", round(self.accepted)),
            ("holder counter", self.holder.counter),
            ("renewals", self.renewals),
            ("quorate counter", self.quorate.counter),
        ];
        numbers.into_iter().find(|(_, number)| *number > COUNT_MAX).map(|(name, _)| name)
    }

    fn fields(reader: &mut Reader<'_>) -> Option<Result<ArbitrationBlock, ()>> {
        let id = NodeId(reader.u16()?);
        reader.u32()?;
        let node = NodeUuid(reader.array()?);
        let (cluster, incarnation) = (ClusterId(reader.array()?), Incarnation(reader.array()?));
        let (generation, counter) = (reader.u64()?, reader.u64()?);
        let (promised, accepted) = (Ballot(reader.u64()?), Ballot(reader.u64()?));
        let holder = ViewRecord::read(reader)?;
        let renewals = reader.u64()?;
        let quorate = ViewRecord::read(reader)?;
        let (Ok(holder), Ok(quorate)) = (holder, quorate) else { return Some(Err(())) };
        Some(Ok(ArbitrationBlock {
            id,
            node,
            cluster,
            incarnation,
            generation,
            counter,
            promised,
            accepted,
            holder,
            renewals,
            quorate,
        }))
    }
}

/// Where one of a node's two blocks lies, from the start of the area (ids start at 1).
pub fn place(id: NodeId, second: bool) -> Option<Bytes> {
    let first = u64::from(id.0.checked_sub(1)?) * BLOCKS_PER_NODE;
    Some(Bytes((first + u64::from(second)) * BLOCK_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> ArbitrationBlock {
        let view = |counter| ViewRecord { counter, proposer: NodeId(2), boot: 77, members: 0b110 };
        ArbitrationBlock {
            id: NodeId(2),
            node: NodeUuid([1; 16]),
            cluster: ClusterId([2; 16]),
            incarnation: Incarnation([3; 16]),
            generation: 4,
            counter: 5,
            promised: Ballot::above(Ballot(6 << 16 | 9), NodeId(2)),
            accepted: Ballot(6 << 16 | 2),
            holder: view(8),
            renewals: 9,
            quorate: view(10),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(ArbitrationBlock::decode(&block().encode()), Ok(block()));
        assert_eq!(block().promised, Ballot(7 << 16 | 2));
        let mut bytes = block().encode();
        bytes[4000] ^= 1;
        assert!(ArbitrationBlock::decode(&bytes).is_err_and(|damage| !damage.is_blank()));
        assert!(ArbitrationBlock::decode(&[0; 4096]).is_err_and(|damage| damage.is_blank()));
    }

    /// One block with a number near the last of all would stop the whole cluster for good.
    #[test]
    fn numbers_beyond_belief_are_not_believed() {
        let last = ViewRecord { counter: COUNT_MAX, ..block().quorate };
        let most = ArbitrationBlock { generation: COUNT_MAX, counter: COUNT_MAX, quorate: last, ..block() };
        assert_eq!(ArbitrationBlock::decode(&most.encode()), Ok(most));
        let beyond = ViewRecord { counter: COUNT_MAX + 1, ..block().quorate };
        let blocks = [
            ("generation", ArbitrationBlock { generation: u64::MAX, ..block() }),
            ("counter", ArbitrationBlock { counter: COUNT_MAX + 1, ..block() }),
            ("promised", ArbitrationBlock { promised: Ballot(u64::MAX), ..block() }),
            ("accepted", ArbitrationBlock { accepted: Ballot((COUNT_MAX + 1) << NODE_BITS), ..block() }),
            ("holder counter", ArbitrationBlock { holder: beyond, ..block() }),
            ("renewals", ArbitrationBlock { renewals: COUNT_MAX + 1, ..block() }),
            ("quorate counter", ArbitrationBlock { quorate: beyond, ..block() }),
        ];
        for (name, block) in blocks {
            let expected = Damage::new(What::Arbitration, Fault::Field(name));
            assert_eq!(ArbitrationBlock::decode(&block.encode()), Err(expected));
        }
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let head = ArbitrationHead { cluster: ClusterId([5; 16]), disk: DiskId([6; 16]) };
        assert_eq!(ArbitrationHead::decode(&head.encode()), Ok(head));
        assert!(ArbitrationHead::decode(&block().encode()).is_err());
        assert_eq!(DISK_BYTES_MIN, Bytes(64 * 1024 + 64 * 2 * 4096));
    }

    #[test]
    fn each_block_has_a_place_of_its_own() {
        assert_eq!(place(NodeId(1), false), Some(Bytes(0)));
        assert_eq!(place(NodeId(3), true), Some(Bytes(5 * 4096)));
        assert_eq!(place(NodeId(0), true), None);
    }
}
