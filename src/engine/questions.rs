//! What nodes ask each other, and what is answered, over any cluster manager: which question waits, which message carries it, and what
//! ends the waiting. Who waits is of the caller's kind and comes back with the answer; how long he waits is his own affair.

use std::sync::Arc;

use crate::base::id::NodeId;
use crate::base::small_map::SmallMap;
use crate::engine::manager::{ClusterManager, Letter as Message, Life, NotSent, Told};
use crate::format::control::{Reply, Request};
use crate::format::cursor::is_same;
use crate::format::letter::Letter;

/// Pings under way at one time, by all who ping.
pub const PINGS_MAX: usize = 4096;

/// A question of another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Who asks.
    pub from: NodeId,
    /// In which of its lives.
    pub life: Option<Life>,
    /// Under which number.
    pub number: u64,
    /// What.
    pub request: Request,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Came<W> {
    /// A node asks this one.
    Asked(Asked),
    /// Who waited has his answer.
    Answered(W, Box<Reply>),
    /// What was asked arrived nowhere, or nobody knows: why, in words.
    Failed(W, String),
    /// A ping came back, with the very bytes that were sent.
    Back(W),
    /// It came back with others, or from another node: nothing that carries messages may do that (L6).
    Altered(W),
    /// This node did not know what was said to it.
    NotKnown(NodeId),
}

/// Why a ping was not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPinged {
    /// The manager says so.
    NotSent(NotSent),
    /// [`PINGS_MAX`] are under way.
    TooMany,
}

/// A ping under way: to whom, with what, and who waits for it.
struct Ping<W> {
    to: NodeId,
    payload: Arc<[u8]>,
    waits: W,
}

/// All questions of a node that wait, and the manager that carries them.
pub struct Questions<M, W> {
    manager: M,
    /// Of the last question.
    number: u64,
    waiting: SmallMap<u64, (NodeId, W)>,
    /// Which messages carry which question: when they fail, so does it.
    carrying: SmallMap<Message, u64>,
    pings: SmallMap<u64, Ping<W>>,
}

impl<M: ClusterManager, W> Questions<M, W> {
    /// By this manager. Numbers go on behind `number`, which is to begin anywhere: an answer to an earlier life of this node fits none of
    /// this one's questions.
    pub fn new(manager: M, number: u64) -> Self {
        Self { manager, number, waiting: SmallMap::new(), carrying: SmallMap::new(), pings: SmallMap::new() }
    }

    /// The manager.
    pub fn manager(&self) -> &M {
        &self.manager
    }

    /// The same, for what is its own.
    pub fn manager_mut(&mut self) -> &mut M {
        &mut self.manager
    }

    /// This node began anew by another manager: what was under way is over, and who waited is let go.
    pub fn begin_anew(&mut self, manager: M) {
        *self = Self::new(manager, self.number);
    }

    /// The number of the last question, for who tests what happens when two lives count alike.
    #[cfg(test)]
    pub(crate) fn last(&mut self) -> &mut u64 {
        &mut self.number
    }

    fn next_number(&mut self) -> u64 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    /// Asks a node: the number of the question.
    pub fn ask(&mut self, to: NodeId, request: Request, waits: W) -> Result<u64, NotSent> {
        let number = self.next_number();
        let message = self.manager.send(to, Letter::Ask(number, request).encode())?;
        self.waiting.insert(number, (to, waits));
        self.carrying.insert(message, number);
        Ok(number)
    }

    /// Tells a node something, and waits for nothing. Who is gone hears it from others.
    pub fn tell(&mut self, to: NodeId, request: Request) {
        let number = self.next_number();
        let _ = self.manager.send(to, Letter::Ask(number, request).encode());
    }

    /// Answers. Who is gone does not hear it, nor does another life of it, which may ask something else by that number.
    pub fn answer(&mut self, asked: &Asked, reply: Reply) {
        if self.manager.life(asked.from) == asked.life {
            let letter = Letter::Answer(asked.number, Box::new(reply)).encode();
            let _ = self.manager.send(asked.from, letter);
        }
    }

    /// Sends bytes to a node that sends them back: the number of the ping.
    pub fn ping(&mut self, to: NodeId, payload: &Arc<[u8]>, waits: W) -> Result<u64, NotPinged> {
        if self.pings.len() >= PINGS_MAX {
            return Err(NotPinged::TooMany);
        }
        let number = self.next_number();
        let letter = Letter::Ping(number, payload.to_vec()).encode();
        self.manager.send(to, letter).map_err(NotPinged::NotSent)?;
        self.pings.insert(number, Ping { to, payload: Arc::clone(payload), waits });
        Ok(number)
    }

    /// Nobody waits for this question or ping any more.
    pub fn forget(&mut self, number: u64) {
        self.waiting.remove(&number);
        self.pings.remove(&number);
    }

    /// The next thing that came and that is somebody's; pings of others are answered meanwhile.
    pub fn came(&mut self) -> Option<Came<W>> {
        while let Some(told) = self.manager.told() {
            let came = match told {
                Told::Message(from, message) => self.read(from, &message),
                Told::Delivered(message) => {
                    self.carrying.remove(&message);
                    None
                }
                Told::Failed(message, why) => self.failed(message, why),
                Told::Membership { .. } => None,
            };
            if came.is_some() {
                return came;
            }
        }
        None
    }

    fn failed(&mut self, message: Message, why: String) -> Option<Came<W>> {
        let number = self.carrying.remove(&message)?;
        let (_, waits) = self.waiting.remove(&number)?;
        Some(Came::Failed(waits, why))
    }

    fn read(&mut self, from: NodeId, message: &[u8]) -> Option<Came<W>> {
        match Letter::decode(message) {
            Some(Letter::Ask(number, request)) => {
                let life = self.manager.life(from);
                Some(Came::Asked(Asked { from, life, number, request }))
            }
            Some(Letter::Answer(number, reply)) => {
                // Only who was asked answers.
                self.waiting.get(&number).filter(|(asked, _)| *asked == from)?;
                let (_, waits) = self.waiting.remove(&number)?;
                Some(Came::Answered(waits, reply))
            }
            Some(Letter::Ping(number, payload)) => {
                let _ = self.manager.send(from, Letter::Pong(number, payload).encode());
                None
            }
            Some(Letter::Pong(number, payload)) => {
                let ping = self.pings.remove(&number)?;
                let is_it = ping.to == from && is_same(&ping.payload, &payload);
                Some(if is_it { Came::Back(ping.waits) } else { Came::Altered(ping.waits) })
            }
            Some(Letter::Unknown) => Some(Came::NotKnown(from)),
            None => {
                let _ = self.manager.send(from, Letter::Unknown.encode());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
