//! Golden files as first inputs of the fuzz targets, in the shape that each target takes: without what it makes fit.

use std::path::Path;

const BLOCK: usize = 4096;
/// The fuzz targets are shown no more than this.
const INPUT_BYTES_MAX: usize = 4096;
const LABEL_MAGIC: usize = 16;
const MAGIC: usize = 8;
/// Fields of a slot header behind the magic.
const SLOT_FIELDS: usize = 128;
const NODE_FIELDS: usize = 100;

/// A target, a name, an input.
pub type Seed = (&'static str, String, Vec<u8>);

fn cut(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes[..end].to_vec()
}

/// Fields of a label: all behind its magic but the checksum.
fn label(block: &[u8]) -> Vec<u8> {
    cut(&block[LABEL_MAGIC..BLOCK - 4])
}

fn body(slot: &[u8]) -> Vec<u8> {
    let length = u32::from_le_bytes(slot[12..16].try_into().unwrap()) as usize;
    slot[BLOCK..BLOCK + length].to_vec()
}

fn slot(slot: &[u8]) -> Vec<u8> {
    [&[0], &slot[MAGIC..MAGIC + SLOT_FIELDS], &body(slot)].concat()
}

/// Size, block size, which ends: see the target `sight`.
fn look(how: u8, size: u64, front: &[u8], tail: &[u8]) -> Vec<u8> {
    let cut = (front.len() as u16).to_le_bytes();
    [&[how, 0, cut[0], cut[1]], size.to_le_bytes().as_slice(), front, tail].concat()
}

fn node_blocks(area: &[u8]) -> Vec<u8> {
    let chunk = |block: &[u8]| {
        let how = u8::from(block.iter().any(|&byte| byte != 0));
        [&[how], &block[MAGIC..MAGIC + NODE_FIELDS]].concat()
    };
    area.chunks(BLOCK).flat_map(chunk).collect()
}

/// The inputs that the golden files give.
pub fn from(read: impl Fn(&str) -> Vec<u8>) -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    let (front, tail) = (read("disk-front")[BLOCK..].to_vec(), read("disk-tail"));
    for name in ["label-extended", "label-ro-compat", "label-incompat", "label-flipped"] {
        seeds.push(("label", name.into(), label(&read(name))));
        seeds.push(("sight", name.into(), look(1, 64 << 20, &label(&read(name)), &[])));
    }
    seeds.push(("label", "front".into(), label(&front)));
    seeds.push(("label", "tail".into(), label(&tail)));
    seeds.push(("sight", "both".into(), look(0, 64 << 20, &label(&front), &label(&tail))));
    seeds.push(("sight", "grown".into(), look(8, 65 << 20, &label(&front), &[1])));
    seeds.push(("sight", "front-gone".into(), look(6, 64 << 20, &[1], &label(&tail))));
    let slots = ["slot", "slot-first", "slot-opening", "slot-mid-set-change", "slot-flag"];
    for name in slots.into_iter().chain(["slot-section-ro-compat", "slot-section-incompat"]) {
        seeds.push(("slot", name.into(), slot(&read(name))));
        seeds.push(("model", name.into(), body(&read(name))));
    }
    seeds.push(("node_blocks", "area".into(), node_blocks(&read("node-blocks"))));
    // Three records one after the other; one over the end; one that lies.
    let op = |at: u8, how: u8, length: u16, sequence: u16| {
        let (length, sequence) = (length.to_le_bytes(), sequence.to_le_bytes());
        [at, how, length[0], length[1], sequence[0], sequence[1], 0, 0]
    };
    let ring =
        [op(0, 0, 900, 3), op(3, 0, 900, 1), op(6, 0, 5000, 2), op(22, 0, 20_000, 4), op(12, 1, 3000, 9)];
    seeds.push(("history", "ring".into(), ring.concat()));
    for (name, at, magic) in [
        ("ext4", 1080u32, b"\x53\xef".as_slice()),
        ("lvm2", 512, b"LABELONE\x01\0\0\0\0\0\0\0\0\0\0\0\x20\0\0\0LVM2 001"),
        ("xfs", 0, b"XFSB\0\0\x10\0\0\0\0\0\0\0\x40\0"),
        ("btrfs", 65600, b"_BHRfS_M"),
        ("mbr", 510, b"\x55\xaa"),
        ("gpt", 512, b"EFI PART\0\0\x01\0"),
        ("luks", 0, b"LUKS\xba\xbe\0\x02"),
        ("swap", 4086, b"SWAPSPACE2"),
        ("ntfs", 3, b"NTFS    \0\x02\x08"),
        ("md1", 4096, b"\xfc\x4e\x2b\xa9\x01\0\0\0"),
    ] {
        let [a, b, c, _] = at.to_le_bytes();
        let size = (64u64 << 20).to_le_bytes();
        let input = [size.as_slice(), &[a, b, c, magic.len() as u8], magic].concat();
        seeds.push(("foreign", name.into(), input));
    }
    seeds.retain(|(_, _, bytes)| bytes.len() <= INPUT_BYTES_MAX);
    seeds
}

/// Adds them to the corpus in the tree.
pub fn write(seeds: &[Seed]) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for (target, name, bytes) in seeds {
        std::fs::create_dir_all(corpus.join(target)).unwrap();
        std::fs::write(corpus.join(target).join(format!("golden-{name}")), bytes).unwrap();
    }
}
