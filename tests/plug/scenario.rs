//! One change, from its first write to its last, and what is asked of the disks after each cut.

use std::path::Path;

use crate::images::{Images, Snapshot, State};
use crate::tracer::{Pending, Run, by_file, run_to, take_back, tear};

/// A change and where it starts.
pub struct Scenario {
    /// What is done before.
    pub before: &'static [&'static str],
    /// The change.
    pub change: &'static str,
    /// What finishes it when it was cut short; the change itself, or the way that its refusal tells.
    pub again: &'static str,
    /// Two identities are seen while it is under way, so that only its end is looked at.
    pub two_faced: bool,
    /// How many images it takes.
    pub images: usize,
}

const CREATE: &str = "container create data --private --extent 1M --slot 64K a.img b.img c.img";
const HOME: &str = "volume create data/home --size 1M";

pub const ALL: &[Scenario] = &[
    Scenario {
        before: &[CREATE, HOME],
        change: "volume create data/fast --size 3M --stripes 3",
        again: "volume create data/fast --size 3M --stripes 3",
        two_faced: false,
        images: 3,
    },
    Scenario {
        before: &[CREATE, HOME],
        change: "container expand data d.img",
        again: "container expand data d.img",
        two_faced: false,
        images: 4,
    },
    Scenario {
        before: &[CREATE, HOME],
        change: "container shrink data c.img",
        again: "container shrink data c.img",
        two_faced: false,
        images: 3,
    },
    Scenario {
        before: &[CREATE, HOME],
        change: "container deport data",
        again: "container deport data",
        two_faced: false,
        images: 3,
    },
    Scenario {
        before: &[CREATE],
        change: "container delete data",
        again: "container delete data",
        two_faced: false,
        images: 3,
    },
    Scenario {
        before: &[],
        change: CREATE,
        again: "container create data --private --extent 1M --slot 64K a.img b.img c.img --wipe evms",
        two_faced: false,
        images: 3,
    },
    Scenario {
        before: &[CREATE],
        change: "container import data --new-ids",
        again: "container import data --new-ids",
        two_faced: true,
        images: 3,
    },
    Scenario {
        before: &[CREATE, HOME],
        change: "container import data --new-ids",
        again: "container import data --new-ids",
        two_faced: true,
        images: 3,
    },
];

/// One way to lose power at a point.
#[derive(Clone, Debug)]
enum Loss {
    /// Everything written is there.
    Nothing,
    /// What was not flushed is gone everywhere.
    Everywhere,
    /// What was not flushed is gone in one file.
    In(std::path::PathBuf),
    /// The next write is half there.
    Torn,
}

struct Trial<'a> {
    scenario: &'a Scenario,
    images: Images,
    start: Snapshot,
    old: State,
    new: State,
}

/// Tries every point of one change; what was tried, in a line.
pub fn try_all(scenario: &Scenario, evms: &Path) -> String {
    let images = Images::new(evms, scenario.images);
    let all = images.all;
    for line in scenario.before {
        images.done(line, all);
    }
    let (start, old) = (images.snapshot(), images.state(all));
    images.done(scenario.change, all);
    let new = images.state(all);
    let trial = Trial { scenario, images, start, old, new };
    let (mut points, mut cuts, mut seen_old, mut seen_new) = (0, 0, 0, 0);
    loop {
        trial.images.put_back(&trial.start);
        match run_to(&trial.images.command(scenario.change, all), points + 1) {
            Run::Over { code, said } => {
                assert_eq!(code, 0, "evms {}: {said}", scenario.change);
                let seen = if scenario.two_faced {
                    "finished each time".to_string()
                } else {
                    format!("reopened old {seen_old} times and new {seen_new} times, finished each time")
                };
                return format!("evms {}: cut at {points} points in {cuts} ways; {seen}", scenario.change);
            }
            Run::Killed { unflushed, next } => {
                points += 1;
                let after = trial.images.snapshot();
                for loss in losses(&unflushed, next.as_ref()) {
                    let cut = || {
                        trial.images.put_back(&after);
                        lose(&loss, &unflushed, next.as_ref());
                    };
                    let is_new = trial.judge(points, &loss, cut);
                    cuts += 1;
                    *(if is_new { &mut seen_new } else { &mut seen_old }) += 1;
                }
            }
        }
    }
}

fn losses(unflushed: &[Pending], next: Option<&Pending>) -> Vec<Loss> {
    let mut all = vec![Loss::Nothing];
    let files = by_file(unflushed);
    if !files.is_empty() {
        all.push(Loss::Everywhere);
    }
    if files.len() > 1 {
        all.extend(files.into_keys().map(Loss::In));
    }
    if next.is_some_and(|write| write.new.len() > 4096) {
        all.push(Loss::Torn);
    }
    all
}

fn lose(loss: &Loss, unflushed: &[Pending], next: Option<&Pending>) {
    match loss {
        Loss::Nothing => (),
        Loss::Everywhere => take_back(unflushed.iter()),
        Loss::In(path) => take_back(unflushed.iter().filter(|write| write.path == *path)),
        Loss::Torn => next.into_iter().for_each(tear),
    }
}

/// Every set of images but the empty one.
fn subsets(all: &[&'static str]) -> Vec<Vec<&'static str>> {
    let set = |mask: usize| all.iter().enumerate().filter(move |(bit, _)| mask >> bit & 1 == 1);
    (1..1 << all.len()).map(|mask| set(mask).map(|(_, name)| *name).collect()).collect()
}

impl Trial<'_> {
    /// Is everything as it must be? Tells whether the new state was seen. What is lost in one file alone is looked at
    /// with all disks only, and finished.
    fn judge(&self, point: usize, loss: &Loss, cut: impl Fn()) -> bool {
        let words = format!("evms {} cut at point {point}, {loss:?}", self.scenario.change);
        let all = self.images.all;
        let mut is_new = false;
        cut();
        if !self.scenario.two_faced {
            let written = self.images.written();
            let sets = match loss {
                Loss::Nothing | Loss::Everywhere => subsets(all),
                Loss::In(_) | Loss::Torn => vec![all.to_vec()],
            };
            for here in sets {
                let state = self.images.state(&here);
                let none = state.is_empty() && here.len() < all.len();
                let known = none || state == self.old || state == self.new;
                assert!(known, "{words}: {here:?} show {state:?}, neither {:?} nor {:?}", self.old, self.new);
                is_new = state == self.new;
            }
            assert_eq!(self.images.written(), written, "{words}: looking wrote");
            if matches!(loss, Loss::Nothing | Loss::Everywhere) {
                self.another_change(&words);
                cut();
            }
        }
        self.finish(&words);
        is_new
    }

    /// Another change than the one that was cut works on whatever is there.
    fn another_change(&self, words: &str) {
        let state = self.images.state(self.images.all);
        if state.is_empty() {
            return;
        }
        let deported = state.iter().any(|line| line.contains("deported"));
        let change = if deported { "container import data" } else { "volume create data/other --size 1M" };
        let said = self.images.evms(change, self.images.all);
        assert_eq!(said.code, 0, "{words}: evms {change}: {}", said.text);
        self.well(words, "is labelled and no member");
    }

    /// The same command again brings the new state.
    fn finish(&self, words: &str) {
        let said = self.images.evms(self.scenario.again, self.images.all);
        assert_eq!(said.code, 0, "{words}: evms {}: {}", self.scenario.again, said.text);
        let state = self.images.state(self.images.all);
        assert!(state == self.new, "{words}: finished as {state:?} and not {:?}", self.new);
        self.well(words, "");
    }

    /// Nothing is damaged, and what is to be mended can be. One thing may be left to be told.
    fn well(&self, words: &str, told: &str) {
        let said = self.images.evms("check --repair", self.images.all);
        assert_eq!(said.code, 0, "{words}: evms check --repair: {}", said.text);
        let said = self.images.evms("check", self.images.all);
        let is_well = said.text.contains("all is well");
        let is_told = !told.is_empty() && said.text.lines().count() == 2 && said.text.contains(told);
        assert!(said.code == 0 && (is_well || is_told), "{words}: evms check: {}", said.text);
    }
}
