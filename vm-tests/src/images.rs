//! Image files that are given any content, and what evms says of them: no root, no guest.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::Arc;

use crate::content::Content;
use crate::trouble::Trouble;

/// In memory where there is such a place: thousands of small runs.
const MEMORY: &str = "/dev/shm";

/// What a run said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Both streams.
    pub text: String,
}

/// Some image files in a folder of their own, which goes with them.
#[derive(Debug)]
pub struct Images {
    evms: PathBuf,
    folder: PathBuf,
    names: Vec<String>,
    size_bytes: u64,
}

impl Images {
    /// Blank images `a.img`, `b.img` and so on. `number` tells folders of one test apart.
    pub fn make(
        evms: &Path,
        elsewhere: &Path,
        number: usize,
        count: usize,
        size_bytes: u64,
    ) -> Result<Self, Trouble> {
        let root = if Path::new(MEMORY).is_dir() { Path::new(MEMORY) } else { elsewhere };
        let folder = root.join(format!("evms-vm-images-{}-{number}", process::id()));
        fs::create_dir(&folder).map_err(Trouble::file("making", &folder))?;
        let names = ('a'..).take(count).map(|letter| format!("{letter}.img")).collect();
        Ok(Self { evms: evms.into(), folder, names, size_bytes })
    }

    /// Gives every image its content.
    pub fn put(&self, contents: &[Arc<Content>]) -> Result<(), Trouble> {
        for (name, content) in self.names.iter().zip(contents) {
            let path = self.folder.join(name);
            let failed = || Trouble::file("writing", &path);
            let file = File::create(&path).map_err(failed())?;
            file.set_len(self.size_bytes).map_err(failed())?;
            for (at, block) in content.blocks() {
                file.write_all_at(block, at).map_err(failed())?;
            }
        }
        Ok(())
    }

    /// Runs evms on the images, as this machine.
    pub fn evms(&self, node: &str, line: &str) -> Result<Said, Trouble> {
        let mut command = Command::new(&self.evms);
        command.current_dir(&self.folder).env_remove("EVMS_NODE").env("EVMS_DISKS", self.names.join(":"));
        command.args(["--as", node]).args(line.split_whitespace());
        let output = command.output().map_err(Trouble::io("running evms"))?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        Ok(Said { code: output.status.code().unwrap_or(-1), text })
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// What `evms list` shows of containers and volumes, without what changes with every commit: `data private OWNER 3 1
/// 24 MiB` (disks, volumes, size) and `data/home 3 MiB linear 1`.
pub fn model(listed: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for table in listed.split("\n\n") {
        let mut lines =
            table.lines().map(|line| line.split("  ").map(str::trim).filter(|word| !word.is_empty()));
        let kind = lines.next().and_then(|mut words| words.next()).unwrap_or_default();
        for words in lines.map(Iterator::collect::<Vec<_>>) {
            match (kind, words.as_slice()) {
                ("CONTAINER", [name, kind, owner, disks, volumes, size, ..])
                    if !["deleted", "-"].contains(kind) =>
                {
                    let disks = disks.rsplit('/').next().unwrap_or_default();
                    rows.push([name, kind, owner, disks, volumes, size].join(" "));
                }
                ("VOLUME", [name, size, layout, disks, ..]) => {
                    rows.push([name, size, layout, disks].map(|word| *word).join(" "))
                }
                _ => (),
            }
        }
    }
    rows
}
