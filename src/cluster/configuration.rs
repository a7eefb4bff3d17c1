//! What all nodes of a cluster have in common: who they are, how much each counts, and their times (safety 1.6).

use serde::{Deserialize, Serialize};

use crate::base::id::{ClusterId, NodeId, NodeUuid};
use crate::base::small_map::SmallMap;
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::node_set::NodeSet;
use crate::cluster::timing::Timing;

/// Votes of one node at most.
pub const VOTES_MAX: u16 = 100;

/// How many arbitration disks there may be: two would be lost with either of them.
pub const ARBITRATION_DISKS: [u8; 3] = [0, 1, 3];

/// One node as its cluster knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voter {
    /// The machine, for ever.
    pub uuid: NodeUuid,
    /// How much its word counts; zero is a node that decides nothing.
    pub votes: u16,
}

/// A cluster's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The cluster.
    pub cluster: ClusterId,
    /// Grows with every change; whoever reads a higher one anywhere refuses its own.
    pub generation: u64,
    /// Its nodes.
    pub nodes: SmallMap<NodeId, Voter>,
    /// How many arbitration disks it has: 0, 1 or 3 (safety 1.5).
    pub arbitration_disks: u8,
    /// Its times.
    pub timing: Timing,
}

impl Configuration {
    /// Its nodes without what is known of them.
    pub fn all(&self) -> NodeSet {
        self.nodes.keys().copied().collect()
    }

    /// Votes of these nodes together.
    pub fn votes(&self, nodes: NodeSet) -> u32 {
        let of = |(node, voter): (&NodeId, &Voter)| if nodes.has(*node) { u32::from(voter.votes) } else { 0 };
        self.nodes.iter().map(of).sum()
    }

    /// Votes of all nodes.
    pub fn votes_of_all(&self) -> u32 {
        self.votes(self.all())
    }

    /// Have so many votes more than half of all?
    pub fn is_majority(&self, votes: u32, rules: Rules) -> bool {
        is_majority(votes, self.votes_of_all(), rules)
    }
}

/// Are so many votes more than half of all of them?
pub(crate) fn is_majority(votes: u32, all: u32, rules: Rules) -> bool {
    let twice = votes.saturating_mul(2);
    twice > all || (breaks!(rules, HalfIsMajority) && twice >= all)
}
