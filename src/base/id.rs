//! Identities: 16 random bytes each (UUIDv4), one type per thing so that a disk is never taken for a volume.

use core::fmt;
use serde::{Deserialize, Serialize};

use crate::base::dice::Dice;

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// No such thing: all bytes zero.
            pub const NONE: Self = Self([0; 16]);

            /// A new random identity (UUIDv4).
            pub fn random(dice: &mut Dice) -> Self {
                Self(uuid::Builder::from_random_bytes(dice.bytes16()).into_uuid().into_bytes())
            }

            /// Is this the identity of nothing?
            pub fn is_none(self) -> bool { self.0 == [0; 16] }

            /// Reads 32 hex digits, with or without dashes.
            pub fn parse(text: &str) -> Option<Self> {
                uuid::Uuid::try_parse(text.trim()).ok().map(|uuid| Self(uuid.into_bytes()))
            }

            /// The first eight hex digits, for people and for dm names.
            pub fn short(self) -> String {
                let [a, b, c, d, ..] = self.0;
                format!("{a:02x}{b:02x}{c:02x}{d:02x}")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", uuid::Uuid::from_bytes(self.0).hyphenated())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }
    };
}

uuid_type!(/// A cluster container.
    ContainerId);
uuid_type!(/// A member disk of a container.
    DiskId);
uuid_type!(/// A region: storage that a region manager made from extents.
    RegionId);
uuid_type!(/// A volume.
    VolumeId);
uuid_type!(/// A machine, for ever: `/etc/evms/node` or `evms.node=` (safety 3.1).
    NodeUuid);
uuid_type!(/// A cluster; `NONE` is standalone.
    ClusterId);
uuid_type!(/// One boot of a node as cluster member; a local command without daemon is one of its own (safety 1.7).
    Incarnation);

/// A node's small number: 1..=64 today ([`crate::base::limits::NODE_ID_MAX`]), 16 bits on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub u16);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A disk's number in its container: small, never used twice in one container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DiskNumber(pub u16);

impl fmt::Display for DiskNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_version_four_and_round_trip() {
        let id = ContainerId::random(&mut Dice::from_seed([7; 32]));
        assert_eq!(id.0[6] >> 4, 4);
        assert_eq!(id.0[8] >> 6, 0b10);
        assert_eq!(ContainerId::parse(&id.to_string()), Some(id));
        assert_eq!(ContainerId::parse("not an id"), None);
    }
}
