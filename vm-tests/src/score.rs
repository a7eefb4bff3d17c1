//! How many scripts are played, from which seed on, and what each came to: a ledger in the tree that goes on where it ended.

use std::env;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::dice::{Dice, SEED_VARIABLE};
use crate::trouble::Trouble;

const SCRIPTS_LONG: u64 = 24;
pub(crate) const SCRIPTS_VARIABLE: &str = "EVMS_VM_SCRIPTS";
const LONG_VARIABLE: &str = "EVMS_VM_LONG";
/// So much of what was found stands in a line.
const WORDS_MAX: usize = 300;
/// Where a seed stands in it.
const SEED_COLUMN: usize = 2;

/// What happened in a script.
#[derive(Clone, Copy, Debug, Default)]
pub struct Score {
    /// Rounds that were begun.
    pub rounds: usize,
    /// After which another node had the private container.
    pub takeovers: usize,
    /// Writers of the shared one whose node was counted out.
    pub counted_out: usize,
    /// Of machines.
    pub boots: usize,
    /// Acknowledged.
    pub writes: u64,
    /// Writers that saw one.
    pub errors: usize,
    /// Of the private volume while its next owner wrote.
    pub readings: usize,
    /// Blocks that who stood still with its clocks wrote behind its successor, as often as they were seen.
    pub late_blocks: usize,
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.takeovers += other.takeovers;
        self.counted_out += other.counted_out;
        self.boots += other.boots;
        self.writes += other.writes;
        self.errors += other.errors;
        self.readings += other.readings;
        self.late_blocks += other.late_blocks;
    }
}

/// The columns that both ledgers have.
impl fmt::Display for Score {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, takeovers, counted_out, boots, writes, errors, readings, late_blocks } = self;
        write!(
            to,
            "{rounds} | {takeovers}, {counted_out} | {boots} | {writes} | {errors} | {readings} | {late_blocks}"
        )
    }
}

/// The first seed, and how many follow each other.
pub fn seeds() -> (u64, u64) {
    let count = env::var(SCRIPTS_VARIABLE).ok().and_then(|text| text.parse().ok());
    let is_given = env::var_os(SEED_VARIABLE).is_some();
    match count {
        Some(count) if !is_given => (last_seed(&fs::read_to_string(ledger()).unwrap_or_default()) + 1, count),
        None if env::var_os(LONG_VARIABLE).is_some() => (Dice::seed(), SCRIPTS_LONG),
        _ => (Dice::seed(), count.unwrap_or(1)),
    }
}

fn ledger() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("SCRIPTS.md")
}

/// One that was played again stands below later ones.
fn last_seed(text: &str) -> u64 {
    let seed = |line: &str| line.strip_prefix("| ")?.split(" | ").nth(SEED_COLUMN)?.trim().parse().ok();
    text.lines().filter_map(seed).max().unwrap_or_default()
}

/// Says what a script came to, and writes it down where a count was asked for.
pub fn note(seed: u64, score: &Score, took: Duration, trouble: Option<&Trouble>) -> Result<(), Trouble> {
    let findings = trouble.map_or("none".into(), in_few_words);
    eprintln!("  script {seed}: {:.0} s, {score:?}, findings: {findings}", took.as_secs_f32());
    if env::var_os(SCRIPTS_VARIABLE).is_none() {
        return Ok(());
    }
    append(&ledger(), &format!("{seed} | {score} | {:.0} | {findings}", took.as_secs_f32()))
}

/// What broke, for a line of a ledger.
pub(crate) fn in_few_words(trouble: &Trouble) -> String {
    trouble.to_string().replace(['\n', '|'], " ").chars().take(WORDS_MAX).collect()
}

/// Puts a row behind the others, of this day and commit.
pub(crate) fn append(ledger: &Path, columns: &str) -> Result<(), Trouble> {
    let date = Command::new("date").args(["-u", "+%F"]).output();
    let date = date.map_err(Trouble::io("asking for the date"))?.stdout;
    let commit = env::var("EVMS_COMMIT").unwrap_or_else(|_| "unknown".into());
    let row = format!("| {} | {commit} | {columns} |\n", String::from_utf8_lossy(&date).trim());
    let file = OpenOptions::new().append(true).open(ledger);
    let written = file.and_then(|mut file| file.write_all(row.as_bytes()));
    written.map_err(Trouble::file("writing", ledger))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_goes_on_where_it_ended() {
        let head = "# Scripts\n\n| date | commit | seed | rounds |\n|---|---|---|---|\n";
        assert_eq!(last_seed(head), 0);
        for (one, other) in [(7, 9), (9, 7)] {
            let rows = format!("| 2026-11-26 | abc | {one} | 2 |\n| 2026-11-26 | abc | {other} | 3 |\n");
            assert_eq!(last_seed(&format!("{head}{rows}")), 9);
        }
    }
}
