//! A network between guests: a switch in the test's own process. Each guest's card is a socket of its machine (`wire`). Two
//! threads a card: one takes what the guest sends, the other hands it what is due and sleeps until then. What happens to
//! frames is decided in [`fabric`](crate::fabric).
//!
//! A guest that stands still takes no frames: they wait for it, the first [`WAITING_MAX`](crate::fabric::WAITING_MAX).

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::events::Events;
use crate::fabric::{Counts, Fabric, Mac, Rule};
use crate::kind::Kind;
use crate::limits::Limit;
use crate::stream::listen_at;
use crate::trouble::Trouble;
use crate::wire::{self, Inbox, Out, Wire};

/// Linux takes no longer name for a card, and the network's is the card's.
const NAME_BYTES_MAX: usize = 15;

#[derive(Debug)]
struct Shared {
    begin: Instant,
    fabric: Mutex<Fabric>,
    changed: Condvar,
}

/// A network.
#[derive(Clone, Debug)]
pub struct Network {
    shared: Arc<Shared>,
    folder: PathBuf,
    events: Events,
    name: String,
    number: u8,
    seed: u64,
}

/// A guest's card as its machine and `guest/init` are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) socket: PathBuf,
    pub(crate) mac: String,
    /// For the kernel's command line.
    pub(crate) word: String,
}

impl Network {
    pub(crate) fn new(folder: &Path, events: &Events, name: &str, number: u8, seed: u64) -> Self {
        assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX, "a network's name is the card's");
        events.say(name, &format!("network with seed {seed}"));
        Self {
            shared: Arc::new(Shared {
                begin: Instant::now(),
                fabric: Mutex::new(Fabric::new(seed)),
                changed: Condvar::new(),
            }),
            folder: folder.into(),
            events: events.clone(),
            name: name.into(),
            number,
            seed,
        }
    }

    /// Its name: what the card is called in a guest too.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of which all its chance comes.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The address of the guest with this number in it.
    pub fn address(&self, guest: u8) -> String {
        format!("10.{}.0.{guest}", self.number)
    }

    /// The address of that guest's card.
    pub fn mac(&self, guest: u8) -> String {
        self.card_address(guest).map(|byte| format!("{byte:02x}")).join(":")
    }

    fn card_address(&self, guest: u8) -> Mac {
        [0x52, 0x54, 0, 0, self.number, guest]
    }

    /// Lays a rule over what goes from one guest to another, in this direction. Chance begins anew.
    pub fn lay(&self, from: &str, to: &str, rule: Rule) {
        self.change(&format!("{from} to {to}: {rule:?}"), |fabric| fabric.lay(from, to, rule));
    }

    /// Nothing passes between the two.
    pub fn cut(&self, one: &str, other: &str) {
        self.change(&format!("cut between {one} and {other}"), |fabric| {
            for (from, to) in [(one, other), (other, one)] {
                let rule = Rule { is_cut: true, ..fabric.rule(from, to) };
                fabric.lay(from, to, rule);
            }
        });
    }

    /// What `from` sends is not heard by `to`; the other direction stays as it is.
    pub fn cut_one_way(&self, from: &str, to: &str) {
        self.change(&format!("cut from {from} to {to}"), |fabric| {
            let rule = Rule { is_cut: true, ..fabric.rule(from, to) };
            fabric.lay(from, to, rule);
        });
    }

    /// Only guests of one group hear each other; one of no group hears nobody.
    pub fn partition(&self, groups: &[&[&str]]) {
        self.change(&format!("partition {groups:?}"), |fabric| fabric.partition(groups));
    }

    /// All rules go.
    pub fn heal(&self) {
        self.change("heal", Fabric::heal);
    }

    fn change(&self, what: &str, change: impl FnOnce(&mut Fabric)) {
        let mut fabric = self.shared.lock();
        change(&mut fabric);
        self.events.say(&self.name, what);
        self.shared.changed.notify_all();
    }

    /// What became of the frames of one direction so far.
    pub fn counts(&self, from: &str, to: &str) -> Counts {
        self.shared.lock().counts(from, to)
    }

    /// Waits until the counts of one direction are as wanted.
    pub fn wait_for(
        &self,
        from: &str,
        to: &str,
        limit: Limit,
        wanted: impl Fn(&Counts) -> bool,
    ) -> Result<Counts, Trouble> {
        let fabric = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(fabric, limit.here(), |fabric| !wanted(&fabric.counts(from, to)));
        let counts = waited.unwrap_or_else(PoisonError::into_inner).0.counts(from, to);
        if wanted(&counts) {
            return Ok(counts);
        }
        let awaited = format!("frames from {from} to {to} in {}", self.name);
        Err(Trouble::Late { awaited, limit, heard: format!("{counts:?}") })
    }

    /// The card of a guest; the same one at each boot.
    pub(crate) fn card(&self, guest: &str, number: u8, kind: Kind) -> Result<Card, Trouble> {
        let socket = self.folder.join(format!("{}-{guest}.sock", self.name));
        let mac = self.mac(number);
        let word = format!("{}@{mac}@{}/24", self.name, self.address(number));
        let mut fabric = self.shared.lock();
        if !fabric.has(guest) {
            fabric.add(guest, self.card_address(number));
            let listener = listen_at(&socket)?;
            let (shared, guest) = (Arc::clone(&self.shared), guest.to_string());
            match kind {
                Kind::Emulated => {
                    thread::spawn(move || shared.serve(&guest, &listener, wire::to_emulator));
                }
                Kind::UserMode => {
                    let inbox = Inbox::at(&socket.with_extension("frames"))?;
                    let (taker, from, frames) = (Arc::clone(&shared), guest.clone(), inbox.clone());
                    thread::spawn(move || frames.take_in(|frame| taker.handle_frame(&from, frame)));
                    thread::spawn(move || shared.serve(&guest, &listener, |line| inbox.to_kernel(line)));
                }
            }
        }
        Ok(Card { socket, mac, word })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Fabric> {
        self.fabric.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.begin.elapsed()
    }

    /// One connection after another: each is one time that the guest is on.
    fn serve(
        self: &Arc<Self>,
        guest: &str,
        listener: &UnixListener,
        wire: impl Fn(UnixStream) -> io::Result<Wire>,
    ) {
        for line in listener.incoming().flatten() {
            let Ok(Wire { out, take_in }) = wire(line) else { continue };
            let boot = self.lock().handle_on(guest);
            let (shared, name) = (Arc::clone(self), guest.to_string());
            thread::spawn(move || shared.hand_out(&name, boot, out));
            // However it ends, the guest is off then.
            take_in(&|frame| self.handle_frame(guest, frame));
            self.lock().handle_off(guest);
            self.changed.notify_all();
        }
    }

    fn handle_frame(&self, guest: &str, frame: &[u8]) {
        self.lock().handle_frame(self.now(), guest, frame);
        self.changed.notify_all();
    }

    fn hand_out(&self, guest: &str, boot: u64, mut out: Out) {
        let mut fabric = self.lock();
        while fabric.boot(guest) == Some(boot) {
            if let Some(frame) = fabric.poll_frame(self.now(), guest) {
                drop(fabric);
                self.changed.notify_all();
                if out(&frame).is_err() {
                    return;
                }
                fabric = self.lock();
                continue;
            }
            let due = fabric.next_due(guest);
            let woken = match due {
                Some(due) => {
                    let woken = self.changed.wait_timeout(fabric, due.saturating_sub(self.now()));
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(fabric).unwrap_or_else(PoisonError::into_inner),
            };
            fabric = woken;
        }
    }
}
