//! What others have written: any bytes at any place of a head of 132 KiB and a tail of 68 KiB, on a disk of any size.
//! The recogniser and the readers of file system sizes bear all of it, and what is shown less sees no more.
#![no_main]

use evms::base::units::Bytes;
use evms::volume::plugins::foreign::{self, Ends};
use evms::volume::plugins::fsim::{self, Content};
use libfuzzer_sys::fuzz_target;

const HEAD: usize = 132 * 1024;
const TAIL: usize = 68 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((size, mut rest)) = input.split_first_chunk::<8>() else { return };
    let size = Bytes(u64::from_le_bytes(*size));
    let (mut head, mut tail) = (vec![0; HEAD], vec![0; TAIL]);
    // Each patch: three bytes of place (the top bit chooses the tail, from its end), one of length, and the bytes.
    while let Some((patch, behind)) = rest.split_first_chunk::<4>() {
        let place = usize::from(patch[0]) | usize::from(patch[1]) << 8 | usize::from(patch[2] & 0x7f) << 16;
        let (bytes, after) = behind.split_at(usize::from(patch[3]).min(behind.len()));
        let (end, at) =
            if patch[2] & 0x80 == 0 { (&mut head, place) } else { (&mut tail, TAIL - place % TAIL - 1) };
        let at = at % end.len();
        let length = bytes.len().min(end.len() - at);
        end[at..at + length].copy_from_slice(&bytes[..length]);
        rest = after;
    }
    let found = foreign::recognise(&Ends { size, head: &head, tail: &tail });
    assert!(found.is_sorted());
    assert!(found.iter().all(|seen| foreign::is_name(seen.name) && !seen.what.is_empty()));
    let less = foreign::recognise(&Ends { size, head: &head[..4096], tail: &[] });
    assert!(less.len() <= found.len() || found.iter().any(|seen| seen.at.0 < 4096));
    let _ = foreign::unknown_content(&head);
    match fsim::content(&head) {
        Content::FileSystem(stated) => assert!(stated.size > Bytes::ZERO && !stated.name.is_empty()),
        Content::Empty => assert!(head.iter().all(|byte| *byte == 0)),
        Content::Unknown => {}
    }
});
