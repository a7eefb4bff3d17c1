//! The power cord of a process: a machine, or something that serves machines.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::limits::Limit;
use crate::trouble::Trouble;

/// Whoever is killed is gone so soon.
const GONE: Limit = Limit::seconds("the end of what was killed", 10);
/// Between two looks at it: nothing tells of a group's end.
const LOOK: Duration = Duration::from_millis(5);

/// Kills whom its word names when the test lets go of its input, or is gone. Nobody may be there any more.
const WATCHER: &str = "read -r _; kill -9 $1 2>/dev/null";

/// A running process. However the test ends, even killed, the process ends with it: a second one sleeps on a pipe that
/// only the test holds, and pulls the cord when it closes.
#[derive(Debug)]
pub(crate) struct Cord {
    process: Child,
    watcher: Child,
    /// All that it started ends with it.
    is_group: bool,
}

impl Cord {
    /// A process that has no other ones.
    pub(crate) fn plug(command: Command) -> Result<Self, Trouble> {
        Self::start(command, false)
    }

    /// A process with all that it will start, in a group of its own: they end together, in one step of the kernel. Nobody
    /// of them is left to write what the others would not.
    pub(crate) fn plug_group(mut command: Command) -> Result<Self, Trouble> {
        command.process_group(0);
        Self::start(command, true)
    }

    fn start(mut command: Command, is_group: bool) -> Result<Self, Trouble> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut process = command.spawn().map_err(Trouble::io(format!("starting {name}")))?;
        let whom = format!("{}{}", if is_group { "-" } else { "" }, process.id());
        // In a group of its own it outlives who ends the test from a keyboard.
        let watcher = Command::new("/bin/sh")
            .args(["-c", WATCHER, "watcher", &whom])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn();
        match watcher {
            Ok(watcher) => Ok(Self { process, watcher, is_group }),
            Err(source) => {
                let _ = process.kill();
                let _ = process.wait();
                Err(Trouble::Io { doing: "starting the watcher".into(), source })
            }
        }
    }

    /// Sends a signal to the process alone: `STOP`, `CONT`.
    pub(crate) fn signal(&self, signal: &str) -> Result<(), Trouble> {
        let pid = self.process.id().to_string();
        let sent = Command::new("/bin/sh").args(["-c", "kill -$1 $2", "kill", signal, &pid]).status();
        match sent.map_err(Trouble::io("sending a signal"))?.success() {
            true => Ok(()),
            false => Err(Trouble::Unexpected(format!("process {pid} takes no signal {signal}"))),
        }
    }

    pub(crate) fn pull(&mut self) -> Result<(), Trouble> {
        if !self.is_group {
            self.process.kill().map_err(Trouble::io("pulling the cord"))?;
        }
        self.collect()
    }

    /// The watcher goes before the process is waited for: until then nobody else can have its number. It ends what a group
    /// may have left behind.
    pub(crate) fn collect(&mut self) -> Result<(), Trouble> {
        if self.is_group {
            drop(self.watcher.stdin.take());
        } else {
            let _ = self.watcher.kill();
        }
        self.watcher.wait().map_err(Trouble::io("ending the watcher"))?;
        if self.is_group {
            let _ = self.process.kill();
        }
        let group = self.process.id();
        self.process.wait().map_err(Trouble::io("collecting the process"))?;
        if self.is_group { wait_for_the_rest(group) } else { Ok(()) }
    }
}

/// Who is killed may be in the middle of a write: the machine is off when none of its processes is anything but a name.
fn wait_for_the_rest(group: u32) -> Result<(), Trouble> {
    let deadline = GONE.deadline();
    while lives(group) {
        if Instant::now() > deadline {
            return Err(Trouble::Unexpected(format!(
                "processes of group {group} do not end, though they were killed"
            )));
        }
        thread::sleep(LOOK);
    }
    Ok(())
}

/// Is there a process of this group that can still do something?
fn lives(group: u32) -> bool {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.any(|stat| {
        // Behind the name, which may be anything: state, parent, group.
        let mut words = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let state = words.next().unwrap_or("X");
        let of_it = words.nth(1).and_then(|word| word.parse().ok()) == Some(group);
        of_it && !matches!(state, "Z" | "X")
    })
}

impl Drop for Cord {
    fn drop(&mut self) {
        let _ = self.pull();
    }
}
