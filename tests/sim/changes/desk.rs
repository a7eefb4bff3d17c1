//! A daemon's attempts to have a configuration decided, as `run/daemon/changing/proposing.rs` makes them: it promises itself first,
//! accepts itself last and only where that decides, tries a few times, and finishes what it accepted and nobody brought to its end.

use evms::base::id::NodeId;
use evms::cluster::accord::{self, Attempt};
use evms::cluster::node_set::NodeSet;
use evms::cluster::roster::Roster;
use evms::format::arbitration::Ballot;

use super::slip::{self, Slip, is_enough};
use super::{Happens, adopt, law, of, plan, plot};
use crate::laws::Broken;
use crate::world::World;

/// Attempts of one proposal, how long one is waited for, and before the next one.
const ATTEMPTS_MAX: u32 = 5;
const ANSWERS_US: u64 = 1_000_000;
const AGAIN_US: (u64, u64) = (150_000, 40_000);
/// When a node finishes what it accepted, and how often that is doubled.
const FINISH_US: (u64, u64) = (3_000_000, 700_000);
const FINISH_DOUBLINGS_MAX: u32 = 3;

/// Of whom the attempt is: somebody's wish, or what was accepted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Wish,
    Open,
}

/// One attempt.
#[derive(Debug)]
struct Under {
    attempt: Attempt,
    wish: Roster,
    whose: Whose,
    /// Is the value put to the others already?
    puts: bool,
    made: u32,
}

/// A daemon's, from its start.
#[derive(Debug, Default)]
pub struct Desk {
    /// By what this life goes.
    pub before: Option<Roster>,
    /// Its machine goes by a newer one, and it begins anew soon.
    pub is_over: bool,
    highest: Ballot,
    under: Option<Under>,
    /// The attempt, or the wait for the next one, that counts.
    number: u64,
    finishes: u32,
    /// What this node had decided and is taken out by, and those who keep it.
    leaves: Option<(Roster, NodeSet)>,
}

impl Desk {
    /// A daemon starts.
    pub fn begin(&mut self, before: &Roster) {
        let number = self.number + 1;
        *self = Desk { before: Some(before.clone()), number, ..Desk::default() };
    }
}

/// How long a node waits with what it accepted.
pub fn patience_us(place: usize, tries: u32) -> u64 {
    (FINISH_US.0 + FINISH_US.1 * place as u64) << tries.min(FINISH_DOUBLINGS_MAX)
}

/// Somebody wants this of a daemon that is quorate.
pub fn propose(world: &mut World, place: usize, wish: Roster) -> Result<(), Broken> {
    if !may_propose(world, place, &wish) || of(world).desks[place].under.is_some() {
        return Ok(());
    }
    attempt(world, place, wish, Whose::Wish, 1)
}

fn may_propose(world: &mut World, place: usize, wish: &Roster) -> bool {
    let machine = &world.machines[place];
    let now = machine.now(world.now_us);
    let Some(daemon) = machine.daemon.as_ref().filter(|_| machine.runs()) else { return false };
    let members = daemon.quorate(now).and_then(|_| daemon.view()).map(|view| view.nodes());
    let desk = &of(world).desks[place];
    let Some(before) = desk.before.as_ref().filter(|_| !desk.is_over) else { return false };
    members.is_some_and(|members| is_enough(before, wish, members))
}

/// What was accepted here and is open: it needs no quorum.
pub fn finish(world: &mut World, place: usize) -> Result<(), Broken> {
    let life = world.machines[place].lives_of_daemon;
    let changes = of(world);
    let (desk, paper) = (&mut changes.desks[place], &changes.papers[place]);
    let open = paper.as_ref().and_then(|paper| paper.accord.accepted.clone()).filter(|_| !desk.is_over);
    let Some((_, value)) = open else { return Ok(()) };
    desk.highest = desk.highest.max(paper.as_ref().map_or(Ballot::default(), |paper| paper.accord.promised));
    desk.finishes += 1;
    let (tries, is_free) = (desk.finishes, desk.under.is_none());
    plan(world, patience_us(place, tries), Happens::Finish { place, life });
    if !world.machines[place].runs() {
        return Ok(());
    }
    if let Some((decided, _)) = of(world).desks[place].leaves.clone() {
        // Those who went on promise nothing about it any more: they are asked whether they keep it.
        slip::to_all(world, place, &Slip::Adopt(decided));
        return Ok(());
    }
    if is_free {
        return attempt(world, place, value, Whose::Open, ATTEMPTS_MAX);
    }
    Ok(())
}

fn attempt(world: &mut World, place: usize, wish: Roster, whose: Whose, made: u32) -> Result<(), Broken> {
    let me = NodeId(place as u16 + 1);
    let rules = of(world).rules;
    let desk = &mut of(world).desks[place];
    let Some(before) = desk.before.clone() else { return Ok(()) };
    let ballot = Ballot::above(desk.highest, me);
    desk.highest = ballot;
    desk.number += 1;
    let number = desk.number;
    let generation = wish.configuration.generation;
    desk.under = Some(Under {
        attempt: Attempt::new(&before, wish.clone(), ballot, rules),
        wish,
        whose,
        puts: false,
        made,
    });
    plan(world, ANSWERS_US, Happens::Again { place, number });
    let prepare = Slip::Prepare { generation, ballot };
    // What it promised to itself is kept: it makes no ballot twice.
    match slip::answer(world, place, prepare.clone()) {
        Some(Slip::Promised { ballot, accepted }) => {
            slip::to_all(world, place, &prepare);
            promised(world, place, me, ballot, accepted)
        }
        Some(Slip::Outbid(ballot)) => {
            outbid(world, place, ballot);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Somebody promised.
pub fn promised(
    world: &mut World,
    place: usize,
    node: NodeId,
    ballot: Ballot,
    accepted: Option<(Ballot, Roster)>,
) -> Result<(), Broken> {
    let Some(under) = of(world).desks[place].under.as_mut() else { return Ok(()) };
    under.attempt.promise(node, ballot, accepted);
    let Some(value) = under.attempt.value().cloned().filter(|_| !under.puts) else { return Ok(()) };
    under.puts = true;
    let ballot = under.attempt.ballot;
    slip::to_all(world, place, &Slip::Accept { ballot, roster: value });
    goes_on(world, place)
}

/// Somebody accepted.
pub fn accepted(world: &mut World, place: usize, node: NodeId, ballot: Ballot) -> Result<(), Broken> {
    if let Some(under) = of(world).desks[place].under.as_mut() {
        under.attempt.accept(node, ballot);
    }
    goes_on(world, place)
}

/// This node last, and only where that decides.
fn goes_on(world: &mut World, place: usize) -> Result<(), Broken> {
    let me = NodeId(place as u16 + 1);
    let Some(under) = of(world).desks[place].under.as_ref() else { return Ok(()) };
    let Some(value) = under.attempt.value().cloned() else { return Ok(()) };
    let (ballot, needs_own) = (under.attempt.ballot, !under.attempt.is_decided());
    if needs_own && under.attempt.is_decided_with(me) {
        let accept = Slip::Accept { ballot, roster: value.clone() };
        let said = slip::answer(world, place, accept);
        if let (Some(Slip::Accepted(ballot)), Some(under)) = (said, of(world).desks[place].under.as_mut()) {
            under.attempt.accept(me, ballot);
        }
    }
    let Some(under) = of(world).desks[place].under.as_ref().filter(|under| under.attempt.is_decided()) else {
        return Ok(());
    };
    let is_own = under.attempt.rests_on(me);
    let changes = of(world);
    changes.decided += 1;
    law::is_the_only_one(&mut changes.gone_by, &value)?;
    of(world).desks[place].under = None;
    if plot::spring(world, place, &value) {
        return Ok(());
    }
    let changes = of(world);
    let desk = &mut changes.desks[place];
    let may_keep = !is_own || accord::may_keep(&value, me, NodeSet::EMPTY, changes.rules);
    if !may_keep {
        desk.leaves = Some((value.clone(), NodeSet::EMPTY));
    }
    slip::to_all(world, place, &Slip::Adopt(value.clone()));
    if may_keep { adopt(world, place, &value) } else { Ok(()) }
}

/// Somebody keeps it: who is taken out may be the last to do so.
pub fn kept(world: &mut World, place: usize, node: NodeId, generation: u64) -> Result<(), Broken> {
    let me = NodeId(place as u16 + 1);
    let changes = of(world);
    let Some((value, kept_by)) = changes.desks[place].leaves.as_mut() else { return Ok(()) };
    if generation >= value.configuration.generation {
        *kept_by = kept_by.with(node);
    }
    let value = accord::may_keep(value, me, *kept_by, changes.rules).then(|| value.clone());
    value.map_or(Ok(()), |value| adopt(world, place, &value))
}

/// Somebody hears another proposer: the attempt is over, and another one follows.
pub fn outbid(world: &mut World, place: usize, ballot: Ballot) {
    let desk = &mut of(world).desks[place];
    desk.highest = desk.highest.max(ballot);
    let Some(under) = desk.under.as_ref() else { return };
    if ballot <= under.attempt.ballot {
        return;
    }
    desk.number += 1;
    let number = desk.number;
    let after = u64::from(under.made) * (AGAIN_US.0 + AGAIN_US.1 * (place as u64 + 1));
    plan(world, after, Happens::Again { place, number });
}

/// The next attempt, if there is one.
pub fn again(world: &mut World, place: usize, number: u64) -> Result<(), Broken> {
    let desk = &mut of(world).desks[place];
    if desk.number != number {
        return Ok(());
    }
    let Some(under) = desk.under.take() else { return Ok(()) };
    if under.made >= ATTEMPTS_MAX || under.whose == Whose::Open || !may_propose(world, place, &under.wish) {
        return Ok(());
    }
    attempt(world, place, under.wish, Whose::Wish, under.made + 1)
}
