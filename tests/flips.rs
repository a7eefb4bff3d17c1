//! Damage, all of it: one bit flipped in every byte of the used metadata of a member disk, all eight in labels and
//! headers, then two at once; and every mask of torn and missing copies over sets of disks. A reader uses another copy
//! or refuses; it never panics, and never believes what nobody wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "flips/masks.rs"]
mod masks;
#[path = "flips/member.rs"]
mod member;
#[path = "golden/specimen.rs"]
mod specimen;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use evms::base::dice::Dice;
use evms::format::damage::{Fault, What};
use evms::format::slot::SlotImage;
use evms::volume::choose::{self, Chosen, Unchosen};
use evms::volume::discover::{Sighting, Unusable};
use evms::volume::mistake::Rules;
use member::{Disk, GENERATIONS, Part, Seen, Used};

const SEED: u64 = 0xf11b;
/// Pairs of flips that are tried.
const PAIRS: u64 = 60_000;

static WRITTEN: OnceLock<[SlotImage; 2]> = OnceLock::new();

fn flip(disk: &mut Disk, at: usize, bit: usize) {
    disk.bytes[at] ^= 1 << bit;
}

fn choose_alone(seen: &Seen) -> Result<Chosen, Unchosen> {
    choose::choose(std::slice::from_ref(&seen.copies), Rules::ALL)
}

fn generation(chosen: &Chosen) -> u64 {
    let generation = chosen.image.header.order.generation.0;
    let written = WRITTEN.get_or_init(|| GENERATIONS.map(member::image_of));
    assert!(written.contains(&chosen.image), "a model that somebody wrote, to the byte");
    generation
}

/// What holds however much of a disk is damaged.
fn never_invented(seen: &Seen, number: u16) {
    match &seen.sighting {
        Sighting::Ours(labelled) => {
            assert_eq!(labelled.label, specimen::label(number));
            assert_eq!(labelled.layout, specimen::layout(specimen::SIZE));
        }
        Sighting::Unusable(Unusable::Damaged(damage)) => {
            assert!(matches!(damage.fault, Fault::Checksum | Fault::Foreign), "{damage}");
        }
        Sighting::Unusable(Unusable::NoLabel) => {}
        other => panic!("a member disk was taken for {other:?}"),
    }
    for block in &seen.blocks.newest {
        assert!(member::promises().iter().flatten().any(|written| written == block), "{block:?}");
    }
    assert!(seen.intent.as_ref().map_or(true, |intent| *intent == specimen::intent()));
    assert!(seen.end.next_at.is_multiple_of(4096), "the next record has a place on the grid");
    for record in &seen.ring.records {
        assert!(member::records().contains(record));
    }
}

/// A disk that shows an older model than was written to it does not count as read.
fn never_older(seen: &Seen) -> Option<u64> {
    match choose_alone(seen) {
        Ok(chosen) => {
            let generation = generation(&chosen);
            assert!(generation == GENERATIONS[1] || !seen.copies.speaks(), "an older model was believed");
            Some(generation)
        }
        Err(why) => {
            assert_eq!(why, Unchosen::Nothing);
            None
        }
    }
}

/// What holds when one bit alone is wrong: nothing is lost but what stands once, and that is known to be lost.
fn nothing_lost(seen: &Seen, part: Part) {
    let Some(labelled) = seen.labelled() else { panic!("the other label was not used") };
    let told = labelled.damaged.iter().map(|(_, damage)| damage.what).collect::<Vec<_>>();
    match part {
        Part::Label(_) => assert_eq!(told, [What::Label]),
        // The sentence for people and the size in it are not compared.
        Part::FirstBlock => assert!(told.is_empty() || told == [What::FirstBlock]),
        _ => assert!(told.is_empty()),
    }
    if matches!(part, Part::SlotHeader(_) | Part::SlotBody(_)) {
        assert_eq!(never_older(seen), Some(GENERATIONS[1]));
        assert!(seen.copies.speaks());
    }
    assert_eq!(seen.intent.is_err(), part == Part::Intent);
    assert!(seen.blocks.damaged.is_empty());
    assert_eq!(seen.blocks.newest.len(), member::promises().len());
    let kept = seen.ring.records.len();
    // The padding behind a body is no metadata: a flip there changes nothing.
    assert!(if part == Part::History { kept >= 2 } else { kept == 3 });
}

fn bits_of(used: &Used, dice: &mut Dice) -> Vec<usize> {
    match used.what {
        Part::Label(_) | Part::SlotHeader(_) | Part::FirstBlock => (0..8).collect(),
        _ => vec![dice.below(8) as usize],
    }
}

#[test]
fn one_flipped_bit_is_survived_or_refused() {
    let mut disk = Disk::new(1);
    let whole = disk.look();
    let others = [Disk::new(2).look().copies, Disk::new(3).look().copies];
    let mut dice = Dice::from_number(SEED);
    let mut seen = whole.clone();
    let mut counts: BTreeMap<Part, (usize, usize)> = BTreeMap::new();
    for used in disk.used.clone() {
        for at in used.at..used.at + used.length {
            for bit in bits_of(&used, &mut dice) {
                flip(&mut disk, at, bit);
                disk.look_again(&mut seen, used.what);
                never_invented(&seen, 1);
                nothing_lost(&seen, used.what);
                flip(&mut disk, at, bit);
                let noticed = seen != whole;
                seen.restore(used.what, &whole);
                let count = counts.entry(used.what).or_default();
                count.0 += 1;
                count.1 += usize::from(noticed);
            }
        }
        among_others(&mut disk, &whole, &used, &others);
    }
    assert_eq!(disk.look(), whole);
    let flips = counts.values().map(|count| count.0).sum::<usize>();
    for (part, (flips, seen)) in &counts {
        println!("{part:?}: {flips} bits flipped, {seen} of them noticed");
    }
    println!("{flips} flips: each survived by another copy, or refused");
}

/// The flipped disk beside two sound ones: the three together say what they said before.
fn among_others(disk: &mut Disk, whole: &Seen, used: &Used, others: &[choose::DiskCopies; 2]) {
    let mut seen = whole.clone();
    flip(disk, used.at + used.length / 3, 5);
    disk.look_again(&mut seen, used.what);
    flip(disk, used.at + used.length / 3, 5);
    let chosen = choose::choose(&[seen.copies, others[0].clone(), others[1].clone()], Rules::ALL).unwrap();
    assert!(chosen.committed && chosen.majority_read && chosen.held_by.len() == 3);
    assert_eq!(generation(&chosen), GENERATIONS[1]);
}

#[test]
fn two_flipped_bits_never_make_a_model() {
    let mut disk = Disk::new(1);
    let whole = disk.look();
    let mut dice = Dice::from_number(SEED + 1);
    let (mut older, mut nothing, mut silent) = (0, 0, 0);
    for _ in 0..PAIRS {
        let mut seen = whole.clone();
        let mut flips = Vec::new();
        for _ in 0..2 {
            let used = disk.used[dice.below(disk.used.len() as u64) as usize];
            // Half of them at the front of a structure, where its fields are.
            let reach = if dice.below(2) == 0 { used.length.min(200) } else { used.length };
            flips.push((used, used.at + dice.below(reach as u64) as usize, dice.below(8) as usize));
        }
        flips.iter().for_each(|(_, at, bit)| flip(&mut disk, *at, *bit));
        flips.iter().for_each(|(used, ..)| disk.look_again(&mut seen, used.what));
        never_invented(&seen, 1);
        flips.iter().for_each(|(_, at, bit)| flip(&mut disk, *at, *bit));
        let shown = never_older(&seen);
        older += usize::from(shown == Some(GENERATIONS[0]));
        nothing += usize::from(shown.is_none());
        silent += usize::from(!seen.copies.speaks());
    }
    println!(
        "{PAIRS} pairs of flips: {older} showed an older model and did not count, {silent} silent, {nothing} empty"
    );
    assert!(older > 0, "the dice never hit both ends of the newest slot");
}

#[test]
fn every_mask_of_damage_over_three_disks() {
    let cases = masks::all(&masks::Sets { present: &[1, 2, 3], first: 1, old: None });
    println!("three disks: {cases} cases");
}

#[test]
fn every_mask_of_damage_over_two_disks() {
    let cases = masks::all(&masks::Sets { present: &[1, 2], first: 2, old: None });
    println!("two disks, the second marked: {cases} cases");
}

#[test]
fn every_mask_of_damage_while_the_set_changes() {
    let cases = masks::all(&masks::Sets { present: &[1, 2, 3], first: 1, old: Some((&[1, 2], 2)) });
    println!("from two disks to three: {cases} cases");
    let cases = masks::all(&masks::Sets { present: &[2, 3], first: 3, old: Some((&[1, 2, 3], 1)) });
    println!("from three disks to two: {cases} cases");
}

#[test]
fn equal_order_with_different_content_is_always_a_conflict() {
    println!("{} pairs of copies in conflict", masks::conflicts());
}
