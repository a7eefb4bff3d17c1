//! Loop devices and mounts for a test, taken away when it ends, and other people's tools.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Written past the harness, which would swallow it.
pub fn not_run(what: &str) {
    let _ = writeln!(std::io::stderr(), "NOT RUN: {what}");
}

/// How a tool ended, and all that it said.
pub fn ask(line: &str) -> (i32, String) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let output = Command::new(words[0])
        .args(&words[1..])
        .env("PATH", format!("/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default()))
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("'{}' is needed, run ./build.sh setup: {error}", words[0]));
    let said = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
}

/// A tool that has to work, and what it said.
pub fn tool(line: &str) -> String {
    let (code, said) = ask(line);
    assert_eq!(code, 0, "{line}: {said}");
    said
}

/// A loop device.
pub struct Loop(String);

impl Loop {
    pub fn over(image: &Path) -> Loop {
        Loop(tool(&format!("losetup -f --show {}", image.display())).trim().into())
    }

    pub fn read_only(image: &Path) -> Loop {
        Loop(tool(&format!("losetup -r -f --show {}", image.display())).trim().into())
    }

    pub fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        ask(&format!("losetup -d {}", self.0));
    }
}

/// Something mounted.
pub struct Mount(String);

impl Mount {
    pub fn over(device: &str, at: &Path) -> Mount {
        tool(&format!("mount {device} {}", at.display()));
        Mount(at.display().to_string())
    }

    /// A file system in memory with so much room.
    pub fn tmpfs(at: &Path, size: &str) -> Mount {
        tool(&format!("mount -t tmpfs -o size={size} none {}", at.display()));
        Mount(at.display().to_string())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        ask(&format!("umount {}", self.0));
    }
}
