//! Changes of the configuration while nodes run: this node's part in the accord about the next one (safety 1.6), attempts to
//! have one decided, and catching up where others went on.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use smol::Timer;
use smol::channel::{Receiver, Sender, bounded};

use crate::base::id::NodeId;
use crate::cluster::accord::{Accord, NotSo};
use crate::cluster::mistake::Rules;
use crate::cluster::roster::Roster;
use crate::format::arbitration::Ballot;
use crate::format::control::{Refusal, Reply, Request};
use crate::host::udp::Udp;
use crate::run::daemon::agreed::{self, Following};
use crate::run::daemon::engine::Engine;
use crate::run::daemon::pulse::Order;
use crate::run::daemon::{DaemonError, fencing, settings};

mod proposing;
mod turn;

use proposing::{Leaving, Open, PROPOSALS_MAX, Proposal};
use turn::Adopting;

/// Milliseconds before who is behind asks again for what counts: at first, and at last.
const CATCH_UP_MS: (u64, u64) = (300, 5000);
/// How long the detector may take to hear that no tie is to be granted any more.
const HELD: Duration = Duration::from_secs(1);
/// How long a node was a member before it gets its votes, and how often that is looked at.
const JOINING: Duration = Duration::from_secs(2);
/// How long until that the configuration is in force is kept again, where that failed.
const IN_FORCE_AGAIN: Duration = Duration::from_secs(5);
/// Troubles that are remembered as said; where there are more, they are said again.
const SAID_MAX: usize = 64;
/// What was said leaves before this daemon begins anew.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// This node's part.
pub struct Changing {
    config: PathBuf,
    highest: Cell<Ballot>,
    /// What is to be proposed, one after the other: by whom it was wanted may go away.
    proposals: (Sender<Proposal>, Receiver<Proposal>),
    /// What was accepted and is not known to be in force.
    open: RefCell<Option<Open>>,
    /// What this node had decided, and keeps when the others do.
    leaving: RefCell<Option<Leaving>>,
    opened: (Sender<()>, Receiver<()>),
    anew: (Sender<()>, Receiver<()>),
    outdated: (Sender<()>, Receiver<()>),
    /// The file is to be read.
    hups: (Sender<()>, Receiver<()>),
    /// What the file wants next.
    wishes: (Sender<Roster>, Receiver<Roster>),
    /// The detector grants no tie any more.
    held: (Sender<()>, Receiver<()>),
    /// More than half were here: that the configuration is in force is to be kept.
    in_force: (Sender<()>, Receiver<()>),
    /// Was it kept already?
    noted: Cell<bool>,
    /// What was said of troubles: each is said once.
    said: RefCell<BTreeSet<String>>,
}

fn refused(words: impl Into<String>) -> Reply {
    Reply::Refused(Refusal::Refused, words.into())
}

/// Why something cannot be kept, of a daemon that runs.
fn cause(error: DaemonError) -> String {
    match error {
        DaemonError::File(bad) => bad.to_string(),
        error => error.to_string(),
    }
}

fn not_kept(error: DaemonError) -> Reply {
    refused(format!("what is to be promised cannot be kept: {}", cause(error)))
}

impl Changing {
    /// Of the daemon whose file this is.
    pub fn new(config: PathBuf, wish: Option<Roster>) -> Changing {
        let changing = Changing {
            config,
            highest: Cell::new(Ballot::default()),
            proposals: bounded(PROPOSALS_MAX),
            open: RefCell::new(None),
            leaving: RefCell::new(None),
            opened: bounded(1),
            anew: bounded(1),
            outdated: bounded(1),
            hups: bounded(1),
            wishes: bounded(1),
            held: bounded(1),
            in_force: bounded(1),
            noted: Cell::new(false),
            said: RefCell::default(),
        };
        // There is room for one.
        if let Some(wish) = wish {
            let _ = changing.wishes.0.try_send(wish);
        }
        changing
    }

    /// Others go by a newer configuration.
    pub fn note_outdated(&self) {
        let _ = self.outdated.0.try_send(());
    }

    /// The file is to be read anew.
    pub fn note_hup(&self) {
        let _ = self.hups.0.try_send(());
    }

    /// The detector grants no tie any more.
    pub fn note_held(&self) {
        let _ = self.held.0.try_send(());
    }

    /// Says what was not said before.
    fn warn(&self, words: String) {
        let mut said = self.said.borrow_mut();
        if said.contains(&words) {
            return;
        }
        log::warn!("{words}");
        if said.len() >= SAID_MAX {
            said.clear();
        }
        said.insert(words);
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
        let before = self.before().clone();
        turn::in_turn(move || turn::keep_judged(&before, judge)).await
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
                Reply::Promised(ballot, accepted.map(|(ballot, roster)| (ballot.0, roster.to_text())))
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
        if let Err(why) = self.could_start(&roster) {
            return refused(format!("it could not go by that: {why}; nothing was accepted there"));
        }
        let judge = move |accord: &mut Accord, before: &Roster| {
            accord.accept(before, Ballot(ballot), roster, Rules::ALL)
        };
        match self.in_turn(judge).await {
            // Kept, and said when no tie by the present one is granted any more.
            Ok(Ok(())) => {
                self.note_open();
                if self.holds_ties().await {
                    Reply::Accepted(ballot)
                } else {
                    refused(
                        "it is kept, and the detector of that node does not answer: see its log, and start it anew",
                    )
                }
            }
            Ok(Err(why)) => self.not_so(why),
            Err(error) => not_kept(error),
        }
    }

    /// Could this node go by it? What is decided and cannot be gone by ends a daemon.
    fn could_start(&self, next: &Roster) -> Result<(), String> {
        let links = |of: &Roster| of.members.get(&self.settings().node).map(|member| member.links.clone());
        let (old, new) = (links(self.before()).unwrap_or_default(), links(next).unwrap_or_default());
        for link in new.into_iter().filter(|link| !old.contains(link)) {
            for port in [next.port, next.port.saturating_add(1)] {
                Udp::bind(link, port).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    async fn holds_ties(&self) -> bool {
        self.pulse.order(Order::HoldTies);
        let held = async { self.changing.held.1.recv().await.is_ok() };
        let late = async {
            Timer::after(HELD).await;
            false
        };
        smol::future::or(held, late).await
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
            // It is kept all the same: a node that was taken out goes by nothing any more, and says so when it is started.
            log::error!(
                "this machine is none of the nodes in configuration {generation}: it was taken out, and ends"
            );
        }
        let (config, before) = (self.changing.config.clone(), self.before().clone());
        let keep = move || {
            let kept = agreed::kept()?.map(|(kept, _)| kept);
            Ok(match turn::adopting(kept.as_ref(), &roster) {
                Adopting::Takes => Ok(agreed::adopt(&config, &before, &roster)?),
                Adopting::AlreadySo => Ok(None),
                Adopting::Newer(kept) => Err(kept),
            })
        };
        match turn::in_turn(keep).await {
            Err(error) => {
                return refused(format!("configuration {generation} cannot be kept: {}", cause(error)));
            }
            Ok(Err(kept)) => {
                return refused(format!(
                    "configuration {generation} is older than {kept}, which this node keeps already; nothing was written"
                ));
            }
            Ok(Ok(Some(words))) => log::warn!("{words}"),
            Ok(Ok(None)) => (),
        }
        log::info!("goes by configuration {generation} from now on");
        let _ = self.changing.anew.0.try_send(());
        Reply::Done(format!("the cluster goes by configuration {generation} now"))
    }

    /// This node is quorate; by a majority, that is to be kept: from then on a tie may be.
    pub fn note_in_force(&self) {
        let roster = self.before();
        let votes = roster.configuration.votes(self.members().into_iter().collect());
        if !roster.configuration.is_majority(votes, Rules::ALL) || self.changing.noted.get() {
            return;
        }
        let _ = self.changing.in_force.0.try_send(());
    }

    /// Keeps that it is in force, once that is so, and tries again where that fails: a tie by it waits for this; for ever.
    async fn keep_in_force(&self) {
        while self.changing.in_force.1.recv().await.is_ok() {
            while !self.changing.noted.get() {
                let roster = self.before().clone();
                match turn::in_turn(move || agreed::note_in_force(&roster)).await {
                    Ok(()) => self.changing.noted.set(true),
                    Err(error) => {
                        let why = cause(error);
                        self.changing.warn(format!(
                            "that the configuration is in force cannot be kept: {why}; it is tried again; until then the next \
                             evmsd of this node takes no tie by it before more than half were here once"
                        ));
                        Timer::after(IN_FORCE_AGAIN).await;
                    }
                }
            }
        }
    }

    /// Asks those who went on what counts, once there are any; for ever.
    async fn catch_up(&self) {
        // What it has when it hears so is asked for again and again: the one who went on may be gone, and another come.
        let _ = self.changing.outdated.1.recv().await;
        let (mut wait_ms, most_ms) = CATCH_UP_MS;
        loop {
            for node in self.mail.newer().iter() {
                if let Some(words) = self.catch_up_with(node).await {
                    self.changing.warn(words);
                }
            }
            Timer::after(Duration::from_millis(wait_ms)).await;
            wait_ms = most_ms.min(wait_ms * 2);
        }
    }

    /// Goes by what this node goes by; why not, where that cannot be.
    async fn catch_up_with(&self, node: NodeId) -> Option<String> {
        let name = self.before().name_of(node);
        let behind = format!("{name} goes by a newer configuration, and this node cannot follow");
        match self.mail.ask(node, Request::Configuration).await {
            Reply::Configuration(text) => match Roster::parse(&text) {
                Ok(roster) => match self.adopt(roster).await {
                    Reply::Refused(_, words) => Some(words),
                    _ => None,
                },
                Err(bad) => Some(format!(
                    "{behind}: its text cannot be read here: {bad}; nothing was written; bring both to the same release of evms"
                )),
            },
            Reply::Refused(_, words) => Some(format!("{behind} yet: {words}; it is asked again")),
            _ => Some(format!("{behind}: it answers strangely; nothing was written; it is asked again")),
        }
    }

    /// All that this daemon does about changes by itself; for ever.
    pub async fn change(&self) {
        let told = smol::future::or(self.read_when_told(), self.put_wishes());
        let told = smol::future::or(told, smol::future::or(self.keep_in_force(), self.decide()));
        smol::future::or(told, smol::future::or(self.catch_up(), self.welcome())).await
    }

    async fn read_when_told(&self) {
        while self.changing.hups.1.recv().await.is_ok() {
            self.read_anew().await;
        }
    }

    /// Reads the file anew: what it says may be wanted next.
    async fn read_anew(&self) {
        let config = self.changing.config.clone();
        self.read_agents(config.clone()).await;
        match turn::in_turn(move || agreed::follow(settings::roster(&config)?)).await {
            Ok(Following { wish: Some(wish), .. }) => drop(self.changing.wishes.0.try_send(wish)),
            Ok(Following { words, .. }) => {
                log::info!("{}", words.unwrap_or_else(|| "/etc/evms.conf says what is gone by".into()))
            }
            Err(error) => log::error!("/etc/evms.conf was not put in force: {error}"),
        }
    }

    /// And which fence agents this node has, which is nobody else's business.
    async fn read_agents(&self, config: PathBuf) {
        let roster = self.before().clone();
        match turn::aside(move || Ok(fencing::read(&config, &roster))).await {
            Ok(agents) => self.set_agents(agents),
            Err(error) => log::error!("the fence agents in /etc/evms.conf were not read: {error}"),
        }
    }

    /// Puts what the file wants to the others, when this node is quorate; for ever.
    async fn put_wishes(&self) {
        let changes = self.watch();
        while let Ok(wish) = self.changing.wishes.1.recv().await {
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
        }
    }

    /// Gives votes to those who joined, when they were members for a while: the member with the lowest number does; for ever.
    async fn welcome(&self) {
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
                        let name = self.before().name_of(*node);
                        self.changing.warn(format!("{name} does not get its vote yet: {words}"));
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
