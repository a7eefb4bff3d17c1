//! What people and programs read. A reader that went away (`evms list | head -1`) has seen enough and is no
//! failure; an answer that could not be written because the disk behind stdout is full is one, and is said.
//! `println!` panics on both, so nothing but this file writes to stdout or stderr.

use std::fmt::{self, Display};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use evms::base::failure::{Failure, Kind};
use serde_json::Value;

use crate::exit::Exit;
use crate::table::FRONT;

/// The answer did not reach stdout, and not because its reader went away.
#[derive(Debug)]
pub struct Unwritten(io::Error);

impl Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the answer could not be written to the standard output: {}; what was printed is incomplete, \
             make room or write elsewhere and ask again",
            self.0
        )
    }
}

impl Failure for Unwritten {
    fn kind(&self) -> Kind {
        Kind::Device
    }
}

/// Writes to any sink and judges the result; `text` is [`text`] for stdout.
fn write_to(sink: &mut dyn Write, text: &str) -> Result<(), Unwritten> {
    match sink.write_all(text.as_bytes()).and_then(|()| sink.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Unwritten),
    }
}

/// Prints `text` as it stands and flushes, so that a failure is known now and not after the exit.
pub fn text(text: &str) -> Result<(), Unwritten> {
    write_to(&mut io::stdout().lock(), text)
}

/// Prints a page: on a terminal in place of the one before, elsewhere behind it with an empty line between.
pub fn page(words: &str) -> Result<(), Unwritten> {
    const HOME_AND_CLEAR: &str = "\x1b[H\x1b[2J";
    let terminal = io::stdout().is_terminal();
    let page = if terminal { [HOME_AND_CLEAR, words].concat() } else { [words, "\n"].concat() };
    text(&page)
}

/// Is nobody there any more to read what is printed? To know is to try: nothing is printed by it.
pub fn reader_is_gone() -> bool {
    evms::run::context::is_closed(&io::stdout())
}

/// Prints one JSON value and a newline.
pub fn json(value: &Value) -> Result<(), Unwritten> {
    text(&format!("{value}\n"))
}

/// Prints one sentence on stderr, `APPLET: SENTENCE`. If stderr is gone too, the exit code has to tell it alone.
pub fn complain(applet: &str, sentence: &dyn Display) {
    let _ = io::stderr().lock().write_all(format!("{applet}: {sentence}\n").as_bytes());
}

/// Says what is waited for.
pub fn tell(sentence: &str) {
    complain(FRONT, &sentence);
}

/// Bytes from which on work is long enough to show.
const PROGRESS_BYTES_MIN: u64 = 8 * 1024 * 1024;

static PROGRESS_SHOWN: AtomicBool = AtomicBool::new(false);

/// Shows on a terminal how many bytes were written so far; elsewhere, and for little, nothing.
pub fn progress(bytes: u64) {
    let mut stderr = io::stderr().lock();
    if bytes >= PROGRESS_BYTES_MIN && stderr.is_terminal() {
        let _ = write!(stderr, "\r{FRONT}: {} MiB written ", bytes >> 20);
        PROGRESS_SHOWN.store(true, Ordering::Relaxed);
    }
}

/// Takes the line of progress away, if there is one.
pub fn progress_over() {
    if PROGRESS_SHOWN.swap(false, Ordering::Relaxed) {
        let _ = io::stderr().lock().write_all(b"\r\x1b[K");
    }
}

/// Says why, and answers the exit code that belongs to it.
pub fn refuse(applet: &str, failure: &dyn Failure) -> Exit {
    // `&dyn Failure` is not a `&dyn Display`, but it displays.
    complain(applet, &format_args!("{failure}"));
    Exit::from(failure.kind())
}

/// Ends an applet whose last act was to print: done, or refused because the answer was lost.
pub fn finish(applet: &str, printed: Result<(), Unwritten>) -> Exit {
    match printed {
        Ok(()) => Exit::Done,
        Err(unwritten) => refuse(applet, &unwritten),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sink(ErrorKind);

    impl Write for Sink {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_gone_reader_is_no_failure_and_a_full_disk_is_one() {
        assert!(write_to(&mut Sink(ErrorKind::BrokenPipe), "x").is_ok());
        let full = write_to(&mut Sink(ErrorKind::StorageFull), "x").unwrap_err();
        assert_eq!(full.kind(), Kind::Device);
        assert!(full.to_string().contains("incomplete"));
    }
}
