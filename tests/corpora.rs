//! Every input that a fuzz target keeps, run through that target once more: what was found stays found, and a target
//! that no longer compiles is noticed without libFuzzer. The targets themselves are in `fuzz/src/bin`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail")]

// A target asks for the crate `libfuzzer_sys`; here that is this one.
extern crate self as libfuzzer_sys;

mod closure {
    /// Makes of a target's closure a function of bytes; a text that is no text is passed over, as libFuzzer does.
    macro_rules! fuzz_target {
        (|$input:ident: &str| $body:block) => {
            pub fn run(bytes: &[u8]) {
                let Ok($input) = std::str::from_utf8(bytes) else { return };
                $body
            }
        };
        (|$input:ident: &[u8]| $body:block) => {
            pub fn run($input: &[u8]) $body
        };
    }
    pub(crate) use fuzz_target;
}
pub(crate) use closure::fuzz_target;

use std::path::Path;

#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/beats.rs"]
mod beats;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/datagram.rs"]
mod datagram;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/disk_words.rs"]
mod disk_words;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/foreign.rs"]
mod foreign;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/history.rs"]
mod history;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/label.rs"]
mod label;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/letters.rs"]
mod letters;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/model.rs"]
mod model;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/node_blocks.rs"]
mod node_blocks;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/packet.rs"]
mod packet;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/roster.rs"]
mod roster;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/sight.rs"]
mod sight;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/slot.rs"]
mod slot;
#[allow(unused_attributes, reason = "elsewhere it is a root")]
#[path = "fuzz/src/bin/words.rs"]
mod words;

type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("beats", beats::run),
    ("datagram", datagram::run),
    ("disk_words", disk_words::run),
    ("foreign", foreign::run),
    ("history", history::run),
    ("label", label::run),
    ("letters", letters::run),
    ("model", model::run),
    ("node_blocks", node_blocks::run),
    ("packet", packet::run),
    ("roster", roster::run),
    ("sight", sight::run),
    ("slot", slot::run),
    ("words", words::run),
];

#[test]
fn every_kept_input_is_borne() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let inputs = |target: &str| std::fs::read_dir(folder.join("corpus").join(target)).unwrap();
    for (target, run) in TARGETS {
        let mut count = 0;
        for input in inputs(target) {
            let path = input.unwrap().path();
            println!("{}", path.display());
            run(&std::fs::read(path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{target} keeps no input");
    }
}

#[test]
fn every_target_is_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/src/bin");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(TARGETS.iter().any(|(target, _)| name == format!("{target}.rs")), "{name}");
    }
}
