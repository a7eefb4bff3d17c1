//! Making a disk a member, letting it go, and giving it new ids: everything that writes labels. A disk that joins is
//! blanked first and labelled last, one that leaves loses its labels first: whatever a crash cuts in two, a label that
//! stands has sound areas behind it.

use std::sync::Arc;

use crate::base::id::NodeId;
use crate::base::time::BootTime;
use crate::base::units::{BLOCK_BYTES, Bytes, MIB};
use crate::format::first_block;
use crate::format::intent::Intent;
use crate::format::label::Label;
use crate::format::layout::{Area, AreaKind, End, HEAD_LABEL_AT, SlotIndex};
use crate::format::node_block;
use crate::format::slot::SlotImage;
use crate::volume::commit::io::{Answer, Ask, Purpose};
use crate::volume::commit::lane::{Job, Lane, LaneState, Member};
use crate::volume::commit::session::{handle_lane, poll_lanes};
use crate::volume::mistake::Rules;

/// Label work on some disks. Each disk goes its own way; one that fails stops alone.
#[derive(Clone, Debug)]
pub struct Labels {
    lanes: Vec<Lane>,
}

/// New ids for one disk: what is written in which order is in [`Labels::push_new_ids`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewId {
    /// What stands on the disk while the change is under way.
    pub intent: Intent,
    /// Its label with the new ids.
    pub label: Label,
    /// The model with the new ids.
    pub image: SlotImage,
}

fn zeros(bytes: u64) -> Arc<[u8]> {
    vec![0; usize::try_from(bytes).unwrap_or(0)].into()
}

fn push_blank(lane: &mut Lane, at: Bytes, length: u64, purpose: Purpose) {
    let mut done = 0;
    while done < length {
        let piece = (length - done).min(MIB);
        lane.push(Job::Write(Bytes(at.0 + done), zeros(piece), purpose));
        done += piece;
    }
}

fn push_sealed(lane: &mut Lane, at: Bytes, block: Vec<u8>, purpose: Purpose) {
    let bytes: Arc<[u8]> = block.into();
    lane.push(Job::Write(at, bytes.clone(), purpose));
    lane.push(Job::Flush);
    lane.push(Job::Verify(at, bytes));
}

/// Where the label of `end` lies: behind the first block in front, at the start of its area in the tail.
fn label_at(member: &Member, end: End) -> Bytes {
    match end {
        End::Primary => HEAD_LABEL_AT,
        End::Secondary => member.layout.area(AreaKind::Label, End::Secondary).start_bytes(),
    }
}

impl Labels {
    /// Nothing to do yet on these disks.
    pub fn new(members: Vec<Member>, rules: Rules) -> Labels {
        Labels { lanes: members.into_iter().map(|member| Lane::new(member, rules)).collect() }
    }

    /// Blanks the metadata areas of disk `lane` and labels it: both ends blank and flushed, then the tail label, then
    /// the front label, then the first block, each flushed and read back.
    pub fn push_member(&mut self, lane: usize, label: &Label, size: Bytes) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let data = lane.member.layout.data();
        push_blank(lane, Bytes(0), data.start_bytes().0, Purpose::Blank);
        let tail = data.end_bytes();
        let usable = size.round_down(BLOCK_BYTES).0;
        push_blank(lane, tail, usable.saturating_sub(tail.0), Purpose::Blank);
        lane.push(Job::Flush);
        push_labels(lane, label);
        push_first_block(lane, size);
    }

    /// Takes the labels of disk `lane` away, and the slot headers after them: the disk is nobody's.
    pub fn push_wipe(&mut self, lane: usize) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let member = lane.member.clone();
        // The front goes first: a disk that lost only that is recognised by its tail and wiped again.
        push_blank(lane, Bytes(0), 2 * BLOCK_BYTES, Purpose::Label);
        lane.push(Job::Flush);
        let tail = member.layout.area(AreaKind::Label, End::Secondary);
        // The last label cannot be found again when it is torn; nobody would know whose disk that was.
        lane.push(Job::Disown(tail.start_bytes()));
        lane.push(Job::Flush);
        push_blank(lane, tail.start_bytes(), tail.length_bytes().0, Purpose::Label);
        // A label that is left over a model that is gone could never be explained: no label stands when the slots go.
        lane.push(Job::Flush);
        for end in End::BOTH {
            for index in SlotIndex::BOTH {
                push_blank(lane, member.layout.slot(index, end).start_bytes(), BLOCK_BYTES, Purpose::Blank);
            }
        }
        // Own blocks lie where a disk is looked at before it is taken: a free disk has nothing there.
        let blocks = member.layout.area(AreaKind::NodeBlocks, End::Primary);
        push_blank(lane, blocks.start_bytes(), blocks.length_bytes().0, Purpose::Blank);
        lane.push(Job::Flush);
    }

    /// Writes the intent of a change of ids on disk `lane`.
    pub fn push_intent(&mut self, lane: usize, intent: &Intent) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let at = intent_area(&lane.member).start_bytes();
        push_sealed(lane, at, intent.encode(), Purpose::Intent);
    }

    /// Gives disk `lane` its new ids. The intent stands on every disk by now. The model is written first, where the old
    /// label's eyes pass it over as foreign, then the labels, then the intent is cleared.
    pub fn push_new_ids(&mut self, lane: usize, new: &NewId) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let member = lane.member.clone();
        let bytes: Arc<[u8]> = new.image.encode().into();
        for end in End::BOTH {
            let at = member.layout.slot(SlotIndex::Zero, end).start_bytes();
            lane.push(Job::Write(at, bytes.clone(), Purpose::Slot));
            lane.push(Job::Flush);
            lane.push(Job::Verify(at, bytes.clone()));
        }
        push_labels(lane, &new.label);
        for end in End::BOTH {
            push_blank(
                lane,
                member.layout.slot(SlotIndex::One, end).start_bytes(),
                BLOCK_BYTES,
                Purpose::Blank,
            );
        }
        lane.push(Job::Flush);
        push_blank(lane, intent_area(&member).start_bytes(), Intent::BYTES.0, Purpose::Intent);
        lane.push(Job::Flush);
    }

    /// Writes both labels and the first block of disk `lane` again: one was damaged, or the disk grew.
    pub fn push_relabel(&mut self, lane: usize, label: &Label, size: Bytes) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        push_labels(lane, label);
        push_first_block(lane, size);
    }

    /// Blanks the blocks of these nodes on disk `lane`: none of them can be read, and an opening has gone above whatever
    /// promise they may have hidden.
    pub fn push_forget(&mut self, lane: usize, ids: &[NodeId]) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let area = lane.member.layout.area(AreaKind::NodeBlocks, End::Primary);
        for at in ids.iter().filter_map(|id| node_block::place(&area, *id, 0)) {
            push_blank(lane, at, node_block::BLOCKS_PER_NODE * BLOCK_BYTES, Purpose::Blank);
        }
        lane.push(Job::Flush);
    }

    /// Blanks the record of a change of ids on disk `lane`, which cannot be read: no change hangs on it.
    pub fn push_forget_intent(&mut self, lane: usize) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let at = intent_area(&lane.member).start_bytes();
        push_blank(lane, at, Intent::BYTES.0, Purpose::Blank);
        lane.push(Job::Flush);
    }

    /// Operations that can be asked of the disks now.
    pub fn poll(&mut self) -> Vec<Ask> {
        // No slot is written behind a guard here.
        poll_lanes(&mut self.lanes, BootTime::default())
    }

    /// Takes an answer.
    pub fn handle(&mut self, lane: usize, answer: Answer) {
        handle_lane(&mut self.lanes, lane, answer)
    }

    /// Has every disk ended its part?
    pub fn is_over(&self) -> bool {
        self.lanes.iter().all(Lane::is_idle)
    }

    /// Disks, by their place, on which not everything was done.
    pub fn failed(&self) -> Vec<usize> {
        let places = self.lanes.iter().enumerate();
        places.filter(|(_, lane)| lane.state != LaneState::Well).map(|(place, _)| place).collect()
    }
}

fn push_first_block(lane: &mut Lane, size: Bytes) {
    push_sealed(lane, Bytes(0), first_block::encode(size).to_vec(), Purpose::Label);
}

fn push_labels(lane: &mut Lane, label: &Label) {
    for end in [End::Secondary, End::Primary] {
        // A label that was made from a checked layout and a bounded WWID fits its block.
        if let Some(block) = label.encode(end) {
            let at = label_at(&lane.member, end);
            push_sealed(lane, at, block, Purpose::Label);
        }
    }
}

fn intent_area(member: &Member) -> Area {
    member.layout.area(AreaKind::Intent, End::Primary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::bits::Features;
    use crate::base::id::{ContainerId, DiskId, DiskNumber};
    use crate::base::time::WallTime;
    use crate::base::units::SECTOR_BYTES;
    use crate::format::layout::{Layout, Recipe};
    use crate::volume::commit::io::Op;
    use crate::volume::discover::{Sighting, sight};

    const SIZE: Bytes = Bytes(16 * MIB);
    const LOGICAL_BLOCK: u32 = 512;

    fn member() -> (Member, Label) {
        let (node_blocks, ring, end) = (Bytes(16 << 10), Bytes(48 << 10), Bytes(MIB));
        let (proof, drill) = (Bytes(BLOCK_BYTES), Bytes(BLOCK_BYTES));
        let recipe = Recipe { node_blocks, proof, drill, slot: Bytes(16 << 10), history: ring, end };
        let layout = Layout::make(SIZE, &recipe).expect("there is room");
        let (container, id, number) = (ContainerId([1; 16]), DiskId([2; 16]), DiskNumber(1));
        let label = Label {
            features: Features::default(),
            container,
            disk: id,
            number,
            logical_block: LOGICAL_BLOCK,
            nodes: 2,
            size: SIZE.whole_sectors(),
            created: WallTime::default(),
            wwid: String::new(),
            areas: layout.areas().to_vec(),
            extension: Vec::new(),
        };
        (Member { container, number, id, layout }, label)
    }

    fn is_known_or_free(disk: &[u8]) -> bool {
        let ends = 2 * BLOCK_BYTES as usize;
        let (head, tail) = (&disk[..ends], &disk[disk.len() - ends..]);
        matches!(sight(SIZE, LOGICAL_BLOCK, head, tail), Sighting::Ours(_) | Sighting::Blank)
    }

    /// Every state that a cut inside a write can leave where sectors of 512 bytes are whole: up to some sector, from
    /// some sector on, and one alone.
    fn torn(disk: &[u8], at: usize, bytes: &[u8]) -> Vec<Vec<u8>> {
        let sector = SECTOR_BYTES as usize;
        let count = bytes.len().min(2 * BLOCK_BYTES as usize) / sector;
        let write = |landed: &dyn Fn(usize) -> bool| {
            let mut disk = disk.to_vec();
            for number in (0..count).filter(|&number| landed(number)) {
                let piece = number * sector..(number + 1) * sector;
                disk[at + piece.start..at + piece.end].copy_from_slice(&bytes[piece]);
            }
            disk
        };
        let each = 0..=count;
        each.flat_map(|cut| {
            [write(&|number| number < cut), write(&|number| number >= cut), write(&|number| number == cut)]
        })
        .collect()
    }

    /// Lets the labels work on `disk`; `look` sees each write before it is made.
    fn work(labels: &mut Labels, disk: &mut [u8], mut look: impl FnMut(&[u8], usize, &[u8])) {
        while !labels.is_over() {
            for ask in labels.poll() {
                let answer = match ask.op {
                    Op::Read { at, length } => {
                        let at = at.0 as usize;
                        Answer::Read(disk[at..at + length as usize].to_vec())
                    }
                    Op::Write { at, bytes, .. } => {
                        let at = at.0 as usize;
                        look(disk, at, &bytes);
                        disk[at..at + bytes.len()].copy_from_slice(&bytes);
                        Answer::Done
                    }
                    _ => Answer::Done,
                };
                labels.handle(ask.lane, answer);
            }
        }
        assert!(labels.failed().is_empty());
    }

    /// I6, F41: a deletion that is cut inside a write, whatever sectors of it landed, leaves a disk that says whose it
    /// is, or one that is nobody's, and never one that only an administrator can judge.
    #[test]
    fn f41_a_wipe_torn_anywhere_leaves_a_label_or_none() {
        let (member, label) = member();
        let mut disk = vec![0; SIZE.0 as usize];
        let mut labels = Labels::new(vec![member.clone()], Rules::ALL);
        labels.push_member(0, &label, SIZE);
        work(&mut labels, &mut disk, |_, _, _| ());
        assert!(is_known_or_free(&disk));

        let mut labels = Labels::new(vec![member], Rules::ALL);
        labels.push_wipe(0);
        let mut cuts = 0;
        work(&mut labels, &mut disk, |disk, at, bytes| {
            for state in torn(disk, at, bytes) {
                assert!(is_known_or_free(&state), "torn in the write of {} bytes at {at}", bytes.len());
                cuts += 1;
            }
        });
        assert!(cuts > 100, "{cuts} states were looked at");
        assert!(matches!(
            sight(SIZE, LOGICAL_BLOCK, &disk[..8192], &disk[disk.len() - 8192..]),
            Sighting::Blank
        ));
    }
}
