//! The detector's thread: it beats, listens and agrees. Real-time, in locked memory, with sockets and keys of its own, it
//! waits for its sockets and for nothing else: no disk, no log, and no allocator's lock, for it has memory of its own
//! (safety 1.4).

use core::net::SocketAddr;
use std::os::fd::AsFd;
use std::thread::JoinHandle;

use crate::base::dice::Dice;
use crate::base::id::{Incarnation, NodeId};
use crate::base::time::BootTime;
use crate::cluster::arbiter::Answer;
use crate::cluster::channel::{Channel, Myself};
use crate::cluster::chronicle::Chronicle;
use crate::cluster::detector::{Detector, Outgoing};
use crate::cluster::keys::Purpose;
use crate::cluster::membership::{Change, Kept, Membership};
use crate::cluster::mistake::Rules;
use crate::cluster::node_set::NodeSet;
use crate::cluster::status;
use crate::engine::guard::keeping::{Leased, Reign};
use crate::format::frame::DATAGRAM_BYTES_MAX;
use crate::host::gate_page::GatePage;
use crate::host::lease_page::LeasePage;
use crate::host::run_dir::RunDir;
use crate::host::sys::pool::{MEMORY, POOL_BYTES};
use crate::host::udp::{self, Udp};
use crate::host::{clock, sys, wait};
use crate::run::daemon::DaemonError;
use crate::run::daemon::arbitration::Arbitration;
use crate::run::daemon::pulse::{OfHeart, Order, Word};
use crate::run::daemon::settings::Settings;

/// Real-time priority: above all that is not, below what the kernel and watchdogs need.
pub(super) const PRIORITY: i32 = 20;
/// Datagrams that are read from one link before it is looked at the clock again: a flood must not stop the beat (F11).
const ROUND_MAX: usize = 128;
/// Beats that may be missed before it is said that this thread was not scheduled.
const LATE_BEATS: u64 = 3;
/// Bytes of its stack, all of them locked in memory: many times what it needs, and a quarter of what threads get else.
const STACK_BYTES: usize = 512 * 1024;
/// Milliseconds between two words about what was dropped at least, and before the same is said again.
const DROPPED_MS: u64 = 10_000;
const DROPPED_AGAIN_MS: u64 = 3_600_000;
/// Milliseconds that the engine's stamp may be old.
const STAMP_MS_MAX: u64 = 1000;

/// What the detector is made of.
pub struct Life {
    /// What was read.
    pub settings: Settings,
    /// What is kept for the next one.
    pub room: RunDir,
    /// Where the lease is told.
    pub page: LeasePage,
    /// Where the keeper hears a bell.
    pub gates: GatePage,
    /// What the one before left.
    pub left: Option<Vec<u8>>,
    /// Random numbers of its own.
    pub dice: Dice,
    /// Its end of what is between it and the engine.
    pub pulse: Option<OfHeart>,
}

/// The detector with hands.
pub struct Heart {
    settings: Settings,
    room: RunDir,
    page: LeasePage,
    gates: GatePage,
    dice: Dice,
    pulse: OfHeart,
    detector: Detector,
    arbitration: Arbitration,
    sockets: Vec<Udp>,
    chronicle: Chronicle,
    began: BootTime,
    /// When it last ran.
    ran: BootTime,
    /// Of whom the engine knows that they are heard.
    heard: NodeSet,
    engine_stood: bool,
    is_pool_told: bool,
    /// What was said last of what was dropped, and when.
    dropped: (String, BootTime),
    /// The view by which the lease in the page is, or was.
    leased: Leased,
    /// The term of the lease that was told last; zero when there is none.
    told_term: u64,
}

/// A running detector.
pub struct Beating {
    thread: JoinHandle<()>,
}

impl Beating {
    /// Until its thread has ended.
    pub fn wait(self) {
        // It cannot panic without ending the process.
        let _ = self.thread.join();
    }
}

impl Heart {
    /// Binds its sockets; nothing is sent yet.
    pub fn new(life: Life) -> Result<Heart, DaemonError> {
        let Life { settings, room, page, gates, left, mut dice, pulse } = life;
        let pulse = pulse.ok_or(DaemonError::Differs("the detector was begun twice".into()))?;
        let now = clock::boot_now();
        let links = settings.roster.members.get(&settings.node).map(|member| member.links.clone());
        let links = links.unwrap_or_default();
        for link in links.iter().filter(|link| !udp::is_here(**link)) {
            log::warn!("no interface of this machine has {link} yet: that link waits for it");
        }
        let sockets = links.into_iter().map(|link| Udp::bind(link, settings.roster.port));
        let sockets = sockets.collect::<Result<Vec<_>, _>>().map_err(DaemonError::Socket)?;
        let membership = membership(&settings, left, &mut dice, now);
        let detector = detector(&settings, membership, &mut dice, now)?;
        let arbitration = Arbitration::begin(&settings.roster)?;
        let (chronicle, began) = (Chronicle::default(), now);
        Ok(Heart {
            settings,
            room,
            page,
            gates,
            dice,
            pulse,
            detector,
            arbitration,
            sockets,
            chronicle,
            began,
            ran: now,
            heard: NodeSet::EMPTY,
            engine_stood: false,
            is_pool_told: false,
            dropped: (String::new(), BootTime::default()),
            leased: Leased::default(),
            told_term: 0,
        })
    }

    /// Who this daemon is in its own eyes: for the engine's channel, which has keys of its own.
    pub fn myself(&self) -> Myself {
        let membership = self.detector.membership();
        Myself {
            node: self.settings.node,
            machine: self.settings.machine,
            incarnation: membership.incarnation(),
            session: membership.session(),
        }
    }

    /// Begins to beat, in a thread of its own.
    pub fn begin(self) -> Result<Beating, DaemonError> {
        let thread = std::thread::Builder::new().name("detector".into()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || self.live());
        Ok(Beating { thread: thread.map_err(DaemonError::Loop)? })
    }

    fn live(mut self) {
        let pool = MEMORY.pool();
        if pool.is_none() {
            let words =
                "no memory of its own for the detector: a busy processor may cost this node its quorum";
            self.pulse.say(Word::Warning(words.into()));
        }
        if let Err(errno) = sys::run_first(PRIORITY) {
            let words = "no real-time priority: a busy processor may cost this node its quorum";
            self.pulse.say(Word::Warning(format!("{words} ({})", errno.desc())));
        }
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        self.tell_what_goes_on();
        while !self.pulse.is_stopped() {
            let now = clock::boot_now();
            self.notice_gaps(now);
            self.obey(now);
            self.detector.tick(now);
            self.tell_lease(now);
            self.speak(now);
            self.ask_disks(now);
            self.tell_changes(now);
            self.tell_dropped(now);
            let wait_ms = self.wait_ms();
            let waited = self
                .sockets
                .iter()
                .map(AsFd::as_fd)
                .chain([self.pulse.bell().as_fd(), self.arbitration.bell().as_fd()]);
            wait::for_any(&waited.collect::<Vec<_>>(), wait_ms);
            self.listen(&mut buffer);
            self.hear_disks();
        }
    }

    /// Whoever writes in this machine knows that the lease is over before anybody else is told that it is not needed any more.
    fn tell_lease(&mut self, now: BootTime) {
        // Not the time of before the round: who saw the lease end hardly sees it go on.
        let now = now.max(clock::boot_now());
        let words = self.page.words();
        let before = Reign::of(words);
        let membership = self.detector.membership();
        self.leased.tell(words, membership.quorate(now), membership.proven(), now);
        // The keeper waits for the end of a lease by itself, but not for one that is taken back before.
        if before.lasts(now) && !Reign::of(words).covers(before.term, now) {
            self.gates.ring();
        }
    }

    /// A daemon that goes on where the one before was has a view that it need not agree on.
    fn tell_what_goes_on(&mut self) {
        let now = clock::boot_now();
        let membership = self.detector.membership();
        let Some(view) = membership.view().cloned() else { return };
        let quorate = membership.quorate(now).map(|(number, _)| number);
        self.leased = Leased::by(view.number);
        self.chronicle.note((now, clock::wall_now()), &view, membership, &self.settings.roster);
        self.pulse.say(Word::Changed(Change::Installed(view)));
        if let Some(number) = quorate {
            self.pulse.say(Word::Changed(Change::Quorate(number)));
        }
    }

    /// A beat at most, though nothing is due: so long nobody is judged otherwise.
    fn wait_ms(&mut self) -> u64 {
        let beat_ms = self.settings.roster.configuration.timing.beat_ms;
        let due = self.detector.deadline().ms.saturating_sub(clock::boot_now().ms);
        // Who stands still with the engine has nothing due that it may do.
        if self.engine_stood { beat_ms } else { due.clamp(1, beat_ms) }
    }

    fn notice_gaps(&mut self, now: BootTime) {
        // Told before anything is believed or said by a clock that stood.
        if self.pulse.stood_ms().is_some() {
            self.detector.membership_mut().stood_still(now);
        }
        let gap = now.ms.saturating_sub(self.ran.ms);
        let beat_ms = self.settings.roster.configuration.timing.beat_ms;
        if gap > beat_ms * LATE_BEATS {
            self.pulse.say(Word::NotScheduled(gap));
        }
        self.ran = now;
        let stamp = self.pulse.stamp();
        self.detector.membership_mut().stamp(stamp);
        self.detector.membership_mut().hold_containers(self.pulse.holds());
        let heard = self.detector.membership().heard();
        if heard != self.heard {
            self.heard = heard;
            self.pulse.say(Word::Heard(heard));
        }
        let stood = now.ms.saturating_sub(stamp.ms);
        let stands = stood > STAMP_MS_MAX;
        if stands && !self.engine_stood {
            self.pulse.say(Word::EngineStood(stood));
        }
        self.engine_stood = stands;
        if MEMORY.missed() > 0 && !self.is_pool_told {
            self.is_pool_told = true;
            self.pulse.say(Word::Warning(format!(
                "the detector's own memory of {POOL_BYTES} bytes does not suffice: a busy processor may cost this node its quorum; please \
                 report it"
            )));
        }
    }

    fn obey(&mut self, now: BootTime) {
        while let Some(order) = self.pulse.order() {
            match order {
                Order::Status => {
                    let known = (&self.detector, &self.settings.roster, &self.chronicle);
                    let mut status = status::status(now, self.settings.node, self.began, known);
                    let disks = self.detector.membership().arbiter().disks(now);
                    status.arbitration = self.arbitration.lines(now, &disks);
                    self.pulse.say(Word::Status(Box::new(status)));
                }
                Order::Leave => self.detector.membership_mut().leave(),
                Order::HoldTies => {
                    self.settings.undecided = true;
                    let (settled, _) = self.detector.membership().ties();
                    self.detector.membership_mut().allow_ties(settled, true);
                    self.pulse.say(Word::TiesHeld);
                }
            }
        }
    }

    /// What has to be remembered is kept before the beat that it goes with is sent (safety 1.3).
    fn speak(&mut self, now: BootTime) {
        // A living beat over an engine that stands would be immortal, quorate and deaf (safety 1.4).
        if !self.engine_stood {
            let keep = |membership: &Membership| remember(&mut self.room, &self.settings, membership);
            self.detector.beat(now, keep);
        }
        while let Some(outgoing) = self.detector.outgoing(now) {
            match outgoing {
                Outgoing::ToAll(datagram) => {
                    let nodes = self.settings.roster.members.keys();
                    nodes.for_each(|node| self.send(*node, &datagram));
                }
                Outgoing::ToOne(node, datagram) => self.send(node, &datagram),
            }
        }
    }

    /// What is written to a disk binds this node: what it has to remember is kept before (safety 1.5).
    fn ask_disks(&mut self, now: BootTime) {
        while let Some(command) = self.detector.membership_mut().command() {
            self.arbitration.take(command);
        }
        let membership = self.detector.membership();
        if self.arbitration.is_waited_for() && remember(&mut self.room, &self.settings, membership) {
            self.arbitration.hand_on(now);
        }
    }

    fn hear_disks(&mut self) {
        let (membership, arbitration) = (self.detector.membership_mut(), &mut self.arbitration);
        let answer = |disk, id, answer: Answer<'_>| membership.answer(clock::boot_now(), disk, id, answer);
        for words in arbitration.listen(answer) {
            self.pulse.say(Word::Warning(words));
        }
    }

    fn send(&self, node: NodeId, datagram: &[u8]) {
        let Some(member) = self.settings.roster.members.get(&node).filter(|_| node != self.settings.node)
        else {
            return;
        };
        for (socket, link) in self.sockets.iter().zip(&member.links) {
            socket.send(SocketAddr::new(*link, self.settings.roster.port), datagram);
        }
    }

    fn listen(&mut self, buffer: &mut [u8]) {
        for link in 0..self.sockets.len() {
            for _ in 0..ROUND_MAX {
                let Some((bytes, _)) = self.sockets.get(link).and_then(|socket| socket.receive(buffer))
                else {
                    break;
                };
                let datagram = buffer.get(..bytes).unwrap_or_default();
                // What is dropped is counted there, and told to who asks.
                let _ = self.detector.hear(clock::boot_now(), link, datagram);
            }
        }
    }

    fn tell_changes(&mut self, now: BootTime) {
        let mut replaced = false;
        while let Some(change) = self.detector.membership_mut().change() {
            if let Change::Installed(view) = &change {
                let times = (now, clock::wall_now());
                self.chronicle.note(times, view, self.detector.membership(), &self.settings.roster);
            }
            replaced |= matches!(change, Change::Replaced(_));
            self.pulse.say(Word::Changed(change));
        }
        if replaced {
            self.begin_anew(now);
        }
        self.tell_term(now);
    }

    /// Behind the view: who hears of the term has heard of the members.
    fn tell_term(&mut self, now: BootTime) {
        let leased = self.detector.membership().quorate(now).map(|(number, _)| number);
        let term = if leased.is_some_and(|number| self.leased.is_by(number)) { self.page.term() } else { 0 };
        if let Some(number) = leased.filter(|_| term != 0 && term != self.told_term) {
            self.pulse.say(Word::Leased(number, term));
        }
        self.told_term = term;
    }

    /// What of the network somebody should know of who does not look at the status: seldom, however much of it comes.
    fn tell_dropped(&mut self, now: BootTime) {
        let (told, at) = &self.dropped;
        let since_ms = now.ms.saturating_sub(at.ms);
        if !told.is_empty() && since_ms < DROPPED_MS {
            return;
        }
        let Some((dropped, when)) = &self.detector.channel().counts().last else { return };
        if when.ms <= at.ms {
            return;
        }
        let words = status::in_words(dropped, &self.settings.roster);
        if *told != words || since_ms >= DROPPED_AGAIN_MS {
            self.pulse.say(Word::Warning(words.clone()));
            self.dropped = (words, now);
        }
    }

    /// A copy of this machine took its place: what follows is another incarnation (F25).
    fn begin_anew(&mut self, now: BootTime) {
        let membership = membership(&self.settings, None, &mut self.dice, now);
        if let Ok(detector) = detector(&self.settings, membership, &mut self.dice, now) {
            self.detector = detector;
            self.arbitration.begin_anew();
            self.pulse.say(Word::Reborn(Box::new(self.myself())));
        }
    }
}

/// Keeps for the next daemon of this boot what it must know.
fn remember(room: &mut RunDir, settings: &Settings, membership: &Membership) -> bool {
    let (cluster, node) = (settings.roster.configuration.cluster, settings.node);
    room.keep(&Kept { cluster, node, memory: membership.memory() }.encode())
}

/// The same incarnation as the daemon before, if that left its memory; else a new one, which is silent at first.
fn membership(settings: &Settings, left: Option<Vec<u8>>, dice: &mut Dice, now: BootTime) -> Membership {
    let configuration = settings.roster.configuration.clone();
    let node = settings.node;
    let kept = left.and_then(|bytes| Kept::decode(&bytes));
    let kept = kept.filter(|kept| kept.cluster == configuration.cluster && kept.node == node);
    let mut membership = match kept {
        Some(kept) => Membership::resume(configuration, node, kept.memory, Rules::ALL, now),
        None => Membership::start(configuration, node, Incarnation::random(dice), Rules::ALL, now),
    };
    membership.allow_ties(settings.in_force, settings.undecided);
    membership
}

fn detector(
    settings: &Settings,
    membership: Membership,
    dice: &mut Dice,
    now: BootTime,
) -> Result<Detector, DaemonError> {
    let me = Myself {
        node: settings.node,
        machine: settings.machine,
        incarnation: membership.incarnation(),
        session: membership.session(),
    };
    let mut seed = [0; 32];
    seed.iter_mut().zip(dice.bytes16().into_iter().chain(dice.bytes16())).for_each(|(to, from)| *to = from);
    let dice = Dice::from_seed(seed);
    let channel = Channel::new(me, settings.common(), &settings.keys, Purpose::Beats, dice, now);
    let channel = channel.ok_or(DaemonError::Differs("there is no key".into()))?;
    Ok(Detector::new(channel, membership))
}
