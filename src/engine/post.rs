//! The built-in cluster manager's messages, without hands: the channel that knows who speaks, the transport that loses
//! nothing, and the view, which says with whom there is anything to talk about. Datagrams in, datagrams out.

use std::collections::VecDeque;

use crate::base::id::{Incarnation, NodeId};
use crate::base::name::Name;
use crate::base::small_map::SmallMap;
use crate::base::time::{BootMicros, BootTime};
use crate::cluster::channel::{Channel, Counts, Dropped, Heard};
use crate::cluster::mistake::Rules;
use crate::cluster::node_set::NodeSet;
use crate::cluster::transport::Transport;
use crate::cluster::transport::event::{Ended, Event, SendError};
use crate::cluster::transport::link::LinkStatus;
use crate::cluster::view::View;
use crate::engine::manager::{ClusterManager, Letter, Life, Members, NotSent, Told, membership};

/// A datagram that is to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// To this node.
    pub node: NodeId,
    /// On this link from zero; on all of them when none is named.
    pub link: Option<usize>,
    /// It.
    pub bytes: Vec<u8>,
}

/// All messages of a node.
pub struct Post {
    me: NodeId,
    names: SmallMap<NodeId, Name>,
    links: usize,
    channel: Channel,
    transport: Transport,
    members: Members,
    /// Whose beats are heard, members or not.
    heard: NodeSet,
    /// In which boot each member is one.
    boots: SmallMap<NodeId, Incarnation>,
    /// With whom there is a session of the transport.
    up: SmallMap<NodeId, Incarnation>,
    told: VecDeque<Told>,
    /// Is there to be a session with who is no member, too?
    beyond: bool,
    /// Of whom there is something to be taken. It is taken when somebody asks for it: till then its sender is held back.
    arrived: NodeSet,
    now: BootMicros,
}

fn coarse(now: BootMicros) -> BootTime {
    BootTime { ms: now.us / 1000 }
}

impl Post {
    /// Of this node and all others, each on so many links.
    pub fn new(me: NodeId, names: SmallMap<NodeId, Name>, links: usize, channel: Channel) -> Post {
        Post {
            me,
            names,
            links,
            channel,
            transport: Transport::new(Rules::ALL),
            members: Members::default(),
            heard: NodeSet::EMPTY,
            boots: SmallMap::new(),
            up: SmallMap::new(),
            told: VecDeque::new(),
            beyond: false,
            arrived: NodeSet::EMPTY,
            now: BootMicros::default(),
        }
    }

    /// The view that counts from now on, or none; and may this node act by it?
    pub fn view(&mut self, now: BootMicros, view: Option<&View>, quorate: bool) {
        self.now = now;
        let members = Members {
            number: view.map_or(self.members.number, |view| view.number.counter),
            nodes: view.map(View::nodes).unwrap_or_default(),
            quorate,
        };
        let boots = view.map(|view| view.members.clone()).unwrap_or_default();
        let before = core::mem::replace(&mut self.boots, boots);
        // What was under way between members is over when they are none any more, also where they go on talking.
        for node in before.keys().copied().filter(|node| !self.boots.contains_key(node)).collect::<Vec<_>>() {
            self.part(node);
        }
        if members != self.members {
            self.told.push_back(membership(&self.members, members.clone()));
            self.members = members;
        }
        for node in self.names.keys().copied().collect::<Vec<_>>() {
            self.follow(node, false);
        }
    }

    /// Whose beats are heard from now on.
    pub fn hears(&mut self, heard: NodeSet) {
        self.heard = heard;
    }

    /// Is there to be a session of the transport with this node, and is there? `anew`: what there is, is over.
    fn follow(&mut self, node: NodeId, anew: bool) {
        let known = self.channel.session(node).map(|session| session.incarnation);
        let member = self.boots.get(&node).copied().filter(|boot| known == Some(*boot));
        // Who goes by another configuration is in no view with this node, and may want to know this one's.
        let is_heard = self.beyond || self.is_guest(node);
        let wanted = member.or(known.filter(|_| is_heard)).filter(|_| node != self.me);
        let is = self.up.get(&node).copied();
        match (is, wanted) {
            (Some(_), None) => self.part(node),
            (is, Some(boot)) if anew || is != Some(boot) => {
                self.up.insert(node, boot);
                self.transport.peer_up(self.now, node, self.links);
            }
            _ => (),
        }
        self.hear_transport();
    }

    fn part(&mut self, node: NodeId) {
        if self.up.remove(&node).is_some() {
            // What it said before may still be under way, and is not to be taken for what it says when it is back.
            self.channel.renew(node);
            self.transport.peer_down(node, Ended::LeftView);
        }
    }

    /// Is to be talked to who is no member? Who is in no view that counts has something to say all the same: what it accepted
    /// of the next configuration, without which nobody may ever be in one.
    pub fn talk_beyond(&mut self, now: BootMicros, beyond: bool) {
        self.now = now;
        self.beyond = beyond;
        for node in self.names.keys().copied().collect::<Vec<_>>() {
            self.follow(node, false);
        }
    }

    /// With whom there is a session, and one configuration.
    pub fn reached(&self) -> NodeSet {
        self.up.keys().copied().filter(|node| !self.is_guest(*node)).collect()
    }

    /// Does this node go by another configuration? Then it is no member, and is talked to about that alone.
    pub fn is_guest(&self, node: NodeId) -> bool {
        let own = self.channel.generation();
        self.channel.session(node).is_some_and(|session| session.generation != own)
    }

    /// Who goes by a newer configuration.
    pub fn newer(&self) -> NodeSet {
        let own = self.channel.generation();
        let newer =
            |node: &NodeId| self.channel.session(*node).is_some_and(|session| session.generation > own);
        self.names.keys().copied().filter(newer).collect()
    }

    /// Takes a datagram in; it came on this link, from zero.
    pub fn hear(&mut self, now: BootMicros, link: usize, datagram: &[u8]) -> Result<(), Dropped> {
        self.now = now;
        match self.channel.hear(coarse(now), datagram)? {
            Heard::ToOne(node, number, payload) => self.transport.receive(now, node, link, number, &payload),
            Heard::Renewed(node, said) => {
                self.follow(node, true);
                if let Some((number, payload)) = said {
                    self.transport.receive(now, node, link, number, &payload);
                }
            }
            Heard::Greeting(node, true) => self.follow(node, true),
            Heard::Greeting(_, false) | Heard::ToAll(..) => (),
        }
        self.hear_transport();
        Ok(())
    }

    fn hear_transport(&mut self) {
        while let Some(event) = self.transport.event() {
            match event {
                Event::Arrived(node) => self.arrived = self.arrived.with(node),
                Event::Delivered(_, id) => self.told.push_back(Told::Delivered(Letter(id.0))),
                Event::Failed(node, id, why) => {
                    let name = self.names.get(&node).map_or_else(|| node.to_string(), ToString::to_string);
                    self.told.push_back(Told::Failed(Letter(id.0), format!("{name}: {why}")));
                }
                Event::Room(_) => (),
            }
        }
    }

    /// The next datagram that is to go out now.
    pub fn outgoing(&mut self, now: BootMicros) -> Option<Datagram> {
        self.now = now;
        if let Some((node, bytes)) = self.channel.greeting(coarse(now)) {
            return Some(Datagram { node, link: None, bytes });
        }
        let channel = &self.channel;
        let leaving = self.transport.poll(now, |node| channel.next_number(node).unwrap_or(0))?;
        let (_, bytes) = self.channel.to_one(leaving.node, &leaving.payload)?;
        Some(Datagram { node: leaving.node, link: Some(leaving.link), bytes })
    }

    /// When to ask for what is to go out, at the latest.
    pub fn deadline(&self) -> BootMicros {
        let greets = self.channel.deadline();
        let greets = if greets == BootTime::FOREVER {
            BootMicros::FOREVER
        } else {
            BootMicros { us: greets.ms.saturating_mul(1000) }
        };
        greets.min(self.transport.deadline())
    }

    /// How the links to a node are.
    pub fn links(&self, now: BootMicros, node: NodeId) -> Vec<LinkStatus> {
        self.transport.links(now, node).unwrap_or_default()
    }

    /// What came and was dropped.
    pub fn counts(&self) -> &Counts {
        self.channel.counts()
    }
}

impl ClusterManager for Post {
    fn me(&self) -> NodeId {
        self.me
    }

    fn nodes(&self) -> SmallMap<NodeId, Name> {
        self.names.clone()
    }

    fn members(&self) -> Members {
        self.members.clone()
    }

    fn approaching(&self) -> NodeSet {
        self.heard.minus(self.members.nodes).without(self.me)
    }

    fn life(&self, node: NodeId) -> Option<Life> {
        let session = self.channel.session(node)?;
        Some(Life { incarnation: session.incarnation, session: session.session })
    }

    fn told(&mut self) -> Option<Told> {
        if let Some(told) = self.told.pop_front() {
            return Some(told);
        }
        while let Some(node) = self.arrived.lowest() {
            if let Some(message) = self.transport.take(self.now, node) {
                return Some(Told::Message(node, message));
            }
            self.arrived = self.arrived.without(node);
        }
        None
    }

    fn send(&mut self, to: NodeId, message: Vec<u8>) -> Result<Letter, NotSent> {
        match self.transport.send(to, message) {
            Ok(id) => Ok(Letter(id.0)),
            Err(SendError::NotAPeer(node)) => Err(NotSent::NotAMember(node)),
            Err(SendError::TooLong { bytes }) => Err(NotSent::TooLong(bytes)),
            Err(SendError::Full { node, .. }) => Err(NotSent::Full(node)),
        }
    }
}

#[cfg(test)]
mod tests;
