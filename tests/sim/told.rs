//! Faults of faults.md that are told step by step, each by its number and as a tale: what must come of it is written down and not thrown
//! by a seed, and all laws of its world hold at every event besides. Seeds decide small delays, and which machine or disk it is.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::laws::Broken;
use crate::{THREADS, core_us};

/// Of what a world is made for a tale.
#[derive(Clone, Copy, Debug)]
pub struct Stage<R> {
    pub seed: u64,
    pub rules: R,
    /// Is what happens printed?
    pub tells: bool,
}

impl<R> Stage<R> {
    /// One of so many, another one for each seed.
    pub fn pick(&self, of: u64) -> u64 {
        self.seed % of
    }
}

/// Its name, by how many seeds it is told each time, and itself; how many cases it was. Those that try every step are long.
pub type Tale<R> = (&'static str, u64, fn(Stage<R>) -> Result<u64, Broken>);

/// Which of them are told, and how.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The beginning of their names.
    pub begins: &'a str,
    pub from: u64,
    /// So many seeds of each.
    pub seeds: Option<u64>,
    pub tells: bool,
}

/// What has to be so at this moment.
pub fn must(law: &'static str, is: bool, words: impl FnOnce() -> String) -> Result<(), Broken> {
    if is { Ok(()) } else { Err(Broken { law, words: words() }) }
}

/// Each mistake breaks what its tale says of it, at some seed; how many do not. That the tale is as it must be without is told apart.
pub fn catch<M: Copy + core::fmt::Debug>(
    tales: &[Tale<evms::base::mistake::Rules<M>>],
    mistakes: &[(M, &str)],
) -> usize {
    let mut missed = 0;
    for (mistake, name) in mistakes {
        let rules = evms::base::mistake::Rules::without(*mistake);
        let tales = tales.iter().filter(|(known, ..)| known == name);
        let mut stages = tales.flat_map(|(_, own, tale)| (1..=*own).map(move |seed| (seed, tale)));
        let caught =
            stages.find_map(|(seed, tale)| Some((seed, tale(Stage { seed, rules, tells: false }).err()?)));
        match &caught {
            Some((seed, broken)) => println!("  {mistake:?}: {} by {name}, seed {seed}", broken.law),
            None => println!("  {mistake:?}: NOT CAUGHT by {name}"),
        }
        missed += usize::from(caught.is_none());
    }
    println!("mistakes: {} of {} caught by what is told", mistakes.len() - missed, mistakes.len());
    missed
}

/// Tells them; how many were not as they must be. Each ends with its first finding.
pub fn tell<R: Copy + Sync>(tales: &[Tale<R>], asked: Asked<'_>, rules: R) -> usize {
    let tales = tales.iter().filter(|(name, ..)| name.starts_with(asked.begins)).collect::<Vec<_>>();
    let (next, findings) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let told = |(name, own, tale): &Tale<R>| {
        let begin = core_us();
        let mut cases = 0;
        for seed in asked.from..asked.from + asked.seeds.unwrap_or(*own) {
            match tale(Stage { seed, rules, tells: asked.tells }) {
                Ok(more) => cases += more,
                Err(Broken { law, words }) => {
                    findings.fetch_add(1, Ordering::Relaxed);
                    println!("BROKEN --told {name} --seed {seed}: {law}: {words}");
                    break;
                }
            }
        }
        println!("  {name}: {cases} cases, {:.1} core-seconds", (core_us() - begin) as f64 / 1e6);
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(tale) = tales.get(next.fetch_add(1, Ordering::Relaxed)) {
                    told(tale);
                }
            });
        }
    });
    let findings = findings.into_inner();
    println!("{} faults told step by step: {findings} findings", tales.len());
    findings
}
