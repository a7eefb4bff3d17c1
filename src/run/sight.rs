//! What another node sees: a container is not given to one that reads fewer of its disks than who gives it (F30). That node's evmsd has
//! them read by a process of its own: a disk that hangs there holds no daemon.

use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::id::{ContainerId, DiskId};
use crate::format::control::Refusal;
use crate::run::ask::{self, AskError};
use crate::run::change::Held;
use crate::run::company::Company;
use crate::run::context::{Context, Options};
use crate::run::failure::RunError;
use crate::volume::discover::{DiskWord, Found};
use crate::volume::request::OwnerAsk;

/// The disks of it that were read and count.
fn read(found: &Found) -> Vec<DiskId> {
    let sound = found
        .disks
        .iter()
        .filter(|read| !matches!(found.word(read), DiskWord::NotMember | DiskWord::Released));
    sound.map(|read| read.labelled.label.disk).gather()
}

/// Reads them, for a daemon that was asked: an error when one of them is not to be read here.
pub fn run(container: ContainerId, disks: &[DiskId]) -> Result<(), RunError> {
    let scene = Context::new(Options::default())?.look_for_members()?;
    let here = scene.containers.iter().find(|found| found.id == container).map(read).unwrap_or_default();
    let missing = disks.iter().filter(|disk| !here.contains(disk)).count();
    if missing == 0 {
        return Ok(());
    }
    let words =
        format!("container {}: {missing} of {} disks cannot be read here", container.short(), disks.len());
    log::warn!("{words}; another node asked whether it can be given to this one; see: evms list disks");
    Err(RunError::say(Kind::Refused, words))
}

impl Context {
    /// May the container be given to this machine, as far as its sight goes? What could not be asked, in words.
    pub(super) fn may_be_given(
        &self,
        held: &Held,
        to: Option<&OwnerAsk>,
    ) -> Result<Option<String>, RunError> {
        let container = &held.chosen()?.model.container;
        let Some(OwnerAsk::Machine(machine)) = to else { return Ok(None) };
        // For what is standalone nobody is asked.
        if machine.node == self.machine.node || container.cluster.is_none() {
            return Ok(None);
        }
        let Company::Of(cluster) = self.company() else { return Ok(None) };
        if cluster.warrant.cluster != container.cluster {
            return Ok(None);
        }
        let Some(node) = cluster.name_of(machine.node) else { return Ok(None) };
        match ask::sees(node.as_str(), container.id, read(&held.found)) {
            Ok(()) => Ok(None),
            Err(AskError::Refused(Refusal::Refused, words)) => Err(RunError::say(
                Kind::Refused,
                format!("container {} was not given to {node}: {words}; nothing was written", container.name),
            )),
            Err(AskError::Refused(Refusal::Unseen, words)) => Err(RunError::say(
                Kind::Refused,
                format!(
                    "container {} was not given to {node}: {words}; nothing was written; bring the disks to {node}, see there: evms list \
                     disks; or deport it here and import it there",
                    container.name
                ),
            )),
            Err(error) => {
                Ok(Some(format!("{node} could not be asked whether it reads all of its disks: {error}")))
            }
        }
    }
}
