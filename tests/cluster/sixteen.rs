//! Sixteen nodes on two links: what happens to one, or to a few, costs the others one view for each change, and no more.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::Case;
use crate::fabric::Weather;
use crate::lab::{Lab, in_time};

pub const CASES: &[Case] = &[
    ("sixteen_in_two_parts_and_whole_again", parts),
    ("sixteen_through_all_that_happens_to_one", one_of_them),
];

const NODES: usize = 16;
const LINKS: usize = 2;
/// In which who comes back is in the view of all: the two seconds, and what a process needs to begin where sixteen of a build
/// for tests share two processors. Usual: 1.5 to 1.9 s.
const BACK: Duration = Duration::from_millis(2000 + 500);
/// How long a link is down and up again, and how often.
const FLAP: (Duration, usize) = (Duration::from_millis(500), 4);
/// What follows from a change has come by then: a window, and what it takes to agree.
const FOLLOWS: Duration = Duration::from_millis(1500);
/// Bad weather in which nobody dies.
const WEATHER: Duration = Duration::from_secs(6);

/// All of one view, and how many views each of them has had.
struct Sixteen {
    lab: Lab,
    had: Vec<usize>,
}

impl Sixteen {
    fn join(name: &str) -> Sixteen {
        let mut lab = Lab::new(name, NODES, LINKS);
        lab.start_at_once();
        let (took, _) = lab.agree(&all(), true);
        println!("       joined after {:.2} s", took.as_secs_f64());
        let had = (0..NODES).map(|place| lab.views(place)).collect();
        Sixteen { lab, had }
    }

    /// All but these agree in time, and each of them has had one view more.
    fn others_agree(&mut self, what: &str, away: &[usize]) {
        let others = all().into_iter().filter(|place| !away.contains(place)).collect::<Vec<_>>();
        in_time(&format!("{what}: {} agree", others.len()), self.lab.agree(&others, true).0);
        self.each_had(&others, 1);
    }

    /// All agree soon; those that were in it all along have had one view more.
    fn all_agree(&mut self, what: &str, back: &[usize]) {
        let (took, _) = self.lab.agree(&all(), true);
        println!("       {what}: all agree after {:.2} s", took.as_secs_f64());
        assert!(took <= BACK, "{what}: {took:?}");
        let others = all().into_iter().filter(|place| !back.contains(place)).collect::<Vec<_>>();
        self.each_had(&others, 1);
    }

    /// So many more than when they were counted last; and they are counted anew.
    fn each_had(&mut self, places: &[usize], more: usize) {
        for place in places {
            let had = self.lab.views(*place) - self.had[*place];
            assert_eq!(had, more, "views of n{}\n{}", place + 1, self.lab.logs());
        }
        self.had = (0..NODES).map(|place| self.lab.views(place)).collect();
    }

    /// Nothing followed from that.
    fn nothing_follows(&mut self, view: &str) {
        std::thread::sleep(FOLLOWS);
        assert_eq!(self.lab.agree(&all(), true).1, view, "{}", self.lab.logs());
        self.each_had(&all(), 0);
    }
}

fn all() -> Vec<usize> {
    (0..NODES).collect()
}

fn parts() {
    let mut sixteen = Sixteen::join("sixteen-parts");
    leave(&mut sixteen);
    partition(&mut sixteen);
}

/// Each step with other nodes: who was lost twice in half a minute is heard for longer before it is believed (F7).
fn one_of_them() {
    let mut sixteen = Sixteen::join("sixteen-one");
    half_cut(&mut sixteen, "a cut one way", (6, 9), false);
    half_cut(&mut sixteen, "two hear nothing of each other", (7, 10), true);
    death_and_stop(&mut sixteen);
    links_and_weather(&mut sixteen);
}

fn death_and_stop(sixteen: &mut Sixteen) {
    sixteen.lab.nodes[15].kill();
    sixteen.others_agree("one dies", &[15]);
    sixteen.lab.nodes[15].start();
    sixteen.all_agree("it is back", &[15]);
    sixteen.lab.nodes[12].signal(Signal::SIGSTOP);
    sixteen.others_agree("one stands", &[12]);
    sixteen.lab.nodes[12].signal(Signal::SIGCONT);
    sixteen.all_agree("it goes on", &[12]);
}

/// The one that proposes.
fn leave(sixteen: &mut Sixteen) {
    let left = sixteen.lab.nodes[0].evms("evmsd", &["leave"]);
    assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    sixteen.others_agree("the first one leaves", &[0]);
    assert_eq!(sixteen.lab.nodes[0].ended(), Some(0));
    sixteen.lab.nodes[0].start();
    sixteen.all_agree("it joins again", &[0]);
}

fn partition(sixteen: &mut Sixteen) {
    let five = [0, 1, 2, 3, 4];
    sixteen.lab.plan().partition(&five);
    sixteen.others_agree("five are cut off", &five);
    // Those are of one view as well, and may not act by it.
    sixteen.lab.agree(&five, false);
    sixteen.lab.plan().mend();
    sixteen.all_agree("mended", &five);
}

/// Of two that do not hear each other both ways one is out, and nobody else.
fn half_cut(sixteen: &mut Sixteen, what: &str, (one, other): (usize, usize), both: bool) {
    let begin = Instant::now();
    for link in 0..LINKS {
        sixteen.lab.plan().cut(one, other, link, true);
        sixteen.lab.plan().cut(other, one, link, both);
    }
    let members = |lab: &Lab| lab.nodes[5].status().and_then(|status| status.view).map(|view| view.members);
    sixteen.lab.until(|lab| members(lab).is_some_and(|members| members.len() == NODES - 1));
    let begun = begin.elapsed();
    let name = &sixteen.lab.nodes[one].name;
    let out = if members(&sixteen.lab).is_some_and(|members| members.contains(name)) { other } else { one };
    let others = all().into_iter().filter(|place| *place != out).collect::<Vec<_>>();
    in_time(&format!("{what}: 15 agree"), begun + sixteen.lab.agree(&others, true).0);
    std::thread::sleep(FOLLOWS);
    sixteen.each_had(&others, 1);
    sixteen.lab.plan().mend();
    sixteen.all_agree("mended", &[out]);
}

fn links_and_weather(sixteen: &mut Sixteen) {
    let (_, view) = sixteen.lab.agree(&all(), true);
    let (lasts, times) = FLAP;
    for _ in 0..times {
        sixteen.lab.plan().cut_both(8, 13, true);
        std::thread::sleep(lasts);
        sixteen.lab.plan().cut_both(8, 13, false);
        std::thread::sleep(lasts);
    }
    sixteen.nothing_follows(&view);
    for (one, other) in all().into_iter().flat_map(|one| all().into_iter().map(move |other| (one, other))) {
        if one != other {
            sixteen.lab.plan().cut(one, other, 0, true);
        }
    }
    sixteen.nothing_follows(&view);
    sixteen.lab.plan().mend();
    let bad = Weather { lost_per_mille: 200, doubled_per_mille: 50, delay_ms: (1, 40), hole_bytes: 0 };
    sixteen.lab.plan().weather(bad);
    std::thread::sleep(WEATHER);
    sixteen.nothing_follows(&view);
    // And what dies in it is agreed on as at other times.
    sixteen.lab.nodes[14].kill();
    sixteen.others_agree("one dies in bad weather", &[14]);
}
