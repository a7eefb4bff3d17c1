//! What two sessions tell each other before anything else, encrypted (`frame` says what stands around it).
//!
//! ```text
//! offset bytes what
//!      0     1 oldest version of messages that the sender speaks
//!      1     1 newest
//!      2     1 1 when the sender knows that the receiver knows it, else 0
//!      3     1 reserved, ignored
//!      4    16 machine
//!     20    16 incarnation
//!     36     8 session
//!     44     8 generation of the sender's configuration
//!     52    16 hash of that
//!     68    16 challenge: whoever echoes it answers now and not last week
//!     84    16 echo of the receiver's challenge, or zero
//!    100     4 session of the receiver that the sender knows: the first bytes of its tag, or zero
//! ```
//! More behind it is a newer program's, and ignored.

use crate::base::hash::Hash128;
use crate::base::id::{Incarnation, NodeUuid};
use crate::format::cursor::{Reader, Writer};

/// Versions of what is said between nodes that this program speaks, oldest and newest: in greetings, and in front of beats.
pub const VERSIONS: (u8, u8) = (1, 1);

/// The newest version that two programs both speak, and by which they talk to each other (F29); nothing when there is none.
pub fn shared_version(one: (u8, u8), other: (u8, u8)) -> Option<u8> {
    let (oldest, newest) = (one.0.max(other.0), one.1.min(other.1));
    (oldest <= newest).then_some(newest)
}

/// Random bytes that an answer has to repeat.
pub type Challenge = [u8; 16];

/// A greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Oldest and newest version of messages that the sender speaks.
    pub versions: (u8, u8),
    /// The machine.
    pub machine: NodeUuid,
    /// Its boot.
    pub incarnation: Incarnation,
    /// Which life of its daemon.
    pub session: u64,
    /// Its configuration's generation.
    pub generation: u64,
    /// The hash of its configuration.
    pub configuration: Hash128,
    /// To be echoed.
    pub challenge: Challenge,
    /// The receiver's challenge, as it was heard last; zero when none was.
    pub echo: Challenge,
    /// The beginning of the tag of the receiver's session that the sender knows, or zero.
    pub knows: [u8; 4],
    /// Does the sender know that the receiver knows it? Then no answer is wanted.
    pub is_known: bool,
}

impl Greeting {
    /// The bytes of it.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(self.versions.0).u8(self.versions.1).u8(self.is_known.into()).u8(0);
        writer.bytes(&self.machine.0).bytes(&self.incarnation.0).u64(self.session).u64(self.generation);
        writer.bytes(&self.configuration.0).bytes(&self.challenge).bytes(&self.echo).bytes(&self.knows);
        writer.finish()
    }

    /// Nothing when it is too short.
    pub fn decode(bytes: &[u8]) -> Option<Greeting> {
        let mut reader = Reader::new(bytes);
        let versions = (reader.u8()?, reader.u8()?);
        let is_known = reader.u8()? == 1;
        reader.u8()?;
        Some(Greeting {
            is_known,
            versions,
            machine: NodeUuid(reader.array()?),
            incarnation: Incarnation(reader.array()?),
            session: reader.u64()?,
            generation: reader.u64()?,
            configuration: Hash128(reader.array()?),
            challenge: reader.array()?,
            echo: reader.array()?,
            knows: reader.array()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_programs_talk_by_the_newest_version_that_both_know() {
        let cases = [((1, 1), (1, 1), Some(1)), ((1, 1), (1, 2), Some(1)), ((1, 3), (2, 4), Some(3))];
        for (one, other, wanted) in
            cases.into_iter().chain([((1, 1), (2, 3), None), ((1, 9), (0, 0), None), ((1, 1), (5, 0), None)])
        {
            assert_eq!(shared_version(one, other), wanted, "{one:?} {other:?}");
            assert_eq!(shared_version(other, one), wanted, "{other:?} {one:?}");
        }
    }

    #[test]
    fn a_greeting_is_what_the_table_says() {
        let greeting = Greeting {
            versions: (1, 2),
            machine: NodeUuid([3; 16]),
            incarnation: Incarnation([4; 16]),
            session: 5,
            generation: 6,
            configuration: Hash128([7; 16]),
            challenge: [8; 16],
            echo: [9; 16],
            knows: [10; 4],
            is_known: true,
        };
        let bytes = greeting.encode();
        assert_eq!(bytes.len(), 104);
        for (at, wanted) in
            [(0, 1), (1, 2), (2, 1), (4, 3), (20, 4), (36, 5), (44, 6), (52, 7), (68, 8), (84, 9), (100, 10)]
        {
            assert_eq!(bytes[at], wanted, "offset {at}");
        }
        assert_eq!(Greeting::decode(&[&bytes[..], b"newer"].concat()), Some(greeting));
        assert_eq!(Greeting::decode(&bytes[..103]), None);
    }
}
