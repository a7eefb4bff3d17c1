//! What stands in the kernel when a container is active: one gate for each member disk that an active volume stands on,
//! and the volumes on the gates. A disk that carries nothing active has no I/O to be stopped, and so no gate. Pure: names, uuids and lines as values; the hands turn them into devices (safety 4.3).

use std::collections::BTreeMap;

use crate::base::epoch::Epoch;
use crate::base::gather::Gather;
use crate::base::id::{ContainerId, DiskNumber};
use crate::base::name::{Name, VolumePath};
use crate::base::small_map::SmallMap;
use crate::base::small_set::SmallSet;
use crate::base::units::Sectors;
use crate::format::model::{Disk, Model, ObjectRef, Region, Volume};
use crate::volume::lines::{DmLine, Geometry};
use crate::volume::plugins;

/// What every name of a device of ours begins with.
pub const NAME_PREFIX: &str = "evms:";
/// What every uuid of a device of ours begins with.
pub const UUID_PREFIX: &str = "EVMS-";
/// What the uuid of every gate begins with.
pub const GATES: &str = "EVMS-gate-";
/// What the uuid of every volume begins with.
pub const VOLUMES: &str = "EVMS-volume-";

/// What the name of every device begins with that was put aside: a container may be called `dead` too, see [`Dead::of`].
const DEAD_PREFIX: &str = "evms:dead:";
/// Bytes of a device-mapper name, without the zero behind it.
const DM_NAME_MAX: usize = 127;
/// What stands between the uuid of a device and its number where one that was put aside has that uuid still. No id has it.
const NTH: char = '.';

/// A device that was put aside: all its I/O fails, and it goes with its last user. What is made anew takes its place, so that
/// nothing ever waits for that user (safety 4.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    /// The epoch under which its I/O ended, as people read it: `7.1`.
    pub epoch: String,
    /// What it was called, without our prefix: `data:home`. May be cut short.
    pub was: String,
}

impl Dead {
    /// Reads the name of one.
    pub fn of(name: &str) -> Option<Dead> {
        let mut parts = name.strip_prefix(DEAD_PREFIX)?.splitn(3, ':');
        let epoch = parts.next()?.strip_prefix('e')?;
        parts.next()?.parse::<u64>().ok()?;
        Some(Dead { epoch: epoch.into(), was: parts.next()?.into() })
    }

    /// The name of one: of the device with this name and minor number, under this epoch.
    pub fn name(was: &str, epoch: &str, minor: u64) -> String {
        let was = was.trim_start_matches(NAME_PREFIX);
        format!("{DEAD_PREFIX}e{epoch}:{minor}:{was}").chars().take(DM_NAME_MAX).collect()
    }
}

/// The epoch in a gate's name, as people read it.
pub fn epoch_in(gate: &str) -> Option<&str> {
    gate.rsplit(':').next()?.strip_prefix('e')
}

/// A uuid as a model has it: the same for all that stand, or stood, for one thing.
pub fn plain_uuid(uuid: &str) -> &str {
    uuid.split(NTH).next().unwrap_or(uuid)
}

/// The uuid of the `nth` device that stands for one thing at the same time: the first has the plain one. The kernel has one device of
/// each uuid, and lets none be changed.
pub fn nth_uuid(plain: &str, nth: usize) -> String {
    if nth == 0 { plain.into() } else { format!("{plain}{NTH}{nth}") }
}

/// One member disk as the volumes see it: its data area, behind a device that can be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// The disk.
    pub disk: DiskNumber,
    /// Device-mapper name; holds the epoch, so that a gate of another holding is known by a look.
    pub name: String,
    /// Device-mapper uuid; the same in every epoch.
    pub uuid: String,
    /// First sector of the disk that it covers.
    pub begin: Sectors,
    /// How many.
    pub length: Sectors,
}

/// One volume as a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The volume.
    pub path: VolumePath,
    /// Device-mapper name.
    pub name: String,
    /// Device-mapper uuid.
    pub uuid: String,
    /// Its table; places are on disks, counted from their start.
    pub lines: Vec<DmLine>,
}

/// Why a volume does not come up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Down {
    /// Disks that carry extents of it are not here (R5).
    Disks(SmallSet<DiskNumber>),
    /// Its region has no lines: no plug-in of this program makes it, or its extents lie nowhere.
    NoLines,
}

/// The devices of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Gates that the volumes need, by disk.
    pub gates: SmallMap<DiskNumber, Gate>,
    /// Volumes that can come up.
    pub volumes: Vec<Mapped>,
    /// Volumes that cannot, and why.
    pub down: Vec<(VolumePath, Down)>,
}

/// The uuid of a volume's device.
pub fn volume_uuid(container: ContainerId, volume: &Volume) -> String {
    format!("{VOLUMES}{container}-{}", volume.id)
}

/// What the uuids of all gates of a container begin with.
pub fn gate_uuids(container: ContainerId) -> String {
    format!("{GATES}{container}-")
}

/// What the names of all gates of a container begin with that live.
pub fn gate_names(container: ContainerId) -> String {
    format!("{NAME_PREFIX}gate:{}:", container.short())
}

/// What the uuids of all volumes of a container begin with.
pub fn volume_uuids(container: ContainerId) -> String {
    format!("{VOLUMES}{container}-")
}

/// Device-mapper name of a volume.
pub fn volume_name(path: &VolumePath) -> String {
    format!("{NAME_PREFIX}{}:{}", path.container, path.volume)
}

fn gate(model: &Model, epoch: Epoch, disk: &Disk) -> Option<Gate> {
    let container = model.container.id;
    Some(Gate {
        disk: disk.number,
        name: format!("{}{}:e{epoch}", gate_names(container), disk.number),
        uuid: format!("{}{}", gate_uuids(container), disk.id),
        begin: disk.data_start,
        length: Geometry::of(model).sectors(disk.extents)?,
    })
}

/// Lines that cover just the volume: a linear one may be shorter than what it stands on.
fn lines(region: &Region, volume: &Volume, geometry: &Geometry) -> Option<Vec<DmLine>> {
    let mut lines = plugins::manager(region)?.lines(region, geometry)?;
    while let Some(last) = lines.last_mut() {
        if last.start >= volume.size {
            lines.pop();
            continue;
        }
        if last.target == "linear" {
            last.length = last.length.min(Sectors(volume.size.0 - last.start.0));
        }
        break;
    }
    (!lines.is_empty()).then_some(lines)
}

/// The devices of a container of which these disks are here. `only` names the volumes that are wanted; empty is all.
pub fn stack(model: &Model, epoch: Epoch, here: &SmallSet<DiskNumber>, only: &[Name]) -> Stack {
    let members = model.table.disks.iter().filter(|disk| disk.is_member() && here.contains(&disk.number));
    let gates = members.filter_map(|disk| Some((disk.number, gate(model, epoch, disk)?)));
    let mut stack = Stack { gates: gates.gather(), volumes: Vec::new(), down: Vec::new() };
    let mut carrying = SmallSet::new();
    let geometry = Geometry::of(model);
    let regions = model.regions.iter().map(|region| (region.id, region)).gather::<BTreeMap<_, _>>();
    let wanted = |volume: &&Volume| only.is_empty() || only.contains(&volume.name);
    for volume in model.volumes.iter().filter(wanted) {
        let path = VolumePath { container: model.container.name.clone(), volume: volume.name.clone() };
        let ObjectRef::Region(region) = volume.on;
        let region = regions.get(&region).copied();
        let on = region.into_iter().flat_map(|region| region.columns.iter().flatten().map(|run| run.disk));
        let on = on.gather::<SmallSet<_>>();
        let away = on.iter().filter(|disk| !stack.gates.contains_key(disk)).copied().gather::<SmallSet<_>>();
        if !away.is_empty() {
            stack.down.push((path, Down::Disks(away)));
            continue;
        }
        match region.and_then(|region| lines(region, volume, &geometry)) {
            None => stack.down.push((path, Down::NoLines)),
            Some(lines) => {
                carrying.extend(on);
                stack.volumes.push(Mapped {
                    name: volume_name(&path),
                    uuid: volume_uuid(model.container.id, volume),
                    path,
                    lines,
                });
            }
        }
    }
    stack.gates.retain(|disk, _| carrying.contains(disk));
    stack
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::MIB;
    use crate::volume::lines::DmWord;
    use crate::volume::plan::fixture::{EXTENT, container, name, volume};

    fn with_volumes() -> Model {
        let mut model = container(&[10, 10]);
        volume(&mut model, "lin", 8 * MIB, 1);
        volume(&mut model, "fast", 16 * MIB, 2);
        model
    }

    fn disks(numbers: &[u16]) -> SmallSet<DiskNumber> {
        numbers.iter().copied().map(DiskNumber).collect()
    }

    #[test]
    fn gates_cover_the_data_areas_and_volumes_stand_on_them() {
        let model = with_volumes();
        let stack = stack(&model, Epoch((7 << 16) | 1), &disks(&[1, 2]), &[]);
        assert_eq!(stack.gates.len(), 2);
        let gate = stack.gates.get(&DiskNumber(2)).unwrap();
        assert_eq!(gate.name, "evms:gate:09090909:2:e7.1");
        assert!(gate.uuid.starts_with(&gate_uuids(model.container.id)));
        assert_eq!((gate.begin, gate.length), (Sectors(32_768), Sectors(10 * EXTENT)));
        let names = stack.volumes.iter().map(|mapped| mapped.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["evms:data:lin", "evms:data:fast"]);
        for (mapped, sectors) in stack.volumes.iter().zip([2 * EXTENT, 4 * EXTENT]) {
            let length = mapped.lines.iter().map(|line| line.length.0).sum::<u64>();
            assert_eq!(length, sectors, "{}", mapped.name);
            assert!(mapped.uuid.len() < 129 && mapped.name.len() < 128);
        }
        assert!(stack.down.is_empty());
    }

    /// R5 and F31: a volume is down only when a disk that carries extents of it is not here.
    #[test]
    fn a_volume_whose_extents_are_whole_comes_up_without_the_other_disk() {
        let model = with_volumes();
        let on = model.region_of(&model.volumes[0]).unwrap().columns[0][0].disk;
        let stack = stack(&model, Epoch(1 << 16), &SmallSet::from([on]), &[]);
        assert_eq!(stack.gates.len(), 1);
        assert_eq!(
            stack.volumes.iter().map(|mapped| mapped.name.as_str()).collect::<Vec<_>>(),
            ["evms:data:lin"]
        );
        let [(path, Down::Disks(away))] = stack.down.as_slice() else { panic!("{:?}", stack.down) };
        assert_eq!((path.volume.as_str(), away.len()), ("fast", 1));
        let only = super::stack(&model, Epoch(1 << 16), &disks(&[1, 2]), &[name("fast")]);
        assert_eq!((only.volumes.len(), only.gates.len()), (1, 2));
        let lone = super::stack(&model, Epoch(1 << 16), &disks(&[1, 2]), &[name("lin")]);
        assert_eq!(lone.gates.keys().copied().collect::<Vec<_>>(), [on], "no gate where nothing stands");
    }

    /// Safety 4.8, and names of the greatest length: 10 + 22 + 12 + 121 bytes do not fit into 127.
    #[test]
    fn what_is_put_aside_is_told_by_its_name() {
        let name = Dead::name("evms:data:home", "7.1", 5);
        assert_eq!(name, "evms:dead:e7.1:5:data:home");
        assert_eq!(Dead::of(&name), Some(Dead { epoch: "7.1".into(), was: "data:home".into() }));
        let long = Dead::name(
            &format!("evms:{}:{}", "c".repeat(60), "v".repeat(60)),
            "281474976710655.65535",
            u64::from(u32::MAX),
        );
        assert_eq!(long.len(), 127);
        assert!(Dead::of(&long).is_some_and(|dead| dead.was.starts_with(&"c".repeat(60))));
        for living in [
            "evms:dead:home",
            "evms:dead:e7.1",
            "evms:gate:09090909:2:e7.1",
            "evms:data:home",
            "evms:dead:e7.1:x:y",
        ] {
            assert_eq!(Dead::of(living), None, "{living}");
        }
        assert_eq!(epoch_in("evms:gate:09090909:2:e7.1"), Some("7.1"));
    }

    #[test]
    fn a_second_device_of_one_thing_has_a_uuid_of_its_own() {
        let uuids = (0..3).map(|nth| nth_uuid("EVMS-gate-a-b", nth)).collect::<Vec<_>>();
        assert_eq!(uuids, ["EVMS-gate-a-b", "EVMS-gate-a-b.1", "EVMS-gate-a-b.2"]);
        assert!(uuids.iter().all(|uuid| plain_uuid(uuid) == "EVMS-gate-a-b"));
    }

    #[test]
    fn a_shorter_linear_volume_gets_shorter_lines() {
        let mut model = with_volumes();
        model.volumes[0].size = Sectors(EXTENT + 8);
        let stack = stack(&model, Epoch(1 << 16), &disks(&[1, 2]), &[name("lin")]);
        let lines = &stack.volumes[0].lines;
        assert_eq!(lines.iter().map(|line| line.length.0).sum::<u64>(), EXTENT + 8);
        assert!(matches!(lines[0].words[0], DmWord::Place(_, Sectors(32_768..))));
    }
}
