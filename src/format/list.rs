//! Lists with a named maximum. A length that stands on a disk is a claim: what is longer than any writer makes it is
//! refused while it is read, before it has cost memory.

use core::fmt;
use core::marker::PhantomData;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// At most `MOST` members; on disk the same as a plain list.
pub(super) struct List<T, const MOST: usize>(pub(super) Vec<T>);

struct Members<T, const MOST: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Members<T, MOST> {
    type Value = List<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MOST}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        // Not reserved by the length that is claimed: the list grows as its members arrive.
        let mut list = Vec::new();
        while let Some(member) = members.next_element()? {
            if list.len() == MOST {
                return Err(A::Error::custom("a list is too long"));
            }
            list.push(member);
        }
        Ok(List(list))
    }
}

impl<'de, T: Deserialize<'de>, const MOST: usize> Deserialize<'de> for List<T, MOST> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Members(PhantomData))
    }
}

/// For `#[serde(deserialize_with)]`: a list of at most `MOST`.
pub(super) fn at_most<'de, D, T, const MOST: usize>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    List::<T, MOST>::deserialize(from).map(|list| list.0)
}
