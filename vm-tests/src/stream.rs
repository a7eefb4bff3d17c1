//! One direction of a serial line: a thread takes whatever comes, keeps it in a log, and wakes who waits for it. The
//! line never fills up, so a guest never stands still because nobody listens.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::limits::Limit;
use crate::trouble::Trouble;

/// How much of what was heard a trouble shows.
const SHOWN_BYTES: usize = 600;

/// What came and was not consumed yet.
#[derive(Debug, Default)]
struct Heard {
    bytes: Vec<u8>,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    heard: Mutex<Heard>,
    changed: Condvar,
}

/// The listening end.
#[derive(Debug)]
pub struct Stream {
    shared: Arc<Shared>,
    log: PathBuf,
}

impl Stream {
    /// Listens from now on; all that comes goes to the end of the log too.
    pub fn listen(line: UnixStream, log: &Path) -> Result<Self, Trouble> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.map_err(Trouble::file("opening the log", log))?;
        let shared = Arc::new(Shared::default());
        let listener = Arc::clone(&shared);
        thread::spawn(move || pump(line, file, &listener));
        Ok(Self { shared, log: log.into() })
    }

    /// Where all that came is kept.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits for a text. What came before it is consumed and answered, the text itself is consumed.
    pub fn wait_for(&self, text: &[u8], limit: Limit) -> Result<Vec<u8>, Trouble> {
        self.wait_until(&format!("waiting for {:?}", lossy(text)), limit, |bytes, looked| {
            let from = looked.saturating_sub(text.len());
            let found = bytes[from..].windows(text.len()).position(|part| part == text);
            found.map(|at| (from + at, from + at + text.len()))
        })
    }

    /// Waits for the end of a line and answers the line without it.
    pub fn wait_for_line(&self, limit: Limit) -> Result<Vec<u8>, Trouble> {
        self.wait_for(b"\n", limit)
    }

    /// Waits until the other end is gone, which is when the machine is off.
    pub fn wait_for_end(&self, awaited: &str, limit: Limit) -> Result<(), Trouble> {
        let deadline = limit.deadline();
        let mut heard = self.lock();
        while !heard.is_over {
            heard = self.sleep(heard, deadline, awaited, limit)?;
        }
        Ok(())
    }

    /// Waits until `found` answers where what is wanted begins and ends; it is told how far it has looked before.
    fn wait_until(
        &self,
        awaited: &str,
        limit: Limit,
        found: impl Fn(&[u8], usize) -> Option<(usize, usize)>,
    ) -> Result<Vec<u8>, Trouble> {
        let deadline = limit.deadline();
        let mut looked = 0;
        let mut heard = self.lock();
        loop {
            if let Some((begin, end)) = found(&heard.bytes, looked) {
                let mut before: Vec<u8> = heard.bytes.drain(..end).collect();
                before.truncate(begin);
                return Ok(before);
            }
            looked = heard.bytes.len();
            if heard.is_over {
                return Err(Trouble::Off { awaited: awaited.into(), heard: tail(&heard.bytes) });
            }
            heard = self.sleep(heard, deadline, awaited, limit)?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep<'a>(
        &self,
        heard: MutexGuard<'a, Heard>,
        deadline: Instant,
        awaited: &str,
        limit: Limit,
    ) -> Result<MutexGuard<'a, Heard>, Trouble> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Trouble::Late { awaited: awaited.into(), limit, heard: tail(&heard.bytes) });
        }
        let woken = self.shared.changed.wait_timeout(heard, left);
        Ok(woken.unwrap_or_else(PoisonError::into_inner).0)
    }
}

/// A test that listens no more is no reason to stop: the log goes on.
fn pump(mut line: UnixStream, mut log: File, shared: &Shared) {
    let mut piece = [0; 16384];
    loop {
        let count = match line.read(&mut piece) {
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            other => other.unwrap_or(0),
        };
        let mut heard = shared.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.is_over = count == 0;
        heard.bytes.extend_from_slice(&piece[..count]);
        shared.changed.notify_all();
        drop(heard);
        if count == 0 || log.write_all(&piece[..count]).is_err() {
            return;
        }
    }
}

/// A place where the emulator connects; one that an earlier boot left goes.
pub(crate) fn listen_at(socket: &Path) -> Result<UnixListener, Trouble> {
    if socket.exists() {
        fs::remove_file(socket).map_err(Trouble::file("clearing", socket))?;
    }
    UnixListener::bind(socket).map_err(Trouble::file("listening at", socket))
}

/// The last part as text, for people.
pub fn tail(bytes: &[u8]) -> String {
    lossy(&bytes[bytes.len().saturating_sub(SHOWN_BYTES)..])
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SHORT: Limit = Limit { name: "test", time: Duration::from_millis(50) };

    fn pair(name: &str) -> (UnixStream, Stream) {
        let (near, far) = UnixStream::pair().unwrap();
        let log = std::env::temp_dir().join(format!("vm-tests-stream-{name}-{}", std::process::id()));
        let stream = Stream::listen(near, &log).unwrap();
        std::fs::remove_file(log).unwrap();
        (far, stream)
    }

    #[test]
    fn a_text_in_two_pieces_is_found_and_consumed() {
        let (mut far, stream) = pair("pieces");
        far.write_all(b"before mar").unwrap();
        assert!(
            matches!(stream.wait_for(b"mark", SHORT), Err(Trouble::Late { heard, .. }) if heard == "before mar")
        );
        far.write_all(b"k after\n").unwrap();
        assert_eq!(stream.wait_for(b"mark", SHORT).unwrap(), b"before ");
        assert_eq!(stream.wait_for_line(SHORT).unwrap(), b" after");
    }

    #[test]
    fn the_end_is_told_from_silence() {
        let (mut far, stream) = pair("end");
        assert!(matches!(stream.wait_for_end("the end", SHORT), Err(Trouble::Late { .. })));
        far.write_all(b"last words").unwrap();
        drop(far);
        assert!(
            matches!(stream.wait_for(b"more", SHORT), Err(Trouble::Off { heard, .. }) if heard == "last words")
        );
        stream.wait_for_end("the end", SHORT).unwrap();
    }
}
