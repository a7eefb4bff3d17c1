//! Every mask of damage over a set of disks, against arithmetic that knows nothing of the code it judges. Each disk
//! holds the new model at both ends, at the primary alone, or not at all; each of its four copies is whole or torn; or
//! the disk is missing.

use evms::base::id::DiskNumber;
use evms::format::damage::{Damage, Fault, What};
use evms::format::layout::End;
use evms::format::model::{DiskState, Model, OldSet};
use evms::format::slot::SlotImage;
use evms::volume::choose::{self, Chosen, DiskCopies, Unchosen};
use evms::volume::mistake::Rules;

use crate::member::COPIES;
use crate::specimen;

/// Generations: what slot 1 held before, what slot 0 holds, what is being written into slot 1.
const OLDER: u64 = 300;
const OLD: u64 = 301;
const NEW: u64 = 302;
/// How far the new model came on one disk.
const HOLDINGS: [&[End]; 3] = [&[], &[End::Primary], &[End::Primary, End::Secondary]];
/// Sixteen masks of whole copies, and one for a disk that is missing.
const STATES: usize = 17;
const MISSING: usize = 16;

/// The set of disks that the new model names, and the one before.
pub struct Sets {
    pub present: &'static [u16],
    pub first: u16,
    pub old: Option<(&'static [u16], u16)>,
}

impl Sets {
    fn before(&self) -> (&'static [u16], u16) {
        self.old.unwrap_or((self.present, self.first))
    }

    fn everyone(&self) -> Vec<u16> {
        let mut all = [self.present, self.before().0].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What the model of a generation asks for: a majority of each of these.
    fn asked(&self, generation: u64) -> Vec<(&'static [u16], u16)> {
        match (generation, self.old) {
            (NEW, Some(old)) => vec![(self.present, self.first), old],
            (NEW, None) => vec![(self.present, self.first)],
            _ => vec![self.before()],
        }
    }

    fn model(&self, generation: u64) -> Model {
        let mut model = specimen::model();
        let (members, first) = if generation == NEW { (self.present, self.first) } else { self.before() };
        let known = specimen::model_mid_set_change().table.disks;
        model.table.disks = known.into_iter().filter(|disk| disk.number.0 <= 3).collect();
        model.table.disks.retain(|disk| members.contains(&disk.number.0) || generation == NEW);
        for disk in &mut model.table.disks {
            let member = members.contains(&disk.number.0);
            disk.state =
                if member { DiskState::In } else { DiskState::Released(evms::base::epoch::Generation(NEW)) };
        }
        model.table.first = DiskNumber(first);
        if let (NEW, Some((disks, first))) = (generation, self.old) {
            let disks = disks.iter().map(|&number| DiskNumber(number)).collect();
            model.table.old_set = Some(OldSet { disks, first: DiskNumber(first) });
        }
        model
    }
}

/// More than half of the votes, where the marked disk of an even set has two.
fn majority(set: &[u16], first: u16, have: &[u16]) -> bool {
    let weight = |number: u16| if set.len().is_multiple_of(2) && number == first { 2 } else { 1 };
    let total: usize = set.iter().map(|&number| weight(number)).sum();
    let got: usize = set.iter().filter(|number| have.contains(number)).map(|&number| weight(number)).sum();
    2 * got > total
}

/// One disk of one case.
struct Holding<'a> {
    number: u16,
    ends: &'a [End],
    state: usize,
}

impl Holding<'_> {
    /// The generation that was written to a copy.
    fn written(&self, place: usize) -> u64 {
        match COPIES[place] {
            (_, index) if index.number() == 0 => OLD,
            (end, _) if self.ends.contains(&end) => NEW,
            _ => OLDER,
        }
    }

    fn whole(&self, place: usize) -> bool {
        self.state != MISSING && self.state >> place & 1 == 1
    }

    fn newest(&self, counts: impl Fn(u64) -> bool) -> Option<u64> {
        let whole = (0..4).filter(|&place| self.whole(place)).map(|place| self.written(place));
        whole.filter(|&generation| counts(generation)).max()
    }

    fn holds(&self, generation: u64) -> bool {
        (0..4).any(|place| self.whole(place) && self.written(place) == generation)
    }

    /// Copies 0 and 2 are slot 0 at both ends, 1 and 3 slot 1.
    fn speaks(&self) -> bool {
        (self.whole(0) || self.whole(2)) && (self.whole(1) || self.whole(3))
    }
}

struct Written {
    images: [SlotImage; 3],
}

impl Written {
    fn image(&self, generation: u64) -> &SlotImage {
        &self.images[(generation - OLDER) as usize]
    }

    fn copies(&self, disk: &Holding<'_>) -> DiskCopies {
        let copy = |place: usize| match disk.whole(place) {
            true => Ok(self.image(disk.written(place)).clone()),
            false => Err(Damage::new(What::SlotBody, Fault::Checksum)),
        };
        let slots = (0..4).map(|place| (COPIES[place].0, COPIES[place].1, copy(place))).collect();
        DiskCopies { number: DiskNumber(disk.number), id: specimen::disk_id(disk.number), slots }
    }
}

/// Runs every case and gives their number.
pub fn all(sets: &Sets) -> usize {
    let written = Written {
        images: [OLDER, OLD, NEW].map(|generation| specimen::image_at(&sets.model(generation), generation)),
    };
    let numbers = sets.everyone();
    let count = numbers.len() as u32;
    let mut cases = 0;
    for far in 0..HOLDINGS.len().pow(count) {
        for mask in 0..STATES.pow(count) {
            let disks = numbers.iter().enumerate().map(|(place, &number)| Holding {
                number,
                ends: HOLDINGS[far / HOLDINGS.len().pow(place as u32) % HOLDINGS.len()],
                state: mask / STATES.pow(place as u32) % STATES,
            });
            one(sets, &written, &disks.collect::<Vec<_>>());
            cases += 1;
        }
    }
    cases
}

fn one(sets: &Sets, written: &Written, disks: &[Holding<'_>]) {
    let seen: Vec<_> =
        disks.iter().filter(|disk| disk.state != MISSING).map(|disk| written.copies(disk)).collect();
    // A copy speaks only on a disk that its own model knows.
    let at_home =
        |disk: &Holding<'_>, generation| sets.model(generation).disk(DiskNumber(disk.number)).is_some();
    let newest = disks.iter().filter_map(|disk| disk.newest(|generation| at_home(disk, generation))).max();
    match (newest, choose::choose(&seen, Rules::ALL)) {
        (None, Err(Unchosen::Nothing)) => {}
        (Some(newest), Ok(chosen)) => judge(sets, written, disks, newest, &chosen),
        (newest, chosen) => {
            panic!("{newest:?} is the newest that can be read, and the choice was {chosen:?}")
        }
    }
}

fn judge(sets: &Sets, written: &Written, disks: &[Holding<'_>], newest: u64, chosen: &Chosen) {
    let asked = sets.asked(newest);
    // Disks that the chosen model knows, members or not; who else speaks is not counted.
    let known: Vec<u16> = chosen.model.table.disks.iter().map(|disk| disk.number.0).collect();
    let counted = |pass: fn(&Holding<'_>, u64) -> bool| -> Vec<u16> {
        let passing = disks.iter().filter(|disk| known.contains(&disk.number) && pass(disk, newest));
        passing.map(|disk| disk.number).collect()
    };
    let (held, read) = (counted(|disk, newest| disk.holds(newest)), counted(|disk, _| disk.speaks()));
    let enough = |have: &[u16]| asked.iter().all(|(set, first)| majority(set, *first, have));
    assert_eq!(chosen.image, *written.image(newest), "the newest that any disk can show, and nothing else");
    assert_eq!(chosen.committed, enough(&held));
    assert_eq!(chosen.majority_read, enough(&read));
    assert_eq!(chosen.held_by.iter().map(|number| number.0).collect::<Vec<_>>(), held);
    assert_eq!(chosen.read.iter().map(|number| number.0).collect::<Vec<_>>(), read);
}

/// Two contents under one order at any two places of two disks.
pub fn conflicts() -> usize {
    let one = specimen::image_at(&specimen::model(), NEW);
    let other = specimen::image_at(&specimen::model_opening(), NEW);
    let torn = || Err(Damage::new(What::SlotBody, Fault::Checksum));
    let copies = |number: u16, held: usize, image: &SlotImage| {
        let slot = |place: usize| if place == held { Ok(image.clone()) } else { torn() };
        let slots = (0..4).map(|place| (COPIES[place].0, COPIES[place].1, slot(place))).collect();
        DiskCopies { number: DiskNumber(number), id: specimen::disk_id(number), slots }
    };
    for pair in 0..16 {
        let disks = [copies(1, pair / 4, &one), copies(2, pair % 4, &other)];
        assert!(matches!(choose::choose(&disks, Rules::ALL), Err(Unchosen::Conflict { .. })), "{pair}");
    }
    16
}
