//! Safety 1.4: nobody is quorate, and nobody is heard, whose engine has stood for longer than the limit.

use evms::cluster::timing::Timing;

use crate::laws::Broken;
use crate::machine::Machine;

/// Asked when a machine's daemon has run; `spoke` when it sent a beat.
pub fn check(machine: &Machine, now_us: u64, timing: &Timing, spoke: bool) -> Result<(), Broken> {
    let stood = machine.now(now_us).ms.saturating_sub(machine.stamped.ms);
    let quorate = machine.claims(now_us).is_some();
    if stood > timing.progress_ms && (spoke || quorate) {
        let words = format!(
            "the engine of node {} stands for {stood} ms, and it is quorate: {quorate}, heard: {spoke}",
            machine.node
        );
        return Err(Broken { law: "1.4", words });
    }
    Ok(())
}
