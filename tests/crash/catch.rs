//! The table of deliberate mistakes: each must be caught by a law somewhere in the very cases that run clean without
//! it. A mistake that nothing catches is a hole in the model, and fails the run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use evms::volume::mistake::{Mistake, Rules};

use crate::laws::Broken;

/// Random histories that a mistake is given, after all the exhaustive parts, from a seed that is not fixed in the tree.
const HISTORIES: u64 = 2000;

pub const TABLE: &[(Mistake, &str)] = &[
    (Mistake::NewSetMajorityOnly, "a majority of the new set alone"),
    (Mistake::RollBackLoneNewer, "a lone newer copy is rolled back"),
    (Mistake::NoRereadAfterWrite, "blocks are not read again after the write"),
    (Mistake::EqualOrderByDiskNumber, "equal order is decided by disk number"),
    (Mistake::FreedExtentsReusedAtOnce, "freed extents are given out again at once"),
    (Mistake::GenerationReusedAfterDoubt, "a number in doubt is used again for other bytes"),
    (Mistake::LowerEpochMayOverwrite, "a lower epoch may overwrite"),
    (Mistake::BufferedRead, "reads come from a page cache"),
    (Mistake::SecondaryFirstCounts, "the secondary alone is written and counts"),
    (Mistake::BothEndsAtOnce, "both ends are written with no look between"),
    (Mistake::FlushLeftOut, "no flush after a slot"),
    (Mistake::NoPromise, "no own block before the survey"),
    (Mistake::PromiseOnOneDisk, "a promise on one disk is enough"),
    (Mistake::MinorityOpens, "a minority of disks may open"),
    (Mistake::HalfIsMajority, "half of the disks is a majority"),
    (Mistake::OpeningDropsOldSet, "an opening lets the old set go at once"),
    (Mistake::WipeBeforeSettle, "a released disk is wiped before the set is settled"),
    (Mistake::EpochNotAboveSeen, "an epoch is minted without looking at the others'"),
    (Mistake::EpochWithoutNode, "an epoch does not carry the node that minted it"),
    (Mistake::BodyHashIgnored, "a body is believed without its hash"),
    (Mistake::NoVerify, "what was written is not read back"),
    (Mistake::AbsentDiskCountsAsHolding, "a disk counts as holding what it was never given"),
    (Mistake::GuardLastsForEver, "who stood still writes over a slot by what it read before"),
    (Mistake::UnsettledIsOpenedAtOnce, "no time is left to who may be at its second end"),
    (Mistake::NoSurveyAfterPromise, "slots are not read again after the promise"),
];

fn hunt(mistake: Mistake, from: u64) -> (u64, Option<(String, Broken)>) {
    let mut cases = 0;
    let found = crate::hunting_parts(HISTORIES, from).iter().find_map(|part| {
        // A mistake may break the model's own bookkeeping as well; that counts as noticed only if a law says so.
        part.run(Rules::without(mistake), &mut cases).err()
    });
    (cases, found)
}

/// All of the table; how many were caught, and how many not.
pub fn all() -> (u32, u32) {
    let seed =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    println!("mistakes: histories from seed {seed}");
    let (next, results) = (AtomicUsize::new(0), Mutex::new((0, 0)));
    std::thread::scope(|scope| {
        for _ in 0..crate::THREADS {
            scope.spawn(|| {
                while let Some((mistake, words)) = TABLE.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (cases, found) = hunt(*mistake, seed);
                    let mut results = results.lock().unwrap();
                    match found {
                        Some((part, broken)) => {
                            results.0 += 1;
                            println!("  caught after {cases} cases: {mistake:?} ({words})\n    by {broken:?} in {part}");
                        }
                        None => {
                            results.1 += 1;
                            println!("  NOT CAUGHT in {cases} cases: {mistake:?} ({words})");
                        }
                    }
                }
            });
        }
    });
    results.into_inner().unwrap()
}

/// One of the table, by name.
pub fn one(name: &str) {
    for (mistake, words) in TABLE.iter().filter(|(mistake, _)| format!("{mistake:?}") == name) {
        println!("{mistake:?} ({words}): {:?}", hunt(*mistake, 0));
    }
}
