//! `evms-fence`, one act against one node: not in this build.

use crate::exit::Exit;
use crate::later::Later;

/// The applet's name.
pub const NAME: &str = "evms-fence";

const FENCE: Later = Later {
    name: NAME,
    help: "\
usage: evms-fence --help | --version

Fences or unfences one node. This build has no cluster daemon yet and cannot fence: whatever else is asked is
refused with code 7, and no node may be taken for fenced on the strength of it.
",
    options: &[],
    refusal: "this build of evms has no cluster daemon yet and cannot fence; no node was fenced or unfenced; \
              cut the node's power or its path to the disks by other means",
};

/// Runs it.
pub fn run(words: &[&str]) -> Exit {
    FENCE.run(words)
}
