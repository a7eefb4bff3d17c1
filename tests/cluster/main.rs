//! Real daemons in namespaces of their own, on a network that this test is: joins, deaths, cuts, bad weather, enemies. Each
//! case is a function named after what it shows; `build.sh cluster [NAME]…` runs them. Most of a case is waiting, so that
//! several run side by side; those that need the processors run alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod changes;
mod cuts;
mod daemon;
mod death;
mod fabric;
mod five;
mod lab;
mod letters;
mod memory;
mod mixed;
mod order;
#[path = "../cli/schema.rs"]
mod schema;
mod sixteen;
mod strain;
mod tap;
mod ties;
mod weather;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// A case: its name, and what it does.
type Case = (&'static str, fn());

const CASES: &[&[Case]] = &[
    death::CASES,
    daemon::CASES,
    cuts::CASES,
    letters::CASES,
    five::CASES,
    mixed::CASES,
    order::CASES,
    weather::CASES,
    sixteen::CASES,
    strain::CASES,
    answers::CASES,
    ties::CASES,
    changes::CASES,
];

/// They take all of a processor, or say how fast something is.
const ALONE: &[&str] = &[
    "f11_a_flood_of_garbage_changes_nothing",
    "sixteen_in_two_parts_and_whole_again",
    "sixteen_through_all_that_happens_to_one",
    "f24_a_detector_that_is_starved_knows_it",
    "a_node_is_asked_through_another",
    "f24_busy_processors_cost_nobody",
];
/// Cases side by side.
const SIDE_BY_SIDE: usize = 4;

fn run(cases: &[Case], threads: usize, failed: &Mutex<Vec<&'static str>>) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((name, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begin = Instant::now();
                    let went = std::panic::catch_unwind(case).is_ok();
                    let word = if went { "ok    " } else { "FAILED" };
                    println!("{word} {name} ({:.1} s)", begin.elapsed().as_secs_f64());
                    if !went {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
}

fn main() {
    let words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect::<Vec<_>>();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let cases = CASES.iter().copied().flatten().copied().filter(|(name, _)| wanted(name));
    let (alone, others) = cases.partition::<Vec<_>, _>(|(name, _)| ALONE.contains(name));
    let failed = Mutex::new(Vec::new());
    run(&alone, 1, &failed);
    run(&others, SIDE_BY_SIDE, &failed);
    let failed = failed.into_inner().unwrap();
    println!("{} cases, {} failed", alone.len() + others.len(), failed.len());
    assert!(failed.is_empty(), "failed: {failed:?}");
}
