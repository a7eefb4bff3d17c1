//! Feature masks of the on-disk format (design section 4).

use core::fmt;
use serde::{Deserialize, Serialize};

/// Three masks of 64 feature bits: what an older program may ignore, may only read past, and must not open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    /// Unknown bits here are harmless; what they mean is preserved on rewrite.
    pub compat: u64,
    /// Unknown bits here: may be shown, never written.
    pub ro_compat: u64,
    /// Unknown bits here: not opened, and not counted as a vote.
    pub incompat: u64,
}

/// What may be done with something that carries features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and write.
    Full,
    /// Show only: these ro-compat bits are unknown.
    ReadOnly(u64),
    /// Leave alone: these incompat bits are unknown.
    Refused(u64),
}

impl Features {
    /// What a program that knows `known` may do here.
    pub fn access(self, known: Features) -> Access {
        match (self.incompat & !known.incompat, self.ro_compat & !known.ro_compat) {
            (0, 0) => Access::Full,
            (0, bits) => Access::ReadOnly(bits),
            (bits, _) => Access::Refused(bits),
        }
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "compat {:#x}, ro-compat {:#x}, incompat {:#x}", self.compat, self.ro_compat, self.incompat)
    }
}
