//! Nonsense in a superblock must end in "unknown", never in a panic or a small number. What real file systems
//! say is held against their own tools in `tests/foreign.rs`.

use super::*;
use crate::base::dice::Dice;

const HEAD: usize = 128 * KIB as usize;

fn head(writes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut head = vec![0; HEAD];
    for (at, bytes) in writes {
        head[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    head
}

#[test]
fn only_zeros_are_empty() {
    assert_eq!(content(&[0; 4096]), Content::Empty);
    assert_eq!(content(&[]), Content::Unknown);
    assert_eq!(content(&head(&[(HEAD - 1, b"\x01")])), Content::Unknown);
}

#[test]
fn sizes_that_overflow_are_unknown() {
    let huge: &[u8] = &[0xff; 8];
    for (name, writes) in [
        (
            "ext",
            &[
                (1080, &b"\x53\xef"[..]),
                (1028, huge),
                (1120, b"\x80\0\0\0"),
                (0x550, huge),
                (1048, b"\x06\0\0\0"),
            ][..],
        ),
        ("ext, block size", &[(1080, b"\x53\xef"), (1028, b"\x01"), (1048, huge)]),
        ("xfs", &[(0, b"XFSB\0\0\x10\0"), (8, huge)]),
        ("xfs, block size", &[(0, b"XFSB\0\0\x10\x01"), (15, b"\x01")]),
        ("exfat", &[(3, b"EXFAT   "), (72, huge), (108, b"\x0c")]),
        ("exfat, shift", &[(3, b"EXFAT   "), (72, b"\x01"), (108, b"\xff")]),
        ("ntfs", &[(3, b"NTFS    "), (11, b"\0\x02"), (40, huge)]),
        ("f2fs", &[(1024, b"\x10\x20\xf5\xf2"), (1040, b"\x0c\0\0\0"), (1060, huge)]),
        ("f2fs, shift", &[(1024, b"\x10\x20\xf5\xf2"), (1040, huge), (1060, b"\x01")]),
        ("zero", &[(0, b"XFSB\0\0\x10\0")]),
        ("vfat, sector", &[(82, b"FAT32   "), (11, b"\x01\x02"), (13, b"\x01\x20\0\x02"), (32, b"\x01")]),
        ("swap, version", &[(4086, b"SWAPSPACE2"), (1024, b"\x02\0\0\0\x01")]),
        ("lvm2, header", &[(512, b"LABELONE"), (532, huge)]),
        ("luks over ext", &[(0, b"LUKS\xba\xbe"), (1080, b"\x53\xef"), (1028, b"\x08\0\0\0")]),
    ] {
        assert_eq!(content(&head(writes)), Content::Unknown, "{name}");
    }
}

#[test]
fn of_two_file_systems_the_larger_counts() {
    let both = head(&[(1080, b"\x53\xef"), (1028, b"\x08\0\0\0"), (0, b"XFSB\0\0\x10\0\0\0\0\0\0\0\0\x10")]);
    assert_eq!(stated_size(&both), Some(Stated { name: "xfs", size: Bytes(64 * KIB) }));
}

#[test]
fn a_superblock_that_is_cut_off_is_unknown() {
    let whole = head(&[(0, b"XFSB\0\0\x10\0\0\0\0\0\0\0\0\x10")]);
    assert_eq!(content(&whole[..16]), Content::FileSystem(Stated { name: "xfs", size: Bytes(64 * KIB) }));
    assert_eq!(content(&whole[..15]), Content::Unknown);
}

#[test]
fn no_bytes_make_it_panic() {
    let mut dice = Dice::from_number(7);
    let noise: Vec<u8> = (0..9000 / 8 + 1).flat_map(|_| dice.number().to_le_bytes()).collect();
    for length in 0..=9000 {
        content(&noise[..length]);
    }
    // Every magic, amid noise.
    for (at, magic) in
        [(0, &b"XFSB"[..]), (3, b"NTFS    "), (3, b"EXFAT   "), (1080, b"\x53\xef"), (512, b"LABELONE")]
    {
        let mut noise = noise.clone();
        noise[at..at + magic.len()].copy_from_slice(magic);
        for length in 0..=2048 {
            content(&noise[..length]);
        }
    }
}
