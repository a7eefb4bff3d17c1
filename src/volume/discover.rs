//! From what stands at both ends of each disk to containers: which disks are ours, which copy counts, what is missing,
//! stale, cloned or in doubt. Looking never writes (R2), and one damaged disk never hides the others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::base::bits::Access;
use crate::base::gather::Gather;
use crate::base::id::{ContainerId, DiskId, DiskNumber};
use crate::base::name::Name;
use crate::base::small_set::SmallSet;
use crate::base::sorted::sort_by_key;
use crate::base::units::{BLOCK_BYTES, Bytes, SECTOR_BYTES};
use crate::format::cursor::{is_same, is_zero};
use crate::format::damage::{Damage, Fault, What};
use crate::format::first_block;
use crate::format::intent::Intent;
use crate::format::label::{self, Label};
use crate::format::layout::{AreaKind, End, HEAD_LABEL_AT, Layout, LayoutError, TAIL_LABEL_BYTES};
use crate::format::model::{ContainerKind, Model};
use crate::format::node_block;
use crate::volume::choose::{self, Chosen, DiskCopies, Unchosen};
use crate::volume::commit::Member;
use crate::volume::mistake::Rules;
use crate::volume::plugins::foreign::{self, Ends, Signature};
use crate::volume::votes::Quorum;

/// So many bytes of our first sector may be other than they were written, and it is still taken for ours. The size in
/// it counts four when the disk has grown; one entry of a partition table is more than that and another program's.
const ROTTEN_BYTES_MAX: usize = 6;

/// What one look at both ends of a disk saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// A member of a container.
    Ours(Box<Labelled>),
    /// It carries our label and cannot be used.
    Unusable(Unusable),
    /// Something else's.
    Foreign(Vec<Signature>),
    /// Nothing that is known.
    Blank,
}

/// A label that is believed, and what is wrong besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The label.
    pub label: Label,
    /// Its areas, checked against the real size.
    pub layout: Layout,
    /// Copies of the label that are not as they should be; the other one was used.
    pub damaged: Vec<(End, Damage)>,
    /// The disk has grown since it was labelled.
    pub grown: bool,
    /// The front is neither ours nor blank, and nothing known stands there: perhaps data of a program that marks its
    /// disks nowhere. What the tail says is read; nothing is written before somebody has said that it may be.
    pub front_lost: bool,
}

/// Why a disk with our label cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// Both labels are damaged, or the only one left is.
    Damaged(Damage),
    /// The disk is smaller than when it was labelled.
    Shrunk {
        /// Size in the label.
        labelled: Bytes,
        /// Size now.
        now: Bytes,
    },
    /// The table of areas is not believed.
    Areas(LayoutError),
    /// Its first block says that it is a member, and neither label is there.
    NoLabel,
    /// It has less room for node blocks than for as many nodes as its label says.
    NodeBlocks {
        /// Nodes that the label promises room to.
        nodes: u16,
        /// Nodes that the area has room for.
        room: u16,
    },
    /// The disk has larger blocks than when it was labelled.
    BlockTooLarge {
        /// In the label.
        labelled: u32,
        /// Now.
        now: u32,
    },
    /// The two labels name different disks or containers.
    TwoLabels {
        /// In front.
        front: (ContainerId, DiskId),
        /// In the tail.
        tail: (ContainerId, DiskId),
    },
    /// A label is left, and something of somebody else stands in front: another program took the disk.
    Overwritten(Signature),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Damaged(damage) => write!(f, "{damage}"),
            Unusable::Shrunk { labelled, now } => write!(
                f,
                "the disk had {} ({} bytes) when it was labelled and has {} ({} bytes) now; give it its size back",
                labelled.human(),
                labelled.0,
                now.human(),
                now.0
            ),
            Unusable::Areas(error) => write!(f, "{error}"),
            Unusable::NoLabel => {
                write!(
                    f,
                    "its first block says that it is a member disk of evms, and both its labels are gone"
                )
            }
            Unusable::NodeBlocks { nodes, room } => {
                write!(f, "its label promises node blocks to {nodes} nodes and has room for {room}")
            }
            Unusable::BlockTooLarge { labelled, now } => {
                write!(
                    f,
                    "the disk had blocks of {labelled} bytes when it was labelled and has blocks of {now} bytes now"
                )
            }
            Unusable::TwoLabels { front, tail } => write!(
                f,
                "its front label names disk {} of container {} and its tail label disk {} of container {}",
                front.1.short(),
                front.0.short(),
                tail.1.short(),
                tail.0.short()
            ),
            Unusable::Overwritten(signature) => write!(
                f,
                "another program took the disk: it holds {} now (found at byte {}), and of evms only labels are left; \
                 nothing of it is used or written; leave it out, or wipe what is not wanted",
                signature.what, signature.at.0
            ),
        }
    }
}

impl Unusable {
    /// Does a newer program know more about this disk?
    pub fn is_newer(&self) -> bool {
        matches!(self, Unusable::Damaged(damage) if damage.is_newer())
    }
}

/// Judges a disk of `size` bytes by its first and last bytes (at least 8 KiB each, fewer where the disk is smaller).
/// `tail` ends at the end of the disk, rounded down to 4096.
pub fn sight(size: Bytes, logical_block: u32, head: &[u8], tail: &[u8]) -> Sighting {
    let mut sighting = by_labels(size, logical_block, head, tail);
    if let Sighting::Ours(labelled) = &mut sighting {
        let front_label = labelled.damaged.iter().all(|(end, _)| *end != End::Primary);
        labelled.front_lost = front_is_strange(size, head, front_label);
        if !first_block::is_ours(head) {
            let blank = is_zero(head.get(..first_block::BYTES).unwrap_or(head));
            let fault = if blank { Fault::Blank } else { Fault::Foreign };
            labelled.damaged.push((End::Primary, Damage::new(What::FirstBlock, fault)));
        }
    }
    sighting
}

/// Is there nothing of ours at either end: no label, and no first block? [`sight`] calls such a disk foreign or blank.
/// What exactly it is costs a hundred times as much to tell.
pub fn is_stranger(head: &[u8], tail: &[u8]) -> bool {
    let front = head.get(HEAD_LABEL_AT.0 as usize..).unwrap_or_default();
    let back =
        tail.len().checked_sub(TAIL_LABEL_BYTES as usize).and_then(|at| tail.get(at..)).unwrap_or_default();
    !front.starts_with(label::MAGIC) && !back.starts_with(label::MAGIC) && !first_block::is_ours(head)
}

fn by_labels(size: Bytes, logical_block: u32, head: &[u8], tail: &[u8]) -> Sighting {
    let front_block = head.get(HEAD_LABEL_AT.0 as usize..).unwrap_or_default();
    let tail_block =
        tail.len().checked_sub(TAIL_LABEL_BYTES as usize).and_then(|at| tail.get(at..)).unwrap_or_default();
    let (front, back) = (Label::decode(front_block, End::Primary), Label::decode(tail_block, End::Secondary));
    let stranger = |damage: &Damage| matches!(damage.fault, Fault::Blank | Fault::Foreign | Fault::Short);
    let newer =
        [&front, &back].into_iter().filter_map(|copy| copy.as_ref().err()).find(|damage| damage.is_newer());
    if let Some(damage) = newer {
        // A newer program wrote one end; the other may be what it was about to replace.
        return Sighting::Unusable(Unusable::Damaged(damage.clone()));
    }
    match (front, back) {
        (front, back)
            if (front.is_ok() || back.is_ok())
                && !(front.is_ok() && front_is_as_written(size, head))
                && overwritten(size, head).is_some() =>
        {
            overwritten(size, head)
                .map_or(Sighting::Blank, |signature| Sighting::Unusable(Unusable::Overwritten(signature)))
        }
        (Ok(front), Ok(back)) if (front.container, front.disk) != (back.container, back.disk) => {
            Sighting::Unusable(Unusable::TwoLabels {
                front: (front.container, front.disk),
                tail: (back.container, back.disk),
            })
        }
        (Ok(front), Ok(back)) => believe_both(front, &back, size, logical_block),
        // Where the disk has grown the tail label is not at the end any more: no damage, but worth a word.
        (Ok(front), Err(damage)) => believe(front, vec![(End::Secondary, damage)], size, logical_block),
        (Err(damage), Ok(back)) => believe(back, vec![(End::Primary, damage)], size, logical_block),
        (Err(one), Err(other)) if stranger(&one) && stranger(&other) => strange(size, head, tail),
        (Err(one), Err(other)) => {
            Sighting::Unusable(Unusable::Damaged(if stranger(&one) { other } else { one }))
        }
    }
}

/// No label of ours at either end.
fn strange(size: Bytes, head: &[u8], tail: &[u8]) -> Sighting {
    // Nothing is known by zeroes.
    if is_zero(head) && is_zero(tail) {
        return Sighting::Blank;
    }
    // The recogniser wants a tail that ends at the last sector; ours ends at the last block.
    let missing = size.round_down(SECTOR_BYTES).0 - size.round_down(BLOCK_BYTES).0;
    let tail = [tail, &[0; BLOCK_BYTES as usize][..missing as usize]].concat();
    let found = foreign::recognise(&Ends { size, head, tail: &tail });
    if !found.is_empty() {
        Sighting::Foreign(found)
    } else if first_block::is_ours(head) {
        // It is written last and taken away first: a disk on which it stands alone was damaged, and is not free.
        Sighting::Unusable(Unusable::NoLabel)
    } else {
        Sighting::Blank
    }
}

/// Both labels are whole and name one disk. Where they differ in anything else a rewrite was cut short: the front
/// counts, and what either forbids is forbidden.
fn believe_both(mut front: Label, back: &Label, size: Bytes, logical_block: u32) -> Sighting {
    let mut damaged = Vec::new();
    if front != *back {
        damaged.push((End::Secondary, Damage::new(What::Label, Fault::Field("difference from the front"))));
        front.features.compat |= back.features.compat;
        front.features.ro_compat |= back.features.ro_compat;
        front.features.incompat |= back.features.incompat;
    }
    believe(front, damaged, size, logical_block)
}

/// Is the first block, which is ours on every member, neither that nor blank? Where the label behind it is gone too,
/// that must be blank as well.
fn front_is_strange(size: Bytes, head: &[u8], label_is_there: bool) -> bool {
    let length = HEAD_LABEL_AT.0 as usize + if label_is_there { 0 } else { BLOCK_BYTES as usize };
    let front = head.get(..length).unwrap_or(head);
    !first_block_is_ours(size, head) && !is_zero(front)
}

/// A first block of ours in which a few bytes are rotten is nobody else's.
fn first_block_is_ours(size: Bytes, head: &[u8]) -> bool {
    let wanted = first_block::encode(size);
    let sector = head.get(..SECTOR_BYTES as usize).unwrap_or_default();
    if is_same(sector, &wanted[..SECTOR_BYTES as usize]) {
        return true;
    }
    let rotten = sector.iter().zip(&wanted).filter(|(one, other)| one != other).count();
    sector.len() == SECTOR_BYTES as usize && rotten <= ROTTEN_BYTES_MAX
}

/// Is the front to the byte what was written there, before a label that is whole? Then nobody put anything into it.
fn front_is_as_written(size: Bytes, head: &[u8]) -> bool {
    let (Some(sector), Some(rest)) =
        (head.get(..SECTOR_BYTES as usize), head.get(SECTOR_BYTES as usize..HEAD_LABEL_AT.0 as usize))
    else {
        return false;
    };
    let behind = head.get(HEAD_LABEL_AT.0 as usize + BLOCK_BYTES as usize..).unwrap_or_default();
    is_same(&first_block::encode(size)[..SECTOR_BYTES as usize], sector) && is_zero(rest) && is_zero(behind)
}

/// What somebody else put in front of a disk on which a label of ours is left. `mkswap`, `sfdisk`, `mkfs.vfat` and
/// `cryptsetup` leave the tail label standing, some of them both: writing to such a disk would destroy what is theirs.
fn overwritten(size: Bytes, head: &[u8]) -> Option<Signature> {
    head.get(..SECTOR_BYTES as usize)?;
    let rotten = first_block_is_ours(size, head);
    let found = foreign::recognise(&Ends { size, head, tail: &[] });
    found.into_iter().find(|signature| !(rotten && signature.at.0 < SECTOR_BYTES))
}

fn believe(label: Label, damaged: Vec<(End, Damage)>, size: Bytes, logical_block: u32) -> Sighting {
    if label.size_bytes() > size {
        return Sighting::Unusable(Unusable::Shrunk { labelled: label.size_bytes(), now: size });
    }
    if logical_block > label.logical_block {
        let labelled = label.logical_block;
        return Sighting::Unusable(Unusable::BlockTooLarge { labelled, now: logical_block });
    }
    let layout = match Layout::check(label.areas.clone(), label.size_bytes()) {
        Ok(layout) => layout,
        Err(error) => return Sighting::Unusable(Unusable::Areas(error)),
    };
    let room = node_block::nodes_in(&layout.area(AreaKind::NodeBlocks, End::Primary));
    if room < label.nodes {
        return Sighting::Unusable(Unusable::NodeBlocks { nodes: label.nodes, room });
    }
    let grown = label.size_bytes().round_down(BLOCK_BYTES) < size.round_down(BLOCK_BYTES);
    Sighting::Ours(Box::new(Labelled { label, layout, damaged, grown, front_lost: false }))
}

impl Labelled {
    /// The disk as the commit protocol sees it.
    pub fn member(&self) -> Member {
        Member {
            container: self.label.container,
            number: self.label.number,
            id: self.label.disk,
            layout: self.layout.clone(),
        }
    }

    /// May the disk be written by this program?
    pub fn access(&self) -> Access {
        self.label.features.access(label::KNOWN)
    }
}

/// A labelled disk and what its slots and intent hold, by the place of the disk in the list of all that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Which of the disks.
    pub place: usize,
    /// Its label.
    pub labelled: Labelled,
    /// Its slots.
    pub copies: DiskCopies,
    /// A change of ids under way.
    pub intent: Option<Intent>,
    /// The record of such a change is there and cannot be read: torn by a crash before anything followed it, rotten, or
    /// written by a newer program.
    pub intent_damage: Option<Damage>,
}

impl Read {
    /// Does every end hold the newest copy of this disk? A commit that was cut short between the ends does not.
    pub fn newest_at_both_ends(&self) -> bool {
        let Some((_, newest)) = self.copies.newest() else { return false };
        let hash = newest.header.hash;
        let holds = |end| {
            let mut copies = self.copies.slots.iter().filter(|(at, _, _)| *at == end);
            copies.any(|(_, _, copy)| copy.as_ref().is_ok_and(|image| image.header.hash == hash))
        };
        End::BOTH.into_iter().all(holds)
    }
}

/// A container as its disks tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its identity.
    pub id: ContainerId,
    /// Its disks that were seen, by number.
    pub disks: Vec<Read>,
    /// Which model counts, or why none does.
    pub chosen: Result<Chosen, Unchosen>,
    /// Disks that carry one identity twice, by place: clones, or one disk seen by two ways.
    pub clones: Vec<Vec<usize>>,
}

/// Is the newest copy of this disk one of a deleted container?
pub fn says_deleted(read: &Read) -> bool {
    let newest = read.copies.newest().and_then(|(_, image)| Model::of(image).ok());
    newest.is_some_and(|model| model.container.kind == ContainerKind::Deleted)
}

/// What is to be said of one disk of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiskWord {
    /// Holds the model that counts.
    Current,
    /// Holds an older one.
    Stale,
    /// Holds none although it is a member: it was labelled and the commit did not reach it.
    Empty,
    /// Cannot speak: all its copies are damaged.
    Damaged,
    /// Labelled, and no model knows it: an expansion that did not finish, or a disk that was let go.
    NotMember,
    /// Let go by a shrink; its label could not be wiped then.
    Released,
}

/// What the disks say of the container's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// Nothing.
    No,
    /// It was begun; the next opening settles whether a majority hears of it.
    Begun,
    /// A majority held it: whatever disks are left may lose their labels.
    Settled,
    /// A copy says that a majority held it, and a majority is here that never heard of it: one side was brought back
    /// from yesterday, or is a lie.
    Contradicted,
}

impl Found {
    /// Is the container deleted, as far as its disks tell?
    pub fn deletion(&self) -> Deletion {
        let Ok(chosen) = &self.chosen else { return Deletion::No };
        if chosen.model.container.kind != ContainerKind::Deleted {
            return Deletion::No;
        }
        if !chosen.model.is_deleted() {
            return Deletion::Begun;
        }
        let living = self.disks.iter().filter(|read| read.copies.speaks() && !says_deleted(read));
        let quorum = Quorum::of(&chosen.model.table);
        let known = living.filter(|read| quorum.knows(read.copies.number, read.copies.id));
        let known = known.map(|read| read.copies.number).gather();
        if quorum.reached_by(&known, Rules::ALL) { Deletion::Contradicted } else { Deletion::Settled }
    }

    /// Joins what was read into containers, by identity.
    pub fn join(reads: Vec<Read>) -> Vec<Found> {
        let mut groups: BTreeMap<ContainerId, Vec<Read>> = BTreeMap::new();
        for read in reads {
            groups.entry(read.labelled.label.container).or_default().push(read);
        }
        groups.into_iter().map(|(id, disks)| Found::one(id, disks)).collect()
    }

    fn one(id: ContainerId, mut disks: Vec<Read>) -> Found {
        sort_by_key(&mut disks, |read| (read.labelled.label.number, read.place));
        let mut by_disk: BTreeMap<DiskId, Vec<usize>> = BTreeMap::new();
        for read in &disks {
            by_disk.entry(read.labelled.label.disk).or_default().push(read.place);
        }
        let mut clones: Vec<Vec<usize>> = by_disk.into_values().filter(|places| places.len() > 1).collect();
        // By number, so that what is named first does not hang on random ids.
        sort_by_key(&mut clones, |places| disks.iter().position(|read| places.contains(&read.place)));
        let copies = disks.iter().map(|read| read.copies.clone()).collect::<Vec<_>>();
        Found { id, disks, chosen: choose::choose(&copies, Rules::ALL), clones }
    }

    /// The container's name: of the model that counts, or, where none does, those of the newest copies that can be
    /// read, so that a container in conflict is found by its name.
    pub fn names(&self) -> Vec<Name> {
        if let Ok(chosen) = &self.chosen {
            return vec![chosen.model.container.name.clone()];
        }
        let newest = self.disks.iter().filter_map(|read| Some(read.copies.newest()?.1));
        let highest = newest.clone().map(|image| image.header.order).max();
        let newest = newest.filter(|image| Some(image.header.order) == highest);
        let names = newest.filter_map(|image| Some(Model::of(image).ok()?.container.name));
        names.gather::<BTreeSet<_>>().into_iter().collect()
    }

    /// What is to be said of the disk that was read as `read`.
    pub fn word(&self, read: &Read) -> DiskWord {
        let Ok(chosen) = &self.chosen else {
            return if read.copies.speaks() { DiskWord::Stale } else { DiskWord::Damaged };
        };
        let known = chosen.model.disk_by_id(read.labelled.label.disk);
        match known {
            None => DiskWord::NotMember,
            Some(disk) if disk.number != read.labelled.label.number => DiskWord::NotMember,
            Some(disk) if !disk.is_member() => DiskWord::Released,
            Some(_) if read.copies.holds(chosen.image.header.hash) => DiskWord::Current,
            Some(_) if !read.copies.speaks() => DiskWord::Damaged,
            Some(_) if read.copies.newest().is_some() => DiskWord::Stale,
            Some(_) => DiskWord::Empty,
        }
    }

    /// Members that were not seen at all.
    pub fn missing(&self) -> SmallSet<DiskNumber> {
        let Ok(chosen) = &self.chosen else { return SmallSet::new() };
        let seen = |id| self.disks.iter().any(|read| read.labelled.label.disk == id);
        let members = chosen.model.table.disks.iter().filter(|disk| disk.is_member());
        members.filter(|disk| !seen(disk.id)).map(|disk| disk.number).gather()
    }

    /// Is a change of ids under way on any of its disks?
    pub fn intent(&self) -> Option<&Intent> {
        self.disks.iter().find_map(|read| read.intent.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::dice::Dice;
    use crate::base::units::MIB;

    const SIZE: Bytes = Bytes(64 * MIB);
    const ENDS: usize = 8192;

    /// The quick look and the thorough one agree: what is called a stranger is foreign or blank, whatever stands there.
    #[test]
    fn a_stranger_is_foreign_or_blank() {
        let mut dice = Dice::from_seed([3; 32]);
        let mut swap = vec![0; ENDS];
        swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
        let noise = (0..ENDS).map(|_| dice.number() as u8).collect::<Vec<_>>();
        for head in [vec![0; ENDS], swap, noise, vec![0; 512], Vec::new()] {
            let tail = vec![0; head.len()];
            assert!(is_stranger(&head, &tail));
            assert!(matches!(sight(SIZE, 512, &head, &tail), Sighting::Foreign(_) | Sighting::Blank));
        }
    }

    /// A magic at either end, or our first block alone, is enough to be looked at thoroughly, however damaged the rest.
    #[test]
    fn what_carries_anything_of_ours_is_no_stranger() {
        let zero = vec![0; ENDS];
        let mut front = zero.clone();
        front[HEAD_LABEL_AT.0 as usize..][..16].copy_from_slice(label::MAGIC);
        let mut back = zero.clone();
        back[ENDS - TAIL_LABEL_BYTES as usize..][..16].copy_from_slice(label::MAGIC);
        let mut first = zero.clone();
        first[..4096].copy_from_slice(&first_block::encode(SIZE));
        for (head, tail) in [(&front, &zero), (&zero, &back), (&first, &zero)] {
            assert!(!is_stranger(head, tail));
            assert!(matches!(sight(SIZE, 512, head, tail), Sighting::Unusable(_)));
        }
    }
}
