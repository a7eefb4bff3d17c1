//! What others write on disks, made with their own tools, or by their specification where a tool cannot run
//! without its kernel driver; recognised from the ends of the disk. The words of other programs are the
//! measure: what `wipefs` sees at an offset, we see there too; what a file system's own tool says of its size,
//! we say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod programs;

use evms::base::limits::{DEEP_LOOK_BYTES, LOOK_BYTES};
use evms::base::units::{Bytes, KIB, MIB};
use evms::volume::plugins::foreign::{Ends, Signature, recognise};
use evms::volume::plugins::fsim::{Content, content, stated_size};
use programs::{Dir, Image, Loop, ask, number_after, run};

/// Bytes that `stated_size` asks for.
const FSIM_LOOK: u64 = 128 * KIB;

fn look(image: &Image, bytes: u64) -> Vec<Signature> {
    let (head, tail) = (image.head(bytes), image.tail(bytes));
    recognise(&Ends { size: Bytes(image.size()), head: &head, tail: &tail })
}

fn names(found: &[Signature]) -> Vec<&'static str> {
    let mut names: Vec<_> = found.iter().map(|seen| seen.name).collect();
    names.sort();
    names.dedup();
    names
}

/// What `wipefs` calls things, and what we call them.
const WIPEFS_WORDS: &[(&str, &[&str])] = &[
    ("LVM2_member", &["lvm2"]),
    ("LVM1_member", &["lvm1"]),
    ("linux_raid_member", &["md"]),
    ("crypto_LUKS", &["luks1", "luks2"]),
    ("DM_verity_hash", &["dm-verity"]),
    ("DM_integrity", &["dm-integrity"]),
    ("DM_snapshot_cow", &["dm-snapshot"]),
    ("zfs_member", &["zfs"]),
    ("isw_raid_member", &["imsm"]),
    ("ddf_raid_member", &["ddf"]),
    ("lsi_mega_raid_member", &["lsi"]),
    ("nvidia_raid_member", &["nvidia"]),
    ("promise_fasttrack_raid_member", &["promise"]),
    ("hpt37x_raid_member", &["highpoint"]),
    ("hpt45x_raid_member", &["highpoint"]),
    ("ceph_bluestore", &["bluestore"]),
    ("VMFS_volume_member", &["vmfs"]),
    ("BitLocker", &["bitlocker"]),
    ("ReFS", &["refs"]),
    ("dos", &["mbr", "grub"]),
    ("PMBR", &["gpt"]),
    ("dvh", &["sgi"]),
];

/// What begins with a boot sector of its own.
const BOOTING: &[&str] = &["vfat", "exfat", "ntfs"];

/// Everything that `wipefs` sees in the ends we look at must be ours too, and at the same offset.
fn wipefs_agrees(image: &Image) {
    let found = look(image, DEEP_LOOK_BYTES);
    for line in run(&format!("wipefs -n -i -p -O offset,type {}", image.name())).lines() {
        let (offset, word) = line.split_once(',').unwrap();
        let mut at = u64::from_str_radix(offset.trim_start_matches("0x"), 16).unwrap();
        let same = [word];
        let ours =
            WIPEFS_WORDS.iter().find(|(theirs, _)| *theirs == word).map_or(&same[..], |(_, ours)| ours);
        match word {
            // The label's type, which stands 24 bytes behind the label's own magic.
            "LVM2_member" => at -= 24,
            // The first descriptor of a sequence, where ours is the one that says which UDF it is; any of a
            // ring of uberblocks, where ours is the first.
            "udf" | "zfs_member" => {
                at = found.iter().find(|seen| ours.contains(&seen.name)).map_or(at, |seen| seen.at.0)
            }
            // The boot sector of a file system, which wipefs counts two or three times.
            "dos" | "vfat"
                if [0, 510].contains(&at) && found.iter().any(|seen| BOOTING.contains(&seen.name)) =>
            {
                continue;
            }
            _ => {}
        }
        if at < DEEP_LOOK_BYTES || at >= image.size() - DEEP_LOOK_BYTES {
            assert!(
                found.iter().any(|seen| seen.at.0 == at && ours.contains(&seen.name)),
                "wipefs: {line}; we: {found:?}"
            );
        }
    }
}

/// A deep look names exactly `deep`, a look at 8 KiB exactly `near`.
fn expect(image: &Image, deep: &[&str], near: &[&str]) {
    assert_eq!(names(&look(image, DEEP_LOOK_BYTES)), deep, "deep look at {}", image.name());
    assert_eq!(names(&look(image, LOOK_BYTES)), near, "8 KiB of {}", image.name());
    wipefs_agrees(image);
}

fn expect_size(image: &Image, name: &str, bytes: u64) {
    let stated = stated_size(&image.head(FSIM_LOOK)).unwrap_or_else(|| panic!("{name} states no size"));
    assert_eq!((stated.name, stated.size), (name, Bytes(bytes)));
}

#[test]
fn the_ext_family_is_told_apart() {
    let dir = Dir::new("ext");
    for (tool, name) in [
        ("mkfs.ext2 -q", "ext2"),
        ("mkfs.ext3 -q", "ext3"),
        ("mkfs.ext4 -q", "ext4"),
        ("mkfs.ext4 -q -b 4096 -O 64bit", "ext4"),
        ("mke2fs -q -O journal_dev", "jbd"),
    ] {
        let image = dir.image("ext", 65 * MIB + 3 * KIB);
        run(&format!("{tool} {}", image.name()));
        expect(&image, &[name], &[name]);
        let said = run(&format!("dumpe2fs -h {}", image.name()));
        expect_size(&image, "ext", number_after(&said, "Block count:") * number_after(&said, "Block size:"));
    }
}

#[test]
fn xfs_is_known() {
    let dir = Dir::new("xfs");
    for options in ["", "-s size=4096", "-b size=1024"] {
        let image = dir.image("xfs", 320 * MIB);
        run(&format!("mkfs.xfs -f -q {options} {}", image.name()));
        expect(&image, &["xfs"], &["xfs"]);
        let said = run(&format!("xfs_db -r -c sb -c p {}", image.name()));
        expect_size(&image, "xfs", number_after(&said, "dblocks =") * number_after(&said, "blocksize ="));
    }
}

#[test]
fn btrfs_is_known_and_states_what_it_uses_of_one_device() {
    let dir = Dir::new("btrfs");
    let (first, second) = (dir.image("one", 128 * MIB), dir.image("two", 160 * MIB));
    run(&format!("mkfs.btrfs -q -d single -m raid1 {} {}", first.name(), second.name()));
    for image in [first, second] {
        expect(&image, &["btrfs"], &[]);
        let said = run(&format!("btrfs inspect-internal dump-super {}", image.name()));
        expect_size(&image, "btrfs", number_after(&said, "dev_item.total_bytes"));
    }
}

#[test]
fn fat_of_every_width_is_known() {
    let dir = Dir::new("fat");
    for (options, bytes) in
        [("-F 12", 2 * MIB), ("-F 16", 16 * MIB), ("-F 16", 96 * MIB), ("-F 32", 96 * MIB)]
    {
        let image = dir.image("fat", bytes);
        run(&format!("mkfs.vfat {options} {}", image.name()));
        expect(&image, &["vfat"], &["vfat"]);
        let said = run(&format!("minfo -i {} ::", image.name()));
        let small = number_after(&said, "small size:");
        let sectors = if small == 0 { number_after(&said, "big size:") } else { small };
        expect_size(&image, "vfat", sectors * number_after(&said, "sector size:"));
    }
}

#[test]
fn exfat_is_known() {
    let dir = Dir::new("exfat");
    let image = dir.image("exfat", 64 * MIB);
    run(&format!("mkfs.exfat {}", image.name()));
    expect(&image, &["exfat"], &["exfat"]);
    let said = run(&format!("dump.exfat {}", image.name()));
    expect_size(
        &image,
        "exfat",
        number_after(&said, "Volume Length(sectors):") << number_after(&said, "Sector Size Bits:"),
    );
}

#[test]
fn ntfs_is_known_and_its_second_boot_sector_is_counted() {
    let dir = Dir::new("ntfs");
    let image = dir.image("ntfs", 64 * MIB);
    run(&format!("mkntfs -F -q -Q {}", image.name()));
    expect(&image, &["ntfs"], &["ntfs"]);
    let said = run(&format!("file {}", image.name()));
    let (_, ntfs) = said.split_once("; NTFS").expect("file tells NTFS");
    expect_size(&image, "ntfs", (number_after(ntfs, "sectors ") + 1) * 512);
    // ntfsresize counts whole clusters, and the same sector behind them.
    let said = run(&format!("ntfsresize -i -f {}", image.name()));
    let stated = stated_size(&image.head(FSIM_LOOK)).unwrap().size.0;
    let least = number_after(&said, "Current volume size:");
    assert!((least..least + number_after(&said, "Cluster size")).contains(&stated), "{stated}: {said}");
}

#[test]
fn swap_of_every_page_size_is_known() {
    let dir = Dir::new("swap");
    for page in [4, 8, 16, 32, 64] {
        let image = dir.image("swap", 64 * MIB);
        let said = run(&format!("mkswap --pagesize {} {}", page * KIB, image.name()));
        expect(&image, &["swap"], if page <= 8 { &["swap"] } else { &[] });
        // mkswap speaks of the pages behind the header's page.
        let (_, said) =
            said.split_once("MiB (").or_else(|| said.split_once("KiB (")).expect("mkswap tells bytes");
        expect_size(&image, "swap", number_after(said, "") + page * KIB);
        image.write(page * KIB - 10, b"S1SUSPEND\0");
        expect(&image, &["swsuspend"], if page <= 8 { &["swsuspend"] } else { &[] });
        assert_eq!(content(&image.head(FSIM_LOOK)), Content::Unknown, "a sleeping system is not shrunk");
    }
}

#[test]
fn f2fs_is_known() {
    let dir = Dir::new("f2fs");
    let image = dir.image("f2fs", 128 * MIB);
    run(&format!("mkfs.f2fs -q {}", image.name()));
    expect(&image, &["f2fs"], &["f2fs"]);
    let said = run(&format!("dump.f2fs {}", image.name()));
    expect_size(&image, "f2fs", number_after(&said, "total FS sectors =") * 512);
}

#[test]
fn nilfs2_is_known_at_both_ends() {
    let dir = Dir::new("nilfs");
    let image = dir.image("nilfs", 140 * MIB);
    run(&format!("mkfs.nilfs2 -q {}", image.name()));
    expect(&image, &["nilfs2"], &["nilfs2"]);
    let device = Loop::over(&image, 512);
    expect_size(
        &image,
        "nilfs2",
        number_after(&run(&format!("nilfs-tune -l {}", device.name())), "Device size:"),
    );
    image.write(0, &[0; 8192]);
    expect(&image, &["nilfs2"], &["nilfs2"]);
}

#[test]
fn reiserfs_is_known() {
    let dir = Dir::new("reiserfs");
    let image = dir.image("reiserfs", 64 * MIB);
    run(&format!("mkreiserfs -q -f -s 513 {}", image.name()));
    expect(&image, &["reiserfs"], &[]);
    let said = run(&format!("debugreiserfs {}", image.name()));
    expect_size(
        &image,
        "reiserfs",
        number_after(&said, "Count of blocks on the device:") * number_after(&said, "Blocksize:"),
    );
}

/// File systems that are recognised but say no size that we read: nothing is shrunk under them.
#[test]
fn other_file_systems_are_known_and_unknown_in_size() {
    let dir = Dir::new("others");
    std::fs::create_dir(dir.path("tree")).unwrap();
    std::fs::write(dir.path("tree/file"), "content").unwrap();
    let tree = dir.path("tree").to_str().unwrap().to_string();
    for (line, mib, deep, near) in [
        ("mkfs.jfs -q IMAGE", 64, &["jfs"][..], &[][..]),
        ("mkfs.gfs2 -q -O -p lock_nolock -j 1 -J 8 IMAGE", 300, &["gfs2"], &[]),
        ("mkfs.ocfs2 -q -F -M local IMAGE", 128, &["ocfs2"], &["ocfs2"]),
        ("mkfs.minix IMAGE", 32, &["minix"], &["minix"]),
        ("mkfs.minix -3 IMAGE", 32, &["minix"], &["minix"]),
        ("mkfs.bfs IMAGE", 8, &["bfs"], &["bfs"]),
        ("mkudffs -b 512 IMAGE", 32, &["udf"], &[]),
        ("mkudffs -b 2048 IMAGE", 32, &["udf"], &[]),
        ("mkudffs -b 4096 IMAGE", 32, &["udf"], &[]),
        ("mkfs.erofs IMAGE TREE", 0, &["erofs"], &["erofs"]),
        ("mksquashfs TREE IMAGE -noappend -quiet", 0, &["squashfs"], &["squashfs"]),
        ("genisoimage -quiet -o IMAGE TREE", 0, &["iso9660"], &[]),
        ("genisoimage -quiet -udf -o IMAGE TREE", 0, &["iso9660", "udf"], &[]),
        ("mkfs.cramfs TREE IMAGE", 0, &["cramfs"], &["cramfs"]),
    ] {
        let image = dir.image("image", mib * MIB);
        run(&line.replace("IMAGE", image.name()).replace("TREE", &tree));
        if image.size() < 4 * DEEP_LOOK_BYTES {
            std::fs::File::options()
                .write(true)
                .open(&image.path)
                .unwrap()
                .set_len(4 * DEEP_LOOK_BYTES)
                .unwrap();
        }
        expect(&image, deep, near);
        assert_eq!(content(&image.head(FSIM_LOOK)), Content::Unknown, "{line}");
    }
}

#[test]
fn an_lvm2_physical_volume_is_known_in_each_of_its_sectors() {
    let dir = Dir::new("lvm");
    for sector in 0..4 {
        let image = dir.image("pv", 64 * MIB);
        let device = Loop::over(&image, 512);
        let filter = format!("devices{{use_devicesfile=0\tfilter=[\"a|^{}$|\",\"r|.*|\"]}}", device.name());
        let filter = filter.replace('\t', "/**/");
        run(&format!("pvcreate -ff -y --labelsector {sector} --config {filter} {}", device.name()));
        expect(&image, &["lvm2"], &["lvm2"]);
        let said =
            run(&format!("pvck --dump headers --labelsector {sector} --config {filter} {}", image.name()));
        expect_size(&image, "lvm2", number_after(&said, "pv_header.device_size"));
    }
}

#[test]
fn luks_of_both_versions_and_the_second_header_are_known() {
    let dir = Dir::new("luks");
    for (name, near) in [("luks1", "luks1"), ("luks2", "luks2")] {
        let image = dir.image(name, 64 * MIB);
        let line = format!(
            "cryptsetup luksFormat -q --type {name} --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {} -",
            image.name()
        );
        let said = ask("word", &line);
        assert_eq!(said.code, 0, "{}", said.text);
        expect(&image, &[name], &[near]);
        assert_eq!(content(&image.head(FSIM_LOOK)), Content::Unknown);
    }
    let image = Image { path: dir.path("luks2") };
    image.write(0, &[0; 4096]);
    assert_eq!(names(&look(&image, DEEP_LOOK_BYTES)), ["luks2"], "by its second header");
}

#[test]
fn partition_tables_are_known() {
    let dir = Dir::new("tables");
    for (label, deep) in [
        ("msdos", &["mbr"][..]),
        ("gpt", &["gpt"]),
        ("mac", &["mac"]),
        ("bsd", &["bsd"]),
        ("sun", &["sun"]),
        ("dvh", &["sgi"]),
        ("amiga", &["amiga"]),
        ("loop", &["parted-loop"]),
    ] {
        let image = dir.image("table", 64 * MIB);
        run(&format!("parted -s {} mklabel {label}", image.name()));
        expect(&image, deep, deep);
    }
    let image = dir.image("dos", 64 * MIB);
    let said = ask("label: dos\n2048,20480,83\n", &format!("sfdisk -q {}", image.name()));
    assert_eq!(said.code, 0, "{}", said.text);
    expect(&image, &["mbr"], &["mbr"]);
}

#[test]
fn a_gpt_is_known_by_its_backup_alone_with_sectors_of_both_sizes() {
    let dir = Dir::new("gpt");
    for sector in [512, 4096] {
        let image = dir.image("gpt", 64 * MIB);
        let device = Loop::over(&image, sector);
        let said = ask("label: gpt\n,10M\n", &format!("sfdisk -q --no-reread {}", device.name()));
        assert_eq!(said.code, 0, "{}", said.text);
        run("sync");
        drop(device);
        let places =
            |image: &Image| -> Vec<u64> { look(image, LOOK_BYTES).iter().map(|seen| seen.at.0).collect() };
        assert_eq!(
            places(&image),
            if sector == 512 { [510, 512, 64 * MIB - 512] } else { [510, 4096, 64 * MIB - 4096] }
        );
        expect(&image, &["gpt"], &["gpt"]);
        image.write(0, &[0; 32 * KIB as usize]);
        assert_eq!(places(&image), [64 * MIB - u64::from(sector)], "the stale backup");
        assert_eq!(names(&look(&image, LOOK_BYTES)), ["gpt"]);
    }
}

#[test]
fn boot_code_of_grub_is_known() {
    let dir = Dir::new("grub");
    let image = dir.image("grub", 64 * MIB);
    let code =
        std::fs::read("/usr/lib/grub/i386-pc/boot.img").expect("boot.img is needed, run ./build.sh setup");
    image.write(0, &code);
    expect(&image, &["grub"], &["grub"]);
}

#[test]
fn bcache_and_drbd_are_known() {
    let dir = Dir::new("block");
    for role in ["-B", "-C"] {
        let image = dir.image("bcache", 64 * MIB);
        let device = Loop::over(&image, 512);
        run(&format!("make-bcache {role} {}", device.name()));
        drop(device);
        expect(&image, &["bcache"], &["bcache"]);
    }
    for line in ["v08 DEVICE internal create-md", "v09 DEVICE internal create-md 1"] {
        let image = dir.image("drbd", 64 * MIB);
        let device = Loop::over(&image, 512);
        run(&format!("drbdmeta --force 0 {}", line.replace("DEVICE", device.name())));
        drop(device);
        expect(&image, &["drbd"], &["drbd"]);
    }
}

#[test]
fn device_mapper_metadata_is_known() {
    let dir = Dir::new("dm");
    for (tool, xml, name) in [
        (
            "thin",
            "<superblock uuid=\"\" time=\"0\" transaction=\"1\" flags=\"0\" version=\"2\" data_block_size=\"128\" \
             nr_data_blocks=\"0\"></superblock>",
            "dm-thin",
        ),
        (
            "cache",
            "<superblock uuid=\"\" block_size=\"128\" nr_cache_blocks=\"10\" policy=\"smq\" hint_width=\"4\">\
             <mappings></mappings><hints></hints></superblock>",
            "dm-cache",
        ),
        (
            "era",
            "<superblock uuid=\"\" block_size=\"128\" nr_blocks=\"10\" current_era=\"1\">\
             <writeset era=\"0\" nr_bits=\"10\"></writeset><era_array></era_array></superblock>",
            "dm-era",
        ),
    ] {
        let image = dir.image(name, 8 * MIB);
        std::fs::write(dir.path("xml"), xml).unwrap();
        run(&format!("{tool}_restore -i {} -o {}", dir.path("xml").display(), image.name()));
        expect(&image, &[name], &[name]);
    }
    let (data, hashes) = (dir.image("data", 4 * MIB), dir.image("hashes", 4 * MIB));
    run(&format!("veritysetup format {} {}", data.name(), hashes.name()));
    expect(&hashes, &["dm-verity"], &["dm-verity"]);
}

#[test]
fn disk_images_are_known() {
    let dir = Dir::new("images");
    for (format, name) in [
        ("qcow2", "qcow2"),
        ("qed", "qed"),
        ("vmdk", "vmdk"),
        ("vpc", "vhd"),
        ("vhdx", "vhdx"),
        ("vdi", "vdi"),
        ("parallels", "parallels"),
    ] {
        let image = Image { path: dir.path(format) };
        run(&format!("qemu-img create -q -f {format} {} 64M", image.name()));
        let size = image.size().max(4 * DEEP_LOOK_BYTES).next_multiple_of(512);
        if format != "vpc" {
            std::fs::File::options().write(true).open(&image.path).unwrap().set_len(size).unwrap();
        }
        expect(&image, &[name], &[name]);
    }
}

/// A version 1 superblock of Linux RAID (`md_p.h`, `struct mdp_superblock_1`), sealed as the kernel seals it.
fn md_superblock(at: u64) -> Vec<u8> {
    let mut block = vec![0u8; 256 + 2 * 2];
    for (offset, word) in [(0usize, 0xa92b_4efcu32), (4, 1), (72, 1), (92, 2), (220, 2)] {
        block[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
    let sectors = 16 * MIB / 512;
    for (offset, word) in [(80usize, sectors), (128, 2048), (136, sectors), (144, at / 512)] {
        block[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
    }
    block[16..32].copy_from_slice(b"0123456789abcdef");
    block[258] = 1;
    let sum: u64 = block.chunks(4).map(|word| u64::from(u32::from_le_bytes(word.try_into().unwrap()))).sum();
    block[216..220]
        .copy_from_slice(&((sum & 0xffff_ffff) as u32).wrapping_add((sum >> 32) as u32).to_le_bytes());
    block
}

/// The md driver makes these; here they are made by its header file, and `mdadm` is asked what they are.
#[test]
fn linux_raid_of_every_version_is_known() {
    let dir = Dir::new("md");
    let size = 64 * MIB + 5 * 512;
    for (version, at) in [("1.0", size / 4096 * 4096 - 8192), ("1.1", 0), ("1.2", 4096)] {
        let image = dir.image("md", size);
        image.write(at, &md_superblock(at));
        let said = run(&format!("mdadm --examine {}", image.name()));
        assert!(said.contains(&format!("Version : {version}")) && said.contains("- correct"), "{said}");
        let near = version != "1.0";
        expect(&image, &["md"], if near { &["md"] } else { &[] });
    }
    let image = dir.image("md", size);
    let words = [0xa92b_4efcu32, 0, 90, 0, 0, 7, 1, 1, 16 * 1024, 1, 2, 0, 0, 7, 7, 7];
    let block: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    image.write(size / (64 * KIB) * 64 * KIB - 64 * KIB, &block);
    assert!(run(&format!("mdadm --examine {}", image.name())).contains("Version : 0.90"));
    expect(&image, &["md"], &[]);
}

/// Where in an image a specimen's bytes go.
enum At {
    Start(u64),
    /// So far before the end of the image.
    End(u64),
}

/// Our name, what `wipefs` must call it where it knows it by its magic alone, whether 8 KiB of each end show it,
/// and the bytes.
type Specimen<'a> = (&'a str, Option<&'a str>, bool, &'a [(At, &'a [u8])]);

/// By the formats' own definitions.
#[test]
fn what_no_tool_makes_here_is_known_by_its_specification() {
    use At::{End, Start};
    let dir = Dir::new("specimens");
    let uberblock: &[u8] = &[0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0, 0x88, 0x13];
    let zfs_ring: &[(At, &[u8])] = &[
        (Start(128 * KIB), uberblock),
        (Start(129 * KIB), uberblock),
        (Start(130 * KIB), uberblock),
        (Start(131 * KIB), uberblock),
        (Start(132 * KIB), uberblock),
    ];
    let specimens: &[Specimen] = &[
        ("lvm1", Some("LVM1_member"), true, &[(Start(0), b"HM\x01\0")]),
        ("dm-integrity", Some("DM_integrity"), true, &[(Start(0), b"integrt\0\x01")]),
        ("dm-snapshot", Some("DM_snapshot_cow"), true, &[(Start(0), b"SnAp\x01\0\0\0\x01\0\0\0")]),
        ("vdo", None, true, &[(Start(0), b"dmvdo001")]),
        ("stratis", None, true, &[(Start(516), b"!Stra0tis\x86\xff\x02^\x41rh")]),
        ("imsm", Some("isw_raid_member"), true, &[(End(1024), b"Intel Raid ISM Cfg Sig. 1.1.00")]),
        ("ddf", Some("ddf_raid_member"), true, &[(End(512), b"\xde\x11\xde\x11")]),
        ("lsi", Some("lsi_mega_raid_member"), true, &[(End(512), b"$XIDE$")]),
        (
            "promise",
            Some("promise_fasttrack_raid_member"),
            false,
            &[(End(63 * 512), b"Promise Technology, Inc.")],
        ),
        ("highpoint", Some("hpt37x_raid_member"), true, &[(Start(4640), b"\xf0\x16\x78\x5a")]),
        ("highpoint", Some("hpt45x_raid_member"), true, &[(End(11 * 512), b"\xf3\x16\x78\x5a")]),
        ("sanlock", None, true, &[(Start(0), b"\x10\x20\x21\x12\x04\0\x03\0")]),
        ("sanlock", None, true, &[(Start(0), b"\x10\x20\x15\x06\x04\0\x06\0")]),
        ("sbd", None, true, &[(Start(0), b"SBD_SBD_\x02\xff")]),
        ("bluestore", Some("ceph_bluestore"), true, &[(Start(0), b"bluestore block device\n")]),
        ("oracleasm", Some("oracleasm"), true, &[(Start(32), b"ORCLDISKDATA01")]),
        ("ldm", None, true, &[(Start(3072), b"PRIVHEAD")]),
        ("ldm", None, true, &[(End(512), b"PRIVHEAD")]),
        ("zfs", Some("zfs_member"), false, zfs_ring),
        ("refs", Some("ReFS"), true, &[(Start(0), b"\0\0\0ReFS\0")]),
        ("reiser4", Some("reiser4"), false, &[(Start(64 * KIB), b"ReIsEr4")]),
        ("ubi", None, true, &[(Start(0), b"UBI#\x01")]),
        ("romfs", None, true, &[(Start(0), b"-rom1fs-")]),
        ("ocfs", None, false, &[(Start(8 * KIB), b"OracleCFS")]),
        ("vxfs", None, true, &[(Start(KIB), b"\xf5\xfc\x01\xa5\x07\0\0\0")]),
        ("hpfs", None, false, &[(Start(8 * KIB), b"\x49\xe8\x95\xf9")]),
        ("ufs", None, false, &[(Start(64 * KIB + 1372), b"\x19\x01\x54\x19")]),
        ("hfsplus", None, true, &[(Start(KIB), b"H+\0\x04")]),
        ("apfs", None, true, &[(Start(32), b"NXSB")]),
        (
            "bcachefs",
            None,
            true,
            &[(Start(4120), b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef")],
        ),
    ];
    for (name, wipefs, near, writes) in specimens {
        let image = dir.image("specimen", 64 * MIB);
        for (at, bytes) in *writes {
            image.write(
                match at {
                    Start(at) => *at,
                    End(back) => 64 * MIB - back,
                },
                bytes,
            );
        }
        let said = run(&format!("wipefs -n -i -p -O type {}", image.name()));
        assert!(
            wipefs.is_none_or(|word| said.trim().lines().any(|line| line == word)),
            "{name}: wipefs says '{said}'"
        );
        expect(&image, &[name], if *near { std::slice::from_ref(name) } else { &[] });
    }
}

#[test]
fn an_empty_image_carries_nothing() {
    let dir = Dir::new("empty");
    let image = dir.image("empty", 64 * MIB);
    expect(&image, &[], &[]);
    assert_eq!(content(&image.head(FSIM_LOOK)), Content::Empty);
}
