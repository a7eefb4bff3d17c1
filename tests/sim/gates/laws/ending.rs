//! Liveness: when all is well for a while the private container is up at its owner, the shared one everywhere, no gate is closed and no
//! write waits; and what a dead node that was watched held was taken in time.

use crate::gates::errand::Act;
use crate::gates::machine::Standing;
use crate::gates::world::{PRIVATE, World};
use crate::laws::Broken;

const LAW: &str = "liveness";
/// Microseconds that a write may wait when all is well.
const WAITS_US: u64 = 2_000_000;

pub fn check(world: &World) -> Result<(), Broken> {
    for container in [0, 1] {
        let Some(model) = world.laws.committed(container) else { continue };
        let owner = model.container.owner.as_ref().map(|owner| owner.node);
        for (place, machine) in world.machines.iter().enumerate() {
            let has_it = container != PRIVATE || owner == Some(machine.uuid);
            let gates = world.gates_of(container);
            for gate in gates {
                let (slot, device) = (&machine.page.slots[gate], &machine.gates[gate]);
                let open = device.as_ref().is_some_and(|device| device.is_open());
                if has_it && (!open || slot.standing != Standing::Open) {
                    let words = format!(
                        "container {container} is not up on machine {place}: gate {gate} is {slot:?} {device:?}"
                    );
                    return Err(Broken { law: LAW, words });
                }
                if !has_it && open {
                    let words =
                        format!("container {container} is up on machine {place}, which has no part in it");
                    return Err(Broken { law: LAW, words });
                }
                let waits = device.as_ref().is_some_and(|device| {
                    !device.held.is_empty() && device.held_since_us + WAITS_US < world.now_us
                });
                if waits {
                    let words = format!("writes wait for ever at gate {gate} of machine {place}");
                    return Err(Broken { law: LAW, words });
                }
            }
        }
    }
    let stuck = world.errands.values().filter(|errand| matches!(errand.act, Act::Data(_))).count();
    if stuck > world.machines.len() * world.disks.len() * 4 {
        return Err(Broken { law: LAW, words: format!("{stuck} writes are under way") });
    }
    Ok(())
}

/// The owner of the private container died a while ago, and everybody else was well since: it was to be taken by now, if a
/// watchdog watched the owner.
pub fn is_taken(world: &World, dead: usize, watched: bool) -> Result<(), Broken> {
    let Some(model) = world.laws.committed(PRIVATE) else { return Ok(()) };
    let owner = model.container.owner.as_ref().map_or(dead, |owner| world.place_of(owner.node));
    let up = world.machines[owner].gates[world.gates_of(PRIVATE)].iter().flatten().any(|gate| gate.is_open());
    if watched && (owner == dead || !up) {
        let words = format!("machine {dead} died with the private container, and nobody has it up by now");
        return Err(Broken { law: LAW, words });
    }
    if !watched && owner != dead {
        let words =
            format!("machine {dead}, which nothing watched, lost the private container to machine {owner}");
        return Err(Broken { law: "L8", words });
    }
    Ok(())
}
