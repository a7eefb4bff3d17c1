//! Memory that stays flat under a million changes of the view (L3 of the invariants): one cluster, whole detectors, messages
//! and chronicles of it, in virtual time. One node leaves and comes back for ever, now and then as another boot; what is
//! counted and looked at is the others, which go on through all of it. This world keeps nothing of what happened.

use std::collections::VecDeque;
use std::rc::Rc;

use evms::base::dice::Dice;
use evms::base::hash::Hash128;
use evms::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use evms::base::name::Name;
use evms::base::time::{BootMicros, BootTime, WallTime};
use evms::cluster::channel::{Channel, Common, Myself};
use evms::cluster::chronicle::Chronicle;
use evms::cluster::configuration::{Configuration, Voter};
use evms::cluster::detector::{Detector, Outgoing};
use evms::cluster::keys::{ClusterKey, Purpose};
use evms::cluster::membership::{Change, Kept, Membership, Memory};
use evms::cluster::mistake::Rules;
use evms::cluster::roster::{Member, Roster};
use evms::cluster::timing::Timing;
use evms::engine::manager::{ClusterManager, Told};
use evms::engine::post::Post;
use evms::format::greeting::VERSIONS;

const NODES: u16 = 3;
/// Who comes and goes.
const GUEST: usize = 2;
/// Changes after which memory is looked at first, and at the end of a whole run.
const FIRST: u64 = 10_000;
pub const ALL: u64 = 1_000_000;
/// The issue: how much more there may be at the end.
const GROWTH_MAX: f64 = 1.05;
/// Of so many comings one is that of another boot, whose daemon before died without a word.
const DEATHS: u64 = 64;
/// Windows after such a one until it is forgiven (F7): else every coming would be waited for sixteen windows.
const FORGIVEN_WINDOWS: u64 = 31;
/// Milliseconds in which every change has to come to count: a silence, its window, and the damping of F7.
const PATIENCE_MS: u64 = 60_000;
/// Bytes of the message that each coming is greeted with: two packets.
const LETTER_BYTES: usize = 2000;

/// As short as may be: what is measured is what stays of a change, not how long it takes.
const TIMING: Timing = Timing {
    beat_ms: 50,
    window_ms: 200,
    lease_ms: 250,
    drift_ppm: 0,
    settle_ms: 10,
    disk_beat_ms: 1000,
    disk_lease_ms: 5000,
    watchdog_ms: 0,
    drain_ms: 0,
    progress_ms: 2000,
    propose_ms: 200,
};

/// On its way: when it arrives, is it a message, and its bytes.
type Mail = (BootTime, bool, Rc<Vec<u8>>);

struct Node {
    detector: Detector,
    post: Post,
    chronicle: Chronicle,
    mail: VecDeque<Mail>,
}

struct World {
    now: BootTime,
    roster: Roster,
    /// Nothing of one whose daemon does not run.
    nodes: Vec<Option<Node>>,
    /// Of all daemons that ever were: dice and boots follow from it.
    lives: u64,
    /// Views that came to count on the first node.
    views: u64,
    letters: u64,
}

fn roster() -> Roster {
    let voter = |id: u16| (NodeId(id), Voter { uuid: NodeUuid([id as u8; 16]), votes: 1 });
    let name = |name: String| Name::parse(&name).unwrap();
    let member =
        |id: u16| (NodeId(id), Member { name: name(format!("n{id}")), links: Vec::new(), joining: 0 });
    let configuration = Configuration {
        cluster: ClusterId([7; 16]),
        generation: 1,
        nodes: (1..=NODES).map(voter).collect(),
        arbitration_disks: 0,
        timing: TIMING,
    };
    let members = (1..=NODES).map(member).collect();
    Roster {
        name: name("views".into()),
        port: 1,
        highest: 0,
        strict: false,
        arbitration: Vec::new(),
        members,
        configuration,
    }
}

fn micros(now: BootTime) -> BootMicros {
    BootMicros { us: now.ms * 1000 }
}

impl World {
    fn new() -> World {
        let mut world = World {
            now: BootTime { ms: 1000 },
            roster: roster(),
            nodes: (0..NODES).map(|_| None).collect(),
            lives: 0,
            views: 0,
            letters: 0,
        };
        for place in 0..world.nodes.len() {
            world.start(place, None);
        }
        world.until(|world| world.members(0) == usize::from(NODES));
        world
    }

    fn members(&self, place: usize) -> usize {
        let view = self.nodes[place].as_ref().and_then(|node| node.detector.membership().view());
        view.map_or(0, |view| view.members.len())
    }

    /// A daemon, with what the one before it left in this boot.
    fn start(&mut self, place: usize, left: Option<Memory>) {
        self.lives += 1;
        let (me, configuration) = (NodeId(place as u16 + 1), self.roster.configuration.clone());
        let mut dice = Dice::from_number(self.lives);
        let membership = match left {
            Some(memory) => Membership::resume(configuration, me, memory, Rules::ALL, self.now),
            None => {
                Membership::start(configuration, me, Incarnation::random(&mut dice), Rules::ALL, self.now)
            }
        };
        let channel = |purpose, seed| self.channel(&membership, purpose, Dice::from_number(seed));
        let (beats, letters) =
            (channel(Purpose::Beats, self.lives << 1), channel(Purpose::Letters, self.lives << 1 | 1));
        let names = self.roster.members.iter().map(|(node, member)| (*node, member.name.clone())).collect();
        self.nodes[place] = Some(Node {
            detector: Detector::new(beats, membership),
            post: Post::new(me, names, 1, letters),
            chronicle: Chronicle::default(),
            mail: VecDeque::new(),
        });
    }

    fn channel(&self, membership: &Membership, purpose: Purpose, dice: Dice) -> Channel {
        let voters = &self.roster.configuration.nodes;
        let me = Myself {
            node: membership.node(),
            machine: voters.get(&membership.node()).unwrap().uuid,
            incarnation: membership.incarnation(),
            session: membership.session(),
        };
        let common = Common {
            cluster: self.roster.configuration.cluster,
            machines: voters.iter().map(|(node, voter)| (*node, voter.uuid)).collect(),
            generation: 1,
            configuration: Hash128::of(&[b"views"]),
            versions: VERSIONS,
            window_ms: TIMING.window_ms,
        };
        Channel::new(me, common, &[ClusterKey::new([3; 32])], purpose, dice, self.now).unwrap()
    }

    fn until(&mut self, is_so: impl Fn(&World) -> bool) {
        let begin = self.now;
        while !is_so(self) {
            self.now = self.now.plus_ms(1);
            (0..self.nodes.len()).for_each(|place| self.turn(place));
            assert!(self.now.ms - begin.ms < PATIENCE_MS, "view {} does not come", self.views + 1);
        }
    }

    /// One turn of a node's two threads, if there is something to be done.
    fn turn(&mut self, place: usize) {
        let (now, cluster) = (self.now, self.roster.configuration.cluster);
        let Some(node) = self.nodes[place].as_mut() else { return };
        let mail = node.mail.front().is_some_and(|(at, ..)| *at <= now);
        if !mail && node.detector.deadline() > now && node.post.deadline() > micros(now) {
            return;
        }
        while node.mail.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, is_letter, bytes)) = node.mail.pop_front() else { break };
            if is_letter {
                let _ = node.post.hear(micros(now), 0, &bytes);
            } else {
                let _ = node.detector.hear(now, 0, &bytes);
            }
        }
        node.detector.membership_mut().stamp(now);
        node.detector.tick(now);
        node.detector.beat(now, |membership| {
            let kept = Kept { cluster, node: membership.node(), memory: membership.memory() };
            !kept.encode().is_empty()
        });
        self.letters += std::iter::from_fn(|| node.post.told()).filter(is_message).count() as u64;
        let came = installed(node, now, &self.roster);
        self.views += if place == 0 { came } else { 0 };
        self.send(place);
    }

    fn send(&mut self, place: usize) {
        let now = self.now;
        let Some(node) = self.nodes[place].as_mut() else { return };
        let mut sent = Vec::new();
        while let Some(outgoing) = node.detector.outgoing(now) {
            sent.push(match outgoing {
                Outgoing::ToAll(bytes) => (None, false, Rc::new(bytes)),
                Outgoing::ToOne(to, bytes) => (Some(to), false, Rc::new(bytes)),
            });
        }
        while let Some(datagram) = node.post.outgoing(micros(now)) {
            sent.push((Some(datagram.node), true, Rc::new(datagram.bytes)));
        }
        for (only, is_letter, bytes) in sent {
            for (to, node) in self.nodes.iter_mut().enumerate().filter(|(to, _)| *to != place) {
                let meant = only.is_none_or(|only| usize::from(only.0) == to + 1);
                if let Some(node) = node.as_mut().filter(|_| meant) {
                    node.mail.push_back((now.plus_ms(1), is_letter, Rc::clone(&bytes)));
                }
            }
        }
    }

    /// The guest goes, and comes back: two changes of the view, and a message in the second.
    fn round(&mut self, number: u64) {
        let dies = number.is_multiple_of(DEATHS);
        let guest = self.nodes[GUEST].as_mut().unwrap();
        if dies {
            self.nodes[GUEST] = None;
        } else {
            guest.detector.membership_mut().leave();
        }
        self.until(|world| world.members(0) == GUEST && world.members(1) == GUEST);
        let left = self.nodes[GUEST].take().map(|node| node.detector.membership().memory());
        self.start(GUEST, left);
        self.until(|world| (0..=GUEST).all(|place| world.members(place) == usize::from(NODES)));
        let (letters, host) = (self.letters, self.nodes[0].as_mut().unwrap());
        host.post.send(NodeId(GUEST as u16 + 1), vec![0; LETTER_BYTES]).unwrap();
        self.until(|world| world.letters > letters);
        if dies {
            let calm = self.now.plus_ms(FORGIVEN_WINDOWS * TIMING.window_ms);
            self.until(|world| world.now >= calm);
        }
    }

    fn run(&mut self, views: u64) {
        let mut number = 0;
        while self.views < views {
            number += 1;
            self.round(number);
        }
    }
}

fn is_message(told: &Told) -> bool {
    matches!(told, Told::Message(..))
}

/// Takes note of what changed; views that came to count.
fn installed(node: &mut Node, now: BootTime, roster: &Roster) -> u64 {
    let mut came = 0;
    while let Some(change) = node.detector.membership_mut().change() {
        if let Change::Installed(view) = change {
            came += 1;
            node.chronicle.note((now, WallTime::default()), &view, node.detector.membership(), roster);
            node.post.view(micros(now), Some(&view), true);
        }
    }
    came
}

/// KiB that this process has resident.
fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs through so many changes; was memory flat?
pub fn measure(views: u64) -> bool {
    let begin = crate::core_us();
    let mut world = World::new();
    world.run(FIRST);
    let first = resident_kib();
    println!("{FIRST} views of {NODES} nodes: {first} KiB resident");
    world.run(views);
    let (last, core_s) = (resident_kib(), (crate::core_us() - begin) / 1_000_000);
    let ratio = last as f64 / first as f64;
    println!(
        "{} views, {} daemons, {} messages, {} virtual seconds: {last} KiB resident, {ratio:.3} of that; {GROWTH_MAX} may be; \
         {core_s} s of a core",
        world.views,
        world.lives,
        world.letters,
        world.now.ms / 1000
    );
    ratio <= GROWTH_MAX
}
