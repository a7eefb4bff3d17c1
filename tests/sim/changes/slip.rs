//! What daemons write to each other about the next configuration, over the same network as their beats. A session delivers in order and
//! again and again; here it may be lost, doubled, late and overtaken, and outlive the daemon that it was written to.

use evms::base::id::NodeId;
use evms::cluster::accord::NotSo;
use evms::cluster::mistake::Rules;
use evms::cluster::roster::Roster;
use evms::format::arbitration::Ballot;

use super::{Happens, PLACES, adopt, desk, of, plan};
use crate::laws::Broken;
use crate::world::World;

/// How long somebody who does not run is waited for, and how often it is looked whether he does.
const KEPT_US: u64 = 3_000_000;
const LOOKS_US: u64 = 50_000;

/// What is written.
#[derive(Clone, Debug)]
pub enum Slip {
    Prepare {
        generation: u64,
        ballot: Ballot,
    },
    Promised {
        ballot: Ballot,
        accepted: Option<(Ballot, Roster)>,
    },
    Accept {
        ballot: Ballot,
        roster: Roster,
    },
    Accepted(Ballot),
    /// It promised a higher one.
    Outbid(Ballot),
    /// It was decided.
    Adopt(Roster),
    /// This generation is kept, or a newer one.
    Kept(u64),
    /// What does the other go by?
    Which,
    /// It goes by this.
    Is(Roster),
}

/// With by whom, to whom, and since when it is under way.
#[derive(Clone, Debug)]
pub struct Letter {
    from: usize,
    pub to: usize,
    since_us: u64,
    /// By what its writer went.
    generation: u64,
    slip: Slip,
}

impl core::fmt::Display for Letter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let of = |roster: &Roster| {
            let nodes = roster.configuration.nodes.iter();
            let nodes =
                nodes.map(|(node, voter)| format!("{node}:{}", voter.votes)).collect::<Vec<_>>().join(" ");
            format!(
                "generation {} ({nodes}, {} disks)",
                roster.configuration.generation,
                roster.arbitration.len()
            )
        };
        let words = match &self.slip {
            Slip::Prepare { generation, ballot } => {
                format!("prepare generation {generation}, ballot {}", ballot.0)
            }
            Slip::Promised { ballot, accepted } => {
                let accepted = accepted
                    .as_ref()
                    .map(|(ballot, roster)| format!("{} in ballot {}", of(roster), ballot.0));
                format!("promised ballot {}, accepted {accepted:?}", ballot.0)
            }
            Slip::Accept { ballot, roster } => format!("accept {} in ballot {}", of(roster), ballot.0),
            Slip::Accepted(ballot) => format!("accepted in ballot {}", ballot.0),
            Slip::Outbid(ballot) => format!("outbid by ballot {}", ballot.0),
            Slip::Adopt(roster) => format!("adopt {}", of(roster)),
            Slip::Kept(generation) => format!("keeps generation {generation}"),
            Slip::Which => "which?".into(),
            Slip::Is(roster) => format!("goes by {}", of(roster)),
        };
        write!(f, "machine {} hears of {}: {words}", self.to, self.from)
    }
}

/// Writes to one.
pub fn to(world: &mut World, from: usize, to: usize, slip: Slip) {
    let desk = &of(world).desks[from];
    let Some(generation) = desk.before.as_ref().map(|before| before.configuration.generation) else { return };
    if !super::knows(world, from, to) {
        return;
    }
    let fates = world.network.fates(from, to, &mut world.chance);
    for after in fates {
        let letter = Letter { from, to, since_us: world.now_us, generation, slip: slip.clone() };
        plan(world, after, Happens::Comes(Box::new(letter)));
    }
}

/// Writes to all others.
pub fn to_all(world: &mut World, from: usize, slip: &Slip) {
    for other in (0..PLACES).filter(|other| *other != from) {
        to(world, from, other, slip.clone());
    }
}

/// It is there.
pub fn comes(world: &mut World, letter: Letter) -> Result<(), Broken> {
    let Letter { from, to: place, since_us, .. } = letter;
    if !world.machines[place].runs() {
        if world.now_us < since_us + KEPT_US {
            plan(world, LOOKS_US, Happens::Comes(Box::new(letter)));
        }
        return Ok(());
    }
    if !is_heard(world, &letter) {
        return Ok(());
    }
    let writer = NodeId(from as u16 + 1);
    match letter.slip {
        Slip::Promised { ballot, accepted } => desk::promised(world, place, writer, ballot, accepted),
        Slip::Accepted(ballot) => desk::accepted(world, place, writer, ballot),
        Slip::Outbid(ballot) => {
            desk::outbid(world, place, ballot);
            Ok(())
        }
        Slip::Adopt(roster) => {
            adopt(world, place, &roster)?;
            if let Some(paper) = &of(world).papers[place] {
                let kept = Slip::Kept(paper.roster.configuration.generation);
                to(world, place, from, kept);
            }
            Ok(())
        }
        Slip::Is(roster) => adopt(world, place, &roster),
        Slip::Kept(generation) => desk::kept(world, place, writer, generation),
        Slip::Which => {
            if let Some(paper) = of(world).papers[place].clone() {
                to(world, place, from, Slip::Is(paper.roster));
            }
            Ok(())
        }
        asked @ (Slip::Prepare { .. } | Slip::Accept { .. }) => {
            if let Some(answer) = answer(world, place, asked) {
                to(world, place, from, answer);
            }
            Ok(())
        }
    }
}

/// A daemon talks to the nodes of its own configuration alone, and to one of another generation about that alone.
fn is_heard(world: &mut World, letter: &Letter) -> bool {
    let own = of(world).desks[letter.to].before.as_ref().map(|before| before.configuration.generation);
    let is_of_it = matches!(letter.slip, Slip::Which | Slip::Is(_)) || own == Some(letter.generation);
    is_of_it && super::knows(world, letter.to, letter.from)
}

/// A machine's part in the accord, kept before it is said; nothing where it has nothing to say.
pub fn answer(world: &mut World, place: usize, asked: Slip) -> Option<Slip> {
    let life = world.machines[place].lives_of_daemon;
    let changes = of(world);
    let (rules, desk) = (changes.rules, &changes.desks[place]);
    let before = desk.before.clone().filter(|_| !desk.is_over)?;
    let accord = &mut changes.papers[place].as_mut()?.accord;
    match asked {
        Slip::Prepare { generation, ballot } => match accord.prepare(generation, ballot) {
            Ok(accepted) => Some(Slip::Promised { ballot, accepted: accepted.cloned() }),
            Err(why) => outbids(why),
        },
        Slip::Accept { ballot, roster } => match accord.accept(&before, ballot, roster, rules) {
            Ok(()) => {
                // Said when no tie by the present one is granted any more.
                if let Some(daemon) = world.machines[place].daemon.as_mut() {
                    let (settled, _) = daemon.ties();
                    daemon.allow_ties(settled, true);
                }
                world.ring(place);
                plan(world, desk::patience_us(place, 0), Happens::Finish { place, life });
                Some(Slip::Accepted(ballot))
            }
            Err(why) => outbids(why),
        },
        _ => None,
    }
}

fn outbids(why: NotSo) -> Option<Slip> {
    match why {
        NotSo::Promised(ballot) => Some(Slip::Outbid(ballot)),
        NotSo::Generation(_) | NotSo::Step(_) => None,
    }
}

/// Are those enough for a decision, by the votes of both?
pub fn is_enough(before: &Roster, wish: &Roster, members: evms::cluster::node_set::NodeSet) -> bool {
    let by = |of: &Roster| of.configuration.is_majority(of.configuration.votes(members), Rules::ALL);
    by(before) && by(wish)
}
