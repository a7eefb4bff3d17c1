//! volume

pub mod plugins;
