//! Tales of gates: the world is as it is, but that a fault of faults.md happens to it and no other.

mod asked;
mod commands;
mod cut_short;
mod disks;
mod late;
mod others;
mod quorum;
mod still;

use crate::gates::laws::ending;
use crate::gates::machine::Standing;
use crate::gates::mistake::Rules;
use crate::gates::story;
use crate::gates::world::{Event, PRIVATE, SHARED, World};
use crate::laws::Broken;
use crate::told::Tale;
pub use crate::told::must;

pub const TALES: &[Tale<Rules>] = &[
    (
        "f1_who_is_cut_off_says_that_its_gates_are_closed",
        100,
        asked::f1_who_is_cut_off_says_that_its_gates_are_closed,
    ),
    ("f14_the_owner_loses_power", 100, disks::f14_the_owner_loses_power),
    (
        "f16_f49_who_stood_still_behind_a_cut_notices_within_a_beat",
        40,
        still::f16_f49_who_stood_still_behind_a_cut_notices_within_a_beat,
    ),
    (
        "f16_f49_who_stood_still_hears_it_from_the_others",
        40,
        still::f16_f49_who_stood_still_hears_it_from_the_others,
    ),
    (
        "f16_f49_a_taker_that_stood_still_takes_nothing_from_who_is_back",
        40,
        still::f16_f49_a_taker_that_stood_still_takes_nothing_from_who_is_back,
    ),
    (
        "f16_f49_who_goes_on_outbids_a_taker_that_stood_still",
        40,
        still::f16_f49_who_goes_on_outbids_a_taker_that_stood_still,
    ),
    (
        "f18_an_evmsd_that_is_restarted_is_not_taken_from",
        100,
        asked::f18_an_evmsd_that_is_restarted_is_not_taken_from,
    ),
    (
        "f19_a_keeper_is_killed_just_before_its_watchdog_bites",
        20,
        late::f19_a_keeper_is_killed_just_before_its_watchdog_bites,
    ),
    ("f20_a_switchover_killed_at_every_step", 2, cut_short::f20_a_switchover_killed_at_every_step),
    ("f20_a_switchover_whose_machine_dies_at_every_step", 2, cut_short::f20_a_switchover_whose_machine_dies),
    ("f20_a_takeover_killed_at_every_step", 2, cut_short::f20_a_takeover_killed_at_every_step),
    ("f20_a_takeover_whose_machine_dies_at_every_step", 2, cut_short::f20_a_takeover_whose_machine_dies),
    ("f20_a_regain_killed_at_every_step", 2, cut_short::f20_a_regain_killed_at_every_step),
    ("f21_who_was_admitted_dies_at_every_step", 2, cut_short::f21_who_was_admitted_dies_at_every_step),
    ("f22_two_names_at_once_are_both_made", 100, commands::f22_two_names_at_once_are_both_made),
    ("f22_one_name_twice_at_once_is_a_conflict", 100, commands::f22_one_name_twice_at_once_is_a_conflict),
    ("f22_the_same_twice_at_once_is_already_so", 100, commands::f22_the_same_twice_at_once_is_already_so),
    ("f22_to_two_owners_at_once", 100, commands::f22_to_two_owners_at_once),
    (
        "f24_a_command_that_was_stopped_believes_nothing_that_it_read",
        20,
        late::f24_a_command_that_was_stopped_believes_nothing_that_it_read,
    ),
    (
        "f25_a_promise_of_another_machine_is_not_written_over",
        20,
        others::f25_a_promise_of_another_machine_is_not_written_over,
    ),
    (
        "f25_a_beat_of_another_cluster_is_not_spoken_over",
        20,
        others::f25_a_beat_of_another_cluster_is_not_spoken_over,
    ),
    ("f27_one_of_all_comes_back_and_waits", 100, quorum::f27_one_of_all_comes_back_and_waits),
    ("f28_all_boot_at_once", 100, quorum::f28_all_boot_at_once),
    ("f30_who_reaches_all_disks_takes_it", 100, disks::f30_who_reaches_all_disks_takes_it),
    ("f32_a_majority_of_the_disks_is_lost", 100, disks::f32_a_majority_of_the_disks_is_lost),
    ("f32_nothing_is_taken_on_a_minority_of_the_disks", 100, disks::f32_nothing_is_taken_on_a_minority),
    ("f33_a_gate_that_drains_is_no_answer", 100, asked::f33_a_gate_that_drains_is_no_answer),
    ("f33_an_old_answer_is_none", 100, asked::f33_an_old_answer_is_none),
    ("f33_an_answer_ends_with_the_term", 100, asked::f33_an_answer_ends_with_the_term),
    ("f33_an_answer_is_newer_than_its_question", 100, asked::f33_an_answer_is_newer_than_its_question),
    ("f40_a_disk_that_no_taker_reaches", 100, disks::f40_a_disk_that_no_taker_reaches),
    ("f39_an_admission_at_one_end_is_none", 20, late::f39_an_admission_at_one_end_is_none),
    (
        "f40_most_disks_that_the_taker_does_not_reach",
        100,
        disks::f40_most_disks_that_the_taker_does_not_reach,
    ),
    (
        "f40_the_wait_begins_with_the_view_and_not_with_the_last_beat",
        20,
        late::f40_the_wait_begins_with_the_view_and_not_with_the_last_beat,
    ),
    ("f52_who_has_no_watchdog_is_not_taken_from", 100, quorum::f52_who_has_no_watchdog_is_not_taken_from),
    ("f57_quorum_that_is_lost_for_good", 100, quorum::f57_quorum_that_is_lost_for_good),
];

/// The stage of this world.
pub type Stage = crate::told::Stage<Rules>;

pub const SECOND: u64 = 1_000_000;
/// All machines were switched on before that, and all is up.
pub const UP_US: u64 = 12 * SECOND;

/// How a world of gates is made for its tale.
pub trait Lit {
    /// All machines are off.
    fn dark(&self, nodes: u16, each: usize) -> World;
    /// The private container is up on the first machine, the shared one on all.
    fn lit(&self, nodes: u16, each: usize) -> Result<World, Broken>;
    /// The same but that nothing comes up by itself on one of them.
    fn lit_without(&self, nodes: u16, each: usize, unattended: usize) -> Result<World, Broken>;
}

impl Lit for Stage {
    fn dark(&self, nodes: u16, each: usize) -> World {
        World::staged(self.seed, nodes, each, self.rules, self.tells)
    }

    fn lit(&self, nodes: u16, each: usize) -> Result<World, Broken> {
        let mut world = self.dark(nodes, each);
        for place in 0..usize::from(nodes) {
            let at = world.chance.below(SECOND);
            world.boot_at(at, place);
        }
        world.play(UP_US)?;
        ending::check(&world)?;
        Ok(world)
    }

    fn lit_without(&self, nodes: u16, each: usize, unattended: usize) -> Result<World, Broken> {
        let mut world = self.dark(nodes, each);
        let others = (0..usize::from(nodes)).filter(|place| *place != unattended);
        others.for_each(|place| world.boot_at(100_000, place));
        world.at(100_000, Event::PowerOn(unattended));
        world.play(UP_US)?;
        Ok(world)
    }
}

/// Until that is so, looked at every 50 ms, for a minute at most.
pub fn play_until(world: &mut World, is: impl Fn(&World) -> bool, not: &'static str) -> Result<(), Broken> {
    play_until_by(world, SECOND / 20, is, not)
}

/// The same, looked at as often as that.
pub fn play_until_by(
    world: &mut World,
    step_us: u64,
    is: impl Fn(&World) -> bool,
    not: &'static str,
) -> Result<(), Broken> {
    let ends_us = world.now_us + 60 * SECOND;
    while !is(world) && world.now_us < ends_us {
        world.play(world.now_us + step_us)?;
    }
    must("F1", is(world), || not.into())
}

/// All is mended, and after a while all is up again, as the laws want it.
pub fn ends_well(world: &mut World) -> Result<(), Broken> {
    story::calm(world)?;
    world.run()
}

/// Are all gates of a container open here?
pub fn is_up(world: &World, place: usize, container: usize) -> bool {
    let machine = &world.machines[place];
    world.gates_of(container).all(|gate| {
        let open = machine.gates[gate].as_ref().is_some_and(|gate| gate.is_open());
        open && machine.page.slots[gate].standing == Standing::Open
    })
}

/// Is none of them?
pub fn is_shut(world: &World, place: usize, container: usize) -> bool {
    let gates = &world.machines[place].gates[world.gates_of(container)];
    !gates.iter().flatten().any(|gate| gate.is_open())
}

/// Nothing was opened on that machine since then.
pub fn opened_nothing(world: &World, place: usize, since_us: u64) -> bool {
    !world.witness.opened.iter().any(|opened| opened.place == place && opened.at_us >= since_us)
}

/// Who is the owner by what most of the disks say.
pub fn owner(world: &World) -> usize {
    story::owner(world)
}

/// When the private container's model changed since then, first.
pub fn first_commit(world: &World, container: usize, since_us: u64) -> Option<u64> {
    let commits = world.witness.commits.iter();
    commits.filter(|(at, of)| *of == container && *at >= since_us).map(|(at, _)| *at).min()
}

/// Containers, for a tale about both.
pub const BOTH: [usize; 2] = [PRIVATE, SHARED];
