//! Tales of ties: two halves of a cluster, and disks that tell them apart (F2, F3, F4, F27, F49).

use evms::base::id::NodeId;
use evms::cluster::mistake::{Mistake, Rules};
use evms::format::arbitration::{self, ArbitrationBlock, Ballot};

use crate::laws::Broken;
use crate::story::{self, Fault};
use crate::told::{Tale, must};
use crate::world::{Event, World};

type Stage = crate::told::Stage<Rules>;

const SECOND: u64 = 1_000_000;
/// All daemons were started before that, and are in one view.
const UP_US: u64 = 12 * SECOND;

pub const TALES: &[Tale<Rules>] = &[
    ("f2_two_nodes_and_a_disk_have_one_winner", 100, f2_two_nodes_and_a_disk_have_one_winner),
    ("f3_the_link_and_the_disk_are_gone", 100, f3_the_link_and_the_disk_are_gone),
    (
        "f4_of_two_halves_the_one_with_most_disks_goes_on",
        100,
        f4_of_two_halves_the_one_with_most_disks_goes_on,
    ),
    ("f27_half_of_a_cluster_comes_back_and_waits", 100, f27_half_of_a_cluster_comes_back_and_waits),
    ("f27_who_was_alone_last_comes_back_alone", 100, f27_who_was_alone_last_comes_back_alone),
    ("f49_who_stood_still_does_not_win_by_old_echoes", 60, f49_who_stood_still_does_not_win_by_old_echoes),
    ("r9_a_read_tells_of_when_it_was_asked_for", 60, r9_a_read_tells_of_when_it_was_asked_for),
];

/// Too seldom for chance, and caught by a tale each time.
pub const CAUGHT: &[(Mistake, &str)] = &[
    (Mistake::MajorityUntilNow, "f49_who_stood_still_does_not_win_by_old_echoes"),
    (Mistake::StillUntilNow, "r9_a_read_tells_of_when_it_was_asked_for"),
];

fn lit(stage: Stage, nodes: u16, disks: u8) -> Result<World, Broken> {
    let mut world = World::staged(stage.seed, nodes, disks, stage.rules, stage.tells);
    for place in 0..usize::from(nodes) {
        let at = world.chance.below(SECOND);
        world.at(at, Event::Fault(Fault::Restart(place, false)));
    }
    world.play(UP_US)?;
    let all = quorate(&world).len();
    must("L12", all == usize::from(nodes), || format!("{all} of {nodes} are quorate"))?;
    Ok(world)
}

/// Who does I/O by his lease.
fn quorate(world: &World) -> Vec<usize> {
    let is = |place: &usize| world.machines[*place].claims(world.now_us).is_some();
    (0..world.configuration.nodes.len()).filter(is).collect()
}

/// Between these machines and the others nothing passes.
fn cut(world: &mut World, side: &[usize]) {
    let nodes = world.configuration.nodes.len();
    for (from, to) in (0..nodes).flat_map(|from| (0..nodes).map(move |to| (from, to))) {
        if side.contains(&from) != side.contains(&to) {
            world.network.cut(from, to);
        }
    }
}

/// Exactly one of both, and it stays; mended, both are quorate again.
fn f2_two_nodes_and_a_disk_have_one_winner(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 2, [1, 3][stage.pick(2) as usize])?;
    cut(&mut world, &[0]);
    world.play(UP_US + 30 * SECOND)?;
    let winners = quorate(&world);
    must("F2", winners.len() == 1, || format!("machines {winners:?} of two are quorate"))?;
    world.play(UP_US + 90 * SECOND)?;
    must("F2", quorate(&world) == winners, || format!("first {winners:?}, then {:?}", quorate(&world)))?;
    world.network.mend_all();
    world.play(UP_US + 120 * SECOND)?;
    must("F2", quorate(&world).len() == 2, || "mended, and not both are quorate".into())?;
    Ok(1)
}

/// Nobody, for as long as both are gone; and both again when the link is back.
fn f3_the_link_and_the_disk_are_gone(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 2, 1)?;
    world.disks[0].gone_for.fill(true);
    cut(&mut world, &[0]);
    for after in 3..90 {
        world.play(UP_US + after * SECOND)?;
        let any = quorate(&world);
        must("F3", any.is_empty(), || format!("after {after} s machines {any:?} are quorate"))?;
    }
    match stage.pick(2) {
        0 => world.network.mend_all(),
        _ => world.disks[0].mend(),
    }
    let back = if stage.pick(2) == 0 { 2 } else { 1 };
    world.play(UP_US + 120 * SECOND)?;
    must("F3", quorate(&world).len() == back, || format!("{:?} are quorate, not {back}", quorate(&world)))?;
    Ok(1)
}

/// Two and two: one half reaches two of the three disks, the other one is left.
fn f4_of_two_halves_the_one_with_most_disks_goes_on(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 4, 3)?;
    let halves = [vec![0, 1], vec![2, 3]];
    let (wins, lone) = (stage.pick(2) as usize, stage.pick(3) as usize);
    for (disk, gone_for) in world.disks.iter_mut().map(|disk| &mut disk.gone_for).enumerate() {
        let loses = if disk == lone { wins } else { 1 - wins };
        halves[loses].iter().for_each(|place| gone_for[*place] = true);
    }
    cut(&mut world, &halves[0]);
    world.play(UP_US + 60 * SECOND)?;
    must("F4", quorate(&world) == halves[wins], || {
        format!("{:?} reach two disks of three, and {:?} are quorate", halves[wins], quorate(&world))
    })?;
    Ok(1)
}

/// All are down. Half of them comes back and waits, for as long as the others are away; then nobody waits.
fn f27_half_of_a_cluster_comes_back_and_waits(stage: Stage) -> Result<u64, Broken> {
    let nodes = [2, 4][stage.pick(2) as usize];
    let mut world = lit(stage, nodes, 1)?;
    let nodes = usize::from(nodes);
    (0..nodes).for_each(|place| world.power_off(place));
    world.play(UP_US + 5 * SECOND)?;
    (0..nodes / 2).for_each(|place| world.power_on(place));
    for after in 6..180 {
        world.play(UP_US + after * SECOND)?;
        let any = quorate(&world);
        must("F27", any.is_empty(), || format!("after {after} s machines {any:?} are quorate"))?;
    }
    (nodes / 2..nodes).for_each(|place| world.power_on(place));
    world.play(UP_US + 200 * SECOND)?;
    must("F27", quorate(&world).len() == nodes, || {
        format!("all are back, {:?} are quorate", quorate(&world))
    })?;
    Ok(1)
}

/// The other one was gone before, and this one alone was the last quorate view: the disk says so, and it need not wait for anybody.
fn f27_who_was_alone_last_comes_back_alone(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 2, 1)?;
    let last = stage.pick(2) as usize;
    world.power_off(1 - last);
    world.play(UP_US + 30 * SECOND)?;
    must("F27", quorate(&world) == [last], || format!("{:?} are quorate, not {last}", quorate(&world)))?;
    world.power_off(last);
    world.play(UP_US + 35 * SECOND)?;
    world.power_on(last);
    world.play(UP_US + 95 * SECOND)?;
    must("F27", quorate(&world) == [last], || "it was alone, and waits".into())?;
    Ok(1)
}

/// One of two stands still with its clock, and the other one has the tie by then. It goes on and believes for a moment that both are
/// quorate by what was echoed before; and at that moment the other one's path to the disk is gone, so that what that one wrote stands
/// still. Its lease goes on for all that: it is not over by an echo from before it began.
fn f49_who_stood_still_does_not_win_by_old_echoes(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 2, 1)?;
    // Its disk was watched for longer than any lease.
    let stops_us = UP_US + 20 * SECOND + stage.pick(20) * SECOND / 20;
    world.play(stops_us)?;
    // It bids without waiting for anybody's turn.
    if let Some(daemon) = &mut world.machines[0].daemon {
        daemon.hold_containers(true);
    }
    cut(&mut world, &[0]);
    let stands_us = 25 * SECOND;
    story::befall(&mut world, &Fault::Stop(0, stands_us));
    world.play(stops_us + stands_us - SECOND / 50)?;
    must("F49", quorate(&world) == [1], || format!("{:?} are quorate, not 1", quorate(&world)))?;
    world.disks[0].mute_for = Some(1);
    world.play(world.now_us + 3 * SECOND)?;
    must("F49", quorate(&world) == [1], || format!("{:?} are quorate, not 1", quorate(&world)))?;
    world.play(world.now_us + 3 * SECOND)?;
    must("F49", quorate(&world).is_empty(), || format!("{:?} are quorate still", quorate(&world)))?;
    world.disks[0].mend();
    world.network.mend_all();
    world.play(world.now_us + 30 * SECOND)?;
    must("F49", quorate(&world).len() == 2, || "mended, and not both are quorate".into())?;
    Ok(1)
}

/// The highest ballot that this machine ever promised on the first disk.
fn promised(world: &World, place: usize) -> Ballot {
    let bytes = world.disks[0].bytes();
    let of = |second: bool| {
        let at = arbitration::place(NodeId(place as u16 + 1), second)?.0 as usize;
        ArbitrationBlock::decode(bytes.get(at..at + 4096)?).ok()
    };
    [false, true].into_iter().filter_map(of).map(|block| block.promised).max().unwrap_or_default()
}

/// One of two halves holds the tie, and its writes are slow. What the other one reads is answered after longer than any lease, and shows
/// what stood there when it was asked for: that stands as long ago as two reads apart, and does not as of now. It does not bid.
fn r9_a_read_tells_of_when_it_was_asked_for(stage: Stage) -> Result<u64, Broken> {
    let mut world = lit(stage, 2, 1)?;
    world.play(UP_US + 20 * SECOND)?;
    cut(&mut world, &[0]);
    world.play(world.now_us + 10 * SECOND)?;
    let holders = quorate(&world);
    must("R9", holders.len() == 1, || format!("machines {holders:?} of two are quorate"))?;
    let (holder, other) = (holders[0], 1 - holders[0]);
    world.disks[0].late_for = Some((holder, 2 * SECOND, true));
    let some_us = stage.pick(16) * SECOND / 16;
    world.play(world.now_us + 10 * SECOND + some_us)?;
    let before = promised(&world, other);
    // It would bid without waiting for anybody's turn.
    if let Some(daemon) = &mut world.machines[other].daemon {
        daemon.hold_containers(true);
    }
    let answered_us = world.configuration.timing.take_ms() * 1000 + SECOND;
    world.disks[0].stale_for = Some((other, answered_us));
    for _ in 0..8 {
        world.play(world.now_us + 5 * SECOND)?;
        must("R9", quorate(&world) == holders, || format!("{:?} are quorate", quorate(&world)))?;
    }
    world.disks[0].mend();
    world.play(world.now_us + 10 * SECOND)?;
    must("R9", quorate(&world) == holders, || format!("{:?} are quorate", quorate(&world)))?;
    let after = promised(&world, other);
    must("R9", after == before, || {
        format!("machine {other} bids {after:?} against who renewed all the time")
    })?;
    Ok(1)
}
