//! What forbids writing to the disks of a container that can be read well enough. Asked before any change, and before
//! disks get new ids.

use std::path::PathBuf;

use crate::base::bits::Access;
use crate::run::failure::RunError;
use crate::run::scene::Scene;
use crate::volume::discover::Found;

/// A disk with features that forbid this program to write it, or with an intent record of a newer one.
pub fn refuse_newer(name: &str, found: &Found) -> Result<(), RunError> {
    for read in &found.disks {
        let number = read.labelled.label.number;
        let unusable = |why: String| Err(RunError::Unusable { name: format!("container {name}"), why });
        if let Access::ReadOnly(bits) = read.labelled.access() {
            return unusable(format!(
                "disk {number} has features that allow this program to look and not to write (ro-compat {bits:#x}); \
                 nothing was written; use the newer evms that made it"
            ));
        }
        if let Some(damage) = read.intent_damage.as_ref().filter(|damage| damage.is_newer()) {
            return unusable(format!(
                "on disk {number} {damage}; nothing was written; use the newer evms that wrote it"
            ));
        }
    }
    Ok(())
}

/// A disk whose front holds what nobody knows: it may be the data of a program that marks its disks nowhere.
pub fn refuse_strange_fronts(name: &str, scene: &Scene, found: &Found) -> Result<(), RunError> {
    let Some(read) = found.disks.iter().find(|read| read.labelled.front_lost) else { return Ok(()) };
    let path = scene.disks.get(read.place).map_or(PathBuf::new(), |seen| seen.path.clone());
    Err(RunError::StrangeFront { name: name.into(), disk: read.labelled.label.number, path })
}
