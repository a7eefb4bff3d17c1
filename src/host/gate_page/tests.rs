//! One gate in one place, whoever takes it away and whoever dies meanwhile.

use super::*;

fn page() -> GatePage {
    let words: Box<[AtomicU64; WORDS]> = Box::new(std::array::from_fn(|_| AtomicU64::new(0)));
    GatePage(Box::leak(words))
}

fn gate(name: &str) -> Gate<'_> {
    Gate {
        name,
        container: ContainerId([7; 16]),
        epoch: Epoch(5 << 16 | 1),
        length: Sectors(4096),
        watchdog_ms: 0,
    }
}

#[test]
fn a_gate_is_kept_as_it_was_said_and_in_one_place() {
    let page = page();
    let slot = page.keep(&gate("evms:gate:07070707:1:e5.1")).unwrap();
    assert_eq!((slot.name().as_str(), slot.container()), ("evms:gate:07070707:1:e5.1", ContainerId([7; 16])));
    assert_eq!((slot.epoch(), slot.length(), slot.term()), (Epoch(5 << 16 | 1), Sectors(4096), 0));
    slot.order(9);
    slot.tell(Standing::Open, BootTime { ms: 4 });
    // Said again it is the same, and stays open.
    let again = page.keep(&Gate { epoch: Epoch(6 << 16 | 1), ..gate("evms:gate:07070707:1:e5.1") }).unwrap();
    assert_eq!((again.life(), again.term(), again.epoch()), (slot.life(), 9, Epoch(6 << 16 | 1)));
    assert_eq!(page.kept().count(), 1);
    assert_eq!(page.keep(&gate(&"n".repeat(NAME_BYTES))).err(), Some(NotKept::Name));
    let long = "n".repeat(NAME_BYTES - 1);
    assert_eq!(page.keep(&gate(&long)).unwrap().name(), long);
}

/// Whoever took it away was killed in the middle: nothing of that opens or closes what has its name next.
#[test]
fn a_place_that_is_filled_again_is_another_life() {
    let page = page();
    let slot = page.keep(&gate("one")).unwrap();
    slot.order(3);
    // Nobody keeps: the order is gone all the same.
    let closing = page.close(&["one".into()], Duration::ZERO);
    assert!(slot.is_going() && slot.term() == 0 && page.kept().next().is_none());
    let next = page.keep(&gate("one")).unwrap();
    assert!(
        next.is_used()
            && next.life() == slot.life()
            && page.slots().filter(|slot| !slot.is_free()).count() == 1
    );
    assert_eq!((next.term(), next.standing(), next.closings()), (0, Standing::Unknown, 0));
    // He goes on after all: what was filled in meanwhile is not his.
    next.order(4);
    closing.forget(|_| false);
    assert!(next.is_used() && next.term() == 4);
    page.close(&["one".into(), "two".into()], Duration::ZERO).forget(|_| false);
    assert!(slot.is_free() && page.is_shut());
}

/// What may still let something through keeps its place, and so its keeper and the watchdog.
#[test]
fn a_gate_that_drains_is_not_forgotten() {
    let page = page();
    let slot = page.keep(&gate("one")).unwrap();
    slot.tell(Standing::Draining, BootTime { ms: 1 });
    page.close(&["one".into()], Duration::ZERO).forget(|name| name == "one");
    assert!(slot.is_going() && !page.is_shut());
    // Its remover lives, and is dead.
    page.sweep(|process| process == std::process::id());
    assert!(slot.is_going());
    page.sweep(|_| false);
    assert!(slot.is_used() && slot.term() == 0 && slot.life() == 2);
    slot.tell(Standing::Gone, BootTime { ms: 2 });
    page.sweep(|_| false);
    assert!(slot.is_free() && page.is_shut());
    let slot = page.keep(&gate("two")).unwrap();
    slot.tell(Standing::Closed, BootTime { ms: 1 });
    let life = slot.life();
    page.close(&["two".into()], Duration::ZERO).forget(|_| true);
    assert!(
        slot.is_used() && slot.life() == life + 1 && slot.term() == 0,
        "it was not taken away: it may open again"
    );
}

#[test]
fn more_gates_than_places_are_refused() {
    let page = page();
    for number in 0..GATES_MAX {
        page.keep(&gate(&number.to_string())).unwrap();
    }
    assert_eq!(page.keep(&gate("one more")).err(), Some(NotKept::Full));
    page.close(&["17".into()], Duration::ZERO).forget(|_| false);
    assert!(page.keep(&gate("one more")).is_ok());
}

#[test]
fn a_closing_is_counted_once_and_dated() {
    let page = page();
    let slot = page.keep(&gate("one")).unwrap();
    for (standing, ms) in [
        (Standing::Open, 1),
        (Standing::Draining, 2),
        (Standing::Closed, 3),
        (Standing::Closed, 4),
        (Standing::Draining, 5),
    ] {
        slot.tell(standing, BootTime { ms });
    }
    assert_eq!((slot.closings(), slot.since(), slot.standing().is_shut()), (1, BootTime { ms: 5 }, false));
    slot.tell_refused(12, BootTime { ms: 6 });
    assert_eq!((slot.standing(), slot.errno(), slot.standing().is_shut()), (Standing::Refused, 12, false));
    assert!(Standing::Gone.is_shut() && !Standing::Unknown.is_shut());
}

/// A ring that came before the wait is heard by it.
#[test]
fn the_bell_is_heard() {
    let page = page();
    let bell = page.bell();
    page.ring();
    let began = std::time::Instant::now();
    page.wait(bell, Duration::from_secs(30));
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!((page.has_keeper(BootTime { ms: 5 }), page.watchdog_ms()), (false, 0));
    page.keeper_looks(BootTime { ms: 5000 });
    assert!(page.has_keeper(BootTime { ms: 6000 }) && !page.has_keeper(BootTime { ms: 6001 }));
}

/// Safety 4.6: others count on the watchdog that the container tells of. One that a keeper armed who is dead is nobody's promise.
#[test]
fn a_gate_that_is_promised_to_be_watched_is_open_only_while_it_is() {
    let page = page();
    let plain = page.keep(&gate("plain")).unwrap();
    let watched = page.keep(&Gate { watchdog_ms: 5000, ..gate("watched") }).unwrap();
    let keeps = || [plain, watched].map(|slot| page.keeps_promise(slot));
    assert_eq!(keeps(), [true, false], "there is none");
    for (timeout_ms, is_kept) in [(5000, true), (4000, true), (5001, false)] {
        page.set_watchdog(timeout_ms);
        page.set_watched(true);
        assert_eq!(keeps(), [true, is_kept], "{timeout_ms}");
    }
    page.set_watchdog(5000);
    page.set_watched(false);
    assert_eq!((keeps(), page.watchdog_ms(), page.watched_ms()), ([true, false], 5000, 0));
}

/// What was said by a newer generation counts; a word that comes late changes nothing.
#[test]
fn what_is_suspended_goes_on_by_a_newer_generation_alone() {
    let page = page();
    let slot = page.keep(&gate("one")).unwrap();
    assert!(!slot.is_suspended());
    slot.heed(true, Generation(7));
    for (by, is) in [(6, true), (7, true), (8, false)] {
        slot.heed(false, Generation(by));
        assert_eq!(slot.is_suspended(), is, "{by}");
    }
    slot.heed(true, Generation(7));
    assert!(!slot.is_suspended(), "who read it before it was let go on, and comes late");
    slot.heed(true, Generation(9));
    slot.heed(true, Generation(8));
    slot.heed(false, Generation(9));
    assert!(slot.is_suspended(), "by the newer of both");
    page.close(&["one".into()], Duration::ZERO).forget(|_| false);
    assert!(!page.keep(&gate("one")).unwrap().is_suspended(), "another life of the place");
}
