//! The configuration by which this node went last, in `/var/lib/evms/cluster`: nobody goes back behind it, and nobody takes a
//! second step before the first was in force (safety 1.6).
//!
//! By hand a configuration is changed on one node after the other. That is safe as long as a majority by the old one and a
//! majority by the new one have a node in common, and no one skips a step: so one vote is changed at a time, each change is one
//! generation more, and the next one is refused until this node was quorate by the last. Arbitration disks are taken out before
//! others are named: who still goes by the old ones could win a tie by them, and who goes by the new ones another.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cluster::configuration::Configuration;
use crate::cluster::roster::Roster;
use crate::host::secret::{self, BadFile};
use crate::run::daemon::DaemonError;

/// Where it is.
pub const AGREED: &str = "/var/lib/evms/cluster";
/// Its first line when this node was quorate by it.
const IN_FORCE: &str = "# in force\n";
/// And when it was not yet.
const NOT_YET: &str = "# not in force yet\n";

/// Votes that differ between two configurations: of how many nodes, and how many.
fn votes_changed(one: &Configuration, other: &Configuration) -> (usize, u32) {
    let of =
        |configuration: &Configuration, node| configuration.nodes.get(node).map_or(0, |voter| voter.votes);
    let mut nodes = BTreeSet::new();
    nodes.extend(one.nodes.keys().chain(other.nodes.keys()));
    let differ =
        nodes.into_iter().map(|node| of(one, node).abs_diff(of(other, node))).filter(|votes| *votes > 0);
    differ.fold((0, 0), |(nodes, votes), more| (nodes + 1, votes + u32::from(more)))
}

/// May this node go by this configuration after that one? Why not, in words.
fn may_follow(before: &Roster, in_force: bool, now: &Roster) -> Result<(), String> {
    let (old, new) = (&before.configuration, &now.configuration);
    let (was, is) = (old.generation, new.generation);
    let differs = |why: String| {
        Err(format!("/etc/evms.conf does not follow what this node went by last ({AGREED}): {why}"))
    };
    if old.cluster != new.cluster {
        return differs(format!(
            "that was cluster {}; if this machine shall change over, move {AGREED} away",
            before.name
        ));
    }
    if now == before {
        return Ok(());
    }
    if is == was {
        return differs(format!(
            "it was changed and has the same generation, {is}; give it {}, on all nodes",
            is + 1
        ));
    }
    if is != was + 1 {
        return differs(format!("it has generation {is}, and that had {was}; the next is {}", was + 1));
    }
    if !in_force {
        return differs(format!(
            "generation {was} was never in force here: start evmsd with it, and see 'evms status'"
        ));
    }
    if !before.arbitration.is_empty() && !now.arbitration.is_empty() && before.arbitration != now.arbitration
    {
        return differs(
            "other arbitration disks are named; two halves could each ask disks of their own: take all of them out first, \
             which is one generation, and name the new ones in the next"
                .into(),
        );
    }
    match votes_changed(old, new) {
        (0, _) | (1, 1) => Ok(()),
        (nodes, votes) => differs(format!(
            "votes of {nodes} nodes are changed, by {votes}; change one vote of one node at a time, each a generation"
        )),
    }
}

/// The configuration that is kept, and was it in force?
fn kept() -> Result<Option<(Roster, bool)>, DaemonError> {
    let text = match secret::text(Path::new(AGREED)) {
        Err(BadFile::Missing(_)) => return Ok(None),
        text => text.map_err(DaemonError::File)?,
    };
    let roster = Roster::parse(&text).map_err(|bad| DaemonError::Text(AGREED.into(), bad))?;
    Ok(Some((roster, text.starts_with(IN_FORCE))))
}

fn keep(roster: &Roster, in_force: bool) -> Result<(), DaemonError> {
    let text = [if in_force { IN_FORCE } else { NOT_YET }, &roster.to_text()].concat();
    secret::replace(Path::new(AGREED), &text).map_err(DaemonError::File)
}

/// This node goes by this configuration from now on, or is refused.
pub fn follow(roster: &Roster) -> Result<(), DaemonError> {
    match kept()? {
        None => keep(roster, false),
        Some((before, in_force)) => {
            may_follow(&before, in_force, roster).map_err(DaemonError::Differs)?;
            if before == *roster { Ok(()) } else { keep(roster, false) }
        }
    }
}

/// This node is quorate by this configuration.
pub fn note_in_force(roster: &Roster) {
    if matches!(kept(), Ok(Some((before, false))) if before == *roster)
        && let Err(error) = keep(roster, true)
    {
        log::warn!("cannot note in {AGREED} that the configuration is in force: {error}");
    }
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

    #[test]
    fn one_vote_at_a_time_and_no_step_before_the_last_was_in_force() {
        let before = roster(3, &[1, 1, 1]);
        let may = |in_force, now: &Roster| may_follow(&before, in_force, now);
        assert_eq!(may(false, &roster(3, &[1, 1, 1])), Ok(()));
        assert_eq!(may(true, &roster(4, &[1, 1])), Ok(()));
        assert_eq!(may(true, &roster(4, &[1, 1, 1, 1])), Ok(()));
        assert_eq!(may(true, &roster(4, &[1, 1, 2])), Ok(()));
        assert!(may(false, &roster(4, &[1, 1])).unwrap_err().contains("never in force"));
        assert!(may(true, &roster(4, &[1])).unwrap_err().contains("votes of 2 nodes"));
        assert!(
            may(true, &roster(4, &[1, 1, 3])).unwrap_err().contains("votes of 1 nodes are changed, by 2")
        );
        assert!(may(true, &roster(3, &[1, 1])).unwrap_err().contains("same generation"));
        assert!(may(true, &roster(2, &[1, 1, 1])).unwrap_err().contains("generation 2"));
        assert!(may(true, &roster(5, &[1, 1, 1])).unwrap_err().contains("the next is 4"));
        let mut other = roster(4, &[1, 1, 1]);
        other.configuration.cluster = Default::default();
        assert!(may(true, &other).unwrap_err().contains("that was cluster c"));
    }
}
