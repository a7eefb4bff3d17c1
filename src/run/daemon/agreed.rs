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
/// Its first line when this node was quorate by a majority of it, and when it was not yet.
const IN_FORCE: [&str; 2] = ["# not in force yet\n", "# in force\n"];
/// Where the accord about the next one is.
const NEXT: &str = "/var/lib/evms/next";

/// What a daemon goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Following {
    /// This.
    pub roster: Roster,
    /// Was this node quorate by a majority of it?
    pub in_force: bool,
    /// Was the next one accepted, of which nobody told whether it is in force?
    pub undecided: bool,
    /// What the file wants to follow on it.
    pub wish: Option<Roster>,
    /// What somebody should know of.
    pub words: Option<String>,
}

/// The configuration that is kept, and was it in force?
pub(super) fn kept() -> Result<Option<(Roster, bool)>, DaemonError> {
    let text = match secret::text(Path::new(AGREED)) {
        Err(BadFile::Missing(_)) => return Ok(None),
        text => text.map_err(DaemonError::File)?,
    };
    let roster = Roster::parse(&text).map_err(|bad| DaemonError::Text(AGREED.into(), bad))?;
    Ok(Some((roster, text.starts_with(IN_FORCE[1]))))
}

/// This node goes by it from now on.
pub fn keep(roster: &Roster, in_force: bool) -> Result<(), DaemonError> {
    let text = [IN_FORCE[usize::from(in_force)], &roster.to_text()].concat();
    secret::replace(Path::new(AGREED), &text).map_err(DaemonError::File)
}

/// This node is quorate by a majority of it.
pub fn note_in_force(roster: &Roster) -> Result<(), DaemonError> {
    match kept()? {
        Some((before, false)) if before == *roster => keep(roster, true),
        _ => Ok(()),
    }
}

/// Where nothing is kept: a cluster begins with the first generation, and a machine joins it by a token. A file of a later
/// one that nobody agreed on here is no more than a file: its votes may be anybody's invention.
fn begin(file: &Roster) -> Result<(), DaemonError> {
    let generation = file.configuration.generation;
    if generation == 1 {
        return keep(file, false);
    }
    Err(DaemonError::Differs(format!(
        "/etc/evms.conf has generation {generation}, and {AGREED} is gone or was never here, so that nobody knows whether that was \
         agreed on; copy {AGREED} from another node, or join anew by a token ('evmsd invite' there), or, if no node has it: \
         evmsd force"
    )))
}

/// What this node goes by, given what its file says.
pub fn follow(file: Roster) -> Result<Following, DaemonError> {
    match kept()? {
        None => {
            begin(&file)?;
            Ok(Following { roster: file, in_force: false, undecided: false, wish: None, words: None })
        }
        Some((before, in_force)) => {
            let undecided = accord(&before)?.accepted.is_some();
            let following = judge(before, file).map_err(DaemonError::Differs)?;
            Ok(Following { in_force, undecided, ..following })
        }
    }
}

/// May this node be made to go by the file, though nobody agreed on it? What it went by before.
pub fn force(file: &Roster) -> Result<Option<u64>, DaemonError> {
    let Some((before, _)) = kept()? else {
        keep(file, false)?;
        return Ok(None);
    };
    let (old, new) = (&before.configuration, &file.configuration);
    if old.cluster != new.cluster {
        let words = format!(
            "the file is of another cluster than {}; if this machine shall change over, move {AGREED} away",
            before.name
        );
        return Err(DaemonError::Differs(words));
    }
    // What is being agreed on may be in force somewhere: nothing else goes by that number.
    let about = accord(&before)?;
    let touched = about.promised > Ballot::default() || about.accepted.is_some();
    let least = if touched { about.generation.saturating_add(1) } else { about.generation };
    if new.generation < least {
        return Err(DaemonError::Differs(format!(
            "the file has generation {}, and this node goes by {}; give it {least} or more, the same on all nodes",
            new.generation, old.generation
        )));
    }
    keep(&file.clone().following(&before), false)?;
    Ok(Some(old.generation))
}

/// What somebody should know of before a daemon starts with this file; nothing is kept.
pub fn look(file: Roster) -> Result<Option<String>, DaemonError> {
    let Some((before, _)) = kept()? else { return Ok(None) };
    let following = judge(before, file).map_err(DaemonError::Differs)?;
    Ok(following.words.or(following.wish.map(|wish| {
        format!(
            "generation {} is put to the other nodes when this one is quorate; until then it goes by {}",
            wish.configuration.generation, following.roster.configuration.generation
        )
    })))
}

fn follows(roster: Roster, wish: Option<Roster>, words: Option<String>) -> Following {
    Following { roster, in_force: false, undecided: false, wish, words }
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
            let wish = file.following(&before);
            accord::may_follow(&before, &wish).map_err(|why| differs(why.to_string()))?;
            return Ok(follows(before, Some(wish), None));
        }
    };
    Ok(follows(before, None, words))
}

/// Goes by a configuration that was decided; what could not be done besides. `config` is written too, so that it tells what is.
/// Where the file was edited since, what it said is put aside.
pub fn adopt(config: &Path, before: &Roster, roster: &Roster) -> Result<Option<String>, DaemonError> {
    keep(roster, false)?;
    let says_else = |text: &String| Roster::parse(text).is_ok_and(|says| says != *before && says != *roster);
    let edited = secret::text(config).ok().filter(says_else);
    let mut aside = config.as_os_str().to_owned();
    aside.push(".old");
    let aside = Path::new(&aside);
    let kept = edited.map_or(Ok(None), |text| secret::replace(aside, &text).map(|()| Some(aside)));
    let written = kept.and_then(|kept| secret::replace(config, &roster.to_text()).map(|()| kept));
    Ok(match written {
        Ok(None) => None,
        Ok(Some(aside)) => Some(format!(
            "{} said something else than what was agreed on; that is in {} now",
            config.display(),
            aside.display()
        )),
        Err(error) => Some(format!("the new configuration is kept in {AGREED}, but not there: {error}")),
    })
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
        assert_eq!(goes_on(&before), follows(before.clone(), None, None));
        let next = roster(4, &[1, 1]);
        let wish = Roster { highest: 3, ..next.clone() };
        assert_eq!(
            goes_on(&next),
            follows(before.clone(), Some(wish), None),
            "the id of who went is not used again"
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
