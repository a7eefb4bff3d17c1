//! What is under way on one link. Each packet is sent once, under a number of its own; what it carried may be sent again in
//! another one, so that an acknowledgement always says which sending arrived (RFC 9002, section 6).

use std::collections::BTreeMap;

use crate::base::time::BootMicros;
use crate::cluster::transport::limits::{GIVEN_UP_MAX, OVERTAKERS_MAX};
use crate::format::packet::Arrived;

/// A packet that asks to be acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it left.
    pub at: BootMicros,
    /// Bytes of its payload.
    pub bytes: u64,
    /// What of the stream it carries.
    pub pieces: Vec<(u64, u64)>,
    /// Does it say how far this node's application took the peer's stream?
    pub tells_taken: bool,
    /// The largest of the peer's packets that it acknowledges.
    pub acknowledges: Option<u64>,
    /// Which one of the link's packets it is: [`Flight::sent`] says.
    pub order: u64,
}

impl Sent {
    /// A packet that leaves now.
    pub fn new(at: BootMicros, bytes: u64, pieces: Vec<(u64, u64)>) -> Sent {
        Sent { at, bytes, pieces, tells_taken: false, acknowledges: None, order: 0 }
    }
}

/// What an acknowledgement said about one link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// Packets that arrived.
    pub packets: Vec<Sent>,
    /// Packets that had been given up and arrived after all.
    pub late: Vec<Sent>,
    /// When the packet left that is the largest of all acknowledged, if it is news, and of this link.
    pub largest_sent: Option<BootMicros>,
}

/// What is under way on one link.
#[derive(Clone, Debug, Default)]
pub struct Flight {
    under_way: BTreeMap<u64, Sent>,
    given_up: BTreeMap<u64, Sent>,
    bytes: u64,
    order: u64,
    /// The order behind that of the newest packet that arrived.
    arrived: u64,
    last: BootMicros,
}

impl Flight {
    /// Bytes under way.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets under way.
    pub fn packets(&self) -> usize {
        self.under_way.len()
    }

    /// When the last packet left.
    pub fn last(&self) -> BootMicros {
        self.last
    }

    /// A packet left. What had left under the same number, which no caller should let happen, is answered: it counts as lost.
    pub fn sent(&mut self, number: u64, mut sent: Sent) -> Option<Sent> {
        sent.order = self.order;
        self.order += 1;
        self.bytes += sent.bytes;
        self.last = sent.at;
        let before = self.under_way.insert(number, sent)?;
        self.bytes -= before.bytes;
        Some(before)
    }

    /// Takes an acknowledgement in.
    pub fn acknowledge(&mut self, arrived: &Arrived) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        let largest = arrived.ranges.first().map(|(_, largest)| *largest);
        for (least, most) in &arrived.ranges {
            let known: Vec<u64> = self.under_way.range(*least..=*most).map(|(number, _)| *number).collect();
            for number in known {
                let Some(sent) = self.under_way.remove(&number) else { continue };
                self.bytes -= sent.bytes;
                self.arrived = self.arrived.max(sent.order + 1);
                if Some(number) == largest {
                    acknowledged.largest_sent = Some(sent.at);
                }
                acknowledged.packets.push(sent);
            }
            if !self.given_up.is_empty() {
                let late: Vec<u64> = self.given_up.range(*least..=*most).map(|(number, _)| *number).collect();
                acknowledged.late.extend(late.iter().filter_map(|number| self.given_up.remove(number)));
            }
        }
        acknowledged
    }

    /// Packets that were overtaken and are not waited for any longer. `patience_us` is for how long one may be under way when
    /// a later one arrived; where packets overtake each other, how many did says nothing.
    pub fn give_up(&mut self, now: BootMicros, patience_us: u64, overtaking: bool) -> Vec<Sent> {
        let is_lost = |sent: &Sent| {
            let overtakers = !overtaking && sent.order + OVERTAKERS_MAX < self.arrived;
            overtakers || sent.at.plus_us(patience_us) <= now
        };
        let overtaken = self.under_way.iter().take_while(|(_, sent)| sent.order < self.arrived);
        let lost: Vec<u64> = overtaken.filter(|(_, sent)| is_lost(sent)).map(|(number, _)| *number).collect();
        self.forget(&lost)
    }

    /// When the first overtaken packet will have been under way for too long.
    pub fn give_up_at(&self, patience_us: u64) -> Option<BootMicros> {
        let first = self.under_way.values().next().filter(|sent| sent.order < self.arrived);
        first.map(|sent| sent.at.plus_us(patience_us))
    }

    /// All packets: the link is not waited for any longer.
    pub fn give_up_all(&mut self) -> Vec<Sent> {
        let all: Vec<u64> = self.under_way.keys().copied().collect();
        self.forget(&all)
    }

    fn forget(&mut self, numbers: &[u64]) -> Vec<Sent> {
        let mut lost = Vec::new();
        for number in numbers {
            if let Some(sent) = self.under_way.remove(number) {
                self.bytes -= sent.bytes;
                self.given_up.insert(*number, sent.clone());
                lost.push(sent);
            }
        }
        while self.given_up.len() > GIVEN_UP_MAX {
            self.given_up.pop_first();
        }
        lost
    }

    /// The packets that are under way for longest.
    pub fn oldest(&self) -> impl Iterator<Item = &Sent> {
        self.under_way.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> BootMicros {
        BootMicros { us }
    }

    fn flight(packets: u64) -> Flight {
        let mut flight = Flight::default();
        // Numbers of a link have gaps: other links use them too.
        (0..packets).for_each(|turn| {
            flight.sent(10 * turn, Sent::new(at(turn), 100, vec![(turn, turn + 1)]));
        });
        flight
    }

    fn arrived(ranges: &[(u64, u64)]) -> Arrived {
        Arrived { held_back_us: 0, ranges: ranges.to_vec() }
    }

    #[test]
    fn three_later_ones_or_time_say_that_one_is_lost() {
        let mut flight = flight(6);
        let told = flight.acknowledge(&arrived(&[(35, 40)]));
        assert_eq!((told.packets.len(), told.largest_sent), (1, Some(at(4))));
        let lost = flight.give_up(at(50), 1000, false);
        assert_eq!(lost.iter().map(|sent| sent.at.us).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(flight.give_up_at(1000), Some(at(1002)));
        assert_eq!(flight.give_up(at(1002), 1000, false).len(), 1);
        assert_eq!((flight.packets(), flight.bytes()), (2, 200));
        let late = flight.acknowledge(&arrived(&[(0, 10)]));
        assert_eq!((late.late.len(), late.packets.len(), late.largest_sent), (2, 0, None));
        // The last one was not overtaken: nothing says that it is lost.
        flight.give_up(at(9999), 1000, false);
        assert_eq!((flight.packets(), flight.give_up_at(1000)), (1, None));
        assert_eq!((flight.give_up_all().len(), flight.bytes()), (1, 0));
    }

    #[test]
    fn where_packets_overtake_only_time_counts() {
        let mut flight = flight(20);
        flight.acknowledge(&arrived(&[(190, 190)]));
        assert!(flight.give_up(at(50), 1000, true).is_empty());
        assert_eq!(flight.give_up(at(1005), 1000, true).len(), 6);
    }
}
