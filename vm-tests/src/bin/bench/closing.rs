//! Closing a container with 10 and 1000 active volumes on four disks, by the real way: evmsd is stopped, the lease of its node ends, and
//! the keeper closes the gates. Beside it, in the same guest and over as many volumes, the least that closes four gates. Every
//! question of that kind to device-mapper is seen in the kernel, and counted: one for each gate, none for a volume.

use std::path::Path;

use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::scene::{self, Scene};
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

use crate::container;
use crate::measure::{COUNTING, ROUND, Values, image, ratio};

const DISKS: usize = 4;
const DISK_MIB: u64 = 320;
const VOLUME_MIB: u64 = 1;
const MEMORY_MIB: u32 = 1024;
/// Closings of each kind, in turn, so that what disturbs disturbs both.
const ROUNDS: usize = 9;
/// How many times as long as the least closing may take.
const TIMES_MAX: f64 = 1.3;
/// `DM_SUSPEND_FLAG`: without it the question is for letting go on.
const SUSPENDS: u64 = 2;
const BARE_GATES: &str = "bgate-0 bgate-1 bgate-2 bgate-3";
/// Sees every question that suspends or resumes, and its answer, by the clock of leases.
const WATCH: &str =
    "mount -t tracefs trace /sys/kernel/tracing && cd /sys/kernel/tracing && echo boot >trace_clock &&
    echo 'p:asked dm_mod:dev_suspend flags=+28(%si):x32 name=+48(%si):string' >kprobe_events &&
    echo 'r:answered dm_mod:dev_suspend error=$retval:s32' >>kprobe_events && echo 1 >events/kprobes/enable";
const OPEN: &str = "[ \"$(evms-fence status --json | grep -o '\"state\":\"open\"' | wc -l)\" = 4 ]";

/// Prints the table.
pub fn bench(programs: &Path) {
    scene::play("bench-closing", |scene| {
        println!(
            "from the order, or the lease's end, to the last gate that is closed, in ms, median of {ROUNDS} (least..most)"
        );
        println!(
            "{:>7}  {:>22}  {:>22} {:>5}  {:>22} {:>5}  {:>16}  {:>12}",
            "volumes",
            "bare, 4 threads",
            "keeper",
            "x",
            "its ioctls alone",
            "x",
            "ioctls per close",
            "for a volume"
        );
        let mut slow = Vec::new();
        for count in [10, 1000] {
            let times = row(scene, count, programs)?;
            slow.extend((times > TIMES_MAX).then(|| format!("{times:.2} times at {count} volumes")));
        }
        match slow.as_slice() {
            [] => println!("at most {TIMES_MAX} times the least: yes"),
            _ => {
                let words = format!("at most {TIMES_MAX} times the least: NO, {}", slow.join(", "));
                println!("{words}");
                return Err(Trouble::Unexpected(words));
            }
        }
        Ok(())
    });
}

/// One closing, as the kernel saw it.
#[derive(Debug, Default)]
struct Closing {
    /// The devices that were asked to be suspended, each as often as it was.
    asked: Vec<String>,
    /// Nanoseconds of boot time of the first question, and of the last answer.
    first_ns: u64,
    last_ns: u64,
}

impl Closing {
    /// Reads `NAME-PID [CPU] FLAGS SECONDS: asked: (…) flags=0x… name="…"`, and the answers.
    fn of(trace: &str) -> Result<Closing, Trouble> {
        let mut closing = Closing::default();
        for line in trace.lines().filter(|line| !line.starts_with('#')) {
            let broken = || Trouble::Unexpected(format!("not a line of a trace: {line}"));
            let (before, what) = line.split_once(": ").ok_or_else(broken)?;
            let at = before.split_whitespace().last().and_then(nanoseconds).ok_or_else(broken)?;
            if what.starts_with("answered") {
                closing.last_ns = at;
                continue;
            }
            let after = |key: &str| what.split(key).nth(1).and_then(|rest| rest.split_whitespace().next());
            let flags = after("flags=0x").and_then(|text| u64::from_str_radix(text, 16).ok());
            if flags.ok_or_else(broken)? & SUSPENDS == 0 {
                continue;
            }
            if closing.asked.is_empty() {
                closing.first_ns = at;
            }
            closing.asked.push(after("name=").ok_or_else(broken)?.trim_matches('"').into());
        }
        closing.asked.sort();
        Ok(closing)
    }
}

/// `12.345678` seconds.
fn nanoseconds(text: &str) -> Option<u64> {
    let (seconds, micros) = text.split_once('.')?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000_000 + micros.parse::<u64>().ok()? * 1000)
}

struct Bench {
    guest: Guest,
    evmsd: Task,
    count: u64,
}

/// A cluster of one node, a container of its own, and the same number of volumes on gates that nobody keeps.
fn bench_of(scene: &Scene, count: u64, programs: &Path) -> Result<Bench, Trouble> {
    let lan = scene.network(&format!("lan{count}"));
    let disks = |kind: &str| {
        let names = (0..DISKS).map(|number| format!("{kind}{number}-{count}"));
        names.map(|name| scene.disk(&name, DISK_MIB)).collect::<Result<Vec<_>, _>>()
    };
    let (ours, theirs) = (disks("ours")?, disks("bare")?);
    let image =
        scene.image(&format!("closing{count}"), image(scene.parts(), programs, &["bare", "closing"])?)?;
    let plan = scene.guest(&format!("closing{count}"))?.image(&image).nic(&lan).disks(&ours).disks(&theirs);
    let mut guest = plan.memory_mib(MEMORY_MIB).machine_words(&COUNTING).power_on()?;
    let evmsd = cluster::found(&mut [&mut guest], &lan, "")?.remove(0);
    let node = guest.ok("cat /etc/evms/node")?;
    let cluster = guest.ok("evms status --json | sed 's/.*\"cluster_id\":\"\\([^\"]*\\)\".*/\\1/'")?;
    container::fill(&scene.parts().evms, &ours, node.trim(), (count, VOLUME_MIB), true)?;
    container::give_to_cluster(&ours, cluster.trim())?;
    let devices = |guest: &mut Guest, disks: &[Disk]| {
        disks.iter().map(|disk| guest.device(disk)).collect::<Result<Vec<_>, _>>()
    };
    let theirs = devices(&mut guest, &theirs)?;
    let said = guest.run_within("evms activate data", ROUND)?;
    assert_eq!(said.code, 0, "{}", said.text());
    for (number, disk) in theirs.iter().enumerate() {
        guest.ok(&format!(
            "echo 0 $(blockdev --getsz {disk}) linear {disk} 0 | dmsetup create bgate-{number}"
        ))?;
    }
    let numbers =
        guest.ok("for n in 0 1 2 3; do dmsetup info -c --noheadings -o major,minor bgate-$n; done")?;
    let numbers = numbers.split_whitespace().collect::<Vec<_>>().join(" ");
    guest.run_within(&format!("bare {count} {} {numbers}", VOLUME_MIB * 2048), ROUND)?;
    wait_until(&mut guest, OPEN)?;
    guest.ok(WATCH)?;
    Ok(Bench { guest, evmsd, count })
}

impl Bench {
    fn trace(&mut self) -> Result<Closing, Trouble> {
        let said = self.guest.pull("/sys/kernel/tracing/trace")?;
        self.guest.ok("echo >/sys/kernel/tracing/trace")?;
        Closing::of(&String::from_utf8_lossy(&said))
    }

    /// The least: when the order was given, and what the kernel saw.
    fn bare(&mut self) -> Result<(u64, Closing), Trouble> {
        let said = self.guest.ok(&format!("closing {BARE_GATES}"))?;
        let begin = said.split_whitespace().next().and_then(|word| word.parse().ok());
        let begin = begin.ok_or_else(|| Trouble::Unexpected(format!("'{said}' is no time")))?;
        Ok((begin, self.trace()?))
    }

    /// The lease ends because nobody renews it: when that was, and what the kernel saw.
    fn lease_ends(&mut self) -> Result<(u64, Closing), Trouble> {
        let pid = self.evmsd.pid();
        self.guest.ok(&format!("kill -STOP {pid}"))?;
        let said = self.guest.ok("od -A n -t d8 -j 8 -N 8 /run/evms/lease")?;
        let end_ms: u64 =
            said.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{said}' is no end of a lease")))?;
        // Who looked all the time would take the processor from whom it looks at.
        self.guest.ok("sleep 3")?;
        let closing = self.trace()?;
        // By the kernel's word: all gates are stopped, and nothing else is.
        let stopped = self.guest.ok("cat /sys/block/dm-*/dm/suspended | grep -c 1")?;
        assert_eq!(stopped.trim(), DISKS.to_string(), "of {} volumes", self.count);
        self.guest.ok(&format!("kill -CONT {pid}"))?;
        wait_until(&mut self.guest, QUORATE)?;
        wait_until(&mut self.guest, OPEN)?;
        self.guest.ok("echo >/sys/kernel/tracing/trace")?;
        Ok((end_ms * 1_000_000, closing))
    }
}

/// How many times the least the keeper takes.
fn row(scene: &Scene, count: u64, programs: &Path) -> Result<f64, Trouble> {
    let mut bench = bench_of(scene, count, programs)?;
    let [mut bare, mut keeper, mut bare_ioctls, mut ioctls] = [(); 4].map(|()| Values::new());
    let mut asked = 0;
    for _ in 0..ROUNDS {
        let (begin, closing) = bench.bare()?;
        assert_eq!(closing.asked, BARE_GATES.split(' ').collect::<Vec<_>>());
        bare.add(closing.last_ns.saturating_sub(begin));
        bare_ioctls.add(closing.last_ns - closing.first_ns);
        let (end, closing) = bench.lease_ends()?;
        let mut gates = closing.asked.clone();
        gates.dedup();
        let are_gates = gates.iter().all(|name| name.starts_with("evms:gate:"));
        assert!(are_gates && gates.len() == DISKS && closing.asked.len() == DISKS, "{closing:?}");
        asked = closing.asked.len();
        keeper.add(closing.last_ns.saturating_sub(end));
        ioctls.add(closing.last_ns - closing.first_ns);
    }
    let times = ratio(&keeper, &bare);
    println!(
        "{count:>7}  {:>22}  {:>22} {times:>5.2}  {:>22} {:>5.2}  {asked:>16}  {:>12}",
        bare.ms(),
        keeper.ms(),
        ioctls.ms(),
        ratio(&ioctls, &bare_ioctls),
        0
    );
    Ok(times)
}
