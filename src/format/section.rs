//! Sections: the body of a slot is a list of `{type, version, flags, length, crc}` and bytes. Postcard stands only
//! inside a section, one frozen struct per (type, version). An unknown section says by its flags what an older
//! program may do with the model around it.

use crate::base::limits::SECTIONS_MAX;
use crate::format::cursor::{Reader, Writer};
use crate::format::damage::{Damage, Fault, What};

/// Unknown type or version: the model must not be opened.
pub const INCOMPAT: u16 = 1;
/// Unknown type or version: the model may be shown and never written.
pub const RO_COMPAT: u16 = 2;
/// Bytes in front of each section's content.
pub const HEADER_BYTES: usize = 16;

/// One section as it stands on disk; its checksum fitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its type.
    pub kind: u16,
    /// The version of its content.
    pub version: u16,
    /// [`INCOMPAT`], [`RO_COMPAT`], or none: preserve and ignore.
    pub flags: u16,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Writes sections one after the other.
pub fn encode(sections: &[Section]) -> Vec<u8> {
    let mut writer = Writer::new();
    for section in sections {
        writer.u16(section.kind).u16(section.version).u16(section.flags).u16(0);
        writer.u32(section.bytes.len() as u32).u32(checksum(section)).bytes(&section.bytes);
    }
    writer.finish()
}

fn checksum(section: &Section) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for field in [section.kind, section.version, section.flags] {
        hasher.update(&field.to_le_bytes());
    }
    hasher.update(&section.bytes);
    hasher.finalize()
}

/// Reads all sections of a body.
pub fn decode(body: &[u8]) -> Result<Vec<Section>, Damage> {
    let mut reader = Reader::new(body);
    let mut sections = Vec::new();
    while !reader.rest().is_empty() {
        if sections.len() == SECTIONS_MAX {
            return Err(Damage::new(What::SlotBody, Fault::Field("section count")));
        }
        sections.push(one(&mut reader)?);
    }
    Ok(sections)
}

fn one(reader: &mut Reader<'_>) -> Result<Section, Damage> {
    let short = || Damage::new(What::SlotBody, Fault::Short);
    let kind = reader.u16().ok_or_else(short)?;
    let version = reader.u16().ok_or_else(short)?;
    let flags = reader.u16().ok_or_else(short)?;
    let reserved = reader.u16().ok_or_else(short)?;
    let length = reader.u32().ok_or_else(short)?;
    let crc = reader.u32().ok_or_else(short)?;
    let bytes = reader.bytes(usize::try_from(length).map_err(|_| short())?).ok_or_else(short)?.to_vec();
    let section = Section { kind, version, flags, bytes };
    if checksum(&section) != crc {
        return Err(Damage::new(What::Section(kind), Fault::Checksum));
    }
    if reserved != 0 {
        // It would be lost when an unknown section is written back.
        return Err(Damage::new(What::Section(kind), Fault::Field("reserved")));
    }
    Ok(section)
}
