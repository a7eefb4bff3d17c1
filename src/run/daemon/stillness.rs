//! The thread that looks at the clock on the board while this node has gates: what a machine that stood still believes of its lease is
//! over, and nobody may tell it (F16 behind a cut). Not the detector's own work: reading that clock may take a while.

use std::time::Duration;

use crate::cluster::stillness::Stillness;
use crate::host::board_clock::BoardClock;
use crate::host::{clock, sys};
use crate::run::daemon::pulse::OfClock;

/// A beat: so long who stood still may go on.
const LOOK: Duration = Duration::from_millis(100);
/// Looks of which a node without gates takes one: the first one with them has something to compare with.
const IDLE_LOOKS: u32 = 10;
/// Below the detector, whom it tells.
const PRIORITY: i32 = 19;
const STACK_BYTES: usize = 64 << 10;

/// Begins to look, in a thread of its own, until the daemon ends. Without such a clock, or a thread, nobody looks: what others say has to
/// do, and the grade of a container says what it rests on.
pub fn begin(pulse: OfClock) {
    let Some(board) = BoardClock::open() else {
        log::info!(
            "this machine has no clock on its board that can be read: whether it stood still, the others tell it"
        );
        return;
    };
    let thread = std::thread::Builder::new().name("stillness".into()).stack_size(STACK_BYTES);
    if let Err(error) = thread.spawn(move || look(&board, &pulse)) {
        log::warn!("nobody looks whether this machine stood still: no thread: {error}");
    }
}

fn look(board: &BoardClock, pulse: &OfClock) {
    // Without it a busy processor may make this late, as it does the detector, who says so.
    let _ = sys::run_first(PRIORITY);
    let mut still = Stillness::default();
    let mut looks = 0;
    while !pulse.is_stopped() {
        std::thread::sleep(LOOK);
        looks = (looks + 1) % IDLE_LOOKS;
        // What this node has no gates for nobody can take from it.
        let holds = pulse.holds();
        if !holds && looks != 0 {
            continue;
        }
        // One that cannot be read right now is compared when it can.
        let Some(seconds) = board.seconds() else { continue };
        if let Some(ms) = still.look(seconds, clock::boot_now()).filter(|_| holds) {
            pulse.stood_still(ms);
        }
    }
}
