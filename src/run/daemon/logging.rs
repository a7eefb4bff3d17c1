//! Where the daemon logs to, by the words of its command line.

use log::LevelFilter;

use crate::host::journal::Journal;
pub use crate::host::journal::Wanted;

/// `stderr`, `syslog` or `kmsg`.
pub fn parse(text: &str) -> Result<Wanted, String> {
    match text {
        "stderr" => Ok(Wanted::Stderr),
        "syslog" => Ok(Wanted::Syslog),
        "kmsg" => Ok(Wanted::Kernel),
        _ => {
            Err(format!("'{}' is no place to log to; there are stderr, syslog and kmsg", text.escape_debug()))
        }
    }
}

/// What an administrator did that somebody will ask for later stands in the kernel's log: where the disks cannot be written it is told
/// nowhere else.
pub fn note(words: &str) {
    let mut record = log::Record::builder();
    record.level(log::Level::Warn);
    log::Log::log(&Journal::new(Wanted::Kernel), &record.args(format_args!("{words}")).build());
}

/// All of the daemon logs there from now on.
pub fn begin(wanted: Wanted, debug: bool) {
    Journal::new(wanted).that_alarms().begin(if debug { LevelFilter::Debug } else { LevelFilter::Info });
}

/// All of a process beside it.
pub fn begin_beside(wanted: Wanted) {
    Journal::new(wanted).begin(LevelFilter::Info);
}
