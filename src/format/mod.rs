#![doc = include_str!("FORMAT.md")]
#![forbid(unsafe_code)]

pub mod arbitration;
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
