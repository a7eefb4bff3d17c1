//! Making devices. All or nothing: what was made is taken away again when something after it fails (F53) or hangs. What
//! somebody left half made, killed in the middle of this, is finished.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::id::DiskNumber;
use crate::base::name::VolumePath;
use crate::base::small_map::SmallMap;
use crate::base::units::Sectors;
use crate::host::crew::Pulse;
use crate::host::device::DeviceNumber;
use crate::host::dm::wire::{Listed, State, Target};
use crate::host::dm::{Dm, DmError};
use crate::host::nodes;
use crate::host::openers;
use crate::host::udev::{Cookie, Role};
use crate::run::live::failure::LiveError;
use crate::run::live::keeping::{Closing, Keeping};
use crate::run::live::removal::{Going, Removal};
use crate::run::live::{
    Live, STEP_LIMIT, error_table, length_of, linear, resume, targets, way, within_limit,
};
use crate::volume::stack::{Gate, Mapped, Stack};

/// What raising a stack came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raised {
    /// Volumes that came up, with their devices.
    pub up: Vec<(VolumePath, DeviceNumber)>,
    /// Volumes that were up.
    pub already: Vec<(VolumePath, DeviceNumber)>,
    /// Those of them that were stopped and go on now.
    pub resumed: Vec<VolumePath>,
    /// Those of them that have an older size still, with the one that their container says.
    pub shorter: Vec<(VolumePath, Sectors)>,
}

/// Is the live table the beginning of the other? Whoever grew the volume was killed before its table was live.
fn is_shorter(live: &[Target], table: &[Target]) -> bool {
    let Some((last, before)) = live.split_last() else { return false };
    let same = table.get(..before.len()) == Some(before);
    let grown = table.get(before.len()).is_some_and(|target| {
        let place = (target.start, &target.kind, &target.params) == (last.start, &last.kind, &last.params);
        place && last.length <= target.length
    });
    same && grown && length_of(live) < length_of(table)
}

/// What a raising made so far, in order. Shared by who does it and who waits for him: once nobody waits any more, nothing
/// is made any more.
#[derive(Default)]
pub(super) struct Making {
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    made: Vec<Going>,
    given_up: bool,
}

impl Making {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a device, which the kernel does at once. Whoever gives up finds it on the list or it is never made.
    fn create(&self, dm: &mut Dm, name: &str, uuid: &str, role: Role) -> Result<DeviceNumber, DmError> {
        let mut progress = self.lock();
        // Nobody hears it.
        let too_late = || DmError::TooLate { name: name.into() };
        if progress.given_up {
            return Err(too_late());
        }
        let number = dm.create(name, uuid)?;
        progress.made.push(Going::plain(name, role));
        Ok(number)
    }

    /// Counts a device as made that somebody left without a table.
    /// Is it still wanted? Asked before every step: a step that came late must not go on with devices that were taken away,
    /// and perhaps made anew by others, meanwhile.
    fn goes_on(&self, name: &str) -> Result<(), DmError> {
        if self.lock().given_up { Err(DmError::TooLate { name: name.into() }) } else { Ok(()) }
    }

    fn adopt(&self, name: &str, role: Role) {
        self.lock().made.push(Going::plain(name, role));
    }

    /// What was made stays, whatever comes.
    pub(super) fn keep(&self) {
        self.lock().made.clear();
    }

    /// Ends the making and gives what was made.
    fn give_up(&self) -> Vec<Going> {
        let mut progress = self.lock();
        progress.given_up = true;
        std::mem::take(&mut progress.made)
    }

    /// Takes away what was made, volumes first, which stand on the gates; what stays is told beside `error`.
    pub(super) fn undo(&self, cookie: &Arc<Cookie>, error: LiveError) -> LiveError {
        let (gates, volumes) = self.give_up().into_iter().partition(|going| going.role == Role::Gate);
        let removal = Removal::plain(cookie);
        let mut left = removal.all(volumes);
        let names = gates.iter().map(|gate| gate.name.clone()).collect::<Vec<_>>();
        let closing = Closing::of(&names);
        left.extend(removal.all(gates));
        closing.forget(|name| left.iter().any(|(going, _)| going.name == name));
        if left.is_empty() {
            return error;
        }
        let names = left.into_iter().map(|(going, _)| going.name).collect();
        LiveError::LeftBehind { error: Box::new(error), names }
    }
}

/// Raises a stack on these disks. `disks` are the kernel's numbers of the member disks; `alone`: no other command is at it,
/// so that what is half made is finished and not left to whoever makes it. `keeping`: of a cluster, whose gates the keeper opens.
pub fn raise(
    stack: Stack,
    disks: SmallMap<DiskNumber, DeviceNumber>,
    cookie: &Arc<Cookie>,
    alone: bool,
    keeping: Option<Keeping>,
) -> Result<Raised, LiveError> {
    let making = Arc::new(Making::default());
    let (shared, events) = (Arc::clone(&making), Arc::clone(cookie));
    let late = || {
        LiveError::TooLate(format!(
            "nothing was activated because a disk under it did not answer device-mapper within {} s, though it could be \
                 read just before; what had been made was taken away; see which disk hangs with: evms list disks",
            STEP_LIMIT.as_secs()
        ))
    };
    let raised = within_limit(late, move |dm, pulse| {
        let mut raising = Raising {
            live: Live::look(dm).map_err(LiveError::Dm)?,
            dm,
            cookie: &events,
            making: &shared,
            pulse,
            alone,
            keeping,
        };
        let gates = raising.gates(&stack, &disks)?;
        raising.volumes(&stack, &gates)
    });
    raised.map_err(|error| making.undo(cookie, error))
}

/// Makes the nodes of volumes that are up; those that could not be made, in words.
pub fn make_nodes(raised: &Raised) -> Vec<String> {
    let all = raised.up.iter().chain(&raised.already);
    let way = way();
    let failed = all.filter_map(|(path, number)| {
        let error = nodes::make(path, *number, way).err()?;
        Some(format!(
            "{path} is up as dm-{}, and its node {} could not be made: {error}; make room for it and activate it again",
            number.minor,
            nodes::path_of(path).display()
        ))
    });
    failed.collect()
}

/// The kernel knows one device of each name.
fn not_made(error: DmError, name: &str) -> LiveError {
    if error.is_busy() { LiveError::NameTaken { name: name.into() } } else { LiveError::Dm(error) }
}

/// Devices of one container in the making.
pub(super) struct Raising<'a> {
    pub(super) live: Live,
    pub(super) dm: &'a mut Dm,
    pub(super) cookie: &'a Cookie,
    pub(super) making: &'a Making,
    pub(super) pulse: &'a Pulse,
    pub(super) alone: bool,
    pub(super) keeping: Option<Keeping>,
}

impl Raising<'_> {
    /// Gates by disk: those that stand already and those that are missing.
    pub(super) fn gates(
        &mut self,
        stack: &Stack,
        disks: &SmallMap<DiskNumber, DeviceNumber>,
    ) -> Result<SmallMap<DiskNumber, DeviceNumber>, LiveError> {
        let (mut numbers, mut kept) = (SmallMap::new(), Vec::new());
        let of =
            stack.volumes.first().map_or_else(|| "--all".into(), |mapped| mapped.path.container.to_string());
        for gate in stack.gates.values() {
            let Some(disk) = disks.get(&gate.disk) else { continue };
            let table = linear(*disk, gate.begin, gate.length);
            let (name, number) = match self.live.of(&gate.uuid).cloned() {
                // It is called by the epoch that it was made in.
                Some(listed) => (listed.name.clone(), self.standing_gate(gate, &listed, &table, &of)?),
                None => (gate.name.clone(), self.new_gate(gate, &table).map_err(LiveError::Dm)?),
            };
            self.pulse.beat();
            numbers.insert(gate.disk, number);
            kept.push((name, gate.length));
        }
        if let Some(keeping) = self.keeping.filter(|_| !kept.is_empty()) {
            keeping.open(kept)?;
            self.pulse.beat();
        }
        Ok(numbers)
    }

    fn new_gate(&mut self, gate: &Gate, table: &[Target]) -> Result<DeviceNumber, DmError> {
        let uuid = self.live.free_uuid(&gate.uuid);
        let number = self.making.create(self.dm, &gate.name, &uuid, Role::Gate)?;
        self.open_gate(&gate.name, gate, table)?;
        Ok(number)
    }

    /// Open, and armed, so that any resume but ours fails what waits instead of landing it (safety 4.3).
    fn open_gate(&mut self, name: &str, gate: &Gate, table: &[Target]) -> Result<(), DmError> {
        self.load(name, table)?;
        if self.keeping.is_some() {
            return Ok(());
        }
        self.resume(name, Role::Gate)?;
        self.load(name, &error_table(gate.length))
    }

    /// One step; see [`Making::goes_on`].
    pub(super) fn load(&mut self, name: &str, table: &[Target]) -> Result<(), DmError> {
        self.making.goes_on(name)?;
        self.dm.load(name, table)?;
        self.pulse.beat();
        Ok(())
    }

    fn resume(&mut self, name: &str, role: Role) -> Result<(), DmError> {
        self.making.goes_on(name)?;
        resume(self.dm, name, role, self.cookie)?;
        self.pulse.beat();
        Ok(())
    }

    pub(super) fn clear(&mut self, name: &str) -> Result<(), DmError> {
        self.making.goes_on(name)?;
        self.dm.clear(name)
    }

    /// A gate that was there: only one that is open, and leads where it should, may be built upon.
    fn standing_gate(
        &mut self,
        gate: &Gate,
        listed: &Listed,
        table: &[Target],
        of: &str,
    ) -> Result<DeviceNumber, LiveError> {
        let state = self.state(listed)?;
        if !state.is_live() {
            // Killed between making it and opening it: nothing stands on it.
            self.adopt(listed, Role::Gate)?;
            self.open_gate(&listed.name, gate, table).map_err(LiveError::Dm)?;
            return Ok(listed.number);
        }
        if self.dm.table(&listed.name).map_err(LiveError::Dm)? != table {
            return Err(LiveError::GateBusy { name: listed.name.clone(), disk: gate.disk });
        }
        // What waits in front of one of a cluster may be for what stood there before another node had it: evmsd has that looked at.
        if state.is_suspended() {
            let kept = self.keeping.is_some();
            return Err(LiveError::GateClosed {
                name: listed.name.clone(),
                disk: gate.disk,
                kept,
                of: of.into(),
            });
        }
        if !state.is_armed() && self.keeping.is_none() {
            // Killed between opening and arming it.
            self.load(&listed.name, &error_table(gate.length)).map_err(LiveError::Dm)?;
        }
        Ok(listed.number)
    }

    /// Takes over what somebody left without a table.
    fn adopt(&self, listed: &Listed, role: Role) -> Result<(), LiveError> {
        if !self.alone {
            return Err(LiveError::HalfMade { name: listed.name.clone() });
        }
        self.making.adopt(&listed.name, role);
        Ok(())
    }

    fn state(&mut self, listed: &Listed) -> Result<State, LiveError> {
        let state = self.dm.status(&listed.name).map_err(LiveError::Dm)?;
        state.ok_or_else(|| LiveError::VanishedDevice { name: listed.name.clone() })
    }

    /// All tables are loaded before any volume is resumed: a table that the kernel does not take leaves none half up.
    fn volumes(
        &mut self,
        stack: &Stack,
        gates: &SmallMap<DiskNumber, DeviceNumber>,
    ) -> Result<Raised, LiveError> {
        let mut raised = Raised::default();
        let mut loaded: Vec<(&Mapped, String, DeviceNumber)> = Vec::new();
        for mapped in &stack.volumes {
            let table = targets(&mapped.lines, &stack.gates, gates);
            let table = table.ok_or_else(|| LiveError::NoLines { volume: mapped.path.to_string() })?;
            let (name, number) = match self.live.of(&mapped.uuid).cloned() {
                None => {
                    let uuid = self.live.free_uuid(&mapped.uuid);
                    let made = self.making.create(self.dm, &mapped.name, &uuid, Role::Volume);
                    (mapped.name.clone(), made.map_err(|error| not_made(error, &mapped.name))?)
                }
                Some(listed) => {
                    let state = self.state(&listed)?;
                    if state.is_live() {
                        self.standing_volume(mapped, &state, &table, &mut raised)?;
                        continue;
                    }
                    self.adopt(&listed, Role::Volume)?;
                    (listed.name, listed.number)
                }
            };
            self.load(&name, &table).map_err(LiveError::Dm)?;
            loaded.push((mapped, name, number));
        }
        for (mapped, name, number) in loaded {
            self.resume(&name, Role::Volume).map_err(LiveError::Dm)?;
            raised.up.push((mapped.path.clone(), number));
        }
        Ok(raised)
    }

    /// A volume that was up. A live mapping is never changed here; one that is only stopped (whoever grew it was killed
    /// before he let it go on, or somebody used dmsetup) goes on.
    fn standing_volume(
        &mut self,
        mapped: &Mapped,
        state: &State,
        table: &[Target],
        raised: &mut Raised,
    ) -> Result<(), LiveError> {
        let volume = || mapped.path.to_string();
        if state.is_going() {
            let holders = openers::openers(state.number);
            return Err(LiveError::VolumeGoing { volume: volume(), holders });
        }
        let now = self.dm.table(&state.name).map_err(LiveError::Dm)?;
        let shorter = is_shorter(&now, table);
        if now != table && !shorter {
            return Err(LiveError::LiveDiffers { volume: volume(), name: state.name.clone() });
        }
        if state.is_suspended() {
            // Whatever was prepared beside it would go live by the resume (T3).
            self.clear(&state.name).map_err(LiveError::Dm)?;
            self.resume(&state.name, Role::Volume).map_err(LiveError::Dm)?;
            raised.resumed.push(mapped.path.clone());
        }
        if shorter {
            raised.shorter.push((mapped.path.clone(), length_of(table)));
        }
        raised.already.push((mapped.path.clone(), state.number));
        Ok(())
    }
}
