//! Writers that stamp their blocks (`guest/stamps.c`), one after another in a part of a volume, on whichever machine has it up. What
//! each acknowledged is looked at all the time, for a machine may take its log along when it goes.

use crate::claims::{self, Block, Writer};
use crate::crew::Machine;
use crate::guest::Guest;
use crate::task::{Task, wait_until};
use crate::trouble::Trouble;

/// Microseconds between two writes: four writers and their machines share few processors.
const PAUSE_US: u32 = 3000;
/// So many writes are seen before a writer counts as one that writes.
const BEGUN: u64 = 5;
/// What was under way when it was looked at, and the time until it goes on.
const GOES_ON: u64 = 3;
/// Which of the machine's writers acknowledged how much, and which have ended. One process for all: it is asked all the time.
const LOOK: &str =
    "stamps logs /tmp/log-*; for c in /tmp/task-w-*.code; do [ -e $c ] && echo $c over; done; true";
/// The volume is up.
const UP: &str = "up";

/// A part of a volume, with those who wrote it since it was filled.
#[derive(Debug)]
pub struct Part {
    device: String,
    first: u64,
    blocks: u64,
    runs: Vec<Run>,
}

/// One that writes, or wrote.
#[derive(Debug)]
pub struct Run {
    /// What it claims.
    pub writer: Writer,
    /// On which machine.
    pub node: usize,
    /// None when it has ended, or its machine took it along.
    task: Option<Task>,
    is_over: bool,
    /// With which words it failed.
    pub failed: Option<String>,
}

impl Part {
    /// So many blocks of a device from one on.
    pub fn of(device: &str, first: u64, blocks: u64) -> Self {
        Self { device: device.into(), first, blocks, runs: Vec::new() }
    }

    /// All its writers, in order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// What they claim.
    pub fn claims(&self) -> Vec<Writer> {
        self.runs.iter().map(|run| run.writer.clone()).collect()
    }

    /// Has this machine a writer here that may write?
    pub fn has_writer(&self, node: usize) -> bool {
        self.runs.iter().any(|run| run.node == node && run.task.is_some() && !run.is_over)
    }

    /// Begins anew: every block is written once, and all that was before is none of it.
    pub fn fill(&mut self, guest: &mut Guest, node: usize, name: &str, epoch: u64) -> Result<(), Trouble> {
        let Self { device, first, blocks, .. } = self;
        guest
            .ok(&format!("rm -f /tmp/log-{name}* && stamps fill {name} {epoch} {device} {blocks} {first}"))?;
        let writer = Writer { acked: self.blocks, is_cut_short: false, ..Writer::new(name, epoch) };
        self.runs = vec![Run { writer, node, task: None, is_over: true, failed: None }];
        Ok(())
    }

    /// Starts a writer.
    pub fn start(&mut self, guest: &mut Guest, node: usize, name: &str, epoch: u64) -> Result<(), Trouble> {
        let Self { device, first, blocks, .. } = self;
        let command =
            format!("stamps write {name} {epoch} {device} {blocks} /tmp/log-{name} {first} {PAUSE_US}");
        let task = Task::start(guest, &format!("w-{name}"), &command)?;
        let writer = Writer::new(name, epoch);
        self.runs.push(Run { writer, node, task: Some(task), is_over: false, failed: None });
        Ok(())
    }

    /// Takes what a machine's writers say of themselves now.
    pub fn take(&mut self, node: usize, said: &str) {
        for run in self.runs.iter_mut().filter(|run| run.node == node && run.task.is_some()) {
            let name = &run.writer.name;
            for (who, what) in said.lines().filter_map(|line| line.split_once(' ')) {
                if who == format!("/tmp/log-{name}") {
                    run.writer.acked = what.trim().parse().unwrap_or(run.writer.acked);
                } else if what == "over" && who == format!("/tmp/task-w-{name}.code") {
                    run.is_over = true;
                }
            }
        }
    }

    /// This machine is about to stand still with its clocks.
    pub fn note_sleep(&mut self, node: usize) {
        for run in self.runs.iter_mut().filter(|run| run.node == node && run.task.is_some()) {
            run.writer.slept_at = Some(run.writer.acked);
        }
    }

    /// This machine took its writers along, with their logs.
    pub fn note_loss(&mut self, node: usize) {
        for run in self.runs.iter_mut().filter(|run| run.node == node && run.task.is_some()) {
            run.task = None;
            run.writer.is_log_lost = true;
        }
    }

    /// Waits until the newest writer writes.
    pub fn wait_for_begin(&mut self, guest: &mut Guest) -> Result<(), Trouble> {
        let Some(run) = self.runs.last() else { return Ok(()) };
        wait_until(guest, &more_than(&run.writer.name, BEGUN))
    }

    /// All writers of a machine end: who still could goes on first, and then is told that it is enough.
    pub fn end(&mut self, node: usize, machine: &mut Machine) -> Result<(), Trouble> {
        let guest = machine.guest()?;
        for run in self.runs.iter_mut().filter(|run| run.node == node) {
            let Some(task) = run.task.take() else { continue };
            let name = run.writer.name.clone();
            if !task.is_over(guest)? {
                goes_on(guest, &name)?;
                guest.ok(&format!("touch /tmp/log-{name}.enough"))?;
            }
            let said = task.end(guest)?;
            let acked = guest.ok(&format!("[ ! -s /tmp/log-{name} ] || od -A n -t d8 /tmp/log-{name}"))?;
            run.writer.acked = acked.trim().parse().unwrap_or_default();
            run.is_over = true;
            match (said.code, said.text().trim()) {
                (0, "") => run.writer.is_cut_short = false,
                (_, words) => run.failed = Some(words.into()),
            }
        }
        Ok(())
    }

    /// What stands on its blocks, as a machine reads it.
    pub fn read(&self, guest: &mut Guest) -> Result<Vec<Block>, Trouble> {
        claims::blocks(&guest.ok(&self.reading())?)
    }

    /// The command that reads it: behind a closed gate it waits.
    pub fn reading(&self) -> String {
        format!("stamps runs {} {} {}", self.device, self.blocks, self.first)
    }

    /// Has the newest writer been all over it?
    pub fn is_overwritten(&self) -> bool {
        self.runs.last().is_some_and(|run| run.writer.acked >= self.blocks)
    }
}

/// What the writers of a machine say of themselves, and whether a volume is up there. One command: each is a process or two, and on
/// a user-mode machine those cost more than all the rest.
pub fn look(guest: &mut Guest, volume: &str) -> Result<(String, bool), Trouble> {
    let said = guest.ok(&format!("{LOOK}; [ ! -e {volume} ] || echo {UP}"))?;
    let is_up = said.lines().any(|line| line == UP);
    Ok((said, is_up))
}

/// It has written more than that, or failed.
fn more_than(name: &str, count: u64) -> String {
    format!(
        "[ -e /tmp/task-w-{name}.code ] || {{ [ -s /tmp/log-{name} ] && [ $(od -A n -t d8 /tmp/log-{name}) -gt {count} ]; }}"
    )
}

fn goes_on(guest: &mut Guest, name: &str) -> Result<(), Trouble> {
    let now = guest.ok(&format!("[ ! -s /tmp/log-{name} ] || od -A n -t d8 /tmp/log-{name}"))?;
    wait_until(guest, &more_than(name, now.trim().parse().unwrap_or(0) + GOES_ON))
}
