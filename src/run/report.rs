//! What commands answer: plain values with stable names, printed as text or as JSON by the applets.

use serde::Serialize;

/// One write, as a person or a program may want to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriteLine {
    /// The device or file.
    pub disk: String,
    /// First sector of 512 bytes.
    pub sector: u64,
    /// How many sectors.
    pub sectors: u64,
    /// What is written there.
    pub what: &'static str,
}

/// What a changing command did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// In words, one sentence without a full stop.
    pub done: String,
    /// Nothing was to be done.
    pub already_so: bool,
    /// Nothing was written: the writes are what would be.
    pub dry_run: bool,
    /// The container's name after it.
    pub container: String,
    /// Epoch of the commit, as a number; 0 when nothing was committed.
    pub epoch: u64,
    /// Generation of the commit.
    pub generation: u64,
    /// Things to know besides: disks that missed the commit, labels that could not be wiped.
    pub notes: Vec<String>,
    /// Every write of a dry run.
    pub writes: Vec<WriteLine>,
}
