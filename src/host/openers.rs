//! Which processes have a block device open, as far as /proc tells: for the sentence that says who holds a volume.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use crate::host::device::DeviceNumber;

/// Processes that are named; the others are counted.
const NAMED_MAX: usize = 8;

/// One phrase a process: `process 812 (fio)`.
pub fn openers(number: DeviceNumber) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut open = pids.filter(|pid| has_open(*pid, number)).collect::<Vec<_>>();
    open.sort_unstable();
    let more = open.len().saturating_sub(NAMED_MAX);
    let mut words = open.iter().take(NAMED_MAX).map(|pid| in_words(*pid)).collect::<Vec<_>>();
    if more > 0 {
        words.push(format!("{more} more processes"));
    }
    words
}

fn has_open(pid: u32, number: DeviceNumber) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let is_it = |path: std::path::PathBuf| {
        fs::metadata(path).is_ok_and(|metadata| {
            metadata.file_type().is_block_device() && DeviceNumber::of_rdev(metadata.rdev()) == number
        })
    };
    files.flatten().any(|file| is_it(file.path()))
}

fn in_words(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("process {pid} ({})", name.trim().escape_debug())
}
