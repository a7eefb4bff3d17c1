//! What kind of failure an error is. Each room has its own typed errors; every one of them answers this one
//! question, and `applets/exit.rs` alone turns the answer into an exit code (design section 9).

use core::fmt::Display;

/// The kinds of failure a user can tell apart by exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Refused for a reason that no other kind covers.
    Refused,
    /// The command line itself is wrong.
    Usage,
    /// No such container, volume, disk or copy.
    NotFound,
    /// This machine does not own it, or has no quorum for it.
    NotOwner,
    /// Metadata on a disk is damaged, or of a layout that this program does not know.
    Damage,
    /// A device failed, vanished, or did not answer in time.
    Device,
    /// The daemon cannot be reached.
    NoDaemon,
}

/// An error that can be shown to a person and mapped to an exit code. `Display` is one sentence: what was
/// refused, why, with values, whether anything was touched, and what to do next.
pub trait Failure: Display {
    /// The kind of this failure; decides the exit code.
    fn kind(&self) -> Kind;
}
