//! Whose turn it is to make and take away devices. Two commands that bring one container up at one moment would each find
//! the other's devices half made, fail, and take away what the other stands on. What keeps data safe are the locks on
//! disks; this one only keeps commands from stumbling over each other. So it is waited for as long as a lock is, and no
//! longer: a killed command that hangs in the kernel has it for as long as it hangs, and must keep nobody from a shutdown.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::host::udev::Patience;

/// Where this machine's commands keep what is of this boot.
const ROOM: &str = "/run/evms";

/// Of the threads of this process: each comes to its end.
static HERE: Mutex<()> = Mutex::new(());

/// The turn of this command, until it is dropped; nothing where it was not to be had.
pub struct Turn {
    held: Option<File>,
    _here: MutexGuard<'static, ()>,
}

impl Turn {
    /// Is nobody else at it? Only then is what is half made nobody's.
    pub fn is_ours(&self) -> bool {
        self.held.is_some()
    }

    /// Waits for it. What stands in the kernel is to be looked at afterwards.
    pub fn wait() -> Turn {
        let _here = HERE.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(file) = open() else { return Turn { held: None, _here } };
        let patience = Patience::for_a_lock();
        loop {
            if file.try_lock().is_ok() {
                return Turn { held: Some(file), _here };
            }
            if !patience.wait() {
                return Turn { held: None, _here };
            }
        }
    }
}

/// Nobody else's to open, and so nobody else's to lock.
fn open() -> io::Result<File> {
    fs::create_dir_all(ROOM)?;
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(Path::new(ROOM).join("turn"))
}
