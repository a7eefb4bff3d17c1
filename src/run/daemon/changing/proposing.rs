//! Attempts to have a configuration decided: what somebody wants of this node, and what this node accepted of somebody who did
//! not bring it to an end. They are the daemon's own work: who wanted it may hang up, and a proposer may die.

use std::time::{Duration, Instant};

use smol::Timer;
use smol::channel::{Sender, bounded};

use super::refused;
use crate::base::id::NodeId;
use crate::cluster::accord::{self, Accord, Attempt};
use crate::cluster::mistake::Rules;
use crate::cluster::node_set::NodeSet;
use crate::cluster::roster::Roster;
use crate::format::arbitration::Ballot;
use crate::format::control::{Refusal, Reply, Request};
use crate::run::daemon::engine::Engine;

/// Attempts of one proposal: another proposer may be in between.
const ATTEMPTS_MAX: u32 = 5;
/// Milliseconds before the next attempt, for each one before it, and for each number of a node: two that outbid each other
/// do not do so for ever.
const AGAIN_MS: (u64, u64) = (150, 40);
/// Proposals that wait for their turn.
pub const PROPOSALS_MAX: usize = 16;
/// Milliseconds after which a node finishes what it accepted by itself, and for each node before it among all: two do not
/// begin at one time. A proposer that lives needs a tenth of that.
const FINISH_MS: (u64, u64) = (3000, 700);
/// How often that is doubled while it does not come to an end.
const FINISH_DOUBLINGS_MAX: u32 = 3;
/// How long a configuration is accepted and not known to be in force before that is shown.
const OPEN_SHOWN: Duration = Duration::from_secs(1);

/// What is to be proposed, and who wants to know what became of it.
pub struct Proposal {
    text: String,
    tell: Sender<Reply>,
}

/// A configuration that this node accepted and of which nobody told whether it is in force.
pub struct Open {
    since: Instant,
    /// When this node finishes it.
    due: Instant,
    tries: u32,
    /// Why the last try did not.
    words: String,
}

/// What was decided by this node's own word, by which it has no vote any more; and who keeps it already.
pub struct Leaving {
    decided: Roster,
    kept_by: NodeSet,
}

/// What came of an attempt.
struct Decided {
    value: Roster,
    /// It is no decision without this node's word.
    is_own: bool,
}

/// How long until the next try of the node with so many others before it.
fn patience(rank: usize, tries: u32) -> Duration {
    let (all, own) = FINISH_MS;
    let ms = all.saturating_add(own.saturating_mul(rank as u64));
    Duration::from_millis(ms << tries.min(FINISH_DOUBLINGS_MAX))
}

impl Engine {
    /// How many nodes come before this one.
    fn rank(&self) -> usize {
        self.before().members.keys().filter(|node| **node < self.settings().node).count()
    }

    /// A configuration was accepted here, now or before this daemon was started. Whoever put it here has his time to finish.
    pub fn note_open(&self) {
        let now = Instant::now();
        let mut open = self.changing.open.borrow_mut();
        let (since, tries, words) =
            open.take().map_or((now, 0, String::new()), |before| (before.since, before.tries, before.words));
        *open = Some(Open { since, due: now + patience(self.rank(), tries), tries, words });
        let _ = self.changing.opened.0.try_send(());
    }

    /// There is another view: who was missed may be in it, and what is open is tried soon.
    pub fn note_company(&self) {
        if let Some(open) = self.changing.open.borrow_mut().as_mut() {
            open.tries = 0;
            open.due = open.due.min(Instant::now() + patience(self.rank(), 0));
            let _ = self.changing.opened.0.try_send(());
        }
    }

    /// What somebody should know of, while one is open.
    pub fn open_words(&self) -> Option<String> {
        let open = self.changing.open.borrow();
        let open = open.as_ref().filter(|open| open.since.elapsed() >= OPEN_SHOWN)?;
        let generation = self.before().configuration.generation.saturating_add(1);
        let last =
            if open.words.is_empty() { String::new() } else { format!(" (the last try: {})", open.words) };
        Some(format!(
            "warning: configuration {generation} was accepted here at least {} s ago and is not known to be in force; this node \
             finishes it by itself when nodes with more than half of the votes answer{last}; bring them back, or, if they are \
             gone for good, stop evmsd on all nodes and say there: evmsd force",
            open.since.elapsed().as_secs()
        ))
    }

    /// Has a configuration decided; in words what became of it. It goes on though nobody waits for the words any more.
    pub async fn propose(&self, text: &str) -> Reply {
        let (tell, told) = bounded(1);
        if self.changing.proposals.0.try_send(Proposal { text: text.into(), tell }).is_err() {
            return refused(format!(
                "{PROPOSALS_MAX} configurations wait to be proposed by this node already; nothing was changed; say it again when \
                 'evms status' shows what became of them"
            ));
        }
        let ended =
            || refused("this daemon ends; what became of the proposal is in the generation in 'evms status'");
        told.recv().await.unwrap_or_else(|_| ended())
    }

    /// One proposal after the other, and between them what was accepted here and is open; for ever.
    pub(super) async fn decide(&self) {
        if self.settings().undecided {
            self.note_open();
        }
        loop {
            let wanted = async { self.changing.proposals.1.recv().await.ok().map(Some) };
            let due = async {
                self.finish_is_due().await;
                Some(None)
            };
            match smol::future::or(wanted, due).await {
                None => return,
                Some(Some(proposal)) => {
                    let reply = self.have_decided(&proposal.text).await;
                    // Who wanted it may be gone.
                    let _ = proposal.tell.try_send(reply);
                }
                Some(None) => self.finish().await,
            }
        }
    }

    async fn finish_is_due(&self) {
        loop {
            let due = self.changing.open.borrow().as_ref().map(|open| open.due);
            match due {
                Some(due) if due <= Instant::now() => return,
                Some(due) => {
                    let later = async {
                        Timer::at(due).await;
                    };
                    let changed = async {
                        let _ = self.changing.opened.1.recv().await;
                    };
                    smol::future::or(later, changed).await;
                }
                None => drop(self.changing.opened.1.recv().await),
            }
        }
    }

    /// Has that decided which was accepted here. Nobody else may: its proposer is dead, or does not know that it is decided,
    /// and as long as it is open no tie is granted. It needs no quorum: what is decided is what was, if anything was.
    async fn finish(&self) {
        let words = match self.in_turn(|accord, _| Ok(accord.clone())).await {
            Ok(Ok(Accord { promised, accepted: Some((_, value)), .. })) => {
                self.changing.warn(format!(
                    "configuration {} was accepted here, and nobody told whether it is in force: this node finishes it",
                    value.configuration.generation
                ));
                // A ballot that this node would refuse itself is none.
                self.changing.highest.set(self.changing.highest.get().max(promised));
                match self.finish_with(&value).await {
                    Ok(()) => return,
                    Err(words) => words,
                }
            }
            Ok(Ok(_)) => return *self.changing.open.borrow_mut() = None,
            Ok(Err(why)) => format!("{why:?}"),
            Err(error) => super::cause(error),
        };
        let rank = self.rank();
        if let Some(open) = self.changing.open.borrow_mut().as_mut() {
            open.tries = open.tries.saturating_add(1);
            open.due = Instant::now() + patience(rank, open.tries);
            open.words.clone_from(&words);
        }
        self.changing.warn(format!(
            "what was accepted here is not decided yet, and is put to the others again: {words}"
        ));
    }

    /// When it is decided and kept, this life is over.
    async fn finish_with(&self, value: &Roster) -> Result<(), String> {
        let leaving = self.changing.leaving.borrow().as_ref().map(|leaving| leaving.decided.clone());
        let decided = match leaving {
            // Those who went on promise nothing about it any more: they are asked whether they keep it.
            Some(value) => Decided { value, is_own: true },
            None => self.attempt(value, &self.reached()).await?,
        };
        // Another one's is as good: this node wants nothing.
        match self.decided(&decided.value.clone(), decided).await {
            Reply::Done(_) => Ok(()),
            Reply::Refused(_, words) => Err(words),
            _ => Err("it answers strangely".into()),
        }
    }

    /// Who can be asked: members or not.
    fn reached(&self) -> Vec<NodeId> {
        let me = self.settings().node;
        let members = self.members().into_iter().chain(self.mail.reached().iter());
        let nodes = members.filter(|node| *node != me).collect::<NodeSet>();
        nodes.iter().collect()
    }

    async fn ask_for_change(&self, node: NodeId, request: &Request) -> Reply {
        match request {
            Request::Prepare { generation, ballot } if node == self.settings().node => {
                self.prepare(*generation, *ballot).await
            }
            Request::Accept { ballot, text } if node == self.settings().node => {
                self.accept(*ballot, text).await
            }
            _ => self.mail.ask(node, request.clone()).await,
        }
    }

    async fn have_decided(&self, text: &str) -> Reply {
        let wish = match Roster::parse(text) {
            Ok(wish) => wish,
            Err(bad) => return refused(format!("the configuration that is proposed cannot be read: {bad}")),
        };
        if let Err(why) = accord::may_follow(self.before(), &wish) {
            return refused(format!("the configuration that is proposed cannot be the next one: {why}"));
        }
        let wish = wish.following(self.before());
        // Before anything is asked: what others accepted is learned and proposed by whoever comes, for ever.
        if let Err(why) = self.could_start(&wish) {
            return refused(format!(
                "the configuration that is proposed could not be gone by on {}: {why}; nobody was asked, and nothing was changed; \
                 correct its links or its port, and say it again",
                self.before().name_of(self.settings().node)
            ));
        }
        if let Some(words) = self.too_few(&wish) {
            return Reply::Refused(Refusal::NotQuorate, words);
        }
        let mut words = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                let (all, own) = AGAIN_MS;
                let ms = u64::from(attempt) * (all + own * u64::from(self.settings().node.0));
                Timer::after(Duration::from_millis(ms)).await;
            }
            if !self.is_quorate() {
                let words =
                    "this node is not quorate, and only who is changes the configuration; see 'evms why'";
                return Reply::Refused(Refusal::NotQuorate, words.into());
            }
            match self.attempt(&wish, &self.members()).await {
                Ok(decided) => return self.decided(&wish, decided).await,
                Err(why) => words = why,
            }
        }
        refused(format!(
            "no configuration was decided, though it may be yet: {words}; see the generation in 'evms status', and say it again"
        ))
    }

    /// Who is missing for a decision.
    fn too_few(&self, wish: &Roster) -> Option<String> {
        let members = self.members().into_iter().collect::<NodeSet>();
        let lacks = |of: &Roster| !of.configuration.is_majority(of.configuration.votes(members), Rules::ALL);
        let of = [self.before(), wish].into_iter().find(|of| lacks(of))?;
        let away = of
            .members
            .keys()
            .filter(|node| !members.has(**node) && of.configuration.votes(NodeSet::of(**node)) > 0);
        let names = away.map(|node| of.name_of(*node)).collect::<Vec<_>>().join(", ");
        let (votes, all) = (of.configuration.votes(members), of.configuration.votes_of_all());
        Some(format!(
            "more than half of the votes have to agree, by the present configuration and by the next: those here have {votes} of \
             {all}; not here: {names}; nothing was changed; bring them back, or, if they are gone for good, stop evmsd on all \
             nodes and say there: evmsd force"
        ))
    }

    /// One attempt among these: what was decided, or why nothing was.
    async fn attempt(&self, wish: &Roster, among: &[NodeId]) -> Result<Decided, String> {
        let me = self.settings().node;
        let generation = wish.configuration.generation;
        let ballot = Ballot::above(self.changing.highest.get(), me);
        self.changing.highest.set(ballot);
        let mut attempt = Attempt::new(self.before(), wish.clone(), ballot, Rules::ALL);
        let mut silent = Vec::new();
        let prepare = Request::Prepare { generation, ballot: ballot.0 };
        // This node first: what it promised to itself is kept, so that it makes no ballot twice.
        let others = among.iter().copied().filter(|node| *node != me).collect::<Vec<_>>();
        for node in [me].iter().chain(&others) {
            match self.ask_for_change(*node, &prepare).await {
                Reply::Refused(_, words) if *node == me => return Err(words),
                Reply::Promised(of, accepted) => {
                    let accepted = accepted.map(|(ballot, text)| {
                        Roster::parse(&text)
                            .map(|roster| (Ballot(ballot), roster))
                            .map_err(|bad| bad.to_string())
                    });
                    attempt.promise(*node, Ballot(of), accepted.transpose()?);
                }
                other => silent.push(self.why_not(*node, other)?),
            }
        }
        let Some(value) = attempt.value().cloned() else {
            let words = "more than half of the votes have to promise, and do not";
            return Err(format!("{words}; {}", silent.join(", ")));
        };
        self.could_go_by(&value, attempt.learned())?;
        let accept = Request::Accept { ballot: ballot.0, text: value.to_text() };
        // This node last, and only where that decides: who accepted grants no tie before it is known what became of it, and
        // that is one who knows.
        for node in others.iter().chain([&me]) {
            if *node == me && !attempt.is_decided_with(me) {
                break;
            }
            match self.ask_for_change(*node, &accept).await {
                Reply::Accepted(of) => attempt.accept(*node, Ballot(of)),
                other => silent.push(self.why_not(*node, other)?),
            }
        }
        if attempt.is_decided() {
            return Ok(Decided { value, is_own: attempt.rests_on(me) });
        }
        Err(format!(
            "not enough nodes said yes: more than half of the votes are needed, of the old and of the new ones; {}",
            silent.join(", ")
        ))
    }

    /// Could this node go by what is to be accepted? It may be another one's, which was accepted in this ballot.
    fn could_go_by(&self, value: &Roster, learned: Option<Ballot>) -> Result<(), String> {
        self.could_start(value).map_err(|why| {
            let whose = learned.map_or("that is proposed here".into(), |ballot| {
                format!("that {} put to the nodes, and that was accepted", self.before().name_of(ballot.node()))
            });
            format!(
                "configuration {} {whose}, could not be gone by on {}: {why}; this node asked nobody to accept it; give it what is \
                 missing, or have it finished by the others",
                value.configuration.generation,
                self.before().name_of(self.settings().node)
            )
        })
    }

    /// Why a node did not say yes; who outbids ends the attempt.
    fn why_not(&self, node: NodeId, reply: Reply) -> Result<String, String> {
        let name = self.before().name_of(node);
        match reply {
            Reply::Outbid(ballot) => {
                self.changing.highest.set(self.changing.highest.get().max(Ballot(ballot)));
                Err(format!("{name} hears another proposer"))
            }
            Reply::Refused(_, words) => Ok(format!("{name}: {words}")),
            _ => Ok(format!("{name} answers strangely")),
        }
    }

    /// This node has no vote by what its own word decided: those who have keep it first. Or why they do not.
    async fn others_keep(&self, decided: &Roster, adopt: &Request) -> Result<(), String> {
        let me = self.settings().node;
        let leaving = self.changing.leaving.take();
        let mut kept_by = leaving.map_or(NodeSet::EMPTY, |leaving| leaving.kept_by);
        for node in self.reached() {
            if !kept_by.has(node) && matches!(self.mail.ask(node, adopt.clone()).await, Reply::Done(_)) {
                kept_by = kept_by.with(node);
            }
        }
        *self.changing.leaving.borrow_mut() = Some(Leaving { decided: decided.clone(), kept_by });
        if accord::may_keep(decided, me, kept_by, Rules::ALL) {
            return Ok(());
        }
        let votes = |node: &NodeId| decided.configuration.votes(NodeSet::of(*node));
        let away = decided.members.keys().filter(|node| votes(node) > 0 && !kept_by.has(**node));
        let names = away.map(|node| decided.name_of(*node)).collect::<Vec<_>>().join(", ");
        Err(format!(
            "configuration {} is decided, by the word of {} among others, which has no vote by it; more than half of the new votes have to \
             keep it before this node does, and these have not said so yet: {names}; they are asked again and again, so bring them back; \
             where 'evms status' on them shows that generation already, stop evmsd on this node",
            decided.configuration.generation,
            self.before().name_of(me)
        ))
    }

    async fn decided(&self, wish: &Roster, decided: Decided) -> Reply {
        let Decided { value: decided, is_own } = decided;
        let generation = decided.configuration.generation;
        let adopt = Request::Adopt(decided.to_text());
        let is_last = is_own && !accord::may_keep(&decided, self.settings().node, NodeSet::EMPTY, Rules::ALL);
        if is_last && let Err(words) = self.others_keep(&decided, &adopt).await {
            return refused(words);
        }
        let is_wish = *wish == decided;
        let others = self.reached();
        let stay =
            others.iter().copied().filter(|node| decided.members.contains_key(node)).collect::<NodeSet>();
        // Kept here before it is told: who is taken out ends when it hears of it, and without its word nobody could decide it again.
        let reply = self.adopt(decided).await;
        let is_kept = matches!(reply, Reply::Done(_));
        for node in others.into_iter().filter(|node| is_kept || stay.has(*node)) {
            self.mail.tell(node, adopt.clone());
        }
        match reply {
            Reply::Done(_) if !is_wish => refused(format!(
                "another change was under way and was finished: the cluster goes by generation {generation} now; look at \
                 /etc/evms.conf, and say it again with the next one"
            )),
            reply => reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two nodes that finish one configuration do not outbid each other for ever: they are further apart with each try.
    #[test]
    fn who_finishes_waits_longer_each_time_and_each_node_otherwise() {
        for tries in 0..FINISH_DOUBLINGS_MAX {
            let apart = |tries| patience(1, tries) - patience(0, tries);
            assert!(apart(tries + 1) == apart(tries) * 2 && patience(0, tries + 1) == patience(0, tries) * 2);
        }
        assert_eq!(patience(63, u32::MAX), patience(63, FINISH_DOUBLINGS_MAX), "and not for ever");
    }
}
