//! Whole nodes against one arbitration disk that misbehaves as disks do.

use super::*;
use crate::base::id::{ClusterId, NodeUuid};
use crate::base::units::BLOCK_BYTES;
use crate::cluster::arbiter::{Act, Answer};
use crate::cluster::beat::Row;
use crate::cluster::configuration::Voter;
use crate::cluster::timing::Timing;
use crate::format::arbitration::{ArbitrationBlock, Ballot, ViewRecord, place};

const STEP_MS: u64 = 10;
const AREA_BYTES: usize = 128 * BLOCK_BYTES as usize;

/// Some nodes of a cluster with one arbitration disk that answers at once, and a network that is whole or cut to pieces.
#[derive(Clone)]
struct World {
    now: BootTime,
    nodes: Vec<Membership>,
    disk: Vec<u8>,
    cut: bool,
    /// This boot hears only that one.
    deaf: Option<(Incarnation, Incarnation)>,
}

impl World {
    fn new(all: u16, here: &[u16]) -> World {
        let now = BootTime { ms: 100_000 };
        let voter = |node: u16| (NodeId(node), Voter { uuid: NodeUuid([node as u8; 16]), votes: 1 });
        let configuration = Configuration {
            cluster: ClusterId([7; 16]),
            generation: 2,
            nodes: (1..=all).map(voter).collect(),
            arbitration_disks: 1,
            timing: Timing::default(),
        };
        let start = |node: &u16| {
            let boot = Incarnation([*node as u8; 16]);
            Membership::start(configuration.clone(), NodeId(*node), boot, Rules::ALL, now)
        };
        World {
            now,
            nodes: here.iter().map(start).collect(),
            disk: vec![0; AREA_BYTES],
            cut: false,
            deaf: None,
        }
    }

    fn serve(disk: &mut [u8], node: &mut Membership, now: BootTime) {
        while let Some(command) = node.command() {
            match command.act {
                Act::Read { length } => {
                    let bytes = disk[..length.0 as usize].to_vec();
                    node.answer(now, command.disk, command.id, Answer::Read(&bytes));
                }
                Act::Write { at, block } => {
                    disk[at.0 as usize..][..block.len()].copy_from_slice(&block);
                    node.answer(now, command.disk, command.id, Answer::Written);
                }
            }
        }
    }

    fn step(&mut self) {
        self.now = self.now.plus_ms(STEP_MS);
        let (now, mut beats) = (self.now, Vec::new());
        for node in &mut self.nodes {
            node.stamp(now);
            node.tick(now);
            World::serve(&mut self.disk, node, now);
            beats.extend(node.beat(now).map(Arc::new));
        }
        for beat in beats.iter().filter(|_| !self.cut) {
            let deaf = self.deaf;
            let hears = |node: &Membership| {
                deaf.is_none_or(|(who, only)| who != node.incarnation || only == beat.incarnation)
            };
            for node in self.nodes.iter_mut().filter(|node| node.node != beat.node && hears(node)) {
                node.hear(now, beat);
                World::serve(&mut self.disk, node, now);
            }
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / STEP_MS {
            self.step();
        }
    }

    fn quorate(&self) -> Vec<u16> {
        self.nodes.iter().filter(|node| node.quorate(self.now).is_some()).map(|node| node.node.0).collect()
    }

    /// Both blocks of a node are half new and half old.
    fn tear(&mut self, node: u16) {
        for second in [false, true] {
            let at = place(NodeId(node), second).unwrap().0 as usize;
            self.disk[at + 40..at + 60].fill(0x55);
        }
    }
}

/// An arbitration disk goes back in time by an old image being copied over it, so that for a while what the winner wrote
/// can be read by nobody. Whoever did not see it go back at once must see it in the end.
#[test]
fn a_disk_that_goes_back_through_a_torn_read_gives_a_tie_to_one_half_only() {
    let mut world = World::new(2, &[1, 2]);
    // Their rounds on the disk are half a second apart.
    let second = world.nodes.pop();
    world.run(500);
    world.nodes.extend(second);
    world.run(5000);
    assert_eq!(world.quorate(), [1, 2]);
    let early = world.disk.clone();
    world.run(20_000);
    world.cut = true;
    world.run(5000);
    while world.quorate() != [1] {
        world.step();
        assert!(world.now.ms < 300_000, "nobody takes the tie");
    }
    for wait_ms in (0..1000).step_by(50) {
        let mut world = world.clone();
        world.run(wait_ms);
        for _ in 0..110 {
            world.tear(1);
            world.step();
        }
        world.disk.copy_from_slice(&early);
        for _ in 0..1500 {
            world.step();
            assert!(world.quorate().len() < 2, "{:?} after {wait_ms} ms", world.quorate());
        }
    }
}

/// A node that came back and does not know yet that its configuration is in force learns it from who does: else the half in
/// which it is the lowest would never bid.
#[test]
fn who_is_told_that_a_configuration_is_in_force_bids_by_it() {
    for known_by in [[true, true], [false, true], [true, false], [false, false]] {
        let mut world = World::new(4, &[1, 2]);
        for (node, known) in world.nodes.iter_mut().zip(known_by) {
            node.assume_alone("the others are off");
            node.allow_ties(known, false);
        }
        world.run(60_000);
        let expected = if known_by == [false, false] { vec![] } else { vec![1, 2] };
        assert_eq!(world.quorate(), expected, "known by {known_by:?}");
    }
}

/// Who accepted the next configuration grants no tie, whatever others know of this one.
#[test]
fn who_accepted_the_next_configuration_grants_no_tie_by_hearsay() {
    let mut world = World::new(4, &[1, 2]);
    for node in &mut world.nodes {
        node.assume_alone("the others are off");
    }
    world.nodes[0].allow_ties(false, true);
    world.run(60_000);
    assert!(world.quorate().is_empty());
}

/// The block of a node that is gone has a whole checksum and numbers that nobody can have come to.
#[test]
fn a_block_with_impossible_numbers_stops_nobody() {
    let view = |counter| ViewRecord { counter, proposer: NodeId(4), boot: 1, members: 0b1111 };
    let block = |counter, generation| ArbitrationBlock {
        id: NodeId(4),
        node: NodeUuid([4; 16]),
        cluster: ClusterId([7; 16]),
        incarnation: Incarnation([4; 16]),
        generation,
        counter: 7,
        promised: Ballot::default(),
        accepted: Ballot::default(),
        holder: ViewRecord::default(),
        renewals: 0,
        quorate: view(counter),
    };
    for (counter, generation) in [(5, 2), (u64::MAX, 2), (5, u64::MAX)] {
        for early in [true, false] {
            let mut world = World::new(4, &[1, 2, 3]);
            world.run(if early { 0 } else { 10_000 });
            let at = place(NodeId(4), false).unwrap().0 as usize;
            let bytes = block(counter, generation).encode();
            world.disk[at..][..bytes.len()].copy_from_slice(&bytes);
            world.run(20_000);
            let third = world.nodes.pop();
            world.run(5000);
            world.nodes.extend(third);
            world.run(20_000);
            assert_eq!(world.quorate(), [1, 2, 3], "{counter} {generation}, there from the start: {early}");
        }
    }
}

/// F25: while two of three nodes sleep, a copy of one of them takes its place beside the third. When they wake, the view that
/// they slept in has a majority that grants all it is asked, and has yet to hear that it is over.
#[test]
fn f25_who_slept_while_a_copy_took_its_place_is_quorate_by_no_old_view() {
    let mut world = World::new(3, &[1, 2, 3]);
    world.run(10_000);
    assert_eq!(world.quorate(), [1, 2, 3]);
    let mut asleep = world.clone();
    asleep.nodes.remove(0);
    world.nodes.truncate(1);
    let (configuration, boot) = (world.nodes[0].configuration.clone(), Incarnation([9; 16]));
    world.nodes.push(Membership::start(configuration, NodeId(2), boot, Rules::ALL, world.now));
    while world.quorate() != [1, 2] {
        world.step();
        assert!(world.now.ms < 300_000, "the copy is not taken in");
    }
    asleep.now = world.now;
    let (slept, third) = (asleep.nodes[0].incarnation, asleep.nodes[1].incarnation);
    for deaf in [None, Some((slept, third)), Some((third, slept))] {
        for alone_ms in (0..Timing::default().window_ms).step_by(50) {
            let (mut world, mut woken) = (world.clone(), asleep.clone());
            for _ in 0..alone_ms / STEP_MS {
                world.step();
                woken.step();
                assert!(woken.quorate().is_empty(), "{:?} within {alone_ms} ms", woken.quorate());
            }
            // Those who woke are heard first.
            let copy = world.nodes[1].incarnation;
            world.nodes.splice(0..0, woken.nodes);
            world.deaf = deaf;
            for _ in 0..500 {
                world.step();
                let by = world.nodes.iter().filter_map(|node| Some((node.quorate(world.now)?.0, node.node)));
                let by = by.collect::<Vec<_>>();
                assert!(by.iter().all(|(view, _)| *view == by[0].0), "{by:?} after {alone_ms} ms, {deaf:?}");
            }
            // The copy is ended: all of them go on.
            world.nodes.retain(|node| node.incarnation != copy);
            world.deaf = None;
            world.run(15_000);
            assert_eq!(world.quorate(), [2, 3, 1], "after {alone_ms} ms, {deaf:?}");
        }
    }
}

/// R9, R10: who did not run for a moment goes on in its view; who did not for a window is in none, and the others have long left it
/// out. Restarted, with what the one before left, is the same.
#[test]
fn f17_who_slept_for_a_window_is_in_no_view() {
    let window_ms = Timing::default().window_ms;
    for (slept_ms, restarted) in
        [(700, false), (700, true), (window_ms, false), (window_ms, true), (9000, false)]
    {
        let mut world = World::new(3, &[1, 2, 3]);
        world.run(10_000);
        let mut third = world.nodes.pop().unwrap();
        // It ran last just before it spoke last.
        world.run(slept_ms);
        if restarted {
            let configuration = third.configuration.clone();
            third = Membership::resume(configuration, NodeId(3), third.memory(), Rules::ALL, world.now);
        }
        third.stamp(world.now);
        third.tick(world.now);
        assert_eq!(third.view().is_some(), slept_ms < window_ms, "{slept_ms} ms, restarted: {restarted}");
        world.nodes.push(third);
        world.run(if slept_ms < window_ms { 300 } else { 5000 });
        assert_eq!(world.quorate(), [1, 2, 3], "{slept_ms} ms, restarted: {restarted}");
    }
}

/// A view of one node alone cannot have gone on elsewhere.
#[test]
fn who_slept_alone_goes_on() {
    let mut world = World::new(1, &[1]);
    world.run(10_000);
    world.now = world.now.plus_ms(60_000);
    world.step();
    assert!(world.nodes[0].view().is_some());
    world.run(300);
    assert_eq!(world.quorate(), [1]);
}

/// Nobody extends a lease in a view that a member left for another one, whatever the others still echo.
#[test]
fn a_view_that_a_member_left_makes_nobody_quorate_any_longer() {
    let mut world = World::new(3, &[1, 2, 3]);
    world.run(10_000);
    let first = world.nodes.remove(0);
    let (beyond, number) = (first.promised().counter + 5, first.number.counter + 1);
    let mut said = first.say(world.now, false);
    said.promised = ViewNumber { counter: beyond, ..first.promised() };
    said.number.counter = number;
    let said = Arc::new(said);
    for node in &mut world.nodes {
        node.hear(world.now, &said);
    }
    let until = world.nodes[0].quorate(world.now).unwrap().1;
    // What was granted before stands, and nothing is added.
    while world.now < until {
        assert_eq!(world.nodes[0].quorate(world.now).map_or(until, |(_, until)| until), until);
        world.step();
        if world.nodes[0].promised().counter > beyond {
            break;
        }
    }
}

/// F16, T6: who was stopped with its clock believes its lease when it goes on. The first word of the others, who waited that out, ends
/// it; what was on its way to it from before brings nothing back.
#[test]
fn f16_who_stood_still_with_its_clock_has_no_lease_once_it_hears_the_others() {
    let mut world = World::new(3, &[1, 2, 3]);
    world.run(10_000);
    let mut third = world.nodes.pop().unwrap();
    let stopped = world.now;
    let before = Arc::new(world.nodes[1].say(world.now, true));
    world.run(20_000);
    assert_eq!(world.quorate(), [1, 2]);
    assert!(third.quorate(stopped).is_some(), "no time went by on its clock");
    while third.change().is_some() {}
    third.hear(stopped, &Arc::new(world.nodes[0].say(world.now, true)));
    assert_eq!(third.quorate(stopped), None);
    let passed = Change::PassedOver(world.nodes[0].promised());
    assert_eq!([third.change(), third.change()], [Some(passed), Some(Change::Inquorate)]);
    third.hear(stopped.plus_ms(STEP_MS), &before);
    third.tick(stopped.plus_ms(STEP_MS));
    assert_eq!((third.quorate(stopped.plus_ms(STEP_MS)), third.change()), (None, None));
}

/// Whose later view ends it: one of half of the votes may hold a tie and have waited for it, fewer are quorate by nothing and waited for
/// nobody. Nor does one that this node is in, nor one before its own.
#[test]
fn f16_half_of_the_votes_ends_the_lease_of_who_stood_still_and_fewer_do_not() {
    let mut world = World::new(4, &[1, 2, 3, 4]);
    world.run(10_000);
    let last = world.nodes.pop().unwrap();
    let (now, own) = (world.now, last.promised());
    assert!(last.quorate(now).is_some());
    let later = ViewNumber { counter: own.counter + 1, ..own };
    let set = |nodes: &[u16]| nodes.iter().map(|node| NodeId(*node)).collect::<NodeSet>();
    let cases = [
        (later, set(&[1]), true),
        (later, set(&[1, 2]), false),
        (later, set(&[1, 2, 3]), false),
        (later, set(&[1, 2, 3, 4]), true),
        (ViewNumber { counter: own.counter - 1, ..own }, set(&[1, 2, 3]), true),
    ];
    for (view, members, stays) in cases {
        let (mut last, mut beat) = (last.clone(), world.nodes[0].say(now, true));
        let row = beat.rows.get(&NodeId(1)).copied().unwrap();
        // The next one of that node: what was heard already says nothing new.
        beat.number.counter += 1;
        // Whoever counts in a view promised it: so nothing extends the lease of the one before.
        beat.promised = beat.promised.max(view);
        beat.rows.insert(NodeId(1), Row { view, members, beat: beat.number, ..row });
        last.hear(now, &Arc::new(beat));
        assert_eq!(last.quorate(now).is_some(), stays, "{view} of {members:?}");
    }
}

/// F16, T6 behind a cut: nobody tells it but the clock on its board, and nothing that it heard or sent before counts after that.
#[test]
fn f16_who_knows_that_it_stood_still_has_no_lease() {
    let mut world = World::new(3, &[1, 2, 3]);
    world.run(10_000);
    let mut third = world.nodes.pop().unwrap();
    let stopped = world.now;
    let before = Arc::new(world.nodes[1].say(world.now, true));
    while third.change().is_some() {}
    third.stood_still(stopped);
    assert_eq!(third.quorate(stopped), None);
    assert_eq!([third.change(), third.change()], [Some(Change::StoodStill), Some(Change::Inquorate)]);
    third.hear(stopped, &before);
    for ms in (0..5000).step_by(STEP_MS as usize) {
        third.stamp(stopped.plus_ms(ms));
        third.tick(stopped.plus_ms(ms));
        assert_eq!(third.quorate(stopped.plus_ms(ms)), None, "after {ms} ms");
    }
    // And with the others it goes on as ever.
    world.nodes.push(third);
    world.now = stopped.plus_ms(5000);
    world.run(10_000);
    assert_eq!(world.quorate(), [1, 2, 3]);
}

/// The same of who won a tie and is alone: by its own clock its last write on the disk is new, and the other one has waited that out.
#[test]
fn f16_who_knows_that_it_stood_still_holds_no_tie() {
    let mut world = World::new(2, &[1, 2]);
    world.run(10_000);
    world.cut = true;
    // What both had before the cut ends first.
    world.run(5000);
    while world.quorate() != [1] {
        world.step();
        assert!(world.now.ms < 300_000, "nobody takes the tie");
    }
    world.run(2000);
    let mut first = world.nodes.remove(0);
    let stopped = world.now;
    while world.quorate() != [2] {
        world.step();
        assert!(world.now.ms < 300_000, "nobody takes over the tie");
    }
    assert!(first.quorate(stopped).is_some(), "no time went by on its clock");
    first.stood_still(stopped);
    for ms in (0..5000).step_by(STEP_MS as usize) {
        let now = stopped.plus_ms(ms);
        assert_eq!(first.quorate(now), None, "after {ms} ms");
        first.stamp(now);
        first.tick(now);
        World::serve(&mut world.disk, &mut first, now);
        world.step();
        assert_eq!(world.quorate(), [2]);
    }
}

/// Of who is no member nobody waited for anything: who was alone and counted itself comes back and ends no lease.
#[test]
fn who_was_alone_and_comes_back_ends_no_lease() {
    let mut world = World::new(3, &[1, 2, 3]);
    world.run(10_000);
    let third = world.nodes.pop().unwrap();
    world.run(5000);
    let mut said = third.say(world.now, false);
    said.promised.counter = world.nodes[0].promised().counter + 5;
    said.number.counter += 100;
    let row =
        Row { view: said.promised, members: NodeSet::of(NodeId(3)), ..*said.rows.get(&NodeId(3)).unwrap() };
    said.rows.insert(NodeId(3), row);
    let said = Arc::new(said);
    for node in &mut world.nodes {
        node.hear(world.now, &said);
    }
    assert_eq!(world.quorate(), [1, 2]);
}
