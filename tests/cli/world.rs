//! A world that is not as it should be: images locked by others, no room, nobody who reads, other people's tools.

use std::fs::{self, File};
use std::process::Stdio;

use crate::bench::Bench;
use crate::devices::{Mount, ask, is_root, not_run, tool};
use crate::program::Ended;

/// Two commands on one image: who changes it is alone with it.
#[test]
fn an_image_that_another_has_locked_is_refused() {
    let bench = Bench::with_container();
    let image = File::open(bench.path("b.img")).unwrap();
    image.lock_shared().unwrap();
    bench.refused("volume create data/x --size 1M", 1, &["b.img: another process has it locked"]);
    bench.done("volume create data/x --size 1M --dry-run");
    assert!(bench.done("list").contains("committed"));
    image.unlock().unwrap();
    image.lock().unwrap();
    let ended = bench.evms("list");
    assert!(
        ended.code != 0 && [&ended.out, &ended.err].iter().any(|said| said.contains("locked")),
        "{ended:?}"
    );
    image.unlock().unwrap();
    bench.done("volume create data/x --size 1M");
}

/// Many at once: each change is whole, none is lost, and who did not get the lock was told.
#[test]
fn changes_at_once_are_made_one_after_the_other_or_refused() {
    let bench = Bench::with_container();
    let mut running = Vec::new();
    for number in 0..6 {
        let mut command = bench.command(&format!("volume create data/v{number} --size 1M"));
        running.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    }
    let mut made = 0;
    for child in running {
        let ended = Ended::from(child.wait_with_output().unwrap());
        match ended.code {
            0 => made += 1,
            _ => ended.refused(1, "evms", "locked"),
        }
    }
    assert_eq!(bench.json("list volumes")["volumes"].as_array().unwrap().len(), made);
    assert!(bench.done("check").contains("all is well"));
}

#[test]
fn a_full_disk_under_an_image_is_a_device_error() {
    if !is_root() {
        return not_run("images on a full file system: not root");
    }
    let bench = Bench::new(&[]);
    fs::create_dir(bench.path("small")).unwrap();
    let mount = Mount::tmpfs(&bench.path("small"), "1M");
    bench.image("small/a.img", 64 << 20);
    let ended = bench.evms("container create data --private small/a.img");
    ended.refused(6, "evms", "no room left");
    assert!(ended.err.contains("was not made"), "{ended:?}");
    fs::remove_file(bench.path("small/a.img")).unwrap();
    bench.image("small/a.img", 64 << 20);
    bench.done("--disk small/a.img list");
    drop(mount);
}

/// One of two disks that join fails while it is labelled: neither joins, and the sound one is free again.
#[test]
fn a_disk_that_fails_while_it_joins_leaves_all_as_it_was() {
    if !is_root() {
        return not_run("images on a full file system: not root");
    }
    let bench = Bench::with_container();
    fs::create_dir(bench.path("small")).unwrap();
    let mount = Mount::tmpfs(&bench.path("small"), "1M");
    bench.image("small/e.img", 64 << 20);
    let ended = bench.evms("container expand data d.img small/e.img");
    ended.refused(6, "evms", "no room left");
    assert!(
        ended.err.contains("container data was not expanded") && ended.err.contains("free again"),
        "{ended:?}"
    );
    assert_eq!(bench.json("list containers")["containers"][0]["disks"], 3);
    assert!(bench.done("check").contains("1 container on 4 disks checked: all is well"));
    // Free without a word about wiping: its labels were taken away again.
    bench.done("container create other --private d.img");
    drop(mount);
}

#[test]
fn an_answer_that_nobody_reads_is_no_failure() {
    let bench = Bench::with_container();
    for line in ["list", "--json list", "info data", "check", "history data"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ended = Ended::from(bench.command(line).stdout(writer).output().unwrap());
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{line}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = Ended::from(bench.command(line).stdout(full).output().unwrap());
        ended.refused(6, "evms", "could not be written");
    }
}

#[test]
fn a_path_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let bench = Bench::with_container();
    let bad = std::ffi::OsStr::from_bytes(b"a\xff.img");
    let ended = Ended::from(bench.command("container expand data").arg(bad).output().unwrap());
    ended.refused(2, "evms", "is not UTF-8");
    let ended = Ended::from(bench.command("list").env("EVMS_DISKS", bad).output().unwrap());
    ended.refused(2, "evms", "EVMS_DISKS in the environment is not UTF-8");
}

/// Other people's tools see that a member is taken.
#[test]
fn other_tools_see_that_a_member_is_taken() {
    let bench = Bench::with_container();
    let image = bench.path("a.img").display().to_string();
    let said = tool(&format!("wipefs -n {image}"));
    assert!(said.contains("PMBR") || said.contains("dos"), "{said}");
    let said = tool(&format!("blkid -p {image}"));
    assert!(said.contains("PTTYPE="), "{said}");
    let (_, said) = ask(&format!("parted -s {image} print"));
    assert!(said.contains("Partition Table: loop"), "{said}");
    let before = bench.hashes();
    let said = mkfs_on_a_terminal(&bench, "a.img");
    assert!(said.contains("Proceed anyway?"), "{said}");
    assert_eq!(bench.hashes(), before, "mkfs.ext4 wrote");
    bench.done("container shrink data a.img");
    assert_eq!(tool(&format!("wipefs -n {image}")), "");
}

/// `mkfs.ext4` asks only on a terminal; what it is answered is no.
fn mkfs_on_a_terminal(bench: &Bench, name: &str) -> String {
    let mut command = std::process::Command::new("script");
    command.args(["-q", "-e", "-c", &format!("PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 {name}"), "/dev/null"]);
    command.current_dir(&bench.folder.0).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("script(1) is needed, run ./build.sh setup");
    use std::io::Write;
    let _ = child.stdin.take().unwrap().write_all(b"n\n");
    let output = child.wait_with_output().unwrap();
    assert_ne!(output.status.code(), Some(0), "mkfs.ext4 went on");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
