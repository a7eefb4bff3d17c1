//! One room for each plug-in of the disk wing.
#![forbid(unsafe_code)]

pub mod foreign;
pub mod fsim;
mod peek;
