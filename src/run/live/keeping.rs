//! Gates of a cluster's containers are opened by the keeper and not by who makes them: only who closes them when the lease ends can
//! be sure that nobody opens one behind it (safety 4.1). A command that makes some has evmsd keep and open them; one that takes some
//! away, or lets their I/O fail, has them closed first, with evmsd and without.

use std::time::Duration;

use crate::base::epoch::Epoch;
use crate::base::gather::Gather;
use crate::base::id::ContainerId;
use crate::base::small_set::SmallSet;
use crate::base::units::Sectors;
use crate::format::control::OpenGates;
use crate::host::gate_page::{self, GatePage};
use crate::host::identity::{self, IdentityFiles};
use crate::run::ask;
use crate::run::live::failure::LiveError;

/// How long gates that are to be taken away may take to close: what is under way to a disk that hangs is not waited for.
const CLOSE_LIMIT: Duration = Duration::from_millis(1000);

/// Under which lease a container's gates open.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// The container.
    pub container: ContainerId,
    /// The epoch of its model.
    pub epoch: Epoch,
    /// The term of the lease in which that was read.
    pub term: u64,
    /// Milliseconds after which this machine's watchdog bites at the latest, as the container says; zero where it says none.
    pub watchdog_ms: u32,
}

impl Keeping {
    /// Has these gates, which have their tables, kept and opened.
    pub fn open(self, gates: Vec<(String, Sectors)>) -> Result<(), LiveError> {
        let Keeping { container, epoch, term, watchdog_ms } = self;
        ask::open_gates(OpenGates { container, epoch, term, watchdog_ms, gates })
            .map_err(LiveError::NotOpened)
    }
}

/// The page of this boot. Where there is none, or it cannot be read, no gate is kept by anybody.
pub fn page() -> Option<GatePage> {
    let boot = identity::boot_id(&IdentityFiles::default()).ok()?;
    GatePage::find(boot).ok()?
}

/// Gates that are taken away, those of them that were kept.
pub struct Closing(Option<gate_page::Closing>);

impl Closing {
    /// Closes them; they are opened by nobody from then on.
    pub fn of(names: &[String]) -> Closing {
        Closing(page().map(|page| page.close(names, CLOSE_LIMIT)))
    }

    /// They are gone, or let nothing through; but for those that are `open` still.
    pub fn forget(self, open: impl Fn(&str) -> bool) {
        if let Some(closing) = self.0 {
            closing.forget(open);
        }
    }
}

/// Containers of which gates are kept here, or being taken away.
pub fn containers() -> SmallSet<ContainerId> {
    page().into_iter().flat_map(|page| page.all().map(|slot| slot.container())).gather()
}

/// Has this container gates here?
pub fn has_gates(container: ContainerId) -> bool {
    containers().contains(&container)
}

/// Has this container gates here that may not be open in this term? Then what stands on its disks was not compared yet with what
/// waits in front of them.
pub fn waits(container: ContainerId, term: u64) -> bool {
    let other = |slot: gate_page::Slot| slot.container() == container && slot.term() != term;
    page().is_some_and(|page| page.all().any(other))
}
