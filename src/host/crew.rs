//! Many jobs that may hang, each for a reason of its own (a disk, a dead path), done by as few threads as will do.
//!
//! Picture a crew at a row of doors. One worker goes from door to door; as long as each opens at once he is alone, and
//! a thousand sound disks cost one thread. When all who work stand in front of a door that does not open, the crew is
//! doubled, and the new ones go on with the doors behind. Who waits longer than the limit is left standing there: his
//! door is reported late, whatever comes of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::stragglers;

/// How long all workers may be busy with one job each before more are sent.
const STALL: Duration = Duration::from_millis(10);
/// Workers at once; those that are left standing do not count.
const WORKERS_MAX: usize = 32;
/// Bytes of stack of a worker; its buffers are on the heap.
const STACK_BYTES: usize = 256 * 1024;

/// What became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It did not end within the limit. It may still end, later, unheard.
    TooLate,
    /// No thread could be started for it.
    NoThread,
}

/// What a worker shows that he gets on: a job of many steps, each of which may hang, beats after every one, and has the
/// whole limit again for the next.
#[derive(Clone, Debug)]
pub struct Pulse {
    begin: Instant,
    last_ms: Arc<AtomicU64>,
}

impl Pulse {
    fn new() -> Pulse {
        Pulse { begin: Instant::now(), last_ms: Arc::new(AtomicU64::new(0)) }
    }

    /// One step is done.
    pub fn beat(&self) {
        self.last_ms.store(self.begin.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.begin + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// Where one worker stands.
struct Post {
    place: usize,
    pulse: Pulse,
}

struct State<T, R> {
    /// Jobs that nobody has begun.
    waiting: VecDeque<(usize, T)>,
    /// What became of each; `None` while it is not known.
    ends: Vec<Option<Result<R, Missed>>>,
    /// Jobs under way.
    posts: Vec<Post>,
    /// Jobs without an end.
    open: usize,
}

struct Crew<T, R, J> {
    state: Mutex<State<T, R>>,
    moved: Condvar,
    job: J,
}

/// Does all jobs; each step of one may take `limit` at most. The answers are in the order of the jobs. Every worker has tools of his
/// own, which he brings from job to job.
pub fn each<T, R, W, J>(jobs: Vec<T>, limit: Duration, job: J) -> Vec<Result<R, Missed>>
where
    T: Send + 'static,
    R: Send + 'static,
    W: Default,
    J: Fn(&mut W, &Pulse, T) -> R + Send + Sync + 'static,
{
    let open = jobs.len();
    let state = State {
        waiting: jobs.into_iter().enumerate().collect(),
        ends: (0..open).map(|_| None).collect(),
        posts: Vec::new(),
        open,
    };
    let crew = Arc::new(Crew { state: Mutex::new(state), moved: Condvar::new(), job });
    let mut state = crew.lock();
    while state.open > 0 {
        let now = Instant::now();
        state.leave_standing(now, limit);
        let more = state.workers_wanted(now);
        if more > 0 {
            drop(state);
            let sent = (0..more).filter(|_| Crew::send::<W>(&crew)).count();
            state = crew.lock();
            if sent == 0 && state.posts.is_empty() {
                state.give_up();
            }
        }
        if state.open > 0 {
            state = crew.wait(state);
        }
    }
    let ends = std::mem::take(&mut state.ends);
    ends.into_iter().map(|end| end.unwrap_or(Err(Missed::TooLate))).collect()
}

impl<T, R> State<T, R> {
    /// Workers to send: one to begin with, and as many again as stand still when none of them gets on.
    fn workers_wanted(&self, now: Instant) -> usize {
        let busy = self.posts.len();
        let stands = self.posts.iter().all(|post| now.saturating_duration_since(post.pulse.begin) >= STALL);
        if self.waiting.is_empty() || !stands {
            return 0;
        }
        busy.max(1).min(WORKERS_MAX.saturating_sub(busy)).min(self.waiting.len())
    }

    fn leave_standing(&mut self, now: Instant, limit: Duration) {
        let late = |post: &Post| now.saturating_duration_since(post.pulse.last()) >= limit;
        for post in self.posts.extract_if(.., |post| late(post)) {
            if let Some(end @ None) = self.ends.get_mut(post.place) {
                stragglers::leave();
                *end = Some(Err(Missed::TooLate));
                self.open -= 1;
            }
        }
    }

    /// Nobody can be sent and nobody works.
    fn give_up(&mut self) {
        for (place, _) in self.waiting.drain(..) {
            if let Some(end) = self.ends.get_mut(place) {
                *end = Some(Err(Missed::NoThread));
                self.open -= 1;
            }
        }
    }

    fn begin(&mut self) -> Option<(usize, Pulse, T)> {
        let (place, job) = self.waiting.pop_front()?;
        let pulse = Pulse::new();
        self.posts.push(Post { place, pulse: pulse.clone() });
        Some((place, pulse, job))
    }

    /// False when the job was given up meanwhile: another goes on in this worker's place.
    fn end(&mut self, place: usize, end: R) -> bool {
        let Some(post) = self.posts.iter().position(|post| post.place == place) else { return false };
        self.posts.swap_remove(post);
        self.open -= 1;
        if let Some(slot) = self.ends.get_mut(place) {
            *slot = Some(Ok(end));
        }
        true
    }
}

impl<T: Send + 'static, R: Send + 'static, J: Send + Sync + 'static> Crew<T, R, J> {
    fn lock(&self) -> MutexGuard<'_, State<T, R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until something moved, or it is time to look who stands still.
    fn wait<'a>(&self, state: MutexGuard<'a, State<T, R>>) -> MutexGuard<'a, State<T, R>> {
        self.moved.wait_timeout(state, STALL).unwrap_or_else(PoisonError::into_inner).0
    }

    /// The job is begun here, so that it is seen under way before its thread runs.
    fn send<W: Default>(crew: &Arc<Self>) -> bool
    where
        J: Fn(&mut W, &Pulse, T) -> R,
    {
        let Some((place, pulse, first)) = crew.lock().begin() else { return false };
        let worker = Arc::clone(crew);
        let first = Arc::new(Mutex::new(Some(first)));
        let taken = Arc::clone(&first);
        let life = move || {
            let job = taken.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(job) = job {
                worker.work(place, pulse, job);
            }
        };
        let builder = thread::Builder::new().name("evms-crew".into()).stack_size(STACK_BYTES);
        if builder.spawn(life).is_ok() {
            return true;
        }
        // It waits again, for whoever is free.
        let mut state = crew.lock();
        state.posts.retain(|post| post.place != place);
        if let Some(job) = first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            state.waiting.push_front((place, job));
        }
        false
    }

    fn work<W: Default>(&self, mut place: usize, mut pulse: Pulse, mut job: T)
    where
        J: Fn(&mut W, &Pulse, T) -> R,
    {
        let mut tools = W::default();
        loop {
            let end = (self.job)(&mut tools, &pulse, job);
            let mut state = self.lock();
            if !state.end(place, end) {
                return;
            }
            let next = state.begin();
            let is_last = state.open == 0;
            drop(state);
            // Who waits is woken once, and finds nobody in his way.
            if is_last {
                self.moved.notify_all();
            }
            let Some(next) = next else { return };
            (place, pulse, job) = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::mpsc;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn answers_come_in_the_order_of_the_jobs() {
        let ends = each((0..1000u32).collect(), LONG, |(): &mut (), _: &Pulse, number| number * 2);
        assert_eq!(ends, (0..1000u32).map(|number| Ok(number * 2)).collect::<Vec<_>>());
        assert_eq!(each(Vec::<u32>::new(), LONG, |(): &mut (), _: &Pulse, number| number), []);
    }

    /// Every job waits for all others to have begun: with fewer workers than jobs it would never end.
    #[test]
    fn who_stands_still_gets_others_beside() {
        let jobs = 8;
        let barrier = Arc::new(std::sync::Barrier::new(jobs));
        let ends = each((0..jobs).collect(), LONG, move |(): &mut (), _: &Pulse, number| {
            barrier.wait();
            (number, thread::current().id())
        });
        let threads = ends.iter().map(|end| format!("{:?}", end.unwrap().1)).collect::<BTreeSet<_>>();
        assert_eq!(threads.len(), jobs);
    }

    #[test]
    fn a_hung_job_is_late_and_the_others_are_done() {
        let (release, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let ends =
            each((0..100u32).collect(), Duration::from_millis(50), move |(): &mut (), _: &Pulse, number| {
                if number == 7 {
                    let _ = held.lock().unwrap().recv();
                }
                number
            });
        let late = ends.iter().enumerate().filter(|(_, end)| **end == Err(Missed::TooLate));
        assert_eq!(late.map(|(place, _)| place).collect::<Vec<_>>(), [7]);
        assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 99);
        drop(release);
    }

    /// Ten steps of which each is shorter than the limit, and all together longer: not late.
    #[test]
    fn a_job_that_gets_on_is_not_late() {
        let limit = Duration::from_millis(400);
        let ends = each(vec![()], limit, move |(): &mut (), pulse: &Pulse, ()| {
            for _ in 0..10 {
                thread::sleep(limit / 8);
                pulse.beat();
            }
        });
        assert_eq!(ends, [Ok(())]);
    }

    /// More jobs hang than there may be workers: all of them are late, and those behind are done all the same.
    #[test]
    fn more_hung_jobs_than_workers_do_not_stop_the_rest() {
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let hung = WORKERS_MAX as u32 + 3;
        let ends = each(
            (0..hung + 5).collect(),
            Duration::from_millis(60),
            move |(): &mut (), _: &Pulse, number| {
                if number < hung {
                    // All queue for one lock whose holder waits for the test's end.
                    let _ = held.lock().map(|held| held.recv());
                }
                number
            },
        );
        assert_eq!(ends.iter().filter(|end| **end == Err(Missed::TooLate)).count(), hung as usize);
        assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 5);
        drop(release);
    }
}
