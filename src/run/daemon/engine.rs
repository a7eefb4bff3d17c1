//! The engine's side of a daemon: what it heard from the detector, and who waits for it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use smol::channel::{Receiver, Sender, bounded};

use crate::cluster::membership::Change;
use crate::format::control::Status;
use crate::run::daemon::pulse::{Order, Pulse, Word};

/// The engine.
pub struct Engine {
    /// What is between it and the detector.
    pub pulse: Pulse,
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
    pub fn new(pulse: Pulse) -> Engine {
        Engine {
            pulse,
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
        for word in self.pulse.words() {
            match word {
                Word::Status(status) => {
                    if let Some(waits) = self.waiting.borrow_mut().pop_front() {
                        // Who went away does not wait any more.
                        let _ = waits.try_send(*status);
                    }
                }
                Word::Changed(change) => changes.push(change),
                Word::NotScheduled(ms) => log::warn!("the detector was not scheduled for {ms} ms"),
                Word::EngineStood(ms) => {
                    log::error!("the engine stood for {ms} ms: this node beat for nobody meanwhile")
                }
            }
        }
        if !changes.is_empty() {
            self.changes.set(self.changes.get() + 1);
            self.note(&changes);
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
                Change::Quorate(number) => format!("quorate by view {number}"),
                Change::Inquorate => "not quorate".to_string(),
                _ => continue,
            };
            *self.words.borrow_mut() = Some(words);
        }
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
        waits.recv().await.ok()
    }

    /// Something to wait on for changes.
    pub fn watch(&self) -> Receiver<()> {
        let (watcher, changes) = bounded(1);
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
