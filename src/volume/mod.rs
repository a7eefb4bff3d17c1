//! Floor 2, the wing of disks.
#![forbid(unsafe_code)]
pub mod request;
