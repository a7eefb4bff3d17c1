//! Sorting, small. The sorts of slices in the standard library are made for each type that is sorted, six thousand bytes
//! each; here most lists are of a few disks, and its heap does the same in a tenth of that.

use core::cmp::Ordering;
use std::collections::BinaryHeap;

/// Sorts; what is equal stands in any order.
pub fn sort<T: Ord>(all: &mut Vec<T>) {
    *all = BinaryHeap::from(core::mem::take(all)).into_sorted_vec();
}

/// An item with what it is sorted by, and where it stood.
struct By<K, T> {
    key: K,
    place: usize,
    item: T,
}

impl<K: Ord, T> Ord for By<K, T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then(self.place.cmp(&other.place))
    }
}

impl<K: Ord, T> PartialOrd for By<K, T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord, T> PartialEq for By<K, T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<K: Ord, T> Eq for By<K, T> {}

/// Sorts by a key; what has the same keeps its order.
pub fn sort_by_key<T, K: Ord>(all: &mut Vec<T>, key: impl Fn(&T) -> K) {
    let keyed = core::mem::take(all).into_iter().enumerate();
    let keyed = keyed.map(|(place, item)| By { key: key(&item), place, item }).collect::<Vec<_>>();
    *all = BinaryHeap::from(keyed).into_sorted_vec().into_iter().map(|by| by.item).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sorts_as_the_library_does() {
        let mut dice = crate::base::dice::Dice::from_number(2);
        for length in [0, 1, 2, 3, 10, 500] {
            let all = (0..length).map(|place| (dice.below(20), place)).collect::<Vec<_>>();
            let (mut ours, mut theirs) = (all.clone(), all.clone());
            sort_by_key(&mut ours, |(number, _)| *number);
            theirs.sort_by_key(|(number, _)| *number);
            assert_eq!(ours, theirs);
            sort(&mut ours);
            theirs.sort();
            assert_eq!(ours, theirs);
        }
    }
}
