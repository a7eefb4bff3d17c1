//! `activate`: brings the volumes of containers up that this machine may use. What a crash left unsettled is settled
//! first, by an opening; what is nobody's yet is claimed (safety 3.3).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::failure::{Failure, Kind};
use crate::base::gather::Gather;
use crate::base::id::DiskNumber;
use crate::base::limits::OPENING_TRIES_MAX;
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::base::small_set::SmallSet;
use crate::engine::guard::{self, Act, Denied, Place};
use crate::host::device::DeviceNumber;
use crate::host::meant_up;
use crate::host::nodes;
use crate::host::turn::Turn;
use crate::host::udev::Cookie;
use crate::run::change::{Errand, find};
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::listing::word_for;
use crate::run::live;
use crate::run::live::keeping::Keeping;
use crate::run::live::raise::{self, Raised};
use crate::run::report::{Activated, VolumeDown, VolumeUp};
use crate::run::scene::{Scene, Seen};
use crate::run::writable;
use crate::volume::check;
use crate::volume::discover::{DiskWord, Found};
use crate::volume::request::Request;
use crate::volume::stack::{self, Down, Stack};

/// A container, and which of its volumes are meant; none named is all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Name or id of the container.
    pub container: String,
    /// Its volumes.
    pub volumes: Vec<Name>,
}

/// The look that serves one container after the other, as long as nothing has to be changed.
struct Looks {
    scene: Option<Scene>,
    /// Is it of the disks of one container?
    of_one: bool,
}

impl Looks {
    fn at(&mut self, context: &Context, name: &str) -> Result<&Scene, RunError> {
        Ok(match &mut self.scene {
            Some(scene) => scene,
            none if self.of_one => none.insert(context.look_steadily_at(name)?),
            none => none.insert(context.look_steadily()?),
        })
    }
}

impl Context {
    /// `activate NAME…`: any that is refused ends it; what came up before stays up.
    pub fn activate(&mut self, wanted: &[Wanted]) -> Result<Activated, RunError> {
        let mut answer = Activated::default();
        let mut looks = Looks { scene: None, of_one: false };
        for one in wanted {
            self.activate_one(&mut looks, one, &mut answer)?;
        }
        Ok(answer)
    }

    /// The same of one container while others are changed by this process: it neither waits for those nor keeps them waiting.
    pub fn activate_beside_others(&mut self, wanted: &Wanted) -> Result<Activated, RunError> {
        let mut answer = Activated::default();
        self.activate_one(&mut Looks { scene: None, of_one: true }, wanted, &mut answer)?;
        Ok(answer)
    }

    /// `activate --all`: every container that this machine may use; the others are told, each with its reason.
    pub fn activate_all(&mut self) -> Result<Activated, RunError> {
        let scene = self.look_steadily()?;
        let names = scene.containers.iter().map(|found| word_for(&scene, found)).collect::<Vec<_>>();
        let mut looks = Looks { scene: Some(scene), of_one: false };
        let mut answer = Activated::default();
        for container in names {
            let wanted = Wanted { container, volumes: Vec::new() };
            if let Err(error) = self.activate_one(&mut looks, &wanted, &mut answer) {
                answer.left.push(error.to_string());
                // What belongs to others is not this command's failure.
                if error.kind() != Kind::NotOwner {
                    answer.failed = answer.failed.or(Some(error.kind()));
                }
            }
        }
        Ok(answer)
    }

    fn activate_one(
        &mut self,
        looks: &mut Looks,
        wanted: &Wanted,
        answer: &mut Activated,
    ) -> Result<(), RunError> {
        let name = self.ready_and_settled(looks, &wanted.container)?;
        let name = name.as_str();
        // Where something was changed only what is read again may be mapped.
        let scene = looks.at(self, name)?;
        let (found, chosen) = find(scene, name)?;
        let model = &chosen.model;
        self.may(model, scene.place_of(found), Act::Change).map_err(RunError::Denied)?;
        let written = chosen.image.header.configuration;
        let principal = self.principal(model.container.cluster);
        guard::refuse_outdated(&model.container, written, &principal).map_err(RunError::Denied)?;
        if model.container.suspended {
            return Err(RunError::say(
                Kind::Refused,
                format!(
                    "container {name} is suspended by an administrator; nothing was activated; let it go on with: evms-fence resume {name}"
                ),
            ));
        }
        // What no change may write is not given to users to write either.
        writable::refuse_newer(name, found)?;
        writable::refuse_strange_fronts(name, scene, found)?;
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
        let disks = numbers(scene, found);
        let here = disks.keys().copied().gather::<SmallSet<_>>();
        let stack = stack::stack(model, chosen.image.header.order.epoch, &here, &wanted.volumes);
        // A disk that fails or hangs may be the one that is missing, and a slow one is why it took so long.
        let trouble =
            scene.disks.iter().filter_map(Seen::trouble).filter(|words| !answer.notes.contains(words));
        answer.notes.extend(trouble.collect::<Vec<_>>());
        tell_down(&stack, answer);
        let keeping = self.keeping(model, chosen.image.header.order.epoch)?;
        let raised = self.raise(stack, disks, keeping, answer)?;
        tell_up(&raised, answer);
        if !model.container.cluster.is_none() && wanted.volumes.is_empty() {
            meant_up::note(model.container.id);
        }
        Ok(())
    }

    fn raise(
        &mut self,
        stack: Stack,
        disks: SmallMap<DiskNumber, DeviceNumber>,
        keeping: Option<Keeping>,
        answer: &mut Activated,
    ) -> Result<Raised, RunError> {
        let turn = Turn::wait();
        live::sweep_nodes();
        let cookie = Arc::new(Cookie::new((self.dice.number() & 0xffff) as u16));
        let raised = raise::raise(stack, disks, &cookie, turn.is_ours(), keeping).map_err(RunError::Live)?;
        if cookie.wait().is_err() {
            answer.notes.push(format!(
                "udev was not done after {} s; the volumes are up, links under /dev/disk may come later",
                crate::host::udev::WAIT_MS / 1000
            ));
        }
        let unmade = raise::make_nodes(&raised);
        if !unmade.is_empty() {
            answer.failed = answer.failed.or(Some(Kind::Device));
        }
        answer.notes.extend(unmade);
        Ok(raised)
    }

    /// The same, until what is read behind it is settled: other nodes may change a container that is shared at the same time, and what of
    /// that is in doubt may come out otherwise than it was read.
    fn ready_and_settled(&mut self, looks: &mut Looks, name: &str) -> Result<String, RunError> {
        let mut after = name.to_string();
        let mut took = Duration::ZERO;
        for again in 0..OPENING_TRIES_MAX {
            self.give_way(again, took);
            let begin = Instant::now();
            after = self.ready(looks, &after)?;
            let scene = looks.at(self, &after)?;
            let (_, chosen) = find(scene, &after)?;
            if chosen.model.container.cluster.is_none() || chosen.committed && chosen.settled {
                return Ok(after);
            }
            looks.scene = None;
            took = begin.elapsed();
        }
        let words = format!(
            "container {name} is changed by other nodes all the time, and what was read of it last is not settled; nothing was activated; \
             say the command again"
        );
        Err(RunError::say(Kind::Refused, words))
    }

    /// Claims what is nobody's, and settles what a crash left: only a committed model may be mapped. Gives the word that
    /// the container answers to afterwards: a template that is claimed gets other ids. The look is gone when something was
    /// changed.
    fn ready(&mut self, looks: &mut Looks, name: &str) -> Result<String, RunError> {
        let scene = looks.at(self, name)?;
        // Under a lease only what was read in its term counts: whoever was stopped between looking and asking for the lease may have
        // seen a container that another node has by now.
        let (_, chosen) = find(scene, name)?;
        if !chosen.model.container.cluster.is_none() && !self.has_asked() {
            self.company();
            looks.scene = None;
            return self.ready(looks, name);
        }
        let admit;
        let (claim, settle, after) = {
            let (found, chosen) = find(scene, name)?;
            if scene.place_of(found) == Place::Images {
                return Err(RunError::say(
                    Kind::Refused,
                    format!(
                        "container {name} was not activated because its disks are image files; nothing was done; attach them \
                         with losetup, or give them to a machine as disks"
                    ),
                ));
            }
            let claim = match self.may(&chosen.model, Place::Devices, Act::Change) {
                Ok(_) => false,
                Err(Denied::Unclaimed { .. }) => true,
                Err(denied) => return Err(RunError::Denied(denied)),
            };
            self.enough(name, found)?;
            let container = &chosen.model.container;
            // That this node is admitted counts only when nobody can write it away any more who began to open before it was.
            let in_doubt = !chosen.committed || !container.cluster.is_none() && !chosen.settled;
            admit = self.admission(name, container, in_doubt)?;
            let after = if container.template { container.name.to_string() } else { name.to_string() };
            (claim, in_doubt || chosen.model.table.old_set.is_some(), after)
        };
        if !claim && !settle && admit.is_none() {
            return Ok(after);
        }
        // What is opened for a change must not be locked here.
        looks.scene = None;
        if claim {
            self.container_import(name)?;
            // It is this node's now, and no gate is made before that says so.
            return self.ready(looks, &after);
        }
        let held = self.hold(name, Act::Change)?;
        let request = admit.map(|watchdog_ms| Request::Admit { watchdog_ms });
        self.run(Errand { held: &held, request, act: Act::Change, joining: Vec::new() })?;
        Ok(after)
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
pub(crate) fn numbers(scene: &Scene, found: &Found) -> SmallMap<DiskNumber, DeviceNumber> {
    let member = |word| !matches!(word, DiskWord::NotMember | DiskWord::Released);
    let reads = found.disks.iter().filter(|read| member(found.word(read)));
    let numbers = reads.filter_map(|read| {
        let disk = scene.disks.get(read.place)?.open.as_ref().ok()?;
        Some((read.labelled.label.number, disk.number()?))
    });
    numbers.gather()
}

fn tell_up(raised: &Raised, answer: &mut Activated) {
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
    answer.notes.extend(raised.resumed.iter().map(|path| {
        format!(
            "volume {path} was suspended, by a command that was killed or by dmsetup; its I/O goes on now"
        )
    }));
    answer.notes.extend(raised.shorter.iter().map(|(path, size)| {
        format!(
            "volume {path} is active with an older size, whoever grew it was killed; give it its new one with: evms volume expand \
             {path} --size {}",
            size.to_bytes().unwrap_or_default().0
        )
    }));
}

fn tell_down(stack: &Stack, answer: &mut Activated) {
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
