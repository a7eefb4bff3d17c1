//! A thread that owns one thing and does one job at a time, so that who asks can stop waiting.
//!
//! A disk that hangs holds its caller in the kernel, where no signal and no timeout reaches it. So the file is
//! owned by a thread of its own: picture a clerk behind a hatch. The caller hands a job through, waits so long
//! and no longer, and if the clerk has not come back, closes the hatch for ever and goes away. The clerk is left
//! alone; when the kernel lets go of him he finds the hatch closed, shuts the file and is gone.

use std::convert::Infallible;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::errno::Errno;

use crate::host::{stragglers, sys};

/// Bytes of stack of a worker; its buffers are on the heap.
const STACK_BYTES: usize = 256 * 1024;

fn leave() -> NoAnswer {
    stragglers::leave();
    NoAnswer::TooLate
}

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

/// Why an answer did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The job did not end within the limit. It may still end, later, unheard.
    TooLate,
    /// The hatch is closed: an earlier job was too late, or the thread ended.
    Closed,
    /// The thread could not be started.
    NoThread(Errno),
}

/// The caller's side of the hatch. Jobs run in order, one outstanding; the limit of a job begins when it is handed
/// through, after those of other callers.
pub struct Worker<T> {
    line: Mutex<Line<T>>,
    limit: Duration,
}

struct Line<T> {
    /// `None` once the hatch is closed.
    jobs: Option<SyncSender<Job<T>>>,
    /// Says nothing; is disconnected when the thread has dropped what it owned.
    gone: Receiver<()>,
}

impl<T: 'static> Worker<T> {
    /// Starts a thread, makes the thing in it, and waits for that at most `limit`; each later job has the same
    /// limit. The outer error: no answer; the inner one: what `make` said.
    pub fn start<E: Send + 'static>(
        limit: Duration,
        make: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<Result<Worker<T>, E>, NoAnswer> {
        let (jobs, queue) = mpsc::sync_channel::<Job<T>>(1);
        let (tell_made, made) = mpsc::sync_channel(1);
        let (end, gone) = mpsc::sync_channel(0);
        let life = move || {
            match make() {
                Err(error) => drop(tell_made.send(Err(error))),
                Ok(thing) => {
                    if tell_made.send(Ok(())).is_ok() {
                        serve(thing, &queue);
                    }
                }
            }
            drop(end);
        };
        sys::start_thread(STACK_BYTES, life).map_err(NoAnswer::NoThread)?;
        match made.recv_timeout(limit) {
            Ok(Ok(())) => Ok(Ok(Worker { line: Mutex::new(Line { jobs: Some(jobs), gone }), limit })),
            Ok(Err(error)) => Ok(Err(error)),
            Err(RecvTimeoutError::Timeout) => Err(leave()),
            Err(RecvTimeoutError::Disconnected) => Err(NoAnswer::Closed),
        }
    }

    /// Has the thread do `job`, and waits for its answer at most the limit. After [`NoAnswer::TooLate`] no job is
    /// taken any more.
    pub fn ask<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, NoAnswer> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = line.jobs.as_ref().ok_or(NoAnswer::Closed)?;
        let (tell, answer) = mpsc::sync_channel(1);
        let told: Job<T> = Box::new(move |thing| drop(tell.send(job(thing))));
        jobs.send(told).map_err(|_| NoAnswer::Closed)?;
        answer.recv_timeout(self.limit).map_err(|why| {
            line.jobs = None;
            match why {
                RecvTimeoutError::Timeout => leave(),
                RecvTimeoutError::Disconnected => NoAnswer::Closed,
            }
        })
    }
}

fn serve<T>(mut thing: T, queue: &Receiver<Job<T>>) {
    for job in queue {
        job(&mut thing);
    }
}

impl<T> Drop for Worker<T> {
    /// Closes the hatch and waits, at most the limit, until the thread has dropped what it owned: a disk that is
    /// closed here can be opened exclusively on the next line. A hung thread is not waited for.
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        if line.jobs.take().is_some() {
            let _ = line.gone.recv_timeout(self.limit);
        }
    }
}

/// A thing that gets a worker of its own with the first job; until then it costs no thread.
pub struct OnCall<T> {
    resting: Mutex<Option<T>>,
    worker: OnceLock<Result<Worker<T>, NoAnswer>>,
    limit: Duration,
}

impl<T: Send + 'static> OnCall<T> {
    /// Keeps `thing`; each job may take `limit`.
    pub fn new(limit: Duration, thing: T) -> OnCall<T> {
        OnCall { resting: Mutex::new(Some(thing)), worker: OnceLock::new(), limit }
    }

    /// A worker that is there already.
    pub fn hired(worker: Worker<T>) -> OnCall<T> {
        let limit = worker.limit;
        OnCall { resting: Mutex::new(None), worker: OnceLock::from(Ok(worker)), limit }
    }

    /// As [`Worker::ask`].
    pub fn ask<R: Send + 'static>(
        &self,
        job: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, NoAnswer> {
        self.worker.get_or_init(|| self.hire()).as_ref().map_err(|why| *why)?.ask(job)
    }

    fn hire(&self) -> Result<Worker<T>, NoAnswer> {
        let thing = self.resting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thing = thing.ok_or(NoAnswer::Closed)?;
        let worker = Worker::start(self.limit, move || Ok::<T, Infallible>(thing))?;
        worker.map_err(|never| match never {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(20);

    fn counter(limit: Duration) -> Worker<u32> {
        Worker::start(limit, || Ok::<u32, ()>(0)).unwrap().unwrap()
    }

    #[test]
    fn jobs_run_in_order_on_the_one_thing() {
        let worker = counter(LONG);
        for n in 0..10 {
            assert_eq!(worker.ask(move |count| std::mem::replace(count, n + 1)), Ok(n));
        }
    }

    #[test]
    fn a_thing_on_call_is_kept_without_a_thread_until_the_first_job() {
        let here = thread::current().id();
        let resting = OnCall::new(LONG, 5u32);
        assert!(resting.worker.get().is_none());
        assert_eq!(resting.ask(|count| std::mem::replace(count, 6)), Ok(5));
        assert_eq!(resting.ask(move |count| (*count, thread::current().id() == here)), Ok((6, false)));
        assert_eq!(OnCall::hired(counter(LONG)).ask(|count| *count), Ok(0));
    }

    #[test]
    fn what_fails_to_be_made_says_why() {
        let made = Worker::<u32>::start(LONG, || Err("no such thing"));
        assert_eq!(made.unwrap().err(), Some("no such thing"));
    }

    #[test]
    fn a_hung_job_is_left_alone_and_the_hatch_stays_closed() {
        let worker = counter(SHORT);
        let (release, held) = mpsc::channel::<()>();
        assert_eq!(worker.ask(move |_| held.recv().is_ok()), Err(NoAnswer::TooLate));
        assert_eq!(worker.ask(|count| *count), Err(NoAnswer::Closed));
        drop(release);
        drop(worker); // and nobody waited for the hung thread
    }

    #[test]
    fn a_hung_making_ends_at_the_limit() {
        let (release, held) = mpsc::channel::<()>();
        let made = Worker::<u32>::start(SHORT, move || held.recv().map(|()| 0));
        assert_eq!(made.err(), Some(NoAnswer::TooLate));
        drop(release);
    }

    #[test]
    fn dropping_waits_until_the_thing_is_dropped() {
        struct Flag(Arc<AtomicBool>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst)
            }
        }
        let dropped = Arc::new(AtomicBool::new(false));
        let flag = Flag(Arc::clone(&dropped));
        drop(Worker::start(LONG, move || Ok::<_, ()>(flag)).unwrap().unwrap());
        assert!(dropped.load(Ordering::SeqCst));
    }
}
