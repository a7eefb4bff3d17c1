//! Messages between real daemons.

use std::time::Duration;

use crate::Case;
use crate::fabric::Weather;
use crate::lab::Lab;

pub const CASES: &[Case] = &[
    ("a_node_is_asked_through_another", asked_through),
    ("f8_messages_arrive_in_bad_weather", weather),
    ("f10_large_messages_pass_a_path_that_swallows_large_packets", black_hole),
    ("f13_a_link_is_lost_in_the_middle_of_a_message", link_lost),
    ("a_message_to_a_node_that_goes_ends_in_an_error", gone),
];

fn ping(lab: &Lab, words: &[&str]) -> Result<String, String> {
    let ran = lab.nodes[0].evms("evms", &[&["node", "ping"], words].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if ran.status.success() { Ok(text(&ran.stdout)) } else { Err(text(&ran.stderr)) }
}

fn asked_through() {
    let lab = Lab::running("asked", 3, 1);
    lab.agree(&[0, 1, 2], true);
    println!("       {}", ping(&lab, &["n2", "--count", "1000"]).unwrap().trim());
    println!(
        "       {}",
        ping(&lab, &["n2", "--bytes", "1024", "--count", "20000", "--at-once", "64"]).unwrap().trim()
    );
    println!("       {}", ping(&lab, &["n3", "--bytes", "16000000", "--count", "2"]).unwrap().trim());
    let status = lab.nodes[0].evms("evms", &["--node", "n3", "status"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(text.contains("seen by n3"), "{text}{}", String::from_utf8_lossy(&status.stderr));
    let wrong = lab.nodes[0].evms("evms", &["--node", "n9", "status"]);
    assert_eq!(wrong.status.code(), Some(3), "{}", String::from_utf8_lossy(&wrong.stderr));
    let links = lab.nodes[0].status().unwrap().nodes[1].links.clone();
    assert!(links[0].round_trip_us.is_some() && links[0].in_use, "{links:?}");
}

fn weather() {
    let lab = Lab::running("mail-weather", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let bad = Weather { lost_per_mille: 200, doubled_per_mille: 50, delay_ms: (1, 40), hole_bytes: 0 };
    lab.plan().weather(bad);
    for words in [&["n2", "--count", "40"][..], &["n3", "--bytes", "200000", "--count", "3"]] {
        println!("       {}", ping(&lab, words).unwrap().trim());
    }
}

/// Frames of more than 1300 bytes vanish, after larger ones were proven to pass.
fn black_hole() {
    let lab = Lab::running("hole", 2, 1);
    lab.agree(&[0, 1], true);
    println!("       {}", ping(&lab, &["n2", "--bytes", "1000000"]).unwrap().trim());
    let large = lab.nodes[0].status().unwrap().nodes[1].links[0].datagram_bytes;
    lab.plan().weather(Weather { hole_bytes: 1300, ..Weather::default() });
    println!("       {}", ping(&lab, &["n2", "--bytes", "1000000"]).unwrap().trim());
    let small = lab.nodes[0].status().unwrap().nodes[1].links[0].datagram_bytes;
    assert!(large > 1300 && small <= 1300, "{large} {small}");
}

fn link_lost() {
    let lab = Lab::running("mail-links", 2, 2);
    lab.agree(&[0, 1], true);
    let used = lab.nodes[0].status().unwrap().nodes[1].links.iter().position(|link| link.in_use).unwrap_or(0);
    std::thread::scope(|scope| {
        let pinging = scope.spawn(|| ping(&lab, &["n2", "--bytes", "4000000", "--count", "20"]));
        std::thread::sleep(Duration::from_millis(300));
        lab.plan().cut(0, 1, used, true);
        lab.plan().cut(1, 0, used, true);
        println!("       {}", pinging.join().unwrap().unwrap().trim());
    });
    let links = lab.nodes[0].status().unwrap().nodes[1].links.clone();
    assert!(!links[used].in_use, "{links:?}");
}

fn gone() {
    let mut lab = Lab::running("mail-gone", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.nodes[1].kill();
    let asked = lab.nodes[0].evms("evms", &["--node", "n2", "status"]);
    let words = String::from_utf8_lossy(&asked.stderr).into_owned();
    println!("       {}", words.trim());
    assert_eq!(asked.status.code(), Some(7), "{words}");
    assert!(words.contains("n2"), "{words}");
}
