//! `activate`: brings the volumes of containers up that this machine may use. What a crash left unsettled is settled
//! first, by an opening; what is nobody's yet is claimed (safety 3.3).

use std::collections::{BTreeMap, BTreeSet};

use crate::base::failure::{Failure, Kind};
use crate::base::id::DiskNumber;
use crate::base::name::Name;
use crate::engine::guard::{self, Act, Denied, Place};
use crate::host::device::DeviceNumber;
use crate::host::dm::Dm;
use crate::host::nodes;
use crate::host::udev::Cookie;
use crate::run::change::{Errand, find};
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::live::{self, Raised};
use crate::run::report::{Activated, VolumeDown, VolumeUp};
use crate::run::scene::{Scene, Seen};
use crate::volume::check;
use crate::volume::discover::{DiskWord, Found};
use crate::volume::stack::{self, Down, Stack};

/// A container, and which of its volumes are meant; none named is all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name or id of the container.
    pub container: String,
    /// Its volumes.
    pub volumes: Vec<Name>,
}

impl Context {
    /// `activate NAME…`: any that is refused ends it; what came up before stays up.
    pub fn activate(&mut self, wanted: &[Wanted]) -> Result<Activated, RunError> {
        let mut answer = Activated::default();
        for one in wanted {
            self.activate_one(one, &mut answer)?;
        }
        Ok(answer)
    }

    /// `activate --all`: every container that this machine may use; the others are told, each with its reason.
    pub fn activate_all(&mut self) -> Result<Activated, RunError> {
        let names = {
            let scene = self.look_for_members()?;
            scene.containers.iter().map(|found| found.id.to_string()).collect::<Vec<_>>()
        };
        let mut answer = Activated::default();
        for container in names {
            if let Err(error) = self.activate_one(&Wanted { container, volumes: Vec::new() }, &mut answer) {
                answer.left.push(error.to_string());
                // What belongs to others is not this command's failure.
                if error.kind() != Kind::NotOwner {
                    answer.failed = answer.failed.or(Some(error.kind()));
                }
            }
        }
        Ok(answer)
    }

    fn activate_one(&mut self, wanted: &Wanted, answer: &mut Activated) -> Result<(), RunError> {
        let (scene, name) = self.ready(&wanted.container)?;
        let name = name.as_str();
        let (found, chosen) = find(&scene, name)?;
        let model = &chosen.model;
        guard::may(model, &self.machine, scene.place_of(found), Act::Change).map_err(RunError::Denied)?;
        check::laws(model).map_err(|broken| RunError::Unusable {
            name: format!("container {name}"),
            why: format!("its model breaks a law: {broken}; nothing was activated; see evms check {name}"),
        })?;
        let unknown =
            wanted.volumes.iter().find(|volume| model.volumes.iter().all(|other| other.name != **volume));
        if let Some(volume) = unknown {
            return Err(RunError::NotFound {
                what: "volume",
                name: format!("{name}/{volume}"),
                hint: format!("see what there is with: evms info {name}"),
            });
        }
        let disks = numbers(&scene, found);
        let here = disks.keys().copied().collect::<BTreeSet<_>>();
        let stack = stack::stack(model, chosen.image.header.order.epoch, &here, &wanted.volumes);
        // A disk that fails or hangs may be the one that is missing, and a slow one is why it took so long.
        let trouble =
            scene.disks.iter().filter_map(Seen::trouble).filter(|words| !answer.notes.contains(words));
        answer.notes.extend(trouble.collect::<Vec<_>>());
        let raised = self.raise(&stack, &disks, answer)?;
        tell(&stack, &raised, answer);
        Ok(())
    }

    fn raise(
        &mut self,
        stack: &Stack,
        disks: &BTreeMap<DiskNumber, DeviceNumber>,
        answer: &mut Activated,
    ) -> Result<Raised, RunError> {
        let mut dm = Dm::open().map_err(RunError::Dm)?;
        let cookie = Cookie::new((self.dice.number() & 0xffff) as u16);
        let raised = live::raise(&mut dm, stack, disks, &cookie);
        if cookie.wait().is_err() {
            answer.notes.push(format!(
                "udev was not done after {} s; the volumes are up, links under /dev/disk may come later",
                crate::host::udev::WAIT_MS / 1000
            ));
        }
        let raised = raised?;
        answer.notes.extend(live::make_nodes(&raised));
        Ok(raised)
    }

    /// A look at a container that may be mapped: what is nobody's was claimed, and what a crash left was settled, for only
    /// a committed model may be. With the word that it answers to: a template that is claimed gets other ids.
    fn ready(&mut self, name: &str) -> Result<(Scene, String), RunError> {
        let scene = self.look_for_members()?;
        let (claim, settle, after) = {
            let (found, chosen) = find(&scene, name)?;
            if scene.place_of(found) == Place::Images {
                return Err(RunError::say(
                    Kind::Refused,
                    format!(
                        "container {name} was not activated because its disks are image files; nothing was done; attach them \
                         with losetup, or give them to a machine as disks"
                    ),
                ));
            }
            let claim = match guard::may(&chosen.model, &self.machine, Place::Devices, Act::Change) {
                Ok(_) => false,
                Err(Denied::Unclaimed { .. }) => true,
                Err(denied) => return Err(RunError::Denied(denied)),
            };
            self.enough(name, found)?;
            let container = &chosen.model.container;
            let after = if container.template { container.name.to_string() } else { name.to_string() };
            (claim, !chosen.committed || chosen.model.table.old_set.is_some(), after)
        };
        if !claim && !settle {
            return Ok((scene, after));
        }
        // What is opened for a change must not be open here.
        drop(scene);
        if claim {
            self.container_import(name)?;
        } else {
            let held = self.hold(name, Act::Change)?;
            self.run(Errand { held: &held, request: None, act: Act::Change, joining: Vec::new() })?;
        }
        Ok((self.look_for_members()?, after))
    }

    fn enough(&self, name: &str, found: &Found) -> Result<(), RunError> {
        let chosen = found.chosen.as_ref().map_err(|why| RunError::unchosen(name, why))?;
        if chosen.majority_read {
            return Ok(());
        }
        let quorum = crate::volume::votes::Quorum::of(&chosen.model.table);
        Err(RunError::NoMajority {
            name: name.into(),
            tally: quorum.tally(&chosen.read, crate::volume::mistake::Rules::ALL),
            missing: found.missing().into_iter().collect(),
        })
    }
}

/// Kernel numbers of the member disks that are here.
pub(crate) fn numbers(scene: &Scene, found: &Found) -> BTreeMap<DiskNumber, DeviceNumber> {
    let member = |word| !matches!(word, DiskWord::NotMember | DiskWord::Released);
    let reads = found.disks.iter().filter(|read| member(found.word(read)));
    let numbers = reads.filter_map(|read| {
        let disk = scene.disks.get(read.place)?.open.as_ref().ok()?;
        Some((read.labelled.label.number, disk.number()?))
    });
    numbers.collect()
}

fn tell(stack: &Stack, raised: &Raised, answer: &mut Activated) {
    let up = |already| {
        move |(path, number): &(crate::base::name::VolumePath, DeviceNumber)| VolumeUp {
            name: path.to_string(),
            node: nodes::path_of(path).display().to_string(),
            device: format!("dm-{}", number.minor),
            already_so: already,
        }
    };
    answer.up.extend(raised.up.iter().map(up(false)));
    answer.up.extend(raised.already.iter().map(up(true)));
    for (path, down) in &stack.down {
        let why = match down {
            Down::Disks(disks) => {
                let disks = disks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                format!(
                    "disk {disks} is not here and carries extents of it; bring it back, then activate it again"
                )
            }
            Down::NoLines => {
                "no plug-in of this program knows how it lies; use the program that made it".into()
            }
        };
        answer.down.push(VolumeDown { name: path.to_string(), why });
        answer.failed = answer.failed.or(Some(Kind::Device));
    }
}
