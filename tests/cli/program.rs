//! Runs the built binary under the name of an applet, through links as an administrator has them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub const APPLETS: [&str; 4] = ["evms", "evmsd", "evms-fence", "evms-failover"];

/// The binary under test.
pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_evms"))
}

/// A folder of its own for one test, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a folder for the test");
        Folder(path)
    }

    /// A folder with a link for each of `names`.
    pub fn with_links(names: &[&str]) -> Folder {
        let folder = Folder::new();
        for name in names {
            symlink(binary(), folder.0.join(name)).expect("a link for the test");
        }
        folder
    }

    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder of the test");
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Takes the end of a run, which was neither a panic nor a signal.
    pub fn from(output: Output) -> Ended {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!err.contains("panicked"), "{err}");
        assert_eq!(output.status.signal(), None, "ended by a signal: {err}");
        let code = output.status.code().expect("no signal, so a code");
        Ended { code, out: String::from_utf8_lossy(&output.stdout).into_owned(), err }
    }

    /// The refusal is one sentence on stderr that begins with the applet and has `word` in it; stdout is empty.
    pub fn refused(&self, code: i32, applet: &str, word: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.starts_with(&format!("{applet}: ")) && self.err.contains(word), "{self:?}");
        assert_eq!((self.err.matches('\n').count(), self.out.as_str()), (1, ""), "{self:?}");
    }
}

/// Runs `applet` by a link of its name; `prepare` may change how.
pub fn run_with<W: AsRef<OsStr>>(applet: &str, words: &[W], prepare: impl FnOnce(&mut Command)) -> Ended {
    let folder = Folder::with_links(&[applet]);
    let mut command = Command::new(folder.0.join(applet));
    command.args(words).stdin(Stdio::null());
    prepare(&mut command);
    Ended::from(command.output().expect("the program starts"))
}

pub fn run<W: AsRef<OsStr>>(applet: &str, words: &[W]) -> Ended {
    run_with(applet, words, |_| {})
}

/// Runs `applet` from a line of shell, where it is `"$@"`.
pub fn run_in_shell(line: &str, applet: &str, words: &[&str]) -> Ended {
    let folder = Folder::with_links(&[applet]);
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]).arg(folder.0.join(applet)).args(words).stdin(Stdio::null());
    Ended::from(command.output().expect("the shell starts"))
}
