//! The links between machines: on each a network of its own, with its weather and cuts, and on each the largest packet that
//! passes between two machines. Larger ones vanish: a black hole tells nobody.

use crate::chance::Chance;
use crate::network::Network;

/// Payload of the smallest datagram, which always passes; of one over Ethernet; of one over jumbo frames.
pub const PAYLOADS: [usize; 3] = [1184, 1424, 8924];

pub struct Paths {
    machines: usize,
    pub links: Vec<Network>,
    largest: Vec<usize>,
}

impl Paths {
    pub fn new(machines: usize, links: usize, chance: &mut Chance) -> Paths {
        let kinds = (0..links).map(|_| PAYLOADS[chance.below(3) as usize]).collect::<Vec<_>>();
        let largest = kinds.iter().flat_map(|largest| vec![*largest; machines * machines]).collect();
        Paths { machines, links: (0..links).map(|_| Network::new(machines)).collect(), largest }
    }

    fn place(&self, link: usize, from: usize, to: usize) -> usize {
        (link * self.machines + from) * self.machines + to
    }

    pub fn set_largest(&mut self, link: usize, from: usize, to: usize, largest: usize) {
        let place = self.place(link, from, to);
        self.largest[place] = largest;
    }

    /// Does something pass in both directions?
    pub fn is_open(&self, link: usize, one: usize, other: usize) -> bool {
        !self.links[link].is_cut(one, other) && !self.links[link].is_cut(other, one)
    }

    /// After how many microseconds each copy of a packet arrives.
    pub fn fates(&self, link: usize, from: usize, to: usize, bytes: usize, chance: &mut Chance) -> Vec<u64> {
        if bytes > self.largest[self.place(link, from, to)] {
            return Vec::new();
        }
        self.links[link].fates(from, to, chance)
    }
}
