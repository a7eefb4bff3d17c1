//! The members and the quorum, as one machine without hands: beats in, beats out, and what changed.
//!
//! How a view comes about (safety 1.1, 1.2), seen from its proposer P and a member M, each line carried by beats:
//! ```text
//! P: my choice of members is not my view, has stood for a while, and I am the lowest: propose 17.P
//! M: 17.P is above all I promised and its members are my choice too: accepted
//! P, M: all members' beats say accepted: installed
//! P, M: all members' beats say installed: the view counts; from now on echoes in it make quorate
//! ```
//! Who accepted is in no lower view any more, so that no lower one can be quorate beside it on a member; on nodes that are
//! no members it is outlived by waiting for what was promised to them (`lease`).
//!
//! Call [`Membership::hear`] with each beat, [`Membership::tick`] at [`Membership::deadline`], and after each of them
//! [`Membership::beat`]; what [`Membership::memory`] gives must be kept before a beat is sent, a [`Membership::command`] is
//! carried out, or a [`Membership::change`] is acted on.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::id::{Incarnation, NodeId};
use crate::base::time::BootTime;
use crate::cluster::arbiter::{Arbiter, Identity};
use crate::cluster::beat::{Beat, BeatNumber, Session};
use crate::cluster::configuration::Configuration;
use crate::cluster::hearing::{Hearing, Unheard};
use crate::cluster::lease::{Promises, Sent};
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::node_set::NodeSet;
use crate::cluster::rival::Rival;
use crate::cluster::view::{Stage, View, ViewNumber};

mod choice;
mod insight;
mod memory;
mod quorum;
mod stages;
#[cfg(test)]
mod tests;
mod tie;

pub use choice::Excluded;
use choice::Grounds;
pub use insight::{PeerInsight, Standing};
pub use memory::{Kept, Memory};

/// Milliseconds between two beats at least, however much changes.
const BEAT_GAP_MS: u64 = 10;
/// Beats in the place of one, while a view is being agreed on.
const HURRIED_BEATS: u64 = 4;
/// Windows for which others must know another boot of this node before it is believed to be replaced.
const REPLACED_WINDOWS: u64 = 3;
/// Views that one may have missed at most: whoever counts further is broken, and would use all numbers up.
const COUNTER_LEAP_MAX: u64 = 1 << 32;
/// Changes that are kept for who reads them; the oldest are dropped.
const CHANGES_MAX: usize = 256;

/// What changed, for logs and for who waits for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This node proposes a view.
    Proposed(View),
    /// It promised a view.
    Accepted(View),
    /// All members of a view accepted it, as far as this node knows.
    Installing(ViewNumber),
    /// A view counts from now on.
    Installed(View),
    /// Quorate from now on, by this view.
    Quorate(ViewNumber),
    /// Not quorate any more.
    Inquorate,
    /// The machine stood still with its clock: whatever its lease seems to have left is over.
    StoodStill,
    /// Others count in this view, without this node, while its lease seems to run: it is over.
    PassedOver(ViewNumber),
    /// A beat was refused in a way that somebody should know of.
    Refused(NodeId, Unheard),
    /// Others know another boot of this node as the living one: this one closes its gates, and begins anew as another
    /// incarnation.
    Replaced(Incarnation),
    /// An administrator says that nobody else lives, and why.
    AssumedAlone(String),
    /// Somebody goes by a newer configuration.
    Outdated {
        /// Its generation.
        generation: u64,
    },
}

/// One node's part in the membership of its cluster.
#[derive(Clone, Debug)]
pub struct Membership {
    configuration: Configuration,
    rules: Rules,
    /// All votes of the configuration.
    all_votes: u32,
    /// All nodes of it.
    voters: NodeSet,
    node: NodeId,
    incarnation: Incarnation,
    hearing: Hearing,
    /// Numbers this session's beats.
    number: BeatNumber,
    /// The highest counter of a view that was heard of.
    highest: u64,
    /// The view that was promised, with how far this node is with it.
    view: Option<(View, Stage)>,
    /// What was promised before this node left, or slept: it is in no lower view when it returns either.
    floor: ViewNumber,
    /// Has it exactly half of the votes, and there is an arbiter?
    tie: bool,
    /// Do all members have it installed?
    counts: bool,
    /// The view that counted last, and its members.
    last_view: (ViewNumber, NodeSet),
    /// Since when the choice of members stands.
    choice: (NodeSet, BootTime),
    /// What that was chosen by.
    grounds: Grounds,
    /// Since when this node's own proposal is under way.
    proposed: BootTime,
    /// When it last found that it had not run for a window.
    woke: Option<BootTime>,
    /// Before this nothing is proposed.
    proposes_from: BootTime,
    promises: Promises,
    sent: Sent,
    /// Until when the promised view makes quorate.
    lease_until: BootTime,
    /// When it was told last that it had stood still: what it wrote for a tie before counts no more.
    stood: BootTime,
    was_quorate: bool,
    /// The view by which it was quorate last.
    quorate_by: ViewNumber,
    /// The members of the view by which this node was quorate by a majority last, and when it sent the newest beat that one
    /// echoed.
    last_majority: NodeSet,
    majority_at: BootTime,
    /// Was it ever quorate since its boot?
    warm: bool,
    holds: bool,
    arbiter: Arbiter,
    /// Does it have a part in the arbiter right now?
    arbitrates: bool,
    /// Until when the arbiter makes the promised view quorate.
    tie_until: BootTime,
    proven_gone: NodeSet,
    assumed_alone: Option<String>,
    /// The engine's last stamp.
    stamped: BootTime,
    /// Until when nothing is said: what was promised before is not known (safety 1.3).
    quiet_until: BootTime,
    outdated: bool,
    /// Nodes that go by a newer configuration.
    newer: NodeSet,
    /// Since when others know another boot of this node.
    replaced_since: Option<BootTime>,
    replaced: bool,
    /// That boot, which may live as this one does.
    rival: Rival,
    left: bool,
    last_beat: BootTime,
    /// Was this generation in force, so that a tie by it may be; and is the next one not accepted yet?
    settled: bool,
    undecided: bool,
    urgent: bool,
    /// Until when it beats more often: what is lost of a view that is being agreed on shall not cost a whole beat each time.
    hurries_until: BootTime,
    changes: VecDeque<Change>,
}

impl Membership {
    /// A new incarnation, which remembers nothing: it is silent until all it may have promised has ended.
    pub fn start(
        configuration: Configuration,
        node: NodeId,
        incarnation: Incarnation,
        rules: Rules,
        now: BootTime,
    ) -> Membership {
        let quiet = if breaks!(rules, NoQuietStart) { 0 } else { configuration.timing.promise_ms(rules) };
        let uuid = configuration.nodes.get(&node).map(|voter| voter.uuid).unwrap_or_default();
        let (cluster, generation) = (configuration.cluster, configuration.generation);
        let me = Identity { cluster, uuid, node, incarnation, generation, nodes: configuration.all() };
        let disks = usize::from(configuration.arbitration_disks);
        Membership {
            arbiter: Arbiter::new(me, disks, configuration.timing, rules, now),
            hearing: Hearing::new(node, configuration.all(), configuration.timing, rules, now),
            all_votes: configuration.votes_of_all(),
            voters: configuration.all(),
            configuration,
            rules,
            node,
            incarnation,
            number: BeatNumber { session: Session(1), counter: 0 },
            highest: 0,
            view: None,
            floor: ViewNumber::default(),
            tie: false,
            counts: false,
            last_view: (ViewNumber::default(), NodeSet::EMPTY),
            choice: (NodeSet::of(node), now),
            grounds: Grounds::default(),
            proposed: now,
            woke: None,
            proposes_from: now,
            promises: Promises::default(),
            sent: Sent::default(),
            lease_until: BootTime::default(),
            stood: BootTime::default(),
            was_quorate: false,
            quorate_by: ViewNumber::default(),
            last_majority: NodeSet::EMPTY,
            majority_at: BootTime::default(),
            warm: false,
            holds: false,
            arbitrates: false,
            tie_until: BootTime::default(),
            proven_gone: NodeSet::EMPTY,
            assumed_alone: None,
            stamped: now,
            quiet_until: now.plus_ms(quiet),
            outdated: false,
            newer: NodeSet::EMPTY,
            replaced_since: None,
            replaced: false,
            rival: Rival::default(),
            left: false,
            last_beat: now,
            settled: true,
            undecided: false,
            urgent: false,
            hurries_until: now,
            changes: VecDeque::new(),
        }
    }

    /// Takes a beat in.
    pub fn hear(&mut self, now: BootTime, beat: &Arc<Beat>) {
        if !self.is_of_my_configuration(beat) {
            return;
        }
        if beat.highest.max(beat.promised.counter) > self.highest.saturating_add(COUNTER_LEAP_MAX) {
            self.tell(Change::Refused(beat.node, Unheard::Leap));
            return;
        }
        self.listen(now);
        match self.hearing.hear(now, beat) {
            Ok(()) => (),
            Err(Unheard::Old | Unheard::Retired) => return,
            Err(refused) => {
                self.tell(Change::Refused(beat.node, refused));
                return;
            }
        }
        self.look_for_myself(now, beat);
        self.highest = self.highest.max(beat.highest).max(beat.promised.counter);
        if beat.settled {
            self.note_settled();
        }
        if beat.left {
            self.promises.release(beat.node, beat.incarnation);
        }
        self.think(now);
    }

    /// A copy of this machine may have taken its place while it was silent (F25). What is left of the boot before this one
    /// is handed on for a window, not longer.
    fn look_for_myself(&mut self, now: BootTime, beat: &Beat) {
        let Some(row) = beat.rows.get(&self.node) else { return };
        if row.incarnation == self.incarnation {
            self.replaced_since = None;
            return;
        }
        if !breaks!(self.rules, RivalsCount) {
            self.rival.see(*row, now, self.configuration.timing.promise_ms(self.rules));
        }
        let since = *self.replaced_since.get_or_insert(now);
        let long = self.configuration.timing.window_ms * REPLACED_WINDOWS;
        if !self.replaced && since.plus_ms(long) <= now {
            self.replaced = true;
            self.tell(Change::Replaced(row.incarnation));
        }
    }

    /// Time went by.
    pub fn tick(&mut self, now: BootTime) {
        self.listen(now);
        self.think(now);
    }

    fn listen(&mut self, now: BootTime) {
        if self.hearing.tick(now) {
            self.wake_up(now);
        }
    }

    /// This node did not run for so long that the others may have gone on without it, and without whom slept as it did; and with a
    /// copy of one of these (F25). So its view is over, whatever those say who know no better, and it is in none until it heard the
    /// others for a window. Where it was alone nobody else could go on by that view.
    fn wake_up(&mut self, now: BootTime) {
        let alone = self.view.as_ref().is_some_and(|(view, _)| view.nodes() == NodeSet::of(self.node));
        if !alone {
            self.begin_silent(now);
        }
    }

    fn begin_silent(&mut self, now: BootTime) {
        self.floor = self.promised();
        (self.view, self.woke) = (None, Some(now));
        (self.tie, self.counts) = (false, false);
        (self.lease_until, self.tie_until) = (BootTime::default(), BootTime::default());
        self.proposes_from = self.proposes_from.max(now.plus_ms(self.configuration.timing.window_ms));
        self.urgent = true;
    }

    /// The machine stood still, and its clock with it: whoever waited for the end of its lease, or of its tie, has waited for it by
    /// now (T6, safety 5.1).
    pub fn stood_still(&mut self, now: BootTime) {
        self.stood = now;
        // Alone too: where that was by a tie the other half may have it by now, and to renew it would be to fight for it.
        self.begin_silent(now);
        self.tell(Change::StoodStill);
        self.extend_lease(now);
    }

    /// When to call [`Membership::tick`] at the latest.
    pub fn deadline(&self) -> BootTime {
        let beat = self.beat_due();
        let disks = self.arbiter.deadline().filter(|_| self.arbitrates);
        disks.map_or(beat, |disks| beat.min(disks))
    }

    fn beat_due(&self) -> BootTime {
        let beat_ms = self.configuration.timing.beat_ms;
        let wait = match self.urgent {
            true => BEAT_GAP_MS,
            false if self.last_beat < self.hurries_until => (beat_ms / HURRIED_BEATS).max(BEAT_GAP_MS),
            false => beat_ms,
        };
        self.last_beat.plus_ms(wait).max(self.quiet_until)
    }

    /// The beat that is due, for all other nodes.
    pub fn beat(&mut self, now: BootTime) -> Option<Beat> {
        if now < self.beat_due() {
            return None;
        }
        self.last_beat = now;
        if self.is_stuck(now) {
            return None;
        }
        self.urgent = false;
        self.number.counter += 1;
        self.sent.note(self.number, now);
        let grants = self.grants(now);
        if grants {
            self.promise_members(now);
        }
        Some(self.say(now, grants))
    }

    fn say(&self, now: BootTime, grants: bool) -> Beat {
        let rows = self.rows(now);
        // Numbers of the boot that the row names, and of no other: whose they are is not said again.
        let of_its_boot = |(node, (boot, number)): (NodeId, (Incarnation, BeatNumber))| {
            rows.get(&node).is_some_and(|row| row.incarnation == boot).then_some((node, number))
        };
        let (heard, stands) = (self.hearing.echoes(now), self.stands());
        let heard = heard.filter_map(of_its_boot).collect();
        let stands = stands.into_iter().filter_map(of_its_boot).collect();
        Beat {
            node: self.node,
            incarnation: self.incarnation,
            number: self.number,
            generation: self.configuration.generation,
            highest: self.highest,
            promised: self.promised(),
            stage: self.view.as_ref().map(|(_, stage)| *stage),
            choice: self.choice.0,
            proposal: self.proposal(),
            rows,
            heard,
            grants,
            warm: self.warm,
            holds: self.holds,
            settled: self.settled,
            reaches: self.arbiter.reaches(now),
            stands,
            left: self.left,
        }
    }

    /// Leaves in good order. Call it when all gates are closed: others wait for nothing any more.
    pub fn leave(&mut self) {
        self.left = true;
        self.urgent = true;
    }

    /// This boot.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Is there a change that nobody asked for yet?
    pub fn has_changed(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The next thing that changed.
    pub fn change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// The view that was promised, if all members have it installed.
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref().filter(|_| self.counts).map(|(view, _)| view)
    }

    /// The number of the view that was promised, installed or not, or held no more.
    pub fn promised(&self) -> ViewNumber {
        self.view.as_ref().map_or(self.floor, |(view, _)| view.number)
    }

    /// How each peer is heard, for people.
    pub fn hearing_in_words(&self, now: BootTime) -> String {
        self.hearing.in_words(now)
    }

    fn tell(&mut self, change: Change) {
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }

    /// Last year's configuration has no say, and is left behind when it is this node's own (safety 1.6).
    fn is_of_my_configuration(&mut self, beat: &Beat) -> bool {
        if breaks!(self.rules, LastYearsConfiguration) {
            return self.voters.has(beat.node);
        }
        if beat.generation > self.configuration.generation {
            if !self.is_outdated() {
                self.tell(Change::Outdated { generation: beat.generation });
            }
            self.newer = self.newer.with(beat.node);
        } else if self.voters.has(beat.node) {
            // Its configuration was mistaken, and is not any more.
            self.newer = self.newer.without(beat.node);
        }
        beat.generation == self.configuration.generation && self.voters.has(beat.node)
    }

    /// Somebody goes by a newer configuration: this node's own is last year's.
    fn refuse_own(&mut self, generation: u64) {
        if !self.outdated && !breaks!(self.rules, LastYearsConfiguration) {
            self.tell(Change::Outdated { generation });
            self.outdated = true;
        }
    }

    /// Does somebody go by a newer configuration, or did this node itself?
    fn is_outdated(&self) -> bool {
        self.outdated || !self.newer.is_empty()
    }

    fn is_silent(&self, now: BootTime) -> bool {
        self.is_outdated() || self.replaced || self.left || self.is_stuck(now) || now < self.quiet_until
    }

    fn think(&mut self, now: BootTime) {
        if !self.is_silent(now) {
            self.choose(now);
            self.advance();
        }
        self.extend_lease(now);
        self.arbitrate(now);
    }
}
