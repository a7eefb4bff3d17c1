//! Configurations that change while nodes run: a cluster that grows from one, files that say different things, nodes that
//! slept meanwhile.

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use evms::format::control::Request;

use crate::Case;
use crate::fabric::Weather;
use crate::lab::{Lab, PATIENCE, PORT, configuration, machine, shown};

pub const CASES: &[Case] = &[
    ("a_cluster_grows_from_one_by_tokens", grows),
    ("an_old_token_goes_back_behind_nothing", old_token),
    ("a_change_of_one_file_reaches_all", one_file),
    ("f51_two_changes_at_once_are_one", two_files),
    ("f55_who_slept_through_changes_catches_up", slept),
    ("a_minority_changes_nothing", minority),
    ("a_change_that_nobody_can_agree_on_is_forced", forced),
    ("a_node_that_is_gone_for_good_is_forced_out", forced_out),
    ("f51_no_file_keeps_a_node_from_what_it_goes_by", any_file),
    ("a_file_that_nobody_agreed_on_is_no_law", no_law),
    ("an_id_and_a_lost_token", ids),
    ("f50_a_folder_that_takes_nothing_decides_nothing", full),
    ("who_is_taken_out_ends_and_says_so", taken_out),
    ("who_takes_itself_out_leaves_the_others_a_decision", takes_itself_out),
    ("who_had_the_last_word_waits_until_it_is_kept", last_word),
    ("an_accord_that_cannot_be_read_is_got_out_of", torn_accord),
    ("f51_what_its_proposer_left_is_finished", left),
    ("f51_who_hangs_up_leaves_nothing_half_decided", hangs_up),
    ("f51_a_decision_that_nobody_heard_of_is_found_again", unheard),
    ("what_a_node_could_not_go_by_is_put_to_nobody", bad_link),
    ("f50_in_force_is_kept_when_there_is_room_again", noted_late),
];

const LOOK: Duration = Duration::from_millis(20);

/// Until all of these go by this generation, quorate in one view.
fn go_by(lab: &Lab, places: &[usize], generation: u64) {
    let begin = Instant::now();
    let there = |place: &usize| {
        lab.nodes[*place]
            .status()
            .is_some_and(|status| status.generation == generation && status.quorum.quorate)
    };
    while !places.iter().all(there) {
        assert!(begin.elapsed() < PATIENCE, "{}\n{}", shown(&lab.seen()), lab.logs());
        std::thread::sleep(LOOK);
    }
    lab.agree(places, true);
    if std::env::var_os("EVMS_LAB_LOG").is_some() {
        println!("{}", lab.logs());
    }
    println!("       by generation {generation} after {:.1} s", begin.elapsed().as_secs_f64());
}

fn say(lab: &Lab, place: usize, words: &[&str]) -> String {
    let said = lab.nodes[place].evms("evmsd", words);
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{words:?}: {out}{err}\n{}", lab.logs());
    out.into_owned()
}

fn refused(lab: &Lab, place: usize, words: &[&str]) -> String {
    let said = lab.nodes[place].evms("evmsd", words);
    assert!(!said.status.success(), "{words:?}");
    String::from_utf8_lossy(&said.stderr).into_owned()
}

fn next(generation: u64, more: &str) -> String {
    let (from, to) = ("generation = 1", format!("generation = {generation}"));
    configuration(3, 1).replace(from, &to).replacen("\n\n[[node]]", &format!("\n{more}\n\n[[node]]"), 1)
}

/// What a user does: init, start, and for each other machine an invitation, a token, start. Votes come by themselves.
fn grows() {
    let mut lab = Lab::new("grows", 3, 1);
    lab.nodes.iter().for_each(|node| node.strip());
    say(&lab, 0, &["init", "lab", "--node", "n1", "--link", "10.88.0.1"]);
    lab.nodes[0].start();
    lab.agree(&[0], true);
    let mut generation = 1;
    for place in 1..3 {
        let (name, link) = (format!("n{}", place + 1), format!("10.88.0.{}", place + 1));
        let token = say(&lab, 0, &["invite", &name, "--link", &link]);
        generation += 1;
        // Nobody waits for who is not there yet.
        go_by(&lab, &(0..place).collect::<Vec<_>>(), generation);
        let again = refused(&lab, 0, &["invite", &name, "--link", "10.88.0.99"]);
        assert!(again.contains("is in the cluster already"), "{again}");
        let cut = refused(&lab, place, &["join", &token[..token.len() / 2]]);
        assert!(cut.contains("no token, or not all of it"), "{cut}");
        say(&lab, place, &["join", token.trim()]);
        let twice = refused(&lab, place, &["join", token.trim()]);
        assert!(twice.contains("is there already"), "{twice}");
        lab.nodes[place].start();
        // It is a member without a vote, and then has one.
        generation += 1;
        go_by(&lab, &(0..=place).collect::<Vec<_>>(), generation);
        let status = lab.nodes[place].status().unwrap();
        assert_eq!(status.quorum.all as usize, place + 1, "{status:?}");
    }
    assert_eq!(lab.nodes[0].configuration(), lab.nodes[2].configuration());
}

/// The token of generation 2 is used again when the cluster goes by 3: whoever made a quorum of what it says would do so by
/// votes that are over.
fn old_token() {
    let mut lab = Lab::new("old-token", 2, 1);
    lab.nodes.iter().for_each(|node| node.strip());
    say(&lab, 0, &["init", "lab", "--node", "n1", "--link", "10.88.0.1"]);
    lab.nodes[0].start();
    lab.agree(&[0], true);
    let token = say(&lab, 0, &["invite", "n2", "--link", "10.88.0.2"]);
    go_by(&lab, &[0], 2);
    say(&lab, 1, &["join", token.trim()]);
    lab.nodes[1].start();
    go_by(&lab, &[0, 1], 3);
    let before = std::fs::read_to_string(lab.nodes[1].agreed("cluster")).unwrap();
    lab.nodes[1].lose_configuration();
    let found = ["init", "other", "--node", "n2", "--link", "10.88.0.2"];
    for words in [&["join", token.trim()][..], &found] {
        let told = refused(&lab, 1, words);
        assert!(told.contains("another evmsd of this machine"), "{told}");
    }
    lab.nodes[1].kill();
    let told = refused(&lab, 1, &["join", token.trim()]);
    assert!(told.contains("generation 3 of this cluster already") && told.contains("start evmsd"), "{told}");
    let told = refused(&lab, 1, &found);
    assert!(
        told.contains("generation 3 of cluster lab already") && told.contains("move /var/lib/evms away"),
        "{told}"
    );
    let kept = std::fs::read_to_string(lab.nodes[1].agreed("cluster")).unwrap();
    assert_eq!((kept, lab.nodes[1].configuration()), (before, String::new()), "nothing was made");
    // What it goes by is there all the same.
    lab.nodes[1].start();
    go_by(&lab, &[0, 1], 3);
    assert_eq!(lab.nodes[1].configuration(), lab.nodes[0].configuration());
    assert!(lab.nodes[1].log().contains("writes the file anew"), "{}", lab.nodes[1].log());
}

fn one_file() {
    let mut lab = Lab::running("one-file", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.nodes[1].kill();
    lab.nodes[1].configure(&next(2, "[timing]\nbeat = 120"));
    lab.nodes[1].start();
    go_by(&lab, &[0, 1, 2], 2);
    for node in &lab.nodes {
        assert!(node.configuration().contains("beat = 120"), "{}", node.configuration());
    }
    // And it stays, though one had an older file.
    lab.nodes[0].kill();
    lab.nodes[0].configure(&configuration(3, 1));
    lab.nodes[0].start();
    go_by(&lab, &[0, 1, 2], 2);
    assert!(lab.nodes[0].log().contains("passed over"), "{}", lab.nodes[0].log());
}

/// Two administrators, two files of one generation: one is decided, the other one hears so.
fn two_files() {
    let mut lab = Lab::running("two-files", 3, 1);
    lab.agree(&[0, 1, 2], true);
    for (place, beat) in [(0, 110), (1, 120)] {
        lab.nodes[place].kill();
        lab.nodes[place].configure(&next(2, &format!("[timing]\nbeat = {beat}")));
    }
    lab.nodes[0].start();
    lab.nodes[1].start();
    go_by(&lab, &[0, 1, 2], 2);
    let texts = lab.nodes.iter().map(|node| node.configuration()).collect::<Vec<_>>();
    assert!(texts[0] == texts[1] && texts[1] == texts[2], "{texts:?}");
    assert!(texts[0].contains("beat = 110") || texts[0].contains("beat = 120"));
    std::thread::sleep(Duration::from_secs(2));
    go_by(&lab, &[0, 1, 2], 2);
}

fn slept() {
    let mut lab = Lab::running("slept", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.nodes[2].kill();
    lab.agree(&[0, 1], true);
    for generation in 2..4 {
        lab.nodes[0].kill();
        lab.nodes[0].configure(&next(generation, &format!("[timing]\nbeat = {}", 100 + generation)));
        lab.nodes[0].start();
        go_by(&lab, &[0, 1], generation);
    }
    lab.nodes[2].start();
    go_by(&lab, &[0, 1, 2], 3);
    assert!(lab.nodes[2].configuration().contains("beat = 103"));
}

fn minority() {
    let mut lab = Lab::running("minority", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.plan().partition(&[0]);
    lab.agree(&[1, 2], true);
    lab.nodes[0].kill();
    // By what it wishes it would be quorate alone.
    let alone = next(2, "").replace("\nid = 2\n", "\nid = 2\nvotes = 0\n");
    lab.nodes[0].configure(&alone);
    lab.nodes[0].start();
    lab.agree(&[0], false);
    std::thread::sleep(Duration::from_secs(4));
    let status = lab.nodes[0].status().unwrap();
    assert_eq!((status.generation, status.quorum.quorate), (1, false));
    let told = refused(&lab, 0, &["invite", "n9", "--link", "10.88.0.9"]);
    assert!(told.contains("not here: n2, n3"), "{told}");
    // The others see it again, and agree: then it is decided.
    lab.plan().mend();
    go_by(&lab, &[0, 1, 2], 2);
    assert_eq!(lab.nodes[2].status().unwrap().quorum.all, 2);
}

/// A machine without memory and with a file of its own making is quorate by nothing (safety 1.6).
fn no_law() {
    let mut lab = Lab::running("no-law", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.nodes[2].kill();
    lab.nodes[2].lose_what_was_agreed();
    let mine = next(2, "")
        .replace("\nid = 1\n", "\nid = 1\nvotes = 0\n")
        .replace("\nid = 2\n", "\nid = 2\nvotes = 0\n");
    lab.nodes[2].configure(&mine);
    lab.nodes[2].start();
    assert_eq!(lab.nodes[2].ended(), Some(1));
    assert!(lab.nodes[2].log().contains("join anew by a token"), "{}", lab.nodes[2].log());
    lab.agree(&[0, 1], true);
}

fn ids() {
    let lab = Lab::running("ids", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let token = say(&lab, 0, &["invite", "n4", "--link", "10.88.0.4"]);
    go_by(&lab, &[0, 1, 2], 2);
    assert_eq!(say(&lab, 1, &["invite", "n4", "--link", "10.88.0.4"]), token, "the same token again");
    let machine = ["--machine", "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"];
    let as_another = [&["invite", "n4", "--link", "10.88.0.4"][..], &machine].concat();
    let told = refused(&lab, 2, &as_another);
    assert!(told.contains("not as aaaaaaaa") && told.contains("generation = 3"), "{told}");
    let without = lab.nodes[0].configuration();
    let without =
        without.split("\n[[node]]\nid = 4").next().unwrap().replace("generation = 2", "generation = 3");
    lab.nodes[0].configure(&[&without, "\n"].concat());
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    go_by(&lab, &[0, 1, 2], 3);
    // As it was told to: now it is another machine, by another id.
    say(&lab, 2, &as_another);
    go_by(&lab, &[0, 1, 2], 4);
    let text = lab.nodes[1].configuration();
    assert!(text.contains("id = 5") && !text.contains("id = 4\n") && text.contains(machine[1]), "{text}");
    // Two of two are needed, and one is gone.
    let mut pair = Lab::running("pair", 2, 1);
    pair.agree(&[0, 1], true);
    pair.nodes[1].kill();
    let told = refused(&pair, 0, &["invite", "n3", "--link", "10.88.0.3"]);
    assert!(
        told.contains("not here: n2") && told.contains("evmsd force") || told.contains("not quorate"),
        "{told}"
    );
}

/// A node that cannot keep what it promises promises nothing; the others do without it, and it follows when it can.
fn full() {
    let lab = Lab::running("full-folder", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let full = lab.nodes[0].fill_what_was_agreed();
    lab.nodes[0].configure(&next(2, "[timing]\nbeat = 120"));
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    let begin = Instant::now();
    while !lab.nodes[0].log().contains("was not put in force") {
        assert!(begin.elapsed() < PATIENCE, "{}", lab.logs());
        std::thread::sleep(LOOK);
    }
    assert_eq!(lab.nodes[1].status().unwrap().generation, 1, "its own promise is one that is needed");
    // Another one proposes.
    lab.nodes[1].configure(&next(2, "[timing]\nbeat = 130"));
    lab.nodes[1].signal(nix::sys::signal::Signal::SIGHUP);
    go_by(&lab, &[1, 2], 2);
    std::thread::sleep(Duration::from_secs(3));
    let lines = lab.nodes[0].log().lines().filter(|line| line.contains("cannot be kept")).count();
    assert!((1..=6).contains(&lines), "{}", lab.nodes[0].log());
    drop(full);
    go_by(&lab, &[0, 1, 2], 2);
}

fn taken_out() {
    let mut lab = Lab::running("taken-out", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let text = configuration(3, 1).replace("generation = 1", "generation = 2");
    lab.nodes[0].configure(&[text.split("\n[[node]]\nid = 3").next().unwrap(), "\n"].concat());
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    go_by(&lab, &[0, 1], 2);
    assert_eq!(lab.nodes[2].ended(), Some(1));
    lab.nodes[2].start();
    assert_eq!(lab.nodes[2].ended(), Some(1));
    assert!(lab.nodes[2].log().contains("is none of the nodes"), "{}", lab.nodes[2].log());
    // It does as it is told, and is a node again, by another id.
    let advice = format!("--machine {}", machine(2));
    assert!(lab.nodes[2].log().contains(&advice), "{}", lab.nodes[2].log());
    let token = say(&lab, 0, &["invite", "n3", "--link", "10.88.0.3", "--machine", &machine(2)]);
    lab.nodes[2].lose_configuration();
    say(&lab, 2, &["join", token.trim()]);
    lab.nodes[2].start();
    go_by(&lab, &[0, 1, 2], 4);
    let text = lab.nodes[2].configuration();
    assert!(text.contains("\nid = 4\n") && !text.contains("\nid = 3\n"), "{text}");
}

/// By its own file. It ends when it is decided, and the others have accepted it without needing its word: whatever they hear of it, they
/// have it decided again.
fn takes_itself_out() {
    let mut lab = Lab::running("itself-out", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let text = configuration(3, 1).replace("generation = 1", "generation = 2");
    lab.nodes[2].configure(&[text.split("\n[[node]]\nid = 3").next().unwrap(), "\n"].concat());
    lab.plan().weather(Weather { delay_ms: (90, 110), ..Weather::default() });
    lab.nodes[2].signal(nix::sys::signal::Signal::SIGHUP);
    lab.until(|lab| has_accepted(lab, 0) && has_accepted(lab, 1));
    // What it says to them when that is decided does not arrive.
    lab.plan().cut(2, 0, 0, true);
    lab.plan().cut(2, 1, 0, true);
    assert_eq!(lab.nodes[2].ended(), Some(1), "{}", lab.logs());
    assert!(lab.nodes[2].log().contains("it was taken out, and ends"), "{}", lab.logs());
    lab.plan().mend();
    lab.plan().weather(Weather::default());
    go_by(&lab, &[0, 1], 2);
}

/// Of two nodes one takes itself out, and both have to say yes: the other does, and hears no more for a while. It is no decision without
/// the word of the one that goes: that one waits, says for whom, and goes when the other keeps it.
fn last_word() {
    let mut lab = Lab::running("last-word", 2, 1);
    lab.agree(&[0, 1], true);
    lab.nodes[1].configure(&configuration(1, 1).replace("generation = 1", "generation = 2"));
    lab.plan().weather(Weather { delay_ms: (250, 270), ..Weather::default() });
    lab.nodes[1].signal(nix::sys::signal::Signal::SIGHUP);
    lab.until(|lab| has_accepted(lab, 0));
    lab.plan().cut(1, 0, 0, true);
    lab.until(|lab| lab.nodes[1].log().contains("these have not said so yet: n1"));
    assert!(lab.nodes[1].status().is_some_and(|status| status.generation == 1), "{}", lab.logs());
    lab.plan().mend();
    lab.plan().weather(Weather::default());
    go_by(&lab, &[0], 2);
    assert_eq!(lab.nodes[1].ended(), Some(1));
}

/// What a node promised cannot be read: it says no word of it, and how to go on.
fn torn_accord() {
    let mut lab = Lab::running("torn-accord", 2, 1);
    lab.agree(&[0, 1], true);
    lab.nodes.iter_mut().for_each(|node| node.kill());
    std::fs::write(lab.nodes[0].agreed("next"), "half").unwrap();
    lab.nodes[0].start();
    assert_eq!(lab.nodes[0].ended(), Some(1));
    let log = lab.nodes[0].log();
    assert!(log.contains("promised about generation 2") && log.contains("generation 3 on all"), "{log}");
    let third = configuration(2, 1).replace("generation = 1", "generation = 3");
    lab.nodes[0].configure(&third.replace("generation = 3", "generation = 2"));
    let told = refused(&lab, 0, &["force"]);
    assert!(told.contains("give it 3 or more"), "what it promised may be in force: {told}");
    for place in [0, 1] {
        lab.nodes[place].configure(&third);
        say(&lab, place, &["force"]);
    }
    lab.nodes.iter_mut().for_each(|node| node.start());
    go_by(&lab, &[0, 1], 3);
}

/// All addresses are other ones: nobody can be asked by the old ones.
fn forced() {
    let mut lab = Lab::running("forced", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let told = refused(&lab, 0, &["force"]);
    assert!(told.contains("another evmsd of this machine"), "{told}");
    let other = configuration(3, 1).replace("generation = 1", "generation = 5\nport = 5600");
    for node in &mut lab.nodes {
        node.kill();
        node.configure(&other);
    }
    for (bad, why) in [
        (configuration(3, 1).replace("generation = 1", "generation = 1\nport = 5600"), "give it 2 or more"),
        (other.replace("0000000077", "0000000078"), "of another cluster"),
        (configuration(0, 1), "no node is named"),
        (configuration(1, 1).replace("generation = 1", "generation = 5"), "is none of the nodes"),
    ] {
        lab.nodes[1].configure(&bad);
        let told = refused(&lab, 1, &["force"]);
        assert!(told.contains(why), "{told}");
    }
    lab.nodes[1].configure(&other);
    for place in 0..3 {
        let told = say(&lab, place, &["force"]);
        assert!(told.contains("generation 5") && told.contains("on all nodes"), "{told}");
    }
    lab.nodes.iter_mut().for_each(|node| node.start());
    go_by(&lab, &[0, 1, 2], 5);
}

/// Half of the votes are gone for good; and of those who are left one never heard of node 3, as if it had slept.
fn forced_out() {
    let mut lab = Lab::running("forced-out", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.nodes.iter_mut().for_each(|node| node.kill());
    let slept = ["# in force\n", &configuration(2, 1)].concat();
    std::fs::write(lab.nodes[1].agreed("cluster"), slept).unwrap();
    let without = configuration(2, 1).replace("generation = 1", "generation = 2");
    for place in [0, 1] {
        lab.nodes[place].configure(&without);
        assert!(say(&lab, place, &["force"]).contains("generation 2"));
        let kept = std::fs::read_to_string(lab.nodes[place].agreed("cluster")).unwrap();
        for _ in 0..2 {
            let again = say(&lab, place, &["force"]);
            assert!(again.contains("already") && again.contains("on all nodes"), "{again}");
        }
        assert_eq!(std::fs::read_to_string(lab.nodes[place].agreed("cluster")).unwrap(), kept);
    }
    assert!(lab.nodes[0].configuration().contains("highest = 3"), "{}", lab.nodes[0].configuration());
    assert!(!lab.nodes[1].configuration().contains("highest"), "{}", lab.nodes[1].configuration());
    lab.nodes[..2].iter_mut().for_each(|node| node.start());
    go_by(&lab, &[0, 1], 2);
    // What one remembers is known to both after the next change.
    say(&lab, 0, &["invite", "n9", "--link", "10.88.0.9"]);
    go_by(&lab, &[0, 1], 3);
    let text = lab.nodes[1].configuration();
    assert!(text.contains("\nid = 4\n") && !text.contains("\nid = 3\n"), "{text}");
}

/// A crash, or a full disk, between what is kept and the file leaves any file; and so does an editor.
fn any_file() {
    let mut lab = Lab::running("any-file", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let same = configuration(3, 1).replace("generation = 1", "generation = 1\nport = 5600");
    let leap = next(2, "").replace("\nid = 1\n", "\nid = 1\nvotes = 9\n");
    let files = [
        (same.as_str(), "same generation, 1; give it 2"),
        (&leap, "votes of 1 nodes"),
        ("cluster =", "correct it"),
    ];
    for (place, (text, why)) in files.into_iter().enumerate() {
        lab.nodes[place].kill();
        lab.nodes[place].configure(text);
        lab.nodes[place].start();
        go_by(&lab, &[0, 1, 2], 1);
        let log = lab.nodes[place].log();
        assert!(log.contains("passed over") && log.contains(why), "{log}");
        assert_eq!(lab.nodes[place].configuration(), text, "it is the administrator's");
    }
    // Who asks for it to be put in force hears that it is not.
    let end = lab.nodes[0].configuration();
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    lab.until(|lab| lab.nodes[0].log().contains("was not put in force"));
    assert_eq!((lab.nodes[0].configuration(), lab.nodes[0].status().unwrap().generation), (end, 1));
}

/// What a node has accepted, of this node's ballot.
fn accepts(lab: &Lab, place: usize, by: u64, next: &str) {
    let ballot = 1 << 16 | by;
    let text = format!("# about 2\n# promised {ballot}\n# accepted {ballot}\n{next}");
    fs::write(lab.nodes[place].agreed("next"), text).unwrap();
}

fn has_accepted(lab: &Lab, place: usize) -> bool {
    fs::read_to_string(lab.nodes[place].agreed("next")).is_ok_and(|text| text.contains("# accepted"))
}

/// A proposer died when one of three had accepted: nobody wants anything any more, and it is decided all the same.
fn left() {
    let mut lab = Lab::running("left", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.nodes[1].kill();
    accepts(&lab, 1, 3, &next(2, "[timing]\nbeat = 120"));
    lab.nodes[1].start();
    go_by(&lab, &[0, 1, 2], 2);
    assert!(lab.nodes.iter().all(|node| node.configuration().contains("beat = 120")));
}

/// Who wanted a change goes away while the others are asked, which takes longer than it takes to see that: it goes on, and nobody
/// has to finish it.
fn hangs_up() {
    let lab = Lab::running("hangs-up", 3, 1);
    lab.agree(&[0, 1, 2], true);
    lab.plan().weather(Weather { delay_ms: (120, 140), ..Weather::default() });
    lab.nodes[0].ask_and_hang_up(Request::Propose(next(2, "[timing]\nbeat = 120")));
    lab.until(|lab| (0..3).all(|place| lab.nodes[place].status().is_some_and(|is| is.generation == 2)));
    assert!(!lab.logs().contains("this node finishes it"), "{}", lab.logs());
    lab.plan().weather(Weather::default());
    go_by(&lab, &[0, 1, 2], 2);
}

/// It was decided, who knew told nobody and died. The two that accepted heard one beat by it, and are silent in no view.
fn unheard() {
    let mut lab = Lab::running("unheard", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let decided = next(2, "[timing]\nbeat = 120");
    for place in 0..3 {
        lab.nodes[place].kill();
        accepts(&lab, place, 3, &decided);
    }
    fs::write(lab.nodes[2].agreed("cluster"), format!("# in force\n{decided}")).unwrap();
    lab.nodes[2].configure(&decided);
    lab.plan().mute(PORT + 1);
    lab.nodes.iter_mut().for_each(|node| node.start());
    lab.until(|lab| (0..2).all(|place| lab.nodes[place].log().contains("others go by configuration 2")));
    lab.nodes[2].kill();
    lab.plan().mute(0);
    go_by(&lab, &[0, 1], 2);
}

/// Somebody has the port on the address that n1 is to have: it is refused before anybody is asked. Else the others would have
/// accepted it, and it would be learned from them and proposed for ever.
fn bad_link() {
    let mut lab = Lab::running("bad-link", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let taken = lab.nodes[0].inside(|| UdpSocket::bind(("127.0.0.9", PORT)).unwrap());
    let bad = next(2, "").replace("\"10.88.0.1\"", "\"127.0.0.9\"");
    lab.nodes[0].configure(&bad);
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    lab.until(|lab| lab.nodes[0].log().contains("could not be gone by on n1"));
    assert!(!(0..3).any(|place| has_accepted(&lab, place)), "{}", lab.logs());
    // Where another one accepted it, it is said whose it was. Two that could decide it without n1 are not here.
    lab.nodes[2].kill();
    lab.nodes[1].kill();
    accepts(&lab, 1, 3, &bad);
    lab.nodes[1].start();
    lab.agree(&[0, 1], true);
    lab.nodes[0].configure(&next(2, "[timing]\nbeat = 120"));
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    lab.until(|lab| lab.nodes[0].log().contains("that n3 put to the nodes, and that was accepted"));
    // The other one tries by itself, and is told why n1 does not.
    lab.until(|lab| lab.nodes[1].log().contains("n1: it could not go by that"));
    assert!(!has_accepted(&lab, 0), "{}", lab.logs());
    drop(taken);
    // Nothing is in its way any more.
    lab.until(|lab| lab.nodes[1].status().is_some_and(|status| status.generation == 2));
}

/// Where there is no room to keep that a configuration is in force, it is kept when there is, and not forgotten.
fn noted_late() {
    let mut lab = Lab::new("noted-late", 2, 1);
    lab.nodes[0].start();
    lab.until(|lab| lab.nodes[0].status().is_some());
    let full = lab.nodes[0].fill_what_was_agreed();
    lab.nodes[1].start();
    lab.agree(&[0, 1], true);
    lab.until(|lab| lab.nodes[0].log().contains("is in force cannot be kept"));
    let is_noted =
        |lab: &Lab| fs::read_to_string(lab.nodes[0].agreed("cluster")).unwrap().starts_with("# in force");
    assert!(!is_noted(&lab));
    drop(full);
    lab.until(is_noted);
    let lines = lab.nodes[0].log().lines().filter(|line| line.contains("is in force cannot be kept")).count();
    assert_eq!(lines, 1, "{}", lab.nodes[0].log());
}
