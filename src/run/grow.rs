//! A volume that is active grows under its users: first the model, then the table, then the file system on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::name::VolumePath;
use crate::base::size::Resize;
use crate::base::small_set::SmallSet;
use crate::engine::guard::Place;
use crate::format::model::Model;
use crate::host::crew::{self, Pulse};
use crate::host::disk::IO_DEADLINE_MS;
use crate::host::dm::Dm;
use crate::host::file_system::{self, GrowError};
use crate::host::turn::Turn;
use crate::host::udev::Cookie;
use crate::run::activate::numbers;
use crate::run::change::find;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::live::Live;
use crate::run::live::reload::reload;
use crate::run::report::Changed;
use crate::volume::stack::{self, Down};

/// How many limits of one access a file system has to grow: it writes many blocks, and does not say how far it is.
const FILE_SYSTEM_STEPS: u64 = 6;

impl Context {
    /// `volume expand [--fs]`: the model, the table where the volume is active here, and with `fs` its file system.
    pub fn volume_grow(
        &mut self,
        path: &VolumePath,
        size: Resize,
        on: &[String],
        fs: bool,
    ) -> Result<Changed, RunError> {
        if fs {
            self.refuse_images(path)?;
        }
        let mut changed = self.volume_expand(path, size, on)?;
        if self.options.dry_run {
            return Ok(changed);
        }
        match self.reload(path) {
            Ok(true) => {
                changed.notes.push(format!("volume {path} is active here and has its new size already"))
            }
            Ok(false) => (),
            Err(error) => {
                return Err(RunError::say(
                    Kind::Device,
                    format!(
                        "volume {path} has its new size in its container and is active with its old size still: {error}; say \
                         the command again, or deactivate and activate it"
                    ),
                ));
            }
        }
        if fs {
            let node = crate::host::nodes::path_of(path);
            match grow_within_limit(node) {
                Ok(said) => changed.notes.push(said),
                Err(error) => return Err(RunError::FileSystem { volume: path.to_string(), error }),
            }
        }
        Ok(changed)
    }

    /// A file system that is mounted lies on a device.
    fn refuse_images(&self, path: &VolumePath) -> Result<(), RunError> {
        let scene = self.look_for_members()?;
        let (found, _) = find(&scene, path.container.as_str())?;
        if scene.place_of(found) != Place::Images {
            return Ok(());
        }
        Err(RunError::say(
            Kind::Refused,
            format!(
                "the file system of {path} cannot be grown because the disks of container {} are image files and nothing is \
                 mounted from them; nothing was written; say the command without --fs",
                path.container
            ),
        ))
    }

    /// Gives the live volume its table anew; tells whether it was live.
    fn reload(&mut self, path: &VolumePath) -> Result<bool, RunError> {
        // Locked until the table is live: another command's change would make it older than what it replaces.
        let scene = self.look_steadily()?;
        let (found, chosen) = find(&scene, path.container.as_str())?;
        if scene.place_of(found) == Place::Images {
            return Ok(false);
        }
        let turn = Turn::wait();
        let Ok(mut dm) = Dm::open() else { return Ok(false) };
        let disks = numbers(&scene, found);
        let here = disks.keys().copied().gather::<SmallSet<_>>();
        let epoch = chosen.image.header.order.epoch;
        let stack = stack::stack(&chosen.model, epoch, &here, std::slice::from_ref(&path.volume));
        if let [(volume, Down::Disks(away))] = stack.down.as_slice()
            && is_live(&mut dm, &chosen.model, path)?
        {
            let away = away.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(RunError::say(
                Kind::Device,
                format!("disk {away} carries extents of {volume} and is not here or does not answer"),
            ));
        }
        let cookie = Arc::new(Cookie::new((self.dice.number() & 0xffff) as u16));
        let keeping = self.keeping(&chosen.model, epoch)?;
        let grown = reload(stack, disks, &cookie, turn.is_ours(), keeping);
        // That udev is slow changes nothing of the table.
        let _ = cookie.wait();
        Ok(!grown.map_err(RunError::Live)?.is_empty())
    }
}

/// The file system reads and writes its disks for this, and one of them may hang.
fn grow_within_limit(node: PathBuf) -> Result<String, GrowError> {
    let limit = Duration::from_millis(IO_DEADLINE_MS * FILE_SYSTEM_STEPS);
    let ends =
        crew::each(vec![node], limit, |(): &mut (), _: &Pulse, node: PathBuf| file_system::grow(&node));
    match ends.into_iter().next() {
        Some(Ok(grown)) => grown,
        _ => Err(GrowError::TooLate { seconds: limit.as_secs() }),
    }
}

fn is_live(dm: &mut Dm, model: &Model, path: &VolumePath) -> Result<bool, RunError> {
    let live = Live::look(dm).map_err(RunError::Dm)?;
    let volume = model.volume(&path.volume);
    Ok(volume.is_some_and(|volume| live.of(&stack::volume_uuid(model.container.id, volume)).is_some()))
}
