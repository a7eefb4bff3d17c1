//! `evms`, the operator's applet: words in, words and an exit code out.

use crate::exit::{self, Exit};
use crate::out;
use crate::table::{APPLETS, FRONT};
use crate::usage::{self, Usage};

/// The usage lines; the table of applets and the exit codes follow them.
const USAGE: &str = "\
usage: evms VERB ...
       evms APPLET ...            run another applet of this program
       evms --list [--json]       print the names of the applets
       evms --install [--dry-run] DIR
                                  make links in DIR, one for each applet
       evms --help | --version

Shared disks, safe to use from several machines: cluster containers, ownership, fencing, failover.
";

/// Runs one verb.
pub fn run(words: &[&str]) -> Exit {
    if let Some(exit) =
        usage::answer(FRONT, &[USAGE, "\nApplets:\n", &applet_lines(), "\n", exit::TEXT], words)
    {
        return exit;
    }
    let refusal = match words.first() {
        None => Usage::Missing { what: "a verb", applet: FRONT },
        Some(word) if word.starts_with('-') => Usage::UnknownOption { option: (*word).into(), applet: FRONT },
        Some(word) => Usage::UnknownVerb { verb: (*word).into(), applet: FRONT },
    };
    out::refuse(FRONT, &refusal)
}

fn applet_lines() -> String {
    APPLETS.iter().map(|applet| format!("  {:<15} {}\n", applet.name, applet.line)).collect()
}
