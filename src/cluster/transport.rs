//! Messages between sessions: each comes once, whole, in order and unaltered, or its sender is told (law L6). Below is a channel
//! between two sessions that is sealed and may lose, delay and overtake; above, whoever has something to say.
//!
//! Think of one endless roll of paper to each peer, on which messages stand one behind the other. Pieces of it travel in packets;
//! packets have numbers, are acknowledged by number, and never travel twice: what was lost is copied into a new one. Apart from
//! that the receiver says how far its *application* took the roll: only that ends a message for its sender, and only that
//! gives room for more.
//!
//! A program's order of calls: what came goes to [`Transport::receive`]; then [`Transport::event`] and [`Transport::take`] until
//! they are empty; then [`Transport::poll`] until it is; then sleep until [`Transport::deadline`].

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::id::NodeId;
use crate::base::small_map::SmallMap;
use crate::base::time::BootMicros;
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::transport::event::{Ended, Event, MessageId, Refusals, SendError};
use crate::cluster::transport::limits::MESSAGE_BYTES_MAX;
use crate::cluster::transport::link::LinkStatus;
use crate::cluster::transport::peer::Peer;

mod arrivals;
mod congestion;
pub mod event;
mod flight;
mod inbox;
pub mod limits;
pub mod link;
mod losses;
mod outbox;
mod pace;
mod path_size;
mod peer;
mod ranges;
mod round_trip;
#[cfg(test)]
mod tests;

/// A packet to be sealed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// To this node, within the present session.
    pub node: NodeId,
    /// On this link, numbered from zero.
    pub link: usize,
    /// Under this number of the channel.
    pub number: u64,
    /// What it carries; at most as much as the path was found to let pass.
    pub payload: Vec<u8>,
}

/// A peer, and when it is to be looked at again: now, when something happened since it was.
#[derive(Clone, Debug)]
struct Served {
    peer: Peer,
    due: BootMicros,
}

/// All sessions of this node.
#[derive(Clone, Debug)]
pub struct Transport {
    rules: Rules,
    peers: SmallMap<NodeId, Served>,
    events: VecDeque<Event>,
    messages: u64,
    /// The peer that was served last.
    served: NodeId,
    refusals: Refusals,
}

impl Transport {
    /// Without a peer.
    pub fn new(rules: Rules) -> Transport {
        Transport {
            rules,
            peers: SmallMap::new(),
            events: VecDeque::new(),
            messages: 0,
            served: NodeId::default(),
            refusals: Refusals::default(),
        }
    }

    /// A session with a node is established over so many links (1 to 4). An earlier one ends: what was sent in it and not taken
    /// fails, what came in it and was not taken is dropped.
    pub fn peer_up(&mut self, now: BootMicros, node: NodeId, links: usize) {
        let peer = Peer::new(node, links, self.rules, now);
        #[cfg(feature = "mistakes")]
        let peer = match self.peers.remove(&node) {
            Some(before) if breaks!(self.rules, HalfReceivedContinued) => {
                self.fail(node, &before.peer, Ended::Replaced);
                peer.continued(before.peer)
            }
            Some(before) => {
                self.peers.insert(node, before);
                peer
            }
            None => peer,
        };
        self.peer_down(node, Ended::Replaced);
        self.peers.insert(node, Served { peer, due: BootMicros::default() });
    }

    /// The session with a node ends: what was sent and not taken fails, what came and was not taken is dropped.
    pub fn peer_down(&mut self, node: NodeId, why: Ended) {
        if let Some(served) = self.peers.remove(&node) {
            self.fail(node, &served.peer, why);
        }
    }

    fn fail(&mut self, node: NodeId, peer: &Peer, why: Ended) {
        if !breaks!(self.rules, FailedInSilence) {
            self.events.extend(peer.unfinished().map(|id| Event::Failed(node, id, why)));
        }
    }

    /// Gives a message to be sent, of at most 16 MiB. An event says how it ends.
    pub fn send(&mut self, node: NodeId, message: impl Into<Arc<Vec<u8>>>) -> Result<MessageId, SendError> {
        let message: Arc<Vec<u8>> = message.into();
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(SendError::TooLong { bytes: message.len() });
        }
        let id = MessageId(self.messages + 1);
        let Some(peer) = self.touch(node) else { return Err(SendError::NotAPeer(node)) };
        if !peer.outbox().push(id, message) {
            let (waiting_bytes, waiting_messages) = (peer.outbox().bytes(), peer.outbox().messages());
            return Err(SendError::Full { node, waiting_bytes, waiting_messages });
        }
        self.messages += 1;
        Ok(id)
    }

    /// A peer that has to be looked at again.
    fn touch(&mut self, node: NodeId) -> Option<&mut Peer> {
        let served = self.peers.get_mut(&node)?;
        served.due = BootMicros::default();
        Some(&mut served.peer)
    }

    /// The next message of a node, in the order in which they were sent. While none is taken, its sender is held back.
    pub fn take(&mut self, now: BootMicros, node: NodeId) -> Option<Vec<u8>> {
        let message = self.peers.get_mut(&node)?.peer.take(now)?;
        self.touch(node);
        Some(message)
    }

    /// What happened. All of it is to be taken before time goes on: each message makes one.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A packet came: authentic, of the present session with this node, on this link, under this number, and not a double.
    pub fn receive(&mut self, now: BootMicros, node: NodeId, link: usize, number: u64, payload: &[u8]) {
        match self.peers.get_mut(&node) {
            None => self.refusals.strangers += 1,
            Some(Served { peer, due }) => {
                *due = BootMicros::default();
                let events = &mut self.events;
                let tell = |event| events.push_back(event);
                peer.receive(now, link, number, payload, &mut self.refusals, tell);
            }
        }
    }

    /// The next packet to send now, if any; nodes take turns. `number` is asked once for each: for the number under which the
    /// channel will send it to this node. Numbers grow, and few of them are left out: gaps look like losses to the peer.
    pub fn poll(&mut self, now: BootMicros, mut number: impl FnMut(NodeId) -> u64) -> Option<Outgoing> {
        let last = self.served;
        for behind in [true, false] {
            let due =
                |(node, served): &(&NodeId, &mut Served)| (**node > last) == behind && served.due <= now;
            for (node, served) in self.peers.iter_mut().filter(due) {
                if let Some(leaving) = served.peer.poll(now, &mut || number(*node)) {
                    self.served = *node;
                    let (link, number) = (leaving.link, leaving.number);
                    return Some(Outgoing { node: *node, link, number, payload: leaving.payload });
                }
                served.due = served.peer.deadline(now);
            }
        }
        None
    }

    /// When [`Transport::poll`] has to be asked again though nothing comes and nothing is sent. To be asked when `poll` had
    /// nothing more.
    pub fn deadline(&self) -> BootMicros {
        self.peers.values().map(|served| served.due).fold(BootMicros::FOREVER, BootMicros::min)
    }

    /// How the links to a node are; nothing when there is no session with it.
    pub fn links(&self, now: BootMicros, node: NodeId) -> Option<Vec<LinkStatus>> {
        self.peers.get(&node).map(|served| served.peer.status(now))
    }

    /// Bytes kept to be sent to a node, at most [`limits::QUEUE_BYTES_MAX`], and bytes kept that came from it, at most
    /// [`limits::RECEIVED_BYTES_MAX`].
    pub fn bytes(&self, node: NodeId) -> Option<(usize, usize)> {
        self.peers.get(&node).map(|served| served.peer.bytes())
    }

    /// What came and was refused, since this transport began.
    pub fn refusals(&self) -> Refusals {
        self.refusals
    }
}
