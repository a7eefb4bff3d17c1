//! The history ring: before a commit overwrites anything, the model that it follows is appended here, so that it can
//! be listed, compared and brought back. A record is one sealed block and the slot image behind it.

use crate::base::epoch::Order;
use crate::base::hash::Hash128;
use crate::base::sorted::sort_by_key;
use crate::base::units::Bytes;
use crate::format::cursor::{Reader, Writer};
use crate::format::damage::{Damage, Fault, What};
use crate::format::layout::Area;
use crate::format::seal::{self, BLOCK};
use crate::format::slot::{SlotHeader, SlotImage};

const MAGIC: &[u8; 8] = b"EVMSHIST";
const VERSION: u16 = 1;
/// How often as many bytes as a ring has are hashed before the rest of it is left unread. Sound rings need one and a
/// bit; heads that lie, each with a long image that does not fit, would otherwise cost the square of the ring.
const HASHED_RINGS_MAX: usize = 4;

/// One record: a model that was superseded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Grows with each record on this disk.
    pub sequence: u64,
    /// The model as its slot held it.
    pub image: SlotImage,
}

impl Record {
    /// The record as it stands on disk.
    pub fn encode(&self) -> Vec<u8> {
        let image = self.image.encode();
        let mut writer = Writer::new();
        writer.bytes(MAGIC).u16(VERSION).u16(0).u32(image.len() as u32).u64(self.sequence);
        // 24 bytes of fields always fit one block.
        let mut bytes = seal::close(&writer.finish()).unwrap_or_default();
        bytes.extend_from_slice(&image);
        bytes
    }

    /// The record of a frame, when the image is whole and just as long as the frame says.
    fn decode(sequence: u64, image: &[u8]) -> Result<Record, Damage> {
        let length = Bytes(image.len() as u64);
        let image = SlotImage::decode(image).map_err(|_| Damage::new(What::History, Fault::Checksum))?;
        if image.header.slot_bytes() != length {
            return Err(Damage::new(What::History, Fault::Field("length")));
        }
        Ok(Record { sequence, image })
    }
}

/// A record's sequence, the bytes of its image, not yet believed, and its whole length.
fn frame(bytes: &[u8]) -> Result<(u64, &[u8], usize), Damage> {
    let mut reader = Reader::new(seal::open(bytes, MAGIC, What::History)?);
    let short = || Damage::new(What::History, Fault::Short);
    let version = reader.u16().ok_or_else(short)?;
    if version != VERSION {
        return Err(Damage::new(What::History, Fault::Version(version)));
    }
    let reserved = reader.u16().ok_or_else(short)?;
    let length = reader.u32().ok_or_else(short)? as usize;
    let sequence = reader.u64().ok_or_else(short)?;
    if reserved != 0 || !reader.rest_is_zero() {
        return Err(Damage::new(What::History, Fault::Field("reserved")));
    }
    // The record behind this one stands on the grid, or a disk would refuse to write it.
    if !length.is_multiple_of(BLOCK) {
        return Err(Damage::new(What::History, Fault::Field("length")));
    }
    let image = bytes.get(BLOCK..).and_then(|rest| rest.get(..length)).ok_or_else(short)?;
    Ok((sequence, image, BLOCK + length))
}

/// Order and hash of each model that a ring keeps, as its header says it; images are not looked into.
pub fn kept(bytes: &[u8]) -> Vec<(Order, Hash128)> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match frame(bytes.get(at..).unwrap_or_default()) {
            Ok((_, image, length)) => {
                kept.extend(SlotHeader::decode(image).ok().map(|header| (header.order, header.hash)));
                at += length;
            }
            Err(_) => at += BLOCK,
        }
    }
    kept
}

/// Where the next record of a ring goes; what a writer needs to know of it. Only the last image is believed or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingEnd {
    /// Offset of the next record from the start of the area.
    pub next_at: u64,
    /// Sequence of the next record.
    pub next_sequence: u64,
    /// Hash of the model in the last record, when that is whole.
    pub last: Option<Hash128>,
}

impl RingEnd {
    /// Finds the end of a ring, given the bytes of its area.
    pub fn find(bytes: &[u8]) -> RingEnd {
        let mut end = RingEnd::default();
        let mut last: Option<&[u8]> = None;
        let mut at = 0;
        while at < bytes.len() {
            match frame(bytes.get(at..).unwrap_or_default()) {
                Ok((sequence, image, length)) => {
                    if sequence >= end.next_sequence {
                        end.next_sequence = sequence.saturating_add(1);
                        end.next_at = (at + length) as u64;
                        last = Some(image);
                    }
                    at += length;
                }
                Err(_) => at += BLOCK,
            }
        }
        // A record that a crash tore keeps nothing, and its model must be appended again.
        end.last = last.and_then(|image| SlotImage::decode(image).ok()).map(|image| image.header.hash);
        end
    }

    /// Where a record of `length` bytes goes in `area`, or `None` when it is longer than half the ring: then keeping
    /// it would cost all that is older.
    pub fn place(&self, area: &Area, length: u64) -> Option<Bytes> {
        let room = area.length_bytes().0;
        if length > room / 2 {
            return None;
        }
        let offset = if self.next_at.saturating_add(length) > room { 0 } else { self.next_at };
        Some(Bytes(area.start_bytes().0 + offset))
    }
}

/// All models that a ring holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// Whole records, oldest first.
    pub records: Vec<Record>,
}

impl Ring {
    /// Reads a ring, given the bytes of its area. Torn and overwritten records are passed over.
    pub fn decode(bytes: &[u8]) -> Ring {
        let mut ring = Ring::default();
        let (mut at, mut hashed) = (0, 0);
        while at < bytes.len() && hashed <= HASHED_RINGS_MAX * bytes.len() {
            let found = frame(bytes.get(at..).unwrap_or_default());
            hashed += found.as_ref().map_or(0, |(_, image, _)| image.len());
            match found.and_then(|(sequence, image, length)| Ok((Record::decode(sequence, image)?, length))) {
                Ok((record, length)) => {
                    ring.records.push(record);
                    at += length;
                }
                Err(_) => at += BLOCK,
            }
        }
        sort_by_key(&mut ring.records, |record| record.sequence);
        ring
    }
}
