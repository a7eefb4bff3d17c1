//! The world of letters: machines that write to each other over one to three links, through channels whose sessions come and
//! go, in one order that the seed decides.

use std::collections::BTreeSet;
use std::rc::Rc;

use evms::cluster::mistake::{Mistake, Rules};
use evms::cluster::transport::event::Ended;

use crate::chance::Chance;
use crate::laws::Broken;
use crate::laws::delivery::Delivery;
use crate::letters::channel::Channel;
use crate::letters::office::{Office, node};
use crate::letters::paths::Paths;
use crate::letters::story::{self, Fault};
use crate::plan::Plan;
use crate::tale::Tale;

/// Events of one run at most: a run that goes on and on is broken.
const EVENTS_MAX: u64 = 5_000_000;
/// Between two looks whether two machines that should have a session have one.
const HANDSHAKE_US: u64 = 250_000;

/// What travels.
#[derive(Clone, Debug)]
pub struct Datagram {
    from: usize,
    to: usize,
    link: usize,
    pair: u64,
    number: u64,
    payload: Rc<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub enum Event {
    Arrives(Datagram),
    Alarm { place: usize, number: u64 },
    Wakes { place: usize },
    Writes { place: usize },
    Handshake { one: usize, other: usize },
    Session { place: usize, life: u64, peer: usize, peer_life: u64, pair: u64 },
    SeesAgain { place: usize, peer: usize },
    Fault(Fault),
    Calm,
    End,
}

pub struct World {
    pub now_us: u64,
    pub chance: Chance,
    pub offices: Vec<Office>,
    pub paths: Paths,
    pub law: Delivery,
    calm_us: Option<u64>,
    /// What a story's fault broke.
    broken: Option<Broken>,
    rules: Rules,
    pairs: u64,
    written: u64,
    /// Whom a machine does not want to know: (machine, peer).
    blind: BTreeSet<(usize, usize)>,
    /// Microseconds between two messages of a machine.
    gap_us: u64,
    plan: Plan<Event>,
    tale: Tale,
}

impl World {
    pub fn new(seed: u64, rules: Rules, tells: bool) -> World {
        let mut chance = Chance::new(seed ^ 0x6c65_7474_6572_7321);
        let (machines, links) = (chance.between(2, 5) as usize, chance.between(1, 4) as usize);
        let paths = Paths::new(machines, links, &mut chance);
        let offices = (0..machines).map(|place| Office::new(place, chance.below(1 << 40))).collect();
        let gap_us = [20_000, 100_000, 400_000][chance.below(3) as usize];
        let mut world = World {
            now_us: 0,
            chance,
            offices,
            paths,
            law: Delivery::default(),
            calm_us: None,
            broken: None,
            rules,
            pairs: 0,
            written: 0,
            blind: BTreeSet::new(),
            gap_us,
            plan: Plan::default(),
            tale: Tale::new(tells),
        };
        for one in 0..machines {
            world.start(one);
            world.at(10_000, Event::Writes { place: one });
            (0..one).for_each(|other| world.at(0, Event::Handshake { one, other }));
        }
        story::faults(&mut world);
        world
    }

    pub fn at(&mut self, at_us: u64, event: Event) {
        self.plan.put(at_us, event);
    }

    fn tell(&mut self, words: impl FnOnce() -> String) {
        self.tale.tell(self.now_us, words);
    }

    pub fn told(&self) -> impl Iterator<Item = &String> {
        self.tale.lines()
    }

    /// How things stand, for who replays a seed.
    pub fn standing(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for office in &self.offices {
            let Some(transport) = &office.transport else { continue };
            lines.push(format!("machine {}: {:?}", office.place, transport.refusals()));
            let now = office.now(self.now_us);
            for (peer, channel) in &office.channels {
                let bytes = transport.bytes(node(*peer));
                let due_us = transport.deadline().since(now);
                lines
                    .push(format!("  to {peer}, pair {}, keeps {bytes:?}, due in {due_us} us", channel.pair));
                let links = transport.links(now, node(*peer)).unwrap_or_default();
                lines.extend(links.iter().map(|link| format!("    {link:?}")));
            }
        }
        lines
    }

    pub fn start(&mut self, place: usize) {
        if self.offices[place].transport.is_none() {
            self.offices[place].start(self.rules);
        }
    }

    pub fn crash(&mut self, place: usize) {
        self.offices[place].crash();
        // Others notice, some sooner and some later; some only when it is back.
        for peer in 0..self.offices.len() {
            let us = self.chance.below(2_000_000);
            if peer != place && self.chance.per_mille(700) {
                self.at(self.now_us + us, Event::Fault(Fault::LeavesView(peer, place, 0)));
            }
        }
    }

    /// A peer leaves a machine's view.
    pub fn leaves_view(&mut self, place: usize, peer: usize, us: u64) {
        let office = &mut self.offices[place];
        if let Some(transport) = &mut office.transport {
            transport.peer_down(node(peer), Ended::LeftView);
            office.lost(peer, &mut self.law);
            self.blind.insert((place, peer));
            self.at(self.now_us + us, Event::SeesAgain { place, peer });
            self.at(self.now_us, Event::Wakes { place });
        }
    }

    fn pair(&self, place: usize, peer: usize) -> Option<u64> {
        self.offices[place].channels.get(&peer).map(|channel| channel.pair)
    }

    /// Two machines that have no session with each other, or not the same one, try to make one.
    fn handshake(&mut self, one: usize, other: usize) {
        self.at(self.now_us + HANDSHAKE_US, Event::Handshake { one, other });
        let (pair, other_pair) = (self.pair(one, other), self.pair(other, one));
        let live = self.offices[one].transport.is_some() && self.offices[other].transport.is_some();
        let blind = self.blind.contains(&(one, other)) || self.blind.contains(&(other, one));
        let link = self.chance.below(self.paths.links.len() as u64) as usize;
        if (pair.is_some() && pair == other_pair) || !live || blind || !self.paths.is_open(link, one, other) {
            return;
        }
        self.pairs += 1;
        let delays = [self.chance.below(60_000), self.chance.below(60_000)];
        for ((place, peer), delay) in [(one, other), (other, one)].into_iter().zip(delays) {
            let (life, peer_life) = (self.offices[place].life, self.offices[peer].life);
            let session = Event::Session { place, life, peer, peer_life, pair: self.pairs };
            self.at(self.now_us + delay, session);
        }
    }

    fn session(&mut self, place: usize, life: u64, peer: usize, pair: u64) {
        let now = self.offices[place].now(self.now_us);
        let links = self.paths.links.len();
        let office = &mut self.offices[place];
        let newer = office.channels.get(&peer).is_none_or(|channel| channel.pair < pair);
        let Some(transport) = office.transport.as_mut().filter(|_| office.life == life && newer) else {
            return;
        };
        transport.peer_up(now, node(peer), links);
        office.lost(peer, &mut self.law);
        office.channels.insert(peer, Channel::new(pair));
        self.tell(|| format!("machine {place}: session with {peer}, pair {pair}"));
    }

    /// A machine's application writes a message.
    pub fn writes(&mut self, from: usize, to: usize, bytes: usize) {
        self.written += 1;
        let mut message = vec![self.written as u8; bytes];
        let mark = self.written.to_le_bytes();
        // Every kilobyte of every message says which message it is and where in it.
        for (place, part) in message.chunks_mut(1000).enumerate() {
            let marks = mark.iter().chain(&(place as u32).to_le_bytes()).copied().collect::<Vec<_>>();
            let length = part.len().min(marks.len());
            part[..length].copy_from_slice(&marks[..length]);
        }
        if let Err(broken) = self.offices[from].write(to, message, &mut self.law) {
            self.broken = Some(broken);
        }
    }

    fn some_bytes(&mut self) -> usize {
        let most = match self.chance.below(100) {
            0..5 => 1,
            5..45 => 64,
            45..80 => 1500,
            80..92 => 16_000,
            92..99 => 100_000,
            _ => (1 << 20) + 1,
        };
        self.chance.below(most) as usize
    }

    fn wake(&mut self, place: usize) -> Result<(), Broken> {
        let now_us = self.now_us;
        let office = &mut self.offices[place];
        if office.paused_until > now_us {
            return Ok(());
        }
        office.hear(&mut self.law)?;
        office.read(now_us, &mut self.law)?;
        office.check(&self.law)?;
        let now = office.now(now_us);
        let Some(transport) = &mut office.transport else { return Ok(()) };
        let channels = &mut office.channels;
        let mut leaving = Vec::new();
        while let Some(out) =
            transport.poll(now, |to| channels.get_mut(&(usize::from(to.0) - 1)).map_or(0, Channel::number))
        {
            leaving.push(out);
        }
        let deadline = transport.deadline();
        if deadline <= now {
            return Err(Broken { law: "rest", words: format!("machine {place} would never sleep") });
        }
        office.alarm += 1;
        let (at, number) = (office.us(deadline), office.alarm);
        if deadline.us < u64::MAX {
            self.at(at, Event::Alarm { place, number });
        }
        for out in leaving {
            let to = usize::from(out.node.0) - 1;
            let pair = self.pair(place, to).unwrap_or(0);
            let bytes = out.payload.len();
            let payload = Rc::new(out.payload);
            for after in self.paths.fates(out.link, place, to, bytes, &mut self.chance) {
                let payload = Rc::clone(&payload);
                let datagram =
                    Datagram { from: place, to, link: out.link, pair, number: out.number, payload };
                self.at(now_us + after, Event::Arrives(datagram));
            }
        }
        Ok(())
    }

    fn arrives(&mut self, datagram: Datagram) -> Result<(), Broken> {
        let now_us = self.now_us;
        let office = &mut self.offices[datagram.to];
        if office.paused_until > now_us {
            // The socket holds some of it, until somebody reads.
            if self.chance.per_mille(500) {
                let at_us = office.paused_until;
                self.at(at_us, Event::Arrives(datagram));
            }
            return Ok(());
        }
        let now = office.now(now_us);
        let any_session = self.rules.broken() == Some(Mistake::OldSessionAccepted);
        let Some(channel) = office.channels.get_mut(&datagram.from) else { return Ok(()) };
        let present = channel.pair == datagram.pair;
        let accepted = if present { channel.is_first(datagram.number) } else { any_session };
        if let Some(transport) = office.transport.as_mut().filter(|_| accepted) {
            transport.receive(now, node(datagram.from), datagram.link, datagram.number, &datagram.payload);
            return self.wake(datagram.to);
        }
        Ok(())
    }

    fn happens(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Arrives(datagram) => self.arrives(datagram)?,
            Event::Alarm { place, number } if self.offices[place].alarm == number => self.wake(place)?,
            Event::Alarm { .. } => (),
            Event::Wakes { place } => self.wake(place)?,
            Event::Writes { place } if self.calm_us.is_none() => {
                let machines = self.offices.len() as u64;
                let to = (place as u64 + self.chance.between(1, machines)) % machines;
                let bytes = self.some_bytes();
                self.writes(place, to as usize, bytes);
                let gap = self.chance.below(2 * self.gap_us);
                self.at(self.now_us + gap, Event::Writes { place });
                self.wake(place)?;
            }
            Event::Writes { .. } => (),
            Event::Handshake { one, other } => self.handshake(one, other),
            Event::Session { place, life, peer, peer_life, pair } => {
                if self.offices[peer].life == peer_life {
                    self.session(place, life, peer, pair);
                    self.wake(place)?;
                }
            }
            Event::SeesAgain { place, peer } => drop(self.blind.remove(&(place, peer))),
            Event::Fault(_) if self.calm_us.is_some() => (),
            Event::Fault(fault) => {
                self.tell(|| format!("{fault:?}"));
                story::befall(self, fault);
            }
            Event::Calm => {
                self.tell(|| "calm".into());
                self.calm_us = Some(self.now_us);
                story::calm(self);
            }
            Event::End => (),
        }
        Ok(())
    }

    /// After calm: everybody was told, nothing is kept, and what is used is a link that works.
    fn ended(&self) -> Result<(), Broken> {
        let offices = &self.offices;
        let lives = |(place, life): (usize, u64)| {
            let office: &Office = &offices[place];
            office.life == life && office.transport.is_some()
        };
        self.law.ended(lives)?;
        for office in &self.offices {
            for (peer, channel) in &office.channels {
                let Some(transport) = &office.transport else { continue };
                let same = self.pair(*peer, office.place) == Some(channel.pair);
                let kept = transport.bytes(node(*peer));
                let links = transport.links(office.now(self.now_us), node(*peer)).unwrap_or_default();
                let uses_dead = links.iter().any(|link| link.in_use && link.dead);
                if !same || kept != Some((0, 0)) || uses_dead {
                    let place = office.place;
                    let words = format!("{place} to {peer}: same session: {same}, keeps {kept:?}, {links:?}");
                    return Err(Broken { law: "L12 healing", words });
                }
            }
        }
        Ok(())
    }

    /// Until the end, or a law is broken.
    pub fn run(&mut self) -> Result<(), Broken> {
        for _ in 0..EVENTS_MAX {
            let Some((at_us, event)) = self.plan.take() else { break };
            self.now_us = at_us;
            if matches!(event, Event::End) {
                return self.ended();
            }
            self.happens(event)?;
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
        }
        Err(Broken { law: "end", words: "the run did not come to its end".into() })
    }
}
