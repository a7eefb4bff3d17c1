//! `evms`, the operator's applet: words in, words and an exit code out. `globals` reads what every verb understands,
//! `verbs` is the table of nouns and verbs, the rooms of verbs make requests of words, `answer` prints reports.

use evms::base::failure::Failure;
use evms::run::context::front;

use crate::evms::answer::{Answer, refusal};
use crate::evms::globals::{GLOBALS, Globals, Surroundings};
use crate::evms::verbs::{Refused, Verb};
use crate::evms::words::Words;
use crate::exit::{self, Exit};
use crate::out;
use crate::table::{APPLETS, FRONT};
use crate::usage::{self, Usage};

mod activation;
mod answer;
mod cluster;
mod containers;
mod copies;
mod globals;
mod looking;
pub mod print;
mod print_active;
mod print_info;
pub mod print_status;
pub mod table;
mod verbs;
mod volumes;
pub mod words;

/// The usage lines; verbs, options, applets and exit codes follow them.
const USAGE: &str = "\
usage: evms [OPTION]… VERB …
       evms VERB --help           tell all about one verb
       evms APPLET ...            run another applet of this program
       evms --list [--json]       print the names of the applets
       evms --install [--dry-run] DIR
                                  make links in DIR, one for each applet
       evms --help | --version

Shared disks, safe to use from several machines: cluster containers, ownership, fencing, failover.
";

/// The process that did the work did not end by itself.
const KILLED: &str =
    "evms: something killed the process that did the work; see what it left with: evms check\n";

/// Runs one verb.
pub fn run(words: &[&str]) -> Exit {
    if let Some(exit) = usage::answer(FRONT, help, words) {
        return exit;
    }
    let (own, rest) = globals::split(words);
    if let Some(help) = help_of(&rest) {
        return out::finish(FRONT, out::text(&help));
    }
    if only_images(&own) {
        return run_here(&own, &rest);
    }
    let killed = front::Killed { sentence: KILLED, code: Exit::Device.code() };
    Exit::of(front::behind(|| run_here(&own, &rest).code(), killed))
}

/// Do all disks that were named lie in files? These do not hang.
fn only_images(own: &[&str]) -> bool {
    let globals = around().ok().and_then(|around| Globals::read(own, &around).ok());
    let disks = globals.map(|globals| globals.options.disks).unwrap_or_default();
    !disks.is_empty() && disks.iter().all(|disk| disk.is_file())
}

fn run_here(own: &[&str], rest: &[&str]) -> Exit {
    let json = own.contains(&"--json");
    match around().map_err(Refused::from).and_then(|around| ask(own, rest, &around)) {
        Ok(answer) => tell(&answer, json),
        Err(Refused(failure)) => refuse(&*failure, json),
    }
}

fn help() -> String {
    let verbs = format!("\nVerbs:\n{}", verbs::verb_lines(None));
    let options = format!("\nOptions of every verb:\n{}", verbs::option_lines(GLOBALS));
    let applets = format!("\nApplets:\n{}\n", applet_lines());
    [USAGE, &verbs, &options, &applets, exit::TEXT].concat()
}

/// `evms NOUN --help` and `evms [NOUN] VERB --help`.
fn help_of(rest: &[&str]) -> Option<String> {
    let words = rest.split(|word| *word == "--").next().unwrap_or_default();
    if !words.iter().any(|word| ["--help", "-h"].contains(word)) || verbs::later(rest).is_some() {
        return None;
    }
    let spoken = words.iter().copied().filter(|word| !word.starts_with('-')).collect::<Vec<_>>();
    if let [noun] = spoken.as_slice()
        && verbs::VERBS.iter().any(|verb| verb.noun == *noun)
    {
        let lines = verbs::verb_lines(Some(noun));
        return Some(format!(
            "usage: evms {noun} VERB …\n       evms {noun} VERB --help\n\nVerbs:\n{lines}\nExit codes: evms --help\n"
        ));
    }
    let (verb, _) = verbs::find(&spoken).ok()?;
    Some(verb.help())
}

/// What the environment says.
fn around() -> Result<Surroundings, Usage> {
    let read = |name: &'static str| match std::env::var(name) {
        Err(std::env::VarError::NotUnicode(_)) => Err(Usage::EnvironmentNotUtf8 { name }),
        other => Ok(other.ok()),
    };
    Ok(Surroundings { disks: read("EVMS_DISKS")?, node: read("EVMS_NODE")? })
}

fn ask(own: &[&str], rest: &[&str], around: &Surroundings) -> Result<Answer, Refused> {
    let globals = Globals::read(own, around)?;
    if rest.is_empty() {
        return Err(Usage::Missing { what: "a verb", applet: FRONT }.into());
    }
    if let Some(later) = verbs::later(rest) {
        return Err(later.into());
    }
    let (verb, behind) = verbs::find(rest)?;
    if !verb.asks_daemon(behind) {
        globals.refuse_elsewhere()?;
    }
    let words = read(verb, behind)?;
    let answer = (verb.run)(&words, globals);
    out::progress_over();
    answer
}

fn read(verb: &Verb, behind: &[&str]) -> Result<Words, Refused> {
    let called = verb.called();
    if verb.options.iter().any(|option| option.name == "--compare") {
        let joined = copies::join_generations(behind);
        let joined = joined.iter().map(String::as_str).collect::<Vec<_>>();
        return Ok(Words::read(&called, verb.options, verb.names_max, &joined)?);
    }
    Ok(Words::read(&called, verb.options, verb.names_max, behind)?)
}

fn tell(answer: &Answer, json: bool) -> Exit {
    let printed = match json.then(|| answer.json()).flatten() {
        Some(value) => out::json(&value),
        None => out::text(&answer.text()),
    };
    match printed {
        Ok(()) => answer.exit(),
        Err(unwritten) => out::refuse(FRONT, &unwritten),
    }
}

/// Says why on stderr, and with `--json` on stdout too.
fn refuse(failure: &dyn Failure, json: bool) -> Exit {
    let exit = out::refuse(FRONT, failure);
    // The exit code tells the reason even when this could not be printed.
    let _ = json.then(|| out::json(&refusal(exit, &failure.to_string())));
    exit
}

fn applet_lines() -> String {
    APPLETS.iter().map(|applet| format!("  {:<15} {}\n", applet.name, applet.line)).collect()
}
