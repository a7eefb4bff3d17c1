//! The table of deliberate mistakes: each must be caught by a law somewhere among seeds that run clean without it. Seeds
//! begin where the clock says, so that no run is like the one before.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use evms::cluster::mistake::{Mistake, Rules};

/// Seeds that a mistake is given.
const SEEDS: u64 = 3000;

pub const TABLE: &[(Mistake, &str)] = &[
    (Mistake::NoLeaseWait, "an echo is given before promises to others have ended"),
    (Mistake::EchoNotBoundToView, "an echo counts though it was given in another view"),
    (Mistake::PromisesForgottenAtRestart, "a restarted daemon forgets what it promised"),
    (Mistake::NoQuietStart, "a new incarnation speaks at once"),
    (Mistake::NoCliqueRule, "who is heard is chosen, whoever hears him"),
    (Mistake::CountedBeforeAllInstalled, "a view counts before all members have installed it"),
    (Mistake::LeaseFromHearing, "a lease is counted from when the echo was heard"),
    (Mistake::LeaseFromNewestEcho, "a lease is counted from the newest echo, not from that of a majority"),
    (Mistake::HalfIsMajority, "half of the votes is a majority"),
    (Mistake::PromiseWithoutDrift, "a promise lasts no longer than a lease, whatever the clocks"),
    (Mistake::TwinAccepted, "a second machine with one id is believed"),
    (Mistake::MemoryOfAnotherBoot, "memory of another boot is believed"),
    (Mistake::LeavingKeepsLease, "who left goes on"),
    (Mistake::LeaseOutlivesView, "the lease of one view is good for the next"),
    (Mistake::LeavingForgotten, "who left goes on after a restart"),
];

/// Is it a mistake of this table?
pub fn named(table: &[(Mistake, &str)], name: &str) -> Option<Mistake> {
    table.iter().map(|(mistake, _)| *mistake).find(|mistake| format!("{mistake:?}") == name)
}

/// All of the table; were all caught?
pub fn all(table: &[(Mistake, &str)], run: crate::Run) -> bool {
    let from =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    println!("mistakes: seeds from {from}");
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..crate::THREADS {
            scope.spawn(|| {
                while let Some((mistake, words)) = table.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let rules = Rules::without(*mistake);
                    let found = (from..from + SEEDS).find_map(|seed| Some((seed, run(seed, rules).err()?)));
                    match found {
                        Some((seed, broken)) => println!(
                            "  {mistake:?} ({words}): {} after {} seeds, seed {seed}: {}",
                            broken.law,
                            seed - from + 1,
                            broken.words
                        ),
                        None => {
                            println!("  {mistake:?} ({words}): NOT CAUGHT in {SEEDS} seeds");
                            *missed.lock().unwrap() += 1;
                        }
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    println!("mistakes: {} of {} caught", table.len() - missed, table.len());
    missed == 0
}
