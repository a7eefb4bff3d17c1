//! Ties: a view of exactly half of the votes is quorate only while all its votes grant it *and* the arbiter does (safety 1.5);
//! and the cold start (F27): who was never quorate since it was booted does not take a tie, unless it is shown that nobody
//! else can be.

use crate::base::id::NodeId;
use crate::base::time::BootTime;
use crate::cluster::arbiter::{Answer, Arbiter, Command, Heard, Wish};
use crate::cluster::configuration;
use crate::cluster::membership::{Change, Membership};
use crate::cluster::mistake::breaks;
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::{Stage, View};

/// Disk beats that a side waits which does not hold containers, and one that has not the lowest member either (R14).
const DELAY_BEATS: (u64, u64) = (1, 2);

impl Membership {
    /// Exactly half of the votes, where there is an arbiter.
    pub(super) fn is_tie(&self, view: &View) -> bool {
        self.configuration.arbitration_disks > 0 && self.is_half(view) && self.settled && !self.undecided
    }

    fn is_half(&self, view: &View) -> bool {
        let votes = self.configuration.votes(view.nodes());
        votes > 0 && votes * 2 == self.all_votes
    }

    /// May a tie by this configuration be? Not before a majority by it was (`settled`): the generation before may have one
    /// that knows nothing of it. Not by who accepted the next (`undecided`): that may be in force elsewhere, and half of the
    /// votes by this one have no voter in common with a majority by that.
    pub fn allow_ties(&mut self, settled: bool, undecided: bool) {
        self.settled = settled || breaks!(self.rules, TieBeforeMajority);
        self.undecided = undecided && !breaks!(self.rules, TieWhileUndecided);
        let (settled, undecided) = (self.settled, self.undecided);
        if !self.tie || (settled && !undecided) {
            return;
        }
        self.tie = false;
        (self.lease_until, self.tie_until) = (BootTime::default(), BootTime::default());
        self.urgent = true;
    }

    /// Somebody knows of a majority by this configuration: so a tie may be by now, and who bids may be this very node.
    pub(super) fn note_settled(&mut self) {
        if self.settled {
            return;
        }
        self.settled = true;
        // A view of half that was none until now made nobody quorate: no lease of it is there to be kept or ended.
        self.tie = self.view.as_ref().is_some_and(|(view, _)| self.is_tie(view));
        self.urgent = true;
    }

    /// Is a tie not granted to anybody?
    pub(super) fn withholds(&self, view: &View) -> bool {
        self.undecided && self.is_half(view)
    }

    /// Was a majority by this configuration, as far as this node knows; and did it accept the next one?
    pub fn ties(&self) -> (bool, bool) {
        (self.settled, self.undecided)
    }

    /// Do so many votes of the promised view make it quorate, or half of what a tie needs?
    pub(super) fn is_enough(&self, votes: u32) -> bool {
        let all_of_half = self.tie && votes * 2 == self.all_votes;
        all_of_half || configuration::is_majority(votes, self.all_votes, self.rules)
    }

    /// What the arbiter is asked for.
    fn wish(&self, now: BootTime) -> Option<Wish> {
        let view = self.view().filter(|_| self.tie)?;
        let granted = now < self.lease_until && self.grants(now);
        // Who is left out of the choice does not let go: those who are chosen may be cold, or reach no disk (seed 3493), and
        // who holds a tie keeps it (R14).
        if self.is_silent(now) || !granted || self.bidder(view, now) != Some(self.node) || self.is_cold(view)
        {
            return None;
        }
        let has_votes = |node: &NodeId| self.configuration.votes(NodeSet::of(*node)) > 0;
        let (preferred, other) = DELAY_BEATS;
        let beats = if self.any_member(view, self.holds, |beat| beat.holds) {
            0
        } else if self.last_majority.lowest().is_some_and(|node| view.nodes().has(node)) {
            preferred
        } else {
            other
        };
        Some(Wish {
            view: view.record(),
            voters: view.nodes().iter().filter(has_votes).collect(),
            majority: self.majority_at,
            delay_ms: beats * self.configuration.timing.disk_beat_ms,
        })
    }

    fn any_member(&self, view: &View, own: bool, of: impl Fn(&crate::cluster::beat::Beat) -> bool) -> bool {
        let others = view.members.iter().filter_map(|(node, boot)| self.hearing.beat_of(*node, *boot));
        own || others.into_iter().any(of)
    }

    /// The member that bids: the lowest of those who reach a majority of the disks.
    fn bidder(&self, view: &View, now: BootTime) -> Option<NodeId> {
        let reaches = |node: &NodeId| match view.members.get(node) {
            Some(_) if *node == self.node => self.arbiter.reaches(now),
            Some(boot) => self.hearing.beat_of(*node, *boot).is_some_and(|beat| beat.reaches),
            None => false,
        };
        view.nodes().iter().find(reaches)
    }

    /// Must this tie be left alone because nobody in it was ever quorate since its boot?
    pub fn is_cold(&self, view: &View) -> bool {
        if breaks!(self.rules, ColdStartUnguarded) || self.assumed_alone.is_some() {
            return false;
        }
        let warm = self.any_member(view, self.warm, |beat| beat.warm);
        let last = self.arbiter.last_quorate().map(|last| NodeSet::from_bits(last.members));
        let sole = last.is_some_and(|members| members.minus(view.nodes()).is_empty());
        let absent = self.voters.minus(view.nodes());
        let counts = |node: &NodeId| self.configuration.votes(NodeSet::of(*node)) > 0;
        let gone = |node: NodeId| self.proven_gone.has(node) && !self.arbiter.moves(node);
        !(warm || sole || absent.iter().filter(counts).all(gone))
    }

    /// The counter of the newest view by which anybody was quorate, as the disks tell it.
    fn last_on_disk(&self) -> u64 {
        self.arbiter.last_quorate().map_or(0, |last| last.counter)
    }

    /// Was a tie numbered by who did not know yet what stands on the disks? What makes quorate is numbered above all that did,
    /// so that the newest on disk can be told.
    pub(super) fn is_misnumbered(&self, view: &View) -> bool {
        self.tie && !self.warm && view.number.counter <= self.last_on_disk()
    }

    /// The fence of these nodes is proven; who proves it is in another wing, and takes it back when one returns.
    pub fn prove_gone(&mut self, nodes: NodeSet) {
        self.proven_gone = nodes;
    }

    /// An administrator's word that nobody else lives, and why: a cold start waits for nothing more (F27, break-glass).
    pub fn assume_alone(&mut self, reason: &str) {
        self.assumed_alone = Some(reason.to_owned());
        self.tell(Change::AssumedAlone(reason.to_owned()));
    }

    /// Does this node run containers? Its side goes first where there is a tie (R14).
    pub fn hold_containers(&mut self, holds: bool) {
        self.holds = holds;
    }

    /// Whom this node hears now, whether they count yet or not.
    pub fn heard(&self) -> NodeSet {
        self.hearing.heard()
    }

    /// Until when the arbiter makes this view quorate: by this node's own writes, or by another member's, counted from the
    /// newest beat of this node that it had heard when it began to write.
    fn tied_until(&self, view: &View) -> Option<BootTime> {
        let record = view.record();
        let own = self.arbiter.stands_for(&record).map(|(until, _)| until);
        let lease = self.configuration.timing.disk_lease_ms;
        let told = view.members.iter().filter_map(|(node, boot)| {
            let beat = self
                .hearing
                .beat_of(*node, *boot)
                .filter(|beat| beat.is_at(view.number, Stage::Installed))?;
            Some(self.sent.at(beat.stands_by(self.node, self.incarnation)?)?.plus_ms(lease))
        });
        let until = own.into_iter().chain(told).max();
        until.filter(|until| *until >= self.stood.plus_ms(lease))
    }

    /// Until when the arbiter holds the promised view, where that is a tie.
    pub fn tied(&self) -> Option<BootTime> {
        self.tie.then_some(self.tie_until)
    }

    pub(super) fn extend_tie(&mut self, now: BootTime) {
        if self.is_silent(now) {
            return;
        }
        let Some(view) = self.view().filter(|_| self.tie) else { return };
        let until = self.tied_until(view).unwrap_or_default();
        if until > self.tie_until {
            self.urgent |= self.tie_until <= now;
            self.tie_until = until;
        }
    }

    /// What a beat says of the arbiter: by which beats of others the promised view holds the tie.
    pub(super) fn stands(&self) -> Heard {
        let record = self.view().map(View::record);
        let stands = record.and_then(|record| self.arbiter.stands_for(&record));
        stands.map(|(_, heard)| heard.clone()).unwrap_or_default()
    }

    /// Lets the arbiter go on.
    pub(super) fn arbitrate(&mut self, now: BootTime) {
        let gone = self.is_outdated() || self.replaced || self.left || self.is_stuck(now);
        self.arbitrates = self.configuration.arbitration_disks > 0 && !gone;
        if !self.arbitrates {
            return;
        }
        let wish = self.wish(now);
        let hearing = &self.hearing;
        let heard = || hearing.echoes(now).collect();
        self.arbiter.tick(now, wish, heard);
    }

    /// The next thing to be done on an arbitration disk. What [`Membership::memory`] gives must be kept before it is done.
    pub fn command(&mut self) -> Option<Command> {
        self.arbiter.command()
    }

    /// A command has ended.
    pub fn answer(&mut self, now: BootTime, disk: usize, id: u64, answer: Answer<'_>) {
        self.arbiter.answer(now, disk, id, answer);
        self.highest = self.highest.max(self.last_on_disk());
        let generation = self.arbiter.newest_generation();
        if generation > self.configuration.generation {
            self.refuse_own(generation);
        }
        self.think(now);
    }

    /// The arbiter, to be asked how it stands.
    pub fn arbiter(&self) -> &Arbiter {
        &self.arbiter
    }
}
