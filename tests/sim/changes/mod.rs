//! Changes of the configuration while a cluster runs (safety 1.6), as daemons make them: every machine goes by what stands on its own disk,
//! promises and accepts by the product's own accord, and begins anew by what was decided, with the memory of its boot. Machines join that
//! were not there before, others are taken out, votes and arbitration disks come and go; while the network falls apart, daemons are
//! killed and machines lose their power. It is the world of clusters with this beside it, and with faults of its own (`plot`).

mod desk;
mod law;
mod paper;
mod plot;
mod slip;

use std::collections::BTreeMap;

use evms::base::id::NodeId;
use evms::cluster::configuration::Configuration;
use evms::cluster::membership::Membership;
use evms::cluster::mistake::{Mistake, Rules};
use evms::cluster::roster::Roster;

use crate::chance::Chance;
use crate::laws::Broken;
use crate::world::{Event, World};
use crate::{Sum, core_us};

use desk::Desk;
pub use law::check;
use paper::Paper;
pub use plot::{Ambush, Change, calm};
use slip::{Letter, Slip};

/// What is caught here: what a change must not do.
pub const TABLE: &[(Mistake, &str)] = &[
    // The rarest first: they take longest.
    (Mistake::TieBeforeMajority, "the first quorum of a generation is a tie"),
    (Mistake::TieWhileUndecided, "who accepted the next configuration grants a tie by the present one"),
    (Mistake::ManyVotesAtOnce, "votes of several nodes are changed in one generation"),
    (Mistake::AcceptedNotLearned, "a proposer does not ask what others accepted"),
    (Mistake::AccordForgotten, "a restarted daemon forgets what it promised about the next generation"),
    (
        Mistake::TakenOutEndsAtOnce,
        "who is taken out by what it had decided ends before the others know of it",
    ),
    (Mistake::LastYearsConfiguration, "last year's configuration has a say"),
];

/// Machines that are in the cluster at any time, at most.
const PLACES: usize = 7;
/// What was said before a daemon begins anew leaves (`LAST_WORDS`).
const ANEW_US: u64 = 200_000;
/// A machine that is named in a configuration for the first time is started within that time.
const JOINS_US: u64 = 2_000_000;
/// How often who is behind asks what counts.
const CATCH_UP_US: u64 = 1_000_000;

/// What happens here.
#[derive(Clone, Debug)]
pub enum Happens {
    /// Something that one daemon wrote to another comes.
    Comes(Box<Letter>),
    /// An attempt is given up, or the next one begun.
    Again { place: usize, number: u64 },
    /// What was accepted here and is open is finished, by the life of a daemon that knows of it.
    Finish { place: usize, life: u64 },
    /// A daemon begins anew by what its machine goes by.
    Anew { place: usize, life: u64 },
    /// A machine starts for the first time, by what it was given.
    Joins { place: usize, by: Box<Roster> },
    /// Who is behind asks.
    CatchUp { place: usize, life: u64 },
    /// Something is laid for the next decision.
    Lies(Ambush),
    /// The network falls apart.
    FallsApart { sides: u64, blind: u64 },
    /// Somebody wants something else.
    Wants(Change),
}

impl Happens {
    /// For who replays a seed.
    pub fn in_words(&self) -> String {
        match self {
            Happens::Comes(letter) => letter.to_string(),
            Happens::Joins { place, by } => {
                format!("machine {place} joins by generation {}", by.configuration.generation)
            }
            what => format!("{what:?}"),
        }
    }
}

/// What stands beside the machines of a world.
pub struct Changes {
    /// What each of them has on its disk.
    papers: Vec<Option<Paper>>,
    desks: Vec<Desk>,
    /// Every configuration that was decided or that anybody went by, by its generation.
    gone_by: BTreeMap<u64, Roster>,
    rules: Rules,
    ambush: Option<Ambush>,
    /// Decisions that were made.
    pub decided: u64,
}

impl Changes {
    /// Of a cluster that goes by this.
    fn new(first: &Roster, rules: Rules) -> Changes {
        let paper = |place: usize| {
            let node = NodeId(place as u16 + 1);
            first.members.contains_key(&node).then(|| Paper::new(first.clone(), true))
        };
        Changes {
            papers: (0..PLACES).map(paper).collect(),
            desks: (0..PLACES).map(|_| Desk::default()).collect(),
            gone_by: BTreeMap::from([(first.configuration.generation, first.clone())]),
            rules,
            ambush: None,
            decided: 0,
        }
    }

    /// By what this machine starts; nothing for one that is none of its nodes.
    pub fn starts_by(&self, place: usize) -> Option<Configuration> {
        let paper = self.papers.get(place)?.as_ref()?;
        let is_there = paper.roster.members.contains_key(&NodeId(place as u16 + 1));
        is_there.then(|| paper.roster.configuration.clone())
    }
}

/// The parts of a world that are about changes.
fn of(world: &mut World) -> &mut Changes {
    world.changes.as_mut().expect("a world of changes")
}

/// Is the other machine one of the nodes by which this one's daemon goes? Else it is a stranger to it.
fn knows(world: &World, place: usize, other: usize) -> bool {
    let before = world.changes.as_ref().and_then(|changes| changes.desks.get(place)?.before.as_ref());
    before.is_some_and(|before| before.members.contains_key(&NodeId(other as u16 + 1)))
}

/// Do these two hear each other at all? Everybody does where no configuration is changed.
pub fn are_acquainted(world: &World, one: usize, other: usize) -> bool {
    world.changes.is_none() || knows(world, one, other) && knows(world, other, one)
}

fn plan(world: &mut World, after_us: u64, what: Happens) {
    world.at(world.now_us + after_us, Event::Changes(Box::new(what)));
}

/// A daemon was started here just now.
pub fn begun(world: &mut World, place: usize) {
    let Some(changes) = world.changes.as_mut() else { return };
    let Some(Some(paper)) = changes.papers.get_mut(place) else { return };
    if changes.rules.broken() == Some(Mistake::AccordForgotten) {
        paper.forget();
    }
    let open = paper.accord.accepted.is_some();
    changes.desks[place].begin(&paper.roster);
    let in_force = paper.in_force;
    let life = world.machines[place].lives_of_daemon;
    if let Some(daemon) = world.machines[place].daemon.as_mut() {
        daemon.allow_ties(in_force, open);
    }
    if open {
        let after = desk::patience_us(place, 0);
        plan(world, after, Happens::Finish { place, life });
    }
}

/// A daemon is quorate: by a majority that is kept.
pub fn quorate(world: &mut World, place: usize, daemon: &Membership) {
    let Some(changes) = world.changes.as_mut() else { return };
    let (Some(Some(paper)), Some(view)) = (changes.papers.get_mut(place), daemon.view()) else { return };
    let before = &changes.desks[place].before;
    let Some(before) = before.as_ref().filter(|before| before.says_same(&paper.roster)) else { return };
    let votes = before.configuration.votes(view.nodes());
    paper.in_force |= before.configuration.is_majority(votes, Rules::ALL);
}

/// A daemon heard that others go by a newer configuration.
pub fn outdated(world: &mut World, place: usize) {
    if world.changes.is_some() && place < PLACES {
        let life = world.machines[place].lives_of_daemon;
        plan(world, 300_000, Happens::CatchUp { place, life });
    }
}

/// Is it worth a word? Not that somebody is waited for who does not run.
pub fn is_told(world: &World, what: &Happens) -> bool {
    !matches!(what, Happens::Comes(letter) if !world.machines[letter.to].runs())
}

/// Does what happens.
pub fn happens(world: &mut World, what: Happens) -> Result<(), Broken> {
    match what {
        Happens::Comes(letter) => slip::comes(world, *letter),
        Happens::Again { place, number } => desk::again(world, place, number),
        Happens::Finish { place, life } if lives(world, place, life) => desk::finish(world, place),
        Happens::Anew { place, life } if lives(world, place, life) => {
            world.machines[place].daemon = None;
            world.start(place, true);
            Ok(())
        }
        Happens::CatchUp { place, life } if lives(world, place, life) => {
            if !of(world).desks[place].is_over {
                slip::to_all(world, place, &Slip::Which);
                plan(world, CATCH_UP_US, Happens::CatchUp { place, life });
            }
            Ok(())
        }
        Happens::Finish { .. } | Happens::Anew { .. } | Happens::CatchUp { .. } => Ok(()),
        Happens::Joins { place, by } => {
            let changes = of(world);
            if changes.papers[place].is_none() {
                changes.papers[place] = Some(Paper::new(*by, false));
                world.power_on(place);
                // Where it was on already, and had nothing to start by.
                world.start(place, true);
            }
            Ok(())
        }
        Happens::Lies(_) | Happens::FallsApart { .. } if world.calm => Ok(()),
        Happens::Lies(ambush) => {
            of(world).ambush = Some(ambush);
            Ok(())
        }
        Happens::FallsApart { sides, blind } => {
            plot::fall_apart(world, sides, blind);
            Ok(())
        }
        Happens::Wants(change) => plot::wanted(world, change),
    }
}

/// Is it the life of a daemon that is there still?
fn lives(world: &World, place: usize, life: u64) -> bool {
    world.machines[place].lives_of_daemon == life && world.machines[place].daemon.is_some()
}

/// A machine goes by what was decided from now on, and its daemon begins anew.
fn adopt(world: &mut World, place: usize, next: &Roster) -> Result<(), Broken> {
    let life = world.machines[place].lives_of_daemon;
    let changes = of(world);
    let Some(paper) = changes.papers[place].as_mut() else { return Ok(()) };
    if next.configuration.generation <= paper.roster.configuration.generation {
        return Ok(());
    }
    law::is_the_only_one(&mut changes.gone_by, next)?;
    paper.adopt(next);
    changes.desks[place].is_over = true;
    let known = paper.roster.clone();
    plan(world, ANEW_US, Happens::Anew { place, life });
    for place in 0..PLACES {
        let is_new =
            known.members.contains_key(&NodeId(place as u16 + 1)) && of(world).papers[place].is_none();
        if is_new {
            let after = world.chance.below(JOINS_US);
            plan(world, after, Happens::Joins { place, by: Box::new(known.clone()) });
        }
    }
    Ok(())
}

fn world(seed: u64, rules: Rules, tells: bool) -> World {
    let mut chance = Chance::new(seed ^ 0xc0f1_60de);
    let first = paper::first(&mut chance);
    let mut world = World::of_places(seed, PLACES, &first.configuration, rules, tells);
    world.changes = Some(Changes::new(&first, rules));
    for place in 0..PLACES {
        if !first.members.contains_key(&NodeId(place as u16 + 1)) {
            world.power_off(place);
        }
    }
    plot::plan(&mut world);
    world
}

/// One run, and of how many nodes it was at first.
pub fn run(seed: u64, rules: Rules) -> Result<(usize, Sum), Broken> {
    let begin = core_us();
    let mut world = world(seed, rules, false);
    let nodes = of(&mut world).gone_by.first_key_value().map_or(0, |(_, first)| first.members.len());
    world.run()?;
    let counted = of(&mut world).decided;
    Ok((nodes, Sum { runs: 1, virtual_us: world.now_us, counted, core_us: core_us() - begin }))
}

/// The same with what happened.
pub fn replay(seed: u64, rules: Rules) -> bool {
    let mut world = world(seed, rules, true);
    let ended = world.run();
    for line in world.told() {
        println!("{line}");
    }
    for line in world.standing() {
        println!("{line}");
    }
    println!("seed {seed}: {ended:?}");
    ended.is_ok()
}
