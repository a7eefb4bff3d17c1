//! Two or three ends of channels, and somebody between them who keeps, repeats and forges.

use super::*;
use crate::format::greeting::VERSIONS;

const WINDOW_MS: u64 = 1000;

fn machine(node: u16) -> NodeUuid {
    NodeUuid([node as u8; 16])
}

fn common() -> Common {
    Common {
        cluster: ClusterId([7; 16]),
        machines: (1..=3).map(|node| (NodeId(node), machine(node))).collect(),
        generation: 1,
        configuration: Hash128([1; 16]),
        versions: VERSIONS,
        window_ms: WINDOW_MS,
    }
}

fn key(byte: u8) -> ClusterKey {
    ClusterKey::new([byte; 32])
}

fn myself(node: u16, boot: u8, session: u64) -> Myself {
    Myself {
        node: NodeId(node),
        machine: machine(node),
        incarnation: Incarnation([boot; 16]),
        session: Session(session),
    }
}

fn end_of(me: Myself, common: Common, keys: &[ClusterKey], seed: u64) -> Channel {
    let dice = Dice::from_number(seed);
    Channel::new(me, common, keys, Purpose::Beats, dice, BootTime { ms: 1000 }).unwrap()
}

fn end(node: u16, boot: u8, session: u64, seed: u64) -> Channel {
    end_of(myself(node, boot, session), common(), &[key(5)], seed)
}

fn at(ms: u64) -> BootTime {
    BootTime { ms }
}

/// Lets two greet each other until neither has anything to say; all that was said.
fn meet(one: &mut Channel, other: &mut Channel, now: BootTime) -> Vec<Vec<u8>> {
    let mut said = Vec::new();
    let mut now = now;
    for _ in 0..20 {
        now = now.plus_ms(ANSWER_MS);
        let nodes = (one.me.node, other.me.node);
        while let Some((to, datagram)) = one.greeting(now) {
            if to == nodes.1 {
                let _ = other.hear(now, &datagram);
                said.push(datagram);
            }
        }
        while let Some((to, datagram)) = other.greeting(now) {
            if to == nodes.0 {
                let _ = one.hear(now, &datagram);
                said.push(datagram);
            }
        }
    }
    said
}

#[test]
fn two_who_greeted_understand_each_other_and_greet_no_more() {
    let (mut a, mut b) = (end(1, 11, 1, 1), end(2, 12, 1, 2));
    let said = meet(&mut a, &mut b, at(1000));
    assert!(said.len() <= 5, "{} greetings", said.len());
    assert!(a.known().has(NodeId(2)) && b.known().has(NodeId(1)));
    let beat = a.to_all(b"beat").unwrap();
    assert_eq!(b.hear(at(1500), &beat), Ok(Heard::ToAll(NodeId(1), 1, b"beat".to_vec())));
    assert_eq!(b.hear(at(1500), &beat), Err(Dropped::Replayed(NodeId(1), 1)), "the other link's copy");
    let (number, letter) = b.to_one(NodeId(1), b"letter").unwrap();
    assert_eq!(a.hear(at(1500), &letter), Ok(Heard::ToOne(NodeId(2), number, b"letter".to_vec())));
    assert_eq!(a.hear(at(1500), &letter), Err(Dropped::Replayed(NodeId(2), 1)));
    assert_eq!(a.session(NodeId(2)).unwrap().incarnation, Incarnation([12; 16]));
}

/// F12: all that was said before is said again, to the same two and to the lives that follow them.
#[test]
fn f12_what_was_captured_is_believed_by_nobody() {
    let (mut a, mut b) = (end(1, 11, 1, 1), end(2, 12, 1, 2));
    let mut captured = meet(&mut a, &mut b, at(1000));
    captured.push(a.to_all(b"old beat").unwrap());
    captured.push(a.to_one(NodeId(2), b"old letter").unwrap().1);
    captured.iter().for_each(|datagram| drop(b.hear(at(1500), datagram)));
    let known = b.session(NodeId(1)).cloned();
    for datagram in &captured {
        let heard = b.hear(at(9000), datagram);
        assert!(!matches!(heard, Ok(Heard::ToAll(..) | Heard::ToOne(..) | Heard::Greeting(_, true))));
    }
    assert_eq!(b.session(NodeId(1)).cloned(), known, "nothing of it counts as a sign of life");
    // The daemon of b starts anew and knows nobody.
    let mut next = end(2, 12, 2, 3);
    for datagram in &captured {
        let heard = next.hear(at(2000), datagram);
        assert!(!matches!(heard, Ok(Heard::ToAll(..) | Heard::ToOne(..) | Heard::Greeting(_, true))));
    }
    assert!(next.known().is_empty());
}

/// Nobody answers a captured greeting's challenge for ever, and none is answered more often than the limit.
#[test]
fn who_repeats_greetings_gets_few_answers() {
    let (mut a, mut b) = (end(1, 11, 1, 1), end(2, 12, 1, 2));
    let captured = meet(&mut a, &mut b, at(1000)).remove(0);
    let mut answers = 0;
    for ms in 0..1000 {
        let _ = b.hear(at(2000 + ms), &captured);
        while let Some((to, _)) = b.greeting(at(2000 + ms)) {
            answers += u64::from(to == NodeId(1));
        }
    }
    assert!(answers <= 1000 / ANSWER_MS, "{answers}");
}

#[test]
fn a_daemon_that_was_started_anew_is_believed_at_once() {
    let (mut a, mut b) = (end(1, 11, 1, 1), end(2, 12, 1, 2));
    meet(&mut a, &mut b, at(1000));
    let (_, late) = b.to_one(NodeId(1), b"of the old life").unwrap();
    let mut next = end(2, 12, 2, 3);
    meet(&mut a, &mut next, at(1400));
    assert_eq!(a.session(NodeId(2)).unwrap().session, Session(2));
    assert_eq!(a.hear(at(1800), &late), Err(Dropped::OtherSession(NodeId(2))));
    let (_, new) = next.to_one(NodeId(1), b"hello").unwrap();
    assert!(matches!(a.hear(at(1800), &new), Ok(Heard::ToOne(..))));
}

/// F25: a copy of a machine that lives is refused, both boots named; when the first one is silent it is believed.
#[test]
fn f25_a_copy_of_a_living_machine_is_refused() {
    let (mut a, mut b) = (end(1, 11, 1, 1), end(2, 12, 1, 2));
    meet(&mut a, &mut b, at(1000));
    let mut copy = end(2, 66, 1, 3);
    let beat = b.to_all(b"beat").unwrap();
    assert!(a.hear(at(1400), &beat).is_ok());
    meet(&mut a, &mut copy, at(1400));
    assert_eq!(a.session(NodeId(2)).unwrap().incarnation, Incarnation([12; 16]));
    let twin =
        Dropped::Twin { node: NodeId(2), known: Incarnation([12; 16]), refused: Incarnation([66; 16]) };
    assert_eq!(a.counts().last.as_ref().map(|(dropped, _)| dropped), Some(&twin));
    meet(&mut a, &mut copy, at(1400 + WINDOW_MS + 1));
    assert_eq!(a.session(NodeId(2)).unwrap().incarnation, Incarnation([66; 16]));
}

#[test]
fn who_is_somebody_else_is_refused_by_name() {
    let mut a = end(1, 11, 1, 1);
    let mut refusal = |mut other: Channel| {
        meet(&mut a, &mut other, at(5000));
        assert!(!other.known().has(NodeId(1)) && !a.known().has(other.me.node));
        a.counts().last.clone().map(|(dropped, _)| dropped)
    };
    let other_machine = Myself { machine: machine(9), ..myself(2, 12, 1) };
    let impostor = Dropped::Impostor { node: NodeId(2), known: machine(2), claimed: machine(9) };
    assert_eq!(refusal(end_of(other_machine, common(), &[key(5)], 2)), Some(impostor));
    let foreign = Common { cluster: ClusterId([8; 16]), ..common() };
    let tag = ClusterId([8; 16]).into();
    assert_eq!(refusal(end_of(myself(2, 12, 1), foreign, &[key(5)], 2)), Some(Dropped::Foreign(tag)));
    let unknown = key(6).name(common().cluster);
    assert_eq!(refusal(end_of(myself(2, 12, 1), common(), &[key(6)], 2)), Some(Dropped::UnknownKey(unknown)));
    let strange =
        Common { machines: (1..=4).map(|node| (NodeId(node), machine(node))).collect(), ..common() };
    let stranger = Some(Dropped::Stranger(NodeId(4)));
    assert_eq!(refusal(end_of(myself(4, 14, 1), strange, &[key(5)], 2)), stranger);
    let different = Common { configuration: Hash128([2; 16]), ..common() };
    let wanted =
        Dropped::OtherConfiguration { node: NodeId(2), generation: 1, configuration: Hash128([2; 16]) };
    assert_eq!(refusal(end_of(myself(2, 12, 1), different, &[key(5)], 2)), Some(wanted));
}

/// F29: programs one version apart talk by what both know; who has nothing in common is refused by name, on both sides.
#[test]
fn f29_versions_are_agreed_on_or_refused() {
    let of = |node: u16, versions: (u8, u8)| {
        end_of(myself(node, 10 + node as u8, 1), Common { versions, ..common() }, &[key(5)], node.into())
    };
    let (mut a, mut b) = (of(1, (1, 2)), of(2, (2, 3)));
    meet(&mut a, &mut b, at(1000));
    assert_eq!(a.session(NodeId(2)).map(|session| session.version), Some(2));
    assert_eq!(b.session(NodeId(1)).map(|session| session.version), Some(2));
    let mut c = of(3, (3, 4));
    meet(&mut a, &mut c, at(3000));
    assert!(!a.known().has(NodeId(3)) && !c.known().has(NodeId(1)));
    let last = |end: &Channel| end.counts().last.clone().map(|(dropped, _)| dropped);
    assert_eq!(last(&a), Some(Dropped::OtherVersions(NodeId(3), (3, 4))));
    assert_eq!(last(&c), Some(Dropped::OtherVersions(NodeId(1), (1, 2))));
    assert!(a.counts().refused > 0 && c.counts().refused > 0);
    assert!(a.known().has(NodeId(2)), "who was known before is not disturbed");
}

/// Keys are rotated without a stop: old alone, both with the old one first, both with the new one first, new alone.
#[test]
fn a_key_is_rotated_without_a_stop() {
    let steps: [&[ClusterKey]; 4] = [&[key(5)], &[key(5), key(6)], &[key(6), key(5)], &[key(6)]];
    for pair in steps.windows(2) {
        let mut a = end_of(myself(1, 11, 1), common(), pair[0], 1);
        let mut b = end_of(myself(2, 12, 1), common(), pair[1], 2);
        meet(&mut a, &mut b, at(1000));
        let (_, letter) = a.to_one(NodeId(2), b"to b").unwrap();
        assert!(b.hear(at(1500), &letter).is_ok());
        let beat = b.to_all(b"to all").unwrap();
        assert!(a.hear(at(1500), &beat).is_ok());
    }
}

/// F9: flipped bits, short and oversize datagrams are dropped and counted, and change nothing else. (The fuzzer `datagram` goes on
/// from here.)
#[test]
fn f9_a_flood_of_anything_changes_nothing() {
    let (mut a, mut b) = (end(1, 11, 1, 1), end(2, 12, 1, 2));
    meet(&mut a, &mut b, at(1000));
    let known = a.session(NodeId(2)).cloned();
    let whole = b.to_one(NodeId(1), &[3; 200]).unwrap().1;
    let mut dice = Dice::from_number(8);
    let before = a.counts().clone();
    let oversize = [&whole[..], &[0; crate::format::frame::DATAGRAM_BYTES_MAX]].concat();
    assert!(a.hear(at(1200), &oversize).is_err() && a.hear(at(1200), &[]).is_err());
    assert_ne!(*a.counts(), before, "they are counted");
    for _ in 0..20_000 {
        let mut bad = whole.clone();
        let at_byte = dice.below(bad.len() as u64) as usize;
        bad[at_byte] ^= 1 << dice.below(8);
        bad.truncate(bad.len() - dice.below(2) as usize * dice.below(200) as usize);
        assert!(a.hear(at(1200), &bad).is_err());
    }
    assert_eq!(a.session(NodeId(2)).cloned(), known);
    assert!(a.hear(at(1300), &whole).is_ok(), "what is whole is taken all the same");
}

/// One of two forgets the other for a while and begins anew, or both do at once: nothing from before is taken as new.
#[test]
fn who_begins_anew_within_a_session_is_understood() {
    let (mut a, mut b) = (end(1, 11, 1, 1), end(2, 12, 1, 2));
    meet(&mut a, &mut b, at(1000));
    let to = |from: &mut Channel, node: u16, words: &[u8]| from.to_one(NodeId(node), words).unwrap().1;
    let old = to(&mut a, 2, b"old");
    b.renew(NodeId(1));
    assert_eq!(b.hear(at(1500), &old), Err(Dropped::OtherSession(NodeId(1))));
    let new = to(&mut b, 1, b"new");
    assert_eq!(a.hear(at(1500), &new), Ok(Heard::Renewed(NodeId(2), Some((1, b"new".to_vec())))));
    let answer = to(&mut a, 2, b"answer");
    assert_eq!(b.hear(at(1500), &answer), Ok(Heard::ToOne(NodeId(1), 2, b"answer".to_vec())));
    // Both at once.
    a.renew(NodeId(2));
    b.renew(NodeId(1));
    let (of_a, of_b) = (to(&mut a, 2, b"x"), to(&mut b, 1, b"y"));
    assert_eq!(b.hear(at(1500), &of_a), Ok(Heard::Renewed(NodeId(1), None)), "said to the epoch before");
    assert_eq!(a.hear(at(1500), &of_b), Ok(Heard::Renewed(NodeId(2), None)));
    let (of_a, of_b) = (to(&mut a, 2, b"x"), to(&mut b, 1, b"y"));
    assert!(matches!(b.hear(at(1500), &of_a), Ok(Heard::ToOne(..))));
    assert!(matches!(a.hear(at(1500), &of_b), Ok(Heard::ToOne(..))));
}
