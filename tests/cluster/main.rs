//! Real daemons in namespaces of their own, on a network that this test is: joins, deaths, cuts, bad weather, enemies. Each
//! case is a function named after what it shows; `build.sh cluster [NAME]…` runs them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answers;
mod cuts;
mod death;
mod fabric;
mod lab;
mod letters;
#[path = "../cli/schema.rs"]
mod schema;
mod tap;
mod weather;

use std::time::Instant;

/// A case: its name, and what it does.
type Case = (&'static str, fn());

const CASES: &[&[Case]] = &[death::CASES, cuts::CASES, letters::CASES, weather::CASES, answers::CASES];

fn main() {
    let words = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect::<Vec<_>>();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    let mut failed = Vec::new();
    for (name, case) in CASES.iter().copied().flatten().filter(|(name, _)| wanted(name)) {
        let begin = Instant::now();
        let went = std::panic::catch_unwind(case).is_ok();
        println!(
            "{} {name} ({:.1} s)",
            if went { "ok    " } else { "FAILED" },
            begin.elapsed().as_secs_f64()
        );
        if !went {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}
