//! A container held open under one epoch: what is on each disk, and the commits that follow the opening.

use crate::base::epoch::Order;
use crate::base::hash::Hash128;
use crate::base::id::{DiskNumber, NodeId};
use crate::base::small_set::SmallSet;
use crate::base::time::BootTime;
use crate::base::units::Bytes;
use crate::format::model::Model;
use crate::format::slot::SlotImage;
use crate::volume::commit::accept::{self, Verdict};
use crate::volume::commit::io::{Answer, Ask};
use crate::volume::commit::lane::{Holding, Lane, LaneState, Member};
use crate::volume::commit::opening::Me;
use crate::volume::commit::stamp::Stamp;
use crate::volume::mistake::Rules;
use crate::volume::votes::Quorum;

/// A container held open.
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) lanes: Vec<Lane>,
    pub(super) me: Me,
    /// This node's number on these disks.
    pub id: NodeId,
    /// The epoch held.
    pub holding: Holding,
    /// The model that was committed last, as its slot.
    pub image: SlotImage,
    /// The same, decoded.
    pub model: Model,
    pub(super) rules: Rules,
}

impl Session {
    /// Order of the model committed last.
    pub fn order(&self) -> Order {
        self.image.header.order
    }

    /// The lanes, in the order of the disks that the opening was made with, and later ones behind.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Disks that did all that was asked of them so far.
    pub fn reached(&self) -> SmallSet<DiskNumber> {
        self.lanes
            .iter()
            .filter(|lane| lane.state == LaneState::Well)
            .map(|lane| lane.member.number)
            .collect()
    }

    /// Takes disks in that were labelled for this container just now: they join by the next commit.
    pub fn join(&mut self, members: Vec<Member>) {
        self.lanes.extend(members.into_iter().map(|member| Lane::fresh(member, self.rules)));
    }

    /// Who writes next, and after what.
    pub fn stamp(&self) -> Stamp {
        let parent = Some((self.order(), self.image.header.hash));
        self.me.stamp(self.holding.epoch, parent)
    }
}

/// Why a commit was not begun. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// Bytes that the model needs in a slot.
    pub needed: Bytes,
    /// Bytes that the smallest slot has.
    pub room: Bytes,
}

/// One commit under way.
#[derive(Clone, Debug)]
pub struct Commit {
    session: Session,
    image: SlotImage,
    model: Model,
    targets: SmallSet<DiskNumber>,
    quorum: Quorum,
}

/// Smallest slot among the lanes that shall be written.
pub(super) fn smallest_slot(lanes: &[Lane], targets: &SmallSet<DiskNumber>) -> Bytes {
    let slots = lanes.iter().filter(|lane| targets.contains(&lane.member.number));
    slots.map(|lane| lane.member.layout.slot_bytes()).min().unwrap_or(Bytes(u64::MAX))
}

impl Commit {
    /// Begins to commit `model` as the next generation; with `keep`, the model before goes to the history rings.
    /// The session comes back with the verdict. On refusal it comes back at once.
    pub fn new(
        mut session: Session,
        mut model: Model,
        keep: bool,
    ) -> Result<Commit, Box<(Session, TooLarge)>> {
        let targets = accept::targets(&model);
        let room = smallest_slot(&session.lanes, &targets);
        let image = session.stamp().fitting(&mut model, room);
        let Some(image) = image.filter(|image| image.header.slot_bytes() <= room) else {
            let needed = model
                .encode()
                .map_or(Bytes(u64::MAX), |body| crate::format::slot::slot_bytes_for(body.len() as u64));
            return Err(Box::new((session, TooLarge { needed, room })));
        };
        let quorum = Quorum::of(&model.table);
        let before = keep.then(|| session.image.clone());
        let (holding, rules) = (session.holding, session.rules);
        accept::start(&mut session.lanes, &targets, &quorum, &image, before.as_ref(), holding, rules);
        Ok(Commit { session, image, model, targets, quorum })
    }

    /// Operations that can be asked of the disks now.
    pub fn poll(&mut self, now: BootTime) -> Vec<Ask> {
        poll_lanes(&mut self.session.lanes, now)
    }

    /// Takes an answer.
    pub fn handle(&mut self, lane: usize, answer: Answer) {
        handle_lane(&mut self.session.lanes, lane, answer)
    }

    /// Has every disk ended its part?
    pub fn is_over(&self) -> bool {
        self.session.lanes.iter().all(Lane::is_idle)
    }

    /// The content hash of the model under way.
    pub fn hash(&self) -> Hash128 {
        self.image.header.hash
    }

    /// The verdict, once [`Commit::is_over`]; the session stands on the new model only when it is committed.
    pub fn finish(self) -> (Session, Verdict) {
        let Commit { mut session, image, model, targets, quorum } = self;
        let verdict = accept::verdict(&session.lanes, &targets, &quorum, image.header.order, session.rules);
        if matches!(verdict, Verdict::Committed { .. }) {
            (session.image, session.model) = (image, model);
        }
        (session, verdict)
    }
}

pub(super) fn poll_lanes(lanes: &mut [Lane], now: BootTime) -> Vec<Ask> {
    let asks =
        lanes.iter_mut().enumerate().filter_map(|(lane, state)| Some(Ask { lane, op: state.poll(now)? }));
    asks.collect()
}

pub(super) fn handle_lane(lanes: &mut [Lane], lane: usize, answer: Answer) {
    if let Some(lane) = lanes.get_mut(lane) {
        lane.handle(answer);
    }
}
