//! The appliance's image boots to its root volume, and says politely why not when it cannot.

use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::limits::Limit;
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 64;
const NODE: &str = "11111111222243338444555555555555";
const OTHER: &str = "99999999888847778666555555555555";
/// From power on until the last word of the boot; a busy machine boots slowly.
const BOOT: Limit = Limit::seconds("boot of the appliance", 180);

/// What runs from the root volume: says so, and what is up besides.
const ROOT_INIT: &str = "#!/bin/busybox sh
/bin/busybox echo THE ROOT IS UP: $(/bin/busybox cat /etc/release) >/dev/console
/bin/busybox ls /dev/evms/system >/dev/console
/bin/busybox poweroff -f
";

/// `system` over three disks with a root volume, made by a machine that is not the appliance.
fn install(scene: &Scene, disks: &[Disk]) -> Result<(), Trouble> {
    let image = Image::usual(scene.parts())?.program("/usr/sbin/mkfs.ext4")?;
    let image = scene.image("installer", image)?;
    let mut guest = scene.guest("installer")?.image(&image).disks(disks).start()?;
    let nodes = disks.iter().map(|disk| guest.device(disk)).collect::<Result<Vec<_>, _>>()?.join(" ");
    guest.ok(&format!("mkdir -p /etc/evms /mnt; echo {NODE} >/etc/evms/node"))?;
    guest.ok(&format!("evms container create system --private --extent 1M {nodes}"))?;
    guest.ok(
        "evms volume create system/root --size 24M --stripes 3; evms volume create system/data --size 4M",
    )?;
    guest.ok(
        "evms activate system; mkfs.ext4 -q /dev/evms/system/root; mount -t ext4 /dev/evms/system/root /mnt",
    )?;
    guest.ok("mkdir -p /mnt/bin /mnt/sbin /mnt/etc /mnt/dev /mnt/proc /mnt/sys /mnt/run; cp /bin/busybox /mnt/bin/")?;
    guest.push("/mnt/sbin/init", ROOT_INIT.as_bytes())?;
    guest.ok(
        "chmod 755 /mnt/sbin/init; echo release 7 >/mnt/etc/release; umount /mnt; evms deactivate system",
    )?;
    guest.power_off()
}

fn boot(scene: &Scene, name: &str, disks: &[Disk], words: &str) -> Result<Guest, Trouble> {
    let image = scene.image(name, Image::appliance(scene.parts())?)?;
    let mut plan = scene.guest(name)?.image(&image).disks(disks);
    for word in words.split_whitespace() {
        plan = plan.kernel_word(word);
    }
    plan.power_on()
}

/// Proves the way of an appliance from power on to its own init, and every polite refusal: each says which container,
/// why, and what there is, and gives a shell.
#[test]
fn boots_to_its_root_volume_or_says_why_not() {
    scene::play("appliance", |scene| {
        let disks = ["a", "b", "c"].iter().map(|name| scene.disk(name, SIZE_MIB));
        let disks: Vec<Disk> = disks.collect::<Result<_, _>>()?;
        install(scene, &disks)?;
        let root = format!("root=evms:system/root rootfstype=ext4 evms.wait=3 evms.node={NODE}");
        let mut guest = boot(scene, "boots", &disks, &root)?;
        guest.wait_for_kernel("THE ROOT IS UP: release 7", BOOT)?;
        guest.wait_for_kernel("root", BOOT)?;
        guest.wait_for_off(BOOT)?;
        let named = root.replace("system/root", "system/boot");
        let foreign = root.replace(NODE, OTHER);
        for (name, disks, words, says) in [
            ("no-disk", &disks[..0], root.as_str(), "there is no container 'system'"),
            ("one-of-three", &disks[2..], &root, "container system has 1 of the 2 votes"),
            ("wrong-node", &disks[..], &foreign, "container system is owned by another machine"),
            ("wrong-name", &disks[..], &named, "there is no volume 'system/boot'"),
            ("no-root", &disks[..], "evms.wait=3", "write root=evms:CONTAINER/VOLUME"),
        ] {
            let guest = boot(scene, name, disks, words)?;
            guest.wait_for_kernel(says, BOOT)?;
            guest.wait_for_kernel("this shell is for mending it", BOOT)?;
            guest.cut_power()?;
        }
        // Nothing of these boots has written: the root volume still boots.
        let mut guest = boot(scene, "again", &disks, &root)?;
        guest.wait_for_kernel("THE ROOT IS UP: release 7", BOOT)?;
        guest.wait_for_off(BOOT)
    });
}
