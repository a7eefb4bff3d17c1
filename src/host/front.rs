//! Who the caller waits for. A disk that hangs keeps a thread of ours in the kernel, where nothing reaches it, and a
//! process is not gone before its last thread is: the command would have given its answer, and its caller would wait all
//! the same, for ever. So the work is done by a second process, in the same memory and while this one stands still
//! (as `vfork` does it: nothing is copied). When the work is done this one goes on, and ends, whatever was left behind.

use crate::host::{stragglers, sys};

/// The second process ended without a code: something killed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

/// Does the work in a second process and gives its exit code; in this one where none can be made. Called by `main` while
/// there is one thread. Work that is killed with the first process dies with it, and the other way about is told.
pub fn behind(work: impl FnOnce() -> u8) -> Result<u8, Killed> {
    let mut work = Some(work);
    let mut once = || {
        let code = work.take().map_or(0, |work| work());
        if stragglers::any() {
            // Who reads what this command prints waits for the end of it, and this process may never end.
            sys::close_standard_streams();
        }
        code
    };
    let Ok((child, code)) = sys::run_beside(&mut once) else { return Ok(once()) };
    if !stragglers::any() {
        sys::wait_for_child(child);
    }
    code.ok_or(Killed)
}
