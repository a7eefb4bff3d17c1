//! Whatever comes from the network, to a channel that has a live session: bytes of nobody, frames with any header, captured
//! ones with any change, and what a peer that is authentic and hostile has sealed. Nothing is believed twice, nobody speaks
//! for another, and the session that is known stays known. (That nothing passes without a seal cannot be held here: the
//! fuzzer sees with what a seal is compared, and has made one that fits within 20 s.)
#![no_main]

use evms::base::dice::Dice;
use evms::base::hash::Hash128;
use evms::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use evms::base::time::BootTime;
use evms::cluster::beat::Session;
use evms::cluster::channel::{Channel, Common, Dropped, Heard, Myself};
use evms::cluster::keys::{ClusterKey, Purpose};
use evms::cluster::sealing::GreetingSeal;
use evms::format::frame::{DATAGRAM_BYTES_MAX, Header, Kind};
use evms::format::greeting::{Greeting, VERSIONS};
use libfuzzer_sys::fuzz_target;

const CLUSTER: ClusterId = ClusterId([7; 16]);
const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
/// Steps of one input: each costs a seal or two.
const STEPS_MAX: usize = 24;

fuzz_target!(|input: &[u8]| {
    let mut now = BootTime { ms: 1000 };
    let (mut me, mut peer) = (end(ME, now), end(PEER, now));
    meet(&mut me, &mut peer, &mut now);
    let known = me.session(PEER).expect("they met").clone();
    let mut captured = Vec::new();
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let Some((step, behind)) = rest.split_first_chunk::<4>() else { break };
        let (bytes, after) = behind.split_at(usize::from(step[1]).min(behind.len()));
        rest = after;
        now = now.plus_ms(step[2].into());
        let said = say(&mut peer, step, bytes, &captured, now);
        let heard = me.hear(now, &said);
        judge(&heard, captured.contains(&said));
        if heard.is_ok() {
            captured.push(said);
        }
        // Answers are bounded, and nothing that is asked for goes on for ever.
        assert!((0..8).any(|_| me.greeting(now).is_none()));
    }
    let session = me.session(PEER).expect("nothing that comes ends a session");
    let restarted = session.incarnation != known.incarnation || session.session > known.session;
    assert!(restarted || session.incarnation == known.incarnation);
    assert!(me.session(ME).is_none());
});

fn end(node: NodeId, now: BootTime) -> Channel {
    let machine = |node: NodeId| NodeUuid([node.0 as u8; 16]);
    let common = Common {
        cluster: CLUSTER,
        machines: [ME, PEER, NodeId(3)].into_iter().map(|node| (node, machine(node))).collect(),
        generation: 1,
        configuration: Hash128([1; 16]),
        versions: VERSIONS,
        window_ms: 1000,
    };
    let incarnation = Incarnation([10 + node.0 as u8; 16]);
    let me = Myself { node, machine: machine(node), incarnation, session: Session(1) };
    Channel::new(me, common, &[key()], Purpose::Beats, Dice::from_number(node.0.into()), now).unwrap()
}

fn key() -> ClusterKey {
    ClusterKey::new([5; 32])
}

fn meet(me: &mut Channel, peer: &mut Channel, now: &mut BootTime) {
    for _ in 0..5 {
        *now = now.plus_ms(20);
        while let Some((to, datagram)) = me.greeting(*now) {
            if to == PEER {
                let _ = peer.hear(*now, &datagram);
            }
        }
        while let Some((to, datagram)) = peer.greeting(*now) {
            if to == ME {
                let _ = me.hear(*now, &datagram);
            }
        }
    }
}

/// What one step sends.
fn say(peer: &mut Channel, step: &[u8; 4], bytes: &[u8], captured: &[Vec<u8>], now: BootTime) -> Vec<u8> {
    match step[0] % 8 {
        0 => bytes.to_vec(),
        1 => header(bytes).encode().into_iter().chain(bytes.iter().copied()).collect(),
        2 => change(captured.get(usize::from(step[3])).cloned().unwrap_or_default(), bytes),
        3 => peer.to_all(bytes).unwrap_or_default(),
        4 => peer.to_one(ME, bytes).unwrap_or_default().1,
        5 => {
            peer.renew(ME);
            peer.to_one(ME, &vec![step[3]; DATAGRAM_BYTES_MAX / 2]).unwrap_or_default().1
        }
        6 => peer.greeting(now).map(|(_, datagram)| datagram).unwrap_or_default(),
        _ => greeting(bytes, step[3]),
    }
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    core::array::from_fn(|place| bytes.get(at + place).copied().unwrap_or(0))
}

fn header(bytes: &[u8]) -> Header {
    Header {
        kind: [Kind::Greeting, Kind::ToAll, Kind::ToOne][usize::from(take::<1>(bytes, 0)[0] % 3)],
        key: key().name(CLUSTER),
        sender: NodeId(u16::from(take::<1>(bytes, 1)[0] % 5)),
        cluster: CLUSTER.into(),
        session: take(bytes, 2),
        to_session: take(bytes, 6),
        epochs: take::<2>(bytes, 10).into(),
        counter: u64::from_le_bytes(take(bytes, 12)),
    }
}

/// Bytes of a captured datagram that are others now: a place, and a byte.
fn change(mut datagram: Vec<u8>, bytes: &[u8]) -> Vec<u8> {
    for pair in bytes.chunks_exact(2) {
        let place = usize::from(pair[0]) % datagram.len().max(1);
        if let Some(byte) = datagram.get_mut(place) {
            *byte ^= pair[1];
        }
    }
    datagram
}

/// A greeting of somebody who has the key of the cluster, and says in it what he likes; or nothing that is one.
fn greeting(bytes: &[u8], how: u8) -> Vec<u8> {
    let mut sealed = Greeting {
        versions: (1, 1),
        machine: NodeUuid([(how & 3) + 1; 16]),
        incarnation: Incarnation([12; 16]),
        session: 1,
        generation: 1,
        configuration: Hash128([1; 16]),
        challenge: [1; 16],
        echo: [0; 16],
        knows: [0; 4],
        is_known: false,
    }
    .encode();
    if how & 4 == 0 {
        sealed = change(sealed, bytes);
    }
    sealed.truncate(if how & 8 == 0 { sealed.len() } else { usize::from(how) });
    let header = Header { kind: Kind::Greeting, ..header(bytes) };
    GreetingSeal::new(key().for_greetings(CLUSTER, Purpose::Beats)).seal(&header, take(bytes, 20), &sealed)
}

fn judge(heard: &Result<Heard, Dropped>, again: bool) {
    match heard {
        Ok(Heard::ToAll(node, ..) | Heard::ToOne(node, ..) | Heard::Renewed(node, _)) => {
            assert!(*node == PEER && !again);
        }
        // A greeting may be captured and said again: it makes nobody known.
        Ok(Heard::Greeting(node, new)) => assert!(*node != ME && !(*new && again)),
        Err(_) => {}
    }
}
