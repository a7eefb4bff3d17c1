//! The demonstration: four raw disks, a guest with busybox and evms, a container over three of the disks, a file on a
//! volume, the cord pulled with the disks' write caches on, and the same file after the next boot. A log with seconds.

use std::time::Instant;

use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

const NODE: &str = "11111111222243338444555555555555";
const SIZE_MIB: u64 = 128;

struct Log {
    begin: Instant,
}

impl Log {
    fn say(&self, text: &str) {
        println!("{:6.1} s  {text}", self.begin.elapsed().as_secs_f32());
    }

    /// Runs a command that has to succeed, and shows it with what it says.
    fn run(&self, guest: &mut Guest, command: &str) -> Result<(), Trouble> {
        self.say(&format!("# {command}"));
        for line in guest.ok(command)?.lines() {
            println!("          {line}");
        }
        Ok(())
    }
}

fn main() {
    scene::play("demo", |scene| demo(scene, &Log { begin: Instant::now() }));
}

fn demo(scene: &Scene, log: &Log) -> Result<(), Trouble> {
    let disks = ["a", "b", "c", "d"].iter().map(|name| scene.disk(name, SIZE_MIB));
    let disks: Vec<Disk> = disks.collect::<Result<_, _>>()?;
    // The one program besides busybox and evms: it makes the file system that this is about.
    let image = scene.image("demo", Image::usual(scene.parts())?.program("/usr/sbin/mkfs.ext4")?)?;
    log.say("a machine with four raw disks is turned on: a kernel, busybox, evms");
    let mut guest = scene.guest("machine")?.image(&image).disks(&disks).start()?;
    let nodes = disks.iter().map(|disk| guest.device(disk)).collect::<Result<Vec<_>, _>>()?;
    let three = nodes[..3].join(" ");
    log.run(&mut guest, &format!("mkdir -p /etc/evms /mnt; echo {NODE} >/etc/evms/node"))?;
    log.run(&mut guest, &format!("evms container create data --private {three}"))?;
    log.run(&mut guest, "evms volume create data/home --size 40M")?;
    log.run(&mut guest, "evms volume create data/fast --size 60M --stripes 3")?;
    log.run(&mut guest, "evms activate data")?;
    log.run(&mut guest, "mkfs.ext4 -q /dev/evms/data/home && mount -t ext4 /dev/evms/data/home /mnt")?;
    log.run(&mut guest, "head -c 3000000 /dev/urandom >/mnt/file; md5sum /mnt/file | tee /mnt/sum; sync")?;
    log.run(&mut guest, "evms volume expand data/home --size +20M --fs")?;
    log.say("the cord is pulled: the machine ends at once, its disks had their write caches on");
    guest.cut_power()?;
    let mut guest = scene.guest("machine")?.image(&image).disks(&disks).start()?;
    log.say("turned on again");
    log.run(&mut guest, &format!("mkdir -p /etc/evms /mnt; echo {NODE} >/etc/evms/node"))?;
    log.run(&mut guest, "evms check")?;
    log.run(&mut guest, "evms activate --all")?;
    log.run(&mut guest, "mount -t ext4 /dev/evms/data/home /mnt; cd /mnt; md5sum -c sum")?;
    log.run(&mut guest, &format!("evms container expand data {}; evms list", nodes[3]))?;
    log.run(&mut guest, "umount /mnt; evms deactivate data")?;
    guest.power_off()?;
    log.say("turned off in good order");
    Ok(())
}
