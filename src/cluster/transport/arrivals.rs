//! Which packets of one peer came, and when to tell it. A gap is told at once, every other packet too; a lone one waits a little
//! for something to travel with.

use crate::base::time::BootMicros;
use crate::cluster::transport::limits::{ACKNOWLEDGE_US, ACKNOWLEDGED_TOGETHER, ARRIVAL_RANGES_MAX};
use crate::cluster::transport::ranges::Ranges;
use crate::format::packet::{ARRIVED_RANGES_MAX, Arrived};

/// Which packets of one peer came.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    numbers: Ranges,
    /// The largest, and when it came.
    largest: Option<(u64, BootMicros)>,
    /// Packets that ask to be acknowledged and were not.
    asking: u32,
    due: Option<BootMicros>,
    link: usize,
}

impl Arrivals {
    /// A packet came on a link; does it ask to be acknowledged?
    pub fn arrived(&mut self, now: BootMicros, number: u64, asks: bool, link: usize) {
        let behind = self.largest.is_none_or(|(largest, _)| Some(number) == largest.checked_add(1));
        self.numbers.insert(number, number.saturating_add(1));
        while self.numbers.len() > ARRIVAL_RANGES_MAX {
            self.numbers.pop_first();
        }
        if self.largest.is_none_or(|(largest, _)| number > largest) {
            self.largest = Some((number, now));
        }
        if asks {
            self.asking += 1;
            self.link = link;
            let at_once = !behind || self.asking >= ACKNOWLEDGED_TOGETHER;
            let due = if at_once { now } else { now.plus_us(ACKNOWLEDGE_US) };
            self.due = Some(self.due.map_or(due, |known| known.min(due)));
        }
    }

    /// When an acknowledgement must leave, though nothing else does.
    pub fn due(&self) -> Option<BootMicros> {
        self.due
    }

    /// The link on which the newest packet came that asks.
    pub fn link(&self) -> usize {
        self.link
    }

    /// The peer knows what was told when this was the largest: it need not be told again. Not while something is to be told,
    /// which might be below.
    pub fn known(&mut self, largest: u64) {
        if self.due.is_none() {
            self.numbers.remove(0, largest.saturating_add(1));
        }
    }

    /// What is to be told, if anything is; it counts as told.
    pub fn tell(&mut self, now: BootMicros) -> Option<Arrived> {
        self.due.take()?;
        self.asking = 0;
        let (_, at) = self.largest?;
        let ranges = self.numbers.downward().take(ARRIVED_RANGES_MAX).map(|(from, to)| (from, to - 1));
        let held_back_us = u32::try_from(now.since(at)).unwrap_or(u32::MAX);
        Some(Arrived { held_back_us, ranges: ranges.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> BootMicros {
        BootMicros { us }
    }

    #[test]
    fn a_lone_packet_waits_a_second_one_and_a_gap_do_not() {
        let mut arrivals = Arrivals::default();
        arrivals.arrived(at(10), 1, true, 2);
        assert_eq!((arrivals.due(), arrivals.link()), (Some(at(10 + ACKNOWLEDGE_US)), 2));
        arrivals.arrived(at(20), 2, true, 0);
        assert_eq!((arrivals.due(), arrivals.link()), (Some(at(20)), 0));
        assert_eq!(arrivals.tell(at(25)), Some(Arrived { held_back_us: 5, ranges: vec![(1, 2)] }));
        assert_eq!((arrivals.tell(at(26)), arrivals.due()), (None, None));
        arrivals.arrived(at(30), 3, false, 0);
        assert_eq!(arrivals.due(), None);
        arrivals.arrived(at(40), 5, true, 0);
        assert_eq!(arrivals.due(), Some(at(40)));
        assert_eq!(arrivals.tell(at(40)), Some(Arrived { held_back_us: 0, ranges: vec![(5, 5), (1, 3)] }));
        arrivals.arrived(at(50), 4, true, 0);
        arrivals.known(5);
        assert_eq!(arrivals.tell(at(50)), Some(Arrived { held_back_us: 10, ranges: vec![(1, 5)] }));
        arrivals.known(4);
        arrivals.arrived(at(60), 7, true, 0);
        assert_eq!(arrivals.tell(at(60)), Some(Arrived { held_back_us: 0, ranges: vec![(7, 7), (5, 5)] }));
    }

    #[test]
    fn what_is_kept_of_gaps_is_bounded() {
        let mut arrivals = Arrivals::default();
        (0..1000).for_each(|number| arrivals.arrived(at(number), 2 * number, true, 0));
        assert_eq!(arrivals.numbers.len(), ARRIVAL_RANGES_MAX);
        assert_eq!(arrivals.tell(at(1000)).unwrap().ranges.len(), ARRIVED_RANGES_MAX);
        arrivals.arrived(at(1001), u64::MAX, true, 0);
        assert!(arrivals.tell(at(1001)).is_some());
    }
}
