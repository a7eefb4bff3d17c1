//! A folder of image files to work on, gone when the test ends, and what is asked of the program there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::program::{Ended, Folder, binary};

/// Bytes of every image: small, so that hashing and comparing are quick.
pub const IMAGE_BYTES: u64 = 24 << 20;
/// What is written and compared at once.
pub const BLOCK_BYTES: usize = 4096;
/// A machine.
pub const NODE: &str = "11111111-2222-4333-8444-555555555555";
/// Another one.
pub const OTHER: &str = "99999999-8888-4777-a666-555555555555";

pub struct Bench {
    pub folder: Folder,
}

impl Bench {
    /// Images of zeros, by name.
    pub fn new(names: &[&str]) -> Bench {
        let bench = Bench { folder: Folder::new() };
        for name in names {
            bench.image(name, IMAGE_BYTES);
        }
        bench
    }

    /// `a.img` to `c.img` of a container `data` that is nobody's, with extents of 1 MiB; `d.img` is free.
    pub fn with_container() -> Bench {
        let bench = Bench::new(&["a.img", "b.img", "c.img", "d.img"]);
        bench.done("container create data --private --extent 1M a.img b.img c.img");
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    pub fn image(&self, name: &str, bytes: u64) {
        File::create(self.path(name)).unwrap().set_len(bytes).unwrap();
    }

    pub fn copy(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).unwrap();
    }

    pub fn write(&self, name: &str, at: u64, bytes: &[u8]) {
        File::options().write(true).open(self.path(name)).unwrap().write_all_at(bytes, at).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The command for a line of words. All `*.img` are looked at unless the line names disks; this machine has no
    /// identity.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(&self.folder.0).stdin(Stdio::null()).env_remove("EVMS_NODE");
        command.args(["--node-file", "no-identity"]).args(line.split_whitespace());
        let images = self.folder.names().into_iter().filter(|name| name.ends_with(".img"));
        command.env("EVMS_DISKS", images.collect::<Vec<_>>().join(":"));
        command
    }

    pub fn evms(&self, line: &str) -> Ended {
        Ended::from(self.command(line).output().unwrap())
    }

    /// It works, and says nothing on stderr; what it says on stdout.
    pub fn done(&self, line: &str) -> String {
        let ended = self.evms(line);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "evms {line}: {ended:?}");
        ended.out
    }

    /// It works, and a second time it is already so and writes nothing.
    pub fn twice(&self, line: &str) -> String {
        let first = self.done(line);
        assert!(!first.starts_with("already so"), "evms {line}: {first}");
        self.already(line);
        first
    }

    /// It is already so, and nothing is written.
    pub fn already(&self, line: &str) {
        let before = self.hashes();
        let said = self.done(line);
        assert!(said.starts_with("already so: "), "evms {line}: {said}");
        assert_eq!(self.hashes(), before, "evms {line}: something was written");
    }

    /// It is refused with this code and these words, and no byte of any file is changed.
    pub fn refused(&self, line: &str, code: i32, words: &[&str]) {
        let before = self.hashes();
        let ended = self.evms(line);
        for word in words {
            ended.refused(code, "evms", word);
        }
        assert_eq!(self.hashes(), before, "evms {line}: something was written");
    }

    /// The `result` of an answer in JSON.
    pub fn json(&self, line: &str) -> Value {
        let said = self.done(&format!("--json {line}"));
        let answer: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(answer["evms"], 1, "{said}");
        answer["result"].clone()
    }

    /// A hash of every file here.
    pub fn hashes(&self) -> BTreeMap<String, u64> {
        let names = self.folder.names().into_iter().filter(|name| self.path(name).is_file());
        names.map(|name| (name.clone(), hash(&self.read(&name)))).collect()
    }
}

/// Of the length and of every block that is not zero, with its place.
fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.len().hash(&mut hasher);
    for (place, block) in bytes.chunks(BLOCK_BYTES).enumerate() {
        if block != &[0; BLOCK_BYTES][..block.len()] {
            (place, block).hash(&mut hasher);
        }
    }
    hasher.finish()
}
