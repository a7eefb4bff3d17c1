//! Why a machine may not, in words that say what to do.

use core::fmt;

use crate::base::epoch::Generation;
use crate::base::failure::{Failure, Kind};
use crate::base::id::{ClusterId, NodeUuid};
use crate::base::name::Name;

/// Why this machine may not. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A cluster deported it, and this machine is no quorate node of any.
    DeportedElsewhere {
        /// Its name.
        name: Name,
        /// Which cluster's it was.
        cluster: ClusterId,
        /// Why this machine is no quorate node of a cluster, and what to do; empty where it is none at all.
        why: String,
    },
    /// It belongs to a cluster, whose evmsd alone may touch it.
    OfCluster {
        /// The container.
        name: Name,
        /// The cluster.
        cluster: ClusterId,
        /// Why this machine has no warrant of it, and what to do; empty when it is in none.
        why: String,
    },
    /// Another machine owns it.
    OwnedBy {
        /// The container.
        name: Name,
        /// Its owner.
        owner: NodeUuid,
        /// The owner's name.
        owner_name: Option<Name>,
        /// This machine.
        me: NodeUuid,
    },
    /// What was found against a node is not enough any more.
    NoEvidence {
        /// The container.
        name: Name,
    },
    /// This node's life was counted out of it.
    Expelled {
        /// The container.
        name: Name,
    },
    /// Nobody's.
    Deported {
        /// The container.
        name: Name,
    },
    /// Deleted; its disks still carry labels.
    Deleted {
        /// The container.
        name: Name,
    },
    /// Shared, on devices, and no daemon.
    SharedNeedsDaemon {
        /// The container.
        name: Name,
    },
    /// This machine has no identity.
    NoIdentity {
        /// The container.
        name: Name,
    },
    /// Nobody claimed it yet.
    Unclaimed {
        /// The container.
        name: Name,
    },
    /// This node has gates of it that are closed since it was not quorate.
    GatesClosed {
        /// The container.
        name: Name,
    },
    /// It was written under a later configuration of its cluster than this node goes by.
    OutdatedNode {
        /// The container.
        name: Name,
        /// The configuration's generation that it was written under.
        written: Generation,
        /// This node's.
        mine: Generation,
    },
    /// A newer program forbids older ones to write it.
    NewerProgram {
        /// The container.
        name: Name,
    },
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::OfCluster { name, cluster, why } => write!(
                f,
                "container {name} belongs to the cluster {cluster} and only that cluster's evmsd may touch it; nothing was \
                 written; {}",
                if why.is_empty() { "run the command on a node of that cluster" } else { why }
            ),
            Denied::DeportedElsewhere { name, cluster, why } => write!(
                f,
                "container {name} was deported by the cluster {cluster}, and a node of a cluster takes it when it is quorate; nothing was \
                 written; {}",
                if why.is_empty() {
                    "say the command on such a node, or make this machine one with evmsd init or evmsd join"
                } else {
                    why
                }
            ),
            Denied::OwnedBy { name, owner, owner_name, me } => {
                let who = owner_name.as_ref().map_or(String::new(), |name| format!("{name}, "));
                write!(
                    f,
                    "container {name} is owned by another machine ({who}node {owner}) and this one is {}; nothing was \
                     written; run the command there, or let that machine deport it first",
                    if me.is_none() { "without a node identity".into() } else { format!("node {me}") }
                )
            }
            denied => denied.of_this_node(f),
        }
    }
}

impl std::error::Error for Denied {}

impl Failure for Denied {
    fn kind(&self) -> Kind {
        match self {
            Denied::NewerProgram { .. } => Kind::Damage,
            _ => Kind::NotOwner,
        }
    }
}

impl Denied {
    /// What is wrong with this node, or with what it brings.
    fn of_this_node(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Denied::NoEvidence { name } => write!(
                f,
                "container {name} says by now that the other node has gates of it in a way that what was found against that node \
                 does not cover; nothing was written; it came back, perhaps: see evms status, and run the command again"
            ),
            Denied::Expelled { name } => write!(
                f,
                "container {name} does not count on this node any more: others had to go on without it; nothing was written; take \
                 down what is left here with: evms deactivate --fail {name}, and then run: evms activate {name}"
            ),
            Denied::Deported { name } => write!(
                f,
                "container {name} is deported and so nobody may change it; nothing was written; first run: evms container \
                 import {name}"
            ),
            Denied::Deleted { name } => write!(
                f,
                "container {name} is being deleted and nobody may use it again; nothing was written; finish it with: evms \
                 container delete {name}"
            ),
            Denied::SharedNeedsDaemon { name } => write!(
                f,
                "container {name} is shared by all nodes of a cluster and can be changed on block devices only where its evmsd \
                 runs; nothing was written; run the command on a node of a cluster"
            ),
            Denied::NoIdentity { name } => write!(
                f,
                "this machine has no node identity and so cannot own container {name}; nothing was written; write 32 hex \
                 digits of its own into /etc/evms/node or boot with evms.node="
            ),
            Denied::Unclaimed { name } => write!(
                f,
                "container {name} is not claimed by any machine yet; nothing was written; first run: evms container \
                 import {name}"
            ),
            Denied::GatesClosed { name } => write!(
                f,
                "the gates of container {name} on this node are closed since it was not quorate, and evmsd has not read its disks \
                 yet to see whether it is this node's still; nothing was written; see: evms-fence status; say the command again, \
                 or give up what waits with: evms deactivate --fail {name}"
            ),
            Denied::OutdatedNode { name, written, mine } => write!(
                f,
                "container {name} was written under configuration {} of its cluster and this node goes by {}; nothing was written; \
                 it is one that slept through a change: see evms status on the other nodes, and start evmsd here anew",
                written.0, mine.0
            ),
            Denied::NewerProgram { name } => write!(
                f,
                "container {name} was written by a newer evms that forbids this one to change it; nothing was written; \
                 use the newer program"
            ),
            // Told above.
            Denied::OfCluster { .. } | Denied::DeportedElsewhere { .. } | Denied::OwnedBy { .. } => Ok(()),
        }
    }
}
