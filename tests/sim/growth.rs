//! What a cluster of so many nodes costs each of them, when nothing happens: whole detectors, sealing and opening included,
//! over a network without faults, in virtual time; the processor's time is real.

use std::collections::VecDeque;

use evms::base::dice::Dice;
use evms::base::hash::Hash128;
use evms::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use evms::base::time::BootTime;
use evms::cluster::beat::Session;
use evms::cluster::channel::{Channel, Common, Myself};
use evms::cluster::configuration::{Configuration, Voter};
use evms::cluster::detector::{Detector, Outgoing};
use evms::cluster::keys::{ClusterKey, Purpose};
use evms::cluster::membership::Membership;
use evms::cluster::mistake::Rules;
use evms::format::greeting::VERSIONS;

const SIZES: [usize; 5] = [2, 8, 16, 32, 64];
/// Seconds until all are expected to be of one view, and then those that are counted.
const SETTLE_SECONDS: u64 = 15;
const COUNTED_SECONDS: u64 = 10;
/// IP and UDP in front of each datagram.
const HEADERS_BYTES: u64 = 28;
const LINKS: u64 = 1;
const BEATS_PER_SECOND: f64 = 10.0;

struct Node {
    detector: Detector,
    mail: VecDeque<(BootTime, std::rc::Rc<Vec<u8>>)>,
}

#[derive(Clone, Copy, Default)]
struct Cost {
    packets: u64,
    bytes: u64,
    core_us: u64,
}

fn node(id: usize, configuration: &Configuration, now: BootTime) -> Node {
    let voter = configuration.nodes.get(&number(id)).unwrap();
    let incarnation = Incarnation([id as u8; 16]);
    let me = Myself { node: number(id), machine: voter.uuid, incarnation, session: Session(1) };
    let common = Common {
        cluster: configuration.cluster,
        machines: configuration.nodes.iter().map(|(node, voter)| (*node, voter.uuid)).collect(),
        generation: configuration.generation,
        configuration: Hash128::of(&[b"growth"]),
        versions: VERSIONS,
        window_ms: configuration.timing.window_ms,
    };
    let (keys, dice) = ([ClusterKey::new([3; 32])], Dice::from_number(id as u64));
    let channel = Channel::new(me.clone(), common, &keys, Purpose::Beats, dice, now).unwrap();
    let membership = Membership::start(configuration.clone(), me.node, incarnation, Rules::ALL, now);
    Node { detector: Detector::new(channel, membership), mail: VecDeque::new() }
}

fn number(id: usize) -> NodeId {
    NodeId(id as u16)
}

/// One turn of a node's thread at most; what it sends: to one place or to all.
fn turn(node: &mut Node, now: BootTime) -> Vec<Outgoing> {
    while node.mail.front().is_some_and(|(at, _)| *at <= now) {
        let Some((_, datagram)) = node.mail.pop_front() else { break };
        let _ = node.detector.hear(now, 0, &datagram);
    }
    node.detector.membership_mut().stamp(now);
    node.detector.tick(now);
    node.detector.beat(now, |_| true);
    while node.detector.membership_mut().change().is_some() {}
    std::iter::from_fn(|| node.detector.outgoing(now)).collect()
}

fn run(nodes: &mut [Node], from_ms: u64, for_ms: u64) -> Cost {
    let mut cost = Cost::default();
    for ms in from_ms..from_ms + for_ms {
        let now = BootTime { ms };
        for place in 0..nodes.len() {
            let mail = nodes[place].mail.front().is_some_and(|(at, _)| *at <= now);
            if !mail && nodes[place].detector.deadline() > now {
                continue;
            }
            let begin = crate::core_us();
            let sent = turn(&mut nodes[place], now);
            cost.core_us += crate::core_us() - begin;
            for outgoing in sent {
                let (to, datagram) = match outgoing {
                    Outgoing::ToAll(datagram) => ((0..nodes.len()).collect(), datagram),
                    Outgoing::ToOne(node, datagram) => (vec![usize::from(node.0) - 1], datagram),
                };
                let datagram = std::rc::Rc::new(datagram);
                for to in to.into_iter().filter(|to| *to != place) {
                    cost.packets += LINKS;
                    cost.bytes += LINKS * (datagram.len() as u64 + HEADERS_BYTES);
                    nodes[to].mail.push_back((now.plus_ms(1), std::rc::Rc::clone(&datagram)));
                }
            }
        }
    }
    cost
}

/// The table.
pub fn print() {
    println!("a node of a quiet cluster, on one link, each second; the detector alone, without system calls");
    println!("nodes  packets sent  kB sent  kB of a beat  core, ms  % of a core");
    for count in SIZES {
        let voter = |id: usize| (number(id), Voter { uuid: NodeUuid([id as u8; 16]), votes: 1 });
        let configuration = Configuration {
            cluster: ClusterId([7; 16]),
            generation: 1,
            nodes: (1..=count).map(voter).collect(),
            arbitration_disks: 0,
            timing: Default::default(),
        };
        // Machines do not start in step.
        let start = |id| node(id, &configuration, BootTime { ms: 1000 + id as u64 });
        let mut nodes = (1..=count).map(start).collect::<Vec<_>>();
        run(&mut nodes, 1100, SETTLE_SECONDS * 1000);
        for node in &nodes {
            let members = node.detector.membership().view().map(|view| view.members.len());
            assert_eq!(members, Some(count), "one view of all");
        }
        let cost = run(&mut nodes, 1100 + SETTLE_SECONDS * 1000, COUNTED_SECONDS * 1000);
        let each = |all: u64| all as f64 / COUNTED_SECONDS as f64 / count as f64;
        let (packets, kilobytes) = (each(cost.packets), each(cost.bytes) / 1e3);
        let core_ms = each(cost.core_us) / 1e3;
        println!(
            "{count:>5}  {packets:>12.0}  {kilobytes:>7.1}  {:>12.2}  {core_ms:>8.2}  {:>11.2}",
            kilobytes / (count - 1) as f64 / LINKS as f64 / BEATS_PER_SECOND,
            core_ms / 10.0
        );
    }
}
