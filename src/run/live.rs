//! What stands in the kernel of a container's devices, and making and taking away of them: the stack of
//! `volume::stack` as ioctls. All or nothing: what was made is taken away again when something after it fails (F53).

use std::collections::BTreeMap;

use crate::base::id::DiskNumber;
use crate::base::name::VolumePath;
use crate::base::units::Sectors;
use crate::host::device::DeviceNumber;
use crate::host::dm::wire::{Listed, Target};
use crate::host::dm::{Dm, DmError, Event};
use crate::host::nodes;
use crate::host::udev::{self, Cookie, Role};
use crate::run::failure::RunError;
use crate::volume::lines::DmLine;
use crate::volume::stack::{Gate, Mapped, NAME_PREFIX, Stack, UUID_PREFIX};

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

/// What raising a stack came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raised {
    /// Volumes that came up, with their devices.
    pub up: Vec<(VolumePath, DeviceNumber)>,
    /// Volumes that were up.
    pub already: Vec<(VolumePath, DeviceNumber)>,
    /// Devices that were made, in order; what a rollback takes away.
    made: Vec<String>,
}

fn linear(device: DeviceNumber, begin: Sectors, length: Sectors) -> Vec<Target> {
    let params = format!("{device} {}", begin.0);
    vec![Target { start: Sectors::ZERO, length, kind: "linear".into(), params }]
}

fn error_table(length: Sectors) -> Vec<Target> {
    vec![Target { start: Sectors::ZERO, length, kind: "error".into(), params: String::new() }]
}

/// Lines as the kernel takes them, on these gates.
fn targets(
    lines: &[DmLine],
    gates: &BTreeMap<DiskNumber, Gate>,
    numbers: &BTreeMap<DiskNumber, DeviceNumber>,
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

/// Raises a stack on these disks. `disks` are the kernel's numbers of the member disks.
pub fn raise(
    dm: &mut Dm,
    stack: &Stack,
    disks: &BTreeMap<DiskNumber, DeviceNumber>,
    cookie: &Cookie,
) -> Result<Raised, RunError> {
    let live = Live::look(dm).map_err(RunError::Dm)?;
    let mut raised = Raised::default();
    let done = gates_up(dm, &live, stack, disks, cookie, &mut raised)
        .and_then(|gates| volumes_up(dm, &live, stack, &gates, cookie, &mut raised));
    match done {
        Ok(()) => Ok(raised),
        Err(error) => {
            // The last one first: a volume stands on its gates.
            for name in raised.made.iter().rev() {
                let told = dm.remove(name, cookie.event(Role::Gate)).unwrap_or(false);
                cookie.told(told);
            }
            Err(error)
        }
    }
}

fn gates_up(
    dm: &mut Dm,
    live: &Live,
    stack: &Stack,
    disks: &BTreeMap<DiskNumber, DeviceNumber>,
    cookie: &Cookie,
    raised: &mut Raised,
) -> Result<BTreeMap<DiskNumber, DeviceNumber>, RunError> {
    let mut numbers = BTreeMap::new();
    for gate in stack.gates.values() {
        let Some(disk) = disks.get(&gate.disk) else { continue };
        let table = linear(*disk, gate.begin, gate.length);
        let number = match live.of(&gate.uuid) {
            Some(listed) => {
                if dm.table(&listed.name).map_err(RunError::Dm)? != table {
                    return Err(RunError::GateBusy { name: listed.name.clone(), disk: gate.disk });
                }
                listed.number
            }
            None => gate_up(dm, gate, &table, cookie, raised).map_err(RunError::Dm)?,
        };
        numbers.insert(gate.disk, number);
    }
    Ok(numbers)
}

/// One gate: open, and armed, so that any resume but ours fails what waits instead of landing it (safety 4.3).
fn gate_up(
    dm: &mut Dm,
    gate: &Gate,
    table: &[Target],
    cookie: &Cookie,
    raised: &mut Raised,
) -> Result<DeviceNumber, DmError> {
    let number = dm.create(&gate.name, &gate.uuid)?;
    raised.made.push(gate.name.clone());
    dm.load(&gate.name, table)?;
    resume(dm, &gate.name, Role::Gate, cookie)?;
    dm.load(&gate.name, &error_table(gate.length))?;
    Ok(number)
}

fn resume(dm: &mut Dm, name: &str, role: Role, cookie: &Cookie) -> Result<(), DmError> {
    let told = dm.resume(name, cookie.event(role));
    cookie.told(*told.as_ref().unwrap_or(&false));
    told.map(drop)
}

/// All tables are loaded before any volume is resumed: a table that the kernel does not take leaves none half up.
fn volumes_up(
    dm: &mut Dm,
    live: &Live,
    stack: &Stack,
    gates: &BTreeMap<DiskNumber, DeviceNumber>,
    cookie: &Cookie,
    raised: &mut Raised,
) -> Result<(), RunError> {
    let mut loaded: Vec<(&Mapped, DeviceNumber)> = Vec::new();
    for mapped in &stack.volumes {
        let table = targets(&mapped.lines, &stack.gates, gates);
        let table = table.ok_or_else(|| RunError::NoLines { volume: mapped.path.to_string() })?;
        if let Some(listed) = live.of(&mapped.uuid) {
            if dm.table(&listed.name).map_err(RunError::Dm)? != table {
                return Err(RunError::LiveDiffers {
                    volume: mapped.path.to_string(),
                    name: listed.name.clone(),
                });
            }
            raised.already.push((mapped.path.clone(), listed.number));
            continue;
        }
        let number = dm.create(&mapped.name, &mapped.uuid).map_err(RunError::Dm)?;
        raised.made.push(mapped.name.clone());
        dm.load(&mapped.name, &table).map_err(RunError::Dm)?;
        loaded.push((mapped, number));
    }
    for (mapped, number) in loaded {
        resume(dm, &mapped.name, Role::Volume, cookie).map_err(RunError::Dm)?;
        raised.up.push((mapped.path.clone(), number));
    }
    Ok(())
}

/// Gives volumes that are live their tables anew, on gates that are made where they are not there yet: a volume grew.
/// I/O waits between the two tables and loses nothing; what could not be loaded leaves the old table live.
pub fn reload(
    dm: &mut Dm,
    stack: &Stack,
    disks: &BTreeMap<DiskNumber, DeviceNumber>,
    cookie: &Cookie,
) -> Result<Vec<(VolumePath, DeviceNumber)>, RunError> {
    let live = Live::look(dm).map_err(RunError::Dm)?;
    let grown = stack.volumes.iter().filter_map(|mapped| Some((mapped, live.of(&mapped.uuid)?)));
    let grown = grown.collect::<Vec<_>>();
    if grown.is_empty() {
        return Ok(Vec::new());
    }
    let gates = gates_up(dm, &live, stack, disks, cookie, &mut Raised::default())?;
    let mut done = Vec::new();
    for (mapped, listed) in grown {
        let table = targets(&mapped.lines, &stack.gates, &gates);
        let table = table.ok_or_else(|| RunError::NoLines { volume: mapped.path.to_string() })?;
        let now = dm.table(&listed.name).map_err(RunError::Dm)?;
        if now == table {
            continue;
        }
        // Whatever is believed to have happened: a live volume never gets shorter under its users.
        if length_of(&table) < length_of(&now) {
            let (volume, name) = (mapped.path.to_string(), listed.name.clone());
            return Err(RunError::LiveDiffers { volume, name });
        }
        dm.load(&listed.name, &table).map_err(RunError::Dm)?;
        dm.suspend(&listed.name, true).map_err(RunError::Dm)?;
        resume(dm, &listed.name, Role::Volume, cookie).map_err(RunError::Dm)?;
        done.push((mapped.path.clone(), listed.number));
    }
    Ok(done)
}

fn length_of(table: &[Target]) -> Sectors {
    Sectors(table.iter().map(|target| target.length.0).sum())
}

/// Lets all I/O of gates fail: their error table goes live, and what waits in front of them ends (safety 4.7).
pub fn fail_gates(dm: &mut Dm, names: &[String]) -> Result<(), DmError> {
    for name in names {
        let Some(state) = dm.status(name)? else { continue };
        if !state.is_armed() {
            let length = dm.table(name)?.iter().map(|target| target.length.0).sum();
            dm.load(name, &error_table(Sectors(length)))?;
        }
        if !state.is_suspended() {
            dm.suspend(name, false)?;
        }
        dm.resume(name, Event::default())?;
    }
    Ok(())
}

/// Makes the nodes of volumes that are up; those that could not be made, in words.
pub fn make_nodes(raised: &Raised) -> Vec<String> {
    let all = raised.up.iter().chain(&raised.already);
    let way = if udev::runs() { nodes::Way::Link } else { nodes::Way::Node };
    let failed = all.filter_map(|(path, number)| {
        let error = nodes::make(path, *number, way).err()?;
        Some(format!(
            "{path} is up as dm-{}, and its node {} could not be made: {error}",
            number.minor,
            nodes::path_of(path).display()
        ))
    });
    failed.collect()
}
