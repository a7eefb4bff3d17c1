//! What other daemons say in messages, and what programs say on the control socket: any bytes. What is understood is written
//! back with the same meaning; all else is a typed refusal, and no length makes anybody reserve what did not come.
#![no_main]

use evms::format::control::{self, FRAME_BYTES_MAX, LENGTH_BYTES, Question, Reply};
use evms::format::letter::Letter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for bytes in [input.to_vec(), [&[1], input].concat()] {
        if let Some(letter) = Letter::decode(&bytes) {
            assert_eq!(Letter::decode(&letter.encode()), Some(letter));
        }
    }
    if let Some((head, _)) = input.split_first_chunk::<LENGTH_BYTES>() {
        assert!(
            control::length_of(*head).is_ok_and(|length| length <= FRAME_BYTES_MAX)
                || head[2] >= 0x10
                || head[3] > 0
        );
    }
    for body in [input.to_vec(), [&[1, 0], input].concat()] {
        if let Ok(question) = control::decode::<Question>(&body) {
            let frame = control::encode(&question);
            assert_eq!(control::decode(&frame[LENGTH_BYTES..]), Ok(question));
        }
        if let Ok(reply) = control::decode::<Reply>(&body) {
            let frame = control::encode(&reply);
            assert_eq!(control::decode(&frame[LENGTH_BYTES..]), Ok(reply));
        }
    }
});
