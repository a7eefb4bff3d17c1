//! A set of nodes as one word: node ids are 1..=64.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::base::id::NodeId;
use crate::base::limits::NODE_ID_MAX;

const _: () = assert!(NODE_ID_MAX as u32 == u64::BITS);

/// A set of nodes.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeSet(u64);

impl NodeSet {
    /// Nobody.
    pub const EMPTY: Self = Self(0);

    /// Node 1 in the lowest bit.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// As [`NodeSet::bits`] gave it.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    fn bit(node: NodeId) -> u64 {
        match node.0 {
            1..=NODE_ID_MAX => 1 << (node.0 - 1),
            _ => 0,
        }
    }

    /// Just this node.
    pub fn of(node: NodeId) -> Self {
        Self(Self::bit(node))
    }

    /// Is it in?
    pub fn has(self, node: NodeId) -> bool {
        self.0 & Self::bit(node) != 0
    }

    /// With this node.
    #[must_use]
    pub fn with(self, node: NodeId) -> Self {
        Self(self.0 | Self::bit(node))
    }

    /// Without this node.
    #[must_use]
    pub fn without(self, node: NodeId) -> Self {
        Self(self.0 & !Self::bit(node))
    }

    /// Those in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in the other.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// How many.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Nobody?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The lowest id.
    pub fn lowest(self) -> Option<NodeId> {
        (!self.is_empty()).then(|| NodeId(self.0.trailing_zeros() as u16 + 1))
    }

    /// All of them, by id.
    pub fn iter(self) -> impl Iterator<Item = NodeId> {
        let mut rest = self;
        core::iter::from_fn(move || {
            let node = rest.lowest()?;
            rest = rest.without(node);
            Some(node)
        })
    }

    /// Does it come before another of as many, by ids compared from the lowest?
    pub fn is_before(self, other: Self) -> bool {
        let (mine, theirs) = (self.minus(other).lowest(), other.minus(self).lowest());
        match (mine, theirs) {
            (Some(mine), Some(theirs)) => mine < theirs,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}

impl FromIterator<NodeId> for NodeSet {
    fn from_iter<I: IntoIterator<Item = NodeId>>(nodes: I) -> Self {
        nodes.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Display for NodeSet {
    /// `1 2 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, node) in self.iter().enumerate() {
            let gap = if place == 0 { "" } else { " " };
            write!(f, "{gap}{node}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u16]) -> NodeSet {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn a_set_is_what_was_put_in() {
        let one = set(&[1, 5, 64]);
        assert_eq!(one.to_string(), "1 5 64");
        assert_eq!(one.len(), 3);
        assert!(one.has(NodeId(64)) && !one.has(NodeId(2)) && !one.has(NodeId(0)) && !one.has(NodeId(65)));
        assert_eq!(one.minus(set(&[5])), set(&[1, 64]));
        assert_eq!(set(&[0, 65, 1000]), NodeSet::EMPTY, "what is no node id is in no set");
    }

    #[test]
    fn lower_ids_come_first() {
        for (before, after) in [(&[1, 4][..], &[2, 3][..]), (&[1, 2, 9], &[1, 3, 4]), (&[1, 2], &[1])] {
            assert!(set(before).is_before(set(after)) && !set(after).is_before(set(before)));
        }
        assert!(!set(&[1, 2]).is_before(set(&[1, 2])));
    }
}
