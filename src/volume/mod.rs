//! Floor 2: what storage is made of.

pub mod plugins;
