//! The keeper of gates (safety 4.1): a small process that evmsd starts and that outlives it. It sees in the page of the lease until
//! when this node may act, and closes every gate then, whoever is dead; a thread for each gate, started before it is needed, so
//! that a disk that hangs delays no other gate (T2). It opens them too, for only who closes can be sure that he does not open
//! behind it: evmsd says in which term of the lease a gate may be open, and a term never comes again. And it feeds the watchdog,
//! which is what follows on the keeper's own death (T1).

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread::{self, Thread};
use std::time::Duration;

use crate::base::failure::{Failure, Kind};
use crate::engine::guard::keeping::{Reign, Words};
use crate::host::gate_hand::{GateHand, Unmoved};
use crate::host::gate_page::{self, GatePage, Slot, Standing};
use crate::host::identity::{self, IdentityFiles};
use crate::host::keeper_process::{self, KeeperLock};
use crate::host::lease_page;
use crate::host::watchdog::Watchdog;
use crate::host::{clock, sys};

/// Above the detector: what it says is worth nothing when the gates stay open behind it.
const PRIORITY: i32 = 21;
/// Milliseconds between two looks at most: a lease that is taken back before its end is noticed within them.
const LOOK_MS: u64 = 100;
/// Bytes of stack of a gate's thread; all are locked in memory.
const STACK_BYTES: usize = 64 * 1024;
/// Looks between two at whether there is a watchdog.
const LOOKS_UNWATCHED: u32 = 10;
/// Looks without a gate and without an evmsd after which it ends.
const IDLE_LOOKS_MAX: u32 = 10;

/// Why there is no keeper.
#[derive(Debug)]
pub struct NoKeeper(String);

impl std::fmt::Display for NoKeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the keeper of gates did not start: {}; nothing was done; it is evmsd that starts it",
            self.0
        )
    }
}

impl Failure for NoKeeper {
    fn kind(&self) -> Kind {
        Kind::Refused
    }
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> NoKeeper {
    move |error| NoKeeper(format!("{what}: {error}"))
}

/// Keeps the gates until there are none and no evmsd. Ends at once where another keeper lives.
pub fn run() -> Result<(), NoKeeper> {
    let Some(lock) = KeeperLock::take().map_err(failed("taking its lock"))? else { return Ok(()) };
    let boot = identity::boot_id(&IdentityFiles::default()).map_err(|error| NoKeeper(error.to_string()))?;
    let page = GatePage::find(boot).map_err(failed("/run/evms/gates"))?;
    let words = lease_page::words(boot).map_err(failed("/run/evms/lease"))?;
    let (Some(page), Some(words)) = (page, words) else {
        return Err(NoKeeper("evmsd of this boot left no pages in /run/evms".into()));
    };
    for trouble in keeper_process::become_keeper(PRIORITY) {
        log::warn!("keeper: {trouble}");
    }
    // What the one before armed this one has not.
    page.set_watched(false);
    let mut keeper = Keeper { page, words, posts: Vec::new(), watchdog: None, unwatched: 0, idle: 0 };
    loop {
        // Taken before the look: who rings during it is heard after it.
        let bell = page.bell();
        if !keeper.look() {
            break;
        }
        keeper.wait(bell);
    }
    if let Some(watchdog) = keeper.watchdog {
        page.set_watched(false);
        watchdog.disarm();
        page.set_watchdog(0);
    }
    drop(lock);
    Ok(())
}

/// What is to become of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Open,
    Closed,
    /// It is nobody's concern any more.
    Nothing,
}

impl Wish {
    fn of(slot: Slot, page: GatePage, words: &Words) -> Wish {
        if slot.is_free() {
            return Wish::Nothing;
        }
        // Others count on the watchdog that the container's disks tell of (safety 4.6).
        let covered = slot.is_used()
            && !slot.is_suspended()
            && Reign::of(words).covers(slot.term(), clock::boot_now())
            && page.keeps_promise(slot);
        if covered { Wish::Open } else { Wish::Closed }
    }

    /// In one word, with the life of the place that it is about; never zero.
    fn code(self, slot: Slot) -> u64 {
        slot.life() << 2 | (self as u64 + 1)
    }
}

/// One thread at one place of the page.
struct Post {
    thread: Thread,
    /// The wish that is fulfilled; zero when the kernel refused.
    settled: Arc<AtomicU64>,
}

struct Keeper {
    page: GatePage,
    words: &'static Words,
    posts: Vec<Option<Post>>,
    watchdog: Option<Watchdog>,
    /// Looks until a watchdog is looked for again.
    unwatched: u32,
    idle: u32,
}

impl Keeper {
    /// Sends every thread whose gate is not as it should be; false when there is nothing left to keep.
    fn look(&mut self) -> bool {
        self.page.keeper_looks(clock::boot_now());
        let mut any = false;
        // Armed before the first gate opens (safety 4.5).
        self.arm_watchdog();
        for (place, slot) in self.page.slots().enumerate() {
            if slot.is_free() && self.posts.get(place).is_none_or(Option::is_none) {
                continue;
            }
            any |= !slot.is_free();
            let (page, words) = (self.page, self.words);
            if let Some(post) = self.post(place, slot)
                && post.settled.load(Ordering::Acquire) != Wish::of(slot, page, words).code(slot)
            {
                post.thread.unpark();
            }
        }
        if self.may_feed()
            && let Some(watchdog) = &mut self.watchdog
            && !watchdog.feed()
        {
            // Others count on it: what was promised to be watched closes, and opens when one is there again (safety 4.6).
            log::error!(
                "keeper: the watchdog is gone: nothing bites any more when this machine hangs; bring /dev/watchdog back"
            );
            self.watchdog = None;
            self.page.set_watched(false);
        }
        let bound = self.watchdog.as_ref().is_some_and(|watchdog| watchdog.for_ever);
        let needed = any || bound || keeper_process::lives(self.page.daemon());
        self.idle = if needed { 0 } else { self.idle + 1 };
        self.idle < IDLE_LOOKS_MAX
    }

    /// As of now, and not of when this look began: it may have stood in between.
    fn may_feed(&self) -> bool {
        let all_shut = self.page.slots().all(|slot| slot.is_free() || slot.standing().is_shut());
        Reign::of(self.words).feeds(all_shut, clock::boot_now())
    }

    /// Until the lease ends, somebody rings, or it is time to look.
    fn wait(&self, bell: u64) {
        let now = clock::boot_now();
        let left = Reign::of(self.words).end.ms.saturating_sub(now.ms);
        let ms = if left == 0 { LOOK_MS } else { left.min(LOOK_MS) };
        self.page.wait(bell, Duration::from_millis(ms));
    }

    /// Where there are gates, or evmsd asked for it; and one that a keeper before this one armed wants to be fed. To open it is to feed
    /// it, and so it is left alone until that may be: while the lease lasts, or when the gates are closed.
    fn arm_watchdog(&mut self) {
        // Read before anything is decided: a wish that comes meanwhile is answered at the next look.
        let wish = self.page.watchdog_wished();
        if self.page.all().next().is_none() && self.page.watchdog_ms() == 0 && wish == 0 {
            return;
        }
        if self.watchdog.is_none() && self.page.watchdog_ms() != 0 && !self.may_feed() {
            return self.page.tell_watchdog_tried(wish);
        }
        // Who went before armed one, and containers tell of it: it never bites later than that.
        let armed_ms = self.page.watchdog_ms();
        let wanted_ms = if armed_ms == 0 { self.page.watchdog_wanted_ms() } else { armed_ms };
        let waits = self.page.watchdog_tried() != wish;
        if self.watchdog.is_some() || wanted_ms == 0 {
            return self.page.tell_watchdog_tried(wish);
        }
        if self.unwatched > 0 && !waits {
            self.unwatched -= 1;
            return;
        }
        let first = armed_ms == 0;
        self.unwatched = LOOKS_UNWATCHED;
        match Watchdog::arm(wanted_ms) {
            Ok(watchdog) => {
                self.page.set_watchdog(watchdog.timeout_ms);
                self.page.set_watched(true);
                self.watchdog = Some(watchdog);
            }
            Err(error) => {
                // One that a keeper before this one armed goes on without food.
                if first {
                    log::debug!("keeper: no watchdog: {error}");
                }
            }
        }
        self.page.tell_watchdog_tried(wish);
    }

    /// The thread of this place, started when it is first used.
    fn post(&mut self, place: usize, slot: Slot) -> Option<&Post> {
        while self.posts.len() <= place {
            self.posts.push(None);
        }
        let post = self.posts.get_mut(place)?;
        if post.is_none() {
            *post = begin(slot, self.page, self.words);
        }
        post.as_ref()
    }
}

fn begin(slot: Slot, page: GatePage, words: &'static Words) -> Option<Post> {
    let hand = match GateHand::new() {
        Ok(hand) => hand,
        Err(unmoved) => {
            tell(slot, Err(unmoved));
            return None;
        }
    };
    let settled = Arc::new(AtomicU64::new(0));
    let shared = Arc::clone(&settled);
    let work = move || {
        let _ = sys::run_first(PRIORITY);
        Guard { slot, page, words, hand, settled: shared }.stand();
    };
    let thread = thread::Builder::new().name("gate".into()).stack_size(STACK_BYTES).spawn(work);
    match thread {
        Ok(thread) => Some(Post { thread: thread.thread().clone(), settled }),
        Err(error) => {
            log::error!("keeper: no thread for a gate: {error}");
            slot.tell_refused(error.raw_os_error().unwrap_or(0), clock::boot_now());
            None
        }
    }
}

fn tell(slot: Slot, done: Result<Standing, Unmoved>) {
    let now = clock::boot_now();
    match done {
        // Taken away: nothing gets through what is not there.
        Err(Unmoved::Gone) => slot.tell(Standing::Gone, now),
        Ok(standing) => slot.tell(standing, now),
        Err(Unmoved::Refused(errno)) => slot.tell_refused(errno, now),
    }
}

/// Who stands at one gate.
struct Guard {
    slot: Slot,
    page: GatePage,
    words: &'static Words,
    hand: GateHand,
    settled: Arc<AtomicU64>,
}

impl Guard {
    /// For ever: does what is wished now, and looks again whether it still is.
    fn stand(mut self) {
        loop {
            let wish = Wish::of(self.slot, self.page, self.words);
            let code = wish.code(self.slot);
            if self.settled.load(Ordering::Acquire) == code {
                thread::park();
                continue;
            }
            let name = self.slot.name_bytes();
            let name = core::str::from_utf8(gate_page::text(&name)).unwrap_or_default();
            let done = match wish {
                Wish::Nothing => Ok(Standing::Unknown),
                Wish::Closed => self.close(name),
                Wish::Open => self.open(name),
            };
            tell(self.slot, done);
            let refused = matches!(done, Err(Unmoved::Refused(_)));
            // Who was to open, and found that he may no more, has not done what was wished: the next round closes it, or opens it
            // for good.
            let withdrawn = wish == Wish::Open && done == Ok(Standing::Closed);
            self.settled.store(if refused || withdrawn { 0 } else { code }, Ordering::Release);
            if refused {
                // Tried again at the next look.
                thread::park();
            }
        }
    }

    fn close(&mut self, name: &str) -> Result<Standing, Unmoved> {
        // One whose I/O fails lets nothing through, and whoever had it fail is not to find it waiting again (safety 4.7).
        if self.hand.look(name)?.suspended || self.hand.fails(name)? {
            return Ok(Standing::Closed);
        }
        self.slot.tell(Standing::Draining, clock::boot_now());
        self.hand.close(name)?;
        Ok(Standing::Closed)
    }

    /// What waits in front of it goes on, and behind it the error table is put into its place again (T3).
    fn open(&mut self, name: &str) -> Result<Standing, Unmoved> {
        let seen = self.hand.look(name)?;
        if !seen.live || seen.suspended {
            // From here on it is not shut, for whoever feeds the watchdog and whoever takes it away.
            self.slot.tell(Standing::Unknown, clock::boot_now());
            if seen.live {
                self.hand.disarm(name)?;
            }
            // All of that takes its time: it is looked once more whether it may.
            fence(Ordering::SeqCst);
            if Wish::of(self.slot, self.page, self.words) != Wish::Open {
                self.hand.arm(name, self.slot.length())?;
                return self.close(name);
            }
            self.hand.resume(name)?;
        }
        let armed = if seen.live && !seen.suspended && seen.armed {
            Ok(())
        } else {
            self.hand.arm(name, self.slot.length())
        };
        if let Err(unmoved) = armed {
            // Open and unarmed it would be let go on by anybody's resume.
            self.close(name)?;
            return Err(unmoved);
        }
        Ok(Standing::Open)
    }
}
