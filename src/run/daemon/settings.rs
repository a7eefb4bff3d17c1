//! All that a daemon reads before it starts: the cluster's roster and key, and who this machine is.

use std::path::{Path, PathBuf};

use crate::base::gather::Gather;
use crate::base::id::{NodeId, NodeUuid};
use crate::cluster::channel::Common;
use crate::cluster::keys::ClusterKey;
use crate::cluster::roster::Roster;
use crate::cluster::roster::agents::Agents;
use crate::format::greeting::VERSIONS;
use crate::host::identity::{self, IdentityFiles};
use crate::host::secret;
pub use crate::run::company::CONFIG;
use crate::run::daemon::DaemonError;
use crate::run::daemon::agreed::{self, Following};
use crate::run::daemon::fencing;

/// Where the cluster's key is.
pub const KEY: &str = "/etc/evms/key";

/// What was read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file of the configuration.
    pub config: PathBuf,
    /// What this node goes by.
    pub roster: Roster,
    /// Was this node quorate by a majority of it?
    pub in_force: bool,
    /// Was the next one accepted, of which nobody told whether it is in force?
    pub undecided: bool,
    /// What the file wants to follow on it.
    pub wish: Option<Roster>,
    /// The fence agents that this node may call.
    pub agents: Agents,
    /// Its keys; the first one seals.
    pub keys: Vec<ClusterKey>,
    /// This machine.
    pub machine: NodeUuid,
    /// The node that it is.
    pub node: NodeId,
    /// Where its identity stands.
    pub identity: IdentityFiles,
}

/// Reads a roster that can work.
pub fn roster(path: &Path) -> Result<Roster, DaemonError> {
    let shown = path.display().to_string();
    let text = secret::text(path).map_err(DaemonError::File)?;
    let roster = Roster::parse(&text).map_err(|bad| DaemonError::Text(shown.clone(), bad))?;
    roster.check().map_err(|bad| DaemonError::Roster(shown, bad))?;
    Ok(roster)
}

/// Reads the keys.
pub fn keys() -> Result<Vec<ClusterKey>, DaemonError> {
    let text = secret::secret(Path::new(KEY)).map_err(DaemonError::File)?;
    ClusterKey::parse_file(&text).map_err(|bad| DaemonError::Keys(KEY.into(), bad))
}

impl Settings {
    /// Reads everything.
    pub fn read(config: &Path) -> Result<Settings, DaemonError> {
        let Following { roster, in_force, undecided, wish, words } = agreed::start(config)?;
        if let Some(words) = words {
            log::warn!("{words}");
        }
        let keys = keys()?;
        let identity = IdentityFiles::default();
        let machine = identity::node_uuid(&identity).map_err(DaemonError::Identity)?;
        let machine = machine.ok_or(DaemonError::Nobody)?;
        // Not in the file: what that says is no more than a wish.
        let stranger = || DaemonError::Stranger(agreed::AGREED.into(), machine);
        let node = roster.node_of(machine).ok_or_else(stranger)?;
        let agents = fencing::read(config, &roster);
        Ok(Settings {
            config: config.into(),
            agents,
            roster,
            in_force,
            undecided,
            wish,
            keys,
            machine,
            node,
            identity,
        })
    }

    /// What all nodes have to have in common to talk.
    pub fn common(&self) -> Common {
        let configuration = &self.roster.configuration;
        Common {
            cluster: configuration.cluster,
            machines: configuration.nodes.iter().map(|(node, voter)| (*node, voter.uuid)).gather(),
            generation: configuration.generation,
            configuration: self.roster.hash(),
            versions: VERSIONS,
            window_ms: configuration.timing.window_ms,
        }
    }
}
