//! Bytes of a disk at absolute offsets, of which only the two ends are at hand. What was not read is `None`,
//! never an error: a recogniser that was shown less simply sees less.

use crate::base::units::{Bytes, SECTOR_BYTES};

/// The ends of a disk, addressed from its start.
#[derive(Clone, Copy)]
pub(super) struct Peek<'a> {
    /// Length of the disk in bytes, as given.
    pub(super) size: u64,
    head: &'a [u8],
    tail: &'a [u8],
    tail_at: u64,
}

/// The last bytes of `bytes`, at most `limit` of them.
fn last(bytes: &[u8], limit: u64) -> &[u8] {
    let keep = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len());
    &bytes[bytes.len() - keep..]
}

/// The bytes `at..at + len` of a piece that starts at `start` of the disk.
fn within(piece: &[u8], start: u64, at: u64, len: usize) -> Option<&[u8]> {
    let from = usize::try_from(at.checked_sub(start)?).ok()?;
    piece.get(from..from.checked_add(len)?)
}

impl<'a> Peek<'a> {
    /// `head` starts at offset 0; `tail` ends at `size` rounded down to a sector. Bytes that would lie outside
    /// of the disk are left out.
    pub(super) fn new(size: Bytes, head: &'a [u8], tail: &'a [u8]) -> Self {
        let end = size.round_down(SECTOR_BYTES).0;
        let head = &head[..usize::try_from(size.0).unwrap_or(usize::MAX).min(head.len())];
        let tail = last(tail, end);
        Self { size: size.0, head, tail, tail_at: end - tail.len() as u64 }
    }

    /// A disk of unknown, endless size of which only the first bytes are at hand.
    pub(super) fn of_head(head: &'a [u8]) -> Self {
        Self::new(Bytes(u64::MAX), head, &[])
    }

    /// The `len` bytes at `at`, when one of the two ends holds them all.
    pub(super) fn bytes(&self, at: u64, len: usize) -> Option<&'a [u8]> {
        within(self.head, 0, at, len).or_else(|| within(self.tail, self.tail_at, at, len))
    }

    /// Whether exactly `magic` stands at `at`.
    pub(super) fn has(&self, at: u64, magic: &[u8]) -> bool {
        self.bytes(at, magic.len()) == Some(magic)
    }

    fn array<const N: usize>(&self, at: Option<u64>) -> Option<[u8; N]> {
        self.bytes(at?, N)?.try_into().ok()
    }

    /// One byte at `base + field`.
    pub(super) fn byte(&self, base: u64, field: u64) -> Option<u8> {
        self.array::<1>(base.checked_add(field)).map(|[byte]| byte)
    }

    /// Little-endian 16 bits at `base + field`.
    pub(super) fn le16(&self, base: u64, field: u64) -> Option<u16> {
        self.array(base.checked_add(field)).map(u16::from_le_bytes)
    }

    /// Little-endian 32 bits at `base + field`.
    pub(super) fn le32(&self, base: u64, field: u64) -> Option<u32> {
        self.array(base.checked_add(field)).map(u32::from_le_bytes)
    }

    /// Little-endian 64 bits at `base + field`.
    pub(super) fn le64(&self, base: u64, field: u64) -> Option<u64> {
        self.array(base.checked_add(field)).map(u64::from_le_bytes)
    }

    /// Big-endian 16 bits at `base + field`.
    pub(super) fn be16(&self, base: u64, field: u64) -> Option<u16> {
        self.array(base.checked_add(field)).map(u16::from_be_bytes)
    }

    /// Big-endian 32 bits at `base + field`.
    pub(super) fn be32(&self, base: u64, field: u64) -> Option<u32> {
        self.array(base.checked_add(field)).map(u32::from_be_bytes)
    }

    /// Big-endian 64 bits at `base + field`.
    pub(super) fn be64(&self, base: u64, field: u64) -> Option<u64> {
        self.array(base.checked_add(field)).map(u64::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_found_and_the_middle_is_not() {
        let peek = Peek::new(Bytes(5000), &[1, 2, 3, 4], &[5, 6, 7, 8]);
        assert_eq!(peek.bytes(1, 3), Some(&[2u8, 3, 4][..]));
        assert_eq!(peek.le32(4604, 0), Some(0x0807_0605), "the tail ends at 4608, the last whole sector");
        assert_eq!((peek.bytes(2, 3), peek.bytes(4606, 3), peek.bytes(u64::MAX, 2)), (None, None, None));
    }

    #[test]
    fn bytes_outside_of_the_disk_are_left_out() {
        let peek = Peek::new(Bytes(513), &[1; 600], &[2; 600]);
        assert_eq!(peek.bytes(0, 513).map(<[u8]>::len), Some(513));
        assert_eq!(peek.bytes(1, 513), None);
        assert_eq!(Peek::new(Bytes(0), &[1; 600], &[2; 600]).bytes(0, 1), None);
    }
}
