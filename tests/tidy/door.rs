//! The one door, `build.sh`: what its help offers it takes.

use std::collections::BTreeSet;

/// Verbs whose options one function takes.
const VERBS: [&str; 2] = ["sim", "crash"];
const TAKER: &str = "model() {";

/// Words of a text that begin with two dashes.
fn options(text: &str) -> BTreeSet<&str> {
    let is_of_it = |c: char| c.is_ascii_lowercase() || c == '-';
    let words = text.split(|c: char| !is_of_it(c));
    words.filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

/// Options that the help of those verbs names and the door refuses.
pub fn refused(door: &str) -> Vec<String> {
    let taker = door.split(TAKER).nth(1).and_then(|rest| rest.split("\n}\n").next()).unwrap_or_default();
    let known = options(taker);
    let offers = |verb: &str| {
        let row = format!("row \"{verb} ");
        door.lines()
            .find(|line| line.contains(&row))
            .map(|line| options(line.split("\" \"").next().unwrap_or_default()))
    };
    let missing = |verb: &str| {
        let offered = offers(verb).unwrap_or_else(|| BTreeSet::from(["--help"]));
        offered
            .into_iter()
            .filter(|option| !known.contains(option))
            .map(|option| format!("{verb} {option}"))
            .collect::<Vec<_>>()
    };
    VERBS.iter().flat_map(|verb| missing(verb)).collect()
}
