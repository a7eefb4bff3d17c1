//! Who is asked over the disks, on machines whose kernel is a process: a gate that drains is no answer, an evmsd that comes back in time
//! is not taken from, and in a strict cluster nobody holds anything who has no watchdog.

use vm_tests::cases;
use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::fault::{Faulty, Way};
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::kind::Kind;
use vm_tests::network::Network;
use vm_tests::scene::{self, Scene};
use vm_tests::task::{Task, until_done, wait_until};
use vm_tests::trouble::Trouble;
use vm_tests::writer::{Writer, goes_on};

const SIZE_MIB: u64 = 32;
const DISKS: usize = 3;
/// `evms` says so of what it may not touch here (design section 8).
const NOT_OWNER: i32 = 4;
const VOLUME: &str = "/dev/evms/data/home";
/// Longer than a lease and all that asking takes, shorter than an evmsd may be away (10 s).
const AWAY_SECONDS: u32 = 7;
/// Two beats and one that is late, and two seconds for a drain: less than a watchdog of 5 s takes to prove anything.
const ASKED_SECONDS: u32 = 6;
const BEATS: &str = "evms-fence status --json | grep -q '\"since_ms\":[0-9]*,\"took_ms\"'";

struct Bench {
    nodes: [Guest; 3],
    daemons: Vec<Task>,
    lan: Network,
    disks: Vec<Disk>,
}

fn bench(scene: &Scene) -> Result<Bench, Trouble> {
    let lan = scene.network("lan1");
    let disks = (0..DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
    let disks = disks.collect::<Result<Vec<_>, _>>()?;
    let image =
        scene.image("asked", Image::of(scene.parts(), Kind::UserMode)?.program("/usr/sbin/dmsetup")?)?;
    let plan =
        |name: &str| scene.guest(name)?.kind(Kind::UserMode).image(&image).nic(&lan).disks(&disks).power_on();
    let mut nodes = [plan("one")?, plan("two")?, plan("three")?];
    let [one, two, three] = &mut nodes;
    let daemons = cluster::found(&mut [&mut *one, &mut *two, &mut *three], &lan, "")?;
    let paths = disks.iter().map(|disk| one.device(disk)).collect::<Result<Vec<_>, _>>()?;
    one.ok(&format!("evms container create data --private --owner n1 {}", paths.join(" ")))?;
    one.ok("evms volume create data/home --size 8M --stripes 3")?;
    Ok(Bench { nodes, daemons, lan, disks })
}

/// Proves what closed gates have to say, and what is not said.
#[test]
fn who_is_asked_over_the_disks() {
    scene::play("asked", |scene| {
        cases::run(
            &mut bench(scene)?,
            &[
                (
                    "f18_an_evmsd_that_is_away_for_a_while_keeps_what_it_has",
                    an_evmsd_that_is_away_for_a_while,
                ),
                ("f33_a_gate_that_drains_is_no_answer", a_gate_that_drains_is_no_answer),
            ],
        )
    });
}

/// F52.
#[test]
fn f52_a_strict_cluster_has_no_gates_without_a_watchdog() {
    scene::play("strict", |scene| {
        let mut bench = bench(scene)?;
        becomes_strict(&mut bench)?;
        who_is_not_watched_gets_no_gates(&mut bench)?;
        who_is_not_watched_takes_nothing(&mut bench)
    });
}

/// Its service manager starts it anew, somewhat late: who asks in between is told nothing, and it finds its own as it was.
fn an_evmsd_that_is_away_for_a_while(bench: &mut Bench) -> Result<(), Trouble> {
    let one = &mut bench.nodes[0];
    until_done(one, "evms activate data")?;
    let writer = Writer::start(one, "n1", VOLUME, 0)?;
    wait_until(one, BEATS)?;
    bench.daemons.remove(0).kill(one)?;
    one.ok(&format!("sleep {AWAY_SECONDS}"))?;
    bench.daemons.insert(0, Task::start(one, "evmsd", "evmsd")?);
    wait_until(one, QUORATE)?;
    goes_on(one)?;
    writer.enough(one)?;
    let history = bench.nodes[1].ok("evms history data")?;
    assert!(!history.contains("taken over"), "{history}");
    bench.nodes[0].ok("evms deactivate data").map(drop)
}

/// Two of three gates are closed and could be told of, the third one waits for its disk: nobody is told anything, and nothing is taken
/// before the watchdog has bitten.
fn a_gate_that_drains_is_no_answer(bench: &mut Bench) -> Result<(), Trouble> {
    let one = &mut bench.nodes[0];
    let raw = bench.disks.iter().map(|disk| one.device(disk)).collect::<Result<Vec<_>, _>>()?;
    let faults = (1..).zip(&raw).map(|(number, disk)| Faulty::over(one, &format!("f{number}"), disk));
    let faults = faults.collect::<Result<Vec<_>, _>>()?;
    let nodes = faults.iter().map(Faulty::node).collect::<Vec<_>>().join(":");
    one.ok(&format!("EVMS_DISKS={nodes} evms activate data"))?;
    let _writer = Writer::start(one, "n1", VOLUME, 0)?;
    wait_until(one, BEATS)?;
    faults[0].becomes(one, Way::Hangs)?;
    let home = "$(basename $(grep -l '^evms:data:home$' /sys/block/dm-*/dm/name | sed 's,/dm/name,,'))";
    wait_until(one, &format!("grep -q '[1-9]' /sys/block/{home}/inflight"))?;
    bench.lan.partition(&[&["one"], &["two", "three"]]);
    let two = &mut bench.nodes[1];
    let disk = two.device(&bench.disks[1])?;
    wait_until(two, "evms status | grep -q '^view .*: n2 n3$'")?;
    // It is asked; in so long it would be listened to, and what it had under way waited for.
    wait_until(two, &format!("dd if={disk} bs=1M count=4 iflag=direct 2>/dev/null | grep -q EVMSQUES"))?;
    two.ok(&format!("sleep {ASKED_SECONDS}"))?;
    let early = two.ok("evms history data")?;
    assert!(!early.contains("taken over"), "{early}");
    // What it did not say its watchdog does.
    wait_until(two, "evms history data | grep -q 'taken over from n1'")?;
    let history = two.ok("evms history data")?;
    assert!(history.contains("its watchdog of 5000 ms is over"), "{history}");
    Ok(())
}

/// One file is changed and read again, and all nodes go by it.
fn becomes_strict(bench: &mut Bench) -> Result<(), Trouble> {
    let one = &mut bench.nodes[0];
    let next = one.ok("n=$(sed -n 's/^generation = //p' /etc/evms.conf); echo $((n + 1))")?;
    let next = next.trim();
    one.ok(&format!("sed -i 's/^generation = .*/generation = {next}\\nstrict = true/' /etc/evms.conf"))?;
    one.ok(&format!("kill -HUP {}", bench.daemons[0].pid()))?;
    for guest in &mut bench.nodes {
        wait_until(guest, &format!("evms status --json | grep -q '\"generation\":{next},'"))?;
        wait_until(guest, QUORATE)?;
        guest.ok("grep -q '^strict = true$' /var/lib/evms/cluster")?;
    }
    Ok(())
}

/// It is told why, with what to do, before anything is written; and `--check` says it beforehand.
fn who_is_not_watched_gets_no_gates(bench: &mut Bench) -> Result<(), Trouble> {
    let one = &mut bench.nodes[0];
    one.ok("rmmod softdog && rm -f /dev/watchdog")?;
    let before = one.ok("evms list containers --json")?;
    let said = one.run("evms activate data")?;
    assert_eq!(said.code, NOT_OWNER, "{}", said.text());
    assert!(
        said.text().contains("the cluster is strict, and no watchdog guards this node"),
        "{}",
        said.text()
    );
    assert_eq!(one.ok("evms list containers --json")?, before, "nothing was written");
    one.ok("[ ! -e /dev/evms/data ]")?;
    let check = one.run("evmsd --check")?;
    assert!(check.text().contains("the cluster is strict"), "{}", check.text());
    // The next one has a watchdog.
    one.ok("evms container modify data --owner n3")?;
    bench.nodes[2].ok("evms activate data && evms why data | grep -q 'grade.*C:'")?;
    let status = bench.nodes[1].ok("evms status")?;
    eprintln!("{}", status.trim_end());
    let line = status.lines().find(|line| line.starts_with("data "));
    let words = line.map(|line| line.split_whitespace().take(5).collect::<Vec<_>>());
    assert_eq!(words, Some(vec!["data", "private", "n3", "n3", "C"]), "{status}");
    Ok(())
}

/// Its owner dies: of two that are left the one without a watchdog comes first, and leaves it to the other.
fn who_is_not_watched_takes_nothing(bench: &mut Bench) -> Result<(), Trouble> {
    let [one, two, three] = &mut bench.nodes;
    wait_until(three, BEATS)?;
    bench.lan.partition(&[&["one", "two"], &["three"]]);
    wait_until(two, &format!("[ -e {VOLUME} ]"))?;
    one.ok("[ ! -e /dev/evms/data ] && dmesg | grep -q 'the cluster is strict'")?;
    bench.lan.heal();
    wait_until(three, "evms-fence status --json | grep -q '\"gates\":\\[\\]'")
}
