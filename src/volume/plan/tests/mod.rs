//! What is asked again and again, in words that the tests share.

use super::*;
use crate::base::failure::{Failure, Kind};
use crate::base::id::DiskId;
use crate::base::size::{Resize, Size};
use crate::base::units::{Extents, MIB};
use crate::format::model::{ContainerKind, Freed, Holder, Run};
use crate::volume::request::{Content, OwnerAsk};
use fixture::{asker, at, container, name, new_disk, volume};

mod containers;
mod disk_sets;
mod holders;
mod random;
mod restored;
mod volumes;

fn mib(mib: u64) -> Size {
    Size::Exactly(Bytes(mib * MIB))
}

fn disk(number: u16) -> DiskNumber {
    DiskNumber(number)
}

fn on(numbers: &[u16]) -> Vec<DiskNumber> {
    numbers.iter().copied().map(DiskNumber).collect()
}

fn make(volume: &str, size: Size, stripes: Option<u16>, disks: &[u16]) -> Request {
    Request::VolumeCreate { name: name(volume), size, stripes, stripe_bytes: None, on: on(disks) }
}

fn grow(volume: &str, size: Resize) -> Request {
    Request::VolumeExpand { name: name(volume), size, on: vec![] }
}

fn cut(volume: &str, size: Resize, content: Content, lose: Option<u64>) -> Request {
    let lose_data_beyond = lose.map(|mib| Bytes(mib * MIB));
    Request::VolumeShrink { name: name(volume), size, content, lose_data_beyond }
}

fn rename(volume: &str, new: &str) -> Request {
    Request::VolumeRename { name: name(volume), new: name(new) }
}

fn delete(volume: &str) -> Request {
    Request::VolumeDelete { name: name(volume) }
}

fn hand(owner: Option<OwnerAsk>, kind: Option<ContainerKind>) -> Request {
    Request::Modify { owner, kind, name: None }
}

fn ask_as(model: &Model, request: &Request, who: &Asker) -> Result<Outcome, Refusal> {
    let before = model.clone();
    // Other dice for each volume, so that no id comes twice.
    let mut dice = Dice::from_number(100 + model.volumes.len() as u64);
    let outcome = plan(model, at(5), request, who, &mut dice);
    assert_eq!(*model, before, "the present model is not touched");
    outcome
}

fn ask(model: &Model, request: &Request) -> Result<Outcome, Refusal> {
    ask_as(model, request, &asker(1, 1))
}

/// Asks, and gives the next model.
fn next(model: &Model, request: &Request) -> Model {
    match ask(model, request).unwrap() {
        Outcome::Next(planned) => planned.model,
        Outcome::AlreadySo(words) => panic!("already so: {words}"),
    }
}

/// Asks twice: once it is done, then it is so already.
fn twice(model: &Model, request: &Request) -> Model {
    let model = next(model, request);
    already(&model, request);
    model
}

fn already(model: &Model, request: &Request) -> String {
    match ask(model, request).unwrap() {
        Outcome::AlreadySo(words) if !words.is_empty() => words,
        other => panic!("not so yet: {other:?}"),
    }
}

/// Asks in vain: the sentence, and the kind.
fn refused(model: &Model, request: &Request) -> (String, Kind) {
    told(ask(model, request).unwrap_err())
}

fn told(refusal: Refusal) -> (String, Kind) {
    let words = refusal.to_string();
    assert!(words.starts_with("cannot ") && words.contains("; nothing was written; "), "{words}");
    assert!(!words.contains("  ") && !words.ends_with(['.', ' ', ';']), "{words}");
    (words, refusal.kind())
}

/// The sentence in full.
fn says(told: (String, Kind), words: &str, kind: Kind) {
    assert_eq!((told.0.as_str(), told.1), (words, kind))
}

fn holder(node: u8, life: u8, confirmed: u64, expelled: bool) -> Holder {
    let Asker { machine, incarnation, .. } = asker(node, life);
    Holder { node: machine.node, incarnation, confirmed: Generation(confirmed), expelled, watchdog_ms: 0 }
}

fn freed(disk: u16, start: u64, count: u64, generation: u64) -> Freed {
    let run = Run { disk: DiskNumber(disk), start: Extents(start), count: Extents(count) };
    Freed { run, generation: Generation(generation) }
}
