//! Clocks of guests: set at power on, stepped, running fast or slow; and what they show after the machine stood still.

use std::thread;
use std::time::{Duration, Instant};

use vm_tests::cases;
use vm_tests::clock::{self, Clocks};
use vm_tests::guest::Guest;
use vm_tests::scene;
use vm_tests::trouble::Trouble;

/// 2031-02-03T04:05:06 in seconds since 1970: 22313 days, 4 hours, 5 minutes, 6 seconds.
const MOMENT: &str = "2031-02-03T04:05:06";
const MOMENT_SECONDS: i64 = 22_313 * 86_400 + 4 * 3600 + 5 * 60 + 6;
/// Clocks that show whole seconds, read one after another, may differ by so many.
const WHOLE: i64 = 1;
/// So long the machine stands still, and so long a drift is watched.
const STOP: Duration = Duration::from_secs(4);
const WATCH: &str = "sleep 3";
/// What may lie between two readings that belong together, in seconds.
const READING: f64 = 0.15;

struct Bench {
    guest: Guest,
    begin: Instant,
}

/// Proves what tests of leases stand on: each guest has clocks of its own, which a test sets; and fact T6: a machine that
/// was stopped and continued notices nothing on its own clocks, only the hardware clock has gone on.
#[test]
fn clocks_are_what_the_test_made_them() {
    scene::play("clocks", |scene| {
        let begin = Instant::now();
        let guest = scene.guest("one")?.clock_at(MOMENT).start()?;
        cases::run(
            &mut Bench { guest, begin },
            &[
                ("the_clock_is_set_at_power_on", the_clock_is_set_at_power_on),
                ("a_stopped_guest_notices_nothing", a_stopped_guest_notices_nothing),
                ("the_wall_clock_steps_alone", the_wall_clock_steps_alone),
                ("time_runs_fast_and_slow", time_runs_fast_and_slow),
            ],
        )
    });
}

/// Between the moment and so much later as the guest has been on.
fn the_clock_is_set_at_power_on(bench: &mut Bench) -> Result<(), Trouble> {
    let clocks = Clocks::of(&mut bench.guest)?;
    let latest = MOMENT_SECONDS + bench.begin.elapsed().as_secs() as i64 + WHOLE;
    for (name, shown) in [("wall", clocks.wall), ("hardware", clocks.hardware)] {
        assert!((MOMENT_SECONDS..=latest).contains(&shown), "{name}: {shown}, at most {latest}");
    }
    Ok(())
}

/// T6. However slow everything is: what the guest's own clocks went on by fits into the time that it was not stopped.
fn a_stopped_guest_notices_nothing(bench: &mut Bench) -> Result<(), Trouble> {
    let begin = Instant::now();
    let before = Clocks::of(&mut bench.guest)?;
    bench.guest.pause()?;
    let stopped = Instant::now();
    thread::sleep(STOP);
    let stop = stopped.elapsed().as_secs_f64();
    bench.guest.resume()?;
    let after = Clocks::of(&mut bench.guest)?;
    let running = begin.elapsed().as_secs_f64() - stop;
    eprintln!("  stopped {stop:.1} s, running {running:.1} s: {before:?}, {after:?}");
    assert!(after.boot - before.boot <= running + READING);
    assert!(after.counter - before.counter <= running + READING);
    assert!((after.wall - before.wall) as f64 <= running + WHOLE as f64);
    let apart = (after.hardware - before.hardware) - (after.wall - before.wall);
    let wanted = stop as i64;
    assert!((wanted - WHOLE..=wanted + 2 * WHOLE).contains(&apart), "{apart} s, stopped {stop} s");
    Ok(())
}

/// A step of an hour back and two forth moves the wall clock by that much, the others not.
fn the_wall_clock_steps_alone(bench: &mut Bench) -> Result<(), Trouble> {
    for seconds in [-3600, 7200] {
        let begin = Instant::now();
        let before = Clocks::of(&mut bench.guest)?;
        clock::step(&mut bench.guest, seconds)?;
        let after = Clocks::of(&mut bench.guest)?;
        let most = begin.elapsed().as_secs_f64() + WHOLE as f64;
        let stepped = (after.wall - before.wall - seconds) as f64;
        assert!((-(WHOLE as f64)..=most).contains(&stepped), "{stepped}");
        assert!((0.0..=most).contains(&(after.boot - before.boot)));
        assert!((0..=most as i64).contains(&(after.hardware - before.hardware)));
    }
    Ok(())
}

/// Ten percent more, ten percent less, and none, beside the counter that nobody corrects, in the same guest: how busy
/// this machine is makes no difference.
fn time_runs_fast_and_slow(bench: &mut Bench) -> Result<(), Trouble> {
    for percent in [10, -10, 0] {
        clock::drift(&mut bench.guest, percent)?;
        let before = Clocks::of(&mut bench.guest)?;
        bench.guest.ok(WATCH)?;
        let after = Clocks::of(&mut bench.guest)?;
        let counted = after.counter - before.counter;
        let wanted = counted * (1.0 + percent as f64 / 100.0);
        let shown = after.boot - before.boot;
        eprintln!("  {percent:+} %: {shown:.3} s of {counted:.3} s");
        assert!((shown - wanted).abs() < READING, "{percent} %: {shown} s, wanted {wanted} s");
    }
    Ok(())
}
