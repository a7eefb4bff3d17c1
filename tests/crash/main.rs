//! The crash model: the product's own protocol over disks that lose, tear and lie, with the laws checked at every
//! write and every answer. It proves that it can notice: each deliberate mistake must be caught by a law, and the
//! unmutated run is clean over the same cases.
//!
//! `build.sh crash` runs it. Arguments: `[COUNT]` random histories (default 500), `--from FIRST`, `--seed SEED` replays
//! one history, `--mistake NAME` runs everything with one mistake, `--long` adds
//! the other orders of four disks.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod author;
mod catch;
mod cut_short;
mod disk;
mod duel;
mod exhaustive;
mod forced;
mod history;
mod laws;
mod recover;
mod trio;
mod vanish;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use evms::volume::mistake::Rules;
use laws::Broken;
use world::Schedule;

const HISTORIES: u64 = 500;
const THREADS: usize = 2;

/// One part of the whole run; parts are independent, so threads share them out.
pub enum Part {
    Exhaustive(usize, Schedule),
    Duel(usize),
    Trio(u16),
    Vanish(usize),
    CutShort,
    SplitBrain,
    Quarantine,
    Histories(u64, u64),
}

impl Part {
    fn name(&self) -> String {
        match self {
            Part::Exhaustive(index, order) => {
                format!("crash points: {}, {order:?}", exhaustive::scenarios()[*index].name)
            }
            Part::Duel(index) => format!("two machines: {}", duel::duels()[*index].name),
            Part::Trio(disks) => format!("three machines, two of which stand still: {disks} disks"),
            Part::Vanish(index) => format!("a disk vanishes: {}", vanish::cuts()[*index].name),
            Part::CutShort => "f20: a change of owner is cut off".into(),
            Part::SplitBrain => "two contents by force".into(),
            Part::Quarantine => "freed extents".into(),
            Part::Histories(from, to) => format!("histories: seeds {from}..{to}"),
        }
    }

    pub fn run(&self, rules: Rules, cases: &mut u64) -> Result<(), (String, Broken)> {
        let named = |result: Result<(), Broken>| result.map_err(|broken| (self.name(), broken));
        match self {
            Part::Exhaustive(index, order) => {
                named(exhaustive::run(&exhaustive::scenarios()[*index], *order, rules, cases))
            }
            Part::Duel(index) => named(duel::run(&duel::duels()[*index], rules, cases)),
            Part::Trio(disks) => named(trio::run(*disks, rules, cases)),
            Part::Vanish(index) => named(vanish::run(&vanish::cuts()[*index], rules, cases)),
            Part::CutShort => named(cut_short::f20_a_commit_killed_at_every_write(rules, cases)),
            Part::SplitBrain => named(forced::split_brain(rules, cases)),
            Part::Quarantine => named(forced::quarantine(rules, cases)),
            Part::Histories(from, to) => (*from..*to).try_for_each(|seed| {
                history::run(seed, rules, cases).map_err(|broken| (format!("history: --seed {seed}"), broken))
            }),
        }
    }
}

pub fn parts(histories: u64, from: u64) -> Vec<Part> {
    let orders = [Schedule::Breadth, Schedule::Depth, Schedule::Reverse];
    let scenarios = 0..exhaustive::scenarios().len();
    let scenarios = scenarios.flat_map(|index| orders.map(|order| Part::Exhaustive(index, order)));
    // Four disks take as long as all the rest; the other two orders of them are for `--long`.
    let long = std::env::args().any(|arg| arg == "--long");
    let small = |part: &Part| match part {
        Part::Exhaustive(index, order) => {
            long || *order == Schedule::Breadth || exhaustive::scenarios()[*index].disks < 4
        }
        _ => true,
    };
    let mut parts = scenarios.filter(small).collect::<Vec<_>>();
    parts.extend((0..duel::duels().len()).map(Part::Duel));
    parts.extend(trio::DISKS.map(Part::Trio));
    parts.extend([Part::CutShort, Part::SplitBrain, Part::Quarantine]);
    parts.extend((0..vanish::cuts().len()).map(Part::Vanish));
    parts.extend(
        (0..histories.div_ceil(100)).map(|chunk| {
            Part::Histories(from + chunk * 100, (from + chunk * 100 + 100).min(from + histories))
        }),
    );
    parts.reverse();
    parts
}

/// The same parts in the order in which a mistake is hunted: what is cheap goes first.
pub fn hunting_parts(histories: u64, from: u64) -> Vec<Part> {
    let mut all = parts(histories, from);
    all.sort_by_key(|part| match part {
        Part::Exhaustive(0, Schedule::Breadth) => 1,
        Part::Exhaustive(index, Schedule::Breadth) if exhaustive::scenarios()[*index].disks <= 2 => 0,
        Part::SplitBrain | Part::Quarantine => 0,
        Part::Trio(1) => 1,
        Part::Vanish(_) | Part::CutShort | Part::Trio(_) => 2,
        Part::Duel(index) if duel::duels()[*index].disks <= 2 => 1,
        Part::Duel(_) => 2,
        Part::Exhaustive(index, Schedule::Reverse) if exhaustive::scenarios()[*index].disks == 3 => 3,
        Part::Exhaustive(index, Schedule::Breadth) if exhaustive::scenarios()[*index].disks == 3 => 4,
        Part::Histories(..) => 5,
        Part::Exhaustive(index, _) => 6 + exhaustive::scenarios()[*index].disks,
    });
    all
}

fn clean_run(histories: u64, from: u64) -> bool {
    let parts = parts(histories, from);
    let (next, cases) = (AtomicUsize::new(0), AtomicU64::new(0));
    let findings = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut count = 0;
                    if let Err(finding) = part.run(Rules::ALL, &mut count) {
                        findings.lock().unwrap().push(finding);
                    }
                    cases.fetch_add(count, Ordering::Relaxed);
                    if !matches!(part, Part::Histories(..)) {
                        println!("  {}: {count} cases", part.name());
                    }
                }
            });
        }
    });
    let findings = findings.into_inner().unwrap();
    for (name, broken) in &findings {
        println!("BROKEN {name}: {broken:?}");
    }
    println!("crash model: {} cases, {} findings", cases.into_inner(), findings.len());
    findings.is_empty()
}

fn main() {
    let args = std::env::args().skip(1).collect::<Vec<_>>();
    let after = |word: &str| args.iter().position(|arg| arg == word).and_then(|place| args.get(place + 1));
    let number = |word: &str| after(word).map(|text| text.parse::<u64>().expect("a number"));
    let start = std::time::Instant::now();
    if let Some(seed) = number("--seed") {
        let result = history::run(seed, Rules::ALL, &mut 0);
        println!("seed {seed}: {result:?}");
        std::process::exit(i32::from(result.is_err()));
    }
    if let Some(name) = after("--mistake") {
        return catch::one(name);
    }
    let histories = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(HISTORIES);
    let clean = clean_run(histories, number("--from").unwrap_or(0));
    println!("unmutated run: {:.0} s", start.elapsed().as_secs_f64());
    let caught = catch::all();
    println!("whole run: {:.0} s", start.elapsed().as_secs_f64());
    println!("{} passed, {} failed", u32::from(clean) + caught.0, u32::from(!clean) + caught.1);
    std::process::exit(i32::from(!clean || caught.1 > 0));
}
