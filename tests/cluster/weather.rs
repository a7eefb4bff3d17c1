//! Bad weather and enemies: loss, doubles, delays, floods, forgeries, replays, and nodes that are not what they say.

use std::time::{Duration, Instant};

use crate::Case;
use crate::fabric::{Weather, datagram};
use crate::lab::{Lab, PORT, configuration, key, shown};

pub const CASES: &[Case] = &[
    ("f8_loss_doubles_and_delays_cost_nobody", f8_weather),
    ("f11_a_flood_of_garbage_changes_nothing", f11_flood),
    ("f12_what_was_captured_is_believed_by_nobody", f12_replay),
    ("f25_a_machine_with_a_taken_id_is_refused_by_name", f25_twin),
    ("f25_a_copy_of_a_whole_machine_is_refused_and_the_first_unharmed", f25_copy),
    ("f26_a_node_installed_anew_is_another_incarnation", f26_anew),
    ("f51_another_configuration_is_refused_by_name", f51_configuration),
    ("another_key_and_another_cluster_are_told_apart", foreign),
];

fn f8_weather() {
    let lab = Lab::running("weather", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let before = lab.views(0);
    let bad = Weather { lost_per_mille: 200, doubled_per_mille: 50, delay_ms: (1, 200), hole_bytes: 0 };
    lab.plan().weather(bad);
    std::thread::sleep(Duration::from_secs(20));
    let seen = lab.seen();
    assert_eq!(lab.views(0), before, "no false death\n{}\n{}", shown(&seen), lab.logs());
    let lost = seen[0].as_ref().unwrap().nodes[1].links[0].lost_per_mille;
    println!("       {} per mille lost of 200", lost);
    assert!((100..=320).contains(&lost), "{lost}");
    lab.plan().weather(Weather::default());
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view);
}

/// A beat of the second node to the first one, as it was sent, with another last byte: nothing but its seal tells.
fn forged(lab: &Lab) -> Vec<u8> {
    lab.plan().keep();
    let mut forged = Vec::new();
    lab.until(|lab| {
        let beats = lab
            .plan()
            .kept()
            .into_iter()
            .filter(|(to, frame)| *to == 0 && frame[11] == 1 && frame.len() > 100);
        let to_port = |frame: &Vec<u8>| frame[36..38] == PORT.to_be_bytes();
        forged = beats.map(|(_, frame)| frame).find(to_port).map_or(Vec::new(), |frame| frame[42..].to_vec());
        !forged.is_empty()
    });
    *forged.last_mut().unwrap() ^= 1;
    forged
}

/// Fifty thousand a second; half of them carry all but a seal that fits, a quarter are almost frames.
fn f11_flood() {
    let lab = Lab::running("flood", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let forged = forged(&lab);
    let (memory, ticks, begin) = (lab.nodes[0].resident_kib(), lab.nodes[0].ticks(), Instant::now());
    let mut sent = 0u64;
    let mut almost = b"EVMW\x01\x02\0\0\x02\0\0\0\0\0\0\0".to_vec();
    almost[12..16].copy_from_slice(&[0, 0, 0, 0]);
    almost.resize(200, 7);
    while begin.elapsed() < Duration::from_secs(5) {
        for _ in 0..100 {
            let payload = [&forged[..], &almost, &forged, &almost[100..]][sent as usize % 4];
            lab.plan().inject(0, datagram(1, 0, PORT, payload));
            sent += 1;
        }
        let due = begin + Duration::from_micros(sent * 20);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let (used, took) = (lab.nodes[0].ticks() - ticks, begin.elapsed());
    let status = lab.nodes[0].status().unwrap();
    println!(
        "       {sent} in {:.1} s; {used} hundredths of a second of processor; {} dropped",
        took.as_secs_f64(),
        status.traffic.no_frame
            + status.traffic.foreign
            + status.traffic.unknown_key
            + status.traffic.bad_seal
    );
    // Half of a processor, of a build for tests; a second has a hundred of them.
    assert!((used as f64) < took.as_secs_f64() * 50.0, "{used} in {took:?}");
    let arrived = [status.traffic.no_frame, status.traffic.bad_seal];
    assert!(arrived.iter().all(|count| *count > sent / 20), "they arrived: {:?}", status.traffic);
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "{}", lab.logs());
    assert!(lab.nodes[0].resident_kib() <= memory + 256, "{} after {memory}", lab.nodes[0].resident_kib());
}

fn f12_replay() {
    let mut lab = Lab::new("replay", 3, 1);
    lab.plan().keep();
    lab.nodes.iter_mut().for_each(crate::lab::Node::start);
    lab.agree(&[0, 1, 2], true);
    let kept = lab.plan().kept();
    let say_again = |lab: &Lab| {
        for _ in 0..3 {
            for (to, frame) in &kept {
                lab.plan().inject(*to, frame.clone());
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    };
    // The third is booted anew while all of its former life, and of the others', is said again: before it is there, and when it is.
    lab.nodes[2].kill();
    lab.nodes[2].forget();
    std::thread::sleep(Duration::from_millis(1500));
    let before = lab.nodes[0].status().unwrap();
    say_again(&lab);
    let after = lab.nodes[0].status().unwrap();
    assert_eq!(after.nodes[2].state, "silent", "{} captured", kept.len());
    assert_eq!(after.view.as_ref().map(|view| &view.number), before.view.as_ref().map(|view| &view.number));
    lab.nodes[2].start();
    say_again(&lab);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let views = lab.views(0);
    say_again(&lab);
    assert_eq!((lab.agree(&[0, 1, 2], true).1, lab.views(0)), (view, views), "{}", lab.logs());
}

fn f25_twin() {
    let mut lab = Lab::new("twin", 4, 1);
    let three = configuration(3, 1);
    for node in &lab.nodes {
        node.configure(&three);
    }
    lab.nodes[..3].iter_mut().for_each(crate::lab::Node::start);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    // The fourth machine says to be the third node, on its own address.
    lab.nodes[3].configure(&three.replace("10.88.0.3", "10.88.0.4"));
    let machine = three.lines().filter(|line| line.starts_with("machine")).nth(2).unwrap();
    lab.nodes[3].be(machine.split('"').nth(1).unwrap());
    lab.nodes[3].start();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view);
    let last = lab.nodes[0].status().unwrap().traffic.last;
    println!("       {last}");
    // Its configuration is another one, which is seen first; two of one configuration are the channel's own tests.
    assert!(last.contains("n3 has another configuration of the same generation 1"), "{last}");
    let twin = lab.nodes[3].status().expect("it runs");
    assert!(
        !twin.quorum.quorate && twin.view.is_none_or(|view| view.members.len() == 1),
        "it is let in nowhere"
    );
}

/// The whole machine twice, as a copied virtual one is: of one configuration, identity, address and hardware.
fn f25_copy() {
    let mut lab = Lab::new("copy", 4, 1);
    let three = configuration(3, 1);
    lab.nodes[..3].iter().for_each(|node| node.configure(&three));
    lab.nodes[..3].iter_mut().for_each(crate::lab::Node::start);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let first = lab.nodes[0].status().unwrap().nodes[2].incarnation.clone();
    lab.clone_of(2, 3);
    lab.nodes[3].start();
    let is_refused =
        |last: &str| last.contains("two machines go by the identity of n3") && last.contains(&first);
    lab.until(|lab| [0, 1].iter().all(|place| is_refused(&lab.nodes[*place].status().unwrap().traffic.last)));
    println!("       {}", lab.nodes[0].status().unwrap().traffic.last);
    let copy = lab.nodes[3].status().expect("it runs");
    let second = copy.nodes[2].incarnation.clone();
    assert!(second != first && is_refused(&lab.nodes[1].status().unwrap().traffic.last));
    assert!(
        !copy.quorum.quorate && copy.view.is_none_or(|view| view.members.len() == 1),
        "it is let in nowhere"
    );
    // Both identities are named, and the first is unharmed.
    assert!(lab.nodes[0].status().unwrap().traffic.last.contains(&second[..8]), "{second}");
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "{}", lab.logs());
    lab.nodes[3].kill();
    // When the first one is gone, its place is the copy's.
    lab.nodes[2].kill();
    lab.agree(&[0, 1], true);
    lab.nodes[3].start();
    lab.until(|lab| lab.nodes[3].status().is_some_and(|status| status.quorum.quorate));
}

fn f26_anew() {
    let mut lab = Lab::running("anew", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let boot = |lab: &Lab| lab.nodes[0].status().unwrap().nodes[2].incarnation.clone();
    let before = boot(&lab);
    lab.nodes[2].kill();
    // Installed anew: all that a daemon writes is gone, what an administrator copies is there again.
    lab.nodes[2].forget();
    lab.nodes[2].lose_what_was_agreed();
    lab.nodes[2].start();
    lab.until(|lab| boot(lab) != before);
    lab.agree(&[0, 1, 2], true);
    assert_ne!(boot(&lab), before);
}

fn f51_configuration() {
    let mut lab = Lab::new("config", 3, 1);
    lab.nodes[2].configure(&(configuration(3, 1) + "votes = 2\n"));
    lab.nodes.iter_mut().for_each(crate::lab::Node::start);
    lab.agree(&[0, 1], true);
    let last = lab.nodes[0].status().unwrap().traffic.last;
    assert!(last.contains("n3 has another configuration of the same generation 1"), "{last}");
    assert!(last.contains("generation 2 on both") && last.contains("evmsd force"), "{last}");
    // It stands in the log too, once, however often n3 speaks.
    let told = "n3 has another configuration of the same generation";
    lab.until(|lab| lab.nodes[0].log().contains(told));
    assert_eq!(lab.nodes[0].log().matches(told).count(), 1);
    lab.nodes[2].kill();
    lab.nodes[2].configure("cluster = \n");
    // What it went by counts, where there is any.
    lab.nodes[2].lose_what_was_agreed();
    lab.nodes[2].start();
    assert_eq!(lab.nodes[2].ended(), Some(1));
    assert!(lab.nodes[2].log().contains("evms.conf, line 1"), "{}", lab.nodes[2].log());
}

fn foreign() {
    let mut lab = Lab::new("foreign", 4, 1);
    lab.nodes[2].give_key(&key(9));
    let other = configuration(4, 1).replace("id = \"00000000-", "id = \"aaaaaaaa-");
    lab.nodes[3].configure(&other);
    lab.nodes.iter_mut().for_each(crate::lab::Node::start);
    lab.agree(&[0, 1], false);
    let traffic = lab.nodes[0].status().unwrap().traffic;
    assert!(traffic.unknown_key > 0 && traffic.foreign > 0, "{traffic:?}");
    assert!(lab.nodes[2].status().is_some_and(|status| !status.quorum.quorate));
}
