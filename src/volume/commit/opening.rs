//! An opening for write: one Disk-Paxos round on the member disks (safety 2.2). Every takeover, import, switchover and
//! every local command that changes a container begins with one, and what a dead predecessor left in doubt ends with it.

use crate::base::epoch::{Epoch, Generation, Order};
use crate::base::hash::Hash128;
use crate::base::id::{ClusterId, DiskNumber, Incarnation, NodeId, NodeUuid};
use crate::base::small_set::SmallSet;
use crate::base::time::BootTime;
use crate::base::units::Bytes;
use crate::format::layout::{AreaKind, End};
use crate::format::model::{ContainerKind, Model};
use crate::format::node_block::{self, NodeBlock};
use crate::format::slot::SlotImage;
use crate::volume::choose::{self, Chosen, DiskCopies, Unchosen};
use crate::volume::commit::accept::{self, Doubt, Verdict};
use crate::volume::commit::io::{Answer, Ask, Purpose};
use crate::volume::commit::lane::{self, Holding, Job, Lane, LaneState, Member};
use crate::volume::commit::opening::way::{GIVE_WAY_LOOK_MS, GIVE_WAY_LOOKS, GIVE_WAY_LOOKS_MAX, SETTLE_MS};
use crate::volume::commit::session::{Session, handle_lane, poll_lanes, smallest_slot};
use crate::volume::commit::stamp::Stamp;
use crate::volume::mistake::{Rules, breaks};
use crate::volume::votes::{Quorum, Tally};

/// So many rounds above all that is seen an opening goes where a promise may be hidden by damage: far more than were
/// ever minted between two looks, and so few that 2^32 such openings do not use the rounds up.
const HIDDEN_ROUNDS: u64 = 1 << 16;

/// Who opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// The machine.
    pub node: NodeUuid,
    /// Its number in its cluster; a standalone machine has none and claims a free block.
    pub id: Option<NodeId>,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Its cluster.
    pub cluster: ClusterId,
    /// The generation of its cluster's configuration; zero without one (safety 1.6).
    pub configuration: Generation,
}

impl Me {
    /// What it writes under this epoch, after that.
    pub(super) fn stamp(&self, epoch: Epoch, parent: Option<(Order, Hash128)>) -> Stamp {
        let Me { node, incarnation, configuration, .. } = *self;
        Stamp { epoch, parent, node, incarnation, configuration }
    }
}

/// What an opening needs next.
#[derive(Clone, Debug)]
pub enum Need {
    /// These operations; perhaps none yet, when answers are still to come.
    Io(Vec<Ask>),
    /// Let two beats pass: a block was claimed for the first time (safety 2.8).
    Pause,
    /// Let it be proven that this node is quorate still, behind what it promised, and call [`Opening::proven`]: its cluster gave it the number,
    /// in whose own container it claims the block for the first time. Two machines of one number are not quorate at once, so that this says
    /// more than two beats do.
    Proof,
    /// Let so many milliseconds pass: somebody else is at it.
    Wait(u64),
    /// Let pass what a takeover waits for: another machine's block stands at this node's number, and is taken where it stood still
    /// until then (safety 2.8).
    Still,
    /// Nothing: it stands as whoever opened it last left it, and nobody has begun anything since. Only where [`Opening::look_first`] was
    /// asked for.
    Stands(Box<Chosen>),
    /// Call [`Opening::decide`]: may it be opened, and what is the model to be? `None` when the disks are blank and
    /// the container is to be founded.
    Decision(Option<Box<Chosen>>),
    /// It is over.
    Over,
}

/// Why a container was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// No copy could be chosen. Nothing was changed.
    Unchosen(Unchosen),
    /// Fewer disks were read than a majority. Nothing was changed.
    NoMajority(Tally),
    /// Another machine's block stands at this node's number, and was written while it was watched. Nothing was changed.
    BlockTaken {
        /// The number.
        id: NodeId,
        /// The machine in it.
        by: NodeUuid,
    },
    /// All node blocks are taken. Nothing was changed.
    NoBlockFree,
    /// Somebody opens with a higher epoch.
    Superseded(Epoch),
    /// The opening's own commit did not reach a majority.
    InDoubt(Doubt),
    /// The caller declined at the decision. Only this node's own block was written.
    Declined,
    /// The model does not fit the slots. Only this node's own block was written.
    TooLarge {
        /// Bytes it needs.
        needed: Bytes,
        /// Bytes there are.
        room: Bytes,
    },
    /// A newer program wrote a node's block. Nothing was changed.
    NewerBlock {
        /// The node.
        id: NodeId,
        /// The disk.
        disk: DiskNumber,
    },
    /// Epochs or generations are used up. Nothing was changed.
    UsedUp,
    /// The container was to be founded and something stands in its slots. Only this node's own block was written.
    NotBlank,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Survey,
    GiveWay,
    Stands,
    Still,
    Promise,
    Pause,
    Proof,
    Settle,
    Again,
    Decide,
    Accept,
    Over,
}

/// An opening under way.
#[derive(Clone, Debug)]
pub struct Opening {
    lanes: Vec<Lane>,
    me: Me,
    phase: Phase,
    founding: bool,
    looks_first: bool,
    claimed: bool,
    /// Is what was chosen its cluster's own, in which nobody but that gives numbers, and no other machine's block at its number?
    is_among_own: bool,
    /// Does it wait for who is at it, before it promises anything?
    gives_way: bool,
    past: Option<(NodeUuid, Incarnation)>,
    /// What was seen of others at the last look, how many more of them may show the same, and how many there may be.
    way: (Option<(Order, Epoch)>, u32, u32),
    /// Was there time behind the promise for who is at it to notice?
    is_awaited: bool,
    /// What other machines had at this node's number on each lane, before they were watched.
    watched: Option<Vec<Option<NodeBlock>>>,
    asked_histories: bool,
    id: NodeId,
    holding: Holding,
    chosen: Option<Box<Chosen>>,
    accept: Option<Box<Accept>>,
    result: Option<Result<(), Unopened>>,
    rules: Rules,
}

#[derive(Clone, Debug)]
struct Accept {
    image: SlotImage,
    model: Model,
    targets: SmallSet<DiskNumber>,
    quorum: Quorum,
}

impl Lane {
    pub(super) fn fresh(member: Member, rules: Rules) -> Lane {
        let mut lane = Lane::new(member, rules);
        lane.ring = Some(Default::default());
        lane
    }
}

impl Opening {
    /// An opening of the container whose labelled disks are `members`.
    pub fn new(members: Vec<Member>, me: Me, rules: Rules) -> Opening {
        Opening::start(members, me, false, rules)
    }

    /// The first opening of a container whose disks were labelled just now and hold no model yet.
    pub fn found(members: Vec<Member>, me: Me, rules: Rules) -> Opening {
        Opening::start(members, me, true, rules)
    }

    fn start(members: Vec<Member>, me: Me, founding: bool, rules: Rules) -> Opening {
        let mut lanes = members.into_iter().map(|member| Lane::new(member, rules)).collect::<Vec<_>>();
        lanes.iter_mut().for_each(|lane| lane.push_survey(false));
        let holding = Holding { epoch: Epoch::NONE, node: me.node, incarnation: me.incarnation };
        Opening {
            lanes,
            me,
            phase: Phase::Survey,
            founding,
            looks_first: false,
            claimed: false,
            is_among_own: false,
            gives_way: false,
            past: None,
            way: (None, GIVE_WAY_LOOKS, GIVE_WAY_LOOKS_MAX),
            is_awaited: false,
            watched: None,
            asked_histories: false,
            id: NodeId(0),
            holding,
            chosen: None,
            accept: None,
            result: None,
            rules,
        }
    }

    /// Where nothing is to be changed, and all stands as it was left, nothing is written: [`Need::Stands`]. For who goes on with what is
    /// his own: had anybody come so far as to take it from him, a majority of the disks would show his promise, for he proves that the
    /// owner is absent when that is there and not before. What a dead process has under way by the epoch that there is may still land, and
    /// whoever opens it next goes on from there: it can be nothing that takes away what is in use here.
    pub fn look_first(&mut self) {
        self.looks_first = true;
    }

    /// Waits for who is at it, within limits: two who take turns in outbidding each other come to no end. Nobody waits for who is `past`:
    /// nothing that this life of this machine writes lands any more.
    pub fn give_way_first(&mut self, past: Option<(NodeUuid, Incarnation)>) {
        (self.gives_way, self.past) = (true, past);
    }

    /// What is needed next.
    pub fn poll(&mut self, now: BootTime) -> Need {
        loop {
            match self.phase {
                Phase::Over => return Need::Over,
                Phase::Stands => return self.chosen.clone().map_or(Need::Over, Need::Stands),
                Phase::Decide => return Need::Decision(self.chosen.clone()),
                Phase::Pause => {
                    (self.phase, self.is_awaited) = (Phase::Again, true);
                    return Need::Pause;
                }
                Phase::Proof => return Need::Proof,
                Phase::Settle => {
                    (self.phase, self.is_awaited) = (Phase::Again, true);
                    return Need::Wait(SETTLE_MS);
                }
                Phase::GiveWay => {
                    self.lanes.iter_mut().for_each(|lane| lane.push_survey(false));
                    self.phase = Phase::Survey;
                    return Need::Wait(GIVE_WAY_LOOK_MS);
                }
                Phase::Still => {
                    self.lanes.iter_mut().for_each(|lane| lane.push_survey(false));
                    self.phase = Phase::Survey;
                    return Need::Still;
                }
                Phase::Survey | Phase::Promise | Phase::Again | Phase::Accept => (),
            }
            let asks = poll_lanes(&mut self.lanes, now);
            if !asks.is_empty() || !self.lanes.iter().all(Lane::is_idle) {
                return Need::Io(asks);
            }
            if let Err(why) = self.advance() {
                self.result = Some(Err(why));
                self.phase = Phase::Over;
            }
        }
    }

    /// Takes an answer.
    pub fn handle(&mut self, lane: usize, answer: Answer) {
        handle_lane(&mut self.lanes, lane, answer)
    }

    /// What [`Need::Proof`] asked for is so.
    pub fn proven(&mut self) {
        if self.phase == Phase::Proof {
            self.phase = Phase::Again;
        }
    }

    /// How it ended, once [`Need::Over`].
    pub fn finish(self) -> Result<Session, Unopened> {
        match (self.result, self.accept) {
            (Some(Ok(())), Some(accept)) => Ok(Session {
                lanes: self.lanes,
                me: self.me,
                id: self.id,
                holding: self.holding,
                image: accept.image,
                model: accept.model,
                rules: self.rules,
            }),
            (Some(Err(why)), _) => Err(why),
            _ => Err(Unopened::Declined),
        }
    }

    fn advance(&mut self) -> Result<(), Unopened> {
        match self.phase {
            Phase::Survey => self.promise(),
            Phase::Promise => self.survey_again(),
            Phase::Again => self.consider(),
            Phase::Accept => self.conclude(),
            Phase::Stands | Phase::Still | Phase::Decide | Phase::Over => Ok(()),
            Phase::GiveWay | Phase::Pause | Phase::Proof | Phase::Settle => Ok(()),
        }
    }

    fn copies(&self) -> Vec<DiskCopies> {
        self.lanes
            .iter()
            .filter(|lane| lane.state == LaneState::Well)
            .map(|lane| lane.copies.clone())
            .collect()
    }

    /// What the slots say now, and that enough of them were read.
    fn look(&self) -> Result<Option<Chosen>, Unopened> {
        match choose::choose(&self.copies(), self.rules) {
            Ok(_) if self.founding => Err(Unopened::NotBlank),
            Ok(chosen) if chosen.majority_read => Ok(Some(chosen)),
            Ok(chosen) => {
                let quorum = Quorum::of(&chosen.model.table);
                Err(Unopened::NoMajority(quorum.tally(&chosen.read, self.rules)))
            }
            Err(Unchosen::Nothing) if self.founding => Ok(None),
            Err(why) => Err(Unopened::Unchosen(why)),
        }
    }

    /// First survey done: mint an epoch above all that was seen and write it into this node's own block.
    fn promise(&mut self) -> Result<(), Unopened> {
        let chosen = self.look()?;
        if chosen.as_ref().is_some_and(|chosen| self.is_any_behind(chosen)) && !self.asked_histories {
            // Before anything is written: one that is behind may have gone another way (F44).
            self.asked_histories = true;
            self.lanes.iter_mut().for_each(|lane| lane.push(Job::Ring));
            return Ok(());
        }
        self.histories_fit()?;
        self.hear_all()?;
        if let Some(chosen) = chosen.as_ref().filter(|chosen| self.looks_first && self.is_untouched(chosen)) {
            (self.chosen, self.phase) = (Some(Box::new(chosen.clone())), Phase::Stands);
            return Ok(());
        }
        // Whoever brought it over outbid what the others promised where it was before, and its guard lets none of them in.
        let settled = chosen
            .as_ref()
            .filter(|chosen| chosen.committed && chosen.model.container.kind != ContainerKind::Deported);
        let cluster = settled.map(|chosen| chosen.model.container.cluster);
        let is_numbered = self.me.id.is_some_and(|id| !self.is_anothers(id)) && !self.me.cluster.is_none();
        self.is_among_own = is_numbered && cluster == Some(self.me.cluster);
        if chosen.as_ref().is_some_and(|chosen| self.is_to_wait(chosen)) {
            self.phase = Phase::GiveWay;
            return Ok(());
        }
        let Some(id) = self.claim(cluster)? else {
            self.phase = Phase::Still;
            return Ok(());
        };
        self.id = id;
        let promised = self.lanes.iter().filter_map(|lane| Some(lane.blocks.highest()?.epoch));
        let written = self.lanes.iter().flat_map(|lane| {
            lane.copies.slots.iter().filter_map(|(_, _, copy)| Some(copy.as_ref().ok()?.header.order.epoch))
        });
        let mut seen = promised.chain(written).max().unwrap_or(Epoch::NONE);
        if breaks!(self.rules, EpochNotAboveSeen) {
            seen = self
                .lanes
                .iter()
                .filter_map(|lane| Some(lane.blocks.of(self.id)?.epoch))
                .max()
                .unwrap_or(Epoch::NONE);
        }
        let minter = if breaks!(self.rules, EpochWithoutNode) { NodeId(0) } else { self.id };
        let far =
            self.promise_may_be_hidden().then(|| Epoch::far_above(seen, HIDDEN_ROUNDS, minter)).flatten();
        self.holding.epoch = far.or_else(|| Epoch::above(seen, minter)).ok_or(Unopened::UsedUp)?;
        for place in 0..self.lanes.len() {
            if breaks!(self.rules, NoPromise) || (breaks!(self.rules, PromiseOnOneDisk) && place > 0) {
                continue;
            }
            self.push_promise(place)?;
        }
        self.phase = Phase::Promise;
        Ok(())
    }

    /// Is it committed for good, whole on every disk that answers, and has nobody promised anything since: neither another node, nor an
    /// earlier process of this one, nor another machine in its place?
    fn is_untouched(&self, chosen: &Chosen) -> bool {
        let (epoch, hash) = (chosen.image.header.order.epoch, chosen.image.header.hash);
        let is_mine = |block: &NodeBlock| Some(block.id) != self.me.id || block.node == self.me.node;
        let is_past = |block: &NodeBlock| block.epoch <= epoch || breaks!(self.rules, GoesOnOverPromise);
        let well = || self.lanes.iter().filter(|lane| lane.state == LaneState::Well);
        let past = well().flat_map(|lane| &lane.blocks.newest).all(|block| is_past(block) && is_mine(block));
        let whole = self.copies().iter().all(|copies| copies.holds_at_both_ends(hash));
        let settled = chosen.committed && chosen.settled && chosen.model.table.old_set.is_none();
        settled && whole && past && !self.promise_may_be_hidden()
    }

    /// Is there a disk whose newest copy is not the one that counts?
    fn is_any_behind(&self, chosen: &Chosen) -> bool {
        let order = chosen.image.header.order;
        let is_behind =
            |copies: &DiskCopies| copies.newest().is_some_and(|(_, image)| image.header.order != order);
        self.copies().iter().any(is_behind)
    }

    fn histories_fit(&self) -> Result<(), Unopened> {
        let well = self.lanes.iter().filter(|lane| lane.state == LaneState::Well);
        let histories = well.map(|lane| (lane.member.number, lane.kept.as_slice()));
        choose::fit(&self.copies(), &histories.collect::<Vec<_>>(), self.rules).map_err(Unopened::Unchosen)
    }

    /// A promise that a newer program wrote must be heard, and cannot be.
    fn hear_all(&self) -> Result<(), Unopened> {
        let newer = |lane: &Lane| Some((lane.member.number, *lane.blocks.newer.first()?));
        match self.lanes.iter().find_map(newer) {
            Some((disk, id)) => Err(Unopened::NewerBlock { id, disk }),
            None => Ok(()),
        }
    }

    /// Both blocks of another node are damaged somewhere: a promise of its may have stood there that no disk shows.
    fn promise_may_be_hidden(&self) -> bool {
        let hides = |lane: &Lane| lane.blocks.damaged.iter().any(|id| self.claimed || *id != self.id);
        self.lanes.iter().any(hides)
    }

    fn push_promise(&mut self, place: usize) -> Result<(), Unopened> {
        let (me, id, holding) = (self.me.clone(), self.id, self.holding);
        let Some(lane) = self.lanes.get_mut(place) else { return Ok(()) };
        let counter = lane.blocks.of(id).map_or(0, |block| block.counter.wrapping_add(1));
        let area = lane.member.layout.area(AreaKind::NodeBlocks, End::Primary);
        let at = node_block::place(&area, id, counter).ok_or(Unopened::NoBlockFree)?;
        let block = NodeBlock {
            id,
            node: me.node,
            cluster: me.cluster,
            container: lane.member.container,
            incarnation: me.incarnation,
            epoch: holding.epoch,
            counter,
        };
        let bytes: std::sync::Arc<[u8]> = block.encode().into();
        lane.push(Job::Write(at, bytes.clone(), Purpose::OwnBlock));
        lane.push(Job::Flush);
        lane.push(Job::Verify(at, bytes));
        Ok(())
    }

    /// Promised: read everything again.
    fn survey_again(&mut self) -> Result<(), Unopened> {
        if breaks!(self.rules, NoSurveyAfterPromise) {
            return self.consider();
        }
        self.lanes.iter_mut().for_each(|lane| lane.push_survey(true));
        self.phase = match self.claimed {
            true if self.is_among_own => Phase::Proof,
            true => Phase::Pause,
            false => Phase::Again,
        };
        Ok(())
    }

    /// Second survey done: nobody outbid us and our own block still stands; ask what the model is to be.
    fn consider(&mut self) -> Result<(), Unopened> {
        for lane in self.lanes.iter_mut().filter(|lane| lane.state == LaneState::Well) {
            let written = lane.copies.newest().map(|(_, image)| image.header.order.epoch);
            let rival = lane::rival(&lane.blocks, self.holding, self.rules);
            let rival = rival.max(
                written
                    .filter(|&epoch| epoch >= self.holding.epoch && !breaks!(self.rules, EpochWithoutNode)),
            );
            if let Some(epoch) = rival
                && !breaks!(self.rules, LowerEpochMayOverwrite)
            {
                return Err(Unopened::Superseded(epoch));
            }
            let mine = lane.blocks.of(self.id).is_some_and(|block| block.incarnation == self.me.incarnation);
            if !mine && !breaks!(self.rules, NoPromise) && !breaks!(self.rules, PromiseOnOneDisk) {
                lane.state = LaneState::Failed;
            }
        }
        self.chosen = self.look()?.map(Box::new);
        self.histories_fit()?;
        if self.chosen.as_ref().is_some_and(|chosen| self.may_be_written_late(chosen)) {
            self.lanes.iter_mut().for_each(|lane| lane.push_survey(true));
            self.phase = Phase::Settle;
            return Ok(());
        }
        self.phase = Phase::Decide;
        Ok(())
    }

    /// The order of the model that is read and the one that the decision will get.
    pub fn next_order(&self) -> Option<Order> {
        self.stamp().order()
    }

    fn stamp(&self) -> Stamp {
        let parent = self.chosen.as_ref().map(|chosen| (chosen.image.header.order, chosen.image.header.hash));
        self.me.stamp(self.holding.epoch, parent)
    }

    /// The caller's answer to [`Need::Decision`]: the model to write under the new epoch, or `None` to let it be.
    /// A founding must reach every disk; `keep` puts the model that was read into the history rings.
    pub fn decide(&mut self, model: Option<Model>, keep: bool) {
        if self.phase != Phase::Decide {
            return;
        }
        let begun = match model {
            Some(model) => self.begin_accept(model, keep),
            None => Err(Unopened::Declined),
        };
        if let Err(why) = begun {
            self.result = Some(Err(why));
            self.phase = Phase::Over;
        }
    }

    fn begin_accept(&mut self, mut model: Model, keep: bool) -> Result<(), Unopened> {
        if breaks!(self.rules, OpeningDropsOldSet) {
            model.table.old_set = None;
        }
        let targets = accept::targets(&model);
        let room = smallest_slot(&self.lanes, &targets);
        let image = self.stamp().fitting(&mut model, room).ok_or(Unopened::UsedUp)?;
        if image.header.slot_bytes() > room {
            return Err(Unopened::TooLarge { needed: image.header.slot_bytes(), room });
        }
        let quorum = Quorum::of(&model.table);
        let before = self.chosen.as_ref().filter(|_| keep).map(|chosen| chosen.image.clone());
        accept::start(&mut self.lanes, &targets, &quorum, &image, before.as_ref(), self.holding, self.rules);
        self.accept = Some(Box::new(Accept { image, model, targets, quorum }));
        self.phase = Phase::Accept;
        Ok(())
    }

    fn conclude(&mut self) -> Result<(), Unopened> {
        self.phase = Phase::Over;
        let Some(accept) = &self.accept else { return Err(Unopened::Declined) };
        let order = accept.image.header.order;
        match accept::verdict(&self.lanes, &accept.targets, &accept.quorum, order, self.rules) {
            Verdict::Committed { held_by } if self.founding && held_by.len() < self.lanes.len() => {
                let tally = Tally { have: held_by.len(), need: self.lanes.len() };
                return Err(Unopened::InDoubt(Doubt { order, tally }));
            }
            Verdict::Committed { .. } => self.result = Some(Ok(())),
            Verdict::Superseded(epoch) => return Err(Unopened::Superseded(epoch)),
            Verdict::InDoubt(doubt) => return Err(Unopened::InDoubt(doubt)),
        }
        Ok(())
    }
}

mod claim;
#[cfg(test)]
mod tests;
mod way;
