//! Runs the real program and pulls the plug: it is traced, stopped before the N-th write or flush, and killed there.
//! Files outlive a killed process; a machine that loses power also loses what was not flushed. So what was written
//! since the last flush of each file is kept in mind, and can be taken back.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

// Numbers of system calls (x86-64).
const PWRITE64: u64 = 18;
const FSYNC: u64 = 74;
const FDATASYNC: u64 = 75;

/// One write that was begun, or made and not flushed yet.
pub struct Pending {
    /// The file.
    pub path: PathBuf,
    /// Where.
    pub at: u64,
    /// What stood there before.
    pub old: Vec<u8>,
    /// What is written.
    pub new: Vec<u8>,
}

/// How a traced run ended.
pub enum Run {
    /// By itself: there is no such point.
    Over { code: i32, said: String },
    /// Killed before a write or a flush.
    Killed {
        /// Writes made and not flushed, in their order.
        unflushed: Vec<Pending>,
        /// The write that it was about to make.
        next: Option<Pending>,
    },
}

/// A system call that the program is about to make.
struct Call {
    number: u64,
    arguments: [u64; 4],
}

fn call(pid: Pid) -> Call {
    let registers = ptrace::getregs(pid).expect("registers of a stopped program");
    let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
    Call { number: registers.orig_rax, arguments }
}

fn file_of(pid: Pid, call: &Call) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/fd/{}", call.arguments[0])).expect("the file that is written")
}

fn pending(pid: Pid, call: &Call) -> Pending {
    let [_, buffer, length, at] = call.arguments;
    let (path, length) = (file_of(pid, call), length as usize);
    let (mut old, mut new) = (vec![0; length], vec![0; length]);
    File::open(&path).and_then(|file| file.read_exact_at(&mut old, at)).expect("the old bytes");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("the memory of a traced program");
    memory.read_exact_at(&mut new, buffer).expect("the new bytes");
    Pending { path, at, old, new }
}

/// Starts it stopped: a shell waits for a word, is seized meanwhile, and becomes the program.
fn start(command: &Command) -> (Child, Pid) {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read -r go; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        shell.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = shell.spawn().expect("a shell");
    let pid = Pid::from_raw(child.id() as i32);
    let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).expect("tracing is allowed");
    child.stdin.take().expect("piped").write_all(b"go\n").expect("the shell waits");
    loop {
        match waitpid(pid, None).expect("the shell runs") {
            WaitStatus::PtraceEvent(..) => return (child, pid),
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal).expect("it is stopped"),
            other => panic!("the program did not start: {other:?}"),
        }
    }
}

/// Runs `command` up to the point before its write or flush number `point` (from 1), and kills it there.
pub fn run_to(command: &Command, point: usize) -> Run {
    let (child, pid) = start(command);
    let mut unflushed: Vec<Pending> = Vec::new();
    let (mut entering, mut points, mut flushed) = (true, 0, None);
    loop {
        ptrace::syscall(pid, None).expect("it is stopped");
        match waitpid(pid, None).expect("it runs") {
            WaitStatus::PtraceSyscall(_) if entering => {
                entering = false;
                let call = call(pid);
                if ![PWRITE64, FSYNC, FDATASYNC].contains(&call.number) {
                    continue;
                }
                points += 1;
                let write = (call.number == PWRITE64).then(|| pending(pid, &call));
                if points == point {
                    end(child, pid);
                    return Run::Killed { unflushed, next: write };
                }
                flushed = write.is_none().then(|| file_of(pid, &call));
                unflushed.extend(write);
            }
            WaitStatus::PtraceSyscall(_) => {
                entering = true;
                if let Some(path) = flushed.take() {
                    unflushed.retain(|write| write.path != path);
                }
            }
            WaitStatus::Exited(_, code) => return Run::Over { code, said: said(child) },
            WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..) => (),
            other => panic!("it ended by itself: {other:?}"),
        }
    }
}

fn end(mut child: Child, pid: Pid) {
    kill(pid, Signal::SIGKILL).expect("it is ours");
    let _ = child.wait();
}

fn said(mut child: Child) -> String {
    let mut said = String::new();
    let _ = child.stdout.take().map(|mut out| out.read_to_string(&mut said));
    let _ = child.stderr.take().map(|mut out| out.read_to_string(&mut said));
    said
}

/// Takes writes back, the last one first.
pub fn take_back<'a>(writes: impl DoubleEndedIterator<Item = &'a Pending>) {
    for write in writes.rev() {
        put(write, &write.old);
    }
}

/// Writes the first half of a write that was about to be made, cut at a multiple of 4096 bytes.
pub fn tear(write: &Pending) {
    let half = (write.new.len() / 2).next_multiple_of(4096);
    put(write, &write.new[..half.min(write.new.len())]);
}

fn put(write: &Pending, bytes: &[u8]) {
    let file = File::options().write(true).open(&write.path).expect("the file is there");
    file.write_all_at(bytes, write.at).expect("it can be written");
}

/// Unflushed writes by file.
pub fn by_file(unflushed: &[Pending]) -> BTreeMap<PathBuf, Vec<&Pending>> {
    let mut all: BTreeMap<PathBuf, Vec<&Pending>> = BTreeMap::new();
    unflushed.iter().for_each(|write| all.entry(write.path.clone()).or_default().push(write));
    all
}
