//! Giving live volumes a new table: a volume grew. I/O waits between the two tables and loses nothing; what could not be
//! loaded leaves the old table live.

use std::sync::Arc;

use crate::base::id::DiskNumber;
use crate::base::name::VolumePath;
use crate::base::small_map::SmallMap;
use crate::host::device::DeviceNumber;
use crate::host::dm::wire::{Listed, Target};
use crate::host::sys;
use crate::host::udev::{Cookie, Role};
use crate::run::live::failure::LiveError;
use crate::run::live::keeping::Keeping;
use crate::run::live::raise::{Making, Raising};
use crate::run::live::{Live, STEP_LIMIT, length_of, resume, targets, within_limit};
use crate::volume::stack::{Mapped, Stack};

/// Gives volumes that are live their tables anew, on gates that are made where they are not there yet; those that got one. `alone`: no other
/// command is at it.
pub fn reload(
    stack: Stack,
    disks: SmallMap<DiskNumber, DeviceNumber>,
    cookie: &Arc<Cookie>,
    alone: bool,
    keeping: Option<Keeping>,
) -> Result<Vec<VolumePath>, LiveError> {
    let making = Arc::new(Making::default());
    let (shared, events) = (Arc::clone(&making), Arc::clone(cookie));
    let late = || {
        let words = format!(
            "device-mapper has not stopped its I/O within {} s because a disk under it does not answer; it gets its new size \
             as soon as that answers",
            STEP_LIMIT.as_secs()
        );
        LiveError::TooLate(words)
    };
    let reloaded = within_limit(late, move |dm, pulse| {
        let live = Live::look(dm).map_err(LiveError::Dm)?;
        let grown = stack.volumes.iter().filter_map(|mapped| Some((mapped, live.of(&mapped.uuid)?.clone())));
        let grown = grown.collect::<Vec<_>>();
        if grown.is_empty() {
            return Ok(Vec::new());
        }
        let mut raising = Raising { live, dm, cookie: &events, making: &shared, pulse, alone, keeping };
        let gates = raising.gates(&stack, &disks)?;
        let mut done = Vec::new();
        for (mapped, listed) in grown {
            let table = targets(&mapped.lines, &stack.gates, &gates);
            let table = table.ok_or_else(|| LiveError::NoLines { volume: mapped.path.to_string() })?;
            if raising.grow(mapped, &listed, &table)? {
                done.push(mapped.path.clone());
            }
        }
        Ok(done)
    });
    reloaded.map_err(|error| making.undo(cookie, error))
}

impl Raising<'_> {
    /// False when it has this table already.
    fn grow(&mut self, mapped: &Mapped, listed: &Listed, table: &[Target]) -> Result<bool, LiveError> {
        let name = &listed.name;
        let now = self.dm.table(name).map_err(LiveError::Dm)?;
        if now == table {
            return Ok(false);
        }
        // Whatever is believed to have happened: a live volume never gets shorter under its users.
        if length_of(table) < length_of(&now) {
            return Err(LiveError::LiveDiffers { volume: mapped.path.to_string(), name: name.clone() });
        }
        self.load(name, table).map_err(LiveError::Dm)?;
        // The volume may be the one that this program was read from.
        sys::lock_memory();
        // From here on the new table stands on the gates, and goes live whoever waits.
        self.making.keep();
        if let Err(error) = self.dm.suspend(name, true) {
            let _ = self.clear(name);
            return Err(LiveError::Dm(error));
        }
        self.pulse.beat();
        let swapped = resume(self.dm, name, Role::Volume, self.cookie);
        if swapped.is_err() {
            // The kernel threw the new table away and left the volume stopped: it goes on with the old one.
            let _ = resume(self.dm, name, Role::Volume, self.cookie);
        }
        swapped.map_err(LiveError::Dm)?;
        Ok(true)
    }
}
