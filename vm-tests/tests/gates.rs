//! Gates of a cluster's containers: volumes are up where they may be, their I/O stops when the node may not act and goes on when it
//! may again, without one error, whoever of evmsd and keeper is dead; and what was taken over is written by nobody
//! who had it before. Two nodes have the same disks, a third one votes.

use vm_tests::cases;
use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::fault::{Faulty, Way};
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::limits::Limit;
use vm_tests::network::Network;
use vm_tests::scene;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

/// The watchdog bites after five seconds, by a clock that a guest under emulation is late with.
const BITE: Limit = Limit::seconds("the watchdog bites", 60);
/// I/O of who is cut off has stopped by then (a lease of 1.5 s, and half a second for the gates; safety 6).
const STOPS_SECONDS: f64 = 2.0;
/// A gate is closed so many milliseconds after the lease's end (safety 6).
const GATE_MS_MAX: i64 = 500;
const SIZE_MIB: u64 = 32;
const DISKS: usize = 3;
/// `evms` says so of what is another's (design section 8).
const NOT_OWNER: i32 = 4;
/// As the kernel has it: of every gate of the container, whether it is stopped.
const GATES: &str = "for d in /sys/block/dm-*/dm; do case $(cat $d/name) in evms:gate:*) cat $d/suspended;; esac; done 2>/dev/null | sort -u";
/// The process that keeps the gates.
const KEEPER: &str =
    "for p in $(pidof evmsd); do tr '\\0' ' ' </proc/$p/cmdline | grep -q keeper && echo $p; done; true";
/// Whoever beat on the disks has closed them: it hears at once that the gates are gone, and is another process.
const LET_GO: &str = "! dmsetup info -c --noheadings -o open | grep -qv '^ *0 *$'";
const VOLUME: &str = "/dev/evms/data/home";
/// Writes one block after the other, each with its number, and counts; ends at the first error.
const WRITER: &str = "#!/bin/sh
i=0
while [ ! -e /tmp/enough ]; do
    i=$((i + 1))
    printf '%-4095s\\n' \"$1 $i\" >/tmp/block
    dd if=/tmp/block of=/dev/evms/data/home bs=4096 seek=$((i % 512)) oflag=direct conv=notrunc 2>/tmp/dd || {
        echo \"write $i failed: $(cat /tmp/dd)\"
        exit 1
    }
    read now rest </proc/uptime
    echo $now >/tmp/wrote.new
    mv /tmp/wrote.new /tmp/wrote
    echo $i >/tmp/count.new
    mv /tmp/count.new /tmp/count
done
";

struct Bench {
    one: Guest,
    two: Guest,
    three: Guest,
    lan: Network,
    disks: Vec<Disk>,
    evmsd: Option<Task>,
    writer: Option<Task>,
}

/// Proves that volumes of a cluster stop and go with the lease of their node.
#[test]
fn io_of_a_cluster_stops_and_goes_with_the_lease() {
    scene::play("gates", |scene| {
        let lan = scene.network("lan1");
        let disks = (0..DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
        let disks = disks.collect::<Result<Vec<_>, _>>()?;
        // It makes a disk that hangs.
        let image = scene.image("tools", Image::usual(scene.parts())?.program("/usr/sbin/dmsetup")?)?;
        let plan = |name: &str| Ok::<_, Trouble>(scene.guest(name)?.image(&image).nic(&lan).disks(&disks));
        let (one, two) = (plan("one")?.power_on()?, plan("two")?.power_on()?);
        let three = scene.guest("three")?.nic(&lan).power_on()?;
        let mut bench = Bench { one, two, three, lan: lan.clone(), disks, evmsd: None, writer: None };
        bench.found()?;
        cases::run(
            &mut bench,
            &[
                ("volumes_come_up_where_they_may", volumes_come_up_where_they_may),
                ("f56_a_cut_costs_no_error", a_cut_costs_no_error),
                ("f18_a_killed_evmsd_costs_no_error", a_killed_evmsd_costs_no_error),
                ("f17_a_stopped_evmsd_stops_io", a_stopped_evmsd_stops_io),
                ("a_killed_keeper_is_started_anew", a_killed_keeper_is_started_anew),
                ("f33_a_hung_disk_holds_no_shutdown", a_hung_disk_holds_no_shutdown),
                ("t2_a_hung_disk_delays_no_other_gate", a_hung_disk_delays_no_other_gate),
                ("f33_a_hung_disk_of_others_holds_no_gate", a_hung_disk_of_others_holds_no_gate),
                ("f57_what_waits_can_be_given_up", what_waits_can_be_given_up),
                ("who_leaves_takes_its_volumes_down_first", who_leaves_takes_its_volumes_down_first),
                ("what_is_open_is_not_given_away", what_is_open_is_not_given_away),
                (
                    "f1_what_was_taken_over_is_not_written_by_its_old_owner",
                    what_was_taken_over_is_not_written,
                ),
                ("f19_nobody_left_to_close_the_gates_and_the_watchdog_bites", the_watchdog_bites),
            ],
        )
    });
}

impl Bench {
    /// A cluster of two nodes, and a container of the first one.
    fn found(&mut self) -> Result<(), Trouble> {
        // Nobody takes over by himself here: what is proved takes longer than a takeover.
        let later = "sed -i 's/^drain = .*/drain = 600000/' /etc/evms.conf /var/lib/evms/cluster";
        let guests = &mut [&mut self.one, &mut self.two, &mut self.three];
        self.evmsd = Some(cluster::found(guests, &self.lan, later)?.remove(0));
        self.one.push("/tmp/writer", WRITER.as_bytes())?;
        let disks = self.disks.iter().map(|disk| self.one.device(disk)).collect::<Result<Vec<_>, _>>()?;
        self.one.ok(&format!("evms container create data --private --owner n1 {}", disks.join(" ")))?;
        self.one.ok("evms volume create data/home --size 8M --stripes 3").map(drop)
    }

    /// Something writes all the time, from now on.
    fn write(&mut self) -> Result<(), Trouble> {
        self.one.ok("rm -f /tmp/enough /tmp/count")?;
        self.writer = Some(Task::start(&mut self.one, "writer", "sh /tmp/writer n1")?);
        self.goes_on()
    }

    /// More is written than there was.
    fn goes_on(&mut self) -> Result<(), Trouble> {
        wait_until(&mut self.one, "[ -s /tmp/count ]")?;
        let count = self.count()?;
        wait_until(&mut self.one, &format!("[ $(cat /tmp/count) -gt {} ]", count + 3))
    }

    fn count(&mut self) -> Result<u64, Trouble> {
        let count = self.one.ok("cat /tmp/count")?;
        count.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{count}' is no count")))
    }

    /// The writer ends, without one error in all that time.
    fn enough(&mut self) -> Result<(), Trouble> {
        self.one.ok("touch /tmp/enough")?;
        let said = taken(&mut self.writer)?.end(&mut self.one)?;
        assert_eq!((said.code, said.text().as_str()), (0, ""));
        Ok(())
    }

    /// All gates are so in the kernel's eyes: 1 is closed.
    fn wait_for_gates(&mut self, suspended: u8) -> Result<(), Trouble> {
        wait_until(&mut self.one, &format!("[ \"$({GATES})\" = {suspended} ]"))
    }

    /// While the gates are closed not one write comes to its end, and the writer waits for one.
    fn stands(&mut self) -> Result<(), Trouble> {
        let count = self.count()?;
        // It may have come between the last write and its count.
        wait_until(&mut self.one, "grep -qs 'D (disk sleep)' /proc/[0-9]*/status")?;
        let later = self.count()?;
        assert!(later <= count + 1, "{later} after {count}");
        self.one.ok("usleep 300000")?;
        assert_eq!(self.count()?, later);
        Ok(())
    }

    /// The first node is alone.
    fn cut(&self) {
        self.lan.partition(&[&["one"], &["two", "three"]]);
    }

    /// The first number in a file: seconds since boot.
    fn seconds(&mut self, file: &str) -> Result<f64, Trouble> {
        let text = self.one.ok(&format!("cut -d' ' -f1 {file}"))?;
        text.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{text}' is no number of seconds")))
    }

    fn restart(&mut self) -> Result<(), Trouble> {
        self.evmsd = Some(Task::start(&mut self.one, "evmsd", "evmsd")?);
        Ok(())
    }

    /// The volume is up on disks that can be told to go wrong, and something writes to it.
    fn write_on_faulty_disks(&mut self) -> Result<Vec<Faulty>, Trouble> {
        self.one.ok("evms deactivate data")?;
        let raw = self.disks.iter().map(|disk| self.one.device(disk)).collect::<Result<Vec<_>, _>>()?;
        let faults =
            (1..).zip(&raw).map(|(number, disk)| Faulty::over(&mut self.one, &format!("f{number}"), disk));
        let faults = faults.collect::<Result<Vec<_>, _>>()?;
        let nodes = faults.iter().map(Faulty::node).collect::<Vec<_>>().join(":");
        self.one.ok(&format!("EVMS_DISKS={nodes} evms activate data"))?;
        self.write()?;
        Ok(faults)
    }

    /// Something of the volume is under way to a disk that does not answer.
    fn wait_for_what_hangs(&mut self) -> Result<(), Trouble> {
        let home = "$(basename $(grep -l '^evms:data:home$' /sys/block/dm-*/dm/name | sed 's,/dm/name,,'))";
        wait_until(&mut self.one, &format!("grep -q '[1-9]' /sys/block/{home}/inflight"))
    }

    fn keeper(&mut self) -> Result<String, Trouble> {
        self.one.ok(KEEPER)
    }
}

/// A task that runs.
fn taken(task: &mut Option<Task>) -> Result<Task, Trouble> {
    task.take().ok_or_else(|| Trouble::Unexpected("it does not run".into()))
}

fn volumes_come_up_where_they_may(bench: &mut Bench) -> Result<(), Trouble> {
    let said = bench.two.run("evms activate data")?;
    assert_eq!(said.code, NOT_OWNER, "{}", said.text());
    assert!(said.text().contains("owned by another machine (n1"), "{}", said.text());
    assert!(bench.two.ok("evms-fence status --json")?.contains("\"gates\":[]"));
    bench.one.ok("evms activate data")?;
    bench.wait_for_gates(0)?;
    let status = bench.one.ok("evms-fence status --json")?;
    assert_eq!(status.matches("\"state\":\"open\"").count(), DISKS, "{status}");
    // The guests have softdog, and the nodes count on its five seconds.
    assert!(status.contains("\"keeper\":true") && status.contains("\"watchdog_ms\":5000"), "{status}");
    // What is said twice is so already, and the gates are the same.
    let again = bench.one.ok("evms activate data --json")?;
    assert!(again.contains("\"already_so\":true"), "{again}");
    bench.one.ok(&format!(
        "dd if=/dev/zero of={VOLUME} bs=1M count=4 oflag=direct && evms volume expand data/home --size 16M"
    ))?;
    assert_eq!(bench.one.ok(&format!("blockdev --getsize64 {VOLUME}"))?.trim(), (24 << 20).to_string());
    Ok(())
}

/// F56: quorum is lost, all writes wait; it comes back, and they go on.
fn a_cut_costs_no_error(bench: &mut Bench) -> Result<(), Trouble> {
    bench.write()?;
    let before = bench.seconds("/proc/uptime")?;
    bench.cut();
    bench.wait_for_gates(1)?;
    bench.stands()?;
    // By the writer's own stamp behind its last write, from before the cut on.
    let took = bench.seconds("/tmp/wrote")? - before;
    eprintln!("  the last write ended {took:.2} s after the cut");
    assert!(took <= STOPS_SECONDS, "{took}");
    let status = bench.one.ok("evms-fence status")?;
    assert!(status.contains("closed") && status.contains("not quorate"), "{status}");
    let said = bench.one.run("evms volume create data/late --size 8M")?;
    assert_eq!(said.code, NOT_OWNER, "{}", said.text());
    bench.lan.heal();
    bench.wait_for_gates(0)?;
    bench.goes_on()?;
    bench.enough()?;
    bench.one.ok("evms volume create data/later --size 4M").map(drop)
}

/// F18: the keeper closes the gates when the lease ends, or not at all if the next evmsd is quick; and nothing fails.
fn a_killed_evmsd_costs_no_error(bench: &mut Bench) -> Result<(), Trouble> {
    let keeper = bench.keeper()?;
    bench.write()?;
    taken(&mut bench.evmsd)?.kill(&mut bench.one)?;
    bench.restart()?;
    wait_until(&mut bench.one, QUORATE)?;
    bench.wait_for_gates(0)?;
    bench.goes_on()?;
    // And once more, for longer than a lease.
    taken(&mut bench.evmsd)?.kill(&mut bench.one)?;
    bench.wait_for_gates(1)?;
    bench.stands()?;
    bench.restart()?;
    bench.wait_for_gates(0)?;
    bench.goes_on()?;
    bench.enough()?;
    assert_eq!(bench.keeper()?, keeper, "it is the same one");
    Ok(())
}

/// F17: who stands still says nothing, and its gates are closed all the same.
fn a_stopped_evmsd_stops_io(bench: &mut Bench) -> Result<(), Trouble> {
    bench.write()?;
    let evmsd = bench.evmsd.as_ref().map(Task::pid).unwrap_or_default();
    bench.one.ok(&format!("kill -STOP {evmsd}"))?;
    bench.wait_for_gates(1)?;
    bench.stands()?;
    bench.one.ok(&format!("kill -CONT {evmsd}"))?;
    bench.wait_for_gates(0)?;
    bench.goes_on()?;
    bench.enough()
}

/// evmsd starts another one, which finds the gates in the page and closes them when the lease ends.
fn a_killed_keeper_is_started_anew(bench: &mut Bench) -> Result<(), Trouble> {
    bench.write()?;
    let keeper = bench.keeper()?;
    bench.one.ok(&format!("kill -9 {}", keeper.trim()))?;
    wait_until(&mut bench.one, &format!("k=$({KEEPER}); [ -n \"$k\" ] && [ \"$k\" != {} ]", keeper.trim()))?;
    wait_until(&mut bench.one, "evms-fence status --json | grep -q '\"keeper\":true'")?;
    bench.goes_on()?;
    bench.cut();
    bench.wait_for_gates(1)?;
    bench.stands()?;
    bench.lan.heal();
    bench.wait_for_gates(0)?;
    bench.goes_on()?;
    bench.enough()
}

/// F33: the keeper and the command stop one gate at one time, and neither comes to its end before the disk answers. Then what waits fails.
fn a_hung_disk_holds_no_shutdown(bench: &mut Bench) -> Result<(), Trouble> {
    let faults = bench.write_on_faulty_disks()?;
    faults[1].becomes(&mut bench.one, Way::Hangs)?;
    bench.wait_for_what_hangs()?;
    let said = bench.one.run("evms deactivate --fail data")?;
    assert!(said.code == 6 && said.text().contains("not answer"), "{}", said.text());
    let status = bench.one.ok("evms-fence status")?;
    assert!(status.contains("draining") && status.contains("being taken away"), "{status}");
    faults[1].becomes(&mut bench.one, Way::Well)?;
    let said = taken(&mut bench.writer)?.end(&mut bench.one)?;
    // What was under way behind the gate may land, and then there is no volume any more.
    assert_eq!(said.code, 1, "{}", said.text());
    wait_until(&mut bench.one, "! grep -qs '^evms:' /sys/block/dm-*/dm/name")?;
    wait_until(&mut bench.one, "evms-fence status --json | grep -q '\"gates\":\\[\\]'")?;
    wait_until(&mut bench.one, LET_GO)?;
    bench.one.ok("dmsetup remove_all && evms activate data")?;
    bench.wait_for_gates(0)
}

/// T2: what is under way behind the first gate hangs with its disk when the lease ends; the other gates are closed as soon as ever.
fn a_hung_disk_delays_no_other_gate(bench: &mut Bench) -> Result<(), Trouble> {
    let faults = bench.write_on_faulty_disks()?;
    faults[0].becomes(&mut bench.one, Way::Hangs)?;
    bench.wait_for_what_hangs()?;
    bench.cut();
    let closed = "evms-fence status --json | grep -o '\"state\":\"closed\"' | wc -l";
    wait_until(&mut bench.one, &format!("[ $({closed}) = {} ]", DISKS - 1))?;
    let status = bench.one.ok("evms-fence status --json")?;
    // In time: gates that are not closed half a second later are the watchdog's.
    faults[0].becomes(&mut bench.one, Way::Well)?;
    let since = ages(&status, "draining");
    assert_eq!(since.len(), 1, "{status}");
    let late = ages(&status, "closed").into_iter().map(|age_ms| since[0] - age_ms).collect::<Vec<_>>();
    eprintln!("  the other gates were closed {late:?} ms after the first began to");
    assert!(late.len() == DISKS - 1 && late.iter().all(|ms| *ms <= GATE_MS_MAX), "{status}");
    bench.wait_for_gates(1)?;
    bench.one.ok("evms deactivate --fail data")?;
    let said = taken(&mut bench.writer)?.end(&mut bench.one)?;
    assert_eq!(said.code, 1, "{}", said.text());
    bench.lan.heal();
    wait_until(&mut bench.one, QUORATE)?;
    wait_until(&mut bench.one, "! grep -qs '^evms:' /sys/block/dm-*/dm/name")?;
    wait_until(&mut bench.one, LET_GO)?;
    bench.one.ok("dmsetup remove_all && evms activate data")?;
    bench.wait_for_gates(0)
}

/// Milliseconds since when gates are in this state, as a status says it in JSON.
fn ages(status: &str, state: &str) -> Vec<i64> {
    let state = format!("\"state\":\"{state}\"");
    let gates = status.split('{').filter(|gate| gate.contains(&state));
    let age = |gate: &str| {
        let digits = gate.split("\"since_ms\":").nth(1)?.chars();
        digits.take_while(char::is_ascii_digit).collect::<String>().parse().ok()
    };
    gates.filter_map(age).collect()
}

/// F33: whoever reads the disks for evmsd is left standing at one that hangs and is nobody's, each time; and each time the gates open.
fn a_hung_disk_of_others_holds_no_gate(bench: &mut Bench) -> Result<(), Trouble> {
    bench.one.ok("dmsetup create hung --uuid mpath-hung --table '0 65536 error' && dmsetup suspend hung")?;
    bench.write()?;
    for _ in 0..2 {
        bench.cut();
        bench.wait_for_gates(1)?;
        bench.lan.heal();
        wait_until(&mut bench.one, QUORATE)?;
        bench.wait_for_gates(0)?;
        bench.goes_on()?;
    }
    bench.enough()?;
    bench.one.ok("dmsetup resume hung && dmsetup remove --retry hung").map(drop)
}

/// F57: a shutdown must end though quorum is gone for good; until somebody says so what is written waits.
fn what_waits_can_be_given_up(bench: &mut Bench) -> Result<(), Trouble> {
    bench.write()?;
    bench.cut();
    bench.wait_for_gates(1)?;
    bench.stands()?;
    bench.one.ok("evms deactivate --fail data")?;
    bench.one.ok("dmesg | grep -q 'an administrator lets I/O fail: evms deactivate --fail data'")?;
    let said = taken(&mut bench.writer)?.end(&mut bench.one)?;
    assert!(said.code == 1 && said.text().contains("Input/output error"), "{}", said.text());
    wait_until(&mut bench.one, "! ls /sys/block/dm-*/dm/name >/dev/null 2>&1")?;
    let status = bench.one.ok("evms-fence status --json")?;
    assert!(status.contains("\"gates\":[]"), "{status}");
    bench.lan.heal();
    wait_until(&mut bench.one, QUORATE)?;
    bench.one.ok("evms activate data")?;
    bench.wait_for_gates(0)
}

/// Nobody waits for who left: it has no gate that is open (safety 1.3).
fn who_leaves_takes_its_volumes_down_first(bench: &mut Bench) -> Result<(), Trouble> {
    let holder = Task::start(&mut bench.one, "holder", &format!("sh -c 'exec 3<{VOLUME}; sleep 1000'"))?;
    wait_until(&mut bench.one, &format!("ls -l /proc/{}/fd | grep -q data/home", holder.pid()))?;
    let said = bench.one.run("evmsd leave")?;
    assert!(
        said.code == 1 && said.text().contains("did not leave: volume data/home is in use"),
        "{}",
        said.text()
    );
    holder.kill(&mut bench.one)?;
    bench.one.ok("evmsd leave")?;
    assert_eq!(bench.one.ok(GATES)?.trim(), "");
    taken(&mut bench.evmsd)?.end(&mut bench.one)?;
    bench.restart()?;
    wait_until(&mut bench.one, QUORATE)?;
    bench.one.ok("evms activate data")?;
    bench.wait_for_gates(0)
}

/// The next owner has it when nobody writes here any more, and not before.
fn what_is_open_is_not_given_away(bench: &mut Bench) -> Result<(), Trouble> {
    let said = bench.one.run("evms container modify data --owner n2")?;
    assert!(said.code != 0 && said.text().contains("is active here, on n1"), "{}", said.text());
    // Who has it open is named: node, volume, holder.
    let held = bench.one.run(&format!("{{ evms container modify data --owner n2; }} 3<{VOLUME}"))?;
    assert!(
        held.code == 1
            && held.text().contains("volume data/home (dm-")
            && held.text().contains("in use on n1: process "),
        "{}",
        held.text()
    );
    bench.one.ok("evms deactivate data")?;
    assert_eq!(bench.one.ok(GATES)?.trim(), "");
    bench.one.ok("evms container modify data --owner n2")?;
    wait_until(&mut bench.two, "evms activate data >/tmp/said 2>&1")?;
    let wrote = bench
        .two
        .ok(&format!("dd if={VOLUME} bs=4096 skip=1 count=1 iflag=direct 2>/dev/null | head -c 3"))?;
    assert_eq!(wrote.trim(), "n1", "what the first one wrote");
    bench.two.ok("evms deactivate data").map(drop)
}

/// F1 without the second half of the evidence: an administrator swears that the old owner is off, and it was only cut off. What waited
/// there fails when it is back, and not one byte of it lands.
fn what_was_taken_over_is_not_written(bench: &mut Bench) -> Result<(), Trouble> {
    bench.two.ok("evms container modify data --owner n1")?;
    bench.one.ok("evms activate data")?;
    bench.write()?;
    let living = bench.two.run("evms container takeover data --reason test --sworn 'n1 is off'")?;
    assert!(living.code == NOT_OWNER && living.text().contains("lives"), "{}", living.text());
    bench.cut();
    bench.wait_for_gates(1)?;
    bench.stands()?;
    wait_until(&mut bench.two, "evms status | grep -q '^view .*: n2 n3$'")?;
    wait_until(&mut bench.two, QUORATE)?;
    let said = bench.two.run("evms container takeover data --reason 'power supply'")?;
    assert!(said.code == NOT_OWNER && said.text().contains("--sworn 'n1 is off'"), "{}", said.text());
    let said = bench.one.run("evms container takeover data --reason x --sworn 'n1 is off'")?;
    assert_eq!(said.code, NOT_OWNER, "{}", said.text());
    bench.two.ok("evms container takeover data --reason 'power supply' --sworn 'n1 is off'")?;
    let history = bench.two.ok("evms history data")?;
    assert!(history.contains("taken over from n1") && history.contains("power supply"), "{history}");
    bench.two.ok("evms activate data")?;
    // Every block of the volume is the new owner's now.
    bench.two.ok(&format!(
        "printf '%-4095s\\n' n2 >/tmp/block; for i in $(seq 512); do cat /tmp/block; done | dd of={VOLUME} bs=1M iflag=fullblock oflag=direct conv=notrunc"
    ))?;
    let sum = format!("dd if={VOLUME} bs=1M count=2 iflag=direct 2>/dev/null | md5sum");
    let before = bench.two.ok(&sum)?;
    bench.lan.heal();
    let said = taken(&mut bench.writer)?.end(&mut bench.one)?;
    assert!(said.code == 1 && said.text().contains("Input/output error"), "{}", said.text());
    wait_until(&mut bench.one, "! ls /sys/block/dm-*/dm/name >/dev/null 2>&1")?;
    wait_until(&mut bench.one, "evms-fence status --json | grep -q '\"gates\":\\[\\]'")?;
    assert_eq!(bench.two.ok(&sum)?, before);
    let said = bench.one.run("evms activate data")?;
    assert!(
        said.code == NOT_OWNER && said.text().contains("owned by another machine (n2"),
        "{}",
        said.text()
    );
    Ok(())
}

/// F19: evmsd stands still and its keeper is dead. The gates are open and the lease is over: nobody feeds the watchdog.
fn the_watchdog_bites(bench: &mut Bench) -> Result<(), Trouble> {
    let keeper = bench.two.ok(KEEPER)?;
    let evmsd =
        "for p in $(pidof evmsd); do tr '\\0' ' ' </proc/$p/cmdline | grep -q keeper || kill -STOP $p; done";
    // In this order: one that lives would start another keeper.
    bench.two.ok(&format!("{evmsd}; kill -9 {}", keeper.trim()))?;
    bench.two.wait_for_off(BITE)
}
