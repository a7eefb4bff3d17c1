//! What a try of an agent is worth: real scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

struct Script(PathBuf);

impl Script {
    /// Does `off` and `status` so.
    fn new(name: &str, off: &str, status: &str) -> Script {
        let path = std::env::temp_dir().join(format!("evms-fence-{name}-{}", std::process::id()));
        let text = format!(
            "#!/bin/sh\nread action\ncase $action in\naction=off) {off};;\naction=status) {status};;\n*) exit 9;;\nesac\n"
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Script(path)
    }

    /// What it came to, as words, and whether it proves anything.
    fn tried(&self) -> (String, bool) {
        let text = format!(
            "[[fence]]\nnode = \"n2\"\nagent = \"{}\"\ntimeout_s = 1\n[fence.options]\npassword = \"hidden\"\n",
            self.0.display()
        );
        let agents = Agents::parse(&text, |_| true);
        let agent = agents.all.first().unwrap();
        loop {
            let tried = Tried::once(agent, &self.0);
            // Another test's thread forked while the script was open for writing.
            if tried.in_words(agent).contains("os error 26") {
                continue;
            }
            let receipts = [tried.receipt(agent, NodeUuid([1; 16]), Incarnation([7; 16]))];
            return (tried.in_words(agent), tried.is_proof(&receipts));
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn only_a_status_that_reads_off_is_proof() {
    for (name, off, status, ended, proof) in [
        ("good", "exit 0", "exit 2", "off ended with 0; status ended with 2 (off)", true),
        (
            "off-fails",
            "echo no route; exit 1",
            "exit 2",
            "off ended with 1, last line 'no route'; status ended with 2 (off)",
            false,
        ),
        // A text that the shell cannot read, or words that a program does not know, end with 2 as well.
        ("broken", "exit 2", "exit 2", "off ended with 2; status ended with 2 (off)", false),
        ("lies", "exit 0", "exit 0", "off ended with 0; status ended with 0 (on)", false),
        ("off-says-off", "exit 2", "exit 1", "off ended with 2; status ended with 1 (it cannot tell)", false),
        ("killed", "exit 0", "kill -9 $$", "off ended with 0; status was ended by signal 9", false),
        ("status-hangs", "exit 0", "exec sleep 600", "off ended with 0; status was killed after 1 s", false),
        ("off-hangs", "exec sleep 600", "exit 2", "off was killed after 1 s; status was not asked", false),
        (
            "tells",
            "cat; exit 0",
            "exit 0",
            "off ended with 0, last line 'password=***'; status ended with 0 (on)",
            false,
        ),
    ] {
        let script = Script::new(name, off, status);
        let (words, is_proof) = script.tried();
        assert_eq!(words, format!("{}: {ended}", script.0.display()));
        assert_eq!(is_proof, proof, "{name}");
    }
}

#[test]
fn one_that_vanishes_proves_nothing() {
    let script = Script::new("vanishes", "rm \"$0\"; exit 0", "exit 2");
    let (words, is_proof) = script.tried();
    assert!(words.contains("off ended with 0; status was not started"), "{words}");
    assert!(!is_proof);
}
