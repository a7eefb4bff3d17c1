//! Carrying out label work.

use crate::engine::guard::Mandate;
use crate::run::perform::Hands;
use crate::volume::commit::Labels;

/// Lets hands carry out label work to its end.
pub fn drive(labels: &mut Labels, mandate: &Mandate, hands: &mut Hands<'_>) {
    loop {
        let asks = labels.poll();
        if asks.is_empty() {
            return;
        }
        for (lane, answer) in hands.carry_out(&asks, Some(mandate.disks())) {
            labels.handle(lane, answer);
        }
    }
}
