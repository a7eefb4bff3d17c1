//! The paths a file names: those of its `use` lines, with their braces opened, and those that stand in the code.

use crate::source::{Source, end_of_item, is_word, words};

/// One path, and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Named {
    pub at: usize,
    pub path: Vec<String>,
}

/// Every path in the product code of `source`.
pub fn named(source: &Source) -> Vec<Named> {
    let mut rest = source.code.clone().into_bytes();
    let mut all = Vec::new();
    for at in words(&source.code, "use") {
        let end = end_of_item(&source.code, at);
        // `use<'a>` in a return type is no import.
        if source.code[at + 3..].trim_start().starts_with('<') {
            continue;
        }
        let tree = source.code[at + 3..end].trim().trim_end_matches(';');
        open(tree, &mut Vec::new(), &mut |path| all.push(Named { at, path }));
        rest[at..end].fill(b' ');
    }
    inline(&String::from_utf8_lossy(&rest), &mut all);
    all
}

/// Opens `a::{b, c::{d, self}}` into its paths.
fn open(tree: &str, prefix: &mut Vec<String>, found: &mut dyn FnMut(Vec<String>)) {
    let (head, group) = match tree.split_once('{') {
        Some((head, group)) => (head, group.trim_end().strip_suffix('}')),
        None => (tree.split(" as ").next().unwrap_or(tree), None),
    };
    let before = prefix.len();
    for part in head.split("::").map(str::trim).filter(|part| !part.is_empty()) {
        // `self` opens a path, or names in a group what stands before the brace.
        if part != "self" || prefix.is_empty() {
            prefix.push(part.into());
        }
    }
    match group {
        None => found(prefix.clone()),
        Some(group) => members(group).into_iter().for_each(|member| open(member, prefix, found)),
    }
    prefix.truncate(before);
}

/// What stands between the commas of a group, inner groups whole.
fn members(group: &str) -> Vec<&str> {
    let mut depth = 0usize;
    let parts = group.split(|letter| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn inline(code: &str, all: &mut Vec<Named>) {
    let bytes = code.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_word(bytes[at]) {
            at += 1;
            continue;
        }
        let before = code[..at].trim_end();
        let continued = before.ends_with("::") || (before.ends_with('.') && !before.ends_with(".."));
        let (path, end) = path_at(code, at);
        if path.len() > 1 && !continued {
            all.push(Named { at, path });
        }
        at = end;
    }
}

fn path_at(code: &str, from: usize) -> (Vec<String>, usize) {
    let bytes = code.as_bytes();
    let (mut path, mut at) = (Vec::new(), from);
    loop {
        let end = (at..bytes.len()).find(|&end| !is_word(bytes[end])).unwrap_or(bytes.len());
        if end == at {
            return (path, at);
        }
        path.push(code[at..end].to_string());
        match bytes.get(end..end + 2) {
            Some(b"::") => at = end + 2,
            _ => return (path, end),
        }
    }
}
