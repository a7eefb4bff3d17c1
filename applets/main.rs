//! evms, one file of many names: dispatches on the name it was started by, matched whole, and holds the only exit.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

mod evms;
mod evms_failover;
mod evms_fence;
mod evmsd;
mod exit;
mod install;
mod later;
mod out;
mod table;
mod usage;

use ::evms::host::sys::pool::Everywhere;

use crate::exit::Exit;
use crate::table::FRONT;
use crate::usage::Usage;

/// musl's own maps and unmaps a page for every few small blocks, which is most of what a short command costs; and the detector waits for
/// nobody's lock.
#[global_allocator]
static MEMORY: Everywhere = Everywhere;

// The deliberate mistakes exist for the crash model and the simulator. A test build of them links this file
// because cargo builds the binary beside every integration test; that binary refuses to run, and a release of it
// does not compile.
#[cfg(all(feature = "mistakes", not(debug_assertions)))]
compile_error!("the feature 'mistakes' breaks the format on purpose and is never released");

fn main() -> ExitCode {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    let started_as = if words.is_empty() { OsString::new() } else { words.remove(0) };
    ExitCode::from(dispatch(&started_as, &words).code())
}

fn dispatch(started_as: &OsString, words: &[OsString]) -> Exit {
    if cfg!(feature = "mistakes") {
        out::complain(
            FRONT,
            &"this is a test build with deliberate mistakes; it refuses to run, nothing was done",
        );
        return Exit::Refused;
    }
    match usage::utf8(words) {
        Ok(words) => run_by_name(&base_name(started_as), &words),
        Err(refusal) => out::refuse(&base_name(started_as), &refusal),
    }
}

fn base_name(started_as: &OsString) -> String {
    Path::new(started_as).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn run_by_name(name: &str, words: &[&str]) -> Exit {
    match table::find(name) {
        Some(applet) if applet.name == FRONT => run_front(words),
        Some(applet) => (applet.run)(words),
        None => {
            let names = table::names(" ").trim_end().replace(' ', ", ");
            out::refuse(FRONT, &Usage::UnknownName { name: name.into(), names })
        }
    }
}

/// `evms` itself: another applet by its name, the list, the links; every other word belongs to the operator's verbs.
fn run_front(words: &[&str]) -> Exit {
    match words {
        ["--list"] => out::finish(FRONT, out::text(&table::names("\n"))),
        ["--list", "--json"] | ["--json", "--list"] => out::finish(FRONT, out::json(&table::json())),
        ["--list", word, ..] => out::refuse(FRONT, &Usage::Surplus { word: (*word).into(), applet: FRONT }),
        ["--install", rest @ ..] => install::run(rest),
        [name, rest @ ..] => match table::find(name) {
            Some(applet) if applet.name == FRONT => run_front(rest),
            Some(applet) => (applet.run)(rest),
            None => evms::run(words),
        },
        [] => evms::run(words),
    }
}
