//! Whole detectors over a network that carries bytes.

use super::*;
use crate::base::dice::Dice;
use crate::base::hash::Hash128;
use crate::base::id::{ClusterId, Incarnation, NodeUuid};
use crate::base::small_map::SmallMap;
use crate::cluster::beat::Session;
use crate::cluster::channel::{Common, Myself};
use crate::cluster::configuration::{Configuration, Voter};
use crate::cluster::keys::{ClusterKey, Purpose};
use crate::cluster::mistake::Rules;
use crate::format::greeting::VERSIONS;

fn configuration(nodes: u16) -> Configuration {
    let voter = |node| (NodeId(node), Voter { uuid: NodeUuid([node as u8; 16]), votes: 1 });
    Configuration {
        cluster: ClusterId([7; 16]),
        generation: 1,
        nodes: (1..=nodes).map(voter).collect(),
        arbitration_disks: 0,
        timing: Default::default(),
    }
}

fn detector(node: u16, nodes: u16) -> Detector {
    let configuration = configuration(nodes);
    let now = BootTime { ms: 1000 };
    let incarnation = Incarnation([100 + node as u8; 16]);
    let me =
        Myself { node: NodeId(node), machine: NodeUuid([node as u8; 16]), incarnation, session: Session(1) };
    let common = Common {
        cluster: configuration.cluster,
        machines: configuration.nodes.iter().map(|(node, voter)| (*node, voter.uuid)).collect(),
        generation: 1,
        configuration: Hash128([1; 16]),
        versions: VERSIONS,
        window_ms: configuration.timing.window_ms,
    };
    let keys = [ClusterKey::new([3; 32])];
    let channel = Channel::new(me, common, &keys, Purpose::Beats, Dice::from_number(node.into()), now);
    let membership = Membership::start(configuration, NodeId(node), incarnation, Rules::ALL, now);
    Detector::new(channel.unwrap(), membership)
}

/// Lets so many milliseconds pass; `carries(from, to, link)` says what the network does. Bytes that were sent, and the
/// largest datagram.
fn run(
    all: &mut [Detector],
    from_ms: u64,
    for_ms: u64,
    links: usize,
    carries: impl Fn(usize, usize, usize) -> bool,
) -> usize {
    let mut largest = 0;
    for ms in (from_ms..from_ms + for_ms).step_by(5) {
        let now = BootTime { ms };
        let mut sent = Vec::new();
        for (from, one) in all.iter_mut().enumerate() {
            one.membership_mut().stamp(now);
            one.tick(now);
            one.beat(now, |_| true);
            while let Some(outgoing) = one.outgoing(now) {
                sent.push((from, outgoing));
            }
        }
        for (from, outgoing) in sent {
            let (only, datagram) = match outgoing {
                Outgoing::ToAll(datagram) => (None, datagram),
                Outgoing::ToOne(node, datagram) => (Some(node), datagram),
            };
            largest = largest.max(datagram.len());
            for (to, one) in all.iter_mut().enumerate() {
                let meant = only.is_none_or(|node| usize::from(node.0) == to + 1);
                for link in 0..links {
                    if to != from && meant && carries(from, to, link) {
                        let _ = one.hear(now, link, &datagram);
                    }
                }
            }
        }
    }
    largest
}

fn view_of(one: &Detector) -> Option<String> {
    one.membership().view().map(ToString::to_string)
}

#[test]
fn five_find_each_other_and_are_quorate() {
    let mut all = (1..=5).map(|node| detector(node, 5)).collect::<Vec<_>>();
    run(&mut all, 1000, 8000, 1, |_, _, _| true);
    let now = BootTime { ms: 9000 };
    for one in &all {
        assert_eq!(one.membership().view().map(|view| view.nodes().len()), Some(5));
        assert_eq!(view_of(one), view_of(&all[0]));
        assert!(one.membership().quorate(now).is_some());
        assert_eq!(one.channel().counts().bad_seal, 0);
    }
}

/// Safety 1.3: nothing of a beat goes out before what it promises is kept, and nothing at all when that fails. What is kept
/// is what the next daemon has to know after that very beat.
#[test]
fn what_a_beat_promises_is_kept_before_it_is_sent() {
    let mut all = (1..=3).map(|node| detector(node, 3)).collect::<Vec<_>>();
    run(&mut all, 1000, 8000, 1, |_, _, _| true);
    let mut now = BootTime { ms: 9000 };
    let one = &mut all[0];
    let said = |one: &mut Detector, now| {
        std::iter::from_fn(|| one.outgoing(now)).filter(|out| matches!(out, Outgoing::ToAll(_))).count()
    };
    for (keeps, wanted) in [(true, 1), (false, 0), (true, 1), (false, 0)] {
        now = one.deadline().max(now);
        one.membership_mut().stamp(now);
        one.tick(now);
        assert_eq!(said(one, now), 0, "a beat is made when it is due, and not before");
        let mut kept = None;
        let sent = one.beat(now, |membership| {
            kept = Some(membership.memory());
            keeps
        });
        assert_eq!((sent, said(one, now)), (keeps, wanted));
        assert_eq!(kept.as_ref(), Some(&one.membership().memory()), "asked with the promises of this beat");
        assert!(
            kept.is_some_and(|kept| kept.promises.wait_for(&empty_view()) > now),
            "it promises something"
        );
    }
}

fn empty_view() -> crate::cluster::view::View {
    crate::cluster::view::View { number: Default::default(), members: SmallMap::new() }
}

/// F13: one of two links is lost. No view changes, and each node tells which link it is.
#[test]
fn f13_a_lost_link_of_two_changes_no_view() {
    let mut all = (1..=3).map(|node| detector(node, 3)).collect::<Vec<_>>();
    run(&mut all, 1000, 8000, 2, |_, _, _| true);
    let before = view_of(&all[0]);
    assert!(before.is_some());
    run(&mut all, 9000, 5000, 2, |_, _, link| link != 1);
    let now = BootTime { ms: 14_000 };
    for one in &all {
        assert_eq!(view_of(one), before);
        let other = if one.membership().view().is_some_and(|_| one.links(NodeId(1))[0].heard.is_some()) {
            1
        } else {
            2
        };
        let links = one.links(NodeId(other));
        assert!(links[0].is_up(now, 1000) && !links[1].is_up(now, 1000), "{links:?}");
    }
}

/// Beats of many go in parts, none larger than every path carries.
#[test]
fn forty_nodes_fit_their_beats_into_small_datagrams() {
    let mut all = (1..=40).map(|node| detector(node, 40)).collect::<Vec<_>>();
    let largest = run(&mut all, 1000, 4000, 1, |_, _, _| true);
    assert!(largest <= crate::format::frame::DATAGRAM_BYTES, "{largest}");
    for one in &all {
        assert_eq!(one.membership().view().map(|view| view.nodes().len()), Some(40));
    }
}

/// The longest beat that there can be: 64 nodes, a view of all of them proposed, all numbers large.
#[test]
fn the_longest_beat_fits_its_parts() {
    use crate::cluster::beat::{BeatNumber, Row};
    use crate::cluster::node_set::NodeSet;
    use crate::cluster::view::{Stage, View, ViewNumber};
    let nodes = || (1..=64).map(NodeId);
    let incarnation = Incarnation([0xff; 16]);
    let number = BeatNumber { session: Session(u64::MAX), counter: u64::MAX };
    let view = ViewNumber { counter: u64::MAX, proposer: NodeId(64), boot: u32::MAX };
    let all = nodes().collect::<NodeSet>();
    let row = Row { incarnation, beat: number, hears: all, view, members: all };
    let beat = Beat {
        generation: u64::MAX,
        highest: u64::MAX,
        promised: view,
        stage: Some(Stage::Installed),
        choice: all,
        proposal: Some(View { number: view, members: nodes().map(|node| (node, incarnation)).collect() }),
        rows: nodes().map(|node| (node, row)).collect(),
        heard: nodes().map(|node| (node, number)).collect(),
        grants: true,
        left: true,
        ..Beat::unknown(NodeId(64), incarnation, number)
    };
    let parts = split(1, &beat.encode());
    assert!((1..=crate::cluster::parts::PARTS_MAX).contains(&parts.len()), "{}", parts.len());
    let mut joining = Joining::default();
    let joined = parts.iter().filter_map(|part| joining.take(part)).next();
    assert_eq!(joined.and_then(|bytes| Beat::decode(&bytes)), Some(beat));
}
