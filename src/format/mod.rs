//! Floor 1: bytes to values and back, the only place with offsets. `FORMAT.md` states every byte.
//!
//! Reading goes from doubt to trust by type: a block is *sealed* (crc fits), a label or slot is *parsed* (its
//! fields make sense), a model is *decoded* (its sections fit). Nothing here believes a length before it is bounded.
#![forbid(unsafe_code)]

pub mod cursor;
pub mod damage;
pub mod first_block;
pub mod history;
pub mod intent;
pub mod label;
pub mod layout;
mod list;
pub mod model;
pub mod node_block;
pub mod seal;
pub mod section;
pub mod slot;
