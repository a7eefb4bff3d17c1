//! The configuration by which this node goes, in `/var/lib/evms/cluster`, and what it promised and accepted about the next
//! one, in `/var/lib/evms/next`: nobody goes back behind it, and of two that were proposed at once one is decided (safety 1.6).
//!
//! `/etc/evms.conf` is where a cluster begins, and later what an administrator proposes: one generation more than what is gone
//! by is put to the others when this node is quorate. Who hears of a newer one asks for it.

use core::fmt::Write;
use std::path::Path;

use crate::cluster::accord::{self, Accord};
use crate::cluster::roster::Roster;
use crate::format::arbitration::Ballot;
use crate::host::secret::{self, BadFile};
use crate::run::daemon::DaemonError;

/// Where it is.
pub const AGREED: &str = "/var/lib/evms/cluster";
/// Where the accord about the next one is.
const NEXT: &str = "/var/lib/evms/next";

/// What a daemon goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// This.
    pub roster: Roster,
    /// What the file wants to follow on it.
    pub wish: Option<Roster>,
    /// What somebody should know of.
    pub words: Option<String>,
}

/// The configuration that is kept.
fn kept() -> Result<Option<Roster>, DaemonError> {
    let text = match secret::text(Path::new(AGREED)) {
        Err(BadFile::Missing(_)) => return Ok(None),
        text => text.map_err(DaemonError::File)?,
    };
    Roster::parse(&text).map(Some).map_err(|bad| DaemonError::Text(AGREED.into(), bad))
}

/// This node goes by it from now on.
pub fn keep(roster: &Roster) -> Result<(), DaemonError> {
    secret::replace(Path::new(AGREED), &roster.to_text()).map_err(DaemonError::File)
}

/// What this node goes by, given what its file says.
pub fn follow(file: Roster) -> Result<Following, DaemonError> {
    match kept()? {
        None => {
            keep(&file)?;
            Ok(Following { roster: file, wish: None, words: None })
        }
        Some(before) => judge(before, file).map_err(DaemonError::Differs),
    }
}

/// What somebody should know of before a daemon starts with this file; nothing is kept.
pub fn look(file: Roster) -> Result<Option<String>, DaemonError> {
    let Some(before) = kept()? else { return Ok(None) };
    let following = judge(before, file).map_err(DaemonError::Differs)?;
    Ok(following.words.or(following.wish.map(|wish| {
        format!(
            "generation {} is put to the other nodes when this one is quorate; until then it goes by {}",
            wish.configuration.generation, following.roster.configuration.generation
        )
    })))
}

fn judge(before: Roster, file: Roster) -> Result<Following, String> {
    let (old, new) = (&before.configuration, &file.configuration);
    let differs =
        |why: String| format!("/etc/evms.conf does not follow what this node goes by ({AGREED}): {why}");
    if old.cluster != new.cluster {
        return Err(differs(format!(
            "that is cluster {}; if this machine shall change over, move {AGREED} away",
            before.name
        )));
    }
    let words = match new.generation {
        _ if file == before => None,
        is if is < old.generation => Some(format!(
            "/etc/evms.conf has generation {is} and the cluster goes by {}: it was passed over; {AGREED} has what counts",
            old.generation
        )),
        is if is > old.generation.saturating_add(1) => Some(format!(
            "/etc/evms.conf has generation {is} and this node {}: it asks the others",
            old.generation
        )),
        _ => {
            accord::may_follow(&before, &file).map_err(|why| differs(why.to_string()))?;
            return Ok(Following { roster: before, wish: Some(file), words: None });
        }
    };
    Ok(Following { roster: before, wish: None, words })
}

/// Goes by a configuration that was decided; what could not be done besides. `config` is written too, so that it tells what is.
pub fn adopt(config: &Path, roster: &Roster) -> Result<Option<String>, DaemonError> {
    keep(roster)?;
    let written = secret::replace(config, &roster.to_text());
    Ok(written
        .err()
        .map(|error| format!("the new configuration is kept in {AGREED}, but not there: {error}")))
}

/// What was promised and accepted about the configuration that follows on this one.
pub fn accord(before: &Roster) -> Result<Accord, DaemonError> {
    let kept = match secret::text(Path::new(NEXT)) {
        Err(BadFile::Missing(_)) => None,
        text => {
            let text = text.map_err(DaemonError::File)?;
            let torn =
                || DaemonError::Differs(format!("{NEXT} cannot be read; what it promised is not known"));
            Some(accord_of(&text).ok_or_else(torn)?)
        }
    };
    Ok(Accord::of(before, kept))
}

/// Keeps it; it counts when this returns.
pub fn keep_accord(accord: &Accord) -> Result<(), DaemonError> {
    secret::replace(Path::new(NEXT), &accord_text(accord)).map_err(DaemonError::File)
}

fn accord_text(accord: &Accord) -> String {
    let mut text = format!("# about {}\n# promised {}\n", accord.generation, accord.promised.0);
    if let Some((ballot, roster)) = &accord.accepted {
        // Writing to a text does not fail.
        let _ = write!(text, "# accepted {}\n{}", ballot.0, roster.to_text());
    }
    text
}

fn accord_of(text: &str) -> Option<Accord> {
    let number = |word: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix("# ")?.strip_prefix(word))?;
        line.trim().parse::<u64>().ok()
    };
    let accepted = match number("accepted ") {
        Some(ballot) => Some((Ballot(ballot), Roster::parse(text).ok()?)),
        None => None,
    };
    Some(Accord { generation: number("about ")?, promised: Ballot(number("promised ")?), accepted })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster(generation: u64, votes: &[u16]) -> Roster {
        let mut text = format!(
            "cluster = \"c\"\nid = \"11111111-1111-4111-8111-111111111111\"\ngeneration = {generation}\n"
        );
        for (place, votes) in votes.iter().enumerate() {
            let id = place + 1;
            text.push_str(&format!(
                "[[node]]\nid = {id}\nname = \"n{id}\"\nmachine = \"22222222-2222-4222-8222-22222222222{id}\"\n\
                 links = [\"10.0.0.{id}\"]\nvotes = {votes}\n"
            ));
        }
        Roster::parse(&text).unwrap()
    }

    /// F55: what the file says is a wish, and never what is gone by, once something was.
    #[test]
    fn f55_a_file_is_a_wish() {
        let before = roster(3, &[1, 1, 1]);
        let judged = |file: &Roster| judge(before.clone(), file.clone());
        let goes_on = |file: &Roster| judged(file).unwrap();
        assert_eq!(goes_on(&before), Following { roster: before.clone(), wish: None, words: None });
        let next = roster(4, &[1, 1]);
        assert_eq!(
            goes_on(&next),
            Following { roster: before.clone(), wish: Some(next.clone()), words: None }
        );
        for (generation, word) in [(2, "passed over"), (7, "asks the others")] {
            let following = goes_on(&roster(generation, &[1]));
            assert_eq!((following.roster, following.wish), (before.clone(), None));
            assert!(following.words.unwrap().contains(word));
        }
        assert!(judged(&roster(3, &[1, 1])).unwrap_err().contains("same generation"));
        assert!(judged(&roster(4, &[1])).unwrap_err().contains("votes of 2 nodes"));
        let mut other = roster(4, &[1, 1, 1]);
        other.configuration.cluster = Default::default();
        assert!(judged(&other).unwrap_err().contains("that is cluster c"));
    }

    #[test]
    fn an_accord_is_read_as_it_was_kept() {
        for accepted in [None, Some((Ballot(5), roster(4, &[1, 1])))] {
            let accord = Accord { generation: 4, promised: Ballot(77), accepted };
            assert_eq!(accord_of(&accord_text(&accord)), Some(accord));
        }
        assert_eq!(accord_of("# about 4\n"), None);
    }
}
