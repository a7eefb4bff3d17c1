//! The cluster that a command's machine is a node of, as its evmsd says: whose containers it may touch, and the names of nodes.

use std::path::Path;

use crate::base::epoch::Generation;
use crate::base::id::NodeUuid;
use crate::base::name::Name;
use crate::base::time::BootTime;
use crate::cluster::timing::Timing;
use crate::engine::guard::evidence::Absence;
use crate::engine::guard::{Lease, Warrant};
use crate::format::control::{AbsentLine, WarrantLine};
use crate::host::identity::{self, IdentityFiles};
use crate::host::lease_page;
use crate::run::ask::{self, AskError};

/// Where the configuration of its cluster is.
pub const CONFIG: &str = "/etc/evms.conf";

/// What is known of it.
#[derive(Clone, Debug)]
pub enum Company {
    /// This machine is in none.
    None,
    /// It is in one and may not act for it now: why, and what to do, as the end of a sentence.
    NotNow(String),
    /// It acts for this one.
    Of(Box<Cluster>),
}

/// A cluster in which this node is quorate.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// As which node, and until when.
    pub warrant: Warrant,
    /// Its name.
    pub name: String,
    /// Its nodes.
    nodes: Vec<(Name, NodeUuid)>,
    /// Who of them is not in the view, in the term of the warrant's lease.
    pub absent: Vec<Absence>,
    /// The times that evidence against them goes by.
    pub timing: Timing,
    /// Milliseconds for which a record must have stood still before its writer is taken for gone.
    pub take_ms: u64,
    /// A node without a watchdog gets no gates of its containers.
    pub strict: bool,
}

impl Cluster {
    /// This node is quorate without that machine.
    pub fn absence_of(&self, machine: NodeUuid) -> Option<Absence> {
        self.absent.iter().find(|absence| absence.node == machine).copied()
    }

    /// The machine that is this node.
    pub fn machine_of(&self, name: &str) -> Option<NodeUuid> {
        self.nodes.iter().find(|(other, _)| other.as_str() == name).map(|(_, machine)| *machine)
    }

    /// The node that is this machine.
    pub fn name_of(&self, machine: NodeUuid) -> Option<&Name> {
        self.nodes.iter().find(|(_, other)| *other == machine).map(|(name, _)| name)
    }

    /// How many nodes it has.
    pub fn size(&self) -> u64 {
        self.nodes.len() as u64
    }

    /// All nodes' names, for people.
    pub fn names(&self) -> String {
        self.nodes.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Company {
    /// Asks evmsd of this machine.
    pub fn ask(identity: &IdentityFiles) -> Company {
        match ask::warrant() {
            Ok(line) => by(line, identity),
            // Without a configuration this machine is in no cluster, or only was.
            Err(AskError::NoDaemon(_)) if !Path::new(CONFIG).exists() => Company::None,
            Err(AskError::NoDaemon(error)) => Company::NotNow(format!(
                "this machine is a node of a cluster ({CONFIG}) and its evmsd cannot be reached ({error}); start it"
            )),
            Err(AskError::Refused(_, why)) => {
                Company::NotNow(format!("this node may not act now: {why}; see: evms why"))
            }
            Err(AskError::Silent(error)) => Company::NotNow(format!(
                "evmsd of this machine does not answer ({error}); see its log, and start it anew"
            )),
            Err(error) => Company::NotNow(error.to_string()),
        }
    }
}

fn by(line: WarrantLine, identity: &IdentityFiles) -> Company {
    let words = identity::boot_id(identity)
        .map_err(|error| error.to_string())
        .and_then(|boot| lease_page::words(boot).map_err(|error| error.to_string()));
    let words = match words {
        Ok(Some(words)) => words,
        Ok(None) => return Company::NotNow("/run/evms/lease is none of evmsd's; start evmsd anew".into()),
        Err(error) => {
            return Company::NotNow(format!("/run/evms/lease cannot be read ({error}); start evmsd anew"));
        }
    };
    let configuration = Generation(line.generation);
    let lease = Lease::of(words);
    let (cluster, node, incarnation) = (line.cluster, line.node, line.incarnation);
    let warrant = Warrant { cluster, node, incarnation, configuration, lease };
    let AbsentLine { term, since_ms, machines, drain_ms, drift_ppm } = line.absent;
    // Of the view that this lease is by, and of no other: who is absent from one may be back in the next.
    let since = BootTime { ms: since_ms };
    let absent = machines.into_iter().filter(|_| term == lease.term()).map(|node| Absence { node, since });
    let timing = Timing { drain_ms, drift_ppm, ..Timing::default() };
    let WarrantLine { name, nodes, strict, take_ms, .. } = line;
    let absent = absent.collect();
    Company::Of(Box::new(Cluster { warrant, name, nodes, absent, timing, take_ms, strict }))
}
