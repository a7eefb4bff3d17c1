//! The plug is pulled at every possible point of a change, on the real program: before each of its writes and
//! flushes it is killed; then what was not flushed stays, or is lost on one disk or on all, or the next write is torn.
//! After each, with every set of disks missing, `evms list` shows the old state or the new one and nothing else; the
//! same command said again finishes; `evms check` ends with nothing to say; and another change works, too.
//!
//! What it cannot show, that power fails inside a disk, the crash model shows: `tests/crash`.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

#[cfg(target_arch = "x86_64")]
mod images;
#[cfg(target_arch = "x86_64")]
mod scenario;
#[cfg(target_arch = "x86_64")]
mod tracer;

/// `--evms=FILE` is the program to be tried, `--only=WORD` the changes that have WORD in them.
fn main() {
    let value = |name: &str| std::env::args().find_map(|word| word.strip_prefix(name).map(String::from));
    let evms = value("--evms=").unwrap_or(env!("CARGO_BIN_EXE_evms").into());
    let evms = std::fs::canonicalize(&evms).unwrap_or_else(|error| panic!("{evms}: {error}"));
    let only = value("--only=").unwrap_or_default();
    run(&evms, &only);
}

#[cfg(target_arch = "x86_64")]
fn run(evms: &std::path::Path, only: &str) {
    let chosen = scenario::ALL.iter().filter(|scenario| scenario.change.contains(only));
    std::thread::scope(|scope| {
        // Each on its own thread: a traced program belongs to the thread that traces it.
        let running = chosen.map(|scenario| scope.spawn(move || scenario::try_all(scenario, evms)));
        for thread in running.collect::<Vec<_>>() {
            println!("{}", thread.join().unwrap_or_else(|_| std::process::exit(101)));
        }
    });
}

#[cfg(not(target_arch = "x86_64"))]
fn run(_: &std::path::Path, _: &str) {
    eprintln!("NOT RUN: the plug: system calls are told apart on x86-64 only");
}
