//! Starting this very program once more: as the keeper of gates, which goes on when the one that started it ends, or as who reads
//! disks for evmsd, which none of its own threads does.

use core::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::host::run_dir::RUN;
use crate::host::sys;

/// The keeper, as a word behind `evmsd`.
pub const KEEPER: &CStr = c"keeper";
/// Who reads the disks of gates that are closed.
pub const REGAIN: &CStr = c"regain";

/// Who reads what an administrator said of containers that have gates here.
pub const LOOK: &CStr = c"look";

/// Who reads whether disks of a container are here that is to be given to this node.
pub const SEES: &CStr = c"sees";

/// Who takes over what absent nodes held.
pub const SUCCESSION: &CStr = c"succession";

/// Who brings up what was up before a boot.
pub const RAISE: &CStr = c"raise";

/// Who has the power of an absent node cut.
pub const FENCE: &CStr = c"fence";

/// Who beats on disks, and answers there.
pub const BEATS: &CStr = c"beats";

/// A process that this one started.
pub struct Beside(i32);

/// Starts one by these words.
pub fn start(words: &[&CStr]) -> Result<Beside, &'static str> {
    let words = [&[c"evmsd"], words].concat();
    sys::start_again(&words).map(Beside).map_err(nix::errno::Errno::desc)
}

impl Beside {
    /// Has it ended?
    pub fn has_ended(&mut self) -> bool {
        self.ended_well().is_some()
    }

    /// Did it end with nothing left to do? Nothing while it lives.
    pub fn ended_well(&mut self) -> Option<bool> {
        sys::ended_well(self.0)
    }
}

/// What only one process of a machine has that keeps gates, or beats on disks.
pub struct KeeperLock {
    _held: File,
}

impl KeeperLock {
    /// Takes it; nothing while another keeper lives.
    pub fn take() -> io::Result<Option<KeeperLock>> {
        KeeperLock::of("keeper")
    }

    /// That of who beats on disks; nothing while another one lives, or a write of it hangs.
    pub fn of_beats() -> io::Result<Option<KeeperLock>> {
        KeeperLock::of("beats")
    }

    fn of(name: &str) -> io::Result<Option<KeeperLock>> {
        let path = Path::new(RUN).join(name);
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

/// Goes on by itself from now on, and whoever waits for the end of what evmsd was given does not wait for this one.
pub fn stay_behind() {
    sys::outlive_the_caller();
    sys::close_standard();
}

/// Does this process live?
pub fn lives(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) != Err(nix::errno::Errno::ESRCH)
}
