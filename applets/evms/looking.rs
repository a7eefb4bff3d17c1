//! Verbs that look: list, info, check.

use std::path::Path;

use evms::run::report::ListWhat;

use crate::evms::answer::Answer;
use crate::evms::cluster;
use crate::evms::containers::context;
use crate::evms::globals::Globals;
use crate::evms::verbs::Refused;
use crate::evms::words::Words;

/// What `list` may be asked for.
const LISTS: [(&str, ListWhat); 6] = [
    ("disks", ListWhat::Disks),
    ("segments", ListWhat::Segments),
    ("containers", ListWhat::Containers),
    ("regions", ListWhat::Regions),
    ("objects", ListWhat::Objects),
    ("volumes", ListWhat::Volumes),
];

/// `list`.
pub fn list(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    if words.names(0).first().is_some_and(|word| word == "nodes") {
        return cluster::nodes();
    }
    let what = match words.names(0).first() {
        None => ListWhat::Overview,
        Some(word) => match LISTS.iter().find(|(name, _)| name == word) {
            Some((_, what)) => *what,
            None => {
                let known = LISTS.map(|(name, _)| name).join(", ");
                let why = format!("there is no list of '{}'; there are {known}, nodes", word.escape_debug());
                return Err(words.bad("list", &why).into());
            }
        },
    };
    Ok(Answer::Listing(context(words, globals)?.list(what)?))
}

/// `info`.
pub fn info(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let name = words.name(0, "NAME")?;
    let mut globals = globals;
    // A path to something that is there is meant as that, whether or not it is one of the machine's disks.
    let path = Path::new(name);
    let is_path = ["/", "./", "../"].iter().any(|start| name.starts_with(start));
    if globals.options.disks.is_empty() && is_path && !name.starts_with("/dev/evms/") && path.exists() {
        globals.options.disks.push(path.into());
    }
    Ok(Answer::Info(context(words, globals)?.info(name)?))
}

/// `check`. A dry run of a repair says what would be mended, which is what a check without repair finds.
pub fn check(words: &Words, globals: Globals) -> Result<Answer, Refused> {
    let repair = words.has("--repair");
    if words.has("--dry-run") && !repair {
        return Err(words.missing("--repair, without which nothing is written anyway,").into());
    }
    let report = context(words, globals)?.check(words.names(0), repair)?;
    Ok(Answer::Checked(report))
}
