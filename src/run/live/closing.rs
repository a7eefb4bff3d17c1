//! Letting I/O fail: the error table of a device goes live, and what waits in front of it ends (safety 4.7). Each device has
//! a worker of its own, because what is on its way to a disk that hangs keeps the kernel from closing it (T2), and the
//! others are closed meanwhile. A worker that is left standing goes on when the disk answers: what came after him waits
//! until then, reaches no disk, and fails.

use crate::host::crew::{self, Missed, Pulse};
use crate::host::dm::{Dm, DmError, Event};
use crate::host::sys;
use crate::run::live::{Hand, STEP_LIMIT, error_table, length_of};

/// Why I/O of a device does not fail yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Open {
    /// Device-mapper refused.
    Refused(DmError),
    /// What is on its way to a disk was not answered within the limit.
    Hangs,
    /// Nobody could be sent.
    NoThread,
}

impl Open {
    /// In words, behind the device's name.
    pub fn in_words(&self) -> String {
        match self {
            Open::Refused(error) => format!("was not closed: {error}"),
            Open::Hangs => format!(
                "is closed to anything new, and what was on its way to its disk was not answered within {} s: the disk hangs; \
                 that I/O fails as soon as the disk answers or is taken out",
                STEP_LIMIT.as_secs()
            ),
            Open::NoThread => "was not closed because no thread could be started for it".into(),
        }
    }
}

/// Lets all I/O of these devices fail; those of which it does not yet, with why.
pub fn fail(names: &[String]) -> Vec<(String, Open)> {
    // The program may lie on what is about to fail: without all of itself in memory it would not come to its end.
    sys::lock_memory();
    let ends = crew::each(names.to_vec(), STEP_LIMIT, |hand: &mut Hand, pulse: &Pulse, name: String| {
        hand.dm().and_then(|dm| fail_one(dm, &name, pulse))
    });
    let open = ends.into_iter().zip(names).filter_map(|(end, name)| {
        let why = match end {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => Open::Refused(error),
            Err(Missed::TooLate) => Open::Hangs,
            Err(Missed::NoThread) => Open::NoThread,
        };
        Some((name.clone(), why))
    });
    open.collect()
}

fn fail_one(dm: &mut Dm, name: &str, pulse: &Pulse) -> Result<(), DmError> {
    let Some(state) = dm.status(name)? else { return Ok(()) };
    // Loaded anew, whatever waits there: a volume may have been about to grow.
    let length = length_of(&dm.table(name)?);
    dm.load(name, &error_table(length))?;
    pulse.beat();
    if !state.is_suspended() {
        let suspended = dm.suspend(name, false);
        // Its keeper was at it too: of two who stop one device the second is refused, and it is stopped.
        if suspended.is_err() && !dm.status(name)?.is_some_and(|state| state.is_suspended()) {
            suspended?;
        }
        pulse.beat();
    }
    // Late, perhaps, and taken away and made anew by others meanwhile: that one's table is not to go live by this.
    match dm.status(name)? {
        Some(now) if now.number == state.number => dm.resume(name, Event::default()).map(drop),
        _ => Ok(()),
    }
}
