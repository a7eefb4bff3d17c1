//! L3 (I5): at most one view is quorate at any instant, counting leases.

use evms::cluster::view::ViewNumber;

use crate::laws::Broken;
use crate::machine::Machine;

pub fn check(machines: &[Machine], now_us: u64) -> Result<(), Broken> {
    let mut first: Option<(usize, ViewNumber)> = None;
    for (place, machine) in machines.iter().enumerate() {
        let Some(number) = machine.claims(now_us) else { continue };
        match first {
            None => first = Some((place, number)),
            Some((_, known)) if known == number => (),
            Some((other, known)) => {
                let words = format!(
                    "machine {other} is quorate by view {known} and machine {place} by view {number} at the same time"
                );
                return Err(Broken { law: "L3", words });
            }
        }
    }
    Ok(())
}
