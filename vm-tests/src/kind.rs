//! Two kinds of machines, alike to a test: whole ones under an emulator, and ones whose kernel is a process of this machine.

use std::path::Path;

use crate::modules;
use crate::parts::Parts;

/// What a machine is made of.
///
/// | | emulated | user-mode |
/// |---|---|---|
/// | kernel | Debian's cloud kernel in QEMU | user-mode Linux, an ordinary process |
/// | speed | one tenth, and one processor each | that of this machine, less what system calls cost |
/// | disks | any | files, as `/dev/ubdX` |
/// | paused | its clocks stand still | its clocks run on, as when a processor is taken away from a machine |
/// | control | the emulator's | none |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// All of it, under QEMU.
    #[default]
    Emulated,
    /// Its kernel is a process, which has the machine's processes under ptrace.
    UserMode,
}

impl Kind {
    /// The folder of its kernel's modules, named after the version.
    pub(crate) fn modules(self, parts: &Parts) -> &Path {
        match self {
            Self::Emulated => &parts.modules,
            Self::UserMode => &parts.user_modules,
        }
    }

    /// What it loads at boot unless a plan says otherwise.
    pub(crate) fn usual(self) -> &'static [&'static str] {
        match self {
            Self::Emulated => modules::USUAL,
            Self::UserMode => modules::USUAL_USER_MODE,
        }
    }

    /// For a card in a network.
    pub(crate) fn network(self) -> &'static [&'static str] {
        match self {
            Self::Emulated => modules::NETWORK,
            Self::UserMode => &[],
        }
    }

    /// For the line of events.
    pub(crate) fn events(self) -> &'static [&'static str] {
        match self {
            Self::Emulated => modules::EVENTS,
            Self::UserMode => &[],
        }
    }
}
