//! Two administrators change one container at once (F22): one after the other, and the later one is told.

use evms::base::name::Name;
use evms::base::size::Size;
use evms::base::units::{Bytes, MIB};
use evms::engine::guard::Act;
use evms::volume::request::{OwnerAsk, Request};

use crate::gates::founding;
use crate::gates::told::{Lit, SECOND, Stage, ends_well, must, owner};
use crate::gates::witness::Said;
use crate::gates::world::{Event, PRIVATE, SHARED, World};
use crate::laws::Broken;

/// Microseconds for which the second one comes later, at most: as long as a command of the first one takes, and longer.
const LATER_US: u64 = 150_000;

/// A volume of that size.
pub fn volume(name: &str, mib: u64) -> Request {
    let size = Size::Exactly(Bytes(mib * MIB));
    let name = Name::parse(name).unwrap();
    Request::VolumeCreate { name, size, stripes: None, stripe_bytes: None, on: Vec::new() }
}

/// Both ask at about the same moment, on the machines 1 and 2; what each was told in the end: who hears that another one was at it too,
/// and that it is to be looked whether it was done, says the same once more.
fn both(world: &mut World, asks: [Request; 2]) -> Result<[Said; 2], Broken> {
    let [one, other] = asks;
    let first = world.command(1, SHARED, Act::Change, one.clone());
    let later = world.chance.below(LATER_US);
    world.play(world.now_us + later)?;
    let second = world.command(2, SHARED, Act::Change, other.clone());
    world.play(world.now_us + 20 * SECOND)?;
    Ok([clear(world, (1, one), first)?, clear(world, (2, other), second)?])
}

fn clear(world: &mut World, (place, ask): (usize, Request), mut number: u64) -> Result<Said, Broken> {
    for _ in 0..2 {
        match world.witness.said.get(&number).and_then(|said| said.first()).cloned() {
            Some(Said::Outbid) => {
                number = world.command(place, SHARED, Act::Change, ask.clone());
                world.play(world.now_us + 20 * SECOND)?;
            }
            Some(said) => return Ok(said),
            None => break,
        }
    }
    must("F22", false, || format!("machine {place} is told nothing that is clear")).map(|()| Said::Outbid)
}

fn is_so(said: &Said) -> bool {
    matches!(said, Said::Done(_) | Said::AlreadySo)
}

/// The volumes of the shared container, by name and extents.
fn volumes(world: &World) -> Vec<(String, u64)> {
    let model = world.laws.committed(SHARED);
    let volumes = model.into_iter().flat_map(|model| &model.volumes);
    volumes.map(|volume| (volume.name.to_string(), volume.size.0 * 512 / MIB)).collect()
}

pub fn f22_two_names_at_once_are_both_made(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 1)?;
    let said = both(&mut world, [volume("one", 1), volume("two", 2)])?;
    let made = volumes(&world);
    must("F22", said.iter().all(is_so), || format!("they were told {said:?}"))?;
    let wanted = [("one".to_string(), 1), ("two".to_string(), 2)];
    must("F22", wanted.iter().all(|one| made.contains(one)) && made.len() == 2, || {
        format!("both were acknowledged, and there is {made:?}")
    })?;
    ends_well(&mut world)?;
    Ok(1)
}

pub fn f22_one_name_twice_at_once_is_a_conflict(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 1)?;
    let said = both(&mut world, [volume("one", 1), volume("one", 2)])?;
    let made = volumes(&world);
    let refused =
        |said: &Said| matches!(said, Said::Refused(words) if words.contains("pool/one: it exists with"));
    let winner = said.iter().position(is_so);
    must("F22", winner.is_some_and(|winner| refused(&said[1 - winner])), || {
        format!("one makes it, and the other is told that there is one of that name: {said:?}")
    })?;
    let wanted = [("one".to_string(), winner.map_or(0, |winner| winner as u64 + 1))];
    must("F22", made == wanted, || format!("there is {made:?}, not {wanted:?}"))?;
    ends_well(&mut world)?;
    Ok(1)
}

pub fn f22_the_same_twice_at_once_is_already_so(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit(3, 1)?;
    let said = both(&mut world, [volume("one", 1), volume("one", 1)])?;
    must("F22", said.iter().all(is_so) && said.contains(&Said::AlreadySo), || {
        format!("one makes it, and the other is told that it is already so: {said:?}")
    })?;
    let made = volumes(&world);
    must("F22", made == [("one".to_string(), 1)], || format!("there is {made:?}"))?;
    ends_well(&mut world)?;
    Ok(1)
}

/// The owner is to give the private container to two machines at once: to one of them, and whoever said the other is not told that it
/// went through last unless it did.
pub fn f22_to_two_owners_at_once(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit_without(3, 1, 0)?;
    let give = |world: &World, to: usize| {
        let owner = OwnerAsk::Machine(founding::machine(world, to));
        Request::Modify { owner: Some(owner), kind: None, name: None }
    };
    let (one, other) = (give(&world, 1), give(&world, 2));
    let first = world.command(0, PRIVATE, Act::Import, one);
    let later = world.chance.below(LATER_US);
    world.play(world.now_us + later)?;
    let second = world.command(0, PRIVATE, Act::Import, other);
    world.play(world.now_us + 20 * SECOND)?;
    let told = [first, second].map(|number| world.witness.said.get(&number).cloned().unwrap_or_default());
    let went_through = |said: &[Said]| matches!(said, [Said::Done(_)]);
    let through = told.iter().filter(|said| went_through(said)).count();
    must("F22", through == 1, || format!("they were told {told:?}"))?;
    let winner = if went_through(&told[0]) { 1 } else { 2 };
    must("F22", owner(&world) == winner, || {
        format!("machine {} has it, and they were told {told:?}", owner(&world))
    })?;
    let denied = told.iter().filter(|said| !went_through(said)).all(|said| {
        said.iter().any(|said| matches!(said, Said::GaveUp("the guard denies") | Said::Refused(_)))
    });
    must("F22", denied, || format!("the later one is told clearly: {told:?}"))?;
    world.at(world.now_us, Event::Agent { machine: 0 });
    ends_well(&mut world)?;
    Ok(1)
}
