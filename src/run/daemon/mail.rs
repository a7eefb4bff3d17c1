//! Messages with hands: the sockets of messages, one for each link, and who waits for which answer. It hands on what other
//! nodes ask, and brings back what they answer.

use core::net::SocketAddr;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::{Async, Timer};

use crate::base::dice::Dice;
use crate::base::gather::Gather;
use crate::base::id::NodeId;
use crate::base::time::BootMicros;
use crate::cluster::channel::{Channel, Myself};
use crate::cluster::keys::Purpose;
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::View;
use crate::engine::manager::{ClusterManager, Letter as LetterId, Told};
use crate::engine::post::{Datagram, Post};
use crate::format::control::{LinkLine, Refusal, Reply, Request};
use crate::format::frame::DATAGRAM_BYTES_MAX;
use crate::format::letter::Letter;
use crate::host::udp::Udp;
use crate::host::{clock, entropy};
use crate::run::daemon::DaemonError;
use crate::run::daemon::settings::Settings;

/// How long another node's answer is waited for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Datagrams that are read, or sent, in one go before others have a turn.
const ROUND_MAX: usize = 256;
/// Questions of other nodes that wait for an answer.
const ASKED_MAX: usize = 64;
/// Pings under way at one time, by all who ping.
const PINGS_MAX: usize = 4096;

/// A question of another node: who asks, under which number, and what.
pub struct Asked {
    /// Who asks.
    pub from: NodeId,
    number: u64,
    /// What.
    pub request: Request,
}

struct Waits {
    to: NodeId,
    answer: Sender<Reply>,
}

struct Ping {
    back: Sender<()>,
}

/// A timer that is set anew only when it would ring too late: each setting costs four calls of the system, and what is due is
/// put off with nearly every datagram. It may ring for nothing, so.
struct Alarm {
    timer: Timer,
    at: BootMicros,
}

impl Alarm {
    fn new() -> Alarm {
        Alarm { timer: Timer::never(), at: BootMicros::FOREVER }
    }

    fn set(&mut self, at: BootMicros) {
        if at < self.at {
            self.timer.set_after(Duration::from_micros(at.us.saturating_sub(clock::boot_micros().us)));
            self.at = at;
        }
    }

    async fn rings(&mut self) {
        (&mut self.timer).await;
        self.at = BootMicros::FOREVER;
    }
}

struct State {
    post: Post,
    number: u64,
    waiting: BTreeMap<u64, Waits>,
    /// Which letters carry which question: when they fail, so does it.
    carrying: BTreeMap<LetterId, u64>,
    pings: BTreeMap<u64, Ping>,
}

/// Pings that wait; whatever ends the waiting, they are forgotten.
struct Pings<'a> {
    mail: &'a Mail,
    numbers: VecDeque<u64>,
}

impl Drop for Pings<'_> {
    fn drop(&mut self) {
        let mut state = self.mail.state.borrow_mut();
        self.numbers.iter().for_each(|number| drop(state.pings.remove(number)));
    }
}

/// Nothing without a key.
fn post(settings: &Settings, me: Myself, dice: Dice) -> Option<Post> {
    let roster = &settings.roster;
    let links = roster.members.get(&settings.node).map_or(0, |member| member.links.len());
    let (common, now) = (settings.common(), clock::boot_now());
    let channel = Channel::new(me, common, &settings.keys, Purpose::Letters, dice, now)?;
    let names = roster.members.iter().map(|(node, member)| (*node, member.name.clone())).gather();
    Some(Post::new(settings.node, names, links, channel))
}

/// All messages of a daemon.
pub struct Mail {
    settings: Settings,
    sockets: Vec<Async<Udp>>,
    state: RefCell<State>,
    asked: (Sender<Asked>, Receiver<Asked>),
    /// Rung when something is to be sent.
    bell: (Sender<()>, Receiver<()>),
}

impl Mail {
    /// Binds its sockets; nothing is sent yet.
    pub fn new(settings: &Settings, me: Myself, dice: Dice) -> Result<Mail, DaemonError> {
        let roster = &settings.roster;
        let port = roster.port + 1;
        let links = roster.members.get(&settings.node).map(|member| member.links.clone()).unwrap_or_default();
        let open = |link| {
            let socket = Udp::bind(link, port).map_err(DaemonError::Socket)?;
            Async::new(socket).map_err(DaemonError::Loop)
        };
        let sockets = links.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let post = post(settings, me, dice).ok_or(DaemonError::Differs("there is no key".into()))?;
        Ok(Mail {
            settings: settings.clone(),
            sockets,
            state: RefCell::new(State {
                post,
                number: 0,
                waiting: BTreeMap::new(),
                carrying: BTreeMap::new(),
                pings: BTreeMap::new(),
            }),
            asked: bounded(ASKED_MAX),
            bell: bounded(1),
        })
    }

    /// This node began anew: what was under way is over, and it speaks as another from now on.
    pub fn become_anew(&self, me: Myself) {
        let dice = entropy::dice().ok();
        let Some(post) = dice.and_then(|dice| post(&self.settings, me, dice)) else { return };
        let mut state = self.state.borrow_mut();
        state.post = post;
        state.carrying.clear();
        state.pings.clear();
        // Who waits hears that nobody answers.
        state.waiting.clear();
        drop(state);
        self.ring();
    }

    fn ring(&self) {
        let _ = self.bell.0.try_send(());
    }

    /// The view that counts from now on.
    pub fn view(&self, view: Option<&View>, quorate: bool) {
        self.state.borrow_mut().post.view(clock::boot_micros(), view, quorate);
        self.ring();
    }

    /// The next question of another node.
    pub async fn asked(&self) -> Option<Asked> {
        self.asked.1.recv().await.ok()
    }

    /// Answers it. Who is gone does not hear it.
    pub fn answer(&self, asked: &Asked, reply: Reply) {
        let letter = Letter::Answer(asked.number, Box::new(reply)).encode();
        let _ = self.state.borrow_mut().post.send(asked.from, letter);
        self.ring();
    }

    /// Who goes by a newer configuration.
    pub fn newer(&self) -> NodeSet {
        self.state.borrow().post.newer()
    }

    /// Tells another node something, and waits for nothing.
    pub fn tell(&self, to: NodeId, request: Request) {
        let mut state = self.state.borrow_mut();
        state.number += 1;
        let letter = Letter::Ask(state.number, request).encode();
        // Who is gone hears it from others.
        let _ = state.post.send(to, letter);
        drop(state);
        self.ring();
    }

    /// Asks another node, and waits for its answer.
    pub async fn ask(&self, to: NodeId, request: Request) -> Reply {
        let name = self.settings.roster.name_of(to);
        let (answer, waits) = bounded(1);
        let number = {
            let mut state = self.state.borrow_mut();
            state.number += 1;
            let number = state.number;
            match state.post.send(to, Letter::Ask(number, request).encode()) {
                Ok(letter) => {
                    state.waiting.insert(number, Waits { to, answer });
                    state.carrying.insert(letter, number);
                }
                Err(refused) => return Reply::Refused(Refusal::NotReachable, format!("{name}: {refused}")),
            }
            number
        };
        self.ring();
        let late = async {
            Timer::after(ANSWER_PATIENCE).await;
            let words = format!("{name} did not answer in {} s", ANSWER_PATIENCE.as_secs());
            Ok(Reply::Refused(Refusal::NotReachable, words))
        };
        let reply = smol::future::or(waits.recv(), late).await;
        self.state.borrow_mut().waiting.remove(&number);
        reply.unwrap_or_else(|_| Reply::Refused(Refusal::NotReachable, format!("{name} did not answer")))
    }

    /// Sends a message of so many bytes to a node and back, so many times, so many of them at one time: how many nanoseconds
    /// each took, and all of them.
    pub async fn ping(
        &self,
        to: NodeId,
        bytes: usize,
        count: u64,
        at_once: u64,
    ) -> Result<(Vec<u64>, u64), String> {
        let payload = vec![0x5a; bytes];
        let (back, came) = unbounded();
        let mut pings = Pings { mail: self, numbers: VecDeque::new() };
        let (mut sent, mut took) = (0, Vec::new());
        let begin = Instant::now();
        let mut began = VecDeque::new();
        // One timer, which follows now and then: a new one for each answer costs more than the answer.
        let (mut late, mut renewed) = (Timer::after(ANSWER_PATIENCE), begin);
        while (took.len() as u64) < count {
            while sent < count && sent - (took.len() as u64) < at_once {
                pings.numbers.push_back(self.send_ping(to, &payload, &back)?);
                began.push_back(Instant::now());
                sent += 1;
            }
            self.ring();
            let is_late = async {
                (&mut late).await;
                Err(smol::channel::RecvError)
            };
            smol::future::or(came.recv(), is_late)
                .await
                .map_err(|_| format!("{} did not answer", self.settings.roster.name_of(to)))?;
            let now = Instant::now();
            // They come back in the order in which they were sent.
            pings.numbers.pop_front();
            took.extend(began.pop_front().map(|began| (now - began).as_nanos() as u64));
            if now - renewed > ANSWER_PATIENCE / 2 {
                late.set_after(ANSWER_PATIENCE);
                renewed = now;
            }
        }
        Ok((took, begin.elapsed().as_nanos() as u64))
    }

    fn send_ping(&self, to: NodeId, payload: &[u8], back: &Sender<()>) -> Result<u64, String> {
        let mut state = self.state.borrow_mut();
        if state.pings.len() >= PINGS_MAX {
            return Err("too many pings are under way".into());
        }
        state.number += 1;
        let number = state.number;
        let letter = Letter::Ping(number, payload.to_vec()).encode();
        state.post.send(to, letter).map_err(|refused| refused.to_string())?;
        state.pings.insert(number, Ping { back: back.clone() });
        Ok(number)
    }

    /// What is known of the paths to a node.
    pub fn add_links(&self, node: NodeId, lines: &mut [LinkLine]) {
        let links = self.state.borrow().post.links(clock::boot_micros(), node);
        for (line, link) in lines.iter_mut().zip(links) {
            line.round_trip_us = link.round_trip_us;
            line.in_use = link.in_use;
            let frame = crate::format::frame::DATAGRAM_BYTES - crate::format::frame::PAYLOAD_BYTES;
            line.datagram_bytes = u32::try_from(link.payload_bytes + frame).unwrap_or(0);
        }
    }

    /// Carries messages, for ever.
    pub async fn carry(&self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        let mut alarm = Alarm::new();
        loop {
            self.listen(&mut buffer);
            if self.read_letters() {
                // Who was waiting for them may have something to say: it leaves with what is sent anyway.
                smol::future::yield_now().await;
            }
            while !self.spoke_all() || !self.came(&mut alarm).await {
                smol::future::yield_now().await;
            }
        }
    }

    /// Until something is to be read (then it is so) or to be sent.
    async fn came(&self, alarm: &mut Alarm) -> bool {
        alarm.set(self.state.borrow().post.deadline());
        let readable = async {
            self.readable().await;
            true
        };
        let rung = async {
            let _ = self.bell.1.recv().await;
            false
        };
        let due = async {
            alarm.rings().await;
            false
        };
        smol::future::or(smol::future::or(rung, readable), due).await
    }

    async fn readable(&self) {
        let nothing = || std::future::pending::<()>();
        let one = |link: usize| async move {
            match self.sockets.get(link) {
                Some(socket) => drop(socket.readable().await.is_ok()),
                None => nothing().await,
            }
        };
        let (first, second) = (smol::future::or(one(0), one(1)), smol::future::or(one(2), one(3)));
        smol::future::or(first, second).await;
    }

    fn listen(&self, buffer: &mut [u8]) {
        let mut state = self.state.borrow_mut();
        for (link, socket) in self.sockets.iter().enumerate() {
            for _ in 0..ROUND_MAX {
                let Some((bytes, _)) = socket.get_ref().receive(buffer) else { break };
                let datagram = buffer.get(..bytes).unwrap_or_default();
                // What is dropped is counted there.
                let _ = state.post.hear(clock::boot_micros(), link, datagram);
            }
        }
    }

    /// Sends what is to be sent; was that all?
    fn spoke_all(&self) -> bool {
        let mut state = self.state.borrow_mut();
        for _ in 0..ROUND_MAX {
            let Some(datagram) = state.post.outgoing(clock::boot_micros()) else { return true };
            self.send(&datagram);
        }
        false
    }

    fn send(&self, datagram: &Datagram) {
        let roster = &self.settings.roster;
        let Some(member) = roster.members.get(&datagram.node) else { return };
        for (link, (socket, address)) in self.sockets.iter().zip(&member.links).enumerate() {
            if datagram.link.is_none_or(|only| only == link) {
                // What is too long for the path is lost: the transport finds that out by itself.
                socket.get_ref().send(SocketAddr::new(*address, roster.port + 1), &datagram.bytes);
            }
        }
    }

    /// Reads what came; was there anything?
    fn read_letters(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let mut any = false;
        while let Some(told) = state.post.told() {
            any = true;
            match told {
                Told::Message(from, message) => self.read(&mut state, from, &message),
                Told::Delivered(letter) => drop(state.carrying.remove(&letter)),
                Told::Failed(letter, why) => {
                    let waits =
                        state.carrying.remove(&letter).and_then(|number| state.waiting.remove(&number));
                    if let Some(waits) = waits {
                        let _ = waits.answer.try_send(Reply::Refused(Refusal::NotReachable, why));
                    }
                }
                Told::Membership { .. } => (),
            }
        }
        any
    }

    fn read(&self, state: &mut State, from: NodeId, message: &[u8]) {
        match Letter::decode(message) {
            Some(Letter::Ask(_, request))
                if state.post.is_guest(from) && !matches!(request, Request::Configuration) => {}
            Some(Letter::Ask(number, request)) => {
                if self.asked.0.try_send(Asked { from, number, request }).is_err() {
                    let words = "this node has too many questions to answer already";
                    let busy = Reply::Refused(Refusal::Refused, words.into());
                    let _ = state.post.send(from, Letter::Answer(number, Box::new(busy)).encode());
                }
            }
            Some(Letter::Answer(number, reply)) => {
                // Only who was asked answers.
                let meant = state.waiting.get(&number).is_some_and(|waits| waits.to == from);
                if let Some(waits) = state.waiting.remove(&number).filter(|_| meant) {
                    let _ = waits.answer.try_send(*reply);
                }
            }
            Some(Letter::Ping(number, payload)) => {
                let _ = state.post.send(from, Letter::Pong(number, payload).encode());
            }
            Some(Letter::Pong(number, _)) => {
                if let Some(ping) = state.pings.remove(&number) {
                    let _ = ping.back.try_send(());
                }
            }
            Some(Letter::Unknown) => log::warn!("{from} did not know what was said to it"),
            None => drop(state.post.send(from, Letter::Unknown.encode())),
        }
    }
}
