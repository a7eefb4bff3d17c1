//! Five nodes: what happens to one or two of them costs the others one view for each change, and no more.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::Case;
use crate::fabric::Weather;
use crate::lab::{Lab, in_time, shown};

pub const CASES: &[Case] = &[
    ("f1_one_of_five_dies_and_comes_back", death),
    ("f17_one_of_five_stands_still_and_goes_on", stop),
    ("f1_three_of_five_go_on_and_mend", partition),
    ("one_of_five_leaves_and_joins_again", leave),
    ("f8_five_agree_in_bad_weather", weather),
    ("f28_all_boot_at_once_into_one_view", f28_boot),
];

const ALL: [usize; 5] = [0, 1, 2, 3, 4];
/// Bad weather in which nobody dies.
const WEATHER: Duration = Duration::from_secs(8);
/// The bound. Each round of an agreement of five takes twenty datagrams, of which four are lost; they are said again a
/// quarter of a beat later.
const MENDED_IN_WEATHER: Duration = Duration::from_secs(2);
/// What would follow from a view that came too early has come by then: a window, and what it takes to agree.
const FOLLOWS: Duration = Duration::from_millis(1500);

/// Five of one view, and how many views each of them had until then.
struct Five {
    lab: Lab,
    before: Vec<usize>,
}

impl Five {
    fn new(name: &str) -> Five {
        let lab = Lab::running(name, 5, 1);
        lab.agree(&ALL, true);
        let before = ALL.iter().map(|place| lab.views(*place)).collect();
        Five { lab, before }
    }

    /// These agree in time; so many views did those have since all five had agreed first.
    fn agree(&self, places: &[usize], (of, views): (&[usize], usize)) {
        in_time(&format!("{} agree", places.len()), self.lab.agree(places, true).0);
        self.had(of, views);
    }

    fn had(&self, places: &[usize], views: usize) {
        for place in places {
            let had = self.lab.views(*place) - self.before[*place];
            assert_eq!(had, views, "views of n{}\n{}", place + 1, self.lab.logs());
        }
    }
}

fn death() {
    let mut five = Five::new("five-death");
    let others = &ALL[..4];
    five.lab.nodes[4].kill();
    five.agree(others, (others, 1));
    // The same boot comes back: it knows what it promised, and waits for nothing but to be heard.
    five.lab.nodes[4].start();
    five.agree(&ALL, (others, 2));
}

fn stop() {
    let five = Five::new("five-stop");
    let others = &[0, 2, 3, 4];
    five.lab.nodes[1].signal(Signal::SIGSTOP);
    five.agree(others, (others, 1));
    five.lab.nodes[1].signal(Signal::SIGCONT);
    five.agree(&ALL, (others, 2));
}

fn partition() {
    let five = Five::new("five-cut");
    five.lab.plan().partition(&[1, 3]);
    five.agree(&[0, 2, 4], (&[0, 2, 4], 1));
    // The other two are of one view as well, and may not act by it.
    five.lab.agree(&[1, 3], false);
    five.had(&[1, 3], 1);
    five.lab.plan().mend();
    five.agree(&ALL, (&ALL, 2));
}

fn leave() {
    let mut five = Five::new("five-leave");
    let others = &ALL[1..];
    let left = five.lab.nodes[0].evms("evmsd", &["leave"]);
    assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    five.agree(others, (others, 1));
    assert_eq!(five.lab.nodes[0].ended(), Some(0));
    five.lab.nodes[0].start();
    five.agree(&ALL, (others, 2));
}

/// What is lost, doubled and overtaken kills nobody; what is cut, mended or dead in it is agreed on as at other times.
fn weather() {
    let mut five = Five::new("five-weather");
    let others = &[0, 1, 3, 4];
    let bad = Weather { lost_per_mille: 200, doubled_per_mille: 50, delay_ms: (1, 40), hole_bytes: 0 };
    five.lab.plan().weather(bad);
    std::thread::sleep(WEATHER);
    assert!(five.lab.seen().iter().all(Option::is_some), "{}", shown(&five.lab.seen()));
    five.had(&ALL, 0);
    five.lab.plan().partition(&[1, 3]);
    five.agree(&[0, 2, 4], (&[0, 2, 4], 1));
    five.lab.plan().mend();
    let (took, _) = five.lab.agree(&ALL, true);
    println!("       5 agree after {:.2} s", took.as_secs_f64());
    assert!(took <= MENDED_IN_WEATHER, "{took:?}");
    five.had(&ALL, 2);
    five.lab.nodes[2].kill();
    five.agree(others, (others, 3));
}

/// The part of F28 that is the membership's: whoever boots together is quorate by one view, the same on all, and has had no
/// other one but, who is up first, that of itself alone, by which nobody acts. Twice: a power cut takes all of them, and all
/// memory of views.
fn f28_boot() {
    let mut lab = Lab::new("five-boot", 5, 1);
    for boot in 1..=2 {
        lab.start_at_once();
        let (_, number) = lab.agree(&ALL, true);
        std::thread::sleep(FOLLOWS);
        for node in &lab.nodes {
            let log = node.log();
            let of_boot = log.rsplit("configuration 1\n").next().unwrap();
            let says = |line: &&str| line.contains(": quorate") || line.contains("not quorate");
            let quorate = of_boot.lines().filter(says).collect::<Vec<_>>();
            assert_eq!(quorate, [format!("evmsd: quorate by view {number}")], "boot {boot}\n{}", lab.logs());
            let others = of_boot.lines().filter(|line| line.contains(": view ") && !line.contains(&number));
            let alone = |line: &str| line.ends_with(&format!(": {}", node.name));
            assert!(others.clone().count() <= 1 && others.clone().all(alone), "boot {boot}\n{}", lab.logs());
        }
        lab.nodes.iter_mut().for_each(crate::lab::Node::kill);
        lab.nodes.iter().for_each(crate::lab::Node::forget);
    }
}
