//! Two transports over a path without faults, or with one: what the simulator's laws do not say, because it is about how soon
//! and with how many packets.

use std::collections::BTreeMap;

use super::*;
use crate::cluster::transport::limits::{
    EARLY_PIECES_MAX, PAYLOAD_BYTES_BASE, PAYLOAD_BYTES_TRIED, QUEUE_MESSAGES_MAX, RECEIVED_BYTES_MAX,
};

const ONE: NodeId = NodeId(1);
const OTHER: NodeId = NodeId(2);
const WAY_US: u64 = 50;

struct Path {
    now: BootMicros,
    ends: [Transport; 2],
    numbers: [u64; 2],
    /// What is under way: when it arrives, at which end, and the packet.
    under_way: BTreeMap<(u64, u64), (usize, Outgoing)>,
    sent: u64,
    /// Links that carry nothing, and the largest payload that links carry.
    dead: Vec<usize>,
    payload_max: usize,
    events: [Vec<Event>; 2],
    /// Payload bytes of packets that arrived, by end.
    arrived: [Vec<usize>; 2],
}

impl Path {
    fn new(links: usize) -> Path {
        let mut path = Path {
            now: BootMicros { us: 1_000_000 },
            ends: [Transport::new(Rules::ALL), Transport::new(Rules::ALL)],
            numbers: [0; 2],
            under_way: BTreeMap::new(),
            sent: 0,
            dead: Vec::new(),
            payload_max: 1424,
            events: [Vec::new(), Vec::new()],
            arrived: [Vec::new(), Vec::new()],
        };
        path.ends[0].peer_up(path.now, OTHER, links);
        path.ends[1].peer_up(path.now, ONE, links);
        path
    }

    fn send_all(&mut self) {
        for end in 0..2 {
            while let Some(out) = self.ends[end].poll(self.now, |_| {
                self.numbers[end] += 1;
                self.numbers[end]
            }) {
                if !self.dead.contains(&out.link) && out.payload.len() <= self.payload_max {
                    self.sent += 1;
                    self.under_way.insert((self.now.us + WAY_US, self.sent), (1 - end, out));
                }
            }
            assert!(self.ends[end].deadline() > self.now, "it would be asked again and again");
        }
    }

    fn run(&mut self, us: u64) {
        let end = self.now.us + us;
        loop {
            self.send_all();
            let arrives = self.under_way.keys().next().map_or(u64::MAX, |(at, _)| *at);
            let alarm = self.ends.iter().map(|end| end.deadline().us).min().unwrap_or(u64::MAX);
            let next = arrives.min(alarm);
            if next > end {
                self.now.us = end;
                self.hear_events();
                return;
            }
            self.now.us = next;
            while self.under_way.keys().next().is_some_and(|(at, _)| *at <= next) {
                let Some((_, (to, out))) = self.under_way.pop_first() else { break };
                self.arrived[to].push(out.payload.len());
                let from = [ONE, OTHER][1 - to];
                self.ends[to].receive(self.now, from, out.link, out.number, &out.payload);
            }
            self.hear_events();
        }
    }

    fn hear_events(&mut self) {
        for end in 0..2 {
            let events = std::iter::from_fn(|| self.ends[end].event());
            self.events[end].extend(events);
        }
    }
}

#[test]
fn a_short_message_is_one_packet_each_way() {
    let mut path = Path::new(1);
    path.payload_max = 9000;
    path.run(1_200_000);
    path.arrived = [Vec::new(), Vec::new()];
    path.ends[0].send(OTHER, vec![7; 64]).unwrap();
    path.run(WAY_US);
    assert_eq!(path.ends[1].take(path.now, ONE), Some(vec![7; 64]));
    path.ends[1].send(ONE, vec![8; 64]).unwrap();
    path.run(WAY_US);
    assert_eq!(path.ends[0].take(path.now, OTHER), Some(vec![8; 64]));
    // The answer carries the acknowledgement and that the question was taken.
    assert_eq!(path.arrived, [vec![16 + 17 + 11 + 4 + 64], vec![11 + 4 + 64]]);
    assert_eq!(path.events[0], [Event::Delivered(OTHER, MessageId(1)), Event::Arrived(OTHER)]);
}

#[test]
fn short_messages_travel_together_and_nothing_waits_for_a_timer() {
    let mut path = Path::new(1);
    path.run(1_200_000);
    path.arrived = [Vec::new(), Vec::new()];
    for number in 0..100 {
        path.ends[0].send(OTHER, vec![number; 100]).unwrap();
    }
    path.run(WAY_US);
    let taken: Vec<_> = std::iter::from_fn(|| path.ends[1].take(path.now, ONE)).collect();
    assert_eq!(taken, (0..100).map(|number| vec![number; 100]).collect::<Vec<_>>());
    // Of 1424 bytes: the larger sizes that were tried did not pass.
    let packets = (100_usize * 104).div_ceil(PAYLOAD_BYTES_TRIED[1] - 11);
    assert_eq!(path.arrived[1].len(), packets);
    path.run(20_000);
    assert_eq!(path.events[0].len(), 100);
    assert_eq!(path.ends[0].bytes(OTHER), Some((0, 0)));
}

#[test]
fn delivered_means_taken() {
    let mut path = Path::new(2);
    let id = path.ends[0].send(OTHER, vec![1; 100_000]).unwrap();
    path.run(5_000_000);
    assert_eq!(path.events, [vec![], vec![Event::Arrived(ONE)]]);
    assert_eq!(path.ends[1].take(path.now, ONE).map(|message| message.len()), Some(100_000));
    path.run(20_000);
    assert_eq!(path.events[0], [Event::Delivered(OTHER, id)]);
    let other = path.ends[0].send(OTHER, vec![]).unwrap();
    path.ends[0].peer_down(OTHER, Ended::LeftView);
    path.run(1000);
    assert_eq!(path.events[0].last(), Some(&Event::Failed(OTHER, other, Ended::LeftView)));
    assert_eq!(path.ends[0].send(OTHER, vec![]), Err(SendError::NotAPeer(OTHER)));
}

#[test]
fn packets_grow_to_what_the_path_carries_and_a_black_hole_stops_nothing() {
    let mut path = Path::new(1);
    path.payload_max = 8904;
    path.run(1_000_000);
    let payload = |path: &Path| path.ends[0].links(path.now, OTHER).unwrap()[0].payload_bytes;
    assert_eq!(payload(&path), 8904);
    path.payload_max = PAYLOAD_BYTES_BASE;
    path.ends[0].send(OTHER, vec![1; 1 << 20]).unwrap();
    path.run(200_000);
    assert!(path.ends[1].take(path.now, ONE).is_some(), "F10");
    assert_eq!(payload(&path), PAYLOAD_BYTES_BASE);
    path.payload_max = 1424;
    path.run(30_000_000);
    assert_eq!(payload(&path), 1424);
}

#[test]
fn a_link_that_dies_within_a_message_takes_nothing_with_it() {
    let mut path = Path::new(2);
    path.run(600_000);
    path.ends[0].send(OTHER, vec![1; 8 << 20]).unwrap();
    path.run(600);
    let half = path.ends[1].bytes(ONE).unwrap().1;
    assert!((100_000..8 << 20).contains(&half), "{half}");
    path.dead = vec![0];
    path.run(100_000);
    assert!(path.ends[1].take(path.now, ONE).is_some(), "F13");
    path.run(3_000_000);
    let links = path.ends[0].links(path.now, OTHER).unwrap();
    assert!(links[0].dead && !links[0].in_use && links[1].in_use && !links[1].dead);
}

#[test]
fn a_full_queue_says_so_and_says_when_there_is_room() {
    let mut path = Path::new(1);
    path.run(1000);
    let accepted = (0..10_000).take_while(|_| path.ends[0].send(OTHER, vec![1]).is_ok()).count();
    assert_eq!(accepted, QUEUE_MESSAGES_MAX);
    let refused = path.ends[0].send(OTHER, vec![1]).unwrap_err();
    assert!(refused.to_string().contains("8192 messages of 40960 bytes wait for node 2"), "{refused}");
    let long = path.ends[0].send(OTHER, vec![1; MESSAGE_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(long, SendError::TooLong { bytes: MESSAGE_BYTES_MAX + 1 });
    path.run(100_000);
    while path.ends[1].take(path.now, ONE).is_some() {}
    path.run(100_000);
    assert_eq!(path.events[0].iter().filter(|event| **event == Event::Room(OTHER)).count(), 1);
}

#[test]
fn what_is_not_lawful_is_counted_and_changes_nothing() {
    let mut path = Path::new(1);
    path.run(1000);
    let now = path.now;
    let end = &mut path.ends[0];
    end.receive(now, NodeId(9), 0, 1, &[]);
    end.receive(now, OTHER, 1, 1, &[]);
    end.receive(now, OTHER, 0, 900, &[9, 9]);
    // Packet 5000 arrived; 70 000 bytes of the stream were taken; a piece far beyond the window.
    end.receive(now, OTHER, 0, 901, &[1, 0x88, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    end.receive(now, OTHER, 0, 902, &[2, 0x70, 0x11, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    end.receive(now, OTHER, 0, 903, &[3, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 1]);
    let expected = Refusals { strangers: 2, malformed: 1, outside_window: 1, too_early: 0, never_sent: 2 };
    assert_eq!(end.refusals(), expected);
    assert_eq!((end.bytes(OTHER), end.event()), (Some((0, 0)), None));
}

#[test]
fn whatever_a_hostile_peer_says_it_costs_no_more_than_its_bounds() {
    let mut dice = crate::base::dice::Dice::from_number(4);
    let mut path = Path::new(2);
    path.run(1000);
    path.ends[0].send(OTHER, vec![1; 100_000]).unwrap();
    // Numbers near each other, near what is known, and near the ends of what fits.
    let number = |dice: &mut crate::base::dice::Dice| match dice.below(4) {
        0 => dice.below(64),
        1 => dice.below(1 << 21),
        2 => u64::MAX - dice.below(4),
        _ => dice.number(),
    };
    for turn in 0..100_000 {
        let mut payload = Vec::new();
        for _ in 0..=dice.below(3) {
            payload.push(dice.below(7) as u8);
            payload.extend_from_slice(&number(&mut dice).to_le_bytes());
            let rest = dice.bytes16();
            let length = [0, 2, 4, 8, 16][dice.below(5) as usize];
            let small = if dice.below(2) == 0 { [length as u8, 0] } else { [0; 2] };
            payload.extend_from_slice(&small);
            payload.extend_from_slice(&rest[..length]);
        }
        let now = path.now.plus_us(turn * 10);
        path.ends[0].receive(now, OTHER, dice.below(3) as usize, number(&mut dice), &payload);
        while path.ends[0].poll(now, |_| turn + 1000).is_some() {}
        while path.ends[0].event().is_some() {}
    }
    let (kept_for, kept_of) = path.ends[0].bytes(OTHER).unwrap();
    assert!(kept_for <= 100_004 && kept_of <= RECEIVED_BYTES_MAX.min(EARLY_PIECES_MAX * 16 + (1 << 20)));
    let refusals = path.ends[0].refusals();
    assert!(
        refusals.malformed > 1000 && refusals.outside_window > 1000 && refusals.never_sent > 100,
        "{refusals:?}"
    );
}
