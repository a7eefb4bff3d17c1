//! Scripts beside each other, on user-mode machines: each lane has a cluster of its own and plays one chunk of seeds after another.
//! What breaks ends its cluster, is told with its seed and keeps its disks; the lane goes on with the next seed on a new one.
//!
//! More lanes than the processors take starve each other's machines: a node that is late with its beats is rightly counted out, and
//! what follows is told as a finding though nobody broke anything.

use std::env;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::chunks::{self, Outcome};
use crate::dice::{Dice, SEED_VARIABLE};
use crate::kind::Kind;
use crate::scene;
use crate::score::{self, Score};
use crate::script::Script;
use crate::trial::{self, Trial};
use crate::trouble::Trouble;

const LANES_VARIABLE: &str = "EVMS_VM_LANES";
const MINUTES_VARIABLE: &str = "EVMS_VM_MINUTES";
/// For a part of `./build.sh test`: other guests are there too.
const LANES: usize = 2;
const SCRIPTS_A_LANE: u64 = 1;
/// So many findings are no chance any more: the rest would tell the same.
const FINDINGS_MAX: usize = 10;

/// What is to be played.
#[derive(Clone, Debug)]
struct Bill {
    chunks: Vec<Range<u64>>,
    lanes: usize,
    /// No script begins later.
    deadline: Option<Instant>,
    /// Is each chunk written down?
    is_ledger: bool,
}

impl Bill {
    /// `EVMS_VM_SCRIPTS`: so many of the ledger's that it does not have, or as many of them as begin within `EVMS_VM_MINUTES`.
    /// `EVMS_VM_SEED`: that one alone. Else few with fresh seeds.
    fn of_environment() -> Self {
        let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let lanes = number(LANES_VARIABLE).map_or(LANES, |lanes| lanes.max(1) as usize);
        let count = number(score::SCRIPTS_VARIABLE);
        let deadline =
            number(MINUTES_VARIABLE).map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
        if let (Some(count), None) = (count, env::var_os(SEED_VARIABLE)) {
            return Self { chunks: chunks::left(count), lanes, deadline, is_ledger: true };
        }
        let alone = env::var_os(SEED_VARIABLE).map(|_| count.unwrap_or(1));
        let (lanes, each) = alone.map_or((lanes, SCRIPTS_A_LANE), |count| (1, count));
        let first = Dice::seed();
        let chunk = |lane: u64| first + lane * each..first + (lane + 1) * each;
        Self { chunks: (0..lanes as u64).map(chunk).collect(), lanes, deadline, is_ledger: false }
    }

    fn has_time(&self) -> bool {
        self.deadline.is_none_or(|deadline| Instant::now() < deadline)
    }
}

/// Plays what the environment asks for. Fails when all of it is played and something broke.
pub fn play() -> Result<(), Trouble> {
    let bill = Bill::of_environment();
    let (queue, broken) = (Mutex::new(bill.chunks.clone().into_iter()), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let all_broken = || broken.lock().unwrap_or_else(PoisonError::into_inner);
    let lane = || -> Result<(), Trouble> {
        while bill.has_time()
            && all_broken().len() < FINDINGS_MAX
            && let Some(seeds) = next()
        {
            let outcome = play_chunk(seeds, &bill);
            if bill.is_ledger && !outcome.seeds.is_empty() {
                chunks::note(&outcome, bill.lanes)?;
            }
            all_broken().extend(outcome.findings);
        }
        Ok(())
    };
    thread::scope(|scope| -> Result<(), Trouble> {
        let lanes: Vec<_> = (0..bill.lanes).map(|_| scope.spawn(lane)).collect();
        let mut ended = lanes.into_iter().map(|lane| lane.join());
        ended.try_for_each(|end| end.unwrap_or_else(|_| Err(Trouble::Unexpected("a lane ended".into()))))
    })?;
    let broken = all_broken();
    match broken.len() {
        0 => Ok(()),
        count => Err(Trouble::Unexpected(format!("{count} scripts: {broken:?}"))),
    }
}

/// One cluster after another, until all seeds of a chunk are played, or there is no more time.
fn play_chunk(seeds: Range<u64>, bill: &Bill) -> Outcome {
    let begin = Instant::now();
    let mut outcome =
        Outcome { seeds: seeds.clone(), score: Score::default(), took: begin.elapsed(), findings: vec![] };
    let mut left = seeds;
    while !left.is_empty() && bill.has_time() {
        let (first, mut words) = (left.start, None);
        // What a finding of the ledger kept outlives whoever plays its seed again.
        let prefix = if bill.is_ledger { "scripts" } else { "many-scripts" };
        let end = scene::attempt(&format!("{prefix}-{first}"), |scene| {
            let founded = trial::yard(scene, Kind::UserMode).and_then(Trial::found);
            let mut trial = founded.inspect_err(|trouble| {
                words = Some((left.next().unwrap_or(first), score::in_few_words(trouble)));
            })?;
            if bill.lanes > 1 {
                trial.hush();
            }
            while bill.has_time()
                && let Some(seed) = left.next()
            {
                let end = play_one(&mut trial, seed);
                outcome.score += trial.score();
                end.inspect_err(|trouble| words = Some((seed, score::in_few_words(trouble))))
                    .map_err(|trouble| in_full(&trial, seed, &trouble))?;
            }
            Ok(())
        });
        if let Err(trouble) = end {
            eprintln!("{trouble}");
            // Where there was no scene nobody played it.
            let unplayed = || left.next().map(|seed| (seed, score::in_few_words(&trouble)));
            outcome.findings.extend(words.or_else(unplayed));
        }
    }
    (outcome.took, outcome.seeds.end) = (begin.elapsed(), left.start);
    outcome
}

fn play_one(trial: &mut Trial, seed: u64) -> Result<(), Trouble> {
    let begin = Instant::now();
    let end = trial.play(&Script::of(seed));
    let told = end.as_ref().err().map_or("none".into(), score::in_few_words);
    eprintln!(
        "  script {seed}: {:.0} s, {:?}, findings: {told}",
        begin.elapsed().as_secs_f32(),
        trial.score()
    );
    end
}

fn in_full(trial: &Trial, seed: u64, trouble: &Trouble) -> Trouble {
    let said = trial.said();
    Trouble::Unexpected(format!("{SEED_VARIABLE}={seed} plays it again\n{}{said}{trouble}", Script::of(seed)))
}
