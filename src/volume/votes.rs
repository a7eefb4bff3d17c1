//! When a set of disks is enough. A majority of the present set and, while the set changes, of the set before as well
//! (safety 2.4): plain majorities of an old and a new set can be disjoint (T10: 3 to 5, {1,3} and {2,4,5}).

use crate::base::gather::Gather;
use crate::base::id::{DiskId, DiskNumber};
use crate::base::small_set::SmallSet;
use crate::format::model::DiskTable;
use crate::volume::mistake::{Rules, breaks};

/// One set of disks and the mark that breaks ties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSet {
    /// Its members.
    pub members: SmallSet<DiskNumber>,
    /// Counts twice when the set is even.
    pub first: DiskNumber,
}

/// Votes that some disks have, and how many are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Votes that the disks have.
    pub have: usize,
    /// Votes that are enough.
    pub need: usize,
}

impl Tally {
    /// Is it enough?
    pub fn enough(self) -> bool {
        self.have >= self.need
    }
}

impl DiskSet {
    /// The votes of `disks` in this set.
    pub fn tally(&self, disks: &SmallSet<DiskNumber>, rules: Rules) -> Tally {
        let even = self.members.len().is_multiple_of(2);
        let extra = usize::from(even && self.members.contains(&self.first));
        let total = self.members.len() + extra;
        let marked = usize::from(even && disks.contains(&self.first) && self.members.contains(&self.first));
        let have = self.members.intersection(disks).count() + marked;
        if breaks!(rules, HalfIsMajority) {
            return Tally {
                have: self.members.intersection(disks).count(),
                need: self.members.len().div_ceil(2),
            };
        }
        Tally { have, need: total / 2 + 1 }
    }
}

/// What a commit of some model must reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// The present set.
    pub present: DiskSet,
    /// The set before, while it changes.
    pub old: Option<DiskSet>,
    ids: Vec<(DiskNumber, DiskId)>,
}

impl Quorum {
    /// The quorum that a model's own disk table asks for.
    pub fn of(table: &DiskTable) -> Quorum {
        let members = table.disks.iter().filter(|disk| disk.is_member()).map(|disk| disk.number).gather();
        let old = table.old_set.as_ref();
        Quorum {
            present: DiskSet { members, first: table.first },
            old: old.map(|old| DiskSet { members: old.disks.iter().copied().gather(), first: old.first }),
            ids: table.disks.iter().map(|disk| (disk.number, disk.id)).gather(),
        }
    }

    /// Does the disk with this identity count here under this number? A wiped disk that was given out again under the
    /// old number, or a clone with new ids, does not.
    pub fn knows(&self, number: DiskNumber, id: DiskId) -> bool {
        self.ids.contains(&(number, id))
    }

    /// Do these disks reach a majority of the present set and of the one before?
    pub fn reached_by(&self, disks: &SmallSet<DiskNumber>, rules: Rules) -> bool {
        let old = self.old.as_ref().filter(|_| !breaks!(rules, NewSetMajorityOnly));
        self.present.tally(disks, rules).enough() && old.is_none_or(|old| old.tally(disks, rules).enough())
    }

    /// The tally that is short, or that of the present set when none is.
    pub fn tally(&self, disks: &SmallSet<DiskNumber>, rules: Rules) -> Tally {
        let present = self.present.tally(disks, rules);
        let old = self.old.as_ref().map(|old| old.tally(disks, rules));
        match old {
            Some(old) if present.enough() && !old.enough() => old,
            _ => present,
        }
    }

    /// All disks that a commit may count on: present members and those of the set before.
    pub fn everyone(&self) -> SmallSet<DiskNumber> {
        let old = self.old.iter().flat_map(|old| old.members.iter());
        self.present.members.iter().chain(old).copied().gather()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members: &[u16], first: u16) -> DiskSet {
        DiskSet { members: members.iter().map(|&n| DiskNumber(n)).collect(), first: DiskNumber(first) }
    }

    fn disks(numbers: &[u16]) -> SmallSet<DiskNumber> {
        numbers.iter().map(|&n| DiskNumber(n)).collect()
    }

    #[test]
    fn any_two_majorities_of_a_set_share_a_disk() {
        for count in 1..=6u16 {
            let all = (1..=count).collect::<Vec<_>>();
            let set = set(&all, 1);
            let subsets = (0..1u32 << count)
                .map(|mask| {
                    disks(&all.iter().copied().filter(|n| mask >> (n - 1) & 1 == 1).collect::<Vec<_>>())
                })
                .filter(|subset| set.tally(subset, Rules::ALL).enough())
                .collect::<Vec<_>>();
            assert!(!subsets.is_empty());
            for one in &subsets {
                assert!(
                    subsets.iter().all(|other| one.intersection(other).next().is_some()),
                    "{count} disks"
                );
            }
        }
    }

    #[test]
    fn the_marked_disk_decides_an_even_set() {
        let pair = set(&[1, 2], 1);
        assert!(pair.tally(&disks(&[1]), Rules::ALL).enough());
        assert!(!pair.tally(&disks(&[2]), Rules::ALL).enough());
        let four = set(&[1, 2, 3, 4], 2);
        assert!(four.tally(&disks(&[2, 4]), Rules::ALL).enough());
        assert!(!four.tally(&disks(&[1, 3]), Rules::ALL).enough());
    }

    #[test]
    fn a_change_of_the_set_needs_both_majorities() {
        // T10: {1,3} is a majority of the old three, {2,4,5} of the new five.
        let quorum =
            Quorum { present: set(&[1, 2, 3, 4, 5], 1), old: Some(set(&[1, 2, 3], 1)), ids: Vec::new() };
        assert!(!quorum.reached_by(&disks(&[1, 3]), Rules::ALL));
        assert!(!quorum.reached_by(&disks(&[2, 4, 5]), Rules::ALL));
        assert!(quorum.reached_by(&disks(&[1, 2, 4]), Rules::ALL));
    }
}
