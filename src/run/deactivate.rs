//! `deactivate`: takes volumes and gates out of the kernel. It asks the kernel alone what is there, so that it works when
//! the disks are gone. A volume that is open stays, and who has it open is told.

use crate::base::failure::Kind;
use crate::base::name::{Name, VolumePath};
use crate::host::dm::wire::Listed;
use crate::host::dm::{Dm, DmError};
use crate::host::nodes;
use crate::host::openers;
use crate::host::sysfs::{self, Roots};
use crate::host::udev::{Cookie, Patience, Role};
use crate::run::activate::Wanted;
use crate::run::context::Context;
use crate::run::failure::RunError;
use crate::run::live::{self, Live};
use crate::run::report::Deactivated;
use crate::volume::stack::{NAME_PREFIX, UUID_PREFIX};

/// Removals at once: each waits some 24 ms for the kernel's readers, and so many of these waits overlap (safety T11).
const REMOVALS_AT_ONCE: usize = 16;
/// Removals that are not worth a thread.
const REMOVALS_ALONE_MAX: usize = 2;

/// How a volume that is open is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Nothing is taken away.
    Refuse,
    /// Its I/O fails from now on, and it goes with its last user: for a shutdown that must end.
    Fail,
}

/// A live volume of ours.
struct Volume {
    path: VolumePath,
    listed: Listed,
    uuid: String,
}

impl Volume {
    /// The text of its container's id, as its uuid has it.
    fn container(&self) -> &str {
        container_in(&self.uuid).unwrap_or_default()
    }
}

/// `EVMS-volume-CONTAINER-VOLUME`, `EVMS-gate-CONTAINER-DISK`: ids are 36 characters with dashes.
fn container_in(uuid: &str) -> Option<&str> {
    let (_, ids) = uuid.strip_prefix(UUID_PREFIX)?.split_once('-')?;
    ids.get(..36)
}

fn volumes(live: &Live) -> Vec<Volume> {
    let prefix = format!("{UUID_PREFIX}volume-");
    let all = live.beginning(&prefix).filter_map(|(uuid, listed)| {
        let (container, volume) = listed.name.strip_prefix(NAME_PREFIX)?.split_once(':')?;
        let path = VolumePath { container: Name::parse(container).ok()?, volume: Name::parse(volume).ok()? };
        Some(Volume { path, listed: listed.clone(), uuid: uuid.clone() })
    });
    all.collect()
}

impl Context {
    /// `deactivate NAME…`, or `--all` when `wanted` is `None`.
    pub fn deactivate(&mut self, wanted: Option<&[Wanted]>, open: Open) -> Result<Deactivated, RunError> {
        let mut dm = Dm::open().map_err(RunError::Dm)?;
        let live = Live::look(&mut dm).map_err(RunError::Dm)?;
        let meant = |volume: &Volume| {
            wanted.is_none_or(|wanted| {
                wanted.iter().any(|one| {
                    (volume.path.container.as_str() == one.container || volume.container() == one.container)
                        && (one.volumes.is_empty() || one.volumes.contains(&volume.path.volume))
                })
            })
        };
        let (going, staying): (Vec<_>, Vec<_>) = volumes(&live).into_iter().partition(meant);
        let gates = gates_going(&live, wanted, &going, &staying);
        let mut answer = Deactivated::default();
        let patience = Patience::new();
        if open == Open::Refuse {
            refuse_open(&mut dm, &going, &patience)?;
        } else {
            live::fail_gates(&mut dm, &gates).map_err(RunError::Dm)?;
        }
        let cookie = Cookie::new((self.dice.number() & 0xffff) as u16);
        let names = going.iter().map(|volume| volume.listed.name.clone()).collect::<Vec<_>>();
        let removal = Removal { cookie: &cookie, patience: &patience, open };
        let failed = removal.all(&names, Role::Volume)?;
        for volume in &going {
            let stays = failed.iter().find(|(name, _)| *name == volume.listed.name);
            if stays.is_none() || open == Open::Fail {
                let _ = nodes::remove(&volume.path);
            }
            match stays {
                None => answer.down.push(volume.path.to_string()),
                Some((_, error)) => answer.left.push(left(volume, error, open)),
            }
        }
        let busy = if failed.is_empty() || open == Open::Fail {
            removal.all(&gates, Role::Gate)?
        } else {
            Vec::new()
        };
        if failed.is_empty() {
            answer.left.extend(busy.iter().map(|(_, error)| error.to_string()));
        }
        if cookie.wait().is_err() {
            answer.notes.push("udev was not done in time; the volumes are down".into());
        }
        let wrong = failed.iter().chain(&busy).any(|(_, error)| open == Open::Refuse || !error.is_busy());
        answer.failed = wrong.then_some(Kind::Device);
        Ok(answer)
    }
}

/// Gates of containers of which no volume stays.
fn gates_going(live: &Live, wanted: Option<&[Wanted]>, going: &[Volume], staying: &[Volume]) -> Vec<String> {
    let prefix = format!("{UUID_PREFIX}gate-");
    let all = live.beginning(&prefix).filter(|(uuid, _)| {
        let Some(container) = container_in(uuid) else { return false };
        let stays = staying.iter().any(|volume| volume.container() == container);
        let goes = going.iter().any(|volume| volume.container() == container);
        let named = wanted.is_none_or(|wanted| wanted.iter().any(|one| one.container == container));
        !stays && (goes || named)
    });
    all.map(|(_, listed)| listed.name.clone()).collect()
}

/// Who has a volume open, in words.
fn holders(volume: &Volume) -> String {
    let uses = sysfs::uses_of(&Roots::default(), volume.listed.number);
    let mut words = uses.map(|uses| uses.in_words()).unwrap_or_default();
    words.extend(openers::openers(volume.listed.number));
    if words.is_empty() { "somebody who cannot be told from here".into() } else { words.join(", ") }
}

/// Will it be closed by itself in a moment? udev looks into what was written to, right after it was closed.
fn closes_soon(volume: &Volume) -> bool {
    let uses = sysfs::uses_of(&Roots::default(), volume.listed.number);
    uses.is_ok_and(|uses| uses.in_words().is_empty()) && openers::only_udev(volume.listed.number)
}

fn refuse_open(dm: &mut Dm, going: &[Volume], patience: &Patience) -> Result<(), RunError> {
    let mut is_open = |volume: &Volume| {
        let state = dm.status(&volume.listed.name).map_err(RunError::Dm)?;
        Ok(state.is_some_and(|state| state.open_count > 0))
    };
    for volume in going {
        let mut open = is_open(volume)?;
        while open && closes_soon(volume) && patience.wait() {
            open = is_open(volume)?;
        }
        if open {
            return Err(RunError::say(
                Kind::Refused,
                format!(
                    "volume {} is in use: {}; nothing was deactivated; unmount or close it first, or, when the machine must go \
                     down, let its I/O fail with: evms deactivate --fail {}",
                    volume.path,
                    holders(volume),
                    volume.path.container
                ),
            ));
        }
    }
    Ok(())
}

fn left(volume: &Volume, error: &DmError, open: Open) -> String {
    match (error.is_busy(), open) {
        (true, Open::Fail) => format!(
            "volume {} is still open ({}); its I/O fails, and it goes when that closes it",
            volume.path,
            holders(volume)
        ),
        (true, Open::Refuse) => format!(
            "volume {} was not deactivated because it was opened meanwhile ({}); it works as before; close it, then \
             deactivate it again",
            volume.path,
            holders(volume)
        ),
        (false, _) => error.to_string(),
    }
}

/// Taking devices away, for one command.
struct Removal<'a> {
    cookie: &'a Cookie,
    patience: &'a Patience,
    open: Open,
}

impl Removal<'_> {
    /// Removes devices, many at once; those that stay, with why.
    fn all(&self, names: &[String], role: Role) -> Result<Vec<(String, DmError)>, RunError> {
        let one_after_the_other = |names: &[String]| -> Result<Vec<(String, DmError)>, DmError> {
            let mut dm = Dm::open()?;
            Ok(names.iter().filter_map(|name| Some((name.clone(), self.one(&mut dm, name, role)?))).collect())
        };
        if names.len() <= REMOVALS_ALONE_MAX {
            return one_after_the_other(names).map_err(RunError::Dm);
        }
        let each = names.len().div_ceil(REMOVALS_AT_ONCE);
        let results = std::thread::scope(|scope| {
            let threads = names.chunks(each).map(|part| scope.spawn(|| one_after_the_other(part)));
            let threads = threads.collect::<Vec<_>>();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Ok(Vec::new())))
                .collect::<Vec<_>>()
        });
        let mut failed = Vec::new();
        for result in results {
            failed.extend(result.map_err(RunError::Dm)?);
        }
        Ok(failed)
    }

    /// Nothing was open a moment ago: what is open now may be so for udev's look alone, and is tried again.
    fn one(&self, dm: &mut Dm, name: &str, role: Role) -> Option<DmError> {
        loop {
            let removed = dm.remove(name, self.cookie.event(role));
            self.cookie.told(*removed.as_ref().unwrap_or(&false));
            let error = removed.err()?;
            if !error.is_busy() {
                return Some(error);
            }
            if self.open == Open::Fail {
                // Kernels that cannot do so leave it: it is told either way.
                let _ = dm.remove_when_closed(name);
                return Some(error);
            }
            if !self.patience.wait() {
                return Some(error);
            }
        }
    }
}
