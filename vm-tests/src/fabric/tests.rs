use super::*;

const SEED: u64 = 11;
const AT: Duration = Duration::from_secs(5);

/// Three machines that are on; a frame is its receiver's address, filled up, and a number.
fn fabric() -> Fabric {
    let mut fabric = Fabric::new(SEED);
    for (number, name) in (1..).zip(["a", "b", "c"]) {
        fabric.add(name, mac(number));
        fabric.handle_on(name);
    }
    fabric
}

fn mac(number: u8) -> Mac {
    [2, 0, 0, 0, 0, number]
}

fn frame(to: Mac, number: u8) -> Vec<u8> {
    [&to[..], &[0; 8], &[number]].concat()
}

/// The numbers of the frames that a machine gets by some moment.
fn got(fabric: &mut Fabric, to: &str, by: Duration) -> Vec<u8> {
    std::iter::from_fn(|| fabric.poll_frame(by, to)).map(|frame| frame[HEADER_BYTES]).collect()
}

fn send(fabric: &mut Fabric, numbers: std::ops::Range<u8>) {
    for number in numbers {
        fabric.handle_frame(AT, "a", &frame(mac(2), number));
    }
}

#[test]
fn a_frame_goes_where_it_is_addressed() {
    let mut fabric = fabric();
    fabric.handle_frame(AT, "a", &frame(mac(2), 1));
    fabric.handle_frame(AT, "a", &frame([0xff; 6], 2));
    fabric.handle_frame(AT, "a", &frame([2, 9, 9, 9, 9, 9], 3));
    fabric.handle_frame(AT, "a", &frame(mac(1), 4));
    assert_eq!(got(&mut fabric, "b", AT), [1, 2, 3], "its own, one for all, one for nobody who is known");
    assert_eq!(got(&mut fabric, "c", AT), [2, 3]);
    assert_eq!(got(&mut fabric, "a", AT), [0; 0], "nothing comes back");
}

#[test]
fn a_cut_has_one_direction_and_takes_what_is_under_way() {
    let mut fabric = fabric();
    fabric.lay("a", "b", Rule { delay: Duration::from_secs(1), ..Rule::default() });
    send(&mut fabric, 0..3);
    fabric.lay("a", "b", Rule { is_cut: true, ..Rule::default() });
    send(&mut fabric, 3..5);
    fabric.handle_frame(AT, "b", &frame(mac(1), 9));
    assert_eq!(got(&mut fabric, "b", AT * 2), [0; 0]);
    assert_eq!(got(&mut fabric, "a", AT), [9]);
    assert_eq!(fabric.counts("a", "b"), Counts { sent: 5, late: 3, cut: 5, ..Counts::default() });
    fabric.heal();
    send(&mut fabric, 5..6);
    assert_eq!(got(&mut fabric, "b", AT), [5]);
}

#[test]
fn groups_hear_themselves_only() {
    let mut fabric = fabric();
    fabric.partition(&[&["a", "c"]]);
    for from in ["a", "b", "c"] {
        fabric.handle_frame(AT, from, &frame([0xff; 6], from.as_bytes()[0]));
    }
    assert_eq!(got(&mut fabric, "a", AT), *b"c");
    assert_eq!(got(&mut fabric, "b", AT), [0; 0]);
    assert_eq!(got(&mut fabric, "c", AT), *b"a");
}

/// Which are lost is written in the seed: the first of five throws of each frame, below 30 of 100.
#[test]
fn the_same_frames_meet_the_same_fate() {
    let rule = Rule { drop: 30, ..Rule::default() };
    let rows = [fabric(), fabric()].map(|mut fabric| {
        fabric.lay("a", "b", rule);
        send(&mut fabric, 0..250);
        assert_eq!(fabric.counts("a", "b").dropped as usize + got(&mut fabric, "b", AT).len(), 250);
        fabric.lay("a", "b", rule);
        send(&mut fabric, 0..250);
        got(&mut fabric, "b", AT)
    });
    assert_eq!(rows[0], rows[1]);
    // 250 * 0.7 = 175; the standard deviation is 7.2.
    assert!((146..=204).contains(&rows[0].len()), "{}", rows[0].len());
    let mut fates = Fates::of(SEED, "a", "b");
    let kept: Vec<u8> = (0..250).filter(|_| !fates.next(&rule).is_dropped).collect();
    assert_eq!(rows[0], kept);
    // Another rule beside it costs no throws.
    let mut other = fabric();
    other.lay("a", "b", Rule { double: 50, corrupt: 50, ..rule });
    send(&mut other, 0..250);
    let mut got = got(&mut other, "b", AT);
    got.dedup();
    assert_eq!(got.len(), kept.len());
}

#[test]
fn lanes_have_dice_of_their_own() {
    let row = |from, to| {
        let mut fates = Fates::of(SEED, from, to);
        Vec::from_iter((0..50).map(|_| fates.next(&Rule { drop: 50, ..Rule::default() })))
    };
    assert_ne!(row("a", "b"), row("b", "a"));
}

#[test]
fn a_delayed_frame_is_due_later_and_not_before() {
    let mut fabric = fabric();
    let delay = Duration::from_millis(700);
    fabric.lay("a", "b", Rule { delay, ..Rule::default() });
    send(&mut fabric, 0..2);
    assert_eq!(fabric.next_due("b"), Some(AT + delay));
    assert_eq!(got(&mut fabric, "b", AT + delay - Duration::from_nanos(1)), [0; 0]);
    assert_eq!(got(&mut fabric, "b", AT + delay), [0, 1]);
}

#[test]
fn pairs_swap_and_the_last_one_goes_after_a_while() {
    let mut fabric = fabric();
    fabric.lay("a", "b", Rule { swap: 100, ..Rule::default() });
    send(&mut fabric, 0..5);
    assert_eq!(got(&mut fabric, "b", AT), [1, 0, 3, 2]);
    assert_eq!(fabric.next_due("b"), Some(AT + HOLD_MAX));
    assert_eq!(got(&mut fabric, "b", AT + HOLD_MAX), [4]);
    assert_eq!(fabric.counts("a", "b").swapped, 3);
    fabric.lay("a", "b", Rule { swap: 100, double: 100, ..Rule::default() });
    send(&mut fabric, 0..2);
    assert_eq!(got(&mut fabric, "b", AT), [1, 1, 0, 0]);
}

#[test]
fn a_corrupted_frame_differs_in_one_byte_behind_its_header() {
    let mut fabric = fabric();
    fabric.lay("a", "b", Rule { corrupt: 100, ..Rule::default() });
    let sent = [&mac(2)[..], &[7; 60]].concat();
    fabric.handle_frame(AT, "a", &sent);
    let got = fabric.poll_frame(AT, "b").unwrap();
    let changed: Vec<usize> = (0..sent.len()).filter(|place| got[*place] != sent[*place]).collect();
    assert!(changed.len() == 1 && changed[0] >= HEADER_BYTES, "{changed:?}");
}

#[test]
fn queues_have_an_end_and_machines_that_are_off_hear_nothing() {
    let mut fabric = fabric();
    for _ in 0..WAITING_MAX + 3 {
        fabric.handle_frame(AT, "a", &frame(mac(2), 0));
    }
    assert_eq!(fabric.counts("a", "b").overflowed, 3);
    fabric.handle_off("b");
    send(&mut fabric, 0..2);
    assert_eq!(fabric.counts("a", "b").unheard, WAITING_MAX as u64 + 2);
    assert_eq!(fabric.handle_on("b"), 2);
    assert_eq!(got(&mut fabric, "b", AT), [0; 0], "nothing of its last life");
}
