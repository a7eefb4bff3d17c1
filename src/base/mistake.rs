//! Deliberate mistakes. A wing has a table of them, each of which breaks one rule of it on purpose, so that its model can
//! prove that it would notice. Without the feature `mistakes` a table has no values and every question costs nothing.

/// No rule broken: the only possibility in a program that can meet a disk or a network.
#[cfg(not(feature = "mistakes"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMistake {}

/// The rules by which a run is made: all of them, or all but one of the table `M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules<M> {
    broken: Option<M>,
}

impl<M> Rules<M> {
    /// All rules kept.
    pub const ALL: Rules<M> = Rules { broken: None };

    /// All rules but one.
    pub fn without(mistake: M) -> Rules<M> {
        Rules { broken: Some(mistake) }
    }
}

impl<M: Copy> Rules<M> {
    /// The mistake that is made, if any.
    pub fn broken(self) -> Option<M> {
        self.broken
    }
}

impl<M> Default for Rules<M> {
    fn default() -> Rules<M> {
        Rules::ALL
    }
}

/// No rule is broken where no mistake was compiled in.
#[cfg(not(feature = "mistakes"))]
pub(crate) const fn never<M>(_: &Rules<M>) -> bool {
    false
}

/// `breaks!(rules, Table, SomeMistake)`: is this the run that makes that mistake? A constant `false` outside the models. Each
/// wing has a `breaks!` of its own that knows its table.
macro_rules! breaks {
    ($rules:expr, $table:ty, $mistake:ident) => {{
        #[cfg(feature = "mistakes")]
        let broken = $rules.broken() == Some(<$table>::$mistake);
        #[cfg(not(feature = "mistakes"))]
        let broken = $crate::base::mistake::never::<$table>(&$rules);
        broken
    }};
}
pub(crate) use breaks;
