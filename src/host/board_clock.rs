//! The clock on the machine's board, which goes on while the machine stands still. Only read, by the file that the kernel has of it:
//! its device is for one user at a time, and may be another's.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where the kernel tells its seconds.
const PATH: &str = "/sys/class/rtc/rtc0/since_epoch";
/// Bytes of a number of seconds at most, with the end of the line.
const TEXT_BYTES: usize = 24;

/// One that can be read.
pub struct BoardClock(File);

impl BoardClock {
    /// The first one of this machine, where there is any.
    pub fn open() -> Option<BoardClock> {
        BoardClock::at(Path::new(PATH))
    }

    fn at(path: &Path) -> Option<BoardClock> {
        let clock = BoardClock(File::open(path).ok()?);
        clock.seconds().is_some().then_some(clock)
    }

    /// Its seconds since 1970, as somebody set it; nothing when it does not tell.
    pub fn seconds(&self) -> Option<u64> {
        let mut text = [0; TEXT_BYTES];
        let length = self.0.read_at(&mut text, 0).ok()?;
        core::str::from_utf8(text.get(..length)?).ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_anew_each_time_and_nothing_else_is_a_clock() {
        let path = std::env::temp_dir().join(format!("evms-board-clock-{}", std::process::id()));
        std::fs::write(&path, "1795700181\n").unwrap();
        let clock = BoardClock::at(&path).unwrap();
        assert_eq!(clock.seconds(), Some(1_795_700_181));
        std::fs::write(&path, "1795700182\n").unwrap();
        assert_eq!(clock.seconds(), Some(1_795_700_182));
        for text in ["", "\n", "-5\n", "never\n", "99999999999999999999999999\n"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(clock.seconds(), None, "{text:?}");
            assert!(BoardClock::at(&path).is_none());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(BoardClock::at(&path).is_none());
    }
}
