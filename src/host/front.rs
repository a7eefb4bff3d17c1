//! Who the caller waits for. A disk that hangs keeps a thread of ours in the kernel, where nothing reaches it, and a
//! process is not gone before its last thread is: the command would have given its answer, and its caller would wait all
//! the same, for ever. So the work is done by a second process, in the same memory and while this one stands still
//! (as `vfork` does it: nothing is copied). When the work is done this one ends, whatever was left behind.

use std::io;

use crate::host::{stragglers, sys};

/// What is said, and the exit code, when something killed the second process: nothing of the first is to be trusted then,
/// so both are ready before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed {
    /// The sentence, with its end of line.
    pub sentence: &'static str,
    /// The exit code.
    pub code: u8,
}

/// Does the work in a second process and ends this one with its code; gives the code only where none can be made, and the
/// work was done here. Called by `main` while there is one thread. Work that is killed with the first process dies with it,
/// and the other way about is told.
pub fn behind(work: impl FnOnce() -> u8, killed: Killed) -> u8 {
    let mut work = Some(work);
    let mut once = || work.take().map_or(killed.code, |work| work());
    let mut beside = || {
        let code = once();
        let leaves = stragglers::any();
        if leaves {
            let_go();
        }
        sys::Done { code, leaves }
    };
    let Ok((child, done)) = sys::run_beside(&mut beside) else { return once() };
    match done {
        Some(done) if done.leaves => sys::end_at_once(done.code),
        Some(done) => {
            sys::wait_for_child(child);
            sys::end_at_once(done.code)
        }
        None => {
            // Neither its locks nor its allocator: the other may have held either.
            let _ = nix::unistd::write(io::stderr(), killed.sentence.as_bytes());
            sys::end_at_once(killed.code)
        }
    }
}

/// Nobody is to wait for a process that may never end: who reads what this command prints, who had it inherit a pipe or a
/// lock, who wants to unmount where it was started.
fn let_go() {
    sys::outlive_the_caller();
    sys::close_all_but_devices();
    let _ = std::env::set_current_dir("/");
}
