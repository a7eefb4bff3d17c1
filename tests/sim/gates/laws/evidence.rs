//! L8 (I2): whoever is counted out of a container, loses it, or is said to have no gates of it, cannot write to it at the moment when a
//! majority of its disks says so.

use crate::gates::world::World;
use crate::laws::Broken;

/// Another model is committed.
pub fn check(world: &mut World, container: usize) -> Result<(), Broken> {
    let told = &world.laws.told[container];
    let (Some((order, now)), Some(before)) = (&told.committed, &told.before) else { return Ok(()) };
    let order = *order;
    let held = before.container.holders.iter().filter(|holder| !holder.expelled).map(|holder| holder.node);
    let lost = before
        .container
        .owner
        .as_ref()
        .map(|owner| owner.node)
        .filter(|node| now.container.owner.as_ref().map(|owner| owner.node) != Some(*node));
    let mut gone = held.filter(|node| now.container.holder(*node).is_none()).collect::<Vec<_>>();
    gone.extend(lost);
    for node in gone {
        let place = world.place_of(node);
        if world.machines[place].may_write(container) && !world.is_forgiven(place, container) {
            let words = format!(
                "by {order:?} machine {place} is out of container {container}, and it can write to it: {}",
                world.laws.committed_in_words(container)
            );
            return Err(Broken { law: "L8", words });
        }
        world.laws.told[container].out[place] = order.epoch;
    }
    Ok(())
}
