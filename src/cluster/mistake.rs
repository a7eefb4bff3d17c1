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
    ReplayWindowDropped,
    ChallengeNotAsked,
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
    RivalsCount,
    SleeperGoesOn,
    StillUntilNow,
    ManyVotesAtOnce,
    AcceptedNotLearned,
    AccordForgotten,
    TakenOutEndsAtOnce,
    TieWhileUndecided,
    TieBeforeMajority,
}

/// No rule broken: the only possibility in a program that can meet a network.
#[cfg(not(feature = "mistakes"))]
pub type Mistake = crate::base::mistake::NoMistake;

/// The rules by which a run is made: all of them, or all but one.
pub type Rules = crate::base::mistake::Rules<Mistake>;

/// `breaks!(rules, SomeMistake)`: is this the run that makes that mistake? A constant `false` outside the simulator.
macro_rules! breaks {
    ($rules:expr, $mistake:ident) => {
        $crate::base::mistake::breaks!($rules, $crate::cluster::mistake::Mistake, $mistake)
    };
}
pub(crate) use breaks;
