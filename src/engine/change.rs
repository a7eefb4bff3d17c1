//! One change of one container from its opening to its end: open, finish what a predecessor left, label disks that
//! join, commit, settle the set of disks, wipe disks that left. Each arrow is a state that a crash may cut; what is on
//! disk then is told in `ARCHITECTURE.md`, and the crash model cuts every one.

use crate::base::epoch::{Epoch, Order};
use crate::base::gather::Gather;
use crate::base::id::{DiskNumber, Incarnation, NodeUuid};
use crate::base::small_set::SmallSet;
use crate::base::time::BootTime;
use crate::base::units::Bytes;
use crate::engine::guard::{Mandate, Permit};
use crate::format::label::Label;
use crate::format::model::{ChangeKind, DiskState, Model};
use crate::volume::choose::Chosen;
use crate::volume::commit::io::{Answer, Ask};
use crate::volume::commit::{Commit, Doubt, Labels, Me, Member, Need, Opening, Session, Unopened, Verdict};
use crate::volume::mistake::{Rules, breaks};

/// A disk that joins: its lane comes behind those of the container's disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joiner {
    /// The disk as a member.
    pub member: Member,
    /// Its label.
    pub label: Label,
    /// Its size.
    pub size: Bytes,
}

/// What a change amounts to, once the container is open.
#[derive(Clone, Debug)]
pub struct Work {
    /// The next model.
    pub model: Model,
    /// Disks that join by it.
    pub join: Vec<Joiner>,
}

/// Who decides what is written; the engine's planner, or a scripted one in the crash model.
pub trait Author {
    /// Why it would not.
    type Refusal: Clone;

    /// Does it rest on the view, which was so when it was asked for and may not be any more: on somebody's absence, or that nobody took what
    /// gates were closed of? Then that is proven anew behind the promise.
    fn rests_on_view(&self) -> bool {
        false
    }

    /// Does it outbid at once whoever seems to be at it? Two who do come to no end.
    fn hurries(&self) -> bool {
        false
    }

    /// The machine, and the life of it, of which it is proven that nothing that it writes lands any more.
    fn past(&self) -> Option<(NodeUuid, Incarnation)> {
        None
    }

    /// Does it only go on with what is its own, and is content where that stands as it was left?
    fn goes_on(&self) -> bool {
        false
    }

    /// May this be opened, and as what? `None` was found where a container is to be founded. `next` is the order that it gets.
    fn open(&mut self, found: Option<&Chosen>, next: Order) -> Result<(Mandate, Model), Self::Refusal>;

    /// The change itself; `None` when the opening was all. `reached` are the disks that answer.
    fn change(
        &mut self,
        model: &Model,
        at: Order,
        reached: &SmallSet<DiskNumber>,
    ) -> Result<Option<Work>, Self::Refusal>;
}

/// How a change ended when it did not go through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halted<R> {
    /// The author refused. `touched` tells whether an opening was committed before.
    Refused {
        /// Why.
        why: R,
        /// Was a new epoch written?
        touched: bool,
    },
    /// The container could not be opened.
    Unopened(Unopened),
    /// Somebody else took it between the opening and the commit.
    Superseded(Epoch),
    /// The commit is in doubt.
    InDoubt(Doubt),
    /// The model does not fit.
    TooLarge {
        /// Bytes it needs.
        needed: Bytes,
        /// Bytes there are.
        room: Bytes,
    },
    /// Disks that were to join could not be labelled, by lane; the container is as it was.
    Unlabelled(Vec<usize>),
}

/// How a change ended when it went through.
#[derive(Clone, Debug)]
pub struct Done {
    /// The model that is committed.
    pub model: Model,
    /// Its order.
    pub order: Order,
    /// Disks that did not hold it at the end.
    pub missed: SmallSet<DiskNumber>,
    /// Released disks whose labels could not be wiped.
    pub unwiped: SmallSet<DiskNumber>,
    /// Disks that were released by an earlier change and lost their labels in this one.
    pub freed: SmallSet<DiskNumber>,
}

#[derive(Clone, Debug)]
enum Stage {
    Opening(Box<Opening>),
    Settling(Box<Commit>),
    Labelling { labels: Box<Labels>, session: Box<Session>, work: Box<Work> },
    Undoing { labels: Box<Labels>, failed: Vec<usize> },
    Committing(Box<Commit>),
    Wiping { labels: Box<Labels>, session: Box<Session>, last: bool },
    Over,
}

/// How a change ended.
pub type Ended<A> = Result<Done, Halted<<A as Author>::Refusal>>;

/// A change under way.
#[derive(Clone)]
pub struct Change<A: Author> {
    author: A,
    stage: Stage,
    members: Vec<Member>,
    mandate: Option<Mandate>,
    epoch: Epoch,
    asked: bool,
    /// Only the deliberate mistake of using a number twice sets this.
    reused: bool,
    keep: bool,
    /// Was the lease proven anew?
    is_proven: bool,
    freed: SmallSet<DiskNumber>,
    result: Option<Result<Done, Halted<A::Refusal>>>,
    rules: Rules,
}

/// What a change needs next.
#[derive(Debug)]
pub enum Step {
    /// These operations, under this permit when they write.
    Io(Vec<Ask>, Option<Permit>),
    /// Let two beats pass.
    Pause,
    /// Let so many milliseconds pass: somebody else is at it.
    Wait(u64),
    /// Let pass what a takeover waits for.
    Still,
    /// Let the lease be proven anew, and call [`Change::proof`]: that this node was quorate when all was done that was done so far. It goes
    /// by others' absence, or by what it read in this term, and its clock does not tell that of it where the machine stood still (T6).
    /// Who comes back later finds the promise, or outbids it. Or it claims a block, and shows by that that the number is its alone.
    Proof,
    /// It is over.
    Over,
}

impl<A: Author> Change<A> {
    /// A change of the container whose labelled disks are `members`; `mandate` is what the guard said of the model as
    /// discovered, and it is asked again of the model as opened. With `keep`, models before go to the history rings.
    pub fn new(
        members: Vec<Member>,
        mandate: Mandate,
        me: Me,
        author: A,
        keep: bool,
        rules: Rules,
    ) -> Change<A> {
        let mut opening = Opening::new(members.clone(), me, rules);
        if author.goes_on() {
            opening.look_first();
        }
        if !author.hurries() {
            opening.give_way_first(author.past());
        }
        Change::start(members, mandate, opening, author, keep, rules)
    }

    /// The founding of a container on `members`, labelled just now.
    pub fn found(members: Vec<Member>, mandate: Mandate, me: Me, author: A, rules: Rules) -> Change<A> {
        let opening = Opening::found(members.clone(), me, rules);
        Change::start(members, mandate, opening, author, false, rules)
    }

    fn start(
        members: Vec<Member>,
        mandate: Mandate,
        opening: Opening,
        author: A,
        keep: bool,
        rules: Rules,
    ) -> Change<A> {
        Change {
            author,
            stage: Stage::Opening(Box::new(opening)),
            members,
            mandate: Some(mandate),
            epoch: Epoch::NONE,
            asked: false,
            reused: false,
            keep,
            is_proven: false,
            freed: SmallSet::new(),
            result: None,
            rules,
        }
    }

    /// What is needed next.
    pub fn poll(&mut self, now: BootTime) -> Step {
        loop {
            let asks = match &mut self.stage {
                Stage::Over => return Step::Over,
                Stage::Opening(opening) => match opening.poll(now) {
                    Need::Io(asks) => asks,
                    Need::Pause => return Step::Pause,
                    Need::Wait(ms) => return Step::Wait(ms),
                    Need::Still => return Step::Still,
                    Need::Proof => return Step::Proof,
                    Need::Stands(_) if !self.is_proven => return Step::Proof,
                    Need::Stands(chosen) => {
                        self.goes_on(*chosen);
                        continue;
                    }
                    Need::Decision(_) if self.author.rests_on_view() && !self.is_proven => {
                        return Step::Proof;
                    }
                    Need::Decision(chosen) => {
                        self.decide(chosen);
                        continue;
                    }
                    Need::Over => {
                        self.advance();
                        continue;
                    }
                },
                Stage::Settling(commit) | Stage::Committing(commit) => commit.poll(now),
                Stage::Labelling { labels, .. }
                | Stage::Undoing { labels, .. }
                | Stage::Wiping { labels, .. } => labels.poll(),
            };
            if !asks.is_empty() || !self.is_idle() {
                return Step::Io(asks, self.permit());
            }
            self.advance();
        }
    }

    /// Takes an answer.
    pub fn handle(&mut self, lane: usize, answer: Answer) {
        match &mut self.stage {
            Stage::Opening(opening) => opening.handle(lane, answer),
            Stage::Settling(commit) | Stage::Committing(commit) => commit.handle(lane, answer),
            Stage::Labelling { labels, .. }
            | Stage::Undoing { labels, .. }
            | Stage::Wiping { labels, .. } => {
                labels.handle(lane, answer);
            }
            Stage::Over => (),
        }
    }

    /// What came of [`Step::Proof`]: is it proven? If not the lease is over, and so is this.
    pub fn proof(&mut self, is_proven: bool) {
        self.is_proven = is_proven;
        match &mut self.stage {
            Stage::Opening(opening) if is_proven => opening.proven(),
            _ if is_proven => (),
            _ => self.halt(Halted::Unopened(Unopened::Declined)),
        }
    }

    /// How it ended, once [`Step::Over`], and the author back.
    pub fn finish(self) -> (A, Option<Ended<A>>) {
        (self.author, self.result)
    }

    /// The author, for a look while the change is under way.
    pub fn author(&self) -> &A {
        &self.author
    }

    fn is_idle(&self) -> bool {
        match &self.stage {
            Stage::Opening(_) => false,
            Stage::Settling(commit) | Stage::Committing(commit) => commit.is_over(),
            Stage::Labelling { labels, .. }
            | Stage::Undoing { labels, .. }
            | Stage::Wiping { labels, .. } => labels.is_over(),
            Stage::Over => true,
        }
    }

    fn permit(&self) -> Option<Permit> {
        let mandate = self.mandate.as_ref()?;
        Some(match &self.stage {
            Stage::Opening(_) => mandate.opening(),
            Stage::Settling(_) | Stage::Committing(_) => mandate.holding(self.epoch),
            Stage::Labelling { .. } | Stage::Undoing { .. } | Stage::Wiping { .. } => mandate.disks(),
            Stage::Over => return None,
        })
    }

    fn halt(&mut self, why: Halted<A::Refusal>) {
        self.result = Some(Err(why));
        self.stage = Stage::Over;
    }

    /// The author is asked as for an opening, and nothing is written.
    fn goes_on(&mut self, chosen: Chosen) {
        let order = chosen.image.header.order;
        match self.author.open(Some(&chosen), order) {
            Ok(_) => {
                let (missed, unwiped, freed) = Default::default();
                self.result = Some(Ok(Done { model: chosen.model, order, missed, unwiped, freed }));
                self.stage = Stage::Over;
            }
            Err(why) => self.halt(Halted::Refused { why, touched: false }),
        }
    }

    fn decide(&mut self, chosen: Option<Box<Chosen>>) {
        let Stage::Opening(opening) = &mut self.stage else { return };
        // Where the generations are used up nothing is written, and the opening says why.
        let next = opening.next_order().unwrap_or_default();
        let decision = self.author.open(chosen.as_deref(), next);
        match decision {
            Ok((mandate, mut model)) => {
                self.mandate = Some(mandate);
                if chosen.is_some() && model.change.kind != ChangeKind::Takeover {
                    model.change.kind = ChangeKind::Opening;
                }
                opening.decide(Some(model), self.keep);
            }
            Err(why) => self.halt(Halted::Refused { why, touched: false }),
        }
    }

    fn advance(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Opening(opening) => match opening.finish() {
                Ok(session) => {
                    self.epoch = session.holding.epoch;
                    self.settle_or_change(session);
                }
                Err(why) => self.halt(Halted::Unopened(why)),
            },
            Stage::Settling(commit) | Stage::Committing(commit) => self.committed(*commit),
            Stage::Labelling { labels, session, work } => self.labelled(&labels, *session, *work),
            Stage::Undoing { failed, .. } => self.halt(Halted::Unlabelled(failed)),
            Stage::Wiping { labels, session, last } => self.wiped(&labels, *session, last),
            Stage::Over => (),
        }
    }

    /// An old set still stands: let it go before anything else. Otherwise ask for the change, once.
    fn settle_or_change(&mut self, session: Session) {
        if session.model.table.old_set.is_some() {
            if breaks!(self.rules, WipeBeforeSettle) && self.has_released(&session) {
                return self.wipe(session, false);
            }
            let mut model = session.model.clone();
            model.table.old_set = None;
            model.change.kind = ChangeKind::Settle;
            return self.begin(session, model, false);
        }
        if self.has_released(&session) {
            return self.wipe(session, self.asked);
        }
        self.after_wipe(session, self.asked);
    }

    fn after_wipe(&mut self, session: Session, last: bool) {
        if last { self.done(session, SmallSet::new()) } else { self.ask(session) }
    }

    fn ask(&mut self, mut session: Session) {
        self.asked = true;
        let reached = session.reached();
        match self.author.change(&session.model, session.order(), &reached) {
            Err(why) => self.halt(Halted::Refused { why, touched: true }),
            Ok(None) => self.done(session, SmallSet::new()),
            Ok(Some(work)) if work.join.is_empty() => self.begin(session, work.model, true),
            Ok(Some(work)) => {
                let joining = work.join.iter().map(|joiner| joiner.member.clone());
                let first = session.lanes().len();
                let everyone = session.lanes().iter().map(|lane| lane.member.clone()).chain(joining.clone());
                let mut labels = Labels::new(everyone.collect(), self.rules);
                for (place, joiner) in work.join.iter().enumerate() {
                    labels.push_member(first + place, &joiner.label, joiner.size);
                }
                session.join(joining.collect());
                self.stage = Stage::Labelling {
                    labels: Box::new(labels),
                    session: Box::new(session),
                    work: Box::new(work),
                };
            }
        }
    }

    fn labelled(&mut self, labels: &Labels, session: Session, work: Work) {
        match labels.failed() {
            failed if failed.is_empty() => self.begin(session, work.model, true),
            // No model knows the joiners yet, so no commit can count on them: their labels may go again.
            failed => {
                let members = session.lanes().iter().map(|lane| lane.member.clone()).collect::<Vec<_>>();
                let mut labels = Labels::new(members, self.rules);
                let first = session.lanes().len() - work.join.len();
                (first..session.lanes().len()).for_each(|lane| labels.push_wipe(lane));
                self.stage = Stage::Undoing { labels: Box::new(labels), failed };
            }
        }
    }

    fn begin(&mut self, session: Session, model: Model, change: bool) {
        match Commit::new(session, model, self.keep && change) {
            Ok(commit) if change => self.stage = Stage::Committing(Box::new(commit)),
            Ok(commit) => self.stage = Stage::Settling(Box::new(commit)),
            Err(refused) => self.halt(Halted::TooLarge { needed: refused.1.needed, room: refused.1.room }),
        }
    }

    fn committed(&mut self, commit: Commit) {
        match commit.finish() {
            (session, Verdict::Committed { .. }) => self.settle_or_change(session),
            (_, Verdict::Superseded(epoch)) => self.halt(Halted::Superseded(epoch)),
            (session, Verdict::InDoubt(doubt)) => {
                if breaks!(self.rules, GenerationReusedAfterDoubt) && !self.reused {
                    self.reused = true;
                    let mut model = session.model.clone();
                    model.change.text = "again".into();
                    return self.begin(session, model, true);
                }
                self.halt(Halted::InDoubt(doubt))
            }
        }
    }

    /// Released disks that stand here with their labels, by lane.
    fn released(&self, session: &Session) -> Vec<usize> {
        let gone = |member: &Member| {
            let disk = session.model.disk(member.number);
            disk.is_some_and(|disk| disk.id == member.id && matches!(disk.state, DiskState::Released(_)))
        };
        let here = self.members.iter().enumerate();
        here.filter(|(_, member)| gone(member)).map(|(place, _)| place).collect()
    }

    fn has_released(&self, session: &Session) -> bool {
        !self.released(session).is_empty()
    }

    /// Only now, with the set settled, do released disks lose their labels (safety 2.4).
    fn wipe(&mut self, session: Session, last: bool) {
        let released = self.released(&session);
        let mut labels =
            Labels::new(session.lanes().iter().map(|lane| lane.member.clone()).collect(), self.rules);
        released.iter().for_each(|&lane| labels.push_wipe(lane));
        self.stage = Stage::Wiping { labels: Box::new(labels), session: Box::new(session), last };
    }

    fn wiped(&mut self, labels: &Labels, session: Session, last: bool) {
        if breaks!(self.rules, WipeBeforeSettle) && session.model.table.old_set.is_some() {
            self.members.clear();
            return self.settle_or_change(session);
        }
        let failed = labels.failed();
        let number = |&lane: &usize| Some(session.lanes().get(lane)?.member.number);
        let unwiped = failed.iter().filter_map(number).gather::<SmallSet<_>>();
        if !last {
            let wiped = self.released(&session).into_iter().filter(|lane| !failed.contains(lane));
            self.freed = wiped.filter_map(|lane| number(&lane)).collect();
        }
        if last { self.done(session, unwiped) } else { self.after_wipe(session, false) }
    }

    fn done(&mut self, session: Session, unwiped: SmallSet<DiskNumber>) {
        let reached = session.reached();
        let members =
            session.model.table.disks.iter().filter(|disk| disk.is_member()).map(|disk| disk.number);
        let missed = members.filter(|number| !reached.contains(number)).gather();
        let freed = std::mem::take(&mut self.freed);
        self.result = Some(Ok(Done { order: session.order(), model: session.model, missed, unwiped, freed }));
        self.stage = Stage::Over;
    }
}
