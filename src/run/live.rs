//! What stands in the kernel of a container's devices: the stack of `volume::stack` as ioctls. Each may hang with a disk
//! under it (safety T2), so all of them are done by a crew, and nobody waits for one longer than its limit.
//!
//! `raise` makes devices, `reload` gives live volumes a new table, `closing` lets I/O fail, `removal` takes devices away.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::base::id::DiskNumber;
use crate::base::name::VolumePath;
use crate::base::small_map::SmallMap;
use crate::base::units::Sectors;
use crate::host::crew::{self, Missed, Pulse};
use crate::host::device::DeviceNumber;
use crate::host::disk::IO_DEADLINE_MS;
use crate::host::dm::wire::{Listed, Target};
use crate::host::dm::{Dm, DmError};
use crate::host::nodes;
use crate::host::udev::{self, Cookie, Role};
use crate::run::live::failure::LiveError;
use crate::volume::lines::DmLine;
use crate::volume::stack::{self, Dead, Gate, NAME_PREFIX, UUID_PREFIX, volume_name};

pub mod aside;
pub mod closing;
pub mod failure;
pub mod keeping;
pub mod raise;
pub mod reload;
pub mod removal;

/// How long one step of device-mapper may take.
pub const STEP_LIMIT: Duration = Duration::from_millis(IO_DEADLINE_MS);

/// Devices of ours in the kernel: those that live, by uuid, and those that were put aside.
#[derive(Default)]
pub struct Live {
    by_uuid: BTreeMap<String, Listed>,
    /// With their uuids as the kernel has them.
    dead: Vec<(String, Listed)>,
}

impl Live {
    /// Asks the kernel. Kernels that do not tell uuids in a list (before 5.14) are asked for each of our names.
    pub fn look(dm: &mut Dm) -> Result<Live, DmError> {
        let mut all = Live::default();
        for listed in dm.list()? {
            let uuid = match (&listed.uuid, listed.name.starts_with(NAME_PREFIX)) {
                (Some(uuid), _) => Some(uuid.clone()),
                (None, true) => dm.status(&listed.name)?.map(|state| state.uuid),
                (None, false) => None,
            };
            if let Some(uuid) = uuid.filter(|uuid| uuid.starts_with(UUID_PREFIX)) {
                all.add(uuid, listed);
            }
        }
        Ok(all)
    }

    fn add(&mut self, uuid: String, listed: Listed) {
        if Dead::of(&listed.name).is_some() {
            self.dead.push((uuid, listed));
        } else {
            self.by_uuid.insert(stack::plain_uuid(&uuid).into(), listed);
        }
    }

    /// Those that were put aside, with their uuids.
    pub fn dead(&self) -> impl Iterator<Item = (&str, &Listed)> {
        self.dead.iter().map(|(uuid, listed)| (uuid.as_str(), listed))
    }

    /// A uuid for a device that is to be made, of which none with this one lives: those that were put aside keep theirs.
    pub fn free_uuid(&self, plain: &str) -> String {
        let is_taken = |uuid: &str| self.dead.iter().any(|(dead, _)| dead == uuid);
        // One of so many more than there are is free.
        let mut all = (0..=self.dead.len()).map(|nth| stack::nth_uuid(plain, nth));
        all.find(|uuid| !is_taken(uuid)).unwrap_or_else(|| plain.into())
    }

    /// The device that lives with this uuid.
    pub fn of(&self, uuid: &str) -> Option<&Listed> {
        self.by_uuid.get(uuid)
    }

    /// Devices that live and whose uuid begins so, by uuid.
    pub fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Listed)> + 'a {
        self.by_uuid.range(prefix.to_string()..).take_while(move |(uuid, _)| uuid.starts_with(prefix))
    }
}

/// Device-mapper for one worker of a crew, opened with his first job.
#[derive(Default)]
struct Hand(Option<Dm>);

impl Hand {
    fn dm(&mut self) -> Result<&mut Dm, DmError> {
        match &mut self.0 {
            Some(dm) => Ok(dm),
            none => Ok(none.insert(Dm::open()?)),
        }
    }
}

/// Does something that may hang at any of its steps; `late` is what is said then.
fn within_limit<R: Send + 'static>(
    late: impl FnOnce() -> LiveError,
    job: impl Fn(&mut Dm, &Pulse) -> Result<R, LiveError> + Send + Sync + 'static,
) -> Result<R, LiveError> {
    let done = crew::each(vec![()], STEP_LIMIT, move |hand: &mut Hand, pulse: &Pulse, ()| {
        job(hand.dm().map_err(LiveError::Dm)?, pulse)
    });
    match done.into_iter().next() {
        Some(Ok(done)) => done,
        Some(Err(Missed::NoThread)) | None => Err(LiveError::TooLate(
            "no thread could be started for device-mapper; nothing was changed".into(),
        )),
        Some(Err(Missed::TooLate)) => Err(late()),
    }
}

fn linear(device: DeviceNumber, begin: Sectors, length: Sectors) -> Vec<Target> {
    let params = format!("{device} {}", begin.0);
    vec![Target { start: Sectors::ZERO, length, kind: "linear".into(), params }]
}

fn error_table(length: Sectors) -> Vec<Target> {
    vec![Target { start: Sectors::ZERO, length, kind: "error".into(), params: String::new() }]
}

fn length_of(table: &[Target]) -> Sectors {
    Sectors(table.iter().map(|target| target.length.0).sum())
}

/// Lines as the kernel takes them, on these gates.
fn targets(
    lines: &[DmLine],
    gates: &SmallMap<DiskNumber, Gate>,
    numbers: &SmallMap<DiskNumber, DeviceNumber>,
) -> Option<Vec<Target>> {
    let place = |disk| Some((numbers.get(&disk)?.to_string(), gates.get(&disk)?.begin));
    let target = |line: &DmLine| {
        Some(Target {
            start: line.start,
            length: line.length,
            kind: line.target.into(),
            params: line.params(place)?,
        })
    };
    lines.iter().map(target).collect()
}

fn resume(dm: &mut Dm, name: &str, role: Role, cookie: &Cookie) -> Result<(), DmError> {
    let told = dm.resume(name, cookie.event(role));
    cookie.told(*told.as_ref().unwrap_or(&false));
    told.map(drop)
}

/// How nodes are made here.
pub fn way() -> nodes::Way {
    if udev::runs() { nodes::Way::Link } else { nodes::Way::Node }
}

/// Takes nodes away whose device is gone.
pub fn sweep_nodes() {
    let mut hand = Hand::default();
    nodes::sweep(way(), |volume| {
        let dm = hand.dm().map_err(|_| nodes::Unknown)?;
        number_of(dm, volume).map_err(|_| nodes::Unknown)
    });
}

/// The device of a volume of this name.
fn number_of(dm: &mut Dm, volume: &VolumePath) -> Result<Option<DeviceNumber>, DmError> {
    let state = dm.status(&volume_name(volume))?;
    Ok(state.filter(|state| state.uuid.starts_with(UUID_PREFIX)).map(|state| state.number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(devices: &[(&str, &str)]) -> Live {
        let mut live = Live::default();
        for (name, uuid) in devices {
            let number = DeviceNumber { major: 253, minor: 5 };
            live.add((*uuid).into(), Listed { name: (*name).into(), uuid: None, number });
        }
        live
    }

    /// Safety 4.8: the kernel refuses a second device of one uuid, and none is ever waited for.
    #[test]
    fn what_is_made_beside_the_dead_has_a_uuid_of_its_own() {
        let dead = [
            ("evms:dead:e7.1:5:data:home", "EVMS-volume-c-v"),
            ("evms:dead:e9.1:6:data:home", "EVMS-volume-c-v.1"),
        ];
        assert_eq!(live(&[]).free_uuid("EVMS-volume-c-v"), "EVMS-volume-c-v");
        let two = live(&dead);
        assert_eq!(two.free_uuid("EVMS-volume-c-v"), "EVMS-volume-c-v.2");
        // The first has gone with its user.
        assert_eq!(live(&dead[1..]).free_uuid("EVMS-volume-c-v"), "EVMS-volume-c-v");
        assert!(two.of("EVMS-volume-c-v").is_none() && two.beginning(UUID_PREFIX).next().is_none());
        assert_eq!(two.dead().count(), 2);
    }

    #[test]
    fn what_lives_beside_the_dead_is_found_as_if_it_were_alone() {
        let both = live(&[
            ("evms:dead:e7.1:5:data:home", "EVMS-volume-c-v"),
            ("evms:data:home", "EVMS-volume-c-v.1"),
        ]);
        assert_eq!(both.of("EVMS-volume-c-v").map(|listed| listed.name.as_str()), Some("evms:data:home"));
        // A container may have that name.
        assert!(live(&[("evms:dead:home", "EVMS-volume-c-v")]).of("EVMS-volume-c-v").is_some());
    }
}
