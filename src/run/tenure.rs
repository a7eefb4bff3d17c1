//! `why CONTAINER`: who holds a container, since when and on which evidence, what that rests on when its holder falls silent, and what
//! would have to happen for this node to get it (R1). Reads only.

use crate::base::id::NodeUuid;
use crate::base::name::Name;
use crate::engine::guard::evidence::Prospect;
use crate::format::control::{AgentLine, NodeLine, Status};
use crate::format::model::{Container, ContainerKind, Holder, Owner};
use crate::host::clock;
use crate::run::ask;
use crate::run::change::{find, sound};
use crate::run::company::Company;
use crate::run::context::Context;
use crate::run::deeds::since;
use crate::run::failure::RunError;
use crate::run::live::keeping;
use crate::run::report::{FenceLine, HolderLine, Tenure};
use crate::run::scene::Seen;
use crate::run::takeover::{self, called};
use crate::volume::check::kind_word;
use crate::volume::choose::Chosen;
use crate::volume::discover::Sighting;

impl Context {
    /// `why NAME` of a container.
    pub fn tenure(&self, name: &str) -> Result<Tenure, RunError> {
        let scene = self.look_for_members()?;
        let (_, chosen) = find(&scene, name)?;
        // What is standalone asks no daemon.
        let alone = chosen.model.container.cluster.is_none();
        let status = if alone { None } else { ask::status("").ok() };
        let agents = if alone { Vec::new() } else { ask::agents("").unwrap_or_default() };
        Ok(self.of(chosen, &status, &agents))
    }

    /// The same of every container of the cluster whose evmsd said this, and which of them cannot be told of.
    pub fn tenures(&self, status: Status) -> Result<(Vec<Tenure>, Vec<String>), RunError> {
        let scene = self.look_for_members()?;
        let agents = ask::agents("").unwrap_or_default();
        let (cluster, status) = (status.cluster_id.clone(), Some(status));
        let (mut told, mut unclear) = (Vec::new(), Vec::new());
        unclear.extend(scene.disks.iter().filter_map(trouble));
        for found in &scene.containers {
            let name = found.id.to_string();
            match sound(&scene, found, &name) {
                Err(why) => unclear.push(why.to_string()),
                Ok(chosen) if chosen.model.container.cluster.to_string() == cluster => {
                    if !chosen.majority_read {
                        unclear.push(format!(
                            "container {}: less than a majority of its disks is here, and what is told of it may be old; see: evms check {name}",
                            chosen.model.container.name
                        ));
                    }
                    told.push(self.of(chosen, &status, &agents));
                }
                Ok(_) => (),
            }
        }
        told.sort_by(|one, other| one.container.cmp(&other.container));
        Ok((told, unclear))
    }

    fn of(&self, chosen: &Chosen, status: &Option<Status>, agents: &[AgentLine]) -> Tenure {
        let container = &chosen.model.container;
        let since = since(&chosen.model);
        let order = chosen.image.header.order;
        let agents = of_holders(container, status, agents);
        Tenure {
            container: container.name.to_string(),
            id: container.id.to_string(),
            kind: kind_word(container.kind),
            owner: container.owner.as_ref().map(called).unwrap_or_default(),
            owner_node: container.owner.as_ref().map(|owner| owner.node.to_string()).unwrap_or_default(),
            owner_state: container.owner.as_ref().map(|owner| state(owner.node, status)).unwrap_or_default(),
            home: container.home.as_ref().map(called).unwrap_or_default(),
            epoch: order.epoch.0,
            generation: order.generation.0,
            committed: chosen.committed,
            since: since.at,
            by: since.by,
            evidence: since.words,
            holders: container.holders.iter().map(|holder| holder_line(holder, status)).collect(),
            grade: grade(container).into(),
            grade_why: grade_why(container).into(),
            gates_here: keeping::has_gates(container.id),
            next: self.next_step(chosen, status, &agents),
            agents,
        }
    }

    /// What would have to happen for this node to have it.
    fn next_step(&self, chosen: &Chosen, status: &Option<Status>, agents: &[FenceLine]) -> String {
        let container = &chosen.model.container;
        let name = &container.name;
        if !container.cluster.is_none() {
            match self.company() {
                // It comes over.
                Company::Of(_) if container.kind == ContainerKind::Deported => (),
                Company::Of(cluster) if cluster.warrant.cluster == container.cluster => (),
                Company::NotNow(why) => return why.clone(),
                Company::Of(_) | Company::None => {
                    return "it belongs to a cluster that this machine is not in; ask on a node of that cluster"
                        .into();
                }
            }
        }
        if !chosen.majority_read {
            return format!(
                "less than a majority of its disks is here: nobody can take it or change it by what is here; bring disks back, see: evms \
                 check {name}"
            );
        }
        let here = keeping::has_gates(container.id);
        match (container.kind, &container.owner) {
            (ContainerKind::Deported, _) | (ContainerKind::Private, None) => {
                format!("it is nobody's; take it with: evms container import {name}")
            }
            (ContainerKind::Deleted, _) => format!("finish its end with: evms container delete {name}"),
            (ContainerKind::Shared, _) if container.suspended => resume_it(name),
            (ContainerKind::Private, Some(owner))
                if container.suspended && owner.node == self.machine.node =>
            {
                resume_it(name)
            }
            (ContainerKind::Shared, _) if here => "this node uses it".into(),
            (ContainerKind::Shared, _) => format!("any node may use it: evms activate {name}"),
            (ContainerKind::Private, Some(owner)) if owner.node == self.machine.node => match here {
                true => "this node owns it and has its gates".into(),
                false => format!("this node owns it; bring its volumes up with: evms activate {name}"),
            },
            (ContainerKind::Private, Some(owner)) => self.of_another(container, owner, status, agents),
        }
    }

    fn of_another(
        &self,
        container: &Container,
        owner: &Owner,
        status: &Option<Status>,
        agents: &[FenceLine],
    ) -> String {
        let name = &container.name;
        let who = called(owner);
        if container.cluster.is_none() {
            return format!(
                "the machine {who} owns it; have it deported there: evms container modify {name} --type deported"
            );
        }
        let seconds = |ms: u64| ms.div_ceil(1000);
        let fenced = fenced(&who, agents);
        match self.prospect(container, owner.node) {
            Some(_) if container.suspended => format!(
                "{who} is absent, and an administrator suspended it: no node takes it over by itself; say: evms container takeover {name} \
                 --reason WHY, and then: evms-fence resume {name}"
            ),
            None if !takeover::is_living(&state(owner.node, status)) => format!(
                "{who} is not in the view; what there is against it is known in a moment, or say: evms container takeover {name} \
                 --reason WHY"
            ),
            None => format!(
                "{who} is in the view and owns it; have it given there: evms deactivate {name}, then evms container modify {name} \
                 --owner {}",
                self.named_machine().name.map_or_else(|| "NODE".into(), |name| name.to_string())
            ),
            Some(Prospect::Now(_)) if container.holder(owner.node).is_none() => format!(
                "{who} is absent and has no gates of it; take it with: evms container takeover {name} --reason WHY"
            ),
            Some(Prospect::Now(_)) => format!(
                "{who} is absent, and its watchdog's time is over: a node of the view takes it over by itself, or say: evms container \
                 takeover {name} --reason WHY"
            ),
            Some(Prospect::At(at)) => format!(
                "{who} is absent; {fenced}a node of the view takes it over by itself: as soon as {who} says over the disks that its gates \
                 are closed, or in {} s, when the time of its watchdog is over",
                seconds(at.ms.saturating_sub(clock::boot_now().ms))
            ),
            Some(Prospect::ByWordAlone) => format!(
                "{who} is absent and had no watchdog: {fenced}nothing proves that it cannot write any more, and it does not say over the \
                 disks that its gates are closed; make sure that it is off, and say: evms container takeover {name} --reason WHY"
            ),
        }
    }
}

fn resume_it(name: &Name) -> String {
    format!("an administrator suspended it; let it go on with: evms-fence resume {name}")
}

/// What keeps a disk from telling what is on it.
fn trouble(seen: &Seen) -> Option<String> {
    match &seen.sighting {
        Ok(Sighting::Unusable(why)) => {
            Some(format!("{} carries an evms label that cannot be used: {why}", seen.path.display()))
        }
        _ => seen.trouble(),
    }
}

/// Those of this node's agents that are for who may have gates of it.
fn of_holders(container: &Container, status: &Option<Status>, agents: &[AgentLine]) -> Vec<FenceLine> {
    let names = container.holders.iter().filter(|holder| !holder.expelled);
    let names = names.filter_map(|holder| line_of(holder.node, status)).map(|line| &line.name);
    let names = names.collect::<Vec<_>>();
    if names.is_empty() {
        return Vec::new();
    }
    let own = status.as_ref().map(|status| status.node.as_str());
    let of_it = |line: &&AgentLine| names.contains(&&line.node) && own != Some(line.node.as_str());
    let line = |line: &AgentLine| FenceLine {
        node: line.node.clone(),
        agent: line.agent.clone(),
        said: line.said.clone(),
    };
    agents.iter().filter(of_it).map(line).collect()
}

/// What is done about its power, as the beginning of what follows.
fn fenced(who: &str, agents: &[FenceLine]) -> String {
    let all = agents.iter().filter(|line| line.node == who);
    let names = all.clone().map(|line| line.agent.as_str()).collect::<Vec<_>>().join(", then ");
    match all.map(|line| line.said.as_str()).find(|said| !said.is_empty()) {
        _ if names.is_empty() => String::new(),
        None => format!(
            "this node asks {names} to cut its power when its turn comes, and takes what it had when that reads off; "
        ),
        Some(said) => format!(
            "this node asks {names} to cut its power unless it says over the disks that its gates are closed (last: {said}); "
        ),
    }
}

fn holder_line(holder: &Holder, status: &Option<Status>) -> HolderLine {
    let line = line_of(holder.node, status);
    HolderLine {
        name: line.map_or_else(|| holder.node.short(), |line| line.name.clone()),
        node: holder.node.to_string(),
        state: state(holder.node, status),
        watchdog_ms: holder.watchdog_ms,
        counted_out: holder.expelled,
    }
}

/// What this node's daemon says of a machine.
fn line_of(node: NodeUuid, status: &Option<Status>) -> Option<&NodeLine> {
    let machine = node.to_string();
    status.as_ref()?.nodes.iter().find(|line| line.machine == machine)
}

/// How it sees that one.
fn state(node: NodeUuid, status: &Option<Status>) -> String {
    line_of(node, status).map_or_else(|| "unknown".into(), |line| line.state.clone())
}

/// What it rests on that nobody writes who had it before (design section 6): A and B need reservations, which no container has yet.
fn grade(container: &Container) -> &'static str {
    let unwatched = |holder: &&Holder| !holder.expelled && holder.watchdog_ms == 0;
    match container.cluster.is_none() {
        true => "",
        false if container.holders.iter().any(|holder| unwatched(&holder)) => "D",
        false => "C",
    }
}

fn grade_why(container: &Container) -> &'static str {
    match grade(container) {
        "" => "it is of one machine, and nothing keeps another one from its disks",
        "D" => {
            "leases alone: a node with gates of it has no watchdog, and without somebody's word nobody takes over from that one"
        }
        _ => {
            "leases and watchdogs: good against a crash, a hang and a cut, not against a machine that stands still with its clock"
        }
    }
}
