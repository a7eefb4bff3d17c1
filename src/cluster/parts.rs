//! A beat of a large cluster is longer than a datagram: it goes in parts, each sealed for itself. Only the newest beat of a
//! node is put together; of an older one nobody waits for the rest.
//!
//! ```text
//! offset bytes what
//!      0     4 which beat, counted by the sender; little-endian
//!      4     1 which part of it, from zero
//!      5     1 how many parts it has
//!      6     … the part
//! ```

use crate::format::cursor::{Reader, Writer};
use crate::format::frame::PAYLOAD_BYTES;

/// Bytes in front of a part.
const HEAD_BYTES: usize = 6;
/// Bytes of one part.
const PART_BYTES: usize = PAYLOAD_BYTES - HEAD_BYTES;
/// Parts of one beat at most: with 64 nodes it has less than four thousand bytes.
pub const PARTS_MAX: usize = 8;

/// A beat in parts; empty when it is too long to be one.
pub fn split(which: u32, bytes: &[u8]) -> Vec<Vec<u8>> {
    let parts = bytes.chunks(PART_BYTES);
    let count = parts.len();
    if count > PARTS_MAX {
        return Vec::new();
    }
    let one = |(part, bytes): (usize, &[u8])| {
        let mut writer = Writer::new();
        // Both are less than nine.
        writer.u32(which).u8(part as u8).u8(count as u8).bytes(bytes);
        writer.finish()
    };
    parts.enumerate().map(one).collect()
}

/// The newest beat of one node, as far as it is here.
#[derive(Clone, Debug, Default)]
pub struct Joining {
    which: u32,
    parts: Vec<Option<Vec<u8>>>,
}

impl Joining {
    /// Takes a part; the whole when it is.
    pub fn take(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Reader::new(payload);
        let (which, part, count) = (reader.u32()?, usize::from(reader.u8()?), usize::from(reader.u8()?));
        if !(1..=PARTS_MAX).contains(&count) || part >= count {
            return None;
        }
        if which != self.which || self.parts.len() != count {
            // Counters go round after thirteen years.
            let newer = self.parts.is_empty() || which.wrapping_sub(self.which) as i32 > 0;
            if !newer {
                return None;
            }
            (self.which, self.parts) = (which, vec![None; count]);
        }
        *self.parts.get_mut(part)? = Some(reader.rest().to_vec());
        let all = self.parts.iter().map(Option::as_deref).collect::<Option<Vec<_>>>()?;
        Some(all.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_split_is_joined_in_any_order() {
        for length in [1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7, PARTS_MAX * PART_BYTES] {
            let bytes = (0..length).map(|at| at as u8).collect::<Vec<_>>();
            let mut parts = split(7, &bytes);
            assert!(parts.iter().all(|part| part.len() <= PAYLOAD_BYTES));
            parts.reverse();
            let mut joining = Joining::default();
            let joined = parts.iter().filter_map(|part| joining.take(part)).collect::<Vec<_>>();
            assert_eq!(joined, [bytes]);
        }
        assert!(split(7, &vec![0; PARTS_MAX * PART_BYTES + 1]).is_empty());
    }

    #[test]
    fn only_the_newest_is_put_together() {
        let long = vec![1; 2 * PART_BYTES];
        let (old, new) = (split(u32::MAX, &long), split(0, &long));
        let mut joining = Joining::default();
        assert_eq!(joining.take(&old[0]), None);
        assert_eq!(joining.take(&new[0]), None);
        assert_eq!(joining.take(&old[1]), None, "older");
        assert_eq!(joining.take(&new[1]), Some(long));
        for bad in [&[][..], &[0; 5], &[1, 0, 0, 0, 0, 0], &[1, 0, 0, 0, 2, 2], &[1, 0, 0, 0, 0, 9]] {
            assert_eq!(joining.take(bad), None);
        }
    }
}
