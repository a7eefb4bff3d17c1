//! The long run, in pieces: each chunk of seeds is a line in `tests/sim/LEDGER.txt`, and the next run goes on where the last
//! line ends. A line with findings stays until its code is mended; then the ledger is begun anew.

use std::io::Write;

use evms::base::time::WallTime;
use evms::cluster::mistake::Rules;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/LEDGER.txt");
/// Seeds of a line, and of all.
const CHUNK: u64 = 5000;
const ALL: u64 = 200_000;

/// The seed behind the last line: `date commit from count …`.
fn next(ledger: &str) -> u64 {
    let ends = ledger.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut words = line.split_whitespace().skip(3);
        Some(words.next()?.parse::<u64>().ok()? + words.next()?.parse::<u64>().ok()?)
    });
    ends.max().unwrap_or(1)
}

/// Runs chunk after chunk until all is done, or a law is broken.
pub fn run() -> bool {
    let mut from = next(&std::fs::read_to_string(FILE).unwrap_or_default());
    while from <= ALL {
        let sums = crate::clean_run(crate::run, "views", CHUNK, from, Rules::ALL);
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let date = WallTime { seconds: since.map_or(0, |time| time.as_secs()) };
        let commit = std::env::var("EVMS_COMMIT").unwrap_or_else(|_| "unknown".into());
        let line = format!(
            "{date} {commit} {from} {CHUNK} findings {} virtual-seconds {:.0} views {} per-core-second {:.0} with-{}-nodes {:.0}",
            sums.findings,
            sums.all.virtual_seconds(),
            sums.all.counted,
            sums.all.speed(),
            crate::SPEED_NODES,
            sums.of_five.speed()
        );
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(FILE).expect("the ledger opens");
        writeln!(file, "{line}").expect("the ledger is written");
        if sums.findings > 0 {
            return false;
        }
        from += CHUNK;
    }
    println!("the ledger is full: {ALL} seeds");
    true
}
