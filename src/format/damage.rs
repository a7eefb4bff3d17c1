//! Why bytes from a disk were not believed. One enum for the floor: what is wrong is the same kind of thing in
//! every structure, and the structure is named beside it.

use core::fmt;

use crate::base::failure::{Failure, Kind};

/// The structure that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The first block of a disk, which tells other programs that it is taken.
    FirstBlock,
    /// A disk's label.
    Label,
    /// A node's own block.
    NodeBlock,
    /// A node's beat on a member disk.
    DiskBeat,
    /// A node's question on a member disk.
    Question,
    /// A node's own block on an arbitration disk.
    Arbitration,
    /// A slot's header.
    SlotHeader,
    /// A slot's body.
    SlotBody,
    /// A section of the model, by type number.
    Section(u16),
    /// A record of the history ring.
    History,
    /// The intent record.
    Intent,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::FirstBlock => write!(f, "first block"),
            What::Label => write!(f, "label"),
            What::NodeBlock => write!(f, "node block"),
            What::DiskBeat => write!(f, "disk beat"),
            What::Question => write!(f, "question"),
            What::Arbitration => write!(f, "arbitration block"),
            What::SlotHeader => write!(f, "slot header"),
            What::SlotBody => write!(f, "slot body"),
            What::Section(kind) => write!(f, "model section {kind}"),
            What::History => write!(f, "history record"),
            What::Intent => write!(f, "intent record"),
        }
    }
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// All zero: nothing was ever written here.
    Blank,
    /// Another magic: not ours.
    Foreign,
    /// The bytes do not fit their checksum: torn or rotten.
    Checksum,
    /// Shorter than its own account of itself.
    Short,
    /// Written in a version that this program does not know.
    Version(u16),
    /// These incompat feature bits are unknown.
    Incompat(u64),
    /// A field has a value that no writer writes; the field's name.
    Field(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Blank => write!(f, "is blank"),
            Fault::Foreign => write!(f, "has a foreign magic"),
            Fault::Checksum => write!(f, "does not fit its checksum (torn or rotten)"),
            Fault::Short => write!(f, "is shorter than it says"),
            Fault::Version(0) => write!(f, "has version 0, which no program writes"),
            Fault::Version(version) => write!(f, "has version {version}, newer than this program knows"),
            Fault::Incompat(bits) => {
                write!(f, "needs features that this program does not know (incompat {bits:#x})")
            }
            Fault::Field(name) => write!(f, "has an impossible value in '{name}'"),
        }
    }
}

/// A structure that was read and not believed. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The structure.
    pub what: What,
    /// What is wrong.
    pub fault: Fault,
}

impl Damage {
    /// A damage of `what`.
    pub fn new(what: What, fault: Fault) -> Self {
        Self { what, fault }
    }

    /// Was nothing ever written here?
    pub fn is_blank(&self) -> bool {
        self.fault == Fault::Blank
    }

    /// Was it written by a program that knows more? Then nothing beside it may be judged either: what it says may
    /// be newer than all that can be read here.
    pub fn is_newer(&self) -> bool {
        matches!(self.fault, Fault::Version(_) | Fault::Incompat(_))
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} {}", self.what, self.fault)
    }
}

impl std::error::Error for Damage {}

impl Failure for Damage {
    fn kind(&self) -> Kind {
        Kind::Damage
    }
}
