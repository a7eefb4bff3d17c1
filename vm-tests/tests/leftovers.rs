//! What somebody left in the kernel who was killed in the middle, or who works with dmsetup: it is finished, opened, let go
//! on or swept where that is safe, and told where it is not. In a guest with nothing but busybox and evms; `dmsetup` plays
//! the one who was killed.

use vm_tests::cases;
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::scene;
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 64;
const NODE: &str = "11111111-2222-4333-8444-555555555555";
/// Holds a volume open until the file of the same name is gone.
const HOLD: &str =
    "touch /tmp/hold; (while [ -e /tmp/hold ]; do usleep 10000; done) </dev/evms/data/lin >/dev/null 2>&1 &";

struct Bench {
    guest: Guest,
    disks: Vec<String>,
}

/// What `dmsetup` says of a device of ours: its name, its uuid and its table.
struct Device {
    name: String,
    uuid: String,
    table: String,
}

impl Bench {
    fn done(&mut self, line: &str) -> Result<String, Trouble> {
        self.guest.ok(line)
    }

    fn refused(&mut self, line: &str, code: i32, words: &[&str]) -> Result<(), Trouble> {
        let output = self.guest.run(line)?;
        let text = output.text();
        assert_eq!(output.code, code, "{line}: {text}");
        for word in words {
            assert!(text.contains(word), "{line}: no '{word}' in: {text}");
        }
        Ok(())
    }

    /// `data` with two linear volumes, all down.
    fn fresh(&mut self) -> Result<(), Trouble> {
        let all = self.disks.join(" ");
        let tail = SIZE_MIB - 2;
        self.done("rm -f /tmp/hold; evms deactivate --all >/dev/null; dmsetup remove_all -f; true")?;
        self.done(&format!(
            "for disk in {all}; do for at in 0 {tail}; do
               dd if=/dev/zero of=$disk bs=1M seek=$at count=2 conv=fsync 2>/dev/null
             done; done"
        ))?;
        self.done(&format!("evms container create data --private --extent 1M {all}"))?;
        self.done("evms volume create data/lin --size 8M; evms volume create data/other --size 4M").map(drop)
    }

    fn names(&mut self) -> Result<Vec<String>, Trouble> {
        let text = self.done("dmsetup ls | awk '/evms:/ { print $1 }' | sort")?;
        Ok(text.lines().map(str::to_string).collect())
    }

    /// The device whose name holds this.
    fn device(&mut self, part: &str) -> Result<Device, Trouble> {
        let names = self.names()?;
        let name = names.into_iter().find(|name| name.contains(part));
        let name = name.ok_or_else(|| Trouble::Unexpected(format!("no device with '{part}'")))?;
        let uuid = self.done(&format!("dmsetup info -c --noheadings -o uuid {name}"))?.trim().to_string();
        let table = self.done(&format!("dmsetup table {name}"))?.trim().to_string();
        Ok(Device { name, uuid, table })
    }

    /// How a device is: `L--w` and so on, as `dmsetup info -c -o attr` has it.
    fn attributes(&mut self, name: &str) -> Result<String, Trouble> {
        Ok(self.done(&format!("dmsetup info -c --noheadings -o attr {name}"))?.trim().to_string())
    }
}

/// Proves that the next command mends what a killed one left, says what it finds, and never builds on what is not open.
#[test]
fn what_was_left_in_the_kernel_is_finished_or_told() {
    scene::play("leftovers", |scene| {
        let disks = ["a", "b"].iter().map(|name| scene.disk(name, SIZE_MIB));
        let disks: Vec<Disk> = disks.collect::<Result<_, _>>()?;
        let image = scene.image("tools", Image::usual(scene.parts())?.program("/usr/sbin/dmsetup")?)?;
        let mut guest = scene.guest("one")?.image(&image).disks(&disks).start()?;
        guest.ok(&format!("mkdir -p /etc/evms; echo {NODE} >/etc/evms/node"))?;
        let disks = disks.iter().map(|disk| guest.device(disk)).collect::<Result<_, _>>()?;
        cases::run(
            &mut Bench { guest, disks },
            &[
                ("f53_what_is_half_made_is_finished", f53_what_is_half_made_is_finished),
                ("t3_a_gate_that_is_not_armed_is_armed", t3_a_gate_that_is_not_armed_is_armed),
                ("a_closed_gate_is_not_built_upon", a_closed_gate_is_not_built_upon),
                ("a_stopped_volume_goes_on", a_stopped_volume_goes_on),
                ("a_volume_that_goes_is_in_nobodys_way", a_volume_that_goes_is_in_nobodys_way),
                ("one_volume_alone_can_be_let_fail", one_volume_alone_can_be_let_fail),
                ("a_node_that_leads_elsewhere_is_swept", a_node_that_leads_elsewhere_is_swept),
                ("what_no_container_explains_is_told", what_no_container_explains_is_told),
                ("who_is_not_there_is_not_taken_down", who_is_not_there_is_not_taken_down),
                ("a_stopped_volume_can_be_let_fail", a_stopped_volume_can_be_let_fail),
                ("a_growth_that_was_cut_is_told", a_growth_that_was_cut_is_told),
                ("what_stops_io_is_told", what_stops_io_is_told),
                ("gates_alone_go_by_name", gates_alone_go_by_name),
                ("one_name_twice_is_not_taken_down", one_name_twice_is_not_taken_down),
                ("a_node_that_cannot_be_made_is_a_failure", a_node_that_cannot_be_made_is_a_failure),
                ("nobody_is_dead_because_nobody_can_be_asked", nobody_is_dead_because_nobody_can_be_asked),
            ],
        )
    });
}

/// Killed between making a device and giving it its table, gate and volume alike: the next activation finishes them.
fn f53_what_is_half_made_is_finished(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin")?;
    let (gate, volume) = (bench.device("gate")?, bench.device("lin")?);
    bench.done("evms deactivate data")?;
    for (name, uuid) in [(&gate.name, &gate.uuid), (&volume.name, &volume.uuid)] {
        bench.done(&format!("dmsetup create {name} -u {uuid} --notable"))?;
    }
    let said = bench.done("evms activate data/lin")?;
    assert!(!said.contains("already"), "{said}");
    assert_eq!((bench.device("gate")?.table, bench.device("lin")?.table), (gate.table, volume.table));
    assert!(bench.attributes(&gate.name)?.contains('I'), "it is armed");
    bench.done("dd if=/dev/evms/data/lin of=/dev/null bs=1M 2>&1; evms deactivate data").map(drop)
}

/// T3: killed between opening a gate and arming it.
fn t3_a_gate_that_is_not_armed_is_armed(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin")?;
    let gate = bench.device("gate")?.name;
    bench.done(&format!("dmsetup clear {gate}"))?;
    assert!(!bench.attributes(&gate)?.contains('I'));
    bench.done("evms activate data/lin")?;
    assert!(bench.attributes(&gate)?.contains('I'), "it is armed again");
    bench.done("evms deactivate data").map(drop)
}

/// A gate that somebody closed holds its I/O back; who brings volumes up on it would not know.
fn a_closed_gate_is_not_built_upon(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin")?;
    let gate = bench.device("gate")?.name;
    bench.done(&format!("dmsetup suspend --noflush --nolockfs {gate}"))?;
    bench.refused(
        "evms activate data/other",
        1,
        &["is closed", "nothing was activated", "first with: evms deactivate data"],
    )?;
    assert_eq!(bench.names()?.len(), 2, "nothing came up");
    bench.done("evms deactivate --all")?;
    assert_eq!(bench.names()?.len(), 0);
    Ok(())
}

/// Whoever grew it was killed before he let it go on: its I/O would wait for ever.
fn a_stopped_volume_goes_on(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin; dmsetup suspend evms:data:lin")?;
    let said = bench.done("evms list volumes")?;
    assert!(said.contains("its I/O waits"), "{said}");
    // Prepared beside it by who knows whom: it must not go live by the resume (T3).
    bench.done("echo 0 2048 error | dmsetup load evms:data:lin")?;
    let table = bench.device("lin")?.table;
    let said = bench.done("evms activate data/lin")?;
    assert!(said.contains("was suspended") && said.contains("goes on now"), "{said}");
    assert_eq!(bench.device("lin")?.table, table);
    bench.done("dd if=/dev/evms/data/lin of=/dev/null bs=1M 2>&1; evms deactivate data").map(drop)
}

/// After `--fail` a volume waits for its last user, and nobody for the volume (safety 4.8): it comes up anew, twice, and each of those
/// that wait goes with its own user.
fn a_volume_that_goes_is_in_nobodys_way(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin data/other")?;
    bench.done(HOLD)?;
    let said = bench.done("evms deactivate --fail data 2>&1")?;
    assert!(said.contains("is still open (process") && said.contains("its I/O fails"), "{said}");
    bench.done("test ! -e /dev/evms/data/lin")?;
    let said = bench.done("evms activate data/lin data/other")?;
    assert!(!said.contains("already"), "{said}");
    bench.done("dd if=/dev/zero of=/dev/evms/data/lin bs=4k count=1 oflag=direct 2>&1")?;
    bench.done("sh -c 'exec 3<>/dev/evms/data/lin; touch /tmp/second; while [ -e /tmp/second ]; do usleep 10000; done' >/dev/null 2>&1 & until [ -e /tmp/second ]; do usleep 10000; done")?;
    bench.done("evms deactivate --fail data; evms activate data")?;
    let dead = "dmsetup ls | grep -c '^evms:dead:.*:data:lin'";
    assert_eq!(bench.done(dead)?.trim(), "2");
    // A change of the container does not wait for them either.
    bench.done("evms deactivate data; evms volume delete data/lin; evms volume create data/lin --size 4M; evms activate data")?;
    let said = bench.done("evms check 2>&1; true")?;
    assert!(said.contains("was data/lin until its I/O was made to fail"), "{said}");
    bench.done("rm /tmp/second; while [ $(dmsetup ls | grep -c '^evms:dead:.*:data:lin') != 1 ]; do usleep 10000; done")?;
    bench.done("rm /tmp/hold; while dmsetup ls | grep -q evms:dead:; do usleep 10000; done")?;
    bench.done("dd if=/dev/evms/data/lin of=/dev/null bs=1M 2>&1; evms deactivate data").map(drop)
}

/// Another volume keeps the gate open, and goes on; the one that was named fails all the same.
fn one_volume_alone_can_be_let_fail(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    bench.done(HOLD)?;
    bench.done("evms deactivate --fail data/lin")?;
    let write = "dd if=/dev/zero of=/dev/$(dmsetup info -c --noheadings -o blkdevname $(dmsetup ls | grep :data:lin | cut -f1)) bs=4k count=1 conv=fsync 2>&1";
    bench.refused(write, 1, &["rror"])?;
    bench.done("dd if=/dev/zero of=/dev/evms/data/other bs=1M count=4 conv=fsync 2>&1; rm /tmp/hold")?;
    bench.done("n=0; while dmsetup ls | grep -q data:lin; do usleep 10000; n=$((n + 1)); [ $n -lt 500 ] || exit 1; done")?;
    bench.done("evms deactivate data").map(drop)
}

/// A device was taken away by dmsetup, and its number is another's by now: the node of before would lead there.
fn a_node_that_leads_elsewhere_is_swept(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data; dmsetup remove evms:data:lin")?;
    let number = "echo 0 2048 error | dmsetup create somebody; dmsetup info -c --noheadings -o major,minor somebody | tr : ' '";
    let number = bench.done(number)?.trim().to_string();
    bench.done(&format!("rm -f /dev/evms/data/lin; mknod /dev/evms/data/lin b {number}"))?;
    bench.done(&format!(
        "mkdir -p /dev/evms/gone; mknod /dev/evms/gone/v b {number}; ln -s ../../dm-77 /dev/evms/data/w"
    ))?;
    // A node of a living volume that leads elsewhere is made anew.
    bench.done(&format!("rm /dev/evms/data/other; mknod /dev/evms/data/other b {number}"))?;
    bench.done("evms activate data/other")?;
    assert_eq!(
        bench.done("ls /dev/evms/data /dev/evms")?.split_whitespace().collect::<Vec<_>>(),
        ["/dev/evms:", "data", "/dev/evms/data:", "other"]
    );
    assert_eq!(bench.done("blockdev --getsize64 /dev/evms/data/other")?.trim(), (4 << 20).to_string());
    bench.done(&format!(
        "mknod /dev/evms/data/lin b {number}; evms deactivate data; test ! -e /dev/evms/data"
    ))?;
    bench.done("dmsetup remove somebody").map(drop)
}

/// The container was deleted by another machine, or its disks are gone: the devices are told, by name.
fn what_no_container_explains_is_told(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin")?;
    let said = bench.done("evms check")?;
    assert!(said.contains("all is well"), "{said}");
    bench.done("dmsetup create evms:old:v -u EVMS-volume-99999999-8888-4777-a666-555555555555-11111111-2222-4333-8444-555555555555 --table '0 8 error'")?;
    let said = bench.done("evms check")?;
    assert!(
        said.contains("evms:old:v") && said.contains("no container") && !said.contains("evms:data:lin"),
        "{said}"
    );
    bench.done("evms deactivate --all")?;
    assert_eq!(bench.names()?.len(), 0);
    Ok(())
}

/// A wrong name is no success; what is down already is.
fn who_is_not_there_is_not_taken_down(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.refused("evms deactivate nosuch", 3, &["there is no container 'nosuch'"])?;
    bench.refused(
        "evms deactivate data/nosuch",
        3,
        &["there is no volume 'data/nosuch'", "nothing was deactivated"],
    )?;
    bench.done("evms deactivate data; evms activate data/lin")?;
    bench.refused("evms deactivate data/lin nosuch", 3, &["there is no container 'nosuch'"])?;
    assert_eq!(bench.names()?.len(), 2, "it is up still");
    bench.done("evms deactivate data/lin data/other").map(drop)
}

/// Its I/O waits in front of the gates: that these fail would not reach it, and a shutdown would wait for ever.
fn a_stopped_volume_can_be_let_fail(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin; dmsetup suspend --nolockfs evms:data:lin")?;
    bench.done(
        "(dd if=/dev/zero of=/dev/evms/data/lin bs=4k count=1 oflag=direct >/tmp/said 2>&1; echo $? >/tmp/code) >/dev/null 2>&1 &
         n=0; until dmsetup info evms:data:lin | grep -q 'Open count: *1'; do usleep 10000; n=$((n + 1)); [ $n -lt 500 ] || exit 1; done",
    )?;
    bench.done("evms deactivate --fail --all")?;
    bench
        .done("n=0; until [ -s /tmp/code ]; do usleep 10000; n=$((n + 1)); [ $n -lt 500 ] || exit 1; done")?;
    assert_eq!(bench.done("cat /tmp/code; rm /tmp/code")?.trim(), "1", "it was told an error");
    bench.done("n=0; while dmsetup ls | grep -q evms:; do usleep 10000; n=$((n + 1)); [ $n -lt 500 ] || exit 1; done")?;
    bench.done("evms activate data").map(drop)
}

/// Killed between the new model and the new table, with the volume stopped or not: it goes on as it was, the others come up,
/// and what gives it its new size is told, and does.
fn a_growth_that_was_cut_is_told(bench: &mut Bench) -> Result<(), Trouble> {
    for stopped in [false, true] {
        bench.fresh()?;
        bench.done("evms activate data/lin")?;
        let old = bench.device("lin")?.table;
        bench.done("evms volume expand data/lin --size 12M")?;
        let new = bench.device("lin")?.table;
        bench.done(&format!(
            "dmsetup suspend evms:data:lin; echo '{old}' | dmsetup load evms:data:lin; dmsetup resume evms:data:lin"
        ))?;
        if stopped {
            bench
                .done(&format!("echo '{new}' | dmsetup load evms:data:lin; dmsetup suspend evms:data:lin"))?;
        }
        let said = bench.done("evms activate data")?;
        assert!(said.contains("evms volume expand data/lin --size 12582912"), "{said}");
        assert_eq!(said.contains("goes on now"), stopped, "{said}");
        assert_eq!(bench.device("lin")?.table, old, "activation changes no live mapping");
        bench.done(
            "dd if=/dev/evms/data/lin of=/dev/null bs=1M 2>&1; evms volume expand data/lin --size 12582912",
        )?;
        assert_eq!(bench.device("lin")?.table, new);
    }
    bench.done("evms deactivate data").map(drop)
}

/// `check` tells what holds or fails I/O, with what to do; and nothing of devices whose disks it was told not to look at.
fn what_stops_io_is_told(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin")?;
    let (gate, disk) = (bench.device("gate")?, bench.disks[0].clone());
    let said = bench.done(&format!("evms --disk {disk} check || true"))?;
    assert!(!said.contains("evms:"), "{said}");
    bench.done("dmsetup suspend evms:data:lin")?;
    let said = bench.done("evms check")?;
    assert!(said.contains("evms:data:lin: is suspended") && said.contains("evms activate"), "{said}");
    bench.done("evms activate data/lin")?;
    bench.done(&format!("dmsetup suspend --noflush --nolockfs {0}; dmsetup resume {0}", gate.name))?;
    let said = bench.done("evms check")?;
    assert!(said.contains(&format!("{}: fails all I/O", gate.name)), "{said}");
    bench.done("evms deactivate --all").map(drop)
}

/// Killed before the first volume, or behind the last.
fn gates_alone_go_by_name(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin; dmsetup remove evms:data:lin")?;
    bench.refused("evms container deport data", 1, &["evms deactivate data"])?;
    let said = bench.done("evms deactivate data")?;
    assert!(said.contains("gates without volumes were taken away"), "{said}");
    bench.done("evms container deport data; evms container import data").map(drop)
}

/// The name that was meant is not known; neither is taken down. And who cannot come up beside the other is told why.
fn one_name_twice_is_not_taken_down(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin")?;
    bench.done("dmsetup create evms:data:w -u EVMS-volume-99999999-8888-4777-a666-555555555555-11111111-2222-4333-8444-555555555555 --table '0 8 error'")?;
    bench.refused("evms deactivate data", 1, &["99999999-8888-4777-a666-555555555555"])?;
    assert_eq!(bench.names()?.len(), 3);
    bench.done("evms deactivate --all; dmsetup create evms:data:lin --table '0 8 error'")?;
    bench.refused("evms activate data/lin", 1, &["another one has its name", "nothing was activated"])?;
    bench.done("dmsetup remove evms:data:lin").map(drop)
}

/// A volume that nobody can reach by its node is not simply up.
fn a_node_that_cannot_be_made_is_a_failure(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("mkdir -p /dev/evms; touch /dev/evms/data")?;
    bench.refused(
        "evms activate data/lin",
        6,
        &["its node /dev/evms/data/lin could not be made", "make room"],
    )?;
    bench
        .done("rm /dev/evms/data; evms activate data/lin; test -b /dev/evms/data/lin; evms deactivate data")
        .map(drop)
}

/// Nodes of living volumes stay when device-mapper does not answer.
fn nobody_is_dead_because_nobody_can_be_asked(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin; mv /dev/mapper/control /dev/mapper/away")?;
    bench.refused("evms activate data", 6, &["device-mapper is not here"])?;
    bench
        .done("mv /dev/mapper/away /dev/mapper/control; test -b /dev/evms/data/lin; evms deactivate data")
        .map(drop)
}
