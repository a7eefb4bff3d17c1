//! The built program as a shell sees it: words in, words and an exit code out.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod front;
mod manners;
mod program;
