//! Free extents. Think of a car park where a place is free only when no car stands on it *and* nobody who once had
//! its key may still drive in: extents that were freed wait in quarantine until every holder of the container is known
//! to run tables in which they are gone (safety 2.7).

use crate::base::epoch::Generation;
use crate::base::gather::Gather;
use crate::base::id::DiskNumber;
use crate::base::small_map::SmallMap;
use crate::base::sorted::{sort, sort_by_key};
use crate::base::units::Extents;
use crate::format::model::{Container, Disk, DiskState, Freed, Model, Run};
use crate::volume::runs;

/// The youngest generation whose freed extents are out of everybody's hands: the smallest that a holder who was not
/// expelled confirmed. `None`: nobody holds the container.
pub fn confirmed_by_all(container: &Container) -> Option<Generation> {
    container.holders.iter().filter(|holder| !holder.expelled).map(|holder| holder.confirmed).min()
}

/// Is the quarantine of this run over, in a plan that starts from the model committed as `at`?
pub fn available(container: &Container, freed: &Freed, at: Generation) -> bool {
    let out_of_hands = confirmed_by_all(container).is_none_or(|confirmed| freed.generation <= confirmed);
    // A run freed by the plan under way carries a generation above `at`.
    out_of_hands && freed.generation <= at
}

/// May extents of this disk be given out?
pub fn gives(disk: &Disk) -> bool {
    disk.state == DiskState::In
}

/// What is free on each disk that gives, in runs as long as possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    disks: SmallMap<DiskNumber, Vec<Run>>,
}

/// Every extent of a model, told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Extents of all members.
    pub total: Extents,
    /// Under regions.
    pub used: Extents,
    /// Freed, and still in quarantine.
    pub waiting: Extents,
    /// To be had now.
    pub free: Extents,
    /// Neither used nor waiting, on members that missed commits.
    pub absent: Extents,
}

/// Every run of every region.
pub fn region_runs(model: &Model) -> impl Iterator<Item = Run> + '_ {
    model.regions.iter().flat_map(|region| region.columns.iter().flatten().copied())
}

fn waiting_runs(model: &Model, at: Generation) -> impl Iterator<Item = Run> + '_ {
    model.freed.iter().filter(move |freed| !available(&model.container, freed, at)).map(|freed| freed.run)
}

fn unused(model: &Model, at: Generation, which: impl Fn(&Disk) -> bool) -> Vec<Run> {
    let whole = |disk: &Disk| Run { disk: disk.number, start: Extents::ZERO, count: disk.extents };
    let from = model.table.disks.iter().filter(|disk| which(disk)).map(whole).collect();
    runs::subtract(from, region_runs(model).chain(waiting_runs(model, at)).collect())
}

/// Counts every extent of a model that was committed as `at`.
pub fn usage(model: &Model, at: Generation) -> Usage {
    let members = model.table.disks.iter().filter(|disk| disk.is_member());
    let free = runs::total(&unused(model, at, gives));
    Usage {
        total: members.fold(Extents::ZERO, |sum, disk| runs::add(sum, disk.extents)),
        used: region_runs(model).fold(Extents::ZERO, |sum, run| runs::add(sum, run.count)),
        waiting: waiting_runs(model, at).fold(Extents::ZERO, |sum, run| runs::add(sum, run.count)),
        free,
        absent: runs::sub(runs::total(&unused(model, at, Disk::is_member)), free),
    }
}

impl FreeSpace {
    /// What is free in a model that was committed as `at`.
    pub fn of(model: &Model, at: Generation) -> FreeSpace {
        let giving = model.table.disks.iter().filter(|disk| gives(disk));
        let mut disks: SmallMap<_, Vec<Run>> = giving.map(|disk| (disk.number, Vec::new())).gather();
        for run in unused(model, at, gives) {
            disks.or_insert_with(run.disk, Vec::new).push(run);
        }
        FreeSpace { disks }
    }

    /// The same on these disks alone; no disks named is all of them.
    pub fn only(mut self, on: &[DiskNumber]) -> FreeSpace {
        self.disks.retain(|disk, _| on.is_empty() || on.contains(disk));
        self
    }

    /// The same without these disks.
    pub fn without(mut self, disks: &[DiskNumber]) -> FreeSpace {
        self.disks.retain(|disk, _| !disks.contains(disk));
        self
    }

    /// All free extents.
    pub fn total(&self) -> Extents {
        self.disks.values().fold(Extents::ZERO, |sum, free| runs::add(sum, runs::total(free)))
    }

    /// Free extents of one disk.
    pub fn on(&self, disk: DiskNumber) -> Extents {
        self.disks.get(&disk).map_or(Extents::ZERO, |free| runs::total(free))
    }

    /// Free extents disk by disk, full ones too, by number.
    pub fn by_disk(&self) -> Vec<(DiskNumber, Extents)> {
        self.disks.iter().map(|(&disk, free)| (disk, runs::total(free))).collect()
    }

    /// The same, those with most first.
    pub fn roomiest(&self) -> Vec<(DiskNumber, Extents)> {
        let mut disks = self.by_disk();
        sort_by_key(&mut disks, |&(disk, free)| (core::cmp::Reverse(free), disk));
        disks
    }

    /// Free runs, by disk and place.
    pub fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.disks.values().flatten().copied()
    }

    /// Takes up to `most` extents that continue `after` on its disk.
    pub fn take_after(&mut self, after: Run, most: Extents) -> Option<Run> {
        let next = self.disks.get(&after.disk)?.iter().find(|run| run.start == after.end()).copied()?;
        let taken = Run { count: next.count.min(most), ..next };
        self.remove(&[taken]);
        Some(taken)
    }

    /// Takes `want` extents of one disk: the first run that is long enough, or else as few runs as possible.
    /// `None`, and nothing taken, when there are fewer.
    pub fn take_on(&mut self, disk: DiskNumber, want: Extents) -> Option<Vec<Run>> {
        let chosen = choose(self.disks.get(&disk)?.clone(), want)?;
        self.remove(&chosen);
        Some(chosen)
    }

    /// Takes `want` extents: one run, else one disk, else as few runs as possible.
    pub fn take(&mut self, want: Extents) -> Option<Vec<Run>> {
        if self.total() < want {
            return None;
        }
        let one_run = self.runs().find(|run| run.count >= want).map(|run| run.disk);
        let one_disk = || self.by_disk().into_iter().find(|&(_, free)| free >= want).map(|(disk, _)| disk);
        if let Some(disk) = one_run.or_else(one_disk) {
            return self.take_on(disk, want);
        }
        let chosen = choose(self.runs().collect(), want)?;
        self.remove(&chosen);
        Some(chosen)
    }

    /// Takes just this run; `None`, and nothing taken, when not all of it is free.
    pub fn take_exactly(&mut self, run: Run) -> Option<()> {
        let free = self.disks.get(&run.disk)?;
        free.iter().find(|free| free.start <= run.start && run.end() <= free.end())?;
        self.remove(&[run]);
        Some(())
    }

    fn remove(&mut self, taken: &[Run]) {
        for run in taken {
            if let Some(free) = self.disks.get_mut(&run.disk) {
                *free = runs::subtract(core::mem::take(free), vec![*run]);
            }
        }
    }
}

/// `want` extents out of `free`: the first run that holds all of them, or else the longest ones.
fn choose(mut free: Vec<Run>, want: Extents) -> Option<Vec<Run>> {
    if let Some(run) = free.iter().find(|run| run.count >= want) {
        return Some(vec![Run { count: want, ..*run }]);
    }
    sort_by_key(&mut free, |run| (core::cmp::Reverse(run.count), run.disk, run.start));
    let (mut chosen, _) = runs::cut(&free, want);
    sort(&mut chosen);
    (runs::total(&chosen) == want).then_some(chosen)
}

#[cfg(test)]
mod tests;
