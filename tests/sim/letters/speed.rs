//! What the transport costs: two of them back to back, with nothing between them that takes time, and how long the processor
//! works for each message. And how long messages take in bad weather, in virtual time.

use std::time::Instant;

use evms::base::time::BootMicros;
use evms::cluster::mistake::Rules;
use evms::cluster::transport::Transport;

use crate::chance::Chance;
use crate::letters::office::node;
use crate::network::{Network, Weather};

const WAY_US: u64 = 50;

/// Sends so many messages one way, as many at once as fit, over a path without faults; packets and seconds of the processor.
fn one_way(messages: usize, bytes: usize, at_once: usize) -> (u64, f64) {
    let mut ends = [Transport::new(Rules::ALL), Transport::new(Rules::ALL)];
    let (mut now, mut numbers, mut packets) = (BootMicros { us: 1 }, [0_u64; 2], 0);
    (0..2).for_each(|end| ends[end].peer_up(now, node(1 - end), 1));
    let begin = Instant::now();
    let (mut sent, mut taken) = (0, 0);
    while taken < messages {
        while sent < messages && sent < taken + at_once && ends[0].send(node(1), vec![7; bytes]).is_ok() {
            sent += 1;
        }
        for end in 0..2 {
            let mut leaving = Vec::new();
            while let Some(out) = ends[end].poll(now, |_| {
                numbers[end] += 1;
                numbers[end]
            }) {
                leaving.push(out);
            }
            packets += leaving.len() as u64;
            now = now.plus_us(WAY_US);
            for out in leaving.into_iter().filter(|out| out.payload.len() < 1500) {
                ends[1 - end].receive(now, node(end), out.link, out.number, &out.payload);
                if end == 0 {
                    while ends[1].take(now, node(0)).is_some() {
                        taken += 1;
                    }
                }
            }
            while ends[1 - end].event().is_some() {}
        }
    }
    (packets, begin.elapsed().as_secs_f64())
}

/// A switch with a slow way out: bytes that leave it in a microsecond, and that wait in it at most.
#[derive(Clone, Copy)]
struct Switch {
    bytes_per_us: f64,
    waiting_most: f64,
    free_at: f64,
}

impl Switch {
    /// After how many microseconds a packet is through; nothing when it found no room.
    fn pass(&mut self, now_us: u64, bytes: usize) -> Option<u64> {
        let now = now_us as f64;
        let begin = self.free_at.max(now);
        if (begin - now) * self.bytes_per_us + bytes as f64 > self.waiting_most {
            return None;
        }
        self.free_at = begin + (bytes + 48 + 46) as f64 / self.bytes_per_us;
        Some((self.free_at - now) as u64)
    }
}

/// Virtual seconds until a message of so many bytes is taken, in this weather, behind a switch.
fn in_weather(weather: Weather, bytes: usize, seed: u64, mut switch: Switch) -> f64 {
    let mut chance = Chance::new(seed);
    let mut network = Network::new(2);
    network.weather = weather;
    let mut ends = [Transport::new(Rules::ALL), Transport::new(Rules::ALL)];
    let (mut now, mut numbers, mut order) = (BootMicros { us: 1 }, [0_u64; 2], 0_u64);
    let mut under_way = std::collections::BTreeMap::new();
    (0..2).for_each(|end| ends[end].peer_up(now, node(1 - end), 1));
    ends[0].send(node(1), vec![7; bytes]).unwrap();
    loop {
        for end in 0..2 {
            while let Some(out) = ends[end].poll(now, |_| {
                numbers[end] += 1;
                numbers[end]
            }) {
                let through = if end == 0 { switch.pass(now.us, out.payload.len()) } else { Some(0) };
                let Some(through) = through.filter(|_| out.payload.len() < 1500) else { continue };
                for after in network.fates(end, 1 - end, &mut chance) {
                    order += 1;
                    under_way.insert((now.us + through + after, order), (end, out.clone()));
                }
            }
        }
        if ends[1].take(now, node(0)).is_some() {
            return now.us as f64 / 1e6;
        }
        let deadline = ends.iter().map(|end| end.deadline().us).min().unwrap_or(u64::MAX);
        let arrives = under_way.keys().next().map_or(u64::MAX, |(at, _)| *at);
        now.us = deadline.min(arrives).max(now.us);
        while under_way.keys().next().is_some_and(|(at, _)| *at <= now.us) {
            let Some((_, (end, out))) = under_way.pop_first() else { break };
            ends[1 - end].receive(now, node(end), out.link, out.number, &out.payload);
        }
    }
}

pub fn measure() {
    for (messages, bytes, at_once) in [
        (1_000_000, 64, 1000),
        (500_000, 1024, 1000),
        (100_000, 1024, 1),
        (20_000, 65_536, 50),
        (50, 16 << 20, 1),
    ] {
        let (packets, seconds) = one_way(messages, bytes, at_once);
        let each = seconds / messages as f64;
        println!(
            "{messages} messages of {bytes} bytes, {at_once} at once: {:.2} us of a core each at both ends, {:.2} packets each, \
             {:.0} MB/s",
            each * 1e6,
            packets as f64 / messages as f64,
            bytes as f64 / each / 1e6
        );
    }
    let fair = Weather::FAIR;
    let rows = [
        ("fair", fair),
        ("10 % lost", Weather { lost_per_mille: 100, ..fair }),
        ("20 % lost", Weather { lost_per_mille: 200, ..fair }),
        ("200 ms of jitter", Weather { delay_us: (100, 200_000), ..fair }),
        (
            "20 % lost, 5 % twice, 200 ms of jitter (F8)",
            Weather { lost_per_mille: 200, doubled_per_mille: 50, delay_us: (100, 200_000), ..fair },
        ),
    ];
    let wide = Switch { bytes_per_us: 1250.0, waiting_most: 8e6, free_at: 0.0 };
    for (words, weather) in rows {
        let each = [64, 1 << 20, 16 << 20].map(|bytes| in_weather(weather, bytes, 1, wide));
        println!("{words}: 64 B after {:.4} s, 1 MiB {:.3} s, 16 MiB {:.2} s", each[0], each[1], each[2]);
    }
    for (bytes_per_us, waiting_most) in [(125.0, 500e3), (125.0, 100e3), (12.5, 100e3), (1.25, 64e3)] {
        let switch = Switch { bytes_per_us, waiting_most, free_at: 0.0 };
        let took = in_weather(fair, 16 << 20, 1, switch);
        let share = (16 << 20) as f64 / took / 1e6 / bytes_per_us * 100.0;
        println!(
            "a switch of {bytes_per_us} MB/s with {waiting_most} bytes of room: 16 MiB after {took:.2} s, {share:.0} % of it"
        );
    }
}
