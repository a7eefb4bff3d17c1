//! What is to be sent to one peer: messages one behind the other as one stream of bytes, each a length and its bytes. A message
//! stays here until the peer's application took it. What is lost of the stream is known by ranges and sent again first.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::transport::event::MessageId;
use crate::cluster::transport::limits::{QUEUE_BYTES_MAX, QUEUE_MESSAGES_MAX, WINDOW_BYTES};
use crate::cluster::transport::ranges::Ranges;
use crate::format::cursor::Writer;
use crate::format::packet::LENGTH_BYTES;

/// A message in the stream.
#[derive(Clone, Debug)]
struct Queued {
    id: MessageId,
    start: u64,
    bytes: Arc<Vec<u8>>,
}

impl Queued {
    fn end(&self) -> u64 {
        self.start + (LENGTH_BYTES + self.bytes.len()) as u64
    }
}

/// The peer says that it took what was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeverSent;

/// What is to be sent to one peer.
#[derive(Clone, Debug)]
pub struct Outbox {
    rules: Rules,
    queue: VecDeque<Queued>,
    /// Bytes of the queue, lengths counted in.
    bytes: usize,
    /// Where the stream ends, so far.
    end: u64,
    /// The first byte that was never sent.
    next: u64,
    /// The first that may not be sent yet.
    limit: u64,
    /// The peer's application took all below.
    taken: u64,
    lost: Ranges,
    acknowledged: Ranges,
    /// The longest message that was refused since there was room.
    refused: Option<usize>,
}

impl Outbox {
    /// Empty; the peer takes a window to begin with.
    pub fn new(rules: Rules) -> Outbox {
        Outbox {
            rules,
            queue: VecDeque::new(),
            bytes: 0,
            end: 0,
            next: 0,
            limit: WINDOW_BYTES as u64,
            taken: 0,
            lost: Ranges::default(),
            acknowledged: Ranges::default(),
            refused: None,
        }
    }

    /// Takes a message in, unless too much waits already.
    pub fn push(&mut self, id: MessageId, bytes: Arc<Vec<u8>>) -> bool {
        let length = LENGTH_BYTES + bytes.len();
        let fits = self.bytes + length <= QUEUE_BYTES_MAX && self.queue.len() < QUEUE_MESSAGES_MAX;
        if !fits && !breaks!(self.rules, QueueUnbounded) {
            self.refused = Some(self.refused.unwrap_or(0).max(length));
            return false;
        }
        let queued = Queued { id, start: self.end, bytes };
        self.end = queued.end();
        self.bytes += length;
        self.queue.push_back(queued);
        true
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Messages that are kept.
    pub fn messages(&self) -> usize {
        self.queue.len()
    }

    /// Is there room again for what was refused? Said once, and only when half of all is free, so that nobody runs against
    /// the limit with every message.
    pub fn has_room_again(&mut self) -> bool {
        let half = self.bytes <= QUEUE_BYTES_MAX / 2 && self.queue.len() <= QUEUE_MESSAGES_MAX / 2;
        let room = half && self.refused.is_some_and(|length| self.bytes + length <= QUEUE_BYTES_MAX);
        if room {
            self.refused = None;
        }
        room && !breaks!(self.rules, RoomNotTold)
    }

    /// What to send now, at most `room` bytes: what was lost first.
    pub fn sendable(&self, room: usize) -> Option<(u64, u64)> {
        let (from, to) = self.lost.first().unwrap_or((self.next, self.end.min(self.limit)));
        (from < to).then_some((from, to.min(from.saturating_add(room as u64))))
    }

    /// Is there anything to be sent again?
    pub fn has_lost(&self) -> bool {
        !self.lost.is_empty()
    }

    /// Appends a range of the stream.
    pub fn write(&self, from: u64, to: u64, writer: &mut Writer) {
        let first = self.queue.partition_point(|queued| queued.end() <= from);
        for queued in self.queue.range(first..).take_while(|queued| queued.start < to) {
            let length = u32::try_from(queued.bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
            let body = queued.start + LENGTH_BYTES as u64;
            put_overlap(writer, &length, queued.start, (from, to));
            put_overlap(writer, &queued.bytes, body, (from, to));
        }
    }

    /// This range is under way.
    pub fn sent(&mut self, from: u64, to: u64) {
        self.lost.remove(from, to);
        self.next = self.next.max(to);
    }

    /// This range is to be sent again, as far as it did not arrive.
    pub fn lost(&mut self, from: u64, to: u64) {
        for (from, to) in self.acknowledged.missing(from.max(self.taken), to) {
            self.lost.insert(from, to);
        }
    }

    /// This range arrived.
    pub fn acknowledged(&mut self, from: u64, to: u64) {
        self.acknowledged.insert(from, to);
        self.lost.remove(from, to);
    }

    /// The peer says how far its application took the stream, and how far it may be sent; `delivered` is called for each
    /// message that ends there.
    pub fn taken(
        &mut self,
        taken: u64,
        limit: u64,
        mut delivered: impl FnMut(MessageId),
    ) -> Result<(), NeverSent> {
        if taken > self.next {
            return Err(NeverSent);
        }
        self.limit = self.limit.max(limit);
        if taken > self.taken {
            self.taken = taken;
            self.acknowledged(0, taken);
        }
        while self.queue.front().is_some_and(|queued| queued.end() <= self.taken) {
            if let Some(queued) = self.queue.pop_front() {
                self.bytes -= LENGTH_BYTES + queued.bytes.len();
                delivered(queued.id);
            }
        }
        Ok(())
    }

    /// All messages of which it is not known that they were taken.
    pub fn unfinished(&self) -> impl Iterator<Item = MessageId> {
        self.queue.iter().map(|queued| queued.id)
    }
}

/// Appends what of `bytes`, which begin at `start` of the stream, is within the range.
fn put_overlap(writer: &mut Writer, bytes: &[u8], start: u64, (from, to): (u64, u64)) {
    let place = |at: u64| usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    writer.bytes(bytes.get(place(from)..place(to)).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(outbox: &Outbox, from: u64, to: u64) -> Vec<u8> {
        let mut writer = Writer::new();
        outbox.write(from, to, &mut writer);
        writer.finish()
    }

    #[test]
    fn every_range_of_the_stream_is_written_as_it_is() {
        let mut outbox = Outbox::new(Rules::ALL);
        let messages: [&[u8]; 4] = [b"one", b"", b"three", b"4"];
        let mut stream = Vec::new();
        for (number, message) in messages.iter().enumerate() {
            assert!(outbox.push(MessageId(number as u64), Arc::new(message.to_vec())));
            stream.extend_from_slice(&[message.len() as u8, 0, 0, 0]);
            stream.extend_from_slice(message);
        }
        for from in 0..stream.len() {
            for to in from..=stream.len() {
                assert_eq!(written(&outbox, from as u64, to as u64), stream[from..to], "{from}..{to}");
            }
        }
    }

    #[test]
    fn what_is_lost_goes_first_and_what_arrived_never_again() {
        let mut outbox = Outbox::new(Rules::ALL);
        outbox.push(MessageId(1), Arc::new(vec![7; 96]));
        assert_eq!(outbox.sendable(40), Some((0, 40)));
        outbox.sent(0, 40);
        assert_eq!(outbox.sendable(40), Some((40, 80)));
        outbox.sent(40, 80);
        outbox.acknowledged(10, 20);
        outbox.lost(0, 40);
        assert_eq!(outbox.sendable(40), Some((0, 10)));
        outbox.acknowledged(0, 10);
        assert_eq!(outbox.sendable(40), Some((20, 40)));
        outbox.sent(20, 40);
        assert_eq!(outbox.sendable(40), Some((80, 100)));
        outbox.sent(80, 100);
        assert_eq!(outbox.sendable(40), None);
        let mut delivered = Vec::new();
        assert_eq!(outbox.taken(101, 0, |id| delivered.push(id)), Err(NeverSent));
        assert_eq!(outbox.taken(99, 0, |id| delivered.push(id)), Ok(()));
        assert!(delivered.is_empty() && outbox.bytes() == 100);
        assert_eq!(outbox.taken(100, 0, |id| delivered.push(id)), Ok(()));
        assert!(delivered == [MessageId(1)] && outbox.bytes() == 0);
    }

    #[test]
    fn it_is_full_until_half_of_it_is_free() {
        let mut outbox = Outbox::new(Rules::ALL);
        let message = Arc::new(vec![0; 5 << 20]);
        let accepted = (0..9).filter(|number| outbox.push(MessageId(*number), Arc::clone(&message))).count();
        assert_eq!(accepted, 3);
        outbox.sent(0, 3 * (4 + (5 << 20)));
        assert!(!outbox.has_room_again());
        assert_eq!(outbox.taken(4 + (5 << 20), 0, |_| ()), Ok(()));
        assert!(!outbox.has_room_again());
        assert_eq!(outbox.taken(2 * (4 + (5 << 20)), 0, |_| ()), Ok(()));
        assert!(outbox.has_room_again() && !outbox.has_room_again());
    }
}
