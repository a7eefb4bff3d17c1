//! A beat: what each node tells all others ten times a second, and at once when something changed. It carries all that is
//! needed to agree, so that a lost one is made good by the next: no message of the membership is ever sent again.

use serde::{Deserialize, Serialize};

use crate::base::id::{Incarnation, NodeId};
use crate::base::small_map::SmallMap;
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::{Stage, View, ViewNumber};
use crate::format::greeting::{VERSIONS, shared_version};

/// Which life of a node's daemon: numbered anew from one in every incarnation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Session(pub u64);

/// One beat among all of a node: counters begin anew with each session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BeatNumber {
    /// The life of the daemon that sent it.
    pub session: Session,
    /// Which one of that life, from one.
    pub counter: u64,
}

/// Whom a node hears, as known by a beat of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The boot of the node that says it.
    pub incarnation: Incarnation,
    /// The beat that it was said in: of two rows of one boot the higher one counts.
    pub beat: BeatNumber,
    /// Whom it hears.
    pub hears: NodeSet,
    /// The number of the view that last counted for it.
    pub view: ViewNumber,
    /// The members of that.
    pub members: NodeSet,
}

/// A beat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// Who sends it.
    pub node: NodeId,
    /// In which boot.
    pub incarnation: Incarnation,
    /// Which beat it is.
    pub number: BeatNumber,
    /// The generation of the configuration that it goes by.
    pub generation: u64,
    /// The highest view that the node promised or heard of.
    pub highest: u64,
    /// The view that the node promised: it is in no lower one.
    pub promised: ViewNumber,
    /// How far it is with that view; nothing when it promised none.
    pub stage: Option<Stage>,
    /// Whom the node would have as members.
    pub choice: NodeSet,
    /// The view that it proposes.
    pub proposal: Option<View>,
    /// Who hears whom, its own row among them.
    pub rows: SmallMap<NodeId, Row>,
    /// The newest beat heard of each: of the boot that `rows` names, for numbers begin anew with each boot, and of a machine
    /// and its copy both call.
    pub heard: SmallMap<NodeId, BeatNumber>,
    /// Do those echoes, for members of the promised view, extend leases?
    pub grants: bool,
    /// Was the sender ever quorate since its boot (F27)?
    pub warm: bool,
    /// Does it run containers (R14)?
    pub holds: bool,
    /// Was a majority by this generation of the configuration, as far as it knows?
    pub settled: bool,
    /// Does it reach a majority of the arbitration disks?
    pub reaches: bool,
    /// By which beats of others its promised view holds a tie: those that it had heard when it began to write. Of the same
    /// boots.
    pub stands: SmallMap<NodeId, BeatNumber>,
    /// It leaves in good order, its gates are closed: nobody need wait for what it was granted.
    pub left: bool,
}

impl Beat {
    /// Its bytes, for the other nodes: the oldest version by which they can be read and the newest that the sender speaks,
    /// then all fields as postcard has them. One beat is for all, whatever each of them speaks: what a newer version has
    /// more to say stands behind these fields.
    pub fn encode(&self) -> Vec<u8> {
        // There is no value of it that postcard cannot write.
        postcard::to_extend(self, vec![VERSIONS.0, VERSIONS.1]).unwrap_or_default()
    }

    /// Reads the bytes of another node. Nothing when they are none, or of versions that this program does not know.
    pub fn decode(bytes: &[u8]) -> Option<Beat> {
        let ([oldest, newest], fields) = bytes.split_first_chunk()?;
        shared_version(VERSIONS, (*oldest, *newest))?;
        postcard::take_from_bytes(fields).ok().map(|(beat, _)| beat)
    }

    /// A beat of which no more is known than that it was heard.
    pub fn unknown(node: NodeId, incarnation: Incarnation, number: BeatNumber) -> Beat {
        Beat {
            node,
            incarnation,
            number,
            generation: 0,
            highest: 0,
            promised: ViewNumber::default(),
            stage: None,
            choice: NodeSet::EMPTY,
            proposal: None,
            rows: SmallMap::new(),
            heard: SmallMap::new(),
            grants: false,
            warm: false,
            holds: false,
            settled: false,
            reaches: false,
            stands: SmallMap::new(),
            left: false,
        }
    }

    /// The newest beat that the sender heard of this boot of a node.
    pub fn echo_to(&self, node: NodeId, incarnation: Incarnation) -> Option<BeatNumber> {
        self.heard.get(&node).filter(|_| self.speaks_of(node, incarnation)).copied()
    }

    /// The beat of this boot of a node from which on the sender's disks hold a tie for it.
    pub fn stands_by(&self, node: NodeId, incarnation: Incarnation) -> Option<BeatNumber> {
        self.stands.get(&node).filter(|_| self.speaks_of(node, incarnation)).copied()
    }

    fn speaks_of(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.rows.get(&node).is_some_and(|row| row.incarnation == incarnation)
    }

    /// Is the sender as far as this with that view?
    pub fn is_at(&self, number: ViewNumber, stage: Stage) -> bool {
        self.promised == number && self.stage.is_some_and(|at| at >= stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F25: a machine and its copy number their beats alike; what is an echo to one is none to the other.
    #[test]
    fn f25_an_echo_to_one_boot_is_none_to_another() {
        let (mine, copy) = (Incarnation([1; 16]), Incarnation([2; 16]));
        let number = BeatNumber { session: Session(1), counter: 70 };
        let nobody = (ViewNumber::default(), NodeSet::EMPTY);
        let row = Row { incarnation: copy, beat: number, hears: nobody.1, view: nobody.0, members: nobody.1 };
        let beat = Beat {
            rows: SmallMap::from([(NodeId(1), row)]),
            heard: SmallMap::from([(NodeId(1), number)]),
            stands: SmallMap::from([(NodeId(1), number)]),
            ..Beat::unknown(NodeId(3), Incarnation([4; 16]), BeatNumber::default())
        };
        assert_eq!(beat.echo_to(NodeId(1), copy), Some(number));
        assert_eq!(beat.stands_by(NodeId(1), copy), Some(number));
        assert_eq!(beat.echo_to(NodeId(1), mine), None);
        assert_eq!(beat.stands_by(NodeId(1), mine), None);
        assert_eq!(Beat { rows: SmallMap::new(), ..beat }.echo_to(NodeId(1), copy), None);
    }

    /// F29: one version ahead is read without what it says more; what cannot be read as this version is no beat.
    #[test]
    fn f29_a_beat_of_a_newer_program_is_read_as_far_as_it_is_known() {
        let beat = Beat::unknown(NodeId(3), Incarnation([4; 16]), BeatNumber::default());
        let bytes = beat.encode();
        assert_eq!(bytes[..2], [1, 1]);
        assert_eq!(Beat::decode(&bytes).as_ref(), Some(&beat));
        let of = |oldest: u8, newest: u8| [&[oldest, newest], &bytes[2..], b"more"].concat();
        assert_eq!(Beat::decode(&of(1, 2)), Some(beat));
        assert_eq!(Beat::decode(&of(2, 3)), None);
        assert_eq!(Beat::decode(&of(0, 0)), None);
        assert_eq!(Beat::decode(&[1]), None);
    }
}
