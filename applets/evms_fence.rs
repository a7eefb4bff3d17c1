//! `evms-fence`: what stops the I/O of this node's volumes, and why; which fence agents it has; and what was taken from whom. To fence
//! another node by hand is not in this build.

use std::fmt;

use evms::base::epoch::Epoch;
use evms::base::failure::{Failure, Kind};
use evms::format::control::{AgentLine, BeatLine, GateLine, GatesLine};
use evms::run::ask;
use evms::run::context::{Context, Options};
use evms::run::live::aside;
use evms::run::report::{DeadLine, DeedLine, Deeds};
use serde_json::{Value, json};

use crate::evms::print;
use crate::evms::print_status::span;
use crate::evms::table::{Table, clean};
use crate::evms::words::{BadWords, Opt, Words, flag, value};
use crate::exit::{self, Exit};
use crate::out;
use crate::usage;

/// The applet's name.
pub const NAME: &str = "evms-fence";

/// Milliseconds of a beat from which on its disk is slow: as many as there are between two.
const SLOW_MS: u64 = 1000;
/// Milliseconds without a beat, and without one under way, from which on something is wrong.
const SILENT_MS: u64 = 10_000;

const HELP: &str = "\
usage: evms-fence status [--node NODE] [--json]
       evms-fence suspend CONTAINER [--json]
       evms-fence resume CONTAINER [--json]
       evms-fence history [CONTAINER] [--all] [--json]
       evms-fence --help | --version

Tells through which gates the I/O of a node's cluster volumes flows, which of them are closed, since when and why, and
who closes them: the keeper, a process that sees the node's lease end though evmsd is gone, and the watchdog behind it.
How each disk under them takes the node's beats: one small write in a second, by which it answers there when the others
do not hear it on the network. Of this node also what was lost while it was in use: it is put aside, its I/O fails, and
who has it open is told. And which fence agents the node has for others, and what the last call of them came to; evmsd
calls them (evmsd --help).
suspend: closes the gates of a cluster's container, everywhere where it has some: what uses its volumes waits, without an
error, until resume. It stands in the container, and outlives boots and takeovers. Refused where a node has its root or
its swap on it.
history: every takeover of the containers that are here, newest first: from whom, by whom, on which evidence and why.
They stand in the container itself, the last 64 changes of whose it is.
To fence another node by hand is not in this build: whatever else is asked is refused with code 7, and no node may be
taken for fenced on the strength of it.

  --all         whatever changed whose it is: founded and given too
  --node NODE   ask the evmsd of that node
  --json        print it for programs
";

const OPTIONS: &[Opt] = &[flag("--all", ""), value("--node", "NODE", ""), flag("--json", "")];

/// It was asked to fence a node.
struct NotInThisBuild;

impl fmt::Display for NotInThisBuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "this build of evms cannot fence another node; no node was fenced or unfenced; cut the node's power or its path to the \
             disks by other means",
        )
    }
}

impl Failure for NotInThisBuild {
    fn kind(&self) -> Kind {
        Kind::NoDaemon
    }
}

/// Runs it.
pub fn run(words: &[&str]) -> Exit {
    if let Some(exit) = usage::answer(NAME, || [HELP, "\n", exit::TEXT].concat(), words) {
        return exit;
    }
    let words = match Words::read(NAME, OPTIONS, 2, words) {
        Ok(words) => words,
        Err(bad) => return out::refuse(NAME, &bad),
    };
    match words.names(0) {
        [verb] if verb == "status" && words.has("--all") => {
            out::refuse(NAME, &BadWords::Surplus { word: "--all".into(), verb: [NAME, " status"].concat() })
        }
        [verb] if verb == "status" => status(&words),
        [verb, more, ..] if verb == "status" => {
            out::refuse(NAME, &BadWords::Surplus { word: more.clone(), verb: [NAME, " status"].concat() })
        }
        [verb, more @ ..] if verb == "suspend" || verb == "resume" => suspend(&words, verb, more),
        [verb, more @ ..] if verb == "history" && more.len() < 2 => history(&words, more.first()),
        _ => out::refuse(NAME, &NotInThisBuild),
    }
}

fn suspend(words: &Words, verb: &str, names: &[String]) -> Exit {
    let verb_word = || [NAME, " ", verb].concat();
    let option =
        ["--node", "--all"].into_iter().find(|option| words.has(option) || words.one(option).is_some());
    let bad = match (names, option) {
        (_, Some(option)) => BadWords::Surplus { word: option.into(), verb: verb_word() },
        ([], None) => BadWords::Missing { verb: verb_word(), what: "CONTAINER" },
        ([name], None) => {
            let done = Context::new(Options::default()).and_then(|mut context| match verb {
                "suspend" => context.container_suspend(name),
                _ => context.container_resume(name),
            });
            return match done {
                Ok(done) if words.has("--json") => {
                    out::finish(NAME, out::json(&json!({ "evms": 1, "result": done })))
                }
                Ok(done) => out::finish(NAME, out::text(&print::changed(&done))),
                Err(error) => out::refuse(NAME, &error),
            };
        }
        ([_, more, ..], None) => BadWords::Surplus { word: more.clone(), verb: verb_word() },
    };
    out::refuse(NAME, &bad)
}

fn history(words: &Words, container: Option<&String>) -> Exit {
    if words.one("--node").is_some() {
        return out::refuse(
            NAME,
            &BadWords::Surplus { word: "--node".into(), verb: [NAME, " history"].concat() },
        );
    }
    let (name, all) = (container.map(String::as_str), words.has("--all"));
    let found = Context::new(Options::default()).and_then(|context| context.deeds(name, !all));
    let deeds = match found {
        Ok(deeds) => deeds,
        Err(error) => return out::refuse(NAME, &error),
    };
    if words.has("--json") {
        return out::finish(NAME, out::json(&json!({ "evms": 1, "result": deeds })));
    }
    out::finish(NAME, out::text(&deeds_in_words(&deeds, all)))
}

fn deeds_in_words(answer: &Deeds, all: bool) -> String {
    let mut text = String::new();
    if answer.deeds.is_empty() {
        text.push_str(match all {
            true => "of no container that is here it is written down whose it was\n",
            false => "no takeover is written down in the containers that are here\n",
        });
    } else {
        let mut table = Table::new(&["AT", "CONTAINER", "EPOCH", "BY", "WHAT"]);
        for line in &answer.deeds {
            let DeedLine { at, container, epoch, by, words, .. } = line;
            table.row([at.clone(), clean(container), Epoch(*epoch).to_string(), clean(by), clean(words)]);
        }
        text.push_str(&table.text());
    }
    answer.notes.iter().for_each(|note| text.push_str(&[note, "\n"].concat()));
    for id in &answer.unread {
        text.push_str(&format!("container {id} cannot be read; see: evms check {id}\n"));
    }
    text
}

fn status(words: &Words) -> Exit {
    let node = words.one("--node").unwrap_or_default();
    let gates = match ask::gates(node) {
        Ok(gates) => gates,
        Err(error) => return out::refuse(NAME, &error),
    };
    let agents = match ask::agents(node) {
        Ok(agents) => agents,
        Err(error) => return out::refuse(NAME, &error),
    };
    // Of this machine's kernel: another one is not asked, for its evmsd waits for nothing.
    let dead = if node.is_empty() { aside::volumes() } else { Vec::new() };
    if words.has("--json") {
        return out::finish(NAME, out::json(&in_json(&gates, &dead, &agents)));
    }
    let text = [in_words(&gates), dead_in_words(&dead), agents_in_words(&agents)].concat();
    out::finish(NAME, out::text(&text))
}

/// What was lost while somebody had it open.
fn dead_in_words(dead: &[DeadLine]) -> String {
    if dead.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["PUT ASIDE", "DEVICE", "EPOCH", "STILL OPEN FOR"]);
    for line in dead {
        let holders =
            if line.holders.is_empty() { "somebody unknown".into() } else { line.holders.join(", ") };
        table.row([clean(&line.volume), line.device.clone(), line.epoch.clone(), clean(&holders)]);
    }
    format!(
        "\n{}their I/O fails; each goes when what has it open closes it; nothing waits for them\n",
        table.text()
    )
}

fn agents_in_words(agents: &[AgentLine]) -> String {
    if agents.is_empty() {
        return "\nagents    none: this node can have nobody's power cut\n".into();
    }
    let mut table = Table::new(&["FENCE AGENT", "CUTS", ">AT MOST", "LAST CALL"]);
    for AgentLine { node, agent, limit_ms, said } in agents {
        let said = if said.is_empty() { "none in this boot".into() } else { clean(said) };
        table.row([clean(agent), clean(node), span(*limit_ms), said]);
    }
    ["\n", &table.text()].concat()
}

fn in_words(gates: &GatesLine) -> String {
    let keeper = match (gates.keeper, gates.gates.is_empty()) {
        (true, _) => "runs",
        (false, true) => "none, and no gates for it",
        (false, false) => {
            "NONE: gates stay as they are when this node is not quorate any more; evmsd starts one, see its log"
        }
    };
    let watchdog = match gates.watchdog_ms {
        0 if gates.watchdog_lost => {
            "LOST: one was armed, and the keeper has it not any more; bring /dev/watchdog back, see the kernel's log".into()
        }
        0 => "none: nothing follows on the keeper's own death".to_string(),
        ms => format!("bites {} after it was fed last", span(ms)),
    };
    let quorum = match gates.quorate {
        true => format!("yes, by view {}", gates.view),
        false if gates.view.is_empty() => {
            "NO, and not yet since evmsd began: gates are closed; see: evms why".into()
        }
        false => format!("NO, not since view {}: gates are closed; see: evms why", gates.view),
    };
    let mut text = format!("quorum    {quorum}\nkeeper    {keeper}\nwatchdog  {watchdog}\n");
    if gates.gates.is_empty() {
        return text + "gates     none: no volume of a cluster's container is active here\n";
    }
    let mut table = Table::new(&["GATE", "STATE", ">SINCE", ">CLOSED", "EPOCH", "WHY"]);
    for gate in &gates.gates {
        let GateLine { name, state, since_ms, closed, epoch, why, .. } = gate;
        let times = if *closed == 1 { "once".into() } else { format!("{closed} times") };
        table.row([clean(name), state.clone(), span(*since_ms), times, epoch.to_string(), clean(why)]);
    }
    text.push('\n');
    text + &table.text() + &beats_in_words(&gates.beats, gates.quorate)
}

/// A disk that is slow, or does not answer, stops nothing by itself; somebody should know.
fn beats_in_words(beats: &[BeatLine], quorate: bool) -> String {
    if beats.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["DISK BEATS", ">LAST", ">TOOK", ">AT MOST", "HOW"]);
    for line in beats {
        let BeatLine { disk, since_ms, took_ms, worst_ms, .. } = line;
        let last = since_ms.map_or_else(|| "none".into(), span);
        table.row([clean(disk), last, millis(*took_ms), millis(*worst_ms), how(line, quorate)]);
    }
    ["\n", &table.text()].concat()
}

fn millis(ms: u64) -> String {
    format!("{ms} ms")
}

fn how(line: &BeatLine, quorate: bool) -> String {
    let BeatLine { since_ms, took_ms, waits_ms, .. } = *line;
    match (waits_ms, since_ms) {
        (SLOW_MS.., _) => format!("DOES NOT ANSWER for {}; see the kernel's log", span(waits_ms)),
        (_, None) => "no beat yet; see the kernel's log for why".into(),
        _ if !quorate => "answers only: this node is not quorate".into(),
        (_, Some(SILENT_MS..)) => {
            "TAKES NO BEAT, or nobody beats; see the kernel's log, and that of evmsd".into()
        }
        _ if took_ms >= SLOW_MS => "slow".into(),
        _ => "well".into(),
    }
}

fn in_json(gates: &GatesLine, dead: &[DeadLine], agents: &[AgentLine]) -> Value {
    let all = gates.gates.iter().map(|gate| {
        json!({
            "name": gate.name,
            "container": gate.container.to_string(),
            "epoch": gate.epoch.to_string(),
            "state": gate.state,
            "since_ms": gate.since_ms,
            "closed": gate.closed,
            "reasons": gate.reasons,
            "why": gate.why,
        })
    });
    let beats = gates.beats.iter().map(|line| {
        let BeatLine { disk, container, since_ms, took_ms, worst_ms, waits_ms } = line;
        let container = container.to_string();
        json!({
            "disk": disk,
            "container": container,
            "since_ms": since_ms,
            "took_ms": took_ms,
            "worst_ms": worst_ms,
            "waits_ms": waits_ms,
        })
    });
    let agents = agents.iter().map(|line| {
        let AgentLine { node, agent, limit_ms, said } = line;
        json!({ "node": node, "agent": agent, "limit_ms": limit_ms, "said": said })
    });
    json!({
        "quorate": gates.quorate,
        "view": gates.view,
        "keeper": gates.keeper,
        "watchdog_ms": gates.watchdog_ms,
        "watchdog_lost": gates.watchdog_lost,
        "gates": all.collect::<Vec<_>>(),
        "beats": beats.collect::<Vec<_>>(),
        "put_aside": dead,
        "agents": agents.collect::<Vec<_>>(),
    })
}
