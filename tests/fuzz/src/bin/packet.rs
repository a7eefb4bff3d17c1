//! What an authentic and hostile peer may put into packets, to a transport that sends and receives meanwhile. Memory stays in
//! its bounds, no message fails that nobody ended, and whoever polls comes to an end.
#![no_main]

use evms::base::id::NodeId;
use evms::base::time::BootMicros;
use evms::cluster::mistake::Rules;
use evms::cluster::transport::Transport;
use evms::cluster::transport::event::Event;
use evms::cluster::transport::limits::{QUEUE_BYTES_MAX, RECEIVED_BYTES_MAX};
use evms::format::cursor::Writer;
use evms::format::packet::{self, Arrived, LENGTH_BYTES};
use libfuzzer_sys::fuzz_target;

const PEER: NodeId = NodeId(2);
const LINKS: usize = 2;
const STEPS_MAX: usize = 200;
/// Packets that may leave one after the other before it counts as never ending: a flight and what answers.
const POLLS_MAX: usize = 20_000;

fuzz_target!(|input: &[u8]| {
    let mut now = BootMicros { us: 1_000_000 };
    let mut transport = Transport::new(Rules::ALL);
    transport.peer_up(now, PEER, LINKS);
    let (mut number, mut theirs, mut sent, mut ended) = (0_u64, 0_u64, 0, 0);
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let Some((step, behind)) = rest.split_first_chunk::<4>() else { break };
        let (bytes, after) = behind.split_at(usize::from(step[1]).min(behind.len()));
        rest = after;
        now = now.plus_us(1 << (step[2] % 24));
        match step[0] % 8 {
            0 => {
                let length = usize::from(step[3]) << (step[1] % 9);
                sent += u64::from(transport.send(PEER, vec![7; length]).is_ok());
            }
            1 => theirs = theirs.wrapping_add(u64::from_le_bytes(padded(bytes))),
            2 => drop(transport.take(now, PEER)),
            how => {
                theirs = theirs.wrapping_add(1);
                let packet = if how == 3 { bytes.to_vec() } else { lawful(bytes, number) };
                transport.receive(now, PEER, usize::from(step[3] % 3), theirs, &packet);
            }
        }
        let polled = (0..POLLS_MAX).any(|_| {
            let leaving = transport.poll(now, |_| {
                number += 1;
                number
            });
            if let Some(leaving) = &leaving {
                assert!(leaving.link < LINKS && packet::read(&leaving.payload).is_ok());
            }
            leaving.is_none()
        });
        assert!(polled, "it sends for ever");
        assert!(transport.deadline() > now, "it would be asked again and again");
        while let Some(event) = transport.event() {
            match event {
                Event::Delivered(..) => ended += 1,
                Event::Failed(..) => panic!("nobody ended the session"),
                Event::Arrived(_) | Event::Room(_) => {}
            }
        }
        assert!(ended <= sent);
        let (queued, received) = transport.bytes(PEER).unwrap();
        assert!(queued <= QUEUE_BYTES_MAX && received <= RECEIVED_BYTES_MAX);
    }
    let _ = packet::read(input);
});

fn padded(bytes: &[u8]) -> [u8; 8] {
    core::array::from_fn(|place| bytes.get(place).copied().unwrap_or(0))
}

/// Parts that can be read, with any numbers in them: most near what was sent, for others are dropped at the door.
fn lawful(bytes: &[u8], sent: u64) -> Vec<u8> {
    let mut writer = Writer::new();
    for part in bytes.chunks_exact(6) {
        let near = u64::from(u16::from_le_bytes([part[1], part[2]]));
        let far = u64::from_le_bytes([part[1], part[2], part[3], part[4], part[5], 0, part[2], part[1]]);
        match part[0] % 8 {
            0 => {
                let largest = sent.saturating_sub(near % 64);
                let lowest = largest.saturating_sub(u64::from(part[3] % 16));
                let second = lowest.checked_sub(u64::from(part[4]) + 2);
                let ranges = [Some((lowest, largest)), second.map(|second| (second, second))];
                let arrived = Arrived {
                    held_back_us: u32::from(part[5]) << (part[4] % 24),
                    ranges: ranges.into_iter().flatten().collect(),
                };
                packet::put_arrived(&mut writer, &arrived);
            }
            1 => packet::put_taken(&mut writer, near, near + (u64::from(part[3]) << (part[4] % 40))),
            2 => packet::put_taken(&mut writer, far, far.wrapping_add(near)),
            3 => packet::put_ping(&mut writer, far, 0),
            4 => packet::put_pong(&mut writer, u64::from(part[1])),
            5 => {
                packet::put_piece_head(&mut writer, far, 3);
                writer.bytes(&part[3..]);
            }
            // A message at its place, or its beginning with any length.
            _ => {
                let body = [part[3]; 8];
                let length = (u32::from(part[4]) << (part[5] % 20)).to_le_bytes();
                packet::put_piece_head(&mut writer, near % 64, (LENGTH_BYTES + body.len()) as u16);
                writer.bytes(&length).bytes(&body);
            }
        }
    }
    writer.finish()
}
