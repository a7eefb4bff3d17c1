//! The appliance's image boots to its root volume, and says politely why not when it cannot.

use std::fs;

use evms::base::id::ClusterId;
use evms::format::label::Label;
use evms::format::layout::{End, HEAD_LABEL_AT, SlotIndex};
use evms::format::model::Model;
use evms::format::slot::SlotImage;
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

/// What runs in front of the appliance's own first process: a gate of the container that maps something else is there
/// already, as an earlier stage that died could have left it.
const BUSY_INIT: &str = "#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
modprobe dm-mod
echo 0 2048 error | dmsetup create GATE -u UUID
umount /dev /sys /proc
exec /init.appliance
";

/// `system` over three disks with a root volume, made by a machine that is not the appliance. Gives name and uuid of the
/// gate of disk 1.
fn install(scene: &Scene, disks: &[Disk]) -> Result<(String, String), Trouble> {
    let image = Image::usual(scene.parts())?.program("/usr/sbin/mkfs.ext4")?.program("/usr/sbin/dmsetup")?;
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
    let gates = guest.ok("dmsetup info -c --noheadings --separator ' ' -o name,uuid | grep ':1:e'")?;
    guest.ok(
        "chmod 755 /mnt/sbin/init; echo release 7 >/mnt/etc/release; umount /mnt; evms deactivate system",
    )?;
    guest.power_off()?;
    let gate = gates.trim().split_once(' ');
    let gate = gate.ok_or_else(|| Trouble::Unexpected(format!("no gate of disk 1: {gates}")))?;
    Ok((gate.0.into(), gate.1.into()))
}

/// Where the four slots of a disk are, in its bytes.
fn slots(bytes: &[u8]) -> Result<Vec<usize>, Trouble> {
    let nonsense = |_| Trouble::Unexpected("no label".into());
    let label = Label::decode(&bytes[HEAD_LABEL_AT.0 as usize..], End::Primary).map_err(nonsense)?;
    let kinds = [SlotIndex::Zero, SlotIndex::One].map(SlotIndex::kind);
    let areas = label.areas.iter().filter(|area| kinds.contains(&area.kind));
    Ok(areas.map(|area| area.start_bytes().0 as usize).collect())
}

/// A copy of a slot whose container belongs to a cluster; `None` where no model stands.
fn of_a_cluster(slot: &[u8]) -> Option<Vec<u8>> {
    let SlotImage { mut header, body } = SlotImage::decode(slot).ok()?;
    let mut model = Model::decode(&body).ok()?;
    model.container.cluster = ClusterId([7; 16]);
    // Under a number that was never used, and made of nothing: another content under a known one is a conflict.
    header.order.generation.0 += 1000;
    (header.parent_order, header.parent) = Default::default();
    Some(SlotImage::new(header, model.encode()?)?.encode())
}

/// One flipped bit in the header is enough to make a copy worthless.
fn rotten(slot: &[u8]) -> Option<Vec<u8>> {
    let mut header = slot.get(..4096)?.to_vec();
    header[100] ^= 1;
    Some(header)
}

/// Writes every slot of these disks anew. What was there comes back with [`restore`].
fn spoil(disks: &[Disk], change: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut before = Vec::new();
    for disk in disks {
        let bytes = fs::read(disk.path()).map_err(Trouble::file("reading", disk.path()))?;
        let mut spoiled = bytes.clone();
        for at in slots(&bytes)? {
            if let Some(slot) = change(&bytes[at..]) {
                spoiled[at..at + slot.len()].copy_from_slice(&slot);
            }
        }
        fs::write(disk.path(), &spoiled).map_err(Trouble::file("spoiling", disk.path()))?;
        before.push(bytes);
    }
    Ok(before)
}

fn restore(disks: &[Disk], before: &[Vec<u8>]) -> Result<(), Trouble> {
    let mut pairs = disks.iter().zip(before);
    pairs.try_for_each(|(disk, bytes)| {
        fs::write(disk.path(), bytes).map_err(Trouble::file("restoring", disk.path()))
    })
}

fn boot(scene: &Scene, name: &str, disks: &[Disk], words: &str) -> Result<Guest, Trouble> {
    boot_image(scene, name, Image::appliance(scene.parts())?, disks, words)
}

fn boot_image(
    scene: &Scene,
    name: &str,
    image: Image,
    disks: &[Disk],
    words: &str,
) -> Result<Guest, Trouble> {
    let image = scene.image(name, image)?;
    let mut plan = scene.guest(name)?.image(&image).disks(disks);
    for word in words.split_whitespace() {
        plan = plan.kernel_word(word);
    }
    plan.power_on()
}

/// It stops in its shell and has said this.
fn stops_with(guest: Guest, says: &str) -> Result<(), Trouble> {
    guest.wait_for_kernel(says, BOOT)?;
    guest.wait_for_kernel("this shell is for mending it", BOOT)?;
    guest.cut_power()
}

/// Words that are no time to wait.
const BAD_WAITS: [&str; 5] = ["abc", "", "-5", "86401", "99999999999999999999"];

/// A wrong `evms.wait` is told and makes nobody wait for ever: the default counts, in a machine without disks, where there
/// is something to wait for.
fn a_wrong_wait_is_told(scene: &Scene, root: &str) -> Result<(), Trouble> {
    let bad = BAD_WAITS.map(|word| format!("evms.wait={word}"));
    let root = root.replace("evms.wait=3", &bad.join(" "));
    let guest = boot(scene, "bad-wait", &[], &root)?;
    for word in BAD_WAITS {
        let said =
            format!("evms.wait='{word}' is no number of seconds up to 86400; disks have 30 s to appear");
        guest.wait_for_kernel(&said, BOOT)?;
    }
    stops_with(guest, "there is no container 'system'")
}

/// Proves the way of an appliance from power on to its own init, and every polite refusal: each says which container,
/// why, and what there is, and gives a shell.
#[test]
fn boots_to_its_root_volume_or_says_why_not() {
    scene::play("appliance", |scene| {
        let disks = ["a", "b", "c"].iter().map(|name| scene.disk(name, SIZE_MIB));
        let disks: Vec<Disk> = disks.collect::<Result<_, _>>()?;
        let (gate, uuid) = install(scene, &disks)?;
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
            stops_with(boot(scene, name, disks, words)?, says)?;
        }
        a_wrong_wait_is_told(scene, &root)?;
        let before = spoil(&disks, of_a_cluster)?;
        let cluster = "container system belongs to the cluster 07070707-0707-0707-0707-070707070707 and only that cluster's \
                       evmsd may touch it; nothing was written; run the command on a node of that cluster";
        stops_with(boot(scene, "foreign-cluster", &disks, &root)?, cluster)?;
        restore(&disks, &before)?;
        let before = spoil(&disks, rotten)?;
        let damaged = "none of those found holds a whole copy of its model; nothing was written";
        stops_with(boot(scene, "damaged", &disks, &root)?, damaged)?;
        restore(&disks, &before)?;
        let init = BUSY_INIT.replace("GATE", &gate).replace("UUID", &uuid);
        let image = Image::appliance(scene.parts())?.program("/usr/sbin/dmsetup")?.behind(init.as_bytes());
        let busy = "disk 1 has a gate from before";
        stops_with(boot_image(scene, "busy-gate", image, &disks, &root)?, busy)?;
        // Nothing of these boots has written: the root volume still boots.
        let mut guest = boot(scene, "again", &disks, &root)?;
        guest.wait_for_kernel("THE ROOT IS UP: release 7", BOOT)?;
        guest.wait_for_off(BOOT)
    });
}
