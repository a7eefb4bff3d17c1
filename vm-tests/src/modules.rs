//! Which modules of the kernel an image carries: the wanted ones and whatever they need, read from the kernel's own
//! lists. A module that is built in needs no file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::trouble::Trouble;

/// Enough for disks of both kinds, volumes and faulty disks. The targets error, linear and striped are in dm-mod.
pub const USUAL: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "sd_mod",
    "virtio_scsi",
    "dm-mod",
    "dm-flakey",
    "dm-delay",
    "dm-log-writes",
    "ext4",
    "softdog",
];

/// The same for a kernel that is a process: its disks, cards and lines are built in.
pub const USUAL_USER_MODE: &[&str] = &["dm-mod", "dm-flakey", "dm-delay", "softdog"];

/// For a guest with a card in a network.
pub const NETWORK: &[&str] = &["virtio_net"];
/// For the line of events, which every guest has.
pub const EVENTS: &[&str] = &["virtio_console"];

/// The kernel's lists.
#[derive(Debug)]
pub struct Modules {
    folder: PathBuf,
    /// Name to file and the files that it needs, relative to the folder.
    needs: BTreeMap<String, (String, Vec<String>)>,
    built_in: BTreeSet<String>,
    aliases: String,
}

/// Modules and everything that they need.
#[derive(Debug)]
pub struct Chosen {
    /// Files relative to the kernel's folder.
    pub files: BTreeSet<String>,
    /// Lines for `modules.dep`.
    pub needs: String,
    /// Lines for `modules.alias`, by which the kernel asks for a module itself.
    pub aliases: String,
}

impl Modules {
    /// Reads the lists in a kernel's folder.
    pub fn read(folder: &Path) -> Result<Self, Trouble> {
        let list = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(Trouble::file("reading", &path))
        };
        Ok(Self {
            folder: folder.into(),
            needs: list("modules.dep")?.lines().filter_map(needs).collect(),
            built_in: list("modules.builtin")?.lines().map(name).collect(),
            aliases: list("modules.alias")?,
        })
    }

    /// The kernel's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a module has to be loaded: false when it is built in, a trouble when there is none.
    pub fn is_loadable(&self, module: &str) -> Result<bool, Trouble> {
        let name = name(module);
        if self.needs.contains_key(&name) {
            return Ok(true);
        }
        if self.built_in.contains(&name) { Ok(false) } else { Err(Trouble::NoModule(module.into())) }
    }

    /// The wanted modules with everything that they need.
    pub fn choose(&self, wanted: &[String]) -> Result<Chosen, Trouble> {
        let mut files = BTreeSet::new();
        for module in wanted {
            if self.is_loadable(module)? {
                let (file, needed) = &self.needs[&name(module)];
                files.insert(file.clone());
                files.extend(needed.iter().cloned());
            }
        }
        let names: BTreeSet<String> = files.iter().map(|file| name(file)).collect();
        let rows = names.iter().map(|name| &self.needs[name]);
        let needs = rows.map(|(file, needed)| format!("{file}: {}\n", needed.join(" "))).collect();
        Ok(Chosen { files, needs, aliases: self.aliases_of(&names) })
    }

    fn aliases_of(&self, names: &BTreeSet<String>) -> String {
        let of_chosen = |line: &&str| line.rsplit(' ').next().is_some_and(|last| names.contains(&name(last)));
        self.aliases.lines().filter(of_chosen).map(|line| format!("{line}\n")).collect()
    }
}

/// One line of `modules.dep`.
fn needs(line: &str) -> Option<(String, (String, Vec<String>))> {
    let (file, needed) = line.split_once(':')?;
    Some((name(file), (file.into(), needed.split_whitespace().map(String::from).collect())))
}

/// A module's name from its file; `-` and `_` are the same to the kernel.
fn name(file: &str) -> String {
    let last = file.rsplit('/').next().unwrap_or(file);
    last.split(".ko").next().unwrap_or(last).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules() -> Modules {
        let lines =
            ["kernel/md/dm-mod.ko:", "kernel/md/dm-flakey.ko: kernel/md/dm-mod.ko", "kernel/x.ko.xz:"];
        Modules {
            folder: "/".into(),
            needs: lines.into_iter().filter_map(needs).collect(),
            built_in: [name("kernel/fs/ext4/ext4.ko")].into(),
            aliases: "# a list\nalias devname:mapper/control dm_mod\nalias x-1 x\n".into(),
        }
    }

    #[test]
    fn what_is_needed_comes_along() {
        let chosen = modules().choose(&["dm_flakey".into(), "ext4".into()]).unwrap();
        assert_eq!(Vec::from_iter(&chosen.files), ["kernel/md/dm-flakey.ko", "kernel/md/dm-mod.ko"]);
        assert_eq!(chosen.needs, "kernel/md/dm-flakey.ko: kernel/md/dm-mod.ko\nkernel/md/dm-mod.ko: \n");
        assert_eq!(chosen.aliases, "alias devname:mapper/control dm_mod\n");
    }

    #[test]
    fn built_in_compressed_and_unknown_ones_are_told_apart() {
        let modules = modules();
        assert!(modules.is_loadable("x").unwrap());
        assert!(!modules.is_loadable("ext4").unwrap());
        assert!(matches!(modules.is_loadable("y"), Err(Trouble::NoModule(name)) if name == "y"));
    }
}
