//! A label with any content behind a magic and a checksum that fit. It is believed only when what is written back is
//! the same to the byte, and its table of areas leads nowhere outside of the disk.
#![no_main]

use evms::base::units::{BLOCK_BYTES, Bytes};
use evms::format::label::{KNOWN, Label, MAGIC};
use evms::format::layout::{End, Layout};
use evms::format::node_block;
use evms::format::seal::{self, ROOM};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let content = &content[..content.len().min(ROOM - MAGIC.len())];
    let block = seal::close(&[MAGIC, content].concat()).unwrap();
    for end in End::BOTH {
        match Label::decode(&block, end) {
            Ok(label) => believed(&label, end, &block),
            Err(damage) => assert!(!damage.to_string().is_empty()),
        }
    }
});

fn believed(label: &Label, end: End, block: &[u8]) {
    assert_eq!(label.encode(end).as_deref(), Some(block));
    let _ = label.features.access(KNOWN);
    let layout = match Layout::check(label.areas.clone(), label.size_bytes()) {
        Ok(layout) => layout,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for area in layout.areas() {
        assert!(area.start_bytes().0 % BLOCK_BYTES == 0 && area.length_bytes() > Bytes::ZERO);
        assert!(area.end_bytes() <= label.size_bytes());
        let room = node_block::nodes_in(area);
        for id in [0, 1, room, room.saturating_add(1), u16::MAX] {
            let place = node_block::place(area, evms::base::id::NodeId(id), u64::MAX);
            assert!(place.is_none_or(|place| area.holds(place, BLOCK_BYTES)));
        }
    }
}
