//! Disks that fail, rot, hang, come back old, come twice or come by another name, under a container that is in use. The
//! names of cases are those of the list of faults.

use vm_tests::cases;
use vm_tests::console::Output;
use vm_tests::disk::Disk;
use vm_tests::fault::{Faulty, Way};
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::limits::Limit;
use vm_tests::scene;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 64;
const NODE: &str = "11111111-2222-4333-8444-555555555555";
const OTHER: &str = "99999999-8888-4777-a666-555555555555";
/// Sectors of the front label, and of all of a disk's front behind its first block.
const LABEL: (u64, u64) = (8, 8);
const FRONT: (u64, u64) = (8, 8184);
/// Longer than what evms calls slow, and much shorter than what it calls hung.
const SLOW_MS: u32 = 1100;
/// Seconds after which evms calls a disk hung.
const DEADLINE_S: u64 = 10;
/// One command before many hung disks.
const MANY: Limit = Limit::seconds("a look at many hung disks", 60);
/// evms itself waits ten seconds for one step of a device.
const SHUTDOWN: Limit = Limit::seconds("a shutdown with a hung disk", 15);

struct Bench {
    guest: Guest,
    /// A second machine with the same disks, found in another order.
    other: Guest,
    disks: Vec<Disk>,
    /// Two SCSI disks with names of their own.
    luns: Vec<Disk>,
    /// Fault i is in front of disk i + 1 of the container.
    faults: Vec<Faulty>,
}

/// Proves what must follow from each fault of a disk: what is not touched by it goes on, and it is named.
#[test]
fn what_a_faulty_disk_does_not_touch_goes_on() {
    scene::play("faults", |scene| {
        let disk = |name: &&str| scene.disk(name, SIZE_MIB);
        let disks = ["a", "b", "c"].iter().map(disk).collect::<Result<Vec<_>, _>>()?;
        let luns = ["lun-1", "lun-2"].iter().map(|name| Ok(disk(name)?.scsi()));
        let luns = luns.collect::<Result<Vec<_>, Trouble>>()?;
        let image = scene.image("tools", Image::usual(scene.parts())?.program("/usr/sbin/dmsetup")?)?;
        let mut other = scene.guest("two")?.disks(disks.iter().rev()).power_on()?;
        let guest = scene.guest("one")?.image(&image).disks(&disks).disks(&luns).start()?;
        other.wait_for_boot()?;
        cases::run(
            &mut Bench { guest, other, disks, luns, faults: Vec::new() },
            &[
                ("f30_a_disk_lost_only_here", f30_a_disk_lost_only_here),
                ("f33_a_slow_disk_is_named", f33_a_slow_disk_is_named),
                ("f33_a_hung_disk_holds_nobody", f33_a_hung_disk_holds_nobody),
                ("f33_many_hung_disks_cost_one_deadline", f33_many_hung_disks_cost_one_deadline),
                ("f33_a_hung_disk_holds_no_shutdown", f33_a_hung_disk_holds_no_shutdown),
                ("f42_rot_in_one_header_or_one_end", f42_rot_in_one_header_or_one_end),
                ("f42_a_disk_that_spoils_what_it_is_given", f42_a_disk_that_spoils_what_it_is_given),
                ("f43_a_stale_disk_returns", f43_a_stale_disk_returns),
                ("f45_a_cloned_disk_is_not_used_unnamed", f45_a_cloned_disk_is_not_used_unnamed),
                ("f46_disks_found_in_another_order", f46_disks_found_in_another_order),
            ],
        )
    });
}

impl Bench {
    /// `data` over three disks that are well, with one volume of 8 MiB on each, all down.
    fn fresh(&mut self) -> Result<(), Trouble> {
        for fault in std::mem::take(&mut self.faults) {
            fault.becomes(&mut self.guest, Way::Well)?;
        }
        let raw = self.disks.iter().map(|disk| self.guest.device(disk)).collect::<Result<Vec<_>, _>>()?;
        let (all, tail) = (raw.join(" "), SIZE_MIB - 4);
        self.other.ok(&format!("mkdir -p /etc/evms; echo {OTHER} >/etc/evms/node; evms deactivate --all"))?;
        self.guest.ok(&format!(
            "mkdir -p /etc/evms; echo {NODE} >/etc/evms/node; evms deactivate --all && dmsetup remove_all
             for disk in {all}; do for at in 0 {tail}; do
               dd if=/dev/zero of=$disk bs=1M seek=$at count=4 oflag=direct 2>/dev/null
             done; done
             evms container create data --private --extent 1M {all} &&
             for on in 1 2 3; do evms volume create data/v$on --size 8M --on $on; done"
        ))?;
        for (number, disk) in (1..).zip(&raw) {
            self.faults.push(Faulty::over(&mut self.guest, &format!("f{number}"), disk)?);
        }
        Ok(())
    }

    /// Runs evms on the disks with these faults in front, as a caller that wants all that it prints.
    fn evms_on(&mut self, faults: &[usize], words: &str) -> Result<Output, Trouble> {
        let nodes = faults.iter().map(|&fault| self.faults[fault].node()).collect::<Vec<_>>().join(":");
        self.guest.run(&format!(
            "said=$(EVMS_DISKS={nodes} evms {words} 2>&1); code=$?; echo \"$said\"; exit $code"
        ))
    }

    /// It ends with this code and says all this.
    fn ends(&mut self, words: &str, code: i32, said: &[&str]) -> Result<String, Trouble> {
        let output = self.evms_on(&[0, 1, 2], words)?;
        expect(words, &output, code, said)
    }

    fn done(&mut self, words: &str) -> Result<String, Trouble> {
        self.ends(words, 0, &[])
    }

    fn is_up(&mut self, volume: &str) -> Result<bool, Trouble> {
        let read = format!("dd if=/dev/evms/data/{volume} of=/dev/null bs=1M count=1 iflag=direct 2>&1");
        Ok(self.guest.run(&read)?.code == 0)
    }

    /// Writes to a volume again and again and counts, until a write fails.
    fn writer(&mut self, volume: &str) -> Result<Task, Trouble> {
        let command = format!(
            "sh -c 'n=0; while dd if=/dev/zero of=/dev/evms/data/{volume} bs=4k count=1 oflag=direct 2>&1; do
               n=$((n + 1)); echo $n >/tmp/{volume}.new; mv /tmp/{volume}.new /tmp/{volume}.count
             done; exit 3'"
        );
        let task = Task::start(&mut self.guest, volume, &command)?;
        self.goes_on(volume)?;
        Ok(task)
    }

    /// Seconds of the guest's clock.
    fn uptime(&mut self) -> Result<f32, Trouble> {
        let text = self.guest.ok("cut -d ' ' -f 1 /proc/uptime")?;
        text.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{text}' is no time")))
    }

    /// Waits until two more writes to this volume are done than were at the beginning.
    fn goes_on(&mut self, volume: &str) -> Result<(), Trouble> {
        let count = self.guest.ok(&format!("cat /tmp/{volume}.count 2>/dev/null || echo 0"))?;
        let count = count.trim().parse::<u64>().unwrap_or(0);
        wait_until(
            &mut self.guest,
            &format!("[ $(cat /tmp/{volume}.count 2>/dev/null || echo 0) -gt {} ]", count + 1),
        )
    }
}

fn expect(words: &str, output: &Output, code: i32, said: &[&str]) -> Result<String, Trouble> {
    let text = output.text();
    assert_eq!(output.code, code, "{words}: {text}");
    for part in said {
        assert!(text.contains(part), "{words}: no '{part}' in: {text}");
    }
    Ok(text)
}

/// The volumes off that disk go on, the one on it fails; it is told; changes go on with the others; another machine,
/// which sees the disk, brings all of them up.
fn f30_a_disk_lost_only_here(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("activate data")?;
    let (one, two, three) = (bench.writer("v1")?, bench.writer("v2")?, bench.writer("v3")?);
    bench.faults[1].becomes(&mut bench.guest, Way::Gone)?;
    assert_eq!(two.end(&mut bench.guest)?.code, 3);
    bench.goes_on("v1")?;
    bench.goes_on("v3")?;
    let node = bench.faults[1].node().to_string();
    bench.ends("list", 6, &[&node, "EIO", "disk 2 is missing"])?;
    let said = bench.done("info data")?;
    assert!(
        said.lines()
            .any(|line| line.starts_with("data/v2") && line.contains("a disk is missing, active on dm-")),
        "{said}"
    );
    let is_well = |line: &str| line.starts_with("data/v1") && line.contains("whole, active on dm-");
    assert!(said.lines().any(is_well), "{said}");
    bench.ends("volume create data/new --size 2M", 0, &["disk 2 missed this change"])?;
    bench.goes_on("v1")?;
    for task in [one, three] {
        task.kill(&mut bench.guest)?;
    }
    wait_until(&mut bench.guest, "evms deactivate data >/dev/null 2>&1")?;
    bench.done("container deport data")?;
    bench.other.ok("evms container import data && evms activate data")?;
    for volume in ["v1", "v2", "v3", "new"] {
        bench
            .other
            .ok(&format!("dd if=/dev/evms/data/{volume} of=/dev/null bs=1M count=1 iflag=direct 2>&1"))?;
    }
    bench.other.ok("evms deactivate data").map(drop)
}

/// A disk that answers late is waited for, and it is told which one that was.
fn f33_a_slow_disk_is_named(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.faults[1].becomes(&mut bench.guest, Way::Late(SLOW_MS))?;
    let slow = format!("{}: it is slow", bench.faults[1].node());
    let said = bench.ends("activate data", 0, &[&slow])?;
    assert_eq!(said.matches("it is slow").count(), 1, "{said}");
    assert!(bench.is_up("v1")? && bench.is_up("v2")? && bench.is_up("v3")?);
    Ok(())
}

/// A disk that never answers: the others' volumes come up, the command ends in time, and so does whoever reads what it
/// prints, though a thread of it hangs in the kernel. What cannot end goes when the disk answers.
fn f33_a_hung_disk_holds_nobody(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.faults[1].becomes(&mut bench.guest, Way::Hangs)?;
    let hung = format!("{}: no answer within", bench.faults[1].node());
    bench.ends("activate data", 6, &[&hung, "volume data/v2 is not active: disk 2 is not here"])?;
    assert!(bench.is_up("v1")? && bench.is_up("v3")?);
    bench.guest.ok("pidof evms")?;
    bench.guest.ok("evms deactivate data")?;
    bench.faults[1].becomes(&mut bench.guest, Way::Well)?;
    wait_until(&mut bench.guest, "! pidof evms")?;
    bench.done("activate data")?;
    assert!(bench.is_up("v2")?);
    Ok(())
}

/// Forty multipath maps that never answer: all of them are named, in the time of one; and the disk below them, of which
/// nobody knows whether it would answer, is not even read.
fn f33_many_hung_disks_cost_one_deadline(bench: &mut Bench) -> Result<(), Trouble> {
    const MAPS: usize = 40;
    let (guest, lun) = (&mut bench.guest, &bench.luns[0]);
    let device = guest.device(lun)?;
    let reads =
        format!("read reads rest </sys/block/{}/stat; echo $reads", device.trim_start_matches("/dev/"));
    let each = format!("for n in $(seq {MAPS}); do");
    guest.ok(&format!(
        "{each} dmsetup create hung$n --uuid mpath-hung$n --table \"0 65536 linear {device} 0\" &&
           dmsetup suspend --noflush --nolockfs hung$n || exit; done"
    ))?;
    let before = guest.ok(&reads)?;
    let output = guest.run_within(
        "begin=$(cut -d. -f1 /proc/uptime); said=$(evms list containers 2>&1); end=$(cut -d. -f1 /proc/uptime)
         echo \"$said\"; echo took $((end - begin))",
        MANY,
    )?;
    let said = output.text();
    assert_eq!(said.matches("no answer within").count(), MAPS, "{said}");
    let took = said.lines().last().and_then(|line| line.strip_prefix("took ")?.parse::<u64>().ok());
    assert!(took.is_some_and(|took| took < 2 * DEADLINE_S), "{said}");
    assert_eq!(guest.ok(&reads)?, before, "a path of a map was read");
    guest.ok(&format!("{each} dmsetup resume hung$n || exit; done"))?;
    wait_until(guest, "! pidof evms")?;
    guest.ok(&format!("{each} dmsetup remove hung$n || exit; done")).map(drop)
}

/// Safety 4.7: a machine that must go down has a disk with I/O on its way that never answers. The command ends, and so does
/// whoever reads what it prints; what stands on the other disks fails at once and goes; what hangs is named, and goes
/// when the disk answers.
fn f33_a_hung_disk_holds_no_shutdown(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("activate data")?;
    let (one, two, three) = (bench.writer("v1")?, bench.writer("v2")?, bench.writer("v3")?);
    bench.faults[1].becomes(&mut bench.guest, Way::Hangs)?;
    let hangs = "$(dmsetup info -c --noheadings -o blkdevname evms:data:v2)";
    wait_until(&mut bench.guest, &format!("grep -q '[1-9]' /sys/block/{hangs}/inflight"))?;
    let before = bench.uptime()?;
    let output = bench.evms_on(&[0, 1, 2], "deactivate --fail data")?;
    let took = bench.uptime()? - before;
    let said = expect("deactivate --fail data", &output, 6, &["data/v2", "not answer"])?;
    assert!(took < SHUTDOWN.here().as_secs_f32(), "it took {took} s: {said}");
    eprintln!("  with a hung disk it took {took:.1} s");
    for task in [one, three] {
        assert_eq!(task.end(&mut bench.guest)?.code, 3, "a writer on a sound disk goes on");
    }
    for volume in ["v1", "v3"] {
        wait_until(&mut bench.guest, &format!("! dmsetup info evms:data:{volume} >/dev/null 2>&1"))?;
    }
    assert!(!two.is_over(&mut bench.guest)?, "the disk hangs no more: {said}");
    // The unit or the script that shut down ends, and all of its processes are told to: who is left behind to close the gate
    // does not hear it, or the gate would open again (T1).
    bench.guest.ok("kill -TERM $(pidof evms); kill -HUP $(pidof evms); kill -INT $(pidof evms)")?;
    bench.faults[1].becomes(&mut bench.guest, Way::Well)?;
    // What was on its way may land; what comes after it does not.
    assert_eq!(two.end(&mut bench.guest)?.code, 3);
    wait_until(&mut bench.guest, "{ ! dmsetup ls | grep -q evms: && ! pidof evms >/dev/null; }")?;
    bench.done("activate data")?;
    assert!(bench.is_up("v1")? && bench.is_up("v2")? && bench.is_up("v3")?);
    Ok(())
}

/// Bit rot in one header, in the whole front end of a disk, and sectors under one copy that cannot be read: the other
/// copies are used, it is told where, and it is mended on command alone.
fn f42_rot_in_one_header_or_one_end(bench: &mut Bench) -> Result<(), Trouble> {
    for (begin, count) in [LABEL, FRONT] {
        bench.fresh()?;
        bench.faults[1].rot(&mut bench.guest, begin, count)?;
        let node = bench.faults[1].node().to_string();
        for _ in 0..2 {
            bench.ends("check", 5, &[&node, "--repair"])?;
        }
        bench.done("activate data")?;
        assert!(bench.is_up("v2")?, "what is rotten is not the volume");
        bench.done("deactivate data")?;
        bench.ends("check data --repair", 0, &["all mended"])?;
        bench.ends("check", 0, &["all is well"])?;
    }
    let (begin, count) = LABEL;
    bench.faults[2].becomes(&mut bench.guest, Way::Unreadable { begin, count })?;
    let node = bench.faults[2].node().to_string();
    let output = bench.evms_on(&[0, 1, 2], "check")?;
    assert!(output.code != 0 && output.text().contains(&node), "{output:?}");
    bench.evms_on(&[0, 1, 2], "activate data")?;
    assert!(bench.is_up("v1")? && bench.is_up("v2")?);
    Ok(())
}

/// Every write lands with a wrong byte in it: the commit is one of the others, and that disk is told.
fn f42_a_disk_that_spoils_what_it_is_given(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.faults[2].becomes(&mut bench.guest, Way::SpoilsWrites)?;
    bench.ends("volume create data/new --size 2M", 0, &["disk 3 missed this change"])?;
    bench.faults[2].becomes(&mut bench.guest, Way::Well)?;
    let said = bench.evms_on(&[0, 1, 2], "list")?.text();
    assert!(said.contains("data/new"), "{said}");
    bench.done("check data --repair")?;
    bench.done("container readmit data 3")?;
    bench.ends("check", 0, &["all is well"]).map(drop)
}

/// Changes were made without the disk. It comes back: what it says never counts, alone, in a pair or among all; and it is
/// as the others again when somebody has said so.
fn f43_a_stale_disk_returns(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.faults[2].becomes(&mut bench.guest, Way::Gone)?;
    bench.done("volume create data/newer --size 2M")?;
    bench.done("volume delete data/v1")?;
    bench.faults[2].becomes(&mut bench.guest, Way::Well)?;
    let refused = bench.evms_on(&[2], "activate data")?;
    assert!(refused.code != 0, "{refused:?}");
    for faults in [vec![0, 2], vec![1, 2], vec![0, 1, 2]] {
        let said = bench.evms_on(&faults, "list volumes")?.text();
        assert!(said.contains("data/newer") && !said.contains("data/v1"), "{faults:?}: {said}");
    }
    bench.ends("list disks", 0, &["stale"])?;
    bench.ends("check", 0, &["evms container readmit data 3"])?;
    bench.done("activate data")?;
    assert!(bench.is_up("newer")? && !bench.is_up("v1")? && bench.is_up("v3")?);
    bench.done("container readmit data 3")?;
    bench.ends("check", 0, &["all is well"])?;
    let said = bench.evms_on(&[1, 2], "list volumes")?.text();
    assert!(said.contains("data/newer") && !said.contains("data/v1"), "{said}");
    Ok(())
}

/// Two disks with one identity: none is used, both are told by the names that they have of themselves, until one is named.
fn f45_a_cloned_disk_is_not_used_unnamed(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let luns = bench.luns.iter().map(|lun| bench.guest.device(lun)).collect::<Result<Vec<_>, _>>()?;
    let (one, two) = (luns[0].clone(), luns[1].clone());
    bench.guest.ok(&format!(
        "evms container create lun --private --extent 1M {one} && evms volume create lun/v --size 4M &&
         dd if={one} of={two} bs=1M conv=fsync 2>&1"
    ))?;
    let names = bench.luns.iter().map(|lun| format!("naa.{:016x}", lun.wwn())).collect::<Vec<_>>();
    for words in ["activate lun", "activate lun/v", "volume create lun/w --size 1M", "activate --all"] {
        let output = bench.guest.run(&format!("evms {words}"))?;
        expect(words, &output, 1, &[&names[0], &names[1]])?;
        assert_eq!(bench.guest.run("test -e /dev/evms/lun")?.code, 1);
    }
    bench
        .guest
        .ok(&format!("evms --disk {two} activate lun && test -b /dev/evms/lun/v && evms deactivate lun"))?;
    bench
        .guest
        .ok(&format!(
            "for disk in {one} {two}; do dd if=/dev/zero of=$disk bs=1M count={SIZE_MIB} 2>&1; done"
        ))
        .map(drop)
}

/// The same machine, by its identity, finds the disks in another order: each volume is where it was.
fn f46_disks_found_in_another_order(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("activate data")?;
    for volume in ["v1", "v2", "v3"] {
        bench.guest.ok(&format!("yes {volume}. | head -c 65536 | dd of=/dev/evms/data/{volume} bs=64k iflag=fullblock oflag=direct 2>&1"))?;
    }
    bench.done("deactivate data")?;
    let names =
        [&bench.disks[0], &bench.disks[2]].map(|disk| (bench.guest.device(disk), bench.other.device(disk)));
    for (here, there) in names {
        assert_ne!(here?, there?, "the other one found them in the same order");
    }
    bench.other.ok(&format!("echo {NODE} >/etc/evms/node; evms activate data"))?;
    for volume in ["v1", "v2", "v3"] {
        let read = format!("dd if=/dev/evms/data/{volume} bs=64k count=1 iflag=direct 2>/dev/null | uniq");
        assert_eq!(bench.other.ok(&read)?, format!("{volume}.\n"));
    }
    bench.other.ok("evms deactivate data").map(drop)
}
