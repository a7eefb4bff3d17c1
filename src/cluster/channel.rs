//! Between two lives of two daemons: they greet, and from then on each knows by which keys the other seals, so that what is
//! forged, or was captured before, is dropped and counted.
//!
//! A greeting carries a random challenge and the echo of the other's. Who sees its own challenge come back knows that the
//! other answered now. There is one kind of greeting and no roles: each greets until it knows the other and knows that it is
//! known, and answers who is not so far.
//!
//! ```text
//! A ─ challenge a ────────────────▶ B
//! A ◀ challenge b, echo a ───────── B      A knows B
//! A ─ challenge a', echo b ───────▶ B      B knows A, and that A knows B
//! A ◀ ───────────────────────────── B      A knows that B knows A: nobody greets any more
//! ```
//! The detector and the engine have a channel each, with keys and counters of their own (safety 1.8).

use std::collections::VecDeque;

use crate::base::dice::Dice;
use crate::base::hash::Hash128;
use crate::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use crate::base::small_map::SmallMap;
use crate::base::time::BootTime;
use crate::cluster::beat::Session;
use crate::cluster::keys::{ClusterKey, Purpose, SessionTag};
use crate::cluster::mistake::{Rules, breaks};
use crate::cluster::node_set::NodeSet;
use crate::cluster::sealing::{GreetingSeal, Seal};
use crate::format::frame::{ClusterTag, Header, Kind, NoFrame};
use crate::format::greeting::{Challenge, Greeting, shared_version};

mod counts;
mod session;

pub use counts::Counts;
pub use session::PeerSession;

use session::Live;

/// Milliseconds between greetings to a node that is not known yet.
pub const GREET_MS: u64 = 200;
/// Milliseconds between answers to one node at least: who replays greetings gets no more than that.
const ANSWER_MS: u64 = 20;

/// Who opens a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Myself {
    /// The node.
    pub node: NodeId,
    /// Its machine.
    pub machine: NodeUuid,
    /// Its boot.
    pub incarnation: Incarnation,
    /// This life of its daemon.
    pub session: Session,
}

/// What all nodes of a cluster have to have in common to talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// The cluster.
    pub cluster: ClusterId,
    /// All its nodes' machines.
    pub machines: SmallMap<NodeId, NodeUuid>,
    /// The generation of its configuration.
    pub generation: u64,
    /// The hash of that.
    pub configuration: Hash128,
    /// Versions of what is said that the program of this end speaks: `VERSIONS`, but where another program is played.
    pub versions: (u8, u8),
    /// Milliseconds after which another boot of a node may take the place of one that is silent.
    pub window_ms: u64,
}

/// What a datagram was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A greeting; is a new session of that node known by it?
    Greeting(NodeId, bool),
    /// Something that a node said to all, and its number in the session.
    ToAll(NodeId, u64, Vec<u8>),
    /// Something that a node said to this one, and its number in the session.
    ToOne(NodeId, u64, Vec<u8>),
    /// A node began anew with this one within its session: what was under way before is over. What it said by it, if that
    /// was said to this one's present epoch.
    Renewed(NodeId, Option<(u64, Vec<u8>)>),
}

/// Why a datagram was dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is no frame.
    NoFrame(NoFrame),
    /// It is of another cluster.
    Foreign(ClusterTag),
    /// It is sealed by a key that is not known here.
    UnknownKey([u8; 2]),
    /// No node of the cluster says that it sent it.
    Stranger(NodeId),
    /// It was forged, or damaged on its way.
    BadSeal(NodeId),
    /// What has this number was taken before, or is too old to tell.
    Replayed(NodeId, u64),
    /// It is of a session that is not known, or to one that is over.
    OtherSession(NodeId),
    /// Another machine goes by this node's id.
    Impostor {
        /// The node.
        node: NodeId,
        /// The machine that is this node.
        known: NodeUuid,
        /// The machine that says to be.
        claimed: NodeUuid,
    },
    /// Another boot, or a copy, of a node that lives (F25).
    Twin {
        /// The node.
        node: NodeId,
        /// The boot that is heard.
        known: Incarnation,
        /// The boot that greets.
        refused: Incarnation,
    },
    /// It has another configuration of the same generation (F51).
    OtherConfiguration {
        /// The node.
        node: NodeId,
        /// The generation.
        generation: u64,
        /// The hash of its configuration.
        configuration: Hash128,
    },
    /// It speaks no version that this program speaks.
    OtherVersions(NodeId, (u8, u8)),
}

struct Peer {
    /// What this node waits to hear from it.
    challenge: Challenge,
    /// What it waits to hear.
    theirs: Challenge,
    greet_at: BootTime,
    answered_at: BootTime,
    answer: bool,
    /// Does the session that is known know this one?
    knows_me: bool,
    live: Option<Live>,
}

impl Peer {
    fn is_sure(&self) -> bool {
        self.live.is_some() && self.knows_me
    }
}

struct OneKey {
    key: ClusterKey,
    name: [u8; 2],
    greetings: GreetingSeal,
}

/// One end of all channels of a node, for one purpose.
pub struct Channel {
    me: Myself,
    common: Common,
    purpose: Purpose,
    tag: SessionTag,
    keys: Vec<OneKey>,
    to_all: Seal,
    all_counter: u64,
    greetings: u64,
    peers: SmallMap<NodeId, Peer>,
    dice: Dice,
    counts: Counts,
    out: VecDeque<(NodeId, Vec<u8>)>,
    rules: Rules,
}

fn short(tag: &SessionTag) -> [u8; 4] {
    let [a, b, c, d, ..] = *tag;
    [a, b, c, d]
}

impl Channel {
    /// `keys`: the first one seals. The tag is drawn from `dice`, which must be of the kernel's entropy. Without any key
    /// nothing can be sealed: there is no channel.
    pub fn new(
        me: Myself,
        common: Common,
        keys: &[ClusterKey],
        purpose: Purpose,
        mut dice: Dice,
        now: BootTime,
    ) -> Option<Channel> {
        let (tag, cluster) = (dice.bytes16(), common.cluster);
        let to_all = Seal::new(keys.first()?.to_all(cluster, purpose, (me.node, tag)));
        let one = |key: &ClusterKey| OneKey {
            name: key.name(cluster),
            greetings: GreetingSeal::new(key.for_greetings(cluster, purpose)),
            key: key.clone(),
        };
        let mut channel = Channel {
            to_all,
            keys: keys.iter().map(one).collect(),
            me,
            purpose,
            tag,
            all_counter: 0,
            greetings: 0,
            peers: SmallMap::new(),
            dice,
            counts: Counts::default(),
            out: VecDeque::new(),
            rules: Rules::ALL,
            common: Common { machines: SmallMap::new(), ..common.clone() },
        };
        channel.adopt(common, now);
        Some(channel)
    }

    /// With these rules: for the simulator, which breaks them.
    pub fn by(self, rules: Rules) -> Channel {
        Channel { rules, ..self }
    }

    /// Goes by another configuration from now on: who is no node any more is forgotten, who is new is greeted.
    pub fn adopt(&mut self, common: Common, now: BootTime) {
        self.common = common;
        let machines = &self.common.machines;
        self.peers.retain(|node, _| machines.contains_key(node));
        for node in machines.keys().copied().filter(|node| *node != self.me.node) {
            let challenge = self.dice.bytes16();
            self.peers.or_insert_with(node, || Peer {
                challenge,
                theirs: Challenge::default(),
                greet_at: now,
                answered_at: BootTime::default(),
                answer: false,
                knows_me: false,
                live: None,
            });
        }
    }

    /// The generation of this node's configuration.
    pub fn generation(&self) -> u64 {
        self.common.generation
    }

    /// The node's session that is known.
    pub fn session(&self, node: NodeId) -> Option<&PeerSession> {
        self.peers.get(&node)?.live.as_ref().map(|live| &live.session)
    }

    /// All nodes of which a session is known.
    pub fn known(&self) -> NodeSet {
        self.peers.iter().filter(|(_, peer)| peer.live.is_some()).map(|(node, _)| *node).collect()
    }

    /// What came and was dropped.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// When greetings are due at the latest.
    pub fn deadline(&self) -> BootTime {
        let due = self.peers.values().map(|peer| match (peer.answer, peer.is_sure()) {
            (true, _) => peer.answered_at.plus_ms(ANSWER_MS),
            (false, false) => peer.greet_at,
            (false, true) => BootTime::FOREVER,
        });
        due.min().unwrap_or(BootTime::FOREVER)
    }

    /// The next greeting that is due: to which node, on all its links.
    pub fn greeting(&mut self, now: BootTime) -> Option<(NodeId, Vec<u8>)> {
        if self.out.is_empty() {
            self.greet_who_waits(now);
        }
        self.out.pop_front()
    }

    fn greet_who_waits(&mut self, now: BootTime) {
        let waits = |peer: &Peer| {
            let answers = peer.answer && peer.answered_at.plus_ms(ANSWER_MS) <= now;
            answers || (!peer.is_sure() && peer.greet_at <= now)
        };
        let nodes = self.peers.iter().filter(|(_, peer)| waits(peer)).map(|(node, _)| *node);
        for node in nodes.collect::<NodeSet>().iter() {
            let Some(datagram) = self.greet(node) else { continue };
            self.out.push_back((node, datagram));
            if let Some(peer) = self.peers.get_mut(&node) {
                (peer.answer, peer.answered_at, peer.greet_at) = (false, now, now.plus_ms(GREET_MS));
            }
        }
    }

    fn header(&self, kind: Kind, counter: u64, to_session: [u8; 4]) -> Option<Header> {
        Some(Header {
            kind,
            key: self.keys.first()?.name,
            sender: self.me.node,
            cluster: self.common.cluster.into(),
            session: short(&self.tag),
            to_session,
            epochs: (0, 0),
            counter,
        })
    }

    fn greet(&mut self, node: NodeId) -> Option<Vec<u8>> {
        let peer = self.peers.get(&node)?;
        let greeting = Greeting {
            versions: self.common.versions,
            machine: self.me.machine,
            incarnation: self.me.incarnation,
            session: self.me.session.0,
            generation: self.common.generation,
            configuration: self.common.configuration,
            challenge: peer.challenge,
            echo: peer.theirs,
            is_known: peer.is_sure(),
            knows: peer.live.as_ref().map(|live| short(&live.tag)).unwrap_or_default(),
        };
        self.greetings += 1;
        let header = self.header(Kind::Greeting, self.greetings, [0; 4])?;
        Some(self.keys.first()?.greetings.seal(&header, self.tag, &greeting.encode()))
    }

    /// Seals once what goes to all nodes.
    pub fn to_all(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        self.all_counter += 1;
        let header = self.header(Kind::ToAll, self.all_counter, [0; 4])?;
        Some(self.to_all.seal(&header, payload))
    }

    /// Begins anew with this node, within the session: what was under way in either direction is over, and the node is told
    /// so by whatever is said to it next.
    pub fn renew(&mut self, node: NodeId) {
        if let Some(live) = self.peers.get_mut(&node).and_then(|peer| peer.live.as_mut()) {
            live.epochs.0 = live.epochs.0.wrapping_add(1);
        }
    }

    /// The number that the next datagram to this node gets; nothing when no session of it is known.
    pub fn next_number(&self, node: NodeId) -> Option<u64> {
        Some(self.peers.get(&node)?.live.as_ref()?.counter + 1)
    }

    /// Seals what goes to one node: its number, and the datagram.
    pub fn to_one(&mut self, node: NodeId, payload: &[u8]) -> Option<(u64, Vec<u8>)> {
        let live = self.peers.get_mut(&node)?.live.as_mut()?;
        live.counter += 1;
        let (counter, to_session, epochs) = (live.counter, short(&live.tag), live.epochs);
        let header = Header { epochs, ..self.header(Kind::ToOne, counter, to_session)? };
        let live = self.peers.get(&node)?.live.as_ref()?;
        Some((counter, live.send.seal(&header, payload)))
    }

    /// Takes a datagram in.
    pub fn hear(&mut self, now: BootTime, datagram: &[u8]) -> Result<Heard, Dropped> {
        let heard = self.open(now, datagram);
        self.counts.note(now, &heard);
        heard
    }

    fn open(&mut self, now: BootTime, datagram: &[u8]) -> Result<Heard, Dropped> {
        let (header, _) = Header::decode(datagram).map_err(Dropped::NoFrame)?;
        if header.cluster != self.common.cluster.into() {
            return Err(Dropped::Foreign(header.cluster));
        }
        let node = header.sender;
        let key = self.keys.iter().position(|key| key.name == header.key);
        let key = key.ok_or(Dropped::UnknownKey(header.key))?;
        // This node's own id on another machine comes here too.
        if node != self.me.node && !self.peers.contains_key(&node) {
            return Err(Dropped::Stranger(node));
        }
        match header.kind {
            Kind::Greeting => self.hear_greeting(now, &header, key, datagram),
            Kind::ToAll | Kind::ToOne => self.hear_session(now, &header, datagram),
        }
    }

    fn hear_session(&mut self, now: BootTime, header: &Header, datagram: &[u8]) -> Result<Heard, Dropped> {
        let node = header.sender;
        let other = Dropped::OtherSession(node);
        let me = short(&self.tag);
        let peer = self.peers.get_mut(&node).ok_or(other.clone())?;
        let knows_me = header.kind == Kind::ToOne;
        let known = peer.live.as_ref().is_some_and(|live| short(&live.tag) == header.session);
        let meant = header.kind != Kind::ToOne || header.to_session == me;
        // One of the two believes in a session that the other does not know: they greet again. It may be forged, so not often.
        if (!known || !meant) && peer.answered_at.plus_ms(GREET_MS) <= now {
            peer.answer = true;
        }
        let Some(live) = peer.live.as_mut().filter(|_| known && meant) else { return Err(other) };
        let heard = live.hear(now, header, datagram, self.rules)?;
        // Its keys are of both sessions.
        peer.knows_me |= knows_me;
        Ok(heard)
    }

    fn hear_greeting(
        &mut self,
        now: BootTime,
        header: &Header,
        key: usize,
        datagram: &[u8],
    ) -> Result<Heard, Dropped> {
        let node = header.sender;
        let key = self.keys.get(key).ok_or(Dropped::UnknownKey(header.key))?;
        let (tag, payload) = key.greetings.open(header, datagram).ok_or(Dropped::BadSeal(node))?;
        let greeting = Greeting::decode(&payload).ok_or(Dropped::BadSeal(node))?;
        if tag == self.tag {
            // This one's own words, thrown back at it.
            return Err(Dropped::Replayed(node, header.counter));
        }
        let version = self.judge(node, &greeting)?;
        let derive = (self.keys.first(), key);
        let (Some(mine), theirs) = derive else { return Err(Dropped::UnknownKey(header.key)) };
        let peer = self.peers.get_mut(&node).ok_or(Dropped::Stranger(node))?;
        peer.theirs = greeting.challenge;
        let knows_me = greeting.knows == short(&self.tag);
        peer.answer |= !(knows_me && greeting.is_known);
        if greeting.echo != peer.challenge && !breaks!(self.rules, ChallengeNotAsked) {
            return Ok(Heard::Greeting(node, false));
        }
        peer.challenge = self.dice.bytes16();
        if peer.live.as_ref().is_some_and(|live| live.tag == tag) {
            peer.knows_me = knows_me;
            return Ok(Heard::Greeting(node, false));
        }
        if let Some(live) = &peer.live {
            live.may_be_followed(now, node, &greeting, self.common.window_ms)?;
        }
        let (cluster, purpose) = (self.common.cluster, self.purpose);
        let (own, other) = ((self.me.node, self.tag), (node, tag));
        let session = PeerSession::of(&greeting, version, now);
        let send = Seal::new(mine.key.to_one(cluster, purpose, own, other));
        let to_me = Seal::new(theirs.key.to_one(cluster, purpose, other, own));
        let to_all = Seal::new(theirs.key.to_all(cluster, purpose, other));
        peer.knows_me = knows_me;
        peer.live = Some(Live::new(session, tag, send, to_me, to_all));
        Ok(Heard::Greeting(node, true))
    }

    /// The version by which the two talk, when nothing is wrong with who greets.
    fn judge(&self, node: NodeId, greeting: &Greeting) -> Result<u8, Dropped> {
        let (claimed, refused) = (greeting.machine, greeting.incarnation);
        if node == self.me.node {
            let (machine, known) = (self.me.machine, self.me.incarnation);
            return Err(if claimed == machine {
                Dropped::Twin { node, known, refused }
            } else {
                Dropped::Impostor { node, known: machine, claimed }
            });
        }
        if let Some(known) = self.common.machines.get(&node).copied().filter(|known| *known != claimed) {
            return Err(Dropped::Impostor { node, known, claimed });
        }
        // Before the configuration: another program may have another idea of its hash.
        let version = shared_version(self.common.versions, greeting.versions);
        let version = version.ok_or(Dropped::OtherVersions(node, greeting.versions))?;
        let (generation, configuration) = (greeting.generation, greeting.configuration);
        if generation == self.common.generation && configuration != self.common.configuration {
            return Err(Dropped::OtherConfiguration { node, generation, configuration });
        }
        Ok(version)
    }
}

#[cfg(test)]
mod tests;
