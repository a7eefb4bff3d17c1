//! What other machines have in a node's place on a disk is not written over (F25, safety 2.8): neither a promise of one with the same
//! number, nor what one of another cluster says there.

use evms::base::epoch::Epoch;
use evms::base::id::{ClusterId, Incarnation, NodeId, NodeUuid};
use evms::format::disk_beat::DiskBeat;
use evms::format::layout::{AreaKind, End};
use evms::format::node_block::{self, NodeBlock};

use crate::gates::errand::Word;
use crate::gates::founding;
use crate::gates::process::Kind;
use crate::gates::told::{Lit, SECOND, Stage, UP_US, ends_well, is_shut, is_up, must};
use crate::gates::witness::Said;
use crate::gates::world::{Event, PRIVATE, SHARED, World};
use crate::laws::Broken;

const ANOTHER: NodeUuid = NodeUuid([0xee; 16]);
const ITS_CLUSTER: ClusterId = ClusterId([9; 16]);
/// Seconds for which its beats go on.
const BEATS: u64 = 30;

/// Where the node of this place has its promises, on every disk.
fn places(world: &World, place: usize) -> Vec<u64> {
    let area = world.layout.area(AreaKind::NodeBlocks, End::Primary);
    let id = world.machines[place].node;
    [0, 1].into_iter().filter_map(|counter| Some(node_block::place(&area, id, counter)?.0)).collect()
}

/// Who promises there.
fn promisers(world: &World, disk: usize, place: usize) -> Vec<NodeUuid> {
    let blocks = places(world, place).into_iter().map(|at| world.disks[disk].read(at, 4096));
    blocks.filter_map(|block| Some(NodeBlock::decode(&block).ok()?.node)).collect()
}

/// A machine with the same number promised something on a disk of the container, on one of them or on all: somebody forced two files. As
/// long as it goes on, who has that number here is refused, both are named, and the promise stands; when it stood still for as long as a
/// takeover waits, and not before, it is written over.
pub fn f25_a_promise_of_another_machine_is_not_written_over(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.lit_without(3, [1, 3][stage.pick(2) as usize], 1)?;
    let first = world.gates_of(SHARED).start;
    let disks = if stage.pick(4) < 2 { first..first + 1 } else { world.gates_of(SHARED) };
    let block = |world: &World, counter: u64| NodeBlock {
        id: world.machines[1].node,
        node: ANOTHER,
        cluster: world.configuration.cluster,
        container: founding::id(SHARED),
        incarnation: Incarnation([0xee; 16]),
        // Lower than what is promised here: nobody is outbid by it.
        epoch: Epoch(1 << 16 | 2),
        counter,
    };
    let promises = |world: &mut World, counter: u64| {
        let (bytes, at) = (block(world, counter).encode(), places(world, 1)[counter as usize % 2]);
        disks.clone().for_each(|disk| world.disks[disk].write(at, &bytes));
    };
    promises(&mut world, 0);
    let watched_us = world.configuration.timing.take_ms() * 1000;
    let command = world.spawn(1, Kind::Activate(SHARED));
    // Just before it was watched for long enough: it takes less than half a second to begin.
    world.play(world.now_us + watched_us - SECOND / 2)?;
    promises(&mut world, 1);
    world.play(world.now_us + watched_us)?;
    for disk in disks.clone() {
        let found = promisers(&world, disk, 1);
        must("F25", found == [ANOTHER, ANOTHER], || {
            format!("{found:?} promise in its place on disk {disk}")
        })?;
    }
    let said = world.witness.said.get(&command).cloned().unwrap_or_default();
    let named = |said: &Said| matches!(said, Said::Refused(words) if words.contains("BlockTaken") && words.contains(&format!("{ANOTHER:?}")));
    must("F25", said.iter().any(named), || format!("it was told {said:?}"))?;
    must("F25", is_shut(&world, 1, SHARED) && is_up(&world, 0, SHARED), || {
        "who is refused has a gate open, or the others do not go on".into()
    })?;
    // It stands still, and goes on when its promise was written over: whoever did that finds his own gone, and writes nothing more.
    world.at(world.now_us, Event::Agent { machine: 1 });
    let is_over =
        |world: &World| disks.clone().any(|disk| promisers(world, disk, 1).contains(&world.uuid(1)));
    let ends = world.now_us + 3 * watched_us;
    while !is_over(&world) {
        must("F25", world.now_us < ends, || "what stood still is not written over".into())?;
        world.play(world.now_us + SECOND / 100)?;
    }
    promises(&mut world, 6);
    promises(&mut world, 7);
    world.play(world.now_us + watched_us - SECOND)?;
    // On one of three disks it is a disk that is lost.
    let lost = disks.len() == world.gates_of(SHARED).len();
    must("F25", !lost || is_shut(&world, 1, SHARED), || "who lost his promise has a gate open".into())?;
    // It is gone at last, and nobody has to say so.
    world.at(world.now_us, Event::Agent { machine: 1 });
    world.play(world.now_us + 3 * watched_us)?;
    // A disk on which its claim was written over while it was read back is out of that opening.
    let all = disks.len();
    let has = disks.filter(|disk| promisers(&world, *disk, 1).contains(&world.uuid(1))).count();
    must("F25", !lost || 2 * has > all, || format!("it promises in its place on {has} of {all} disks"))?;
    ends_well(&mut world)?;
    Ok(1)
}

/// A machine of another cluster beats in the owner's place on one of its disks: for as long as that goes on it is not spoken over, and the
/// other disks are as ever. When it stands still it is.
pub fn f25_a_beat_of_another_cluster_is_not_spoken_over(stage: Stage) -> Result<u64, Broken> {
    let mut world = stage.dark(3, 3);
    world.asks = true;
    (0..3).for_each(|place| world.boot_at(SECOND / 2, place));
    world.play(UP_US)?;
    let disk = world.gates_of(PRIVATE).start + stage.pick(3) as usize;
    let id = NodeId(1);
    let says = |world: &World, disk: usize| {
        let beats = world.disks[disk].words.beats.iter();
        beats.filter(|beat| beat.id == id).map(|beat| (beat.cluster, beat.counter)).next()
    };
    for counter in 1..=BEATS {
        let another = DiskBeat {
            id,
            node: ANOTHER,
            cluster: ITS_CLUSTER,
            container: founding::id(PRIVATE),
            incarnation: Incarnation([0xee; 16]),
            counter,
            shut: Vec::new(),
        };
        world.disks[disk].say(&Word::Beat(another));
        world.play(world.now_us + SECOND)?;
        // The first may be spoken over by what was on its way.
        let stays = counter == 1 || says(&world, disk) == Some((ITS_CLUSTER, counter));
        must("F25", stays, || format!("beat {counter} is spoken over: {:?}", says(&world, disk)))?;
    }
    let own = world.configuration.cluster;
    for other in world.gates_of(PRIVATE).filter(|other| *other != disk) {
        let beats = says(&world, other).is_some_and(|(cluster, counter)| cluster == own && counter > BEATS);
        must("F25", beats, || format!("on disk {other} stands {:?}", says(&world, other)))?;
    }
    world.play(world.now_us + 15 * SECOND)?;
    let back = says(&world, disk).is_some_and(|(cluster, _)| cluster == own);
    must("F25", back, || format!("who is silent for 15 s is not spoken over: {:?}", says(&world, disk)))?;
    ends_well(&mut world)?;
    Ok(1)
}
