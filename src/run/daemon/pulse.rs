//! What the two threads of a daemon have between them: orders to the detector, words from it, a bell for each, and the
//! engine's stamp.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::base::time::BootTime;
use crate::cluster::channel::Myself;
use crate::cluster::membership::Change;
use crate::cluster::node_set::NodeSet;
use crate::cluster::view::ViewNumber;
use crate::format::control::Status;
use crate::host::bell::Bell;
use crate::run::daemon::DaemonError;

/// What the engine tells the detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Say how the cluster is.
    Status,
    /// Leave in good order.
    Leave,
    /// Grant no tie any more: the next configuration was accepted.
    HoldTies,
}

/// What the detector tells the engine.
#[derive(Debug)]
pub enum Word {
    /// How the cluster is.
    Status(Box<Status>),
    /// Something changed.
    Changed(Change),
    /// These are heard from now on, whether they are in the view or not.
    Heard(NodeSet),
    /// The lease is by this view in this term.
    Leased(ViewNumber, u64),
    /// The detector did not run for so many milliseconds.
    NotScheduled(u64),
    /// The engine's stamp is older than it may be: by so many milliseconds.
    EngineStood(u64),
    /// Something that somebody should know of.
    Warning(String),
    /// No tie is granted any more.
    TiesHeld,
    /// This node begins anew, as this.
    Reborn(Box<Myself>),
}

/// Both threads see it.
struct Between {
    to_heart: Bell,
    to_engine: Arc<Bell>,
    stamp_ms: AtomicU64,
    /// This node has gates.
    holds: AtomicBool,
    /// Milliseconds for which this machine stood still since the detector took note of that last; 0 for not at all.
    stood_ms: AtomicU64,
    stopped: AtomicBool,
}

/// The end of who looks at the clock on the board.
pub struct OfClock {
    between: Arc<Between>,
}

impl OfClock {
    /// Does this node run containers?
    pub fn holds(&self) -> bool {
        self.between.holds.load(Ordering::Acquire)
    }

    /// Tells the detector that this machine stood still for so many milliseconds.
    pub fn stood_still(&self, ms: u64) {
        self.between.stood_ms.store(ms, Ordering::Release);
        self.between.to_heart.ring();
    }

    /// Is it to end?
    pub fn is_stopped(&self) -> bool {
        self.between.stopped.load(Ordering::Acquire)
    }
}

/// The engine's end.
pub struct Pulse {
    between: Arc<Between>,
    orders: Sender<Order>,
    words: Receiver<Word>,
    // Taken by the detector when it begins.
    other: std::cell::RefCell<Option<(Receiver<Order>, Sender<Word>)>>,
}

/// The detector's end.
pub struct OfHeart {
    between: Arc<Between>,
    orders: Receiver<Order>,
    words: Sender<Word>,
}

impl Pulse {
    /// Both ends.
    pub fn new(now: BootTime) -> Result<Pulse, DaemonError> {
        let bell = || Bell::new().map_err(|errno| DaemonError::System("making an eventfd", errno.into()));
        let (to_heart, to_engine) = (bell()?, Arc::new(bell()?));
        let (orders, heard_orders) = channel();
        let (said, words) = channel();
        // An engine that never goes round is one that stands.
        let (stamp_ms, stopped) = (AtomicU64::new(now.ms), AtomicBool::new(false));
        Ok(Pulse {
            between: Arc::new(Between {
                to_heart,
                to_engine,
                stamp_ms,
                holds: AtomicBool::new(false),
                stood_ms: AtomicU64::new(0),
                stopped,
            }),
            orders,
            words,
            other: std::cell::RefCell::new(Some((heard_orders, said))),
        })
    }

    /// The other end; once.
    pub fn of_heart(&self) -> Option<OfHeart> {
        let (orders, words) = self.other.borrow_mut().take()?;
        Some(OfHeart { between: Arc::clone(&self.between), orders, words })
    }

    /// For who looks at the clock on the board.
    pub fn of_clock(&self) -> OfClock {
        OfClock { between: Arc::clone(&self.between) }
    }

    /// Tells the detector something.
    pub fn order(&self, order: Order) {
        // A detector that is gone hears nothing any more; its end ends the daemon.
        let _ = self.orders.send(order);
        self.between.to_heart.ring();
    }

    /// The engine lives.
    pub fn stamp(&self, now: BootTime) {
        self.between.stamp_ms.store(now.ms, Ordering::Release);
    }

    /// Does this node run containers? The others hear it with the next beat: its side goes first where there is a tie (R14).
    pub fn tell_holds(&self, holds: bool) {
        self.between.holds.store(holds, Ordering::Release);
    }

    /// The detector is to end.
    pub fn stop(&self) {
        self.between.stopped.store(true, Ordering::Release);
        self.between.to_heart.ring();
    }

    /// What rings when the detector said something.
    pub fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.between.to_engine)
    }

    /// All that it said.
    pub fn words(&self) -> VecDeque<Word> {
        self.between.to_engine.was_rung();
        self.words.try_iter().collect()
    }
}

/// However the engine ends, the detector ends too.
impl Drop for Pulse {
    fn drop(&mut self) {
        self.stop();
    }
}

impl OfHeart {
    /// The next order.
    pub fn order(&self) -> Option<Order> {
        self.orders.try_recv().ok()
    }

    /// Says something to the engine.
    pub fn say(&self, word: Word) {
        let _ = self.words.send(word);
        self.between.to_engine.ring();
    }

    /// When the engine lived last.
    pub fn stamp(&self) -> BootTime {
        BootTime { ms: self.between.stamp_ms.load(Ordering::Acquire) }
    }

    /// For how many milliseconds this machine stood still, told once.
    pub fn stood_ms(&self) -> Option<u64> {
        Some(self.between.stood_ms.swap(0, Ordering::AcqRel)).filter(|ms| *ms > 0)
    }

    /// Does this node run containers?
    pub fn holds(&self) -> bool {
        self.between.holds.load(Ordering::Acquire)
    }

    /// Is it to end?
    pub fn is_stopped(&self) -> bool {
        self.between.stopped.load(Ordering::Acquire)
    }

    /// What rings when there is an order.
    pub fn bell(&self) -> &Bell {
        self.between.to_heart.was_rung();
        &self.between.to_heart
    }
}
