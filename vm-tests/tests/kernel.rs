//! What device-mapper does when it is pushed: the facts that gates stand on (`safety.md` section 0), each tried here,
//! so that a kernel that behaves otherwise is noticed before it loses somebody's data. T3 is a case of `activation`.
//!
//! A disk that hangs is a suspended linear device under the gate: what was sent waits there until it is resumed, on
//! no clock. The gate of such a disk has a second half that lies on a healthy disk.

use vm_tests::cases;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::scene;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 16;
/// Sectors of each half of a gate.
const HALF: u32 = 2048;
/// Four gates are closed within this, one after another or at once, however slow the emulated processor is.
const CLOSING_NS_MAX: u64 = 5_000_000_000;
/// Devices that are made and removed by one thread and by [`THREADS`].
const DEVICES_COUNT: usize = 64;
const THREADS: usize = 16;
/// So many times as fast is a gain.
const GAIN_MIN: u64 = 2;

struct Bench {
    guest: Guest,
    disk: String,
}

/// Proves that the guests' kernel has the properties that closing and opening of gates relies on.
#[test]
fn device_mapper_does_what_gates_rely_on() {
    scene::play("kernel", |scene| {
        let disk = scene.disk("a", SIZE_MIB)?;
        let image = Image::usual(scene.parts())?.program("/usr/sbin/dmsetup")?;
        let image = image.own_program(scene.parts(), "gates")?;
        let image = scene.image("tools", image)?;
        let mut guest = scene.guest("one")?.image(&image).disk(&disk).start()?;
        let disk = guest.device(&disk)?;
        cases::run(
            &mut Bench { guest, disk },
            &[
                ("t1_killing_who_suspends_undoes_the_suspend", t1_killing_who_suspends_undoes_the_suspend),
                ("t2_a_hung_gate_delays_the_next", t2_a_hung_gate_delays_the_next),
                ("t4_a_volume_waits_for_its_gate", t4_a_volume_waits_for_its_gate),
                ("t5_four_gates_are_closed_at_once", t5_four_gates_are_closed_at_once),
                ("t11_removals_overlap_and_creations_do_not", t11_removals_overlap_and_creations_do_not),
            ],
        )
    });
}

impl Bench {
    /// Nothing mapped, nothing written, nothing that hangs.
    fn fresh(&mut self) -> Result<(), Trouble> {
        let disk = &self.disk;
        self.guest.ok(&format!(
            "for name in $(dmsetup info -c --noheadings -o name 2>/dev/null | grep -v ' '); do dmsetup resume $name; done
             dmsetup remove_all -f
             dd if=/dev/zero of={disk} bs=1M count=4 conv=fsync 2>/dev/null"
        ))?;
        Ok(())
    }

    /// `hung` lies on the first half of the disk and `gate` on `hung` and on the second half; `healthy` on the disk
    /// alone. `hung` is closed below and one write waits in it: `gate` cannot be drained.
    fn hung_gate(&mut self) -> Result<Task, Trouble> {
        self.fresh()?;
        let disk = self.disk.clone();
        let hung = self.map("hung", &format!("0 {HALF} linear {disk} 0"))?;
        let gate =
            self.map("gate", &format!("0 {HALF} linear {hung} 0\n{HALF} {HALF} linear {disk} {HALF}"))?;
        self.map("healthy", &format!("0 {HALF} linear {disk} {}", 2 * HALF))?;
        self.guest.ok("gates suspend 1 hung")?;
        let task = self.write("waiting", "gate", 0)?;
        // The gate has sent it on, and its end does not come.
        let inflight = gate.replace("/dev/", "/sys/block/");
        wait_until(&mut self.guest, &format!("grep -q '1$' {inflight}/inflight"))?;
        Ok(task)
    }

    /// Makes a device with this table; its node.
    fn map(&mut self, name: &str, table: &str) -> Result<String, Trouble> {
        self.guest.ok(&format!("printf '{table}\\n' | dmsetup create {name}"))?;
        self.node(name)
    }

    /// The kernel's own node of a device.
    fn node(&mut self, name: &str) -> Result<String, Trouble> {
        let node = self.guest.ok(&format!("dmsetup info -c --noheadings -o blkdevname {name}"))?;
        Ok(format!("/dev/{}", node.trim()))
    }

    /// One block of the task's name to a sector of a device, past all caches.
    fn write(&mut self, name: &str, device: &str, sector: u32) -> Result<Task, Trouble> {
        self.guest.ok(&format!("yes {name} | head -c 4096 >/tmp/{name}.block"))?;
        let (seek, node) = (sector / 8, self.node(device)?);
        let command = format!("dd if=/tmp/{name}.block of={node} bs=4k seek={seek} count=1 oflag=direct");
        Task::start(&mut self.guest, name, &command)
    }

    /// Whether the block of this name stands in this sector of the raw disk.
    fn landed(&mut self, name: &str, sector: u32) -> Result<bool, Trouble> {
        let (disk, skip) = (&self.disk, sector / 8);
        let look = format!(
            "dd if={disk} bs=4k skip={skip} count=1 iflag=direct 2>/dev/null | cmp -s - /tmp/{name}.block"
        );
        Ok(self.guest.run(&look)?.code == 0)
    }

    /// How long `gates` took.
    fn nanoseconds(&mut self, verb: &str, threads: usize, names: &[&str]) -> Result<u64, Trouble> {
        let said = self.guest.ok(&format!("gates {verb} {threads} {}", names.join(" ")))?;
        said.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{said}' is no time")))
    }

    fn is_suspended(&mut self, device: &str) -> Result<bool, Trouble> {
        let state = self.guest.ok(&format!("dmsetup info -c --noheadings -o suspended {device}"))?;
        Ok(state.trim() == "Suspended")
    }
}

/// A process sleeps in this when what it closes is being drained.
const DRAINING: &str = "dm_wait_for_completion";
/// A process sleeps in this when what it wrote past all caches has been sent and not answered.
const SENT: &str = "submit_bio_wait";

/// Who closes a gate dies before the gate is drained: the gate is open again and what it had held back lands.
fn t1_killing_who_suspends_undoes_the_suspend(bench: &mut Bench) -> Result<(), Trouble> {
    let waiting = bench.hung_gate()?;
    let closing = Task::start(&mut bench.guest, "closing", "gates suspend 1 gate")?;
    closing.wait_until_in(&mut bench.guest, DRAINING)?;
    let held = bench.write("held", "gate", HALF)?;
    held.wait_until_in(&mut bench.guest, SENT)?;
    assert!(!bench.landed("held", HALF)?, "a gate that is being drained lets nothing new through");
    closing.kill(&mut bench.guest)?;
    assert_eq!(held.end(&mut bench.guest)?.code, 0);
    assert!(bench.landed("held", HALF)?);
    assert!(!bench.is_suspended("gate")?);
    assert!(!waiting.is_over(&mut bench.guest)?, "what hangs below hangs still");
    bench.guest.ok("dmsetup resume hung")?;
    assert_eq!(waiting.end(&mut bench.guest)?.code, 0);
    Ok(())
}

/// The first of two gates hangs: the second stays open meanwhile. A table can be loaded into the first at once; a resume
/// that would bring it live waits in the kernel and is refused in the end, and the gate is as armed as before. A resume
/// without such a table does nothing, and says that it was done.
fn t2_a_hung_gate_delays_the_next(bench: &mut Bench) -> Result<(), Trouble> {
    let waiting = bench.hung_gate()?;
    let closing = Task::start(&mut bench.guest, "closing", "gates suspend 1 gate healthy")?;
    closing.wait_until_in(&mut bench.guest, DRAINING)?;
    let passing = bench.write("passing", "healthy", 0)?;
    assert_eq!(passing.end(&mut bench.guest)?.code, 0, "the second gate is open");
    bench.guest.ok("dmsetup resume gate")?;
    closing.wait_until_in(&mut bench.guest, DRAINING)?;
    bench.guest.ok(&format!("echo 0 {} error | dmsetup load gate", 2 * HALF))?;
    let swap = Task::start(&mut bench.guest, "swap", "dmsetup resume gate")?;
    swap.wait_until_in(&mut bench.guest, "dm_")?;
    bench.guest.ok("dmsetup resume hung")?;
    let refused = swap.end(&mut bench.guest)?;
    assert!(refused.code != 0 && refused.text().contains("Invalid argument"), "{refused:?}");
    assert_eq!(closing.end(&mut bench.guest)?.code, 0);
    assert!(bench.is_suspended("gate")? && bench.is_suspended("healthy")?);
    bench.guest.ok("dmsetup table --inactive gate | grep error; ! dmsetup table gate | grep error")?;
    assert_eq!(waiting.end(&mut bench.guest)?.code, 0, "what was sent before was drained");
    Ok(())
}

/// A volume on a closed gate cannot be suspended as long as something of it waits there.
fn t4_a_volume_waits_for_its_gate(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let gate = bench.map("gate", &format!("0 {HALF} linear {} 0", bench.disk.clone()))?;
    bench.map("volume", &format!("0 {HALF} linear {gate} 0"))?;
    bench.guest.ok("gates suspend 1 gate")?;
    let waiting = bench.write("waiting", "volume", 0)?;
    waiting.wait_until_in(&mut bench.guest, SENT)?;
    let suspending = Task::start(&mut bench.guest, "suspending", "gates suspend 1 volume")?;
    suspending.wait_until_in(&mut bench.guest, DRAINING)?;
    assert!(!bench.is_suspended("volume")?);
    bench.guest.ok("dmsetup resume gate")?;
    assert_eq!(suspending.end(&mut bench.guest)?.code, 0);
    assert!(bench.is_suspended("volume")?);
    assert_eq!(waiting.end(&mut bench.guest)?.code, 0);
    bench.guest.ok("dmsetup resume volume").map(drop)
}

/// Closing four gates takes no time that matters beside a lease, by one thread and by four.
fn t5_four_gates_are_closed_at_once(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let names = ["g1", "g2", "g3", "g4"];
    for name in names {
        bench.map(name, &format!("0 {HALF} linear {} 0", bench.disk.clone()))?;
    }
    let alone = bench.nanoseconds("suspend", 1, &names)?;
    bench.guest.ok("for name in g1 g2 g3 g4; do dmsetup resume $name; done")?;
    let together = bench.nanoseconds("suspend", names.len(), &names)?;
    eprintln!("  4 gates: one thread {} us, four {} us", alone / 1000, together / 1000);
    for name in names {
        assert!(bench.is_suspended(name)?);
    }
    assert!(alone < CLOSING_NS_MAX && together < CLOSING_NS_MAX, "{alone} and {together} ns");
    Ok(())
}

/// Each removal waits for the kernel's readers and many such waits overlap; there is nothing like that in making.
fn t11_removals_overlap_and_creations_do_not(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let names = (0..DEVICES_COUNT).map(|number| format!("many-{number}")).collect::<Vec<_>>();
    let names = names.iter().map(String::as_str).collect::<Vec<_>>();
    let mut took = Vec::new();
    for threads in [1, THREADS] {
        for verb in ["create", "remove"] {
            let nanoseconds = bench.nanoseconds(verb, threads, &names)?;
            eprintln!("  {verb} {DEVICES_COUNT} by {threads}: {} us", nanoseconds / 1000);
            took.push(nanoseconds);
        }
    }
    assert!(took[1] >= GAIN_MIN * took[3], "removing gains from threads: {took:?}");
    assert!(took[0] < GAIN_MIN * took[2], "making gains nothing from threads: {took:?}");
    Ok(())
}
