//! The demonstration of a cluster: three machines with the same five disks, a container that one of them has and one that all
//! share; the network is cut and mended, the owner dies, and a survivor has its file system up. A log with seconds; what is measured
//! is measured in the guests, whose clock software emulation makes late.

use std::time::Instant;

use vm_tests::cluster;
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::network::Network;
use vm_tests::scene::{self, Scene};
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 64;
const HOME: &str = "/dev/evms/data/home";
/// Appends a line a time, each flushed, and keeps the moment behind the last one that came back; ends at the first error.
const WRITER: &str = "#!/bin/sh
i=0
while i=$((i + 1)); do
    echo \"line $i\" >>/mnt/lines && sync /mnt/lines || { echo \"line $i failed\"; exit 1; }
    read now rest </proc/uptime
    echo $now $i >/tmp/wrote.new
    mv /tmp/wrote.new /tmp/wrote
done
";

struct Log {
    begin: Instant,
}

impl Log {
    fn say(&self, text: &str) {
        println!("{:6.1} s  {text}", self.begin.elapsed().as_secs_f32());
    }

    /// Runs a command that has to succeed, and shows it with what it says.
    fn run(&self, guest: &mut Guest, command: &str) -> Result<(), Trouble> {
        self.say(&format!("{}# {command}", guest.name()));
        for line in guest.ok(command)?.lines() {
            println!("          {line}");
        }
        Ok(())
    }
}

struct Play {
    log: Log,
    lan: Network,
    disks: Vec<Disk>,
}

fn main() {
    scene::play("demo_cluster", demo);
}

fn demo(scene: &Scene) -> Result<(), Trouble> {
    let log = Log { begin: Instant::now() };
    let lan = scene.network("lan1");
    let disks = (1..=5).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
    let disks = disks.collect::<Result<Vec<_>, _>>()?;
    let image = scene.image("demo", Image::usual(scene.parts())?.program("/usr/sbin/mkfs.ext4")?)?;
    log.say("three machines are turned on; all of them see the same five disks");
    let plan = |name: &str| scene.guest(name)?.image(&image).nic(&lan).disks(&disks).power_on();
    let (mut n1, mut n2, mut n3) = (plan("n1")?, plan("n2")?, plan("n3")?);
    cluster::found(&mut [&mut n1, &mut n2, &mut n3], &lan, "")?;
    log.say("evmsd init on n1, evmsd invite there and evmsd join on n2 and n3: they are one cluster");
    let play = Play { log, lan, disks };
    play.log.run(&mut n1, "evms status")?;
    play.build(&mut n1, &mut n2)?;
    play.cut_and_mend(&mut n1)?;
    play.death(n1, &mut n2, &mut n3)
}

impl Play {
    /// A container of n1 with a file system, and one that all of them use at one time.
    fn build(&self, n1: &mut Guest, n2: &mut Guest) -> Result<(), Trouble> {
        let log = &self.log;
        let nodes = self.disks.iter().map(|disk| n1.device(disk)).collect::<Result<Vec<_>, _>>()?;
        log.run(
            n1,
            &format!("evms container create data --private --owner n1 {} 2>&1 | cat", nodes[..3].join(" ")),
        )?;
        log.run(n1, "evms volume create data/home --size 60M --stripes 3")?;
        log.run(n1, "evms activate data")?;
        log.run(n1, &format!("mkfs.ext4 -q {HOME} && mkdir -p /mnt && mount -t ext4 {HOME} /mnt"))?;
        log.run(n1, &format!("evms container create pool --shared {} 2>&1 | cat", nodes[3..].join(" ")))?;
        log.run(n1, "evms volume create pool/board --size 8M")?;
        for (guest, place) in [(&mut *n1, 0), (&mut *n2, 1)] {
            log.run(guest, "evms activate pool")?;
            log.run(guest, &format!("printf '%-4096s' \"written by {}\" | dd of=/dev/evms/pool/board bs=4096 seek={place} oflag=direct 2>/dev/null", guest.name()))?;
        }
        log.run(
            n1,
            "dd if=/dev/evms/pool/board bs=4096 count=2 iflag=direct 2>/dev/null | tr -s ' ' '\\n' | xargs",
        )?;
        log.run(n2, "evms activate data || true")?;
        log.run(n1, "evms-fence status")?;
        n1.push("/tmp/writer", WRITER.as_bytes())
    }

    /// Something writes all the time. For as long as n1 is cut off it waits, and gets no error.
    fn cut_and_mend(&self, n1: &mut Guest) -> Result<(), Trouble> {
        let log = &self.log;
        log.say("n1 writes line after line, each flushed; then its network is cut");
        Task::start(n1, "writer", "sh /tmp/writer")?;
        wait_until(n1, "[ -s /tmp/wrote ]")?;
        let cut = seconds(n1, "/proc/uptime")?;
        self.lan.partition(&[&["n1"], &["n2", "n3"]]);
        wait_until(n1, "evms-fence status --json | grep -q '\"state\":\"closed\"'")?;
        log.run(n1, "evms why")?;
        log.say(&format!(
            "the last line came back {:.1} s after the cut; n1's gates are closed, and writers wait",
            seconds(n1, "/tmp/wrote")? - cut
        ));
        self.lan.heal();
        let line = n1.ok("cut -d' ' -f2 /tmp/wrote")?;
        wait_until(n1, &format!("[ $(cut -d' ' -f2 /tmp/wrote) -gt {} ]", line.trim()))?;
        let pause = seconds(n1, "/proc/uptime")? - cut;
        log.say(&format!(
            "the network is mended; {pause:.1} s after the cut the lines go on, not one failed"
        ));
        log.run(n1, "tail -n 1 /mnt/lines; evms-fence status")
    }

    /// n1 dies. Its watchdog's time is waited for, and n2 has the volume up.
    fn death(&self, mut n1: Guest, n2: &mut Guest, n3: &mut Guest) -> Result<(), Trouble> {
        let log = &self.log;
        let lines = n1.ok("cut -d' ' -f2 /tmp/wrote")?;
        log.say(&format!("n1 loses its power; {} lines were flushed", lines.trim()));
        let death = seconds(n2, "/proc/uptime")?;
        n1.cut_power()?;
        wait_until(n2, "evms status | grep -q '^view .*: n2 n3$'")?;
        log.say(&format!(
            "{:.1} s after it n2 and n3 are a view without n1",
            seconds(n2, "/proc/uptime")? - death
        ));
        log.run(n3, "evms why data")?;
        wait_until(n2, &format!("[ -e {HOME} ]"))?;
        log.say(&format!("{:.1} s after it data/home is up on n2", seconds(n2, "/proc/uptime")? - death));
        log.run(n2, &format!("mkdir -p /mnt && mount -t ext4 {HOME} /mnt && tail -n 1 /mnt/lines"))?;
        n2.ok(&format!("[ $(grep -c '^line' /mnt/lines) -ge {} ]", lines.trim()))?;
        log.say("not one line that was flushed is lost");
        log.run(n2, "evms why data")?;
        log.run(n2, "evms history pool | head -n 4")?;
        log.run(n2, "umount /mnt; evmsd leave")?;
        log.say("n2 left in good order");
        Ok(())
    }
}

/// The first number in a file: seconds since the guest's boot.
fn seconds(guest: &mut Guest, file: &str) -> Result<f64, Trouble> {
    let text = guest.ok(&format!("cut -d' ' -f1 {file}"))?;
    text.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{text}' is no number of seconds")))
}
