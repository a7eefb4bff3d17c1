//! Which nodes have gates of a cluster's container, as it says itself: a node is admitted before it makes the first one, and withdraws
//! behind the last. Whoever finds a node silent knows by that whether there is anything to stop, and how it was watched (safety 3.4).

use crate::base::failure::Kind;
use crate::base::id::ContainerId;
use crate::engine::guard::{Act, Denied};
use crate::format::model::Container;
use crate::run::ask;
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
        if mine.is_some() && keeping::has_gates(container.id) {
            // What was said of them holds for more of them.
            return Ok(None);
        }
        let watchdog_ms = self.watchdog(name)?;
        let said = mine.map(|holder| holder.watchdog_ms) == Some(watchdog_ms) && !in_doubt;
        Ok((!said).then_some(watchdog_ms))
    }

    /// Gates are made only by a model that has this life of this node admitted.
    pub(super) fn refuse_unadmitted(&self, name: &str, container: &Container) -> Result<(), RunError> {
        let principal = self.principal(container.cluster);
        let Some(warrant) = principal.warrant_of(container.cluster) else { return Ok(()) };
        let mine = container.holder(self.machine.node).map(|holder| holder.incarnation);
        if mine == Some(warrant.incarnation) {
            return Ok(());
        }
        let words = format!(
            "the volumes of container {name} were not activated because others changed it at the same time, and it does not count on \
             this node; nothing was activated; say the command again"
        );
        Err(RunError::say(Kind::NotOwner, words))
    }

    /// Has the watchdog armed, for gates of this container.
    pub(super) fn watchdog(&self, name: &str) -> Result<u32, RunError> {
        ask::watchdog().map_err(|error| {
            RunError::say(
                Kind::NotOwner,
                format!("the volumes of container {name} were not activated; nothing was done; {error}"),
            )
        })
    }

    /// This node has no gates of these containers any more; what should be known of those where that could not be said.
    pub(super) fn withdraw(&mut self, containers: impl IntoIterator<Item = ContainerId>) -> Vec<String> {
        let mut notes = Vec::new();
        for container in containers {
            match self.withdraw_from(&container.to_string()) {
                // It is another's by now, and says nothing of this node.
                Ok(()) | Err(RunError::Denied(Denied::OwnedBy { .. } | Denied::Deported { .. })) => (),
                Err(why) => notes.push(format!(
                    "container {} counts on this node still, and the others would wait for its watchdog before they take it: {why}",
                    container.short()
                )),
            }
        }
        notes
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
