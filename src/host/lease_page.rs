//! `/run/evms/lease`: until when this node may act for its cluster, as its evmsd says before anything else. Every process of this
//! machine that writes under a lease looks there before each write, and so does not go on when evmsd is gone (safety 1.3).
//!
//! ```text
//! offset bytes what
//!      0     8 magic "EVMSLEA2"
//!      8     8 the lease's end, in milliseconds of boot time; 0 is none; written and read as one
//!     16     8 the term: another number for every lease that does not go on from the one before, likewise
//!     24     8 the newest moment of which it is proven that this node was quorate then, in milliseconds of boot time, likewise
//!     32    16 the boot
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use nix::fcntl::posix_fallocate;

use crate::base::time::BootTime;
use crate::engine::guard::keeping::{self, Words};
use crate::host::identity::BootId;
use crate::host::run_dir::RUN;
use crate::host::sys;

const MAGIC: &[u8; 8] = b"EVMSLEA2";
/// Bytes of the file.
const PAGE_BYTES: i64 = 4096;
/// Where the words are.
const WORDS_AT: usize = 8;
const BOOT_AT: usize = 32;
const HEAD_BYTES: usize = 48;

fn path() -> PathBuf {
    Path::new(RUN).join("lease")
}

/// What evmsd writes.
pub struct LeasePage(&'static Words);

impl LeasePage {
    /// Makes it, with no lease. Only for who holds the daemon's lock.
    pub fn make(boot: BootId) -> io::Result<LeasePage> {
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path());
        let mut file = open?;
        // A page that there is no room for would end the daemon without a word when it is written.
        posix_fallocate(&file, 0, PAGE_BYTES)?;
        let page = LeasePage(sys::shared_words(&file, WORDS_AT, true)?);
        let mut head = [0; HEAD_BYTES];
        file.read_exact(&mut head)?;
        // Who goes on in this boot goes on with the lease too, if it comes in time: then no gate has to close (safety 1.7).
        if !is_of(&head, boot) {
            // Who has it mapped sees the same memory: it is never another file.
            keeping::tell(page.0, None, BootTime::default(), BootTime::default());
            file.seek(io::SeekFrom::Start(0))?;
            file.write_all(MAGIC)?;
            file.seek(io::SeekFrom::Start(BOOT_AT as u64))?;
            file.write_all(&boot.0)?;
        }
        Ok(page)
    }

    /// What others read there.
    pub fn words(&self) -> &'static Words {
        self.0
    }

    /// Which lease it is.
    pub fn term(&self) -> u64 {
        let [_, term, _] = self.0;
        term.load(Ordering::Acquire)
    }
}

fn is_of(head: &[u8; HEAD_BYTES], boot: BootId) -> bool {
    head.get(..8) == Some(&MAGIC[..]) && head.get(BOOT_AT..) == Some(&boot.0[..])
}

/// The words as the others read them; nothing when no evmsd of this boot made them.
pub fn words(boot: BootId) -> io::Result<Option<&'static Words>> {
    let mut file = File::open(path())?;
    let mut head = [0; HEAD_BYTES];
    file.read_exact(&mut head)?;
    if !is_of(&head, boot) {
        return Ok(None);
    }
    Ok(Some(sys::shared_words(&file, WORDS_AT, false)?))
}
