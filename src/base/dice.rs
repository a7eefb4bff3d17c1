//! Randomness from one seed, handed in at the door; the same seed throws the same dice for ever, so a simulator
//! can replay a whole fight. SHA-256 in counter mode: slow enough not to be a toy, strong enough for identities.

use sha2::{Digest, Sha256};

/// A seeded generator.
#[derive(Clone, Debug)]
pub struct Dice {
    seed: [u8; 32],
    counter: u64,
}

impl Dice {
    /// Dice for this seed. On a real machine the seed is 32 bytes of the kernel's entropy.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    /// Dice for a small number: tests and simulators.
    pub fn from_number(number: u64) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        Self::from_seed(seed)
    }

    /// Sixteen random bytes.
    pub fn bytes16(&mut self) -> [u8; 16] {
        let mut hasher = Sha256::new();
        hasher.update(self.seed);
        hasher.update(self.counter.to_le_bytes());
        self.counter = self.counter.wrapping_add(1);
        let mut out = [0; 16];
        out.copy_from_slice(&hasher.finalize()[..16]);
        out
    }

    /// 64 random bits.
    pub fn number(&mut self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.bytes16();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// A number below `bound`; zero when `bound` is zero. The bias is below 2^-32 for bounds under 2^32.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.number() % bound }
    }
}
