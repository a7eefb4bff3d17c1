//! The first block of a member disk in front of the real tools: each sees something, none takes the disk for
//! an empty one, and the kernel makes no partition of it. What each of them says is quoted in
//! `format::first_block`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod programs;

use evms::base::units::{Bytes, MIB};
use evms::format::first_block;
use programs::{Dir, Image, Loop, Said, ask, run};

const SIZE: u64 = 320 * MIB;

/// A disk with nothing but our first block on it.
fn member(dir: &Dir) -> Image {
    let image = dir.image("member", SIZE);
    image.write(0, &first_block::encode(Bytes(SIZE)));
    image
}

fn untouched(image: &Image) {
    assert_eq!(image.head(4096), first_block::encode(Bytes(SIZE)), "the first block is as it was");
    assert!(image.head(MIB)[4096..].iter().all(|byte| *byte == 0), "and nothing was written behind it");
}

/// Runs a tool on a terminal of its own and answers its questions with no.
fn on_a_terminal(line: &str) -> Said {
    // `script` splits nothing: the command is one word.
    let quoted = line.replace(' ', "${IFS}");
    ask("n\nn\nn\n", &format!("script -qefc {quoted} /dev/null"))
}

#[test]
fn tools_that_only_look_see_a_disk_in_use() {
    let dir = Dir::new("first-look");
    let image = member(&dir);
    for (line, words) in [
        ("wipefs -n -i -p -O offset,type IMAGE", "0x1fe,PMBR"),
        ("blkid -p IMAGE", "PTTYPE=\"PMBR\""),
        ("parted -s IMAGE print", "Partition Table: loop"),
        ("sfdisk -l IMAGE", "ee GPT"),
        ("fdisk -l IMAGE", "ee GPT"),
        ("file IMAGE", "ID=0xee"),
    ] {
        let said = run(&line.replace("IMAGE", image.name()));
        assert!(said.contains(words), "{line}: {said}");
    }
    // On a disk of zeros each of them says nothing of the kind.
    let empty = dir.image("empty", SIZE);
    assert_eq!(run(&format!("wipefs -n -i {}", empty.name())), "");
    assert_ne!(ask("", &format!("blkid -p {}", empty.name())).code, 0);
    assert_ne!(ask("", &format!("parted -s {} print", empty.name())).code, 0);
    untouched(&image);
}

/// udev makes links from these.
#[test]
fn no_identity_is_seen_that_a_link_could_be_made_from() {
    let dir = Dir::new("first-links");
    let image = member(&dir);
    let said = run(&format!("blkid -p -o export {}", image.name()));
    for word in ["UUID", "LABEL", "TYPE=vfat", "USAGE"] {
        assert!(
            !said.lines().any(|line| line.starts_with(word) || line.starts_with(&format!("PT{word}"))),
            "{said}"
        );
    }
}

#[test]
fn parted_shows_one_partition_of_the_whole_disk() {
    let dir = Dir::new("first-parted");
    let image = member(&dir);
    let said = run(&format!("parted -s -m {} unit B print", image.name()));
    assert!(said.contains(&format!("1:0B:{}B:{SIZE}B:", SIZE - 1)), "{said}");
}

#[test]
fn mkfs_ext4_asks_on_a_terminal_and_takes_no_for_an_answer() {
    let dir = Dir::new("first-ext4");
    let image = member(&dir);
    let said = on_a_terminal(&format!("mkfs.ext4 {}", image.name()));
    assert!(
        said.text.contains("PMBR partition table") && said.text.contains("Proceed anyway?"),
        "{}",
        said.text
    );
    assert_ne!(said.code, 0);
    untouched(&image);
}

/// Nothing on the disk could stop it: this shows that an ext4 and an LVM2 label do not either. When one day
/// mkfs.ext4 looks in this case too, this test says so, and the first block must be held against it again.
#[test]
fn mkfs_ext4_without_a_terminal_looks_at_nothing() {
    let dir = Dir::new("first-batch");
    for content in ["nothing", "ext4", "lvm2", "ours"] {
        let image = dir.image(content, SIZE);
        match content {
            "ext4" => drop(run(&format!("mkfs.ext4 -q {}", image.name()))),
            "lvm2" => image.write(512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001"),
            "ours" => image.write(0, &first_block::encode(Bytes(SIZE))),
            _ => {}
        }
        assert_eq!(ask("", &format!("mkfs.ext4 -q {}", image.name())).code, 0, "{content}");
    }
}

#[test]
fn other_makers_refuse_without_force() {
    let dir = Dir::new("first-mkfs");
    let image = member(&dir);
    for (line, words) in [
        ("mkfs.xfs IMAGE", "appears to contain a partition table (PMBR)"),
        ("mkfs.btrfs IMAGE", "use the -f option to force overwrite"),
    ] {
        let said = ask("", &line.replace("IMAGE", image.name()));
        assert!(said.code != 0 && said.text.contains(words), "{line}: {}", said.text);
        untouched(&image);
    }
    let said = on_a_terminal(&format!("cryptsetup luksFormat {}", image.name()));
    assert!(said.code != 0 && said.text.contains("'PMBR' partition signature"), "{}", said.text);
    untouched(&image);
}

/// With sectors of both sizes, before and after the kernel was asked to look again.
#[test]
fn the_kernel_makes_no_partitions_and_lvm_refuses_the_device() {
    let dir = Dir::new("first-loop");
    let image = member(&dir);
    for sector in [512, 4096] {
        let device = Loop::over(&image, sector);
        assert_eq!(device.partitions(), [""; 0]);
        run(&format!("blockdev --rereadpt {}", device.name()));
        assert_eq!(device.partitions(), [""; 0], "sectors of {sector} bytes");
        let filter = format!("devices{{use_devicesfile=0/**/filter=[\"a|^{}$|\",\"r|.*|\"]}}", device.name());
        let said = ask("", &format!("pvcreate --config {filter} {}", device.name()));
        assert!(said.code != 0 && said.text.contains("device is partitioned"), "{}", said.text);
        untouched(&image);
    }
    // The measure: with another type, the same entry is a block device. A kernel that was built without MBR
    // partitions makes none of it, and has shown nothing above.
    image.write(450, &[0xda]);
    if Loop::over(&image, 512).partitions().is_empty() {
        eprintln!(
            "this kernel reads no MBR (CONFIG_MSDOS_PARTITION); only a guest's kernel can show that it skips ours"
        );
    }
}
