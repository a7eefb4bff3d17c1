//! `/run/evms/lease`: until when this node may act for its cluster, as its evmsd says before anything else. Every process of this
//! machine that writes under a lease looks there before each write, and so does not go on when evmsd is gone (safety 1.3).
//!
//! ```text
//! offset bytes what
//!      0     8 magic "EVMSLEA1"
//!      8     8 milliseconds of boot time; 0 is none; written and read as one
//!     16    16 the boot
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::posix_fallocate;

use crate::base::time::BootTime;
use crate::host::identity::BootId;
use crate::host::run_dir::RUN;
use crate::host::sys;

const MAGIC: &[u8; 8] = b"EVMSLEA1";
/// Bytes of the file.
const PAGE_BYTES: i64 = 4096;
/// Where the word is.
const WORD_AT: usize = 8;
const HEAD_BYTES: usize = 32;

fn path() -> PathBuf {
    Path::new(RUN).join("lease")
}

/// What evmsd writes.
pub struct LeasePage(&'static AtomicU64);

impl LeasePage {
    /// Makes it, with no lease. Only for who holds the daemon's lock.
    pub fn make(boot: BootId) -> io::Result<LeasePage> {
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path());
        let mut file = open?;
        // A page that there is no room for would end the daemon without a word when it is written.
        posix_fallocate(&file, 0, PAGE_BYTES)?;
        let word = sys::shared_word(&file, WORD_AT, true)?;
        // Who has it mapped sees the same memory: it is never another file.
        word.store(0, Ordering::Release);
        file.write_all(MAGIC)?;
        file.write_all(&[0; 8])?;
        file.write_all(&boot.0)?;
        Ok(LeasePage(word))
    }

    /// This node may act until then; `None` from now on not any more.
    pub fn set(&self, until: Option<BootTime>) {
        self.0.store(until.map_or(0, |until| until.ms), Ordering::Release);
    }
}

/// The word as the others read it; nothing when no evmsd of this boot made it.
pub fn word(boot: BootId) -> io::Result<Option<&'static AtomicU64>> {
    let mut file = File::open(path())?;
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head)?;
    if head.get(..8) != Some(&MAGIC[..]) || head.get(16..) != Some(&boot.0[..]) {
        return Ok(None);
    }
    Ok(Some(sys::shared_word(&file, WORD_AT, false)?))
}
