//! evms beside udev: each waits for the other no longer than it must, links point at volumes and never at gates, and
//! looking wakes nobody.

use vm_tests::cases;
use vm_tests::console::Output;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::scene;
use vm_tests::task::{Task, until_done, wait_until};
use vm_tests::trouble::Trouble;
use vm_tests::udev::{self, Meter};

const SIZE_MIB: u64 = 64;
const NODE: &str = "11111111-2222-4333-8444-555555555555";
/// Times that one device may be told of by one command: it is there, it is ready, it is gone, and once to spare.
const EVENTS_MAX: usize = 4;
/// Rounds of up, in use, down.
const ROUNDS: usize = 8;
/// Each round waits so many microseconds longer before it takes down what was just written to.
const ROUND_STEP_US: usize = 5000;

struct Bench {
    guest: Guest,
    /// Nodes of the container's disks, and of one that nobody uses.
    disks: Vec<String>,
}

/// Proves that evms and udev get on: cookies, links, events, and a daemon that stands still (T9, R7, safety 4.9).
#[test]
fn udev_and_evms_get_on() {
    scene::play("udev", |scene| {
        let disks = ["a", "b", "idle"].map(|name| scene.disk(name, SIZE_MIB));
        let disks = disks.into_iter().collect::<Result<Vec<_>, _>>()?;
        let image = udev::carried_by(Image::usual(scene.parts())?, scene.parts())?;
        let image = scene.image(
            "udev",
            image.program("/usr/sbin/mkfs.ext4")?.program("/usr/sbin/blkid")?.program("/usr/bin/flock")?,
        )?;
        let mut guest = scene.guest("one")?.image(&image).disks(&disks).start()?;
        guest.ok(&format!("mkdir -p /etc/evms; echo {NODE} >/etc/evms/node"))?;
        let disks = disks.iter().map(|disk| guest.device(disk)).collect::<Result<Vec<_>, _>>()?;
        udev::start(&mut guest)?;
        guest.ok(&format!(
            "evms container create data --private --extent 1M {} {} &&
             evms volume create data/lin --size 20M && evms volume create data/fast --size 30M --stripes 2",
            disks[0], disks[1]
        ))?;
        cases::run(
            &mut Bench { guest, disks },
            &[
                ("nodes_are_there_when_the_command_ends", nodes_are_there_when_the_command_ends),
                ("links_point_at_volumes_and_never_at_gates", links_point_at_volumes_and_never_at_gates),
                ("each_device_is_told_of_a_few_times", each_device_is_told_of_a_few_times),
                ("r7_looking_wakes_nobody", r7_looking_wakes_nobody),
                ("what_udev_has_open_is_waited_for", what_udev_has_open_is_waited_for),
                ("what_udev_has_locked_is_waited_for", what_udev_has_locked_is_waited_for),
                ("t9_a_daemon_that_stands_still_stops_nobody", t9_a_daemon_that_stands_still_stops_nobody),
            ],
        )
    });
}

impl Bench {
    fn fresh(&mut self) -> Result<(), Trouble> {
        udev::settle(&mut self.guest)?;
        self.guest.ok("evms deactivate --all").map(drop)
    }

    /// It works, and has nothing to add: every cookie came back in time.
    fn without_a_note(&mut self, line: &str) -> Result<String, Trouble> {
        let said = self.guest.ok(line)?;
        assert!(!said.contains("udev"), "{line}: {said}");
        Ok(said)
    }

    /// Links below a folder that end at one of our devices of this kind, whose uuids begin so.
    fn links(&mut self, folder: &str, uuids: &str) -> Result<Vec<String>, Trouble> {
        let said = self.guest.ok(&format!(
            "for link in $(find {folder} -type l); do
               at=/sys/block/$(basename $(readlink -f $link))/dm/uuid
               if grep -qs '^{uuids}' $at; then echo $link; fi
             done"
        ))?;
        Ok(said.lines().map(String::from).collect())
    }
}

/// udev makes `/dev/mapper`, evms makes `/dev/evms`; both are there as soon as the command is done, and no cookie is left.
fn nodes_are_there_when_the_command_ends(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.without_a_note("evms activate data && test -b /dev/evms/data/lin && test -b /dev/evms/data/fast && test -b /dev/mapper/evms:data:lin")?;
    assert_eq!(bench.links("/dev/mapper", "EVMS-volume-")?.len(), 2);
    assert_eq!(bench.links("/dev/evms", "EVMS-volume-")?.len(), 2);
    assert_eq!(bench.guest.ok("grep -c ^2 /proc/sysvipc/sem || true")?.trim(), "0", "cookies are gone");
    bench.without_a_note("evms deactivate data")?;
    bench.guest.ok("! ls /dev/mapper | grep evms && test ! -e /dev/evms/data").map(drop)
}

/// Safety 4.9. The file system begins where its gate begins, so a gate that is looked into shows the same one.
fn links_point_at_volumes_and_never_at_gates(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.guest.ok("evms activate data && mkfs.ext4 -q -L mine /dev/evms/data/lin")?;
    let uuid = bench.guest.ok("blkid /dev/evms/data/lin | sed 's/.* UUID=\"\\([^\"]*\\).*/\\1/'")?;
    let seen = bench.guest.ok(&format!(
        "for gate in /sys/block/dm-*; do
           grep -q '^EVMS-gate-' $gate/dm/uuid && blkid /dev/${{gate##*/}}
         done | grep -c {} || true",
        uuid.trim()
    ))?;
    eprintln!("  gates that show the file system: {}", seen.trim());
    for again in ["true", "udevadm trigger --action=change", "udevadm trigger --action=add"] {
        bench.guest.ok(again)?;
        udev::settle(&mut bench.guest)?;
        let links = bench.links("/dev/disk", "EVMS-volume-")?;
        for wanted in [format!("/dev/disk/by-uuid/{}", uuid.trim()), "/dev/disk/by-label/mine".into()] {
            assert!(links.contains(&wanted), "after {again}: no {wanted} in {links:?}");
        }
        let links = bench.links("/dev/disk", "EVMS-gate-")?;
        assert!(links.is_empty(), "after {again}: {links:?} point at gates");
    }
    Ok(())
}

/// What each device is told of stays the same whatever else there is: no storm.
fn each_device_is_told_of_a_few_times(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let idle = bench.disks[2].clone();
    for command in [
        "evms activate data",
        "evms deactivate data",
        "evms volume create data/new --size 2M; evms volume delete data/new",
    ] {
        let meter = Meter::start(&mut bench.guest, &idle)?;
        bench.guest.ok(command)?;
        let told = meter.stop(&mut bench.guest)?;
        eprintln!("  {command}: {told:?}");
        for name in &told {
            let times = told.iter().filter(|other| *other == name).count();
            assert!(times <= EVENTS_MAX, "{command} tells {times} times of {name}: {told:?}");
        }
    }
    Ok(())
}

/// R7: what only looks is told to nobody, live volumes or not.
fn r7_looking_wakes_nobody(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    for first in ["true", "evms activate data"] {
        bench.guest.ok(first)?;
        udev::settle(&mut bench.guest)?;
        let idle = bench.disks[2].clone();
        let meter = Meter::start(&mut bench.guest, &idle)?;
        for look in [
            "list",
            "list disks",
            "list volumes",
            "info data",
            "check",
            "check data",
            "--json list",
            "volume create data/dry --size 1M --dry-run",
        ] {
            bench.guest.ok(&format!("evms {look}"))?;
        }
        let told = meter.stop(&mut bench.guest)?;
        assert!(told.is_empty(), "after {first}: {told:?}");
    }
    Ok(())
}

/// udev looks into what was written to as soon as it is closed, and has it open meanwhile: a command that takes it down
/// right then waits for that instead of refusing. One that only calls itself udev stands for a slow look.
fn what_udev_has_open_is_waited_for(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    for round in 0..ROUNDS {
        let line = format!(
            "evms activate data && mkfs.ext4 -q -F /dev/evms/data/lin && usleep {} && evms deactivate data",
            round * ROUND_STEP_US
        );
        let output = bench.guest.run(&line)?;
        assert_eq!(output.code, 0, "round {round}: {}", output.text());
    }
    bench.guest.ok("evms activate data")?;
    let slow = "sh -c 'echo systemd-udevd >/proc/$$/comm; exec 3</dev/evms/data/lin; sleep 2 3<&-; true'";
    let slow = Task::start(&mut bench.guest, "slow", slow)?;
    wait_until(&mut bench.guest, &format!("ls -l /proc/{}/fd | grep -q dm-", slow.pid()))?;
    // Nothing that is open can be taken down: so it was waited for.
    bench.guest.ok("evms deactivate data")?;
    slow.end(&mut bench.guest).map(drop)
}

/// udev locks a disk that was written to while it looks into it: the next change waits for that instead of failing.
fn what_udev_has_locked_is_waited_for(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.guest.ok("evms activate data")?;
    let slow = format!("flock -s {} sleep 1", bench.disks[0]);
    let slow = Task::start(&mut bench.guest, "slow", &slow)?;
    wait_until(&mut bench.guest, &format!("! flock -n {} true", bench.disks[0]))?;
    bench.guest.ok("evms volume create data/new --size 2M")?;
    slow.end(&mut bench.guest)?;
    bench.guest.ok("evms volume delete data/new").map(drop)
}

/// T9: the daemon is stopped. dmsetup waits for it without an end; evms says so in time and everything is there.
fn t9_a_daemon_that_stands_still_stops_nobody(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.guest.ok("kill -STOP $(pidof systemd-udevd)")?;
    let theirs = Task::start(&mut bench.guest, "theirs", "dmsetup create theirs --table '0 2048 error'")?;
    theirs.wait_until_in(&mut bench.guest, "sem")?;
    let up = bench.guest.run("evms activate data")?;
    let nodes =
        bench.guest.run("test -b /dev/evms/data/lin && dd if=/dev/evms/data/fast of=/dev/null bs=1M 2>&1")?;
    let down = bench.guest.run("evms deactivate data")?;
    let is_over = theirs.is_over(&mut bench.guest)?;
    theirs.kill(&mut bench.guest)?;
    bench.guest.ok("kill -CONT $(pidof systemd-udevd); dmsetup udevcomplete_all -y")?;
    // A daemon that goes on looks into the device first: until then it is busy, and cannot be removed.
    wait_until(&mut bench.guest, "udevadm settle")?;
    until_done(&mut bench.guest, "dmsetup remove --noudevsync theirs")?;
    wait_until(&mut bench.guest, "udevadm settle")?;
    let noted = |output: &Output| output.code == 0 && output.text().contains("udev was not done");
    assert!(noted(&up), "{up:?}");
    assert_eq!(nodes.code, 0, "{}", nodes.text());
    assert!(noted(&down), "{down:?}");
    assert!(!is_over, "dmsetup has waited all the while");
    bench.guest.ok("! dmsetup ls | grep evms").map(drop)
}
