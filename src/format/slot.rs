//! A slot: one whole copy of a container's model. Header and body are named by one 128-bit hash, equal on every disk
//! that holds the same commit, so a commit in doubt is retried with the very same bytes (safety 2.3).

use std::sync::Arc;

use crate::base::epoch::{Epoch, Generation, Order};
use crate::base::hash::Hash128;
use crate::base::id::{ContainerId, Incarnation, NodeUuid};
use crate::base::limits::{SLOT_BYTES_MAX, SLOT_BYTES_MIN};
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::cursor::{Reader, Writer, is_same};
use crate::format::damage::{Damage, Fault, What};
use crate::format::seal::{self, BLOCK};

const MAGIC: &[u8; 8] = b"EVMSSLOT";
const VERSION: u16 = 1;
/// Flag: the body's disk table names an old set; the commit counts only on a majority of both (safety 2.4).
const FLAG_OLD_SET: u16 = 1;

/// What a slot's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotHeader {
    /// The container.
    pub container: ContainerId,
    /// Epoch and generation of this model.
    pub order: Order,
    /// Order of the model it was made from; zero for the first.
    pub parent_order: Order,
    /// Hash of the model it was made from.
    pub parent: Hash128,
    /// The machine that wrote it.
    pub writer: NodeUuid,
    /// The life of that machine.
    pub incarnation: Incarnation,
    /// Generation of the cluster configuration it was written under.
    pub configuration: Generation,
    /// Does the model name an old set of disks?
    pub old_set: bool,
    /// Bytes of the body.
    pub body_bytes: u32,
    /// Hash of all of the above and the body.
    pub hash: Hash128,
}

/// A header and the body that belongs to it: the hash was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotImage {
    /// The header.
    pub header: SlotHeader,
    /// The body, without padding. Every disk of a container holds the same one four times: it is kept once.
    pub body: Arc<[u8]>,
}

impl SlotHeader {
    fn named_fields(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u16(VERSION).u16(if self.old_set { FLAG_OLD_SET } else { 0 }).u32(self.body_bytes);
        writer.bytes(&self.container.0).u64(self.order.epoch.0).u64(self.order.generation.0);
        writer.u64(self.parent_order.epoch.0).u64(self.parent_order.generation.0).bytes(&self.parent.0);
        writer.bytes(&self.writer.0).bytes(&self.incarnation.0).u64(self.configuration.0);
        writer.finish()
    }

    fn hash_with(&self, body: &[u8]) -> Hash128 {
        Hash128::of(&[&self.named_fields(), body])
    }

    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(MAGIC).bytes(&self.named_fields()).bytes(&self.hash.0);
        // 136 bytes of fields always fit one block.
        seal::close(&writer.finish()).unwrap_or_default()
    }

    /// Reads a header; the body is not looked at. Lengths are bounded here.
    pub fn decode(block: &[u8]) -> Result<SlotHeader, Damage> {
        let mut reader = Reader::new(seal::open(block, MAGIC, What::SlotHeader)?);
        let version = reader.u16().unwrap_or(0);
        if version != VERSION {
            return Err(Damage::new(What::SlotHeader, Fault::Version(version)));
        }
        let flags = reader.u16().unwrap_or(0);
        if flags & !FLAG_OLD_SET != 0 {
            // What an unknown flag means for the rest of the slot nobody here knows.
            return Err(Damage::new(What::SlotHeader, Fault::Incompat(u64::from(flags & !FLAG_OLD_SET))));
        }
        let short = Damage::new(What::SlotHeader, Fault::Short);
        let header = SlotHeader::fields(flags, &mut reader).ok_or(short)?;
        if !reader.rest_is_zero() {
            return Err(Damage::new(What::SlotHeader, Fault::Field("padding")));
        }
        let whole = u64::from(header.body_bytes) + BLOCK_BYTES;
        if !(BLOCK_BYTES + 1..=SLOT_BYTES_MAX).contains(&whole) {
            return Err(Damage::new(What::SlotHeader, Fault::Field("body length")));
        }
        Ok(header)
    }

    fn fields(flags: u16, reader: &mut Reader<'_>) -> Option<SlotHeader> {
        let body_bytes = reader.u32()?;
        let container = ContainerId(reader.array()?);
        let mut order = || Some(Order { epoch: Epoch(reader.u64()?), generation: Generation(reader.u64()?) });
        let (order, parent_order) = (order()?, order()?);
        Some(SlotHeader {
            container,
            order,
            parent_order,
            parent: Hash128(reader.array()?),
            writer: NodeUuid(reader.array()?),
            incarnation: Incarnation(reader.array()?),
            configuration: Generation(reader.u64()?),
            old_set: flags & FLAG_OLD_SET != 0,
            body_bytes,
            hash: Hash128(reader.array()?),
        })
    }

    /// Bytes that header and padded body take on disk.
    pub fn slot_bytes(&self) -> Bytes {
        slot_bytes_for(u64::from(self.body_bytes))
    }
}

/// Bytes on disk of a slot whose body has `body` bytes.
pub fn slot_bytes_for(body: u64) -> Bytes {
    Bytes((BLOCK_BYTES + body.div_ceil(BLOCK_BYTES) * BLOCK_BYTES).max(SLOT_BYTES_MIN))
}

impl SlotImage {
    /// Joins a header's fields (its length and hash are computed here) with a body.
    /// `None` when the body is empty or longer than any slot.
    pub fn new(header: SlotHeader, body: Vec<u8>) -> Option<SlotImage> {
        let body_bytes = u32::try_from(body.len()).ok().filter(|&bytes| bytes > 0)?;
        if slot_bytes_for(u64::from(body_bytes)).0 > SLOT_BYTES_MAX {
            return None;
        }
        let header = SlotHeader { body_bytes, ..header };
        let hash = header.hash_with(&body);
        Some(SlotImage { header: SlotHeader { hash, ..header }, body: body.into() })
    }

    /// Header and body as they stand on disk, padded to blocks.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.header.encode();
        bytes.extend_from_slice(&self.body);
        bytes.resize(self.header.slot_bytes().0 as usize, 0);
        bytes
    }

    /// Reads header and body, given at least the slot's used bytes from its start.
    pub fn decode(bytes: &[u8]) -> Result<SlotImage, Damage> {
        SlotImage::behind(SlotHeader::decode(bytes)?, bytes, None)
    }

    /// The rest of [`SlotImage::decode`] behind a header that was read from the same bytes. `checked` is a copy of which
    /// the hash was compared: what is the same to the byte is as sound as that is, and is not hashed again.
    pub fn behind(
        header: SlotHeader,
        bytes: &[u8],
        checked: Option<&SlotImage>,
    ) -> Result<SlotImage, Damage> {
        let body = bytes.get(BLOCK..).and_then(|rest| rest.get(..header.body_bytes as usize));
        let body = body.ok_or(Damage::new(What::SlotBody, Fault::Short))?;
        if let Some(twin) = checked.filter(|twin| twin.header == header && is_same(&twin.body, body)) {
            return Ok(twin.clone());
        }
        if header.hash_with(body) != header.hash {
            return Err(Damage::new(What::SlotBody, Fault::Checksum));
        }
        Ok(SlotImage { header, body: body.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> SlotImage {
        let header = SlotHeader {
            container: ContainerId([9; 16]),
            order: Order { epoch: Epoch(1 << 16), generation: Generation(4) },
            parent_order: Order { epoch: Epoch(1 << 16), generation: Generation(3) },
            parent: Hash128([1; 16]),
            writer: NodeUuid([2; 16]),
            incarnation: Incarnation([3; 16]),
            configuration: Generation(0),
            old_set: false,
            body_bytes: 0,
            hash: Hash128([0; 16]),
        };
        SlotImage::new(header, b"a body of some length".to_vec()).unwrap()
    }

    /// A copy that differs from the checked one in a single bit of its body is damaged, whatever stands beside it.
    #[test]
    fn a_copy_beside_a_checked_one_is_not_believed_for_that() {
        let image = image();
        let mut bytes = image.encode();
        let read = |bytes: &[u8], twin: Option<&SlotImage>| {
            SlotImage::behind(SlotHeader::decode(bytes).unwrap(), bytes, twin)
        };
        assert_eq!(read(&bytes, Some(&image)), Ok(image.clone()));
        assert_eq!(read(&bytes, None), Ok(image.clone()));
        bytes[BLOCK + 3] ^= 1;
        let damaged = Err(Damage::new(What::SlotBody, Fault::Checksum));
        assert_eq!(read(&bytes, Some(&image)), damaged);
        assert_eq!(read(&bytes, None), damaged);
    }
}
