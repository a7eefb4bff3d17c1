//! L1 (I1): at no instant have two nodes gates of the private container through which a write can still land.

use crate::gates::world::{PRIVATE, World};
use crate::laws::Broken;

pub fn check(world: &World) -> Result<(), Broken> {
    let mut first = None;
    for place in 0..world.machines.len() {
        if !world.machines[place].may_write(PRIVATE) || world.is_forgiven(place, PRIVATE) {
            continue;
        }
        if let Some(other) = first {
            let words = format!("machines {other} and {place} can both write to the private container");
            return Err(Broken { law: "L1", words });
        }
        first = Some(place);
    }
    Ok(())
}
