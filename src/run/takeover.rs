//! `container takeover`: takes a private container from a machine that is gone, or counts that one out of a shared one. Where nothing proves that it cannot write any more, an
//! administrator has to swear it. What it was taken on stays in the container's history (safety 5.1).

use crate::base::failure::Kind;
use crate::base::id::NodeUuid;
use crate::engine::guard::evidence::{self, Evidence, Prospect};
use crate::engine::guard::{Act, Place};
use crate::format::model::{Container, ContainerKind, Owner};
use crate::host::clock;
use crate::run::ask;
use crate::run::change::Held;
use crate::run::company::Company;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::report::Changed;
use crate::volume::request::Request;

/// Bytes of a reason at most: it stands in the model until the next change, and in the history after it.
const REASON_BYTES_MAX: usize = 200;

/// What was said.
#[derive(Clone, Debug)]
pub struct TakeoverAsk {
    /// Why, for whoever reads the history later.
    pub reason: String,
    /// What is sworn; nothing asks what that has to be.
    pub sworn: Option<String>,
}

fn refused(words: String) -> RunError {
    RunError::say(Kind::NotOwner, words)
}

/// What people call the owner.
pub(super) fn called(owner: &Owner) -> String {
    owner.name.as_ref().map_or_else(|| owner.node.short(), ToString::to_string)
}

/// Is a node in this state one that can be asked to give?
pub(super) fn is_living(state: &str) -> bool {
    !matches!(state, "silent" | "left" | "unknown")
}

impl Context {
    /// Takes the container from its owner.
    pub fn container_takeover(&mut self, name: &str, ask: &TakeoverAsk) -> Result<Changed, RunError> {
        let reason = ask.reason.trim();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
            let words = format!(
                "--reason is to say in 1 to {REASON_BYTES_MAX} bytes why container {name} is taken; nothing was written; it stays in the \
                 container's history"
            );
            return Err(RunError::say(Kind::Usage, words));
        }
        let (owner, evidence) = {
            let scene = self.look_for_members()?;
            let (found, chosen) = crate::run::change::find(&scene, name)?;
            let container = &chosen.model.container;
            if scene.place_of(found) == Place::Images {
                return Err(refused(format!(
                    "container {name} was not taken over because its disks are image files; nothing was written; change its owner with \
                     --as of that machine"
                )));
            }
            if container.kind == ContainerKind::Shared {
                let victim = self.holder_to_count_out(name, container)?;
                let evidence = self.evidence(name, container, &victim, ask)?;
                let held = self.hold(name, Act::Expel(evidence))?;
                return self.count_out(&held, (&called(&victim), evidence), reason);
            }
            let owner = self.owner_to_take_from(name, container)?;
            let Some(owner) = owner else {
                // It is this machine's: there is nothing to take, and that is said by who knows its order.
                return self.container_import(name);
            };
            self.refuse_living(name, container, &owner)?;
            let evidence = self.evidence(name, container, &owner, ask)?;
            (owner, evidence)
        };
        self.take_over(name, &owner, evidence, (reason, None))
    }

    fn evidence(
        &self,
        name: &str,
        container: &Container,
        victim: &Owner,
        ask: &TakeoverAsk,
    ) -> Result<Evidence, RunError> {
        match self.prospect(container, victim.node) {
            Some(Prospect::Now(evidence)) => Ok(evidence),
            _ => self.sworn(name, container, victim, ask),
        }
    }

    /// Of what is shared nothing is taken; a node that has gates of it and is gone is counted out.
    fn holder_to_count_out(&self, name: &str, container: &Container) -> Result<Owner, RunError> {
        let others =
            container.holders.iter().filter(|holder| !holder.expelled && holder.node != self.machine.node);
        let mut why = refused(format!(
            "container {name} is shared by all nodes of its cluster: there is nobody to take it from, and no other node has gates of it; \
             nothing was written"
        ));
        for holder in others {
            let label = match self.company() {
                Company::Of(cluster) => cluster.name_of(holder.node).cloned(),
                _ => None,
            };
            let victim = Owner { node: holder.node, name: label };
            match self.refuse_living(name, container, &victim) {
                Ok(()) => return Ok(victim),
                Err(lives) => why = lives,
            }
        }
        Err(why)
    }

    /// Counts a node out of a shared container.
    pub(super) fn count_out(
        &mut self,
        held: &Held,
        (who, evidence): (&str, Evidence),
        reason: &str,
    ) -> Result<Changed, RunError> {
        let words = format!("{who} counted out {}: {reason}", evidence.in_words());
        let request = Request::Expel { node: evidence.victim(), words };
        self.errand(held, request, Act::Expel(evidence))
    }

    /// What there is against a node, for this container, without anybody's word; nothing where it is not known to be absent.
    pub(super) fn prospect(&self, container: &Container, node: NodeUuid) -> Option<Prospect> {
        let Company::Of(cluster) = self.company() else { return None };
        let absence = cluster.absence_of(node).filter(|_| cluster.warrant.cluster == container.cluster)?;
        Some(absence.against(container, &cluster.timing, clock::boot_now()))
    }

    /// Takes it, on this evidence and for this reason; who brings its volumes up is admitted at once, with his watchdog.
    pub(super) fn take_over(
        &mut self,
        name: &str,
        owner: &Owner,
        evidence: Evidence,
        (reason, admit): (&str, Option<u32>),
    ) -> Result<Changed, RunError> {
        let act = Act::Takeover(evidence);
        let held = self.hold(name, act)?;
        let words = format!("taken over from {} {}: {reason}", called(owner), evidence.in_words());
        self.errand(&held, Request::Takeover { from: owner.node, words, admit }, act)
    }

    /// Whom it is to be taken from; nothing when it is this machine's already.
    fn owner_to_take_from(&self, name: &str, container: &Container) -> Result<Option<Owner>, RunError> {
        match (container.kind, &container.owner) {
            (ContainerKind::Private, Some(owner)) if owner.node == self.machine.node => Ok(None),
            (ContainerKind::Private, Some(owner)) => Ok(Some(owner.clone())),
            (ContainerKind::Private, None) | (ContainerKind::Deported, _) => Err(refused(format!(
                "container {name} is nobody's and need not be taken over; nothing was written; run: evms container import {name}"
            ))),
            (ContainerKind::Shared, _) => Err(refused(format!(
                "container {name} is shared by all nodes of its cluster: there is nobody to take it from; nothing was written"
            ))),
            (ContainerKind::Deleted, _) => Err(refused(format!(
                "container {name} is being deleted; nothing was written; finish it with: evms container delete {name}"
            ))),
        }
    }

    /// From who lives in this node's view nothing is taken: it can give.
    fn refuse_living(&self, name: &str, container: &Container, owner: &Owner) -> Result<(), RunError> {
        if container.cluster.is_none() || !matches!(self.company(), Company::Of(_)) {
            // The guard says what is wrong with who is in no cluster, or not quorate.
            return Ok(());
        }
        let status = ask::status("")
            .map_err(|error| refused(format!("container {name} was not taken over: {error}")))?;
        let machine = owner.node.to_string();
        let line = status.nodes.iter().find(|line| line.machine == machine);
        let lives = line.filter(|line| is_living(&line.state));
        let Some(line) = lives else { return Ok(()) };
        Err(refused(format!(
            "container {name} was not taken over because {}, which {} it, lives ({} in this node's view); nothing was written; {}",
            line.name,
            if container.kind == ContainerKind::Shared { "uses" } else { "owns" },
            line.state,
            match container.kind {
                ContainerKind::Shared => format!("take it down there with: evms deactivate {name}"),
                _ => format!("give it over there with: evms container modify {name} --owner NODE"),
            }
        )))
    }

    /// What was sworn as evidence; or the risk, and what has to be sworn.
    fn sworn(
        &self,
        name: &str,
        container: &Container,
        owner: &Owner,
        ask: &TakeoverAsk,
    ) -> Result<Evidence, RunError> {
        let called = called(owner);
        let evidence =
            ask.sworn.as_deref().and_then(|sworn| evidence::word(container, owner.node, &called, sworn));
        evidence.ok_or_else(|| {
            refused(format!(
                "container {name} was not taken over: {called} (node {}) has it, and nothing proves that it cannot write to its disks \
                 any more; if it still runs, or wakes up, both machines write to the same disks and what is on them is lost; nothing \
                 was written; make sure that it is without power or cut off from these disks, and then say: evms container takeover \
                 {name} --reason '{}' --sworn '{}'",
                owner.node,
                ask.reason.trim().replace('\'', "'\\''"),
                evidence::oath(&called)
            ))
        })
    }
}
