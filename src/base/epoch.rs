//! Epoch and generation: the order in which a container's models follow each other (safety 2.1).

use core::fmt;
use serde::{Deserialize, Serialize};

use crate::base::id::NodeId;

/// Bits of an epoch that hold the id of the node that minted it.
const NODE_BITS: u32 = 16;

/// One holding of a container: `round << 16 | node id`. Grows at every change of hands; no two nodes mint the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before every holding.
    pub const NONE: Self = Self(0);

    /// The first epoch of `node` above `seen`, or `None` when the rounds are used up (2^48 of them).
    pub fn above(seen: Epoch, node: NodeId) -> Option<Epoch> {
        Epoch::far_above(seen, 1, node)
    }

    /// The epoch of `node` so many rounds above `seen`, or `None` when the rounds are used up.
    pub fn far_above(seen: Epoch, rounds: u64, node: NodeId) -> Option<Epoch> {
        let round = (seen.0 >> NODE_BITS).checked_add(rounds)?;
        if round >> (64 - NODE_BITS) != 0 {
            return None;
        }
        Some(Epoch(round << NODE_BITS | u64::from(node.0)))
    }

    /// The node that minted this epoch.
    pub fn minted_by(self) -> NodeId {
        NodeId((self.0 & 0xffff) as u16)
    }

    /// The epoch that is written as `text`, as in `7.1`: round, then node.
    pub fn parse(text: &str) -> Option<Epoch> {
        let (round, node) = text.split_once('.')?;
        let epoch = Epoch(
            round.parse::<u64>().ok()?.checked_mul(1 << NODE_BITS)? | u64::from(node.parse::<u16>().ok()?),
        );
        (epoch.to_string() == text).then_some(epoch)
    }

    /// Which round this is.
    pub fn round(self) -> u64 {
        self.0 >> NODE_BITS
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.round(), self.minted_by())
    }
}

/// A model's number inside the life of a container; each commit adds one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

impl Generation {
    /// The next one, or `None` after 2^64 - 1.
    pub fn next(self) -> Option<Generation> {
        self.0.checked_add(1).map(Generation)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What is compared when models compete: epoch first, then generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Order {
    /// The holding under which the model was written.
    pub epoch: Epoch,
    /// Its number.
    pub generation: Generation,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {}, generation {}", self.epoch, self.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_epoch_is_above_all_seen_and_names_its_node() {
        let seen = Epoch::above(Epoch::NONE, NodeId(64)).unwrap();
        let mine = Epoch::above(seen, NodeId(1)).unwrap();
        assert!(mine > seen);
        assert_eq!((mine.round(), mine.minted_by()), (2, NodeId(1)));
        assert_eq!(Epoch::above(Epoch(u64::MAX), NodeId(1)), None);
    }

    #[test]
    fn an_epoch_is_read_as_it_is_written_and_no_other_way() {
        for epoch in [Epoch(0), Epoch(u64::MAX), Epoch::above(Epoch::NONE, NodeId(3)).unwrap()] {
            assert_eq!(Epoch::parse(&epoch.to_string()), Some(epoch));
        }
        for text in ["", "7", "7.", ".1", "07.1", "+7.1", "7.65536", "281474976710656.0", "7.1.1"] {
            assert_eq!(Epoch::parse(text), None, "{text}");
        }
    }
}
