//! The one line by which a machine joins a cluster: the secret, who the machine is, and the cluster.

use serde::{Deserialize, Serialize};

use crate::base::hex;
use crate::base::id::NodeUuid;
use crate::cluster::keys::ClusterKey;
use crate::cluster::roster::Roster;
use crate::format::seal;

/// What a token begins with.
pub const WORD: &str = "evms-join-1:";
/// Bytes of a checksum behind what it says: a line that lost its end on the way is told.
const CRC_BYTES: usize = 4;
/// Bytes of a token at most, as text.
pub const TOKEN_BYTES_MAX: usize = 64 * 1024;

/// All that a machine needs to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The line of the key file.
    pub key: String,
    /// The identity of the machine.
    pub machine: NodeUuid,
    /// The cluster, with that machine as a node.
    pub roster: Roster,
}

impl Token {
    /// The line.
    pub fn to_line(&self) -> String {
        // There is no value of it that postcard cannot write.
        let mut bytes = postcard::to_allocvec(self).unwrap_or_default();
        let crc = seal::crc(&bytes).to_le_bytes();
        bytes.extend_from_slice(&crc);
        [WORD, &hex::encode(&bytes)].concat()
    }

    /// Reads it; nothing where it is none, or not all of it.
    pub fn parse(line: &str) -> Option<Token> {
        let bytes = hex::decode(line.trim().strip_prefix(WORD)?)?;
        let (said, crc) = bytes.split_at_checked(bytes.len().checked_sub(CRC_BYTES)?)?;
        if seal::crc(said).to_le_bytes() != crc {
            return None;
        }
        let token: Token = postcard::from_bytes(said).ok()?;
        let is_whole = token.roster.check().is_ok() && token.roster.node_of(token.machine).is_some();
        (is_whole && ClusterKey::parse(&token.key).is_some()).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written_and_in_no_other_way() {
        let roster = Roster::parse(
            "cluster = \"c\"\nid = \"11111111-1111-4111-8111-111111111111\"\ngeneration = 4\n[[node]]\nid = 3\nname = \"n3\"\n\
             machine = \"22222222-2222-4222-8222-222222222222\"\nlinks = [\"10.0.0.3\"]\n",
        )
        .unwrap();
        let machine = NodeUuid::parse("22222222-2222-4222-8222-222222222222").unwrap();
        let token = Token { key: ClusterKey::new([7; 32]).to_line(), machine, roster };
        let line = token.to_line();
        assert_eq!(Token::parse(&format!("  {line}\n")), Some(token.clone()));
        for cut in [0, 5, WORD.len(), WORD.len() + 8, line.len() - 2, line.len() - 1] {
            assert_eq!(Token::parse(&line[..cut]), None, "{cut}");
        }
        let mut other = line.into_bytes();
        let last = other.len() - 20;
        other[last] = if other[last] == b'0' { b'1' } else { b'0' };
        assert_eq!(Token::parse(&String::from_utf8(other).unwrap()), None);
        let nobody = Token { machine: NodeUuid([9; 16]), ..token };
        assert_eq!(Token::parse(&nobody.to_line()), None);
    }
}
