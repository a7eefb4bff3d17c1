//! Floor 2, the wing of disks: what stands on them, which copy counts, and how a change becomes one.
#![forbid(unsafe_code)]

pub mod choose;
pub mod commit;
pub mod discover;
pub mod mistake;
pub mod plugins;
pub mod request;
pub mod votes;
