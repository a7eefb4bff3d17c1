//! Who beats on one disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::base::id::{ContainerId, NodeId, NodeUuid};
use crate::base::time::BootTime;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::engine::guard::answer::{self, Given, Me, Stranger};
use crate::format::disk_beat::{self, DiskBeat, Words};
use crate::format::label::Label;
use crate::format::layout::{Area, AreaKind, End, HEAD_LABEL_AT, Layout};
use crate::format::node_block::BLOCKS_PER_NODE;
use crate::host::clock;
use crate::host::disk::{BareDisk, Blocks, Want};
use crate::host::disk_error::DiskError;
use crate::host::gate_page::Member;
use crate::run::disk_beats::{BEAT_MS, Gates, Standing};

/// Milliseconds before a disk that is not the container's is looked at again.
const NOT_IT_MS: u64 = 60_000;

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

/// The thread's own.
pub(super) struct Beater {
    path: PathBuf,
    speech: Speech,
    standing: Arc<Standing>,
    stand: Option<Stand>,
    stranger: Stranger,
    counter: u64,
    given: Given,
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
        let (stand, stranger, counter, given, trouble) = Default::default();
        Beater { path, speech, standing, stand, stranger, counter, given, trouble }
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
        let gates = self.speech.gates;
        let Member { id, incarnation, cluster, .. } = member;
        let me = Me { node: self.speech.node, cluster, incarnation, container: gates.container };
        let words = stand.hear(member.highest)?;
        let there = words.beats.iter().find(|beat| beat.id == id);
        self.counter = self.counter.max(there.map_or(0, |beat| beat.counter)).wrapping_add(1);
        if !self.stranger.gives_way(there, me) {
            return Ok(false);
        }
        // Looked at behind the questions: an answer is newer than what it answers.
        let may_answer = || self.speech.answers.load(Ordering::Acquire) && gates.are_shut();
        let asked = self.given.still_due(answer::to_me(&words.questions, me));
        let Some(shut) = answer::said(gates.have_lease(), asked, may_answer) else { return Ok(false) };
        let Me { node, container, .. } = me;
        let beat = DiskBeat { id, node, cluster, container, incarnation, counter: self.counter, shut };
        let (at, _) = stand.places(id);
        stand.say(at, &beat.encode())?;
        self.given.note(&beat.shut);
        Ok(true)
    }
}
