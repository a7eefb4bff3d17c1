//! What happened in a scene, in one order: what guests write to `/run/events`, and what the bench itself did to them.
//! Each event is stamped with the bench's clock when it arrives. A line that is on its way out of a machine when the
//! bench does something may arrive after it: order between two guests is order of arrival.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits::Limit;
use crate::stream::listen_at;
use crate::trouble::Trouble;

/// A longer line is taken for several.
const LINE_BYTES_MAX: u64 = 4096;
/// More are in the log only.
const EVENTS_MAX: usize = 100_000;
/// How many of the last ones a failed test shows.
const SHOWN: usize = 40;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The how-many-eth it is.
    pub number: usize,
    /// Since the scene began.
    pub at: Duration,
    /// The guest or the network.
    pub who: String,
    /// What it said, or what was done to it.
    pub what: String,
}

impl fmt::Display for Event {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:10.3} {}: {}", self.at.as_secs_f64(), self.who, self.what)
    }
}

#[derive(Debug)]
struct Told {
    events: Vec<Event>,
    count: usize,
    log: File,
}

#[derive(Debug)]
struct Shared {
    begin: Instant,
    told: Mutex<Told>,
    changed: Condvar,
}

/// The events of a scene, from some moment on.
#[derive(Clone, Debug)]
pub struct Events {
    shared: Arc<Shared>,
    from: usize,
}

impl Events {
    /// Begins; every event goes to the log too.
    pub fn on(log: &Path) -> Result<Self, Trouble> {
        let log = File::create_new(log).map_err(Trouble::file("making the log", log))?;
        let told = Mutex::new(Told { events: Vec::new(), count: 0, log });
        let shared = Shared { begin: Instant::now(), told, changed: Condvar::new() };
        Ok(Self { shared: Arc::new(shared), from: 0 })
    }

    /// Notes an event.
    pub fn say(&self, who: &str, what: &str) {
        let mut told = self.lock();
        let at = self.shared.begin.elapsed();
        let event = Event { number: told.count, at, who: who.into(), what: what.into() };
        // A log that cannot be written shows itself when it is read; the events are here all the same.
        let _ = writeln!(told.log, "{event}");
        told.count += 1;
        if told.events.len() < EVENTS_MAX {
            told.events.push(event);
        }
        self.shared.changed.notify_all();
    }

    /// Takes the lines of a guest's next boot, which connects to the socket.
    pub(crate) fn listen(&self, who: &str, socket: &Path) -> Result<(), Trouble> {
        let listener = listen_at(socket)?;
        let (events, who) = (self.clone(), who.to_string());
        thread::spawn(move || {
            if let Ok((line, _)) = listener.accept() {
                events.take_lines(&who, line);
            }
        });
        Ok(())
    }

    /// Takes the lines of a guest that has this one for them.
    pub(crate) fn take(&self, who: &str, line: UnixStream) {
        let (events, who) = (self.clone(), who.to_string());
        thread::spawn(move || events.take_lines(&who, line));
    }

    fn take_lines(&self, who: &str, line: UnixStream) {
        let mut line = BufReader::new(line);
        loop {
            let mut bytes = Vec::new();
            match line.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(_) => self.say(who, String::from_utf8_lossy(&bytes).trim_end()),
            }
        }
    }

    /// Those that are later than this one.
    #[must_use]
    pub fn after(&self, event: &Event) -> Self {
        Self { shared: Arc::clone(&self.shared), from: event.number + 1 }
    }

    /// Those that are still to come.
    #[must_use]
    pub fn from_now(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), from: self.lock().count }
    }

    /// All so far.
    pub fn list(&self) -> Vec<Event> {
        self.lock().events.iter().skip(self.from).cloned().collect()
    }

    /// The last ones so far, as lines for people.
    pub fn end(&self) -> String {
        let told = self.lock();
        let last = told.events.iter().skip(told.events.len().saturating_sub(SHOWN));
        last.map(|event| format!("{event}\n")).collect()
    }

    /// Waits for the first event of somebody that has `what` in it.
    pub fn wait_for(&self, who: &str, what: &str, limit: Limit) -> Result<Event, Trouble> {
        let deadline = limit.deadline();
        let mut told = self.lock();
        loop {
            let mut events = told.events.iter().skip(self.from);
            if let Some(event) = events.find(|event| event.who == who && event.what.contains(what)) {
                return Ok(event.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(told);
                return Err(Trouble::Late {
                    awaited: format!("event {what:?} of {who}"),
                    limit,
                    heard: self.end(),
                });
            }
            let woken = self.shared.changed.wait_timeout(told, left);
            told = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Limit = Limit { name: "test", time: Duration::from_millis(50) };

    fn events(name: &str) -> (std::path::PathBuf, Events) {
        let log = std::env::temp_dir().join(format!("vm-tests-events-{name}-{}", std::process::id()));
        let events = Events::on(&log).unwrap();
        (log, events)
    }

    #[test]
    fn the_same_words_are_told_apart_by_their_place() {
        let (log, events) = events("place");
        for (who, what) in [("one", "beat 1"), ("two", "beat 1"), ("one", "beat 1")] {
            events.say(who, what);
        }
        let first = events.wait_for("one", "beat", SHORT).unwrap();
        let second = events.after(&first).wait_for("one", "beat", SHORT).unwrap();
        assert_eq!((first.number, second.number), (0, 2));
        assert!(first.at <= second.at);
        assert!(matches!(events.after(&second).wait_for("one", "beat", SHORT), Err(Trouble::Late { .. })));
        assert!(events.from_now().list().is_empty());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), events.end());
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn lines_of_a_guest_come_one_by_one() {
        let (log, events) = events("lines");
        let socket = log.with_extension("sock");
        events.listen("one", &socket).unwrap();
        let mut line = UnixStream::connect(&socket).unwrap();
        line.write_all(b"first\r\nsec").unwrap();
        line.write_all(b"ond\nlast words").unwrap();
        drop(line);
        events.wait_for("one", "last words", Limit::seconds("test", 10)).unwrap();
        let said: Vec<String> = events.list().into_iter().map(|event| event.what).collect();
        assert_eq!(said, ["first", "second", "last words"]);
        for path in [log, socket] {
            std::fs::remove_file(path).unwrap();
        }
    }
}
