//! Real scripts: good ones, and those that do what nobody wants of them.

use super::*;

/// Long enough for any machine; whoever waits for it fails by a test of its own.
const LONG_MS: u64 = 60_000;

/// A folder with a program in it, gone afterwards.
struct Room(PathBuf);

impl Room {
    fn new(name: &str) -> Room {
        let room = std::env::temp_dir().join(format!("evms-agent-{name}-{}", std::process::id()));
        fs::create_dir_all(&room).unwrap();
        Room(room)
    }

    fn script(&self, text: &str) -> PathBuf {
        let path = self.0.join("fence_it");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn call(&self, text: &str, limit_ms: u64) -> Answer {
        let path = self.script(text);
        loop {
            match call(&path, "action=off\nip=10.0.0.2\n", limit_ms, |said| said.replace("top secret", "***"))
            {
                // Another test's thread forked while the script was open for writing.
                Answer { ended: Ended::NotStarted(why), .. } if why.contains("os error 26") => (),
                answer => return answer,
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn answer(ended: Ended, said: &str) -> Answer {
    Answer { ended, said: said.into() }
}

#[test]
fn it_reads_what_it_is_to_do_and_answers_by_its_code() {
    let room = Room::new("good");
    let said = room.call("cat; echo \"$# words, $PATH, $HOME\" >&2; exit 2", LONG_MS);
    assert_eq!(
        said,
        answer(Ended::Code(2), "0 words, /usr/sbin:/usr/bin:/sbin:/bin,"),
        "the options never stand in its words"
    );
    assert_eq!(room.call("grep -qx action=off && exit 0; exit 1", LONG_MS), answer(Ended::Code(0), ""));
    assert_eq!(room.call("printf 'first\\n  last \\n\\n'", LONG_MS), answer(Ended::Code(0), "last"));
    assert_eq!(room.call("kill -9 $$", LONG_MS), answer(Ended::Signal(9), ""));
    // Who does not read it waits for nobody.
    assert_eq!(room.call("exec <&-; exit 3", LONG_MS).ended, Ended::Code(3));
}

#[test]
fn who_hangs_is_killed_at_its_limit_with_all_that_it_started() {
    let room = Room::new("hangs");
    let list = room.0.join("pids");
    let text = format!(
        "trap '' TERM; sleep 600 & echo $! $$ >{0}.new; mv {0}.new {0}; echo hangs; wait",
        list.display()
    );
    let begin = clock::boot_now().ms;
    assert_eq!(room.call(&text, 700), answer(Ended::TooLate, "hangs"));
    let took = clock::boot_now().ms - begin;
    assert!((700..20_000).contains(&took), "{took} ms");
    assert_gone(&list);
}

#[test]
fn who_ends_leaves_nobody_behind() {
    let room = Room::new("leaves");
    let list = room.0.join("pids");
    let text = format!("sleep 600 & echo $! $$ >{}; exit 2", list.display());
    assert_eq!(room.call(&text, LONG_MS), answer(Ended::Code(2), ""));
    assert_gone(&list);
}

/// None of them runs; the first of them, which is ours to wait for, is no zombie either.
fn assert_gone(list: &Path) {
    let pids = fs::read_to_string(list).unwrap();
    let [grandchild, child] = pids.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{pids}") };
    assert!(!Path::new("/proc").join(child).exists(), "it was waited for");
    // Its new parent is another process, which may take a moment to wait for it.
    let runs = || {
        let stat = fs::read_to_string(Path::new("/proc").join(grandchild).join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
    };
    let ends = clock::boot_now().plus_ms(10_000);
    while runs() && clock::boot_now() < ends {
        std::thread::yield_now();
    }
    assert!(!runs(), "{grandchild} runs");
}

#[test]
fn of_megabytes_the_last_line_is_told_as_far_as_anybody_reads() {
    let room = Room::new("writes");
    let text = "head -c 5000000 /dev/urandom; printf '\\n\\033[1mdone\\n'; exit 2";
    assert_eq!(room.call(text, LONG_MS), answer(Ended::Code(2), "?[1mdone"));
    let said = room.call("head -c 900 /dev/zero | tr '\\0' 'x'", LONG_MS);
    assert_eq!(said, answer(Ended::Code(0), &"x".repeat(LINE_BYTES_MAX)));
    // What such a line began with nobody knows any more.
    assert_eq!(room.call("head -c 3000000 /dev/zero | tr '\\0' 'x'", LONG_MS), answer(Ended::Code(0), ""));
    // Without an end, it is killed as one that hangs.
    assert_eq!(room.call("exec yes", 500), answer(Ended::TooLate, "y"));
}

/// One that leaves its group is not ours to kill, and holds nobody: nor does the pipe that it keeps open.
#[test]
fn who_leaves_the_group_holds_nobody() {
    let room = Room::new("leaver");
    let begin = clock::boot_now().ms;
    let said = room.call("setsid sleep 20 & echo gone; exit 0", LONG_MS);
    assert_eq!(said, answer(Ended::Code(0), "gone"));
    assert!(clock::boot_now().ms - begin < 15_000);
}

#[test]
fn what_cannot_be_run_is_said() {
    let room = Room::new("none");
    let path = room.script("exit 0");
    assert_eq!(find(&path.display().to_string()), Some(path.clone()));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(find(&path.display().to_string()), None);
    let why = |path: &Path| match call(path, "", LONG_MS, str::to_string) {
        Answer { ended: Ended::NotStarted(why), said } if said.is_empty() => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&path).contains("denied"));
    fs::remove_file(&path).unwrap();
    assert!(why(&path).contains("No such file"), "it was there when it was looked for, and vanished");
    assert_eq!(find(&path.display().to_string()), None);
    assert_eq!(find(&room.0.display().to_string()), None, "a folder");
    assert!(find("sh").is_some_and(|sh| sh.ends_with("sh")));
    assert_eq!(find("evms-no-such-agent"), None);
}

/// Hushed before anything is cut off: half of what was said in confidence is a secret too.
#[test]
fn what_is_cut_off_was_hushed_before() {
    let room = Room::new("hush");
    let said = room.call("printf 'x%.0s' $(seq 195); echo 'top secret'", LONG_MS).said;
    assert_eq!(said, format!("{}***", "x".repeat(195)));
    // Its beginning is gone with what is not kept, and so nobody knows it.
    let said = room.call("printf 'top secret'; printf 'y%.0s' $(seq 1020); echo; echo", LONG_MS).said;
    assert_eq!(said, "");
}
