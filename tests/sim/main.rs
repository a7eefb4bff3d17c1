//! The simulator of clusters: the product's own membership over a network that loses, doubles, delays, overtakes and cuts,
//! on machines that pause, stop, crash, forget and drift, with the laws checked at every event. It proves that it can
//! notice: each deliberate mistake must be caught by a law, and the unmutated run is clean over as many seeds.
//!
//! Beside it the same clusters change their configuration while they run (`changes/`).
//!
//! A second world is that of letters (`letters/`): the product's own transport, with as many seeds and its own mistakes. A
//! third is that of datagrams: the product's own sealed channels, and somebody who says again what was said. A fourth is that of
//! gates (`gates/`): who may write to a container's disks, while nodes, keepers, commands and disks fail.
//!
//! Faults of faults.md that are told step by step stand beside it (`gates/told/`): `--told [NAME]`.
//!
//! `build.sh sim` runs all. Arguments: `[COUNT]` seeds (default 2000), `--from FIRST`, `--seed SEED` replays one and shows
//! what happened, `--mistake NAME` runs everything with one mistake, `--clean` leaves the mistakes out, `--letters`, `--changes`,
//! `--datagrams`, `--gates` and `--clusters` run one world alone, `--told [NAME]` the faults whose names begin so,
//! `--copies` of the clusters only those with a copied machine,
//! `--speed` measures the transport, `--ledger` goes on with the long run of the clusters, with `--gates` or `--changes` with that
//! of those (`ledger`), `--growth` what a node of a large
//! cluster costs, `--views [COUNT]` whether memory is flat under a million changes of the view; `--seed` is of clusters
//! unless another world is named.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod catch;
mod chance;
mod changes;
mod clock;
mod datagrams;
mod disk;
mod gates;
mod growth;
mod halves;
mod laws;
mod ledger;
mod letters;
mod machine;
mod network;
mod plan;
mod stillness;
mod story;
mod tale;
mod told;
mod views;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use evms::base::mistake as base;
use evms::cluster::mistake::{Mistake, Rules};
use laws::Broken;
use nix::time::{ClockId, clock_gettime};
use world::World;

/// One run of a seed, and of how many nodes it was.
pub type Run<M = Mistake> = fn(u64, base::Rules<M>) -> Result<(usize, Sum), Broken>;

/// How a world is played.
#[derive(Clone, Copy)]
pub struct Game<M = Mistake> {
    pub run: Run<M>,
    /// The same with what happened, the last of it.
    pub replay: fn(u64, base::Rules<M>) -> bool,
    /// What of it is counted.
    pub what: &'static str,
    /// Of the seeds that are asked for one of so many.
    pub of: u64,
}

const CLUSTERS: Game = Game { run, replay, what: "views", of: 1 };
const COPIES: Game = Game { run: run_copies, ..CLUSTERS };
const LETTERS: Game = Game { run: letters::run, replay: letters::replay, what: "messages", of: 4 };
const CHANGES: Game = Game { run: changes::run, replay: changes::replay, what: "decisions", of: 4 };
const DATAGRAMS: Game = Game { run: datagrams::run, replay: datagrams::replay, what: "datagrams", of: 4 };
const GATES: Game<gates::Mistake> = Game { run: gates::run, replay: gates::replay, what: "writes", of: 1 };

/// A world: the option that asks for it alone, how it is played, and its mistakes.
type Told = (&'static str, Game, &'static [(Mistake, &'static str)]);

const SEEDS: u64 = 2000;
const THREADS: usize = 2;

/// Nodes of the clusters by which the simulator's speed is told.
const SPEED_NODES: usize = 5;

/// Runs that were clean, together.
#[derive(Clone, Copy, Default)]
pub struct Sum {
    runs: u64,
    virtual_us: u64,
    /// Views that came to count, or messages that were delivered.
    counted: u64,
    core_us: u64,
}

impl Sum {
    fn add(&mut self, other: Sum) {
        self.runs += other.runs;
        self.virtual_us += other.virtual_us;
        self.counted += other.counted;
        self.core_us += other.core_us;
    }

    fn virtual_seconds(self) -> f64 {
        self.virtual_us as f64 / 1e6
    }

    /// Virtual seconds per second of a core, by the processor's own account: others may want it too.
    fn speed(self) -> f64 {
        self.virtual_us as f64 / self.core_us.max(1) as f64
    }
}

fn core_us() -> u64 {
    let spent = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    spent.tv_sec() as u64 * 1_000_000 + spent.tv_nsec() as u64 / 1000
}

/// Has the cluster of this seed arbitration disks?
pub fn has_disks(seed: u64) -> bool {
    !World::new(seed, Rules::ALL, false).disks.is_empty()
}

/// One run, and of how many nodes it was.
pub fn run(seed: u64, rules: Rules) -> Result<(usize, Sum), Broken> {
    let begin = core_us();
    let mut world = World::new(seed, rules, false);
    world.run()?;
    let nodes = world.configuration.nodes.len();
    Ok((nodes, Sum { runs: 1, virtual_us: world.now_us, counted: world.views, core_us: core_us() - begin }))
}

/// Does a copy of a machine appear in this seed?
pub fn has_copies(seed: u64) -> bool {
    World::new(seed, Rules::ALL, false).copies
}

/// The same for seeds in which copies of a machine appear, and nothing for others: most findings of long runs were there.
fn run_copies(seed: u64, rules: Rules) -> Result<(usize, Sum), Broken> {
    if has_copies(seed) { run(seed, rules) } else { Ok((0, Sum::default())) }
}

fn replay(seed: u64, rules: Rules) -> bool {
    let mut world = World::new(seed, rules, true);
    let ended = world.run();
    for line in world.told() {
        println!("{line}");
    }
    for line in world.standing() {
        println!("{line}");
    }
    println!("seed {seed}: {} nodes: {ended:?}", world.configuration.nodes.len());
    ended.is_ok()
}

/// What a number of seeds came to.
pub struct Sums {
    findings: usize,
    all: Sum,
    of_five: Sum,
}

fn clean_run<M: Copy + Sync>(game: Game<M>, seeds: u64, from: u64, rules: base::Rules<M>) -> Sums {
    let Game { run, replay, what, of } = game;
    let seeds = seeds.div_ceil(of);
    let next = AtomicU64::new(from);
    let (all, of_five) = (Mutex::new(Sum::default()), Mutex::new(Sum::default()));
    let findings = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + seeds {
                        return;
                    }
                    match run(seed, rules) {
                        Ok((nodes, sum)) => {
                            all.lock().unwrap().add(sum);
                            if nodes == SPEED_NODES {
                                of_five.lock().unwrap().add(sum);
                            }
                        }
                        Err(broken) => findings.lock().unwrap().push((seed, broken)),
                    }
                }
            });
        }
    });
    let findings = findings.into_inner().unwrap();
    // How it came to the first one.
    if let Some((seed, _)) = findings.first() {
        replay(*seed, rules);
    }
    for (seed, broken) in findings.iter().take(10) {
        println!("BROKEN --seed {seed}: {}: {}", broken.law, broken.words);
    }
    let (all, of_five) = (all.into_inner().unwrap(), of_five.into_inner().unwrap());
    println!(
        "{seeds} seeds from {from}: {} findings, {:.0} virtual seconds, {} {what}, {:.0} virtual seconds per core-second",
        findings.len(),
        all.virtual_seconds(),
        all.counted,
        all.speed()
    );
    if of_five.runs == 0 {
        return Sums { findings: findings.len(), all, of_five };
    }
    println!(
        "{} of them with {SPEED_NODES} nodes: {:.0} virtual seconds per core-second",
        of_five.runs,
        of_five.speed()
    );
    Sums { findings: findings.len(), all, of_five }
}

fn number_behind(words: &[String], option: &str) -> Option<u64> {
    let place = words.iter().position(|word| word == option)?;
    words.get(place + 1)?.parse().ok()
}

/// One world: its seeds, then its mistakes.
fn world<M: catch::Named>(
    words: &[String],
    game: Game<M>,
    table: &[(M, &str)],
    fits: fn(M, u64) -> bool,
) -> bool {
    let mistake = words.iter().position(|word| word == "--mistake").and_then(|place| words.get(place + 1));
    let rules = match mistake {
        None => base::Rules::ALL,
        Some(name) => match catch::named(table, name) {
            None => return true,
            Some(mistake) => base::Rules::without(mistake),
        },
    };
    let seeds = words.first().and_then(|word| word.parse().ok()).unwrap_or(SEEDS);
    let clean = clean_run(game, seeds, number_behind(words, "--from").unwrap_or(1), rules).findings == 0;
    let caught =
        mistake.is_some() || words.iter().any(|word| word == "--clean") || catch::all(table, game.run, fits);
    clean && caught
}

/// The faults that are told step by step, by the beginning of their names; is all as it must be?
fn told(words: &[String], begins: &str) -> bool {
    let mistake = words.iter().position(|word| word == "--mistake").and_then(|place| words.get(place + 1));
    let seed = number_behind(words, "--seed");
    let asked = told::Asked {
        begins,
        from: seed.or_else(|| number_behind(words, "--from")).unwrap_or(1),
        seeds: seed.map(|_| 1).or_else(|| words.first()?.parse().ok()),
        tells: seed.is_some(),
    };
    let tables = [catch::TABLE, catch::SELDOM];
    let of_clusters = mistake.and_then(|name| tables.iter().find_map(|table| catch::named(table, name)));
    let of_gates = mistake.and_then(|name| gates::named(name));
    let clusters = told::tell(halves::TALES, asked, of_clusters.map_or(Rules::ALL, Rules::without));
    let of_gates = of_gates.map_or(gates::Rules::ALL, gates::Rules::without);
    let findings = clusters + told::tell(gates::TALES, asked, of_gates);
    // All of them: then those that catch mistakes show that they do.
    let missed = match (mistake, begins) {
        (None, "") => told::catch(halves::TALES, halves::CAUGHT) + told::catch(gates::TALES, gates::CAUGHT),
        _ => 0,
    };
    findings + missed == 0
}

/// The long run of the clusters, of changes, or of the gates.
fn ledger(of_changes: bool, of_gates: bool) -> bool {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/");
    match (of_changes, of_gates) {
        (true, _) => ledger::run(&[folder, "LEDGER_CHANGES.txt"].concat(), Game { of: 1, ..CHANGES }),
        (_, true) => ledger::run(&[folder, "LEDGER_GATES.txt"].concat(), GATES),
        _ => ledger::run(&[folder, "LEDGER.txt"].concat(), CLUSTERS),
    }
}

fn main() {
    let words = std::env::args().skip(1).collect::<Vec<_>>();
    let says = |option: &str| words.iter().any(|word| word == option);
    if let Some(name) =
        words.iter().position(|word| word == "--mistake").and_then(|place| words.get(place + 1))
    {
        let known = [catch::TABLE, catch::SELDOM, changes::TABLE, letters::TABLE, datagrams::TABLE]
            .iter()
            .any(|table| catch::named(table, name).is_some());
        let known = known || gates::named(name).is_some();
        assert!(known, "no mistake of the name {name}");
    }
    let begins = words.iter().position(|word| word == "--told").and_then(|place| words.get(place + 1));
    let begins = begins.filter(|word| !word.starts_with("--"));
    if says("--told") {
        std::process::exit(i32::from(!told(&words, begins.map_or("", String::as_str))));
    }
    if let Some(seed) = number_behind(&words, "--seed") {
        let name = words.iter().position(|word| word == "--mistake").and_then(|place| words.get(place + 1));
        let tables = [catch::TABLE, catch::SELDOM, changes::TABLE, letters::TABLE, datagrams::TABLE];
        let mistake = name.and_then(|name| tables.iter().find_map(|table| catch::named(table, name)));
        let rules = mistake.map_or(Rules::ALL, Rules::without);
        let clean = match () {
            () if says("--gates") => {
                let mistake = name.and_then(|name| gates::named(name));
                gates::replay(seed, mistake.map_or(gates::Rules::ALL, gates::Rules::without))
            }
            () if says("--changes") => changes::replay(seed, rules),
            () if says("--letters") => letters::replay(seed, rules),
            () if says("--datagrams") => datagrams::replay(seed, rules),
            () => replay(seed, rules),
        };
        std::process::exit(i32::from(!clean));
    }
    if says("--ledger") {
        std::process::exit(i32::from(!ledger(says("--changes"), says("--gates"))));
    }
    if says("--growth") {
        return growth::print();
    }
    if says("--views") {
        let flat = views::measure(number_behind(&words, "--views").unwrap_or(views::ALL));
        std::process::exit(i32::from(!flat));
    }
    if says("--speed") {
        return letters::speed::measure();
    }
    let name = words.iter().position(|word| word == "--mistake").and_then(|place| words.get(place + 1));
    let is_in = |table| name.is_some_and(|name| catch::named(table, name).is_some());
    let of_clusters = if is_in(catch::SELDOM) { catch::SELDOM } else { catch::TABLE };
    let clusters = if says("--copies") { COPIES } else { CLUSTERS };
    let worlds: [Told; 4] = [
        ("--clusters", clusters, of_clusters),
        ("--changes", CHANGES, changes::TABLE),
        ("--letters", LETTERS, letters::TABLE),
        ("--datagrams", DATAGRAMS, datagrams::TABLE),
    ];
    let one = worlds.iter().find(|(option, ..)| says(option)).map(|(option, ..)| *option);
    let one = one.or(says("--gates").then_some("--gates"));
    let wanted = |option: &str| one.is_none_or(|one| one == option);
    // All that are wanted run, whatever became of the one before.
    let broken = worlds.iter().filter(|(option, ..)| wanted(option));
    let failed = broken.filter(|(_, game, table)| !world(&words, *game, table, catch::fits)).count();
    let seldom = name.is_some_and(|name| catch::named(gates::SELDOM, name).is_some());
    let of_gates = if seldom { gates::SELDOM } else { gates::TABLE };
    let as_told = one.is_some() || name.is_some() || told(&[], "");
    let well = !wanted("--gates") || world(&words, GATES, of_gates, gates::fits);
    std::process::exit(i32::from(failed > 0 || !well || !as_told));
}
