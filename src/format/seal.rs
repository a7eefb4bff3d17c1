//! The seal around every 4096-byte structure: magic in front, crc32 over everything else in the last four bytes.
//! A sealed block that fits is one that some writer meant; a torn or rotten one is told apart from a blank one.

use crate::base::units::BLOCK_BYTES;
use crate::format::cursor::is_zero;
use crate::format::damage::{Damage, Fault, What};

/// Bytes of one sealed block.
pub const BLOCK: usize = BLOCK_BYTES as usize;
/// Bytes of the checksum at the end.
const CRC_BYTES: usize = 4;
/// Bytes between magic and checksum that a structure may use, its magic included.
pub const ROOM: usize = BLOCK - CRC_BYTES;

/// The checksum of bytes that are no block.
pub fn crc(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Puts `content` (magic first, at most [`ROOM`] bytes) into a block, zero-padded, and seals it.
/// `None` when it does not fit.
pub fn close(content: &[u8]) -> Option<Vec<u8>> {
    let mut block = vec![0; BLOCK];
    block.get_mut(..ROOM)?.get_mut(..content.len())?.copy_from_slice(content);
    let crc = crc32fast::hash(block.get(..ROOM)?);
    block.get_mut(ROOM..)?.copy_from_slice(&crc.to_le_bytes());
    Some(block)
}

/// Opens a sealed block: the bytes after the magic, checksum cut off.
pub fn open<'a>(block: &'a [u8], magic: &[u8], what: What) -> Result<&'a [u8], Damage> {
    let Some(block) = block.get(..BLOCK) else { return Err(Damage::new(what, Fault::Short)) };
    let (content, crc) = block.split_at(ROOM);
    if is_zero(content) && is_zero(crc) {
        return Err(Damage::new(what, Fault::Blank));
    }
    if crc32fast::hash(content).to_le_bytes() != crc {
        // With a foreign magic as well it was never ours; with our magic it is torn or rotten.
        let fault = if content.starts_with(magic) { Fault::Checksum } else { Fault::Foreign };
        return Err(Damage::new(what, fault));
    }
    content.strip_prefix(magic).ok_or(Damage::new(what, Fault::Foreign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_breaks_the_seal() {
        let block = close(b"MAGICxyz and some content").unwrap();
        assert!(open(&block, b"MAGICxyz", What::Label).is_ok());
        for bit in 0..BLOCK * 8 {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&flipped, b"MAGICxyz", What::Label).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn blank_foreign_and_torn_are_told_apart() {
        let fault = |block: &[u8]| open(block, b"MAGICxyz", What::Label).unwrap_err().fault;
        assert_eq!(fault(&[0; BLOCK]), Fault::Blank);
        assert_eq!(fault(&[7; BLOCK]), Fault::Foreign);
        assert_eq!(fault(&[0; 10]), Fault::Short);
        let mut torn = close(b"MAGICxyz and some content").unwrap();
        torn[2000] = 1;
        assert_eq!(fault(&torn), Fault::Checksum);
        assert!(close(&[0; ROOM + 1]).is_none());
    }
}
