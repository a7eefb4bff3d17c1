//! One file of many names: which name runs what, and the links that `--install` makes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{APPLETS, Ended, Folder, binary, run, run_with};

fn install(words: &[&str]) -> Ended {
    run("evms", &[&["--install"], words].concat())
}

fn links(folder: &Folder) -> Vec<(String, PathBuf)> {
    let link = |name: String| (name.clone(), fs::read_link(folder.0.join(name)).unwrap_or_default());
    folder.names().into_iter().map(link).collect()
}

#[test]
fn the_list_has_one_name_a_line() {
    assert_eq!(run("evms", &["--list"]).out, APPLETS.join("\n") + "\n");
    assert!(run("evms", &["--list", "--json"]).out.starts_with("[{\"line\":"));
    run("evms", &["--list", "all"]).refused(2, "evms", "'all'");
}

#[test]
fn an_applet_runs_by_its_link_and_by_the_first_word() {
    for applet in APPLETS {
        assert_eq!(run("evms", &[applet, "--version"]).out, run(applet, &["--version"]).out);
    }
}

#[test]
fn an_unknown_name_is_refused_and_the_known_ones_are_told() {
    for name in ["evmsd2", "evm", "EVMS", "evms-", "evms.old"] {
        run(name, &["--version"]).refused(2, "evms", "evms, evmsd, evms-fence, evms-failover");
        run("evms", &[name]).refused(2, "evms", name);
    }
    run::<&str>("evms", &[]).refused(2, "evms", "a verb is missing");
    let nameless = run_with("evms", &["--version"], |command| {
        std::os::unix::process::CommandExt::arg0(command, "");
    });
    nameless.refused(2, "evms", "none of its names");
}

#[test]
fn links_are_made_and_a_second_time_are_already_so() {
    let folder = Folder::new();
    let directory = folder.0.to_str().unwrap();
    let planned = install(&["--dry-run", directory]);
    assert!(
        planned.code == 0 && folder.names().is_empty() && planned.out.lines().count() == APPLETS.len(),
        "{planned:?}"
    );
    assert_eq!(install(&[directory]).code, 0);
    assert_eq!(links(&folder).len(), APPLETS.len());
    assert!(links(&folder).iter().all(|(_, target)| target == binary()), "{:?}", links(&folder));
    let again = install(&[directory]);
    assert_eq!((again.code, again.out), (0, format!("{directory}: already so\n")));
    for applet in APPLETS {
        let output = Command::new(folder.0.join(applet)).arg("--version").output().unwrap();
        assert!(Ended::from(output).out.starts_with(applet));
    }
}

/// An image is filled elsewhere than where it will be mounted: links beside the program name it alone.
#[test]
fn links_beside_a_copy_of_the_program_can_be_moved_with_it() {
    let folder = Folder::new();
    fs::copy(binary(), folder.0.join("evms")).unwrap();
    assert_eq!(install(&[folder.0.to_str().unwrap()]).code, 0);
    for (name, target) in links(&folder).into_iter().filter(|(name, _)| name != "evms") {
        assert_eq!(target, Path::new("evms"), "{name}");
    }
    assert!(fs::symlink_metadata(folder.0.join("evms")).unwrap().is_file(), "the copy stays");
}

#[test]
fn nothing_is_linked_when_a_name_is_taken() {
    let makers: [fn(&Path); 4] = [
        |path| fs::write(path, "mine").unwrap(),
        |path| fs::create_dir(path).unwrap(),
        |path| symlink("/bin/true", path).unwrap(),
        |path| symlink("/nowhere/at/all", path).unwrap(),
    ];
    for (number, make) in makers.iter().enumerate() {
        let folder = Folder::new();
        make(&folder.0.join("evms-failover"));
        install(&[folder.0.to_str().unwrap()]).refused(1, "evms", "evms-failover exists");
        assert_eq!(folder.names(), ["evms-failover"], "case {number}");
    }
}

#[test]
fn links_need_a_directory() {
    let folder = Folder::new();
    let file = folder.0.join("file");
    fs::write(&file, "").unwrap();
    install(&[folder.0.join("gone").to_str().unwrap()]).refused(3, "evms", "gone");
    install(&[file.to_str().unwrap()]).refused(1, "evms", "file");
    install(&[]).refused(2, "evms", "missing");
    install(&["--hedgehogs-only", "x"]).refused(2, "evms", "'--hedgehogs-only'");
    install(&["a", "b"]).refused(2, "evms", "'b'");
}
