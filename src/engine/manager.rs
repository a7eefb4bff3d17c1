//! The cluster manager as evms uses it (ECE, design section 6): who is a member, may this node act, and messages between
//! nodes. The built-in one stands on heartbeats; another may stand on something else, so nothing above may assume them.
//! [`script::Script`] is one that says what a test tells it to.

use core::fmt;

use crate::base::id::{Incarnation, NodeId};
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::cluster::beat::Session;
use crate::cluster::node_set::NodeSet;

pub mod script;

/// Longest message in bytes (design section 5).
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// One message among all that were given to a manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Letter(pub u64);

/// One life of a node's daemon: another boot, and another daemon of the same boot, are others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its boot.
    pub incarnation: Incarnation,
    /// Which daemon of that boot.
    pub session: Session,
}

/// Who is a member right now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// The view's number; grows with every change.
    pub number: u64,
    /// Its members.
    pub nodes: NodeSet,
    /// May this node act?
    pub quorate: bool,
}

/// What a manager tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The members changed, or the quorum did: all of it, and the difference to what was told before.
    Membership {
        /// As it is now.
        now: Members,
        /// Who came.
        came: NodeSet,
        /// Who went.
        went: NodeSet,
    },
    /// A member sent this.
    Message(NodeId, Vec<u8>),
    /// The receiver took this message.
    Delivered(Letter),
    /// Whether the receiver took it will not be known: why, in words.
    Failed(Letter, String),
}

/// Why a message was not accepted; nothing of it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// It is not in the view.
    NotAMember(NodeId),
    /// It is longer than any may be: its bytes.
    TooLong(usize),
    /// Too much waits for this node; try again when something of it was delivered.
    Full(NodeId),
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotSent::NotAMember(node) => {
                write!(
                    f,
                    "node {node} is not in the view, is this node, or its messages are not answered; nothing was sent"
                )
            }
            NotSent::TooLong(bytes) => {
                write!(f, "a message of {bytes} bytes is longer than {MESSAGE_BYTES_MAX}; nothing was sent")
            }
            NotSent::Full(node) => write!(f, "too much waits for node {node} already; nothing was sent"),
        }
    }
}

/// A cluster manager.
pub trait ClusterManager {
    /// This node.
    fn me(&self) -> NodeId;

    /// All nodes of the cluster, members or not, with their names.
    fn nodes(&self) -> SmallMap<NodeId, Name>;

    /// Who is a member right now.
    fn members(&self) -> Members;

    /// Who is no member, and on its way to be one again, as far as this manager can tell: it may be about to go on with what it has. One that
    /// cannot tell names nobody.
    fn approaching(&self) -> NodeSet {
        NodeSet::EMPTY
    }

    /// In which life a node speaks now; none of whom nothing is known.
    fn life(&self, node: NodeId) -> Option<Life>;

    /// The next thing to be told, in the order in which it happened.
    fn told(&mut self) -> Option<Told>;

    /// Gives a message for one member: delivered at most once, in order, unaltered; or its end is told.
    fn send(&mut self, to: NodeId, message: Vec<u8>) -> Result<Letter, NotSent>;

    /// The same message for all other members; each delivery is told apart. Who cannot be given it is named.
    fn send_to_all(&mut self, message: &[u8]) -> Vec<(NodeId, Result<Letter, NotSent>)> {
        let others = self.members().nodes.without(self.me());
        others.iter().map(|node| (node, self.send(node, message.to_vec()))).collect()
    }
}

/// The difference between what was told and what is.
pub fn membership(before: &Members, now: Members) -> Told {
    let (came, went) = (now.nodes.minus(before.nodes), before.nodes.minus(now.nodes));
    Told::Membership { now, came, went }
}
