//! What the keeper of gates decides by: words that it reads, and the clock. And what a node that was not quorate for a while has to
//! find on the disks before its gates open again.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::base::epoch::Epoch;
use crate::base::id::{Incarnation, NodeId, NodeUuid};
use crate::base::time::BootTime;
use crate::cluster::view::ViewNumber;
use crate::format::model::{ContainerKind, Model};

/// What evmsd tells of its lease: the end, in milliseconds of boot time, 0 being none; the term; and the newest moment of which it is
/// proven that this node was quorate then, likewise in milliseconds.
pub type Words = [AtomicU64; 3];

/// This node may act until then, seen `now`, and could at `proven`; `None` from now on not any more. Written into the words that
/// [`Reign::of`] reads. A lease that had ended is not that one again: others may have been quorate in between.
pub fn tell(words: &Words, until: Option<BootTime>, proven: BootTime, now: BootTime) {
    let [end, term, proof] = words;
    let ends = || {
        end.store(0, Ordering::Release);
        proof.store(0, Ordering::Release);
        // What was begun under it does not go on under the next one.
        term.fetch_add(1, Ordering::AcqRel);
    };
    let Some(until) = until else { return ends() };
    if now.ms >= end.load(Ordering::Acquire) {
        ends();
    }
    // Behind the term: who reads what proves a lease reads that lease's term too.
    proof.store(proven.ms, Ordering::Release);
    end.store(until.ms, Ordering::Release);
}

/// The view by which the lease in the words is, or was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leased(Option<ViewNumber>);

impl Leased {
    /// Of a daemon that goes on where the one before was.
    pub fn by(view: ViewNumber) -> Leased {
        Leased(Some(view))
    }

    /// Tells by which view this node is quorate, and until when; and when that is proven to have been so. Nobody's leave outlasts the view in which it was given: evidence
    /// against who is in the next one is void (safety 5.4).
    pub fn tell(
        &mut self,
        words: &Words,
        quorate: Option<(ViewNumber, BootTime)>,
        proven: BootTime,
        now: BootTime,
    ) {
        let number = quorate.map(|(number, _)| number);
        if self.0.is_some() && number != self.0 {
            tell(words, None, proven, now);
        }
        self.0 = number.or(self.0);
        tell(words, quorate.map(|(_, until)| until), proven, now);
    }

    /// Is it by this view?
    pub fn is_by(self, view: ViewNumber) -> bool {
        self.0 == Some(view)
    }
}

/// Is a gate watched as was promised? The promise is the milliseconds after which a watchdog bites, as the container's disks say;
/// zero promises nothing, and zero is the time of a watchdog that is not there.
pub fn is_watched(promised_ms: u64, watchdog_ms: u64) -> bool {
    promised_ms == 0 || (1..=promised_ms).contains(&watchdog_ms)
}

/// The lease of this node, as its words say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reign {
    /// Which lease it is: another one after each that was lost.
    pub term: u64,
    /// When it ends; zero when there is none.
    pub end: BootTime,
}

impl Reign {
    /// As the words say it that evmsd keeps for this machine: the lease's end, in milliseconds of boot time, and its term.
    pub fn of(words: &Words) -> Reign {
        let [end, term, _] = words;
        let before = term.load(Ordering::Acquire);
        let ms = end.load(Ordering::Acquire);
        // An end belongs to the term only if that was the same around it.
        let same = term.load(Ordering::Acquire) == before;
        Reign { term: before, end: BootTime { ms: if same { ms } else { 0 } } }
    }

    /// Is it in force?
    pub fn lasts(self, now: BootTime) -> bool {
        now < self.end
    }

    /// May a gate be open that was ordered to be so in this term? Who ordered it had read its disks under the lease of that term.
    pub fn covers(self, ordered: u64, now: BootTime) -> bool {
        ordered != 0 && ordered == self.term && self.lasts(now)
    }

    /// Is the watchdog fed? While this node may act, or can do no harm: never while a gate is open or draining past the end of
    /// the lease (safety 4.5).
    pub fn feeds(self, all_shut: bool, now: BootTime) -> bool {
        all_shut || self.lasts(now)
    }
}

/// What a container's disks say to a node that had gates open on it, lost its quorum, and has it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regained {
    /// It is this node's still, as far as was read: where it stands as it was left, or else by an opening, its gates open, and what waits
    /// goes on.
    Held(Epoch),
    /// Another node held it, or nobody may: what waits must fail, for it was meant for what stood there before.
    Lost,
    /// That cannot be told: no majority of its disks could be read, or a change of another node is in doubt.
    Unclear,
}

/// Who had gates open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Me {
    /// The node's number.
    pub id: NodeId,
    /// Its machine.
    pub node: NodeUuid,
    /// Its life.
    pub incarnation: Incarnation,
}

/// Judges it. `chosen` is the model and its epoch that a majority of the disks gave, and whether it is committed; `held` the epoch
/// under which `me` had its gates open. Whoever takes it, or counts this node out, says so in the same commit, and nobody but this
/// node itself admits it again, which it does not do as long as it has gates from before: so who is admitted still has lost nothing,
/// whoever opened the container meanwhile (safety 3.4).
pub fn regained(chosen: Option<(&Model, Epoch, bool)>, held: Epoch, me: Me) -> Regained {
    let Some((model, epoch, committed)) = chosen else { return Regained::Unclear };
    let container = &model.container;
    let admitted = container.holder(me.node).is_some_and(|holder| holder.incarnation == me.incarnation);
    let mine = match container.kind {
        ContainerKind::Private => container.owner.as_ref().is_some_and(|owner| owner.node == me.node),
        ContainerKind::Shared => true,
        ContainerKind::Deported | ContainerKind::Deleted => false,
    };
    // An older epoch: disks went back in time.
    match (mine && admitted && epoch >= held, committed || epoch.minted_by() == me.id) {
        // What is in doubt is gone on with by an opening, which settles that and asks again. Where all nodes have gates that are closed
        // nobody else would.
        (true, _) => Regained::Held(epoch),
        (false, true) => Regained::Lost,
        // What is not committed may be gone again at the next look.
        (false, false) => Regained::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch::Generation;
    use crate::format::model::{Holder, Owner};
    use crate::volume::plan::fixture::container;

    const ME: Me = Me { id: NodeId(1), node: NodeUuid([1; 16]), incarnation: Incarnation([1; 16]) };
    const HELD: Epoch = Epoch(5 << 16 | 1);

    fn at(ms: u64) -> BootTime {
        BootTime { ms }
    }

    /// What proves a lease is told with it, and of a lease that ended nothing is left that proves the next one.
    #[test]
    fn a_lease_is_told_with_what_proves_it() {
        let words = Words::default();
        let view = |counter| ViewNumber { counter, ..ViewNumber::default() };
        let mut leased = Leased::default();
        leased.tell(&words, Some((view(1), at(1000))), at(300), at(400));
        let all = |words: &Words| words.each_ref().map(|word| word.load(Ordering::Acquire));
        let [end, term, proven] = all(&words);
        assert_eq!((end, proven), (1000, 300));
        leased.tell(&words, Some((view(1), at(1200))), at(500), at(600));
        assert_eq!(all(&words), [1200, term, 500], "it goes on");
        leased.tell(&words, Some((view(2), at(1400))), at(700), at(800));
        let [end, next, proven] = all(&words);
        assert!(next > term && (end, proven) == (1400, 700), "another view");
        leased.tell(&words, None, at(700), at(900));
        let [end, _, proven] = all(&words);
        assert_eq!((end, proven), (0, 0));
    }

    /// Safety 4.1 and 4.5, row by row.
    #[test]
    fn a_gate_is_open_in_its_term_while_the_lease_lasts() {
        let reign = Reign { term: 3, end: at(1000) };
        let rows = [(3, 999, true), (3, 1000, false), (2, 999, false), (4, 999, false), (0, 0, false)];
        for (ordered, now, open) in rows {
            assert_eq!(reign.covers(ordered, at(now)), open, "{ordered} at {now}");
        }
        assert!(!Reign { term: 0, end: at(9) }.covers(0, at(1)), "no order is no leave");
        assert_eq!([true, false].map(|shut| reign.feeds(shut, at(999))), [true, true]);
        assert_eq!([true, false].map(|shut| reign.feeds(shut, at(1000))), [true, false]);
    }

    fn mine(expelled: bool) -> Holder {
        Holder {
            node: ME.node,
            incarnation: ME.incarnation,
            confirmed: Generation(1),
            expelled,
            watchdog_ms: 0,
        }
    }

    fn ask(model: &Model, round: u64, by: u64, committed: bool) -> Regained {
        regained(Some((model, Epoch(round << 16 | by), committed)), HELD, ME)
    }

    #[test]
    fn what_another_node_had_meanwhile_is_lost() {
        let mut model = container(&[10, 10]);
        model.container.owner = Some(Owner { node: ME.node, name: None });
        model.container.holders = vec![mine(false)];
        assert_eq!(ask(&model, 5, 1, true), Regained::Held(HELD));
        // A command of this node was cut off by the end of the lease: an opening of its own goes on from there.
        assert_eq!(ask(&model, 6, 1, false), Regained::Held(Epoch(6 << 16 | 1)));
        assert_eq!(ask(&model, 6, 1, true), Regained::Held(Epoch(6 << 16 | 1)));
        // Another node opened it and was cut off before it had taken it, or wrote nothing that is committed.
        assert_eq!(ask(&model, 6, 2, true), Regained::Held(Epoch(6 << 16 | 2)));
        assert_eq!(ask(&model, 6, 2, false), Regained::Held(Epoch(6 << 16 | 2)));
        // An older one than this node had: disks went back in time.
        assert_eq!(ask(&model, 4, 1, true), Regained::Lost);
        assert_eq!(regained(None, HELD, ME), Regained::Unclear);
        // It was taken, and given back.
        model.container.holders = vec![mine(true)];
        assert_eq!(ask(&model, 6, 1, true), Regained::Lost);
        model.container.holders.clear();
        assert_eq!(ask(&model, 6, 1, true), Regained::Lost);
        model.container.holders = vec![mine(false)];
        model.container.owner = Some(Owner { node: NodeUuid([2; 16]), name: None });
        assert_eq!(ask(&model, 6, 2, true), Regained::Lost);
        assert_eq!(
            ask(&model, 6, 2, false),
            Regained::Unclear,
            "who takes it has not got to the end, and may not"
        );
        assert_eq!(ask(&model, 5, 1, true), Regained::Lost);
        model.container.owner = Some(Owner { node: ME.node, name: None });
        model.container.kind = ContainerKind::Deported;
        assert_eq!(ask(&model, 5, 1, true), Regained::Lost);
    }

    /// Safety 3.4: others change what is shared, and that is no loss; being counted out is.
    #[test]
    fn of_what_is_shared_counts_that_this_life_is_admitted() {
        let mut model = container(&[10, 10]);
        (model.container.kind, model.container.owner) = (ContainerKind::Shared, None);
        model.container.holders.clear();
        assert_eq!(ask(&model, 6, 2, true), Regained::Lost);
        model.container.holders = vec![mine(false)];
        assert_eq!(ask(&model, 6, 2, true), Regained::Held(Epoch(6 << 16 | 2)));
        assert_eq!(ask(&model, 6, 2, false), Regained::Held(Epoch(6 << 16 | 2)));
        assert_eq!(ask(&model, 4, 2, true), Regained::Lost, "disks went back in time");
        model.container.holders[0].incarnation = Incarnation([9; 16]);
        assert_eq!(ask(&model, 6, 2, true), Regained::Lost);
        model.container.holders = vec![mine(true)];
        assert_eq!(ask(&model, 6, 2, true), Regained::Lost);
    }
}
