//! One look at both ends of a disk: any bytes, or labels whose magic and checksum are made to fit. What is taken for
//! ours is what one of the labels says, fits the disk, and is never one of two that disagree.
#![no_main]

use evms::base::units::{BLOCK_BYTES, Bytes};
use evms::format::first_block;
use evms::format::label::{Label, MAGIC};
use evms::format::layout::End;
use evms::format::seal::{self, BLOCK, ROOM};
use evms::volume::discover::{self, Sighting};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((head, content)) = input.split_at_checked(12) else { return };
    let how = head[0];
    let logical_block = [512, 1024, 4096, 8192][usize::from(head[1] & 3)];
    let cut = usize::from(u16::from_le_bytes([head[2], head[3]])).min(content.len());
    let size =
        Bytes(u64::from_le_bytes([head[4], head[5], head[6], head[7], head[8], head[9], head[10], head[11]]));
    let (front, tail) = content.split_at(cut);
    let tail = if how & 1 == 1 { twin(front) } else { tail.to_vec() };
    let front = [first(how, size).to_vec(), block(front, how & 4 != 0)].concat();
    let tail = [block(&tail, how & 8 != 0), vec![if how & 16 == 0 { 0 } else { 0x41 }; BLOCK]].concat();
    match discover::sight(size, logical_block, &front, &tail) {
        Sighting::Ours(seen) => ours(&seen, size, logical_block, &front, &tail),
        Sighting::Unusable(why) => assert!(!why.to_string().is_empty()),
        Sighting::Foreign(found) => assert!(!found.is_empty()),
        Sighting::Blank => assert!(!first_block::is_ours(&front)),
    }
});

fn first(how: u8, size: Bytes) -> [u8; BLOCK] {
    if how & 2 == 0 { first_block::encode(size) } else { [0; BLOCK] }
}

/// The same label as the other end would have it.
fn twin(front: &[u8]) -> Vec<u8> {
    let mut tail = front.to_vec();
    if let Some(copy) = tail.get_mut(2..4) {
        copy.copy_from_slice(&[2, 0]);
    }
    tail
}

fn block(content: &[u8], raw: bool) -> Vec<u8> {
    let content = &content[..content.len().min(ROOM - MAGIC.len())];
    if raw {
        let mut block = content.to_vec();
        block.resize(BLOCK, 0);
        return block;
    }
    seal::close(&[MAGIC, content].concat()).unwrap()
}

fn ours(seen: &discover::Labelled, size: Bytes, logical_block: u32, front: &[u8], tail: &[u8]) {
    let labels = [Label::decode(&front[BLOCK..], End::Primary), Label::decode(tail, End::Secondary)];
    let whole: Vec<_> = labels.iter().flatten().collect();
    assert!(
        whole.iter().all(|label| (label.container, label.disk) == (seen.label.container, seen.label.disk))
    );
    assert_eq!(whole[0].areas, seen.label.areas);
    assert!(labels.iter().flat_map(|label| label.as_ref().err()).all(|damage| !damage.is_newer()));
    assert!(seen.label.size_bytes() <= size && logical_block <= seen.label.logical_block);
    assert!(seen.layout.areas().iter().all(|area| area.end_bytes() <= size));
    assert_eq!(seen.layout.data().start_bytes().0 % BLOCK_BYTES, 0);
    assert_eq!(seen.member().layout, seen.layout);
    let _ = seen.access();
}
