//! The tree: reads every Rust file, follows the `mod` lines, and tells what no `mod` line reaches and what is
//! reached in tests alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::source::{Source, is_word, words};

/// Folders whose Rust files are held to the rules.
const FOLDERS: [&str; 3] = ["src", "applets", "tests"];

/// Every Rust file of the house. What only tests reach has no product code.
pub fn load() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in FOLDERS {
        read_folder(root, folder, &mut sources);
    }
    let reached = reached(&sources);
    for source in &mut sources {
        if reached.get(&source.path) == Some(&Reached::ByTests) {
            source.code = source.code.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        }
    }
    sources
}

fn read_folder(root: &Path, folder: &str, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> =
        fs::read_dir(root.join(folder)).expect(folder).map(|entry| entry.expect(folder)).collect();
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() && entry.file_name() != "target" {
            read_folder(root, &path, sources);
        } else if path.ends_with(".rs") {
            sources
                .push(Source::new(&path, &fs::read_to_string(entry.path()).expect("a source file is text")));
        }
    }
}

/// Who reaches a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// Only `#[cfg(test)] mod` lines.
    ByTests,
    /// The product, or a test crate as a whole.
    ByAll,
}

/// Files that cargo takes by themselves.
fn is_root(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    matches!(
        parts.as_slice(),
        ["src", "lib.rs"]
            | ["applets", "main.rs"]
            | ["tests", _]
            | ["tests", _, "main.rs"]
            | ["tests", "fuzz", "src", "bin", _]
    )
}

/// Every file that a chain of `mod` lines reaches.
pub fn reached(sources: &[Source]) -> BTreeMap<String, Reached> {
    let by_path: BTreeMap<&str, &Source> =
        sources.iter().map(|source| (source.path.as_str(), source)).collect();
    let mut reached = BTreeMap::new();
    let roots = sources.iter().filter(|source| is_root(&source.path));
    let mut waiting: Vec<(String, Reached)> =
        roots.map(|source| (source.path.clone(), Reached::ByAll)).collect();
    while let Some((path, how)) = waiting.pop() {
        if reached.get(&path).is_some_and(|known| *known >= how) {
            continue;
        }
        let Some(source) = by_path.get(path.as_str()) else { continue };
        reached.insert(path, how);
        waiting.extend(children(source).into_iter().map(|(child, by)| (child, by.min(how))));
    }
    reached
}

/// Files that nobody reaches.
pub fn dead(sources: &[Source]) -> Vec<String> {
    let reached = reached(sources);
    let dead = sources.iter().filter(|source| !reached.contains_key(&source.path));
    dead.map(|source| source.finding(0, "no mod line reaches this file: it is not compiled")).collect()
}

/// The files that the `mod NAME;` lines of a file may mean.
fn children(source: &Source) -> Vec<(String, Reached)> {
    let mut all = Vec::new();
    for at in words(&source.bare, "mod") {
        let after = source.bare[at + 3..].trim_start();
        let name = &after[..after.bytes().take_while(|byte| is_word(*byte)).count()];
        if !after[name.len()..].trim_start().starts_with(';') {
            continue;
        }
        let how = if source.code[at..].starts_with("mod") { Reached::ByAll } else { Reached::ByTests };
        let (folder, below) = folders(&source.path);
        match path_attribute(source, at) {
            Some(path) => all.push((format!("{folder}/{path}"), how)),
            None => all.extend(
                [format!("{below}/{name}.rs"), format!("{below}/{name}/mod.rs")].map(|path| (path, how)),
            ),
        }
    }
    all
}

/// The folder a file lies in, and the one its modules lie in.
fn folders(path: &str) -> (&str, String) {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let below = match file {
        "mod.rs" | "lib.rs" | "main.rs" => folder.to_string(),
        _ if is_root(path) => folder.to_string(),
        _ => path.trim_end_matches(".rs").to_string(),
    };
    (folder, below)
}

/// `#[path = "…"]` right before the `mod` at `at`.
fn path_attribute(source: &Source, at: usize) -> Option<&str> {
    let before = source.bare[..at].trim_end().trim_end_matches("pub").trim_end();
    let start = before.rfind("#[path")?;
    let attribute = &source.text[start..before.len()];
    (attribute.matches(']').count() == 1 && attribute.ends_with(']')).then(|| attribute.split('"').nth(1))?
}
