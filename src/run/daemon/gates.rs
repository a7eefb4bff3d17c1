//! The gates of this node, as evmsd sees to them: it has them kept, says in which term of the lease they may be open, and after a
//! time without quorum has the disks of every container read before that is said again (safety 4.3, 7). That is done by another
//! process (`run::regain`): a disk that hangs holds no daemon.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use smol::Timer;

use crate::base::epoch::{Epoch, Order};
use crate::base::id::ContainerId;
use crate::base::time::BootTime;
use crate::engine::guard::keeping::{Reign, Words};
use crate::format::control::{BeatLine, GateLine, GatesLine, OpenGates, Reason, Refusal, Reply};
use crate::host::beat_note::{self, BeatNote};
use crate::host::clock;
use crate::host::footing;
use crate::host::gate_hand;
use crate::host::gate_page::{Gate, GatePage, Member, NotKept, Slot, Standing};
use crate::host::identity::BootId;
use crate::host::keeper_process::{self, Beside};
use crate::host::sysfs::Roots;
use crate::run::daemon::engine::Engine;
use crate::run::daemon::settings::Settings;
use crate::volume::stack;

/// How long a keeper may take to begin, and a gate to open.
const LIMIT_MS: u64 = 3000;
/// How often is looked whether it did.
const STEP: Duration = Duration::from_millis(2);
/// How often is looked whether there is anything to do, though nothing changed.
const LOOK: Duration = Duration::from_millis(500);
/// Milliseconds before disks that told nothing are read again: twice as long each time, between these.
const AGAIN_MS: (u64, u64) = (500, 60_000);
/// Milliseconds between two looks at what an administrator said of containers that have gates here: as a rule, and for so long since
/// somebody asked whether he may suspend one. He tells what became of it, unless he was killed.
const HEED_MS: u64 = 60_000;
const HEED_ASKED_MS: u64 = 5_000;
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
    /// Who reads what an administrator said, apart: it may hang with a disk when gates are to open. And when the next one may begin.
    looker: RefCell<Option<Beside>>,
    look_next: Cell<BootTime>,
    asked_until: Cell<BootTime>,
    /// Who this daemon started to beat on disks, and when another one may be at the earliest.
    beats: RefCell<Option<Beside>>,
    beats_next: Cell<BootTime>,
    /// Containers that an administrator suspended in the life of this daemon, and by which epoch.
    suspended: RefCell<BTreeMap<ContainerId, Epoch>>,
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
        let (looker, look_next, asked_until, suspended) = Default::default();
        let (beats, beats_next) = Default::default();
        Ok(Gates {
            page,
            words,
            keeper,
            reader,
            read,
            looker,
            look_next,
            asked_until,
            beats,
            beats_next,
            suspended,
        })
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

    /// Has what an administrator said read now and then: whoever said it may have been killed before he told it, or could not reach this
    /// node.
    fn see_to_suspended(&self) {
        let now = clock::boot_now();
        let needed = self.page.kept().next().is_some() && now >= self.look_next.get();
        if needed && start(&self.looker, keeper_process::LOOK) {
            let pause_ms = if now < self.asked_until.get() { HEED_ASKED_MS } else { HEED_MS };
            self.look_next.set(now.plus_ms(pause_ms));
        }
    }

    /// Somebody asked whether he may suspend a container.
    fn look_soon(&self) {
        let now = clock::boot_now();
        self.asked_until.set(now.plus_ms(HEED_MS));
        self.look_next.set(self.look_next.get().min(now.plus_ms(HEED_ASKED_MS)));
    }

    fn line(&self, slot: Slot) -> GateLine {
        let now = clock::boot_now();
        let reign = self.reign();
        let reasons = self.reasons(slot, reign, now);
        let words = reasons.iter().map(|reason| in_words(*reason, slot)).collect::<Vec<_>>();
        GateLine {
            name: slot.name(),
            container: slot.container(),
            epoch: slot.epoch(),
            state: word_of(slot.standing()).into(),
            since_ms: now.ms.saturating_sub(slot.since().ms),
            closed: slot.closings(),
            reasons,
            why: words.join("; and "),
        }
    }

    /// All that keeps a gate closed, as a set: each stands until what it speaks of is over (safety 4.4).
    fn reasons(&self, slot: Slot, reign: Reign, now: BootTime) -> Vec<Reason> {
        let is_open = matches!(slot.standing(), Standing::Open | Standing::Gone);
        let quorate = reign.lasts(now);
        let all = [
            (slot.standing() == Standing::Refused, Reason::Kernel),
            (slot.is_going(), Reason::Leaving),
            (slot.is_suspended(), Reason::Administrator),
            (!quorate, Reason::Quorum),
            (!self.page.keeps_promise(slot), Reason::Watchdog),
            // Who is being taken away has no order any more.
            (quorate && !slot.is_going() && slot.term() != reign.term, Reason::Epoch),
        ];
        let stands = all.into_iter().filter(|(stands, _)| *stands && !is_open);
        stands.map(|(_, reason)| reason).collect()
    }

    /// All of them, for people.
    fn lines(&self, view: String) -> GatesLine {
        let now = clock::boot_now();
        GatesLine {
            quorate: self.reign().lasts(now),
            view,
            keeper: self.page.has_keeper(now),
            watchdog_ms: self.page.watched_ms(),
            watchdog_lost: self.page.watchdog_ms() != 0 && self.page.watched_ms() == 0,
            gates: self.page.all().map(|slot| self.line(slot)).collect(),
            beats: beat_note::read().into_iter().map(|note| beat_line(note, now)).collect(),
        }
    }
}

fn in_words(reason: Reason, slot: Slot) -> String {
    let container = slot.container();
    match reason {
        Reason::Kernel => gate_hand::words_of(slot.errno()).into(),
        Reason::Leaving => "it is being taken away".into(),
        Reason::Administrator => {
            format!(
                "an administrator suspended its container; let it go on with: evms-fence resume {container}"
            )
        }
        Reason::Quorum => "this node is not quorate".into(),
        Reason::Watchdog => {
            "its container says that a watchdog watches this machine, and none does; bring /dev/watchdog back"
                .into()
        }
        Reason::Epoch => format!(
            "its container's disks are read since this node is quorate again; if it stays so, the log of evmsd says of which that \
             did not go; bring them back, or give up what waits with: evms deactivate --fail {container}"
        ),
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
    /// The gates, for people.
    pub fn gate_lines(&self) -> GatesLine {
        self.gates.lines(self.view_of_lease())
    }

    /// Closes the gates of a container that an administrator suspends, and says when that is done; without a commit whether it may be:
    /// what this machine itself stands on is not taken from under it (safety 4.7).
    pub async fn suspend_gates(&self, container: ContainerId, by: Option<Order>) -> Reply {
        let Some(Order { epoch, generation }) = by else {
            self.gates.look_soon();
            return match footing::stands_on(&Roots::default(), &stack::volume_uuids(container)) {
                Some(what) => {
                    Reply::Refused(Refusal::Refused, format!("{} has {what} on it", self.my_name()))
                }
                None => Reply::Done("it may be".into()),
            };
        };
        let page = self.gates.page;
        self.gates
            .suspended
            .borrow_mut()
            .entry(container)
            .and_modify(|is| *is = epoch.max(*is))
            .or_insert(epoch);
        page.of_container(container).for_each(|slot| slot.heed(true, generation));
        fence(Ordering::SeqCst);
        page.ring();
        let ends = clock::boot_now().ms + LIMIT_MS;
        while let Some(slot) = page.of_container(container).find(|slot| !slot.standing().is_shut()) {
            if clock::boot_now().ms > ends {
                let words = format!(
                    "on {} the gate {} is {}: {}",
                    self.my_name(),
                    slot.name(),
                    word_of(slot.standing()),
                    match slot.standing() {
                        Standing::Draining =>
                            "what was under way to its disk is not back; nothing new goes through",
                        _ =>
                            "I/O may go through it still; see there: evms-fence status, and the log of evmsd",
                    }
                );
                return Reply::Refused(Refusal::Refused, words);
            }
            Timer::after(STEP).await;
        }
        Reply::Done("its gates are closed".into())
    }

    /// Lets them go on, as far as nothing else keeps them closed.
    pub fn resume_gates(&self, container: ContainerId, Order { epoch, generation }: Order) -> Reply {
        // What was suspended again by a newer epoch stays so.
        self.gates.suspended.borrow_mut().retain(|one, is| *one != container || *is >= epoch);
        self.gates.page.of_container(container).for_each(|slot| slot.heed(false, generation));
        self.gates.page.ring();
        if let Some(slot) = self.gates.page.of_container(container).find(|slot| slot.is_suspended()) {
            let words = format!(
                "on {} the gate {} was suspended by a change that is newer than generation {}",
                self.my_name(),
                slot.name(),
                generation.0
            );
            return Reply::Refused(Refusal::Newer, words);
        }
        // What was to be up here and waited for this.
        self.raise_again();
        Reply::Done("its gates open, as far as nothing else keeps them closed".into())
    }

    /// Why a container's gates may not be opened by who read this epoch of it: it was suspended in that or behind it.
    fn refuse_suspended(&self, container: ContainerId, read: Epoch) -> Option<Reply> {
        let suspended = self.gates.suspended.borrow().get(&container).is_some_and(|epoch| read <= *epoch);
        suspended.then(|| {
            let why =
                "an administrator suspended the container meanwhile; let it go on with: evms-fence resume";
            Reply::Refused(Refusal::Refused, format!("{why} {container}"))
        })
    }

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
        if let Some(refused) = self.refuse_suspended(wanted.container, wanted.epoch) {
            return refused;
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
            let Gates { keeper, reader, looker, beats, .. } = &self.gates;
            for one in [keeper, reader, looker, beats] {
                reap(one);
            }
            self.gates.page.sweep(keeper_process::lives);
            self.pulse.tell_holds(self.gates.page.kept().next().is_some());
            self.gates.page.set_member(&self.member());
            self.gates.see_to_keeper();
            self.gates.see_to_beats();
            self.gates.see_to_closed();
            self.gates.see_to_suspended();
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
