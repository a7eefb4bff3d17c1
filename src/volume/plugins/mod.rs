//! One room for each plug-in of the disk wing.
#![forbid(unsafe_code)]

pub mod foreign;
pub mod fsim;
pub mod glob;
pub mod local_disk;
mod peek;
