//! `evmsd`, the cluster daemon: not in this build.

use crate::exit::Exit;
use crate::later::Later;

/// The applet's name.
pub const NAME: &str = "evmsd";

const EVMSD: Later = Later {
    name: NAME,
    help: "\
usage: evmsd [--config FILE] [--check]
       evmsd keygen
       evmsd --help | --version

The cluster daemon. This build does not have it yet: whatever else is asked is refused with code 7.
",
    options: &["--config", "--check"],
    refusal: "this build of evms has no cluster daemon yet; nothing was started and no disk was touched; \
              containers of this machine alone are managed with evms and need no daemon",
};

/// Runs it.
pub fn run(words: &[&str]) -> Exit {
    EVMSD.run(words)
}
