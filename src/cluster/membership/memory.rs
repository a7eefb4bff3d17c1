//! What outlives a restart of the daemon in one boot of the machine: promises above all (safety 1.3, 1.7). Kept in memory
//! that the kernel forgets with the boot, written before the beat that it goes with is sent.

use serde::{Deserialize, Serialize};

use crate::base::gather::Gather;
use crate::base::id::{ClusterId, Incarnation, NodeId};
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::cluster::beat::{Beat, BeatNumber, Session};
use crate::cluster::configuration::Configuration;
use crate::cluster::lease::Promises;
use crate::cluster::membership::Membership;
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::{Stage, View, ViewNumber};

/// What a daemon leaves to the next one of the same boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The incarnation that goes on.
    pub incarnation: Incarnation,
    /// When it listened last.
    pub listened: BootTime,
    /// The generation of the configuration that it went by.
    pub generation: u64,
    /// The session that ended.
    pub session: Session,
    /// The highest counter of a view that was heard of.
    pub highest: u64,
    /// The view that was promised.
    pub view: Option<(View, Stage)>,
    /// The number of that, even where nothing of it is held any more.
    pub promised: ViewNumber,
    /// Did it count?
    pub counts: bool,
    /// The view that counted last, and its members.
    pub last_view: (ViewNumber, NodeSet),
    /// The members of the view that was quorate by a majority last.
    pub last_majority: NodeSet,
    /// Was this boot ever quorate?
    pub warm: bool,
    /// Until when the arbiter makes the promised view quorate.
    pub tie_until: BootTime,
    /// What was promised to whom.
    pub promises: Promises,
    /// Until when this node may act.
    pub lease_until: BootTime,
    /// The newest beat heard of each member, and its boot.
    pub heard: SmallMap<NodeId, (Incarnation, BeatNumber)>,
    /// Until when it says nothing.
    pub quiet_until: BootTime,
}

/// The same, with whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node.
    pub node: NodeId,
    /// What it must remember.
    pub memory: Memory,
}

/// The version of its bytes: what another program left is not guessed at.
const KEPT_VERSION: u8 = 3;

impl Kept {
    /// The bytes of it.
    pub fn encode(&self) -> Vec<u8> {
        // There is no value of it that postcard cannot write.
        postcard::to_extend(self, vec![KEPT_VERSION]).unwrap_or_default()
    }

    /// Nothing when they are no such bytes.
    pub fn decode(bytes: &[u8]) -> Option<Kept> {
        let (version, fields) = bytes.split_first()?;
        if *version != KEPT_VERSION {
            return None;
        }
        postcard::from_bytes(fields).ok()
    }
}

impl Membership {
    /// What the next daemon of this boot must know.
    pub fn memory(&self) -> Memory {
        let gone = self.left && !breaks!(self.rules, LeavingForgotten);
        let nodes = self.view.as_ref().map(|(view, _)| view.nodes()).unwrap_or_default();
        let heard = self.hearing.peers().filter(|peer| nodes.has(peer.beat.node));
        Memory {
            incarnation: self.incarnation,
            listened: self.hearing.listened(),
            generation: self.configuration.generation,
            session: self.number.session,
            highest: self.highest,
            // Who left holds nothing any more: the others have stopped waiting for it.
            view: self.view.clone().filter(|_| !gone),
            promised: self.promised(),
            counts: self.counts && !gone,
            last_view: self.last_view,
            last_majority: self.last_majority,
            warm: self.warm,
            tie_until: self.tie_until,
            promises: self.promises.clone(),
            lease_until: if gone { BootTime::default() } else { self.lease_until },
            heard: heard.map(|peer| (peer.beat.node, peer.of())).gather(),
            quiet_until: self.quiet_until,
        }
    }

    /// The same incarnation goes on in a new session.
    pub fn resume(
        configuration: Configuration,
        node: NodeId,
        memory: Memory,
        rules: Rules,
        now: BootTime,
    ) -> Membership {
        let mut next = Membership::start(configuration, node, memory.incarnation, rules, now);
        next.number = BeatNumber { session: Session(memory.session.0 + 1), counter: 0 };
        next.highest = memory.highest;
        next.tie = memory.view.as_ref().is_some_and(|(view, _)| next.is_tie(view));
        next.view = memory.view;
        next.floor = memory.promised;
        next.counts = memory.counts;
        next.last_view = memory.last_view;
        next.lease_until = memory.lease_until;
        next.tie_until = memory.tie_until;
        next.last_majority = memory.last_majority;
        next.warm = memory.warm;
        next.quiet_until = memory.quiet_until;
        if !breaks!(rules, PromisesForgottenAtRestart) {
            next.promises = memory.promises;
        }
        let silent_ms = now.ms.saturating_sub(memory.listened.ms);
        let slept = silent_ms >= next.configuration.timing.window_ms && !breaks!(rules, SleeperGoesOn);
        // Who lives of those it knew, and in which boot, it does not know after so long.
        for (node, (incarnation, number)) in memory.heard.into_iter().filter(|_| !slept) {
            next.hearing.trust(Beat::unknown(node, incarnation, number), now);
        }
        // Whom others hear is not known yet: a choice without it would be a wrong one.
        next.proposes_from = now.plus_ms(next.configuration.timing.window_ms);
        next.urgent = true;
        next.adopt_generation(memory.generation);
        if slept {
            next.wake_up(now);
        }
        next.was_quorate = next.quorate(now).is_some();
        next
    }

    /// What was granted by other votes is no quorum by these; and who went by a newer configuration does not go back to this.
    fn adopt_generation(&mut self, before: u64) {
        if before == self.configuration.generation || breaks!(self.rules, LastYearsConfiguration) {
            return;
        }
        self.counts = false;
        (self.lease_until, self.tie_until) = (BootTime::default(), BootTime::default());
        if before > self.configuration.generation {
            self.refuse_own(before);
        }
    }
}
