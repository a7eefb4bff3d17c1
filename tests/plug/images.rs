//! Image files in a folder of their own, put back to a state as often as wanted, and what `evms` says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// What is compared and put back at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Small, so that it is put back quickly.
const IMAGE_BYTES: u64 = 10 << 20;
/// What they are called.
const NAMES: [&str; 4] = ["a.img", "b.img", "c.img", "d.img"];

/// Every byte of every image.
pub type Snapshot = BTreeMap<&'static str, Vec<u8>>;

/// What a user would call the state: each container with a name, with what counts.
pub type State = BTreeSet<String>;

pub struct Images {
    /// Those there are.
    pub all: &'static [&'static str],
    folder: PathBuf,
    evms: PathBuf,
}

/// What a run said.
pub struct Said {
    pub code: i32,
    pub text: String,
}

impl Images {
    pub fn new(evms: &Path, count: usize) -> Images {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // In memory where there is such a place: thousands of small runs, and every flush counts.
        let root = [Path::new("/dev/shm"), Path::new(env!("CARGO_TARGET_TMPDIR"))];
        let root = root.into_iter().find(|path| path.is_dir()).expect("a place for images");
        let name = format!("evms-plug-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let images = Images { all: &NAMES[..count], folder: root.join(name), evms: evms.into() };
        fs::create_dir(&images.folder).expect("a folder for images");
        for name in images.all {
            File::create(images.path(name)).and_then(|file| file.set_len(IMAGE_BYTES)).expect("an image");
        }
        images
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The command for a line of words, on the images of `here`.
    pub fn command(&self, line: &str, here: &[&str]) -> Command {
        let mut command = Command::new(&self.evms);
        command.current_dir(&self.folder).env_remove("EVMS_NODE").env("EVMS_DISKS", here.join(":"));
        command.args(["--node-file", "no-identity"]).args(line.split_whitespace());
        command
    }

    pub fn evms(&self, line: &str, here: &[&str]) -> Said {
        let output = self.command(line, here).output().expect("evms runs");
        let text = [output.stdout, output.stderr].concat();
        Said { code: output.status.code().unwrap_or(-1), text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// It works.
    pub fn done(&self, line: &str, here: &[&str]) -> String {
        let said = self.evms(line, here);
        assert_eq!(said.code, 0, "evms {line}: {}", said.text);
        said.text
    }

    pub fn snapshot(&self) -> Snapshot {
        self.all.iter().map(|name| (*name, fs::read(self.path(name)).expect("an image"))).collect()
    }

    /// Puts back what differs.
    pub fn put_back(&self, snapshot: &Snapshot) {
        let mut now = vec![0; PIECE_BYTES];
        for (name, bytes) in snapshot {
            let file = File::options().read(true).write(true).open(self.path(name)).expect("an image");
            for (place, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
                let at = (place * PIECE_BYTES) as u64;
                let now = &mut now[..piece.len()];
                file.read_exact_at(now, at).expect("an image is read");
                if now != piece {
                    file.write_all_at(piece, at).expect("an image is written");
                }
            }
        }
    }

    /// When each image was written last.
    pub fn written(&self) -> Vec<(i64, i64)> {
        let when = |name: &&str| fs::metadata(self.path(name)).map(|meta| (meta.mtime(), meta.mtime_nsec()));
        self.all.iter().map(|name| when(name).expect("an image")).collect()
    }

    /// The state that is seen when only the images of `here` are.
    pub fn state(&self, here: &[&str]) -> State {
        let text = self.done("--json list", here);
        let answer: Value = serde_json::from_str(&text).expect("an answer in JSON");
        let result = &answer["result"];
        let containers = result["containers"].as_array().expect("a list");
        let named = containers.iter().filter(|line| line["name"] != "" && line["kind"] != "deleted");
        let words = |line: &Value| {
            let own = |volume: &&Value| {
                let name = volume["name"].as_str().unwrap_or_default();
                name.split('/').next() == line["name"].as_str()
            };
            let volumes = result["volumes"].as_array().into_iter().flatten().filter(own);
            let volumes = volumes
                .map(|volume| format!("{} {} {}", volume["name"], volume["size_bytes"], volume["disks"]));
            let volumes = volumes.collect::<BTreeSet<_>>();
            format!("{} {} {} of {}: {volumes:?}", line["name"], line["kind"], line["owner"], line["disks"])
        };
        named.map(words).collect()
    }
}

impl Drop for Images {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
