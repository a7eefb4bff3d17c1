//! Why a daemon does not start.

use core::fmt;
use std::io;
use std::path::PathBuf;

use crate::base::failure::{Failure, Kind};
use crate::base::id::NodeUuid;
use crate::cluster::keys::BadKeys;
use crate::cluster::roster::{BadRoster, BadText};
use crate::host::entropy::NoEntropy;
use crate::host::identity::{HOW_TO_MAKE_ONE, IdentityError};
use crate::host::run_dir::NoRoom;
use crate::host::secret::BadFile;
use crate::host::udp::NoSocket;
use crate::run::daemon::agreed::{AGREED, FOLDER, NEXT};
use crate::run::daemon::settings::CONFIG;
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
    /// This machine goes by this generation of a cluster of this name, and was to begin with another one.
    OtherCluster(String, u64),
    /// This machine goes by a generation of the same cluster already.
    GoesBy {
        /// This one.
        generation: u64,
        /// It was to begin with this one.
        not: u64,
    },
    /// A daemon runs, and holds this.
    Runs(PathBuf),
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
                "{bad}; {silent}; the first node of a cluster makes its files by 'evmsd init', every other one by 'evmsd join', of a \
                 token that 'evmsd invite' prints on a node that runs"
            ),
            DaemonError::File(bad) => write!(f, "{bad}; {silent}"),
            DaemonError::Text(path, bad) => write!(f, "{path}, {bad}; {silent}; correct it"),
            DaemonError::Roster(path, bad) => write!(f, "{path}: {bad}; {silent}; correct it"),
            DaemonError::Keys(path, bad) => write!(f, "{path}: {bad}; {silent}; 'evmsd keygen' makes a key"),
            DaemonError::Identity(error) => write!(f, "{error}"),
            DaemonError::Nobody => write!(f, "{HOW_TO_MAKE_ONE}; {silent}"),
            DaemonError::Stranger(path, machine) => write!(
                f,
                "this machine, {machine}, is none of the nodes in {path}; {silent}; if it was taken out, or never was one, say on a \
                 node that runs: evmsd invite NAME --link ADDRESS --machine {machine}; join by that token here, when {CONFIG} is \
                 moved away; if it is one of them, correct /etc/evms/node"
            ),
            DaemonError::Differs(what) => write!(f, "{what}; {silent}"),
            DaemonError::OtherCluster(name, generation) => write!(
                f,
                "this machine goes by generation {generation} of cluster {name} already ({AGREED}); nothing was made; to go on with \
                 that start evmsd, which writes {CONFIG} anew where it is gone; only if that cluster is given up here for good move \
                 {FOLDER} away, and say it again"
            ),
            DaemonError::GoesBy { generation, not } => write!(
                f,
                "this machine goes by generation {generation} of this cluster already ({AGREED}), and was to begin with {not}{}; \
                 nothing was made; start evmsd, which goes by what is kept and writes {CONFIG} anew where it is gone; if it says \
                 that this machine was taken out, join by a new token, from: evmsd invite",
                if generation == not { ", which says something else" } else { "" }
            ),
            DaemonError::Runs(lock) => write!(
                f,
                "another evmsd of this machine holds {}, or has not ended in all its threads; nothing was changed; end it first, \
                 and say it again",
                lock.display()
            ),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is agreed on decides, and comes by a token: a file that is carried from node to node changes nothing.
    #[test]
    fn what_is_missing_is_to_be_had_by_a_token() {
        let missing = DaemonError::File(BadFile::Missing("/etc/evms.conf".into())).to_string();
        assert!(missing.contains("evmsd init") && missing.contains("evmsd join"), "{missing}");
        let machine = NodeUuid([7; 16]);
        let stranger = DaemonError::Stranger(AGREED.into(), machine).to_string();
        assert!(stranger.contains(&format!("--machine {machine}")), "{stranger}");
        for words in [missing, stranger] {
            assert!(!words.contains("get /etc/evms.conf") && !words.contains("on all nodes"), "{words}");
        }
        let torn = DaemonError::Accord(7).to_string();
        assert!(torn.contains("go by generation 7") && torn.contains("generation 8 on all"), "{torn}");
    }
}
