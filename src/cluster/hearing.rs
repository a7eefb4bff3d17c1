//! Who is heard. Each peer has its newest beat here, and the time since when it is heard without a gap.
//!
//! A peer that appears counts only when it was heard for a whole window (R10), longer each time that it was lost again
//! before (F7). Death is judged between two observations: for as long as this node itself did not run, nobody was silent (R9).

use std::fmt;
use std::sync::Arc;

use crate::base::id::{Incarnation, NodeId};
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::cluster::beat::{Beat, BeatNumber, Row};
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::node_set::NodeSet;
use crate::cluster::rival::Rival;
use crate::cluster::timing::Timing;

/// Losses that make the wait longer; each doubles it. Who is heard again and waits is not to lose meanwhile what it holds: with the
/// defaults 8 s, and a watchdog is waited for 12.3 s.
const FLAPS_MAX: u32 = 4;
/// Windows without a loss after which one of them is forgotten.
const FLAP_WINDOWS: u64 = 30;
/// Former boots of a node that are not believed for a while.
const RETIRED_MAX: usize = 16;
/// Windows for which they are not: what is late in the network, and older than that, no seal lets through. For good would
/// be too long: a copy may have taken the place of a machine that was only silent, and be gone again.
const RETIRED_WINDOWS: u64 = 10;
/// Beats that this node may be late itself before it counts as not having listened.
const LATE_BEATS: u64 = 2;
/// Windows for which a peer that is heard and does not answer is left out.
const UNANSWERING_WINDOWS: u64 = 4;

/// Why a beat was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// Not newer than what is known of this node.
    Old,
    /// A boot of the node that another one followed.
    Retired,
    /// Another boot of this node is heard right now: one machine is a copy of the other, or took its id (F25).
    Twin {
        /// The one that is heard.
        known: Incarnation,
        /// The one that is refused.
        refused: Incarnation,
    },
    /// It says to be this node itself.
    Myself,
    /// It counts views further than anybody can have come.
    Leap,
}

impl fmt::Display for Unheard {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unheard::Old => write!(to, "it is not newer than what is known of that node"),
            Unheard::Retired => write!(to, "it is of a boot of that node that another one followed"),
            Unheard::Twin { known, refused } => write!(
                to,
                "another boot of that node is heard right now (this one {}, that one {}): one machine is a copy of the other; stop evmsd on \
                 the copy, and give it a new /etc/evms/node and a new id",
                refused.short(),
                known.short()
            ),
            Unheard::Myself => write!(
                to,
                "it says to be this node itself: another machine is a copy of this one; stop evmsd on the copy, and give it a new \
                 /etc/evms/node and a new id"
            ),
            Unheard::Leap => write!(
                to,
                "it counts views further than anybody can have come; see there: evms status, and the memory of that machine"
            ),
        }
    }
}

/// What is known of a peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its newest beat.
    pub beat: Arc<Beat>,
    /// When that was heard.
    pub last: BootTime,
    /// Since when it is heard without a gap.
    since: BootTime,
    /// Is it heard?
    heard: bool,
    flaps: u32,
    calm: BootTime,
    unanswering_until: BootTime,
    /// Another boot of it that somebody else hears.
    rival: Rival,
    /// With when each was followed by another.
    retired: Vec<(Incarnation, BootTime)>,
}

/// All that was heard.
#[derive(Clone, Debug)]
pub struct Hearing {
    me: NodeId,
    /// All nodes of the cluster: of others nothing is kept.
    voters: NodeSet,
    timing: Timing,
    rules: Rules,
    peers: SmallMap<NodeId, Peer>,
    rows: SmallMap<NodeId, (Row, BootTime)>,
    listened: BootTime,
}

impl Hearing {
    /// Nothing was heard yet.
    pub fn new(me: NodeId, voters: NodeSet, timing: Timing, rules: Rules, now: BootTime) -> Hearing {
        Hearing { me, voters, timing, rules, peers: SmallMap::new(), rows: SmallMap::new(), listened: now }
    }

    /// A peer of whom something was ever heard.
    pub fn peer(&self, node: NodeId) -> Option<&Peer> {
        self.peers.get(&node)
    }

    /// The newest beat of a peer in this boot of it, when nobody else hears another boot: of two, neither grants anything.
    pub fn sure_beat_of(&self, node: NodeId, incarnation: Incarnation, now: BootTime) -> Option<&Beat> {
        let doubtful = self.peers.get(&node).is_some_and(|peer| peer.is_doubtful(now));
        self.beat_of(node, incarnation).filter(|_| !doubtful)
    }

    /// The newest beat of a peer in this boot of it.
    pub fn beat_of(&self, node: NodeId, incarnation: Incarnation) -> Option<&Beat> {
        self.peers.get(&node).map(|peer| &*peer.beat).filter(|beat| beat.incarnation == incarnation)
    }

    /// All peers of whom something was ever heard.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// The newest beats of all peers, to be echoed: to neither of two boots, lest one that woke is quorate by an echo of who
    /// has yet to learn that the other took its place (F25).
    pub fn echoes(&self, now: BootTime) -> impl Iterator<Item = (NodeId, (Incarnation, BeatNumber))> {
        let sure = self.peers().filter(move |peer| !peer.is_doubtful(now));
        sure.map(|peer| (peer.beat.node, peer.of()))
    }

    /// A member of the view in which this node's daemon was restarted: it counts as heard until a window is over.
    pub fn trust(&mut self, beat: Beat, now: BootTime) {
        let peer = Peer { since: BootTime::default(), ..Peer::new(&Arc::new(beat), now) };
        self.peers.insert(peer.beat.node, peer);
    }

    /// Takes a beat in.
    pub fn hear(&mut self, now: BootTime, beat: &Arc<Beat>) -> Result<(), Unheard> {
        if beat.node == self.me {
            return Err(Unheard::Myself);
        }
        match self.peers.get_mut(&beat.node) {
            None => drop(self.peers.insert(beat.node, Peer::new(beat, now))),
            Some(peer) => peer.hear(now, beat, &self.timing, self.rules)?,
        }
        for (node, row) in &beat.rows {
            if *node == beat.node {
                // What a node says of itself is so, whatever others said in its name.
                self.rows.insert(*node, (*row, now));
            } else if self.voters.has(*node) {
                self.learn(now, *node, *row);
            }
        }
        Ok(())
    }

    fn learn(&mut self, now: BootTime, node: NodeId, row: Row) {
        if node == self.me {
            return;
        }
        if let Some(peer) = self.peers.get_mut(&node) {
            if !breaks!(self.rules, RivalsCount) {
                peer.doubt(now, row, self.timing.promise_ms(self.rules));
            }
            if peer.heard && peer.beat.incarnation != row.incarnation {
                return;
            }
        }
        // Never an older one, though what is known is stale: what goes round among nodes would never die.
        let known = self.rows.or_insert_with(node, || (row, now));
        if known.0.incarnation != row.incarnation || known.0.beat < row.beat {
            *known = (row, now);
        }
    }

    /// When this node listened last.
    pub fn listened(&self) -> BootTime {
        self.listened
    }

    /// Judges who is heard no more. Tells whether this node itself did not run for a whole window: then the others may have gone on
    /// without it, and whoever is heard counts when that was for a window again (R10).
    pub fn tick(&mut self, now: BootTime) -> bool {
        let gap = now.ms.saturating_sub(self.listened.ms);
        let slept = gap >= self.timing.window_ms && !breaks!(self.rules, SleeperGoesOn);
        let late = gap > self.timing.beat_ms * LATE_BEATS;
        self.listened = now;
        for peer in self.peers.values_mut() {
            if late {
                // Nobody was silent while nobody listened.
                peer.last = BootTime { ms: (peer.last.ms + gap).min(now.ms) };
            }
            if slept {
                peer.since = now;
            }
            peer.judge(now, &self.timing);
        }
        slept
    }

    /// A peer does not answer though it is heard: it is left out for a while, and is told so by this node's row.
    pub fn leave_out(&mut self, node: NodeId, now: BootTime) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.unanswering_until = now.plus_ms(self.timing.window_ms * UNANSWERING_WINDOWS);
        }
    }

    /// Is this peer heard, long enough to count?
    pub fn counts(&self, node: NodeId, now: BootTime) -> bool {
        self.peers.get(&node).is_some_and(|peer| {
            // To be lost once is no flapping.
            let hold = self.timing.window_ms << peer.flaps.saturating_sub(1);
            let long = peer.since.plus_ms(hold) <= now;
            peer.heard && long && !peer.is_doubtful(now) && peer.unanswering_until <= now
        })
    }

    /// How each peer is heard, for people.
    pub fn in_words(&self, now: BootTime) -> String {
        let one = |(node, peer): (&NodeId, &Peer)| {
            let ago = |at: BootTime| now.ms.saturating_sub(at.ms);
            format!(
                "{node}: {} {} ms ago, for {} ms, lost {} times{}",
                if peer.heard { "heard" } else { "silent, last heard" },
                ago(peer.last),
                ago(peer.since),
                peer.flaps,
                if peer.unanswering_until > now { ", left out" } else { "" }
            )
        };
        self.peers.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    /// All peers that are heard, whether they count yet or not.
    pub fn heard(&self) -> NodeSet {
        self.peers.iter().filter(|(_, peer)| peer.heard).map(|(node, _)| *node).collect()
    }

    /// All peers that count.
    pub fn row(&self, now: BootTime) -> NodeSet {
        self.peers.keys().copied().filter(|node| self.counts(*node, now)).collect()
    }

    /// Rows of others that are not older than a window, to be handed on.
    pub fn rows(&self, now: BootTime) -> impl Iterator<Item = (NodeId, &Row)> {
        let fresh = move |at: BootTime| at.plus_ms(self.timing.window_ms) > now;
        let rows = self.rows.iter().filter(move |(_, (_, at))| fresh(*at));
        rows.map(|(node, (row, _))| (*node, row))
    }
}

impl Peer {
    /// Its newest beat, and of which boot.
    pub fn of(&self) -> (Incarnation, BeatNumber) {
        (self.beat.incarnation, self.beat.number)
    }

    /// Is it heard?
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    /// Another boot of it that lives too, or did until a moment ago.
    pub fn rival(&self, now: BootTime) -> Option<Incarnation> {
        self.rival.living(now).map(|(other, _)| other)
    }

    fn is_doubtful(&self, now: BootTime) -> bool {
        self.rival.is_doubtful(now)
    }

    fn new(beat: &Arc<Beat>, now: BootTime) -> Peer {
        let long_ago = BootTime { ms: 0 };
        Peer {
            beat: Arc::clone(beat),
            last: now,
            since: now,
            heard: !beat.left,
            flaps: 0,
            calm: now,
            unanswering_until: long_ago,
            rival: Rival::default(),
            retired: Vec::new(),
        }
    }

    fn hear(
        &mut self,
        now: BootTime,
        beat: &Arc<Beat>,
        timing: &Timing,
        rules: Rules,
    ) -> Result<(), Unheard> {
        if self.beat.incarnation != beat.incarnation {
            self.reborn(now, beat, timing, rules)?;
        } else if beat.number <= self.beat.number {
            return Err(Unheard::Old);
        }
        if !self.heard && !beat.left {
            self.since = now;
            self.calm = now;
        }
        self.heard = !beat.left;
        self.last = now;
        self.beat = Arc::clone(beat);
        Ok(())
    }

    /// Another boot of the node: only when the one before is silent.
    fn reborn(&mut self, now: BootTime, beat: &Beat, timing: &Timing, rules: Rules) -> Result<(), Unheard> {
        if breaks!(rules, TwinAccepted) {
            return Ok(());
        }
        let while_ms = timing.window_ms * RETIRED_WINDOWS;
        self.retired.retain(|(_, at)| at.plus_ms(while_ms) > now);
        if self.retired.iter().any(|(retired, _)| *retired == beat.incarnation) {
            return Err(Unheard::Retired);
        }
        if self.heard {
            return Err(Unheard::Twin { known: self.beat.incarnation, refused: beat.incarnation });
        }
        self.retired.insert(0, (self.beat.incarnation, now));
        self.retired.truncate(RETIRED_MAX);
        Ok(())
    }

    /// Somebody else hears this boot of the node.
    fn doubt(&mut self, now: BootTime, row: Row, lasts_ms: u64) {
        if row.incarnation != self.beat.incarnation && self.heard {
            self.rival.see(row, now, lasts_ms);
        }
    }

    fn judge(&mut self, now: BootTime, timing: &Timing) {
        if self.heard && self.last.plus_ms(timing.window_ms) <= now {
            self.heard = false;
            self.flaps = (self.flaps + 1).min(FLAPS_MAX);
        }
        if self.heard && self.flaps > 0 && self.calm.plus_ms(timing.window_ms * FLAP_WINDOWS) <= now {
            self.flaps -= 1;
            self.calm = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::beat::Session;
    use crate::cluster::view::ViewNumber;

    fn number(counter: u64) -> BeatNumber {
        BeatNumber { session: Session(1), counter }
    }

    /// F25: node 1 is heard, and node 2 hears a copy of it, which then falls silent. What that was granted lasts for a lease, and
    /// is longer than the window in which silence is noticed.
    #[test]
    fn f25_of_two_boots_neither_counts_until_the_lease_of_the_other_is_over() {
        let (timing, voters) = (Timing::default(), (1..=3).map(NodeId).collect::<NodeSet>());
        let (mine, copy) = (Incarnation([1; 16]), Incarnation([2; 16]));
        let ms = |ms| BootTime { ms: 10_000 + ms };
        let mut hearing = Hearing::new(NodeId(3), voters, timing, Rules::ALL, ms(0));
        let mut told = 0;
        let mut hear = |hearing: &mut Hearing, until_ms: u64| {
            while told < until_ms {
                told += timing.beat_ms;
                hearing.tick(ms(told));
                hearing.hear(ms(told), &Arc::new(Beat::unknown(NodeId(1), mine, number(told)))).unwrap();
            }
            ms(told)
        };
        let row = |beat: u64| {
            let nobody = (NodeSet::EMPTY, ViewNumber::default());
            Row { incarnation: copy, beat: number(beat), hears: nobody.0, view: nobody.1, members: nobody.0 }
        };
        let tells = |counter: u64, beat: u64| {
            let unknown = Beat::unknown(NodeId(2), Incarnation([5; 16]), number(counter));
            Arc::new(Beat { rows: SmallMap::from([(NodeId(1), row(beat))]), ..unknown })
        };
        let now = hear(&mut hearing, 2 * timing.window_ms);
        assert!(hearing.counts(NodeId(1), now));
        hearing.hear(now, &tells(1, 7)).unwrap();
        let over = now.plus_ms(timing.promise_ms(Rules::ALL));
        assert!(timing.promise_ms(Rules::ALL) > timing.window_ms);
        let later = hear(&mut hearing, over.ms - 10_000 - 2 * timing.beat_ms);
        assert!(!hearing.counts(NodeId(1), later) && later < over, "{later:?} {over:?}");
        // The same beat of it again is no sign of life.
        hearing.hear(later, &tells(2, 7)).unwrap();
        let ended = hear(&mut hearing, over.ms - 10_000);
        assert!(ended >= over && hearing.counts(NodeId(1), ended));
        hearing.hear(ended, &tells(3, 8)).unwrap();
        assert!(!hearing.counts(NodeId(1), ended), "it lives");
    }

    /// F7: who is lost again and again is waited for longer each time, up to a limit; and after a calm time as at first.
    #[test]
    fn f7_who_flaps_is_waited_for_longer_each_time() {
        let (timing, voters) = (Timing::default(), (1..=3).map(NodeId).collect::<NodeSet>());
        let mine = Incarnation([1; 16]);
        let ms = |ms| BootTime { ms: 10_000 + ms };
        let mut hearing = Hearing::new(NodeId(3), voters, timing, Rules::ALL, ms(0));
        let mut now = 0;
        // Heard at each beat until it counts; for how long.
        let hear = |hearing: &mut Hearing, now: &mut u64| {
            let began = *now;
            loop {
                *now += timing.beat_ms;
                hearing.tick(ms(*now));
                hearing.hear(ms(*now), &Arc::new(Beat::unknown(NodeId(1), mine, number(*now)))).unwrap();
                assert_eq!(hearing.heard(), NodeSet::of(NodeId(1)), "before it counts");
                if hearing.counts(NodeId(1), ms(*now)) {
                    return *now - began;
                }
                assert!(*now - began < 100 * timing.window_ms);
            }
        };
        let silence = |hearing: &mut Hearing, now: &mut u64| {
            let until = *now + timing.window_ms + timing.beat_ms;
            while *now < until {
                *now += timing.beat_ms;
                hearing.tick(ms(*now));
            }
            assert!(!hearing.counts(NodeId(1), ms(*now)) && hearing.heard().is_empty());
        };
        let mut waits = Vec::new();
        for _ in 0..8 {
            // In windows, and a beat for the first that is heard.
            waits.push((hear(&mut hearing, &mut now) - timing.beat_ms) / timing.window_ms);
            silence(&mut hearing, &mut now);
        }
        assert!(
            timing.window_ms * 8 < timing.stopped_ms(timing.watchdog_ms),
            "it is back before it is taken from"
        );
        // To be lost once is no flapping.
        assert_eq!(waits, [1, 1, 2, 4, 8, 8, 8, 8]);
        // Calm for as many times thirty windows as there were losses: what is lost then is lost once.
        hear(&mut hearing, &mut now);
        for _ in 0..(4 + 1) * 30 * timing.window_ms / timing.beat_ms {
            now += timing.beat_ms;
            hearing.tick(ms(now));
            hearing.hear(ms(now), &Arc::new(Beat::unknown(NodeId(1), mine, number(now)))).unwrap();
        }
        silence(&mut hearing, &mut now);
        assert_eq!((hear(&mut hearing, &mut now) - timing.beat_ms) / timing.window_ms, 1);
    }
}
