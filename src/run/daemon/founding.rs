//! The first steps of a cluster: a key, an identity, a configuration with one node.

use core::net::IpAddr;
use std::path::Path;

use crate::base::dice::Dice;
use crate::base::id::{ClusterId, NodeId};
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::cluster::configuration::{Configuration, Voter};
use crate::cluster::keys::ClusterKey;
use crate::cluster::roster::{Member, PORT_DEFAULT, Roster};
use crate::host::identity::{self, IdentityFiles};
use crate::host::run_dir::{NoRoom, RunDir};
use crate::host::{entropy, secret};
pub use crate::run::daemon::agreed::Forced;
use crate::run::daemon::settings::{self, CONFIG, KEY};
use crate::run::daemon::{DaemonError, agreed};

fn new_key() -> Result<ClusterKey, DaemonError> {
    entropy::seed().map(ClusterKey::new).map_err(DaemonError::Entropy)
}

fn key_file(key: &ClusterKey) -> String {
    format!(
        "# The secret of a cluster: the same file on all its nodes, and nowhere else. A second line with another key is\n\
         # believed too, so that keys can be changed without a stop.\n{}\n",
        key.to_line()
    )
}

/// Has this node go by the file, though the others could not be asked: a step that nobody agreed on. Only where no daemon runs.
pub fn force(config: &Path) -> Result<Forced, DaemonError> {
    let roster = settings::roster(config)?;
    let machine = identity::node_uuid(&IdentityFiles::default()).map_err(DaemonError::Identity)?;
    let machine = machine.ok_or(DaemonError::Nobody)?;
    if roster.node_of(machine).is_none() {
        return Err(DaemonError::Stranger(config.display().to_string(), machine));
    }
    let _room = hold_room()?;
    agreed::force(config, &roster)
}

/// Held until files are made by which a daemon goes: one that runs would go on by what it has, and write over them.
pub(super) fn hold_room() -> Result<RunDir, DaemonError> {
    let boot = identity::boot_id(&IdentityFiles::default()).map_err(DaemonError::Identity)?;
    match RunDir::take(boot) {
        Ok((room, _)) => Ok(room),
        Err(NoRoom::Taken { path }) => Err(DaemonError::Runs(path)),
        Err(error) => Err(DaemonError::Room(error)),
    }
}

/// Makes a key; nothing where there is one already. Where it stands.
pub fn keygen() -> Result<&'static str, DaemonError> {
    secret::make(Path::new(KEY), &key_file(&new_key()?)).map_err(DaemonError::File)?;
    Ok(KEY)
}

/// Founds a cluster with this machine as its first node; its configuration.
pub fn init(cluster: Name, node: Name, links: Vec<IpAddr>) -> Result<Roster, DaemonError> {
    let mut dice: Dice = entropy::dice().map_err(DaemonError::Entropy)?;
    let files = IdentityFiles::default();
    if secret::text(Path::new(CONFIG)).is_ok() {
        return Err(DaemonError::File(secret::BadFile::Exists(CONFIG.into())));
    }
    let _room = hold_room()?;
    // Whatever cluster that is, it is not the one that begins here.
    if let Some(kept) = agreed::going_by()? {
        return Err(DaemonError::OtherCluster(kept.name.to_string(), kept.configuration.generation));
    }
    identity::make_node_file(&files.node, &mut dice).map_err(DaemonError::Identity)?;
    let machine = identity::node_uuid(&files).map_err(DaemonError::Identity)?.ok_or(DaemonError::Nobody)?;
    let first = NodeId(1);
    let roster = Roster {
        name: cluster,
        port: PORT_DEFAULT,
        highest: 0,
        strict: false,
        arbitration: Vec::new(),
        members: SmallMap::from([(first, Member { name: node, links, joining: 0 })]),
        configuration: Configuration {
            cluster: ClusterId::random(&mut dice),
            generation: 1,
            nodes: SmallMap::from([(first, Voter { uuid: machine, votes: 1 })]),
            arbitration_disks: 0,
            timing: Default::default(),
        },
    };
    roster.check().map_err(|bad| DaemonError::Roster("the cluster".into(), bad))?;
    // A key that is there may be another node's, brought here for this.
    match secret::secret(Path::new(KEY)) {
        Err(secret::BadFile::Missing(_)) => drop(keygen()?),
        there => drop(there.map_err(DaemonError::File)?),
    }
    agreed::keep(&roster, false)?;
    secret::make(Path::new(CONFIG), &roster.to_text()).map_err(DaemonError::File)?;
    Ok(roster)
}
