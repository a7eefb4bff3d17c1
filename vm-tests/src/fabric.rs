//! A network without its sockets: who gets which frame, and when. Every direction between two machines is a lane with a
//! rule of its own. The present is an argument, chance is a row of throws that belongs to the lane: the same frames
//! under the same rule meet the same fate.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::dice::Dice;

/// So many frames wait for one machine at most; what comes then is lost, as in a switch.
pub const WAITING_MAX: usize = 1024;
/// A frame that is held for the next one to overtake it goes on after so long when none comes.
pub const HOLD_MAX: Duration = Duration::from_secs(5);
/// Nothing before this byte of a frame is corrupted: it still arrives where it was going.
const HEADER_BYTES: usize = 14;

/// The address of a machine's card.
pub type Mac = [u8; 6];

/// What a lane does to frames; the numbers are percents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Nothing passes.
    pub is_cut: bool,
    /// So many are lost.
    pub drop: u8,
    /// So many arrive twice.
    pub double: u8,
    /// So many arrive after the one that was sent after them.
    pub swap: u8,
    /// So many arrive with one byte changed.
    pub corrupt: u8,
    /// All arrive so much later.
    pub delay: Duration,
}

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// It is lost.
    pub is_dropped: bool,
    /// It arrives twice.
    pub is_doubled: bool,
    /// The next one overtakes it.
    pub is_swapped: bool,
    /// One byte of it changes.
    pub is_corrupted: bool,
    /// Which one, counted from the first that may.
    place: u64,
}

/// The fates of a lane's frames, one after another, from the moment its rule was laid.
#[derive(Clone, Debug)]
pub struct Fates {
    dice: Dice,
}

impl Fates {
    /// The row that belongs to a network's seed and to the lane.
    pub fn of(seed: u64, from: &str, to: &str) -> Self {
        let name = format!("{from}>{to}");
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self { dice: Dice::new(name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, mix)) }
    }

    /// The next frame's. Every frame costs the same throws, whatever the rule.
    pub fn next(&mut self, rule: &Rule) -> Fate {
        let [drop, double, swap, corrupt] = [(); 4].map(|()| self.dice.below(100));
        let falls = |throw: usize, percent: u8| throw < usize::from(percent);
        Fate {
            is_dropped: falls(drop, rule.drop),
            is_doubled: falls(double, rule.double),
            is_swapped: falls(swap, rule.swap),
            is_corrupted: falls(corrupt, rule.corrupt),
            place: self.dice.throw(),
        }
    }
}

/// What became of a lane's frames so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sent by the machine at the lane's beginning.
    pub sent: u64,
    /// Handed to the machine at its end; a doubled one twice.
    pub forwarded: u64,
    /// Lost because the lane is cut.
    pub cut: u64,
    /// Lost by chance.
    pub dropped: u64,
    /// Arrive twice.
    pub doubled: u64,
    /// Were delayed.
    pub late: u64,
    /// Were held for the next one to overtake them.
    pub swapped: u64,
    /// Had a byte changed.
    pub corrupted: u64,
    /// Lost because too many waited.
    pub overflowed: u64,
    /// Lost because the machine at the end is off.
    pub unheard: u64,
}

#[derive(Debug)]
struct Lane {
    rule: Rule,
    fates: Fates,
    counts: Counts,
    held: Option<Place>,
}

/// Where a frame waits: when it is due, and in which order those of one moment are.
type Place = (Duration, u64);

#[derive(Debug)]
struct Waiting {
    from: String,
    frame: Vec<u8>,
}

#[derive(Debug)]
struct Port {
    mac: Mac,
    /// Which time it is on, counted from 1; none while it is off.
    boot: Option<u64>,
    boots: u64,
    waiting: BTreeMap<Place, Waiting>,
}

/// The network's mind.
#[derive(Debug)]
pub struct Fabric {
    seed: u64,
    ports: BTreeMap<String, Port>,
    lanes: BTreeMap<(String, String), Lane>,
    order: u64,
}

impl Fabric {
    /// A network without machines.
    pub fn new(seed: u64) -> Self {
        Self { seed, ports: BTreeMap::new(), lanes: BTreeMap::new(), order: 0 }
    }

    /// Has this machine a port?
    pub fn has(&self, name: &str) -> bool {
        self.ports.contains_key(name)
    }

    /// Gives a machine a port.
    pub fn add(&mut self, name: &str, mac: Mac) {
        self.ports.insert(name.into(), Port { mac, boot: None, boots: 0, waiting: BTreeMap::new() });
    }

    /// A machine is on. Answers which time it is.
    pub fn handle_on(&mut self, name: &str) -> u64 {
        let port = self.ports.get_mut(name);
        port.map_or(0, |port| {
            port.boots += 1;
            port.boot = Some(port.boots);
            port.boots
        })
    }

    /// A machine is off: what waits for it is lost.
    pub fn handle_off(&mut self, name: &str) {
        let Some(port) = self.ports.get_mut(name) else { return };
        port.boot = None;
        for waiting in std::mem::take(&mut port.waiting).into_values() {
            self.lane(&waiting.from, name).counts.unheard += 1;
        }
    }

    /// Which time a machine is on.
    pub fn boot(&self, name: &str) -> Option<u64> {
        self.ports.get(name)?.boot
    }

    /// Lays a rule over a lane; its row of fates begins anew. A cut takes what is under way.
    pub fn lay(&mut self, from: &str, to: &str, rule: Rule) {
        let fates = Fates::of(self.seed, from, to);
        let lane = self.lane(from, to);
        (lane.rule, lane.fates, lane.held) = (rule, fates, None);
        if rule.is_cut
            && let Some(port) = self.ports.get_mut(to)
        {
            let before = port.waiting.len();
            port.waiting.retain(|_, waiting| waiting.from != from);
            let taken = (before - port.waiting.len()) as u64;
            self.lane(from, to).counts.cut += taken;
        }
    }

    /// The lane's rule.
    pub fn rule(&self, from: &str, to: &str) -> Rule {
        self.lanes.get(&(from.into(), to.into())).map_or_else(Rule::default, |lane| lane.rule)
    }

    /// Between machines of one group everything stays as it is; between groups, and from and to machines of no group,
    /// nothing passes.
    pub fn partition(&mut self, groups: &[&[&str]]) {
        let place = |name: &str| groups.iter().position(|group| group.contains(&name));
        let grouped = groups.iter().flat_map(|group| group.iter().map(ToString::to_string));
        let names: BTreeSet<String> = self.ports.keys().cloned().chain(grouped).collect();
        for (from, to) in names.iter().flat_map(|from| names.iter().map(move |to| (from, to))) {
            if from != to && (place(from).is_none() || place(from) != place(to)) {
                let rule = Rule { is_cut: true, ..self.rule(from, to) };
                self.lay(from, to, rule);
            }
        }
    }

    /// No lane has a rule any more.
    pub fn heal(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.rule = Rule::default();
        }
    }

    /// What became of a lane's frames.
    pub fn counts(&self, from: &str, to: &str) -> Counts {
        self.lanes.get(&(from.into(), to.into())).map_or_else(Counts::default, |lane| lane.counts)
    }

    fn lane(&mut self, from: &str, to: &str) -> &mut Lane {
        let seed = self.seed;
        self.lanes.entry((from.into(), to.into())).or_insert_with(|| Lane {
            rule: Rule::default(),
            fates: Fates::of(seed, from, to),
            counts: Counts::default(),
            held: None,
        })
    }

    /// A machine sends a frame.
    pub fn handle_frame(&mut self, now: Duration, from: &str, frame: &[u8]) {
        for to in self.receivers(from, frame) {
            self.pass(now, from, &to, frame.to_vec());
        }
    }

    /// One when its card's address is on the frame; all others when it is for many, or for nobody who is known.
    fn receivers(&self, from: &str, frame: &[u8]) -> Vec<String> {
        let others = || self.ports.iter().filter(|(name, _)| *name != from);
        let addressed = others().find(|(_, port)| frame.starts_with(&port.mac));
        let is_own = self.ports.get(from).is_some_and(|port| frame.starts_with(&port.mac));
        match addressed {
            Some((name, _)) => vec![name.clone()],
            None if is_own || frame.len() < HEADER_BYTES => Vec::new(),
            None => others().map(|(name, _)| name.clone()).collect(),
        }
    }

    fn pass(&mut self, now: Duration, from: &str, to: &str, mut frame: Vec<u8>) {
        self.order += 4;
        let order = self.order;
        let lane = self.lane(from, to);
        lane.counts.sent += 1;
        let (rule, fate) = (lane.rule, lane.fates.next(&lane.rule));
        if rule.is_cut || fate.is_dropped {
            lane.counts.cut += u64::from(rule.is_cut);
            lane.counts.dropped += u64::from(!rule.is_cut);
            return;
        }
        lane.counts.doubled += u64::from(fate.is_doubled);
        lane.counts.late += u64::from(!rule.delay.is_zero());
        if fate.is_corrupted && frame.len() > HEADER_BYTES {
            lane.counts.corrupted += 1;
            let place = HEADER_BYTES + fate.place as usize % (frame.len() - HEADER_BYTES);
            frame[place] ^= 0x55;
        }
        let mut due = now + rule.delay;
        let overtaken = lane.held.take();
        if fate.is_swapped && overtaken.is_none() {
            lane.counts.swapped += 1;
            due += HOLD_MAX;
            lane.held = Some((due, order));
        }
        if fate.is_doubled {
            self.wait(to, (due, order + 1), from, frame.clone());
        }
        self.wait(to, (due, order), from, frame);
        if let Some(held) = overtaken {
            self.let_go(to, held, (due, order + 2));
        }
    }

    fn wait(&mut self, to: &str, place: Place, from: &str, frame: Vec<u8>) {
        let port = self.ports.get_mut(to).filter(|port| port.boot.is_some());
        match port {
            None => self.lane(from, to).counts.unheard += 1,
            Some(port) if port.waiting.len() >= WAITING_MAX => self.lane(from, to).counts.overflowed += 1,
            Some(port) => {
                port.waiting.insert(place, Waiting { from: from.into(), frame });
            }
        }
    }

    /// A held frame goes right behind the one that overtook it, and its double with it.
    fn let_go(&mut self, to: &str, held: Place, place: Place) {
        let Some(port) = self.ports.get_mut(to) else { return };
        for step in 0..2 {
            if let Some(waiting) = port.waiting.remove(&(held.0, held.1 + step)) {
                port.waiting.insert((place.0, place.1 + step), waiting);
            }
        }
    }

    /// The next frame that is due for a machine.
    pub fn poll_frame(&mut self, now: Duration, to: &str) -> Option<Vec<u8>> {
        let port = self.ports.get_mut(to)?;
        let first = port.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        let (place, waiting) = first.remove_entry();
        let lane = self.lane(&waiting.from, to);
        lane.counts.forwarded += 1;
        lane.held = lane.held.filter(|held| *held != place);
        Some(waiting.frame)
    }

    /// When the next frame is due for a machine.
    pub fn next_due(&self, to: &str) -> Option<Duration> {
        Some(self.ports.get(to)?.waiting.first_key_value()?.0.0)
    }
}

#[cfg(test)]
mod tests;
