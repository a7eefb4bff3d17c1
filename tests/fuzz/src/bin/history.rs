//! A history ring in which records were put anywhere, some with lies about their length that are sealed as if they
//! were meant. What is read is whole and in order; the next record has a place inside and is found again there.
#![no_main]

use evms::base::epoch::{Epoch, Generation, Order};
use evms::base::hash::Hash128;
use evms::base::id::{ContainerId, Incarnation, NodeUuid};
use evms::base::units::Sectors;
use evms::format::history::{Record, Ring, RingEnd};
use evms::format::layout::{Area, AreaKind, End};
use evms::format::seal::{self, BLOCK, ROOM};
use evms::format::slot::{SlotHeader, SlotImage};
use libfuzzer_sys::fuzz_target;

const BLOCKS: usize = 24;
/// Lines of the input that are carried out, and bytes of the longest body: a ring has room for a few records.
const OPS_MAX: usize = 12;
const BODY_BYTES_MAX: u16 = 3 * BLOCK as u16;
/// Rings that may be hashed before the end of one is left unread.
const HASHED_RINGS_MAX: usize = 4;

fuzz_target!(|input: &[u8]| {
    let mut bytes = vec![0; BLOCKS * BLOCK];
    let mut hashed = 0;
    for op in input.chunks_exact(8).take(OPS_MAX) {
        hashed += put(&mut bytes, op);
    }
    let ring = Ring::decode(&bytes);
    assert!(ring.records.is_sorted_by_key(|record| record.sequence));
    let end = RingEnd::find(&bytes);
    assert!(end.next_at as usize <= bytes.len() && (end.next_at as usize).is_multiple_of(BLOCK));
    let area = Area {
        kind: AreaKind::History,
        end: End::Primary,
        start: Sectors(64),
        length: Sectors((bytes.len() / 512) as u64),
    };
    let next = record(end.next_sequence, 5000);
    let length = next.encode().len();
    let at = (end.place(&area, length as u64).unwrap().0 - 64 * 512) as usize;
    bytes[at..at + length].copy_from_slice(&next.encode());
    // A lie about a length may have hidden a record that shows now; sequences go on growing even so.
    let after = RingEnd::find(&bytes);
    if next.sequence < u64::MAX {
        assert!(after.next_sequence > next.sequence);
        assert!(after.last == Some(next.image.header.hash) || after.next_sequence > next.sequence + 1);
    }
    if hashed <= HASHED_RINGS_MAX * bytes.len() && next.sequence < u64::MAX {
        assert!(Ring::decode(&bytes).records.contains(&next));
    }
});

fn record(sequence: u64, body: usize) -> Record {
    let header = SlotHeader {
        container: ContainerId([1; 16]),
        order: Order { epoch: Epoch(1 << 16), generation: Generation(sequence) },
        parent_order: Order::default(),
        parent: Hash128::NONE,
        writer: NodeUuid([2; 16]),
        incarnation: Incarnation([3; 16]),
        configuration: Generation(0),
        old_set: false,
        body_bytes: 0,
        hash: Hash128::NONE,
    };
    Record { sequence, image: SlotImage::new(header, vec![7; body.max(1)]).unwrap() }
}

/// Carries out one line of the input: where, what, how long, which sequence. Gives the bytes that reading
/// it may cost at the most.
fn put(bytes: &mut [u8], op: &[u8]) -> usize {
    let at = usize::from(op[0]) % BLOCKS * BLOCK;
    let length = u16::from_le_bytes([op[2], op[3]]) % BODY_BYTES_MAX;
    let small = u64::from(u16::from_le_bytes([op[4], op[5]]));
    let sequence = if op[6] == 0xff { u64::MAX - small } else { small };
    let mut encoded = record(sequence, usize::from(length)).encode();
    match op[1] % 4 {
        1 => encoded[12..16].copy_from_slice(&(u32::from(length) * 3).to_le_bytes()),
        2 => encoded[12..16].copy_from_slice(&u32::MAX.to_le_bytes()),
        3 => encoded[8..12].copy_from_slice(&[op[6], op[7], op[4], op[5]]),
        _ => {}
    }
    let head = seal::close(&encoded[..ROOM]).unwrap();
    encoded[..BLOCK].copy_from_slice(&head);
    if op[7] & 1 == 1 {
        let last = encoded.len() - BLOCK;
        encoded[last] ^= 1;
    }
    let room = bytes.len() - at;
    let length = encoded.len().min(room);
    bytes[at..at + length].copy_from_slice(&encoded[..length]);
    room
}
