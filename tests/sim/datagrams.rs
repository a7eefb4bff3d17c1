//! The third world: datagrams. The product's own sealed channels between daemons that end and begin anew, over a network that
//! loses, doubles and delays, with somebody on the path who keeps what was said and says it again. The law is safety 1.8:
//! nothing is believed twice, and nobody is known by what was captured; in the end all know each other.

use std::collections::{BTreeMap, BTreeSet};

use evms::base::dice::Dice;
use evms::base::hash::Hash128;
use evms::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use evms::base::time::BootTime;
use evms::cluster::beat::Session;
use evms::cluster::channel::{Channel, Common, Heard, Myself};
use evms::cluster::keys::{ClusterKey, Purpose};
use evms::cluster::mistake::{Mistake, Rules};
use evms::format::greeting::VERSIONS;

use crate::chance::Chance;
use crate::laws::Broken;
use crate::{Sum, core_us};

pub const TABLE: &[(Mistake, &str)] = &[
    (Mistake::ReplayWindowDropped, "what was taken before is taken again"),
    (Mistake::ChallengeNotAsked, "a greeting is believed that answers nothing"),
];

const LAW: &str = "safety 1.8";
const STEP_MS: u64 = 10;
const BEAT_MS: u64 = 100;
const WINDOW_MS: u64 = 1000;
/// Until then everything happens; then all is well.
const STORM_MS: u64 = 20_000;
const END_MS: u64 = 26_000;
/// The longest that the network itself keeps a datagram.
const DELAY_MS_MAX: u64 = 400;
/// What whoever listens keeps.
const CAPTURED_MAX: usize = 300;

/// A life of a daemon.
struct Life {
    channel: Channel,
    incarnation: Incarnation,
    session: Session,
    /// What it believed, by its number among all that was ever said.
    believed: BTreeSet<u64>,
    began_ms: u64,
    /// When it last came to know a life of each node: what it asks since then was not asked before.
    asked_ms: BTreeMap<NodeId, u64>,
}

struct World {
    chance: Chance,
    rules: Rules,
    now_ms: u64,
    lives: Vec<Life>,
    /// When a life ended.
    ended: BTreeMap<(usize, Session), u64>,
    said: u64,
    /// By when it arrives, and in which order it was sent.
    under_way: BTreeMap<(u64, u64), (usize, Vec<u8>)>,
    sent: u64,
    captured: Vec<(usize, Vec<u8>)>,
    lost_per_mille: u64,
    believed: u64,
}

fn id(place: usize) -> NodeId {
    NodeId(place as u16 + 1)
}

fn common(nodes: usize) -> Common {
    Common {
        cluster: ClusterId([7; 16]),
        machines: (0..nodes).map(|place| (id(place), NodeUuid([place as u8 + 1; 16]))).collect(),
        generation: 1,
        configuration: Hash128([1; 16]),
        versions: VERSIONS,
        window_ms: WINDOW_MS,
    }
}

impl World {
    fn new(seed: u64, rules: Rules) -> World {
        let mut chance = Chance::new(seed ^ 0xda7a);
        let nodes = chance.between(2, 5) as usize;
        let lost_per_mille = chance.below(300);
        let mut world = World {
            chance,
            rules,
            now_ms: 1000,
            lives: Vec::new(),
            ended: BTreeMap::new(),
            said: 0,
            under_way: BTreeMap::new(),
            sent: 0,
            captured: Vec::new(),
            lost_per_mille,
            believed: 0,
        };
        for place in 0..nodes {
            let life = world.life(nodes, place, Incarnation([place as u8 + 1; 16]), Session(1));
            world.lives.push(life);
        }
        world
    }

    fn now(&self) -> BootTime {
        BootTime { ms: self.now_ms }
    }

    fn life(&mut self, nodes: usize, place: usize, incarnation: Incarnation, session: Session) -> Life {
        let me = Myself { node: id(place), machine: NodeUuid([place as u8 + 1; 16]), incarnation, session };
        let (dice, key) = (Dice::from_number(self.chance.number()), ClusterKey::new([5; 32]));
        let channel = Channel::new(me, common(nodes), &[key], Purpose::Beats, dice, self.now());
        let channel = channel.expect("there is a key").by(self.rules);
        Life {
            channel,
            incarnation,
            session,
            believed: BTreeSet::new(),
            began_ms: self.now_ms,
            asked_ms: BTreeMap::new(),
        }
    }

    /// The daemon begins anew, in this boot of its machine or another.
    fn restart(&mut self, place: usize) {
        let (incarnation, session) = (self.lives[place].incarnation, self.lives[place].session);
        self.ended.insert((place, session), self.now_ms);
        let mut boot = incarnation.0;
        if self.chance.per_mille(500) {
            boot[8..].copy_from_slice(&self.chance.number().to_le_bytes());
        }
        let nodes = self.lives.len();
        self.lives[place] = self.life(nodes, place, Incarnation(boot), Session(session.0 + 1));
    }

    fn send(&mut self, to: usize, datagram: Vec<u8>) {
        let storm = self.now_ms < STORM_MS;
        if self.captured.len() < CAPTURED_MAX {
            self.captured.push((to, datagram.clone()));
        } else {
            let place = self.chance.below(CAPTURED_MAX as u64) as usize;
            self.captured[place] = (to, datagram.clone());
        }
        let times = match () {
            () if storm && self.chance.per_mille(self.lost_per_mille) => 0,
            () if storm && self.chance.per_mille(100) => 2,
            () => 1,
        };
        for _ in 0..times {
            let delay_ms = if storm { self.chance.between(1, DELAY_MS_MAX) } else { 1 };
            self.sent += 1;
            self.under_way.insert((self.now_ms + delay_ms, self.sent), (to, datagram.clone()));
        }
    }

    fn speak(&mut self, place: usize) {
        while let Some((to, greeting)) = self.lives[place].channel.greeting(BootTime { ms: self.now_ms }) {
            self.send(usize::from(to.0) - 1, greeting);
        }
        if !self.now_ms.is_multiple_of(BEAT_MS) {
            return;
        }
        let others = (0..self.lives.len()).filter(|other| *other != place).collect::<Vec<_>>();
        self.said += 1;
        if let Some(datagram) = self.lives[place].channel.to_all(&self.said.to_le_bytes()) {
            others.iter().for_each(|to| self.send(*to, datagram.clone()));
        }
        for to in others {
            self.said += 1;
            if let Some((_, datagram)) = self.lives[place].channel.to_one(id(to), &self.said.to_le_bytes()) {
                self.send(to, datagram);
            }
        }
    }

    fn hear(&mut self, to: usize, datagram: &[u8]) -> Result<(), Broken> {
        let now = self.now();
        let life = &mut self.lives[to];
        match life.channel.hear(now, datagram) {
            Ok(Heard::ToAll(_, _, payload) | Heard::ToOne(_, _, payload)) => {
                let number = payload.as_slice().try_into().map_or(0, u64::from_le_bytes);
                self.believed += 1;
                if !life.believed.insert(number) {
                    let words = format!("node {} believes word {number} twice", id(to));
                    return Err(Broken { law: LAW, words });
                }
            }
            Ok(Heard::Greeting(node, true)) => {
                let session = life.channel.session(node).map(|session| session.session).unwrap_or_default();
                let ended = self.ended.get(&(usize::from(node.0) - 1, session));
                // An answer may come as late as somebody likes, but it is to what was asked of a life that lived.
                let asked_ms = life.asked_ms.insert(node, self.now_ms).unwrap_or(life.began_ms);
                if let Some(ms) = ended.filter(|ms| **ms < asked_ms) {
                    let words = format!(
                        "node {} knows life {} of node {node}, which ended {} ms before it was asked",
                        id(to),
                        session.0,
                        asked_ms - ms
                    );
                    return Err(Broken { law: LAW, words });
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), Broken> {
        self.now_ms += STEP_MS;
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now_ms) {
            let (to, datagram) = entry.remove();
            self.hear(to, &datagram)?;
        }
        let storm = self.now_ms < STORM_MS;
        if storm && self.chance.per_mille(300) && !self.captured.is_empty() {
            let place = self.chance.below(self.captured.len() as u64) as usize;
            let (to, datagram) = self.captured[place].clone();
            self.hear(to, &datagram)?;
        }
        for place in 0..self.lives.len() {
            if storm && self.chance.per_mille(1) {
                self.restart(place);
            }
            self.speak(place);
        }
        Ok(())
    }

    fn run(&mut self) -> Result<(), Broken> {
        while self.now_ms < END_MS {
            self.step()?;
        }
        for (place, life) in self.lives.iter().enumerate() {
            let known = life.channel.known();
            let stranger = (0..self.lives.len()).find(|other| *other != place && !known.has(id(*other)));
            if let Some(other) = stranger {
                let words = format!("node {} does not know node {} in the end", id(place), id(other));
                return Err(Broken { law: LAW, words });
            }
        }
        Ok(())
    }
}

/// One run, and of how many nodes it was.
pub fn run(seed: u64, rules: Rules) -> Result<(usize, Sum), Broken> {
    let begin = core_us();
    let mut world = World::new(seed, rules);
    world.run()?;
    let sum = Sum { runs: 1, virtual_us: END_MS * 1000, counted: world.believed, core_us: core_us() - begin };
    Ok((world.lives.len(), sum))
}

/// One run, in a line; was it clean?
pub fn replay(seed: u64, rules: Rules) -> bool {
    let mut world = World::new(seed, rules);
    let ended = world.run();
    println!("seed {seed} of datagrams: {} nodes, {} ms: {ended:?}", world.lives.len(), world.now_ms);
    ended.is_ok()
}
