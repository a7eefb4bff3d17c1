//! A machine whose kernel is a process, in that kernel's words (the kernel's own `Documentation/virt/uml`).

use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::network::Card;
use crate::plan::{Lines, Plan};
use crate::trouble::Trouble;

/// Its serial lines are the three first files: the shell's, the kernel's, and the guest's events. A panic ends it, and leaves no
/// image of its memory behind: `soft_panic`, because it would begin anew where a watchdog only restarts it. Without a
/// name for `root` what it boots into is a tmpfs, as evmsd wants it.
const KERNEL_WORDS: &str = "root= con=null ssl=null ssl0=fd:1 ssl1=fd:2 ssl2=fd:0 console=ttyS1 rdinit=/init panic=-1 \
    softdog.soft_panic=1 random.trust_cpu=on audit=0 quiet loglevel=6 vm.events=ttyS2";
/// Its memory is a file, which is to be in memory itself.
const MEMORY: &str = "/dev/shm";
/// Letters of disks.
const DISKS_MAX: usize = 16;
/// What it would drop where it stands when it panics.
const WITHOUT_CORE: &str = "ulimit -c 0; exec \"$@\"";
/// Its processes take turns with their kernel at each system call, which costs a third where both are on one processor.
static BOOTS: AtomicUsize = AtomicUsize::new(0);

/// The lines stand in another order than the emulator's: there is no control, and its place has the line of events.
pub(crate) fn command(plan: &Plan, lines: Lines<OwnedFd>, cards: &[Card]) -> Result<Command, Trouble> {
    if plan.clock.is_some() || !plan.machine_words.is_empty() || plan.disks.len() > DISKS_MAX {
        return Err(Trouble::Unexpected("a user-mode machine has no clock of its own and few disks".into()));
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", WITHOUT_CORE, "machine"]);
    command.args(["taskset", "-c", &processor()?.to_string()]).arg(&plan.parts.user_kernel);
    command.env("TMPDIR", MEMORY);
    command.stdin(Stdio::from(lines.control)).stdout(Stdio::from(lines.console));
    command.stderr(Stdio::from(lines.kernel));
    command.arg(format!("mem={}M", plan.memory_mib));
    command.arg(format!("initrd={}", plan.image.display()));
    command.arg(format!("uml_dir={}", plan.folder.join("user-mode").display()));
    command.arg(format!("umid={}", plan.name));
    for (number, disk) in plan.disks.iter().enumerate() {
        command.arg(disk.user_mode_word(number)?);
    }
    for (number, card) in cards.iter().enumerate() {
        command.arg(format!("eth{number}=daemon,{},unix,{}", card.mac, card.socket.display()));
    }
    command.args(KERNEL_WORDS.split_whitespace());
    command.args(plan.words(cards)?.split_whitespace());
    Ok(command)
}

/// One of the processors that this process may use, in turns.
fn processor() -> Result<usize, Trouble> {
    let status = fs::read_to_string("/proc/self/status").map_err(Trouble::io("asking for processors"))?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let processors = processors(list);
    let turn = BOOTS.fetch_add(1, Ordering::Relaxed) % processors.len().max(1);
    processors.get(turn).copied().ok_or_else(|| Trouble::Unexpected(format!("no processors: '{list}'")))
}

/// `0-2,4` as the kernel lists processors.
fn processors(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.trim().split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_as_the_kernel_lists_them() {
        assert_eq!(processors("\t0-2,4\n"), [0, 1, 2, 4]);
        assert!(processors("").is_empty());
    }
}
