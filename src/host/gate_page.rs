//! The page that evmsd, its keeper and the commands of this machine have in common, `/run/evms/gates`: which gates there are, by
//! which term of the lease each may be open, and how the keeper has them. Of this boot; it outlives both processes, so that
//! whoever is started anew goes on with what stands in the kernel (safety 1.7, 4.1).
//!
//! Words of eight bytes, in this machine's order:
//! ```text
//!  word  what
//!     0  magic                                   4  the bell: one more whenever the keeper shall look
//!   1-2  the boot                                5  keeper: when it looked last, in milliseconds of boot time
//!     3  evmsd: its process                      6  keeper: its watchdog's timeout in milliseconds, 0 without one
//!     7  evmsd: the timeout that it wants of one
//!     8  evmsd: how often it wished for one
//!        before there are gates
//!     9  keeper: the last such wish upon which
//!        it tried to arm one
//!    10  keeper: 1 while this one has it
//!    11  evmsd: this node's number, and in the   12-13  evmsd: its incarnation
//!        upper half the highest of any node      14-15  evmsd: its cluster
//!    16  who beats on disks: when it looked last, in milliseconds of boot time
//!  from 32 on, 32 words for each gate:
//!     0  in use: 0 no, 1 yes, 2 going            8  keeper: how it has it, see [`Standing`]
//!     1  may be open in this term; 0 is closed   9  keeper: since when, in milliseconds of boot time
//!     2  its life: one more whenever it is       10 keeper: what the kernel said when it refused
//!        filled in anew                          11 keeper: how often it was closed
//!   3-4  the container                           16-31 its device-mapper name, zeroes behind it
//!     5  epoch that it was opened under
//!     6  length in sectors
//!     7  the process that takes it away
//!    12  it is open only where a watchdog bites
//!        after so many milliseconds; 0 always
//!    13  evmsd: twice the generation of its
//!        container's model by which an
//!        administrator spoke of it last, and 1 more
//!        when he suspended it; 0 where none did
//! ```
//! Orders are written by evmsd, and taken back by whoever takes a gate away; the rest belongs to the keeper.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use nix::fcntl::posix_fallocate;

use crate::base::epoch::{Epoch, Generation};
use crate::base::id::{ClusterId, ContainerId, Incarnation, NodeId};
use crate::base::time::BootTime;
use crate::base::units::Sectors;
use crate::engine::guard::keeping::is_watched;
use crate::host::dm::wire::NAME_BYTES;
use crate::host::identity::BootId;
use crate::host::run_dir::RUN;
use crate::host::{clock, sys};

/// "EVMSGAT1".
const MAGIC: u64 = u64::from_le_bytes(*b"EVMSGAT1");
/// Gates of one machine at most: those of a few containers of many disks.
pub const GATES_MAX: usize = 256;
const HEAD_WORDS: usize = 32;
const SLOT_WORDS: usize = 32;
const WORDS: usize = HEAD_WORDS + GATES_MAX * SLOT_WORDS;
const PAGE_BYTES: i64 = (WORDS as i64 * 8 + 4095) / 4096 * 4096;

const BOOT_AT: usize = 1;
const DAEMON_AT: usize = 3;
const BELL_AT: usize = 4;
const LOOKED_AT: usize = 5;
const WATCHDOG_AT: usize = 6;
const WANTED_AT: usize = 7;
const ARM_AT: usize = 8;
const TRIED_AT: usize = 9;
const WATCHED_AT: usize = 10;
const NODES_AT: usize = 11;
const INCARNATION_AT: usize = 12;
const CLUSTER_AT: usize = 14;
const BEATS_AT: usize = 16;

const USE_AT: usize = 0;
const TERM_AT: usize = 1;
const LIFE_AT: usize = 2;
const CONTAINER_AT: usize = 3;
const EPOCH_AT: usize = 5;
const LENGTH_AT: usize = 6;
const GOING_BY_AT: usize = 7;
const STANDING_AT: usize = 8;
const SINCE_AT: usize = 9;
const ERRNO_AT: usize = 10;
const CLOSINGS_AT: usize = 11;
const PROMISED_AT: usize = 12;
const SUSPENDED_AT: usize = 13;
const NAME_AT: usize = 16;
const NAME_WORDS: usize = NAME_BYTES / 8;
const _: () = assert!(NAME_AT + NAME_WORDS == SLOT_WORDS);

const FREE: u64 = 0;
const IN_USE: u64 = 1;
const GOING: u64 = 2;

/// A keeper that has not looked for so long is none: it looks ten times in a second.
const KEEPER_MS_MAX: u64 = 1000;

/// Who beats on disks looks once in a second.
const BEATS_MS_MAX: u64 = 4000;

/// Which node of which cluster this machine is, for who speaks for it over disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: NodeId,
    /// The highest number of any node.
    pub highest: NodeId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Its cluster.
    pub cluster: ClusterId,
}

/// How the keeper has a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not looked at it.
    Unknown,
    /// Nothing goes through, and nothing is under way: the kernel said so.
    Closed,
    /// Nothing new goes through; what was under way is not back (safety 4.2).
    Draining,
    /// It is open, and armed.
    Open,
    /// There is no such device.
    Gone,
    /// The kernel refused; it is tried again.
    Refused,
}

impl Standing {
    const ALL: [Standing; 6] = [
        Standing::Unknown,
        Standing::Closed,
        Standing::Draining,
        Standing::Open,
        Standing::Gone,
        Standing::Refused,
    ];

    fn of(word: u64) -> Standing {
        usize::try_from(word).ok().and_then(|at| Standing::ALL.get(at)).copied().unwrap_or(Standing::Unknown)
    }

    /// Is it certain that no write goes through?
    pub fn is_shut(self) -> bool {
        matches!(self, Standing::Closed | Standing::Gone)
    }
}

/// A gate that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate<'a> {
    /// Its device-mapper name.
    pub name: &'a str,
    /// Its container.
    pub container: ContainerId,
    /// The epoch of the model that it was made by.
    pub epoch: Epoch,
    /// Its length.
    pub length: Sectors,
    /// Milliseconds after which a watchdog has to bite where it is open, as its container says; zero where it says none.
    pub watchdog_ms: u32,
}

/// Why a gate cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// There are [`GATES_MAX`] already.
    Full,
    /// Its name is longer than any.
    Name,
}

/// The page.
#[derive(Clone, Copy)]
pub struct GatePage(&'static [AtomicU64; WORDS]);

/// The place of one gate in it.
#[derive(Clone, Copy)]
pub struct Slot(&'static [AtomicU64]);

fn path() -> PathBuf {
    Path::new(RUN).join("gates")
}

fn boot_words(boot: BootId) -> [u64; 2] {
    let half = |at: usize| boot.0.iter().skip(at).take(8).fold(0, |word, byte| word << 8 | u64::from(*byte));
    [half(0), half(8)]
}

impl GatePage {
    /// Makes it, or takes over the one of this boot. Only for who holds the daemon's lock.
    pub fn make(boot: BootId) -> io::Result<GatePage> {
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path());
        let file = open?;
        // A page that there is no room for would end who writes it without a word.
        posix_fallocate(&file, 0, PAGE_BYTES)?;
        let page = GatePage(sys::shared_words(&file, 0, true)?);
        if !page.is_of(boot) {
            page.0.iter().for_each(|word| word.store(0, Ordering::Relaxed));
            for (at, half) in boot_words(boot).into_iter().enumerate() {
                page.set(BOOT_AT + at, half);
            }
            page.set(0, MAGIC);
        }
        Ok(page)
    }

    /// The one of this boot, if there is one.
    pub fn find(boot: BootId) -> io::Result<Option<GatePage>> {
        let file = match OpenOptions::new().read(true).write(true).open(path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let page = GatePage(sys::shared_words(&file, 0, true)?);
        Ok(page.is_of(boot).then_some(page))
    }

    fn is_of(self, boot: BootId) -> bool {
        let [high, low] = boot_words(boot);
        self.get(0) == MAGIC && self.get(BOOT_AT) == high && self.get(BOOT_AT + 1) == low
    }

    fn get(self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn set(self, at: usize, value: u64) {
        if let Some(word) = self.0.get(at) {
            word.store(value, Ordering::Release);
        }
    }

    /// All places, used or not.
    pub fn slots(self) -> impl Iterator<Item = Slot> {
        self.0.get(HEAD_WORDS..).unwrap_or_default().chunks_exact(SLOT_WORDS).map(Slot)
    }

    /// Gates that are kept.
    pub fn kept(self) -> impl Iterator<Item = Slot> {
        self.slots().filter(|slot| slot.is_used())
    }

    /// Gates that are kept, or being taken away.
    pub fn all(self) -> impl Iterator<Item = Slot> {
        self.slots().filter(|slot| !slot.is_free())
    }

    /// Those of one container.
    pub fn of_container(self, container: ContainerId) -> impl Iterator<Item = Slot> {
        self.kept().filter(move |slot| slot.container() == container)
    }

    /// Has the keeper look.
    pub fn ring(self) {
        if let Some(bell) = self.0.get(BELL_AT) {
            bell.fetch_add(1, Ordering::AcqRel);
            sys::wake_all_at(bell);
        }
    }

    /// What the bell stands at: taken before looking.
    pub fn bell(self) -> u64 {
        self.get(BELL_AT)
    }

    /// Waits until it was rung since it stood so, at most so long.
    pub fn wait(self, bell: u64, limit: Duration) {
        if let Some(word) = self.0.get(BELL_AT) {
            sys::wait_at(word, bell, limit);
        }
    }

    /// The keeper lives, and looks at all gates now.
    pub fn keeper_looks(self, now: BootTime) {
        self.set(LOOKED_AT, now.ms);
    }

    /// Is there a keeper?
    pub fn has_keeper(self, now: BootTime) -> bool {
        let looked = self.get(LOOKED_AT);
        looked != 0 && now.ms.saturating_sub(looked) <= KEEPER_MS_MAX
    }

    /// Tells of the keeper's watchdog.
    pub fn set_watchdog(self, timeout_ms: u64) {
        self.set(WATCHDOG_AT, timeout_ms);
    }

    /// The timeout of the keeper's watchdog in milliseconds; 0 without one.
    pub fn watchdog_ms(self) -> u64 {
        self.get(WATCHDOG_AT)
    }

    /// Has the keeper arm a watchdog, though there are no gates yet; which wish that is.
    pub fn wish_watchdog(self) -> u64 {
        let wish = self.watchdog_wished().wrapping_add(1);
        self.set(ARM_AT, wish);
        self.ring();
        wish
    }

    /// The last such wish; zero before the first.
    pub fn watchdog_wished(self) -> u64 {
        self.get(ARM_AT)
    }

    /// The last such wish upon which the keeper tried.
    pub fn watchdog_tried(self) -> u64 {
        self.get(TRIED_AT)
    }

    /// The keeper tried upon that wish.
    pub fn tell_watchdog_tried(self, wish: u64) {
        self.set(TRIED_AT, wish);
    }

    /// Is a gate that was promised to be watched so?
    pub fn keeps_promise(self, slot: Slot) -> bool {
        is_watched(slot.get(PROMISED_AT), self.watched_ms())
    }

    /// This keeper has the watchdog, or not any more.
    pub fn set_watched(self, is: bool) {
        self.set(WATCHED_AT, is.into());
    }

    /// The timeout in milliseconds of the watchdog that the keeper which lives has; 0 where it has none, though one before it had.
    pub fn watched_ms(self) -> u64 {
        if self.get(WATCHED_AT) == 1 { self.watchdog_ms() } else { 0 }
    }

    /// evmsd says which process it is, and which timeout of a watchdog the nodes count on.
    pub fn set_daemon(self, process: u32, watchdog_ms: u64) {
        self.set(DAEMON_AT, process.into());
        self.set(WANTED_AT, watchdog_ms);
    }

    /// evmsd says which node this is.
    pub fn set_member(self, member: &Member) {
        let Member { id, highest, incarnation, cluster } = *member;
        self.set(NODES_AT, u64::from(highest.0) << 32 | u64::from(id.0));
        self.set_bytes(INCARNATION_AT, incarnation.0);
        self.set_bytes(CLUSTER_AT, cluster.0);
    }

    /// Which node this is; what is read while that changes is nobody.
    pub fn member(self) -> Option<Member> {
        let nodes = self.get(NODES_AT);
        let (id, highest) = (nodes as u16, (nodes >> 32) as u16);
        let incarnation = Incarnation(self.bytes(INCARNATION_AT));
        let cluster = ClusterId(self.bytes(CLUSTER_AT));
        (id != 0).then_some(Member { id: NodeId(id), highest: NodeId(highest), incarnation, cluster })
    }

    fn set_bytes(self, at: usize, bytes: [u8; 16]) {
        for (place, half) in bytes.as_chunks::<8>().0.iter().enumerate() {
            self.set(at + place, u64::from_le_bytes(*half));
        }
    }

    fn bytes(self, at: usize) -> [u8; 16] {
        (u128::from(self.get(at + 1)) << 64 | u128::from(self.get(at))).to_le_bytes()
    }

    /// Who beats on disks lives, and looks now.
    pub fn beats_look(self, now: BootTime) {
        self.set(BEATS_AT, now.ms);
    }

    /// Does anybody?
    pub fn has_beats(self, now: BootTime) -> bool {
        let looked = self.get(BEATS_AT);
        looked != 0 && now.ms.saturating_sub(looked) <= BEATS_MS_MAX
    }

    /// The process of the last evmsd of this boot.
    pub fn daemon(self) -> u32 {
        u32::try_from(self.get(DAEMON_AT)).unwrap_or(0)
    }

    /// The timeout of a watchdog that the nodes count on, in milliseconds; 0 where they count on none.
    pub fn watchdog_wanted_ms(self) -> u64 {
        self.get(WANTED_AT)
    }

    /// A place for this gate: its own, if it is kept already. Nothing may be open in it before it is ordered.
    pub fn keep(self, gate: &Gate<'_>) -> Result<Slot, NotKept> {
        if gate.name.len() >= NAME_BYTES {
            return Err(NotKept::Name);
        }
        let its_own = self.slots().find(|slot| !slot.is_free() && slot.has_name(gate.name));
        if let Some(slot) = its_own.filter(|slot| slot.is_used() && slot.container() == gate.container) {
            slot.set(EPOCH_AT, gate.epoch.0);
            slot.set(PROMISED_AT, gate.watchdog_ms.into());
            return Ok(slot);
        }
        // Whoever was taking it away was killed: the place is filled in anew, for one gate has one place.
        let slot = its_own.or_else(|| self.slots().find(|slot| slot.is_free())).ok_or(NotKept::Full)?;
        slot.fill(gate);
        Ok(slot)
    }

    /// Takes orders back, and waits until the keeper has closed these gates, if there is a keeper, at most so long. For whoever takes
    /// them away, or lets their I/O fail: nobody opens them beside him, until he says what became of them.
    pub fn close(self, names: &[String], limit: Duration) -> Closing {
        let named = |slot: &Slot| names.iter().any(|name| slot.has_name(name));
        let slots =
            self.slots().filter(|slot| !slot.is_free() && named(slot)).map(|slot| (slot, slot.life()));
        let slots = slots.collect::<Vec<_>>();
        for (slot, _) in &slots {
            slot.order(0);
            slot.set(GOING_BY_AT, std::process::id().into());
            slot.set(USE_AT, GOING);
        }
        // The keeper says that a gate is not closed before it looks whether it may still open it; so one of both sees the other.
        fence(Ordering::SeqCst);
        self.ring();
        let ends = clock::boot_now().ms.saturating_add(limit.as_millis() as u64);
        while slots.iter().any(|(slot, _)| !slot.is_settled()) {
            let now = clock::boot_now();
            if now.ms > ends || !self.has_keeper(now) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Closing { page: self, slots }
    }

    /// Gates that are being taken away by somebody who is dead: they are kept again, and closed until their disks were read. Those
    /// that are gone are not kept any more.
    pub fn sweep(self, lives: impl Fn(u32) -> bool) {
        for slot in self.slots() {
            let is = slot.get(USE_AT);
            let by = u32::try_from(slot.get(GOING_BY_AT)).unwrap_or(0);
            if is == FREE || is == GOING && lives(by) {
                continue;
            }
            match (slot.standing(), is) {
                (Standing::Gone, _) => slot.turns(is, FREE),
                (_, GOING) => slot.is_kept_again(),
                // Closed for good, perhaps: the keeper is to look whether it is still there.
                (Standing::Closed, _) if slot.term() == 0 => {
                    slot.set(LIFE_AT, slot.life().wrapping_add(1));
                }
                _ => (),
            }
        }
    }

    /// Is nothing here through which a write could pass? Asked before this node leaves.
    pub fn is_shut(self) -> bool {
        self.slots().all(Slot::is_settled)
    }
}

/// Gates that somebody is taking away.
pub struct Closing {
    page: GatePage,
    slots: Vec<(Slot, u64)>,
}

impl Closing {
    /// They are gone, or nothing of what passes them reaches a disk: their places are free. But for those that `stay` and would let
    /// something through: what is closed is kept again, and opens when its disks were read; what is not is counted till the keeper
    /// has closed it. And but for what was filled in anew meanwhile.
    pub fn forget(self, stay: impl Fn(&str) -> bool) {
        for (slot, life) in self.slots {
            match slot.is_going() && slot.life() == life {
                true if !stay(&slot.name()) => slot.turns(GOING, FREE),
                true if slot.is_settled() => slot.is_kept_again(),
                _ => (),
            }
        }
        self.page.ring();
    }
}

impl Slot {
    fn get(self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn set(self, at: usize, value: u64) {
        if let Some(word) = self.0.get(at) {
            word.store(value, Ordering::Release);
        }
    }

    fn fill(self, gate: &Gate<'_>) {
        self.order(0);
        let halves =
            gate.container.0.chunks_exact(8).map(|half| half.iter().fold(0, |w, b| w << 8 | u64::from(*b)));
        for (at, half) in halves.enumerate() {
            self.set(CONTAINER_AT + at, half);
        }
        self.set(EPOCH_AT, gate.epoch.0);
        self.set(LENGTH_AT, gate.length.0);
        self.set(PROMISED_AT, gate.watchdog_ms.into());
        self.set(SUSPENDED_AT, 0);
        self.set(STANDING_AT, 0);
        self.set(ERRNO_AT, 0);
        self.set(CLOSINGS_AT, 0);
        let mut name = [0; NAME_BYTES];
        name.iter_mut().zip(gate.name.bytes()).for_each(|(to, from)| *to = from);
        for (at, part) in name.chunks_exact(8).enumerate() {
            self.set(NAME_AT + at, part.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        }
        self.set(LIFE_AT, self.life().wrapping_add(1));
        self.set(USE_AT, IN_USE);
    }

    /// An administrator suspended its container by this generation, or let it go on by it: what a newer one said before counts more,
    /// whichever of both comes late. Not by epochs: the opening of a command that lets it go on has the same one as its change, and
    /// still says that it is suspended.
    pub fn heed(self, is_suspended: bool, by: Generation) {
        if let Some(word) = self.0.get(SUSPENDED_AT) {
            word.fetch_max(by.0 << 1 | u64::from(is_suspended), Ordering::AcqRel);
        }
    }

    /// Did an administrator suspend it?
    pub fn is_suspended(self) -> bool {
        self.get(SUSPENDED_AT) & 1 == 1
    }

    /// It is used so from now on, if it was so until now.
    fn turns(self, from: u64, to: u64) {
        if let Some(word) = self.0.get(USE_AT) {
            let _ = word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// Whoever was taking it away has not. Another life, so that the keeper looks whether it is there at all.
    fn is_kept_again(self) {
        self.set(LIFE_AT, self.life().wrapping_add(1));
        self.turns(GOING, IN_USE);
    }

    /// Is a gate kept here, that is not being taken away?
    pub fn is_used(self) -> bool {
        self.get(USE_AT) == IN_USE
    }

    /// Is somebody taking it away?
    pub fn is_going(self) -> bool {
        self.get(USE_AT) == GOING
    }

    /// Is nothing here to be kept?
    pub fn is_free(self) -> bool {
        self.get(USE_AT) == FREE
    }

    /// Which filling of this place it is.
    pub fn life(self) -> u64 {
        self.get(LIFE_AT)
    }

    /// The term of the lease in which it may be open; 0 in none.
    pub fn term(self) -> u64 {
        self.get(TERM_AT)
    }

    /// It may be open in this term; 0 is never.
    pub fn order(self, term: u64) {
        self.set(TERM_AT, term);
    }

    /// Its container.
    pub fn container(self) -> ContainerId {
        let mut id = [0; 16];
        let bytes = [CONTAINER_AT, CONTAINER_AT + 1].into_iter().flat_map(|at| self.get(at).to_be_bytes());
        id.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        ContainerId(id)
    }

    /// The epoch that it was opened under last.
    pub fn epoch(self) -> Epoch {
        Epoch(self.get(EPOCH_AT))
    }

    /// This node's container has another epoch now.
    pub fn set_epoch(self, epoch: Epoch) {
        self.set(EPOCH_AT, epoch.0);
    }

    /// Its length.
    pub fn length(self) -> Sectors {
        Sectors(self.get(LENGTH_AT))
    }

    /// Its name, with zeroes behind it. No memory is asked for (safety 4.1).
    pub fn name_bytes(self) -> [u8; NAME_BYTES] {
        let mut name = [0; NAME_BYTES];
        let bytes = (0..NAME_WORDS).flat_map(|at| self.get(NAME_AT + at).to_le_bytes());
        name.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        name
    }

    /// Its name.
    pub fn name(self) -> String {
        String::from_utf8_lossy(text(&self.name_bytes())).into_owned()
    }

    fn has_name(self, name: &str) -> bool {
        text(&self.name_bytes()) == name.as_bytes()
    }

    /// The keeper tells how it has it now.
    pub fn tell(self, standing: Standing, now: BootTime) {
        if self.standing() != standing {
            self.set(SINCE_AT, now.ms);
            if standing == Standing::Closed {
                self.set(CLOSINGS_AT, self.closings().wrapping_add(1));
            }
        }
        self.set(STANDING_AT, Standing::ALL.iter().position(|one| *one == standing).unwrap_or(0) as u64);
    }

    /// The same, where the kernel refused.
    pub fn tell_refused(self, errno: i32, now: BootTime) {
        self.set(ERRNO_AT, u64::try_from(errno).unwrap_or(0));
        self.tell(Standing::Refused, now);
    }

    /// How the keeper has it.
    pub fn standing(self) -> Standing {
        Standing::of(self.get(STANDING_AT))
    }

    /// Since when.
    pub fn since(self) -> BootTime {
        BootTime { ms: self.get(SINCE_AT) }
    }

    /// What the kernel said when it refused.
    pub fn errno(self) -> i32 {
        i32::try_from(self.get(ERRNO_AT)).unwrap_or(0)
    }

    /// How often it was closed.
    pub fn closings(self) -> u64 {
        self.get(CLOSINGS_AT)
    }

    fn is_settled(self) -> bool {
        self.is_free() || self.standing().is_shut()
    }
}

/// The bytes before the first zero.
pub fn text(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
