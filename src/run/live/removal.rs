//! Taking devices away. Each removal waits some 24 ms for the kernel's readers, and many of these waits overlap (safety
//! T11); one that a hung disk holds is left standing.

use std::sync::Arc;

use crate::base::name::VolumePath;
use crate::host::crew::{self, Missed, Pulse};
use crate::host::device::DeviceNumber;
use crate::host::dm::{Dm, DmError};
use crate::host::nodes;
use crate::host::udev::{Cookie, Patience, Role};
use crate::run::live::{Hand, STEP_LIMIT, way};

/// How a device that is open is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// It stays.
    Refuse,
    /// Its I/O fails from now on, and it goes with its last user: for a shutdown that must end.
    Fail,
}

/// A device that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Going {
    /// Its name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Its node, and where that leads.
    pub node: Option<(VolumePath, DeviceNumber)>,
}

impl Going {
    /// A device without a node.
    pub fn plain(name: &str, role: Role) -> Going {
        Going { name: name.into(), role, node: None }
    }
}

/// Why a device stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stays {
    /// The kernel refused.
    Refused(DmError),
    /// The kernel has not taken it away within the limit; it goes when a disk answers.
    Hangs,
    /// Nobody could be sent.
    NoThread,
}

impl Stays {
    /// Is it in use?
    pub fn is_busy(&self) -> bool {
        matches!(self, Stays::Refused(error) if error.is_busy())
    }

    /// In words that stand alone.
    pub fn in_words(&self, name: &str) -> String {
        match self {
            Stays::Refused(error) => error.to_string(),
            Stays::Hangs => format!(
                "the device {name} was not taken away within {} s because a disk under it does not answer; it goes when that \
                 does",
                STEP_LIMIT.as_secs()
            ),
            Stays::NoThread => {
                format!("the device {name} was not taken away because no thread could be started")
            }
        }
    }
}

/// Taking devices away, for one command.
#[derive(Clone)]
pub struct Removal {
    /// Shared with workers that are left standing.
    pub cookie: Arc<Cookie>,
    /// How long a device may be open for udev's look alone.
    pub patience: Patience,
    /// How an open one is treated.
    pub open: Open,
}

impl Removal {
    /// Of what nobody has used yet.
    pub fn plain(cookie: &Arc<Cookie>) -> Removal {
        Removal { cookie: Arc::clone(cookie), patience: Patience::new(), open: Open::Refuse }
    }

    /// Removes devices, many at once; those that stay, with why.
    pub fn all(&self, going: Vec<Going>) -> Vec<(Going, Stays)> {
        let removal = self.clone();
        let ends =
            crew::each(going.clone(), STEP_LIMIT, move |hand: &mut Hand, pulse: &Pulse, going: Going| {
                hand.dm().and_then(|dm| removal.one(dm, &going, pulse))
            });
        let stay = ends.into_iter().zip(going).filter_map(|(end, going)| {
            let why = match end {
                Ok(Ok(())) => return None,
                Ok(Err(error)) => Stays::Refused(error),
                Err(Missed::TooLate) => Stays::Hangs,
                Err(Missed::NoThread) => Stays::NoThread,
            };
            Some((going, why))
        });
        stay.collect()
    }

    /// The node goes first: one that outlives its device leads to whatever gets the number next.
    fn one(&self, dm: &mut Dm, going: &Going, pulse: &Pulse) -> Result<(), DmError> {
        if let Some((path, _)) = &going.node {
            let _ = nodes::remove(path);
        }
        let removed = self.device(dm, going, pulse);
        if let (Err(_), Open::Refuse, Some((path, number))) = (&removed, self.open, &going.node) {
            // It stays as it was.
            let _ = nodes::make(path, *number, way());
        }
        removed
    }

    /// Nothing was open a moment ago: what is open now may be so for udev's look alone, and is tried again.
    fn device(&self, dm: &mut Dm, going: &Going, pulse: &Pulse) -> Result<(), DmError> {
        loop {
            let removed = dm.remove(&going.name, self.cookie.event(going.role));
            self.cookie.told(*removed.as_ref().unwrap_or(&false));
            pulse.beat();
            let Err(error) = removed else { return Ok(()) };
            if error.is_gone() {
                return Ok(());
            }
            if !error.is_busy() {
                return Err(error);
            }
            if self.open == Open::Fail {
                // Kernels that cannot do so leave it: it is told either way.
                let _ = dm.remove_when_closed(&going.name);
                return Err(error);
            }
            if !self.patience.wait() {
                return Err(error);
            }
        }
    }
}
