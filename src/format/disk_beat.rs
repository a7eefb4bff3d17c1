//! What nodes tell each other over a member disk: a beat of each that has gates of its container, and a question to one that is silent
//! on the network. Both stand behind the promises, in the pair of blocks of the node that says it, and promise nothing: a torn one is
//! not there, and the next one is.

use crate::base::gather::Gather;
use crate::base::id::{ClusterId, ContainerId, Incarnation, NodeId, NodeUuid};
use crate::base::limits::NODE_ID_MAX;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::cursor::{Reader, Writer, is_zero};
use crate::format::damage::{Damage, Fault, What};
use crate::format::layout::Area;
use crate::format::node_block::{self, BLOCKS_PER_NODE};
use crate::format::seal;

const BEAT_MAGIC: &[u8; 8] = b"EVMSBEAT";
const QUESTION_MAGIC: &[u8; 8] = b"EVMSQUES";
const VERSION: u16 = 1;
/// Answers in one beat at most: one to each node.
pub const ANSWERS_MAX: usize = NODE_ID_MAX as usize;
/// Bytes of what all nodes say.
pub const WORDS_BYTES: u64 = NODE_ID_MAX as u64 * BLOCKS_PER_NODE * BLOCK_BYTES;

/// What tells one question from every other: random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

/// A sign of life of a node that has gates of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskBeat {
    /// The node's number.
    pub id: NodeId,
    /// Its machine.
    pub node: NodeUuid,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The container.
    pub container: ContainerId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Grows with each beat on this disk.
    pub counter: u64,
    /// To these questions: *nothing of mine passes to this container's disks, and nothing will before I have a lease again.* Made
    /// after the question was read, at a moment without a lease at which no gate of the container on that machine let anything
    /// through (safety 5.1).
    pub shut: Vec<Nonce>,
}

/// A question to a node that is in the view of the one who asks no more: do your gates let anything through?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskQuestion {
    /// The number of the node that asks.
    pub id: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The container.
    pub container: ContainerId,
    /// Which machine is asked.
    pub asked: NodeUuid,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// What the answer has to repeat.
    pub nonce: Nonce,
}

impl DiskBeat {
    /// The sealed block; of more than [`ANSWERS_MAX`] answers the first.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(BEAT_MAGIC).u16(VERSION).u16(self.id.0);
        let answers = self.shut.len().min(ANSWERS_MAX);
        writer.u32(answers as u32);
        writer.bytes(&self.node.0).bytes(&self.cluster.0).bytes(&self.container.0).bytes(&self.incarnation.0);
        writer.u64(self.counter);
        for nonce in self.shut.iter().take(ANSWERS_MAX) {
            writer.bytes(&nonce.0);
        }
        // 88 bytes and 64 answers of 16 always fit one block.
        seal::close(&writer.finish()).unwrap_or_default()
    }

    /// Reads one block.
    pub fn decode(block: &[u8]) -> Result<DiskBeat, Damage> {
        let mut reader = opened(block, BEAT_MAGIC, What::DiskBeat)?;
        DiskBeat::fields(&mut reader).ok_or(Damage::new(What::DiskBeat, Fault::Short))
    }

    fn fields(reader: &mut Reader<'_>) -> Option<DiskBeat> {
        let id = NodeId(reader.u16()?);
        let answers = usize::try_from(reader.u32()?).ok().filter(|&answers| answers <= ANSWERS_MAX)?;
        let (node, cluster) = (NodeUuid(reader.array()?), ClusterId(reader.array()?));
        let (container, incarnation) = (ContainerId(reader.array()?), Incarnation(reader.array()?));
        let counter = reader.u64()?;
        let shut = (0..answers).map(|_| reader.array().map(Nonce)).collect::<Option<_>>()?;
        Some(DiskBeat { id, node, cluster, container, incarnation, counter, shut })
    }
}

impl DiskQuestion {
    /// The sealed block.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(QUESTION_MAGIC).u16(VERSION).u16(self.id.0).u32(0);
        writer.bytes(&self.cluster.0).bytes(&self.container.0);
        writer.bytes(&self.asked.0).bytes(&self.incarnation.0).bytes(&self.nonce.0);
        // 96 bytes of fields always fit one block.
        seal::close(&writer.finish()).unwrap_or_default()
    }

    /// Reads one block.
    pub fn decode(block: &[u8]) -> Result<DiskQuestion, Damage> {
        let mut reader = opened(block, QUESTION_MAGIC, What::Question)?;
        DiskQuestion::fields(&mut reader).ok_or(Damage::new(What::Question, Fault::Short))
    }

    fn fields(reader: &mut Reader<'_>) -> Option<DiskQuestion> {
        let id = NodeId(reader.u16()?);
        reader.u32()?;
        Some(DiskQuestion {
            id,
            cluster: ClusterId(reader.array()?),
            container: ContainerId(reader.array()?),
            asked: NodeUuid(reader.array()?),
            incarnation: Incarnation(reader.array()?),
            nonce: Nonce(reader.array()?),
        })
    }
}

fn opened<'a>(block: &'a [u8], magic: &[u8], what: What) -> Result<Reader<'a>, Damage> {
    let mut reader = Reader::new(seal::open(block, magic, what)?);
    match reader.u16().unwrap_or(0) {
        VERSION => Ok(reader),
        version => Err(Damage::new(what, Fault::Version(version))),
    }
}

/// Is there nothing in these blocks but whole promises and words of nodes, and zeroes? That is what a wipe leaves that a crash cut short:
/// the label goes first.
pub fn are_all(bytes: &[u8]) -> bool {
    let is_word = |block: &[u8]| DiskBeat::decode(block).is_ok() || DiskQuestion::decode(block).is_ok();
    bytes.chunks(seal::BLOCK).all(|block| is_zero(block) || node_block::is_one(block) || is_word(block))
}

/// Where on the disk the words of all nodes begin, [`WORDS_BYTES`] long: behind the promises of as many nodes. `None` where the area
/// has no room for them: nobody says anything there.
pub fn words_at(area: &Area) -> Option<Bytes> {
    let at = Bytes(area.start_bytes().0.checked_add(WORDS_BYTES)?);
    area.holds(at, WORDS_BYTES).then_some(at)
}

fn pair_at(id: NodeId) -> Option<u64> {
    let place = id.0.checked_sub(1).filter(|&place| place < NODE_ID_MAX)?;
    Some(u64::from(place) * BLOCKS_PER_NODE * BLOCK_BYTES)
}

/// Where the beats of a node stand.
pub fn beat_at(area: &Area, id: NodeId) -> Option<Bytes> {
    Some(Bytes(words_at(area)?.0 + pair_at(id)?))
}

/// Where the questions of a node stand.
pub fn question_at(area: &Area, id: NodeId) -> Option<Bytes> {
    Some(Bytes(beat_at(area, id)?.0 + BLOCK_BYTES))
}

/// What all nodes say, as read from [`words_at`] on; what stands in another node's place speaks for nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Their beats.
    pub beats: Vec<DiskBeat>,
    /// Their questions.
    pub questions: Vec<DiskQuestion>,
}

impl Words {
    /// Of these bytes.
    pub fn decode(bytes: &[u8]) -> Words {
        let pairs = bytes.chunks_exact((BLOCKS_PER_NODE * BLOCK_BYTES) as usize).enumerate();
        let pairs = pairs.map(|(index, pair)| (usize::from(u16::MAX).min(index + 1) as u16, pair));
        let halves = pairs.filter_map(|(id, pair)| Some((NodeId(id), pair.split_at_checked(seal::BLOCK)?)));
        let halves: Vec<_> = halves.gather();
        let beat = |(id, (beat, _)): &(NodeId, (&[u8], &[u8]))| {
            DiskBeat::decode(beat).ok().filter(|beat| beat.id == *id)
        };
        let question = |(id, (_, question)): &(NodeId, (&[u8], &[u8]))| {
            DiskQuestion::decode(question).ok().filter(|question| question.id == *id)
        };
        Words {
            beats: halves.iter().filter_map(beat).gather(),
            questions: halves.iter().filter_map(question).gather(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Sectors;
    use crate::format::layout::{AreaKind, End};
    use crate::format::node_block::NodeBlocks;

    fn beat(id: u16, answers: usize) -> DiskBeat {
        DiskBeat {
            id: NodeId(id),
            node: NodeUuid([id as u8; 16]),
            cluster: ClusterId([5; 16]),
            container: ContainerId([9; 16]),
            incarnation: Incarnation([3; 16]),
            counter: 77,
            shut: (0..answers).map(|answer| Nonce([answer as u8; 16])).collect(),
        }
    }

    fn question(id: u16) -> DiskQuestion {
        DiskQuestion {
            id: NodeId(id),
            cluster: ClusterId([5; 16]),
            container: ContainerId([9; 16]),
            asked: NodeUuid([2; 16]),
            incarnation: Incarnation([3; 16]),
            nonce: Nonce([8; 16]),
        }
    }

    fn area(length_sectors: u64) -> Area {
        let (kind, end) = (AreaKind::NodeBlocks, End::Primary);
        Area { kind, end, start: Sectors(128), length: Sectors(length_sectors) }
    }

    #[test]
    fn what_was_said_is_read() {
        for answers in [0, 1, ANSWERS_MAX] {
            let beat = beat(2, answers);
            assert_eq!(DiskBeat::decode(&beat.encode()), Ok(beat));
        }
        assert_eq!(DiskBeat::decode(&beat(2, ANSWERS_MAX + 1).encode()), Ok(beat(2, ANSWERS_MAX)));
        assert_eq!(DiskQuestion::decode(&question(1).encode()), Ok(question(1)));
        assert!(DiskBeat::decode(&question(1).encode()).is_err());
        assert!(DiskQuestion::decode(&beat(2, 0).encode()).is_err());
    }

    #[test]
    fn no_flipped_bit_and_no_strange_count_says_anything() {
        let sealed = beat(2, 2).encode();
        for bit in 0..200 * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(DiskBeat::decode(&flipped).is_err(), "bit {bit}");
        }
        let mut content = sealed[..4092].to_vec();
        content[12..16].copy_from_slice(&65u32.to_le_bytes());
        assert!(DiskBeat::decode(&seal::close(&content).unwrap()).is_err());
        content[12..16].copy_from_slice(&2u32.to_le_bytes());
        content[8..10].copy_from_slice(&2u16.to_le_bytes());
        assert!(DiskBeat::decode(&seal::close(&content).unwrap()).is_err_and(|damage| damage.is_newer()));
    }

    /// 1 MiB from byte 65536 on: promises in the first half, words in the other one.
    #[test]
    fn words_stand_behind_all_promises_or_nowhere() {
        let whole = area(2048);
        assert_eq!(words_at(&whole), Some(Bytes(65_536 + 524_288)));
        assert_eq!(beat_at(&whole, NodeId(1)), Some(Bytes(589_824)));
        assert_eq!(question_at(&whole, NodeId(64)), Some(Bytes(65_536 + 1_048_576 - 4096)));
        assert_eq!(beat_at(&whole, NodeId(65)), None);
        assert_eq!(beat_at(&whole, NodeId(0)), None);
        assert_eq!(words_at(&area(2040)), None);
        assert_eq!(beat_at(&area(1024), NodeId(1)), None);
    }

    #[test]
    fn words_are_heard_from_their_place_alone_and_hide_no_promise() {
        let mut bytes = vec![0; WORDS_BYTES as usize];
        bytes[..4096].copy_from_slice(&beat(1, 1).encode());
        bytes[4096..8192].copy_from_slice(&question(1).encode());
        bytes[8192..12_288].copy_from_slice(&beat(7, 1).encode());
        let words = Words::decode(&bytes);
        assert_eq!((words.beats, words.questions), (vec![beat(1, 1)], vec![question(1)]));
        // Torn, too: what stands here is no promise that cannot be read.
        bytes[8192 + 2048..12_288].fill(0);
        let area = [vec![0; WORDS_BYTES as usize], bytes].concat();
        assert_eq!(NodeBlocks::decode(&area), NodeBlocks::default());
    }
}
