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
use crate::volume::stack::{Gate, NAME_PREFIX, UUID_PREFIX, volume_name};

pub mod closing;
pub mod failure;
pub mod keeping;
pub mod raise;
pub mod reload;
pub mod removal;

/// How long one step of device-mapper may take.
pub const STEP_LIMIT: Duration = Duration::from_millis(IO_DEADLINE_MS);

/// Devices of ours that live in the kernel, by uuid.
pub struct Live {
    by_uuid: BTreeMap<String, Listed>,
}

impl Live {
    /// Asks the kernel. Kernels that do not tell uuids in a list (before 5.14) are asked for each of our names.
    pub fn look(dm: &mut Dm) -> Result<Live, DmError> {
        let mut by_uuid = BTreeMap::new();
        for listed in dm.list()? {
            let uuid = match (&listed.uuid, listed.name.starts_with(NAME_PREFIX)) {
                (Some(uuid), _) => Some(uuid.clone()),
                (None, true) => dm.status(&listed.name)?.map(|state| state.uuid),
                (None, false) => None,
            };
            if let Some(uuid) = uuid.filter(|uuid| uuid.starts_with(UUID_PREFIX)) {
                by_uuid.insert(uuid, listed);
            }
        }
        Ok(Live { by_uuid })
    }

    /// The device with this uuid.
    pub fn of(&self, uuid: &str) -> Option<&Listed> {
        self.by_uuid.get(uuid)
    }

    /// Devices whose uuid begins so, by uuid.
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
