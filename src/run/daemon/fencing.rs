//! When an absent node is seen to, over its disks and by the fence agents that this node has for it: once in a term of the lease; by who
//! comes first in the view at once, by the others each so much later that the one before has tried all that it has. Another process does it
//! (`run::fencing`), one for each node, and nothing else waits for them.

use core::ffi::CStr;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::base::id::{NodeId, NodeUuid};
use crate::base::time::BootTime;
use crate::cluster::roster::Roster;
use crate::cluster::roster::agents::{Agent, Agents};
use crate::engine::guard::duty::{self, ASKED_MS};
use crate::format::control::AgentLine;
use crate::host::agent;
use crate::host::keeper_process::{self, Beside};
use crate::host::{clock, fence_note};
use crate::run::agents;
use crate::run::daemon::engine::Engine;
use crate::run::daemon::succession::AGAIN_MS;

/// What stands of it.
pub struct Fencing {
    agents: RefCell<Agents>,
    /// Who was in a view with this node since this evmsd began.
    seen: RefCell<BTreeSet<NodeId>>,
    turns: RefCell<Turns<Beside>>,
}

/// The agents that this file names, and what is wrong with them in the log.
pub fn read(config: &Path, roster: &Roster) -> Agents {
    let read = agents::read(config, |name| roster.node_named(name).is_some());
    let agents = read.unwrap_or_else(|why| {
        log::error!("{why}");
        Agents::default()
    });
    agents::troubles(config, &agents).for_each(|words| log::error!("{words}"));
    let missing = |agent: &&Agent| agent::find(&agent.program).is_none();
    agents
        .all
        .iter()
        .filter(missing)
        .for_each(|agent| log::warn!("{}", agents::missing(&agent.program, &agent.node)));
    agents
}

impl Fencing {
    /// With these.
    pub fn new(agents: Agents) -> Fencing {
        Fencing {
            agents: RefCell::new(agents),
            seen: RefCell::default(),
            turns: RefCell::new(Turns { all: Vec::new(), term: 0 }),
        }
    }
}

impl Engine {
    /// The file says this now, of who is absent already too.
    pub fn set_agents(&self, agents: Agents) {
        *self.fencing.agents.borrow_mut() = agents;
        self.plan_fencing_of_now();
    }

    /// A term of the lease began, in which this node has that rank. Who was here a moment ago may be back in one, and who was not here
    /// yet may be in the middle of its boot: nobody switches it on again.
    pub fn plan_fencing(&self, term: u64, since: BootTime, rank: u64) {
        let timing = self.settings().roster.configuration.timing;
        let mut seen = self.fencing.seen.borrow_mut();
        seen.extend(self.members());
        let agents = self.fencing.agents.borrow();
        let configuration = &self.settings().roster.configuration;
        let victims = self.absentees().into_iter().filter_map(|node| {
            let limit_ms = agents.limit_ms(&self.settings().roster.name_of(node));
            let machine = configuration.nodes.get(&node)?.uuid;
            let limit_ms = limit_ms.saturating_add(ASKED_MS);
            Some((machine, duty::first_asked(since, (rank, limit_ms), seen.contains(&node), &timing)))
        });
        self.fencing.turns.borrow_mut().begin(term, victims);
    }

    /// Starts whoever's turn it is, and takes note of who has ended.
    pub fn see_to_fencing(&self) {
        let mut turns = self.fencing.turns.borrow_mut();
        let now = clock::boot_now();
        turns.note_ended(now, Beside::ended_well);
        let is_quorate = self.is_quorate();
        turns.start_due(now, |victim| {
            // Whoever is heard again is not silent: a cable that was mended costs nobody his power (F7).
            if !is_quorate || self.is_coming_back(victim, now) {
                return None;
            }
            start(&self.settings().config, victim)
        });
    }

    /// The agents, for people.
    pub fn agent_lines(&self) -> Vec<AgentLine> {
        let roster = &self.settings().roster;
        let machine = |node: &str| {
            let node = roster.node_named(node)?;
            roster.configuration.nodes.get(&node).map(|voter| voter.uuid)
        };
        let line = |agent: &Agent| {
            let node = agent.node.as_str();
            AgentLine {
                node: node.into(),
                agent: agent.program.clone(),
                limit_ms: agent.limit_ms(),
                said: machine(node).map(fence_note::read).unwrap_or_default(),
            }
        };
        self.fencing.agents.borrow().all.iter().map(line).collect()
    }
}

fn start(config: &Path, victim: NodeUuid) -> Option<Beside> {
    let text = |bytes: &[u8]| CString::new(bytes).ok();
    let (config, victim) = (text(config.as_os_str().as_bytes())?, text(victim.to_string().as_bytes())?);
    let words: [&CStr; 4] = [c"--config", &config, keeper_process::FENCE, &victim];
    keeper_process::start(&words).map_err(|why| log::error!("evmsd fence cannot be started: {why}")).ok()
}

/// Whose turn it is to be fenced; `P` is a process that does it.
struct Turns<P> {
    all: Vec<Turn<P>>,
    term: u64,
}

struct Turn<P> {
    victim: NodeUuid,
    /// When, and how long after it failed again; nothing when it is done, or under way.
    next: Option<(BootTime, u64)>,
    /// Who is at it, and in which term that was begun.
    at_it: Option<(P, u64)>,
}

impl<P> Turns<P> {
    /// What was to be done in another term is not to be done any more. Who is at it finds that out himself, and is waited for.
    fn begin(&mut self, term: u64, victims: impl Iterator<Item = (NodeUuid, BootTime)>) {
        self.term = term;
        self.all.retain(|turn| turn.at_it.is_some());
        self.all.iter_mut().for_each(|turn| turn.next = None);
        for (victim, at) in victims {
            let next = Some((at, AGAIN_MS.0));
            match self.all.iter_mut().find(|turn| turn.victim == victim) {
                Some(turn) => turn.next = next,
                None => self.all.push(Turn { victim, next, at_it: None }),
            }
        }
    }

    /// `ended` says of a process whether it ended well, when it has.
    fn note_ended(&mut self, now: BootTime, mut ended: impl FnMut(&mut P) -> Option<bool>) {
        for turn in &mut self.all {
            let Some((process, term)) = &mut turn.at_it else { continue };
            let Some(well) = ended(process) else { continue };
            let is_of_now = *term == self.term;
            turn.at_it = None;
            // One of an earlier term tells nothing of this one.
            match turn.next {
                Some((_, pause_ms)) if is_of_now => {
                    let again = (now.plus_ms(pause_ms), (pause_ms * 2).min(AGAIN_MS.1));
                    turn.next = (!well).then_some(again);
                }
                _ => (),
            }
        }
    }

    fn start_due(&mut self, now: BootTime, mut start: impl FnMut(NodeUuid) -> Option<P>) {
        for turn in &mut self.all {
            let is_due = turn.next.is_some_and(|(at, _)| at <= now) && turn.at_it.is_none();
            if is_due && let Some(process) = start(turn.victim) {
                turn.at_it = Some((process, self.term));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: NodeUuid = NodeUuid([1; 16]);
    const TWO: NodeUuid = NodeUuid([2; 16]);

    fn at(ms: u64) -> BootTime {
        BootTime { ms }
    }

    /// Processes are numbers here.
    fn due(turns: &mut Turns<u32>, ms: u64) -> Vec<NodeUuid> {
        let mut started = Vec::new();
        turns.start_due(at(ms), |victim| {
            started.push(victim);
            Some(7)
        });
        started
    }

    fn turns(victims: &[(NodeUuid, BootTime)]) -> Turns<u32> {
        let mut turns = Turns { all: Vec::new(), term: 0 };
        turns.begin(1, victims.iter().copied());
        turns
    }

    #[test]
    fn each_is_fenced_once_in_a_term_and_in_its_turn() {
        let mut turns = turns(&[(ONE, at(1000)), (TWO, at(5000))]);
        assert_eq!(due(&mut turns, 999), []);
        assert_eq!(due(&mut turns, 1000), [ONE]);
        assert_eq!(due(&mut turns, 4999), [], "it is at it");
        assert_eq!(due(&mut turns, 5000), [TWO], "whatever the other is about");
        turns.note_ended(at(6000), |_| Some(true));
        assert_eq!(due(&mut turns, 1_000_000), []);
    }

    #[test]
    fn what_failed_is_tried_again_after_longer_and_longer() {
        let mut turns = turns(&[(ONE, at(1000))]);
        let mut now = 1000;
        for pause_ms in [2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000] {
            assert_eq!(due(&mut turns, now), [ONE]);
            turns.note_ended(at(now), |_| None);
            assert_eq!(due(&mut turns, now + 500_000), [], "it lives");
            turns.note_ended(at(now), |_| Some(false));
            assert_eq!(due(&mut turns, now + pause_ms - 1), []);
            now += pause_ms;
        }
    }

    #[test]
    fn in_another_term_nothing_counts_of_the_one_before() {
        let mut turns = turns(&[(ONE, at(1000)), (TWO, at(9000))]);
        assert_eq!(due(&mut turns, 1000), [ONE]);
        // It is back, and the other is not.
        turns.begin(2, [(TWO, at(3000))].into_iter());
        assert_eq!(due(&mut turns, 3000), [TWO]);
        turns.begin(3, [(ONE, at(4000))].into_iter());
        assert_eq!(due(&mut turns, 4000), [], "whoever was begun before is still at it");
        turns.note_ended(at(4500), |_| Some(true));
        assert_eq!(due(&mut turns, 4500), [ONE], "that it ended well says nothing of this term");
        turns.begin(4, [].into_iter());
        turns.note_ended(at(5000), |_| Some(false));
        assert_eq!(due(&mut turns, 1_000_000), []);
    }

    /// Who cannot be started now is tried again at the next look.
    #[test]
    fn what_cannot_be_started_stays_due() {
        let mut turns = turns(&[(ONE, at(1000))]);
        turns.start_due(at(1000), |_| None);
        assert_eq!(due(&mut turns, 1001), [ONE]);
    }
}
