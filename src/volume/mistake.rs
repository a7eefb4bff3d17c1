//! The table of deliberate mistakes. Each breaks one rule of safety section 2 on purpose, so that the crash model can
//! prove that it would notice. Without the feature `mistakes` the type has no values and every question costs nothing.

/// One rule broken.
#[cfg(feature = "mistakes")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Each is described where it is made, by the line that asks for it.
pub enum Mistake {
    NewSetMajorityOnly,
    RollBackLoneNewer,
    NoRereadAfterWrite,
    EqualOrderByDiskNumber,
    GenerationReusedAfterDoubt,
    LowerEpochMayOverwrite,
    BufferedRead,
    FreedExtentsReusedAtOnce,
    SecondaryFirstCounts,
    BothEndsAtOnce,
    FlushLeftOut,
    NoPromise,
    PromiseOnOneDisk,
    MinorityOpens,
    HalfIsMajority,
    OpeningDropsOldSet,
    WipeBeforeSettle,
    EpochNotAboveSeen,
    EpochWithoutNode,
    BodyHashIgnored,
    NoVerify,
    AbsentDiskCountsAsHolding,
    NoSurveyAfterPromise,
    BlockOfAnotherTaken,
    GoesOnOverPromise,
    GuardLastsForEver,
    UnsettledIsOpenedAtOnce,
}

/// No rule broken: the only possibility in a program that can meet a disk.
#[cfg(not(feature = "mistakes"))]
pub type Mistake = crate::base::mistake::NoMistake;

/// The rules by which a run is made: all of them, or all but one.
pub type Rules = crate::base::mistake::Rules<Mistake>;

/// `breaks!(rules, SomeMistake)`: is this the run that makes that mistake? A constant `false` outside the model.
macro_rules! breaks {
    ($rules:expr, $mistake:ident) => {
        $crate::base::mistake::breaks!($rules, $crate::volume::mistake::Mistake, $mistake)
    };
}
pub(crate) use breaks;
