//! Choosing among copies: what all the slots that were read amount to. Pure, and tested over every damage mask.
//! The highest order wins even if one disk alone holds it; equal order with different content is a conflict that is
//! shown and never decided (safety 2.2, 2.3).

use crate::base::epoch::Order;
use crate::base::gather::Gather;
use crate::base::hash::Hash128;
use crate::base::id::{DiskId, DiskNumber};
use crate::base::small_map::SmallMap;
use crate::base::small_set::SmallSet;
use crate::base::sorted::sort;
use crate::format::damage::Damage;
use crate::format::layout::{End, SlotIndex};
use crate::format::model::Model;
use crate::format::slot::SlotImage;
use crate::volume::mistake::{Rules, breaks};
use crate::volume::votes::Quorum;

/// One copy: what stood in one slot at one end.
pub type Copy = Result<SlotImage, Damage>;

/// The four copies of one disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskCopies {
    /// The disk's number by its label.
    pub number: DiskNumber,
    /// The disk by its label.
    pub id: DiskId,
    /// What was read: by end, then by slot.
    pub slots: Vec<(End, SlotIndex, Copy)>,
}

impl DiskCopies {
    /// The newest whole copy.
    pub fn newest(&self) -> Option<(SlotIndex, &SlotImage)> {
        let whole = self.slots.iter().filter_map(|(_, index, copy)| Some((*index, copy.as_ref().ok()?)));
        whole.max_by_key(|(_, image)| image.header.order)
    }

    /// Can this disk speak for what it holds? An acknowledged commit stands at both ends, and a crash tears one end
    /// at a time: so each slot must be whole or never written at one end at least. Where both ends of a slot are
    /// damaged or cannot be read, the newest model may be hidden there, and the disk does not count.
    pub fn speaks(&self) -> bool {
        SlotIndex::BOTH.iter().all(|wanted| {
            let mut copies = self.slots.iter().filter(|(_, index, _)| index == wanted);
            copies.any(|(_, _, copy)| copy.as_ref().map_or_else(Damage::is_blank, |_| true))
        })
    }

    /// Does any slot hold this very content?
    pub fn holds(&self, hash: Hash128) -> bool {
        self.slots.iter().any(|(_, _, copy)| copy.as_ref().is_ok_and(|image| image.header.hash == hash))
    }

    /// Does it hold this very content at both of its ends? The second end is written only when nobody had promised a higher epoch
    /// here after the first was: so whoever opens later sees it.
    pub fn holds_at_both_ends(&self, hash: Hash128) -> bool {
        End::BOTH.iter().all(|end| {
            let mut copies = self.slots.iter().filter(|(at, _, _)| at == end);
            copies.any(|(_, _, copy)| copy.as_ref().is_ok_and(|image| image.header.hash == hash))
        })
    }

    /// A slot written by a newer program, if there is one: then nothing here may be judged.
    fn newer(&self) -> Option<&Damage> {
        self.slots.iter().filter_map(|(_, _, copy)| copy.as_ref().err()).find(|damage| damage.is_newer())
    }
}

/// The model that counts, and how well it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its slot as read.
    pub image: SlotImage,
    /// Its body, decoded.
    pub model: Model,
    /// Disks that hold it.
    pub held_by: SmallSet<DiskNumber>,
    /// Disks that could be read and may be counted.
    pub read: SmallSet<DiskNumber>,
    /// Was a majority read? Without one a newer model may exist elsewhere.
    pub majority_read: bool,
    /// Is it held by a majority? If not, it is in doubt.
    pub committed: bool,
    /// Is it, at both ends? If not, whoever began to open before it was written may still write something else over it, and nobody
    /// may go by it who does not open.
    pub settled: bool,
}

/// Why no model could be chosen. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unchosen {
    /// No disk holds a whole copy.
    Nothing,
    /// Two contents under one order: a split brain under force.
    Conflict {
        /// The order that both claim.
        order: Order,
        /// One disk and what it holds.
        one: (DiskNumber, Hash128),
        /// The other disk and what it holds.
        other: (DiskNumber, Hash128),
    },
    /// A copy needs a newer program, or its body does not fit its own sections.
    Unreadable {
        /// The disk.
        disk: DiskNumber,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// Chooses among the copies of all disks that were read.
pub fn choose(disks: &[DiskCopies], rules: Rules) -> Result<Chosen, Unchosen> {
    if let Some((disk, damage)) = disks.iter().find_map(|disk| Some((disk.number, disk.newer()?))) {
        return Err(Unchosen::Unreadable { disk, damage: damage.clone() });
    }
    let all = disks.iter().flat_map(|disk| {
        disk.slots.iter().filter_map(|(_, _, copy)| Some((disk.number, copy.as_ref().ok()?)))
    });
    let mut models = SmallMap::new();
    let all = at_home(disks, all.collect(), &mut models);
    conflict(&all, rules)?;
    let (disk, image) = highest(&all, rules).ok_or(Unchosen::Nothing)?;
    let model = models.remove(&image.header.hash).unwrap_or_else(|| Model::of(image));
    let model = model.map_err(|damage| Unchosen::Unreadable { disk, damage })?;
    let quorum = Quorum::of(&model.table);
    let counted = |disk: &&DiskCopies| quorum.knows(disk.number, disk.id);
    let held = |disk: &&DiskCopies| disk.holds(image.header.hash);
    let held_by = disks.iter().filter(counted).filter(held).map(|disk| disk.number).gather();
    let read = disks.iter().filter(counted).filter(|disk| disk.speaks()).map(|disk| disk.number).gather();
    let committed = quorum.reached_by(&held_by, rules);
    let whole = |disk: &&DiskCopies| disk.holds_at_both_ends(image.header.hash);
    let settled_by = disks.iter().filter(counted).filter(whole).map(|disk| disk.number).gather();
    let settled = quorum.reached_by(&settled_by, rules);
    let majority_read = quorum.reached_by(&read, rules) || breaks!(rules, MinorityOpens);
    Ok(Chosen { image: image.clone(), model, held_by, read, majority_read, committed, settled })
}

/// A copy speaks only on a disk that its own model knows by number and identity: every commit is written to just these.
/// What stands elsewhere was copied there by hand. A body that cannot be decoded is kept, for it must be told. `models`
/// takes every model that was decoded, by its hash.
fn at_home<'a>(
    disks: &[DiskCopies],
    all: Vec<(DiskNumber, &'a SlotImage)>,
    models: &mut SmallMap<Hash128, Result<Model, Damage>>,
) -> Vec<(DiskNumber, &'a SlotImage)> {
    let mut home = |number: DiskNumber, image: &SlotImage| {
        let model = models.or_insert_with(image.header.hash, || Model::of(image));
        let held = |disk: &&DiskCopies| disk.number == number && disk.holds(image.header.hash);
        model.as_ref().map_or(true, |model| {
            let quorum = Quorum::of(&model.table);
            disks.iter().filter(held).any(|disk| quorum.knows(number, disk.id))
        })
    };
    all.into_iter().filter(|(number, image)| home(*number, image)).collect()
}

fn highest<'a>(all: &[(DiskNumber, &'a SlotImage)], rules: Rules) -> Option<(DiskNumber, &'a SlotImage)> {
    if breaks!(rules, RollBackLoneNewer) {
        // The mistake: the highest model that two disks hold, as if the lone one had never been.
        let twice = all.iter().filter(|(disk, image)| {
            all.iter().any(|(other, copy)| other != disk && copy.header.hash == image.header.hash)
        });
        if let Some(found) = twice.max_by_key(|(_, image)| image.header.order) {
            return Some(*found);
        }
    }
    // The lowest disk among equals: contents are equal too, or `conflict` had spoken.
    let best = all.iter().map(|(_, image)| image.header.order).max()?;
    all.iter().filter(|(_, image)| image.header.order == best).min_by_key(|(disk, _)| *disk).copied()
}

fn conflict(all: &[(DiskNumber, &SlotImage)], rules: Rules) -> Result<(), Unchosen> {
    if breaks!(rules, EqualOrderByDiskNumber) {
        return Ok(());
    }
    // What a copy was made from counts as seen there: of a lineage that went on further that may be all that is left (F44).
    let itself = |(disk, image): &(DiskNumber, &SlotImage)| (image.header.order, *disk, image.header.hash);
    let parent =
        |(disk, image): &(DiskNumber, &SlotImage)| (image.header.parent_order, *disk, image.header.parent);
    two_ways(all.iter().map(itself).chain(all.iter().map(parent)).collect())
}

/// Do the models that were superseded on these disks, as their histories keep them, fit to the copies that are there? Nobody writes
/// other bytes under a number that was used (safety 2.3), so where one does not, the disks were changed in two ways, however often each.
pub fn fit(
    disks: &[DiskCopies],
    histories: &[(DiskNumber, &[(Order, Hash128)])],
    rules: Rules,
) -> Result<(), Unchosen> {
    if breaks!(rules, EqualOrderByDiskNumber) {
        return Ok(());
    }
    let kept =
        histories.iter().flat_map(|(disk, kept)| kept.iter().map(|(order, hash)| (*order, *disk, *hash)));
    let copies = disks.iter().flat_map(|disk| {
        let whole = disk.slots.iter().filter_map(|(_, _, copy)| copy.as_ref().ok());
        whole.map(|image| (image.header.order, disk.number, image.header.hash))
    });
    two_ways(kept.chain(copies).collect())
}

/// One order with two contents, on whichever disks.
fn two_ways(mut seen: Vec<(Order, DiskNumber, Hash128)>) -> Result<(), Unchosen> {
    sort(&mut seen);
    for pair in seen.windows(2) {
        if let [(order, disk, hash), (next_order, next_disk, next_hash)] = pair
            && order == next_order
            && hash != next_hash
        {
            return Err(Unchosen::Conflict {
                order: *order,
                one: (*disk, *hash),
                other: (*next_disk, *next_hash),
            });
        }
    }
    Ok(())
}
