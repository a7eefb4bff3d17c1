//! How the disks take this node's beats, for people: a file in `/run/evms`, a line for each disk, which whoever beats writes anew all the
//! time. Nothing is decided by it.

use std::path::{Path, PathBuf};

use crate::base::gather::Gather;
use crate::base::id::ContainerId;
use crate::host::run_dir::RUN;
use crate::host::secret;

/// Of one disk. Times are milliseconds; of boot time where they are moments, and zero where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BeatNote {
    /// The disk, as the kernel calls it.
    pub disk: String,
    /// The container whose it is.
    pub container: ContainerId,
    /// When its last beat was on the disk.
    pub last: u64,
    /// How long that took.
    pub took_ms: u64,
    /// How long one took at most.
    pub worst_ms: u64,
    /// Since when one is under way.
    pub under_way: u64,
}

fn path() -> PathBuf {
    Path::new(RUN).join("beats-note")
}

/// Leaves these. That it could not is nobody's trouble.
pub fn write(notes: &[BeatNote]) {
    let line = |note: &BeatNote| {
        let BeatNote { disk, container, last, took_ms, worst_ms, under_way } = note;
        format!("{disk} {container} {last} {took_ms} {worst_ms} {under_way}\n")
    };
    let _ = secret::replace(&path(), &notes.iter().map(line).collect::<String>());
}

/// Those that were left in this boot.
pub fn read() -> Vec<BeatNote> {
    let text = secret::text(&path()).unwrap_or_default();
    text.lines().filter_map(parse).gather()
}

fn parse(line: &str) -> Option<BeatNote> {
    let mut words = line.split(' ');
    let disk = words.next()?.into();
    let container = ContainerId::parse(words.next()?)?;
    let mut number = || words.next()?.parse().ok();
    let (last, took_ms, worst_ms, under_way) = (number()?, number()?, number()?, number()?);
    Some(BeatNote { disk, container, last, took_ms, worst_ms, under_way })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_none_is_left_out() {
        let container = ContainerId([9; 16]);
        let line = format!("/dev/sda {container} 1000 3 30 0");
        let note = BeatNote {
            disk: "/dev/sda".into(),
            container,
            last: 1000,
            took_ms: 3,
            worst_ms: 30,
            under_way: 0,
        };
        assert_eq!(parse(&line), Some(note));
        for bad in ["", "/dev/sda", "/dev/sda x 1 2 3 4", "/dev/sda 1 2 3 4", "/dev/sda x 1 2 3 many"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
