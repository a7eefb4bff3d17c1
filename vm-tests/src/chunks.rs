//! A ledger of a thousand scripts in a hundred lines: seeds come in chunks, and a line has what all of a chunk came to, or of its
//! beginning when there was no time for the rest. Chunks that are played beside each other end in any order; what is left to be played
//! is whatever no line has.

use std::fs;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::score::{self, Score};
use crate::trouble::Trouble;

/// Apart from those of `../SCRIPTS.md`.
const FIRST: u64 = 1001;
const COUNT: u64 = 1000;
const CHUNK: u64 = 10;
/// Where a chunk stands in a line.
const SEEDS_COLUMN: usize = 2;

/// What a chunk came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seeds, as far as they were played.
    pub seeds: Range<u64>,
    /// All its scripts together.
    pub score: Score,
    /// The time from its first cluster's first boot on.
    pub took: Duration,
    /// What broke, by seed.
    pub findings: Vec<(u64, String)>,
}

fn ledger() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("SCRIPTS_1000.md")
}

/// The chunks that no line of the ledger has, or not to their end, as many as have so many seeds when they are whole.
pub fn left(seeds_max: u64) -> Vec<Range<u64>> {
    let mut all = left_in(&fs::read_to_string(ledger()).unwrap_or_default());
    all.truncate(seeds_max.div_ceil(CHUNK) as usize);
    all
}

fn left_in(text: &str) -> Vec<Range<u64>> {
    let seeds = |line: &str| -> Option<RangeInclusive<u64>> {
        let (first, last) = line.strip_prefix("| ")?.split(" | ").nth(SEEDS_COLUMN)?.split_once(" to ")?;
        let is_clean = line.trim_end().ends_with("| none |");
        Some(first.parse().ok()?..=last.parse().ok()?).filter(|_| is_clean)
    };
    let played: Vec<_> = text.lines().filter_map(seeds).collect();
    let is_left = |seed: &u64| !played.iter().any(|seeds| seeds.contains(seed));
    let chunks = (FIRST..FIRST + COUNT).step_by(CHUNK as usize).map(|first| first..first + CHUNK);
    // A line with a finding is no end: its seeds are played again until it is taken out, which is when that is mended.
    // A chunk that was broken off was played from its beginning on.
    chunks.filter_map(|mut chunk| Some(chunk.find(is_left)?..chunk.end)).collect()
}

/// Writes down what a chunk came to, beside how many others.
pub fn note(outcome: &Outcome, lanes: usize) -> Result<(), Trouble> {
    let Outcome { seeds, score, took, findings } = outcome;
    let told = findings.iter().map(|(seed, words)| format!("{seed}: {words}")).collect::<Vec<_>>();
    let told = if told.is_empty() { "none".into() } else { told.join("; ") };
    let (first, last) = (seeds.start, seeds.end - 1);
    let columns = format!("{first} to {last} | {lanes} | {score} | {:.0} | {told}", took.as_secs_f32());
    score::append(&ledger(), &columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_no_line_has() {
        let head = "# Scripts\n\n| date | commit | seeds | lanes |\n|---|---|---|---|\n";
        let all = left_in(head);
        assert_eq!(all.len() as u64, COUNT / CHUNK);
        assert_eq!((all[0].start, all[all.len() - 1].end), (FIRST, FIRST + COUNT));
        let rows = "| 2026-11-26 | abc | 1011 to 1020 | 3 | none |\n| 2026-11-26 | abc | 1001 to 1010 | 3 | none |\n";
        let left = left_in(&format!("{head}{rows}"));
        assert_eq!((left.len(), left[0].clone()), (all.len() - 2, 1021..1031));
        let left = left_in(&format!("{head}{rows}| 2026-11-26 | abc | 1021 to 1024 | 3 | none |\n"));
        assert_eq!((left.len(), left[0].clone(), left[1].clone()), (all.len() - 2, 1025..1031, 1031..1041));
        let left =
            left_in(&format!("{head}{rows}| 2026-11-26 | abc | 1021 to 1030 | 3 | 1024: two writers |\n"));
        assert_eq!(left[0], 1021..1031, "what broke something is played again");
    }
}
