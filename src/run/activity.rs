//! Which volumes stand in this machine's kernel now: what `list` and `info` show beside what the disks say. Asks only
//! where there are devices that may be mapped, and device-mapper to ask; elsewhere nothing is active.

use std::collections::BTreeMap;

use crate::base::id::ContainerId;
use crate::engine::guard::Place;
use crate::format::model::Volume;
use crate::host::dm::Dm;
use crate::run::live::Live;
use crate::run::scene::Scene;
use crate::volume::stack;

/// How a volume stands in the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its device, `dm-3`; empty when it is not active.
    pub device: String,
    /// Does its I/O wait?
    pub suspended: bool,
}

/// What is active.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    by_uuid: BTreeMap<String, Standing>,
}

impl Activity {
    /// Asks the kernel, when a container of the scene lies on devices.
    pub fn of(scene: &Scene) -> Activity {
        let devices = scene.containers.iter().any(|found| scene.place_of(found) == Place::Devices);
        devices.then(Activity::asked).flatten().unwrap_or_default()
    }

    fn asked() -> Option<Activity> {
        let mut dm = Dm::open().ok()?;
        let live = Live::look(&mut dm).ok()?;
        let mut by_uuid = BTreeMap::new();
        for (uuid, listed) in live.beginning(stack::UUID_PREFIX) {
            // A device without a live table maps nothing: half made by somebody who died.
            if let Some(state) = dm.status(&listed.name).ok()?.filter(|state| state.is_live()) {
                let device = format!("dm-{}", listed.number.minor);
                by_uuid.insert(uuid.clone(), Standing { device, suspended: state.is_suspended() });
            }
        }
        Some(Activity { by_uuid })
    }

    /// How a volume stands.
    pub fn standing(&self, container: ContainerId, volume: &Volume) -> Standing {
        self.by_uuid.get(&stack::volume_uuid(container, volume)).cloned().unwrap_or_default()
    }
}
