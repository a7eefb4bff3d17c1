//! A script of faults for three machines, thrown from one seed: in each round one fault or two at once, each for a while, and behind
//! it, when all is mended, what an administrator does. Whom a fault meets is said by the part that a machine plays: who has the
//! private container at the round's beginning, and the two others behind it in their order.

use std::fmt;

use crate::dice::Dice;
use crate::fabric::Rule;

/// So many machines.
pub const NODES: usize = 3;
/// Rounds of a script.
const ROUNDS_MIN: usize = 2;
const ROUNDS_MORE: usize = 2;
/// One round of this many has two faults at once.
const TWO_OF: usize = 3;
/// Tenths of a second: shorter than what anybody is taken over after, and longer (13.1 s, and what slow machines take for the rest).
const SHORT: [u64; 2] = [5, 40];
const LONG: [u64; 2] = [180, 240];
/// The cut that must cost no error.
const TWO_SECONDS: [u64; 2] = [20, 20];
const WEATHER: [u64; 2] = [40, 100];
/// As a service manager does it.
const RESTART: [u64; 2] = [2, 20];
/// The second fault begins so much later at most.
const LATER_MAX: usize = 40;
const TENTH_MS: u64 = 100;

/// 0 has the container, 1 and 2 are the others.
pub type Part = usize;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It hears nobody, and nobody hears it.
    Alone(Part),
    /// What the first one sends is not heard by the second.
    OneWay(Part, Part),
    /// The two do not hear each other; the third hears both.
    Between(Part, Part),
    /// Every lane is so.
    Weather(Rule),
    /// Its evmsd is killed, and started again at the end.
    Killed(Part),
    /// Its evmsd stands still.
    Stopped(Part),
    /// All of it stands still, with its clocks.
    Paused(Part),
    /// Its cord is pulled, and it boots at the end.
    Off(Part),
    /// Its evmsd and its keeper are killed: the watchdog bites. It boots at the end.
    Bitten(Part),
    /// An administrator makes a volume in the shared container there, come of it what may.
    Asked(Part),
}

/// A fault with its time, in milliseconds from the round's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// What.
    pub fault: Fault,
    /// From then.
    pub from_ms: u64,
    /// Until then.
    pub until_ms: u64,
}

/// What an administrator does when all is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Nothing.
    Rest,
    /// The private container is given to another one.
    Give(Part),
    /// It is taken down and up again.
    DownAndUp,
    /// A volume is made in the shared container.
    Make(Part),
    /// The last that was made there is removed, for which the others have to take theirs down.
    Remove(Part),
}

/// Faults at one time, and what follows when they are mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// One or two, and perhaps a command in the middle.
    pub acts: Vec<Act>,
    /// Behind them.
    pub chore: Chore,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Of which it was thrown.
    pub seed: u64,
    /// One after the other.
    pub rounds: Vec<Round>,
}

/// A moment of a round: an act begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at_ms: u64,
    /// Which act.
    pub act: usize,
    /// Its end?
    pub is_end: bool,
}

impl Script {
    /// The script that belongs to a seed.
    pub fn of(seed: u64) -> Self {
        let dice = &mut Dice::new(seed);
        let rounds = ROUNDS_MIN + dice.below(ROUNDS_MORE);
        Self { seed, rounds: (0..rounds).map(|_| Round::thrown(dice)).collect() }
    }
}

impl Round {
    fn thrown(dice: &mut Dice) -> Self {
        let mut acts = vec![Act::thrown(dice, 0)];
        if dice.below(TWO_OF) == 0 {
            let later_ms = dice.below(LATER_MAX) as u64 * TENTH_MS;
            // One machine suffers one thing at a time.
            let second = loop {
                let act = Act::thrown(dice, later_ms);
                if acts[0].fault.victim().is_none() || act.fault.victim() != acts[0].fault.victim() {
                    break act;
                }
            };
            acts.push(second);
        }
        if dice.below(2) == 0 {
            let victims = acts.iter().filter_map(|act| act.fault.victim()).collect::<Vec<_>>();
            let well = (0..NODES).filter(|part| !victims.contains(part)).collect::<Vec<_>>();
            let end_ms = acts.iter().map(|act| act.until_ms).max().unwrap_or_default();
            let at_ms = dice.below((end_ms / TENTH_MS) as usize) as u64 * TENTH_MS;
            let fault = Fault::Asked(*dice.one_of(&well));
            acts.push(Act { fault, from_ms: at_ms, until_ms: at_ms });
        }
        Self { acts, chore: Chore::thrown(dice) }
    }

    /// What begins and ends, in order.
    pub fn moments(&self) -> Vec<Moment> {
        let both = |(act, fault): (usize, &Act)| {
            let begin = Moment { at_ms: fault.from_ms, act, is_end: false };
            [begin, Moment { at_ms: fault.until_ms, is_end: true, ..begin }]
        };
        let mut all = self.acts.iter().enumerate().flat_map(both).collect::<Vec<_>>();
        all.sort_by_key(|moment| (moment.at_ms, moment.act, moment.is_end));
        all
    }
}

impl Act {
    fn thrown(dice: &mut Dice, from_ms: u64) -> Self {
        let fault = Fault::thrown(dice);
        let (short, long) = (dice.below(2) == 0, dice.below(4) == 0);
        let span = match fault {
            Fault::Weather(_) => WEATHER,
            Fault::Killed(_) if !long => RESTART,
            Fault::Alone(_) if short && long => TWO_SECONDS,
            Fault::Bitten(_) => LONG,
            _ if short => SHORT,
            _ => LONG,
        };
        let tenths = span[0] + dice.below((span[1] - span[0] + 1) as usize) as u64;
        Self { fault, from_ms, until_ms: from_ms + tenths * TENTH_MS }
    }
}

impl Fault {
    /// The one with the container is met half of the time.
    fn thrown(dice: &mut Dice) -> Self {
        let part = [0, 0, 1, 2][dice.below(4)];
        let other = (part + 1 + dice.below(NODES - 1)) % NODES;
        match dice.below(10) {
            0 | 1 => Self::Alone(part),
            2 => Self::OneWay(part, other),
            3 => Self::Between(part, other),
            4 => Self::Weather(Rule {
                drop: 5 + dice.below(20) as u8,
                double: dice.below(20) as u8,
                swap: dice.below(20) as u8,
                corrupt: dice.below(4) as u8,
                ..Rule::default()
            }),
            5 => Self::Killed(part),
            6 => Self::Stopped(part),
            7 => Self::Paused(part),
            8 => Self::Off(part),
            _ => Self::Bitten(part),
        }
    }

    /// Whom it meets itself; none where it is the network.
    pub fn victim(&self) -> Option<Part> {
        match self {
            Self::Killed(part)
            | Self::Stopped(part)
            | Self::Paused(part)
            | Self::Off(part)
            | Self::Bitten(part) => Some(*part),
            Self::Alone(_) | Self::OneWay(..) | Self::Between(..) | Self::Weather(_) | Self::Asked(_) => None,
        }
    }

    /// What it does to frames of this lane.
    fn rule(&self, from: Part, to: Part) -> Rule {
        let is_cut = match self {
            Self::Alone(part) => from == *part || to == *part,
            Self::OneWay(deaf, other) => (from, to) == (*deaf, *other),
            Self::Between(one, other) => (from, to) == (*one, *other) || (to, from) == (*one, *other),
            Self::Weather(rule) => return *rule,
            _ => false,
        };
        Rule { is_cut, ..Rule::default() }
    }
}

/// What all that is going on does to a lane.
pub fn rule<'a>(faults: impl IntoIterator<Item = &'a Fault>, from: Part, to: Part) -> Rule {
    faults.into_iter().map(|fault| fault.rule(from, to)).fold(Rule::default(), |all, one| Rule {
        is_cut: all.is_cut || one.is_cut,
        drop: all.drop.max(one.drop),
        double: all.double.max(one.double),
        swap: all.swap.max(one.swap),
        corrupt: all.corrupt.max(one.corrupt),
        delay: all.delay.max(one.delay),
    })
}

impl Chore {
    fn thrown(dice: &mut Dice) -> Self {
        let part = dice.below(NODES);
        match dice.below(6) {
            0 | 1 => Self::Give(1 + dice.below(NODES - 1)),
            2 => Self::DownAndUp,
            3 => Self::Make(part),
            4 => Self::Remove(part),
            _ => Self::Rest,
        }
    }
}

/// A part, in words.
fn who(part: Part) -> &'static str {
    ["the holder", "the next", "the last"][part % NODES]
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alone(part) => write!(to, "{} is cut off", who(*part)),
            Self::OneWay(from, deaf) => write!(to, "{} is not heard by {}", who(*from), who(*deaf)),
            Self::Between(one, other) => write!(to, "cut between {} and {}", who(*one), who(*other)),
            Self::Weather(rule) => {
                let Rule { drop, double, swap, corrupt, .. } = rule;
                write!(
                    to,
                    "all frames: {drop} % lost, {double} % twice, {swap} % overtaken, {corrupt} % spoilt"
                )
            }
            Self::Killed(part) => write!(to, "evmsd of {} is killed", who(*part)),
            Self::Stopped(part) => write!(to, "evmsd of {} stands still", who(*part)),
            Self::Paused(part) => write!(to, "{} stands still with its clocks", who(*part)),
            Self::Off(part) => write!(to, "{} is without power", who(*part)),
            Self::Bitten(part) => {
                write!(to, "evmsd and keeper of {} are killed, and it boots again", who(*part))
            }
            Self::Asked(part) => write!(to, "{} is asked for a volume in the shared container", who(*part)),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: u64| ms as f64 / 1000.0;
        write!(to, "{:4.1} s to {:4.1} s: {}", seconds(self.from_ms), seconds(self.until_ms), self.fault)
    }
}

impl fmt::Display for Chore {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rest => write!(to, "nothing"),
            Self::Give(part) => write!(to, "the private container is given to {}", who(*part)),
            Self::DownAndUp => write!(to, "the private container is taken down and up again"),
            Self::Make(part) => write!(to, "{} makes a volume in the shared container", who(*part)),
            Self::Remove(part) => write!(to, "{} removes a volume of the shared container", who(*part)),
        }
    }
}

impl fmt::Display for Script {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(to, "  script of seed {}:", self.seed)?;
        for (number, round) in (1..).zip(&self.rounds) {
            writeln!(to, "    round {number}:")?;
            round.acts.iter().try_for_each(|act| writeln!(to, "      {act}"))?;
            writeln!(to, "      then: {}", round.chore)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: u64 = 2000;

    #[test]
    fn a_seed_is_a_script() {
        assert_eq!(Script::of(7), Script::of(7));
        assert_eq!(Script::of(7).to_string(), Script::of(7).to_string());
        assert_ne!(Script::of(7).rounds, Script::of(8).rounds);
    }

    #[test]
    fn every_script_can_be_played() {
        for script in (0..SEEDS).map(Script::of) {
            assert!((ROUNDS_MIN..ROUNDS_MIN + ROUNDS_MORE).contains(&script.rounds.len()));
            for round in &script.rounds {
                let mut victims = round.acts.iter().filter_map(|act| act.fault.victim()).collect::<Vec<_>>();
                victims.sort_unstable();
                victims.dedup();
                let meant = round.acts.iter().filter(|act| act.fault.victim().is_some()).count();
                assert_eq!(victims.len(), meant, "one machine suffers two things at once: {script}");
                for act in &round.acts {
                    if let Fault::Asked(part) = act.fault {
                        assert!(!victims.contains(&part), "{script}");
                    }
                }
                let moments = round.moments();
                assert_eq!(moments.len(), 2 * round.acts.len());
                assert!(moments.windows(2).all(|two| two[0].at_ms <= two[1].at_ms));
                for act in 0..round.acts.len() {
                    let of = |is_end| moments.iter().position(|m| m.act == act && m.is_end == is_end);
                    assert!(of(false) < of(true), "{script}");
                }
            }
        }
    }

    #[test]
    fn every_kind_of_fault_and_chore_is_thrown() {
        let scripts = (0..SEEDS).map(Script::of).collect::<Vec<_>>();
        let rounds = || scripts.iter().flat_map(|script| &script.rounds);
        let faults = || rounds().flat_map(|round| &round.acts);
        let kinds: [fn(&Fault) -> bool; 10] = [
            |fault| matches!(fault, Fault::Alone(0)),
            |fault| matches!(fault, Fault::OneWay(0, _)),
            |fault| matches!(fault, Fault::Between(0, _)),
            |fault| matches!(fault, Fault::Weather(_)),
            |fault| matches!(fault, Fault::Killed(0)),
            |fault| matches!(fault, Fault::Stopped(0)),
            |fault| matches!(fault, Fault::Paused(0)),
            |fault| matches!(fault, Fault::Off(0)),
            |fault| matches!(fault, Fault::Bitten(0)),
            |fault| matches!(fault, Fault::Asked(0)),
        ];
        for (number, is_kind) in kinds.into_iter().enumerate() {
            assert!(faults().any(|act| is_kind(&act.fault)), "kind {number}");
        }
        for pause in [SHORT, LONG] {
            let fits = |act: &Act| (pause[0]..=pause[1]).contains(&((act.until_ms - act.from_ms) / TENTH_MS));
            assert!(faults().any(|act| matches!(act.fault, Fault::Paused(_)) && fits(act)));
        }
        assert!(
            faults().any(|act| matches!(act.fault, Fault::Alone(_)) && act.until_ms - act.from_ms == 2000)
        );
        for chore in [Chore::Rest, Chore::Give(1), Chore::DownAndUp, Chore::Make(0), Chore::Remove(2)] {
            assert!(rounds().any(|round| round.chore == chore), "{chore}");
        }
    }

    #[test]
    fn what_goes_on_at_once_adds_up_on_a_lane() {
        let rain = Rule { drop: 10, ..Rule::default() };
        let faults = [Fault::OneWay(0, 1), Fault::Weather(rain), Fault::Off(2)];
        assert_eq!(rule(&faults, 0, 1), Rule { is_cut: true, ..rain });
        assert_eq!(rule(&faults, 1, 0), rain);
        assert_eq!(rule(&faults[2..], 2, 0), Rule::default());
        assert!(rule(&[Fault::Alone(1)], 2, 1).is_cut && rule(&[Fault::Alone(1)], 1, 2).is_cut);
        assert!(!rule(&[Fault::Alone(1)], 2, 0).is_cut);
        assert!(rule(&[Fault::Between(0, 2)], 2, 0).is_cut && !rule(&[Fault::Between(0, 2)], 2, 1).is_cut);
    }
}
