//! `evmsd`: two threads. The detector's (`heart`) beats, listens and agrees, and waits for nothing else; the engine's, this
//! one, is a loop that answers who asks (`clients`) and carries messages. They talk by queues and a bell, and the engine
//! stamps a word by which the detector sees that it lives (safety 1.4).

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use smol::{Async, LocalExecutor, Timer};

use crate::base::id::NodeId;
use crate::base::time::BootTime;
use crate::cluster::hearing::Unheard;
use crate::cluster::membership::Change;
use crate::host::bell::Bell;
use crate::host::lease_page::LeasePage;
use crate::host::notify::{self, Notify};
use crate::host::run_dir::RunDir;
use crate::host::stops::Stops;
use crate::host::{clock, door, entropy, identity, sys};
use crate::run::daemon::engine::Engine;
use crate::run::daemon::gates::Gates;
use crate::run::daemon::heart::{Heart, Life};
use crate::run::daemon::mail::Mail;
use crate::run::daemon::pulse::Pulse;

mod agreed;
pub mod arbitration;
mod changing;
pub mod check;
mod clients;
mod engine;
mod failure;
mod fencing;
pub mod founding;
mod gates;
mod heart;
pub mod joining;
pub mod logging;
mod mail;
pub mod preparing;
mod pulse;
mod raising;
mod seeing;
pub mod settings;
mod stillness;
mod succession;
mod turns;

pub use failure::DaemonError;
use settings::Settings;

/// Milliseconds that others have to hear that this node leaves.
const LEAVE_MS: u64 = 300;
/// Milliseconds until the same beat that is refused is told again.
const REFUSED_AGAIN_MS: u64 = 60_000;
/// For whoever begins it anew at once.
const CANNOT_BEGIN: Duration = Duration::from_secs(1);

/// Tasks that are let go at the end of a life, at most: those of all clients, and a few of the daemon's own.
const TICKS_MAX: u32 = 1000;

/// What the command line said.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    /// The configuration.
    pub config: PathBuf,
}

impl Default for DaemonOptions {
    fn default() -> Self {
        DaemonOptions { config: settings::CONFIG.into() }
    }
}

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Told,
    /// It is to begin anew: the configuration is another one.
    Anew,
}

/// Runs the daemon until it is told to end.
pub fn run(options: &DaemonOptions) -> Result<(), DaemonError> {
    // What begins anew begins with everything: there is one way to start. The process stays, for a clerk whose disk hangs
    // would hold an exec of it, and with it the beat.
    loop {
        match live(options) {
            Ok(Ended::Anew) => {}
            Ok(Ended::Told) => return Ok(()),
            Err(error) => {
                if notify::is_supervised() {
                    std::thread::sleep(CANNOT_BEGIN);
                }
                return Err(error);
            }
        }
    }
}

fn live(options: &DaemonOptions) -> Result<Ended, DaemonError> {
    let stops = Stops::hold().map_err(|errno| DaemonError::System("holding signals", errno.into()))?;
    let settings = Settings::read(&options.config)?;
    let boot = identity::boot_id(&settings.identity).map_err(DaemonError::Identity)?;
    let (room, left) = RunDir::take(boot).map_err(DaemonError::Room)?;
    if let Err(errno) = sys::lock_all_memory() {
        log::warn!("memory cannot be locked ({}); swapping may cost this node its quorum", errno.desc());
    }
    let page = LeasePage::make(boot).map_err(|error| DaemonError::System("making /run/evms/lease", error))?;
    let gates = Gates::new(boot, page.words(), &settings)
        .map_err(|error| DaemonError::System("making /run/evms/gates", error))?;
    let pulse = Pulse::new(clock::boot_now())?;
    let heart = Heart::new(Life {
        settings: settings.clone(),
        room,
        page,
        gates: gates.page(),
        left,
        dice: entropy::dice().map_err(DaemonError::Entropy)?,
        pulse: pulse.of_heart(),
    })?;
    let mail = Mail::new(&settings, heart.myself(), entropy::dice().map_err(DaemonError::Entropy)?)?;
    let door = door::open().map_err(DaemonError::Door)?;
    let beating = heart.begin()?;
    stillness::begin(pulse.of_clock());
    let ended = serve(&settings, Rc::new(Engine::new(pulse, mail, gates, settings.clone())), door, stops);
    door::close();
    // Its thread ends when it was told to, or when the engine's end is gone.
    beating.wait();
    ended
}

fn serve(
    settings: &Settings,
    engine: Rc<Engine>,
    door: std::os::unix::net::UnixListener,
    stops: Stops,
) -> Result<Ended, DaemonError> {
    let notify = Rc::new(Notify::of_environment());
    let executor = Rc::new(LocalExecutor::new());
    let io = |error| DaemonError::Loop(error);
    let door = Async::new(door).map_err(io)?;
    let stops = Async::new(stops).map_err(io)?;
    let bell = Async::new(engine.pulse.bell()).map_err(io)?;
    log::info!(
        "node {} of cluster {}: {} nodes, configuration {}",
        settings.roster.name_of(settings.node),
        settings.roster.name,
        settings.roster.members.len(),
        settings.roster.configuration.generation
    );
    log::info!("{}", check::takeover_words(&settings.roster.configuration.timing));
    notify.tell("READY=1\nSTATUS=looking for the other nodes");
    // A task each: what wakes one of them makes no other look for work.
    let listening = executor.spawn(clients::listen(Rc::clone(&executor), Rc::clone(&engine), door));
    let _watched = notify.watchdog_ms().map(|ms| executor.spawn(be_watched(Rc::clone(&notify), ms)));
    let hearing = executor.spawn(hear(settings.clone(), Rc::clone(&engine), Rc::clone(&notify), bell));
    let answers = Rc::clone(&engine);
    let answering = executor.spawn(async move { answers.answer_nodes().await });
    let gates = Rc::clone(&engine);
    let tending = executor.spawn(async move { gates.tend_gates().await });
    let changes = Rc::clone(&engine);
    let changing = executor.spawn(async move { changes.change().await });
    let work = executor.run(async {
        let ends = async {
            smol::future::or(engine.asked_to_leave(), obey_signals(&engine, stops)).await;
            Ended::Told
        };
        let anew = async {
            engine.changing.begins_anew().await;
            Ended::Anew
        };
        // None of these ends unless it cannot go on.
        let work =
            smol::future::or(smol::future::or(listening, hearing), smol::future::or(answering, tending));
        let work = async {
            smol::future::or(work, changing).await;
            Ended::Told
        };
        let ended = smol::future::or(smol::future::or(ends, anew), work).await;
        notify.tell(if ended == Ended::Told { "STOPPING=1" } else { "STATUS=begins anew" });
        if engine.leaves() {
            Timer::after(Duration::from_millis(LEAVE_MS)).await;
        }
        engine.pulse.stop();
        ended
    });
    let ended = turns::run(&engine, work);
    // What was cancelled lets go of its sockets: the next life binds them again.
    for _ in 0..TICKS_MAX {
        if !executor.try_tick() {
            break;
        }
    }
    ended
}

/// Tells the service manager that this loop turns: it begins one anew that does not.
async fn be_watched(notify: Rc<Notify>, ms: u64) {
    loop {
        notify.tell("WATCHDOG=1");
        Timer::after(Duration::from_millis(ms)).await;
    }
}

/// Until one of them ends the daemon.
async fn obey_signals(engine: &Engine, stops: Async<Stops>) {
    while stops.readable().await.is_ok() {
        match stops.get_ref().next() {
            Some("SIGHUP") => engine.changing.note_hup(),
            Some(signal) => {
                log::info!("{signal}: ends, without leaving the view; 'evmsd leave' would");
                return;
            }
            None => (),
        }
    }
}

/// Takes what the detector says, until it cannot be heard any more.
async fn hear(settings: Settings, engine: Rc<Engine>, notify: Rc<Notify>, bell: Async<Arc<Bell>>) {
    let mut refusals = Refusals::default();
    while bell.readable().await.is_ok() {
        let changed = engine.hear_heart();
        if changed.iter().any(|change| matches!(change, Change::Quorate(_))) {
            engine.note_in_force();
        }
        let news = changed.iter().filter(|change| refusals.is_news(change, clock::boot_now()));
        news.for_each(|change| tell(&settings, change));
        if let Some(words) = engine.words() {
            notify.tell(&format!("STATUS={words}"));
        }
    }
}

/// Of beats that are refused ten times a second the log says one in a minute.
#[derive(Default)]
struct Refusals {
    told: Option<(NodeId, Unheard, BootTime)>,
}

impl Refusals {
    /// Is that to be said?
    fn is_news(&mut self, change: &Change, now: BootTime) -> bool {
        let Change::Refused(node, why) = change else { return true };
        let same = |(of, before, at): &(NodeId, Unheard, BootTime)| {
            (of, before) == (node, why) && now < at.plus_ms(REFUSED_AGAIN_MS)
        };
        if self.told.as_ref().is_some_and(same) {
            return false;
        }
        self.told = Some((*node, *why, now));
        true
    }
}

/// What the log says of a change.
fn tell(settings: &Settings, change: &Change) {
    let names = |nodes: crate::cluster::node_set::NodeSet| {
        nodes.iter().map(|node| settings.roster.name_of(node)).collect::<Vec<_>>().join(" ")
    };
    match change {
        Change::Installed(view) => log::info!("view {}: {}", view.number, names(view.nodes())),
        Change::Quorate(number) => log::info!("quorate by view {number}"),
        Change::Inquorate => log::warn!("not quorate any more; see 'evms why'"),
        Change::StoodStill => log::warn!(
            "this machine stood still with its clock, or somebody set the one on its board: a lease that it had is over, and its gates close now"
        ),
        Change::PassedOver(number) => log::warn!(
            "the others went on without this node in view {number}: it did not hear them, or stood still with its clock; its lease \
             is over, and its gates close now"
        ),
        Change::Replaced(boot) => {
            log::error!(
                "others know another boot of this node ({}): began anew as another incarnation",
                boot.short()
            )
        }
        Change::Outdated { generation } => {
            log::warn!("others go by configuration {generation}; this node is silent until it has it too")
        }
        Change::Refused(node, why) => {
            log::warn!("a beat of {} was refused: {why}", settings.roster.name_of(*node))
        }
        Change::AssumedAlone(reason) => log::warn!("told to take a tie though others may live: {reason}"),
        Change::Proposed(_) | Change::Accepted(_) | Change::Installing(_) => log::debug!("{change:?}"),
    }
}
