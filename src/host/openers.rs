//! Which processes have a block device open, as far as /proc tells: for the sentence that says who holds a volume.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use crate::base::sorted::sort;
use crate::host::device::DeviceNumber;
use crate::host::sysfs::{self, Roots};
use crate::host::udev;

/// Processes that are named; the others are counted.
const NAMED_MAX: usize = 8;

/// Who uses a block device, one phrase each: what is mounted from it or stands on it, and processes.
pub fn users(number: DeviceNumber) -> Vec<String> {
    let uses = sysfs::uses_of(&Roots::default(), number);
    let mut words = uses.map(|uses| uses.in_words()).unwrap_or_default();
    words.extend(openers(number));
    words
}

/// One phrase a process: `process 812 (fio)`.
pub fn openers(number: DeviceNumber) -> Vec<String> {
    let open = processes(number);
    let more = open.len().saturating_sub(NAMED_MAX);
    let mut words = open.iter().take(NAMED_MAX).map(|pid| in_words(*pid)).collect::<Vec<_>>();
    if more > 0 {
        words.push(format!("{more} more processes"));
    }
    words
}

/// Is every process that has it open one of udev's, which looks and goes? True of none at all.
pub fn only_udev(number: DeviceNumber) -> bool {
    processes(number).into_iter().all(|pid| udev::is_named(name_of(pid).trim()))
}

fn processes(number: DeviceNumber) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut open =
        pids.filter(|pid| *pid != std::process::id() && has_open(*pid, number)).collect::<Vec<_>>();
    sort(&mut open);
    open
}

fn has_open(pid: u32, number: DeviceNumber) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    // Where it was opened is known without asking a file system; a dead NFS would not answer.
    let may_be = |path: &std::path::PathBuf| {
        fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("/dev/"))
    };
    let is_it = |path: std::path::PathBuf| {
        fs::metadata(path).is_ok_and(|metadata| {
            metadata.file_type().is_block_device() && DeviceNumber::of_rdev(metadata.rdev()) == number
        })
    };
    files.flatten().map(|file| file.path()).filter(may_be).any(is_it)
}

fn in_words(pid: u32) -> String {
    format!("process {pid} ({})", name_of(pid).trim().escape_debug())
}

fn name_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
}
