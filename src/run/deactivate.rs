//! `deactivate`: takes volumes and gates out of the kernel. It asks the kernel alone what is there, so that it works when
//! the disks are gone. A volume that is open stays, and who has it open is told.

use std::sync::Arc;

use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::id::ContainerId;
use crate::base::name::{Name, VolumePath};
use crate::base::small_set::SmallSet;
use crate::host::dm::wire::Listed;
use crate::host::dm::{Dm, DmError};
use crate::host::meant_up;
use crate::host::openers;
use crate::host::pending;
use crate::host::sysfs::{self, Roots};
use crate::host::turn::Turn;
use crate::host::udev::{Cookie, Patience, Role};
use crate::run::activate::Wanted;
use crate::run::change::find;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::live::aside;
use crate::run::live::closing;
use crate::run::live::keeping::{self, Closing};
pub use crate::run::live::removal::Open;
use crate::run::live::removal::{Going, Removal, Stays};
use crate::run::live::{self, Live};
use crate::run::report::Deactivated;
use crate::volume::stack::{self, GATES, NAME_PREFIX, UUID_PREFIX, VOLUMES};

/// A live volume of ours.
struct Volume {
    path: VolumePath,
    listed: Listed,
    uuid: String,
}

impl Volume {
    /// The text of its container's id, as its uuid has it.
    fn container(&self) -> &str {
        container_in(&self.uuid).unwrap_or_default()
    }

    /// Is it one of the container that is named?
    fn is_of(&self, one: &Wanted) -> bool {
        self.path.container.as_str() == one.container || self.container() == one.container
    }

    fn is_meant(&self, wanted: &[Wanted]) -> bool {
        let named = |one: &Wanted| one.volumes.is_empty() || one.volumes.contains(&self.path.volume);
        wanted.iter().any(|one| self.is_of(one) && named(one))
    }

    fn going(&self) -> Going {
        let node = Some((self.path.clone(), self.listed.number));
        Going { name: self.listed.name.clone(), role: Role::Volume, node }
    }
}

/// `EVMS-volume-CONTAINER-VOLUME`, `EVMS-gate-CONTAINER-DISK`: ids are 36 characters with dashes.
fn container_in(uuid: &str) -> Option<&str> {
    let (_, ids) = uuid.strip_prefix(UUID_PREFIX)?.split_once('-')?;
    ids.get(..36)
}

fn volumes(live: &Live) -> Vec<Volume> {
    let all = live.beginning(VOLUMES).filter_map(|(uuid, listed)| {
        let (container, volume) = listed.name.strip_prefix(NAME_PREFIX)?.split_once(':')?;
        let path = VolumePath { container: Name::parse(container).ok()?, volume: Name::parse(volume).ok()? };
        Some(Volume { path, listed: listed.clone(), uuid: uuid.clone() })
    });
    all.collect()
}

impl Context {
    /// `deactivate NAME…`, or `--all` when `wanted` is `None`.
    pub fn deactivate(&mut self, wanted: Option<&[Wanted]>, open: Open) -> Result<Deactivated, RunError> {
        let _turn = Turn::wait();
        let mut dm = Dm::open().map_err(RunError::Dm)?;
        let live = Live::look(&mut dm).map_err(RunError::Dm)?;
        let volumes = volumes(&live);
        refuse_ambiguous(wanted.unwrap_or_default(), &volumes)?;
        let down = self.refuse_unknown(wanted.unwrap_or_default(), &live, &volumes)?;
        let (going, staying): (Vec<_>, Vec<_>) =
            volumes.into_iter().partition(|volume| wanted.is_none_or(|wanted| volume.is_meant(wanted)));
        let plan = Plan { gates: gates_going(&live, wanted, &down, &going, &staying), going, staying };
        // Nobody opens one with what waits in front of it while it is to fail.
        let closing = (open == Open::Fail).then(|| Closing::of(&plan.gates));
        let failing = match open {
            Open::Refuse => {
                refuse_open(&mut dm, &plan.going, &Patience::new())?;
                Failing::default()
            }
            Open::Fail => plan.fail(&mut dm).map_err(RunError::Dm)?,
        };
        let cookie = Arc::new(Cookie::new((self.dice.number() & 0xffff) as u16));
        let removal = Removal { cookie: Arc::clone(&cookie), patience: Patience::new(), open };
        let mut answer = Deactivated { left: failing.words(), ..Deactivated::default() };
        let mut kept = keeping::containers();
        // Who was admitted and has no gates is counted on all the same.
        kept.extend(down.iter().filter_map(|id| ContainerId::parse(id)));
        plan.end_takeovers(wanted, &down);
        let stay = plan.take_down(&removal, &failing, closing, &mut answer);
        if open == Open::Fail {
            put_aside(&mut dm, &live, &cookie, (&failing, &stay), &mut answer);
        }
        if open == Open::Refuse {
            // Whose I/O is made to fail may have disks that hang, and is not to wait for them.
            let still = keeping::containers();
            let down = kept.into_iter().filter(|one| !still.contains(one)).collect::<Vec<_>>();
            down.iter().copied().for_each(meant_up::forget);
            answer.notes.extend(self.withdraw(down));
        }
        live::sweep_nodes();
        if stay.iter().any(|(_, stays)| *stays == Stays::Hangs) {
            answer.notes.push(
                "what waits for a disk ends by itself when the disk answers; see which with: evms list disks"
                    .into(),
            );
        } else if cookie.wait().is_err() {
            answer.notes.push("udev was not done in time; the volumes are down".into());
        }
        let wrong = |(_, stays): &(Going, Stays)| open == Open::Refuse || !stays.is_busy();
        answer.failed = (!failing.open.is_empty() || stay.iter().any(wrong)).then_some(Kind::Device);
        Ok(answer)
    }

    /// What is named and has no volume in the kernel is down already, if there is such a thing at all: the ids of these
    /// containers, of which gates may stand still.
    fn refuse_unknown(
        &self,
        wanted: &[Wanted],
        live: &Live,
        volumes: &[Volume],
    ) -> Result<Vec<String>, RunError> {
        let stands = |one: &&Wanted| {
            let up =
                |name: &Name| volumes.iter().any(|volume| volume.is_of(one) && volume.path.volume == *name);
            match one.volumes.as_slice() {
                [] => {
                    volumes.iter().any(|volume| volume.is_of(one))
                        || gates_of(live, &one.container).next().is_some()
                }
                names => names.iter().all(up),
            }
        };
        let unknown = wanted.iter().filter(|one| !stands(one)).collect::<Vec<_>>();
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let scene = self.look()?;
        let mut down = Vec::new();
        for one in unknown {
            let (found, chosen) = find(&scene, &one.container)?;
            down.push(found.id.to_string());
            let missing = one.volumes.iter().find(|name| chosen.model.volume(name).is_none());
            if let Some(volume) = missing {
                return Err(RunError::NotFound {
                    what: "volume",
                    name: format!("{}/{volume}", one.container),
                    hint: format!(
                        "nothing was deactivated; see what there is with: evms info {}",
                        one.container
                    ),
                });
            }
        }
        Ok(down)
    }
}

/// One name that means volumes of two containers would take down what was not meant.
fn refuse_ambiguous(wanted: &[Wanted], volumes: &[Volume]) -> Result<(), RunError> {
    for one in wanted {
        let named = volumes.iter().filter(|volume| volume.path.container.as_str() == one.container);
        let ids = named.map(Volume::container).gather::<SmallSet<_>>();
        if ids.len() > 1 {
            return Err(RunError::Ambiguous {
                name: one.container.clone(),
                ids: ids.into_iter().filter_map(ContainerId::parse).collect(),
            });
        }
    }
    Ok(())
}

/// What goes and what stays.
struct Plan {
    going: Vec<Volume>,
    staying: Vec<Volume>,
    gates: Vec<String>,
}

impl Plan {
    /// What is taken down by hand is not brought up by a takeover that was cut off.
    fn end_takeovers(&self, wanted: Option<&[Wanted]>, down: &[String]) {
        let Some(wanted) = wanted else { return pending::all().into_iter().for_each(pending::end) };
        let named = wanted.iter().map(|one| one.container.as_str());
        let meant =
            self.going.iter().map(Volume::container).chain(down.iter().map(String::as_str)).chain(named);
        meant.filter_map(ContainerId::parse).for_each(pending::end);
    }
}

/// Devices whose I/O does not fail, though it should.
#[derive(Default)]
struct Failing {
    open: Vec<(String, closing::Open)>,
}

impl Failing {
    /// Does all that goes through this device of the container fail? What disks have not answered yet lands still.
    fn is_all_of(&self, name: &str, container: &str) -> bool {
        let gates = ContainerId::parse(container).map(stack::gate_names);
        let is_under = |open: &str| gates.as_ref().is_none_or(|gates| open.starts_with(gates));
        !self.open.iter().any(|(open, _)| open == name || is_under(open))
    }

    fn words(&self) -> Vec<String> {
        self.open.iter().map(|(name, why)| format!("the device {name} {}", why.in_words())).collect()
    }
}

impl Plan {
    /// Lets all I/O of what goes fail, at the gates; at the volume itself where another one keeps a gate open, or where the
    /// volume is stopped: its I/O waits in front of the gate and would never get there.
    fn fail(&self, dm: &mut Dm) -> Result<Failing, DmError> {
        let mut names = self.gates.clone();
        for volume in &self.going {
            let kept = self.staying.iter().any(|other| other.container() == volume.container());
            let name = &volume.listed.name;
            if kept || dm.status(name)?.is_some_and(|state| state.is_suspended()) {
                names.push(name.clone());
            }
        }
        Ok(Failing { open: closing::fail(&names) })
    }

    /// Takes volumes away, then the gates that nothing stands on any more; those that stay, with why.
    fn take_down(
        &self,
        removal: &Removal,
        failing: &Failing,
        closing: Option<Closing>,
        answer: &mut Deactivated,
    ) -> Vec<(Going, Stays)> {
        let mut stay = removal.all(self.going.iter().map(Volume::going).collect());
        for volume in &self.going {
            match stay.iter().find(|(going, _)| going.name == volume.listed.name) {
                None => answer.down.push(volume.path.to_string()),
                Some((_, stays)) => answer.left.push(left(volume, stays, removal.open, failing)),
            }
        }
        if stay.is_empty() || removal.open == Open::Fail {
            let alone = stay.is_empty();
            let closing = closing.unwrap_or_else(|| Closing::of(&self.gates));
            let gates = self.gates.iter().map(|name| Going::plain(name, Role::Gate)).collect();
            if alone && self.going.is_empty() && !self.gates.is_empty() {
                answer
                    .notes
                    .push(format!("gates without volumes were taken away: {}", self.gates.join(", ")));
            }
            let left = removal.all(gates);
            // What fails lets nothing through, though it is there.
            let fails =
                |name: &str| removal.open == Open::Fail && failing.open.iter().all(|(open, _)| open != name);
            closing.forget(|name| left.iter().any(|(gate, _)| gate.name == name) && !fails(name));
            if alone {
                answer.left.extend(left.iter().map(|(gate, why)| why.in_words(&gate.name)));
            }
            stay.extend(left);
        }
        stay
    }
}

/// Gives what is open still, and fails, another name: its container can be activated again beside it (safety 4.8).
fn put_aside(
    dm: &mut Dm,
    live: &Live,
    cookie: &Cookie,
    (failing, stay): (&Failing, &[(Going, Stays)]),
    answer: &mut Deactivated,
) {
    let mut names = Vec::new();
    for (going, _) in stay.iter().filter(|(_, stays)| stays.is_busy()) {
        let mut all = live.beginning(UUID_PREFIX);
        let Some((uuid, device)) = all.find(|(_, listed)| listed.name == going.name) else { continue };
        let container = container_in(uuid).unwrap_or_default();
        if !failing.is_all_of(&going.name, container) {
            continue;
        }
        let epoch = gates_of(live, container).filter_map(|gate| stack::epoch_in(&gate.name)).max();
        let new = aside::put(dm, device, epoch.unwrap_or("0.0"), cookie);
        names.extend(new.filter(|_| going.role == Role::Volume));
    }
    if !names.is_empty() {
        answer.notes.push(format!(
            "what is still open was put aside as {}: nothing waits for it, and its container can be activated without it",
            names.join(", ")
        ));
    }
}

/// Gates of the container with this id.
fn gates_of<'a>(live: &'a Live, container: &'a str) -> impl Iterator<Item = &'a Listed> + 'a {
    live.beginning(GATES)
        .filter(move |(uuid, _)| container_in(uuid) == Some(container))
        .map(|(_, listed)| listed)
}

/// Gates of containers of which no volume stays.
fn gates_going(
    live: &Live,
    wanted: Option<&[Wanted]>,
    down: &[String],
    going: &[Volume],
    staying: &[Volume],
) -> Vec<String> {
    let all = live.beginning(GATES).filter(|(uuid, _)| {
        let Some(container) = container_in(uuid) else { return false };
        let stays = staying.iter().any(|volume| volume.container() == container);
        let goes = going.iter().any(|volume| volume.container() == container);
        let named = wanted.is_none_or(|wanted| wanted.iter().any(|one| one.container == container))
            || down.iter().any(|id| id == container);
        !stays && (goes || named)
    });
    all.map(|(_, listed)| listed.name.clone()).collect()
}

/// Who has a volume open, in words.
fn holders(volume: &Volume) -> String {
    let words = openers::users(volume.listed.number);
    if words.is_empty() { "somebody who cannot be told from here".into() } else { words.join(", ") }
}

/// Will it be closed by itself in a moment? udev looks into what was written to, right after it was closed.
fn closes_soon(volume: &Volume) -> bool {
    let uses = sysfs::uses_of(&Roots::default(), volume.listed.number);
    uses.is_ok_and(|uses| uses.in_words().is_empty()) && openers::only_udev(volume.listed.number)
}

fn refuse_open(dm: &mut Dm, going: &[Volume], patience: &Patience) -> Result<(), RunError> {
    let mut is_open = |volume: &Volume| {
        let state = dm.status(&volume.listed.name).map_err(RunError::Dm)?;
        Ok(state.is_some_and(|state| state.open_count > 0))
    };
    for volume in going {
        let mut open = is_open(volume)?;
        while open && closes_soon(volume) && patience.wait() {
            open = is_open(volume)?;
        }
        if open {
            return Err(RunError::say(
                Kind::Refused,
                format!(
                    "volume {} is in use: {}; nothing was deactivated; unmount or close it first, or, when the machine must go \
                     down, let its I/O fail with: evms deactivate --fail {}",
                    volume.path,
                    holders(volume),
                    volume.path.container
                ),
            ));
        }
    }
    Ok(())
}

fn left(volume: &Volume, stays: &Stays, open: Open, failing: &Failing) -> String {
    match (stays.is_busy(), open) {
        (true, Open::Fail) if failing.open.is_empty() => format!(
            "volume {} is still open ({}); its I/O fails, and it goes when that closes it",
            volume.path,
            holders(volume)
        ),
        (true, Open::Fail) => format!(
            "volume {} is still open ({}); its I/O fails, but for what waits for the devices above; it goes when that closes it",
            volume.path,
            holders(volume)
        ),
        (true, Open::Refuse) => format!(
            "volume {} was not deactivated because it was opened meanwhile ({}); it works as before; close it, then \
             deactivate it again",
            volume.path,
            holders(volume)
        ),
        (false, _) => stays.in_words(&volume.listed.name),
    }
}
