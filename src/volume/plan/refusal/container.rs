//! Refusals that lie in the container as it is, or as it would become.

use core::fmt;

use super::Why;
use crate::base::failure::Kind;
use crate::base::name::Name;
use crate::base::units::Bytes;
use crate::format::model::ContainerKind;
use crate::volume::check::{Broken, kind_word};
use crate::volume::room::Fill;

/// Why the container does not allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContainerWhy {
    /// A newer program wrote parts that forbid writing.
    ReadOnly,
    /// The present model breaks a law.
    Damaged(Box<Broken>),
    /// The next model would pass a limit.
    Beyond(Box<Broken>),
    /// The next model would break a law: a mistake of this program.
    Defect(Box<Broken>),
    /// Another machine owns it.
    NotOwner {
        /// Who does.
        owner: String,
        /// Who asks.
        asker: String,
    },
    /// This life of the machine was expelled from it.
    Expelled,
    /// Other machines may still write to it.
    Held {
        /// How many.
        others: usize,
    },
    /// Nobody may use it.
    Deported,
    /// It is being deleted.
    Deleted,
    /// An administrator suspended it, and what lives of it would have to take what is asked.
    Suspended,
    /// It is to be deleted and has volumes, so many; the first of them.
    HasVolumes {
        /// How many.
        count: usize,
        /// Names of some of them.
        some: Vec<Name>,
    },
    /// The machine that shall own it has no identity.
    NoIdentity,
    /// An owner was named for a container that is to have none.
    OwnerOf(ContainerKind),
    /// An extent that is not possible.
    Extent {
        /// What was asked.
        asked: Bytes,
        /// The smallest.
        least: Bytes,
        /// The largest.
        most: Bytes,
    },
    /// All generations are used up.
    NoGeneration,
    /// The next model does not fit the slots.
    Full(Fill),
}

impl fmt::Display for ContainerWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContainerWhy::ReadOnly => {
                write!(f, "a newer evms wrote parts of its model that this one must not change")
            }
            ContainerWhy::Damaged(broken) => write!(f, "its model is damaged: {broken}"),
            ContainerWhy::Beyond(broken) => write!(f, "a limit would be passed: {broken}"),
            ContainerWhy::Defect(broken) => write!(f, "the planned model is not lawful: {broken}"),
            ContainerWhy::NotOwner { owner, asker } => {
                write!(f, "it is private to {owner} and this machine is {asker}")
            }
            ContainerWhy::Expelled => write!(f, "this machine was expelled from it in this life"),
            ContainerWhy::Held { others } => {
                let machines = if *others == 1 { "machine" } else { "machines" };
                write!(f, "{others} other {machines} may still write to it")
            }
            ContainerWhy::Deported => write!(f, "it is deported and nobody may use it"),
            ContainerWhy::Deleted => write!(f, "it is being deleted"),
            ContainerWhy::Suspended => write!(f, "an administrator suspended it"),
            ContainerWhy::HasVolumes { count, some } => {
                let names = some.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
                let more = count.saturating_sub(some.len());
                write!(f, "it has volumes ({names}")?;
                if more > 0 { write!(f, " and {more} more)") } else { write!(f, ")") }
            }
            ContainerWhy::NoIdentity => write!(f, "the machine that shall own it has no identity"),
            ContainerWhy::OwnerOf(kind) => {
                write!(f, "an owner was named and a {} container has none", kind_word(*kind))
            }
            ContainerWhy::Extent { asked, least, most } => write!(
                f,
                "an extent of {} is not possible, it is a multiple of 1 MiB from {} to {}",
                asked.human(),
                least.human(),
                most.human()
            ),
            ContainerWhy::NoGeneration => write!(f, "its generations are used up"),
            ContainerWhy::Full(fill) => {
                write!(f, "its model would need {} and its slots hold {}", fill.used.human(), fill.of.human())
            }
        }
    }
}

impl Why for ContainerWhy {
    fn advice(&self) -> &'static str {
        match self {
            ContainerWhy::ReadOnly => "use the newer evms",
            ContainerWhy::Damaged(_) => "see 'evms check'",
            ContainerWhy::Beyond(_) | ContainerWhy::Full(_) => {
                "delete what is not needed, or use a second container"
            }
            ContainerWhy::Defect(_) => "this is a mistake in evms, please report it",
            ContainerWhy::NotOwner { .. } => {
                "ask on the owner, or take it over with 'evms container takeover'"
            }
            ContainerWhy::Expelled => "restart evmsd, so that the machine joins again",
            ContainerWhy::Held { .. } => "deactivate it there first",
            ContainerWhy::Deported => "import it first with 'evms container import'",
            ContainerWhy::Deleted => "finish that with 'evms container delete'",
            ContainerWhy::Suspended => "let it go on first with 'evms-fence resume'",
            ContainerWhy::HasVolumes { .. } => "delete them first with 'evms volume delete'",
            ContainerWhy::NoIdentity => "write one to /etc/evms/node, or give evms.node= on the kernel line",
            ContainerWhy::OwnerOf(_) => "leave out the owner, or ask for a private container",
            ContainerWhy::Extent { .. } => "give another extent size",
            ContainerWhy::NoGeneration => "move the data to a new container",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            ContainerWhy::ReadOnly | ContainerWhy::Damaged(_) => Kind::Damage,
            ContainerWhy::NotOwner { .. }
            | ContainerWhy::Expelled
            | ContainerWhy::Deported
            | ContainerWhy::Deleted => Kind::NotOwner,
            ContainerWhy::OwnerOf(_) | ContainerWhy::Extent { .. } => Kind::Usage,
            _ => Kind::Refused,
        }
    }
}
