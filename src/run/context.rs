//! Who asks, about which disks, and whether it is meant: what every command has in common.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::base::dice::Dice;
use crate::base::epoch::Epoch;
use crate::base::failure::Kind;
use crate::base::id::{ClusterId, Incarnation, NodeUuid};
use crate::base::name::Name;
use crate::base::units::Bytes;
use crate::engine::guard::{self, Act, Denied, Mandate, Place, Principal};
use crate::format::model::{Container, Model};
use crate::host::disk::OpenDisk;
pub use crate::host::front;
pub use crate::host::identity::host_name;
use crate::host::identity::{self, IdentityFiles};
pub use crate::host::wait::is_closed;
use crate::host::{clock, entropy};
use crate::run::company::Company;
use crate::run::failure::RunError;
use crate::run::live::keeping::{self, Keeping};
use crate::run::perform::{Hands, Mode};
use crate::volume::commit::Me;
use crate::volume::mistake::Rules;
use crate::volume::plan::Asker;
use crate::volume::request::Machine;

/// Stands in own blocks that were written while an image was made on a machine without an identity. The image file is
/// locked meanwhile, so this writer has no rival.
pub const IMAGE_BUILDER: NodeUuid = NodeUuid(*b"evms image build");

/// Smallest disk that is worth a look: both small ends and 1 MiB of data.
pub const DISK_BYTES_MIN: Bytes = Bytes(9 * 1024 * 1024);

/// What the command line said before the verb.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Disks to look at; empty is all of the machine's.
    pub disks: Vec<PathBuf>,
    /// Act as the machine with this identity; image files only.
    pub acting_as: Option<NodeUuid>,
    /// Kernel names or paths to look at; empty is all.
    pub include: Vec<String>,
    /// Kernel names or paths to leave alone.
    pub exclude: Vec<String>,
    /// Write nothing, say what would be written.
    pub dry_run: bool,
    /// Told how many bytes were written so far, after every write; for progress on a terminal.
    pub progress: Option<fn(u64)>,
    /// Told what it waits for, where that is longer than a look, in a sentence.
    pub tell: Option<fn(&str)>,
    /// Where this machine's identity is kept.
    pub identity: IdentityFiles,
}

/// A command's surroundings.
#[derive(Clone)]
pub struct Context {
    /// What the command line said.
    pub options: Options,
    /// This machine.
    pub machine: Machine,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Random numbers.
    pub dice: Dice,
    /// The cluster that this machine is a node of, asked for once it matters.
    company: OnceLock<Company>,
}

impl Context {
    /// Finds out who this machine is.
    pub fn new(options: Options) -> Result<Context, RunError> {
        let mut dice = entropy::dice().map_err(RunError::Entropy)?;
        let incarnation = Incarnation::random(&mut dice);
        let node = match options.acting_as {
            Some(node) => node,
            None => {
                identity::node_uuid(&options.identity).map_err(RunError::Identity)?.unwrap_or(NodeUuid::NONE)
            }
        };
        let name: Option<Name> = if options.acting_as.is_some() { None } else { host_name() };
        let company = OnceLock::new();
        Ok(Context { options, machine: Machine { node, name }, incarnation, dice, company })
    }

    /// The cluster that this machine is a node of.
    pub fn company(&self) -> &Company {
        self.company.get_or_init(|| Company::ask(&self.options.identity))
    }

    /// Was it asked for it, so that what is read from now on is read under the lease of its warrant?
    pub fn has_asked(&self) -> bool {
        self.company.get().is_some()
    }

    /// As whom the guard sees this command on a container of this cluster. Who acts as another machine does that for no cluster;
    /// and for what is standalone no daemon is asked, which may stand.
    pub fn principal(&self, cluster: ClusterId) -> Principal {
        let machine = self.machine.clone();
        if self.options.acting_as.is_some() || cluster.is_none() {
            return Principal { machine, warrant: None, refusal: None };
        }
        let (warrant, refusal) = match self.company() {
            Company::None => (None, None),
            Company::NotNow(why) => (None, Some(why.clone())),
            Company::Of(cluster) => (Some(cluster.warrant), None),
        };
        Principal { machine, warrant, refusal }
    }

    /// Asks the guard, as whom this command is to that container's cluster.
    pub fn may(&self, model: &Model, place: Place, act: Act) -> Result<Mandate, Denied> {
        let container = &model.container;
        let principal = self.principal(container.cluster);
        let mandate = guard::may(model, &principal, place, act)?;
        let warrant = principal.warrant_for(container, act);
        // Who goes on with it looks at what waits there.
        if act != Act::Regain
            && warrant.is_some_and(|warrant| keeping::waits(container.id, warrant.lease.term()))
        {
            return Err(Denied::GatesClosed { name: container.name.clone() });
        }
        Ok(mandate)
    }

    /// By which lease the gates of this container open, as it was read; nothing for what is standalone.
    /// Refused while the container does not say that this life of this node has gates: others would take it for one that has none.
    pub fn keeping(&self, model: &Model, epoch: Epoch) -> Result<Option<Keeping>, RunError> {
        let Container { id, cluster, .. } = model.container;
        let Some(warrant) = self.principal(cluster).warrant_of(cluster) else { return Ok(None) };
        let mine = model.container.holder(self.machine.node);
        match mine.filter(|mine| mine.incarnation == warrant.incarnation) {
            Some(mine) => {
                let (term, watchdog_ms) = (warrant.lease.term(), mine.watchdog_ms);
                Ok(Some(Keeping { container: id, epoch, term, watchdog_ms }))
            }
            None => Err(RunError::say(
                Kind::Refused,
                format!(
                    "container {} does not say that this node uses it; nothing was activated; another command withdrew it meanwhile, \
                     perhaps: say the command again",
                    model.container.name
                ),
            )),
        }
    }

    /// This life of this machine: the one that its cluster knows of, for a container of that.
    fn life(&self, cluster: ClusterId) -> Incarnation {
        self.principal(cluster).warrant_of(cluster).map_or(self.incarnation, |warrant| warrant.incarnation)
    }

    /// Write, or only say what would be written?
    pub fn mode(&self) -> Mode {
        if self.options.dry_run { Mode::Dry } else { Mode::Real }
    }

    /// Hands on these disks, in the order of the lanes.
    pub fn hands<'a>(&self, disks: Vec<&'a OpenDisk>) -> Hands<'a> {
        let mut hands = Hands::new(disks, self.mode());
        hands.progress = self.options.progress;
        if let Some(Company::Of(cluster)) = self.company.get() {
            hands.still_ms = cluster.take_ms;
            hands.lease = Some(cluster.warrant.lease);
        }
        hands.tell = self.options.tell;
        hands
    }

    /// This machine, by the name that it has among those who share its containers.
    pub fn named_machine(&self) -> Machine {
        let name = match self.company.get() {
            Some(Company::Of(cluster)) => cluster.name_of(self.machine.node).cloned(),
            _ => None,
        };
        Machine { node: self.machine.node, name: name.or_else(|| self.machine.name.clone()) }
    }

    /// What people call this machine.
    pub(super) fn called_here(&self) -> String {
        self.named_machine().name.map_or_else(|| "this machine".into(), |name| name.to_string())
    }

    /// For which cluster an act on this container is: its own, or where it comes over from another one, this machine's.
    pub fn cluster_for(&self, container: &Container, act: Act) -> ClusterId {
        if !guard::comes_over(container, act) {
            return container.cluster;
        }
        match self.company() {
            Company::Of(cluster) => cluster.warrant.cluster,
            Company::NotNow(_) | Company::None => container.cluster,
        }
    }

    /// Who asks, for the planner of a container of this cluster.
    pub fn asker(&self, cluster: ClusterId) -> Asker {
        Asker {
            machine: self.named_machine(),
            incarnation: self.life(cluster),
            cluster,
            at: clock::wall_now(),
            rules: Rules::ALL,
        }
    }

    /// Who opens, for the protocol. Acting as somebody else, and having no identity, are for image files alone.
    pub fn me(&self, place: Place, cluster: ClusterId) -> Result<Me, RunError> {
        let node = match place {
            Place::Devices if self.options.acting_as.is_some() => return Err(RunError::ActingOnDevices),
            Place::Images if self.machine.node.is_none() => IMAGE_BUILDER,
            _ => self.machine.node,
        };
        let warrant = self.principal(cluster).warrant_of(cluster);
        let id = warrant.map(|warrant| warrant.node);
        let configuration = warrant.map(|warrant| warrant.configuration).unwrap_or_default();
        Ok(Me { node, id, incarnation: self.life(cluster), cluster, configuration })
    }
}
