//! The arbitration disks in the detector's hands: a clerk for each, a thread that does one thing after the other, so that a
//! disk that hangs holds its clerk and nobody else (R8). What was begun is answered when it has ended, and never before: of
//! a write that hangs nobody knows when it lands.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::id::{ClusterId, DiskId};
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::base::units::{BLOCK_BYTES, Bytes};
use crate::cluster::arbiter::{Act, Answer, Command, DiskStanding};
use crate::cluster::roster::{ArbitrationDisk, Roster};
use crate::format::arbitration::{AREA_AT, ArbitrationHead, DISK_BYTES_MIN};
use crate::format::control::DiskLine;
use crate::host::bell::Bell;
use crate::host::disk::{BareDisk, Blocks, Want};
use crate::host::disk_error::DiskError;
use crate::host::sys;
use crate::run::daemon::DaemonError;

/// Real-time, below the detector: what it has to do is little, and a tie hangs on it.
const PRIORITY: i32 = 19;
/// Bytes of a clerk's stack, all locked in memory; what is read is on the heap.
const STACK_BYTES: usize = 128 * 1024;

/// Something for a clerk to do. The membership that asks may be begun anew, and counts its commands from one again.
struct Task {
    life: u64,
    id: u64,
    act: Act,
}

/// What became of it.
struct Ended {
    life: u64,
    disk: usize,
    id: u64,
    outcome: Outcome,
    /// Why it did not do.
    trouble: Option<Trouble>,
}

enum Outcome {
    Read(Vec<u8>),
    NotRead,
    Written,
    Unknown,
}

/// Why an arbitration disk cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be opened, read or written.
    Disk(DiskError),
    /// It is no arbitration disk.
    NoHead(String),
    /// It is one, of another cluster or another disk.
    Other {
        /// Where it is.
        path: String,
        /// What stands there.
        found: ArbitrationHead,
        /// What is wanted.
        wanted: ArbitrationHead,
    },
    /// It has too few bytes.
    Small(String, Bytes),
}

impl core::fmt::Display for Trouble {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Trouble::Disk(error) => write!(f, "{error}"),
            Trouble::NoHead(path) => {
                write!(f, "{path} is no arbitration disk; make it one with: evmsd prepare {path}")
            }
            Trouble::Other { path, found, wanted } if found.cluster != wanted.cluster => write!(
                f,
                "{path} is an arbitration disk of another cluster, {}; this one is {}; nothing was written",
                found.cluster, wanted.cluster
            ),
            Trouble::Other { path, found, wanted } => write!(
                f,
                "{path} is the arbitration disk {}, and the configuration means {}; correct the path there; nothing was written",
                found.disk, wanted.disk
            ),
            Trouble::Small(path, size) => {
                write!(f, "{path} has {size}, and an arbitration disk has {DISK_BYTES_MIN} at least")
            }
        }
    }
}

/// Opens an arbitration disk, if it is the one that is meant.
pub fn open(disk: &ArbitrationDisk, cluster: ClusterId, want: Want) -> Result<BareDisk, Trouble> {
    let open = BareDisk::open(Path::new(&disk.path), want).map_err(Trouble::Disk)?;
    if open.size() < DISK_BYTES_MIN {
        return Err(Trouble::Small(disk.path.clone(), open.size()));
    }
    let head = open.read(Bytes::ZERO, BLOCK_BYTES as usize).map_err(Trouble::Disk)?;
    judge(&head, disk, ArbitrationHead { cluster, disk: disk.id })?;
    Ok(open)
}

fn judge(head: &[u8], disk: &ArbitrationDisk, wanted: ArbitrationHead) -> Result<(), Trouble> {
    match ArbitrationHead::decode(head) {
        Ok(found) if found == wanted => Ok(()),
        Ok(found) => Err(Trouble::Other { path: disk.path.clone(), found, wanted }),
        Err(_) => Err(Trouble::NoHead(disk.path.clone())),
    }
}

/// A thread that has one disk.
struct Clerk {
    disk: ArbitrationDisk,
    wanted: ArbitrationHead,
    /// Opened when it is needed, and again after whatever went wrong: paths may lead elsewhere by then.
    open: Option<BareDisk>,
}

impl Clerk {
    fn with_disk<T>(&mut self, act: impl FnOnce(&BareDisk) -> Result<T, Trouble>) -> Result<T, Trouble> {
        let open = match self.open.take() {
            Some(open) => open,
            None => open(&self.disk, self.wanted.cluster, Want::OwnBlocks)?,
        };
        let done = act(&open)?;
        self.open = Some(open);
        Ok(done)
    }

    /// Reads the head along each time: a disk that was made anew under our hands is another one.
    fn read(&mut self, length: Bytes) -> Result<Vec<u8>, Trouble> {
        let (disk, wanted) = (self.disk.clone(), self.wanted);
        self.with_disk(|open| {
            let head = open.read(Bytes::ZERO, BLOCK_BYTES as usize).map_err(Trouble::Disk)?;
            judge(&head, &disk, wanted)?;
            let length = usize::try_from(length.0).unwrap_or(0);
            open.read(AREA_AT, length).map_err(Trouble::Disk)
        })
    }

    fn obey(&mut self, act: Act) -> (Outcome, Option<Trouble>) {
        match act {
            Act::Read { length } => match self.read(length) {
                Ok(bytes) => (Outcome::Read(bytes), None),
                Err(trouble) => (Outcome::NotRead, Some(trouble)),
            },
            Act::Write { at, block } => {
                let at = Bytes(AREA_AT.0.saturating_add(at.0));
                match self.with_disk(|open| open.write_through(at, &block).map_err(Trouble::Disk)) {
                    Ok(()) => (Outcome::Written, None),
                    Err(trouble) => (Outcome::Unknown, Some(trouble)),
                }
            }
        }
    }
}

/// All of them, as the detector has them.
pub struct Arbitration {
    clerks: Vec<Sender<Task>>,
    ended: Receiver<Ended>,
    bell: Arc<Bell>,
    life: u64,
    /// What is to be done, and was not handed on.
    waiting: VecDeque<Command>,
    disks: Vec<Known>,
}

/// What is known of a disk besides what the arbiter knows.
struct Known {
    path: String,
    /// Since when a clerk is at it.
    busy: Option<BootTime>,
    /// Why it did not do what was asked last.
    trouble: Option<Trouble>,
}

impl Arbitration {
    /// A clerk for each disk of the roster; no disk is touched yet.
    pub fn begin(roster: &Roster) -> Result<Arbitration, DaemonError> {
        let bell = Bell::new().map_err(|errno| DaemonError::System("making an eventfd", errno.into()))?;
        let (bell, (tell, ended)) = (Arc::new(bell), channel());
        let mut clerks = Vec::new();
        for (place, disk) in roster.arbitration.iter().enumerate() {
            let wanted = ArbitrationHead { cluster: roster.configuration.cluster, disk: disk.id };
            let clerk = Clerk { disk: disk.clone(), wanted, open: None };
            clerks.push(hire(clerk, place, tell.clone(), Arc::clone(&bell))?);
        }
        let known = |disk: &ArbitrationDisk| Known { path: disk.path.clone(), busy: None, trouble: None };
        let disks = roster.arbitration.iter().map(known).collect();
        Ok(Arbitration { clerks, ended, bell, life: 0, waiting: VecDeque::new(), disks })
    }

    /// Rings when something has ended.
    pub fn bell(&self) -> &Bell {
        self.bell.was_rung();
        &self.bell
    }

    /// How the disks are, for who asks.
    pub fn lines(&self, now: BootTime, standings: &[DiskStanding]) -> Vec<DiskLine> {
        let since = |then: BootTime| now.ms.saturating_sub(then.ms);
        let line = |(known, standing): (&Known, &DiskStanding)| DiskLine {
            path: known.path.clone(),
            answers: standing.answers,
            read_ms: standing.last_read.map(since),
            asked_ms: known.busy.map(since),
            trouble: known.trouble.as_ref().map(Trouble::to_string).unwrap_or_default(),
        };
        self.disks.iter().zip(standings).map(line).collect()
    }

    /// Takes a command; it is begun with [`Arbitration::hand_on`].
    pub fn take(&mut self, command: Command) {
        self.waiting.push_back(command);
    }

    /// Is there something to be handed on?
    pub fn is_waited_for(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Has the clerks begin.
    pub fn hand_on(&mut self, now: BootTime) {
        for Command { disk, id, act } in self.waiting.drain(..) {
            let Some(clerk) = self.clerks.get(disk) else { continue };
            // A clerk does not end before this does.
            let _ = clerk.send(Task { life: self.life, id, act });
            if let Some(known) = self.disks.get_mut(disk) {
                known.busy = Some(now);
            }
        }
    }

    /// The membership begins anew: what the one before asked for is none of its business.
    pub fn begin_anew(&mut self) {
        self.life += 1;
        self.waiting.clear();
    }

    /// Gives `take` what has ended; what is new of troubles, in words.
    pub fn listen(&mut self, mut take: impl FnMut(usize, u64, Answer<'_>)) -> Vec<String> {
        let mut news = Vec::new();
        while let Ok(Ended { life, disk, id, outcome, trouble }) = self.ended.try_recv() {
            if let Some(known) = self.disks.get_mut(disk) {
                known.busy = None;
                news.extend(news_of(known, &trouble));
                known.trouble = trouble;
            }
            if life == self.life {
                take(
                    disk,
                    id,
                    match &outcome {
                        Outcome::Read(bytes) => Answer::Read(bytes),
                        Outcome::NotRead => Answer::NotRead,
                        Outcome::Written => Answer::Written,
                        Outcome::Unknown => Answer::Unknown,
                    },
                );
            }
        }
        news
    }
}

fn news_of(known: &Known, trouble: &Option<Trouble>) -> Option<String> {
    match (&known.trouble, trouble) {
        (before, Some(now)) if before.as_ref() != Some(now) => Some(format!("arbitration disk: {now}")),
        (Some(_), None) => Some(format!("arbitration disk {}: it answers again", known.path)),
        _ => None,
    }
}

/// Who is at which disk: the clerk of an earlier life of this daemon may still hang with a write. Nothing else is written to
/// that block before it ended (safety 1.5), so the next one waits for the desk.
static DESKS: Mutex<SmallMap<DiskId, Arc<Mutex<()>>>> = Mutex::new(SmallMap::new());

fn desk(disk: DiskId) -> Arc<Mutex<()>> {
    let mut desks = DESKS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(desks.or_insert_with(disk, Default::default))
}

fn hire(
    mut clerk: Clerk,
    disk: usize,
    tell: Sender<Ended>,
    bell: Arc<Bell>,
) -> Result<Sender<Task>, DaemonError> {
    let (tasks, handed) = channel::<Task>();
    let desk = desk(clerk.disk.id);
    let work = move || {
        // Without it a busy processor may cost a tie; the detector says so for all threads.
        let _ = sys::run_first(PRIORITY);
        let _sits = desk.lock().unwrap_or_else(PoisonError::into_inner);
        for Task { life, id, act } in handed {
            let (outcome, trouble) = clerk.obey(act);
            let _ = tell.send(Ended { life, disk, id, outcome, trouble });
            bell.ring();
        }
    };
    let thread = std::thread::Builder::new().name(format!("disk {disk}")).stack_size(STACK_BYTES);
    thread.spawn(work).map_err(DaemonError::Loop)?;
    Ok(tasks)
}
