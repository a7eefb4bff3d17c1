//! Whose a container is to be: words of a command into machines. A name tells machines apart only within a cluster.

use crate::base::failure::Kind;
use crate::base::id::{ClusterId, NodeUuid};
use crate::base::name::Name;
use crate::engine::guard::{self, Act, Place};
use crate::format::model::ContainerKind;
use crate::run::company::{Cluster, Company};
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::scene::Scene;
use crate::run::take::{Taking, WIPE_EVMS};
use crate::volume::request::{Machine, OwnerAsk};

/// Who shall own a private container, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerWord {
    /// This machine.
    Me,
    /// Nobody yet.
    Unclaimed,
    /// The machine with this identity.
    Node(NodeUuid),
    /// A name: this machine's own, or refused, for names do not tell machines apart.
    Named(String),
}

impl Context {
    /// Whose a new container is: the cluster's that this machine is a node of where it is shared, or goes to a node by its name in
    /// the cluster; standalone else, and on image files always.
    pub(super) fn cluster_of(
        &self,
        name: &Name,
        kind: ContainerKind,
        owner: Option<&OwnerWord>,
        place: Place,
    ) -> Result<ClusterId, RunError> {
        if place == Place::Images {
            return Ok(ClusterId::NONE);
        }
        let named = matches!(owner, Some(OwnerWord::Named(_)));
        let shared = kind == ContainerKind::Shared;
        if !shared && !named {
            return Ok(ClusterId::NONE);
        }
        let mine = |text: &str| self.machine.name.as_ref().is_some_and(|mine| mine.as_str() == text);
        match (self.company(), owner) {
            // A name that this machine has outside of its cluster.
            (Company::Of(cluster), Some(OwnerWord::Named(text)))
                if !shared && mine(text) && cluster.machine_of(text).is_none() =>
            {
                Ok(ClusterId::NONE)
            }
            (Company::Of(cluster), _) => Ok(cluster.warrant.cluster),
            (Company::NotNow(why), _) => Err(RunError::say(
                Kind::NotOwner,
                format!(
                    "container {name} was not made, a cluster's as it was to be; nothing was written; {why}"
                ),
            )),
            (Company::None, _) if shared => {
                Err(RunError::Denied(guard::Denied::SharedNeedsDaemon { name: name.clone() }))
            }
            (Company::None, _) => Ok(ClusterId::NONE),
        }
    }

    /// May disks be taken that carry labels, and are to lose them? What a cluster's container holds is wiped by who may delete it, and
    /// by nobody else, though the word for wiping was said (safety 2.8, 3.1).
    pub(super) fn may_wipe(&self, taking: &Taking, scene: &Scene) -> Result<(), RunError> {
        if !taking.may_wipe(WIPE_EVMS) {
            return Ok(());
        }
        for found in &scene.containers {
            let Ok(chosen) = &found.chosen else { continue };
            let container = &chosen.model.container;
            if container.cluster.is_none() || container.kind == ContainerKind::Deleted {
                continue;
            }
            self.may(&chosen.model, scene.place_of(found), Act::Delete).map_err(RunError::Denied)?;
        }
        Ok(())
    }

    /// The machine with this identity. Of a cluster's container only its nodes can be owners: no other could ever use it.
    fn machine_with(&self, node: NodeUuid, cluster: ClusterId) -> Result<Machine, RunError> {
        let Company::Of(company) = (if cluster.is_none() { &Company::None } else { self.company() }) else {
            return Ok(Machine { node, name: None });
        };
        match company.name_of(node) {
            Some(name) => Ok(Machine { node, name: Some(name.clone()) }),
            None => Err(no_node(&node.to_string(), company)),
        }
    }

    /// The node of the container's cluster that is so called. For what is standalone nobody is asked.
    fn node_named(&self, text: &str, cluster: ClusterId) -> Result<Option<OwnerAsk>, RunError> {
        if cluster.is_none() {
            return Ok(None);
        }
        let cluster = match self.company() {
            Company::None => return Ok(None),
            Company::Of(cluster) => cluster,
            Company::NotNow(why) => {
                let words = format!(
                    "--owner '{}' was not looked for; nothing was written; {why}",
                    text.escape_default()
                );
                return Err(RunError::say(Kind::NotOwner, words));
            }
        };
        let Some(node) = cluster.machine_of(text) else {
            return Err(no_node(text, cluster));
        };
        Ok(Some(OwnerAsk::Machine(Machine { node, name: cluster.name_of(node).cloned() })))
    }

    /// Who is meant by this word, or by none.
    pub(super) fn owner(
        &self,
        word: Option<&OwnerWord>,
        place: Place,
        name: &Name,
        cluster: ClusterId,
    ) -> Result<OwnerAsk, RunError> {
        let me = || {
            if self.machine.node.is_none() {
                Err(RunError::Denied(guard::Denied::NoIdentity { name: name.clone() }))
            } else {
                Ok(OwnerAsk::Machine(self.named_machine()))
            }
        };
        match word {
            None if place == Place::Images && self.options.acting_as.is_none() => Ok(OwnerAsk::Unclaimed),
            None | Some(OwnerWord::Me) => me(),
            Some(OwnerWord::Unclaimed) => Ok(OwnerAsk::Unclaimed),
            Some(OwnerWord::Node(node)) if *node == self.machine.node => me(),
            Some(OwnerWord::Node(node)) => self.machine_with(*node, cluster).map(OwnerAsk::Machine),
            Some(OwnerWord::Named(text)) => match (self.node_named(text, cluster)?, &self.machine.name) {
                (Some(node), _) => Ok(node),
                (None, Some(mine)) if mine.as_str() == text => me(),
                _ => Err(RunError::say(
                    Kind::Usage,
                    format!(
                        "--owner '{}' is not this machine's name, and a name alone does not tell machines apart; nothing \
                         was written; give the node UUID of the owner (its /etc/evms/node), or 'none' to leave it unclaimed",
                        text.escape_default()
                    ),
                )),
            },
        }
    }
}

fn no_node(text: &str, cluster: &Cluster) -> RunError {
    RunError::say(
        Kind::NotFound,
        format!(
            "--owner '{}' is no node of cluster {}; nothing was written; its nodes are {}",
            text.escape_default(),
            cluster.name,
            cluster.names()
        ),
    )
}
