//! The gates of this node, as evmsd sees to them: it has them kept, says in which term of the lease they may be open, and after a
//! time without quorum has the disks of every container read before that is said again (safety 4.3, 7). That is done by another
//! process (`run::regain`): a disk that hangs holds no daemon.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use smol::Timer;

use crate::base::time::BootTime;
use crate::engine::guard::keeping::Reign;
use crate::format::control::{BeatLine, GateLine, GatesLine, OpenGates, Refusal, Reply};
use crate::host::beat_note::{self, BeatNote};
use crate::host::clock;
use crate::host::gate_hand;
use crate::host::gate_page::{Gate, GatePage, Member, NotKept, Slot, Standing};
use crate::host::identity::BootId;
use crate::host::keeper_process::{self, Beside};
use crate::host::lease_page::Words;
use crate::run::daemon::engine::Engine;
use crate::run::daemon::settings::Settings;

/// How long a keeper may take to begin, and a gate to open.
const LIMIT_MS: u64 = 3000;
/// How often is looked whether it did.
const STEP: Duration = Duration::from_millis(2);
/// How often is looked whether there is anything to do, though nothing changed.
const LOOK: Duration = Duration::from_millis(500);
/// Milliseconds before disks that told nothing are read again: twice as long each time, between these.
const AGAIN_MS: (u64, u64) = (500, 60_000);
/// Milliseconds between two starts of who beats on disks: the one before may hang with one.
const BEATS_PAUSE_MS: u64 = 5000;

/// What stands of them.
pub struct Gates {
    page: GatePage,
    words: &'static Words,
    /// Who this daemon started to keep them.
    keeper: RefCell<Option<Beside>>,
    /// Who reads disks for gates that are closed, in which term, and when that is tried again.
    reader: RefCell<Option<Beside>>,
    read: Cell<Tried>,
    /// Who this daemon started to beat on disks, and when another one may be at the earliest.
    beats: RefCell<Option<Beside>>,
    beats_next: Cell<BootTime>,
}

/// When disks were read last.
#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    term: u64,
    /// Not again before.
    next: BootTime,
    pause_ms: u64,
}

impl Gates {
    /// Of this boot; who was before left them as they are.
    pub fn new(boot: BootId, words: &'static Words, settings: &Settings) -> std::io::Result<Gates> {
        let page = GatePage::make(boot)?;
        page.set_daemon(std::process::id(), settings.roster.configuration.timing.watchdog_ms);
        let (keeper, reader, read) = Default::default();
        let (beats, beats_next) = Default::default();
        Ok(Gates { page, words, keeper, reader, read, beats, beats_next })
    }

    /// Where the keeper hears a bell.
    pub fn page(&self) -> GatePage {
        self.page
    }

    fn reign(&self) -> Reign {
        Reign::of(self.words)
    }

    /// Is there one through which something may pass? Who leaves has none.
    pub fn are_shut(&self) -> bool {
        self.page.is_shut()
    }

    /// Starts a keeper where there is none, and something is to be kept: gates, or a watchdog that one before armed. One that is just
    /// beginning is left to it.
    fn see_to_keeper(&self) {
        let needed = self.page.all().next().is_some() || self.page.watchdog_ms() != 0;
        self.see_to_keeper_if(needed);
    }

    fn see_to_keeper_if(&self, needed: bool) {
        if needed && !self.page.has_keeper(clock::boot_now()) {
            start(&self.keeper, keeper_process::KEEPER);
        }
    }

    /// Starts who beats on disks where nobody does, and something is kept.
    fn see_to_beats(&self) {
        let now = clock::boot_now();
        let needed = self.page.kept().next().is_some() && !self.page.has_beats(now);
        if needed && now >= self.beats_next.get() && start(&self.beats, keeper_process::BEATS) {
            self.beats_next.set(now.plus_ms(BEATS_PAUSE_MS));
        }
    }

    /// Has the disks of gates read that were not ordered to be open since this node is quorate again.
    fn see_to_closed(&self) {
        let (reign, now) = (self.reign(), clock::boot_now());
        let closed = self.page.kept().any(|slot| slot.term() != reign.term);
        if !closed || !reign.lasts(now) {
            return self.read.set(Tried::default());
        }
        let tried = self.read.get();
        let first = tried.term != reign.term;
        if (first || tried.next <= now) && start(&self.reader, keeper_process::REGAIN) {
            let pause_ms = if first { AGAIN_MS.0 } else { (tried.pause_ms * 2).min(AGAIN_MS.1) };
            self.read.set(Tried { term: reign.term, next: now.plus_ms(pause_ms), pause_ms });
        }
    }

    fn line(&self, slot: Slot) -> GateLine {
        let now = clock::boot_now();
        let reign = self.reign();
        let why = match slot.standing() {
            Standing::Open | Standing::Gone => String::new(),
            Standing::Refused => gate_hand::words_of(slot.errno()).into(),
            _ if slot.is_going() => "it is being taken away".into(),
            _ if !reign.lasts(now) => "this node is not quorate".into(),
            _ if !self.page.keeps_promise(slot) => {
                "its container says that a watchdog watches this machine, and none does; bring /dev/watchdog back".into()
            }
            _ if slot.term() != reign.term => format!(
                "its container's disks are read since this node is quorate again; if it stays so, the log of evmsd says of which that \
                 did not go; bring them back, or give up what waits with: evms deactivate --fail {}",
                slot.container()
            ),
            _ => String::new(),
        };
        GateLine {
            name: slot.name(),
            container: slot.container(),
            epoch: slot.epoch(),
            state: word_of(slot.standing()).into(),
            since_ms: now.ms.saturating_sub(slot.since().ms),
            closed: slot.closings(),
            why,
        }
    }

    /// All of them, for people.
    pub fn lines(&self) -> GatesLine {
        let now = clock::boot_now();
        GatesLine {
            quorate: self.reign().lasts(now),
            keeper: self.page.has_keeper(now),
            watchdog_ms: self.page.watchdog_ms(),
            gates: self.page.all().map(|slot| self.line(slot)).collect(),
            beats: beat_note::read().into_iter().map(|note| beat_line(note, now)).collect(),
        }
    }
}

fn beat_line(note: BeatNote, now: BootTime) -> BeatLine {
    let since = |then: u64| now.ms.saturating_sub(then);
    let BeatNote { disk, container, last, took_ms, worst_ms, under_way } = note;
    let since_ms = (last != 0).then(|| since(last));
    let waits_ms = if under_way == 0 { 0 } else { since(under_way) };
    BeatLine { disk, container, since_ms, took_ms, worst_ms, waits_ms }
}

fn word_of(standing: Standing) -> &'static str {
    match standing {
        Standing::Unknown => "unknown",
        Standing::Closed => "closed",
        Standing::Draining => "draining",
        Standing::Open => "open",
        Standing::Gone => "gone",
        Standing::Refused => "refused",
    }
}

impl Engine {
    /// Has the watchdog armed, before gates are made that others count on being watched.
    pub async fn arm_watchdog(&self) -> Reply {
        let gates = &self.gates;
        let wish = gates.page.wish_watchdog();
        let ends = clock::boot_now().ms + LIMIT_MS;
        // Another one may have wished behind this one.
        while gates.page.watchdog_tried() < wish {
            // One that is just ending counts as living for a moment.
            gates.see_to_keeper_if(true);
            if clock::boot_now().ms > ends {
                let why = "the keeper of gates does not answer; see the log of evmsd";
                return Reply::Refused(Refusal::Refused, why.into());
            }
            Timer::after(STEP).await;
        }
        Reply::Watchdog(u32::try_from(gates.page.watched_ms()).unwrap_or(u32::MAX))
    }

    /// Has these gates kept and opened, for a command that made them under the lease of this term and read the container's disks
    /// in it.
    pub async fn open_gates(&self, wanted: &OpenGates) -> Reply {
        let gates = &self.gates;
        let now = clock::boot_now();
        if !gates.reign().covers(wanted.term, now) {
            let why = "this node is not quorate any more, or was not for a moment; say the command again";
            return Reply::Refused(Refusal::NotQuorate, why.into());
        }
        gates.see_to_keeper();
        let mut slots = Vec::new();
        for (name, length) in &wanted.gates {
            let OpenGates { container, epoch, watchdog_ms, .. } = *wanted;
            match gates.page.keep(&Gate { name, container, epoch, length: *length, watchdog_ms }) {
                Ok(slot) => slots.push(slot),
                Err(not) => {
                    let words = match not {
                        NotKept::Full => {
                            "this node has as many gates as can be kept; take containers down first"
                        }
                        NotKept::Name => "the name of a gate is longer than any",
                    };
                    return Reply::Refused(Refusal::Refused, words.into());
                }
            }
        }
        // Before anything passes: a machine that stands still from now on is to know it when it goes on.
        self.pulse.tell_holds(true);
        slots.iter().for_each(|slot| slot.order(wanted.term));
        gates.page.ring();
        let ends = now.ms + LIMIT_MS;
        while slots.iter().any(|slot| slot.standing() != Standing::Open) {
            let now = clock::boot_now();
            if !gates.reign().covers(wanted.term, now) {
                return Reply::Refused(
                    Refusal::NotQuorate,
                    "this node is not quorate any more; see: evms why".into(),
                );
            }
            if now.ms > ends {
                return Reply::Refused(Refusal::Refused, not_open(gates, &slots));
            }
            Timer::after(STEP).await;
        }
        Reply::Done("the gates are open".into())
    }

    fn member(&self) -> Member {
        let Settings { roster, node, .. } = self.settings();
        let cluster = roster.configuration.cluster;
        Member { id: *node, highest: roster.highest(), incarnation: self.mail.incarnation(), cluster }
    }

    /// For ever: sees to the keeper, and to gates that may open again.
    pub async fn tend_gates(&self) {
        let changes = self.watch();
        loop {
            for one in [&self.gates.keeper, &self.gates.reader, &self.gates.beats] {
                reap(one);
            }
            self.gates.page.sweep(keeper_process::lives);
            self.pulse.tell_holds(self.gates.page.kept().next().is_some());
            self.gates.page.set_member(&self.member());
            self.gates.see_to_keeper();
            self.gates.see_to_beats();
            self.gates.see_to_closed();
            self.see_to_absent();
            self.see_to_fencing();
            self.see_to_meant_up();
            let changed = async {
                let _ = changes.recv().await;
            };
            smol::future::or(changed, async {
                Timer::after(LOOK).await;
            })
            .await;
        }
    }
}

/// One that has ended is not there any more: who asks whether its process lives is told no.
fn reap(beside: &RefCell<Option<Beside>>) {
    let mut beside = beside.borrow_mut();
    if beside.as_mut().is_some_and(Beside::has_ended) {
        *beside = None;
    }
}

/// Starts this program once more, unless the one that was started so before lives; true when it was.
pub(super) fn start(beside: &RefCell<Option<Beside>>, word: &'static core::ffi::CStr) -> bool {
    let mut beside = beside.borrow_mut();
    if beside.as_mut().is_some_and(|one| !one.has_ended()) {
        return false;
    }
    match keeper_process::start(&[word]) {
        Ok(process) => *beside = Some(process),
        Err(why) => log::error!("evmsd {} cannot be started: {why}", word.to_string_lossy()),
    }
    true
}

fn not_open(gates: &Gates, slots: &[Slot]) -> String {
    if !gates.page.has_keeper(clock::boot_now()) {
        return "the keeper of gates does not run; see the log of evmsd".into();
    }
    let one = slots.iter().find(|slot| slot.standing() != Standing::Open).map(|slot| gates.line(*slot));
    let words = |line: GateLine| match line.why.as_str() {
        "" => format!("the gate {} is {} still", line.name, line.state),
        why => format!("the gate {} is {}: {why}", line.name, line.state),
    };
    one.map_or_else(String::new, words)
}
