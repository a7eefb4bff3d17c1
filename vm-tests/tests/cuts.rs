//! Quorum that is lost for two seconds, again and again, at the timings that a cluster has unless somebody says otherwise, while
//! everybody writes. On machines whose kernel is a process.

use std::thread;
use std::time::{Duration, Instant};

use vm_tests::cases;
use vm_tests::scene;
use vm_tests::town::{NAMES, Town};
use vm_tests::trouble::Trouble;

/// Cuts, and how long each is.
const CUTS: usize = 10;
const CUT: Duration = Duration::from_secs(2);

/// Proves that a short cut costs nobody an error, a container or its power.
#[test]
fn short_cuts_cost_nothing() {
    scene::play("cuts", |scene| {
        let mut town = Town::found(scene)?;
        cases::run(&mut town, &[("f56_ten_cuts_of_two_seconds", ten_cuts_of_two_seconds)])
    });
}

/// F56: what is written waits, and goes on when the cut is over. Each is cut off in turn; the first one has the private container, and all
/// write to the shared one. Nobody is taken from, and everybody goes on by the epoch that there was.
fn ten_cuts_of_two_seconds(bench: &mut Town) -> Result<(), Trouble> {
    let boots = bench.boots()?;
    bench.begin()?;
    let before = [bench.tenure(0, "data")?, bench.tenure(0, "pool")?];
    let mut back = Vec::new();
    for victim in (0..3).cycle().take(CUTS) {
        let others = NAMES.into_iter().filter(|name| *name != NAMES[victim]).collect::<Vec<_>>();
        bench.yard.lan.partition(&[&[NAMES[victim]], &others]);
        // So long is what is proved.
        thread::sleep(CUT);
        bench.yard.lan.heal();
        let begin = Instant::now();
        bench.are_one()?;
        back.push(format!("{:.1}", begin.elapsed().as_secs_f32()));
    }
    let writes = bench.enough()?;
    eprintln!("  {writes} writes without an error; one again after {} s", back.join(", "));
    assert_eq!(bench.boots()?, boots);
    assert_eq!([bench.tenure(0, "data")?, bench.tenure(0, "pool")?], before);
    bench.was_peaceful()
}
