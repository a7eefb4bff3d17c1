//! The table of deliberate mistakes: each must be caught by a law somewhere among seeds that run clean without it. Seeds
//! begin where the clock says, so that no run is like the one before.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use evms::base::mistake::Rules;
use evms::cluster::mistake::Mistake;

/// Seeds that a mistake is given: the rarest is met once in about a thousand, and is to be missed once in many thousand runs.
const SEEDS: u64 = 9000;

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
    (Mistake::NoSecondRead, "after a write to an arbitration disk the blocks are not read again"),
    (Mistake::RewrittenWhileUnknown, "a block is written again while a write of it is unknown"),
    (Mistake::TieLeaseFromCompletion, "a tie is held from when the write was known to stand"),
    (Mistake::LoserBidsAtOnce, "who lost a tie bids again at once"),
    (Mistake::HalfOfTheDisks, "less than a majority of the arbitration disks is enough"),
    (Mistake::ArbiterForgets, "a restarted daemon does not read what it promised on the disks"),
    (Mistake::RenewsWhatItLeft, "who is not in the winning view any more renews for it"),
    (Mistake::TieOutlivesView, "a tie that one view won is good for the next"),
    (Mistake::ColdStartUnguarded, "who was never quorate since its boot takes a tie"),
    (Mistake::LastYearsConfiguration, "last year's configuration has a say"),
    (Mistake::NoProgressWord, "beats go on while the engine stands"),
    (Mistake::MonotonicClock, "leases are counted by a clock that stands while the machine sleeps"),
    (Mistake::LowerNumberAccepted, "a view with a lower number than the promised one is accepted"),
    (Mistake::QuorateWithoutInstalled, "a view makes quorate before it counts"),
    (Mistake::RivalsCount, "of two living boots of a node both count"),
    (Mistake::SleeperGoesOn, "who did not run for a whole window goes on in its view"),
    (Mistake::BeatTakenForRenewal, "a write that did not say so extends the lease of a tie"),
];

/// Met too seldom by chance to be looked for each time, and caught by a tale (`halves::CAUGHT`): a machine that was stopped believes its
/// lease for a while, and since it takes back what others passed over that while is nearly gone (not in 9000 seeds).
///
/// And met by no law: who renews behind a bid sees it, so that the time since the last read counts as well. R9 is kept all the same, and
/// a tale holds to it: who has not read for long does not bid.
pub const SELDOM: &[(Mistake, &str)] = &[
    (
        Mistake::MajorityUntilNow,
        "what was accepted is over as of now, not as of the beat that a majority echoed",
    ),
    (Mistake::StillUntilNow, "a record stood still up to now, not up to when it was read last"),
];

/// Is it about ties? Then it is given seeds with arbitration disks.
fn is_of_ties(mistake: Mistake) -> bool {
    use Mistake::*;
    let of_leases = matches!(mistake, TieOutlivesView | MajorityUntilNow | ColdStartUnguarded);
    let of_blocks =
        matches!(mistake, NoSecondRead | RewrittenWhileUnknown | ArbiterForgets | BeatTakenForRenewal);
    let of_bids = matches!(mistake, LoserBidsAtOnce | HalfOfTheDisks | RenewsWhatItLeft);
    of_leases || of_blocks || of_bids || mistake == TieLeaseFromCompletion
}

/// Is it about copies of machines? Then it is given seeds with one.
fn is_of_copies(mistake: Mistake) -> bool {
    matches!(mistake, Mistake::RivalsCount | Mistake::SleeperGoesOn)
}

/// A mistake of any world's table.
pub trait Named: Copy + Sync + core::fmt::Debug {}
impl<M: Copy + Sync + core::fmt::Debug> Named for M {}

/// Is such a seed worth a run for this mistake?
pub fn fits(mistake: Mistake, seed: u64) -> bool {
    match mistake {
        _ if is_of_ties(mistake) => crate::has_disks(seed),
        _ if is_of_copies(mistake) => crate::has_copies(seed),
        _ => true,
    }
}

/// Is it a mistake of this table?
pub fn named<M: Named>(table: &[(M, &str)], name: &str) -> Option<M> {
    table.iter().map(|(mistake, _)| *mistake).find(|mistake| format!("{mistake:?}") == name)
}

/// All of the table; were all caught?
pub fn all<M: Named>(table: &[(M, &str)], run: crate::Run<M>, fits: fn(M, u64) -> bool) -> bool {
    let from =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    println!("mistakes: seeds from {from}");
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..crate::THREADS {
            scope.spawn(|| {
                while let Some((mistake, words)) = table.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let rules = Rules::without(*mistake);
                    let seeds = (from..).filter(|seed| fits(*mistake, *seed));
                    let found =
                        seeds.take(SEEDS as usize).find_map(|seed| Some((seed, run(seed, rules).err()?)));
                    // What is broken without the mistake too was not caught: it is a finding, and ends the run.
                    let unsound = found.as_ref().and_then(|(seed, _)| run(*seed, Rules::ALL).err());
                    if let (Some((seed, _)), Some(broken)) = (&found, unsound) {
                        println!("BROKEN --seed {seed}: {}: {}", broken.law, broken.words);
                        *missed.lock().unwrap() += 1;
                        continue;
                    }
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
