//! What the transport tells who uses it, and how it refuses.

use core::fmt;

use crate::base::id::NodeId;
use crate::cluster::transport::limits::{MESSAGE_BYTES_MAX, QUEUE_BYTES_MAX};

/// One message among all that this transport was ever given, numbered from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(pub u64);

/// Why a session with a peer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It left the view, or was thrown out.
    LeftView,
    /// Another session of it, or with it, took its place.
    Replaced,
    /// This node's own daemon ends.
    Stopped,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ended::LeftView => "it left the view",
            Ended::Replaced => "another session took the place of this one",
            Ended::Stopped => "this daemon ends",
        })
    }
}

/// What happened. Each message that was accepted ends in exactly one of `Delivered` and `Failed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message can be taken, and none could before.
    Arrived(NodeId),
    /// The peer's application took this message.
    Delivered(NodeId, MessageId),
    /// The session ended before it was known whether the peer's application took this message: it may still take it, in a session
    /// that does not know yet, or never.
    Failed(NodeId, MessageId, Ended),
    /// There is room again for what was refused with [`SendError::Full`].
    Room(NodeId),
}

/// Why a message was not accepted; nothing of it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// There is no session with this node.
    NotAPeer(NodeId),
    /// No message may be so long.
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// Too much waits for this peer already. [`Event::Room`] says when to try again.
    Full {
        /// The peer.
        node: NodeId,
        /// Bytes that wait for it.
        waiting_bytes: usize,
        /// Messages that wait for it.
        waiting_messages: usize,
    },
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::NotAPeer(node) => write!(f, "there is no session with node {node}"),
            SendError::TooLong { bytes } => {
                write!(f, "a message of {bytes} bytes is longer than {MESSAGE_BYTES_MAX}, the most")
            }
            SendError::Full { node, waiting_bytes, waiting_messages } => write!(
                f,
                "{waiting_messages} messages of {waiting_bytes} bytes wait for node {node}: there is room for \
                 {QUEUE_BYTES_MAX} bytes"
            ),
        }
    }
}

/// What came and was not believed or not kept. It was not acknowledged; an honest sender sends it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Packets of nodes with which there is no session, or on links that they do not have.
    pub strangers: u64,
    /// Packets that are not lawful.
    pub malformed: u64,
    /// Pieces beyond the window, or messages longer than any may be.
    pub outside_window: u64,
    /// Pieces that came too early, with too many others.
    pub too_early: u64,
    /// Acknowledgements of what was never sent.
    pub never_sent: u64,
}
