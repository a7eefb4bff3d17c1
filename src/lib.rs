#![doc = include_str!("ARCHITECTURE.md")]

pub mod base;
pub mod cluster;
pub mod engine;
pub mod format;
pub mod host;
pub mod run;
pub mod volume;
