//! The table against itself: each row is found where it says, and nothing else is. That the rows are true is
//! shown with the real tools in `tests/foreign.rs`.

use super::*;
use crate::base::dice::Dice;
use crate::base::units::{KIB, MIB};

/// Larger than every place of the table, and no multiple of the units that tails are rounded to.
const SIZE: u64 = 8 * MIB + 5 * 512;

fn all(disk: &[u8]) -> Vec<Signature> {
    recognise(&Ends { size: Bytes(disk.len() as u64), head: disk, tail: disk })
}

fn put(disk: &mut [u8], at: u64, bytes: &[u8]) {
    disk[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
}

/// What a row's check asks for beside the magic at `at`.
fn dress(disk: &mut [u8], row: &Row, at: u64) {
    let fields: &[(i64, &[u8])] = match (row.name, row.magics[0]) {
        ("lvm1", _) => &[(2, b"\x02\0")],
        ("dm-snapshot", _) => &[(4, b"\x01\0\0\0\x01\0\0\0")],
        ("dm-writecache" | "md", _) if !row.what.contains("0.90") => &[(4, b"\x01\0\0\0")],
        ("luks1", _) => &[(6, b"\0\x01")],
        ("luks2", b"LUKS\xba\xbe") => &[(6, b"\0\x02")],
        ("ext3", _) => &[(36, b"\x04")],
        ("ext4", _) => &[(40, b"\x40")],
        ("jbd", _) => &[(40, b"\x08")],
        ("xfs-log", _) => &[(8, b"\0\0\0\x02")],
        ("gfs", _) => &[(24, b"\0\0\x05\x1d")],
        ("gfs2", _) => &[(24, b"\0\0\x07\x09")],
        ("nilfs2", _) => &[(-6, b"\x02\0\0\0"), (2, b"\x18\x01")],
        ("minix", b"\x5a\x4d") => &[(-24, b"\x10")],
        ("minix", _) => &[(-16, b"\x10")],
        ("hfs", _) => &[(20, b"\0\0\x02\0")],
        ("hfsplus", _) => &[(2, b"\0\x05")],
        ("mac", b"ER") => &[(2, b"\x02\0")],
        ("sun", _) => &[(2, b"\xda\xbe")],
        _ => &[],
    };
    for (offset, bytes) in fields {
        put(disk, at.checked_add_signed(*offset).unwrap(), bytes);
    }
}

fn places(row: &Row) -> Vec<u64> {
    let end = |unit| SIZE - SIZE % unit;
    match row.place {
        Place::Head(offsets) => offsets.to_vec(),
        Place::Tail { unit, before_end } => before_end.iter().map(|back| end(unit) - back).collect(),
        Place::HeadEvery { first, step, count } => vec![first, first + step, first + (count - 1) * step],
        Place::TailEvery { unit, before_end, step, count } => {
            let first = end(unit) - before_end;
            vec![first, first + step, first + (count - 1) * step]
        }
    }
}

/// Only with just this magic on the disk do we know that it alone is what was recognised.
#[test]
fn every_row_is_found_at_each_of_its_places_and_no_other_row_fires() {
    let mut disk = vec![0; SIZE as usize];
    for row in TABLE {
        for (at, magic) in
            places(row).into_iter().flat_map(|at| row.magics.iter().map(move |magic| (at, magic)))
        {
            put(&mut disk, at, magic);
            dress(&mut disk, row, at);
            let found = all(&disk);
            assert!(
                found.contains(&Signature { at: Bytes(at), name: row.name, what: row.what }),
                "{} at {at}: {found:?}",
                row.name
            );
            assert!(
                found.iter().all(|seen| seen.name == row.name && seen.at.0 == at),
                "{} at {at}: {found:?}",
                row.name
            );
            disk[at.saturating_sub(32) as usize..(at as usize + 512).min(SIZE as usize)].fill(0);
        }
    }
    assert_eq!(all(&disk), [], "the test cleans up after itself");
}

/// Each of these says no more than its magic, which is too little.
#[test]
fn a_row_that_asks_for_more_is_silent_without_it() {
    const ASKING: &[&str] = &[
        "lvm1",
        "dm-snapshot",
        "dm-writecache",
        "luks1",
        "ext3",
        "ext4",
        "jbd",
        "xfs-log",
        "gfs",
        "nilfs2",
        "minix",
        "hfs",
        "hfsplus",
        "sun",
    ];
    let mut disk = vec![0; SIZE as usize];
    for row in TABLE.iter().filter(|row| ASKING.contains(&row.name)) {
        let at = places(row)[0];
        put(&mut disk, at, row.magics[0]);
        assert!(all(&disk).iter().all(|seen| seen.name != row.name), "{}", row.what);
        put(&mut disk, at, &vec![0; row.magics[0].len()]);
    }
}

/// 16 bits of magic in a place where others keep a number: a superblock that cannot be is none.
#[test]
fn an_ext_magic_amid_nonsense_is_nothing() {
    let mut disk = vec![0; MIB as usize];
    put(&mut disk, 1080, b"\x53\xef");
    put(&mut disk, 1048, b"\x07\0\0\0");
    assert_eq!(all(&disk), []);
}

#[test]
fn names_are_words_of_the_command_line() {
    for name in names() {
        assert!(
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
            "{name}"
        );
        assert!(is_name(name));
    }
    assert!(!is_name("") && !is_name("none") && !is_name("all"));
}

fn with_entry(kind: u8) -> Vec<u8> {
    let mut disk = vec![0; MIB as usize];
    put(&mut disk, 446, &[0, 0, 2, 0, kind, 0xff, 0xff, 0xff, 1, 0, 0, 0, 9, 0, 0, 0]);
    put(&mut disk, 510, b"\x55\xaa");
    disk
}

fn only(disk: &[u8]) -> (&'static str, &'static str) {
    let found = all(disk);
    assert_eq!(found.len(), 1, "{found:?}");
    (found[0].name, found[0].what)
}

#[test]
fn a_boot_sector_is_called_by_what_is_in_it() {
    assert_eq!(only(&with_entry(0x83)), ("mbr", "MBR partition table"));
    assert_eq!(only(&with_entry(0xee)), ("gpt", "MBR that protects a GPT partition table"));
    let mut disk = with_entry(0);
    assert!(
        recognise(&Ends { size: Bytes(MIB), head: &disk[..511], tail: &[] }).is_empty(),
        "its magic was not read"
    );
    disk[446..510].fill(0);
    assert_eq!(only(&disk), ("mbr", "MBR partition table without partitions"));
    disk[0] = 0xfa;
    assert_eq!(only(&disk), ("mbr", "boot code"));
    put(&mut disk, 0x180, b"GRUB \0Geom");
    assert_eq!(only(&disk), ("grub", "GRUB boot code"));
    disk[510] = 0;
    assert_eq!(all(&disk), []);
}

#[test]
fn the_boot_sector_of_a_file_system_is_not_one_more_thing() {
    let mut disk = vec![0; MIB as usize];
    put(&mut disk, 0, b"\xeb\x58\x90");
    put(&mut disk, 82, b"FAT32   ");
    put(&mut disk, 510, b"\x55\xaa");
    assert_eq!(only(&disk), ("vfat", "FAT file system"));
    disk[..512].copy_from_slice(&with_entry(7)[..512]);
    put(&mut disk, 3, b"NTFS    ");
    let names: Vec<_> = all(&disk).iter().map(|seen| seen.name).collect();
    assert_eq!(names, ["ntfs", "mbr"], "but partitions in it are");
}

#[test]
fn our_own_first_block_is_not_foreign_and_a_stale_gpt_beside_it_is() {
    let mut disk = vec![0; MIB as usize];
    disk[..first_block::BYTES].copy_from_slice(&first_block::encode(Bytes(MIB)));
    assert_eq!((all(&disk), unknown_content(&disk)), (vec![], None));
    for at in [512, 4096, MIB - 512, MIB - 4096] {
        put(&mut disk, at, b"EFI PART");
        let found = all(&disk);
        assert_eq!((found.len(), found[0].name, found[0].at), (1, "gpt", Bytes(at)));
        put(&mut disk, at, &[0; 8]);
    }
    put(&mut disk, 446 + 16 + 4, &[0x83, 0, 0, 0, 1, 0, 0, 0, 1]);
    let names: Vec<_> = all(&disk).iter().map(|seen| seen.name).collect();
    assert_eq!(names, ["parted-loop", "gpt"], "with a partition in it, it is no longer ours");
}

#[test]
fn content_without_a_signature_is_found() {
    let mut head = vec![0; 8 * KIB as usize];
    assert_eq!(unknown_content(&head), None);
    head[5000] = 1;
    assert_eq!(unknown_content(&head), Some(Bytes(5000)));
    put(&mut head, 0, b"XFSB");
    assert_eq!(unknown_content(&head), None, "it is recognised");
    assert_eq!(unknown_content(&[]), None);
}

#[test]
fn a_signature_that_was_not_read_is_not_seen() {
    let mut disk = vec![0; MIB as usize];
    put(&mut disk, 64 * KIB + 64, b"_BHRfS_M");
    put(&mut disk, MIB - 64 * KIB, b"\xfc\x4e\x2b\xa9");
    let short = Ends { size: Bytes(MIB), head: &disk[..8192], tail: &disk[disk.len() - 8192..] };
    assert_eq!(recognise(&short), []);
    let names: Vec<_> = all(&disk).iter().map(|seen| seen.name).collect();
    assert_eq!(names, ["btrfs", "md"]);
}

#[test]
fn no_lengths_and_no_bytes_make_it_panic() {
    let mut dice = Dice::from_number(1);
    let noise: Vec<u8> = (0..9000 / 8 + 1).flat_map(|_| dice.number().to_le_bytes()).collect();
    let zeros = vec![0; 9000];
    for length in 0..=9000 {
        for (head, tail) in [(&noise, &zeros), (&zeros, &noise), (&noise, &noise), (&zeros, &zeros)] {
            let size = [length as u64, dice.number() % 20_000, u64::MAX][length % 3];
            recognise(&Ends { size: Bytes(size), head: &head[..length], tail: &tail[..9000 - length] });
        }
        unknown_content(&noise[..length]);
    }
    for size in [0, 1, 511, 512, 513, u64::MAX] {
        assert_eq!(recognise(&Ends { size: Bytes(size), head: &zeros, tail: &zeros }), []);
    }
}
