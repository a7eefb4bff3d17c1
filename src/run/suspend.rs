//! `evms-fence suspend` and `resume`: an administrator closes the gates of a cluster's container, and opens them again. It stands in the
//! container's model, so that whoever comes to have it finds it closed; each node that has gates is told, and says that they are
//! (safety 4.4).

use crate::base::epoch::{Epoch, Generation, Order};
use crate::base::failure::Kind;
use crate::base::id::ContainerId;
use crate::engine::guard::Act;
use crate::format::control::Refusal;
use crate::format::model::{Container, ContainerKind};
use crate::run::ask::{self, AskError};
use crate::run::company::Company;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::report::Changed;
use crate::run::takeover::is_living;
use crate::volume::request::Request;

fn refused(words: String) -> RunError {
    RunError::say(Kind::Refused, words)
}

/// Who has gates of it, and is told: this node by no name.
struct Told {
    id: ContainerId,
    name: String,
    nodes: Vec<String>,
}

impl Told {
    /// Asks them all; who did not do it, and why.
    fn ask(&self, mut what: impl FnMut(&str) -> Result<(), AskError>) -> Vec<String> {
        let asked = self.nodes.iter().filter_map(|node| Some((node, what(node).err()?)));
        let words = |node: &String, why: AskError| match node.as_str() {
            "" => why.to_string(),
            node => format!("{node}: {why}"),
        };
        asked.map(|(node, why)| words(node, why)).collect()
    }
}

impl Context {
    /// Closes it. What reads and writes waits from then on, without an error, until it is resumed.
    pub fn container_suspend(&mut self, name: &str) -> Result<Changed, RunError> {
        let held = self.hold(name, Act::Change)?;
        let told = self.told(name, &held.chosen()?.model.container, "suspended")?;
        // Before anything is written.
        let against = told.ask(|node| ask::suspend(node, told.id, None));
        if !against.is_empty() {
            return Err(refused(format!(
                "container {name} was not suspended: {}; nothing was written; what is to stop has to be off that machine's root and swap, \
                 and its evmsd has to answer",
                against.join("; ")
            )));
        }
        let mut done = self.errand(&held, Request::Suspend { is: true }, Act::Change)?;
        let by = Order { epoch: Epoch(done.epoch), generation: Generation(done.generation) };
        // Looked at anew: who came into the view meanwhile read, perhaps, what stood there before.
        let told = self.told(name, &held.chosen()?.model.container, "known to be closed everywhere")?;
        let open = told.ask(|node| ask::suspend(node, told.id, Some(by)));
        if !open.is_empty() {
            return Err(refused(format!(
                "container {} is marked as suspended, and not all of its gates are known to be closed: {}; say the same again, or take \
                 it back with: evms-fence resume {name}",
                told.name,
                open.join("; ")
            )));
        }
        done.notes.push(format!("what uses its volumes waits, until: evms-fence resume {}", told.name));
        Ok(done)
    }

    /// Lets it go on.
    pub fn container_resume(&mut self, name: &str) -> Result<Changed, RunError> {
        let held = self.hold(name, Act::Change)?;
        let told = self.told(name, &held.chosen()?.model.container, "resumed")?;
        let mut done = self.errand(&held, Request::Suspend { is: false }, Act::Change)?;
        let by = Order { epoch: Epoch(done.epoch), generation: Generation(done.generation) };
        let mut newer = Vec::new();
        let unheard = told.ask(|node| match ask::resume(node, told.id, by) {
            Err(AskError::Refused(Refusal::Newer, words)) => {
                newer.push(words);
                Ok(())
            }
            other => other,
        });
        done.notes.extend(unheard.into_iter().map(|words| {
            format!("{words}: it reads by itself, within a minute, that the container was resumed; or say the same again")
        }));
        match newer.as_slice() {
            [] => Ok(done),
            newer => Err(refused(format!(
                "container {name} is resumed in its model, and not all of its gates open: {}; if nobody suspended it again meanwhile, its \
                 disks were set back to an older state: take it down there with: evms deactivate --fail {name}",
                newer.join("; ")
            ))),
        }
    }

    fn told(&self, name: &str, container: &Container, done: &str) -> Result<Told, RunError> {
        let Company::Of(cluster) = self.company() else {
            return Err(refused(format!(
                "container {name} was not {done}: gates are kept by evmsd, for containers of its cluster; nothing was written; take what \
                 is standalone down with: evms deactivate {name}"
            )));
        };
        if cluster.warrant.cluster != container.cluster {
            return Err(refused(format!(
                "container {name} was not {done}: it is none of this cluster's; nothing was written; take it down with: evms deactivate \
                 {name}"
            )));
        }
        let mut nodes = vec![String::new()];
        if container.kind == ContainerKind::Shared {
            let status = ask::status("")
                .map_err(|error| refused(format!("container {name} was not {done}: {error}")))?;
            let here = self.machine.node.to_string();
            let others =
                status.nodes.into_iter().filter(|line| line.machine != here && is_living(&line.state));
            nodes.extend(others.map(|line| line.name));
        }
        Ok(Told { id: container.id, name: container.name.to_string(), nodes })
    }
}
