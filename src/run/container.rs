//! Commands about containers.

use std::path::PathBuf;

use crate::base::failure::{Failure, Kind};
use crate::base::gather::Gather;
use crate::base::id::{ClusterId, ContainerId, DiskNumber};
use crate::base::name::Name;
use crate::base::small_set::SmallSet;
use crate::base::units::Bytes;
use crate::engine::author::Planner;
use crate::engine::change::{Change, Joiner};
use crate::engine::guard::{self, Act, Place};
pub use crate::format::model::ContainerKind;
use crate::format::model::Model;
use crate::host::disk::{Medium, OpenDisk};
use crate::run::change::{Errand, Held, drive, find, write_lines};
use crate::run::company::Company;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::labels;
use crate::run::owner::OwnerWord;
use crate::run::perform::Hands;
use crate::run::report::Changed;
use crate::run::scene::Scene;
use crate::run::take::{self, Taking};
use crate::volume::commit::{Labels, Member};
use crate::volume::discover::{Deletion, Found};
use crate::volume::mistake::Rules;
use crate::volume::plan;
use crate::volume::request::{CreateContainer, OwnerAsk, Request};

/// A container to be made.
#[derive(Clone, Debug)]
pub struct CreateAsk {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub kind: ContainerKind,
    /// Its owner; `None` is the default: this machine on devices, unclaimed on image files.
    pub owner: Option<OwnerWord>,
    /// Gets fresh ids when claimed.
    pub template: bool,
    /// Length of an extent.
    pub extent: Bytes,
    /// How its disks are taken.
    pub taking: Taking,
    /// Its disks.
    pub disks: Vec<PathBuf>,
}

/// A container to be modified.
#[derive(Clone, Debug, Default)]
pub struct ModifyAsk {
    /// New owner.
    pub owner: Option<OwnerWord>,
    /// New type.
    pub kind: Option<ContainerKind>,
    /// New name.
    pub name: Option<Name>,
}

impl Context {
    /// `container create`.
    pub fn container_create(&mut self, ask: &CreateAsk) -> Result<Changed, RunError> {
        ask.taking.check_words()?;
        if let Some(already) = self.created_already(ask)? {
            return Ok(already);
        }
        let scene = take::open(&ask.disks, self.options.dry_run)?;
        self.may_wipe(&ask.taking, &scene)?;
        let id = ContainerId::random(&mut self.dice);
        let taken = scene.disks.iter().map(|seen| ask.taking.take(seen, id, &mut self.dice));
        let taken = taken.collect::<Result<Vec<_>, _>>()?;
        let place = place_of(&scene);
        let cluster = self.cluster_of(&ask.name, ask.kind, ask.owner.as_ref(), place)?;
        if ask.template && !cluster.is_none() {
            return Err(RunError::say(
                Kind::Usage,
                "--template is for images that are copied to many machines, and not for a container of a cluster; nothing was \
                 written; leave it out",
            ));
        }
        // Who may not open it may not label its disks either.
        self.me(place, cluster)?;
        let owner = self.owner(ask.owner.as_ref(), place, &ask.name, cluster)?;
        let create = CreateContainer {
            name: ask.name.clone(),
            kind: ask.kind,
            owner,
            cluster,
            template: ask.template,
            extent: ask.extent,
            disks: taken.iter().map(|taken| taken.new.clone()).collect(),
        };
        let model = plan::create(&create, id, &self.asker(cluster))
            .map_err(|why| RunError::Refused(Box::new(why)))?;
        let joiners = taken.into_iter().map(|taken| numbered(taken.joiner, &model)).collect::<Vec<_>>();
        let slot = joiners.iter().map(|joiner| joiner.member.layout.slot_bytes()).min().unwrap_or_default();
        plan::must_fit(slot, &model).map_err(|why| RunError::Refused(Box::new(why)))?;
        self.found(ask, &scene, id, place, model, &joiners)
    }

    /// Labels the disks and commits the first model; when either fails, the labels are taken away again.
    fn found(
        &mut self,
        ask: &CreateAsk,
        scene: &Scene,
        id: ContainerId,
        place: Place,
        model: Model,
        joiners: &[Joiner],
    ) -> Result<Changed, RunError> {
        let disks = open_disks(scene);
        let paths = disks.iter().map(|disk| disk.path().display().to_string()).collect::<Vec<_>>();
        let cluster = model.container.cluster;
        let mandate = guard::may_found(id, self.principal(cluster).warrant_of(cluster));
        let mut hands = self.hands(disks);
        let members = joiners.iter().map(|joiner| joiner.member.clone()).collect::<Vec<_>>();
        let mut paper = Labels::new(members.clone(), Rules::ALL);
        for (lane, joiner) in joiners.iter().enumerate() {
            paper.push_member(lane, &joiner.label, joiner.size);
        }
        labels::drive(&mut paper, &mandate, &mut hands);
        if !paper.failed().is_empty() {
            return Err(undo(&members, &mandate, &mut hands, &ask.name));
        }
        let words = model.change.text.clone();
        let planner = Planner {
            asker: self.asker(cluster),
            principal: self.principal(cluster),
            place,
            act: Act::Change,
            request: None,
            joiners: Vec::new(),
            first: Some(model),
            dice: self.dice.clone(),
            words: Some(words),
            already: None,
        };
        let mut change =
            Change::found(members.clone(), mandate, self.me(place, cluster)?, planner, Rules::ALL);
        drive(&mut change, &mut hands);
        let (planner, Some(Ok(done))) = change.finish() else {
            // Another node may have opened what stands already, and be told that its change is safe.
            if hands.tried && !cluster.is_none() {
                return Err(half_made(&hands, &ask.name));
            }
            return Err(undo(&members, &mandate, &mut hands, &ask.name));
        };
        Ok(Changed {
            done: format!("container {}: {}", ask.name, planner.words.unwrap_or_default()),
            dry_run: self.options.dry_run,
            container: ask.name.to_string(),
            epoch: done.order.epoch.0,
            generation: done.order.generation.0,
            writes: if self.options.dry_run { write_lines(&hands, &paths) } else { Vec::new() },
            ..Changed::default()
        })
    }

    /// Said twice: the same name, type and disks. Anything else under this name is refused.
    fn created_already(&mut self, ask: &CreateAsk) -> Result<Option<Changed>, RunError> {
        if !(self.options.disks.is_empty() && all_images(&ask.disks)) {
            return self.created_here(ask);
        }
        self.options.disks.clone_from(&ask.disks);
        let already = self.created_here(ask);
        self.options.disks.clear();
        already
    }

    fn created_here(&mut self, ask: &CreateAsk) -> Result<Option<Changed>, RunError> {
        let scene = self.look_for_members()?;
        let Some(found) = scene.containers_named(ask.name.as_str()).first().copied() else { return Ok(None) };
        let exists = |why: String| {
            Err(RunError::say(
                Kind::Refused,
                format!(
                    "container {} exists already and {why}; nothing was written; choose another name",
                    ask.name
                ),
            ))
        };
        if gives_way(&scene, found, ask) {
            return Ok(None);
        }
        if found.deletion() != Deletion::No {
            return exists(format!(
                "is being deleted; finish that first with: evms container delete {}",
                ask.name
            ));
        }
        let Ok(chosen) = &found.chosen else { return exists("its model cannot be read".into()) };
        let here =
            found.disks.iter().filter_map(|read| scene.disks.get(read.place)).map(|seen| real(&seen.path));
        let here = here.gather::<SmallSet<_>>();
        let asked = ask.disks.iter().map(real).gather::<SmallSet<_>>();
        if here != asked {
            return exists("has other disks".into());
        }
        if chosen.model.container.kind != ask.kind {
            return exists("is of another type".into());
        }
        let container = &chosen.model.container;
        let place = scene.place_of(found);
        let cluster = self.cluster_of(&ask.name, ask.kind, ask.owner.as_ref(), place)?;
        if container.cluster != cluster {
            let whose = |cluster: ClusterId| match cluster.is_none() {
                true => "standalone".to_string(),
                false => format!("of cluster {cluster}"),
            };
            return exists(format!("is {}, not {}", whose(container.cluster), whose(cluster)));
        }
        if let (Some(word), Some(owner)) = (&ask.owner, &container.owner) {
            match self.owner(Some(word), place, &ask.name, cluster)? {
                OwnerAsk::Machine(machine) if machine.node != owner.node => {
                    return exists("has another owner".into());
                }
                _ => (),
            }
        }
        // A crash cut its first commit: whoever hears "already so" must not lose it with one disk.
        if !chosen.committed {
            drop(scene);
            let held = self.hold(ask.name.as_str(), Act::Import)?;
            let settled =
                self.run(Errand { held: &held, request: None, act: Act::Import, joining: Vec::new() })?;
            let done = format!("container {}: was begun before and is now on all of its disks", ask.name);
            return Ok(Some(Changed { done, ..settled }));
        }
        let order = chosen.image.header.order;
        Ok(Some(Changed {
            done: format!("container {} exists already, on these disks", ask.name),
            already_so: true,
            dry_run: self.options.dry_run,
            container: ask.name.to_string(),
            epoch: order.epoch.0,
            generation: order.generation.0,
            ..Changed::default()
        }))
    }

    /// `container modify`.
    pub fn container_modify(&mut self, name: &str, ask: &ModifyAsk) -> Result<Changed, RunError> {
        if ask.owner.is_none() && ask.kind.is_none() && ask.name.is_none() {
            return Err(RunError::say(
                Kind::Usage,
                "container modify was told nothing to modify; give --owner, --type or --name",
            ));
        }
        if let Some(already) = self.modified_already(name, ask)? {
            return Ok(already);
        }
        let held = self.hold(name, Act::Import)?;
        let chosen = held.chosen()?;
        let deported = chosen.model.container.kind == ContainerKind::Deported;
        if deported && ask.kind != Some(ContainerKind::Private) && ask.owner.is_none() {
            self.may(&chosen.model, held.scene.place_of(&held.found), Act::Change)
                .map_err(RunError::Denied)?;
        }
        let place = held.scene.place_of(&held.found);
        let cluster = chosen.model.container.cluster;
        let shared = ask.kind == Some(ContainerKind::Shared);
        if shared && place == Place::Devices && chosen.model.container.cluster.is_none() {
            return Err(RunError::say(
                Kind::Refused,
                format!(
                    "container {name} is standalone and only a cluster's container can be shared; nothing was written; make one \
                     on a node of a cluster with: evms container create NAME --shared DISK…"
                ),
            ));
        }
        let owner = match &ask.owner {
            Some(word) => Some(self.owner(Some(word), place, &chosen.model.container.name, cluster)?),
            // A private container needs an owner, and who asks is the natural one.
            None if ask.kind == Some(ContainerKind::Private)
                && chosen.model.container.kind != ContainerKind::Private =>
            {
                Some(self.owner(None, place, &chosen.model.container.name, cluster)?)
            }
            None => None,
        };
        let unasked = self.may_be_given(&held, owner.as_ref())?;
        let request = Request::Modify { owner, kind: ask.kind, name: ask.name.clone() };
        let mut done = self.errand(&held, request, Act::Import)?;
        done.notes.extend(unasked);
        Ok(done)
    }

    /// Said twice: all of it is as it was asked, or the old name is gone, the new one is there and nothing else was
    /// asked. Looking needs no leave, so that who gave a container away may ask again.
    fn modified_already(&self, name: &str, ask: &ModifyAsk) -> Result<Option<Changed>, RunError> {
        let scene = self.look_for_members()?;
        let renamed = scene.containers_named(name).is_empty();
        let (found, words) = match ask {
            ModifyAsk { owner: None, kind: None, name: Some(new) } if renamed => {
                (find(&scene, new.as_str()), format!("there is no container {name}, and {new} exists"))
            }
            _ => (find(&scene, name), format!("container {name} is so")),
        };
        let Ok((found, chosen)) = found else { return Ok(None) };
        let container = &chosen.model.container;
        let owner = match &ask.owner {
            None => true,
            Some(word) => {
                match self.owner(Some(word), scene.place_of(found), &container.name, container.cluster)? {
                    OwnerAsk::Unclaimed => {
                        container.owner.is_none() && container.kind == ContainerKind::Private
                    }
                    OwnerAsk::Machine(machine) => {
                        container.owner.as_ref().is_some_and(|owner| owner.node == machine.node)
                    }
                }
            }
        };
        let same = owner
            && ask.kind.is_none_or(|kind| kind == container.kind)
            && ask.name.as_ref().is_none_or(|new| *new == container.name);
        if !same || !chosen.committed || chosen.model.table.old_set.is_some() {
            return Ok(None);
        }
        let order = chosen.image.header.order;
        Ok(Some(Changed {
            done: words,
            already_so: true,
            dry_run: self.options.dry_run,
            container: container.name.to_string(),
            epoch: order.epoch.0,
            generation: order.generation.0,
            ..Changed::default()
        }))
    }

    /// `container deport`.
    pub fn container_deport(&mut self, name: &str) -> Result<Changed, RunError> {
        let held = self.hold(name, Act::Import)?;
        let request = Request::Modify { owner: None, kind: Some(ContainerKind::Deported), name: None };
        self.errand(&held, request, Act::Import)
    }

    /// `container import`: takes a deported or unclaimed container for this machine.
    pub fn container_import(&mut self, name: &str) -> Result<Changed, RunError> {
        let act = self.act_of_import(name)?;
        let held = self.hold(name, act)?;
        let chosen = held.chosen()?;
        if chosen.model.container.template {
            drop(held);
            return self.container_new_ids(name);
        }
        let place = held.scene.place_of(&held.found);
        let before = chosen.model.container.cluster;
        let owner = self.owner(None, place, &chosen.model.container.name, before)?;
        let request = Request::Modify { owner: Some(owner), kind: Some(ContainerKind::Private), name: None };
        let mut done = self.errand(&held, request, act)?;
        if let (Act::BringOver, Company::Of(cluster)) = (act, self.company()) {
            done.notes
                .push(format!("it was the cluster's {before}, and is the cluster {}'s now", cluster.name));
        }
        Ok(done)
    }

    /// What another cluster deported comes over, where it lies on disks that this node's cluster may have.
    fn act_of_import(&self, name: &str) -> Result<Act, RunError> {
        let scene = self.look_for_members()?;
        let (found, chosen) = find(&scene, name)?;
        let container = &chosen.model.container;
        if scene.place_of(found) == Place::Images || !guard::comes_over(container, Act::BringOver) {
            return Ok(Act::Import);
        }
        Ok(match self.company() {
            Company::Of(cluster) if cluster.warrant.cluster != container.cluster => Act::BringOver,
            Company::Of(_) | Company::NotNow(_) | Company::None => Act::Import,
        })
    }

    /// `container expand`.
    pub fn container_expand(
        &mut self,
        name: &str,
        disks: &[PathBuf],
        taking: &Taking,
    ) -> Result<Changed, RunError> {
        taking.check_words()?;
        let mut held = self.hold(name, Act::Change)?;
        let (members, fresh): (Vec<_>, Vec<_>) = disks.iter().cloned().partition(|path| held.is_member(path));
        if fresh.is_empty() {
            let chosen = held.chosen()?;
            // A crash cut the expansion: whoever hears "already so" must not lose it with one disk.
            if !chosen.committed || chosen.model.table.old_set.is_some() {
                let errand = Errand { held: &held, request: None, act: Act::Change, joining: Vec::new() };
                let done = format!("container {name}: was being expanded before, and that is complete now");
                return Ok(Changed { done, ..self.run(errand)? });
            }
            let which = if members.len() == 1 { "the disk is a member" } else { "the disks are members" };
            return self.already_so(&held, format!("container {name}: {which} already"));
        }
        // Labelled for this container by an expansion that was cut short, and no member: it is taken anew.
        let left = fresh.iter().filter(|path| held.has(path)).map(real).collect::<Vec<_>>();
        if !left.is_empty() {
            drop(held);
            held = self.hold_without(name, Act::Change, &left)?;
        }
        let scene = take::open(&fresh, self.options.dry_run)?;
        self.may_wipe(taking, &scene)?;
        // One slot length for all: the smallest slot bounds the model.
        let slot = held.found.disks.iter().map(|read| read.labelled.layout.slot_bytes()).max();
        let taking = Taking { slot: taking.slot.or(slot), ..taking.clone() };
        let mut joining = Vec::new();
        for seen in &scene.disks {
            let mut taking = taking.clone();
            if left.contains(&real(&seen.path)) {
                taking.wipe.push(take::WIPE_EVMS.into());
            }
            joining.push((seen, taking.take(seen, held.found.id, &mut self.dice)?));
        }
        let request = Request::Expand { disks: joining.iter().map(|(_, taken)| taken.new.clone()).collect() };
        let joining = joining.into_iter().map(|(seen, taken)| (seen, taken.joiner)).collect();
        self.run(Errand { held: &held, request: Some(request), act: Act::Change, joining })
    }

    /// `container shrink`.
    pub fn container_shrink(&mut self, name: &str, disks: &[String]) -> Result<Changed, RunError> {
        let held = self.hold(name, Act::Change)?;
        // A disk that was let go is known by its path alone: it is there and no member.
        let (members, free): (Vec<_>, Vec<_>) =
            disks.iter().partition(|word| held.disk_number(word).is_ok() || !PathBuf::from(word).exists());
        if members.is_empty() && !free.is_empty() {
            let which =
                if free.len() == 1 { "this is none of its disks" } else { "these are none of its disks" };
            return self.already_so(&held, format!("container {name}: {which}"));
        }
        let disks = members.iter().map(|word| held.disk_number(word)).collect::<Result<Vec<_>, _>>()?;
        self.errand(&held, Request::Shrink { disks }, Act::Change)
    }

    fn already_so(&self, held: &Held, done: String) -> Result<Changed, RunError> {
        let chosen = held.chosen()?;
        let order = chosen.image.header.order;
        Ok(Changed {
            done,
            already_so: true,
            dry_run: self.options.dry_run,
            container: chosen.model.container.name.to_string(),
            epoch: order.epoch.0,
            generation: order.generation.0,
            ..Changed::default()
        })
    }

    /// `container readmit`.
    pub fn container_readmit(&mut self, name: &str, disks: &[String]) -> Result<Changed, RunError> {
        let held = self.hold(name, Act::Change)?;
        let disks = disks.iter().map(|word| held.disk_number(word)).collect::<Result<Vec<_>, _>>()?;
        if let Some(away) = disks.iter().find(|number| held.found.missing().contains(number)) {
            return Err(RunError::say(
                Kind::Refused,
                format!(
                    "disk {away} was not readmitted to container {name} because it is not here; nothing was written; bring \
                     it back and say it again"
                ),
            ));
        }
        self.errand(&held, Request::Readmit { disks }, Act::Change)
    }

    /// An errand without joining disks.
    pub(crate) fn errand(&mut self, held: &Held, request: Request, act: Act) -> Result<Changed, RunError> {
        self.run(Errand { held, request: Some(request), act, joining: Vec::new() })
    }
}

/// What is left of a container of the same name need not be kept: too little is here to open it, and all of that is
/// named to be used anew.
fn gives_way(scene: &Scene, found: &Found, ask: &CreateAsk) -> bool {
    let dead = found.chosen.as_ref().map_or(true, |chosen| !chosen.majority_read);
    let asked = ask.disks.iter().map(real).gather::<SmallSet<_>>();
    let mut here = found.disks.iter().filter_map(|read| scene.disks.get(read.place));
    dead && ask.taking.may_wipe(take::WIPE_EVMS) && here.all(|seen| asked.contains(&real(&seen.path)))
}

fn numbered(joiner: Joiner, model: &Model) -> Joiner {
    let number = model.disk_by_id(joiner.member.id).map_or(DiskNumber(0), |disk| disk.number);
    let mut joiner = joiner;
    joiner.member = Member { number, ..joiner.member };
    joiner.label.number = number;
    joiner
}

fn open_disks(scene: &Scene) -> Vec<&OpenDisk> {
    scene.disks.iter().filter_map(|seen| seen.open.as_ref().ok()).collect()
}

fn place_of(scene: &Scene) -> Place {
    let device = |disk: &&OpenDisk| disk.medium() == Medium::BlockDevice;
    if open_disks(scene).iter().any(device) { Place::Devices } else { Place::Images }
}

fn real(path: &PathBuf) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())
}

fn all_images(paths: &[PathBuf]) -> bool {
    paths.iter().all(|path| std::fs::metadata(path).is_ok_and(|meta| meta.is_file()))
}

/// A founding failed: what was labelled is unlabelled, and the first error tells why.
/// A container of a cluster of which it is not known whether it was made.
fn half_made(hands: &Hands<'_>, name: &Name) -> RunError {
    let (kind, why) = match hands.failure(name.as_str()) {
        Some(error) => (error.kind(), error.to_string()),
        None => {
            (Kind::Device, "another node opened it meanwhile, or fewer disks took it than a majority".into())
        }
    };
    RunError::say(
        kind,
        format!(
            "container {name} may stand now, or not: {why}; nothing was taken back, for another node may use it; say the same again, \
             which finishes it, or look with: evms info {name}"
        ),
    )
}

fn undo(members: &[Member], mandate: &guard::Mandate, hands: &mut Hands<'_>, name: &Name) -> RunError {
    let first = hands.errors.first().map(|(_, error)| error.clone());
    let denied = hands.denied;
    let mut paper = Labels::new(members.to_vec(), Rules::ALL);
    (0..members.len()).for_each(|lane| paper.push_wipe(lane));
    labels::drive(&mut paper, mandate, hands);
    let undone = paper.failed().is_empty();
    let (kind, cause) = match (denied, first) {
        (Some(denied), _) => (denied.kind(), denied.to_string()),
        (None, Some(error)) => (Kind::Device, error.to_string()),
        (None, None) => (Kind::Device, "its disks did not take it".to_string()),
    };
    let after = if undone {
        "its disks are free again".to_string()
    } else {
        format!("a disk may keep a label; use it anew with --wipe {}", take::WIPE_EVMS)
    };
    RunError::say(kind, format!("container {name} was not made: {cause}; {after}"))
}
