//! Service files beside the program: they say nothing to it that it does not understand.

use std::path::Path;
use std::process::Command;

use crate::program::{Folder, binary, run};

const CALLED: &str = "/usr/sbin/evmsd";
const FILES: [&str; 3] = ["evmsd.service", "evmsd-leave.service", "evmsd.openrc"];

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// Every word behind the program's name in a line that calls it, of a shell or of systemd.
fn words(text: &str) -> Vec<String> {
    let calls = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(CALLED));
    let arguments = text.lines().filter_map(|line| line.strip_prefix("command_args="));
    let behind = calls.map(|(_, behind)| behind).chain(arguments);
    let until_shell = behind.map(|behind| behind.split(['&', '|', ';']).next().unwrap_or_default());
    until_shell
        .flat_map(|line| line.split([' ', '"']))
        .filter(|word| !word.is_empty())
        .map(Into::into)
        .collect()
}

#[test]
fn service_files_say_what_the_program_understands() {
    let help = run("evmsd", &["--help"]).out;
    let known = help.split([' ', '\n', '[', ']', '|']).collect::<Vec<_>>();
    for name in FILES {
        let text = text(name);
        assert!(text.contains(CALLED), "{name}");
        for word in words(&text) {
            assert!(known.contains(&word.as_str()), "{name}: '{word}' is not in evmsd --help");
        }
    }
    assert_eq!(
        words("ExecStop=-/usr/sbin/evmsd leave\ncommand_args=\"--log syslog\"\n"),
        ["leave", "--log", "syslog"]
    );
}

/// systemd and a shell find nothing wrong with them, where they are to be had.
#[test]
fn service_files_are_whole() {
    let folder = Folder::new();
    for name in FILES {
        let text = text(name).replace(CALLED, &binary().display().to_string());
        std::fs::write(folder.0.join(name), text).unwrap();
    }
    let shell = Command::new("sh").arg("-n").arg(folder.0.join("evmsd.openrc")).output().unwrap();
    assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
    let units = FILES[..2].iter().map(|name| folder.0.join(name));
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output()
    else {
        return println!("NOT CHECKED: there is no systemd-analyze here");
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && !said.contains("evmsd"), "{said}");
}
