//! Where the daemon's log goes: to stderr where somebody reads it (a terminal, a service manager), else to syslog, else to
//! the kernel's log. Never waits: what cannot be taken at once is dropped and counted, for a full disk behind the log must
//! stop nothing (F50). That it is so is told once, in the kernel's log.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use log::{Level, LevelFilter, Log, Metadata, Record};
use nix::libc;

use crate::host::wait;

/// Bytes of a line at most; kmsg takes a little less than a thousand.
const LINE_BYTES_MAX: usize = 900;
/// Facility "daemon" of syslog, shifted as it is sent.
const FACILITY: u8 = 3 << 3;
/// Lines that the kernel takes from one opening of its log within five seconds (DEFAULT_RATELIMIT_BURST): what comes after them it takes
/// without a word and forgets. The words of a bad moment come at once, and all of them are wanted.
const KERNEL_LINES: u8 = 10;

/// A log that takes some lines and drops others is not told of each time.
const ALARM_AGAIN: Duration = Duration::from_secs(600);

/// Where lines go.
enum Sink {
    /// Stderr; does a service manager read the level in front of each line?
    Stderr {
        levels: bool,
    },
    Syslog(UnixDatagram),
    Kernel(KernelLog),
}

/// The kernel's log, opened anew before it forgets what is written.
struct KernelLog {
    file: File,
    /// That this opening took.
    lines: u8,
}

/// The log.
pub struct Journal {
    sink: Mutex<Sink>,
    dropped: AtomicU64,
    /// When it was told that lines are dropped; none in a process beside the daemon, which tells it for all.
    alarmed: Option<Mutex<Option<Instant>>>,
}

/// Which one is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// What is there.
    #[default]
    Any,
    /// Stderr.
    Stderr,
    /// Syslog.
    Syslog,
    /// The kernel's log.
    Kernel,
}

fn syslog() -> Option<Sink> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect("/dev/log").ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(Sink::Syslog(socket))
}

/// syslogd may have been started anew: its socket is another one then.
fn again(socket: &UnixDatagram, bytes: &[u8]) -> bool {
    socket.connect("/dev/log").is_ok() && socket.send(bytes).is_ok()
}

impl KernelLog {
    fn open() -> Option<KernelLog> {
        let file = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
        Some(KernelLog { file, lines: 0 })
    }

    fn write(&mut self, line: &[u8]) -> bool {
        if self.lines >= KERNEL_LINES
            && let Some(anew) = KernelLog::open()
        {
            *self = anew;
        }
        self.lines = self.lines.saturating_add(1);
        self.file.write_all(line).is_ok()
    }
}

fn stderr() -> Sink {
    Sink::Stderr { levels: std::env::var_os("JOURNAL_STREAM").is_some() }
}

impl Journal {
    /// What was asked for, or what there is.
    pub fn new(wanted: Wanted) -> Journal {
        let read = std::io::stderr().is_terminal() || std::env::var_os("JOURNAL_STREAM").is_some();
        let sink = match wanted {
            Wanted::Any if read => None,
            Wanted::Any => syslog().or_else(|| KernelLog::open().map(Sink::Kernel)),
            Wanted::Stderr => None,
            Wanted::Syslog => syslog(),
            Wanted::Kernel => KernelLog::open().map(Sink::Kernel),
        };
        Journal { sink: Mutex::new(sink.unwrap_or_else(stderr)), dropped: AtomicU64::new(0), alarmed: None }
    }

    /// The same, and where it takes nothing that is told.
    pub fn that_alarms(self) -> Journal {
        Journal { alarmed: Some(Mutex::new(None)), ..self }
    }

    /// A line was not taken. Who looks for the words of this daemon where it logs to finds none, so that is said where they still arrive.
    fn drop_line(&self, sink: &Sink) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        let Some(Ok(mut alarmed)) = self.alarmed.as_ref().map(Mutex::try_lock) else { return };
        if alarmed.is_some_and(|then| then.elapsed() < ALARM_AGAIN) {
            return;
        }
        *alarmed = Some(Instant::now());
        let words = format!(
            "the {} of process {} takes no lines, as where a disk is full: they are dropped and counted, and all else goes on; make room \
             there, or see: dmesg, evms status",
            sink.name(),
            std::process::id()
        );
        if let (false, Some(mut kernel)) = (matches!(sink, Sink::Kernel(_)), KernelLog::open()) {
            kernel.write(format!("<{}>evmsd: {words}\n", FACILITY | severity(Level::Error)).as_bytes());
        }
    }

    /// All of this process log there from now on. Once; a second time nothing changes.
    pub fn begin(self, level: LevelFilter) {
        if log::set_boxed_logger(Box::new(self)).is_ok() {
            log::set_max_level(level);
        }
    }
}

fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

impl Sink {
    fn name(&self) -> &'static str {
        match self {
            Sink::Stderr { .. } => "stderr",
            Sink::Syslog(_) => "syslog",
            Sink::Kernel(_) => "kernel's log",
        }
    }

    fn write(&mut self, level: Level, words: &str) -> bool {
        let severity = severity(level);
        let mut line = String::new();
        // Writing to a text does not fail.
        let _ = match self {
            Sink::Stderr { levels: true } => writeln!(line, "<{severity}>{words}"),
            Sink::Stderr { levels: false } => writeln!(line, "evmsd: {words}"),
            Sink::Syslog(_) => write!(line, "<{}>evmsd: {words}", FACILITY | severity),
            // One without an end is kept back for what may be added to it, until somebody else writes.
            Sink::Kernel(_) => writeln!(line, "<{}>evmsd: {words}", FACILITY | severity),
        };
        let bytes = line.as_bytes();
        match self {
            // Somebody who stopped reading is not waited for.
            Sink::Stderr { .. } => {
                wait::is_writable(&std::io::stderr()) && std::io::stderr().write_all(bytes).is_ok()
            }
            Sink::Syslog(socket) => socket.send(bytes).is_ok() || again(socket, bytes),
            Sink::Kernel(log) => log.write(bytes),
        }
    }
}

fn cut(words: &str) -> &str {
    let end = (0..=LINE_BYTES_MAX.min(words.len())).rev().find(|end| words.is_char_boundary(*end));
    words.get(..end.unwrap_or(0)).unwrap_or_default()
}

impl Log for Journal {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let words = record.args().to_string().replace('\n', " ");
        // Whoever writes right now keeps nobody waiting.
        let Ok(mut sink) = self.sink.try_lock() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 && !sink.write(Level::Warn, &format!("{dropped} lines of this log were dropped")) {
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
        }
        if !sink.write(record.level(), cut(&words)) {
            self.drop_line(&sink);
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;

    #[test]
    fn a_long_line_is_cut_between_letters() {
        let long = "ä".repeat(LINE_BYTES_MAX);
        assert_eq!(cut(&long).len(), LINE_BYTES_MAX);
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&format!("x{long}")).len(), LINE_BYTES_MAX - 1);
    }

    /// As the kernel's own log has it, which forgets what comes after ten lines of one opening.
    #[test]
    fn the_kernel_forgets_none_of_many_lines() {
        let read = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
        let (Ok(mut read), Some(mut log)) = (read, KernelLog::open()) else {
            eprintln!("NOT RUN: this machine shows nobody its kernel's log");
            return;
        };
        read.seek(SeekFrom::End(0)).unwrap();
        let told = usize::from(KERNEL_LINES) * 3;
        let mark = format!("evms-journal-test-{}", std::process::id());
        for number in 0..told {
            assert!(log.write(format!("<{}>{mark} {number}\n", FACILITY | 7).as_bytes()));
        }
        let mut record = [0; 8192];
        let mut found = 0;
        loop {
            match read.read(&mut record) {
                Ok(length) => {
                    found += usize::from(String::from_utf8_lossy(&record[..length]).contains(&mark));
                }
                // What was there is overwritten already: what follows is not.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => (),
                Err(_) => break,
            }
        }
        assert_eq!(found, told);
    }
}
