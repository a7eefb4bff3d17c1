//! What is to happen in a world, by time; of what happens at one time the first that was planned comes first, so that a seed
//! decides all.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

struct Planned<E> {
    at_us: u64,
    order: u64,
    event: E,
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl<E> Eq for Planned<E> {}
impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at_us, self.order).cmp(&(other.at_us, other.order))
    }
}

/// All that is planned.
pub struct Plan<E> {
    order: u64,
    events: BinaryHeap<Reverse<Planned<E>>>,
}

impl<E> Default for Plan<E> {
    fn default() -> Self {
        Plan { order: 0, events: BinaryHeap::new() }
    }
}

impl<E> Plan<E> {
    pub fn put(&mut self, at_us: u64, event: E) {
        self.order += 1;
        self.events.push(Reverse(Planned { at_us, order: self.order, event }));
    }

    /// What happens next, and when.
    pub fn take(&mut self) -> Option<(u64, E)> {
        self.events.pop().map(|Reverse(planned)| (planned.at_us, planned.event))
    }

    /// The same, if that is before then.
    pub fn take_before(&mut self, until_us: u64) -> Option<(u64, E)> {
        let Reverse(first) = self.events.peek()?;
        if first.at_us < until_us { self.take() } else { None }
    }
}
