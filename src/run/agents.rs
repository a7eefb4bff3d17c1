//! Which fence agents a node's own file names, and what is wrong with them. Read by evmsd when it starts and when it is told to
//! (SIGHUP), and again by whoever is about to call one.

use std::path::Path;

use crate::base::name::Name;
use crate::cluster::roster::agents::Agents;
use crate::host::secret::{self, BadFile};

/// Those of this file; `knows` a node by its name. Refused where others may read what is told to them.
pub fn read(config: &Path, knows: impl Fn(&str) -> bool) -> Result<Agents, String> {
    let text = match secret::text(config) {
        Ok(text) => text,
        Err(BadFile::Missing(_)) => return Ok(Agents::default()),
        Err(bad) => return Err(format!("no fence agent is used: {bad}")),
    };
    let agents = Agents::parse(&text, knows);
    if !agents.secret {
        return Ok(agents);
    }
    match secret::secret(config) {
        Ok(_) => Ok(agents),
        Err(BadFile::Open(path, mode, owner)) => Err(format!(
            "no fence agent is used: {} has [fence.options], which may be passwords, and can be read by others (mode {mode:04o}, \
             owner {owner}); say: chown 0:0 and chmod 600, change passwords that somebody may have read, and send evmsd SIGHUP",
            path.display()
        )),
        Err(bad) => Err(format!("no fence agent is used: {bad}")),
    }
}

/// What is wrong with those that cannot be used, each in a sentence.
pub fn troubles(config: &Path, agents: &Agents) -> impl Iterator<Item = String> {
    let said = |bad| format!("{}, {bad}; this fence agent is not used; correct it", config.display());
    agents.bad.iter().map(said)
}

/// That this program is not on this machine.
pub fn missing(program: &str, node: &Name) -> String {
    let where_to = match program.starts_with('/') {
        true => String::new(),
        false => format!(" in {}", crate::host::agent::FOLDERS.join(", ")),
    };
    format!(
        "there is no program {program}{where_to} that can be run: it cannot cut the power of {node}; install it, or correct its name"
    )
}
