//! The engine's side of a daemon: what it heard from the detector, and who waits for it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use smol::channel::{Receiver, Sender, bounded};

use crate::base::id::NodeId;
use crate::base::sorted::sort;
use crate::cluster::membership::Change;
use crate::cluster::roster::Roster;
use crate::cluster::view::{View, ViewNumber};
use crate::format::control::{PingLine, Question, Refusal, Reply, Request, Status, WarrantLine};
use crate::run::daemon::changing::Changing;
use crate::run::daemon::fencing::Fencing;
use crate::run::daemon::gates::Gates;
use crate::run::daemon::mail::Mail;
use crate::run::daemon::pulse::{Order, Pulse, Word};
use crate::run::daemon::raising::Raising;
use crate::run::daemon::seeing::Seeing;
use crate::run::daemon::settings::Settings;
use crate::run::daemon::succession::Succession;

/// Bytes of a ping at most.
const PING_BYTES_MAX: u32 = 16 * 1024 * 1024 - 64;
/// Rounds of one request at most.
const PINGS_MAX: u64 = 1_000_000;
/// Of these under way at one time.
const PINGS_AT_ONCE_MAX: u64 = 1024;

/// The engine.
pub struct Engine {
    /// What is between it and the detector.
    pub pulse: Pulse,
    /// Messages.
    pub mail: Mail,
    /// Its part in what is changed of the configuration.
    pub changing: Changing,
    /// Its gates.
    pub gates: Gates,
    /// Who is missing, and who sees to what they held.
    pub succession: Succession,
    /// What was up here before a boot.
    pub raising: Raising,
    /// Who reads disks for another node's question.
    pub seeing: Seeing,
    /// Who has their power cut.
    pub fencing: Fencing,
    settings: Settings,
    view: RefCell<Option<View>>,
    view_of_lease: RefCell<String>,
    waiting: RefCell<VecDeque<Sender<Status>>>,
    /// How often something changed.
    changes: Cell<u64>,
    words: RefCell<Option<String>>,
    leaves: Cell<bool>,
    leave: (Sender<()>, Receiver<()>),
    /// Who wants to know of changes.
    watchers: RefCell<Vec<Sender<()>>>,
}

impl Engine {
    /// With this end.
    pub fn new(pulse: Pulse, mail: Mail, gates: Gates, settings: Settings) -> Engine {
        Engine {
            pulse,
            mail,
            gates,
            succession: Succession::default(),
            raising: Raising::default(),
            seeing: Seeing::default(),
            fencing: Fencing::new(settings.agents.clone()),
            changing: Changing::new(settings.config.clone(), settings.wish.clone()),
            settings,
            view: RefCell::new(None),
            view_of_lease: RefCell::default(),
            waiting: RefCell::new(VecDeque::new()),
            changes: Cell::new(0),
            words: RefCell::new(None),
            leaves: Cell::new(false),
            leave: bounded(1),
            watchers: RefCell::new(Vec::new()),
        }
    }

    /// Takes what the detector said; what changed.
    pub fn hear_heart(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut noted = 0;
        for word in self.pulse.words() {
            match word {
                Word::Status(status) => {
                    if let Some(waits) = self.waiting.borrow_mut().pop_front() {
                        // Who went away does not wait any more.
                        let _ = waits.try_send(*status);
                    }
                }
                Word::Changed(change) => changes.push(change),
                Word::Warning(words) => log::warn!("{words}"),
                Word::Reborn(me) => {
                    // In the order in which it was said.
                    self.note(changes.get(noted..).unwrap_or_default());
                    noted = changes.len();
                    *self.view.borrow_mut() = None;
                    // First, whatever becomes of its messages.
                    self.mail.view(None, false);
                    self.mail.become_anew(*me);
                }
                Word::Leased(number, term) => {
                    self.note(changes.get(noted..).unwrap_or_default());
                    noted = changes.len();
                    self.note_term(number, term);
                }
                Word::Heard(heard) => self.mail.hears(heard),
                Word::TiesHeld => self.changing.note_held(),
                Word::NotScheduled(ms) => log::warn!("the detector was not scheduled for {ms} ms"),
                Word::EngineStood(ms) => {
                    log::error!("the engine stood for {ms} ms: this node beat for nobody meanwhile")
                }
            }
        }
        if !changes.is_empty() {
            self.changes.set(self.changes.get() + 1);
            self.note(changes.get(noted..).unwrap_or_default());
            // A watcher that has not looked yet will see this change too.
            self.watchers.borrow_mut().retain(|watcher| !watcher.is_closed());
            for watcher in self.watchers.borrow().iter() {
                let _ = watcher.try_send(());
            }
        }
        changes
    }

    fn note(&self, changes: &[Change]) {
        for change in changes {
            let words = match change {
                Change::Outdated { .. } => {
                    self.changing.note_outdated();
                    continue;
                }
                Change::Quorate(number) => {
                    *self.view_of_lease.borrow_mut() = number.to_string();
                    format!("quorate by view {number}")
                }
                Change::Inquorate => "not quorate".to_string(),
                Change::Installed(view) => {
                    *self.view.borrow_mut() = Some(view.clone());
                    self.mail.view(Some(view), self.is_quorate());
                    self.note_company();
                    continue;
                }
                _ => continue,
            };
            self.mail.view(self.view.borrow().as_ref(), matches!(change, Change::Quorate(_)));
            *self.words.borrow_mut() = Some(words);
        }
    }

    /// What this daemon was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// May this node act, as far as the engine heard from its cluster's manager?
    pub fn is_quorate(&self) -> bool {
        self.mail.members().quorate
    }

    /// Is this the view that this node installed last?
    pub fn is_view(&self, number: ViewNumber) -> bool {
        self.view.borrow().as_ref().is_some_and(|view| view.number == number)
    }

    /// The view by which it is quorate, or was last.
    pub fn view_of_lease(&self) -> String {
        self.view_of_lease.borrow().clone()
    }

    /// The name of this node.
    pub fn my_name(&self) -> String {
        let Settings { roster, node, .. } = &self.settings;
        roster.members.get(node).map_or_else(|| node.to_string(), |member| member.name.to_string())
    }

    /// The members, the lowest number first: as the cluster's manager has them.
    pub fn members(&self) -> Vec<NodeId> {
        self.mail.members().nodes.iter().collect()
    }

    /// What a service manager is to be told, once.
    pub fn words(&self) -> Option<String> {
        self.words.borrow_mut().take()
    }

    /// How the cluster is; nothing when the detector is gone.
    pub async fn status(&self) -> Option<Status> {
        let (answer, waits) = bounded(1);
        self.waiting.borrow_mut().push_back(answer);
        self.pulse.order(Order::Status);
        let mut status = waits.recv().await.ok()?;
        if let Some(words) = self.open_words() {
            status.quorum.why = format!("{}; {words}", status.quorum.why);
        }
        status.nodes.iter_mut().for_each(|line| self.mail.add_links(NodeId(line.id), &mut line.links));
        Some(status)
    }

    /// Answers a request that needs one answer.
    pub async fn answer(&self, request: &Request) -> Reply {
        match request {
            Request::Status | Request::Watch => match self.status().await {
                Some(status) => Reply::Status(Box::new(status)),
                None => Reply::Refused(Refusal::Refused, "the detector of this daemon is gone".into()),
            },
            Request::Leave => {
                if !self.gates.are_shut() {
                    let why = "this node did not leave: it has gates that are open, or drain; see: evms-fence status";
                    return Reply::Refused(Refusal::Refused, why.into());
                }
                self.leave();
                Reply::Done("the others were told that this node leaves; the daemon ends".into())
            }
            Request::Configuration => Reply::Configuration(self.settings.roster.to_text()),
            Request::Propose(text) => self.propose(text).await,
            Request::Prepare { .. } | Request::Accept { .. } | Request::Adopt(_) => {
                Reply::Refused(Refusal::Refused, "daemons alone say this to each other".into())
            }
            Request::Warrant => self.warrant().await,
            Request::OpenGates(wanted) => self.open_gates(wanted).await,
            Request::Gates => Reply::Gates(self.gate_lines()),
            Request::Agents => Reply::Agents(self.agent_lines()),
            Request::Suspend(container, by) => self.suspend_gates(*container, *by).await,
            Request::Resume(container, by) => self.resume_gates(*container, *by),
            Request::Sees(container, disks) => self.sees(*container, disks).await,
            Request::Watchdog => self.arm_watchdog().await,
            Request::Ping { node, bytes, count, at_once } => {
                self.ping(node, *bytes, u64::from(*count), u64::from(*at_once)).await
            }
        }
    }

    /// The same, of the node that is named.
    pub async fn answer_question(&self, question: &Question) -> Reply {
        let Question { node, request } = question;
        match self.settings.roster.node_named(node) {
            _ if node.is_empty() => self.answer(request).await,
            Some(node) if node == self.settings.node => self.answer(request).await,
            Some(node) => self.mail.ask(node, request.clone()).await,
            None => self.no_node(node),
        }
    }

    /// To who is quorate now; that it still is, whoever acts by it sees before every write.
    async fn warrant(&self) -> Reply {
        if !self.is_quorate() {
            let why = self.status().await.map_or_else(String::new, |status| status.quorum.why);
            return Reply::Refused(Refusal::NotQuorate, why);
        }
        let roster = &self.settings.roster;
        let machine = |node: &NodeId| roster.configuration.nodes.get(node).map(|voter| voter.uuid);
        let nodes =
            roster.members.iter().filter_map(|(node, member)| Some((member.name.clone(), machine(node)?)));
        Reply::Warrant(WarrantLine {
            cluster: roster.configuration.cluster,
            name: roster.name.to_string(),
            node: self.settings.node,
            generation: roster.configuration.generation,
            incarnation: self.mail.incarnation(),
            nodes: nodes.collect(),
            strict: roster.strict,
            take_ms: roster.configuration.timing.take_ms(),
            absent: self.absent(),
        })
    }

    fn no_node(&self, name: &str) -> Reply {
        let names = self.settings.roster.members.values().map(|member| member.name.as_str());
        let words = format!(
            "there is no node '{}'; there are {}",
            name.escape_debug(),
            names.collect::<Vec<_>>().join(", ")
        );
        Reply::Refused(Refusal::NotFound, words)
    }

    async fn ping(&self, name: &str, bytes: u32, count: u64, at_once: u64) -> Reply {
        let Some(node) = self.settings.roster.node_named(name) else { return self.no_node(name) };
        if bytes > PING_BYTES_MAX
            || count == 0
            || count > PINGS_MAX
            || !(1..=PINGS_AT_ONCE_MAX).contains(&at_once)
        {
            let words = format!(
                "a ping has at most {PING_BYTES_MAX} bytes, {PINGS_MAX} rounds, and {PINGS_AT_ONCE_MAX} of them at one time"
            );
            return Reply::Refused(Refusal::Refused, words);
        }
        match self.mail.ping(node, bytes as usize, count, at_once).await {
            Err(words) => Reply::Refused(Refusal::NotReachable, words),
            Ok((mut took, all_ns)) => {
                sort(&mut took);
                let at = |share: usize| took.get((took.len() - 1) * share / 100).copied().unwrap_or(0);
                let (least_ns, median_ns, most_ns) = (at(0), at(50), at(100));
                let (p99_ns, rounds) = (at(99), took.len() as u64);
                Reply::Pinged(PingLine { rounds, least_ns, median_ns, p99_ns, most_ns, all_ns })
            }
        }
    }

    /// Answers other nodes, for ever. What waits for a disk that hangs holds nobody who only wants to see how things are.
    pub async fn answer_nodes(&self) {
        let looks = smol::future::or(self.answer_looks(), self.answer_sights());
        smol::future::or(looks, self.answer_what_is_kept()).await;
    }

    async fn answer_sights(&self) {
        while let Some(asked) = self.mail.sights().await {
            let reply = self.answer(&asked.request).await;
            self.mail.answer(&asked, reply);
        }
    }

    async fn answer_looks(&self) {
        while let Some(asked) = self.mail.looks().await {
            // What they may ask of this one through another is not handed on once more, and nobody leaves by another's word.
            let reply = match &asked.request {
                Request::Status | Request::Watch => self.answer(&Request::Status).await,
                Request::Configuration | Request::Gates | Request::Agents => {
                    self.answer(&asked.request).await
                }
                _ => Reply::Refused(Refusal::Refused, "this can only be asked on the node itself".into()),
            };
            self.mail.answer(&asked, reply);
        }
    }

    /// One after the other: one place has what was promised.
    async fn answer_what_is_kept(&self) {
        while let Some(asked) = self.mail.asked().await {
            let reply = match &asked.request {
                Request::Prepare { generation, ballot } => self.prepare(*generation, *ballot).await,
                Request::Accept { ballot, text } => self.accept(*ballot, text).await,
                Request::Adopt(text) => match Roster::parse(text) {
                    Ok(roster) => self.adopt(roster).await,
                    Err(bad) => Reply::Refused(Refusal::Unknown, bad.to_string()),
                },
                Request::Suspend(..) | Request::Resume(..) => self.answer(&asked.request).await,
                _ => Reply::Refused(Refusal::Unknown, "that is nothing that is kept".into()),
            };
            self.mail.answer(&asked, reply);
        }
    }

    /// Something to wait on for changes.
    pub fn watch(&self) -> Receiver<()> {
        let (watcher, changes) = bounded(1);
        self.watchers.borrow_mut().retain(|watcher| !watcher.is_closed());
        self.watchers.borrow_mut().push(watcher);
        changes
    }

    /// Leave in good order, and end.
    pub fn leave(&self) {
        self.leaves.set(true);
        self.pulse.order(Order::Leave);
        let _ = self.leave.0.try_send(());
    }

    /// Until that was asked.
    pub async fn asked_to_leave(&self) {
        let _ = self.leave.1.recv().await;
    }

    /// Was it?
    pub fn leaves(&self) -> bool {
        self.leaves.get()
    }
}
