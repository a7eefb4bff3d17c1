//! Nodes that come, die, stand still and come back.

use nix::sys::signal::Signal;

use crate::Case;
use crate::lab::{Lab, in_time};

pub const CASES: &[Case] = &[
    ("three_join_and_agree", three_join_and_agree),
    ("f18_a_daemon_that_comes_back_at_once_changes_no_view", f18_restart),
    ("f1_a_dead_node_is_left_out_in_time", f1_death),
    ("f17_a_daemon_that_stands_still_is_left_out_and_comes_back", f17_stop),
    ("a_node_that_leaves_is_not_waited_for", leave),
    ("messages_go_on_after_a_restart", messages_after_restart),
    ("f55_nobody_steps_away_from_the_configuration_that_was_agreed_on", f55_configuration),
];

/// The issue: a dead peer is out of the agreed view in 1.5 s; here with what it costs to look.
const DEAD_SECONDS: f64 = 1.5;

fn three_join_and_agree() {
    let lab = Lab::running("join", 3, 1);
    let (took, view) = lab.agree(&[0, 1, 2], true);
    println!("       view {view} after {:.2} s", took.as_secs_f64());
    let status = lab.nodes[1].evms("evms", &["status"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && text.contains("quorum   yes"), "{text}");
}

fn f18_restart() {
    let mut lab = Lab::running("restart", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let before = lab.views(0);
    for _ in 0..3 {
        lab.nodes[2].kill();
        lab.nodes[2].start();
        let (_, now) = lab.agree(&[0, 1, 2], true);
        assert_eq!(now, view);
    }
    // What would follow from the silence has a window to come.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view);
    assert_eq!(lab.views(0), before, "{}", lab.logs());
}

fn f1_death() {
    let mut lab = Lab::running("death", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.nodes[2].kill();
    let begin = std::time::Instant::now();
    let without = |place: usize| {
        let view = lab.nodes[place].status().and_then(|status| status.view);
        view.filter(|view| view.members.len() == 2).map(|view| view.number)
    };
    // Both of them, and the same one.
    while without(0).is_none_or(|view| without(1) != Some(view)) {
        assert!(begin.elapsed().as_secs() < 10, "{}", lab.logs());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let took = begin.elapsed().as_secs_f64();
    let (_, view) = lab.agree(&[0, 1], true);
    println!("       view {view} after {took:.2} s, quorate after {:.2} s", begin.elapsed().as_secs_f64());
    assert!(took <= DEAD_SECONDS, "{took}");
    lab.nodes[2].forget();
    lab.nodes[2].start();
    lab.agree(&[0, 1, 2], true);
}

fn f17_stop() {
    let lab = Lab::running("stop", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.nodes[1].signal(Signal::SIGSTOP);
    in_time("without it", lab.agree(&[0, 2], true).0);
    lab.nodes[1].signal(Signal::SIGCONT);
    in_time("back", lab.agree(&[0, 1, 2], true).0);
    let log = lab.nodes[1].log();
    assert!(log.contains("the detector was not scheduled for"), "{log}");
}

fn leave() {
    let mut lab = Lab::running("leave", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let left = lab.nodes[0].evms("evmsd", &["leave"]);
    assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    let (took, _) = lab.agree(&[1, 2], true);
    println!("       agreed after {:.2} s", took.as_secs_f64());
    // Neither a window nor a promise was waited for.
    assert!(took.as_secs_f64() < 1.0, "{took:?}");
    assert_eq!(lab.nodes[0].ended(), Some(0));
    let because = lab.nodes[1].status().unwrap().changes[0].why.clone();
    assert!(because.contains("n1 left in good order"), "{because}");
}

/// A restart is no change of the view: what is said to the node afterwards arrives all the same.
fn messages_after_restart() {
    let mut lab = Lab::running("mail-restart", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    lab.nodes[1].kill();
    lab.nodes[1].start();
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view);
    let begin = std::time::Instant::now();
    loop {
        let asked =
            [(0, "n2"), (1, "n1")].map(|(from, to)| lab.nodes[from].evms("evms", &["--node", to, "status"]));
        if asked.iter().all(|asked| asked.status.success()) {
            break;
        }
        let words = asked.map(|asked| String::from_utf8_lossy(&asked.stderr).into_owned());
        assert!(begin.elapsed().as_secs() < 10, "{words:?}");
    }
    assert!(lab.nodes[1].status().unwrap().view.unwrap().since_ms > 0);
}

/// Safety 1.6: nobody makes a cluster of its own out of a file, and a mistaken one costs nothing for longer than it is there.
fn f55_configuration() {
    let mut lab = Lab::running("follow", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let alone = crate::lab::configuration(1, 1).replace("generation = 1", "generation = 2");
    // What was agreed on before stands, whatever an older file says.
    let older = crate::lab::configuration(3, 1).replace("generation = 1", "generation = 0");
    for (file, why) in [(alone, "votes of 2 nodes are changed"), (older, "generation 0 is none")] {
        lab.nodes[0].kill();
        lab.nodes[0].configure(&file);
        lab.nodes[0].start();
        lab.until(|lab| lab.nodes[0].status().is_some());
        lab.agree(&[0, 1, 2], true);
        assert!(lab.seen().iter().flatten().all(|status| status.generation == 1), "{}", lab.logs());
        assert!(lab.nodes[0].log().contains(why), "{}", lab.nodes[0].log());
    }
    lab.nodes[0].kill();
    lab.nodes[0].configure(&crate::lab::configuration(3, 1));
    lab.nodes[0].start();
    lab.agree(&[0, 1, 2], true);
}
