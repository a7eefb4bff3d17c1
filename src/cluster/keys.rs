//! The cluster's secret and all that is derived from it. Every key that seals is used by one sender for one purpose in one
//! session, so that a counter is enough for a nonce (safety 1.8).

use core::fmt;

use hkdf::Hkdf;
use sha2::Sha256;

use crate::base::hex;
use crate::base::id::{ClusterId, NodeId};
use crate::format::frame::TAG_BYTES;

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Keys that are valid at once: one is rotated in while the other is still used.
pub const KEYS_MAX: usize = 2;
/// How a line of a key file begins.
const WORD: &str = "evms-key-1:";

/// Marks one life of one channel: random, never used again.
pub type SessionTag = [u8; TAG_BYTES];

/// The secret that all nodes of a cluster share.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterKey([u8; KEY_BYTES]);

impl fmt::Debug for ClusterKey {
    /// Says nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterKey")
    }
}

/// Why a key file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKeys {
    /// No key stands in it.
    None,
    /// More than two.
    TooMany,
    /// This line is no key.
    Line(usize),
}

impl fmt::Display for BadKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadKeys::None => write!(f, "there is no key in it"),
            BadKeys::TooMany => write!(f, "more than {KEYS_MAX} keys are in it"),
            BadKeys::Line(line) => write!(f, "line {line} is no key: '{WORD}' and 64 hex digits are wanted"),
        }
    }
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Heartbeats: the detector's own.
    Beats,
    /// Messages: the engine's own.
    Letters,
}

impl Purpose {
    fn word(self) -> &'static [u8] {
        match self {
            Purpose::Beats => b"beats",
            Purpose::Letters => b"letters",
        }
    }
}

impl ClusterKey {
    /// A key of random bytes.
    pub fn new(bytes: [u8; KEY_BYTES]) -> ClusterKey {
        ClusterKey(bytes)
    }

    /// The line of a key file.
    pub fn to_line(&self) -> String {
        [WORD, &hex::encode(&self.0)].concat()
    }

    /// One line of a key file.
    pub fn parse(line: &str) -> Option<ClusterKey> {
        let bytes = hex::decode(line.trim().strip_prefix(WORD)?)?;
        bytes.try_into().ok().map(ClusterKey)
    }

    /// All keys of a key file; the first one seals, every one opens. Empty lines and those with a `#` say nothing.
    pub fn parse_file(text: &str) -> Result<Vec<ClusterKey>, BadKeys> {
        let lines = text.lines().enumerate().filter(|(_, line)| {
            let line = line.trim();
            !line.is_empty() && !line.starts_with('#')
        });
        let keys = lines.map(|(at, line)| ClusterKey::parse(line).ok_or(BadKeys::Line(at + 1)));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        match keys.len() {
            0 => Err(BadKeys::None),
            1..=KEYS_MAX => Ok(keys),
            _ => Err(BadKeys::TooMany),
        }
    }

    fn derive<const N: usize>(&self, cluster: ClusterId, info: &[&[u8]]) -> [u8; N] {
        let mut out = [0; N];
        // The only error is to ask for more than 255 hashes' worth.
        let _ = Hkdf::<Sha256>::new(Some(&cluster.0), &self.0).expand_multi_info(info, &mut out);
        out
    }

    /// What a frame calls this key. It tells nothing of it.
    pub fn name(&self, cluster: ClusterId) -> [u8; 2] {
        self.derive(cluster, &[b"name"])
    }

    /// What greetings are sealed with.
    pub fn for_greetings(&self, cluster: ClusterId, purpose: Purpose) -> [u8; KEY_BYTES] {
        self.derive(cluster, &[b"greeting ", purpose.word()])
    }

    /// What a session seals for everybody.
    pub fn to_all(
        &self,
        cluster: ClusterId,
        purpose: Purpose,
        from: (NodeId, SessionTag),
    ) -> [u8; KEY_BYTES] {
        self.derive(cluster, &[b"all ", purpose.word(), &from.0.0.to_le_bytes(), &from.1])
    }

    /// What one session seals for another.
    pub fn to_one(
        &self,
        cluster: ClusterId,
        purpose: Purpose,
        from: (NodeId, SessionTag),
        to: (NodeId, SessionTag),
    ) -> [u8; KEY_BYTES] {
        let (from_id, to_id) = (from.0.0.to_le_bytes(), to.0.0.to_le_bytes());
        self.derive(cluster, &[b"one ", purpose.word(), &from_id, &from.1, &to_id, &to.1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: ClusterId = ClusterId([3; 16]);

    #[test]
    fn a_key_goes_through_its_file() {
        let (one, other) = (ClusterKey::new([0x5a; 32]), ClusterKey::new([1; 32]));
        let file = format!("# the new one\n{}\n\n  {}  \n", one.to_line(), other.to_line());
        assert_eq!(ClusterKey::parse_file(&file), Ok(vec![one.clone(), other.clone()]));
        assert_eq!(one.to_line(), format!("evms-key-1:{}", "5a".repeat(32)));
        assert_eq!(ClusterKey::parse_file("# nothing\n"), Err(BadKeys::None));
        let three = format!("{0}\n{0}\n{0}\n", one.to_line());
        assert_eq!(ClusterKey::parse_file(&three), Err(BadKeys::TooMany));
        for bad in ["evms-key-1:5a", "5a5a", &format!("evms-key-1:{}", "5g".repeat(32))] {
            assert_eq!(ClusterKey::parse_file(bad), Err(BadKeys::Line(1)), "{bad}");
        }
        assert_eq!(format!("{one:?}"), "ClusterKey");
    }

    #[test]
    fn no_two_purposes_share_a_key() {
        let key = ClusterKey::new([9; 32]);
        let (a, b) = ((NodeId(1), [1; 16]), (NodeId(2), [2; 16]));
        let mut all = Vec::new();
        for purpose in [Purpose::Beats, Purpose::Letters] {
            all.push(key.for_greetings(CLUSTER, purpose));
            all.push(key.to_all(CLUSTER, purpose, a));
            all.push(key.to_one(CLUSTER, purpose, a, b));
            all.push(key.to_one(CLUSTER, purpose, b, a));
        }
        all.push(key.for_greetings(ClusterId([4; 16]), Purpose::Beats));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    /// RFC 5869 by another implementation (openssl kdf HKDF): salt sixteen bytes of 3, key 32 of 9, info "name".
    #[test]
    fn derivation_is_hkdf() {
        assert_eq!(ClusterKey::new([9; 32]).name(CLUSTER), EXPECTED_NAME);
    }
    const EXPECTED_NAME: [u8; 2] = [0x73, 0x42];
}
