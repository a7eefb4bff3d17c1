//! The history ring: before a commit overwrites anything, the model that it follows is appended here, so that it can
//! be listed, compared and brought back. A record is one sealed block and the slot image behind it.

use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::cursor::{Reader, Writer};
use crate::format::damage::{Damage, Fault, What};
use crate::format::layout::Area;
use crate::format::seal::{self, BLOCK};
use crate::format::slot::SlotImage;

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

    /// Sequence and length of the image, from the sealed block in front of it.
    fn head(block: &[u8]) -> Result<(u64, usize), Damage> {
        let mut reader = Reader::new(seal::open(block, MAGIC, What::History)?);
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
        Ok((sequence, length))
    }

    /// The image behind that block. Its length is that of its slot, so that the next record stands on the grid.
    fn image(bytes: &[u8], length: usize) -> Result<SlotImage, Damage> {
        let image = bytes.get(BLOCK..).and_then(|rest| rest.get(..length));
        let image = SlotImage::decode(image.ok_or(Damage::new(What::History, Fault::Short))?)?;
        if image.header.slot_bytes() != Bytes(length as u64) {
            return Err(Damage::new(What::History, Fault::Field("length")));
        }
        Ok(image)
    }
}

/// What a ring holds, and where the next record goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ring {
    /// Whole records, oldest first.
    pub records: Vec<Record>,
    /// Offset of the next record from the start of the area.
    pub next_at: u64,
    /// Sequence of the next record.
    pub next_sequence: u64,
}

impl Ring {
    /// Reads a ring, given the bytes of its area. Torn and overwritten records are passed over.
    pub fn decode(bytes: &[u8]) -> Ring {
        let mut ring = Ring::default();
        let (mut at, mut hashed) = (0, 0);
        while at < bytes.len() && hashed <= HASHED_RINGS_MAX * bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let Ok((sequence, length)) = Record::head(rest) else {
                at += BLOCK;
                continue;
            };
            hashed += length.min(rest.len());
            let Ok(image) = Record::image(rest, length) else {
                at += BLOCK;
                continue;
            };
            at += BLOCK + length;
            if sequence >= ring.next_sequence {
                ring.next_sequence = sequence.saturating_add(1);
                ring.next_at = at as u64;
            }
            ring.records.push(Record { sequence, image });
        }
        ring.records.sort_by_key(|record| record.sequence);
        ring
    }

    /// Where a record of `length` bytes goes in `area`, or `None` when it is longer than half the ring: then keeping
    /// it would cost all that is older.
    pub fn place(&self, area: &Area, length: u64) -> Option<Bytes> {
        let room = area.length_bytes().0;
        if length > room / 2 {
            return None;
        }
        let offset = if self.next_at + length > room { 0 } else { self.next_at };
        debug_assert_eq!(offset % BLOCK_BYTES, 0);
        Some(Bytes(area.start_bytes().0 + offset))
    }
}
