//! Who the caller waits for. A disk that hangs keeps a thread of ours in the kernel, where nothing reaches it, and a
//! process is not gone before its last thread is: the command would have given its answer, and its caller would wait all
//! the same, for ever. So the work is done behind: by a second process, while the first one waits for its word. Where no
//! thread was left hanging it waits for the end too, and nobody sees a difference.

use std::fs::File;
use std::io::{Read, Write};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use crate::host::{sys, worker};

/// What the second process says last: its exit code, and whether it cannot end.
type Word = [u8; 2];

/// The second process ended without a word: something killed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Killed;

/// Does the work in a second process and gives its exit code; in this one where none can be made. Called by `main` while
/// there is one thread. The second process comes back from here, too: with the code, to end with it.
pub fn behind(work: impl FnOnce() -> u8) -> Result<u8, Killed> {
    let Ok((hear, say)) = pipe2(OFlag::O_CLOEXEC) else { return Ok(work()) };
    match sys::fork() {
        Err(_) => Ok(work()),
        Ok(None) => {
            drop(hear);
            let code = work();
            speak(File::from(say), code);
            Ok(code)
        }
        Ok(Some(child)) => {
            drop(say);
            listen(File::from(hear), child)
        }
    }
}

fn speak(mut say: File, code: u8) {
    let hangs = worker::any_left();
    if hangs {
        // Who reads what this command prints waits for the end of it, and this process may never end.
        sys::close_standard_streams();
    }
    let word: Word = [code, u8::from(hangs)];
    // Nobody listens any more: nobody waits for it either.
    let _ = say.write_all(&word);
}

fn listen(mut hear: File, child: i32) -> Result<u8, Killed> {
    let mut word: Word = [0; 2];
    match hear.read_exact(&mut word) {
        Ok(()) if word[1] == 1 => Ok(word[0]),
        Ok(()) => {
            sys::wait_for_child(child);
            Ok(word[0])
        }
        Err(_) => {
            sys::wait_for_child(child);
            Err(Killed)
        }
    }
}
