//! The choice of members: the largest set of nodes that all hear each other both ways, the same on every node that knows the
//! same matrix (safety 1.1; F5, F6, R15). Most votes, then most members of the current view, then containing its proposer,
//! then lowest ids.

use crate::base::id::NodeId;
use crate::base::limits::NODE_ID_MAX;
use crate::cluster::configuration::Configuration;
use crate::cluster::node_set::NodeSet;

/// Sets that are looked at before the search is ended by leaving out, one after the other, whoever is heard worst. With one
/// bad link among the nodes two are looked at, with twelve that share no node 8192.
const SETS_MAX: u32 = 1 << 14;

/// What makes one choice better than another.
#[derive(Clone, Copy, Debug)]
pub struct Taste<'a> {
    /// Who counts how much.
    pub configuration: &'a Configuration,
    /// Members of the view that stands.
    pub current: NodeSet,
    /// Who proposed that.
    pub proposer: NodeId,
}

impl Taste<'_> {
    fn is_better(&self, one: NodeSet, other: NodeSet) -> bool {
        let worth = |set: NodeSet| {
            (self.configuration.votes(set), set.and(self.current).len(), set.has(self.proposer), set.len())
        };
        let (one_worth, other_worth) = (worth(one), worth(other));
        one_worth > other_worth || (one_worth == other_worth && one.is_before(other))
    }
}

/// The best set of nodes of which each hears all others. `hears` has a row for every node that is heard of.
pub fn best(hears: &[(NodeId, NodeSet)], taste: Taste<'_>) -> NodeSet {
    let mut search = Search { both_ways: both_ways(hears), taste, best: NodeSet::EMPTY, left: SETS_MAX };
    search.among(hears.iter().map(|(node, _)| *node).collect());
    search.best
}

/// Node ids from zero, which is nobody.
const PLACES: usize = NODE_ID_MAX as usize + 1;

/// With whom each node hears the other both ways, by its id.
fn both_ways(hears: &[(NodeId, NodeSet)]) -> [NodeSet; PLACES] {
    let mut one_way = [NodeSet::EMPTY; PLACES];
    for (node, row) in hears {
        if let Some(place) = one_way.get_mut(usize::from(node.0)) {
            *place = *row;
        }
    }
    let mut both = [NodeSet::EMPTY; PLACES];
    for (node, row) in hears {
        let answers = |other: &NodeId| one_way.get(usize::from(other.0)).is_some_and(|row| row.has(*node));
        if let Some(place) = both.get_mut(usize::from(node.0)) {
            *place = row.iter().filter(answers).collect();
        }
    }
    both
}

struct Search<'a> {
    both_ways: [NodeSet; PLACES],
    taste: Taste<'a>,
    best: NodeSet,
    left: u32,
}

impl Search<'_> {
    /// Those of `set` whom this one does not hear both ways.
    fn strangers(&self, node: NodeId, set: NodeSet) -> NodeSet {
        set.minus(self.both_ways.get(usize::from(node.0)).copied().unwrap_or_default()).without(node)
    }

    /// Leaves out one or the other of two that do not hear each other.
    fn among(&mut self, set: NodeSet) {
        let votes = self.taste.configuration.votes(set);
        let reached = self.taste.configuration.votes(self.best);
        if votes < reached || self.left == 0 {
            return;
        }
        self.left -= 1;
        let worst = set.iter().max_by_key(|node| (self.strangers(*node, set).len(), node.0));
        let Some(worst) = worst else { return };
        let strangers = self.strangers(worst, set);
        if strangers.is_empty() {
            if self.best.is_empty() || self.taste.is_better(set, self.best) {
                self.best = set;
            }
            return;
        }
        // Without him, or without all whom he does not hear.
        self.among(set.without(worst));
        self.among(set.minus(strangers));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cluster::configuration::Voter;

    fn configuration(votes: &[u16]) -> Configuration {
        let voter = |(place, votes): (usize, &u16)| {
            (NodeId(place as u16 + 1), Voter { uuid: Default::default(), votes: *votes })
        };
        Configuration {
            cluster: Default::default(),
            generation: 1,
            nodes: votes.iter().enumerate().map(voter).collect(),
            arbitration_disks: 0,
            timing: Default::default(),
        }
    }

    fn set(ids: &[u16]) -> NodeSet {
        ids.iter().copied().map(NodeId).collect()
    }

    /// All hear all, but for these pairs, of which the first does not hear the second.
    fn matrix(nodes: u16, deaf: &[(u16, u16)]) -> BTreeMap<NodeId, NodeSet> {
        let all = (1..=nodes).map(NodeId).collect::<NodeSet>();
        let mut hears = all.iter().map(|node| (node, all.without(node))).collect::<BTreeMap<_, _>>();
        for (one, other) in deaf {
            let row = hears.get_mut(&NodeId(*one)).unwrap();
            *row = row.without(NodeId(*other));
        }
        hears
    }

    fn rows(hears: &BTreeMap<NodeId, NodeSet>) -> Vec<(NodeId, NodeSet)> {
        hears.iter().map(|(node, row)| (*node, *row)).collect()
    }

    fn chosen(votes: &[u16], deaf: &[(u16, u16)], current: &[u16], proposer: u16) -> NodeSet {
        let configuration = configuration(votes);
        let taste =
            Taste { configuration: &configuration, current: set(current), proposer: NodeId(proposer) };
        best(&rows(&matrix(votes.len() as u16, deaf)), taste)
    }

    /// F6: 1 and 2 do not hear each other, both hear 3. One of them is out, the same on all nodes.
    #[test]
    fn a_triangle_cut_leaves_one_out() {
        assert_eq!(chosen(&[1, 1, 1], &[(1, 2), (2, 1)], &[], 0), set(&[1, 3]));
        assert_eq!(chosen(&[1, 1, 1], &[(1, 2), (2, 1)], &[2, 3], 2), set(&[2, 3]), "who was a member stays");
        assert_eq!(chosen(&[1, 2, 1], &[(1, 2), (2, 1)], &[1, 3], 1), set(&[2, 3]), "votes come first");
    }

    /// F5: to be heard one way is not to be heard.
    #[test]
    fn one_way_is_no_way() {
        assert_eq!(chosen(&[1, 1, 1], &[(1, 2)], &[], 0), set(&[1, 3]));
    }

    #[test]
    fn a_partition_leaves_the_larger_part() {
        let cut = [(1, 3), (1, 4), (1, 5), (2, 3), (2, 4), (2, 5)];
        assert_eq!(chosen(&[1; 5], &cut, &[1, 2], 1), set(&[3, 4, 5]));
        assert_eq!(chosen(&[3, 3, 1, 1, 1], &cut, &[3, 4, 5], 3), set(&[1, 2]));
    }

    #[test]
    fn all_are_chosen_where_all_hear_all() {
        assert_eq!(chosen(&[1; 64], &[], &[], 0).len(), 64);
    }

    /// Against all sets of seven nodes, looked at one by one.
    #[test]
    fn no_set_is_better_than_the_one_that_is_chosen() {
        let mut dice = crate::base::dice::Dice::from_number(5);
        for _ in 0..300 {
            let deaf = (0..dice.below(9)).map(|_| (dice.below(7) as u16 + 1, dice.below(7) as u16 + 1));
            let deaf = deaf.collect::<Vec<_>>();
            let votes = (0..7).map(|_| dice.below(3) as u16).collect::<Vec<_>>();
            let hears = matrix(7, &deaf);
            let configuration = configuration(&votes);
            let taste = Taste { configuration: &configuration, current: set(&[2, 3]), proposer: NodeId(3) };
            let is_clique =
                |set: NodeSet| set.iter().all(|node| set.without(node).minus(hears[&node]).is_empty());
            let all = (1..128u64)
                .map(|bits| (1..=7).filter(|id| bits >> (id - 1) & 1 == 1).map(NodeId).collect::<NodeSet>());
            let best = all
                .filter(|set| is_clique(*set))
                .reduce(|one, other| if taste.is_better(other, one) { other } else { one });
            assert_eq!(Some(super::best(&rows(&hears), taste)), best, "{deaf:?} {votes:?}");
        }
    }

    /// Half of all links are bad: it ends, with a set that hears itself.
    #[test]
    fn a_hopeless_network_does_not_take_for_ever() {
        let mut dice = crate::base::dice::Dice::from_number(1);
        let deaf =
            (0..2016).map(|_| (dice.below(64) as u16 + 1, dice.below(64) as u16 + 1)).collect::<Vec<_>>();
        let hears = matrix(64, &deaf);
        let configuration = configuration(&[1; 64]);
        let best = best(
            &rows(&hears),
            Taste { configuration: &configuration, current: NodeSet::EMPTY, proposer: NodeId(0) },
        );
        assert!(best.len() >= 2 && best.iter().all(|node| best.without(node).minus(hears[&node]).is_empty()));
    }
}
