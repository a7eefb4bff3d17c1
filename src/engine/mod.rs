//! Floor 3: where the wings meet. Answers come in, operations go out; nothing here touches a disk, a clock or a wire.
//!
//! `guard` says whether this machine may touch this container and mints the permits without which no hand writes;
//! `change` walks one change from opening to the last wipe; `manager` is what a cluster is to everything else, `post` the
//! messages of the one that is built in, `questions` what nodes ask each other over any of them.
#![forbid(unsafe_code)]

pub mod author;
pub mod change;
pub mod guard;
pub mod manager;
pub mod post;
pub mod questions;
