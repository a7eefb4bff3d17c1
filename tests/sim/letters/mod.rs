//! The simulator's second world: letters. The product's own transport between machines whose sessions come and go, over links
//! that lose, double, delay, swallow large packets and die, against law L6.

mod channel;
mod office;
mod paths;
pub mod speed;
mod story;
mod world;

use evms::cluster::mistake::{Mistake, Rules};

use crate::laws::Broken;
use crate::{Sum, core_us};
use world::World;

pub const TABLE: &[(Mistake, &str)] = &[
    (Mistake::TakenBeforeApplication, "what came counts as delivered before the application took it"),
    (Mistake::OldSessionAccepted, "packets of an old session are believed"),
    (Mistake::HalfReceivedContinued, "what an old session left half received is gone on with"),
    (Mistake::FailedInSilence, "messages to a peer that is gone are forgotten in silence"),
    (Mistake::GapsNotChecked, "pieces are put together without a look at gaps"),
    (Mistake::DoublesAssembled, "a piece that came before is put in again"),
    (Mistake::RetryGivenUp, "what was sent again in vain is given up in silence"),
    (Mistake::WindowIgnored, "a receiver takes in whatever comes, taken or not"),
    (Mistake::TakenToldOnce, "that a message was taken is said once, whether it arrives or not"),
    (Mistake::LinkLossForgotten, "what was under way on a dead link is forgotten"),
    (Mistake::LinkNeverChanged, "the first link is used for ever"),
    (Mistake::RoomNotTold, "who was refused is never told that there is room"),
    (Mistake::QueueUnbounded, "a sender's queue has no end"),
    (Mistake::RetryAtFullSize, "what is sent again after silence is as large as before"),
    (Mistake::LimitNotTold, "that a long message may come whole is told only when one was taken"),
];

/// One run, and of how many machines it was.
pub fn run(seed: u64, rules: Rules) -> Result<(usize, Sum), Broken> {
    let begin = core_us();
    let mut world = World::new(seed, rules, false);
    world.run()?;
    let (counted, core_us) = (world.law.delivered, core_us() - begin);
    Ok((world.offices.len(), Sum { runs: 1, virtual_us: world.now_us, counted, core_us }))
}

/// One run, with what happened; was it clean?
pub fn replay(seed: u64, rules: Rules) -> bool {
    let mut world = World::new(seed, rules, true);
    let ended = world.run();
    world.told().for_each(|line| println!("{line}"));
    world.standing().iter().for_each(|line| println!("{line}"));
    let (messages, bytes) = (world.law.delivered, world.law.bytes);
    println!("seed {seed} of letters: {messages} messages of {bytes} bytes: {ended:?}");
    ended.is_ok()
}
