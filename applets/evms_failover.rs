//! `evms-failover`, containers handed to another node or back: not in this build.

use crate::exit::Exit;
use crate::later::Later;

/// The applet's name.
pub const NAME: &str = "evms-failover";

const FAILOVER: Later = Later {
    name: NAME,
    help: "\
usage: evms-failover --help | --version

Moves containers to another node, or back. This build has no cluster daemon yet: whatever else is asked is refused
with code 7.
",
    options: &[],
    refusal: "this build of evms has no cluster daemon yet and cannot move a container between nodes; \
              nothing was moved; deport it with evms on this node and import it on the other",
};

/// Runs it.
pub fn run(words: &[&str]) -> Exit {
    FAILOVER.run(words)
}
