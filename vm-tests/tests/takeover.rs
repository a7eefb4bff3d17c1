//! Takeover without anybody's word: the owner of a container is cut off and says over the disks that its gates are closed, or it is dead
//! and its watchdog is waited for, and one of the others has the volumes up; who comes back finds them gone, and not one byte of his
//! lands behind the takeover. And containers that all nodes
//! share: who is gone is counted out. Three nodes have the same disks.

use vm_tests::cases;
use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::kind::Kind;
use vm_tests::network::Network;
use vm_tests::scene;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;
use vm_tests::writer::{Writer, goes_on};

const SIZE_MIB: u64 = 32;
const DISKS: usize = 3;
/// `evms` says so of what is another's (design section 8).
const NOT_OWNER: i32 = 4;
/// What is taken after a watchdog of 5 s, twice, and what is under way is taken by then, counted from the cut: the lease, 12.3 s, and
/// what guests take for the rest, several at a time on two processors (15 s by a virtual clock; 15.7 s on user-mode machines beside a
/// compiler, 18 s under emulation).
const TAKEN_SECONDS: f64 = 30.0;
/// Of all nodes up and down at once.
const ROUNDS: usize = 4;
const VOLUME: &str = "/dev/evms/data/home";
const NO_GATES: &str = "evms-fence status --json | grep -q '\"gates\":\\[\\]'";
/// The keeper opened one of them (what fails is not stopped either).
const OPEN: &str = "evms-fence status --json | grep -q '\"state\":\"open\"'";
/// As the kernel has it: of every gate, whether it is stopped.
const GATES: &str = "for d in /sys/block/dm-*/dm; do case $(cat $d/name) in evms:gate:*) cat $d/suspended;; esac; done 2>/dev/null | sort -u";

struct Bench {
    nodes: [Guest; 3],
    lan: Network,
    disks: Vec<Disk>,
}

/// Proves that what a dead owner held is up elsewhere in time, once, and that nobody writes behind that.
#[test]
fn a_survivor_takes_over_by_itself() {
    scene::play("takeover", |scene| {
        let lan = scene.network("lan1");
        let disks = (0..DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
        let disks = disks.collect::<Result<Vec<_>, _>>()?;
        let image = Image::of(scene.parts(), Kind::UserMode)?.program("/usr/sbin/mkfs.ext4")?;
        let image = scene.image("takeover", image)?;
        let plan = |name: &str| {
            scene.guest(name)?.kind(Kind::UserMode).image(&image).nic(&lan).disks(&disks).power_on()
        };
        let nodes = [plan("one")?, plan("two")?, plan("three")?];
        let mut bench = Bench { nodes, lan: lan.clone(), disks };
        bench.found()?;
        cases::run(
            &mut bench,
            &[
                ("f17_who_has_no_watchdog_is_not_taken_from", who_has_no_watchdog_is_not_taken_from),
                ("f1_who_says_that_it_is_shut_is_taken_from", who_says_that_it_is_shut_is_taken_from),
                ("what_nobody_uses_is_left_alone", what_nobody_uses_is_left_alone),
                ("f1_who_was_cut_off_finds_it_gone", who_was_cut_off_finds_it_gone),
                ("what_is_mounted_is_put_aside", what_is_mounted_is_put_aside),
                ("f1_who_comes_back_in_the_middle", who_comes_back_in_the_middle),
                ("all_bring_up_at_once_what_they_share", all_bring_up_at_once),
                ("f1_what_is_shared_goes_on_without_who_is_gone", what_is_shared_goes_on),
                ("f15_a_panic_of_the_owner", a_panic_of_the_owner),
            ],
        )
    });
}

impl Bench {
    /// A cluster of three nodes, and a container.
    fn found(&mut self) -> Result<(), Trouble> {
        let [one, two, three] = &mut self.nodes;
        cluster::found(&mut [&mut *one, &mut *two, &mut *three], &self.lan, "")?;
        let disks = self.disks.iter().map(|disk| one.device(disk)).collect::<Result<Vec<_>, _>>()?;
        one.ok(&format!("evms container create data --private --owner n1 {}", disks.join(" ")))?;
        one.ok("evms volume create data/home --size 8M --stripes 3").map(drop)
    }

    /// Gives the container from one node to another, where it comes up.
    fn give(&mut self, from: usize, to: usize) -> Result<(), Trouble> {
        self.nodes[from].ok(&format!("evms container modify data --owner n{}", to + 1))?;
        self.nodes[to].ok("evms activate data").map(drop)
    }

    /// Which node has the volume up, once nothing is under way any more; no other one has a gate.
    fn the_one_holder(&mut self) -> Result<usize, Trouble> {
        let settled = format!("{OPEN} || {NO_GATES}");
        let mut holders = Vec::new();
        for _ in 0..20 {
            holders.clear();
            for node in 0..3 {
                wait_until(&mut self.nodes[node], &settled)?;
                if self.nodes[node].run(&format!("{OPEN} && [ -e {VOLUME} ]"))?.code == 0 {
                    holders.push(node);
                }
            }
            if let [holder] = holders.as_slice() {
                return Ok(*holder);
            }
            assert!(holders.is_empty(), "two have it: {holders:?}");
            // It is on its way to one of them.
            self.nodes[2].ok("sleep 1")?;
        }
        Err(Trouble::Unexpected("it is up on no node".into()))
    }

    fn alone(&self, node: usize) {
        let names = ["one", "two", "three"];
        let others = (0..3).filter(|other| *other != node).map(|other| names[other]).collect::<Vec<_>>();
        self.lan.partition(&[&[names[node]], &others]);
    }

    /// All are in one view again.
    fn heal(&mut self) -> Result<(), Trouble> {
        self.lan.heal();
        for guest in &mut self.nodes {
            wait_until(guest, "evms status | grep -q '^view .*: n1 n2 n3$'")?;
            wait_until(guest, QUORATE)?;
        }
        Ok(())
    }

    /// Every block of the volume is this node's.
    fn fill(&mut self, node: usize) -> Result<(), Trouble> {
        self.nodes[node]
            .ok(&format!(
                "printf '%-4095s\\n' n{} >/tmp/all; for i in $(seq 512); do cat /tmp/all; done | dd of={VOLUME} bs=1M iflag=fullblock oflag=direct conv=notrunc",
                node + 1
            ))
            .map(drop)
    }

    fn sum(&mut self, node: usize) -> Result<String, Trouble> {
        self.nodes[node].ok(&format!("dd if={VOLUME} bs=1M count=2 iflag=direct 2>/dev/null | md5sum"))
    }

    fn owner(&mut self, node: usize) -> Result<String, Trouble> {
        let said = self.nodes[node].ok("evms info data --json")?;
        let owner = said.split("\"owner\":").nth(1).unwrap_or_default();
        Ok(owner.chars().take(160).collect())
    }
}

fn seconds(guest: &mut Guest) -> Result<f64, Trouble> {
    let text = guest.ok("cut -d' ' -f1 /proc/uptime")?;
    text.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{text}' is no number of seconds")))
}

/// F17 without the second half of the evidence: it says nothing, nothing proves that it cannot write any more, and so somebody has to say
/// it.
fn who_has_no_watchdog_is_not_taken_from(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[2].ok("rmmod softdog")?;
    bench.give(0, 2)?;
    cluster::mute(&mut bench.nodes[2])?;
    bench.alone(2);
    wait_until(&mut bench.nodes[0], "evms status | grep -q '^view .*: n1 n2$'")?;
    // Both of the others look, find nothing but somebody's word to take it on, and say so.
    for node in [0, 1] {
        wait_until(&mut bench.nodes[node], "dmesg | grep -q 'is absent and had no watchdog'")?;
    }
    for node in [0, 1] {
        assert!(bench.owner(node)?.contains("n3"));
        bench.nodes[node].ok("[ ! -e /dev/evms/data ]")?;
    }
    let said = bench.nodes[0].run("evms container takeover data --reason test")?;
    assert!(said.code == NOT_OWNER && said.text().contains("--sworn 'n3 is off'"), "{}", said.text());
    bench.heal()?;
    wait_until(&mut bench.nodes[2], &format!("[ \"$({GATES})\" = 0 ]"))?;
    cluster::unmute(&mut bench.nodes[2])
}

/// Safety 5.1: closed gates are evidence by themselves, and who lives behind a cut says over the disks that they are; the watchdog that
/// it has not is not missed.
fn who_says_that_it_is_shut_is_taken_from(bench: &mut Bench) -> Result<(), Trouble> {
    wait_until(&mut bench.nodes[2], "evms-fence status --json | grep -q '\"since_ms\":[0-9]*,\"took_ms\"'")?;
    eprintln!("{}", bench.nodes[2].ok("evms-fence status")?.trim_end());
    bench.alone(2);
    wait_until(&mut bench.nodes[0], "evms history data | grep -q 'taken over from n3'")?;
    let history = bench.nodes[0].ok("evms history data")?;
    assert!(history.contains("by its own word, over a disk, that its gates are closed"), "{history}");
    assert_eq!(bench.nodes[2].ok(GATES)?.trim(), "1");
    bench.heal()?;
    wait_until(&mut bench.nodes[2], NO_GATES)?;
    bench.nodes[2].ok("modprobe softdog")?;
    let holder = bench.the_one_holder()?;
    bench.nodes[holder].ok("evms deactivate data")?;
    if holder != 0 {
        bench.nodes[holder].ok("evms container modify data --owner n1")?;
    }
    Ok(())
}

/// What its owner took down stays down when the owner is gone; and whoever wants it need not swear anything.
fn what_nobody_uses_is_left_alone(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[0].ok("evms activate data && evms deactivate data")?;
    bench.alone(0);
    wait_until(&mut bench.nodes[1], "evms status | grep -q '^view .*: n2 n3$'")?;
    wait_until(&mut bench.nodes[1], QUORATE)?;
    // That nothing happens for longer than a takeover takes is what is proved.
    bench.nodes[1].ok("sleep 25")?;
    assert!(bench.owner(1)?.contains("n1"));
    let said = bench.nodes[1].ok("evms container takeover data --reason 'n1 is away'")?;
    assert!(said.contains("no gates"), "{said}");
    bench.heal()?;
    assert!(bench.nodes[0].run("evms activate data")?.code == NOT_OWNER);
    bench.nodes[1].ok("evms container modify data --owner n1").map(drop)
}

/// F1: it lives and is cut off; its gates are closed, and what waits in front of them fails when it is back.
fn who_was_cut_off_finds_it_gone(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[0].ok("evms activate data")?;
    let writer = Writer::start(&mut bench.nodes[0], "n1", VOLUME, 0)?;
    let before = seconds(&mut bench.nodes[1])?;
    bench.alone(0);
    wait_until(&mut bench.nodes[1], &format!("[ -e {VOLUME} ]"))?;
    let took = seconds(&mut bench.nodes[1])? - before;
    eprintln!("  up on the next node {took:.1} s after the cut");
    assert!(took <= TAKEN_SECONDS, "{took}");
    bench.fill(1)?;
    let sum = bench.sum(1)?;
    let history = bench.nodes[1].ok("evms history data")?;
    assert!(history.contains("taken over from n1") && history.contains("by its own word"), "{history}");
    // The third one waited for its turn, and found nothing to do.
    bench.nodes[2].ok("sleep 5 && [ ! -e /dev/evms/data ]")?;
    bench.heal()?;
    writer.fails(&mut bench.nodes[0])?;
    wait_until(&mut bench.nodes[0], NO_GATES)?;
    assert_eq!(bench.sum(1)?, sum);
    assert!(bench.nodes[0].run("evms activate data")?.code == NOT_OWNER);
    // And back again: the life that was counted out is admitted anew.
    bench.nodes[1].ok("evms deactivate data")?;
    bench.give(1, 0)
}

/// Safety 4.8: what was lost with a file system on it is in nobody's way. Its node is free for what is brought up anew beside it, and it
/// goes when it is unmounted.
fn what_is_mounted_is_put_aside(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[0].ok(&format!(
        "evms activate data && mkfs.ext4 -q {VOLUME} && mkdir -p /mnt /mnt2 && mount -t ext4 {VOLUME} /mnt && echo one >/mnt/file && sync"
    ))?;
    bench.alone(0);
    wait_until(&mut bench.nodes[1], &format!("[ -e {VOLUME} ]"))?;
    bench.heal()?;
    let [one, two, _] = &mut bench.nodes;
    wait_until(one, "evms-fence status | grep -q '^data/home .*/mnt'")?;
    wait_until(one, NO_GATES)?;
    one.ok("[ ! -e /dev/evms/data ] && evms check | grep -q 'was data/home until'")?;
    let said = one.run("dd if=/dev/zero of=/mnt/more bs=4096 count=1 conv=fsync")?;
    assert!(said.code != 0, "{}", said.text());
    two.ok("evms deactivate data && evms container modify data --owner n1")?;
    one.ok(&format!(
        "evms activate data && mount -t ext4 {VOLUME} /mnt2 && [ \"$(cat /mnt2/file)\" = one ]"
    ))?;
    one.ok(&format!(
        "{OPEN} && evms-fence status | grep -q '^data/home .*/mnt' && echo two >/mnt2/file && sync"
    ))?;
    eprintln!("{}", one.ok("evms-fence status")?);
    one.ok("umount /mnt")?;
    wait_until(one, "! evms-fence status | grep -q 'PUT ASIDE'")?;
    wait_until(one, "! ls -d /sys/block/dm-*/dm | while read d; do cat $d/name; done | grep -q dead")?;
    one.ok("umount /mnt2 && evms deactivate data && evms activate data").map(drop)
}

/// The owner is back while it is being taken over: afterwards it is up on one of both, whatever came first. Whoever wrote all the time
/// goes on without an error, or every write of his failed from the cut on.
fn who_comes_back_in_the_middle(bench: &mut Bench) -> Result<(), Trouble> {
    let mut has = 0;
    for late_ms in (0..5).map(|step| 2_500 + step * 700) {
        let writer = Writer::start(&mut bench.nodes[has], &format!("n{}", has + 1), VOLUME, 0)?;
        bench.alone(has);
        bench.nodes[2].ok(&format!("usleep {late_ms}000"))?;
        bench.heal()?;
        let holder = bench.the_one_holder()?;
        let goes_on_here = holder == has && !writer.is_over(&mut bench.nodes[has])?;
        eprintln!("  back after {late_ms} ms: {}", if goes_on_here { "kept" } else { "taken over" });
        if goes_on_here {
            goes_on(&mut bench.nodes[has])?;
            writer.enough(&mut bench.nodes[has])?;
        } else {
            writer.fails(&mut bench.nodes[has])?;
        }
        has = holder;
    }
    bench.nodes[has].ok("evms deactivate data")?;
    if has != 0 {
        bench.nodes[has].ok("evms container modify data --owner n1")?;
    }
    Ok(())
}

/// Nodes that boot together open a container that they share at the same time, and give each other way: nobody is told to try again.
fn all_bring_up_at_once(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[0].ok("evms container modify data --type shared")?;
    for command in ["evms activate data", "evms deactivate data"].repeat(ROUNDS) {
        let start = |guest: &mut Guest| Task::start(guest, "at-once", command);
        let tasks = bench.nodes.iter_mut().map(start).collect::<Result<Vec<_>, _>>()?;
        for (guest, task) in bench.nodes.iter_mut().zip(tasks) {
            let said = task.end(guest)?;
            assert!(said.code == 0 && !said.text().contains("counts on this node still"), "{}", said.text());
        }
    }
    bench.nodes[0].ok("evms container modify data --owner n1").map(drop)
}

/// F1 of what is shared: all write, one is cut off: it stops, the others go on, and count it out. It comes back, finds what waited
/// failed, and may have it again.
fn what_is_shared_goes_on(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[0].ok("evms container modify data --type shared")?;
    let mut writers = Vec::new();
    for (node, guest) in (0u32..).zip(&mut bench.nodes) {
        guest.ok("evms activate data")?;
        writers.push(Writer::start(guest, &format!("n{}", node + 1), VOLUME, node * 128)?);
    }
    let said = bench.nodes[0].run("evms volume delete data/home")?;
    assert!(said.code != 0, "{}", said.text());
    bench.alone(2);
    wait_until(&mut bench.nodes[2], &format!("[ \"$({GATES})\" = 1 ]"))?;
    wait_until(&mut bench.nodes[0], "evms history data | grep -q 'n3 counted out'")?;
    for guest in &mut bench.nodes[..2] {
        goes_on(guest)?;
    }
    bench.heal()?;
    writers.remove(2).fails(&mut bench.nodes[2])?;
    wait_until(&mut bench.nodes[2], NO_GATES)?;
    bench.nodes[2].ok("evms activate data")?;
    let writer = Writer::start(&mut bench.nodes[2], "n3", VOLUME, 256)?;
    writers.push(writer);
    for (guest, writer) in bench.nodes.iter_mut().zip(writers) {
        writer.enough(guest)?;
    }
    // What each wrote is what the others read.
    for (node, guest) in bench.nodes.iter_mut().enumerate() {
        for other in 0..3 {
            let at = other * 128 + 3;
            let head = guest.ok(&format!(
                "dd if={VOLUME} bs=4096 skip={at} count=1 iflag=direct 2>/dev/null | head -c 2"
            ))?;
            assert_eq!(head.trim(), format!("n{}", other + 1), "as n{} reads it", node + 1);
        }
    }
    // No table of another node may point at what is freed.
    bench.nodes[1].ok("evms deactivate data")?;
    let said = bench.nodes[1].run("evms volume delete data/home")?;
    assert!(said.code != 0 && said.text().contains("2 other machines may still write"), "{}", said.text());
    for node in [0, 2] {
        bench.nodes[node].ok("evms deactivate data")?;
    }
    bench.nodes[1].ok("evms container modify data --owner n2 && evms activate data").map(drop)
}

/// F15.
fn a_panic_of_the_owner(bench: &mut Bench) -> Result<(), Trouble> {
    let _writer = Writer::start(&mut bench.nodes[1], "n2", VOLUME, 0)?;
    let before = seconds(&mut bench.nodes[0])?;
    Task::start(
        &mut bench.nodes[1],
        "panic",
        "sh -c 'echo 0 >/proc/sys/kernel/panic; sleep 0.3; echo c >/proc/sysrq-trigger'",
    )?;
    wait_until(&mut bench.nodes[0], &format!("[ -e {VOLUME} ]"))?;
    let took = seconds(&mut bench.nodes[0])? - before;
    eprintln!("  up on the next node {took:.1} s after the panic");
    assert!(took <= TAKEN_SECONDS, "{took}");
    bench.fill(0)?;
    bench.nodes[0].ok("evms volume create data/later --size 4M && evms deactivate data").map(drop)
}
