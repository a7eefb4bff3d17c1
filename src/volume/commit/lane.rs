//! One disk's part in a round: a list of jobs done strictly one after the other. Lanes never wait for each other
//! inside a phase, so a slow disk delays nobody but itself (R8).

use std::collections::VecDeque;
use std::sync::Arc;

use crate::base::epoch::{Epoch, Order};
use crate::base::hash::Hash128;
use crate::base::id::{ContainerId, DiskId, DiskNumber, Incarnation, NodeUuid};
use crate::base::limits::IO_BYTES_MAX;
use crate::base::time::BootTime;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::damage::{Damage, Fault, What};
use crate::format::history::{self, RingEnd};
use crate::format::label;
use crate::format::layout::{AreaKind, End, Layout, SlotIndex};
use crate::format::node_block::{NodeBlock, NodeBlocks};
use crate::format::slot::{SlotHeader, SlotImage};
use crate::volume::choose::{Copy, DiskCopies};
use crate::volume::commit::io::{Answer, Op, Purpose};
use crate::volume::mistake::{Rules, breaks};

/// Milliseconds for which a guard's word is taken, from when the blocks were asked: what is to be written over a slot is begun within
/// them, or the guard is asked anew. Less than what an opening lets pass that finds anything unsettled, so that two processes that stood
/// still do not write over both ends of what came to be committed meanwhile (safety 2.5).
pub const GUARD_LASTS_MS: u64 = 700;

/// Where guards are stale when they are answered, so often one after the other, nobody stood still: a disk is slow, and what is asked of
/// all is answered when the last one answers. It is written then, as slowly as that is.
const GUARDS_MAX: u32 = 4;

/// Headers of the four slots.
const HEADERS_BYTES: u64 = 4 * BLOCK_BYTES;

/// A disk of the container as its label introduces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The container that its label names.
    pub container: ContainerId,
    /// Its number.
    pub number: DiskNumber,
    /// Its identity.
    pub id: DiskId,
    /// Where things are on it.
    pub layout: Layout,
}

/// One job of a lane.
#[derive(Clone, Debug)]
pub(super) enum Job {
    /// Read all node blocks.
    Blocks,
    /// Read one slot, header first, then as much body as it says.
    Slot(End, SlotIndex),
    /// Read the history ring.
    Ring,
    /// Write, in pieces no larger than one I/O.
    Write(Bytes, Arc<[u8]>, Purpose),
    /// Make it durable.
    Flush,
    /// Read back what was written and compare.
    Verify(Bytes, Arc<[u8]>),
    /// Take the magic off the label here, and change nothing else of its block: one sector differs, so that a tear leaves
    /// a label or none, and never a damaged one. What is no label, or cannot be read, stays.
    Disown(Bytes),
    /// Read slot headers and blocks; go on only if nobody promised or wrote a higher epoch and the slots are still
    /// as they were seen (safety 2.5: a slot is read before it is overwritten).
    Guard(Holding),
    /// The slot at this place now holds this image.
    Note(End, SlotIndex, Box<SlotImage>),
}

/// Under which epoch, as which machine, a lane writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The epoch.
    pub epoch: Epoch,
    /// The machine.
    pub node: NodeUuid,
    /// This life of it.
    pub incarnation: Incarnation,
}

/// Where a lane stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaneState {
    /// All jobs so far were done.
    Well,
    /// The disk failed, or did not hold what was written to it; no more is asked of it in this round.
    Failed,
    /// A higher epoch was seen here.
    Superseded(Epoch),
}

/// A disk's part: what is to be done, what was read.
#[derive(Clone, Debug)]
pub struct Lane {
    /// The disk.
    pub member: Member,
    /// Where it stands.
    pub state: LaneState,
    /// What its node blocks said when last read.
    pub blocks: NodeBlocks,
    /// What its slots held when last read or written.
    pub copies: DiskCopies,
    /// Where its history ring ends, once read.
    pub ring: Option<RingEnd>,
    /// What its ring keeps, once read.
    pub kept: Vec<(Order, Hash128)>,
    jobs: VecDeque<Job>,
    step: Step,
    /// The guard that was asked last: under what, and when.
    guarded: Option<(Holding, BootTime)>,
    /// How many guards in a row were stale.
    stale: u32,
    /// When anything was asked last.
    asked_at: BootTime,
    rules: Rules,
}

/// Inside the job at the front.
#[derive(Clone, Debug, Default)]
struct Step {
    asked: bool,
    done: u64,
    bytes: Vec<u8>,
}

impl Lane {
    pub(super) fn new(member: Member, rules: Rules) -> Lane {
        let copies = DiskCopies { number: member.number, id: member.id, slots: Vec::new() };
        Lane {
            member,
            state: LaneState::Well,
            blocks: NodeBlocks::default(),
            copies,
            ring: None,
            kept: Vec::new(),
            jobs: VecDeque::new(),
            step: Step::default(),
            guarded: None,
            stale: 0,
            asked_at: BootTime::default(),
            rules,
        }
    }

    pub(super) fn push(&mut self, job: Job) {
        if self.state == LaneState::Well {
            self.jobs.push_back(job);
        }
    }

    /// Asks for everything that an opening wants to know of this disk.
    pub(super) fn push_survey(&mut self, with_ring: bool) {
        self.copies.slots.clear();
        self.push(Job::Blocks);
        for end in End::BOTH {
            for index in SlotIndex::BOTH {
                self.push(Job::Slot(end, index));
            }
        }
        if with_ring {
            self.push(Job::Ring);
        }
    }

    /// Is there nothing left to do or to hear?
    pub(super) fn is_idle(&self) -> bool {
        self.jobs.is_empty()
    }

    fn stop(&mut self, state: LaneState) {
        self.state = state;
        self.jobs.clear();
        self.step = Step::default();
    }

    /// The next operation, once per answer.
    pub(super) fn poll(&mut self, now: BootTime) -> Option<Op> {
        while !self.step.asked {
            self.guard_anew(now);
            match self.next_op() {
                Some(op) => {
                    self.note_asked(now);
                    return Some(op);
                }
                None => {
                    self.jobs.front()?;
                    self.finish_job();
                }
            }
        }
        None
    }

    fn note_asked(&mut self, now: BootTime) {
        self.step.asked = true;
        self.asked_at = now;
        if let (Some(Job::Guard(holding)), HEADERS_BYTES) = (self.jobs.front(), self.step.done) {
            self.guarded = Some((*holding, now));
        }
    }

    /// Whoever stood still since the last guard does not know any more whether he may write over a slot, however well his lease is: another
    /// one may have opened it meanwhile, and what two of them who stood still write at different ends would take away both.
    fn guard_anew(&mut self, now: BootTime) {
        let (Some(Job::Write(_, _, Purpose::Slot | Purpose::History)), Some((holding, at))) =
            (self.jobs.front(), self.guarded)
        else {
            return;
        };
        let since = if self.step.done == 0 { at } else { self.asked_at };
        if now <= since.plus_ms(GUARD_LASTS_MS) || breaks!(self.rules, GuardLastsForEver) {
            self.stale = 0;
        } else if self.step.done > 0 {
            // What is half written is not gone on with: the other end is whole.
            self.stop(LaneState::Failed);
        } else if self.stale < GUARDS_MAX {
            self.stale += 1;
            self.jobs.push_front(Job::Guard(holding));
        }
    }

    /// What to ask for the job at the front; `None` when it needs nothing more.
    fn next_op(&self) -> Option<Op> {
        let done = self.step.done;
        match self.jobs.front()? {
            Job::Blocks => self.read_area(AreaKind::NodeBlocks, done),
            Job::Ring => self.read_area(AreaKind::History, done),
            Job::Slot(end, index) => self.read_slot(*end, *index),
            Job::Write(at, bytes, purpose) => {
                let piece = piece(bytes, done)?;
                Some(Op::Write { at: Bytes(at.0 + done), bytes: piece.into(), purpose: *purpose })
            }
            Job::Verify(at, bytes) => {
                let length = piece(bytes, done)?.len() as u64;
                Some(self.read(Bytes(at.0 + done), length))
            }
            Job::Flush => (done == 0).then_some(Op::Flush),
            Job::Disown(at) if done == 0 => Some(self.read(*at, BLOCK_BYTES)),
            Job::Disown(at) if done == BLOCK_BYTES => {
                let rest = self.step.bytes.strip_prefix(label::MAGIC)?;
                let bytes = [&[0; label::MAGIC.len()], rest].concat().into();
                Some(Op::Write { at: *at, bytes, purpose: Purpose::Label })
            }
            Job::Disown(_) => None,
            Job::Guard(_) => self.read_guard(done),
            Job::Note(..) => None,
        }
    }

    fn read(&self, at: Bytes, length: u64) -> Op {
        #[cfg(feature = "mistakes")]
        if breaks!(self.rules, BufferedRead) {
            return Op::BufferedRead { at, length };
        }
        Op::Read { at, length }
    }

    fn read_area(&self, kind: AreaKind, done: u64) -> Option<Op> {
        let area = self.member.layout.area(kind, End::Primary);
        let left = area.length_bytes().0.checked_sub(done).filter(|&left| left > 0)?;
        Some(self.read(Bytes(area.start_bytes().0 + done), left.min(IO_BYTES_MAX)))
    }

    fn read_slot(&self, end: End, index: SlotIndex) -> Option<Op> {
        let area = self.member.layout.slot(index, end);
        let wanted = match SlotHeader::decode(&self.step.bytes) {
            // The header block is in hand and says how much follows; no more than its area has.
            Ok(header) => header.slot_bytes().0.min(area.length_bytes().0),
            Err(_) => BLOCK_BYTES,
        };
        let left = wanted.checked_sub(self.step.done).filter(|&left| left > 0)?;
        Some(self.read(Bytes(area.start_bytes().0 + self.step.done), left.min(IO_BYTES_MAX)))
    }

    /// A guard reads the four slot headers, and the node blocks last: a promise is what must be known to the newest.
    fn read_guard(&self, done: u64) -> Option<Op> {
        if done >= HEADERS_BYTES {
            return self.read_area(AreaKind::NodeBlocks, done - HEADERS_BYTES);
        }
        let slots = End::BOTH.into_iter().flat_map(|end| SlotIndex::BOTH.map(|index| (end, index)));
        let (end, index) = slots.into_iter().nth(usize::try_from(done / BLOCK_BYTES).ok()?)?;
        Some(self.read(self.member.layout.slot(index, end).start_bytes(), BLOCK_BYTES))
    }

    /// Takes the answer to what was asked last.
    pub(super) fn handle(&mut self, answer: Answer) {
        if !self.step.asked {
            return;
        }
        self.step.asked = false;
        match (answer, self.jobs.front()) {
            (Answer::Failed, Some(Job::Slot(end, index))) => self.slot_unreadable(*end, *index),
            (Answer::Failed, Some(Job::Disown(_))) if self.step.done == 0 => {
                self.jobs.pop_front();
            }
            (Answer::Failed, _) => self.stop(LaneState::Failed),
            (Answer::Read(bytes), Some(Job::Verify(_, wanted))) => {
                let same = piece(wanted, self.step.done).is_some_and(|piece| piece == bytes);
                if !same && !breaks!(self.rules, NoVerify) {
                    return self.stop(LaneState::Failed);
                }
                self.step.done += bytes.len() as u64;
            }
            (Answer::Read(bytes), _) => {
                self.step.done += bytes.len() as u64;
                self.step.bytes.extend_from_slice(&bytes);
            }
            (Answer::Done, Some(Job::Write(_, bytes, _))) => {
                self.step.done += piece(bytes, self.step.done).map_or(0, |piece| piece.len() as u64);
            }
            (Answer::Done, _) => self.step.done += 1,
        }
    }

    /// One end of a disk cannot be read: that copy is damaged, the other end may still speak.
    fn slot_unreadable(&mut self, end: End, index: SlotIndex) {
        self.copies.slots.push((end, index, Err(Damage::new(What::SlotBody, Fault::Short))));
        self.jobs.pop_front();
        self.step = Step::default();
    }

    fn finish_job(&mut self) {
        let step = std::mem::take(&mut self.step);
        match self.jobs.pop_front() {
            Some(Job::Blocks) => self.blocks = NodeBlocks::decode(&step.bytes),
            Some(Job::Ring) => {
                self.ring = Some(RingEnd::find(&step.bytes));
                self.kept = history::kept(&step.bytes);
            }
            Some(Job::Slot(end, index)) => {
                self.copies.slots.push((end, index, slot_copy(&step.bytes, &self.member, self.rules)));
            }
            Some(Job::Guard(holding)) => self.judge_guard(holding, &step.bytes),
            Some(Job::Note(end, index, image)) => self.note(end, index, *image),
            Some(Job::Write(..) | Job::Flush | Job::Verify(..) | Job::Disown(_)) | None => (),
        }
    }

    fn note(&mut self, end: End, index: SlotIndex, image: SlotImage) {
        self.copies.slots.retain(|(e, i, _)| (*e, *i) != (end, index));
        self.copies.slots.push((end, index, Ok(image)));
    }

    fn judge_guard(&mut self, holding: Holding, bytes: &[u8]) {
        let (headers, blocks) = bytes.split_at((HEADERS_BYTES as usize).min(bytes.len()));
        self.blocks = NodeBlocks::decode(blocks);
        if breaks!(self.rules, LowerEpochMayOverwrite) {
            return;
        }
        if let Some(epoch) = rival(&self.blocks, holding, self.rules) {
            return self.stop(LaneState::Superseded(epoch));
        }
        let slots = End::BOTH.into_iter().flat_map(|end| SlotIndex::BOTH.map(|index| (end, index)));
        for ((end, index), block) in slots.zip(headers.chunks(BLOCK_BYTES as usize)) {
            let seen = self.copies.slots.iter().find(|(e, i, _)| (*e, *i) == (end, index));
            match (SlotHeader::decode(block), seen) {
                // A slot that changed under our hands was written by somebody who has not yet looked, or has won.
                (Ok(header), Some((_, _, Ok(image)))) if header.hash != image.header.hash => {
                    return self.stop(LaneState::Superseded(header.order.epoch));
                }
                (Ok(header), _) if header.order.epoch > holding.epoch => {
                    return self.stop(LaneState::Superseded(header.order.epoch));
                }
                // It was whole and is not: rotten, or torn by a writer who is at it now. This disk does not count.
                (Err(_), Some((_, _, Ok(_)))) => return self.stop(LaneState::Failed),
                _ => (),
            }
        }
    }
}

/// The highest epoch by which somebody else outbids `holding`: a higher one, or the very same by another machine. One that writes at the
/// very number that `holding` was minted by takes the promise itself away, whatever it says instead.
pub(super) fn rival(blocks: &NodeBlocks, holding: Holding, rules: Rules) -> Option<Epoch> {
    let another = |block: &NodeBlock| block.node != holding.node && !breaks!(rules, EpochWithoutNode);
    let takes_away = |block: &NodeBlock| block.id == holding.epoch.minted_by() && another(block);
    // A copy of this machine mints what this one does.
    let is_copys = |block: &NodeBlock| block.node == holding.node && block.incarnation != holding.incarnation;
    let outbids = |block: &&NodeBlock| {
        block.epoch > holding.epoch
            || block.epoch == holding.epoch && (another(block) || is_copys(block))
            || takes_away(block)
    };
    blocks.newest.iter().filter(outbids).map(|block| block.epoch.max(holding.epoch)).max()
}

fn piece(bytes: &[u8], done: u64) -> Option<&[u8]> {
    let rest = bytes.get(usize::try_from(done).ok()?..)?;
    let length = rest.len().min(IO_BYTES_MAX as usize);
    rest.get(..length).filter(|piece| !piece.is_empty())
}

fn slot_copy(bytes: &[u8], member: &Member, rules: Rules) -> Copy {
    if breaks!(rules, BodyHashIgnored) {
        let header = SlotHeader::decode(bytes)?;
        let body = bytes.get(BLOCK_BYTES as usize..).unwrap_or_default();
        let body = body.get(..header.body_bytes as usize).unwrap_or(body).to_vec();
        return Ok(SlotImage { header, body: body.into() });
    }
    let image = SlotImage::decode(bytes)?;
    // A whole slot of another container: left from an earlier life of the disk, or copied here by hand.
    if image.header.container != member.container {
        return Err(Damage::new(What::SlotHeader, Fault::Foreign));
    }
    Ok(image)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{ClusterId, NodeId};

    /// Safety 2.8, R10: of what others say at their own numbers a higher epoch outbids, and the same one; what another machine says at the
    /// number that minted ours takes our promise away, though it is lower. Another life of this machine that says the same is a copy of it.
    #[test]
    fn who_writes_over_a_promise_is_a_rival() {
        let (mine, another) = (NodeUuid([1; 16]), NodeUuid([2; 16]));
        let epoch = |round: u64, id: u64| Epoch(round << 16 | id);
        let holding = Holding { epoch: epoch(5, 3), node: mine, incarnation: Incarnation([7; 16]) };
        for (id, node, life, said, rival_is) in [
            (3, mine, 7, epoch(5, 3), None),
            (3, mine, 7, epoch(4, 3), None),
            (3, mine, 6, epoch(4, 3), None),
            (3, mine, 6, epoch(5, 3), Some(epoch(5, 3))),
            (4, another, 7, epoch(4, 4), None),
            (4, another, 7, epoch(6, 4), Some(epoch(6, 4))),
            (3, another, 7, epoch(5, 3), Some(epoch(5, 3))),
            (3, another, 7, epoch(1, 3), Some(epoch(5, 3))),
        ] {
            let block = NodeBlock {
                id: NodeId(id),
                node,
                cluster: ClusterId([9; 16]),
                container: ContainerId([8; 16]),
                incarnation: Incarnation([life; 16]),
                epoch: said,
                counter: 1,
            };
            let blocks = NodeBlocks { newest: vec![block], ..NodeBlocks::default() };
            assert_eq!(rival(&blocks, holding, Rules::ALL), rival_is, "{id} {life} {said}");
        }
    }
}
