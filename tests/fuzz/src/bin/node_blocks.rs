//! An area of node blocks: any content behind a magic and a checksum that fit, some blocks torn, some blank. Of each
//! node the newest whole block in its own place counts, and nothing else does.
#![no_main]

use evms::base::id::NodeId;
use evms::base::units::Sectors;
use evms::format::layout::{Area, AreaKind, End};
use evms::format::node_block::{self, NodeBlock, NodeBlocks};
use evms::format::seal::{self, BLOCK};
use libfuzzer_sys::fuzz_target;

const MAGIC: &[u8; 8] = b"EVMSNODE";
const BLOCKS: usize = 8;
/// Bytes of input for one block: what becomes of it, and its fields.
const CHUNK: usize = 101;

fuzz_target!(|input: &[u8]| {
    let mut area = vec![0; BLOCKS * BLOCK];
    for (chunk, block) in input.chunks(CHUNK).zip(area.chunks_mut(BLOCK)) {
        let (how, fields) = (chunk[0], &chunk[1..]);
        if how != 0 {
            block.copy_from_slice(&seal::close(&[MAGIC.as_slice(), fields].concat()).unwrap());
        }
        if how == 2 {
            block[BLOCK / 2] ^= 1;
        }
    }
    let found = NodeBlocks::decode(&area);
    let place = Area {
        kind: AreaKind::NodeBlocks,
        end: End::Primary,
        start: Sectors::ZERO,
        length: Sectors((area.len() / 512) as u64),
    };
    assert_eq!(usize::from(node_block::nodes_in(&place)) * 2, BLOCKS);
    for (id, pair) in (1..).map(NodeId).zip(area.chunks(2 * BLOCK)) {
        let blocks: Vec<_> = pair.chunks(BLOCK).map(NodeBlock::decode).collect();
        // A block of a newer program makes its node's word one that cannot be told.
        let newer =
            blocks.iter().any(|block| block.as_ref().is_err_and(evms::format::damage::Damage::is_newer));
        assert_eq!(found.newer.contains(&id), newer);
        if newer {
            assert!(found.of(id).is_none() && !found.damaged.contains(&id));
            continue;
        }
        let whole = blocks.iter().flatten().filter(|block| block.id == id).map(|block| block.counter).max();
        assert_eq!(found.of(id).map(|block| block.counter), whole);
        let blank = pair.iter().all(|byte| *byte == 0);
        assert_eq!(found.damaged.contains(&id), whole.is_none() && !blank);
        for block in blocks.into_iter().flatten() {
            assert_eq!(NodeBlock::decode(&block.encode()), Ok(block));
        }
    }
    assert!(
        found.newest.iter().all(|block| Some(block.epoch) <= found.highest().map(|highest| highest.epoch))
    );
});
