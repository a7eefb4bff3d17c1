//! A view: an agreed set of members, numbered (safety 1.2).

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::base::id::{Incarnation, NodeId};
use crate::base::small_map::SmallMap;
use crate::cluster::node_set::NodeSet;
use crate::format::arbitration::ViewRecord;

/// The number of a view: no two proposers mint the same, and a higher one ends all lower ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ViewNumber {
    /// One more than any that the proposer had seen.
    pub counter: u64,
    /// Who proposed it.
    pub proposer: NodeId,
    /// A mark of the proposer's boot: one that forgot what it proposed before mints no number anew.
    pub boot: u32,
}

impl ViewNumber {
    /// The number of a proposal.
    pub fn mint(counter: u64, proposer: NodeId, incarnation: Incarnation) -> ViewNumber {
        let words = incarnation
            .0
            .chunks(4)
            .map(|bytes| bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)));
        ViewNumber { counter, proposer, boot: words.fold(0, |boot, word| boot.rotate_left(7) ^ word) }
    }
}

impl ViewNumber {
    /// The number of a view that stands on an arbitration disk.
    pub fn of(record: &ViewRecord) -> ViewNumber {
        ViewNumber { counter: record.counter, proposer: record.proposer, boot: record.boot }
    }
}

impl fmt::Display for ViewNumber {
    /// `17.2`: the seventeenth, of node 2.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.counter, self.proposer)
    }
}

/// A view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Its number.
    pub number: ViewNumber,
    /// Its members, each with the boot in which it is one.
    pub members: SmallMap<NodeId, Incarnation>,
}

impl View {
    /// The members without their incarnations.
    pub fn nodes(&self) -> NodeSet {
        self.members.keys().copied().collect()
    }

    /// As it stands on an arbitration disk.
    pub fn record(&self) -> ViewRecord {
        let ViewNumber { counter, proposer, boot } = self.number;
        ViewRecord { counter, proposer, boot, members: self.nodes().bits() }
    }

    /// Is this boot of this node a member?
    pub fn has(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.members.get(&node) == Some(&incarnation)
    }
}

/// How far a node is with a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// It promised to be in no lower one.
    Accepted,
    /// It knows that all members accepted.
    Installed,
}

impl fmt::Display for View {
    /// `17.2 (nodes 1 2 4)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (nodes {})", self.number, self.nodes())
    }
}
