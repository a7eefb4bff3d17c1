//! Changes of the configuration while nodes run: this node's part in the accord about the next one (safety 1.6), attempts to
//! have one decided, and catching up where others went on.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use smol::Timer;
use smol::channel::{Receiver, Sender, bounded};
use smol::lock::Mutex;

use crate::base::id::NodeId;
use crate::cluster::accord::{self, Accord, Attempt, NotSo};
use crate::cluster::roster::Roster;
use crate::format::arbitration::Ballot;
use crate::format::control::{Refusal, Reply, Request};
use crate::run::daemon::engine::Engine;
use crate::run::daemon::{DaemonError, agreed};

/// Attempts of one proposal: another proposer may be in between.
const ATTEMPTS_MAX: u32 = 5;
/// Milliseconds before the next attempt, for each one before it, and for each number of a node: two that outbid each other
/// do not do so for ever.
const AGAIN_MS: (u64, u64) = (150, 40);
/// How often who is behind asks for what counts.
const CATCH_UP: Duration = Duration::from_millis(300);
/// How long a node was a member before it gets its votes, and how often that is looked at.
const JOINING: Duration = Duration::from_secs(2);
/// What was said leaves before this daemon begins anew.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// This node's part.
pub struct Changing {
    config: PathBuf,
    /// One thing after the other: what was promised is read, judged and kept.
    turn: Mutex<()>,
    highest: Cell<Ballot>,
    anew: (Sender<()>, Receiver<()>),
    outdated: (Sender<()>, Receiver<()>),
}

/// Runs what waits for a disk in a thread of its own, so that the loop goes on (safety 1.4).
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DaemonError> + Send + 'static,
) -> Result<T, DaemonError> {
    let (tell, told) = bounded(1);
    let run = move || drop(tell.try_send(work()));
    std::thread::Builder::new().name("keep".into()).spawn(run).map_err(DaemonError::Loop)?;
    let ended = || DaemonError::Loop(std::io::ErrorKind::BrokenPipe.into());
    told.recv().await.map_err(|_| ended())?
}

fn refused(words: impl Into<String>) -> Reply {
    Reply::Refused(Refusal::Refused, words.into())
}

fn not_kept(error: DaemonError) -> Reply {
    refused(format!("what is to be promised cannot be kept: {error}"))
}

impl Changing {
    /// Of the daemon whose file this is.
    pub fn new(config: PathBuf) -> Changing {
        let (anew, outdated) = (bounded(1), bounded(1));
        Changing { config, turn: Mutex::new(()), highest: Cell::new(Ballot::default()), anew, outdated }
    }

    /// Others go by a newer configuration.
    pub fn note_outdated(&self) {
        let _ = self.outdated.0.try_send(());
    }

    /// Until this daemon is to begin anew, by what was decided; what it said about it has left by then.
    pub async fn begins_anew(&self) {
        let _ = self.anew.1.recv().await;
        Timer::after(LAST_WORDS).await;
    }
}

impl Engine {
    fn before(&self) -> &Roster {
        &self.settings().roster
    }

    /// Reads the accord, has it judged, and keeps what became of it.
    async fn in_turn<T: Send + 'static>(
        &self,
        judge: impl FnOnce(&mut Accord, &Roster) -> Result<T, NotSo> + Send + 'static,
    ) -> Result<Result<T, NotSo>, DaemonError> {
        let _turn = self.changing.turn.lock().await;
        let before = self.before().clone();
        aside(move || {
            let mut accord = agreed::accord(&before)?;
            let was = accord.clone();
            let judged = judge(&mut accord, &before);
            if accord != was {
                agreed::keep_accord(&accord)?;
            }
            Ok(judged)
        })
        .await
    }

    fn not_so(&self, why: NotSo) -> Reply {
        match why {
            NotSo::Promised(ballot) => Reply::Outbid(ballot.0),
            NotSo::Generation(mine) => refused(format!(
                "{} decides about generation {mine}",
                self.before().name_of(self.settings().node)
            )),
            NotSo::Step(why) => refused(why.to_string()),
        }
    }

    /// Another daemon, or this one, prepares.
    pub async fn prepare(&self, generation: u64, ballot: u64) -> Reply {
        let judge = move |accord: &mut Accord, _: &Roster| {
            accord.prepare(generation, Ballot(ballot)).map(Option::<&_>::cloned)
        };
        match self.in_turn(judge).await {
            Ok(Ok(accepted)) => {
                Reply::Promised(accepted.map(|(ballot, roster)| (ballot.0, roster.to_text())))
            }
            Ok(Err(why)) => self.not_so(why),
            Err(error) => not_kept(error),
        }
    }

    /// Another daemon, or this one, wants this accepted.
    pub async fn accept(&self, ballot: u64, text: &str) -> Reply {
        let Ok(roster) = Roster::parse(text) else {
            return refused("what is to be accepted cannot be read");
        };
        let judge = move |accord: &mut Accord, before: &Roster| accord.accept(before, Ballot(ballot), roster);
        match self.in_turn(judge).await {
            Ok(Ok(())) => Reply::Accepted,
            Ok(Err(why)) => self.not_so(why),
            Err(error) => not_kept(error),
        }
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

    /// Has a configuration decided; in words what became of it.
    pub async fn propose(&self, text: &str) -> Reply {
        let wish = match Roster::parse(text) {
            Ok(wish) => wish,
            Err(bad) => return refused(format!("the configuration that is proposed cannot be read: {bad}")),
        };
        if let Err(why) = accord::may_follow(self.before(), &wish) {
            return refused(format!("the configuration that is proposed cannot be the next one: {why}"));
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
            match self.attempt(&wish).await {
                Ok(decided) => return self.decided(&wish, decided).await,
                Err(why) => words = why,
            }
        }
        refused(format!(
            "no configuration was decided, though it may be yet: {words}; see the generation in 'evms status', and say it again"
        ))
    }

    /// One attempt: what was decided, or why nothing was.
    async fn attempt(&self, wish: &Roster) -> Result<Roster, String> {
        let me = self.settings().node;
        let generation = wish.configuration.generation;
        let ballot = Ballot::above(self.changing.highest.get(), me);
        self.changing.highest.set(ballot);
        let mut attempt = Attempt::new(self.before(), wish.clone(), ballot);
        let mut silent = Vec::new();
        let prepare = Request::Prepare { generation, ballot: ballot.0 };
        // This node first: what it promised to itself is kept, so that it makes no ballot twice.
        let others = self.members().into_iter().filter(|node| *node != me).collect::<Vec<_>>();
        for node in [me].iter().chain(&others) {
            match self.ask_for_change(*node, &prepare).await {
                Reply::Promised(accepted) => {
                    let accepted = accepted.map(|(ballot, text)| {
                        Roster::parse(&text)
                            .map(|roster| (Ballot(ballot), roster))
                            .map_err(|bad| bad.to_string())
                    });
                    attempt.promise(*node, accepted.transpose()?);
                }
                other => silent.push(self.why_not(*node, other)?),
            }
        }
        let Some(value) = attempt.value().cloned() else { return Err(silent.join(", ")) };
        let accept = Request::Accept { ballot: ballot.0, text: value.to_text() };
        for node in [me].iter().chain(&others) {
            match self.ask_for_change(*node, &accept).await {
                Reply::Accepted => attempt.accept(*node),
                other => silent.push(self.why_not(*node, other)?),
            }
        }
        if attempt.is_decided() {
            return Ok(value);
        }
        Err(format!(
            "not enough nodes said yes: more than half of the votes are needed, of the old and of the new ones; {}",
            silent.join(", ")
        ))
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

    async fn decided(&self, wish: &Roster, decided: Roster) -> Reply {
        let generation = decided.configuration.generation;
        let text = decided.to_text();
        for node in self.members().into_iter().filter(|node| *node != self.settings().node) {
            self.mail.tell(node, Request::Adopt(text.clone()));
        }
        let is_wish = *wish == decided;
        let reply = self.adopt(decided).await;
        match reply {
            Reply::Done(_) if !is_wish => refused(format!(
                "another change was under way and was finished: the cluster goes by generation {generation} now; look at \
                 /etc/evms.conf, and say it again with the next one"
            )),
            reply => reply,
        }
    }

    /// Goes by what was decided, and begins anew.
    pub async fn adopt(&self, roster: Roster) -> Reply {
        let (own, generation) = (&self.before().configuration, roster.configuration.generation);
        if roster.configuration.cluster != own.cluster || generation <= own.generation {
            return refused("that is no newer configuration of this cluster");
        }
        if let Err(bad) = roster.check() {
            return refused(format!("the newer configuration cannot be used: {bad}"));
        }
        if roster.node_of(self.settings().machine).is_none() {
            let words = "this machine is none of the nodes in the newer configuration: it was taken out";
            log::error!("{words}");
            return refused(words);
        }
        let config = self.changing.config.clone();
        let kept = {
            let _turn = self.changing.turn.lock().await;
            aside(move || agreed::adopt(&config, &roster)).await
        };
        match kept {
            Err(error) => return not_kept(error),
            Ok(Some(words)) => log::warn!("{words}"),
            Ok(None) => (),
        }
        log::info!("goes by configuration {generation} from now on");
        let _ = self.changing.anew.0.try_send(());
        Reply::Done(format!("the cluster goes by configuration {generation} now"))
    }

    /// Asks those who went on what counts, once there are any; for ever.
    pub async fn catch_up(&self) {
        // What it has when it hears so is asked for again and again: the one who went on may be gone, and another come.
        let _ = self.changing.outdated.1.recv().await;
        loop {
            for node in self.mail.newer().iter() {
                if let Reply::Configuration(text) = self.mail.ask(node, Request::Configuration).await
                    && let Ok(roster) = Roster::parse(&text)
                    && let Reply::Refused(_, words) = self.adopt(roster).await
                {
                    log::warn!("{}: {words}", self.before().name_of(node));
                }
            }
            Timer::after(CATCH_UP).await;
        }
    }

    /// Puts what the file wants to the others, once, when this node is quorate.
    pub async fn put_wish(&self, wish: Option<Roster>) {
        let Some(wish) = wish else { return std::future::pending().await };
        let changes = self.watch();
        while !self.is_quorate() {
            if changes.recv().await.is_err() {
                return;
            }
        }
        match self.propose(&wish.to_text()).await {
            Reply::Done(words) => log::info!("{words}"),
            Reply::Refused(_, words) => log::error!("/etc/evms.conf was not put in force: {words}"),
            _ => (),
        }
        std::future::pending().await
    }

    /// Gives votes to those who joined, when they were members for a while: the member with the lowest number does; for ever.
    pub async fn welcome(&self) {
        let mut seen: Vec<NodeId> = Vec::new();
        loop {
            Timer::after(JOINING).await;
            let members = self.members();
            let leads = self.is_quorate() && members.first() == Some(&self.settings().node);
            let joins =
                |node: &NodeId| self.before().members.get(node).is_some_and(|member| member.joining > 0);
            let joining = members.iter().copied().filter(|node| leads && joins(node)).collect::<Vec<_>>();
            if let Some(node) = joining.iter().find(|node| seen.contains(node))
                && let Some(next) = with_vote(self.before(), *node)
            {
                match self.propose(&next.to_text()).await {
                    Reply::Done(_) => log::info!("{} has its vote", self.before().name_of(*node)),
                    Reply::Refused(_, words) => {
                        log::warn!("{} does not get its vote yet: {words}", self.before().name_of(*node))
                    }
                    _ => (),
                }
            }
            seen = joining;
        }
    }
}

/// The next configuration, in which this node has one vote more of those that it joins with.
fn with_vote(before: &Roster, node: NodeId) -> Option<Roster> {
    let mut next = before.clone();
    next.configuration.generation = next.configuration.generation.checked_add(1)?;
    let member = next.members.get_mut(&node)?;
    member.joining = member.joining.checked_sub(1)?;
    let voter = next.configuration.nodes.get_mut(&node)?;
    voter.votes = voter.votes.checked_add(1)?;
    Some(next)
}
