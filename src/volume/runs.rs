//! Arithmetic on runs of extents: join, cut, find, subtract. Runs come from disks, so every sum saturates and no
//! function trusts that its input is disjoint.

use crate::base::id::DiskNumber;
use crate::base::sorted::sort;
use crate::base::units::Extents;
use crate::format::model::Run;

/// Extents of all runs together.
pub fn total(runs: &[Run]) -> Extents {
    runs.iter().fold(Extents::ZERO, |sum, run| add(sum, run.count))
}

/// The sum of two counts, at most 2^64 - 1.
pub fn add(one: Extents, other: Extents) -> Extents {
    Extents(one.0.saturating_add(other.0))
}

/// The difference of two counts, at least zero.
pub fn sub(one: Extents, other: Extents) -> Extents {
    Extents(one.0.saturating_sub(other.0))
}

/// Appends a run; one that continues the last becomes part of it.
pub fn push(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if last.disk == run.disk && last.end() == run.start => {
            last.count = add(last.count, run.count)
        }
        _ if run.count == Extents::ZERO => {}
        _ => runs.push(run),
    }
}

/// Splits a list after `keep` extents: the front, and the rest.
pub fn cut(runs: &[Run], keep: Extents) -> (Vec<Run>, Vec<Run>) {
    let (mut front, mut rest, mut left) = (Vec::new(), Vec::new(), keep);
    for run in runs {
        let here = run.count.min(left);
        left = sub(left, here);
        push(&mut front, Run { count: here, ..*run });
        push(&mut rest, Run { disk: run.disk, start: add(run.start, here), count: sub(run.count, here) });
    }
    (front, rest)
}

/// Where extent `index` of a list lies.
pub fn find(runs: &[Run], index: Extents) -> Option<(DiskNumber, Extents)> {
    let mut left = index;
    for run in runs {
        if left < run.count {
            return Some((run.disk, run.start.plus(left)?));
        }
        left = sub(left, run.count);
    }
    None
}

/// The same extents in order, each once, in as few runs as possible.
pub fn merged(mut runs: Vec<Run>) -> Vec<Run> {
    runs.retain(|run| run.count > Extents::ZERO);
    sort(&mut runs);
    let mut out: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        match out.last_mut() {
            Some(last) if last.disk == run.disk && run.start <= last.end() => {
                last.count = sub(last.end().max(run.end()), last.start);
            }
            _ => out.push(run),
        }
    }
    out
}

/// The extents of `from` that are not in `minus`, in order.
pub fn subtract(from: Vec<Run>, minus: Vec<Run>) -> Vec<Run> {
    let minus = merged(minus);
    let mut out = Vec::new();
    let mut first = 0;
    for piece in merged(from) {
        let before = |run: &Run| (run.disk, run.end()) <= (piece.disk, piece.start);
        first += minus.iter().skip(first).take_while(|run| before(run)).count();
        let mut start = piece.start;
        let over = |run: &&Run| run.disk == piece.disk && run.start < piece.end();
        for hole in minus.iter().skip(first).take_while(over) {
            push(&mut out, Run { disk: piece.disk, start, count: sub(hole.start, start) });
            start = hole.end();
        }
        push(&mut out, Run { disk: piece.disk, start, count: sub(piece.end(), start) });
    }
    out
}

/// The extents that are in both lists, in order.
pub fn common(one: Vec<Run>, other: Vec<Run>) -> Vec<Run> {
    let not_shared = subtract(one.clone(), other);
    subtract(one, not_shared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::dice::Dice;
    use std::collections::BTreeSet;

    fn run(disk: u16, start: u64, count: u64) -> Run {
        Run { disk: DiskNumber(disk), start: Extents(start), count: Extents(count) }
    }

    fn set(runs: &[Run]) -> BTreeSet<(u16, u64)> {
        runs.iter().flat_map(|run| (run.start.0..run.end().0).map(|at| (run.disk.0, at))).collect()
    }

    fn some(dice: &mut Dice) -> Vec<Run> {
        let mut one = || run(dice.below(3) as u16, dice.below(20), dice.below(6));
        (0..8).map(|_| one()).collect()
    }

    #[test]
    fn lists_behave_like_sets_of_extents() {
        let mut dice = Dice::from_number(1);
        for _ in 0..500 {
            let (one, other) = (some(&mut dice), some(&mut dice));
            let difference = subtract(one.clone(), other.clone());
            assert_eq!(set(&difference), set(&one).difference(&set(&other)).copied().collect());
            assert_eq!(total(&difference).0 as usize, set(&difference).len(), "each extent once");
            assert_eq!(set(&common(one.clone(), other.clone())), &set(&one) & &set(&other));
        }
    }

    #[test]
    fn a_cut_keeps_the_front_and_gives_the_rest() {
        let (front, rest) = cut(&[run(1, 0, 4), run(2, 8, 4)], Extents(6));
        assert_eq!((front, rest), (vec![run(1, 0, 4), run(2, 8, 2)], vec![run(2, 10, 2)]));
        assert_eq!(find(&[run(1, 0, 4), run(2, 8, 4)], Extents(5)), Some((DiskNumber(2), Extents(9))));
        assert_eq!(find(&[run(1, 0, 4)], Extents(4)), None);
        assert_eq!(find(&[run(1, u64::MAX, 4)], Extents(2)), None, "no wrap past 64 bits");
    }
}
