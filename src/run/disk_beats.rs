//! Beats on the disks of containers of which this node has gates (safety: a second sign of life), and the answer to who asks there whether
//! those gates let anything through. A process that evmsd starts and that outlives it: a thread for each disk, one beat under way at a
//! time, so that a slow disk delays no other one (R8). Nobody here waits for it, and no safety rests on its beats: a node that is
//! silent is waited for as ever. What it says is true when it is said, and stays so without a lease.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::base::failure::{Failure, Kind};
use crate::base::gather::Gather;
use crate::base::id::{ContainerId, NodeUuid};
use crate::base::time::BootTime;
use crate::engine::guard::keeping::{Reign, Words};
use crate::host::beat_note::{self, BeatNote};
use crate::host::device::DeviceNumber;
use crate::host::dm::Dm;
use crate::host::gate_page::GatePage;
use crate::host::identity::{self, IdentityFiles};
use crate::host::keeper_process::{self, KeeperLock};
use crate::host::lease_page;
use crate::host::{clock, gate_page, sysfs};
use crate::run::disk_beats::disk::{Beater, Speech};
use crate::volume::stack;

pub(super) mod disk;

/// Milliseconds between two beats on a disk (safety 6: disk beat).
pub const BEAT_MS: u64 = 1000;
/// Bytes of a thread's stack.
const STACK_BYTES: usize = 256 * 1024;
/// Disks at most: as many as there are gates.
const DISKS_MAX: usize = gate_page::GATES_MAX;
/// Milliseconds without an evmsd after which its node is one that does not come back by itself: whoever starts it anew, or has it
/// started, takes less, and finds its containers its own.
const RESTART_MS: u64 = 10_000;
/// Looks without a gate after which it ends.
const IDLE_LOOKS_MAX: u32 = 3;

/// Why nobody beats on disks.
#[derive(Debug)]
pub struct NoBeats(String);

impl std::fmt::Display for NoBeats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "nobody beats on the disks of this node's containers: {}; it is evmsd that starts it",
            self.0
        )
    }
}

impl Failure for NoBeats {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> NoBeats {
    move |error| NoBeats(format!("{what}: {error}"))
}

/// One disk of one container, under a gate.
type Place = (DeviceNumber, ContainerId);

/// What is known of one, by whoever is at it and whoever tells.
#[derive(Default)]
pub(super) struct Standing {
    last: AtomicU64,
    took_ms: AtomicU64,
    worst_ms: AtomicU64,
    under_way: AtomicU64,
    /// Its thread has ended.
    over: AtomicBool,
}

/// Beats until there are no gates, or another evmsd is there, which starts another one.
pub fn run() -> Result<(), NoBeats> {
    let Some(_lock) = KeeperLock::of_beats().map_err(failed("taking its lock"))? else { return Ok(()) };
    let identity = IdentityFiles::default();
    let boot = identity::boot_id(&identity).map_err(failed("reading this boot's id"))?;
    let node = identity::node_uuid(&identity).map_err(failed("reading this machine's id"))?;
    let node = node.ok_or_else(|| NoBeats("this machine has no id".into()))?;
    let page = GatePage::find(boot).map_err(failed("reading the page of gates"))?;
    let words = lease_page::words(boot).map_err(failed("reading the page of the lease"))?;
    let (Some(page), Some(words)) = (page, words) else { return Ok(()) };
    keeper_process::stay_behind();
    let answers = Arc::new(AtomicBool::new(true));
    let mut all = All { page, words, node, answers, threads: Vec::new() };
    let daemon = page.daemon();
    let (mut idle, mut lived) = (0, clock::boot_now());
    // Another evmsd starts another program for this; while a disk has not answered that one could not begin, and this one goes on.
    while idle < IDLE_LOOKS_MAX && (page.daemon() == daemon || all.waits_for_any()) {
        let now = clock::boot_now();
        page.beats_look(now);
        let lives = keeper_process::lives(page.daemon());
        lived = if lives { now } else { lived };
        all.answers.store(lives || now.ms.saturating_sub(lived.ms) > RESTART_MS, Ordering::Release);
        idle = if page.all().next().is_some() { 0 } else { idle + 1 };
        all.look();
        thread::sleep(Duration::from_millis(BEAT_MS));
    }
    beat_note::write(&[]);
    Ok(())
}

struct All {
    page: GatePage,
    words: &'static Words,
    node: NodeUuid,
    /// Is anything answered now?
    answers: Arc<AtomicBool>,
    threads: Vec<One>,
}

/// One that is beaten on.
struct One {
    place: Place,
    disk: String,
    standing: Arc<Standing>,
}

impl All {
    /// Starts a thread for each disk that is new under a gate, and tells how all of them are.
    fn look(&mut self) {
        self.threads.retain(|one| !one.standing.over.load(Ordering::Acquire));
        for place in under_gates(self.page) {
            if self.threads.len() < DISKS_MAX && self.threads.iter().all(|one| one.place != place) {
                self.begin(place);
            }
        }
        let notes: Vec<BeatNote> = self.threads.iter().map(note).gather();
        beat_note::write(&notes);
    }

    fn waits_for_any(&self) -> bool {
        self.threads.iter().any(|one| one.standing.under_way.load(Ordering::Acquire) != 0)
    }

    fn begin(&mut self, place: Place) {
        let (number, container) = place;
        let Some(path) = path_of(number) else { return };
        let standing = Arc::new(Standing::default());
        let gates = Gates { page: self.page, words: self.words, container };
        let speech = Speech { node: self.node, gates, answers: Arc::clone(&self.answers) };
        let beater = Beater::new(path.clone(), speech, Arc::clone(&standing));
        let thread = thread::Builder::new().name("beats".into()).stack_size(STACK_BYTES);
        match thread.spawn(move || beater.beat_on()) {
            Ok(_) => self.threads.push(One { place, disk: path.display().to_string(), standing }),
            Err(error) => log::error!("nobody beats on {}: no thread: {error}", path.display()),
        }
    }
}

fn note(one: &One) -> BeatNote {
    let One { place: (_, container), disk, standing } = one;
    let of = |word: &AtomicU64| word.load(Ordering::Acquire);
    BeatNote {
        disk: disk.clone(),
        container: *container,
        last: of(&standing.last),
        took_ms: of(&standing.took_ms),
        worst_ms: of(&standing.worst_ms),
        under_way: of(&standing.under_way),
    }
}

fn path_of(number: DeviceNumber) -> Option<PathBuf> {
    let link = std::fs::read_link(format!("/sys/dev/block/{number}")).ok()?;
    Some(PathBuf::from(sysfs::node_of(link.file_name()?.to_str()?)))
}

/// The disks under the gates that are kept.
fn under_gates(page: GatePage) -> Vec<Place> {
    let Ok(mut dm) = Dm::open() else { return Vec::new() };
    let mut disk = |name: &str| {
        let table = dm.table(name).ok()?;
        let [line] = table.as_slice() else { return None };
        DeviceNumber::parse(line.params.split(' ').next()?)
    };
    page.kept().filter_map(|slot| Some((disk(&slot.name())?, slot.container()))).gather()
}

/// The gates of a container on this machine.
#[derive(Clone, Copy)]
pub(super) struct Gates {
    page: GatePage,
    words: &'static Words,
    container: ContainerId,
}

impl Gates {
    /// Does nothing pass, and will nothing before this node has a lease again? It has none now; its keeper says that each gate is
    /// closed, and says otherwise before it opens one; and the kernel shows the same. When the lease is back in the middle of this, who
    /// asked has lost his.
    fn are_shut(self) -> bool {
        let before = Reign::of(self.words);
        if before.lasts(clock::boot_now()) {
            return false;
        }
        let mut slots = self.page.all().filter(|slot| slot.container() == self.container);
        let shut = slots.all(|slot| slot.standing().is_shut()) && self.nothing_passes().unwrap_or(false);
        let after = Reign::of(self.words);
        shut && after.term == before.term && !after.lasts(clock::boot_now())
    }

    /// Of all devices that are gates of the container, whoever made them: each is suspended, or fails what comes, or has no table. Nothing
    /// where the kernel does not tell.
    fn nothing_passes(self) -> Option<bool> {
        let (names, uuids) = (stack::gate_names(self.container), stack::gate_uuids(self.container));
        let mut dm = Dm::open().ok()?;
        for listed in dm.list().ok()? {
            // Renamed or taken away between the two: the next beat tells.
            let state = dm.status(&listed.name).ok()??;
            let is_gate = state.name.starts_with(&names) || state.uuid.starts_with(&uuids);
            // One that is not armed would go on with anybody's resume (T3).
            if !is_gate || state.is_suspended() && state.is_armed() || !state.is_live() && !state.is_armed() {
                continue;
            }
            if dm.table(&listed.name).ok()?.iter().any(|line| line.kind != "error") {
                return Some(false);
            }
        }
        Some(true)
    }

    /// May this node act now?
    fn have_lease(self) -> bool {
        Reign::of(self.words).lasts(clock::boot_now())
    }

    /// Until then, or until there are none any more: who took them away finds the disks closed.
    fn wait_while_there(self, until: BootTime) {
        loop {
            // Before it is looked: whoever frees a place rings behind that.
            let bell = self.page.bell();
            let left_ms = until.ms.saturating_sub(clock::boot_now().ms);
            if left_ms == 0 || !self.are_there() {
                return;
            }
            self.page.wait(bell, Duration::from_millis(left_ms));
        }
    }

    /// Is there any?
    fn are_there(self) -> bool {
        self.page.all().any(|slot| slot.container() == self.container)
    }
}
