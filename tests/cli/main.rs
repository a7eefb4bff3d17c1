//! The built program as a shell sees it: words in, words and an exit code out.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod bench;
mod containers;
mod copies;
mod cut_short;
mod damage;
mod deletion;
mod devices;
mod dist;
mod dry_run;
mod front;
mod help;
mod json;
mod man;
mod manners;
mod program;
mod refusals;
mod schema;
mod volumes;
mod world;
