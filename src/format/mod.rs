#![doc = include_str!("FORMAT.md")]
#![forbid(unsafe_code)]

pub mod arbitration;
pub mod control;
pub mod cursor;
pub mod damage;
pub mod disk_beat;
pub mod first_block;
pub mod frame;
pub mod greeting;
pub mod history;
pub mod intent;
pub mod label;
pub mod layout;
pub mod letter;
mod list;
pub mod model;
pub mod node_block;
pub mod packet;
pub mod seal;
pub mod section;
pub mod slot;
