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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_told_to_agents_is_roots_alone() {
        let path = std::env::temp_dir().join(format!("evms-agents-{}", std::process::id()));
        let plain = "[[fence]]\nnode = \"n2\"\nagent = \"evms-no-such-agent\"\n";
        let read = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            super::read(&path, |name| name == "n2")
        };
        let secret = format!("{plain}[fence.options]\npassword = \"x\"\n");
        assert_eq!(read(&secret, 0o600).unwrap().all.len(), 1);
        for mode in [0o640, 0o604] {
            let why = read(&secret, mode).unwrap_err();
            assert!(why.contains(&format!("mode {mode:04o}")) && why.contains("chmod 600"), "{why}");
        }
        assert_eq!(read(plain, 0o644).unwrap().all.len(), 1, "nothing of it is a secret");
        // One that cannot be used has what it has all the same.
        assert!(read(&secret.replace("n2", "n9"), 0o644).is_err());
        let bad = read(&secret.replace("n2", "n9"), 0o600).unwrap();
        let told = troubles(&path, &bad).collect::<Vec<_>>();
        assert!(
            matches!(&told[..], [one] if one.contains("line 1: there is no node 'n9'") && one.contains("not used")),
            "{told:?}"
        );
        fs::remove_file(&path).unwrap();
        assert_eq!(super::read(&path, |_| true), Ok(Agents::default()), "no file, no agents");
        let name = Name::parse("n2").unwrap();
        assert!(missing("x", &name).contains("no program x in /usr/sbin, /sbin"));
    }
}
