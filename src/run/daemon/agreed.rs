//! The configuration by which this node goes, in `/var/lib/evms/cluster`, and what it promised and accepted about the next
//! one, in `/var/lib/evms/next`: nobody goes back behind it, and of two that were proposed at once one is decided (safety 1.6).
//!
//! `/etc/evms.conf` is where a cluster begins, and later what an administrator proposes: one generation more than what is gone
//! by is put to the others when this node is quorate. Who hears of a newer one asks for it.

use core::fmt::Write;
use std::path::Path;

use crate::cluster::accord::{self, Accord};
use crate::cluster::roster::{Roster, agents};
use crate::format::arbitration::Ballot;
use crate::host::secret::{self, BadFile};
use crate::run::daemon::DaemonError;
use crate::run::daemon::settings::{self, CONFIG};

/// Where all of it is: a machine that changes over to another cluster goes by nothing of it any more.
pub const FOLDER: &str = "/var/lib/evms";
/// Where the configuration is.
pub const AGREED: &str = "/var/lib/evms/cluster";
/// Its first line when this node was quorate by a majority of it, and when it was not yet.
const IN_FORCE: [&str; 2] = ["# not in force yet\n", "# in force\n"];
/// Where the accord about the next one is.
pub const NEXT: &str = "/var/lib/evms/next";

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

/// Why what a file says is neither gone by nor put to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
enum NotFollowed {
    /// It is of another cluster: which one is meant has to be said by somebody.
    Cluster(String),
    /// It cannot be the next one: what is gone by counts, whatever the file says.
    PassedOver(String),
}

impl From<NotFollowed> for DaemonError {
    fn from(why: NotFollowed) -> DaemonError {
        match why {
            NotFollowed::Cluster(words) => DaemonError::Differs(words),
            NotFollowed::PassedOver(words) => DaemonError::PassedOver(words),
        }
    }
}

/// What became of being told to go by a file that nobody agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// What this node goes by now; the file says so too.
    pub roster: Roster,
    /// The generation that it went by before.
    pub before: Option<u64>,
    /// It went by it already.
    pub already: bool,
    /// Why the file could not be brought to it.
    pub not_written: Option<String>,
}

/// The configuration that is kept, and was it in force?
pub(super) fn kept() -> Result<Option<(Roster, bool)>, DaemonError> {
    let text = match secret::text(Path::new(AGREED)) {
        Err(BadFile::Missing(_)) => return Ok(None),
        text => text.map_err(DaemonError::File)?,
    };
    let unread =
        |bad| DaemonError::Differs(format!("{AGREED} cannot be read ({bad}); copy it from another node"));
    let roster = Roster::parse(&text).map_err(unread)?;
    Ok(Some((roster, text.starts_with(IN_FORCE[1]))))
}

/// The configuration that this node goes by.
pub fn going_by() -> Result<Option<Roster>, DaemonError> {
    Ok(kept()?.map(|(roster, _)| roster))
}

/// The text of the file that says this; what is the node's own in it stays.
fn anew(config: &Path, roster: &Roster) -> String {
    let own = secret::text(config).map(|text| agents::own_part(&text)).unwrap_or_default();
    [roster.to_text(), own].concat()
}

/// This node goes by it from now on.
pub fn keep(roster: &Roster, in_force: bool) -> Result<(), DaemonError> {
    let text = [IN_FORCE[usize::from(in_force)], &roster.to_text()].concat();
    secret::replace(Path::new(AGREED), &text).map_err(DaemonError::File)
}

/// All configurations by which somebody may go now, as far as this node knows: what it goes by, and what it accepted.
pub fn may_be_gone_by() -> Result<Vec<Roster>, DaemonError> {
    let Some(before) = going_by()? else { return Ok(Vec::new()) };
    let accepted = accord(&before)?.accepted.map(|(_, roster)| roster);
    Ok([before].into_iter().chain(accepted).collect())
}

/// May a machine that goes by `kept` begin with this one, that a token brings? Is there anything to keep then? Nobody goes back
/// behind what is kept: an old token is last year's configuration, and a majority of last year's votes is none.
pub fn may_begin(kept: Option<&Roster>, with: &Roster) -> Result<bool, DaemonError> {
    let Some(kept) = kept else { return Ok(true) };
    let (old, new) = (&kept.configuration, &with.configuration);
    match (old.cluster == new.cluster, new.generation > old.generation) {
        (false, _) => Err(DaemonError::OtherCluster(kept.name.to_string(), old.generation)),
        (true, true) => Ok(true),
        (true, false) if with.says_same(kept) => Ok(false),
        (true, false) => Err(DaemonError::GoesBy { generation: old.generation, not: new.generation }),
    }
}

/// This node is quorate by a majority of it.
pub fn note_in_force(roster: &Roster) -> Result<(), DaemonError> {
    match kept()? {
        // Whose ids are remembered longer than the daemon's that runs, are.
        Some((before, false)) if before.says_same(roster) => keep(&before, true),
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
            Ok(follows(file, None, None))
        }
        Some((before, in_force)) => {
            let undecided = accord(&before)?.accepted.is_some();
            let following = judge(before, file)?;
            Ok(Following { in_force, undecided, ..following })
        }
    }
}

/// What a daemon goes by that starts, or begins anew. What is kept decides, so that no file ends a node that has it, unless it
/// is another cluster's: a crash between the two, or an editor that is not done, leaves any file.
pub fn start(config: &Path) -> Result<Following, DaemonError> {
    let file = settings::roster(config);
    let Some(before) = going_by()? else { return follow(file?) };
    let words = match file {
        Ok(file) => match follow(file) {
            Err(DaemonError::PassedOver(words)) => words,
            followed => return followed,
        },
        Err(error) => {
            let is_missing = matches!(error, DaemonError::File(BadFile::Missing(_)));
            let words = passed_over(config, &before, error)?;
            match is_missing.then(|| secret::make(config, &before.to_text())) {
                Some(Err(error)) => format!("{words}; that failed: {error}"),
                _ => words,
            }
        }
    };
    // With the same file in its place: how it stands is known from what is kept alone.
    let following = follow(before)?;
    Ok(Following { words: Some(words), ..following })
}

/// In words what a daemon goes by where its file cannot be read; the error where that stops it: a file that was named, and is
/// not there, is a slip of who named it.
fn passed_over(config: &Path, before: &Roster, error: DaemonError) -> Result<String, DaemonError> {
    let instead = format!(
        "this node goes by {AGREED}, generation {} of cluster {}",
        before.configuration.generation, before.name
    );
    match (error, config == Path::new(CONFIG)) {
        (DaemonError::File(bad @ BadFile::Missing(_)), true) => {
            Ok(format!("{bad}: {instead}, and evmsd writes the file anew from it"))
        }
        (DaemonError::File(bad @ BadFile::Io(..)), _) => Ok(format!("{bad}: it was passed over; {instead}")),
        (DaemonError::Text(path, bad), _) => {
            Ok(format!("{path}, {bad}: it was passed over; {instead}; correct it"))
        }
        (DaemonError::Roster(path, bad), _) => {
            Ok(format!("{path}: {bad}: it was passed over; {instead}; correct it"))
        }
        (error, _) => Err(error),
    }
}

/// Has this node go by the file, though nobody agreed on it, unless it may not. Only where no daemon runs.
pub fn force(config: &Path, file: &Roster) -> Result<Forced, DaemonError> {
    let Some((before, in_force)) = kept()? else {
        keep(file, false)?;
        return Ok(Forced { roster: file.clone(), before: None, already: false, not_written: None });
    };
    // Who says nothing of the ids that were given out does not forget them.
    let roster = file.clone().following(&before);
    let about = match accord(&before) {
        Ok(about) => Some(about),
        // What was promised is not known: as if it had been accepted.
        Err(DaemonError::Accord(_)) => None,
        Err(error) => return Err(error),
    };
    let already = may_force(&before, about.as_ref(), &roster).map_err(DaemonError::Differs)?;
    keep(&roster, already && in_force)?;
    if about.is_none() {
        // It was about a generation that is passed, and would stop every start. Not before: what it said counts until then.
        keep_accord(&Accord::of(&roster, None))?;
    }
    let written = if *file == roster { Ok(()) } else { secret::replace(config, &anew(config, &roster)) };
    Ok(Forced {
        roster,
        before: Some(before.configuration.generation),
        already,
        not_written: written.err().map(|error| error.to_string()),
    })
}

/// May a node be made to go by it, that goes by `before` and has promised this about what follows? Does it already?
fn may_force(before: &Roster, about: Option<&Accord>, file: &Roster) -> Result<bool, String> {
    let (old, new) = (&before.configuration, &file.configuration);
    if old.cluster != new.cluster {
        return Err(format!(
            "the file is of another cluster than {}; nothing was changed; if this machine shall change over, move {FOLDER} away",
            before.name
        ));
    }
    // What was accepted may be in force somewhere: who says again what was before goes back behind it.
    let accepted = about.is_none_or(|about| about.accepted.is_some());
    if file.says_same(before) && !accepted {
        return Ok(true);
    }
    // What is being agreed on may be too: nothing else goes by that number.
    let touched = accepted || about.is_some_and(|about| about.promised > Ballot::default());
    let next = old.generation.saturating_add(1);
    let least = next.saturating_add(u64::from(touched));
    if new.generation >= least {
        return Ok(false);
    }
    let why = match touched {
        true => {
            format!("{}, and was asked to agree on {next}, which may be in force elsewhere", old.generation)
        }
        false => old.generation.to_string(),
    };
    Err(format!(
        "generation {} of the file cannot follow on what this node goes by, which is generation {why}; nothing was changed; give \
         it {least} or more, the same on all nodes, and say it again",
        new.generation
    ))
}

/// What somebody should know of before a daemon starts with this file; nothing is kept.
pub fn look(config: &Path, file: Result<Roster, DaemonError>) -> Result<Option<String>, DaemonError> {
    let Some((before, _)) = kept()? else { return file.map(|_| None) };
    let file = match file {
        Ok(file) => file,
        Err(error) => return passed_over(config, &before, error).map(Some),
    };
    let following = match judge(before, file) {
        Err(NotFollowed::PassedOver(words)) => return Ok(Some(words)),
        judged => judged?,
    };
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

fn judge(before: Roster, file: Roster) -> Result<Following, NotFollowed> {
    let (old, new) = (&before.configuration, &file.configuration);
    if old.cluster != new.cluster {
        return Err(NotFollowed::Cluster(format!(
            "/etc/evms.conf does not follow what this node goes by ({AGREED}): that is cluster {}; if this machine shall change \
             over, move {FOLDER} away",
            before.name
        )));
    }
    let words = match new.generation {
        // Who was forced to it remembers ids that the file does not name.
        _ if file.says_same(&before) => None,
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
            accord::may_follow(&before, &wish).map_err(|why| {
                NotFollowed::PassedOver(format!(
                    "/etc/evms.conf was passed over: {why}; this node goes on by generation {}, in {AGREED}",
                    before.configuration.generation
                ))
            })?;
            return Ok(follows(before, Some(wish), None));
        }
    };
    Ok(follows(before, None, words))
}

/// Goes by a configuration that was decided; what could not be done besides. `config` is written too, so that it tells what is.
/// Where the file was edited since, what it said is put aside.
pub fn adopt(config: &Path, before: &Roster, roster: &Roster) -> Result<Option<String>, DaemonError> {
    // The proposer may remember fewer ids than this node does.
    let roster = &roster.clone().following(before);
    keep(roster, false)?;
    let says_else = |text: &String| {
        Roster::parse(text).map_or(true, |says| !says.says_same(before) && !says.says_same(roster))
    };
    let edited = secret::text(config).ok().filter(says_else);
    let mut aside = config.as_os_str().to_owned();
    aside.push(".old");
    let aside = Path::new(&aside);
    let kept = edited.map_or(Ok(None), |text| secret::replace(aside, &text).map(|()| Some(aside)));
    let written = kept.and_then(|kept| secret::replace(config, &anew(config, roster)).map(|()| kept));
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
            let next = before.configuration.generation.saturating_add(1);
            Some(accord_of(&text).ok_or(DaemonError::Accord(next))?)
        }
    };
    // What a cluster left that was given up here would have this one agree on nothing.
    let is_own =
        |(_, roster): &(Ballot, Roster)| roster.configuration.cluster == before.configuration.cluster;
    let kept = kept.filter(|kept| kept.accepted.as_ref().is_none_or(is_own));
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
        let passed_over = |file: &Roster, why: &str| matches!(judged(file), Err(NotFollowed::PassedOver(words)) if words.contains(why));
        assert!(passed_over(&roster(3, &[1, 1]), "same generation, 3; give it 4"));
        assert!(passed_over(&roster(4, &[1]), "votes of 2 nodes"));
        let mut other = roster(4, &[1, 1, 1]);
        other.configuration.cluster = Default::default();
        assert!(
            matches!(judged(&other), Err(NotFollowed::Cluster(words)) if words.contains("that is cluster c"))
        );
    }

    /// What `force` keeps remembers the id of who is gone, and the file that it was forced to does not name it.
    #[test]
    fn a_file_that_was_forced_is_what_is_gone_by() {
        let file = roster(4, &[1, 1]);
        let kept = file.clone().following(&roster(3, &[1, 1, 1]));
        assert_ne!(file, kept);
        assert_eq!(judge(kept.clone(), file), Ok(follows(kept, None, None)));
    }

    #[test]
    fn force_may_be_said_twice_and_goes_back_behind_nothing() {
        let (before, next) = (roster(3, &[1, 1, 1]), roster(4, &[1, 1]));
        let none = Accord::of(&before, None);
        let promised = Accord { promised: Ballot(5), ..none.clone() };
        let accepted = Accord { accepted: Some((Ballot(5), next.clone())), ..promised.clone() };
        let may = |about: Option<&Accord>, file: &Roster| may_force(&before, about, file);
        assert_eq!(may(Some(&none), &next), Ok(false));
        for about in [&none, &promised] {
            assert_eq!(may(Some(about), &before), Ok(true), "it is so already");
            assert_eq!(may(Some(about), &Roster { highest: 9, ..before.clone() }), Ok(true));
        }
        let needs = |about: Option<&Accord>, file: &Roster, word: &str| {
            let words = may(about, file).unwrap_err();
            assert!(words.contains(word) && words.contains("nothing was changed"), "{words}");
        };
        needs(Some(&none), &roster(3, &[1, 1]), "give it 4 or more");
        needs(Some(&none), &roster(2, &[1, 1]), "give it 4 or more");
        needs(Some(&promised), &next, "give it 5 or more");
        // What was accepted, or nobody knows what, may be in force elsewhere.
        for about in [Some(&accepted), None] {
            needs(about, &before, "asked to agree on 4");
            needs(about, &next, "give it 5 or more");
            assert_eq!(may(about, &roster(5, &[1, 1])), Ok(false));
        }
        let mut other = next.clone();
        other.configuration.cluster = Default::default();
        needs(Some(&none), &other, "of another cluster");
    }

    #[test]
    fn nobody_begins_with_what_it_is_behind() {
        let (older, kept, newer) = (roster(2, &[1, 1]), roster(9, &[1, 1]), roster(10, &[1, 1, 1]));
        let may = |with: &Roster| may_begin(Some(&kept), with);
        assert!(may_begin(None, &older).unwrap());
        assert!(may(&newer).unwrap());
        assert!(!may(&kept).unwrap(), "nothing is to be kept");
        for not in [&older, &roster(9, &[1, 2])] {
            let generation = not.configuration.generation;
            assert!(matches!(may(not), Err(DaemonError::GoesBy { generation: 9, not }) if not == generation));
        }
        let mut other = newer.clone();
        other.configuration.cluster = Default::default();
        assert!(matches!(may(&other), Err(DaemonError::OtherCluster(name, 9)) if name == "c"));
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
