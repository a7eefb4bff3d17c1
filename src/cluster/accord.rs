//! Agreement on the next configuration (safety 1.6): of every generation there is at most one, whoever proposes what, dies,
//! or forgets nothing. Paxos, with one decision for each generation: a node that goes by generation 7 helps to decide the 8th.
//!
//! ```text
//! proposer                         every node of generation 7
//! "prepare the 8th, ballot 5"  ─▶  promises nothing lower, says what it accepted before
//! the highest of these, or its own wish
//! "accept it, ballot 5"        ─▶  keeps it
//! more than half of the old votes and of the new ones did: it is the 8th for ever
//! ```
//! Who goes by the 8th never goes back, and one vote is changed at a time: a majority of the old ones and a majority of the new
//! ones have a node in common, which is in one of them only. Ties have none with a majority of another generation, and so:
//! who accepted the 8th grants no tie by the 7th any more (more than half accepted, so half cannot do without one of them), and
//! the first quorum by the 8th is no tie (`Membership::allow_ties`). A node that is to have a vote is in the cluster before, without
//! one: else nobody could say yes for it, and the cluster would stop until it came. The 9th is proposed by who was quorate by the 8th.
//!
//! No I/O here: what [`Accord`] says is kept on disk before it is answered.

use crate::base::id::NodeId;
use crate::cluster::configuration::Configuration;
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::node_set::NodeSet;
use crate::cluster::roster::{BadRoster, Roster};
use crate::format::arbitration::Ballot;

/// What a node promised about the next generation, and what it accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accord {
    /// The generation that is to be decided.
    pub generation: u64,
    /// It accepts nothing of a lower ballot.
    pub promised: Ballot,
    /// What it accepted, and in which ballot.
    pub accepted: Option<(Ballot, Roster)>,
}

/// Why a configuration cannot follow another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoStep {
    /// It is of another cluster.
    Cluster(String),
    /// It is no cluster that can work.
    Bad(BadRoster),
    /// It has the same generation and says something else.
    Same(u64),
    /// It is not the next one: its generation, and the present one.
    NotNext(u64, u64),
    /// More than one vote is changed: of so many nodes, by so many.
    Votes(usize, u32),
    /// Other arbitration disks are named.
    Disks,
    /// Votes and arbitration disks are changed in one step.
    VotesAndDisks,
    /// The port is another one.
    Port,
    /// Times by which others may still count are shorter.
    Shorter,
    /// This id was another node's.
    OldId(NodeId),
    /// A node is another machine.
    Machine(NodeId),
}

impl core::fmt::Display for NoStep {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            NoStep::Cluster(name) => write!(f, "it is of another cluster than {name}"),
            NoStep::Bad(bad) => write!(f, "{bad}"),
            NoStep::Same(generation) => write!(
                f,
                "it was changed and has the same generation, {generation}; give it {}",
                generation.saturating_add(1)
            ),
            NoStep::NotNext(is, was) => write!(
                f,
                "it has generation {is}, and the cluster goes by {was}; the next is {}",
                was.saturating_add(1)
            ),
            NoStep::Votes(nodes, votes) => write!(
                f,
                "votes of {nodes} nodes are changed, by {votes}; change one vote of one node at a time, each a generation"
            ),
            NoStep::Disks => write!(
                f,
                "other arbitration disks are named; two halves could each ask disks of their own: take all of them out first, \
                 which is one generation, and name the new ones in the next"
            ),
            NoStep::VotesAndDisks => write!(
                f,
                "votes and arbitration disks are changed at once; change one in one generation and the other in the next"
            ),
            NoStep::Port => write!(
                f,
                "the port is another one: who does not run now would never hear of it; stop evmsd on all nodes, and say on each: \
                 evmsd force"
            ),
            NoStep::Shorter => write!(
                f,
                "lease, disk lease, watchdog, drain or drift are shorter: a node that is cut off may still count by the longer \
                 ones; stop evmsd on all nodes, and say on each: evmsd force"
            ),
            NoStep::OldId(node) => write!(
                f,
                "{node} is or was the id of another node; a new one has a higher id than all before"
            ),
            NoStep::Machine(node) => write!(
                f,
                "node {node} is another machine; remove the node in one generation, and add the machine under a new id in the next"
            ),
        }
    }
}

/// Votes that differ between two configurations: of how many nodes, and how many.
fn votes_changed(one: &Configuration, other: &Configuration) -> (usize, u32) {
    let of =
        |configuration: &Configuration, node| configuration.nodes.get(node).map_or(0, |voter| voter.votes);
    let come = other.nodes.keys().filter(|node| !one.nodes.contains_key(node));
    let nodes = one.nodes.keys().chain(come);
    let differ = nodes.map(|node| of(one, node).abs_diff(of(other, node))).filter(|votes| *votes > 0);
    differ.fold((0, 0), |(nodes, votes), more| (nodes + 1, votes + u32::from(more)))
}

/// May a cluster go from one configuration to this one?
pub fn may_follow(before: &Roster, next: &Roster) -> Result<(), NoStep> {
    may_follow_by(before, next, Rules::ALL)
}

/// The same, by these rules.
pub fn may_follow_by(before: &Roster, next: &Roster, rules: Rules) -> Result<(), NoStep> {
    let (old, new) = (&before.configuration, &next.configuration);
    if old.cluster != new.cluster {
        return Err(NoStep::Cluster(before.name.to_string()));
    }
    if old.generation == new.generation {
        return Err(NoStep::Same(old.generation));
    }
    if Some(new.generation) != old.generation.checked_add(1) {
        return Err(NoStep::NotNext(new.generation, old.generation));
    }
    next.check().map_err(NoStep::Bad)?;
    if before.port != next.port {
        return Err(NoStep::Port);
    }
    let waits = |of: &Configuration| (of.timing.promise_ms(Rules::ALL), of.timing.take_ms());
    if waits(new).0 < waits(old).0 || waits(new).1 < waits(old).1 {
        return Err(NoStep::Shorter);
    }
    let is_new = |node: &&NodeId| !old.nodes.contains_key(node);
    if let Some(node) = new.nodes.keys().filter(is_new).find(|node| **node <= before.highest()) {
        return Err(NoStep::OldId(*node));
    }
    if !before.arbitration.is_empty()
        && !next.arbitration.is_empty()
        && before.arbitration != next.arbitration
    {
        return Err(NoStep::Disks);
    }
    let other = |(node, voter): &(&NodeId, &crate::cluster::configuration::Voter)| {
        new.nodes.get(node).is_some_and(|now| now.uuid != voter.uuid)
    };
    if let Some((node, _)) = old.nodes.iter().find(other) {
        return Err(NoStep::Machine(*node));
    }
    match votes_changed(old, new) {
        (0, _) => Ok(()),
        (1, 1) if before.arbitration != next.arbitration => Err(NoStep::VotesAndDisks),
        (1, 1) => Ok(()),
        _ if breaks!(rules, ManyVotesAtOnce) => Ok(()),
        (nodes, votes) => Err(NoStep::Votes(nodes, votes)),
    }
}

/// May a node keep what it had decided and what rests on its own word, when these keep it already? Who has no vote by it is gone soon,
/// perhaps: it waits until more than half of the new votes can go on without it. Else those who stay could neither have it decided again
/// nor learn it, and would hold it open for ever.
pub fn may_keep(decided: &Roster, node: NodeId, kept_by: NodeSet, rules: Rules) -> bool {
    let configuration = &decided.configuration;
    let stays = configuration.votes(NodeSet::of(node)) > 0 || breaks!(rules, TakenOutEndsAtOnce);
    stays || configuration.is_majority(configuration.votes(kept_by), Rules::ALL)
}

/// Why a node does not do what a proposer wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotSo {
    /// It decides about another generation: the next one after its own.
    Generation(u64),
    /// It promised this ballot.
    Promised(Ballot),
    /// What is to be accepted cannot follow.
    Step(NoStep),
}

impl Accord {
    /// Of a node that goes by this configuration; what it kept of earlier decisions is over.
    pub fn of(before: &Roster, kept: Option<Accord>) -> Accord {
        let generation = before.configuration.generation.saturating_add(1);
        let kept = kept.filter(|kept| kept.generation == generation);
        kept.unwrap_or(Accord { generation, ..Accord::default() })
    }

    fn judge(&self, generation: u64, ballot: Ballot) -> Result<(), NotSo> {
        if generation != self.generation {
            return Err(NotSo::Generation(self.generation));
        }
        if ballot < self.promised { Err(NotSo::Promised(self.promised)) } else { Ok(()) }
    }

    /// Promises a ballot, once: who asks with one that was promised before made it in an earlier life, perhaps with another
    /// value. Gives what was accepted before.
    pub fn prepare(&mut self, generation: u64, ballot: Ballot) -> Result<Option<&(Ballot, Roster)>, NotSo> {
        self.judge(generation, ballot)?;
        if ballot == self.promised {
            return Err(NotSo::Promised(self.promised));
        }
        self.promised = ballot;
        Ok(self.accepted.as_ref())
    }

    /// Accepts what may follow on the configuration that this node goes by.
    pub fn accept(
        &mut self,
        before: &Roster,
        ballot: Ballot,
        next: Roster,
        rules: Rules,
    ) -> Result<(), NotSo> {
        self.judge(next.configuration.generation, ballot)?;
        may_follow_by(before, &next, rules).map_err(NotSo::Step)?;
        let other = |(known, roster): &(Ballot, Roster)| *known == ballot && *roster != next;
        if self.accepted.as_ref().is_some_and(other) {
            // One ballot has one value, or it is nobody's.
            return Err(NotSo::Promised(self.promised));
        }
        self.promised = ballot;
        self.accepted = Some((ballot, next));
        Ok(())
    }
}

/// One attempt to have a configuration decided.
#[derive(Clone, Debug)]
pub struct Attempt {
    before: Configuration,
    rules: Rules,
    /// Of this ballot.
    pub ballot: Ballot,
    /// What is wanted, or what others accepted before.
    value: Roster,
    best: Ballot,
    promised: NodeSet,
    accepted: NodeSet,
}

impl Attempt {
    /// To follow on `before` with `wish`.
    pub fn new(before: &Roster, wish: Roster, ballot: Ballot, rules: Rules) -> Attempt {
        Attempt {
            before: before.configuration.clone(),
            rules,
            ballot,
            value: wish,
            best: Ballot::default(),
            promised: NodeSet::EMPTY,
            accepted: NodeSet::EMPTY,
        }
    }

    /// A node promised this ballot, and had accepted this. What was promised to an earlier life of this proposer counts for
    /// nothing in this attempt: something else may have been accepted since.
    pub fn promise(&mut self, node: NodeId, ballot: Ballot, accepted: Option<(Ballot, Roster)>) {
        // Where there is a value already, it is what is to be accepted, and somebody may have accepted it.
        if ballot != self.ballot || self.value().is_some() {
            return;
        }
        self.promised = self.promised.with(node);
        let accepted = accepted.filter(|_| !breaks!(self.rules, AcceptedNotLearned));
        if let Some((ballot, roster)) = accepted.filter(|(ballot, _)| *ballot > self.best) {
            (self.best, self.value) = (ballot, roster);
        }
    }

    /// What is to be accepted, when enough have promised: more than half of the old votes, which none can accept without.
    pub fn value(&self) -> Option<&Roster> {
        let votes = self.before.votes(self.promised);
        self.before.is_majority(votes, Rules::ALL).then_some(&self.value)
    }

    /// In which ballot others accepted what is to be accepted now; nothing when it is this proposer's own.
    pub fn learned(&self) -> Option<Ballot> {
        (self.best > Ballot::default()).then_some(self.best)
    }

    /// A node accepted it, if it was in this ballot: what it said of another one is of another value, perhaps.
    pub fn accept(&mut self, node: NodeId, ballot: Ballot) {
        if ballot == self.ballot {
            self.accepted = self.accepted.with(node);
        }
    }

    /// Would it be decided if this node accepted it too?
    pub fn is_decided_with(&self, node: NodeId) -> bool {
        Attempt { accepted: self.accepted.with(node), ..self.clone() }.is_decided()
    }

    /// Would it not be decided without what this node accepted?
    pub fn rests_on(&self, node: NodeId) -> bool {
        let without = Attempt { accepted: self.accepted.without(node), ..self.clone() };
        self.is_decided() && !without.is_decided()
    }

    /// Is it decided?
    pub fn is_decided(&self) -> bool {
        let by = |configuration: &Configuration| {
            configuration.is_majority(configuration.votes(self.accepted), Rules::ALL)
        };
        by(&self.before) && by(&self.value.configuration)
    }
}

#[cfg(test)]
mod tests;
