//! One machine: its clock, what its kernel has (gates, a watchdog), what lies in its memory for as long as it runs (the pages of the
//! lease and of the gates), and who runs on it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use evms::base::epoch::Epoch;
use evms::base::id::{Incarnation, NodeId, NodeUuid};
use evms::base::time::BootTime;
use evms::cluster::beat::Beat;
use evms::cluster::membership::{Membership, Memory};
use evms::cluster::view::{View, ViewNumber};
use evms::engine::guard::evidence::Receipt;
use evms::engine::guard::keeping::{Leased, Reign, Words};

use crate::clock::Clock;
use crate::disk::Errand;
use crate::gates::beats::Beats;
use crate::gates::disk::Path;
use crate::gates::stops::Stillnesses;

/// Milliseconds after which a keeper that has not looked is none.
const KEEPER_MS_MAX: u64 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    None,
    Linear,
    Error,
}

/// A gate in the kernel.
#[derive(Clone, Debug)]
pub struct Gate {
    pub live: Table,
    pub inactive: Table,
    pub suspended: bool,
    /// Somebody waits for what is under way: nothing new goes through.
    pub draining: bool,
    /// The process, or zero for the keeper.
    pub drained_by: u64,
    /// Writes that wait in front of it, and since when.
    pub held: VecDeque<u64>,
    pub held_since_us: u64,
    /// What went through and did not come back.
    pub under_way: BTreeSet<u64>,
}

impl Gate {
    pub fn is_open(&self) -> bool {
        self.live == Table::Linear && !self.suspended && !self.draining
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Unknown,
    Closed,
    Draining,
    Open,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    Free,
    Kept,
    Going,
}

/// A place in the page of the gates.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub used: Used,
    pub term: u64,
    pub life: u64,
    pub epoch: Epoch,
    pub standing: Standing,
    pub promised_ms: u64,
    /// The process that takes it away.
    pub going_by: u64,
    /// When an order of the present term was taken back.
    pub back_us: u64,
}

impl Slot {
    pub fn is_shut(&self) -> bool {
        matches!(self.standing, Standing::Closed | Standing::Gone)
    }

    pub fn is_settled(&self) -> bool {
        self.used == Used::Free || self.is_shut()
    }
}

/// `/run/evms/gates`.
#[derive(Clone, Debug)]
pub struct Page {
    pub slots: Vec<Slot>,
    pub looked: Option<BootTime>,
    pub watchdog_ms: u64,
    pub wish: u64,
    pub tried: u64,
    /// The last evmsd of this boot.
    pub daemon: u64,
}

impl Page {
    pub fn new(gates: usize) -> Page {
        let slot = Slot {
            used: Used::Free,
            term: 0,
            life: 0,
            epoch: Epoch::NONE,
            standing: Standing::Unknown,
            promised_ms: 0,
            going_by: 0,
            back_us: 0,
        };
        Page { slots: vec![slot; gates], looked: None, watchdog_ms: 0, wish: 0, tried: 0, daemon: 0 }
    }

    pub fn has_keeper(&self, now: BootTime) -> bool {
        self.looked.is_some_and(|looked| now.ms.saturating_sub(looked.ms) <= KEEPER_MS_MAX)
    }
}

/// What one thread of the keeper is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Nothing,
    Draining,
    Disarming,
    Resuming,
    Arming,
}

#[derive(Clone, Copy, Debug)]
pub struct Post {
    pub settled: u64,
    /// The wish that it is about.
    pub code: u64,
    pub doing: Doing,
}

/// The keeper's process.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub life: u64,
    pub posts: Vec<Post>,
    /// Has it the watchdog open?
    pub watchdog: bool,
    pub unwatched: u32,
    pub idle: u32,
    /// The look that counts; older ones do not happen.
    pub look: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Watchdog {
    /// What its driver does; zero where there is none.
    pub device_ms: u64,
    pub armed: bool,
    pub fed_us: u64,
    pub fed: BootTime,
    /// When a keeper that had it was killed last.
    pub pinged: BootTime,
}

/// What evmsd's engine knows.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    pub quorate: bool,
    pub view: Option<View>,
    pub term: u64,
    pub since: BootTime,
    pub next: Option<(BootTime, u64)>,
    pub words: VecDeque<Word>,
    /// The process that reads closed gates' disks, in which term, when again, and after what pause.
    pub regain: u64,
    pub read_term: u64,
    pub read_next: BootTime,
    pub read_pause_ms: u64,
    pub succession: u64,
    pub keeper_begins: u64,
    pub fences: Vec<Fence>,
    /// Who was in a view with it, since this evmsd began.
    pub seen: BTreeSet<usize>,
}

/// Who is to have his power cut, and who is at it.
#[derive(Clone, Copy, Debug)]
pub struct Fence {
    pub victim: usize,
    /// When, and how long after that again; nothing when it is done.
    pub next: Option<(BootTime, u64)>,
    pub process: u64,
}

#[derive(Clone, Debug)]
pub enum Word {
    Installed(View),
    Quorate(bool),
    Leased(ViewNumber, u64),
}

/// Who writes to a container's volume here.
#[derive(Clone, Debug, Default)]
pub struct App {
    pub runs: bool,
    /// It writes nothing new: it is to be closed.
    pub closing: bool,
    pub life: u64,
}

pub struct Machine {
    pub node: NodeId,
    pub uuid: NodeUuid,
    pub clock: Clock,
    pub on: bool,
    pub boot: u64,
    pub incarnation: Incarnation,
    pub lives: u64,
    pub daemon: Option<Membership>,
    pub daemon_life: u64,
    /// Neither detector nor engine runs until then.
    pub paused_us: u64,
    pub stuck: bool,
    pub memory: Option<Memory>,
    pub socket: VecDeque<Arc<Beat>>,
    /// What arbitration disks answered while it did not go round.
    pub answers: Vec<Errand>,
    pub alarm: u64,
    pub leased: Leased,
    pub told_term: u64,
    /// The end of the lease that was told last, for who makes the mistake of going by that alone.
    pub last_ms: u64,
    pub words: &'static Words,
    pub engine: Engine,
    pub page: Page,
    pub gates: Vec<Option<Gate>>,
    pub keeper: Option<Keeper>,
    pub keeper_life: u64,
    /// When it began, and not before when it does anything.
    pub keeper_begun_us: u64,
    pub keeper_paused_us: u64,
    /// Who beats on disks.
    pub beats: Beats,
    pub watchdog: Watchdog,
    pub apps: Vec<App>,
    /// By container, who has its disks locked here; and behind them, who makes devices.
    pub locks: Vec<u64>,
    pub paths: Vec<Path>,
    /// Did its keeper suffer, or a disk hang, in this boot?
    pub hurt: bool,
    /// A life that goes on without what the one before it left.
    pub forgot: bool,
    /// When each node was last heard, and when it was first absent, for who makes the mistake of counting from there.
    pub heard: Vec<BootTime>,
    pub absent_first: Vec<Option<BootTime>>,
    /// Is it to bring its containers up?
    pub wanted: [bool; 2],
    /// Takeovers that were begun in this boot and are not at their end (`host::pending`).
    pub taking: [bool; 2],
    /// How it stood still.
    pub stands: Stillnesses,
    /// What agents proved in this boot, for who makes the mistake of believing it of another life.
    pub proven: Vec<Receipt>,
    /// Writes by container that were under way when its power went, and may still land.
    pub ghosts: [usize; 2],
}

impl Machine {
    pub fn new(place: usize, clock: Clock, disks: usize, nodes: usize) -> Machine {
        let mut uuid = [0; 16];
        uuid[..8].copy_from_slice(&(place as u64 + 1).to_le_bytes());
        Machine {
            node: NodeId(place as u16 + 1),
            uuid: NodeUuid(uuid),
            clock,
            on: false,
            boot: 0,
            incarnation: Incarnation([0; 16]),
            lives: 0,
            daemon: None,
            daemon_life: 0,
            paused_us: 0,
            stuck: false,
            memory: None,
            socket: VecDeque::new(),
            answers: Vec::new(),
            alarm: 0,
            leased: Leased::default(),
            told_term: 0,
            last_ms: 0,
            words: Box::leak(Box::default()),
            engine: Engine::default(),
            page: Page::new(disks),
            gates: (0..disks).map(|_| None).collect(),
            keeper: None,
            keeper_life: 0,
            keeper_begun_us: 0,
            keeper_paused_us: 0,
            beats: Beats::default(),
            watchdog: Watchdog::default(),
            apps: vec![App::default(); 2],
            locks: vec![0; 3],
            paths: vec![Path::WELL; disks],
            hurt: false,
            forgot: false,
            heard: vec![BootTime::default(); nodes],
            absent_first: vec![None; nodes],
            wanted: [true; 2],
            taking: [false; 2],
            stands: Stillnesses::default(),
            proven: Vec::new(),
            ghosts: [0; 2],
        }
    }

    pub fn now(&self, real_us: u64) -> BootTime {
        self.clock.now(real_us)
    }

    pub fn reign(&self) -> Reign {
        Reign::of(self.words)
    }

    pub fn runs(&self, now_us: u64) -> bool {
        self.on && self.daemon.is_some() && self.paused_us <= now_us && self.stands.since_us.is_none()
    }

    /// Since when its keeper runs without a break, where one does.
    pub fn kept_since(&self, now_us: u64) -> Option<u64> {
        let runs = self.keeper.is_some() && self.keeper_paused_us <= now_us;
        runs.then_some(self.keeper_begun_us.max(self.keeper_paused_us))
    }

    /// Could a write of it, in this container, still reach a disk?
    pub fn may_write(&self, container: usize) -> bool {
        let each = self.gates.len() / 2;
        let mut gates = self.gates[container * each..(container + 1) * each].iter().flatten();
        self.ghosts[container] > 0 || gates.any(|gate| gate.is_open() || !gate.under_way.is_empty())
    }

    /// Could another one pass its gates?
    pub fn may_write_more(&self, container: usize) -> bool {
        let each = self.gates.len() / 2;
        self.gates[container * each..(container + 1) * each].iter().flatten().any(Gate::is_open)
    }

    /// An incarnation that was never there.
    pub fn next_incarnation(&mut self) -> Incarnation {
        self.lives += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&u64::from(self.node.0).to_le_bytes());
        bytes[8..].copy_from_slice(&self.lives.to_le_bytes());
        Incarnation(bytes)
    }
}
