//! Faults of faults.md that the gatekeeper was built against (issue 5), and whether each has a test of its name: a function or a guest's
//! case that begins with its number, `f20_…`; one that is about two faults begins with both, `f16_f49_…`.

use std::fs;
use std::path::Path;

/// Clean cuts, ties, deaths, daemons that stop; changes cut short and at once; cold starts; disks lost, late and unreachable; split
/// brains; clocks that stand; watchdogs; old configurations; quorum lost for a moment and for good.
pub const OF_THE_GATEKEEPER: &[u32] =
    &[1, 2, 3, 4, 14, 15, 17, 18, 19, 20, 21, 22, 27, 28, 30, 32, 33, 40, 44, 49, 52, 55, 56, 57];

/// Those of them that faults.md wants to see in guests, or on disks of device-mapper: a simulator is not enough for them.
pub const IN_GUESTS: &[u32] = &[2, 3, 14, 15, 19, 27, 28, 30, 31, 32, 33, 49, 52, 55, 56, 57];

/// Where tests of guests are.
pub const GUESTS: &str = "vm-tests/tests";

/// Where tests are.
pub const FOLDERS: &[&str] = &["tests", "vm-tests/tests", "src"];

/// The text of every Rust file below a folder of the tree.
pub fn texts(folder: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of tests").flatten() {
            let path = entry.path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "rs" => texts.push(fs::read_to_string(&path).expect("text")),
                _ => (),
            }
        }
    }
    texts
}

/// The faults that the name of a test begins with.
fn named(name: &str) -> Vec<u32> {
    let number = |part: &str| part.strip_prefix('f')?.parse().ok();
    name.split('_').map_while(number).collect()
}

/// Those of the list that no name of a test in these texts begins with.
pub fn untested(list: &[u32], texts: &[String]) -> Vec<u32> {
    let names = texts.iter().flat_map(|text| {
        // A function, or a case in a table of them.
        let starts = ["fn f", "(\"f", " \"f"].into_iter().flat_map(|start| text.split(start).skip(1));
        starts
            .map(|rest| format!("f{rest}").chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
    });
    let found = names.flat_map(|name: String| named(&name)).collect::<Vec<_>>();
    list.iter().copied().filter(|fault| !found.contains(fault)).collect()
}
