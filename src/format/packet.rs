//! What one sealed datagram carries between two sessions, to the byte. A packet is a run of parts, one behind the other until
//! its end; each begins with a byte that says its kind. Numbers are little-endian.
//!
//! | kind | part | bytes behind the kind |
//! |---|---|---|
//! | 0 | padding | all that is left of the packet, zero |
//! | 1 | arrived | largest u64 · held back u32 · more u16 · count u8 · count × (gap u16, more u16) |
//! | 2 | taken | taken u64 · limit u64 |
//! | 3 | piece | offset u64 · length u16 · so many bytes |
//! | 4 | ping | token u64 |
//! | 5 | pong | token u64 |
//!
//! *Arrived* names packets that came: `largest` and `more` numbers right below it; then, for each further range, `gap` + 1
//! numbers are left out, and the one below them and `more` right below that came too. `held back` is for how many microseconds
//! the largest was kept before this was said. *Taken* and *piece* count bytes of the stream of messages, each message a length
//! of 32 bits and its bytes: the application took all below `taken`, nothing at or above `limit` may be sent yet.
//!
//! The seal below has been opened, so who sent it is known; but a sender may be wrong or hostile all the same. A packet with one
//! part that is not lawful is refused as a whole, before any of it is believed. A kind that is not known is not lawful: what two
//! sessions may say to each other is agreed when they shake hands.

use crate::format::cursor::{Reader, Writer};

const PADDING: u8 = 0;
const ARRIVED: u8 = 1;
const TAKEN: u8 = 2;
const PIECE: u8 = 3;
const PING: u8 = 4;
const PONG: u8 = 5;

/// Ranges in one list of what arrived; more are left out, oldest first.
pub const ARRIVED_RANGES_MAX: usize = 32;
/// Bytes of *arrived* with its first range alone.
pub const ARRIVED_BYTES: usize = 16;
/// Bytes of each further range.
pub const RANGE_BYTES: usize = 4;
/// Bytes of *taken*.
pub const TAKEN_BYTES: usize = 17;
/// Bytes of a piece in front of those that it carries.
pub const PIECE_HEAD_BYTES: usize = 11;
/// Bytes of a ping or a pong.
pub const PING_BYTES: usize = 9;
/// Bytes of a message's length in the stream.
pub const LENGTH_BYTES: usize = 4;
/// Parts in one packet; more are not lawful. A sender that fills a packet with scraps is not worth the work.
pub const PARTS_MAX: usize = 256;

/// One part of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// These packets came.
    Arrived(Arrived),
    /// So far the application took the stream, and so far it may be sent.
    Taken {
        /// Bytes of the stream that the application took.
        taken: u64,
        /// The first byte of the stream that may not be sent yet.
        limit: u64,
    },
    /// Some of the stream.
    Piece {
        /// Where in the stream.
        offset: u64,
        /// Its bytes, at most 65 535.
        bytes: &'a [u8],
    },
    /// Please answer, on this link and at once.
    Ping(u64),
    /// The answer to the ping with this token.
    Pong(u64),
}

/// Which packets came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Microseconds for which the largest was kept back before this was said.
    pub held_back_us: u32,
    /// Ranges of numbers, both ends included, highest first, apart from each other.
    pub ranges: Vec<(u64, u64)>,
}

/// The packet is not lawful.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// All parts of a packet, or none.
pub fn read(packet: &[u8]) -> Result<Vec<Part<'_>>, Malformed> {
    let mut reader = Reader::new(packet);
    let mut parts = Vec::with_capacity(4);
    while let Some(kind) = reader.u8() {
        if kind == PADDING {
            return if reader.rest_is_zero() { Ok(parts) } else { Err(Malformed) };
        }
        if parts.len() == PARTS_MAX {
            return Err(Malformed);
        }
        parts.push(part(kind, &mut reader).ok_or(Malformed)?);
    }
    Ok(parts)
}

fn part<'a>(kind: u8, reader: &mut Reader<'a>) -> Option<Part<'a>> {
    match kind {
        ARRIVED => arrived(reader).map(Part::Arrived),
        TAKEN => Some(Part::Taken { taken: reader.u64()?, limit: reader.u64()? }),
        PIECE => piece(reader),
        PING => reader.u64().map(Part::Ping),
        PONG => reader.u64().map(Part::Pong),
        _ => None,
    }
}

fn arrived(reader: &mut Reader<'_>) -> Option<Arrived> {
    let (largest, held_back_us) = (reader.u64()?, reader.u32()?);
    let (more, count) = (u64::from(reader.u16()?), usize::from(reader.u8()?));
    if count >= ARRIVED_RANGES_MAX {
        return None;
    }
    let mut ranges = Vec::with_capacity(count + 1);
    let mut lowest = largest.checked_sub(more)?;
    ranges.push((lowest, largest));
    for _ in 0..count {
        let (gap, more) = (u64::from(reader.u16()?), u64::from(reader.u16()?));
        let highest = lowest.checked_sub(gap + 2)?;
        lowest = highest.checked_sub(more)?;
        ranges.push((lowest, highest));
    }
    Some(Arrived { held_back_us, ranges })
}

fn piece<'a>(reader: &mut Reader<'a>) -> Option<Part<'a>> {
    let (offset, length) = (reader.u64()?, usize::from(reader.u16()?));
    offset.checked_add(u64::try_from(length).ok()?)?;
    let bytes = reader.bytes(length)?;
    (!bytes.is_empty()).then_some(Part::Piece { offset, bytes })
}

/// Appends *arrived*. Of ranges that are longer or farther apart than their fields can say, the newest part is said.
pub fn put_arrived(writer: &mut Writer, arrived: &Arrived) {
    let Some((least, largest)) = arrived.ranges.first().copied() else { return };
    let more = u16::try_from(largest - least).unwrap_or(u16::MAX);
    let mut lowest = largest - u64::from(more);
    let mut further = Vec::new();
    for (least, most) in arrived.ranges.iter().skip(1).take(ARRIVED_RANGES_MAX - 1) {
        let gap = lowest.checked_sub(2).and_then(|below| below.checked_sub(*most));
        let gap = gap.and_then(|gap| u16::try_from(gap).ok());
        let Some(gap) = gap else { break };
        let more = u16::try_from(most - least).unwrap_or(u16::MAX);
        lowest = most - u64::from(more);
        further.push((gap, more));
    }
    let count = u8::try_from(further.len()).unwrap_or(u8::MAX);
    writer.u8(ARRIVED).u64(largest).u32(arrived.held_back_us).u16(more).u8(count);
    for (gap, more) in further {
        writer.u16(gap).u16(more);
    }
}

/// Appends *taken*.
pub fn put_taken(writer: &mut Writer, taken: u64, limit: u64) {
    writer.u8(TAKEN).u64(taken).u64(limit);
}

/// Appends what stands in front of a piece; `length` bytes must follow.
pub fn put_piece_head(writer: &mut Writer, offset: u64, length: u16) {
    writer.u8(PIECE).u64(offset).u16(length);
}

/// Appends a ping, and fills the packet to `bytes`.
pub fn put_ping(writer: &mut Writer, token: u64, bytes: usize) {
    writer.u8(PING).u64(token);
    let padding = bytes.saturating_sub(writer.len());
    writer.bytes(&vec![PADDING; padding]);
}

/// Appends a pong.
pub fn put_pong(writer: &mut Writer, token: u64) {
    writer.u8(PONG).u64(token);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_as_the_page_says() {
        let mut writer = Writer::new();
        put_arrived(&mut writer, &Arrived { held_back_us: 0x0102, ranges: vec![(7, 9), (5, 5), (1, 2)] });
        put_taken(&mut writer, 0x11, 0x2233);
        put_piece_head(&mut writer, 0x44, 3);
        writer.bytes(b"abc");
        put_pong(&mut writer, 0x66);
        put_ping(&mut writer, 0x55, 80);
        let bytes = writer.finish();
        let expected: &[&[u8]] = &[
            &[1, 9, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 2, 0, 2, 0, 0, 0, 0, 1, 0, 1, 0],
            &[2, 0x11, 0, 0, 0, 0, 0, 0, 0, 0x33, 0x22, 0, 0, 0, 0, 0, 0],
            &[3, 0x44, 0, 0, 0, 0, 0, 0, 0, 3, 0, b'a', b'b', b'c'],
            &[5, 0x66, 0, 0, 0, 0, 0, 0, 0],
            &[4, 0x55, 0, 0, 0, 0, 0, 0, 0],
            &[0; 7],
        ];
        // The second gap is 3 and 4: two numbers, so the field says one.
        assert_eq!(bytes, expected.concat());
        let parts = read(&bytes).unwrap();
        assert_eq!(
            parts,
            [
                Part::Arrived(Arrived { held_back_us: 0x0102, ranges: vec![(7, 9), (5, 5), (1, 2)] }),
                Part::Taken { taken: 0x11, limit: 0x2233 },
                Part::Piece { offset: 0x44, bytes: b"abc" },
                Part::Pong(0x66),
                Part::Ping(0x55),
            ]
        );
    }

    #[test]
    fn sizes_are_what_their_names_say() {
        let length = |put: &dyn Fn(&mut Writer)| {
            let mut writer = Writer::new();
            put(&mut writer);
            writer.len()
        };
        let ranges = |count: u64| Arrived {
            held_back_us: 0,
            ranges: (0..count).rev().map(|at| (10 * at, 10 * at)).collect(),
        };
        assert_eq!(length(&|to| put_arrived(to, &ranges(1))), ARRIVED_BYTES);
        assert_eq!(length(&|to| put_arrived(to, &ranges(3))), ARRIVED_BYTES + 2 * RANGE_BYTES);
        let most = ARRIVED_BYTES + (ARRIVED_RANGES_MAX - 1) * RANGE_BYTES;
        assert_eq!(length(&|to| put_arrived(to, &ranges(99))), most);
        assert_eq!(length(&|to| put_taken(to, 1, 2)), TAKEN_BYTES);
        assert_eq!(length(&|to| put_piece_head(to, 1, 2)), PIECE_HEAD_BYTES);
        assert_eq!(length(&|to| put_ping(to, 1, 0)), PING_BYTES);
        assert_eq!(length(&|to| put_pong(to, 1)), PING_BYTES);
    }

    #[test]
    fn what_fields_cannot_say_is_left_out_from_its_old_end() {
        let said = |ranges: &[(u64, u64)]| {
            let mut writer = Writer::new();
            put_arrived(&mut writer, &Arrived { held_back_us: 0, ranges: ranges.to_vec() });
            match read(&writer.finish()).unwrap().remove(0) {
                Part::Arrived(arrived) => arrived.ranges,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(said(&[(0, 100_000)]), [(34_465, 100_000)]);
        assert_eq!(said(&[(20_000, 100_000), (5, 6)]), [(34_465, 100_000), (5, 6)]);
        assert_eq!(said(&[(99_000, 100_000), (5, 6)]), [(99_000, 100_000)]);
        assert_eq!(said(&[(u64::MAX, u64::MAX), (3, 4)]), [(u64::MAX, u64::MAX)]);
        assert_eq!(said(&[(0, 0)]), [(0, 0)]);
    }

    #[test]
    fn what_is_not_lawful_is_refused_whole() {
        let whole = |parts: &[&[u8]]| parts.concat();
        let pong: &[u8] = &[5, 1, 0, 0, 0, 0, 0, 0, 0];
        let refused = [
            whole(&[pong, &[6]]),                                  // a kind that is not known
            whole(&[pong, &[0, 0, 1]]),                            // padding that is not zero
            whole(&[pong, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 9]]), // a piece that is cut
            whole(&[pong, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]),    // an empty piece
            whole(&[&[3], &[0xff; 8], &[2, 0, 9, 9]]),             // a piece behind the end
            whole(&[&[1], &[1, 0, 0, 0, 0, 0, 0, 0], &[0; 4], &[2, 0], &[0]]), // more than there are
            whole(&[&[1], &[9, 0, 0, 0, 0, 0, 0, 0], &[0; 6], &[1], &[8, 0, 0, 0]]), // a gap below zero
            whole(&[&[1], &[9, 0, 0, 0, 0, 0, 0, 0], &[0; 6], &[1], &[0, 0, 8, 0]]), // a range below zero
            whole(&[&[1], &[0xff; 8], &[0; 6], &[32], &[0; 128]]), // too many ranges
            whole(&vec![pong; PARTS_MAX + 1]),                     // too many parts
        ];
        for packet in refused {
            assert_eq!(read(&packet), Err(Malformed), "{packet:?}");
        }
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&[0; 1184]), Ok(vec![]));
        for length in 0..pong.len() {
            assert_eq!(read(&pong[..length]).is_ok(), length == 0);
        }
    }
}
