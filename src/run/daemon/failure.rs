//! Why a daemon does not start.

use core::fmt;
use std::io;

use crate::base::failure::{Failure, Kind};
use crate::base::id::NodeUuid;
use crate::cluster::keys::BadKeys;
use crate::cluster::roster::{BadRoster, BadText};
use crate::host::entropy::NoEntropy;
use crate::host::identity::{HOW_TO_MAKE_ONE, IdentityError};
use crate::host::run_dir::NoRoom;
use crate::host::secret::BadFile;
use crate::host::udp::NoSocket;
use crate::run::daemon::agreed::NEXT;
use crate::run::failure::RunError;

/// Why it does not.
#[derive(Debug)]
pub enum DaemonError {
    /// A file is missing, or cannot be used.
    File(BadFile),
    /// The configuration cannot be read.
    Text(String, BadText),
    /// It can, and is no cluster that can work.
    Roster(String, BadRoster),
    /// The key file is none.
    Keys(String, BadKeys),
    /// Who this machine is cannot be told.
    Identity(IdentityError),
    /// It is nobody.
    Nobody,
    /// It is none of the configuration's nodes.
    Stranger(String, NodeUuid),
    /// What was agreed on last and what the file says differ.
    Differs(String),
    /// What the file says is not the next configuration; what is gone by counts.
    PassedOver(String),
    /// What this node promised about this generation cannot be read.
    Accord(u64),
    /// The room of this boot cannot be had.
    Room(NoRoom),
    /// A link's socket cannot be had.
    Socket(NoSocket),
    /// No random numbers.
    Entropy(NoEntropy),
    /// The socket for who asks cannot be had.
    Door(io::Error),
    /// The loop cannot go on.
    Loop(io::Error),
    /// A disk cannot become an arbitration disk.
    Disk(RunError),
    /// The kernel refused something.
    System(&'static str, io::Error),
}

impl fmt::Display for DaemonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let silent = "nothing was started";
        match self {
            DaemonError::File(bad @ BadFile::Missing(_)) => write!(
                f,
                "{bad}; {silent}; the first node of a cluster makes its files by 'evmsd init', the others get /etc/evms.conf and /etc/evms/key from it"
            ),
            DaemonError::File(bad) => write!(f, "{bad}; {silent}"),
            DaemonError::Text(path, bad) => write!(f, "{path}, {bad}; {silent}; correct it"),
            DaemonError::Roster(path, bad) => write!(f, "{path}: {bad}; {silent}; correct it"),
            DaemonError::Keys(path, bad) => write!(f, "{path}: {bad}; {silent}; 'evmsd keygen' makes a key"),
            DaemonError::Identity(error) => write!(f, "{error}"),
            DaemonError::Nobody => write!(f, "{HOW_TO_MAKE_ONE}; {silent}"),
            DaemonError::Stranger(path, machine) => write!(
                f,
                "this machine, {machine}, is none of the nodes in {path}; {silent}; add it there on all nodes, or correct \
                 /etc/evms/node"
            ),
            DaemonError::Differs(what) => write!(f, "{what}; {silent}"),
            DaemonError::PassedOver(what) => f.write_str(what),
            DaemonError::Accord(generation) => write!(
                f,
                "{NEXT} cannot be read, so that it is not known what this node promised about generation {generation}; nothing was \
                 changed; have the other nodes go by generation {generation} without this one, then move {NEXT} away and start \
                 evmsd here; where they cannot do without it, stop evmsd on all nodes, give /etc/evms.conf generation {} on all, and \
                 say on each: evmsd force",
                generation.saturating_add(1)
            ),
            DaemonError::Room(error) => write!(f, "{error}"),
            DaemonError::Socket(error) => write!(f, "{error}"),
            DaemonError::Entropy(error) => write!(f, "{error}"),
            DaemonError::Door(error) => write!(f, "cannot open /run/evms/evmsd.sock: {error}; {silent}"),
            DaemonError::Loop(error) => {
                write!(f, "the daemon cannot wait for its sockets: {error}; {silent}")
            }
            DaemonError::Disk(error) => write!(f, "{error}"),
            DaemonError::System(what, error) => write!(f, "failed {what}: {error}; {silent}"),
        }
    }
}

impl Failure for DaemonError {
    fn kind(&self) -> Kind {
        match self {
            DaemonError::File(bad) => bad.kind(),
            DaemonError::Disk(error) => error.kind(),
            _ => Kind::Refused,
        }
    }
}
