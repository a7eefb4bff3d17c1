//! Two halves, and the disks that decide between them: images on which every node writes, each its own blocks.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Case;
use crate::lab::{Lab, PATIENCE, configuration, shown};

pub const CASES: &[Case] = &[
    ("f2_two_nodes_cut_and_one_goes_on", two_cut),
    ("f3_the_link_and_the_disk_are_gone", both_gone),
    ("f4_halves_with_three_disks_and_one_of_them_lost", four_cut),
    ("f33_a_disk_that_hangs_holds_nobody", hung),
    ("a_restart_in_a_tie_keeps_it", restarted),
    ("f33_a_disk_that_hangs_is_taken_out", hung_is_taken_out),
    ("f2_who_is_taken_out_takes_no_tie", taken_out),
    ("f2_who_accepted_the_next_takes_no_tie", undecided),
    ("a_tie_needs_a_majority_before_it", not_in_force),
    ("another_disk_at_the_path_is_not_written", another_disk),
    ("only_a_free_disk_is_prepared", prepared),
];

/// Bytes of an image.
const SIZE: u64 = 2 << 20;
/// How often both halves are looked at while one of them shall not wake.
const LOOK: Duration = Duration::from_millis(20);
/// For how long a half that lost is seen to stay down: longer than a lease and a half on a disk.
const HOLD: Duration = Duration::from_secs(8);
/// Longer than a tie takes that another one had: a disk lease, a watchdog, and what drains.
const TAKEN: Duration = Duration::from_secs(15);
/// Bytes of the first block, in which stands whose disk it is.
const HEAD: usize = 4096;

/// In memory: a disk that others keep busy for longer than a disk lease costs the tie, rightly, and no case is about that.
fn image(lab: &Lab, name: &str) -> PathBuf {
    let path = lab.memory().join(name);
    fs::File::create(&path).unwrap().set_len(SIZE).unwrap();
    path
}

/// Says `evmsd prepare` for each disk, writes what it told into the configuration of all, and starts them.
fn with_disks(lab: &mut Lab, disks: &[PathBuf]) {
    let nodes = lab.nodes.len();
    let mut text = configuration(nodes, 1);
    for disk in disks {
        let said = lab.nodes[0].evms("evmsd", &["prepare", disk.to_str().unwrap()]);
        let words = String::from_utf8(said.stdout).unwrap();
        assert!(said.status.success(), "{words}{}", String::from_utf8_lossy(&said.stderr));
        text.push_str(words.split_once(":\n").expect("it says what to write").1);
    }
    for node in &mut lab.nodes {
        node.configure(&text);
        node.start();
    }
    lab.agree(&(0..nodes).collect::<Vec<_>>(), true);
    reached(lab, disks.len());
}

/// Until every node reads so many disks.
fn reached(lab: &Lab, disks: usize) {
    let begin = Instant::now();
    let answering = |place: usize| {
        let status = lab.nodes[place].status();
        status.map_or(0, |status| status.arbitration.iter().filter(|disk| disk.answers).count())
    };
    while (0..lab.nodes.len()).any(|place| answering(place) != disks) {
        assert!(begin.elapsed() < PATIENCE, "{}", lab.logs());
        std::thread::sleep(LOOK);
    }
}

fn is_quorate(lab: &Lab, place: usize) -> bool {
    lab.nodes[place].status().is_some_and(|status| status.quorum.quorate)
}

/// Both at one moment: the first is seen before the second and after it.
fn are_both(lab: &Lab, one: usize, other: usize) -> bool {
    is_quorate(lab, one) && is_quorate(lab, other) && is_quorate(lab, one)
}

/// Until the tie is decided: the one of two nodes of different halves that goes on; never both.
fn winner(lab: &Lab, one: usize, other: usize, since: Instant) -> usize {
    // What both had before the cut ends first.
    std::thread::sleep(Duration::from_secs(2));
    loop {
        assert!(!are_both(lab, one, other), "both are quorate\n{}", lab.logs());
        if let Some(won) = [one, other].into_iter().find(|place| is_quorate(lab, *place)) {
            println!("       decided after {:.1} s", since.elapsed().as_secs_f64());
            return won;
        }
        assert!(since.elapsed() < PATIENCE, "nobody goes on\n{}\n{}", shown(&lab.seen()), lab.logs());
        std::thread::sleep(LOOK);
    }
}

fn stays(lab: &Lab, up: &[usize], down: &[usize]) {
    let begin = Instant::now();
    while begin.elapsed() < HOLD {
        for place in up {
            assert!(is_quorate(lab, *place), "{} stopped\n{}\n{}", place + 1, shown(&lab.seen()), lab.logs());
        }
        for place in down {
            assert!(!is_quorate(lab, *place), "{} woke\n{}\n{}", place + 1, shown(&lab.seen()), lab.logs());
        }
        std::thread::sleep(LOOK);
    }
}

fn two_cut() {
    let mut lab = Lab::new("two-cut", 2, 1);
    let disk = image(&lab, "tie");
    with_disks(&mut lab, &[disk]);
    lab.plan().partition(&[0]);
    let won = winner(&lab, 0, 1, Instant::now());
    stays(&lab, &[won], &[1 - won]);
    let why = lab.nodes[1 - won].evms("evms", &["why"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("held by the other half") || why.contains("are watched"), "{why}");
    let shows = lab.nodes[won].evms("evms", &["status"]);
    let shows = String::from_utf8_lossy(&shows.stdout).into_owned();
    assert!(shows.contains("ARBITRATION DISK") && shows.contains("answers"), "{shows}");
    lab.plan().mend();
    lab.agree(&[0, 1], true);
    // And the other way round: who won dies, and the other one goes on when its lease on the disk has ended.
    lab.nodes[won].kill();
    let begin = Instant::now();
    while !is_quorate(&lab, 1 - won) || lab.nodes[1 - won].status().unwrap().view.unwrap().members.len() > 1 {
        assert!(begin.elapsed() < PATIENCE, "{}\n{}", shown(&lab.seen()), lab.logs());
        std::thread::sleep(LOOK);
    }
    println!("       alone after {:.1} s", begin.elapsed().as_secs_f64());
}

/// The disk answers nobody: its head is another's as long as it is gone.
fn both_gone() {
    let mut lab = Lab::new("both-gone", 2, 1);
    let disk = image(&lab, "tie");
    with_disks(&mut lab, std::slice::from_ref(&disk));
    let file = fs::File::options().read(true).write(true).open(&disk).unwrap();
    let mut head = vec![0; HEAD];
    file.read_exact_at(&mut head, 0).unwrap();
    file.write_all_at(&[0; HEAD], 0).unwrap();
    reached(&lab, 0);
    assert!(is_quorate(&lab, 0) && is_quorate(&lab, 1), "a disk alone stops nobody");
    lab.plan().partition(&[0]);
    lab.agree(&[0], false);
    lab.agree(&[1], false);
    stays(&lab, &[], &[0, 1]);
    let seen = lab.nodes[0].status().unwrap();
    assert!(seen.arbitration[0].trouble.contains("evmsd prepare"), "{:?}", seen.arbitration);
    // The disk returns, the link does not.
    file.write_all_at(&head, 0).unwrap();
    let won = winner(&lab, 0, 1, Instant::now());
    stays(&lab, &[won], &[1 - won]);
    lab.plan().mend();
    lab.agree(&[0, 1], true);
}

fn four_cut() {
    let mut lab = Lab::new("four-cut", 4, 1);
    let disks = ["a", "b", "c"].map(|name| image(&lab, name));
    with_disks(&mut lab, &disks);
    fs::File::options().write(true).open(&disks[1]).unwrap().write_all_at(&[0; HEAD], 0).unwrap();
    reached(&lab, 2);
    lab.plan().partition(&[0, 1]);
    let won = winner(&lab, 0, 2, Instant::now());
    let (up, down) = if won == 0 { ([0, 1], [2, 3]) } else { ([2, 3], [0, 1]) };
    lab.agree(&up, true);
    stays(&lab, &up, &down);
    lab.plan().mend();
    lab.agree(&[0, 1, 2, 3], true);
}

/// A file system that is frozen: who writes there waits, and his write lands when it thaws.
struct Frozen {
    folder: PathBuf,
    is_frozen: bool,
}

impl Frozen {
    fn make(lab: &Lab) -> Frozen {
        let (device, folder) = (lab.folder().join("device"), lab.folder().join("frozen"));
        fs::File::create(&device).unwrap().set_len(32 << 20).unwrap();
        fs::create_dir(&folder).unwrap();
        let shown = |path: &Path| path.to_str().unwrap().to_string();
        run("mkfs.ext4", &["-q", &shown(&device)]);
        run("mount", &["-o", "loop", &shown(&device), &shown(&folder)]);
        Frozen { folder, is_frozen: false }
    }

    fn freeze(&mut self, is_frozen: bool) {
        run("fsfreeze", &[if is_frozen { "-f" } else { "-u" }, self.folder.to_str().unwrap()]);
        self.is_frozen = is_frozen;
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if self.is_frozen {
            self.freeze(false);
        }
        run("umount", &["-l", self.folder.to_str().unwrap()]);
    }
}

fn run(program: &str, words: &[&str]) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let said = Command::new(program).args(words).env("PATH", path).output().unwrap();
    assert!(said.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&said.stderr));
}

/// R8: one of three disks takes no write; beats, votes and the other disks go on, and its clerk is seen to wait.
fn hung() {
    let mut lab = Lab::new("hung", 2, 1);
    let mut frozen = Frozen::make(&lab);
    let hung = frozen.folder.join("b");
    fs::File::create(&hung).unwrap().set_len(SIZE).unwrap();
    let disks = [image(&lab, "a"), hung, image(&lab, "c")];
    with_disks(&mut lab, &disks);
    let views = lab.views(0);
    frozen.freeze(true);
    let begin = Instant::now();
    let waits = |place: usize| {
        let seen = lab.nodes[place].status().expect("it answers");
        assert!(seen.quorum.quorate, "{}", seen.quorum.why);
        seen.arbitration[1].asked_ms.is_some_and(|ms| ms > 3000)
    };
    while !(waits(0) && waits(1)) {
        assert!(begin.elapsed() < PATIENCE, "{}", lab.logs());
        std::thread::sleep(LOOK);
    }
    assert_eq!(lab.views(0), views, "{}", lab.logs());
    lab.plan().partition(&[0]);
    let won = winner(&lab, 0, 1, Instant::now());
    stays(&lab, &[won], &[1 - won]);
    frozen.freeze(false);
    // What lands now is old; the tie stays with who has it.
    stays(&lab, &[won], &[1 - won]);
    lab.plan().mend();
    lab.agree(&[0, 1], true);
    lab.nodes.iter_mut().for_each(|node| node.kill());
}

/// Its promises stand on the disk and in /run/evms: a daemon that is started anew holds what it held (safety 1.7).
fn restarted() {
    let mut lab = Lab::new("tie-restart", 2, 1);
    let disk = image(&lab, "tie");
    with_disks(&mut lab, &[disk]);
    lab.plan().partition(&[0]);
    let won = winner(&lab, 0, 1, Instant::now());
    for _ in 0..3 {
        lab.nodes[won].kill();
        lab.nodes[won].start();
        let begin = Instant::now();
        while !is_quorate(&lab, won) {
            assert!(!is_quorate(&lab, 1 - won), "the other half woke\n{}", lab.logs());
            assert!(begin.elapsed() < PATIENCE, "{}\n{}", shown(&lab.seen()), lab.logs());
            std::thread::sleep(LOOK);
        }
        println!("       goes on after {:.1} s", begin.elapsed().as_secs_f64());
    }
    stays(&lab, &[won], &[1 - won]);
}

/// The one remedy for a dead disk is to go on without it: no daemon waits for its clerk.
fn hung_is_taken_out() {
    let mut lab = Lab::new("hung-out", 3, 1);
    let mut frozen = Frozen::make(&lab);
    let hung = frozen.folder.join("tie");
    fs::File::create(&hung).unwrap().set_len(SIZE).unwrap();
    with_disks(&mut lab, &[hung]);
    frozen.freeze(true);
    let begin = Instant::now();
    let waits = |place: usize| {
        lab.nodes[place].status().is_some_and(|seen| seen.arbitration[0].asked_ms.is_some_and(|ms| ms > 2000))
    };
    while !(0..3).all(waits) {
        assert!(begin.elapsed() < PATIENCE, "{}", lab.logs());
        std::thread::sleep(LOOK);
    }
    lab.nodes[0].configure(&configuration(3, 1).replace("generation = 1", "generation = 2"));
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    let begin = Instant::now();
    let goes = |place: usize| {
        lab.nodes[place].status().is_some_and(|seen| seen.generation == 2 && seen.quorum.quorate)
    };
    while !(0..3).all(goes) {
        assert!(begin.elapsed() < PATIENCE, "{}\n{}", shown(&lab.seen()), lab.logs());
        std::thread::sleep(LOOK);
    }
    println!("       without it after {:.1} s", begin.elapsed().as_secs_f64());
    frozen.freeze(false);
    lab.nodes.iter_mut().for_each(|node| node.kill());
}

/// By the old configuration half of the votes, by the new one nothing: it never is quorate beside the one that stays.
fn taken_out() {
    let mut lab = Lab::new("tie-taken-out", 2, 1);
    let disk = image(&lab, "tie");
    with_disks(&mut lab, &[disk]);
    let both = lab.nodes[0].configuration();
    let disks = both.split("[[arbitration]]").nth(1).map(|rest| format!("\n[[arbitration]]{rest}")).unwrap();
    let alone = configuration(1, 1).replace("generation = 1", "generation = 2");
    lab.nodes[0].configure(&alone);
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    let begin = Instant::now();
    while !lab.nodes[0].log().contains("change one in one generation") {
        assert!(begin.elapsed() < PATIENCE, "{}", lab.logs());
        std::thread::sleep(LOOK);
    }
    lab.nodes[0].configure(&[&alone, disks.as_str()].concat());
    lab.nodes[0].signal(nix::sys::signal::Signal::SIGHUP);
    // What it is told is lost: it has accepted, and does not know what became of it.
    // While it begins anew it answers nobody.
    let goes_by = |lab: &Lab| lab.nodes[0].status().map(|status| status.generation);
    while !is_quorate(&lab, 0) || goes_by(&lab) != Some(2) {
        assert!(!are_both(&lab, 0, 1) || goes_by(&lab) != Some(2), "{}", lab.logs());
        assert!(begin.elapsed() < PATIENCE, "{}", lab.logs());
        std::thread::sleep(LOOK);
    }
    assert_eq!(lab.nodes[1].ended(), Some(1));
}

/// It accepted the next configuration, and was not told whether that is in force: by that one somebody may be quorate with whom
/// a tie by the present one has no voter in common. As long as that is open it takes no tie, and says so; it brings it to an
/// end by itself when it can.
fn undecided() {
    let mut lab = Lab::new("undecided", 2, 1);
    let disk = image(&lab, "tie");
    with_disks(&mut lab, &[disk]);
    lab.nodes[1].kill();
    let next = lab.nodes[1].configuration().replace("generation = 1", "generation = 2");
    let accepted = format!("# about 2\n# promised 65537\n# accepted 65537\n{next}");
    fs::write(lab.nodes[1].agreed("next"), accepted).unwrap();
    lab.plan().partition(&[0]);
    lab.nodes[1].start();
    assert_eq!(winner(&lab, 0, 1, Instant::now()), 0);
    // And nobody takes it when that one is gone.
    lab.nodes[0].kill();
    std::thread::sleep(TAKEN);
    assert!(!is_quorate(&lab, 1), "{}", lab.logs());
    for question in ["why", "status"] {
        let said = lab.nodes[1].evms("evms", &[question]);
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("warning: configuration 2 was accepted here"), "{said}");
        assert!(said.contains("more than half of the votes answer"), "{said}");
    }
    assert_eq!(lab.nodes[1].status().unwrap().generation, 1, "half of the votes decides nothing");
    // They see each other again: whoever put it to them is gone, and it is decided all the same.
    lab.nodes[0].start();
    lab.plan().mend();
    lab.until(|lab| {
        let goes = |place: usize| {
            lab.nodes[place].status().is_some_and(|is| is.generation == 2 && is.quorum.quorate)
        };
        goes(0) && goes(1)
    });
    assert!(!lab.nodes[1].status().unwrap().quorum.why.contains("warning"));
    // And now it takes a tie again.
    reached(&lab, 1);
    lab.plan().partition(&[0]);
    winner(&lab, 0, 1, Instant::now());
}

/// Nobody was quorate by a majority of this configuration, as far as these know: the one before may have a majority elsewhere.
fn not_in_force() {
    let mut lab = Lab::new("not-in-force", 2, 1);
    let disk = image(&lab, "tie");
    with_disks(&mut lab, &[disk]);
    for node in &mut lab.nodes {
        let begin = Instant::now();
        while !fs::read_to_string(node.agreed("cluster")).unwrap().starts_with("# in force") {
            assert!(begin.elapsed() < PATIENCE, "{}", node.log());
            std::thread::sleep(LOOK);
        }
        node.kill();
        let text = fs::read_to_string(node.agreed("cluster")).unwrap();
        fs::write(node.agreed("cluster"), text.replace("# in force", "# not in force yet")).unwrap();
    }
    lab.plan().partition(&[0]);
    // What both had before ends first: it was by a majority, and they remember it.
    std::thread::sleep(Duration::from_secs(3));
    lab.nodes.iter_mut().for_each(|node| node.start());
    let begin = Instant::now();
    while begin.elapsed() < TAKEN {
        assert!(!is_quorate(&lab, 0) && !is_quorate(&lab, 1), "{}", lab.logs());
        std::thread::sleep(LOOK);
    }
    let why = lab.nodes[0].evms("evms", &["why"]);
    let why = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(why.contains("was never in force here"), "{why}");
    lab.plan().mend();
    lab.agree(&[0, 1], true);
    lab.plan().partition(&[0]);
    winner(&lab, 0, 1, Instant::now());
}

/// Two disks at one path, each good for its own node, would give one tie two winners.
fn another_disk() {
    let mut lab = Lab::new("another-disk", 2, 1);
    let (disk, other) = (image(&lab, "tie"), image(&lab, "other"));
    with_disks(&mut lab, std::slice::from_ref(&disk));
    lab.nodes[0].kill();
    lab.nodes[1].kill();
    assert!(lab.nodes[0].evms("evmsd", &["prepare", other.to_str().unwrap()]).status.success());
    fs::rename(&other, &disk).unwrap();
    let before = fs::read(&disk).unwrap();
    let check = lab.nodes[1].evms("evmsd", &["--check"]);
    let words = String::from_utf8_lossy(&check.stdout).into_owned();
    assert!(words.contains("and the configuration means") && !check.status.success(), "{words}");
    lab.nodes.iter_mut().for_each(|node| node.start());
    lab.agree(&[0, 1], true);
    lab.plan().partition(&[0]);
    lab.agree(&[0], false);
    lab.agree(&[1], false);
    stays(&lab, &[], &[0, 1]);
    assert_eq!(fs::read(&disk).unwrap(), before, "nobody wrote there");
}

fn prepared() {
    let lab = Lab::new("prepared", 1, 1);
    let disk = image(&lab, "full");
    let path = disk.to_str().unwrap();
    let file = fs::File::options().write(true).open(&disk).unwrap();
    file.write_all_at(b"LABELONE", 512).unwrap();
    let refused = |words: &[&str], why: &str| {
        let before = fs::read(&disk).unwrap();
        let said = lab.nodes[0].evms("evmsd", words);
        let told = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(!said.status.success() && told.contains(why), "{told}");
        assert_eq!(fs::read(&disk).unwrap(), before);
    };
    refused(&["prepare", path], "--wipe lvm2");
    refused(&["prepare", path, "--wipe", "nonsense"], "names no signature");
    let prepare = |words: &[&str]| {
        let said = lab.nodes[0].evms("evmsd", words);
        let told = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{told}{}", String::from_utf8_lossy(&said.stderr));
        told
    };
    prepare(&["prepare", path, "--wipe", "lvm2"]);
    refused(&["prepare", path], "--wipe evms-arbitration");
    // Nor is it a disk for a container.
    let said =
        lab.nodes[0].evms("evms", &["container", "create", "data", "--private", "--owner", "n1", path]);
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.status.success() && told.contains("arbitration disk of an evms cluster"), "{told}");
    // What the configuration names is in use, whatever is said.
    let told = prepare(&["prepare", path, "--wipe", "evms-arbitration"]);
    let lines = told.split_once(":\n").unwrap().1;
    lab.nodes[0].configure(&[&configuration(1, 1), lines].concat());
    refused(&["prepare", path, "--wipe", "evms-arbitration"], "in use");
    // And so is what only the file does not name any more, until that is agreed on.
    let agreed = lab.nodes[0].agreed("cluster");
    fs::create_dir_all(agreed.parent().unwrap()).unwrap();
    fs::write(&agreed, [&configuration(1, 1), lines].concat()).unwrap();
    lab.nodes[0].configure(&configuration(1, 1).replace("generation = 1", "generation = 2"));
    refused(&["prepare", path, "--wipe", "evms-arbitration"], "the nodes have agreed on that");
    fs::remove_file(&agreed).unwrap();
    file.set_len(64 * 1024).unwrap();
    lab.nodes[0].configure(&configuration(1, 1));
    refused(&["prepare", path, "--wipe", "evms-arbitration"], "at least");
}
