//! The intent record: written to every disk before a change of ids begins, cleared after it ended, so that a crash
//! in the middle is finished by saying the command again and never leaves two half containers (design section 4).

use crate::base::id::{ContainerId, DiskId};
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::format::cursor::{Reader, Writer};
use crate::format::damage::{Damage, Fault, What};
use crate::format::seal;

const MAGIC: &[u8; 8] = b"EVMSINTT";
const VERSION: u16 = 1;

/// New ids for a container and for the disk on which this stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The container's id before.
    pub old_container: ContainerId,
    /// Its id after.
    pub new_container: ContainerId,
    /// The disk's id before.
    pub old_disk: DiskId,
    /// Its id after.
    pub new_disk: DiskId,
}

impl Intent {
    /// Bytes that the record takes at the start of its area.
    pub const BYTES: Bytes = Bytes(BLOCK_BYTES);

    /// The sealed block.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(MAGIC).u16(VERSION).u16(0).u32(0);
        writer.bytes(&self.old_container.0).bytes(&self.new_container.0);
        writer.bytes(&self.old_disk.0).bytes(&self.new_disk.0);
        // 80 bytes of fields always fit one block.
        seal::close(&writer.finish()).unwrap_or_default()
    }

    /// Reads the record; blank means that nothing is under way.
    pub fn decode(block: &[u8]) -> Result<Intent, Damage> {
        let mut reader = Reader::new(seal::open(block, MAGIC, What::Intent)?);
        let version = reader.u16().unwrap_or(0);
        if version != VERSION {
            return Err(Damage::new(What::Intent, Fault::Version(version)));
        }
        if reader.bytes(6).is_none_or(|reserved| reserved.iter().any(|&byte| byte != 0)) {
            return Err(Damage::new(What::Intent, Fault::Field("reserved")));
        }
        let intent = Intent::fields(&mut reader).ok_or(Damage::new(What::Intent, Fault::Short))?;
        if !reader.rest_is_zero() {
            return Err(Damage::new(What::Intent, Fault::Field("padding")));
        }
        Ok(intent)
    }

    fn fields(reader: &mut Reader<'_>) -> Option<Intent> {
        Some(Intent {
            old_container: ContainerId(reader.array()?),
            new_container: ContainerId(reader.array()?),
            old_disk: DiskId(reader.array()?),
            new_disk: DiskId(reader.array()?),
        })
    }
}
