//! A bounds-checked little-endian reader and writer; nothing else in the house indexes raw bytes by hand.

/// Reads fields one after the other; `None` once the bytes are used up.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next 16 bits.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Is all that was not read yet zero? Where it is not, a newer writer put something there.
    pub fn rest_is_zero(&self) -> bool {
        is_zero(self.rest)
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Words that are looked at in one go.
const GO: usize = 8;

/// The words of a go, and what is left of the bytes behind the last go.
fn in_goes(bytes: &[u8]) -> (&[[[u8; 8]; GO]], &[u8]) {
    let (words, _) = bytes.as_chunks::<8>();
    let (goes, _) = words.as_chunks::<GO>();
    (goes, bytes.get(goes.len() * GO * 8..).unwrap_or_default())
}

/// Are all bytes zero? Most of every block is: looked at many at a time, written out because a loop over so few words costs
/// more than the words.
pub fn is_zero(bytes: &[u8]) -> bool {
    let (goes, rest) = in_goes(bytes);
    let one = |word: &[u8; 8]| u64::from_ne_bytes(*word);
    let seen = |[a, b, c, d, e, f, g, h]: &[[u8; 8]; GO]| {
        one(a) | one(b) | one(c) | one(d) | one(e) | one(f) | one(g) | one(h)
    };
    goes.iter().all(|go| seen(go) == 0) && rest.iter().all(|&byte| byte == 0)
}

/// Are these the same bytes? Eight at a time, where the C library of a static binary goes one by one.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let same = |(word, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*word) == u64::from_ne_bytes(*other);
    one.len() == other.len() && words.iter().zip(other_words).all(same) && rest == other_rest
}

/// Writes fields one after the other.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts empty, with room for so many bytes: what is made for every packet is made in one piece.
    pub fn with_room(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    /// Appends 16 bits.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Appends 32 bits.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// Appends 64 bits.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    /// How many bytes were written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Was nothing written yet?
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_at_every_length() {
        for length in 0..40 {
            let zero = vec![0; length];
            assert!(is_zero(&zero) && is_same(&zero, &zero));
            assert!(!is_same(&zero, &vec![0; length + 1]));
            for at in 0..length {
                let mut other = zero.clone();
                other[at] = 1;
                assert!(!is_zero(&other) && !is_same(&zero, &other), "byte {at} of {length}");
            }
        }
    }
}
