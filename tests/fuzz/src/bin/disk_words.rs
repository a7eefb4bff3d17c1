//! What nodes say over a disk, a beat and a question in the place of each: any content behind a magic and a checksum that fit. What
//! stands in its own place is heard as it is written, and nothing else is; and it hides no promise of an opening.
#![no_main]

use evms::base::id::NodeId;
use evms::format::disk_beat::{self, ANSWERS_MAX, DiskBeat, DiskQuestion, Words};
use evms::format::node_block::NodeBlocks;
use evms::format::seal::{self, BLOCK};
use libfuzzer_sys::fuzz_target;

const MAGICS: [&[u8; 8]; 2] = [b"EVMSBEAT", b"EVMSQUES"];
const BLOCKS: usize = 8;
/// Bytes of input for one block: what becomes of it, and its fields.
const CHUNK: usize = 101;

fuzz_target!(|input: &[u8]| {
    let mut area = vec![0; BLOCKS * BLOCK];
    for (number, (chunk, block)) in input.chunks(CHUNK).zip(area.chunks_mut(BLOCK)).enumerate() {
        let (how, fields) = (chunk[0], &chunk[1..]);
        if how != 0 {
            // Its own magic, or that of the other one.
            let magic = MAGICS[(number + usize::from(how == 3)) % 2];
            block.copy_from_slice(&seal::close(&[magic.as_slice(), fields].concat()).unwrap());
        }
        if how == 2 {
            block[BLOCK / 2] ^= 1;
        }
    }
    let words = Words::decode(&area);
    let (mut beats, mut questions) = (Vec::new(), Vec::new());
    for (id, pair) in (1..).map(NodeId).zip(area.chunks(2 * BLOCK)) {
        let (beat, question) = pair.split_at(BLOCK);
        beats.extend(DiskBeat::decode(beat).ok().filter(|beat| beat.id == id));
        questions.extend(DiskQuestion::decode(question).ok().filter(|question| question.id == id));
    }
    assert_eq!((&words.beats, &words.questions), (&beats, &questions));
    for beat in beats {
        assert!(beat.shut.len() <= ANSWERS_MAX);
        assert_eq!(DiskBeat::decode(&beat.encode()), Ok(beat));
    }
    for question in questions {
        assert_eq!(DiskQuestion::decode(&question.encode()), Ok(question));
    }
    let promises = NodeBlocks::decode(&area);
    assert!(promises.newest.is_empty());
    let is_whole = |block: &[u8]| DiskBeat::decode(block).is_ok() || DiskQuestion::decode(block).is_ok();
    let all = area.chunks(BLOCK).all(|block| is_whole(block) || block.iter().all(|byte| *byte == 0));
    assert_eq!(disk_beat::are_all(&area), all);
});
