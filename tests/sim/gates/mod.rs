//! The simulator's fourth world: gates. Nodes with the product's own membership share disks that answer late, hang or are gone, and
//! hold a private and a shared container on them by the product's own openings, evidence and leases; keepers close and open gates,
//! watchdogs bite, commands are stopped and killed anywhere. Against the laws of who may write (L1, L2, L8), of what is written (L5,
//! L7, L10), and that all of it comes to a good end.
//!
//! Faults that are told step by step stand in `told/`.
//!
//! What is not pure in the product is played step by step: the page of the gates and its keeper (`keeper`, `kernel`), evmsd (`daemon`),
//! commands (`process`, `command`, `removal`, `opening`), fence agents (`agents`), who beats on disks (`beats`)
//! and who asks over them (`inquiry`). Machines that stand still with their clocks, grade C (safety 5.1), are there in some runs (`stops`), and
//! arbitration disks that decide ties in others (`ties`).

mod agents;
mod beats;
mod command;
mod daemon;
mod disk;
mod errand;
mod founding;
mod inquiry;
mod keeper;
mod kernel;
mod laws;
mod machine;
mod mistake;
mod opening;
mod process;
mod removal;
mod stops;
mod story;
mod ties;
mod told;
mod witness;
mod world;

pub use mistake::{CAUGHT, Mistake, Rules, SELDOM, TABLE};
pub use told::TALES;

use crate::laws::Broken;
use crate::{Sum, core_us};
use world::World;

/// Is such a seed worth a run for this mistake?
pub fn fits(mistake: Mistake, seed: u64) -> bool {
    agents::fits(mistake, seed) && ties::fits(mistake, seed)
}

/// One run, and of how many nodes it was.
pub fn run(seed: u64, rules: Rules) -> Result<(usize, Sum), Broken> {
    let begin = core_us();
    let mut world = World::new(seed, rules, false);
    world.run()?;
    let (counted, core_us) = (world.landed, core_us() - begin);
    Ok((world.machines.len(), Sum { runs: 1, virtual_us: world.now_us, counted, core_us }))
}

/// One run, with what happened; was it clean?
pub fn replay(seed: u64, rules: Rules) -> bool {
    let mut world = World::new(seed, rules, true);
    let ended = world.run();
    world.told().for_each(|line| println!("{line}"));
    world.standing().iter().for_each(|line| println!("{line}"));
    println!("seed {seed} of gates: {} nodes, {} writes: {ended:?}", world.machines.len(), world.landed);
    ended.is_ok()
}

/// The mistake of this name, whether it is looked for each time or not.
pub fn named(name: &str) -> Option<Mistake> {
    crate::catch::named(TABLE, name).or_else(|| crate::catch::named(SELDOM, name))
}
