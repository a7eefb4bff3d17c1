//! What was up on this node when it went down: another process (`run::raising`) brings it up once this node is quorate, and again after
//! longer and longer pauses until all of it is.

use std::cell::{Cell, RefCell};

use crate::base::time::BootTime;
use crate::host::clock;
use crate::host::keeper_process::{self, Beside};
use crate::run::daemon::engine::Engine;
use crate::run::daemon::gates::start;
use crate::run::daemon::succession::AGAIN_MS;

/// What stands of it.
pub struct Raising {
    raiser: RefCell<Option<Beside>>,
    /// When, and how long after it failed again; nothing when it is done.
    next: Cell<Option<(BootTime, u64)>>,
}

/// Each evmsd does it once: what is up already stays as it is.
impl Default for Raising {
    fn default() -> Raising {
        Raising { raiser: RefCell::default(), next: Cell::new(Some((BootTime::default(), AGAIN_MS.0))) }
    }
}

impl Engine {
    /// Something that was to be up may come up now.
    pub fn raise_again(&self) {
        self.raising.next.set(Some((clock::boot_now(), AGAIN_MS.0)));
    }

    /// Has it brought up when it is time to.
    pub fn see_to_meant_up(&self) {
        let ended = self.raising.raiser.borrow_mut().as_mut().and_then(Beside::ended_well);
        if let Some(well) = ended {
            *self.raising.raiser.borrow_mut() = None;
            if well {
                self.raising.next.set(None);
            }
        }
        let Some((at, pause_ms)) = self.raising.next.get() else { return };
        let now = clock::boot_now();
        if now < at || !self.is_quorate() || !start(&self.raising.raiser, keeper_process::RAISE) {
            return;
        }
        self.raising.next.set(Some((now.plus_ms(pause_ms), (pause_ms * 2).min(AGAIN_MS.1))));
    }
}
