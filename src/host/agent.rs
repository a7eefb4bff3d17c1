//! One call of a fence agent: a program that reads what it is to do as lines of `name=value` and answers by its exit code (the
//! convention of ClusterLabs' fence agents). It is nobody's friend: it may hang, write without an end, leave others behind, or not be
//! there. So it runs in a group of processes of its own, which is gone when this returns, and what it writes is read and forgotten but
//! for the end of it. What its answers are worth is not decided here.

use core::ffi::CStr;
use std::ffi::CString;
use std::fs;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::base::time::BootTime;
use crate::host::wait::Watch;
use crate::host::{clock, sys};

/// Where one is looked for that is named without a path.
pub const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// All that it finds around it.
const ENVIRONMENT: [&CStr; 2] = [c"PATH=/usr/sbin:/usr/bin:/sbin:/bin", c"LC_ALL=C"];
/// Milliseconds for what was killed to be gone; a process in the kernel's hands may not be.
const KILL_MS: u64 = 1000;
/// Bytes of what it wrote that are remembered.
const TAIL_BYTES: usize = 1024;
/// Bytes of the line that is told.
const LINE_BYTES_MAX: usize = 200;
/// Bytes that are read at once.
const READ_BYTES: usize = 16 * 1024;
/// Reads behind its end: what a pipe still holds, and no more, for somebody may have left its group and go on writing.
const READS_BEHIND_MAX: usize = 8;

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(i32),
    /// By a signal of somebody else.
    Signal(i32),
    /// It was killed at its limit.
    TooLate,
    /// It was not started.
    NotStarted(String),
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub ended: Ended,
    /// The last line that it wrote.
    pub said: String,
}

/// The program that is meant; nothing where there is none that can be run.
pub fn find(program: &str) -> Option<PathBuf> {
    let runs = |path: &PathBuf| {
        let about = fs::metadata(path);
        about.is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(runs);
    }
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).find(runs)
}

/// Calls it, with this on its standard input, for at most so many milliseconds and those that killing takes. What it wrote goes through
/// `hush` before anything is cut off it: half of a secret is one too.
pub fn call(program: &Path, input: &str, limit_ms: u64, hush: impl Fn(&str) -> String) -> Answer {
    let ends = clock::boot_now().plus_ms(limit_ms);
    let not_started =
        |error: io::Error| Answer { ended: Ended::NotStarted(error.to_string()), said: String::new() };
    let (child, mut tail) = match start(program, input) {
        Ok((child, output)) => (child, Tail { output, bytes: Vec::new(), is_cut: false, is_over: false }),
        Err(error) => return not_started(error),
    };
    let life = match sys::life_of(child) {
        Ok(life) => life,
        Err(errno) => {
            kill(child);
            sys::wait_for_child(child);
            return not_started(errno.into());
        }
    };
    let by_itself = live(&life, &mut tail, ends);
    // Not yet waited for, so that its number, which is that of the group, is nobody else's: whoever it left behind goes too.
    kill(child);
    // Who is not gone though it was killed hangs in the kernel: nobody waits for that.
    let gone = by_itself || live(&life, &mut tail, clock::boot_now().plus_ms(KILL_MS));
    let how = gone.then(|| sys::how_it_ended(child));
    tail.rest();
    let ended = match how.filter(|_| by_itself) {
        Some(Ok(code)) => Ended::Code(code),
        Some(Err(signal)) => Ended::Signal(signal),
        None => Ended::TooLate,
    };
    Answer { ended, said: tail.last_line(hush) }
}

/// In a group of its own, with nothing of this process's surroundings; what it writes comes out of the pipe.
fn start(program: &Path, input: &str) -> io::Result<(i32, PipeReader)> {
    let (output, writes) = io::pipe()?;
    let (reads, mut told) = io::pipe()?;
    // All of it fits into the pipe: this waits for nobody, and who does not read it is nobody's trouble.
    told.write_all(input.as_bytes())?;
    let program = CString::new(program.as_os_str().as_bytes())?;
    Ok((sys::start_in_group(&program, &ENVIRONMENT, &reads, &writes)?, output))
}

/// Ends it and all of its group. Who is gone already is no failure.
fn kill(child: i32) {
    let _ = killpg(Pid::from_raw(child), Signal::SIGKILL);
}

/// Reads what it writes until it has ended; false when it is time before that.
fn live(life: &impl AsFd, tail: &mut Tail, ends: BootTime) -> bool {
    loop {
        let left_ms = ends.ms.saturating_sub(clock::boot_now().ms);
        let output = (!tail.is_over).then(|| tail.output.as_fd());
        let mut watch = Watch::new([life.as_fd()].into_iter().chain(output));
        watch.wait(left_ms.saturating_mul(1000));
        if watch.is_ready(0) {
            return true;
        }
        if watch.is_ready(1) {
            tail.read();
        }
        if left_ms == 0 {
            return false;
        }
    }
}

/// The end of what it wrote.
struct Tail {
    output: PipeReader,
    bytes: Vec<u8>,
    /// Is it more than is kept?
    is_cut: bool,
    is_over: bool,
}

impl Tail {
    /// Takes what is there; called when something is.
    fn read(&mut self) {
        let mut read = [0; READ_BYTES];
        let length = self.output.read(&mut read).unwrap_or(0);
        self.is_over = length == 0;
        self.bytes.extend_from_slice(read.get(..length).unwrap_or_default());
        let surplus = self.bytes.len().saturating_sub(TAIL_BYTES);
        self.is_cut |= surplus > 0;
        self.bytes.drain(..surplus);
    }

    /// What is there still.
    fn rest(&mut self) {
        for _ in 0..READS_BEHIND_MAX {
            let mut watch = Watch::new([self.output.as_fd()].into_iter());
            watch.wait(0);
            if self.is_over || !watch.is_ready(0) {
                return;
            }
            self.read();
        }
    }

    fn last_line(&self, hush: impl Fn(&str) -> String) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        // Of a line whose beginning is gone nobody knows what the rest of it was.
        let whole = if self.is_cut { text.split_once('\n').map_or("", |(_, whole)| whole) } else { &text };
        let text = hush(whole);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let seen = line.chars().map(|one| if one.is_control() { '?' } else { one });
        let mut said = String::new();
        for one in seen {
            if said.len() + one.len_utf8() > LINE_BYTES_MAX {
                break;
            }
            said.push(one);
        }
        said
    }
}

#[cfg(test)]
mod tests;
