//! The network between machines: each direction between two has a cut of its own; loss, doubles and delays are the same for
//! all. What is delayed differently overtakes; what is corrupt is dropped by the seal, which is a loss.

use crate::chance::Chance;

#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub lost_per_mille: u64,
    pub doubled_per_mille: u64,
    pub delay_us: (u64, u64),
    /// Some datagrams stand in a queue for up to this long.
    pub late_per_mille: u64,
    pub late_us: u64,
}

impl Weather {
    pub const FAIR: Weather = Weather {
        lost_per_mille: 0,
        doubled_per_mille: 0,
        delay_us: (100, 400),
        late_per_mille: 0,
        late_us: 0,
    };

    pub fn some(chance: &mut Chance) -> Weather {
        let lost = [0, 10, 50, 200];
        let delays = [(100, 400), (100, 400), (1000, 20_000), (100, 200_000)];
        Weather {
            lost_per_mille: lost[chance.below(4) as usize],
            doubled_per_mille: [0, 50][chance.below(2) as usize],
            delay_us: delays[chance.below(4) as usize],
            late_per_mille: [0, 0, 20, 100][chance.below(4) as usize],
            late_us: [500_000, 1_500_000, 4_000_000][chance.below(3) as usize],
        }
    }
}

pub struct Network {
    size: usize,
    cut: Vec<bool>,
    pub weather: Weather,
}

impl Network {
    pub fn new(size: usize) -> Network {
        Network { size, cut: vec![false; size * size], weather: Weather::FAIR }
    }

    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut[from * self.size + to] = true;
    }

    pub fn mend_all(&mut self) {
        self.cut.fill(false);
    }

    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut[from * self.size + to]
    }

    /// After how many microseconds each copy of a datagram arrives.
    pub fn fates(&self, from: usize, to: usize, chance: &mut Chance) -> Vec<u64> {
        if self.is_cut(from, to) || chance.per_mille(self.weather.lost_per_mille) {
            return Vec::new();
        }
        let copies = if chance.per_mille(self.weather.doubled_per_mille) { 2 } else { 1 };
        let one = |chance: &mut Chance| {
            let (least, most) = self.weather.delay_us;
            let late = if chance.per_mille(self.weather.late_per_mille) {
                chance.below(self.weather.late_us)
            } else {
                0
            };
            chance.between(least, most) + late
        };
        (0..copies).map(|_| one(chance)).collect()
    }
}
