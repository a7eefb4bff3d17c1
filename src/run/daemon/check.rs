//! `evmsd --check`: would a daemon start, and would it do well? Every question gets a line, with the figures, and what is
//! wrong with what to do. Starts nothing and writes nothing.

use core::net::SocketAddr;
use std::path::Path;

use crate::cluster::mistake::Rules;
use crate::cluster::roster::Roster;
use crate::cluster::roster::agents::Agent;
use crate::cluster::timing::Timing;
use crate::host::disk::Want;
use crate::host::interface::{self, Interface};
use crate::host::udp::{self, Udp};
use crate::host::{agent, clock, door, identity, sys};
use crate::run::agents;
use crate::run::daemon::settings::{self, KEY};
use crate::run::daemon::{agreed, arbitration, heart};

/// Bytes of the packets that carry a datagram of beats: what every network of IPv6 takes (RFC 8200, section 5).
const PACKET_BYTES_MIN: u64 = 1280;

/// A machine that is none of the nodes.
const STRANGER: &str = "this machine is none of the nodes; to make it one say on a node that runs 'evmsd invite', and 'evmsd join' \
                        here; if it is one, correct /etc/evms/node";

/// How an answer is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Good,
    /// The daemon starts, and something should be better.
    Warning,
    /// It does not start, or not well.
    Bad,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How to take it.
    pub grade: Grade,
    /// What was looked at.
    pub what: &'static str,
    /// What was found.
    pub words: String,
}

fn line(grade: Grade, what: &'static str, words: impl ToString) -> Line {
    Line { grade, what, words: words.to_string() }
}

/// All answers.
pub fn check(config: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    lines.push(match settings::keys() {
        Ok(keys) => line(Grade::Good, "key", format!("{KEY} has {} and is read by root alone", keys.len())),
        Err(error) => line(Grade::Bad, "key", error),
    });
    lines.push(machine());
    let file = settings::roster(config);
    let what = if file.is_ok() { "agreed" } else { "configuration" };
    let is_strict = file.as_ref().is_ok_and(|roster| roster.strict);
    if let Ok(roster) = &file {
        of_roster(roster, config, &mut lines);
    }
    match agreed::look(config, file) {
        Ok(None) => (),
        Ok(Some(words)) => lines.push(line(Grade::Warning, what, words)),
        Err(error) => lines.push(line(Grade::Bad, what, error)),
    }
    lines.push(clock_line());
    lines.push(priority());
    lines.push(memory());
    lines.push(watchdog(is_strict));
    lines
}

fn machine() -> Line {
    match identity::node_uuid(&Default::default()) {
        Ok(Some(uuid)) => line(Grade::Good, "machine", uuid),
        Ok(None) => line(Grade::Bad, "machine", identity::HOW_TO_MAKE_ONE),
        Err(error) => line(Grade::Bad, "machine", error),
    }
}

fn of_roster(roster: &Roster, config: &Path, lines: &mut Vec<Line>) {
    let configuration = &roster.configuration;
    lines.push(line(
        Grade::Good,
        "configuration",
        format!(
            "{}: cluster {}, generation {}, {} nodes, {} votes",
            config.display(),
            roster.name,
            configuration.generation,
            roster.members.len(),
            configuration.votes_of_all()
        ),
    ));
    let machine = identity::node_uuid(&Default::default()).ok().flatten();
    let node = machine.and_then(|machine| roster.node_of(machine));
    lines.push(match node {
        Some(node) => line(Grade::Good, "node", format!("this machine is {} ({node})", roster.name_of(node))),
        None => line(Grade::Bad, "node", STRANGER),
    });
    let links = node.and_then(|node| roster.members.get(&node)).map(|member| member.links.as_slice());
    lines.extend(links.unwrap_or_default().iter().map(|address| link(roster, *address)));
    if roster.members.values().next().is_some_and(|member| member.links.len() == 1)
        && roster.members.len() > 1
    {
        lines.push(line(Grade::Warning, "links", "one network only: when it fails, so does the quorum"));
    }
    if configuration.votes_of_all().is_multiple_of(2) && roster.arbitration.is_empty() {
        let words = "an even number of votes and no arbitration disk: when the network splits them in halves nobody is \
                     quorate; 'evmsd prepare' makes such a disk";
        lines.push(line(Grade::Warning, "votes", words));
    }
    lines.extend(roster.arbitration.iter().map(|disk| {
        match arbitration::open(disk, configuration.cluster, Want::Look) {
            Ok(_) => line(Grade::Good, "arbitration", format!("{} is the disk that is meant", disk.path)),
            Err(trouble) => line(Grade::Bad, "arbitration", trouble),
        }
    }));
    lines.push(timing(roster));
    lines.push(line(Grade::Good, "takeover", takeover_words(&roster.configuration.timing)));
    lines.push(tie(roster));
    let own = node.map(|node| roster.name_of(node)).unwrap_or_default();
    fences(roster, config, &own, lines);
}

/// Whose power this node may have cut, by what, and when that would be.
fn fences(roster: &Roster, config: &Path, own: &str, lines: &mut Vec<Line>) {
    let agents = match agents::read(config, |name| roster.node_named(name).is_some()) {
        Ok(agents) => agents,
        Err(why) => return lines.push(line(Grade::Bad, "fence", why)),
    };
    lines.extend(agents.all.iter().map(|agent| {
        let Agent { node, program, timeout_s, retries, .. } = agent;
        let node_name = node.as_str();
        let Some(found) = agent::find(program) else {
            return line(Grade::Warning, "fence", agents::missing(program, node));
        };
        if node_name == own {
            return line(Grade::Good, "fence", format!("{node} is this node: {program} is never asked here"));
        }
        let before = agents.of(node_name).take_while(|other| *other != agent).count();
        let when = match before {
            0 => "when it is absent and has gates of a container: by the first of the view at once".to_string(),
            _ => "when what stands before it in the file proved nothing".to_string(),
        };
        let words = format!(
            "{node}: {} is told off, and then asked for its status, {when}; up to {} times, {timeout_s} s a call; each of the view \
             waits {} s longer than the one before",
            found.display(),
            retries + 1,
            agents.limit_ms(node_name).div_ceil(1000)
        );
        line(Grade::Good, "fence", words)
    }));
    lines.extend(agents::troubles(config, &agents).map(|words| line(Grade::Bad, "fence", words)));
}

fn link(roster: &Roster, address: core::net::IpAddr) -> Line {
    let running = door::knock().is_ok();
    if !udp::is_here(address) {
        let words = format!(
            "no interface of this machine has {address}: bring the network up, or correct the links of this node"
        );
        return line(Grade::Bad, "link", words);
    }
    // Beats on one port, messages on the one behind it.
    let both = [roster.port, roster.port.saturating_add(1)].map(|port| Udp::bind(address, port));
    let interface = interface::of(address);
    let on = match &interface {
        Some(Interface { name, mtu_bytes: Some(mtu) }) => format!(" ({name}, packets of {mtu} bytes)"),
        Some(Interface { name, mtu_bytes: None }) => format!(" ({name})"),
        None => String::new(),
    };
    if let Some(mtu) =
        interface.and_then(|interface| interface.mtu_bytes).filter(|mtu| *mtu < PACKET_BYTES_MIN)
    {
        let words = format!(
            "{address}{on}: beats need packets of {PACKET_BYTES_MIN} bytes, and this network takes {mtu}"
        );
        return line(Grade::Bad, "link", words);
    }
    let shown = format!("{}{on} and the port behind it", SocketAddr::new(address, roster.port));
    match both.into_iter().find_map(Result::err) {
        None => line(Grade::Good, "link", format!("{shown} can be listened on")),
        Some(_) if running => {
            line(Grade::Good, "link", format!("{shown} are in use, by the evmsd that runs"))
        }
        Some(error) => line(Grade::Bad, "link", error),
    }
}

/// R18: the arithmetic, shown.
fn timing(roster: &Roster) -> Line {
    let timing = roster.configuration.timing;
    let words = format!(
        "a beat each {} ms; silent after {} ms, which is {} beats; agreed {} ms later at the earliest; I/O stops {} ms after \
         the last beat that a majority echoed; others wait {} ms for that, with clocks wrong by {} %",
        timing.beat_ms,
        timing.window_ms,
        timing.window_ms / timing.beat_ms.max(1),
        timing.settle_ms,
        timing.lease_ms,
        timing.promise_ms(Rules::ALL),
        f64::from(timing.drift_ppm) / 10_000.0
    );
    line(Grade::Good, "timing", words)
}

/// When what an absent owner has may be taken, as a sentence with its arithmetic (safety 5.1).
pub(super) fn takeover_words(timing: &Timing) -> String {
    format!(
        "what an owner has that is gone is taken {} ms after the others are quorate without it: 2 x {} ms of its watchdog, which was fed last \
         as its keeper died, + {} ms of what is under way, by the worst clocks; of one that is only cut off and says over the disks that \
         its gates are closed, {} ms after that",
        timing.stopped_ms(timing.watchdog_ms),
        timing.watchdog_ms,
        timing.drain_ms,
        timing.stopped_ms(0)
    )
}

/// How long a record on an arbitration disk must stand still before its writer is taken for gone.
fn tie(roster: &Roster) -> Line {
    let timing = roster.configuration.timing;
    let words = format!(
        "whose disk beats stand still is gone after {} ms of a disk lease + {} ms of a disk beat + {} ms of a watchdog + {} ms of what \
         is under way = {} ms by the worst clocks",
        timing.disk_lease_ms,
        timing.disk_beat_ms,
        timing.watchdog_ms,
        timing.drain_ms,
        timing.take_ms()
    );
    line(Grade::Good, "tie", words)
}

/// All times are counted by CLOCK_BOOTTIME, which nobody can set; wall clocks decide nothing.
fn clock_line() -> Line {
    let source = clock::source().unwrap_or_else(|| "of an unknown source".into());
    let up_s = clock::boot_now().ms / 1000;
    match source.as_str() {
        "jiffies" | "refined-jiffies" => line(
            Grade::Warning,
            "clock",
            format!(
                "the kernel counts time by {source}, in coarse steps: see why it does not trust a better one (dmesg)"
            ),
        ),
        _ => line(Grade::Good, "clock", format!("{source}, {up_s} s since boot; wall clocks decide nothing")),
    }
}

/// Tried in a thread of its own, which is gone afterwards.
fn priority() -> Line {
    match std::thread::spawn(|| sys::run_first(heart::PRIORITY)).join() {
        Ok(Ok(())) => line(Grade::Good, "priority", "the detector may run before all else (SCHED_RR)"),
        Ok(Err(errno)) => line(
            Grade::Warning,
            "priority",
            format!(
                "no real-time priority ({}): a busy processor may cost this node its quorum; give the service CAP_SYS_NICE, and \
                 real-time time to its control group",
                errno.desc()
            ),
        ),
        Err(_) => line(Grade::Warning, "priority", "no thread could be started"),
    }
}

fn memory() -> Line {
    match sys::lock_all_memory() {
        Ok(()) => line(Grade::Good, "memory", "all of it can be locked"),
        Err(errno) => line(
            Grade::Warning,
            "memory",
            format!(
                "it cannot be locked ({}): swapping may cost this node its quorum; raise the limit (LimitMEMLOCK=infinity)",
                errno.desc()
            ),
        ),
    }
}

fn watchdog(is_strict: bool) -> Line {
    if Path::new("/dev/watchdog").exists() {
        return line(Grade::Good, "watchdog", "/dev/watchdog is there");
    }
    let words = "no /dev/watchdog: a node that hangs cannot end itself; load its driver, or softdog";
    match is_strict {
        true => line(
            Grade::Bad,
            "watchdog",
            format!("{words}; the cluster is strict: nothing is activated here without one"),
        ),
        false => line(Grade::Warning, "watchdog", words),
    }
}
