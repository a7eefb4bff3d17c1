//! L6: a message is delivered at most once, in order, unaltered, between two sessions; or its sender is told. And what belongs
//! to it: no sender hears that a message was delivered before the receiving application took it, each hears of each message
//! exactly once, who was refused is told when there is room, and what is kept for a peer or of it stays within its bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evms::cluster::transport::event::MessageId;
use evms::cluster::transport::limits::{QUEUE_BYTES_MAX, RECEIVED_BYTES_MAX, WINDOW_BYTES};
use evms::format::packet::LENGTH_BYTES;

use super::Broken;

const LAW: &str = "L6 delivery";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Delivered,
    Failed,
}

struct Letter {
    /// Until it was taken.
    bytes: Option<Arc<Vec<u8>>>,
    told: Told,
}

/// One direction of one pair of sessions.
#[derive(Default)]
struct Way {
    letters: Vec<Letter>,
    taken: usize,
}

/// Who sends: a machine and which life of its daemon.
pub type Sender = (usize, u64);
/// A pair of sessions, and the machine that sends.
pub type Direction = (u64, usize);

#[derive(Default)]
pub struct Delivery {
    ways: BTreeMap<Direction, Way>,
    sent: BTreeMap<(Sender, MessageId), (Direction, usize)>,
    refused: BTreeSet<(Sender, usize)>,
    pub delivered: u64,
    pub bytes: u64,
}

fn broken(words: String) -> Result<(), Broken> {
    Err(Broken { law: LAW, words })
}

impl Delivery {
    /// A message was accepted.
    pub fn sent(
        &mut self,
        sender: Sender,
        id: MessageId,
        pair: u64,
        bytes: Arc<Vec<u8>>,
    ) -> Result<(), Broken> {
        let direction = (pair, sender.0);
        let way = self.ways.entry(direction).or_default();
        way.letters.push(Letter { bytes: Some(bytes), told: Told::Nothing });
        match self.sent.insert((sender, id), (direction, way.letters.len() - 1)) {
            None => Ok(()),
            Some(_) => broken(format!("{sender:?} was given {id:?} for two messages")),
        }
    }

    /// The application took a message.
    pub fn taken(&mut self, direction: Direction, bytes: &[u8]) -> Result<(), Broken> {
        let way = self.ways.entry(direction).or_default();
        let number = way.taken;
        let Some(letter) = way.letters.get_mut(number) else {
            return broken(format!("{direction:?}: message {number} was never sent"));
        };
        let same = letter.bytes.take().is_some_and(|sent| evms::format::cursor::is_same(&sent, bytes));
        if !same {
            return broken(format!("{direction:?}: message {number} is not what was sent, or not its turn"));
        }
        way.taken += 1;
        self.delivered += 1;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// A sender is told how a message ended.
    pub fn told(&mut self, sender: Sender, id: MessageId, delivered: bool) -> Result<(), Broken> {
        let Some((direction, number)) = self.sent.get(&(sender, id)).copied() else {
            return broken(format!("{sender:?} is told of {id:?}, which it never sent"));
        };
        let Some(way) = self.ways.get_mut(&direction) else { return Ok(()) };
        if delivered && number >= way.taken {
            return broken(format!("{direction:?}: message {number} is delivered, and nobody took it"));
        }
        if way.letters[number].told != Told::Nothing {
            return broken(format!("{direction:?}: of message {number} its sender is told twice"));
        }
        way.letters[number].told = if delivered { Told::Delivered } else { Told::Failed };
        Ok(())
    }

    /// A sender was refused for want of room, is told that there is some, or lost its peer.
    pub fn refused(&mut self, sender: Sender, to: usize, refused: bool) {
        if refused {
            self.refused.insert((sender, to));
        } else {
            self.refused.remove(&(sender, to));
        }
    }

    pub fn is_refused(&self, sender: Sender, to: usize) -> bool {
        self.refused.contains(&(sender, to))
    }

    /// What a machine keeps for a peer, and of it.
    pub fn keeps(&self, (kept_for, kept_of): (usize, usize), from_peer: Direction) -> Result<(), Broken> {
        if kept_for > QUEUE_BYTES_MAX {
            return broken(format!("{kept_for} bytes are kept to be sent, {QUEUE_BYTES_MAX} are the most"));
        }
        let way = self.ways.get(&from_peer);
        let first = way.and_then(|way| way.letters.get(way.taken)).and_then(|letter| letter.bytes.as_ref());
        let most =
            (LENGTH_BYTES + WINDOW_BYTES + first.map_or(0, |bytes| bytes.len())).min(RECEIVED_BYTES_MAX);
        if kept_of > most {
            return broken(format!("{from_peer:?}: {kept_of} bytes are kept that came, {most} are the most"));
        }
        Ok(())
    }

    /// At the end, when all was calm for long: each sender that still lives was told of each of its messages, and waits for no
    /// room.
    pub fn ended(&self, lives: impl Fn(Sender) -> bool) -> Result<(), Broken> {
        for ((_, id), (direction, number)) in self.sent.iter().filter(|((sender, _), _)| lives(*sender)) {
            let way = &self.ways[direction];
            if way.letters[*number].told == Told::Nothing {
                let taken = way.taken;
                return broken(format!(
                    "{direction:?}: the sender of message {number} ({id:?}) is told nothing; {taken} were taken"
                ));
            }
        }
        match self.refused.iter().find(|(sender, _)| lives(*sender)) {
            None => Ok(()),
            Some((sender, to)) => broken(format!("{sender:?} waits for room for messages to {to} for ever")),
        }
    }
}
