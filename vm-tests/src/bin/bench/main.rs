//! Measures in guests: `bench NAME PROGRAMS`, where `PROGRAMS` is the folder of the small static programs of
//! `../../../bench`. What counts is what was measured side by side in one guest; every figure is a median with its spread.

use std::env;
use std::path::Path;
use std::process::ExitCode;

mod activation;
mod closing;
mod container;
mod discovery;
mod lvm;
mod measure;
mod throughput;

/// A bench and the folder of its programs.
type Bench = fn(&Path);

const NAMES: &[(&str, Bench)] = &[
    ("activation", activation::bench),
    ("closing", closing::bench),
    ("discovery", discovery::bench),
    ("throughput", throughput::bench),
];

fn main() -> ExitCode {
    let words = env::args().skip(1).collect::<Vec<_>>();
    let found = match words.as_slice() {
        [name, programs] => NAMES.iter().find(|(known, _)| known == name).map(|(_, bench)| (bench, programs)),
        _ => None,
    };
    let Some((bench, programs)) = found else {
        let names = NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        eprintln!("usage: bench {} PROGRAMS", names.join("|"));
        return ExitCode::from(2);
    };
    bench(Path::new(programs));
    ExitCode::SUCCESS
}
