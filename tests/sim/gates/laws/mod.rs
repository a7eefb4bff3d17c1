//! The laws of this world, one a file, after `faults.md`; and what they remember.

pub mod ending;
pub mod evidence;
pub mod models;
pub mod one_writer;
pub mod stale_writer;

use evms::base::epoch::{Epoch, Order};
use evms::base::time::BootTime;
use evms::engine::guard::keeping::Reign;
use evms::format::model::Model;

use models::Models;

/// What is known of a container by all that was ever written.
#[derive(Default)]
pub struct Told {
    pub models: Models,
    /// The model that a majority of the disks has, and the one before it.
    pub committed: Option<(Order, Model)>,
    pub before: Option<Model>,
    /// By machine: the epoch that counted it out last, or gave its container to another.
    pub out: Vec<Epoch>,
    /// By machine: was what it had taken, or is it to be, on nothing but that time had passed?
    pub by_time: Vec<bool>,
    /// Who began to write under the highest epoch.
    pub writes: Option<(usize, Epoch)>,
}

pub struct Laws {
    pub told: [Told; 2],
    /// By machine, when the lease that ended last did.
    ended: Vec<BootTime>,
}

impl Laws {
    pub fn new(machines: usize) -> Laws {
        let told =
            || Told { out: vec![Epoch::NONE; machines], by_time: vec![false; machines], ..Told::default() };
        Laws { told: [told(), told()], ended: vec![BootTime::default(); machines] }
    }

    /// A machine's lease was told anew.
    pub fn reigns(&mut self, place: usize, before: Reign, after: Reign, now: BootTime) {
        let ends = before.end.min(now);
        if before.end > BootTime::default() && (after.term != before.term || after.end < before.end) {
            self.ended[place] = ends;
        }
    }

    /// When the lease of a machine ended; now while it lasts.
    pub fn ended(&self, place: usize, reign: Reign, now: BootTime) -> BootTime {
        match reign.end {
            end if end == BootTime::default() => self.ended[place],
            end => end.min(now),
        }
    }

    /// When the lease before this one ended.
    pub fn ended_before(&self, place: usize) -> BootTime {
        self.ended[place]
    }

    /// A machine comes up, and its clock begins anew.
    pub fn boots(&mut self, place: usize) {
        self.ended[place] = BootTime::default();
    }

    pub fn committed(&self, container: usize) -> Option<&Model> {
        self.told[container].committed.as_ref().map(|(_, model)| model)
    }

    pub fn committed_in_words(&self, container: usize) -> String {
        let Some((order, model)) = &self.told[container].committed else { return String::new() };
        let holders = model.container.holders.iter().map(|holder| {
            let end = if holder.expelled { " expelled" } else { "" };
            format!("{}.{} {} ms{end}", holder.node.0[0], holder.incarnation.0[8], holder.watchdog_ms)
        });
        format!(
            "{order:?} is committed: owner {:?}, {:?}, holders {:?}",
            model.container.owner.as_ref().map(|owner| owner.node.0[0]),
            model.change.kind,
            holders.collect::<Vec<_>>()
        )
    }

    pub fn standing(&self) -> Vec<String> {
        [0, 1].into_iter().map(|container| self.committed_in_words(container)).collect()
    }
}
