//! Networks that are cut, one way or both, whole or in part, and come back.

use std::time::{Duration, Instant};

use crate::Case;
use crate::lab::{Lab, in_time, shown};
use crate::memory::{Memory, lasts};

pub const CASES: &[Case] = &[
    ("f1_two_of_three_go_on", f1_partition),
    ("f6_who_comes_back_half_puts_nobody_out", comes_back_half),
    ("f4_halves_without_an_arbiter_stop_both", f4_halves),
    ("f5_a_cut_one_way_ends_in_one_stable_view", f5_one_way),
    ("f6_a_triangle_cut_leaves_one_out_and_says_by_whom", f6_triangle),
    ("f7_a_flapping_link_does_not_flap_the_view", f7_flapping),
    ("f7_who_is_lost_again_and_again_is_waited_for", f7_damped),
    ("f13_one_of_two_links_lost_changes_nothing", f13_one_link),
    ("f56_a_short_cut_costs_no_view", short_cut),
];

/// A link that is down and up again in a second, so long.
const FLAP: Duration = Duration::from_millis(500);
const FLAPS: Duration = Duration::from_secs(20);
/// One that is down for longer than a window, and up for as long; and how often.
const DAMPED: (Duration, usize) = (Duration::from_millis(1600), 6);

fn f1_partition() {
    let lab = Lab::running("partition", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let views = lab.views(0);
    lab.plan().partition(&[2]);
    in_time("two agree", lab.agree(&[0, 1], true).0);
    let (_, _) = lab.agree(&[2], false);
    let why = lab.nodes[2].evms("evms", &["why"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("n3 is not quorate") && why.contains("n1") && why.contains("silent"), "{why}");
    lab.plan().mend();
    in_time("three agree", lab.agree(&[0, 1, 2], true).0);
    assert_eq!(lab.views(0) - views, 2, "one view for each change of the network\n{}", lab.logs());
}

/// Each is alone for a while, and then heard by one of the two others alone: those two are as many as they were, and stay.
fn comes_back_half() {
    let lab = Lab::running("half-back", 3, 1);
    lab.agree(&[0, 1, 2], true);
    for (alone, [first, second]) in [(2, [0, 1]), (1, [0, 2]), (0, [1, 2])] {
        lab.plan().cut_both(alone, first, true);
        lab.plan().cut_both(alone, second, true);
        let (_, view) = lab.agree(&[first, second], true);
        lab.agree(&[alone], false);
        lab.plan().cut_both(alone, second, false);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(lab.agree(&[first, second], true).1, view, "n{} is half back\n{}", alone + 1, lab.logs());
        lab.plan().mend();
        lab.agree(&[0, 1, 2], true);
    }
}

fn f4_halves() {
    let lab = Lab::running("halves", 4, 1);
    lab.agree(&[0, 1, 2, 3], true);
    let before = Views::of(&lab);
    lab.plan().partition(&[0, 1]);
    in_time("one half agrees", lab.agree(&[0, 1], false).0);
    // The other one did meanwhile.
    in_time("the other half", lab.agree(&[2, 3], false).0);
    before.and(&lab, 1);
    lab.plan().mend();
    in_time("four agree", lab.agree(&[0, 1, 2, 3], true).0);
    before.and(&lab, 2);
}

/// How many views each node had had.
struct Views(Vec<usize>);

impl Views {
    fn of(lab: &Lab) -> Views {
        Views((0..lab.nodes.len()).map(|place| lab.views(place)).collect())
    }

    /// Each of them had so many more since then: one for each change of the network.
    fn and(&self, lab: &Lab, more: usize) {
        let had = Views::of(lab).0.iter().zip(&self.0).map(|(now, then)| now - then).collect::<Vec<_>>();
        assert!(had.iter().all(|had| *had == more), "{had:?}, and not {more}\n{}", lab.logs());
    }
}

fn f5_one_way() {
    let lab = Lab::running("one-way", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let views = lab.views(2);
    lab.plan().cut(0, 1, 0, true);
    // One of the two that do not hear each other both ways is out: the third is in, and stays.
    let begin = Instant::now();
    let members = loop {
        let seen = lab.nodes[2].status().and_then(|status| status.view);
        match seen {
            Some(view) if view.members.len() == 2 => break view.members,
            _ => assert!(begin.elapsed() < Duration::from_secs(20), "{}", lab.logs()),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    in_time("one view", begin.elapsed());
    assert!(members.contains(&"n3".to_string()));
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lab.views(2) - views, 1, "it stays\n{}", lab.logs());
}

fn f6_triangle() {
    let lab = Lab::running("triangle", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let views = lab.views(2);
    lab.plan().cut_both(0, 1, true);
    in_time("one view", lab.agree(&[0, 2], true).0);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lab.views(2) - views, 1, "it stays\n{}", lab.logs());
    let out = lab.nodes[1].status().unwrap();
    assert!(!out.quorum.quorate && out.quorum.why.contains("left out by n1, n3"), "{}", out.quorum.why);
    assert!(out.quorum.why.contains("does not hear n1"), "{}", out.quorum.why);
}

/// Half a second down and half a second up, for ever: nobody is silent for a window, no view follows, and nothing is kept of it.
fn f7_flapping() {
    let lab = Lab::running("flapping", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let before = lab.views(1);
    let (mut memory, begin) = (Memory::default(), Instant::now());
    while begin.elapsed() < lasts(FLAPS) {
        lab.plan().cut_both(0, 1, true);
        std::thread::sleep(FLAP);
        lab.plan().cut_both(0, 1, false);
        std::thread::sleep(FLAP);
        memory.look(&lab, begin.elapsed());
    }
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "{}", shown(&lab.seen()));
    assert_eq!(lab.views(1), before, "{}", lab.logs());
    memory.is_flat();
}

/// Down for longer than a window and up for longer than one: each time somebody is lost. He comes back once as fast as anybody, and then
/// only when he was heard for longer: of twelve changes of the link three are views, and not twelve.
fn f7_damped() {
    let lab = Lab::running("damped", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let before = lab.views(0);
    for _ in 0..DAMPED.1 {
        lab.plan().partition(&[2]);
        std::thread::sleep(DAMPED.0);
        lab.plan().mend();
        std::thread::sleep(DAMPED.0);
    }
    let views = lab.views(0) - before;
    println!("       {views} views of {} changes of the link", DAMPED.1 * 2);
    assert!((2..=4).contains(&views), "{views} views\n{}", lab.logs());
    lab.agree(&[0, 1, 2], true);
}

fn f13_one_link() {
    let lab = Lab::running("links", 3, 2);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        lab.plan().cut(one, other, 0, true);
        lab.plan().cut(other, one, 0, true);
    }
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view);
    let status = lab.nodes[0].status().unwrap();
    let links = &status.nodes[1].links;
    assert!(!links[0].up && links[1].up, "{links:?}");
}

fn short_cut() {
    let lab = Lab::running("short", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    for _ in 0..3 {
        lab.plan().partition(&[0]);
        std::thread::sleep(Duration::from_millis(600));
        lab.plan().mend();
        std::thread::sleep(Duration::from_millis(600));
    }
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view);
}
