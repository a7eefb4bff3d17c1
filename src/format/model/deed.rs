//! Deeds: who had a container, since when and on which evidence, in the model itself. The history ring keeps models, and forgets them
//! when it goes round; whoever had to swear for a takeover is to be found for as long as there is room (safety 5.1, R1). Each deed names
//! the one before it by its hash, so that none is taken out of the middle unseen.

use serde::{Deserialize, Serialize};

use crate::base::epoch::Order;
use crate::base::hash::Hash128;
use crate::base::limits::{DEED_TEXT_BYTES_MAX, DEEDS_MAX};
use crate::base::name::Name;
use crate::base::time::WallTime;
use crate::format::model::{ChangeKind, Container, ContainerKind, Owner};

/// One change of whose a container is. Part of section 8, version 1; frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Counts from 1. Where the first that stands here has another number, older ones gave way.
    pub number: u64,
    /// Of the commit that did it.
    pub order: Order,
    /// What it was from then on.
    pub kind: ContainerKind,
    /// And whose.
    pub owner: Option<Owner>,
    /// Founded, given, taken or counted out.
    pub why: ChangeKind,
    /// From whom, on which evidence, and for what reason; at most [`DEED_TEXT_BYTES_MAX`].
    pub text: String,
    /// The name of the machine that did it.
    pub by: Option<Name>,
    /// When, for people.
    pub at: WallTime,
    /// Hash of the deed before it; nothing's for the first.
    pub before: Hash128,
}

/// Bytes of one at most: number and order 30, kind, owner and why 81, text 2 more than it is long, by 62, at 10, hash 16.
pub const DEED_BYTES_MAX: usize = 30 + 81 + 2 + DEED_TEXT_BYTES_MAX + 62 + 10 + 16;

/// What a new deed says of itself; whose the container is the container says.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Of the commit that does it.
    pub order: Order,
    /// Founded, given, taken or counted out.
    pub why: ChangeKind,
    /// In words; what is longer than [`DEED_TEXT_BYTES_MAX`] is cut.
    pub words: &'a str,
    /// The machine that does it.
    pub by: Option<&'a Name>,
    /// When.
    pub at: WallTime,
}

impl Deed {
    /// What the next one names it by.
    pub fn hash(&self) -> Hash128 {
        // Serializing into memory fails for want of memory alone; then the chain is seen to be broken here.
        Hash128::of(&[&postcard::to_allocvec(self).unwrap_or_default()])
    }

    /// Is it the one behind `other`?
    pub fn follows(&self, other: &Deed) -> bool {
        Some(self.number) == other.number.checked_add(1) && self.before == other.hash()
    }

    /// Does it say whose the container is now?
    pub fn is_of(&self, container: &Container) -> bool {
        let node = |owner: &Option<Owner>| owner.as_ref().map(|owner| owner.node);
        (self.kind, node(&self.owner)) == (container.kind, node(&container.owner))
    }
}

/// Writes the next deed behind the others; the oldest gives way when there are too many.
pub fn enter(deeds: &mut Vec<Deed>, container: &Container, entry: Entry<'_>) {
    let Entry { order, why, words, by, at } = entry;
    let last = deeds.last();
    let deed = Deed {
        number: last.map_or(1, |last| last.number.saturating_add(1)),
        order,
        kind: container.kind,
        owner: container.owner.clone(),
        why,
        text: cut(words, DEED_TEXT_BYTES_MAX).into(),
        by: by.cloned(),
        at,
        before: last.map_or(Hash128::NONE, Deed::hash),
    };
    deeds.push(deed);
    let beyond = deeds.len().saturating_sub(DEEDS_MAX);
    deeds.drain(..beyond);
}

/// The number of the first deed that does not follow the one before it.
pub fn broken_at(deeds: &[Deed]) -> Option<u64> {
    let mut pairs = deeds.iter().zip(deeds.iter().skip(1));
    let broken = pairs.find(|(one, next)| !next.follows(one)).map(|(_, next)| next.number);
    let first = deeds.first().filter(|first| (first.number == 1) != (first.before == Hash128::NONE));
    first.map(|first| first.number).or(broken)
}

/// As much of a text as so many bytes hold.
pub fn cut(text: &str, bytes_max: usize) -> &str {
    let end = (0..=bytes_max.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch::{Epoch, Generation};
    use crate::volume::plan::fixture;

    fn entry(generation: u64, words: &str) -> Entry<'_> {
        let order = Order { epoch: Epoch(9), generation: Generation(generation) };
        Entry { order, why: ChangeKind::Takeover, words, by: None, at: WallTime { seconds: 7 } }
    }

    fn some(count: u64) -> (Vec<Deed>, Container) {
        let container = fixture::container(&[10]).container;
        let mut deeds = Vec::new();
        (1..=count).for_each(|nth| enter(&mut deeds, &container, entry(nth, "taken")));
        (deeds, container)
    }

    #[test]
    fn each_names_the_one_before_it() {
        let (deeds, container) = some(3);
        assert_eq!(deeds.iter().map(|deed| deed.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(deeds[0].before, Hash128::NONE);
        assert_eq!(broken_at(&deeds), None);
        assert!(deeds[2].is_of(&container));
        for place in 0..3 {
            let mut changed = deeds.clone();
            changed[place].text = "given".into();
            // Of the last one only its slot's own hash tells.
            let told = [Some(2), Some(3), None][place];
            assert_eq!(broken_at(&changed), told, "deed {}", place + 1);
        }
        let without = [deeds[0].clone(), deeds[2].clone()];
        assert_eq!(broken_at(&without), Some(3), "one is gone");
        let mut first = deeds;
        first[0].number = 2;
        assert_eq!(broken_at(&first), Some(2), "a second one that follows nothing");
    }

    #[test]
    fn the_oldest_give_way() {
        let (deeds, _) = some(DEEDS_MAX as u64 + 2);
        assert_eq!((deeds.len(), deeds[0].number), (DEEDS_MAX, 3));
        assert_eq!(broken_at(&deeds), None);
    }

    #[test]
    fn none_is_longer_than_is_kept_back_for_it() {
        let name = Name::parse(&"n".repeat(60)).unwrap();
        let far = u64::MAX;
        let deed = Deed {
            number: far,
            order: Order { epoch: Epoch(far), generation: Generation(far) },
            kind: ContainerKind::Deleted,
            owner: Some(Owner { node: crate::base::id::NodeUuid([255; 16]), name: Some(name.clone()) }),
            why: ChangeKind::Takeover,
            text: "w".repeat(DEED_TEXT_BYTES_MAX),
            by: Some(name),
            at: WallTime { seconds: far },
            before: Hash128([1; 16]),
        };
        let bytes = postcard::to_allocvec(&deed).unwrap().len();
        assert!(bytes <= DEED_BYTES_MAX, "{bytes} of {DEED_BYTES_MAX}");
    }

    #[test]
    fn words_are_cut_where_a_letter_ends() {
        assert_eq!((cut("aß", 2), cut("aß", 3), cut("aß", 9), cut("", 0)), ("a", "aß", "aß", ""));
    }
}
