//! The long runs, in pieces: each chunk of seeds is a line in the ledger of its world, and the next run goes on where the last line
//! ends. A line with findings stays until its code is mended; then the ledger is begun anew.

use std::collections::BTreeSet;
use std::io::Write;

use evms::base::mistake::Rules;
use evms::base::time::WallTime;

use crate::{Game, Sums};

/// Seeds of a line, and of all.
const CHUNK: u64 = 5000;
const ALL: u64 = 200_000;

/// The first chunk that no line has (`date time commit from …`): what was taken out is played again.
fn next(ledger: &str) -> u64 {
    let lines = ledger.lines().filter(|line| !line.starts_with('#'));
    let begun = lines.filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let begun = begun.collect::<BTreeSet<_>>();
    (0..).map(|chunk| 1 + chunk * CHUNK).find(|from| !begun.contains(from)).unwrap_or(1)
}

fn has_findings(line: &str) -> bool {
    let count = line.split(" findings ").nth(1).and_then(|rest| rest.split_whitespace().next());
    !line.starts_with('#') && count.is_some_and(|count| count != "0")
}

fn line_of(from: u64, what: &str, sums: &Sums) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let date = WallTime { seconds: since.map_or(0, |time| time.as_secs()) };
    let commit = std::env::var("EVMS_COMMIT").unwrap_or_else(|_| "unknown".into());
    format!(
        "{date} {commit} {from} {CHUNK} findings {} virtual-seconds {:.0} {what} {} per-core-second {:.0} with-{}-nodes {:.0}",
        sums.findings,
        sums.all.virtual_seconds(),
        sums.all.counted,
        sums.all.speed(),
        crate::SPEED_NODES,
        sums.of_five.speed()
    )
}

/// Runs chunk after chunk until all is done, a law is broken, or so many minutes are over (`EVMS_SIM_MINUTES`).
pub fn run<M: Copy + Sync>(path: &str, game: Game<M>) -> bool {
    let minutes = std::env::var("EVMS_SIM_MINUTES").ok().and_then(|word| word.parse::<u64>().ok());
    let begin = std::time::Instant::now();
    let ledger = std::fs::read_to_string(path).unwrap_or_default();
    if let Some(line) = ledger.lines().find(|line| has_findings(line)) {
        println!(
            "a law is broken in this chunk, and nothing goes on before that is mended and the ledger begun anew: {line}"
        );
        return false;
    }
    let mut from = next(&ledger);
    while from <= ALL {
        if minutes.is_some_and(|minutes| begin.elapsed().as_secs() >= minutes * 60) {
            println!("broken off before seed {from}: the next run goes on there");
            return true;
        }
        let sums = crate::clean_run(game, CHUNK, from, Rules::ALL);
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the ledger opens");
        writeln!(file, "{}", line_of(from, game.what, &sums)).expect("the ledger is written");
        if sums.findings > 0 {
            return false;
        }
        from = next(&std::fs::read_to_string(path).unwrap_or_default());
    }
    println!("the ledger is full: {ALL} seeds");
    true
}
