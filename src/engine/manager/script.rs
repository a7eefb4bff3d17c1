//! A cluster manager that says what it was told to say, and keeps what it was given to send: for tests of all that stands
//! on one.

use std::collections::VecDeque;

use crate::base::id::NodeId;
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::cluster::node_set::NodeSet;
use crate::engine::manager::{
    ClusterManager, Letter, Life, MESSAGE_BYTES_MAX, Members, NotSent, Told, membership,
};

/// A script.
#[derive(Clone, Debug, Default)]
pub struct Script {
    me: NodeId,
    nodes: SmallMap<NodeId, Name>,
    members: Members,
    lives: SmallMap<NodeId, Life>,
    approaching: NodeSet,
    told: VecDeque<Told>,
    /// What was sent, in order: to whom, and what.
    pub sent: Vec<(NodeId, Vec<u8>)>,
}

impl Script {
    /// Of these nodes; nobody is a member yet.
    pub fn new(me: NodeId, nodes: SmallMap<NodeId, Name>) -> Script {
        Script { me, nodes, ..Script::default() }
    }

    /// The members are these from now on.
    pub fn have(&mut self, nodes: NodeSet, quorate: bool) {
        let now = Members { number: self.members.number + 1, nodes, quorate };
        self.told.push_back(membership(&self.members, now.clone()));
        self.members = now;
    }

    /// These are on their way.
    pub fn approach(&mut self, nodes: NodeSet) {
        self.approaching = nodes;
    }

    /// A node speaks in this life from now on.
    pub fn live(&mut self, node: NodeId, life: Life) {
        self.lives.insert(node, life);
    }

    /// A member says this.
    pub fn say(&mut self, from: NodeId, message: &[u8]) {
        self.told.push_back(Told::Message(from, message.to_vec()));
    }

    /// The message of this number was delivered, or failed with these words.
    pub fn end(&mut self, letter: Letter, failed: Option<&str>) {
        self.told.push_back(match failed {
            None => Told::Delivered(letter),
            Some(words) => Told::Failed(letter, words.into()),
        });
    }
}

impl ClusterManager for Script {
    fn me(&self) -> NodeId {
        self.me
    }

    fn nodes(&self) -> SmallMap<NodeId, Name> {
        self.nodes.clone()
    }

    fn members(&self) -> Members {
        self.members.clone()
    }

    fn approaching(&self) -> NodeSet {
        self.approaching.minus(self.members.nodes)
    }

    fn life(&self, node: NodeId) -> Option<Life> {
        self.lives.get(&node).copied()
    }

    fn told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    fn send(&mut self, to: NodeId, message: Vec<u8>) -> Result<Letter, NotSent> {
        if !self.members.nodes.has(to) || to == self.me {
            return Err(NotSent::NotAMember(to));
        }
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(NotSent::TooLong(message.len()));
        }
        self.sent.push((to, message));
        Ok(Letter(self.sent.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[u16]) -> NodeSet {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn a_script_tells_what_it_was_told_with_the_difference() {
        let mut script = Script::new(NodeId(1), SmallMap::new());
        script.have(set(&[1, 2]), true);
        script.have(set(&[1, 3]), false);
        script.say(NodeId(3), b"hello");
        let quorate = |number, nodes, quorate| Members { number, nodes, quorate };
        let first =
            Told::Membership { now: quorate(1, set(&[1, 2]), true), came: set(&[1, 2]), went: set(&[]) };
        let second =
            Told::Membership { now: quorate(2, set(&[1, 3]), false), came: set(&[3]), went: set(&[2]) };
        assert_eq!(script.told(), Some(first));
        assert_eq!(script.told(), Some(second));
        assert_eq!(script.told(), Some(Told::Message(NodeId(3), b"hello".to_vec())));
        assert_eq!(script.send(NodeId(2), vec![1]), Err(NotSent::NotAMember(NodeId(2))));
        assert_eq!(script.send_to_all(b"x"), vec![(NodeId(3), Ok(Letter(1)))]);
        assert_eq!(script.sent, vec![(NodeId(3), b"x".to_vec())]);
        script.approach(set(&[2, 3]));
        assert_eq!(script.approaching(), set(&[2]), "a member is there");
        script.end(Letter(1), Some("it left the view"));
        assert_eq!(script.told(), Some(Told::Failed(Letter(1), "it left the view".into())));
        assert_eq!(script.told(), None);
    }
}
