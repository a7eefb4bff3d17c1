//! I/O through volume and gate beside the same I/O on the raw disk, and through two tables made by hand with `dmsetup`, one on the
//! other: what two devices of device-mapper cost whoever makes them. At the same places, in one guest. By its clock, which
//! goes on by a nanosecond with each instruction and with the time of day while it waits for the disk. (A guest that runs
//! free gives the same ratios.)

use std::path::Path;

use vm_tests::guest::Guest;
use vm_tests::scene;
use vm_tests::trouble::Trouble;

use crate::measure::{COUNTING, NODE, Values, cost, image, ratio};

const DISK_MIB: u64 = 320;
const VOLUME_MIB: u64 = 256;
/// Rounds: raw and mapped in turn, so that what disturbs disturbs both.
const ROUNDS: usize = 15;

/// Prints the table.
pub fn bench(programs: &Path) {
    scene::play("bench-throughput", |scene| {
        let disk = scene.disk("a", DISK_MIB)?;
        let image = scene.image("bench", image(scene.parts(), programs, &["io", "span"])?)?;
        let plan = scene.guest("bench")?.image(&image).disk(&disk);
        let mut guest = plan.machine_words(&COUNTING).start()?;
        let device = guest.device(&disk)?;
        guest.ok(&format!("mkdir -p /etc/evms; echo {NODE} >/etc/evms/node"))?;
        guest.ok(&format!("evms container create data --private --extent 1M {device}"))?;
        guest.ok(&format!("evms volume create data/v --size {VOLUME_MIB}M; evms activate data"))?;
        let first = first_byte(&mut guest)?;
        by_hand(&mut guest, &device, first)?;
        println!("until it ended, in ms, median of {ROUNDS} (least..most); throughput of the raw disk's");
        println!(
            "{:>18}  {:>24}  {:>24}  {:>10}  {:>24}  {:>10}",
            "what", "raw disk", "two tables by hand", "throughput", "volume on gate", "throughput"
        );
        for (what, count) in [
            ("read random", 3000),
            ("write random", 3000),
            ("read sequential", 200),
            ("write sequential", 200),
        ] {
            row(&mut guest, &device, first, what, count)?;
        }
        Ok(())
    });
}

/// Where the volume's first sector is on the disk: gate's start and volume's start on the gate.
fn first_byte(guest: &mut Guest) -> Result<u64, Trouble> {
    let text =
        guest.ok("for name in $(dmsetup ls | grep -o '^evms[^\t ]*'); do dmsetup table $name; done")?;
    let starts = text.lines().filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok());
    let starts = starts.collect::<Vec<_>>();
    match starts.as_slice() {
        [one, other] => Ok((one + other) * 512),
        _ => Err(Trouble::Unexpected(format!("not a gate and a volume: {text}"))),
    }
}

/// A table on the disk, and another one on that: what evms has there, without evms. There is no udevd here that would make nodes.
fn by_hand(guest: &mut Guest, device: &str, first: u64) -> Result<(), Trouble> {
    let (sectors, start) = ((VOLUME_MIB << 20) / 512, first / 512);
    guest
        .ok(&format!("echo 0 {sectors} linear {device} {start} | DM_DISABLE_UDEV=1 dmsetup create lower"))?;
    let upper = "linear /dev/mapper/lower 0 | DM_DISABLE_UDEV=1 dmsetup create upper";
    guest.ok(&format!("echo 0 {sectors} {upper}")).map(drop)
}

fn row(guest: &mut Guest, device: &str, first: u64, what: &str, count: u32) -> Result<(), Trouble> {
    let (mut raw, mut bare, mut ours) = (Values::new(), Values::new(), Values::new());
    let bytes = VOLUME_MIB << 20;
    for _ in 0..ROUNDS {
        raw.add(cost(guest, &format!("io {device} {first} {bytes} {what} {count}"))?.took_ns);
        bare.add(cost(guest, &format!("io /dev/mapper/upper 0 {bytes} {what} {count}"))?.took_ns);
        ours.add(cost(guest, &format!("io /dev/evms/data/v 0 {bytes} {what} {count}"))?.took_ns);
    }
    let (of_bare, of_ours) = (ratio(&raw, &bare), ratio(&raw, &ours));
    println!(
        "{what:>18}  {:>24}  {:>24}  {of_bare:>9.3}x  {:>24}  {of_ours:>9.3}x",
        raw.ms(),
        bare.ms(),
        ours.ms()
    );
    Ok(())
}
