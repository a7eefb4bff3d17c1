//! Looking for members among 8, 64, 200 disks beside a program that reads 8 KiB at both ends of each, and beside LVM.

use std::path::Path;
use std::process::Command;

use vm_tests::disk::Disk;
use vm_tests::limits::Limit;
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

use crate::lvm;
use crate::measure::{COUNTING, NODE, ROUNDS, Values, cost, image, ratio};

const DISK_MIB: u64 = 16;
/// Of all disks so many are members of one container; a quarter of the others holds what somebody else put there.
const MEMBERS: usize = 4;
/// Two hundred disks are found one after another.
const BOOT: Limit = Limit::seconds("boot with many disks", 600);

/// Prints the table.
pub fn bench(programs: &Path) {
    scene::play("bench-discovery", |scene| {
        println!("processor time in ms at one instruction a nanosecond, median of {ROUNDS} (least..most)");
        println!(
            "{:>6}  {:>22}  {:>22} {:>5}  {:>22} {:>5}  {:>24} {:>5}",
            "disks", "8 KiB at both ends", "evms list volumes", "x", "evms list", "x", "lvm vgs", "x"
        );
        for count in [8, 64, 200] {
            row(scene, count, programs)?;
        }
        Ok(())
    });
}

fn disks(scene: &Scene, count: usize) -> Result<Vec<Disk>, Trouble> {
    let name = |number: usize| format!("d{count}n{number}");
    let disks = (0..count).map(|number| Ok(scene.disk(&name(number), DISK_MIB)?.scsi()));
    let disks = disks.collect::<Result<Vec<_>, Trouble>>()?;
    let paths = disks[..MEMBERS].iter().map(|disk| disk.path().display().to_string()).collect::<Vec<_>>();
    let mut command = Command::new(&scene.parts().evms);
    command.args([
        "--as",
        NODE,
        "container",
        "create",
        "data",
        "--private",
        "--owner",
        "me",
        "--extent",
        "1M",
    ]);
    run(command.args(&paths))?;
    for disk in disks[MEMBERS..].iter().step_by(4) {
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(disk.path()))?;
    }
    Ok(disks)
}

fn run(command: &mut Command) -> Result<(), Trouble> {
    let said = command.output().map_err(Trouble::io(format!("running {command:?}")))?;
    if said.status.success() {
        return Ok(());
    }
    Err(Trouble::Unexpected(format!("{command:?}: {}", String::from_utf8_lossy(&said.stderr))))
}

fn row(scene: &Scene, count: usize, programs: &Path) -> Result<(), Trouble> {
    let disks = disks(scene, count)?;
    let image = scene.image(&format!("bench{count}"), image(scene.parts(), programs, &["ends", "span"])?)?;
    let plan = scene.guest(&format!("bench{count}"))?.image(&image).disks(&disks).memory_mib(512);
    let mut guest = plan.machine_words(&COUNTING).power_on()?;
    guest.wait_for_boot_within(BOOT)?;
    guest.ok(&format!("mkdir -p /etc/evms /run/lock/lvm; echo {NODE} >/etc/evms/node"))?;
    let mut values = [const { Values::new() }; 4];
    for _ in 0..ROUNDS {
        let vgs = lvm::line("vgs -qq");
        for (values, line) in
            values.iter_mut().zip(["ends sd", "evms list volumes", "evms list", vgs.as_str()])
        {
            values.add(cost(&mut guest, line)?.worked_ns);
        }
    }
    let [ends, volumes, all, vgs] = &values;
    println!(
        "{count:>6}  {:>22}  {:>22} {:>5.2}  {:>22} {:>5.2}  {:>24} {:>5.1}",
        ends.ms(),
        volumes.ms(),
        ratio(volumes, ends),
        all.ms(),
        ratio(all, ends),
        vgs.ms(),
        ratio(vgs, ends)
    );
    Ok(())
}
