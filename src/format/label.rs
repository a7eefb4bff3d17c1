//! Who a disk is: immutable identity and geometry, at 4 KiB and in the tail. Names, owner and cluster are not here
//! but in the slot (design section 4), so a label is written when a disk joins or changes its ids, and never else.

use crate::base::bits::{Access, Features};
use crate::base::id::{ContainerId, DiskId, DiskNumber};
use crate::base::limits::{AREAS_MAX, WWID_BYTES_MAX};
use crate::base::time::WallTime;
use crate::base::units::{Bytes, SECTOR_BYTES, Sectors};
use crate::format::cursor::{Reader, Writer};
use crate::format::damage::{Damage, Fault, What};
use crate::format::layout::{Area, AreaKind, End};
use crate::format::seal;

/// The first sixteen bytes of a label. The high bit and the line end betray transfers that mangle bytes.
pub const MAGIC: &[u8; 16] = b"\x89EVMS.CSM.LABEL\n";
/// The layout version written today.
pub const VERSION: u16 = 1;
/// Feature bits of a label that this program knows: none so far.
pub const KNOWN: Features = Features { compat: 0, ro_compat: 0, incompat: 0 };

/// A label whose checksum fitted and whose fields make sense. Whether its areas can be believed,
/// [`crate::format::layout::Layout::check`] decides against the real size of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Feature masks of the disk.
    pub features: Features,
    /// The container that the disk is a member of.
    pub container: ContainerId,
    /// The disk.
    pub disk: DiskId,
    /// Its number in the container.
    pub number: DiskNumber,
    /// Logical block size when it was labelled; a disk with larger blocks is refused later.
    pub logical_block: u32,
    /// How many nodes have room in the node blocks.
    pub nodes: u16,
    /// Size of the disk when it was labelled.
    pub size: Sectors,
    /// For people.
    pub created: WallTime,
    /// WWID when it was labelled, or empty: a clone betrays itself by another one.
    pub wwid: String,
    /// The table of areas, not yet checked.
    pub areas: Vec<Area>,
    /// Bytes after the fields known today, preserved on rewrite.
    pub extension: Vec<u8>,
}

fn bad(field: &'static str) -> Damage {
    Damage::new(What::Label, Fault::Field(field))
}

impl Label {
    /// The sealed block of the copy at `end`. `None` when WWID or areas are more than a
    /// reader takes, or all of it does not fit one block.
    pub fn encode(&self, end: End) -> Option<Vec<u8>> {
        if self.wwid.len() > WWID_BYTES_MAX || self.areas.len() > AREAS_MAX {
            return None;
        }
        let mut writer = Writer::new();
        writer.bytes(MAGIC).u16(VERSION).u16(end_code(end));
        writer.u64(self.features.compat).u64(self.features.ro_compat).u64(self.features.incompat);
        writer.bytes(&self.container.0).bytes(&self.disk.0).u16(self.number.0).u16(self.nodes);
        writer.u32(self.logical_block).u64(self.size.0).u64(self.created.seconds);
        writer.u16(u16::try_from(self.wwid.len()).ok()?).u16(u16::try_from(self.areas.len()).ok()?);
        writer.u16(u16::try_from(self.extension.len()).ok()?).u16(0);
        writer.bytes(self.wwid.as_bytes());
        for area in &self.areas {
            writer.u16(area.kind.code()).u16(end_code(area.end)).u32(0).u64(area.start.0).u64(area.length.0);
        }
        writer.bytes(&self.extension);
        seal::close(&writer.finish())
    }

    /// Reads a label from the block at `end`.
    pub fn decode(block: &[u8], end: End) -> Result<Label, Damage> {
        let content = seal::open(block, MAGIC, What::Label)?;
        let mut reader = Reader::new(content);
        let version = reader.u16().ok_or(bad("version"))?;
        if version != VERSION {
            return Err(Damage::new(What::Label, Fault::Version(version)));
        }
        let copy = reader.u16().ok_or(bad("copy"))?;
        let mut mask = || reader.u64().ok_or(bad("features"));
        let features = Features { compat: mask()?, ro_compat: mask()?, incompat: mask()? };
        // First of all: behind an unknown incompat bit every other field may mean something else.
        if let Access::Refused(bits) = features.access(KNOWN) {
            return Err(Damage::new(What::Label, Fault::Incompat(bits)));
        }
        // A copy that lies at the other end was put there by something that moves blocks about.
        if copy != end_code(end) {
            return Err(bad("copy"));
        }
        let label = Label::fields(features, &mut reader)?;
        // What a newer program adds stands in the extension; here it would be lost on rewrite.
        if !reader.rest_is_zero() {
            return Err(bad("padding"));
        }
        Ok(label)
    }

    fn fields(features: Features, reader: &mut Reader<'_>) -> Result<Label, Damage> {
        let short = || Damage::new(What::Label, Fault::Short);
        let container = ContainerId(reader.array().ok_or_else(short)?);
        let disk = DiskId(reader.array().ok_or_else(short)?);
        let number = DiskNumber(reader.u16().ok_or_else(short)?);
        let nodes = reader.u16().ok_or_else(short)?;
        let logical_block = reader.u32().ok_or_else(short)?;
        let size = Sectors(reader.u64().ok_or_else(short)?);
        let created = WallTime { seconds: reader.u64().ok_or_else(short)? };
        let mut count = || reader.u16().map(usize::from).ok_or_else(short);
        let (wwid_bytes, area_count, extension_bytes, reserved) = (count()?, count()?, count()?, count()?);
        if reserved != 0 {
            return Err(bad("reserved"));
        }
        if wwid_bytes > WWID_BYTES_MAX {
            return Err(bad("wwid length"));
        }
        let wwid =
            std::str::from_utf8(reader.bytes(wwid_bytes).ok_or_else(short)?).map_err(|_| bad("wwid"))?.into();
        if area_count > AREAS_MAX {
            return Err(bad("area count"));
        }
        let areas = (0..area_count).map(|_| area(reader)).collect::<Option<Vec<_>>>().ok_or(bad("areas"))?;
        let extension = reader.bytes(extension_bytes).ok_or_else(short)?.to_vec();
        let sane_block = logical_block.is_power_of_two() && (512..=4096).contains(&logical_block);
        if container.is_none() || disk.is_none() || !sane_block || nodes == 0 {
            return Err(bad("identity"));
        }
        Ok(Label {
            features,
            container,
            disk,
            number,
            logical_block,
            nodes,
            size,
            created,
            wwid,
            areas,
            extension,
        })
    }

    /// Size of the disk when it was labelled, in bytes; the largest possible when the field lies.
    pub fn size_bytes(&self) -> Bytes {
        Bytes(self.size.0.saturating_mul(SECTOR_BYTES))
    }
}

fn area(reader: &mut Reader<'_>) -> Option<Area> {
    let kind = AreaKind::from_code(reader.u16()?);
    let end = match reader.u16()? {
        1 => End::Primary,
        2 => End::Secondary,
        _ => return None,
    };
    if reader.u32()? != 0 {
        return None;
    }
    Some(Area { kind, end, start: Sectors(reader.u64()?), length: Sectors(reader.u64()?) })
}

fn end_code(end: End) -> u16 {
    match end {
        End::Primary => 1,
        End::Secondary => 2,
    }
}
