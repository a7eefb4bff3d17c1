//! One arbitration disk, as one node sees it: a round on it (write, then read), and what stands in everybody's blocks.

use crate::base::id::NodeId;
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::cluster::arbiter::{Answer, Asked, Heard, Identity, Said, Wish};
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::node_set::NodeSet;
use crate::cluster::timing::Timing;
use crate::format::arbitration::{self, ArbitrationBlock, Ballot, ViewRecord};

/// So much of a block says all of it: what follows is zero, and the checksum.
const KEY_BYTES: usize = 160;

/// What stands in a node's two blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Record {
    /// Nothing was ever written.
    #[default]
    Blank,
    /// The newer of the whole ones, none of them damaged.
    Known(ArbitrationBlock),
    /// One of them cannot be read, or is of another cluster or machine: anything may stand there.
    Hidden,
}

/// What is known of a node's blocks, and since when they say what they say.
#[derive(Clone, Debug, Default)]
struct Seen {
    key: Vec<u8>,
    record: Record,
    /// The highest count of writes that stood there since the disk last went back in time.
    highest: u64,
    /// When the read ended that first showed what it accepted, and its newest renewal.
    since: BootTime,
    /// When the read ended that first showed its newest beat.
    moved: BootTime,
}

/// A write and the read after it.
#[derive(Clone, Debug)]
struct Round {
    said: Said,
    block: ArbitrationBlock,
    /// Does it extend the lease, and say so by its count of renewals? A mere beat does not.
    renews: bool,
    /// When the write began.
    start: BootTime,
    heard: Heard,
    second_block: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Nothing,
    /// Since when.
    Writing(u64, BootTime),
    /// The write has ended, well or not.
    Wrote(bool),
    Reading(u64),
}

/// One disk.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    doing: Doing,
    next: BootTime,
    round: Option<Round>,
    wrote: bool,
    /// The newest round that went well.
    done: Option<Round>,
    /// Which of the two blocks of this node holds what was last known to be written.
    good: Option<bool>,
    seen: SmallMap<NodeId, Seen>,
    /// When the first read ended.
    first_read: Option<BootTime>,
    read_begun: BootTime,
    /// When the newest read that succeeded was begun, and when it ended.
    last_read: (BootTime, BootTime),
}

impl Disk {
    pub(super) fn new(now: BootTime) -> Disk {
        Disk {
            doing: Doing::Nothing,
            next: now,
            round: None,
            wrote: false,
            done: None,
            good: None,
            seen: SmallMap::new(),
            first_read: None,
            read_begun: now,
            last_read: (now, now),
        }
    }

    /// When the next round begins; nothing while one is under way.
    pub(super) fn due(&self) -> Option<BootTime> {
        (self.doing == Doing::Nothing).then_some(self.next)
    }

    /// A round is wanted now.
    pub(super) fn hurry(&mut self, now: BootTime) {
        self.next = self.next.min(now);
    }

    /// The mistake of writing again what was not answered.
    pub(super) fn is_overdue(&self, now: BootTime, rules: Rules, timing: &Timing) -> bool {
        let Doing::Writing(_, since) = self.doing else { return false };
        breaks!(rules, RewrittenWhileUnknown) && since.plus_ms(timing.disk_beat_ms) <= now
    }

    pub(super) fn wants_to_read(&self) -> bool {
        matches!(self.doing, Doing::Wrote(_))
    }

    pub(super) fn was_read(&self) -> bool {
        self.first_read.is_some()
    }

    /// When the newest read that succeeded ended.
    pub(super) fn last_read(&self) -> Option<BootTime> {
        self.first_read.map(|_| self.last_read.1)
    }

    pub(super) fn known(&self, node: NodeId) -> Option<&ArbitrationBlock> {
        match &self.seen.get(&node)?.record {
            Record::Known(block) => Some(block),
            _ => None,
        }
    }

    pub(super) fn all_known(&self) -> impl Iterator<Item = &ArbitrationBlock> {
        self.seen.keys().filter_map(|node| self.known(*node))
    }

    /// Did this node's beat move so lately?
    pub(super) fn moved_within(&self, node: NodeId, ms: u64) -> bool {
        self.seen.get(&node).is_some_and(|seen| {
            Some(seen.moved) != self.first_read && seen.moved.plus_ms(ms) > self.last_read.0
        })
    }

    /// Is this node's place its own? Not when another machine, or one of another cluster, wrote there lately (safety 2.8).
    pub(super) fn may_be_written(&self, asked: &Asked<'_>) -> bool {
        let Some(first) = self.first_read else { return false };
        self.seen.get(&asked.me.node).is_none_or(|seen| match &seen.record {
            Record::Blank | Record::Known(_) => true,
            Record::Hidden => seen.since.max(first).plus_ms(asked.timing.take_ms()) <= self.last_read.0,
        })
    }

    /// Begins a round: where this node's block is to be written.
    pub(super) fn write(
        &mut self,
        said: Said,
        block: ArbitrationBlock,
        renews: bool,
        now: BootTime,
        heard: &Heard,
        rules: Rules,
    ) -> Option<Bytes> {
        // One block for all is what the mistake of writing again what was not answered is made of.
        let second_block = self.good.is_some_and(|second| !second) && !breaks!(rules, RewrittenWhileUnknown);
        self.round = Some(Round { said, block, renews, start: now, heard: heard.clone(), second_block });
        arbitration::place(block.id, second_block)
    }

    pub(super) fn begun(&mut self, id: u64, now: BootTime, reads: bool) {
        if reads {
            self.wrote = self.doing == Doing::Wrote(true);
            self.doing = Doing::Reading(id);
            self.read_begun = now;
        } else {
            self.doing = Doing::Writing(id, now);
        }
    }

    pub(super) fn answer(&mut self, now: BootTime, id: u64, answer: Answer<'_>, asked: &Asked<'_>) {
        match (self.doing, answer) {
            (Doing::Writing(known, _), Answer::Written | Answer::Unknown) if known == id => {
                self.doing = Doing::Wrote(answer == Answer::Written);
                if breaks!(asked.rules, NoSecondRead)
                    && answer == Answer::Written
                    && self.first_read.is_some()
                {
                    self.done = self.round.take();
                    self.good = self.done.as_ref().map(|round| round.second_block);
                }
            }
            (Doing::Reading(known), Answer::Read(bytes)) if known == id => {
                self.end_round(now, asked.timing);
                self.absorb(now, bytes, asked);
                self.judge_round(now, asked);
            }
            (Doing::Reading(known), Answer::NotRead) if known == id => {
                self.end_round(now, asked.timing);
                self.round = None;
            }
            _ => (),
        }
    }

    fn end_round(&mut self, now: BootTime, timing: &Timing) {
        self.doing = Doing::Nothing;
        let start = self.round.as_ref().map_or(self.read_begun, |round| round.start);
        self.next = start.plus_ms(timing.disk_beat_ms).max(now);
    }

    /// It went well when the write was answered, and what was written is what is read.
    fn judge_round(&mut self, now: BootTime, asked: &Asked<'_>) {
        let Some(mut round) = self.round.take() else { return };
        if self.wrote && self.known(asked.me.node) == Some(&round.block) {
            if breaks!(asked.rules, TieLeaseFromCompletion) {
                round.start = now;
            }
            self.good = Some(round.second_block);
            self.done = Some(round);
        }
    }

    fn absorb(&mut self, now: BootTime, bytes: &[u8], asked: &Asked<'_>) {
        self.last_read = (self.read_begun, now);
        self.first_read.get_or_insert(now);
        for node in asked.me.nodes.iter() {
            let blocks = [false, true].map(|second| block_of(bytes, node, second));
            let key = blocks.iter().flat_map(key_of).copied();
            let seen = self.seen.or_insert_with(node, || Seen { since: now, moved: now, ..Seen::default() });
            if key.clone().eq(seen.key.iter().copied()) {
                continue;
            }
            seen.key = key.collect();
            if node == asked.me.node && self.good.is_none() {
                // What was said before this life began is not the next to be overwritten either.
                self.good = newest(blocks);
            }
            let record = read(blocks, node, asked.me);
            if let Some(writes) = record.writes() {
                if writes < seen.highest {
                    // The disk forgot what was written to it, and with that perhaps who holds the tie: it is watched anew.
                    self.first_read = Some(now);
                }
                // It may have gone back while nothing could be read there.
                seen.highest = writes;
            }
            if !record.is_as_accepted(&seen.record) {
                seen.since = now;
            }
            (seen.record, seen.moved) = (record, now);
        }
    }

    /// Did the record of this node stand still for long enough, between two reads that succeeded?
    fn is_still(&self, seen: &Seen, asked: &Asked<'_>) -> bool {
        // Up to when the last read began: what it shows may be as old as that (R9).
        let until = if breaks!(asked.rules, StillUntilNow) { asked.now } else { self.last_read.0 };
        let long = seen.since.plus_ms(asked.timing.take_ms()) <= until;
        long || breaks!(asked.rules, LoserBidsAtOnce)
    }

    /// Was this disk watched for as long as another's lease may last? Who was just started, or finds a disk that went back
    /// in time, knows of none.
    pub(super) fn was_watched(&self, asked: &Asked<'_>) -> bool {
        let long = |first: BootTime| first.plus_ms(asked.timing.take_ms()) <= self.last_read.0;
        self.first_read.is_some_and(long)
    }

    /// Somebody whose view may be quorate by the arbiter right now. This node itself is one: it may have gone over from the
    /// other half, where it has no vote that they would miss, and those go on until the lease that it wrote for them ends (seed
    /// 44887 of its day).
    pub(super) fn rival(&self, wish: &Wish, asked: &Asked<'_>) -> Option<ViewRecord> {
        let mut rivals = self.seen.values().filter_map(|seen| {
            let holder = match &seen.record {
                Record::Blank => return None,
                Record::Known(block) => block.holder,
                Record::Hidden => ViewRecord::default(),
            };
            let hidden = seen.record == Record::Hidden;
            let harmless = !hidden && (!holder.is_some() || wish.outlives(&holder));
            let over = seen.since < wish.majority || self.is_still(seen, asked);
            (!harmless && !over).then_some(holder)
        });
        rivals.next()
    }

    /// The highest ballot that anybody else promised here.
    pub(super) fn highest(&self, me: NodeId) -> Ballot {
        let others = self.all_known().filter(|block| block.id != me);
        others.map(|block| block.promised.max(block.accepted)).max().unwrap_or_default()
    }

    /// The round by which this node stands here with this ballot, and nobody against it: when it began, and what had been
    /// heard by then.
    pub(super) fn stands(&self, said: &Said, wish: &Wish, asked: &Asked<'_>) -> Option<(BootTime, &Heard)> {
        let round = self.done.as_ref()?;
        let as_said = round.said.promised == said.promised
            && round.said.accepted == said.accepted
            && (round.renews || said.accepted < said.promised || breaks!(asked.rules, BeatTakenForRenewal))
            && round.said.holder == said.holder;
        let alone = self.highest(asked.me.node) < said.promised && self.rival(wish, asked).is_none();
        (as_said && alone).then_some((round.start, &round.heard))
    }
}

impl Record {
    /// How often it was written, as far as can be read: a node counts upward.
    fn writes(&self) -> Option<u64> {
        match self {
            Record::Blank => Some(0),
            Record::Known(block) => Some(block.counter),
            Record::Hidden => None,
        }
    }

    /// Does it say the same of what was accepted, and of its newest renewal?
    fn is_as_accepted(&self, other: &Record) -> bool {
        match (self, other) {
            (Record::Known(one), Record::Known(other)) => {
                (one.accepted, one.holder, one.renewals) == (other.accepted, other.holder, other.renewals)
            }
            (Record::Blank, Record::Blank) => true,
            _ => false,
        }
    }
}

impl Wish {
    /// Has every lease of that view ended for good? It is this very view; or somebody who would have to grant it grants this
    /// one, after what was granted before has ended.
    pub(super) fn outlives(&self, holder: &ViewRecord) -> bool {
        let shares = !NodeSet::from_bits(holder.members).and(self.voters).is_empty();
        *holder == self.view || shares
    }
}

fn block_of(bytes: &[u8], node: NodeId, second: bool) -> &[u8] {
    let at = arbitration::place(node, second).and_then(|at| usize::try_from(at.0).ok());
    at.and_then(|at| bytes.get(at..at + BLOCK_BYTES as usize)).unwrap_or_default()
}

/// What of a block is compared: its fields, and the checksum.
fn key_of<'a>(block: &&'a [u8]) -> impl Iterator<Item = &'a u8> + Clone {
    let (head, tail) = (block.get(..KEY_BYTES), block.get(block.len().saturating_sub(4)..));
    head.unwrap_or_default().iter().chain(tail.unwrap_or_default())
}

/// Which of them is the newest that is whole, the second? Nothing when none is.
fn newest(blocks: [&[u8]; 2]) -> Option<bool> {
    let [first, second] = blocks.map(|block| ArbitrationBlock::decode(block).ok().map(|block| block.counter));
    first.max(second).map(|_| second >= first)
}

fn read(blocks: [&[u8]; 2], node: NodeId, me: &Identity) -> Record {
    let mut newest: Option<ArbitrationBlock> = None;
    for block in blocks {
        match ArbitrationBlock::decode(block) {
            Ok(block) if block.id != node || block.cluster != me.cluster => return Record::Hidden,
            Ok(block) if node == me.node && block.node != me.uuid => return Record::Hidden,
            Ok(block) => newest = newest.filter(|known| known.counter > block.counter).or(Some(block)),
            Err(damage) if damage.is_blank() => (),
            Err(_) if node == me.node => (),
            Err(_) => return Record::Hidden,
        }
    }
    newest.map_or(Record::Blank, Record::Known)
}
