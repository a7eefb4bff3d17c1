//! Whether this node reads the disks of a container that another one would give to it: a process (`run::sight`) reads them.

use std::cell::RefCell;
use std::ffi::CString;
use std::time::Duration;

use smol::Timer;

use crate::base::id::{ContainerId, DiskId};
use crate::format::control::{Refusal, Reply};
use crate::host::clock;
use crate::host::keeper_process::{self, Beside};
use crate::run::daemon::engine::Engine;

/// How long the disks may take, of which some hang, perhaps: who asks from another node waits 5 s for an answer.
const LIMIT_MS: u64 = 4_000;
/// How often is looked whether they were read.
const STEP: Duration = Duration::from_millis(20);

/// Who reads now; one at a time.
#[derive(Default)]
pub struct Seeing {
    reader: RefCell<Option<Beside>>,
}

impl Seeing {
    /// How it ended, once it has; nothing while it reads.
    fn ended(&self) -> Option<bool> {
        let mut reader = self.reader.borrow_mut();
        let Some(one) = reader.as_mut() else { return Some(false) };
        let ended = one.ended_well();
        if ended.is_some() {
            *reader = None;
        }
        ended
    }
}

impl Engine {
    /// Has them read.
    pub async fn sees(&self, container: ContainerId, disks: &[DiskId]) -> Reply {
        let here = self.my_name();
        let refused = |words: String| Reply::Refused(Refusal::Refused, words);
        let unseen = |words: String| Reply::Refused(Refusal::Unseen, words);
        if self.seeing.ended().is_none() {
            return refused(format!("{here} reads disks for another question; say it again"));
        }
        let mut ids = vec![container.to_string()];
        ids.extend(disks.iter().map(ToString::to_string));
        let Ok(ids) = CString::new(ids.join(",")) else { return refused("these are no ids".into()) };
        match keeper_process::start(&[keeper_process::SEES, &ids]) {
            Ok(reader) => *self.seeing.reader.borrow_mut() = Some(reader),
            Err(why) => {
                return refused(format!("on {here} nobody could be started to read its disks: {why}"));
            }
        }
        let ends = clock::boot_now().ms + LIMIT_MS;
        loop {
            match self.seeing.ended() {
                Some(true) => return Reply::Done("all of them are read here".into()),
                Some(false) => {
                    return unseen(format!(
                        "{here} does not read all of the {} disks of it that are read here",
                        disks.len()
                    ));
                }
                None if clock::boot_now().ms > ends => {
                    return unseen(format!(
                        "{here} did not read its disks within {} s: one hangs, perhaps",
                        LIMIT_MS / 1000
                    ));
                }
                None => Timer::after(STEP).await,
            };
        }
    }
}
