//! Where the dice get their seed: the kernel's generator, asked once at the door.

use core::fmt;
use nix::errno::Errno;

use crate::base::dice::Dice;
use crate::base::failure::{Failure, Kind};
use crate::host::sys;

/// The kernel gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy(pub Errno);

impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot make identities: the kernel gives no random bytes ({}); nothing was touched; \
             a kernel with getrandom (3.17 or later) is needed",
            self.0
        )
    }
}

impl std::error::Error for NoEntropy {}

impl Failure for NoEntropy {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

/// 32 bytes of the kernel's entropy.
pub fn seed() -> Result<[u8; 32], NoEntropy> {
    let mut seed = [0; 32];
    sys::fill_random(&mut seed).map_err(NoEntropy)?;
    Ok(seed)
}

/// Dice that fall differently each time.
pub fn dice() -> Result<Dice, NoEntropy> {
    seed().map(Dice::from_seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ() {
        assert_ne!(seed().unwrap(), seed().unwrap());
        assert_ne!(dice().unwrap().number(), dice().unwrap().number());
    }
}
