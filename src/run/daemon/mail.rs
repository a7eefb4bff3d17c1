//! Messages with hands: the sockets of messages, one for each link, and who waits for which answer. It hands on what other
//! nodes ask, and brings back what they answer.

use core::net::SocketAddr;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smol::Timer;
use smol::channel::{Receiver, Sender, bounded, unbounded};

use crate::base::dice::Dice;
use crate::base::gather::Gather;
use crate::base::id::{Incarnation, NodeId};
use crate::base::time::BootMicros;
use crate::cluster::channel::{Channel, Myself};
use crate::cluster::keys::Purpose;
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::View;
use crate::engine::manager::{ClusterManager as _, Members};
use crate::engine::post::{Datagram, Post};
use crate::engine::questions::{Asked, Came, NotPinged, Questions};
use crate::format::control::{LinkLine, Refusal, Reply, Request};
use crate::host::udp::{RUN_BYTES_MAX, RUN_DATAGRAMS_MAX, RunBuffer, Udp};
use crate::host::{clock, entropy};
use crate::run::daemon::DaemonError;
use crate::run::daemon::settings::Settings;

/// How long another node's answer is waited for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Runs of datagrams that are read, or sent, in one go before others have a turn.
const ROUND_RUNS_MAX: usize = 16;
/// Questions of other nodes that wait for an answer: that are answered at once, and that wait for this node's disk.
const ASKED_MAX: (usize, usize) = (64, 64);
/// The same, of what waits for disks of containers.
const SIGHTS_MAX: usize = 4;
/// Who waits: for an answer, or for a ping to be back.
enum Waits {
    Answer(Sender<Reply>),
    /// Was it what was sent?
    Ping(Sender<bool>),
}

type State = Questions<Post, Waits>;

/// Runs of datagrams: the one that comes, and the one that is gathered to be sent.
#[derive(Default)]
struct Runs {
    comes: RunBuffer,
    /// To which node the gathered one goes, and on which link, or on all.
    to: Option<(NodeId, Option<usize>)>,
    /// Bytes of each of its datagrams but the last.
    each: usize,
    leaves: Vec<u8>,
    /// What belongs to another run, and leaves with the next one.
    next: Option<Datagram>,
}

impl Runs {
    /// Gathers what leaves together; may there be more?
    fn gather(&mut self, post: &mut Post, now: BootMicros) -> bool {
        for _ in 0..RUN_DATAGRAMS_MAX {
            let Some(datagram) = self.next.take().or_else(|| post.outgoing(now)) else { return false };
            let to = Some((datagram.node, datagram.link));
            let length = datagram.bytes.len();
            if self.leaves.is_empty() {
                (self.to, self.each) = (to, length);
            } else if self.to != to || length > self.each || self.leaves.len() + length > RUN_BYTES_MAX {
                self.next = Some(datagram);
                return true;
            }
            self.leaves.extend_from_slice(&datagram.bytes);
            // One that is shorter than the others is the last.
            if length < self.each {
                return true;
            }
        }
        true
    }
}

/// Pings that wait; whatever ends the waiting, they are forgotten.
struct Pings<'a> {
    mail: &'a Mail,
    numbers: VecDeque<u64>,
}

impl Drop for Pings<'_> {
    fn drop(&mut self) {
        let mut state = self.mail.state.borrow_mut();
        self.numbers.iter().for_each(|number| state.forget(*number));
    }
}

/// Nothing without a key.
fn post(settings: &Settings, me: Myself, dice: Dice) -> Option<Post> {
    let roster = &settings.roster;
    let links = roster.members.get(&settings.node).map_or(0, |member| member.links.len());
    let (common, now) = (settings.common(), clock::boot_now());
    let channel = Channel::new(me, common, &settings.keys, Purpose::Letters, dice, now)?;
    let names = roster.members.iter().map(|(node, member)| (*node, member.name.clone())).gather();
    let mut post = Post::new(settings.node, names, links, channel);
    post.talk_beyond(clock::boot_micros(), true);
    Some(post)
}

/// All messages of a daemon.
pub struct Mail {
    incarnation: Cell<Incarnation>,
    heard: Cell<NodeSet>,
    settings: Settings,
    sockets: Vec<Udp>,
    state: RefCell<State>,
    runs: RefCell<Runs>,
    /// What is answered at once, and what waits for this node's disk: a disk that hangs holds none of the first.
    looks: (Sender<Asked>, Receiver<Asked>),
    asked: (Sender<Asked>, Receiver<Asked>),
    /// What waits for disks of containers: it holds neither.
    sights: (Sender<Asked>, Receiver<Asked>),
}

impl Mail {
    /// Binds its sockets; nothing is sent yet.
    pub fn new(settings: &Settings, me: Myself, mut dice: Dice) -> Result<Mail, DaemonError> {
        let roster = &settings.roster;
        let port = roster.port + 1;
        let links = roster.members.get(&settings.node).map(|member| member.links.clone()).unwrap_or_default();
        let sockets = links.into_iter().map(|link| Udp::bind_for_runs(link, port));
        let sockets = sockets.collect::<Result<Vec<_>, _>>().map_err(DaemonError::Socket)?;
        let number = dice.number();
        let incarnation = Cell::new(me.incarnation);
        let post = post(settings, me, dice).ok_or(DaemonError::Differs("there is no key".into()))?;
        Ok(Mail {
            incarnation,
            heard: Cell::default(),
            settings: settings.clone(),
            sockets,
            // Any number: an answer to an earlier life of this daemon fits none of this one's.
            state: RefCell::new(Questions::new(post, number)),
            runs: RefCell::new(Runs::default()),
            looks: bounded(ASKED_MAX.0),
            asked: bounded(ASKED_MAX.1),
            sights: bounded(SIGHTS_MAX),
        })
    }

    /// This node began anew: what was under way is over, and it speaks as another from now on.
    pub fn become_anew(&self, me: Myself) {
        self.incarnation.set(me.incarnation);
        let dice = entropy::dice().ok();
        let Some(mut post) = dice.and_then(|dice| post(&self.settings, me, dice)) else { return };
        post.hears(self.heard.get());
        // Who waits hears that nobody answers.
        self.state.borrow_mut().begin_anew(post);
    }

    /// The sockets of all links.
    pub fn sockets(&self) -> &[Udp] {
        &self.sockets
    }

    /// The view that counts from now on.
    pub fn view(&self, view: Option<&View>, quorate: bool) {
        let mut state = self.state.borrow_mut();
        let post = state.manager_mut();
        post.view(clock::boot_micros(), view, quorate);
        // Who is quorate needs nobody else.
        post.talk_beyond(clock::boot_micros(), !quorate);
    }

    /// Whose beats the detector hears from now on.
    pub fn hears(&self, heard: NodeSet) {
        self.heard.set(heard);
        self.state.borrow_mut().manager_mut().hears(heard);
    }

    /// Who is a member, and may this node act: what the cluster's manager says.
    pub fn members(&self) -> Members {
        self.state.borrow().manager().members()
    }

    /// Who is on its way back, by the same.
    pub fn approaching(&self) -> NodeSet {
        self.state.borrow().manager().approaching()
    }

    /// The next question of another node that is answered at once.
    pub async fn looks(&self) -> Option<Asked> {
        self.looks.1.recv().await.ok()
    }

    /// The next one that waits for this node's disk.
    pub async fn asked(&self) -> Option<Asked> {
        self.asked.1.recv().await.ok()
    }

    /// The next one that waits for disks of a container.
    pub async fn sights(&self) -> Option<Asked> {
        self.sights.1.recv().await.ok()
    }

    /// Answers it.
    pub fn answer(&self, asked: &Asked, reply: Reply) {
        self.state.borrow_mut().answer(asked, reply);
    }

    /// With whom this node can talk, in a view or not, and who goes by the same configuration.
    pub fn reached(&self) -> NodeSet {
        self.state.borrow().manager().reached()
    }

    /// Who goes by a newer configuration.
    pub fn newer(&self) -> NodeSet {
        self.state.borrow().manager().newer()
    }

    /// Tells another node something, and waits for nothing.
    pub fn tell(&self, to: NodeId, request: Request) {
        self.state.borrow_mut().tell(to, request);
    }

    /// Asks another node, and waits for its answer.
    pub async fn ask(&self, to: NodeId, request: Request) -> Reply {
        let name = self.settings.roster.name_of(to);
        let (answer, waits) = bounded(1);
        let number = match self.state.borrow_mut().ask(to, request, Waits::Answer(answer)) {
            Ok(number) => number,
            Err(refused) => return Reply::Refused(Refusal::NotReachable, format!("{name}: {refused}")),
        };
        let late = async {
            Timer::after(ANSWER_PATIENCE).await;
            let words = format!("{name} did not answer in {} s", ANSWER_PATIENCE.as_secs());
            Ok(Reply::Refused(Refusal::NotReachable, words))
        };
        let reply = smol::future::or(waits.recv(), late).await;
        self.state.borrow_mut().forget(number);
        reply.unwrap_or_else(|_| Reply::Refused(Refusal::NotReachable, format!("{name} did not answer")))
    }

    /// The life of this node.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation.get()
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
        // No piece of it is like its neighbours.
        let payload: Arc<[u8]> = (0..bytes).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
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
            let is_late = async {
                (&mut late).await;
                Err(smol::channel::RecvError)
            };
            let name = || self.settings.roster.name_of(to);
            let is_it = smol::future::or(came.recv(), is_late)
                .await
                .map_err(|_| format!("{} did not answer", name()))?;
            if !is_it {
                return Err(format!(
                    "{} answered with other bytes than it was sent, which no network may do to what is sealed: memory or processor of one of \
                     the two, or evmsd, is at fault; look for machine checks in the kernel's log on both",
                    name()
                ));
            }
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

    fn send_ping(&self, to: NodeId, payload: &Arc<[u8]>, back: &Sender<bool>) -> Result<u64, String> {
        let sent = self.state.borrow_mut().ping(to, payload, Waits::Ping(back.clone()));
        sent.map_err(|why| match why {
            NotPinged::TooMany => "too many pings are under way".into(),
            NotPinged::NotSent(refused) => refused.to_string(),
        })
    }

    /// What is known of the paths to a node.
    pub fn add_links(&self, node: NodeId, lines: &mut [LinkLine]) {
        let links = self.state.borrow().manager().links(clock::boot_micros(), node);
        for (line, link) in lines.iter_mut().zip(links) {
            line.round_trip_us = link.round_trip_us;
            line.in_use = link.in_use;
            let frame = crate::format::frame::DATAGRAM_BYTES - crate::format::frame::PAYLOAD_BYTES;
            line.datagram_bytes = u32::try_from(link.payload_bytes + frame).unwrap_or(0);
        }
    }

    /// Takes in what waits at the sockets that have something, and reads it.
    pub fn hear(&self, is_ready: impl Fn(usize) -> bool) {
        let (mut state, mut runs) = (self.state.borrow_mut(), self.runs.borrow_mut());
        for (link, socket) in self.sockets.iter().enumerate().filter(|(link, _)| is_ready(*link)) {
            for _ in 0..ROUND_RUNS_MAX {
                let Some(run) = socket.receive_run(&mut runs.comes) else { break };
                // What came together came now.
                let now = clock::boot_micros();
                // What is dropped is counted there.
                run.for_each(|datagram| drop(state.manager_mut().hear(now, link, datagram)));
            }
        }
        self.read_letters(&mut state);
    }

    /// Sends what is to be sent: when there is more, at the latest.
    pub fn speak(&self) -> BootMicros {
        let (mut state, mut runs) = (self.state.borrow_mut(), self.runs.borrow_mut());
        let runs = &mut *runs;
        for _ in 0..ROUND_RUNS_MAX {
            let now = clock::boot_micros();
            let more = runs.gather(state.manager_mut(), now);
            self.send(runs);
            if !more {
                return state.manager().deadline();
            }
        }
        BootMicros::default()
    }

    fn send(&self, runs: &mut Runs) {
        let roster = &self.settings.roster;
        if let Some((node, only)) = runs.to.take()
            && let Some(member) = roster.members.get(&node)
        {
            for (link, (socket, address)) in self.sockets.iter().zip(&member.links).enumerate() {
                if only.is_none_or(|only| only == link) {
                    // What is too long for the path is lost: the transport finds that out by itself.
                    socket.send_run(SocketAddr::new(*address, roster.port + 1), &runs.leaves, runs.each);
                }
            }
        }
        runs.leaves.clear();
    }

    fn read_letters(&self, state: &mut State) {
        while let Some(came) = state.came() {
            match came {
                Came::Asked(asked) => self.take(state, asked),
                Came::Answered(Waits::Answer(answer), reply) => drop(answer.try_send(*reply)),
                Came::Failed(Waits::Answer(answer), why) => {
                    let _ = answer.try_send(Reply::Refused(Refusal::NotReachable, why));
                }
                Came::Back(Waits::Ping(back)) => drop(back.try_send(true)),
                Came::Altered(Waits::Ping(back)) => drop(back.try_send(false)),
                // A ping is no question, and nobody answers one.
                Came::Answered(Waits::Ping(_), _)
                | Came::Failed(Waits::Ping(_), _)
                | Came::Back(Waits::Answer(_))
                | Came::Altered(Waits::Answer(_)) => (),
                Came::NotKnown(node) => log::warn!("{node} did not know what was said to it"),
            }
        }
    }

    /// Puts a question of another node into the line of those who answer such.
    fn take(&self, state: &mut State, asked: Asked) {
        if state.manager().is_guest(asked.from) && !matches!(asked.request, Request::Configuration) {
            return;
        }
        let (line, most) = match &asked.request {
            Request::Sees(..) => (&self.sights, SIGHTS_MAX),
            Request::Prepare { .. }
            | Request::Accept { .. }
            | Request::Adopt(_)
            | Request::Suspend(..)
            | Request::Resume(..) => (&self.asked, ASKED_MAX.1),
            _ => (&self.looks, ASKED_MAX.0),
        };
        if let Err(full) = line.0.try_send(asked) {
            let words = format!(
                "it has {most} questions to answer already; this one was not taken, and nothing was done; if that stays so its disk \
                 hangs: see /var/lib/evms there"
            );
            state.answer(&full.into_inner(), Reply::Refused(Refusal::Refused, words));
        }
    }
}

#[cfg(test)]
mod tests;
