//! Many jobs that may hang, each for a reason of its own (a disk, a dead path), done by as few threads as will do.
//!
//! Picture a crew at a row of doors. One worker goes from door to door; as long as each opens at once he is alone, and
//! a thousand sound disks cost one thread. As long as the doors that are left would keep the crew for long at the pace it
//! has, it is doubled: slow disks wait beside each other, and hung ones together cost one limit. Who waits longer than
//! the limit is left standing: his door is reported late, whatever comes of it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::host::{stragglers, sys};

/// How often it is asked whether the crew gets on.
const STALL: Duration = Duration::from_millis(10);
/// The crew is doubled when the rest would keep it longer than so many times [`STALL`].
const STALLS_MAX: usize = 5;
/// Workers at once, and so jobs that hang together and cost one limit; those that are left standing do not count. One has
/// some 50 KiB while he works: stacks as far as they are used, the kernel's among them, and his tools.
const WORKERS_MAX: usize = 1024;
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
    /// Workers with their jobs.
    posts: Vec<Post>,
    /// Jobs without an end.
    open: usize,
    /// Most workers at once.
    workers_max: usize,
    /// When the pace was last looked at, and how many jobs have ended since.
    judged: Instant,
    ended: usize,
}

struct Crew<T, R, J> {
    state: Mutex<State<T, R>>,
    moved: Condvar,
    job: J,
}

/// Does all jobs; each step of one may take `limit` at most. The answers are in the order of the jobs. Every worker has
/// tools of his own, which he brings from job to job.
pub fn each<T, R, W, J>(jobs: Vec<T>, limit: Duration, job: J) -> Vec<Result<R, Missed>>
where
    T: Send + 'static,
    R: Send + 'static,
    W: Default,
    J: Fn(&mut W, &Pulse, T) -> R + Send + Sync + 'static,
{
    each_by(WORKERS_MAX, jobs, limit, job)
}

fn each_by<T, R, W, J>(workers_max: usize, jobs: Vec<T>, limit: Duration, job: J) -> Vec<Result<R, Missed>>
where
    T: Send + 'static,
    R: Send + 'static,
    W: Default,
    J: Fn(&mut W, &Pulse, T) -> R + Send + Sync + 'static,
{
    let crew =
        Arc::new(Crew { state: Mutex::new(State::new(workers_max, jobs)), moved: Condvar::new(), job });
    let mut state = crew.lock();
    while state.open > 0 {
        let now = Instant::now();
        state.leave_standing(now, limit);
        let more = state.workers_wanted(now);
        if more > 0 {
            drop(state);
            let sent = (0..more).take_while(|_| Crew::send::<W>(&crew)).count();
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
    fn new(workers_max: usize, jobs: Vec<T>) -> Self {
        let open = jobs.len();
        State {
            waiting: jobs.into_iter().enumerate().collect(),
            ends: (0..open).map(|_| None).collect(),
            posts: Vec::new(),
            open,
            workers_max,
            judged: Instant::now(),
            ended: 0,
        }
    }

    /// Workers to send: one to begin with, and as many again as are busy when the rest would keep them for long.
    fn workers_wanted(&mut self, now: Instant) -> usize {
        let busy = self.posts.len();
        if busy > 0 && now.saturating_duration_since(self.judged) < STALL {
            return 0;
        }
        self.judged = now;
        let ended = std::mem::take(&mut self.ended);
        if busy > 0 && self.waiting.len() <= ended * STALLS_MAX {
            return 0;
        }
        busy.max(1).min(self.workers_max.saturating_sub(busy)).min(self.waiting.len())
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

    /// A new worker's first job.
    fn begin(&mut self) -> Option<(usize, Pulse, T)> {
        let (place, job) = self.waiting.pop_front()?;
        let pulse = Pulse::new();
        self.posts.push(Post { place, pulse: pulse.clone() });
        Some((place, pulse, job))
    }

    /// Takes what a worker brings and gives him his next job. What nobody waits for any more comes back: the job was given
    /// up meanwhile, and others go on in his place.
    fn go_on(&mut self, place: usize, end: R) -> Result<Option<(usize, T)>, R> {
        let Some(at) = self.posts.iter().position(|post| post.place == place) else { return Err(end) };
        self.open -= 1;
        self.ended += 1;
        if let Some(slot) = self.ends.get_mut(place) {
            *slot = Some(Ok(end));
        }
        let next = self.waiting.pop_front();
        match &next {
            Some((place, _)) => {
                let post = &mut self.posts[at];
                post.place = *place;
                post.pulse.beat();
            }
            None => drop(self.posts.swap_remove(at)),
        }
        Ok(next)
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
                worker.work(place, &pulse, job);
            }
        };
        if sys::start_thread(STACK_BYTES, life).is_ok() {
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

    fn work<W: Default>(&self, mut place: usize, pulse: &Pulse, mut job: T)
    where
        J: Fn(&mut W, &Pulse, T) -> R,
    {
        let mut tools = W::default();
        loop {
            let end = (self.job)(&mut tools, pulse, job);
            let mut state = self.lock();
            let next = state.go_on(place, end);
            let is_last = state.open == 0;
            drop(state);
            // Who waits is woken once, and finds nobody in his way.
            if is_last {
                self.moved.notify_all();
            }
            // What is late is dropped here, behind the lock: closing a disk may hang like every other use of it.
            let Ok(Some(next)) = next else { return };
            (place, job) = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::mpsc;
    use std::thread;

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
        let (workers_max, hung) = (8, 11u32);
        let limit = Duration::from_millis(100);
        let ends =
            each_by(workers_max, (0..hung + 5).collect(), limit, move |(): &mut (), _: &Pulse, number| {
                if number < hung {
                    // All queue for one lock whose holder waits for the test's end.
                    let _ = held.lock().map(|held| held.recv());
                }
                number
            });
        assert_eq!(ends.iter().filter(|end| **end == Err(Missed::TooLate)).count(), hung as usize);
        assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 5);
        drop(release);
    }

    /// A hundred hung jobs have all begun, and so hang beside each other, before the first of them is given up.
    #[test]
    fn all_hung_jobs_together_cost_one_limit() {
        let limit = Duration::from_secs(3);
        let (release, held) = mpsc::channel::<()>();
        let (held, begun) = (Arc::new(Mutex::new(held)), Arc::new(Mutex::new(Vec::new())));
        let note = Arc::clone(&begun);
        let ends = each((0..100u32).collect(), limit, move |(): &mut (), _: &Pulse, _| {
            note.lock().unwrap().push(Instant::now());
            let _ = held.lock().map(|held| held.recv());
        });
        assert_eq!(ends, vec![Err(Missed::TooLate); 100]);
        let begun = begun.lock().unwrap();
        let (first, last) = (begun.iter().min().unwrap(), begun.iter().max().unwrap());
        assert!(last.duration_since(*first) < limit);
        drop(release);
    }

    /// Doubled at every stall as long as the rest would take long; left as it is when it gets on.
    #[test]
    fn slow_jobs_wait_beside_each_other() {
        let mut state: State<u32, u32> = State::new(6, (0..1000).collect());
        let mut now = state.judged;
        for sent in [1, 1, 2, 2, 0] {
            assert_eq!(state.workers_wanted(now), sent);
            assert_eq!((0..sent).filter_map(|_| state.begin()).count(), sent);
            assert_eq!(state.workers_wanted(now + STALL / 2), 0);
            now += STALL;
        }
        let mut state: State<u32, u32> = State::new(64, (0..1000).collect());
        let (place, ..) = state.begin().unwrap();
        assert_eq!(state.go_on(place, 7), Ok(Some((1, 1))));
        state.ended = 998 / STALLS_MAX + 1;
        assert_eq!(state.workers_wanted(state.judged + STALL), 0);
        assert_eq!(state.workers_wanted(state.judged + STALL), 1);
    }

    /// What comes too late goes back to who brings it, who drops it where nobody waits: closing a disk may hang.
    #[test]
    fn a_late_result_is_given_back() {
        let mut state: State<(), u32> = State::new(1, vec![()]);
        let (place, pulse, ()) = state.begin().unwrap();
        state.leave_standing(pulse.last() + LONG, LONG);
        assert_eq!((state.open, state.go_on(place, 7)), (0, Err(7)));
    }
}
