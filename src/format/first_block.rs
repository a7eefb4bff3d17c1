//! The first block of a member disk.

use crate::base::units::Bytes;

/// The block.
pub fn encode(_size: Bytes) -> [u8; 4096] { [0; 4096] }
