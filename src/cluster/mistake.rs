//! The table of deliberate mistakes of this wing. Each breaks one rule of safety section 1 on purpose, so that the simulator
//! can prove that it would notice. Without the feature `mistakes` the type has no values and every question costs nothing.

/// One rule broken.
#[cfg(feature = "mistakes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Each is described where it is made, by the line that asks for it.
pub enum Mistake {
    NoLeaseWait,
    EchoNotBoundToView,
    PromisesForgottenAtRestart,
    NoQuietStart,
    NoCliqueRule,
    CountedBeforeAllInstalled,
    LeaseFromHearing,
    LeaseFromNewestEcho,
    HalfIsMajority,
    PromiseWithoutDrift,
    TwinAccepted,
    MemoryOfAnotherBoot,
    LeavingKeepsLease,
    LeaseOutlivesView,
    LeavingForgotten,
    TakenBeforeApplication,
    OldSessionAccepted,
    HalfReceivedContinued,
    FailedInSilence,
    GapsNotChecked,
    DoublesAssembled,
    RetryGivenUp,
    WindowIgnored,
    TakenToldOnce,
    LinkLossForgotten,
    LinkNeverChanged,
    RoomNotTold,
    QueueUnbounded,
    RetryAtFullSize,
    LimitNotTold,
    NoSecondRead,
    RewrittenWhileUnknown,
    TieLeaseFromCompletion,
    LoserBidsAtOnce,
    HalfOfTheDisks,
    ArbiterForgets,
    RenewsWhatItLeft,
    TieOutlivesView,
    ColdStartUnguarded,
    LastYearsConfiguration,
    NoProgressWord,
    MonotonicClock,
    MajorityUntilNow,
    BeatTakenForRenewal,
    LowerNumberAccepted,
    QuorateWithoutInstalled,
}

/// No rule broken: the only possibility in a program that can meet a network.
#[cfg(not(feature = "mistakes"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {}

/// The rules by which a run is made: all of them, or all but one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    broken: Option<Mistake>,
}

impl Rules {
    /// All rules kept.
    pub const ALL: Rules = Rules { broken: None };

    /// All rules but one.
    pub fn without(mistake: Mistake) -> Rules {
        Rules { broken: Some(mistake) }
    }

    /// The mistake that is made, if any.
    pub fn broken(self) -> Option<Mistake> {
        self.broken
    }
}

/// No rule is broken where no mistake was compiled in.
#[cfg(not(feature = "mistakes"))]
pub(crate) const fn never(_: &Rules) -> bool {
    false
}

/// `breaks!(rules, SomeMistake)`: is this the run that makes that mistake? A constant `false` outside the simulator.
macro_rules! breaks {
    ($rules:expr, $mistake:ident) => {{
        #[cfg(feature = "mistakes")]
        let broken = $rules.broken() == Some($crate::cluster::mistake::Mistake::$mistake);
        #[cfg(not(feature = "mistakes"))]
        let broken = $crate::cluster::mistake::never(&$rules);
        broken
    }};
}
pub(crate) use breaks;
