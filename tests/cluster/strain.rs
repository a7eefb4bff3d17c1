//! Machines that are busy, logs that take nothing, daemons that stand: the beat goes on, or the node knows it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Case;
use crate::lab::{Lab, in_time};
use crate::memory::{Memory, lasts};

pub const CASES: &[Case] = &[
    ("f24_busy_processors_cost_nobody", f24_busy),
    ("f24_a_detector_that_is_starved_knows_it", f24_starved),
    ("f48_wall_clocks_that_are_set_decide_nothing", f48_wall),
    ("f50_a_log_that_takes_nothing_stops_nothing", f50_log),
    ("idle_daemons_cost_little", idle),
];

/// How long the processors are busy.
const BUSY: Duration = Duration::from_secs(10);
/// How often something is said, and memory looked at.
const TALK: Duration = Duration::from_secs(1);

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

/// Nobody dies, and nothing grows by what is said meanwhile: beats, questions of people, messages, small and large.
fn f24_busy() {
    let lab = Lab::running("busy", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let before = lab.views(0);
    let (busy, mut memory, begin) = (Busy::new(6), Memory::default(), Instant::now());
    while begin.elapsed() < lasts(BUSY) {
        std::thread::sleep(TALK);
        for words in [["n2", "--count", "20"], ["n3", "--bytes", "100000"]] {
            let ran = lab.nodes[0].evms("evms", &[&["node", "ping"][..], &words].concat());
            assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        memory.look(&lab, begin.elapsed());
    }
    drop(busy);
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "no false death\n{}", lab.logs());
    assert_eq!(lab.views(0), before, "{}", lab.logs());
    memory.is_flat();
}

/// The processor that is taken, for less than a window and for several, and how long it may be at most, whatever becomes of this test.
const TAKEN: &str = "0";
const SHORT: Duration = Duration::from_millis(450);
const LONG: Duration = Duration::from_secs(4);
/// As long as faults.md has it, where there is time (`EVMS_CLUSTER_LONG`).
const LONGER: Duration = Duration::from_secs(30);
const TAKEN_US_MAX: u64 = 60_000_000;

/// Runs a program of util-linux, or of the shell.
fn tool(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Takes the processor from all that has a lower real-time priority, as a driver that spins does.
fn take_processor() -> Busy {
    // The kernel itself ends it should nobody else.
    let limit = format!("--rttime={TAKEN_US_MAX}:{TAKEN_US_MAX}");
    let spin =
        ["prlimit", &limit, "chrt", "-f", "60", "taskset", "-c", TAKEN, "sh", "-c", "while :; do :; done"];
    Busy(vec![tool(&spin).spawn().expect("there is util-linux")])
}

/// The thread that beats does not run though it is of real-time priority: for less than a window that costs nobody anything; for longer
/// the others go on, and the node itself knows before it does anything else, is in no view of its own, and comes back.
fn f24_starved() {
    let lab = Lab::running("starved", 3, 1);
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let before = (lab.views(0), lab.views(2));
    let pid = lab.nodes[2].pid().to_string();
    assert!(tool(&["taskset", "-a", "-p", "-c", TAKEN, &pid]).status().is_ok_and(|status| status.success()));
    let taken = take_processor();
    std::thread::sleep(SHORT);
    drop(taken);
    std::thread::sleep(SHORT * 2);
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "{}", lab.logs());
    let (taken, begin) = (take_processor(), Instant::now());
    in_time("the others go on", lab.agree(&[0, 1], true).0);
    let long = if std::env::var_os("EVMS_CLUSTER_LONG").is_some() { LONGER } else { LONG };
    std::thread::sleep(long.saturating_sub(begin.elapsed()));
    drop(taken);
    in_time("it is back", lab.agree(&[0, 1, 2], true).0);
    assert_eq!((lab.views(0), lab.views(2)), (before.0 + 2, before.1 + 1), "{}", lab.logs());
    let log = lab.nodes[2].log();
    let starved = log.find("the detector was not scheduled for");
    let later = starved.map_or("", |at| &log[at..]);
    let [distrusts, joins] = [later.find("not quorate"), later.rfind(": view ")];
    assert!(distrusts.is_some() && distrusts < joins, "it knows, and then hears the others\n{log}");
}

/// Seconds by which a wall clock is set wrong, and how long it stands so: several beats.
const HOUR: i64 = 3600;
const STANDS: Duration = Duration::from_millis(500);

/// Hours forward and back, each node for itself, and the small steps of NTP: no view, no quorum and no death goes by that.
fn f48_wall() {
    let mut lab = Lab::new("wall", 3, 1);
    let library = lab.wall_library();
    lab.nodes.iter_mut().for_each(|node| node.start_by_wall(&library));
    let (_, view) = lab.agree(&[0, 1, 2], true);
    let before = lab.views(0);
    for wrong in [HOUR, -HOUR, 1, -1, 0, HOUR, HOUR] {
        lab.nodes[0].set_wall(wrong);
        lab.nodes[1].set_wall(-wrong);
        std::thread::sleep(STANDS);
    }
    assert_eq!(lab.agree(&[0, 1, 2], true).1, view, "{}", lab.logs());
    assert_eq!(lab.views(0), before, "{}", lab.logs());
    assert!(!lab.logs().contains("not quorate"), "{}", lab.logs());
    lab.nodes[2].kill();
    in_time("two agree", lab.agree(&[0, 1], true).0);
    // They did see these clocks: what is told to people goes by them.
    let [one, other] = [0, 1].map(|place: usize| lab.nodes[place].status().unwrap().changes[0].at_seconds);
    assert!(one.abs_diff(other).abs_diff(2 * HOUR as u64) <= 2, "{one} {other}");
}

/// Stderr is a device that is full: nothing waits for it, and each daemon says so once where words still arrive.
fn f50_log() {
    let mut lab = Lab::new("full", 3, 1);
    let mut kernel = KernelLog::from_now();
    for node in &mut lab.nodes {
        node.start_logging_to("/dev/full");
    }
    lab.agree(&[0, 1, 2], true);
    lab.nodes[2].kill();
    lab.agree(&[0, 1], true);
    let Some(kernel) = &mut kernel else {
        println!("       NOT RUN: whether it is told once; this machine shows nobody its kernel's log");
        return;
    };
    let told = kernel.read();
    for node in &lab.nodes[..2] {
        let words = format!("evmsd: the stderr of process {} takes no lines", node.pid());
        assert_eq!(told.matches(&words).count(), 1, "{told}");
    }
}

/// What is written to the kernel's log.
struct KernelLog(File);

impl KernelLog {
    /// None where nobody may read it.
    fn from_now() -> Option<KernelLog> {
        let mut file =
            OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(KernelLog(file))
    }

    fn read(&mut self) -> String {
        let (mut record, mut all) = ([0; 8192], String::new());
        loop {
            match self.0.read(&mut record) {
                Ok(length) => all.push_str(&String::from_utf8_lossy(&record[..length])),
                // What was there is overwritten already: what follows is not.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => (),
                Err(_) => return all,
            }
        }
    }
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
