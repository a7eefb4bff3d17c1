//! Writing one model to every disk that shall hold it. Each disk goes its own way: guard, history, primary, flush,
//! read back, guard, secondary, flush, read back, guard. Reading the blocks of the very disk after writing to it is
//! the second half of a Disk-Paxos phase: two rounds share a disk, and there at least one of them sees the other.

use std::sync::Arc;

use crate::base::epoch::{Epoch, Order};
use crate::base::gather::Gather;
use crate::base::id::DiskNumber;
use crate::base::small_set::SmallSet;
use crate::base::units::Bytes;
use crate::format::history::{Record, RingEnd};
use crate::format::layout::{AreaKind, End, SlotIndex};
use crate::format::model::Model;
use crate::format::slot::SlotImage;
use crate::volume::commit::io::Purpose;
use crate::volume::commit::lane::{Holding, Job, Lane, LaneState};
use crate::volume::mistake::{Rules, breaks};
use crate::volume::votes::{Quorum, Tally};

/// A commit that did not reach a majority. It may or may not count: the next opening decides, nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The order of the model that is in doubt.
    pub order: Order,
    /// Votes that hold it, and votes that were needed.
    pub tally: Tally,
}

/// How an accept ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A majority holds it and nobody outbid us.
    Committed {
        /// The disks that hold it.
        held_by: SmallSet<DiskNumber>,
    },
    /// Somebody else holds a higher epoch, or wrote to our slots.
    Superseded(Epoch),
    /// Too few disks hold it.
    InDoubt(Doubt),
}

/// Which disks a commit of `model` is written to: all members and those of the set before. A disk that missed commits
/// is written too: its copy of the model counts again at once, though nothing new is allocated on it until it is
/// readmitted; otherwise a container would be stuck when a second disk fails before anyone typed `readmit`.
pub(super) fn targets(model: &Model) -> SmallSet<DiskNumber> {
    Quorum::of(&model.table).everyone()
}

/// Gives every target lane its jobs.
pub(super) fn start(
    lanes: &mut [Lane],
    targets: &SmallSet<DiskNumber>,
    quorum: &Quorum,
    image: &SlotImage,
    before: Option<&SlotImage>,
    holding: Holding,
    rules: Rules,
) {
    let counts = |lane: &Lane| {
        targets.contains(&lane.member.number) && quorum.knows(lane.member.number, lane.member.id)
    };
    for lane in lanes.iter_mut().filter(|lane| counts(lane) && lane.state == LaneState::Well) {
        lane.push(Job::Guard(holding));
        if let Some(before) = before {
            push_history(lane, before);
        }
        push_slots(lane, image, holding, rules);
    }
}

/// Appends the model that is superseded to the disk's ring; its flush is that of the primary slot.
fn push_history(lane: &mut Lane, before: &SlotImage) {
    let area = lane.member.layout.area(AreaKind::History, End::Primary);
    let Some(ring) = &mut lane.ring else { return };
    if ring.last == Some(before.header.hash) {
        return;
    }
    let bytes = Record { sequence: ring.next_sequence, image: before.clone() }.encode();
    // A model larger than half the ring is not kept there: it would cost all that is older.
    let Some(at) = ring.place(&area, bytes.len() as u64) else { return };
    *ring = RingEnd {
        next_at: at.0 - area.start_bytes().0 + bytes.len() as u64,
        next_sequence: ring.next_sequence.saturating_add(1),
        last: Some(before.header.hash),
    };
    lane.push(Job::Write(at, bytes.into(), Purpose::History));
}

/// The slot to write: never the one that holds the newest copy of this disk, unless that is the very same model
/// (safety 2.3: a commit in doubt is retried with the same bytes).
fn slot_for(lane: &Lane, image: &SlotImage) -> SlotIndex {
    match lane.copies.newest() {
        Some((index, held)) if held.header.hash == image.header.hash => index,
        Some((index, _)) => index.other(),
        None => SlotIndex::Zero,
    }
}

fn push_slots(lane: &mut Lane, image: &SlotImage, holding: Holding, rules: Rules) {
    let index = slot_for(lane, image);
    let bytes: Arc<[u8]> = image.encode().into();
    let at = |end| lane.member.layout.slot(index, end).start_bytes();
    let (primary, secondary) = (at(End::Primary), at(End::Secondary));
    let mut ends = [(End::Primary, primary), (End::Secondary, secondary)];
    if breaks!(rules, SecondaryFirstCounts) {
        ends = [(End::Secondary, secondary), (End::Secondary, secondary)];
    }
    if breaks!(rules, BothEndsAtOnce) {
        for (_, at) in ends {
            lane.push(Job::Write(at, bytes.clone(), Purpose::Slot));
        }
        lane.push(Job::Flush);
        for (end, at) in ends {
            push_proof(lane, end, index, at, &bytes, image);
        }
        return lane.push(Job::Guard(holding));
    }
    for (end, at) in ends {
        lane.push(Job::Write(at, bytes.clone(), Purpose::Slot));
        if !breaks!(rules, FlushLeftOut) {
            lane.push(Job::Flush);
        }
        push_proof(lane, end, index, at, &bytes, image);
        if !breaks!(rules, NoRereadAfterWrite) {
            lane.push(Job::Guard(holding));
        }
    }
}

fn push_proof(lane: &mut Lane, end: End, index: SlotIndex, at: Bytes, bytes: &Arc<[u8]>, image: &SlotImage) {
    lane.push(Job::Verify(at, bytes.clone()));
    lane.push(Job::Note(end, index, Box::new(image.clone())));
}

/// What the lanes amount to once all are idle.
pub(super) fn verdict(
    lanes: &[Lane],
    targets: &SmallSet<DiskNumber>,
    quorum: &Quorum,
    order: Order,
    rules: Rules,
) -> Verdict {
    let rival = lanes.iter().filter_map(|lane| match lane.state {
        LaneState::Superseded(epoch) => Some(epoch),
        LaneState::Well | LaneState::Failed => None,
    });
    if let Some(epoch) = rival.max() {
        return Verdict::Superseded(epoch);
    }
    let holds = |lane: &&Lane| {
        lane.state == LaneState::Well
            && targets.contains(&lane.member.number)
            && quorum.knows(lane.member.number, lane.member.id)
    };
    let mut held_by = lanes.iter().filter(holds).map(|lane| lane.member.number).gather::<SmallSet<_>>();
    if breaks!(rules, AbsentDiskCountsAsHolding) {
        held_by = quorum.everyone();
    }
    if quorum.reached_by(&held_by, rules) {
        Verdict::Committed { held_by }
    } else {
        Verdict::InDoubt(Doubt { order, tally: quorum.tally(&held_by, rules) })
    }
}
