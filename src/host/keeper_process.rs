//! Starting the keeper of gates: this very program, once more, which goes on when the one that started it ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::host::run_dir::RUN;
use crate::host::sys;

/// Who is started so is the keeper, as words behind `evmsd`.
pub const WORD: &str = "keeper";
const WORD_C: &core::ffi::CStr = c"keeper";

/// A keeper that this process started.
pub struct KeeperProcess(i32);

/// Starts one. Where there is one already it ends at once.
pub fn start() -> Result<KeeperProcess, &'static str> {
    sys::start_again(&[c"evmsd", WORD_C]).map(KeeperProcess).map_err(nix::errno::Errno::desc)
}

impl KeeperProcess {
    /// Has it ended?
    pub fn has_ended(&mut self) -> bool {
        sys::has_ended(self.0)
    }
}

/// What only one keeper of a machine has.
pub struct KeeperLock {
    _held: File,
}

impl KeeperLock {
    /// Takes it; nothing while another keeper lives.
    pub fn take() -> io::Result<Option<KeeperLock>> {
        let path = Path::new(RUN).join("keeper");
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
        let file = open?;
        Ok(file.try_lock().is_ok().then_some(KeeperLock { _held: file }))
    }
}

/// Goes on by itself from now on, with all of its memory where it is, and before what is not so urgent. What was refused of that, in
/// words.
pub fn become_keeper(priority: i32) -> Vec<String> {
    sys::outlive_the_caller();
    // Whoever waits for the end of what evmsd was given, and evmsd's folder, are not to wait for this one.
    sys::close_standard();
    let lock = sys::lock_all_memory().err().map(|errno| format!("memory cannot be locked: {}", errno.desc()));
    let first =
        sys::run_first(priority).err().map(|errno| format!("no real-time priority: {}", errno.desc()));
    lock.into_iter().chain(first).collect()
}

/// Does this process live?
pub fn lives(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}
