//! Keeps the house: reads every Rust file and fails on what design section 3 forbids. The tables are in
//! `tidy/house.rs`, the rules in `tidy/rules.rs`; `tidy/proofs.rs` shows of each rule that it can fail.
#![allow(clippy::expect_used, clippy::panic, reason = "a test may fail")]

#[path = "tidy/door.rs"]
mod door;
#[path = "tidy/faults.rs"]
mod faults;
#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/proofs.rs"]
mod proofs;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;

use source::Source;

fn none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n\n{}\n", findings.join("\n"));
}

fn none_in_any(rule: impl Fn(&Source) -> Vec<String>) {
    none(tree::load().iter().flat_map(rule).collect());
}

fn manifest_dependencies() -> Vec<String> {
    rules::dependencies(include_str!("../Cargo.toml"))
}

#[test]
fn every_file_is_seen() {
    let tree = tree::load();
    for path in ["src/lib.rs", "src/base/mod.rs", "applets/main.rs", "applets/evms/mod.rs", "tests/tidy.rs"] {
        assert!(tree.iter().any(|source| source.path == path), "{path} was not read");
    }
    assert!(manifest_dependencies().contains(&"serde_json".to_string()), "the manifest was not understood");
}

#[test]
fn paths_point_downward() {
    none_in_any(rules::floors);
}

#[test]
fn rooms_stand_in_an_order() {
    none(rules::circles(&tree::load()));
}

#[test]
fn crates_from_outside_keep_to_their_rooms() {
    none(rules::crates_have_rows(house::CRATES, &manifest_dependencies()));
    none_in_any(|source| rules::crates(source, house::CRATES, &manifest_dependencies()));
}

#[test]
fn nothing_banned_is_written() {
    none_in_any(|source| rules::bans(source, house::BANS));
}

#[test]
fn functions_fit_a_page() {
    none(rules::function_lengths(&tree::load(), house::LONG_FUNCTIONS));
}

#[test]
fn files_stay_small() {
    none_in_any(rules::file_length);
}

#[test]
fn no_file_is_dead() {
    none(tree::dead(&tree::load()));
}

#[test]
fn ignored_tests_name_their_issue() {
    none_in_any(rules::ignores);
}

#[test]
fn files_open_with_why_they_exist() {
    none_in_any(rules::opening);
}

#[test]
fn names_say_something() {
    none_in_any(rules::names);
}

#[test]
fn faults_have_tests_of_their_names() {
    let texts = faults::FOLDERS.iter().flat_map(|folder| faults::texts(folder)).collect::<Vec<_>>();
    let untested = faults::untested(faults::OF_THE_GATEKEEPER, &texts);
    assert!(untested.is_empty(), "no test is named after the faults {untested:?} of faults.md");
}

#[test]
fn faults_have_guest_cases_of_their_names() {
    let untested = faults::untested(faults::IN_GUESTS, &faults::texts(faults::GUESTS));
    assert!(untested.is_empty(), "no case in {} is named after the faults {untested:?}", faults::GUESTS);
}

#[test]
fn a_fault_without_a_test_is_found() {
    let texts = ["fn f1_one() {}".to_string(), "    (\"f16_f49_two\", two),".into(), "// f3_no_test".into()];
    assert_eq!(faults::untested(&[1, 3, 16, 49, 11], &texts), [3, 11]);
}

#[test]
fn the_door_takes_what_its_help_offers() {
    let door = include_str!("../build.sh");
    assert_eq!(door::refused(door), Vec::<String>::new());
}

#[test]
fn an_option_that_the_door_refuses_is_found() {
    let door = "  row \"sim [--one | --two]\" \"does --three\"\n  row \"crash [--one]\" \"\"\nmodel() {\n  case $1 in --one) ;; esac\n}\n--two\n";
    assert_eq!(door::refused(door), ["sim --two"]);
    assert_eq!(door::refused(""), ["sim --help", "crash --help"]);
}
