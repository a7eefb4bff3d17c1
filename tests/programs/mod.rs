//! Real tools on image files and loop devices. A tool that is missing fails the test: `build.sh` lists the
//! Debian packages. Everything made here is gone when the test ends, also when it fails.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a tool said and how it ended.
pub struct Said {
    /// Standard output and standard error, one behind the other.
    pub text: String,
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
}

/// Runs a tool without a terminal, with `input` on its standard input, whatever its exit code.
pub fn ask(input: &str, line: &str) -> Said {
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .env("PATH", format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default()))
        .env("LC_ALL", "C")
        .env("LVM_SUPPRESS_FD_WARNINGS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("'{}' is needed, run ./build.sh setup: {error}", words[0]));
    // A tool that does not read its input may be gone before it is written.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Said { text: String::from_utf8_lossy(&text).into_owned(), code: output.status.code().unwrap_or(-1) }
}

/// Runs a tool that must succeed, and gives what it said.
pub fn run(line: &str) -> String {
    let said = ask("", line);
    assert_eq!(said.code, 0, "{line}: {}", said.text);
    said.text
}

/// The first number behind `word` in a text: `run("dumpe2fs …")` and "Block count:".
pub fn number_after(text: &str, word: &str) -> u64 {
    let rest = &text[text.find(word).unwrap_or_else(|| panic!("no '{word}' in: {text}")) + word.len()..];
    let digits: String =
        rest.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

/// A folder of its own for one test.
pub struct Dir(PathBuf);

impl Dir {
    /// An empty folder.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("evms-{name}-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A new image of zeros.
    pub fn image(&self, name: &str, bytes: u64) -> Image {
        let path = self.path(name);
        File::create(&path).unwrap().set_len(bytes).unwrap();
        Image { path }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An image file of a disk.
pub struct Image {
    /// Where it is.
    pub path: PathBuf,
}

impl Image {
    /// For a command line.
    pub fn name(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Its length.
    pub fn size(&self) -> u64 {
        fs::metadata(&self.path).unwrap().len()
    }

    /// Overwrites bytes of it.
    pub fn write(&self, at: u64, bytes: &[u8]) {
        File::options().write(true).open(&self.path).unwrap().write_all_at(bytes, at).unwrap();
    }

    /// Its first bytes, `limit` or all of them.
    pub fn head(&self, limit: u64) -> Vec<u8> {
        read(&self.path, 0, limit.min(self.size()))
    }

    /// Its last bytes, up to its last whole sector.
    pub fn tail(&self, limit: u64) -> Vec<u8> {
        let end = self.size() / 512 * 512;
        let length = limit.min(end);
        read(&self.path, end - length, length)
    }
}

fn read(path: &Path, at: u64, length: u64) -> Vec<u8> {
    let mut bytes = vec![0; length as usize];
    File::open(path).unwrap().read_exact_at(&mut bytes, at).unwrap();
    bytes
}

/// A loop device over an image, partitions scanned for.
pub struct Loop(String);

impl Loop {
    /// Attaches one; needs root and the loop driver.
    pub fn over(image: &Image, sector_bytes: u32) -> Self {
        Self(run(&format!("losetup -f -P -b {sector_bytes} --show {}", image.name())).trim().into())
    }

    /// For a command line: `/dev/loop3`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The block devices that the kernel made of its partitions.
    pub fn partitions(&self) -> Vec<String> {
        let own = self.0.trim_start_matches("/dev/");
        let entries = fs::read_dir(format!("/sys/block/{own}")).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(&format!("{own}p"))).collect()
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        ask("", &format!("losetup -d {}", self.0));
    }
}
