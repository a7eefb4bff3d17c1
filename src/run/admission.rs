//! Which nodes have gates of a cluster's container, as it says itself: a node is admitted before it makes the first one, and withdraws
//! behind the last. Whoever finds a node silent knows by that whether there is anything to stop, and how it was watched (safety 3.4).

use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::id::ContainerId;
use crate::engine::guard::{Act, Denied};
use crate::format::model::Container;
use crate::run::ask;
use crate::run::company::Company;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::live::keeping;
use crate::volume::request::Request;

impl Context {
    /// Has this node to be admitted before it makes gates of the container? With this watchdog, which is armed. What is in doubt may
    /// come out otherwise when it is settled, and so is asked for again.
    pub(super) fn admission(
        &self,
        name: &str,
        container: &Container,
        in_doubt: bool,
    ) -> Result<Option<u32>, RunError> {
        let principal = self.principal(container.cluster);
        let Some(warrant) = principal.warrant_of(container.cluster) else { return Ok(None) };
        let mine = container.holder(self.machine.node);
        let mine = mine.filter(|holder| holder.incarnation == warrant.incarnation);
        if let Some(mine) = mine.filter(|_| keeping::has_gates(container.id)) {
            // What was said of them holds for more of them; of those that are there a watchdog cannot be said any more.
            return if mine.watchdog_ms == 0 && self.is_strict() { Err(unwatched(name)) } else { Ok(None) };
        }
        let watchdog_ms = self.watchdog(name)?;
        let said = mine.map(|holder| holder.watchdog_ms) == Some(watchdog_ms) && !in_doubt;
        Ok((!said).then_some(watchdog_ms))
    }

    /// Has the watchdog armed, for gates of this container. A strict cluster has no gates where there is none (F52).
    pub(super) fn watchdog(&self, name: &str) -> Result<u32, RunError> {
        let watchdog_ms = ask::watchdog().map_err(|error| not_activated(name, &error.to_string()))?;
        if watchdog_ms == 0 && self.is_strict() {
            return Err(unwatched(name));
        }
        Ok(watchdog_ms)
    }

    fn is_strict(&self) -> bool {
        matches!(self.company(), Company::Of(cluster) if cluster.strict)
    }

    /// This node has no gates of these containers any more; what should be known of those where that could not be said.
    pub(super) fn withdraw(&mut self, containers: impl IntoIterator<Item = ContainerId>) -> Vec<String> {
        let containers = containers.into_iter().gather::<Vec<_>>();
        let mut notes = Vec::new();
        for container in self.counting_on_this(&containers) {
            match self.withdraw_from(&container.to_string()) {
                // It is another's by now, and says nothing of this node.
                Ok(()) | Err(RunError::Denied(Denied::OwnedBy { .. } | Denied::Deported { .. })) => (),
                Err(why) => notes.push(format!(
                    "container {} counts on this node still: where it is shared others may not shrink it, and when this node falls silent \
                     they take it over; say that again later with: evms deactivate {container} ({why})",
                    container.short()
                )),
            }
        }
        notes
    }

    /// Which of these say that this node has gates. What cannot be read is among them: that is told then.
    fn counting_on_this(&self, containers: &[ContainerId]) -> Vec<ContainerId> {
        let scene = if containers.is_empty() { None } else { self.look_for_members().ok() };
        let says_so = |container: &&ContainerId| {
            let found =
                scene.as_ref().and_then(|scene| scene.containers.iter().find(|one| one.id == **container));
            found.and_then(|found| found.chosen.as_ref().ok()).is_none_or(|chosen| {
                let container = &chosen.model.container;
                !container.cluster.is_none() && container.holder(self.machine.node).is_some()
            })
        };
        containers.iter().filter(says_so).copied().gather()
    }

    fn withdraw_from(&mut self, name: &str) -> Result<(), RunError> {
        let held = self.hold(name, Act::Change)?;
        // Somebody made new ones since this command took the last of them away: nobody makes any while the disks are locked.
        if keeping::has_gates(held.found.id) {
            return Ok(());
        }
        self.errand(&held, Request::Withdraw, Act::Change).map(|_| ())
    }
}

fn not_activated(name: &str, why: &str) -> RunError {
    let words = format!("the volumes of container {name} were not activated; nothing was done; {why}");
    RunError::say(Kind::NotOwner, words)
}

fn unwatched(name: &str) -> RunError {
    not_activated(
        name,
        "the cluster is strict, and no watchdog guards this node: when it hangs nobody could take over from it (grade D); \
         load the driver of its watchdog, or softdog, see who else has it open, take down what is up, and say this again; or take 'strict' \
         out of /etc/evms.conf, with the next generation, and have evmsd read it (SIGHUP)",
    )
}
