//! Putting aside what is open still though all its I/O fails: under another name it stands in nobody's way, and what it stood for can be
//! made anew beside it (safety 4.8). It goes with its last user.

use crate::host::dm::Dm;
use crate::host::dm::wire::Listed;
use crate::host::openers;
use crate::host::udev::{Cookie, Role};
use crate::run::live::Live;
use crate::run::report::DeadLine;
use crate::volume::stack::{Dead, VOLUMES};

/// Gives a device the name of the dead, under this epoch; that name, or nothing where it kept its own, or has gone and another one has its
/// name by now.
pub fn put(dm: &mut Dm, device: &Listed, epoch: &str, cookie: &Cookie) -> Option<String> {
    let name = &device.name;
    let state = dm.status(name).ok().flatten().filter(|state| state.number == device.number)?;
    let new = Dead::name(name, epoch, state.number.minor);
    // Whatever it was: nothing is to be looked for on it any more, and no link is to point at it (safety 4.9).
    let told = dm.rename(name, &new, cookie.event(Role::Gate));
    cookie.told(*told.as_ref().unwrap_or(&false));
    match told {
        Ok(_) => Some(new),
        // What it stands for can be made anew when its last user closes it.
        Err(error) => {
            log::warn!("{error}");
            None
        }
    }
}

/// Volumes that stand so in this machine's kernel; their gates go with them. Without device-mapper there are none.
pub fn volumes() -> Vec<DeadLine> {
    let Ok(mut dm) = Dm::open() else { return Vec::new() };
    let Ok(live) = Live::look(&mut dm) else { return Vec::new() };
    live.dead().filter(|(uuid, _)| uuid.starts_with(VOLUMES)).filter_map(|(_, listed)| line(listed)).collect()
}

fn line(listed: &Listed) -> Option<DeadLine> {
    let Dead { epoch, was } = Dead::of(&listed.name)?;
    Some(DeadLine {
        volume: was.replacen(':', "/", 1),
        epoch,
        device: format!("dm-{}", listed.number.minor),
        name: listed.name.clone(),
        holders: openers::users(listed.number),
    })
}
