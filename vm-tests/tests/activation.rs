//! Volumes come up, go down and change while they are up, in a guest with nothing but busybox and evms. `dmsetup` is
//! there for the tests' own looks at the kernel and for what others do to it.

use serde_json::Value;
use vm_tests::cases;
use vm_tests::console::Output;
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::scene;
use vm_tests::tables;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a validator for tests, which fails by these"
)]
#[path = "../../tests/cli/schema.rs"]
mod schema;

const SIZE_MIB: u64 = 128;
const NODE: &str = "11111111-2222-4333-8444-555555555555";
const OTHER: &str = "99999999-8888-4777-a666-555555555555";

struct Bench {
    guest: Guest,
    /// Their nodes in the guest.
    disks: Vec<String>,
}

impl Bench {
    /// It works; what it says.
    fn done(&mut self, line: &str) -> Result<String, Trouble> {
        self.guest.ok(line)
    }

    /// It ends with this code and says this.
    fn refused(&mut self, line: &str, code: i32, words: &[&str]) -> Result<Output, Trouble> {
        let output = self.guest.run(line)?;
        let text = output.text();
        assert_eq!(output.code, code, "{line}: {text}");
        for word in words {
            assert!(text.contains(word), "{line}: no '{word}' in: {text}");
        }
        Ok(output)
    }

    /// `data` over the first three disks, with a linear volume of 20 MiB and a striped one of 30 MiB, both down.
    fn fresh(&mut self) -> Result<(), Trouble> {
        self.done("umount /mnt 2>/dev/null; evms deactivate --all >/dev/null; dmsetup remove_all -f; true")?;
        let [a, b, c, d] = self.disks.as_slice() else {
            return Err(Trouble::Unexpected("not four disks".into()));
        };
        // Both ends are what a disk is known by; the middle may keep what it has.
        let tail = SIZE_MIB - 2;
        let wipe = format!(
            "for disk in {a} {b} {c} {d}; do for at in 0 {tail}; do
               dd if=/dev/zero of=$disk bs=1M seek=$at count=2 conv=fsync 2>/dev/null
             done; done"
        );
        let create = format!("evms container create data --private --extent 1M {a} {b} {c}");
        self.done(&wipe)?;
        self.done(&create)?;
        self.done("evms volume create data/lin --size 20M")?;
        self.done("evms volume create data/fast --size 30M --stripes 3")?;
        Ok(())
    }

    /// Names of all device-mapper devices.
    fn devices(&mut self) -> Result<Vec<String>, Trouble> {
        let text = self.done("dmsetup info -c --noheadings -o name 2>/dev/null || true")?;
        let mut names = text.lines().map(|line| line.trim().to_string()).filter(|line| !line.is_empty());
        let mut names = names.by_ref().filter(|line| !line.starts_with("No devices")).collect::<Vec<_>>();
        names.sort();
        Ok(names)
    }
}

/// Proves the first use that an appliance maker can ship: all of activation on one machine, real device-mapper.
#[test]
fn volumes_come_up_go_down_and_change() {
    scene::play("activation", |scene| {
        let disks = ["a", "b", "c", "d"].iter().map(|name| scene.disk(name, SIZE_MIB));
        let disks: Vec<Disk> = disks.collect::<Result<_, _>>()?;
        let mut image = Image::usual(scene.parts())?.module("xfs").module("btrfs");
        for program in [
            "/usr/sbin/dmsetup",
            "/usr/sbin/mkfs.ext4",
            "/usr/sbin/mkfs.xfs",
            "/usr/sbin/mkfs.btrfs",
            "/usr/bin/flock",
        ] {
            image = image.program(program)?;
        }
        let image = scene.image("tools", image)?;
        let plan = scene.guest("one")?.image(&image).disks(&disks).memory_mib(384);
        let mut guest = plan.start()?;
        guest.ok(&format!("mkdir -p /etc/evms /mnt; echo {NODE} >/etc/evms/node"))?;
        let disks = disks.iter().map(|disk| guest.device(disk)).collect::<Result<_, _>>()?;
        cases::run(
            &mut Bench { guest, disks },
            &[
                ("comes_up_and_goes_down", comes_up_and_goes_down),
                ("what_was_written_lies_where_the_model_says", what_was_written_lies_where_the_model_says),
                ("changes_are_made_under_gates", changes_are_made_under_gates),
                ("what_is_mapped_is_not_changed_meanwhile", what_is_mapped_is_not_changed_meanwhile),
                ("what_is_active_is_not_changed_away", what_is_active_is_not_changed_away),
                ("grows_under_a_mounted_file_system", grows_under_a_mounted_file_system),
                ("grows_an_xfs_and_a_btrfs", grows_an_xfs_and_a_btrfs),
                ("a_live_volume_never_gets_shorter", a_live_volume_never_gets_shorter),
                ("what_no_change_writes_is_not_mapped", what_no_change_writes_is_not_mapped),
                ("lists_tell_what_is_active", lists_tell_what_is_active),
                ("answers_hold_to_their_schemas", answers_hold_to_their_schemas),
                ("who_holds_a_volume_is_told", who_holds_a_volume_is_told),
                ("a_shutdown_can_let_io_fail", a_shutdown_can_let_io_fail),
                ("f53_a_table_that_fails_leaves_nothing", f53_a_table_that_fails_leaves_nothing),
                ("t3_gates_are_armed", t3_gates_are_armed),
                ("a_live_mapping_is_never_changed_by_looking", a_live_mapping_is_never_changed_by_looking),
                ("a_busy_gate_from_before_is_told", a_busy_gate_from_before_is_told),
                ("i10_a_stale_node_is_swept", i10_a_stale_node_is_swept),
                ("what_is_not_there_is_not_deactivated", what_is_not_there_is_not_deactivated),
                ("a_suspended_volume_is_told", a_suspended_volume_is_told),
                ("one_of_two_volumes_fails_alone", one_of_two_volumes_fails_alone),
                (
                    "others_containers_and_devices_are_left_alone",
                    others_containers_and_devices_are_left_alone,
                ),
                ("unclaimed_is_claimed", unclaimed_is_claimed),
                (
                    "f31_what_is_whole_comes_up_without_the_other_disk",
                    f31_what_is_whole_comes_up_without_the_other_disk,
                ),
            ],
        )
    });
}

fn comes_up_and_goes_down(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let said = bench.done("evms activate data")?;
    assert!(said.contains("/dev/evms/data/lin") && said.contains("/dev/evms/data/fast"), "{said}");
    assert_eq!(bench.devices()?.len(), 5, "three gates and two volumes");
    let sizes = "for v in lin fast; do blockdev --getsize64 /dev/evms/data/$v; done";
    assert_eq!(bench.done(sizes)?, format!("{}\n{}\n", 20 << 20, 30 << 20));
    let listed = bench.done("evms list")?;
    assert!(listed.contains("data/fast") && !listed.contains("/dev/dm-"), "{listed}");
    let again = bench.done("evms activate --all")?;
    assert_eq!(again.matches("already active").count(), 2, "{again}");
    bench.done("evms deactivate data")?;
    assert!(bench.devices()?.is_empty());
    bench.done("test ! -e /dev/evms/data")?;
    assert!(bench.done("evms deactivate data")?.starts_with("already so"));
    bench.done("evms activate data/lin")?;
    bench.refused("evms activate data/nothing", 3, &["there is no volume 'data/nothing'"])?;
    bench.refused("evms activate nothing", 3, &["there is no container 'nothing'"])?;
    bench.done("evms deactivate --all").map(drop)
}

/// Expected places come from `evms info`, read by another way: the raw disk.
fn what_was_written_lies_where_the_model_says(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    bench.done(
        "yes stripes | dd of=/dev/evms/data/fast bs=64k count=3 iflag=fullblock conv=fsync 2>/dev/null",
    )?;
    // One stripe unit on each of three disks.
    let mut found = 0;
    for disk in bench.disks.clone().iter().take(3) {
        let count = bench.done(&format!(
            "dd if={disk} bs=1M count=40 iflag=direct 2>/dev/null | grep -m 1 -c stripes || true"
        ))?;
        found += i32::from(count.trim() != "0");
    }
    assert_eq!(found, 3);
    Ok(())
}

fn changes_are_made_under_gates(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    bench.done("evms volume create data/more --size 4M")?;
    let disk = bench.disks[3].clone();
    bench.done(&format!("evms container expand data {disk}"))?;
    bench.done("evms volume create data/on4 --size 40M --on 4")?;
    let said = bench.done("evms activate data")?;
    assert!(said.contains("data/on4") && said.contains("data/more"), "{said}");
    assert_eq!(bench.devices()?.len(), 8, "four gates and four volumes");
    let disk = bench.disks[0].clone();
    bench.refused(
        &format!("evms container create x --private {disk} --wipe evms"),
        1,
        &["held by", "evms:gate:"],
    )?;
    Ok(())
}

/// Between looking and mapping nobody changes the model: a change waits for who reads it to map it, and who would map it
/// waits for the change. (Else extents that were freed and given away meanwhile would be mapped twice.) A lock of somebody
/// else stands for the other command, because it can be held as long as the test wants.
fn what_is_mapped_is_not_changed_meanwhile(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let disk = bench.disks[1].clone();
    let lock = |how: &str| {
        format!(
            "rm -f /tmp/held; flock {how} {disk} -c 'touch /tmp/held; exec sleep 600' >/dev/null 2>&1 &
             n=0; until [ -e /tmp/held ]; do usleep 10000; n=$((n + 1)); [ $n -lt 500 ] || exit 1; done"
        )
    };
    let unlock = "kill $(pidof sleep); while pidof sleep flock >/dev/null; do usleep 10000; done";
    bench.done(&lock("-x"))?;
    bench.refused(
        "evms activate data",
        1,
        &[&disk, "another process has it locked", "nothing was touched"],
    )?;
    assert!(bench.devices()?.is_empty());
    bench.refused("evms volume create data/x --size 1M", 1, &[&disk, "another process has it locked"])?;
    bench.done(&format!("{unlock}; evms activate data/lin"))?;
    bench.done(&lock("-s"))?;
    bench.done("evms activate data")?;
    bench.refused("evms volume create data/x --size 1M", 1, &["another process has it locked"])?;
    bench.done(&format!("{unlock}; evms volume create data/x --size 1M"))?;
    // What is claimed by somebody, and not by a gate of ours, is not written below a claim.
    bench.done("evms deactivate data")?;
    bench.done(&format!("echo 0 2048 linear {disk} 0 | dmsetup create theirs"))?;
    bench.refused(
        "evms --disk {disk} volume create data/y --size 1M".replace("{disk}", &disk).as_str(),
        1,
        &["theirs"],
    )?;
    bench.done("dmsetup remove theirs").map(drop)
}

fn what_is_active_is_not_changed_away(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin")?;
    for line in [
        "volume delete data/lin",
        "volume rename data/lin new",
        "volume shrink data/lin --size 10M --lose-data-beyond 10M",
        "container modify data --name new",
        "container deport data",
    ] {
        bench.refused(&format!("evms {line}"), 1, &["is active here", "evms deactivate data"])?;
    }
    bench.done("evms volume delete data/fast")?;
    bench.refused("evms container shrink data 3", 1, &["is active here", "evms deactivate data"])?;
    bench.done("evms deactivate data")?;
    bench.done("evms volume rename data/lin new").map(drop)
}

fn grows_under_a_mounted_file_system(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    bench.done("mkfs.ext4 -q /dev/evms/data/lin && mount -t ext4 /dev/evms/data/lin /mnt")?;
    bench.done("head -c 5000000 /dev/urandom >/mnt/file; sync; md5sum </mnt/file >/mnt/sum")?;
    let blocks = "df -k /mnt | tail -n 1 | awk '{ print $2 }'";
    let before = bench.done(blocks)?.trim().parse::<u64>().unwrap_or(0);
    bench.done("evms volume expand data/lin --size +20M")?;
    assert_eq!(bench.done("blockdev --getsize64 /dev/evms/data/lin")?.trim(), (40u64 << 20).to_string());
    assert_eq!(bench.done(blocks)?.trim(), before.to_string(), "not without --fs");
    bench.done("evms volume expand data/lin --size 40M --fs")?;
    let after = bench.done(blocks)?.trim().parse::<u64>().unwrap_or(0);
    assert!(after > before + 15_000, "{before} KiB became {after}");
    bench.done("echo 3 >/proc/sys/vm/drop_caches; md5sum </mnt/file | cmp - /mnt/sum")?;
    bench.refused("evms volume expand data/fast --size +3M --fs", 1, &["has its new size", "not mounted"])?;
    bench.done("umount /mnt").map(drop)
}

/// (A btrfs below 256 MiB refuses.) By the file system's own word, `df`, before and after; what was written before is there after.
fn grows_an_xfs_and_a_btrfs(bench: &mut Bench) -> Result<(), Trouble> {
    for (kind, make) in [("xfs", "mkfs.xfs -q -f --unsupported"), ("btrfs", "mkfs.btrfs -q -f -M")] {
        bench.fresh()?;
        bench.done("evms volume delete data/fast; evms volume delete data/lin")?;
        bench.done("evms volume create data/x --size 272M; evms activate data")?;
        bench.done(&format!(
            "{make} /dev/evms/data/x && modprobe {kind} && mount -t {kind} /dev/evms/data/x /mnt"
        ))?;
        bench.done("head -c 3000000 /dev/urandom >/mnt/file; sync; md5sum </mnt/file >/tmp/sum")?;
        let blocks = "df -k /mnt | tail -n 1 | awk '{ print $2 }'";
        let before = bench.done(blocks)?.trim().parse::<u64>().unwrap_or(0);
        let said = bench.done("evms volume expand data/x --size +40M --fs")?;
        assert!(said.contains(kind), "{said}");
        let after = bench.done(blocks)?.trim().parse::<u64>().unwrap_or(0);
        assert!(after > before + 35_000, "{kind}: {before} KiB became {after}");
        bench.done("echo 3 >/proc/sys/vm/drop_caches; md5sum </mnt/file | cmp - /tmp/sum; umount /mnt")?;
    }
    Ok(())
}

/// Somebody has given the live volume a longer table than the model will have: growing leaves it as it is, and says so.
fn a_live_volume_never_gets_shorter(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    let long = "0 104857600 error";
    bench.done(&format!(
        "dmsetup suspend evms:data:lin; echo {long} | dmsetup load evms:data:lin; dmsetup resume evms:data:lin"
    ))?;
    bench.refused(
        "evms volume expand data/lin --size +4M",
        6,
        &["has its new size in its container", "with its old size still", "another table"],
    )?;
    assert_eq!(bench.done("dmsetup table evms:data:lin")?.trim(), long);
    Ok(())
}

/// Data that nobody knows stands at the front of a member: no change writes there, and no volume of it comes up.
fn what_no_change_writes_is_not_mapped(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let disk = bench.disks[0].clone();
    bench.done(&format!(
        "head -c 16384 /dev/urandom | dd of={disk} bs=16k oflag=direct iflag=fullblock 2>&1"
    ))?;
    let output = bench.guest.run("evms activate data")?;
    assert!(output.code != 0 && output.text().contains("--repair"), "{output:?}");
    assert!(bench.devices()?.is_empty());
    Ok(())
}

/// What stands in the kernel stands in the lists: not active, active, and with its I/O held back.
fn lists_tell_what_is_active(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let state = |bench: &mut Bench, name: &str| {
        let text = bench.done("evms list volumes")?;
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        Ok::<_, Trouble>(line.rsplit("  ").next().unwrap_or_default().trim().to_string())
    };
    assert_eq!(state(bench, "data/lin")?, "whole");
    bench.done("evms activate data/lin")?;
    let number = bench.done("dmsetup info -c --noheadings -o minor evms:data:lin")?;
    let active = format!("whole, active on dm-{}", number.trim());
    assert_eq!(state(bench, "data/lin")?, active);
    assert_eq!(state(bench, "data/fast")?, "whole");
    bench.done("dmsetup suspend evms:data:lin")?;
    assert_eq!(state(bench, "data/lin")?, format!("{active}, its I/O waits"));
    assert!(bench.done("evms info data/lin; dmsetup resume evms:data:lin")?.contains("its I/O waits"));
    bench.done("evms deactivate data")?;
    assert_eq!(state(bench, "data/lin")?, "whole");
    Ok(())
}

fn holds(name: &str, text: &str) -> Result<Value, Trouble> {
    let nonsense =
        |what: &str, why: &dyn std::fmt::Display| Trouble::Unexpected(format!("{what}: {why}: {text}"));
    let path = format!("{}/../tests/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read_to_string(&path).map_err(Trouble::io(format!("reading {path}")))?;
    let schema = serde_json::from_str(&schema).map_err(|why| nonsense(&path, &why))?;
    let answer = serde_json::from_str(text).map_err(|why| nonsense("no JSON", &why))?;
    let found = schema::problems(&schema, &answer);
    assert!(found.is_empty(), "{name}: {found:?}: {text}");
    Ok(answer)
}

fn answers_hold_to_their_schemas(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let up = holds("activate", &bench.done("evms --json activate data")?)?;
    assert_eq!(up["result"]["up"].as_array().map(Vec::len), Some(2));
    assert_eq!(up["result"]["up"][0]["already_so"], false);
    let again = holds("activate", &bench.done("evms --json activate --all")?)?;
    assert_eq!(again["result"]["up"][0]["already_so"], true);
    let listed = holds("list", &bench.done("evms --json list")?)?;
    assert_eq!(listed["result"]["volumes"][0]["suspended"], false);
    holds("info", &bench.done("evms --json info data/lin")?)?;
    let disk = bench.disks[2].trim_start_matches("/dev/").to_string();
    let down = holds("deactivate", &bench.done("evms --json deactivate data")?)?;
    assert_eq!(down["result"]["down"].as_array().map(Vec::len), Some(2));
    bench.done(&format!("echo 1 >$(readlink -f /sys/block/{disk}/device/..)/remove"))?;
    let output = bench.refused("evms --json activate data 2>/dev/null", 6, &["data/fast"])?;
    let part = holds("activate", &output.text())?;
    assert_eq!(part["result"]["down"][0]["name"], "data/fast");
    bench.done("evms deactivate data; echo 1 >/sys/bus/pci/rescan").map(drop)
}

fn who_holds_a_volume_is_told(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench
        .done("evms activate data; mkfs.ext4 -q /dev/evms/data/lin; mount -t ext4 /dev/evms/data/lin /mnt")?;
    bench.refused(
        "evms deactivate data",
        1,
        &["volume data/lin is in use: mounted at /mnt", "nothing was deactivated"],
    )?;
    assert_eq!(bench.devices()?.len(), 5, "all of it is there still");
    bench.done("umount /mnt")?;
    bench.done("sleep 600 </dev/evms/data/fast >/dev/null 2>&1 & echo $! >/tmp/pid")?;
    bench.refused("evms deactivate data", 1, &["volume data/fast is in use: process", "(sleep)"])?;
    bench.done("kill $(cat /tmp/pid)")?;
    bench.done("while ! evms deactivate data; do usleep 10000; done").map(drop)
}

fn a_shutdown_can_let_io_fail(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench
        .done("evms activate data; mkfs.ext4 -q /dev/evms/data/lin; mount -t ext4 /dev/evms/data/lin /mnt")?;
    let said = bench.done("evms deactivate --fail data")?;
    assert!(said.contains("data/lin is still open (mounted at /mnt)"), "{said}");
    bench.done("test ! -e /dev/evms/data")?;
    bench.refused("dd if=/dev/zero of=/mnt/file bs=4k count=1 conv=fsync 2>&1", 1, &["error"])?;
    bench.done("umount /mnt")?;
    bench.done(
        "n=0; while dmsetup ls | grep -q evms; do usleep 10000; n=$((n + 1)); [ $n -lt 500 ] || exit 1; done",
    )?;
    bench.done("evms check").map(drop)
}

/// The last of three volumes cannot be made, because its name is taken: the other two and the gates go again.
fn f53_a_table_that_fails_leaves_nothing(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms volume create data/zz --size 2M; dmsetup create evms:data:zz --notable")?;
    bench.refused("evms activate data", 1, &["evms:data:zz", "another one has its name"])?;
    assert_eq!(bench.devices()?, ["evms:data:zz"]);
    bench.done("test ! -e /dev/evms/data/lin; dmsetup remove evms:data:zz; evms activate data").map(drop)
}

/// T3 of safety section 0: a resume by anybody but evms makes what waits fail, and nothing of it lands.
fn t3_gates_are_armed(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data/lin")?;
    let gate =
        bench.devices()?.into_iter().find(|name| name.starts_with("evms:gate:") && name.contains(":1:"));
    let gate = gate.ok_or_else(|| Trouble::Unexpected("no gate of disk 1".into()))?;
    bench.done(&format!("dmsetup suspend --noflush --nolockfs {gate}"))?;
    bench.done("(yes foreign | dd of=/dev/evms/data/lin bs=4k count=1 oflag=direct >/tmp/said 2>&1; echo $? >/tmp/code) >/dev/null 2>&1 &")?;
    bench.done("n=0; until dmsetup info evms:data:lin | grep -q 'Open count: *1'; do usleep 10000; n=$((n + 1)); [ $n -lt 500 ] || exit 1; done")?;
    bench.done(&format!("dmsetup resume {gate}"))?;
    bench
        .done("n=0; until [ -s /tmp/code ]; do usleep 10000; n=$((n + 1)); [ $n -lt 500 ] || exit 1; done")?;
    let said = bench.done("cat /tmp/said /tmp/code")?;
    assert!(said.contains("rror") && said.trim().ends_with('1'), "{said}");
    let disk = bench.disks[0].clone();
    assert_eq!(
        bench
            .done(&format!("dd if={disk} bs=1M count=26 iflag=direct 2>/dev/null | grep -c foreign || true"))?
            .trim(),
        "0"
    );
    bench
        .done("evms deactivate data; evms activate data; dd if=/dev/evms/data/lin of=/dev/null bs=1M 2>&1")
        .map(drop)
}

fn a_live_mapping_is_never_changed_by_looking(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    let table = bench.done("dmsetup table evms:data:lin")?;
    // The same device with a table of somebody else's.
    bench.done("dmsetup suspend evms:data:lin; echo 0 2048 error | dmsetup load evms:data:lin; dmsetup resume evms:data:lin")?;
    bench.refused(
        "evms activate data",
        1,
        &["volume data/lin is live", "another table", "evms deactivate data/lin"],
    )?;
    assert_eq!(bench.done("dmsetup table evms:data:lin")?.trim(), "0 2048 error");
    bench.done("evms deactivate data/lin; evms activate data")?;
    assert_eq!(bench.done("dmsetup table evms:data:lin")?, table);
    Ok(())
}

fn a_busy_gate_from_before_is_told(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    let gate = bench.devices()?.into_iter().find(|name| name.contains(":1:")).unwrap_or_default();
    let uuid = bench.done(&format!("dmsetup info -c --noheadings -o uuid {gate}"))?;
    bench.done("evms deactivate data")?;
    bench.done(&format!("echo 0 2048 error | dmsetup create {gate} -u {}", uuid.trim()))?;
    bench.refused("evms activate data", 1, &["disk 1 has a gate from before", "nothing was activated"])?;
    assert_eq!(bench.devices()?.len(), 1);
    bench.done("evms deactivate --all; evms activate data").map(drop)
}

/// Nodes that are left over from devices that are gone, whose numbers are another's now: of volumes that are up, that are
/// down and that never were, as nodes and as links, and one that leads nowhere.
const STALE: &str = "mkdir -p /dev/evms/data /dev/evms/gone
    major=$(dmsetup info -c --noheadings -o major theirs | tr -d ' ')
    minor=$(dmsetup info -c --noheadings -o minor theirs | tr -d ' ')
    for node in data/fast data/lin data/old gone/old; do
      rm -f /dev/evms/$node; mknod /dev/evms/$node b $major $minor || exit 1
    done
    ln -s ../../dm-$minor /dev/evms/gone/link && ln -s ../../dm-99 /dev/evms/data/dangling";

/// I10: what was left over from a device that is gone would lead a user to another's data. After any activation and
/// deactivation each node leads to the live device of the volume that it is called after, or there is none.
fn i10_a_stale_node_is_swept(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("echo 0 2048 error | dmsetup create theirs")?;
    bench.done("evms activate data/fast")?;
    bench.done(STALE)?;
    bench.done("evms activate data/fast")?;
    assert_eq!(tables::nodes(&mut bench.guest)?, ["/dev/evms/data/fast"]);
    bench.done(STALE)?;
    bench.done("evms activate data")?;
    assert_eq!(tables::nodes(&mut bench.guest)?.len(), 2);
    bench.done(STALE)?;
    bench.done("evms deactivate --all")?;
    assert!(tables::nodes(&mut bench.guest)?.is_empty());
    assert_eq!(bench.devices()?, ["theirs"]);
    bench.done("dmsetup remove theirs").map(drop)
}

/// A slip of the pen is no success: what is not there was not taken down.
fn what_is_not_there_is_not_deactivated(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.refused("evms deactivate nosuch", 3, &["there is no container 'nosuch'"])?;
    bench.refused("evms deactivate data/nosuch", 3, &["there is no volume 'data/nosuch'"])?;
    bench.done("evms activate data")?;
    bench.refused("evms deactivate data nosuch", 3, &["there is no container 'nosuch'"])?;
    bench.refused("evms deactivate data/lin data/nosuch", 3, &["there is no volume 'data/nosuch'"])?;
    assert_eq!(bench.devices()?.len(), 5, "nothing of it was done");
    bench.done("evms deactivate data")?;
    assert!(bench.done("evms deactivate data")?.starts_with("already so"));
    assert!(bench.done("evms deactivate data/lin")?.starts_with("already so"));
    Ok(())
}

/// R6: a volume whose I/O waits is not active in the sense of who asks for it. It is told, and what is told is true.
fn a_suspended_volume_is_told(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    bench.done("dmsetup suspend evms:data:lin")?;
    let output = bench.guest.run("evms activate data/lin 2>&1")?;
    let said = output.text();
    let state = bench.done("dmsetup info -c --noheadings -o suspended evms:data:lin")?;
    bench.done("dmsetup resume evms:data:lin")?;
    let waits = state.contains("Suspended");
    assert!(said.contains("data/lin") && said.contains("suspended"), "{said}");
    assert_eq!(output.code == 0 && said.contains("goes on now"), !waits, "{state}: {said}");
    bench.done("dd if=/dev/evms/data/lin of=/dev/null bs=4k count=1 iflag=direct 2>&1").map(drop)
}

/// Holds a volume open, and writes to it through that when it is told to.
fn holder(bench: &mut Bench, volume: &str) -> Result<Task, Trouble> {
    let command = format!(
        "sh -c 'exec 3<>/dev/evms/{volume}; touch /tmp/held; until [ -e /tmp/go ]; do usleep 10000; done
           dd if=/dev/zero bs=4k count=1 conv=fsync 2>&1 >&3'"
    );
    bench.done("rm -f /tmp/held /tmp/go")?;
    let task = Task::start(&mut bench.guest, "holder", &command)?;
    wait_until(&mut bench.guest, "[ -e /tmp/held ]")?;
    Ok(task)
}

/// Safety 4.7: one volume is let fail while another stays, which keeps the gates open. Whatever is said of the first one's
/// I/O is true; while its removal waits for whoever has it open it is not said to be active; the other one works on.
fn one_of_two_volumes_fails_alone(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("evms activate data")?;
    let holder = holder(bench, "data/lin")?;
    let said = bench.done("evms deactivate --fail data/lin 2>&1")?;
    assert!(said.contains("data/lin is still open (process") && said.contains("its I/O fails"), "{said}");
    bench.done("dd if=/dev/zero of=/dev/evms/data/fast bs=1M count=3 oflag=direct 2>&1")?;
    assert!(said.contains("was put aside as evms:dead:"), "{said}");
    // Safety 4.8: it comes up anew beside the one that waits for its last user.
    let said = bench.done("evms activate data")?;
    assert!(said.contains("data/lin") && !said.contains("put aside"), "{said}");
    bench.done("yes new | dd of=/dev/evms/data/lin bs=4k count=1 iflag=fullblock oflag=direct 2>&1")?;
    bench.done("touch /tmp/go")?;
    let written = holder.end(&mut bench.guest)?;
    assert!(written.code != 0, "{}", written.text());
    wait_until(&mut bench.guest, "! dmsetup ls | grep -q evms:dead:")?;
    let first = bench.done("dd if=/dev/evms/data/lin bs=4k count=1 iflag=direct 2>/dev/null | head -n 1")?;
    assert_eq!(first.trim(), "new");
    assert_eq!(tables::nodes(&mut bench.guest)?.len(), 2);
    Ok(())
}

fn others_containers_and_devices_are_left_alone(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let disk = bench.disks[3].clone();
    bench.done(&format!("evms container create theirs --private --owner {OTHER} {disk}"))?;
    bench.done("echo 0 2048 error | dmsetup create somebody")?;
    bench.refused("evms activate theirs", 4, &["owned by another machine", OTHER])?;
    let said = bench.done("evms activate --all")?;
    assert!(
        said.contains("left alone: container theirs") || said.contains("owned by another machine"),
        "{said}"
    );
    bench.done("evms deactivate --all")?;
    assert_eq!(bench.devices()?, ["somebody"]);
    bench.done("dmsetup remove somebody").map(drop)
}

/// Safety 3.3: the first machine that activates an unclaimed container claims it.
fn unclaimed_is_claimed(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let disk = bench.disks[3].clone();
    bench.done(&format!("evms container create image --private --owner none {disk}"))?;
    bench.refused("evms volume create image/v --size 4M", 4, &["not claimed by any machine"])?;
    bench.done("evms activate image")?;
    let said = bench.done("evms list containers")?;
    assert!(said.lines().any(|line| line.starts_with("image") && line.contains(" one ")), "{said}");
    Ok(())
}

/// R5 and F31: a disk goes for good; volumes without extents on it come up, the others are refused by name.
fn f31_what_is_whole_comes_up_without_the_other_disk(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let gone = bench.disks[2].trim_start_matches("/dev/").to_string();
    bench.done(&format!("echo 1 >$(readlink -f /sys/block/{gone}/device/..)/remove"))?;
    bench.refused(
        "evms activate data",
        6,
        &["/dev/evms/data/lin", "volume data/fast is not active: disk 3 is not here"],
    )?;
    bench.done("dd if=/dev/evms/data/lin of=/dev/null bs=1M 2>&1; test ! -e /dev/evms/data/fast")?;
    bench.done("evms volume create data/new --size 4M")?;
    bench.done("evms deactivate data; echo 1 >/sys/bus/pci/rescan")?;
    bench.done("evms container readmit data 3; evms activate data; test -b /dev/evms/data/fast").map(drop)
}
