//! For whom a process acts: its machine, and, where evmsd of a cluster runs, that cluster for as long as the node is quorate.

use core::sync::atomic::Ordering;

use crate::base::epoch::Generation;
use crate::base::id::{ClusterId, Incarnation, NodeId};
use crate::base::time::BootTime;
use crate::engine::guard::keeping::Words;
use crate::engine::guard::{Act, comes_over};
use crate::format::model::Container;
use crate::volume::request::Machine;

/// Until when this node may act for its cluster. It is looked at anew before every write: a lease is extended many times while
/// a change is carried out, and may be gone within it (safety 1.3, 2.5). What follows on one that ended is another one.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    words: &'static Words,
    term: u64,
}

impl Lease {
    /// As evmsd keeps it in these words.
    pub fn of(words: &'static Words) -> Lease {
        Lease { words, term: words[1].load(Ordering::Acquire) }
    }

    /// Which one it is.
    pub fn term(self) -> u64 {
        self.term
    }

    /// When it ends, as of now.
    pub fn end(self) -> BootTime {
        let [end, ..] = self.words;
        self.of_this_term(end.load(Ordering::Acquire))
    }

    /// The newest moment of which it is proven by now that this node was quorate by it. Where that is later than something that was done,
    /// whoever is absent was so when it had been done; the end of the lease does not tell that where this machine stood still with its
    /// clock (T6).
    pub fn proven(self) -> BootTime {
        let [.., proven] = self.words;
        self.of_this_term(proven.load(Ordering::Acquire))
    }

    /// Asked behind the reading: who read what belongs to another lease reads that lease's term too.
    fn of_this_term(self, ms: u64) -> BootTime {
        let [_, term, _] = self.words;
        let goes_on = term.load(Ordering::Acquire) == self.term;
        BootTime { ms: if goes_on { ms } else { 0 } }
    }
}

/// One word is one lease.
impl PartialEq for Lease {
    fn eq(&self, other: &Lease) -> bool {
        core::ptr::eq(self.words, other.words) && self.term == other.term
    }
}

impl Eq for Lease {}

/// What evmsd gives a command of its own machine: to act for its cluster, as this node of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warrant {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's number in it: its own blocks on every disk of the cluster's containers.
    pub node: NodeId,
    /// The life of it (safety 1.7).
    pub incarnation: Incarnation,
    /// The generation of the configuration that it goes by.
    pub configuration: Generation,
    /// Until when.
    pub lease: Lease,
}

/// Who asks the guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The machine.
    pub machine: Machine,
    /// Its cluster's warrant, if it has one.
    pub warrant: Option<Warrant>,
    /// Why it has none although it is in a cluster, and what to do, as the end of a sentence.
    pub refusal: Option<String>,
}

impl Principal {
    /// Its warrant for this container: its cluster's, or where it comes over, its own.
    pub fn warrant_for(&self, container: &Container, act: Act) -> Option<Warrant> {
        let comes = comes_over(container, act).then_some(self.warrant).flatten();
        self.warrant_of(container.cluster).or(comes)
    }

    /// Its warrant for containers of this cluster.
    pub fn warrant_of(&self, cluster: ClusterId) -> Option<Warrant> {
        self.warrant.filter(|warrant| warrant.cluster == cluster && !cluster.is_none())
    }
}
