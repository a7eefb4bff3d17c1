//! Who beats on one disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::gather::Gather;
use crate::base::id::{ClusterId, ContainerId, NodeId, NodeUuid};
use crate::base::time::BootTime;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::disk_beat::{self, DiskBeat, DiskQuestion, Nonce, Words};
use crate::format::label::Label;
use crate::format::layout::{Area, AreaKind, End, HEAD_LABEL_AT, Layout};
use crate::format::node_block::BLOCKS_PER_NODE;
use crate::host::clock;
use crate::host::disk::{BareDisk, Blocks, Want};
use crate::host::disk_error::DiskError;
use crate::host::gate_page::Member;
use crate::run::disk_beats::{BEAT_MS, Gates, Standing};

/// Without a lease nothing is written but answers, and each so often: a disk that took it shows it, and questions stand for ever.
const ANSWERS_EACH: u8 = 3;
/// Milliseconds before a disk that is not the container's is looked at again.
const NOT_IT_MS: u64 = 60_000;

/// Beats for which another machine's word in this node's place has to stand still before it is overwritten (safety 2.8).
const STILL_BEATS: u32 = 10;

/// What is said, and by whom.
pub(super) struct Speech {
    pub(super) node: NodeUuid,
    pub(super) gates: Gates,
    /// Is anything answered now?
    pub(super) answers: Arc<AtomicBool>,
}

/// Where it is said on a disk, as long as that is the container's.
pub(in crate::run) struct Stand {
    disk: BareDisk,
    label: Vec<u8>,
    area: Area,
}

/// Why a disk is not spoken on.
pub(in crate::run) enum Unfit {
    /// It is not the container's, or has no room for words, or is not understood.
    NotIt,
    /// It cannot be read or written now, or somebody changes it.
    NotNow(DiskError),
}

impl From<DiskError> for Unfit {
    fn from(error: DiskError) -> Unfit {
        Unfit::NotNow(error)
    }
}

/// The node blocks of a disk whose first label is this, if it is one of that container.
fn area_of(label: &[u8], size: Bytes, container: ContainerId) -> Option<Area> {
    let label = Label::decode(label, End::Primary).ok().filter(|label| label.container == container)?;
    let area = Layout::check(label.areas, size).ok()?.area(AreaKind::NodeBlocks, End::Primary);
    disk_beat::words_at(&area).is_some().then_some(area)
}

impl Stand {
    /// On the disk that is there.
    pub(in crate::run) fn open(path: &std::path::Path, container: ContainerId) -> Result<Stand, Unfit> {
        let disk = BareDisk::open(path, Want::OwnWords)?;
        let label = disk.read(HEAD_LABEL_AT, BLOCK_BYTES as usize)?;
        let area = area_of(&label, disk.size(), container).ok_or(Unfit::NotIt)?;
        Ok(Stand { disk, label, area })
    }

    /// What the nodes up to this one say.
    pub(in crate::run) fn hear(&self, highest: NodeId) -> Result<Words, Unfit> {
        let at = disk_beat::words_at(&self.area).ok_or(Unfit::NotIt)?;
        let bytes = u64::from(highest.0) * BLOCKS_PER_NODE * BLOCK_BYTES;
        let bytes = usize::try_from(bytes.clamp(BLOCK_BYTES, disk_beat::WORDS_BYTES)).unwrap_or(0);
        Ok(Words::decode(&self.disk.read(at, bytes)?))
    }

    /// Writes one block, if the disk is what it was a moment ago, and nobody changes it then. The lock is not held across the write: a
    /// disk that takes none would keep away whoever goes on without it (R8). What hangs there may land late, on what is no member any
    /// more: against that there is nothing but reservations.
    pub(in crate::run) fn say(&self, at: Option<Bytes>, block: &[u8]) -> Result<(), Unfit> {
        let turn = self.disk.share()?;
        if self.disk.read(HEAD_LABEL_AT, BLOCK_BYTES as usize)? != self.label {
            return Err(Unfit::NotIt);
        }
        drop(turn);
        Ok(self.disk.write_through(at.ok_or(Unfit::NotIt)?, block)?)
    }

    /// Where a node beats, and where it asks.
    pub(in crate::run) fn places(&self, id: NodeId) -> (Option<Bytes>, Option<Bytes>) {
        (disk_beat::beat_at(&self.area, id), disk_beat::question_at(&self.area, id))
    }
}

/// Questions to this life of this node about that container.
fn to_me(words: &Words, me: Me, container: ContainerId) -> Vec<Nonce> {
    let mine = |question: &&DiskQuestion| {
        (question.asked, question.incarnation) == (me.node, me.member.incarnation)
            && (question.cluster, question.container) == (me.member.cluster, container)
    };
    words.questions.iter().filter(mine).map(|question| question.nonce).gather()
}

#[derive(Clone, Copy)]
struct Me {
    node: NodeUuid,
    member: Member,
}

/// Another machine's word in this node's place: which one, and for how many beats it stood so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stranger(Option<(NodeUuid, ClusterId, u64)>, u32);

impl Stranger {
    /// May this node write there?
    fn gives_way(&mut self, there: Option<&DiskBeat>, me: (NodeUuid, ClusterId)) -> bool {
        let there = there.filter(|beat| (beat.node, beat.cluster) != me);
        let seen = there.map(|beat| (beat.node, beat.cluster, beat.counter));
        if seen.is_none() || seen != self.0 {
            *self = Stranger(seen, 0);
        }
        self.1 += 1;
        seen.is_none() || self.1 > STILL_BEATS
    }
}

/// The thread's own.
pub(super) struct Beater {
    path: PathBuf,
    speech: Speech,
    standing: Arc<Standing>,
    stand: Option<Stand>,
    stranger: Stranger,
    counter: u64,
    answered: Answered,
    /// Why the disk took no beat; empty when it did.
    trouble: String,
}

impl Drop for Beater {
    fn drop(&mut self) {
        self.standing.over.store(true, Ordering::Release);
    }
}

impl Beater {
    pub(super) fn new(path: PathBuf, speech: Speech, standing: Arc<Standing>) -> Beater {
        let (stand, stranger, counter, answered, trouble) = Default::default();
        Beater { path, speech, standing, stand, stranger, counter, answered, trouble }
    }

    /// Until the container has no gates here any more, or the disk is another's.
    pub(super) fn beat_on(mut self) {
        while self.speech.gates.are_there() {
            let begin = clock::boot_now();
            self.standing.under_way.store(begin.ms.max(1), Ordering::Release);
            let done = self.beat();
            let now = clock::boot_now();
            self.standing.under_way.store(0, Ordering::Release);
            let mut next = begin.plus_ms(BEAT_MS).max(now.plus_ms(BEAT_MS / 10));
            match done {
                Ok(true) => self.note(begin, now),
                Ok(false) => (),
                // Somebody changes it, for a moment.
                Err(Unfit::NotNow(DiskError::Locked { .. })) => (),
                // Paths may lead elsewhere by now.
                Err(Unfit::NotNow(error)) => self.lose(&error.to_string()),
                Err(Unfit::NotIt) => {
                    self.lose("its label is not that of this container's disk");
                    next = now.plus_ms(NOT_IT_MS);
                }
            }
            self.speech.gates.wait_while_there(next);
        }
    }

    fn lose(&mut self, why: &str) {
        self.stand = None;
        if self.trouble != why {
            log::warn!("{} takes no beat of this node: {why}", self.path.display());
            self.trouble = why.into();
        }
    }

    fn note(&mut self, begin: BootTime, now: BootTime) {
        self.trouble.clear();
        let took_ms = now.ms.saturating_sub(begin.ms);
        self.standing.took_ms.store(took_ms, Ordering::Release);
        self.standing.worst_ms.fetch_max(took_ms, Ordering::AcqRel);
        self.standing.last.store(now.ms, Ordering::Release);
    }

    /// One beat; false when there is nobody to beat for, nothing to be said, or another machine is in this one's place.
    fn beat(&mut self) -> Result<bool, Unfit> {
        let Some(member) = self.speech.gates.page.member() else { return Ok(false) };
        let stand = match self.stand.take() {
            Some(stand) => stand,
            None => Stand::open(&self.path, self.speech.gates.container)?,
        };
        let done = self.beat_on_it(&stand, member);
        self.stand = Some(stand);
        done
    }

    fn beat_on_it(&mut self, stand: &Stand, member: Member) -> Result<bool, Unfit> {
        let (node, gates) = (self.speech.node, self.speech.gates);
        let Member { id, incarnation, cluster, .. } = member;
        let words = stand.hear(member.highest)?;
        let there = words.beats.iter().find(|beat| beat.id == id);
        self.counter = self.counter.max(there.map_or(0, |beat| beat.counter)).wrapping_add(1);
        if !self.stranger.gives_way(there, (node, cluster)) {
            return Ok(false);
        }
        // Looked at behind the questions: an answer is newer than what it answers.
        let leased = gates.have_lease();
        let asked = self.answered.of(to_me(&words, Me { node, member }, gates.container));
        let answers = !leased && !asked.is_empty() && self.speech.answers.load(Ordering::Acquire);
        let shut = if answers && gates.are_shut() { asked } else { Vec::new() };
        if !leased && shut.is_empty() {
            return Ok(false);
        }
        let (container, counter) = (gates.container, self.counter);
        let beat = DiskBeat { id, node, cluster, container, incarnation, counter, shut };
        let (at, _) = stand.places(id);
        stand.say(at, &beat.encode())?;
        self.answered.note(&beat.shut);
        Ok(true)
    }
}

/// How often each question was answered on this disk.
#[derive(Debug, Default)]
struct Answered(Vec<(Nonce, u8)>);

impl Answered {
    /// Those of them that are still to be; others are forgotten.
    fn of(&mut self, asked: Vec<Nonce>) -> Vec<Nonce> {
        self.0.retain(|(nonce, _)| asked.contains(nonce));
        let done =
            |nonce: &Nonce| self.0.iter().any(|(known, times)| known == nonce && *times >= ANSWERS_EACH);
        asked.into_iter().filter(|nonce| !done(nonce)).collect()
    }

    fn note(&mut self, answered: &[Nonce]) {
        for nonce in answered {
            match self.0.iter_mut().find(|(known, _)| known == nonce) {
                Some((_, times)) => *times = times.saturating_add(1),
                None => self.0.push((*nonce, 1)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Incarnation;

    const NODE: NodeUuid = NodeUuid([1; 16]);
    const CLUSTER: ClusterId = ClusterId([5; 16]);
    const CONTAINER: ContainerId = ContainerId([9; 16]);

    fn question() -> DiskQuestion {
        DiskQuestion {
            id: NodeId(2),
            cluster: CLUSTER,
            container: CONTAINER,
            asked: NODE,
            incarnation: Incarnation([3; 16]),
            nonce: Nonce([8; 16]),
        }
    }

    #[test]
    fn only_what_is_asked_of_this_life_about_this_container_is_answered() {
        let member =
            Member { id: NodeId(1), highest: NodeId(3), incarnation: Incarnation([3; 16]), cluster: CLUSTER };
        let me = Me { node: NODE, member };
        let strange = [
            DiskQuestion { cluster: ClusterId([6; 16]), ..question() },
            DiskQuestion { container: ContainerId([8; 16]), ..question() },
            DiskQuestion { asked: NodeUuid([2; 16]), ..question() },
            DiskQuestion { incarnation: Incarnation([4; 16]), ..question() },
        ];
        let words = Words { beats: Vec::new(), questions: strange.into_iter().chain([question()]).collect() };
        assert_eq!(to_me(&words, me, CONTAINER), [Nonce([8; 16])]);
    }

    /// Safety 2.8: who moves is there, and who stands still for long is gone.
    #[test]
    fn another_machine_in_this_place_is_overwritten_when_it_stands_still() {
        let me = (NODE, CLUSTER);
        let other = |counter| DiskBeat {
            id: NodeId(1),
            node: NodeUuid([2; 16]),
            cluster: CLUSTER,
            container: CONTAINER,
            incarnation: Incarnation([3; 16]),
            counter,
            shut: Vec::new(),
        };
        let mut stranger = Stranger::default();
        assert!(stranger.gives_way(None, me));
        assert!(stranger.gives_way(Some(&DiskBeat { node: NODE, ..other(1) }), me));
        for counter in 0..100 {
            assert!(!stranger.gives_way(Some(&other(counter)), me), "it beats");
        }
        let still = other(99);
        let refused = (0..20).take_while(|_| !stranger.gives_way(Some(&still), me)).count();
        assert_eq!(refused, 9, "and one before");
    }

    /// A question stands on the disk for ever, and is answered a few times; one that was wiped away is forgotten.
    #[test]
    fn a_question_is_answered_a_few_times() {
        let (one, two) = (Nonce([1; 16]), Nonce([2; 16]));
        let mut answered = Answered::default();
        for _ in 0..3 {
            assert_eq!(answered.of(vec![one]), [one]);
            answered.note(&[one]);
        }
        assert_eq!(answered.of(vec![one, two]), [two]);
        assert_eq!(answered.of(vec![two]), [two]);
        assert_eq!(answered.of(vec![one]), [one]);
    }
}
