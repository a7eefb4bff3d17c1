//! Activation of 1, 100, 1000 volumes on four disks beside the least that would do (create, load, resume, one mknod each)
//! and beside `vgchange`; and deactivation beside `vgchange -an`.

use std::path::Path;

use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

use crate::measure::{COUNTING, NODE, ROUND, ROUNDS, Values, cost, image, ratio};
use crate::{container, lvm};

const DISK_MIB: u64 = 320;
const VOLUME_MIB: u64 = 1;

/// Prints the table.
pub fn bench(programs: &Path) {
    scene::play("bench-activation", |scene| {
        println!("processor time in ms at one instruction a nanosecond, median of {ROUNDS} (least..most)");
        println!(
            "{:>7}  {:>24}  {:>24} {:>5}  {:>26} {:>5}  {:>9}",
            "volumes", "bare", "evms activate", "x", "vgchange -ay", "x", "evms, KiB"
        );
        let mut downs = Vec::new();
        for count in [1, 100, 1000] {
            downs.push((count, row(scene, count, programs)?));
        }
        println!("until it ended, in ms, median of {ROUNDS} (least..most)");
        println!("{:>7}  {:>26}  {:>30}  {:>7}", "volumes", "evms deactivate", "vgchange -an", "faster");
        for (count, (ours, lvm)) in downs {
            println!("{count:>7}  {:>26}  {:>30}  {:>7.1}", ours.ms(), lvm.ms(), ratio(&lvm, &ours));
        }
        Ok(())
    });
}

/// Four disks with a container of so many volumes, made here on the image files.
fn filled(scene: &Scene, count: u64) -> Result<Vec<Disk>, Trouble> {
    let names = ["a", "b", "c", "d"].map(|name| format!("{name}{count}"));
    let disks = names.iter().map(|name| scene.disk(name, DISK_MIB)).collect::<Result<Vec<_>, _>>()?;
    container::fill(&scene.parts().evms, &disks, NODE, (count, VOLUME_MIB), false)?;
    Ok(disks)
}

fn numbers(guest: &mut Guest, devices: &[String]) -> Result<String, Trouble> {
    let names = devices.iter().map(|device| device.trim_start_matches("/dev/"));
    let files = names.map(|name| format!("/sys/block/{name}/dev")).collect::<Vec<_>>().join(" ");
    Ok(guest.ok(&format!("cat {files}"))?.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn row(scene: &Scene, count: u64, programs: &Path) -> Result<(Values, Values), Trouble> {
    let disks = filled(scene, count)?;
    let theirs = ["e", "f", "g", "h"].map(|name| format!("{name}{count}"));
    let theirs = theirs.iter().map(|name| scene.disk(name, DISK_MIB)).collect::<Result<Vec<_>, _>>()?;
    let image = scene.image(&format!("bench{count}"), image(scene.parts(), programs, &["bare", "span"])?)?;
    let plan = scene.guest(&format!("bench{count}"))?.image(&image).disks(&disks).disks(&theirs);
    let mut guest = plan.machine_words(&COUNTING).start()?;
    guest.ok(&format!("mkdir -p /etc/evms; echo {NODE} >/etc/evms/node"))?;
    let devices = |guest: &mut Guest, disks: &[Disk]| {
        disks.iter().map(|disk| guest.device(disk)).collect::<Result<Vec<_>, _>>()
    };
    let (ours, theirs) = (devices(&mut guest, &disks)?, devices(&mut guest, &theirs)?);
    let numbers = numbers(&mut guest, &ours)?;
    lvm::prepare(&mut guest, &theirs, count)?;
    let (mut bare, mut up, mut lvm_up) = (Values::default(), Values::default(), Values::default());
    let (mut down, mut lvm_down, mut memory) = (Values::default(), Values::default(), Values::default());
    for _ in 0..ROUNDS {
        let sectors = VOLUME_MIB * 2048;
        bare.add(cost(&mut guest, &format!("bare {count} {sectors} {numbers}"))?.worked_ns);
        guest.run_within("dmsetup remove_all; rm -r /dev/bare", ROUND)?;
        let cost_up = cost(&mut guest, "evms activate data")?;
        up.add(cost_up.worked_ns);
        memory.add(cost_up.memory_kib);
        down.add(cost(&mut guest, "evms deactivate data")?.took_ns);
        lvm_up.add(cost(&mut guest, &lvm::line("vgchange -qq -ay vg"))?.worked_ns);
        lvm_down.add(cost(&mut guest, &lvm::line("vgchange -qq -an vg"))?.took_ns);
    }
    println!(
        "{count:>7}  {:>24}  {:>24} {:>5.2}  {:>26} {:>5.1}  {:>9}",
        bare.ms(),
        up.ms(),
        ratio(&up, &bare),
        lvm_up.ms(),
        ratio(&lvm_up, &bare),
        memory.most()
    );
    Ok((down, lvm_down))
}
