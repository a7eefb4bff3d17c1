//! A map of few keys, in their order: one list, searched by halves. The standard library's tree is made anew for each type that
//! it holds, of five thousand bytes each, for thousands of keys. Here most maps are of nodes, and there are at most 64 of those
//! ([`NODE_ID_MAX`](crate::base::limits::NODE_ID_MAX)): what stands behind a new key is moved, which is a few hundred bytes.
//!
//! It does what the tree does, in every order of keys, and is the same on the wire: of pairs with one key the last one counts.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// A map of few keys.
#[derive(Clone, PartialEq, Eq)]
pub struct SmallMap<K, V> {
    /// By key, each of them once.
    pairs: Vec<(K, V)>,
}

impl<K, V> SmallMap<K, V> {
    /// Nothing is in it.
    pub const fn new() -> Self {
        Self { pairs: Vec::new() }
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Has it none?
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.pairs.clear();
    }

    /// All, by key.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter(self.pairs.iter())
    }

    /// The same, with values that can be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.pairs.iter_mut().map(|(key, value)| (&*key, value))
    }

    /// Its keys, lowest first.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.pairs.iter().map(|(key, _)| key)
    }

    /// Its values, by key.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.pairs.iter().map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.pairs.iter_mut().map(|(_, value)| value)
    }

    /// Keeps those of which this is so.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.pairs.retain_mut(|(key, value)| keep(key, value));
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    /// Where a key stands, or would.
    fn place(&self, key: &K) -> Result<usize, usize> {
        self.pairs.binary_search_by(|(known, _)| known.cmp(key))
    }

    /// What this key has.
    pub fn get(&self, key: &K) -> Option<&V> {
        let (_, value) = self.pairs.get(self.place(key).ok()?)?;
        Some(value)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key).ok()?;
        let (_, value) = self.pairs.get_mut(place)?;
        Some(value)
    }

    /// Is this key there?
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Gives a key this value; the one that it had before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => self.pairs.get_mut(place).map(|(_, known)| core::mem::replace(known, value)),
            Err(place) => {
                self.pairs.insert(place, (key, value));
                None
            }
        }
    }

    /// What this key has; where it has nothing, it is given what is made here.
    pub fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        let place = match self.place(&key) {
            Ok(place) => place,
            Err(place) => {
                self.pairs.insert(place, (key, make()));
                place
            }
        };
        &mut self.pairs[place].1
    }

    /// Takes a key out; what it had.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.place(key).ok()?;
        Some(self.pairs.remove(place).1)
    }
}

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SmallMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// All of a map, by key.
pub struct Iter<'a, K, V>(core::slice::Iter<'a, (K, V)>);

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<'a, K, V> IntoIterator for &'a SmallMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> IntoIterator for SmallMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}

impl<K: Ord, V> Extend<(K, V)> for SmallMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        for (key, value) in pairs {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut map = Self::new();
        map.extend(pairs);
        map
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for SmallMap<K, V> {
    fn from(pairs: [(K, V); N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<K: Serialize, V: Serialize> Serialize for SmallMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for SmallMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

struct Pairs<K, V>(PhantomData<(K, V)>);

impl<'de, K: Ord + Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Pairs<K, V> {
    type Value = SmallMap<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Self::Value, A::Error> {
        let mut map = SmallMap::new();
        while let Some((key, value)) = pairs.next_entry()? {
            map.insert(key, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::dice::Dice;

    /// Does it look the same from every side?
    fn assert_same(ours: &SmallMap<u16, u64>, theirs: &BTreeMap<u16, u64>) {
        assert!(
            ours.iter().eq(theirs)
                && ours.into_iter().eq(theirs)
                && ours.clone().into_iter().eq(theirs.clone())
        );
        assert!(ours.keys().eq(theirs.keys()) && ours.keys().rev().eq(theirs.keys().rev()));
        assert!(ours.values().eq(theirs.values()));
        assert_eq!((ours.len(), ours.is_empty()), (theirs.len(), theirs.is_empty()));
        assert_eq!(format!("{ours:?} {ours:#?}"), format!("{theirs:?} {theirs:#?}"));
    }

    #[test]
    fn it_does_what_the_tree_does() {
        let mut dice = Dice::from_number(3);
        let (mut ours, mut theirs) = (SmallMap::new(), BTreeMap::new());
        for turn in 0..20_000 {
            let (key, number) = (dice.below(70) as u16, dice.below(1000));
            match dice.below(20) {
                0..8 => assert_eq!(ours.insert(key, number), theirs.insert(key, number)),
                8..14 => assert_eq!(ours.remove(&key), theirs.remove(&key)),
                14..16 => {
                    let (mine, other) =
                        (ours.or_insert_with(key, || number), theirs.entry(key).or_insert(number));
                    assert_eq!(mine, other);
                    (*mine, *other) = (*mine + 1, *other + 1);
                }
                16 => assert_eq!(
                    ours.get_mut(&key).map(|value| core::mem::replace(value, number)),
                    theirs.get_mut(&key).map(|value| core::mem::replace(value, number))
                ),
                17 => {
                    ours.values_mut().for_each(|value| *value /= 2);
                    theirs.values_mut().for_each(|value| *value /= 2);
                    ours.iter_mut().for_each(|(key, value)| *value += u64::from(*key));
                    theirs.iter_mut().for_each(|(key, value)| *value += u64::from(*key));
                }
                18 if turn % 4 == 0 => {
                    ours.retain(|key, value| (u64::from(*key) + *value) % 3 > 0);
                    theirs.retain(|key, value| (u64::from(*key) + *value) % 3 > 0);
                }
                _ => {
                    let pairs = (0..dice.below(4))
                        .map(|_| (dice.below(70) as u16, dice.below(9)))
                        .collect::<Vec<_>>();
                    ours.extend(pairs.clone());
                    theirs.extend(pairs);
                }
            }
            assert_eq!(
                (ours.get(&key), ours.contains_key(&key)),
                (theirs.get(&key), theirs.contains_key(&key))
            );
            assert_same(&ours, &theirs);
        }
        ours.clear();
        assert_same(&ours, &BTreeMap::new());
    }

    #[test]
    fn it_is_the_same_from_any_list_of_pairs_and_on_the_wire() {
        let mut dice = Dice::from_number(4);
        for length in 0..80 {
            let pairs = (0..length).map(|_| (dice.below(70) as u16, dice.number())).collect::<Vec<_>>();
            let ours = pairs.iter().copied().collect::<SmallMap<_, _>>();
            let theirs = pairs.iter().copied().collect::<BTreeMap<_, _>>();
            assert_same(&ours, &theirs);
            let bytes = postcard::to_extend(&ours, Vec::new()).unwrap();
            assert_eq!(bytes, postcard::to_extend(&theirs, Vec::new()).unwrap());
            assert_eq!(postcard::from_bytes(&bytes), Ok(ours.clone()));
            // In any order, and with a key twice, as others may send it.
            let bytes = postcard::to_extend(&pairs, Vec::new()).unwrap();
            assert_eq!(postcard::from_bytes(&bytes), Ok(ours));
            assert_eq!(postcard::from_bytes(&bytes), Ok(theirs));
            assert!(
                length == 0 || postcard::from_bytes::<SmallMap<u16, u64>>(&bytes[..bytes.len() - 1]).is_err()
            );
        }
    }

    #[test]
    fn maps_are_equal_when_their_pairs_are() {
        let one = SmallMap::from([(2, 'b'), (1, 'a')]);
        assert_eq!(one, SmallMap::from([(1, 'x'), (2, 'b'), (1, 'a')]));
        assert_ne!(one, SmallMap::from([(1, 'a')]));
        assert_ne!(one, SmallMap::from([(1, 'a'), (2, 'c')]));
        assert_eq!(SmallMap::<u8, u8>::default(), SmallMap::new());
    }
}
