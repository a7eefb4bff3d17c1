//! What came in at one end of the channels, and why what was dropped was.

use crate::base::time::BootTime;
use crate::cluster::channel::{Dropped, Heard};

/// Datagrams, by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken.
    pub taken: u64,
    /// No frames at all.
    pub no_frame: u64,
    /// Of other clusters.
    pub foreign: u64,
    /// Sealed by unknown keys.
    pub unknown_key: u64,
    /// Forged or damaged.
    pub bad_seal: u64,
    /// Taken before.
    pub replayed: u64,
    /// Of sessions that are not known or over.
    pub other_session: u64,
    /// Of machines that are no nodes, not the ones that they say to be, or copies.
    pub refused: u64,
    /// The last reason to drop that a person should know of, and when.
    pub last: Option<(Dropped, BootTime)>,
}

impl Counts {
    pub(super) fn note(&mut self, now: BootTime, heard: &Result<Heard, Dropped>) {
        let Err(dropped) = heard else {
            self.taken += 1;
            return;
        };
        let count = match dropped {
            Dropped::NoFrame(_) => &mut self.no_frame,
            Dropped::Foreign(_) => &mut self.foreign,
            Dropped::UnknownKey(_) => &mut self.unknown_key,
            Dropped::BadSeal(_) => &mut self.bad_seal,
            Dropped::Replayed(..) => &mut self.replayed,
            Dropped::OtherSession(_) => &mut self.other_session,
            _ => &mut self.refused,
        };
        *count += 1;
        // What the other links carry too, and what is under way while a session changes, is nobody's concern.
        if !matches!(dropped, Dropped::Replayed(..) | Dropped::OtherSession(_)) {
            self.last = Some((dropped.clone(), now));
        }
    }
}
