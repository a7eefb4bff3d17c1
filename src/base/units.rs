//! Sizes and places, each a type of its own so that sectors are never added to bytes.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Bytes of one sector, the unit of every offset on disk (design section 4).
pub const SECTOR_BYTES: u64 = 512;
/// Bytes of one block: every read and write on a member disk is a multiple of this and aligned to it.
pub const BLOCK_BYTES: u64 = 4096;
/// One KiB.
pub const KIB: u64 = 1024;
/// One MiB.
pub const MIB: u64 = 1024 * KIB;
/// One GiB.
pub const GIB: u64 = 1024 * MIB;

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// The sum, or `None` past 64 bits.
            pub fn plus(self, other: Self) -> Option<Self> { self.0.checked_add(other.0).map(Self) }

            /// The difference, or `None` below zero.
            pub fn minus(self, other: Self) -> Option<Self> { self.0.checked_sub(other.0).map(Self) }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, concat!("{} ", $word), self.0) }
        }
    };
}

unit!(/// A count of bytes.
    Bytes, "bytes");
unit!(/// A count of 512-byte sectors.
    Sectors, "sectors");
unit!(/// A count of extents; how long one is, the container records.
    Extents, "extents");

impl Sectors {
    /// The same length in bytes, or `None` past 64 bits.
    pub fn to_bytes(self) -> Option<Bytes> {
        self.0.checked_mul(SECTOR_BYTES).map(Bytes)
    }
}

impl Bytes {
    /// Whole sectors in this length; a part of a sector at the end is not counted.
    pub fn whole_sectors(self) -> Sectors {
        Sectors(self.0 / SECTOR_BYTES)
    }

    /// This length cut down to a multiple of `unit` bytes (`unit` > 0).
    pub fn round_down(self, unit: u64) -> Bytes {
        Bytes(self.0 - self.0 % unit)
    }

    /// For people: the largest binary unit with at most two decimals, exact ones without.
    pub fn human(self) -> Human {
        Human(self.0)
    }
}

/// Prints a byte count as people write it: `1.5 GiB`, `512 KiB`, `37 B`.
#[derive(Clone, Copy, Debug)]
pub struct Human(u64);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(&str, u32); 6] =
            [("EiB", 60), ("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        for (name, shift) in NAMES {
            let unit = 1u64 << shift;
            if self.0 >= unit {
                let hundredths = (u128::from(self.0) * 100 / u128::from(unit)) as u64;
                return match (hundredths / 100, hundredths % 100) {
                    (whole, 0) => write!(f, "{whole} {name}"),
                    (whole, part) if part % 10 == 0 => write!(f, "{whole}.{} {name}", part / 10),
                    (whole, part) => write!(f, "{whole}.{part:02} {name}"),
                };
            }
        }
        write!(f, "{} B", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_as_people_write_them() {
        for (bytes, text) in [
            (37, "37 B"),
            (512 * KIB, "512 KiB"),
            (GIB + GIB / 2, "1.5 GiB"),
            (u64::MAX, "15.99 EiB"),
            (0, "0 B"),
        ] {
            assert_eq!(Bytes(bytes).human().to_string(), text);
        }
    }
}
