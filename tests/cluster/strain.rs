//! Machines that are busy, logs that take nothing, daemons that stand: the beat goes on, or the node knows it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::lab::Lab;

pub const CASES: &[Case] = &[
    ("f24_busy_processors_cost_nobody", f24_busy),
    ("f50_a_log_that_takes_nothing_stops_nothing", f50_log),
    ("idle_daemons_cost_little", idle),
];

/// Seconds that the processors are busy; ten minutes with `EVMS_CLUSTER_LONG`.
fn busy_seconds() -> u64 {
    if std::env::var_os("EVMS_CLUSTER_LONG").is_some() { 600 } else { 10 }
}

struct Busy(Vec<Child>);

impl Busy {
    /// More of them than processors.
    fn new(count: usize) -> Busy {
        let one = || {
            let spin = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn();
            spin.expect("there is sh")
        };
        Busy((0..count).map(|_| one()).collect())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn f24_busy() {
    let lab = Lab::running("busy", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let before = lab.views(0);
    let busy = Busy::new(6);
    std::thread::sleep(Duration::from_secs(busy_seconds()));
    drop(busy);
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "no false death\n{}", lab.logs());
    assert_eq!(lab.views(0), before, "{}", lab.logs());
}

/// Stderr is a device that is full.
fn f50_log() {
    let mut lab = Lab::new("full", 3, 1);
    for node in &mut lab.nodes {
        node.start_logging_to("/dev/full");
    }
    lab.agree(&[0, 1, 2], true);
    lab.nodes[2].kill();
    lab.agree(&[0, 1], true);
}

/// The issue: 8 MiB, half of a hundredth of a processor, with three nodes; what is printed is what a debug build needs.
fn idle() {
    let lab = Lab::running("idle", 3, 1);
    lab.agree(&[0, 1, 2], true);
    let (begin, ticks) = (Instant::now(), lab.nodes[0].ticks());
    std::thread::sleep(Duration::from_secs(10));
    let share = (lab.nodes[0].ticks() - ticks) as f64 / begin.elapsed().as_secs_f64();
    println!("       {share:.1} % of a processor, {} KiB resident", lab.nodes[0].resident_kib());
    assert!(share < 3.0, "{share} %");
}
