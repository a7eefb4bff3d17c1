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
/// 24 MiB` (disks, volumes, size) and `data/home 3 MiB linear 1`. A container of which too few disks are here to say
/// what counts shows nothing.
pub fn model(listed: &str) -> Vec<String> {
    let containers = rows(listed, "CONTAINER");
    let speaks = |row: &&Vec<&str>| {
        row.len() > 5 && !["deleted", "-"].contains(&row[1]) && row.last() != Some(&"incomplete")
    };
    let containers: Vec<Vec<&str>> = containers.iter().filter(speaks).cloned().collect();
    let is_of = |row: &&Vec<&str>| containers.iter().any(|of| row[0].split('/').next() == Some(of[0]));
    let lines = containers.iter().map(|row| {
        let disks = row[3].rsplit('/').next().unwrap_or_default();
        [row[0], row[1], row[2], disks, row[4], row[5]].join(" ")
    });
    let volumes = rows(listed, "VOLUME");
    let volumes = volumes.iter().filter(is_of).map(|row| row[..row.len().min(4)].join(" "));
    lines.chain(volumes).collect()
}

/// The rows of the table whose head begins so, as words.
fn rows<'a>(listed: &'a str, head: &str) -> Vec<Vec<&'a str>> {
    let table = listed.split("\n\n").find(|table| table.starts_with(head)).unwrap_or_default();
    let words = |line: &'a str| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
    table.lines().skip(1).map(words).filter(|row: &Vec<&str>| !row.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_and_what_does_not_count_left_out() {
        let listed = "CONTAINER  TYPE     OWNER  DISKS  VOLUMES    SIZE    FREE  GENERATION  STATE\n\
                      data       private  me       3/3        1  24 MiB  21 MiB           3  committed\n\
                      lone       private  me       1/3        1  24 MiB  21 MiB           1  incomplete\n\
                      \n\
                      VOLUME      SIZE  LAYOUT  DISKS  STATE\n\
                      data/home  3 MiB  linear  1      whole\n\
                      lone/home  3 MiB  linear  1      whole\n\
                      \n\
                      DISK     SIZE  STATE\n\
                      a.img  16 MiB  member\n";
        assert_eq!(model(listed), ["data private me 3 1 24 MiB", "data/home 3 MiB linear 1"]);
        assert_eq!(model("DISK  SIZE\na.img  16 MiB\n"), Vec::<String>::new());
    }
}
