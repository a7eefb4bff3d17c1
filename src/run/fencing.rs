//! Sees to an absent node that holds something: asks it over the disks whether its gates are closed, has the power of one cut that does
//! not say so, where there are agents for it, and goes on to take what it held. A process of its own for each node, which evmsd starts:
//! an agent may take minutes, or hang, and meanwhile that process waits for it and nothing else does. The takeover that the watchdog's
//! evidence allows is another process's (`run::succession`), which comes at its own time whatever this one is about; when both are at
//! it, the locks on the disks let one after the other have a go, and the second finds nothing left to do.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::base::failure::Kind;
use crate::base::gather::Gather;
use crate::base::id::{ContainerId, Incarnation, NodeUuid};
use crate::base::time::BootTime;
use crate::cluster::roster::agents::{Agent, Agents, PAUSE_MS};
use crate::cluster::timing::Timing;
use crate::engine::guard::duty::{Answered, Duty, RANK_MS};
use crate::engine::guard::evidence::{self, AgentName, Power, Prospect, Receipt};
use crate::host::agent::{self, Answer, Ended};
use crate::host::{clock, fence_note};
use crate::run::agents;
use crate::run::company::{Cluster, Company};
use crate::run::context::{Context, Options};
use crate::run::failure::RunError;
use crate::run::inquiry::{self, About};
use crate::run::perform::await_proof;
use crate::run::succession::{Asked, carry_all_out, duties};
use crate::volume::choose::Chosen;

/// Tries of taking what a node held that is proven off; and milliseconds between two of them at most.
const TAKES_MAX: usize = 30;
const TAKE_PAUSE_MS_MAX: u64 = 60_000;
/// Milliseconds between two questions to who is spared; and how many in a row it may leave unanswered: together longer than an evmsd may be
/// away (10 s), and a machine needs to boot.
const SPARED_MS: u64 = 20_000;
const SILENT_MAX: u32 = 4;
/// The exit code of `off` that did it, or had nothing to do.
const DONE: i32 = 0;
/// What an exit code of `status` means (FenceAgentAPI of ClusterLabs).
const STATUS_ON: i32 = 0;
const STATUS_OFF: i32 = 2;

/// What the victim holds now, as somebody sees it who is quorate without it.
struct Look {
    context: Context,
    /// The term of the lease in which that is so.
    term: u64,
    /// The lives of it that containers name.
    lives: Vec<Incarnation>,
    /// Containers of this cluster whose disks do not tell.
    unclear: Vec<ContainerId>,
}

/// Asks it, or has it cut by this node's agents for it, and takes what it held. An error is one after which this is to be tried again.
pub fn run(config: &Path, victim: NodeUuid) -> Result<(), RunError> {
    let Some(look) = Look::take(victim, &[])? else { return Ok(()) };
    let name = look.name_of(victim);
    let agents = look.agents(config)?;
    let agents = agents.of(&name).cloned().collect::<Vec<_>>();
    if look.lives.is_empty() {
        // What is unclear is looked at again by who waits for watchdogs.
        return if agents.is_empty() { Ok(()) } else { nothing_held(&look) };
    }
    // Who lives and is cut off is not switched off for what it shares (a partition, and no death); where nobody could do that it is not asked.
    let about = if agents.is_empty() { About::Owned } else { About::All };
    let heard = inquiry::ask(&look.context, of(&look.context)?, victim, about)?;
    let mut left = heard.owned.len() < heard.asked;
    if !heard.owned.is_empty() {
        log::warn!(
            "{name} is cut off and says over the disks that its gates are closed: what it owned is taken"
        );
        left |= take_answered(&look, victim, &heard.owned)?;
    }
    if agents.is_empty() {
        return if left { Err(is_silent(&name)) } else { Ok(()) };
    }
    let answers = [heard.owned.as_slice(), &heard.shared].concat();
    match cut(&agents, &name, victim, (look.term, &answers))? {
        Some((look, receipts)) => take(look, victim, &receipts),
        // It is back.
        None if Look::take(victim, &[])?.is_none() => Ok(()),
        None if left => Err(is_silent(&name)),
        None if !heard.shared.is_empty() => spare(&look, victim, &agents),
        None => Ok(()),
    }
}

/// What became of its power, for people.
fn spared_words(silent: u32) -> String {
    match silent {
        0 => format!("it says so, and is asked again every {} s", SPARED_MS / 1000),
        _ => format!("it said so, and left {silent} of {SILENT_MAX} questions unanswered since"),
    }
}

/// It lives now, and is watched over its disks as long as this node is quorate without it: should it die later, nobody else would notice.
/// Its evmsd may be away for a while, and comes back: one question that it does not answer says nothing.
fn spare(look: &Look, victim: NodeUuid, agents: &[Agent]) -> Result<(), RunError> {
    let name = look.name_of(victim);
    log::warn!(
        "{name} is cut off and says over the disks that its gates are closed: its power is not cut for what it shares as long as it says \
         so; mend its network, or stop it there"
    );
    let mut silent = 0;
    while silent < SILENT_MAX {
        fence_note::write(victim, &spared_words(silent));
        let lease = of(&look.context)?.warrant.lease;
        let at = clock::boot_now().plus_ms(SPARED_MS);
        while clock::boot_now() < at {
            thread::sleep(Duration::from_millis(PAUSE_MS));
            if lease.end() <= clock::boot_now() {
                // What it is to be asked is of another term.
                return Ok(());
            }
        }
        let now = Look::take(victim, &[])?.filter(|now| now.term == look.term && !now.lives.is_empty());
        let Some(now) = now else { return Ok(()) };
        let heard = inquiry::ask(&now.context, of(&now.context)?, victim, About::All)?;
        silent = if heard.owned.is_empty() && heard.shared.is_empty() { silent + 1 } else { 0 };
    }
    log::warn!("{name} says nothing over the disks any more");
    match cut(agents, &name, victim, (look.term, &[]))? {
        Some((look, receipts)) => take(look, victim, &receipts),
        None => Ok(()),
    }
}

fn is_silent(name: &str) -> RunError {
    let words = format!(
        "not all that {name} owned was taken: it does not say over the disks that its gates are closed, or it is told above; it is asked \
         again; what had a watchdog is taken when that one's time is over; see: evms why CONTAINER"
    );
    RunError::say(Kind::Refused, words)
}

/// Takes that of which it said so, when nothing of it can be under way any more, and says whether something is left of that; what this
/// node sees not all disks of it leaves to the others for a while (F30). All in the term of the lease in which it was asked: in another
/// one the victim may have had a lease in between, and its answer is void (safety 5.4).
fn take_answered(asked: &Look, victim: NodeUuid, answers: &[Answered]) -> Result<bool, RunError> {
    let (drained, waits_ms) = {
        let cluster = of(&asked.context)?;
        let read = answers.iter().map(|answer| answer.read).max().unwrap_or_default();
        (read.plus_ms(cluster.timing.stopped_ms(0)), RANK_MS * cluster.size())
    };
    for at in [drained, drained.plus_ms(waits_ms)] {
        wait_until(at);
        let Some(look) = Look::take(victim, answers)?.filter(|look| look.term == asked.term) else {
            return Ok(false);
        };
        let owed = owed(&look.context, victim, Asked { answers, ..Asked::default() })?;
        // What fails is told, and seen below.
        let _ = carry_all_out(&look.context, owed);
        if !inquiry::is_any_its(&look.context, of(&look.context)?, victim, answers)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Who holds nothing is not fenced (safety 3.4).
fn nothing_held(look: &Look) -> Result<(), RunError> {
    let [unclear, ..] = look.unclear.as_slice() else { return Ok(()) };
    Err(RunError::say(
        Kind::Refused,
        format!(
            "no fence agent was asked: no majority of the disks of container {unclear} tells who has gates of it; they are read again; \
             bring its disks back, see: evms check {unclear}"
        ),
    ))
}

impl Look {
    /// Looks in the term that is, with what the victim said in it; nothing when that is in the view.
    fn take(victim: NodeUuid, answers: &[Answered]) -> Result<Option<Look>, RunError> {
        let context = Context::new(Options::default())?;
        // Asked for before anything is read: what follows counts in this term alone.
        let (term, lives, unclear) = {
            let cluster = of(&context)?;
            if cluster.absence_of(victim).is_none() {
                return Ok(None);
            }
            let (lives, unclear) = named(&context, cluster, victim, answers)?;
            (cluster.warrant.lease.term(), lives, unclear)
        };
        Ok(Some(Look { context, term, lives, unclear }))
    }

    fn name_of(&self, victim: NodeUuid) -> String {
        let name = of(&self.context).ok().and_then(|cluster| cluster.name_of(victim));
        name.map_or_else(|| victim.short(), ToString::to_string)
    }

    fn agents(&self, config: &Path) -> Result<Agents, RunError> {
        let cluster = of(&self.context)?;
        let knows = |name: &str| cluster.machine_of(name).is_some();
        agents::read(config, knows).map_err(|why| RunError::say(Kind::Refused, why))
    }
}

/// The cluster in which this node is quorate.
fn of(context: &Context) -> Result<&Cluster, RunError> {
    match context.company() {
        Company::Of(cluster) => Ok(cluster),
        Company::None => Err(RunError::say(Kind::NotOwner, "this machine is in no cluster")),
        Company::NotNow(why) => Err(RunError::say(Kind::NotOwner, why.clone())),
    }
}

/// The lives of the victim by which it holds something that this node may take only when it is off: of what it said to be closed it is
/// not fenced. And containers of the cluster that do not tell.
fn named(
    context: &Context,
    cluster: &Cluster,
    victim: NodeUuid,
    answers: &[Answered],
) -> Result<(Vec<Incarnation>, Vec<ContainerId>), RunError> {
    let scene = context.look_for_members()?;
    let victims = [victim];
    let asked = Asked { agents: &victims, answers, ..Asked::default() };
    let all = scene.containers.iter().flat_map(|found| duties(context, cluster, found, asked));
    let life = |duty| match duty {
        Duty::Fence(node, incarnation) if node == victim => Some(incarnation),
        _ => None,
    };
    let lives: Vec<Incarnation> = all.filter_map(life).gather();
    let of = cluster.warrant.cluster;
    let is_silent = |chosen: &Chosen| !chosen.majority_read && chosen.model.container.cluster == of;
    let unclear = scene.containers.iter().filter(|found| found.chosen.as_ref().is_ok_and(is_silent));
    let unclear = unclear.map(|found| found.id).gather();
    Ok((lives, unclear))
}

/// Tries one agent after the other until one proves that it is off; nothing when there is no reason any more to fence it.
fn cut(
    agents: &[Agent],
    name: &str,
    victim: NodeUuid,
    (term, answers): (u64, &[Answered]),
) -> Result<Option<(Look, Vec<Receipt>)>, RunError> {
    for agent in agents {
        let Some(program) = agent::find(&agent.program) else {
            let words = agents::missing(&agent.program, &agent.node);
            log::error!("{words}");
            fence_note::write(victim, &words);
            continue;
        };
        for more in 0..=agent.retries {
            if more > 0 {
                // What cut the power may take a moment to say so; nothing tells when it will.
                thread::sleep(Duration::from_millis(PAUSE_MS));
            }
            // Read anew each time: it may be back, or another node was quicker; and what counts is what is named before `off`.
            let Some(look) =
                Look::take(victim, answers)?.filter(|look| look.term == term && !look.lives.is_empty())
            else {
                log::info!(
                    "{name} is not fenced: it is back, or it said that its gates are closed, or what it held was taken"
                );
                return Ok(None);
            };
            // A machine that stood still with its clock would cut the power of who is back (T6).
            if !await_proof(of(&look.context)?.warrant.lease, || ()) {
                let words =
                    format!("{name} is not fenced: this node is not quorate any more; it is looked at anew");
                return Err(RunError::say(Kind::NotOwner, words));
            }
            log::warn!(
                "{name} is absent and has gates of a container: {} is asked to cut its power",
                agent.program
            );
            fence_note::write(victim, &format!("{} is being asked", agent.program));
            let tried = Tried::once(agent, &program);
            let words = tried.in_words(agent);
            fence_note::write(victim, &words);
            let receipts = look.lives.iter().map(|life| tried.receipt(agent, victim, *life));
            let receipts = receipts.collect::<Vec<_>>();
            if tried.is_proof(&receipts) {
                log::warn!("{name} is off: {words}");
                return Ok(Some((look, receipts)));
            }
            log::error!("{name} is not proven off: {words}");
        }
    }
    Err(RunError::say(
        Kind::Refused,
        format!(
            "no fence agent of this node proved that {name} is off; nothing was taken on their word; they are asked again, and what has a \
             watchdog is taken when that one's time is over"
        ),
    ))
}

/// What one try came to.
struct Tried {
    off: Answer,
    /// When it came back; nothing when it did not.
    returned: Option<BootTime>,
    /// Asked only then: when, what it answered, and when that was.
    status: Option<(BootTime, Answer, BootTime)>,
}

impl Tried {
    /// `off`, and then, whatever that answered, `status`. Never `reboot`: who is started again is not off.
    fn once(agent: &Agent, program: &Path) -> Tried {
        let limit_ms = agent.timeout_s * 1000;
        let call = |action| agent::call(program, &agent.input(action), limit_ms, |said| agent.hush(said));
        let off = call("off");
        let came_back = matches!(off.ended, Ended::Code(_) | Ended::Signal(_));
        let returned = came_back.then(clock::boot_now);
        let status = returned.map(|_| {
            let asked = clock::boot_now();
            (asked, call("status"), clock::boot_now())
        });
        Tried { off, returned, status }
    }

    fn receipt(&self, agent: &Agent, victim: NodeUuid, incarnation: Incarnation) -> Receipt {
        let (status_asked, power, status_read) = match &self.status {
            Some((asked, answer, read)) => (*asked, power(answer), *read),
            None => (BootTime::FOREVER, Power::Unknown, BootTime::FOREVER),
        };
        Receipt {
            victim,
            incarnation,
            agent: AgentName::of(&agent.program),
            // A program that does nothing at all, for its text is broken or its words are, ends with 2 as often as not: whoever says
            // that it is off has said first that it did it.
            off_done: self.returned.filter(|_| self.off.ended == Ended::Code(DONE)),
            status_asked,
            status: power,
            status_read,
        }
    }

    /// By the one rule that there is for that.
    fn is_proof(&self, receipts: &[Receipt]) -> bool {
        let timing = Timing::default();
        let is = |receipt| evidence::off(receipt, &timing, clock::boot_now()) != Prospect::ByWordAlone;
        !receipts.is_empty() && receipts.iter().all(is)
    }

    fn in_words(&self, agent: &Agent) -> String {
        let one = |what: &str, answer: &Answer, meaning: &str| {
            let said = match answer.said.as_str() {
                "" => String::new(),
                said => format!(", last line '{said}'"),
            };
            let ended = match &answer.ended {
                Ended::Code(code) => format!("ended with {code}{meaning}"),
                Ended::Signal(signal) => format!("was ended by signal {signal}"),
                Ended::TooLate => format!("was killed after {} s", agent.timeout_s),
                Ended::NotStarted(why) => format!("was not started: {why}"),
            };
            format!("{what} {ended}{said}")
        };
        let off = one("off", &self.off, "");
        let status = match &self.status {
            None => "status was not asked".into(),
            Some((_, answer, _)) => one(
                "status",
                answer,
                match power(answer) {
                    Power::On => " (on)",
                    Power::Off => " (off)",
                    Power::Unknown => " (it cannot tell)",
                },
            ),
        };
        format!("{}: {off}; {status}", agent.program)
    }
}

fn power(status: &Answer) -> Power {
    match status.ended {
        Ended::Code(STATUS_ON) => Power::On,
        Ended::Code(STATUS_OFF) => Power::Off,
        _ => Power::Unknown,
    }
}

/// Takes what it held, when nothing of it is under way any more; what this node sees not all disks of it leaves to the others for a
/// while, as always (F30). What cannot be taken now is tried again, with what was proven once: whoever switches that machine on again
/// must not find it switched off by this.
fn take(look: Look, victim: NodeUuid, receipts: &[Receipt]) -> Result<(), RunError> {
    let (drained, mut pause_ms) = {
        let cluster = of(&look.context)?;
        let read = receipts.iter().map(|receipt| receipt.status_read).max().unwrap_or_default();
        (read.plus_ms(cluster.timing.stopped_ms(0)), RANK_MS * cluster.size())
    };
    wait_until(drained);
    let mut next = Some(look);
    for _ in 0..TAKES_MAX {
        if let Some(look) = next.take()
            && take_once(look, victim, receipts)? == Taken::All
        {
            return Ok(());
        }
        wait_until(clock::boot_now().plus_ms(pause_ms));
        pause_ms = (pause_ms * 2).min(TAKE_PAUSE_MS_MAX);
        next = match Look::take(victim, &[]) {
            Ok(Some(look)) => Some(look),
            // It is back, as another life: what of it that one holds is its own.
            Ok(None) => return Ok(()),
            // Not quorate now.
            Err(why) => {
                log::warn!("{why}");
                None
            }
        };
    }
    Err(RunError::say(
        Kind::Refused,
        "what a node held that is proven off is not taken after many tries; see the log for why; that is tried again",
    ))
}

/// What one try of taking it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// Nothing is left.
    All,
    /// Something is, or the disks of a container do not tell.
    NotAll,
}

/// One container that cannot be taken keeps no other.
fn take_once(look: Look, victim: NodeUuid, receipts: &[Receipt]) -> Result<Taken, RunError> {
    let owed = owed(&look.context, victim, Asked { receipts, ..Asked::default() })?;
    // What fails is told, and seen below.
    let _ = carry_all_out(&look.context, owed);
    let cluster = of(&look.context)?;
    let (lives, unclear) = named(&look.context, cluster, victim, &[])?;
    let is_proven = |life: &Incarnation| receipts.iter().any(|receipt| receipt.incarnation == *life);
    match lives.iter().all(is_proven) {
        true if lives.is_empty() && unclear.is_empty() => Ok(Taken::All),
        true => Ok(Taken::NotAll),
        // Of another life nothing was proven: it was switched on since.
        false => Err(RunError::say(
            Kind::Refused,
            "the node was started again since it was proven off, and is absent again; that is looked at anew",
        )),
    }
}

/// What is to be done on the agents' word, or its own.
fn owed(context: &Context, victim: NodeUuid, asked: Asked<'_>) -> Result<Vec<(ContainerId, Duty)>, RunError> {
    let cluster = of(context)?;
    let scene = context.look_for_members()?;
    let all = scene
        .containers
        .iter()
        .flat_map(|found| duties(context, cluster, found, asked).into_iter().map(|duty| (found.id, duty)));
    let of_it = |(_, duty): &(ContainerId, Duty)| match duty {
        Duty::Take(_, evidence) | Duty::Expel(evidence) => evidence.victim() == victim,
        _ => false,
    };
    Ok(all.filter(of_it).gather())
}

/// Nothing tells when it is so far but the clock.
fn wait_until(at: BootTime) {
    loop {
        match at.ms.saturating_sub(clock::boot_now().ms) {
            0 => return,
            ms => thread::sleep(Duration::from_millis(ms)),
        }
    }
}

#[cfg(test)]
mod tests;
