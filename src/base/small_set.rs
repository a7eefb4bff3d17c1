//! A set of few things, in their order: the keys of a [`SmallMap`], for the same reason. Disks of one container are in such sets,
//! of which there are some hundreds at most ([`DISKS_MAX`](crate::base::limits::DISKS_MAX)). For nodes there is `NodeSet`.

use core::fmt;

use crate::base::small_map::SmallMap;

/// A set of few things.
#[derive(Clone, PartialEq, Eq)]
pub struct SmallSet<T>(SmallMap<T, ()>);

impl<T> SmallSet<T> {
    /// Nothing is in it.
    pub const fn new() -> Self {
        Self(SmallMap::new())
    }

    /// How many things it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.0.keys()
    }
}

impl<T: Ord> SmallSet<T> {
    /// Is this in it?
    pub fn contains(&self, thing: &T) -> bool {
        self.0.contains_key(thing)
    }

    /// Puts a thing in; was it not there?
    pub fn insert(&mut self, thing: T) -> bool {
        self.0.insert(thing, ()).is_none()
    }

    /// Takes a thing out; was it there?
    pub fn remove(&mut self, thing: &T) -> bool {
        self.0.remove(thing).is_some()
    }

    /// Those that are in both.
    pub fn intersection<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a T> {
        self.iter().filter(|thing| other.contains(thing))
    }
}

impl<T> Default for SmallSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for SmallSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<T> IntoIterator for SmallSet<T> {
    type Item = T;
    type IntoIter = core::iter::Map<std::vec::IntoIter<(T, ())>, fn((T, ())) -> T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(thing, ())| thing)
    }
}

impl<T: Ord> Extend<T> for SmallSet<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, things: I) {
        for thing in things {
            self.insert(thing);
        }
    }
}

impl<T: Ord> FromIterator<T> for SmallSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Self {
        let mut set = Self::new();
        set.extend(things);
        set
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for SmallSet<T> {
    fn from(things: [T; N]) -> Self {
        things.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::dice::Dice;

    #[test]
    fn it_does_what_the_tree_does() {
        let mut dice = Dice::from_number(5);
        let (mut ours, mut theirs) = (SmallSet::new(), BTreeSet::new());
        for _ in 0..10_000 {
            let thing = dice.below(50);
            match dice.below(3) {
                0 => assert_eq!(ours.insert(thing), theirs.insert(thing)),
                1 => assert_eq!(ours.remove(&thing), theirs.remove(&thing)),
                _ => {
                    let things = (0..dice.below(3)).map(|_| dice.below(50)).collect::<Vec<_>>();
                    ours.extend(things.clone());
                    theirs.extend(things);
                }
            }
            assert!(ours.iter().eq(&theirs) && ours.iter().rev().eq(theirs.iter().rev()));
            assert!(ours.clone().into_iter().eq(theirs.clone()));
            assert_eq!(ours.contains(&thing), theirs.contains(&thing));
            assert_eq!((ours.len(), ours.is_empty()), (theirs.len(), theirs.is_empty()));
            assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
            let some = (0..10).map(|_| dice.below(50)).collect::<Vec<_>>();
            let (mine, other) = (some.iter().copied().collect(), some.iter().copied().collect());
            assert!(ours.intersection(&mine).eq(theirs.intersection(&other)));
            assert_eq!(ours == mine, theirs == other);
        }
        assert_eq!(SmallSet::from([2, 1, 2]), SmallSet::from([1, 2]));
        assert_eq!(SmallSet::<u8>::default(), SmallSet::new());
    }
}
