//! `evms-failover`, containers handed to another node or back: not in this build.

use crate::exit::Exit;
use crate::later::Later;

/// The applet's name.
pub const NAME: &str = "evms-failover";

const FAILOVER: Later = Later {
    name: NAME,
    help: "\
usage: evms-failover --help | --version

Moves containers to another node, or back, by a policy. That is not in this build: whatever is asked is refused with
code 7. A private container whose owner is gone is taken over by itself (evms why NAME); to move one by hand:
evms deactivate NAME on its owner, then evms container modify NAME --owner NODE.
",
    options: &[],
    refusal: "policies of failover are not in this build; nothing was moved; move a private container with: evms deactivate NAME \
              on its owner, then evms container modify NAME --owner NODE",
};

/// Runs it.
pub fn run(words: &[&str]) -> Exit {
    FAILOVER.run(words)
}
