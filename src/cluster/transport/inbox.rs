//! What comes from one peer: pieces of its stream in any order become messages in the one order that they were sent in. Memory
//! is bounded by the window, and grows with what came, not with what was promised.

use std::collections::{BTreeMap, VecDeque};

use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::transport::limits::{
    EARLY_PIECES_MAX, MESSAGE_BYTES_MAX, QUEUE_MESSAGES_MAX, WINDOW_BYTES,
};
use crate::cluster::transport::ranges::Ranges;
use crate::format::packet::LENGTH_BYTES;

/// Bytes that a message gets at once, before more of it came.
const BODY_BYTES_FIRST: usize = 64 << 10;

/// Why a piece was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// It is beyond the window, or its message is longer than any may be.
    OutsideWindow,
    /// It is early, and there are too many such; or too many messages wait for the application.
    TooEarly,
}

/// What comes from one peer.
#[derive(Clone, Debug)]
pub struct Inbox {
    rules: Rules,
    /// All bytes below came, without a gap.
    next: u64,
    /// The application took all below.
    taken: u64,
    /// The length of the message that is being put together, as far as it came.
    length: [u8; LENGTH_BYTES],
    length_bytes: usize,
    /// Its bytes.
    body: Vec<u8>,
    /// Messages that wait for the application.
    whole: VecDeque<Vec<u8>>,
    whole_bytes: usize,
    early: BTreeMap<u64, Vec<u8>>,
    early_ranges: Ranges,
    early_bytes: usize,
}

impl Inbox {
    /// Nothing came.
    pub fn new(rules: Rules) -> Inbox {
        Inbox {
            rules,
            next: 0,
            taken: 0,
            length: [0; LENGTH_BYTES],
            length_bytes: 0,
            body: Vec::new(),
            whole: VecDeque::new(),
            whole_bytes: 0,
            early: BTreeMap::new(),
            early_ranges: Ranges::default(),
            early_bytes: 0,
        }
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.whole_bytes + self.body.len() + self.early_bytes
    }

    /// Does a message wait for the application?
    pub fn has_message(&self) -> bool {
        !self.whole.is_empty()
    }

    /// The next message, for the application.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let message = self.whole.pop_front()?;
        self.whole_bytes -= LENGTH_BYTES + message.len();
        self.taken += (LENGTH_BYTES + message.len()) as u64;
        Some(message)
    }

    /// How far the application took the stream.
    pub fn taken(&self) -> u64 {
        if breaks!(self.rules, TakenBeforeApplication) {
            return self.next.saturating_sub((self.body.len() + self.length_bytes) as u64);
        }
        self.taken
    }

    /// The first byte that may not come yet: the first message that was not taken can become whole, whatever its length, and a
    /// window more is kept. It never goes back.
    pub fn limit(&self) -> u64 {
        if breaks!(self.rules, WindowIgnored) {
            return self.next + (MESSAGE_BYTES_MAX + WINDOW_BYTES) as u64;
        }
        let first = self.whole.front().map(Vec::len).or(self.body_length());
        let message = first.map_or(0, |length| LENGTH_BYTES + length);
        self.taken + (message + WINDOW_BYTES) as u64
    }

    /// Takes a piece in. All of it was kept, or came before, when the answer is well.
    pub fn piece(&mut self, offset: u64, bytes: &[u8]) -> Result<(), NotKept> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(NotKept::OutsideWindow)?;
        if end > self.limit() || self.is_unlawful() {
            return Err(NotKept::OutsideWindow);
        }
        if self.whole.len() >= QUEUE_MESSAGES_MAX {
            return Err(NotKept::TooEarly);
        }
        if breaks!(self.rules, DoublesAssembled) && offset < self.next {
            self.next = offset;
        }
        if breaks!(self.rules, GapsNotChecked) && offset > self.next {
            self.next = offset;
        }
        if offset > self.next {
            return self.keep_early(offset, bytes, end);
        }
        self.append_from(offset, bytes)?;
        while let Some((offset, bytes)) = self.due_early() {
            self.append_from(offset, &bytes)?;
        }
        Ok(())
    }

    fn keep_early(&mut self, offset: u64, bytes: &[u8], end: u64) -> Result<(), NotKept> {
        if self.early.len() >= EARLY_PIECES_MAX {
            return Err(NotKept::TooEarly);
        }
        for (from, to) in self.early_ranges.missing(offset, end) {
            let place = |at: u64| usize::try_from(at - offset).unwrap_or(usize::MAX);
            let part = bytes.get(place(from)..place(to)).unwrap_or_default().to_vec();
            self.early_bytes += part.len();
            self.early.insert(from, part);
            self.early_ranges.insert(from, to);
        }
        Ok(())
    }

    /// The first early piece, when its turn has come.
    fn due_early(&mut self) -> Option<(u64, Vec<u8>)> {
        let first = self.early.first_entry().filter(|first| *first.key() <= self.next)?;
        let (offset, bytes) = first.remove_entry();
        self.early_bytes -= bytes.len();
        self.early_ranges.remove(offset, offset + bytes.len() as u64);
        Some((offset, bytes))
    }

    /// Appends what of these bytes did not come before.
    fn append_from(&mut self, offset: u64, bytes: &[u8]) -> Result<(), NotKept> {
        let known = usize::try_from(self.next.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut rest = bytes.get(known..).unwrap_or_default();
        while !rest.is_empty() {
            let used = self.append(rest);
            self.next += used as u64;
            rest = rest.get(used..).unwrap_or_default();
            if self.is_unlawful() {
                return Err(NotKept::OutsideWindow);
            }
        }
        Ok(())
    }

    /// Appends to the message that is being put together; how many bytes of these belonged to it.
    fn append(&mut self, bytes: &[u8]) -> usize {
        let of_length = bytes.len().min(LENGTH_BYTES - self.length_bytes);
        let (length, rest) = bytes.split_at(of_length);
        if let Some(place) = self.length.get_mut(self.length_bytes..self.length_bytes + of_length) {
            place.copy_from_slice(length);
        }
        self.length_bytes += of_length;
        let Some(whole) = self.body_length() else { return of_length };
        let of_body = rest.len().min(whole - self.body.len());
        if self.body.capacity() - self.body.len() < of_body {
            let ahead = self.body.len().max(BODY_BYTES_FIRST).max(of_body);
            self.body.reserve_exact(ahead.min(whole - self.body.len()));
        }
        self.body.extend_from_slice(rest.get(..of_body).unwrap_or_default());
        if self.body.len() == whole {
            self.whole_bytes += LENGTH_BYTES + whole;
            self.whole.push_back(std::mem::take(&mut self.body));
            self.length_bytes = 0;
        }
        of_length + of_body
    }

    fn said_length(&self) -> Option<usize> {
        let said = u32::from_le_bytes(self.length) as usize;
        (self.length_bytes == LENGTH_BYTES).then_some(said)
    }

    fn body_length(&self) -> Option<usize> {
        self.said_length().filter(|length| *length <= MESSAGE_BYTES_MAX)
    }

    /// Was a message announced that is longer than any may be? Nothing behind it can be understood.
    fn is_unlawful(&self) -> bool {
        self.said_length().is_some_and(|length| length > MESSAGE_BYTES_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(messages: &[&[u8]]) -> Vec<u8> {
        let one = |message: &&[u8]| [&(message.len() as u32).to_le_bytes(), *message].concat();
        messages.iter().flat_map(one).collect()
    }

    #[test]
    fn pieces_in_any_order_and_over_each_other_become_the_same_messages() {
        let messages: [&[u8]; 5] = [b"", b"a", b"bcdefgh", b"", b"ijklmnopqrstuvwxyz"];
        let stream = stream(&messages);
        let mut dice = 1_u64;
        for _ in 0..500 {
            let (mut inbox, mut taken) = (Inbox::new(Rules::ALL), Vec::new());
            while taken.len() < messages.len() {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let from = (dice >> 33) as usize % stream.len();
                let to = (from + 1 + (dice >> 53) as usize % 12).min(stream.len());
                assert_eq!(inbox.piece(from as u64, &stream[from..to]), Ok(()));
                taken.extend(inbox.take());
            }
            assert_eq!(taken, messages);
            assert_eq!((inbox.bytes(), inbox.taken()), (0, stream.len() as u64));
            assert!(inbox.early.is_empty() && inbox.early_ranges.is_empty());
        }
    }

    #[test]
    fn a_long_message_costs_what_came_of_it() {
        let mut inbox = Inbox::new(Rules::ALL);
        let length = (MESSAGE_BYTES_MAX as u32).to_le_bytes();
        assert_eq!(inbox.piece(0, &length), Ok(()));
        assert_eq!(inbox.piece(4, &[1; 100]), Ok(()));
        assert!(inbox.body.capacity() <= BODY_BYTES_FIRST);
        assert_eq!(inbox.limit(), (LENGTH_BYTES + MESSAGE_BYTES_MAX + WINDOW_BYTES) as u64);
        let limit = inbox.limit();
        assert_eq!(inbox.piece(limit, &[1]), Err(NotKept::OutsideWindow));
        assert_eq!(inbox.piece(u64::MAX, &[1]), Err(NotKept::OutsideWindow));
    }

    #[test]
    fn a_message_longer_than_any_may_be_ends_the_stream() {
        let mut inbox = Inbox::new(Rules::ALL);
        let length = (MESSAGE_BYTES_MAX as u32 + 1).to_le_bytes();
        assert_eq!(inbox.piece(0, &length), Err(NotKept::OutsideWindow));
        assert_eq!(inbox.piece(4, &[1]), Err(NotKept::OutsideWindow));
        assert!(inbox.take().is_none() && inbox.bytes() == 0);
    }

    #[test]
    fn scraps_are_kept_up_to_a_number() {
        let mut inbox = Inbox::new(Rules::ALL);
        let scraps = (1..20_000).filter(|at| inbox.piece(2 * at, &[0]) == Ok(())).count();
        assert_eq!(scraps, EARLY_PIECES_MAX);
        assert!((1..9000).all(|_| inbox.piece(0, &[0, 0]).is_ok()));
    }
}
