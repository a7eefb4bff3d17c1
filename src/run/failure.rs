//! Why a command failed: the errors of all rooms below, and the few of this floor. Each is one sentence: what was
//! refused, why, with values, whether anything was touched, what to do next.

use std::fmt;
use std::path::PathBuf;

use crate::base::epoch::{Epoch, Order};
use crate::base::failure::{Failure, Kind};
use crate::base::id::{ContainerId, DiskNumber};
use crate::base::units::Bytes;
use crate::engine::author::Why;
use crate::engine::change::Halted;
use crate::engine::guard::{Denied, NoPermit};
use crate::format::damage::Damage;
use crate::format::layout::LayoutError;
use crate::host::disk_error::DiskError;
use crate::host::dm::DmError;
use crate::host::entropy::NoEntropy;
use crate::host::file_system::GrowError;
use crate::host::identity::IdentityError;
use crate::run::live::failure::LiveError;
use crate::run::scene::SceneError;
use crate::volume::choose::Unchosen;
use crate::volume::commit::Unopened;
use crate::volume::discover::{self, Found, Read};
use crate::volume::plan::Refusal;
use crate::volume::votes::Tally;

/// Why a command failed.
#[derive(Debug)]
pub enum RunError {
    /// Devices could not be made, or are not as they should be.
    Live(LiveError),
    /// Looking failed.
    Scene(SceneError),
    /// A disk failed.
    Disk(DiskError),
    /// No random numbers.
    Entropy(NoEntropy),
    /// This machine's identity cannot be read.
    Identity(IdentityError),
    /// The guard denied it.
    Denied(Denied),
    /// The planner refused it.
    Refused(Box<Refusal>),
    /// `--as` with block devices.
    ActingOnDevices,
    /// No such container, volume or disk.
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// The name given.
        name: String,
        /// What to look at.
        hint: String,
    },
    /// Several containers have this name.
    Ambiguous {
        /// The name.
        name: String,
        /// Their identities.
        ids: Vec<ContainerId>,
    },
    /// A disk that was named cannot be taken.
    Taken {
        /// The disk.
        path: PathBuf,
        /// Why, beginning with "it".
        why: String,
        /// What to do.
        next: String,
    },
    /// A disk is too small.
    TooSmall {
        /// The disk.
        path: PathBuf,
        /// Why no layout fits.
        error: LayoutError,
    },
    /// Metadata that cannot be used.
    Unusable {
        /// The container or disk.
        name: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Two contents under one order.
    Conflict {
        /// The container.
        name: String,
        /// The order.
        order: Order,
        /// One side.
        one: String,
        /// The other side.
        other: String,
    },
    /// One identity twice.
    Clones {
        /// The container.
        name: String,
        /// The disks that are one by their labels, with their WWIDs.
        paths: Vec<String>,
    },
    /// Too few disks.
    NoMajority {
        /// The container.
        name: String,
        /// Votes.
        tally: Tally,
        /// Disks that are not here.
        missing: Vec<DiskNumber>,
    },
    /// Something unknown stands at the front of one of its disks.
    StrangeFront {
        /// The container.
        name: String,
        /// The disk's number.
        disk: DiskNumber,
        /// The disk.
        path: PathBuf,
    },
    /// Another machine opens it.
    Superseded {
        /// The container.
        name: String,
        /// Its epoch.
        epoch: Epoch,
        /// Was anything written?
        touched: bool,
    },
    /// Its permit ended within a change.
    Stopped {
        /// The container.
        name: String,
        /// Which write was not made, and why.
        why: NoPermit,
        /// Does a copy of what it would have become stand on a disk?
        in_doubt: bool,
    },
    /// A commit is in doubt.
    InDoubt {
        /// The container.
        name: String,
        /// The order in doubt.
        order: Order,
        /// Votes.
        tally: Tally,
        /// What the disks said.
        errors: Vec<DiskError>,
    },
    /// The model does not fit.
    TooLarge {
        /// The container.
        name: String,
        /// Bytes it needs.
        needed: Bytes,
        /// Bytes there are.
        room: Bytes,
    },
    /// Device-mapper did not do it.
    Dm(DmError),
    /// The volume grew and its file system did not.
    FileSystem {
        /// The volume.
        volume: String,
        /// Why.
        error: GrowError,
    },
    /// Anything else that is refused, as a whole sentence.
    Sentence(Kind, String),
}

impl RunError {
    /// A sentence of a kind.
    pub fn say(kind: Kind, text: impl Into<String>) -> RunError {
        RunError::Sentence(kind, text.into())
    }

    /// What a copy that could not be chosen means to a user.
    pub fn unchosen(name: &str, why: &Unchosen) -> RunError {
        let name = name.to_string();
        match why {
            Unchosen::Nothing => RunError::Unusable {
                name,
                why: "its disks are labelled and none of those found holds a whole copy of its model; nothing was \
                      written; bring its other disks, or use the disks anew with --wipe evms"
                    .into(),
            },
            Unchosen::Conflict { order, one, other } => RunError::Conflict {
                name,
                order: *order,
                one: format!("disk {} holds {}", one.0, one.1.short()),
                other: format!("disk {} holds {}", other.0, other.1.short()),
            },
            Unchosen::Unreadable { disk, damage } => RunError::Unusable {
                name,
                why: format!("on disk {disk} {damage}; nothing was written; {}", unreadable_next(damage)),
            },
        }
    }

    /// Some disks say that the container was deleted for good, and a majority never heard of it.
    pub fn contradicted(name: &str, found: &Found) -> RunError {
        let (gone, living): (Vec<_>, Vec<_>) =
            found.disks.iter().partition(|read| discover::says_deleted(read));
        let numbers =
            |reads: Vec<&Read>| list(&reads.iter().map(|read| read.copies.number).collect::<Vec<_>>());
        RunError::say(
            Kind::Damage,
            format!(
                "disk {} of container {name} says that it was deleted, and disk {}, a majority, never heard of it: one side \
                 was brought back from a copy or is a lie; nothing was written; name only the disks of the side that shall \
                 count with --disk, then use the others anew with --wipe evms",
                numbers(gone),
                numbers(living)
            ),
        )
    }

    /// What a change that halted means to a user.
    pub fn halted(name: &str, why: Halted<Why>, touched: bool, errors: &[DiskError]) -> RunError {
        let name = name.to_string();
        match why {
            Halted::Refused { why, touched: true } => RunError::say(
                why.kind(),
                format!(
                    "{why} (but before that the container was opened: {name} is as it was, under a new epoch)"
                ),
            ),
            Halted::Refused { why: Why::Denied(denied), .. } => RunError::Denied(denied),
            Halted::Refused { why: Why::Refused(refusal), .. } => RunError::Refused(refusal),
            Halted::Refused { why, .. } => RunError::say(why.kind(), why.to_string()),
            Halted::Superseded(epoch) | Halted::Unopened(Unopened::Superseded(epoch)) => {
                RunError::Superseded { name, epoch, touched }
            }
            Halted::InDoubt(doubt) | Halted::Unopened(Unopened::InDoubt(doubt)) => {
                RunError::InDoubt { name, order: doubt.order, tally: doubt.tally, errors: errors.to_vec() }
            }
            Halted::TooLarge { needed, room } | Halted::Unopened(Unopened::TooLarge { needed, room }) => {
                RunError::TooLarge { name, needed, room }
            }
            Halted::Unopened(Unopened::NoMajority(tally)) => {
                RunError::NoMajority { name, tally, missing: Vec::new() }
            }
            Halted::Unopened(Unopened::Unchosen(why)) => RunError::unchosen(&name, &why),
            Halted::Unlabelled(_) => {
                let why = errors.first().map_or("a disk did not take its label".into(), ToString::to_string);
                RunError::say(
                    Kind::Device,
                    format!(
                        "container {name} was not expanded: {why}; it has the disks it had, and those that were to join are \
                         free again; one that failed may keep a label: use it anew with --wipe evms"
                    ),
                )
            }
            Halted::Unopened(why @ (Unopened::NewerBlock { .. } | Unopened::UsedUp)) => {
                RunError::say(Kind::Damage, unopened(&name, &why))
            }
            Halted::Unopened(why) => RunError::say(Kind::Refused, unopened(&name, &why)),
        }
    }
}

fn unopened(name: &str, why: &Unopened) -> String {
    match why {
        Unopened::BlockTaken { id, by } => format!(
            "container {name} was not opened because node number {id} is used by another machine ({by}) on its disks, \
             which wrote there while it was watched; nothing was changed; give this machine another number, or end that one"
        ),
        Unopened::NoBlockFree => format!(
            "container {name} was not opened because all node blocks on its disks are taken by other machines; nothing \
             was changed; retire a machine that is gone for good"
        ),
        Unopened::UsedUp => format!(
            "container {name} was not opened because the last epoch there is was claimed on its disks, so that none is left \
             above it; nothing was changed; openings never count so far, a disk was forged or is damaged: see which with \
             evms check {name}, leave it out, and if all claim it copy the data to a new container"
        ),
        Unopened::NewerBlock { id, disk } => format!(
            "container {name} was not opened because on disk {disk} a newer evms wrote the block of node {id}, and what it \
             promised cannot be read; nothing was changed; use the newer program"
        ),
        Unopened::NotBlank => format!(
            "container {name} was not made because a model already stands on its disks; only this machine's own block \
             was written; look at them with: evms check"
        ),
        other => format!("container {name} was not opened ({other:?}); look at it with: evms check {name}"),
    }
}

fn unreadable_next(damage: &Damage) -> &'static str {
    use crate::format::damage::Fault;
    match damage.fault {
        Fault::Version(_) | Fault::Incompat(_) => "use the newer evms that wrote it",
        _ => "take that disk away and look again, or bring a backup back with: evms restore",
    }
}

fn list(numbers: &[DiskNumber]) -> String {
    numbers.iter().map(DiskNumber::to_string).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Scene(error) => error.fmt(f),
            RunError::Disk(error) => error.fmt(f),
            RunError::Entropy(error) => error.fmt(f),
            RunError::Identity(error) => error.fmt(f),
            RunError::Denied(denied) => denied.fmt(f),
            RunError::Live(error) => error.fmt(f),
            RunError::Refused(refusal) => refusal.fmt(f),
            RunError::ActingOnDevices => write!(
                f,
                "--as speaks for another machine and that is for image files alone, not for block devices that other \
                 machines may see; nothing was written; run the command on that machine"
            ),
            RunError::NotFound { what, name, hint } => {
                write!(
                    f,
                    "there is no {what} '{}' on the disks that were looked at; {hint}",
                    name.escape_default()
                )
            }
            RunError::Ambiguous { name, ids } => {
                let ids = ids.iter().map(ContainerId::to_string).collect::<Vec<_>>().join(" and ");
                write!(
                    f,
                    "several containers are called {name}; nothing was written; name one by its id: {ids}"
                )
            }
            RunError::Taken { path, why, next } => {
                write!(f, "{} was not taken because {why}; nothing was written; {next}", path.display())
            }
            RunError::TooSmall { path, error } => {
                write!(
                    f,
                    "{} was not taken because {error}; nothing was written; use a larger disk",
                    path.display()
                )
            }
            RunError::Sentence(_, text) => f.write_str(text),
            RunError::Dm(error) => error.fmt(f),
            RunError::FileSystem { volume, error } => {
                write!(f, "volume {volume} has its new size, and {error}")
            }
            of_container => of_container.about_container(f),
        }
    }
}

fn stopped_words(f: &mut fmt::Formatter<'_>, name: &str, why: &NoPermit, in_doubt: bool) -> fmt::Result {
    write!(f, "the change of container {name} was stopped: {why}")?;
    if !in_doubt {
        return write!(f, "; no copy of the container was changed");
    }
    write!(
        f,
        "; it is in doubt, and the next command that opens the container decides it, by the newest copy it finds: look with evms \
         info {name} before a relative size (+1G) is asked for again"
    )
}

impl RunError {
    /// What is wrong with a container as a whole.
    fn about_container(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Unusable { name, why } => write!(f, "{name} cannot be used: {why}"),
            RunError::Conflict { name, order, one, other } => write!(
                f,
                "container {name} was changed in two ways under one number ({order}): {one}, {other}; nothing was \
                 written; name only the disks of the side that shall count with --disk; the others can be used anew with --wipe evms, or, \
                 where they are a whole copy, be made a container of their own with: evms --disk DISK… container import \
                 {name} --new-ids"
            ),
            RunError::Clones { name, paths } => write!(
                f,
                "container {name} has disks with one identity: {}; nothing was written; take the copy away, or make it a \
                 container of its own with: evms --disk DISK… container import {name} --new-ids",
                paths.join(" and ")
            ),
            RunError::NoMajority { name, tally, missing } => {
                write!(f, "container {name} has {} of the {} votes it needs", tally.have, tally.need)?;
                if !missing.is_empty() {
                    write!(f, " (missing: disk {})", list(missing))?;
                }
                write!(
                    f,
                    "; nothing was written; bring the missing disks back; if they are gone for good, what is here can be \
                     used anew with --wipe evms, and the data on it is lost"
                )
            }
            RunError::StrangeFront { name, disk, path } => write!(
                f,
                "disk {disk} of container {name} ({}) holds data at its front that is not ours and that no known signature \
                 explains; nothing was written; if no other program uses the disk, write its front anew with: evms check {name} \
                 --repair; else take it away",
                path.display()
            ),
            RunError::Superseded { name, epoch, touched } => write!(
                f,
                "container {name} is being opened by another machine, or by another command of this one, under epoch {epoch}; {}; \
                 see who with: evms info {name}",
                if *touched {
                    "what this command began is decided by that opening"
                } else {
                    "nothing was written"
                }
            ),
            RunError::Stopped { name, why, in_doubt } => stopped_words(f, name, why, *in_doubt),
            RunError::InDoubt { name, order, tally, errors } => {
                write!(
                    f,
                    "the change of container {name} ({order}) is in doubt: disks with {} of the {} votes needed hold it; \
                     the next command that opens the container decides it, by the newest copy it finds; look with evms info \
                     {name} before a relative size (+1G) is asked for again",
                    tally.have, tally.need
                )?;
                errors.iter().take(3).try_for_each(|error| write!(f, "; {error}"))
            }
            RunError::TooLarge { name, needed, room } => write!(
                f,
                "the model of container {name} would need {} and its slots have {}; nothing was changed; delete volumes, or \
                 make a container with larger slots (--slot)",
                needed.human(),
                room.human()
            ),
            // All others have had their sentence in `fmt`.
            _ => Ok(()),
        }
    }
}

impl std::error::Error for RunError {}

impl Failure for RunError {
    fn kind(&self) -> Kind {
        match self {
            RunError::Scene(error) => error.kind(),
            RunError::Disk(error) => error.kind(),
            RunError::Entropy(_) => Kind::Device,
            RunError::Identity(error) => error.kind(),
            RunError::Denied(denied) => denied.kind(),
            RunError::Refused(refusal) => refusal.kind(),
            RunError::ActingOnDevices | RunError::Superseded { .. } | RunError::NoMajority { .. } => {
                Kind::NotOwner
            }
            RunError::NotFound { .. } => Kind::NotFound,
            RunError::Ambiguous { .. }
            | RunError::Taken { .. }
            | RunError::TooSmall { .. }
            | RunError::Clones { .. }
            | RunError::TooLarge { .. } => Kind::Refused,
            RunError::Unusable { .. } | RunError::Conflict { .. } | RunError::StrangeFront { .. } => {
                Kind::Damage
            }
            RunError::Stopped { why, .. } => why.kind(),
            RunError::InDoubt { .. } => Kind::Device,
            RunError::Dm(error) => error.kind(),
            RunError::Live(error) => error.kind(),
            RunError::FileSystem { error, .. } => error.kind(),
            RunError::Sentence(kind, _) => *kind,
        }
    }
}
