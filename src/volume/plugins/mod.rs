//! One file a plug-in.

pub mod glob;
pub mod local_disk;
