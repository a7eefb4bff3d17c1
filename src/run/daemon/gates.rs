//! The gates of this node, as evmsd sees to them: it has them kept, says in which term of the lease they may be open, and after a
//! time without quorum reads the disks of every container before it says so again (safety 4.3, 7).

use std::cell::RefCell;
use std::time::Duration;

use smol::Timer;
use smol::channel::{Receiver, bounded};

use crate::base::epoch::Epoch;
use crate::base::id::{ContainerId, NodeId};
use crate::engine::guard::keeping::{Regained, Reign, regained};
use crate::format::control::{GateLine, GatesLine, OpenGates, Refusal, Reply};
use crate::host::clock;
use crate::host::gate_hand;
use crate::host::gate_page::{Gate, GatePage, NotKept, Slot, Standing};
use crate::host::identity::BootId;
use crate::host::keeper_process::{self, KeeperProcess};
use crate::host::lease_page::Words;
use crate::run::activate::Wanted;
use crate::run::context::{Context, Options};
use crate::run::daemon::engine::Engine;
use crate::run::daemon::settings::Settings;
use crate::run::deactivate::Open;

/// How long a keeper may take to begin, and a gate to open.
const LIMIT_MS: u64 = 3000;
/// How often is looked whether it did.
const STEP: Duration = Duration::from_millis(2);
/// How often is looked whether there is anything to do, though nothing changed; and how long who found no majority of a
/// container's disks waits before it reads them again.
const LOOK: Duration = Duration::from_millis(500);

/// What stands of them.
pub struct Gates {
    page: GatePage,
    words: &'static Words,
    /// Who this daemon started.
    keeper: RefCell<Option<KeeperProcess>>,
}

/// What reading the disks came to: of each container, and in which term.
struct Read {
    term: u64,
    found: Vec<(ContainerId, Regained)>,
}

impl Gates {
    /// Of this boot; who was before left them as they are.
    pub fn new(boot: BootId, words: &'static Words, settings: &Settings) -> std::io::Result<Gates> {
        let page = GatePage::make(boot)?;
        page.set_daemon(std::process::id(), settings.roster.configuration.timing.watchdog_ms);
        Ok(Gates { page, words, keeper: RefCell::new(None) })
    }

    fn reign(&self) -> Reign {
        Reign::of(self.words)
    }

    /// Gates that somebody took away are not kept any more.
    fn forget_gone(&self) {
        let gone = self.page.kept().filter(|slot| slot.standing() == Standing::Gone).map(Slot::name);
        let gone = gone.collect::<Vec<_>>();
        if !gone.is_empty() {
            self.page.forget(&gone);
        }
    }

    /// Are any kept?
    pub fn any(&self) -> bool {
        self.page.kept().next().is_some()
    }

    /// Containers whose gates are to be looked at before they may be open in this term, each with the epoch that it had.
    fn unordered(&self, term: u64) -> Vec<(ContainerId, Epoch)> {
        let mut containers: Vec<(ContainerId, Epoch)> = Vec::new();
        for slot in self.page.kept().filter(|slot| slot.term() != term) {
            let container = slot.container();
            match containers.iter_mut().find(|(other, _)| *other == container) {
                Some((_, epoch)) => *epoch = slot.epoch().max(*epoch),
                None => containers.push((container, slot.epoch())),
            }
        }
        containers
    }

    /// Starts a keeper where there is none. One that is just beginning is left to it.
    fn see_to_keeper(&self) {
        let mut keeper = self.keeper.borrow_mut();
        let begins = keeper.as_mut().is_some_and(|keeper| !keeper.has_ended());
        if begins || self.page.has_keeper(clock::boot_now()) {
            return;
        }
        match keeper_process::start() {
            Ok(process) => *keeper = Some(process),
            Err(error) => log::error!("the keeper of gates cannot be started: {error}"),
        }
    }

    /// All gates of one container may be open in this term, and have this epoch.
    fn order(&self, container: ContainerId, term: u64, epoch: Epoch) {
        for slot in self.page.of_container(container) {
            slot.set_epoch(epoch);
            slot.order(term);
        }
        self.page.ring();
    }

    fn line(&self, slot: Slot) -> GateLine {
        let now = clock::boot_now();
        let reign = self.reign();
        let why = match slot.standing() {
            Standing::Open | Standing::Gone => String::new(),
            Standing::Refused => gate_hand::words_of(slot.errno()).into(),
            _ if !reign.lasts(now) => "this node is not quorate".into(),
            _ if slot.term() != reign.term => {
                "its container's disks were not read since this node is quorate again".into()
            }
            _ => String::new(),
        };
        GateLine {
            name: slot.name(),
            container: slot.container(),
            epoch: slot.epoch(),
            state: word_of(slot.standing()).into(),
            since_ms: now.ms.saturating_sub(slot.since().ms),
            closed: slot.closings(),
            why,
        }
    }

    /// All of them, for people.
    pub fn lines(&self) -> GatesLine {
        let now = clock::boot_now();
        GatesLine {
            quorate: self.reign().lasts(now),
            keeper: self.page.has_keeper(now),
            watchdog_ms: self.page.watchdog_ms(),
            gates: self.page.kept().map(|slot| self.line(slot)).collect(),
        }
    }
}

fn word_of(standing: Standing) -> &'static str {
    match standing {
        Standing::Unknown => "unknown",
        Standing::Closed => "closed",
        Standing::Draining => "draining",
        Standing::Open => "open",
        Standing::Gone => "gone",
        Standing::Refused => "refused",
    }
}

impl Engine {
    /// Has these gates kept and opened, for a command that made them under the lease of this term and read the container's disks
    /// in it.
    pub async fn open_gates(&self, wanted: &OpenGates) -> Reply {
        let gates = &self.gates;
        let now = clock::boot_now();
        if !gates.reign().covers(wanted.term, now) {
            let why = "this node is not quorate any more, or was not for a moment; say the command again";
            return Reply::Refused(Refusal::NotQuorate, why.into());
        }
        gates.see_to_keeper();
        let mut slots = Vec::new();
        for (name, length) in &wanted.gates {
            let (container, epoch) = (wanted.container, wanted.epoch);
            match gates.page.keep(&Gate { name, container, epoch, length: *length }) {
                Ok(slot) => slots.push(slot),
                Err(not) => {
                    let words = match not {
                        NotKept::Full => {
                            "this node has as many gates as can be kept; take containers down first"
                        }
                        NotKept::Name => "the name of a gate is longer than any",
                    };
                    return Reply::Refused(Refusal::Refused, words.into());
                }
            }
        }
        slots.iter().for_each(|slot| slot.order(wanted.term));
        gates.page.ring();
        let ends = now.ms + LIMIT_MS;
        while slots.iter().any(|slot| slot.standing() != Standing::Open) {
            let now = clock::boot_now();
            if now.ms > ends || !gates.reign().covers(wanted.term, now) {
                return Reply::Refused(Refusal::Refused, not_open(gates, &slots));
            }
            Timer::after(STEP).await;
        }
        Reply::Done("the gates are open".into())
    }

    /// Takes the volumes of the cluster's containers down here, before this node leaves: who left is not waited for, and so must have no
    /// gate that is open (safety 1.3). Why not, in words.
    pub async fn close_for_good(&self) -> Result<(), String> {
        let mut containers = self.gates.page.kept().map(Slot::container).collect::<Vec<_>>();
        containers.dedup();
        if containers.is_empty() {
            return Ok(());
        }
        let down = take_down(containers, Open::Refuse).recv().await;
        down.map_err(|_| "no thread could be started".to_string())??;
        if self.gates.any() {
            return Err("volumes were activated meanwhile; say it again".into());
        }
        Ok(())
    }

    /// For ever: sees to the keeper, and to gates that may open again.
    pub async fn tend_gates(&self) {
        let changes = self.watch();
        loop {
            self.gates.forget_gone();
            if self.gates.any() {
                self.gates.see_to_keeper();
                self.regain().await;
            }
            let changed = async {
                let _ = changes.recv().await;
            };
            smol::future::or(changed, async {
                Timer::after(LOOK).await;
            })
            .await;
        }
    }

    /// Reads the disks of containers whose gates are closed since the lease before this one, and has them opened, or what waits in
    /// front of them fail.
    async fn regain(&self) {
        let (reign, now) = (self.gates.reign(), clock::boot_now());
        let held = self.gates.unordered(reign.term);
        if !reign.lasts(now) || held.is_empty() {
            return;
        }
        let settings = self.settings();
        let reading = read(held, reign.term, settings.node, settings.machine);
        // Nothing comes where no thread could be had; it is tried again.
        let Ok(read) = reading.recv().await else { return };
        for (container, regained) in read.found {
            match regained {
                Regained::Held(epoch) => {
                    log::info!("container {}: held still, epoch {epoch}: its gates open", container.short());
                    self.gates.order(container, read.term, epoch);
                }
                Regained::Unclear => log::warn!(
                    "container {}: no majority of its disks tells whether it is this node's still: its gates stay closed",
                    container.short()
                ),
                Regained::Lost => self.lose(container).await,
            }
        }
    }

    /// Another node had it: not one byte that waits may land.
    async fn lose(&self, container: ContainerId) {
        log::error!(
            "container {}: another node had it meanwhile: what waits for its volumes fails, and they are taken down",
            container.short()
        );
        match take_down(vec![container], Open::Fail).recv().await {
            Ok(Ok(left)) => left.iter().for_each(|words| log::warn!("{words}")),
            Ok(Err(error)) => log::error!("container {} was not taken down: {error}", container.short()),
            Err(_) => (),
        }
    }
}

fn not_open(gates: &Gates, slots: &[Slot]) -> String {
    if !gates.page.has_keeper(clock::boot_now()) {
        return "the keeper of gates does not run; see the log of evmsd".into();
    }
    let one = slots.iter().find(|slot| slot.standing() != Standing::Open).map(|slot| gates.line(*slot));
    one.map_or_else(String::new, |line| format!("the gate {} is {} {}", line.name, line.state, line.why))
}

/// Reads them in a thread of its own: a disk may hang.
fn read(
    held: Vec<(ContainerId, Epoch)>,
    term: u64,
    me: NodeId,
    machine: crate::base::id::NodeUuid,
) -> Receiver<Read> {
    let (tell, told) = bounded(1);
    let work = move || {
        let scene = Context::new(Options::default()).ok().and_then(|context| context.look_for_members().ok());
        let judge = |(container, epoch): &(ContainerId, Epoch)| {
            let found =
                scene.as_ref().and_then(|scene| scene.containers.iter().find(|found| found.id == *container));
            let chosen =
                found.and_then(|found| found.chosen.as_ref().ok()).filter(|chosen| chosen.majority_read);
            let chosen =
                chosen.map(|chosen| (&chosen.model, chosen.image.header.order.epoch, chosen.committed));
            (*container, regained(chosen, *epoch, me, machine))
        };
        let _ = tell.try_send(Read { term, found: held.iter().map(judge).collect() });
    };
    // Where no thread is to be had the sender is dropped, and the receiver hears that.
    let _ = std::thread::Builder::new().name("regain".into()).spawn(work);
    told
}

/// Takes all volumes of these containers down, in a thread of its own; what is left of them, or why nothing was done.
fn take_down(containers: Vec<ContainerId>, open: Open) -> Receiver<Result<Vec<String>, String>> {
    let (tell, told) = bounded(1);
    let work = move || {
        let wanted = |id: &ContainerId| Wanted { container: id.to_string(), volumes: Vec::new() };
        let wanted = containers.iter().map(wanted).collect::<Vec<_>>();
        let down = Context::new(Options::default());
        let down = down.and_then(|mut context| context.deactivate(Some(&wanted), open));
        let _ = tell.try_send(down.map(|down| down.left).map_err(|error| error.to_string()));
    };
    // Where no thread is to be had the sender is dropped, and the receiver hears that.
    let _ = std::thread::Builder::new().name("down".into()).spawn(work);
    told
}
