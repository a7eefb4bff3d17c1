//! What daemons say to each other in messages: a version, then the value as postcard has it. A newer daemon's words that this
//! one does not know are answered as unknown, so that nodes one version apart work together.

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::format::control::{Reply, Request};

const VERSION: u8 = 1;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Letter {
    /// Somebody on another node asks this one.
    Ask(u64, Request),
    /// The answer to that.
    Answer(u64, Box<Reply>),
    /// Say the same back.
    Ping(u64, #[serde(with = "in_one_piece")] Vec<u8>),
    /// The same.
    Pong(u64, #[serde(with = "in_one_piece")] Vec<u8>),
    /// What was said is not known here.
    Unknown,
}

/// Bytes are written as any list, and not one by one: a large message costs a third less so.
mod in_one_piece {
    use core::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_bytes(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }
    }
}

/// Behind what stands there already; postcard's own way to append goes byte by byte too.
struct InOnePiece(Vec<u8>);

impl Flavor for InOnePiece {
    type Output = Vec<u8>;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

impl Letter {
    /// The bytes of it.
    pub fn encode(&self) -> Vec<u8> {
        // There is no value of it that postcard cannot write.
        postcard::serialize_with_flavor(self, InOnePiece(vec![VERSION])).unwrap_or_default()
    }

    /// Nothing when it is of another version, or none.
    pub fn decode(bytes: &[u8]) -> Option<Letter> {
        let (version, fields) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        postcard::from_bytes(fields).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        for letter in [Letter::Ask(7, Request::Status), Letter::Ping(1, vec![2; 300]), Letter::Unknown] {
            assert_eq!(Letter::decode(&letter.encode()), Some(letter));
        }
        assert_eq!(Letter::Ping(1, vec![9]).encode(), [1, 2, 1, 1, 9]);
        assert_eq!(Letter::decode(&[2, 4]), None);
        assert_eq!(Letter::decode(&[1, 99]), None);
        assert_eq!(Letter::decode(&[]), None);
    }
}
