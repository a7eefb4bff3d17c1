//! A rule that cannot fail holds nothing: each is fed a small offence and must name it, and the same thing done
//! rightly and must be silent.

use crate::house::{BANS, CRATES, FILE_LINES_MAX, FUNCTION_LINES_MAX};
use crate::paths::named;
use crate::rules;
use crate::source::Source;
use crate::tree::{self, Reached};

/// The rule finds exactly one thing in `text` and its finding has `word` in it.
fn caught(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str, word: &str) {
    let findings = rule(&Source::new(path, text));
    assert!(findings.len() == 1 && findings[0].contains(word), "{path} {text:?}: {findings:?}");
}

fn silent(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) {
    let findings = rule(&Source::new(path, text));
    assert!(findings.is_empty(), "{path} {text:?}: {findings:?}");
}

fn bans(source: &Source) -> Vec<String> {
    rules::bans(source, BANS)
}

fn crates(source: &Source) -> Vec<String> {
    rules::crates(source, CRATES, &["serde_json".into(), "unheard_of".into()])
}

#[test]
fn a_look_upward_is_caught() {
    for text in [
        "use crate::engine::Engine;",
        "use crate::{base::name, engine};",
        "use super::super::engine::Engine;",
        "use super::{label, super::engine};",
        "fn f() { let x = crate::engine::go(); }",
        "fn f() { for x in 0..crate::engine::MAX {} }",
        "pub use crate::engine::Engine as Other;",
    ] {
        caught(rules::floors, "src/format/slots.rs", text, "engine");
    }
    caught(rules::floors, "src/volume/graph.rs", "use crate::cluster::view::View;", "wings");
    caught(rules::floors, "src/cluster/view.rs", "use crate::volume::graph::Graph;", "wings");
    caught(rules::floors, "src/base/mod.rs", "use super::format::label;", "format");
    caught(rules::floors, "src/base/name.rs", "use crate::nowhere::X;", "no room");
    caught(rules::floors, "src/kitchen/mod.rs", "", "no room");
}

#[test]
fn a_look_downward_or_beside_is_right() {
    silent(
        rules::floors,
        "src/format/slots.rs",
        "use crate::base::name::Name; use super::label::Label; use self::x::Y;",
    );
    silent(rules::floors, "src/run/once.rs", "use crate::{host, engine::guard, volume, cluster};");
    silent(rules::floors, "src/format/slots.rs", "// crate::engine\nconst X: &str = \"crate::engine::X\";");
    silent(rules::floors, "src/format/slots.rs", "#[cfg(test)]\nmod tests { use crate::engine::Engine; }");
    silent(rules::floors, "src/lib.rs", "pub mod engine; pub use crate::engine::Engine;");
}

#[test]
fn an_applet_that_sees_the_hands_is_caught() {
    caught(rules::floors, "applets/evms/show.rs", "use evms::host::disks;", "host");
    caught(rules::floors, "applets/evms/show.rs", "fn f() { evms::engine::go() }", "engine");
    caught(
        rules::floors,
        "applets/evms/show.rs",
        "use evms::volume::{request::Create, graph::Graph};",
        "graph",
    );
    caught(rules::floors, "applets/evms/show.rs", "use evms::runner;", "runner");
    silent(rules::floors, "applets/evms/show.rs", "use evms::{run::once, base}; use evms::volume::request;");
}

#[test]
fn a_crate_in_the_wrong_room_is_caught() {
    caught(crates, "src/base/name.rs", "use nix::sys::stat;", "nix");
    caught(crates, "src/engine/guard.rs", "fn f() { postcard::to_vec() }", "postcard");
    caught(crates, "src/run/once.rs", "use serde_json::Value;", "serde_json");
    caught(crates, "src/run/once.rs", "use unheard_of::X;", "unheard_of");
    silent(crates, "src/host/block.rs", "use nix::unistd; use std::fs; use log::info;");
    silent(crates, "tests/cli/main.rs", "use serde_json::X;");
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# why\na-b = \"1\"\nc.version = \"2\"\n[features]\nd = []\n";
    assert_eq!(rules::dependencies(manifest), ["a_b", "c"]);
    assert_eq!(rules::crates_have_rows(CRATES, &["serde".into(), "c".into()]).len(), 1);
}

#[test]
fn every_ban_is_caught_below_host() {
    for (banned, _, _) in BANS {
        let findings = bans(&Source::new(
            "src/base/x.rs",
            &format!("fn f() {{ x{banned} {banned} }}").replace("x.", "."),
        ));
        assert!(findings.iter().any(|finding| finding.contains(banned)), "{banned}: {findings:?}");
    }
    caught(bans, "src/engine/x.rs", "use std::{fmt, fs};", "std::fs");
    caught(bans, "src/engine/x.rs", "use std::{collections::{HashMap}, error};", "HashMap");
    caught(bans, "src/engine/x.rs", "use std::io::Read;", "std::io");
}

#[test]
fn bans_hold_where_they_are_meant() {
    silent(bans, "src/host/block.rs", "use std::fs; use std::collections::HashMap; async fn f() {}");
    silent(bans, "src/host/sys.rs", "fn f() { unsafe { g() } }");
    caught(bans, "src/host/block.rs", "fn f() { unsafe { g() } }", "sys.rs");
    silent(bans, "applets/main.rs", "fn f() { std::process::exit(1) }");
    caught(bans, "applets/out.rs", "fn f() { std::process::exit(1) }", "main.rs");
    caught(bans, "applets/evms/x.rs", "use std::process::{Command, exit};", "main.rs");
    silent(
        bans,
        "src/base/x.rs",
        "#![forbid(unsafe_code)]\nfn unwrapped() { x.unwrap_or(1); operand(); a_panic() }",
    );
    silent(
        bans,
        "src/base/x.rs",
        "/* std::fs */ // HashMap\nconst A: &str = r#\"panic!(\"x\")\"#; const B: char = '\"';",
    );
    silent(bans, "tests/cli/main.rs", "fn f() { x.unwrap() }");
}

#[test]
fn tests_are_cut_and_what_follows_them_is_not() {
    silent(bans, "src/base/x.rs", "#[cfg(test)]\nmod tests { fn f() { if a { x.unwrap() } } }\nfn g() {}");
    caught(bans, "src/base/x.rs", "#[cfg(test)]\nmod tests { fn f() {} }\nfn g() { x.unwrap() }", "x.rs:3");
    caught(bans, "src/base/x.rs", "#[cfg(test)]\nuse a::b;\nfn g() { x.unwrap() }", "x.rs:3");
    caught(bans, "src/base/x.rs", "fn f<'a>(x: &'a str) { g('\\'', '\"'); x.unwrap() }", "unwrap");
    caught(bans, "src/base/x.rs", "#[cfg(not(test))]\nfn g() { x.unwrap() }", "unwrap");
}

#[test]
fn a_long_function_is_caught_and_the_ratchet_turns_one_way() {
    let function = |lines: usize| format!("fn long() {{\n{}}}\n", "    x();\n".repeat(lines - 2));
    let lengths = |lines, ratchet: &[(&str, &str, usize)]| {
        rules::function_lengths(&[Source::new("src/base/x.rs", &function(lines))], ratchet)
    };
    let most = FUNCTION_LINES_MAX;
    assert!(lengths(most, &[]).is_empty());
    assert_eq!(lengths(most + 1, &[]).len(), 1);
    assert!(lengths(most + 9, &[("src/base/x.rs", "long", most + 9)]).is_empty());
    assert_eq!(lengths(most + 10, &[("src/base/x.rs", "long", most + 9)]).len(), 1, "it grew");
    assert_eq!(
        lengths(most + 8, &[("src/base/x.rs", "long", most + 9)]).len(),
        1,
        "it shrank, the row did not"
    );
    assert_eq!(lengths(5, &[("src/base/x.rs", "gone", most + 9)]).len(), 1, "a row for nothing");
}

#[test]
fn a_large_file_is_caught() {
    let lines = |count| "const X: u8 = 1;\n".repeat(count);
    silent(rules::file_length, "src/base/x.rs", &(lines(FILE_LINES_MAX) + "// a comment\n\n"));
    caught(rules::file_length, "src/base/x.rs", &lines(FILE_LINES_MAX + 1), "lines of code");
    let with_tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(FILE_LINES_MAX + 1));
    silent(rules::file_length, "src/base/x.rs", &with_tests);
}

#[test]
fn an_ignored_test_without_an_issue_is_caught() {
    for text in
        ["#[ignore]\nfn f() {}", "#[ignore = \"slow\"]\nfn f() {}", "    #[cfg_attr(x, ignore)]\nfn f() {}"]
    {
        caught(rules::ignores, "tests/x.rs", text, "issue");
    }
    silent(
        rules::ignores,
        "tests/x.rs",
        "#[ignore = \"issue-31: needs a second disk\"]\nfn f() { ignore() }",
    );
}

#[test]
fn a_file_without_a_why_and_an_empty_name_are_caught() {
    caught(rules::opening, "src/base/x.rs", "use a::b;\n", "why");
    silent(rules::opening, "src/base/x.rs", "//! Why.\n");
    caught(rules::names, "src/base/util.rs", "", "util");
    caught(rules::names, "applets/common/x.rs", "", "common");
    silent(rules::names, "src/base/utilization.rs", "");
}

#[test]
fn a_dead_file_is_caught() {
    let tree = |lib: &str| {
        [("src/lib.rs", lib), ("src/base/mod.rs", "mod name;"), ("src/base/name.rs", "")]
            .map(|(path, text)| Source::new(path, text))
    };
    assert!(tree::dead(&tree("pub mod base;")).is_empty());
    assert_eq!(tree::dead(&tree("// mod base;")).len(), 2);
    assert_eq!(tree::dead(&tree("mod base {}")).len(), 2);
    let by_tests = tree("#[cfg(test)]\nmod base;");
    assert_eq!(tree::reached(&by_tests).get("src/base/name.rs"), Some(&Reached::ByTests));
    let by_path = ["#[path = \"x/a.rs\"]\nmod b;", ""].into_iter().zip(["tests/t.rs", "tests/x/a.rs"]);
    let by_path: Vec<Source> = by_path.map(|(text, path)| Source::new(path, text)).collect();
    assert!(tree::dead(&by_path).is_empty());
}

#[test]
fn a_circle_of_files_is_caught() {
    let circles = |c: &str| {
        let files = [
            ("src/base/a.rs", "use super::b::B;"),
            ("src/base/b.rs", "use crate::base::c::C;"),
            ("src/base/c.rs", c),
        ];
        rules::circles(&files.map(|(path, text)| Source::new(path, text)))
    };
    assert_eq!(
        circles("use crate::base::a::A;"),
        ["a circle of rooms: base::a -> base::b -> base::c -> base::a"]
    );
    assert!(circles("use crate::base::Other;").is_empty());
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let text = "use a::{b::{self, c}, d as e, f::*};\nfn x() -> impl Y + use<'_> { g::h(i.j::<k::l>()) }";
    let named: Vec<String> =
        named(&Source::new("src/base/x.rs", text)).into_iter().map(|it| it.path.join("::")).collect();
    assert_eq!(named, ["a::b", "a::b::c", "a::d", "a::f::*", "g::h", "k::l"]);
}
