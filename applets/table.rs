//! The list of applets: one row each. `--list` prints it, `--install` and the initramfs make their links from it,
//! and a name that is not in it is refused, never guessed.

use serde_json::{Value, json};

use crate::exit::Exit;
use crate::{evms, evms_failover, evms_fence, evmsd};

/// One applet.
pub struct Applet {
    /// The exact name it is started by.
    pub name: &'static str,
    /// What it is for, in one line of `evms --help`.
    pub line: &'static str,
    /// Runs it on the words after its name.
    pub run: fn(&[&str]) -> Exit,
}

/// The applet that also answers `--list` and `--install` and runs the others by name; the file's own name.
pub const FRONT: &str = "evms";

/// Every applet, the front first.
pub const APPLETS: &[Applet] = &[
    Applet { name: FRONT, line: "manage disks, containers and volumes", run: evms::run },
    Applet { name: evmsd::NAME, line: "the cluster daemon", run: evmsd::run },
    Applet { name: evms_fence::NAME, line: "what stops the I/O of a node, and why", run: evms_fence::run },
    Applet {
        name: evms_failover::NAME,
        line: "move containers to another node, or back",
        run: evms_failover::run,
    },
];

/// The applet of exactly this name.
pub fn find(name: &str) -> Option<&'static Applet> {
    APPLETS.iter().find(|applet| applet.name == name)
}

/// All names, each followed by `end`.
pub fn names(end: &str) -> String {
    APPLETS.iter().flat_map(|applet| [applet.name, end]).collect()
}

/// The table as JSON: `[{"name": …, "line": …}, …]`.
pub fn json() -> Value {
    APPLETS.iter().map(|applet| json!({ "name": applet.name, "line": applet.line })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_whole() {
        assert!(find("evmsd").is_some());
        for wrong in ["", "evm", "evmsdd", "EVMS", "evms-", "/evms", "evms "] {
            assert!(find(wrong).is_none(), "{wrong:?}");
        }
        assert_eq!(names("\n"), "evms\nevmsd\nevms-fence\nevms-failover\n");
    }
}
