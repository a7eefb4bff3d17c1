//! format

pub mod first_block;
