//! The rules. Each takes what it judges and its table, and answers findings; an empty answer is a kept rule.

use std::collections::{BTreeMap, BTreeSet};

use crate::house::{
    APPLETS_MAY_USE, EMPTY_NAMES, FILE_LINES_MAX, FLOOR_HOST, FLOORS, FUNCTION_LINES_MAX, Where,
};
use crate::paths::named;
use crate::source::{Source, end_of_item, is_word, words};

fn floor(room: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// A path within the crate, from the crate root: `super` and `self` are resolved.
fn within_crate(source: &Source, path: &[String]) -> Option<Vec<String>> {
    let mut module: Vec<String> = source.module().into_iter().map(String::from).collect();
    let up = path.iter().take_while(|part| *part == "super").count();
    let rest = match path.first().map(String::as_str)? {
        "crate" => return Some(path[1..].to_vec()),
        "self" => &path[1..],
        "super" => &path[up..],
        _ => return None,
    };
    module.truncate(module.len().saturating_sub(up));
    module.extend_from_slice(rest);
    Some(module)
}

/// (a) Paths point downward, never to the other wing; applets see what the table lets them see.
pub fn floors(source: &Source) -> Vec<String> {
    match source.room() {
        Some("applets") => applet_paths(source),
        Some(room) => match floor(room) {
            Some(own) => room_paths(source, room, own),
            None => vec![source.finding(0, format!("src/{room} is no room of the house: give it a floor"))],
        },
        None => Vec::new(),
    }
}

fn room_paths(source: &Source, room: &str, own: u8) -> Vec<String> {
    let mut findings = Vec::new();
    for named in named(source) {
        let Some(path) = within_crate(source, &named.path) else { continue };
        let Some(target) = path.first().filter(|target| *target != room) else { continue };
        let what = match floor(target) {
            Some(floor) if floor < own => continue,
            Some(floor) if floor == own => format!("{room} and {target} are wings that never see each other"),
            Some(_) => format!("{room} may not look up to {target}"),
            None => format!("'{target}' is no room of the house"),
        };
        findings.push(source.finding(named.at, what));
    }
    findings
}

fn applet_paths(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for named in named(source) {
        if named.path[0] != "evms" {
            continue;
        }
        let path = named.path[1..].join("::");
        let may = |allowed: &&str| path == **allowed || path.starts_with(&format!("{allowed}::"));
        if !APPLETS_MAY_USE.iter().any(may) {
            findings.push(source.finding(named.at, format!("applets may not see evms::{path}")));
        }
    }
    findings
}

/// Crates from outside are named in their rooms only. `table` is the house's, `dependencies` those of Cargo.toml.
pub fn crates(source: &Source, table: &[(&str, &[&str])], dependencies: &[String]) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let mut findings = Vec::new();
    for named in named(source) {
        let name = named.path[0].as_str();
        let row = table.iter().find(|(known, _)| *known == name);
        let refused = match row {
            Some((_, rooms)) => !rooms.contains(&room),
            None => dependencies.iter().any(|dependency| dependency == name),
        };
        if refused {
            findings.push(source.finding(named.at, format!("{room} may not use the crate {name}")));
        }
    }
    findings
}

/// Every dependency has a row, so that it is decided where it may be used.
pub fn crates_have_rows(table: &[(&str, &[&str])], dependencies: &[String]) -> Vec<String> {
    let unknown = dependencies.iter().filter(|name| !table.iter().any(|(known, _)| known == name));
    unknown
        .map(|name| format!("Cargo.toml: the house has no row that says which rooms may use {name}"))
        .collect()
}

/// Names in `[dependencies]` as code spells them.
pub fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or("");
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let rows = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    rows.map(|(name, _)| name.split('.').next().unwrap_or(name).trim().replace('-', "_")).collect()
}

/// (c), (d), (e) and no panics: texts that may not stand in code.
pub fn bans(source: &Source, table: &[(&str, Where, &str)]) -> Vec<String> {
    let Some(room) = source.room() else { return Vec::new() };
    let below_host = floor(room).is_some_and(|floor| floor < FLOOR_HOST);
    let mut findings = Vec::new();
    for (banned, place, instead) in table {
        let held = match place {
            Where::BelowHost => below_host,
            Where::AllBut(paths) => !paths.contains(&source.path.as_str()),
            Where::All => true,
        };
        if held {
            let at = words(&source.code, banned).chain(imported(source, banned));
            findings.extend(at.map(|at| source.finding(at, format!("{banned}: {instead}"))));
        }
    }
    findings
}

/// `std::fs` is also named by `use std::{fs, io}`.
fn imported(source: &Source, banned: &str) -> Vec<usize> {
    let wanted: Vec<&str> = banned.split("::").collect();
    let within = |path: &[String]| path.windows(wanted.len()).any(|part| part == wanted);
    // What is written in full was found as a text already.
    let in_full = |at: usize| source.code[at..end_of_item(&source.code, at)].contains(banned);
    let opened = named(source).into_iter().filter(|named| wanted.len() > 1 && within(&named.path));
    opened.map(|named| named.at).filter(|at| !in_full(*at)).collect()
}

/// A function: where it begins, its name, its lines.
fn functions(source: &Source) -> Vec<(usize, &str, usize)> {
    let mut all = Vec::new();
    for at in words(&source.code, "fn") {
        let after = source.code[at + 2..].trim_start();
        let name = &after[..after.bytes().take_while(|byte| is_word(*byte)).count()];
        if !name.is_empty() {
            let end = end_of_item(&source.code, at);
            all.push((at, name, source.line(end) - source.line(at) + 1));
        }
    }
    all
}

/// No function is longer than a page, but those of the ratchet, which only turns one way.
pub fn function_lengths(sources: &[Source], ratchet: &[(&str, &str, usize)]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut longest: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.room().is_some() || source.path == "src/lib.rs") {
        for (at, name, lines) in functions(source) {
            let allowed = ratchet.iter().find(|row| (row.0, row.1) == (source.path.as_str(), name));
            let most = allowed.map_or(FUNCTION_LINES_MAX, |row| row.2);
            if lines > most {
                findings.push(
                    source.finding(at, format!("fn {name} has {lines} lines, {most} is the most: split it")),
                );
            }
            let known = longest.entry((&source.path, name)).or_default();
            *known = lines.max(*known);
        }
    }
    for (path, name, lines) in ratchet {
        let now = longest.get(&(*path, *name)).copied().unwrap_or(0);
        if now < *lines {
            findings.push(format!(
                "{path}: fn {name} has {now} lines now: turn the ratchet, its row says {lines}"
            ));
        }
    }
    findings
}

/// A file that took in the whole state machine is refused.
pub fn file_length(source: &Source) -> Vec<String> {
    let lines = source.code.lines().filter(|line| !line.trim().is_empty()).count();
    if source.room().is_none() || lines <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![source.finding(0, format!("{lines} lines of code, {FILE_LINES_MAX} is the most: cut it by phase"))]
}

/// An ignored test names the issue that will bring it back.
pub fn ignores(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    for at in words(&source.bare, "ignore") {
        let line = source.bare[..at].rfind('\n').map_or(0, |newline| newline + 1);
        if !source.bare[line..at].trim_start().starts_with("#[") {
            continue;
        }
        let reason = source.text[at + 6..].trim_start().strip_prefix('=').map_or("", str::trim_start);
        let issue = reason.strip_prefix("\"issue-").unwrap_or("");
        if !issue.starts_with(|letter: char| letter.is_ascii_digit()) {
            findings
                .push(source.finding(at, "an ignored test names its issue: #[ignore = \"issue-N: why\"]"));
        }
    }
    findings
}

/// A file opens with why it exists.
pub fn opening(source: &Source) -> Vec<String> {
    if source.text.starts_with("//!") || source.text.starts_with("#![doc = include_str!(") {
        return Vec::new();
    }
    vec![source.finding(0, "begins without a //! line that says why it exists")]
}

/// No file or folder has a name that says nothing.
pub fn names(source: &Source) -> Vec<String> {
    let mut parts = source.path.trim_end_matches(".rs").split('/');
    match parts.find(|part| EMPTY_NAMES.contains(part)) {
        Some(part) => vec![source.finding(0, format!("'{part}' is no noun: what is in it?"))],
        None => Vec::new(),
    }
}

/// (b) Files of one floor stand in an order: who is used never uses back, over however many others.
pub fn circles(sources: &[Source]) -> Vec<String> {
    let edges = uses(sources);
    let mut done = BTreeSet::new();
    let mut findings = Vec::new();
    for start in edges.keys() {
        if let Some(circle) = circle_from(start, &edges, &mut Vec::new(), &mut done) {
            findings.push(format!("a circle of rooms: {}", circle.join(" -> ")));
        }
    }
    findings
}

/// `room::file` and the `room::file`s it names. A room's own mod.rs stands for the room and is no node.
fn uses(sources: &[Source]) -> BTreeMap<String, BTreeSet<String>> {
    let inside = || sources.iter().filter(|source| source.path.starts_with("src/"));
    let node = |path: &[String]| (path.len() >= 2).then(|| path[..2].join("::"));
    let own = |source: &Source| node(&source.module().into_iter().map(String::from).collect::<Vec<_>>());
    let nodes: BTreeSet<String> = inside().filter_map(own).collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in inside() {
        let Some(from) = own(source) else { continue };
        let paths = named(source).into_iter().filter_map(|named| within_crate(source, &named.path));
        let to = paths.filter_map(|path| node(&path)).filter(|to| *to != from && nodes.contains(to));
        edges.entry(from.clone()).or_default().extend(to);
    }
    edges
}

fn circle_from(
    node: &str,
    edges: &BTreeMap<String, BTreeSet<String>>,
    walked: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(at) = walked.iter().position(|known| known == node) {
        return Some([&walked[at..], &[node.to_string()]].concat());
    }
    if !done.insert(node.to_string()) {
        return None;
    }
    walked.push(node.to_string());
    let found =
        edges.get(node).and_then(|next| next.iter().find_map(|next| circle_from(next, edges, walked, done)));
    walked.pop();
    found
}
