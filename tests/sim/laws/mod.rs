//! The laws, one a file. Each is asked after every event.

pub mod agreement;
pub mod cold_start;
pub mod delivery;
pub mod healing;
pub mod identity;
pub mod one_quorum;
pub mod progress;

/// A law that was broken, in words.
#[derive(Clone, Debug)]
pub struct Broken {
    pub law: &'static str,
    pub words: String,
}
