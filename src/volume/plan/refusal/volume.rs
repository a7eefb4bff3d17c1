//! Refusals that lie in a volume, or in what is free for it.

use core::fmt;

use super::Why;
use crate::base::failure::Kind;
use crate::base::id::DiskNumber;
use crate::base::name::Name;
use crate::base::units::{Bytes, Extents};
use crate::volume::plugins::region::{Decline, Shape};

/// Why the volume does not allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeWhy {
    /// There is none of this name.
    NotFound,
    /// It is there, and of another size.
    OtherSize {
        /// What it has.
        has: Bytes,
        /// What was asked, rounded.
        asked: Bytes,
    },
    /// It is there, and built otherwise.
    OtherShape {
        /// As it is.
        has: Shape,
        /// As was asked.
        asked: Shape,
    },
    /// It is there, and lies on a disk that was not asked.
    OtherDisk(DiskNumber),
    /// Another volume has the new name.
    NameTaken(Name),
    /// The region manager declines.
    Declined {
        /// Why.
        decline: Decline,
        /// Extents that would be free if they were out of quarantine.
        waiting: Extents,
    },
    /// The container has no such disk.
    UnknownDisk(DiskNumber),
    /// The disk misses commits or was removed.
    DiskGivesNot(DiskNumber),
    /// A share of the free space where a size is needed.
    Share,
    /// More, where less was asked for, or the other way round.
    WrongVerb {
        /// The verb that does it.
        verb: &'static str,
    },
    /// It is larger than what it shall grow to.
    WouldShrink {
        /// What it has.
        has: Bytes,
        /// What was asked, rounded.
        asked: Bytes,
    },
    /// It is smaller than what it shall shrink to.
    WouldGrow {
        /// What it has.
        has: Bytes,
        /// What was asked, rounded.
        asked: Bytes,
    },
    /// Nothing would be left of so many bytes.
    NothingLeft(Bytes),
    /// A size past 64 bits.
    TooLarge,
    /// The file system on it is larger.
    FileSystem {
        /// Its kind.
        name: String,
        /// The size that it states.
        states: Bytes,
        /// The size that the volume would have.
        new: Bytes,
    },
    /// What is on it is not known, and nobody consented to lose it.
    NoConsent {
        /// The size that the volume would have.
        new: Bytes,
    },
    /// The consent is about another size.
    OtherConsent {
        /// The size in the consent.
        consent: Bytes,
        /// The size that the volume would have.
        new: Bytes,
    },
}

impl fmt::Display for VolumeWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VolumeWhy::NotFound => write!(f, "there is no such volume"),
            VolumeWhy::OtherSize { has, asked } => {
                write!(f, "it exists with {} and {} was asked", has.human(), asked.human())
            }
            VolumeWhy::OtherShape { has, asked } => write!(f, "it exists as {has} and {asked} was asked"),
            VolumeWhy::OtherDisk(disk) => write!(f, "it exists and lies on disk {disk}, which was not asked"),
            VolumeWhy::NameTaken(name) => write!(f, "another volume is named {name}"),
            VolumeWhy::Declined { decline, waiting } if *waiting > Extents::ZERO => {
                write!(f, "{decline}; {} more wait until every holder lets go of them", waiting.0)
            }
            VolumeWhy::Declined { decline, .. } => write!(f, "{decline}"),
            VolumeWhy::UnknownDisk(disk) => write!(f, "the container has no disk {disk}"),
            VolumeWhy::DiskGivesNot(disk) => {
                write!(f, "disk {disk} is absent or removed and gives no extents")
            }
            VolumeWhy::Share => write!(f, "a share of the free space is no size to grow or shrink to"),
            VolumeWhy::WrongVerb { verb } => {
                write!(f, "the size asks for the opposite, which is 'volume {verb}'")
            }
            VolumeWhy::WouldShrink { has, asked } => {
                write!(f, "it has {}, more than {}", has.human(), asked.human())
            }
            VolumeWhy::WouldGrow { has, asked } => {
                write!(f, "it has {}, less than {}", has.human(), asked.human())
            }
            VolumeWhy::NothingLeft(has) => write!(f, "nothing of its {} would be left", has.human()),
            VolumeWhy::TooLarge => write!(f, "the size is past all disks"),
            VolumeWhy::FileSystem { name, states, new } => {
                write!(
                    f,
                    "the {name} on it states {} and the volume would have {}",
                    states.human(),
                    new.human()
                )
            }
            VolumeWhy::NoConsent { new } => {
                write!(f, "what is on it is not known and all beyond {} would be lost", new.human())
            }
            VolumeWhy::OtherConsent { consent, new } => {
                write!(
                    f,
                    "the consent is to lose what is beyond {} and the volume would have {}",
                    consent.human(),
                    new.human()
                )
            }
        }
    }
}

fn advice_on(decline: &Decline) -> &'static str {
    match decline {
        Decline::NoSpace { .. } => "ask for less, or add a disk with 'evms container expand'",
        Decline::NoColumns { .. } => {
            "ask for less or for fewer stripes, or add disks with 'evms container expand'"
        }
        Decline::StripeCount(_) | Decline::NotMine => "give another number of stripes",
        Decline::StripeUnit { .. } => "give another stripe size",
        Decline::UnitWithoutStripes(_) => "give --stripes too, or no stripe size",
        Decline::TooManyRuns(_) => "delete volumes around it, or add a disk",
        Decline::NothingLeft => "delete the volume if that is meant",
        Decline::Flawed(_) => "see 'evms check'",
    }
}

impl Why for VolumeWhy {
    fn advice(&self) -> &'static str {
        match self {
            VolumeWhy::NotFound => "'evms list volumes' shows what there is",
            VolumeWhy::OtherSize { .. } => {
                "change its size with 'evms volume expand' or 'shrink', or choose another name"
            }
            VolumeWhy::OtherShape { .. } | VolumeWhy::OtherDisk(_) | VolumeWhy::NameTaken(_) => {
                "choose another name"
            }
            VolumeWhy::Declined { decline, .. } => advice_on(decline),
            VolumeWhy::UnknownDisk(_) => "'evms info' of the container shows its disks",
            VolumeWhy::DiskGivesNot(_) => "name another disk, or bring this one back",
            VolumeWhy::Share => "write a size as in 10G, or +50%FREE to grow",
            VolumeWhy::WrongVerb { .. } => "use that verb if it is meant",
            VolumeWhy::WouldShrink { .. } => "use 'evms volume shrink' if that is meant",
            VolumeWhy::WouldGrow { .. } => "use 'evms volume expand' if that is meant",
            VolumeWhy::NothingLeft(_) => "use 'evms volume delete' if that is meant",
            VolumeWhy::TooLarge => "give a smaller size",
            VolumeWhy::FileSystem { .. } => "shrink the file system first",
            VolumeWhy::NoConsent { .. } | VolumeWhy::OtherConsent { .. } => {
                "say --lose-data-beyond with the new size if that is meant"
            }
        }
    }

    fn kind(&self) -> Kind {
        match self {
            VolumeWhy::NotFound | VolumeWhy::UnknownDisk(_) => Kind::NotFound,
            VolumeWhy::Share | VolumeWhy::WrongVerb { .. } => Kind::Usage,
            VolumeWhy::Declined {
                decline: Decline::UnitWithoutStripes(_) | Decline::StripeCount(_), ..
            } => Kind::Usage,
            VolumeWhy::Declined { decline: Decline::Flawed(_), .. } => Kind::Damage,
            _ => Kind::Refused,
        }
    }
}
