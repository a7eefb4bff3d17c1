//! Beats: parts in any order and number, and beats that an authentic and hostile node says to a member that listens. What
//! decodes is written back with the same meaning, and the membership bears whatever it is told.
#![no_main]

use std::sync::Arc;

use evms::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use evms::base::time::BootTime;
use evms::cluster::beat::{Beat, BeatNumber, Session};
use evms::cluster::configuration::{Configuration, Voter};
use evms::cluster::membership::Membership;
use evms::cluster::mistake::Rules;
use evms::cluster::parts::{Joining, PARTS_MAX, split};
use libfuzzer_sys::fuzz_target;

const NODES: u16 = 3;
const STEPS_MAX: usize = 64;

fuzz_target!(|input: &[u8]| {
    let mut now = BootTime { ms: 1000 };
    let incarnation = |node: u16| Incarnation([node as u8; 16]);
    let mut membership = Membership::start(configuration(), NodeId(1), incarnation(1), Rules::ALL, now);
    let (mut joining, mut counter) = (Joining::default(), 0);
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let Some((step, behind)) = rest.split_first_chunk::<4>() else { break };
        let length = usize::from(u16::from_le_bytes([step[1], step[3] & 3])).min(behind.len());
        let (bytes, after) = behind.split_at(length);
        rest = after;
        now = now.plus_ms(u64::from(step[2]) * 4);
        let node = 2 + u16::from(step[0] >> 4) % (NODES - 1);
        counter += 1;
        let said = match step[0] % 4 {
            0 => joining.take(bytes).and_then(|whole| Beat::decode(&whole)),
            1 => honest(&membership, node, counter, step[3], now),
            _ => Beat::decode(&[&[1, 1], bytes].concat()),
        };
        if let Some(beat) = said {
            meaning(&beat);
            // What stands above has seen that its sender speaks for himself.
            let beat = Beat { node: NodeId(node), incarnation: incarnation(node), ..beat };
            membership.hear(now, &Arc::new(beat));
        }
        membership.tick(now);
        let _ = membership.beat(now).map(|beat| meaning(&beat));
        let _ = membership.memory();
        let _ = membership.hearing_in_words(now);
        assert!((0..64).any(|_| membership.change().is_none()), "changes come to an end");
        let _ = membership.deadline();
    }
});

fn configuration() -> Configuration {
    let voter = |node: u16| (NodeId(node), Voter { uuid: NodeUuid([node as u8; 16]), votes: 1 });
    Configuration {
        cluster: ClusterId([7; 16]),
        generation: 1,
        nodes: (1..=NODES).map(voter).collect(),
        arbitration_disks: 0,
        timing: Default::default(),
    }
}

fn meaning(beat: &Beat) {
    let bytes = beat.encode();
    assert_eq!(Beat::decode(&bytes).as_ref(), Some(beat));
    let parts = split(7, &bytes);
    assert!(parts.len() <= PARTS_MAX);
    let mut joining = Joining::default();
    let whole = parts.iter().rev().filter_map(|part| joining.take(part)).last();
    assert!(parts.is_empty() || whole == Some(bytes));
}

/// A beat like this node's own, as another would say it: near enough for the rules behind the first ones.
fn honest(membership: &Membership, node: u16, counter: u64, how: u8, now: BootTime) -> Option<Beat> {
    let mut beat = membership.clone().beat(now.plus_ms(1000))?;
    let me = beat.incarnation;
    let number = BeatNumber { session: Session(1), counter };
    if how & 1 == 1 {
        let own = beat.rows.get(&NodeId(1)).copied()?;
        let row =
            evms::cluster::beat::Row { incarnation: Incarnation([node as u8; 16]), beat: number, ..own };
        beat.rows.insert(NodeId(node), row);
    }
    if how & 2 == 2 {
        beat.heard.insert(NodeId(1), BeatNumber { session: membership.session(), counter: u64::from(how) });
    }
    if how & 4 == 4 {
        beat.choice = (1..=NODES).map(NodeId).collect();
    }
    beat.highest = beat.highest.wrapping_add(u64::from(how >> 5));
    beat.left = how == 0xff;
    assert_eq!(me, membership.incarnation());
    Some(Beat { number, ..beat })
}
