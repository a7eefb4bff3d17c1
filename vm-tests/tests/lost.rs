//! Disks of a cluster's container that are lost, to all nodes or to some of them, on machines whose kernel is a process. Each machine
//! sees each disk through a fault of its own.

use std::time::{Duration, Instant};

use vm_tests::cases;
use vm_tests::cluster::QUORATE;
use vm_tests::crew::{Machine, Yard};
use vm_tests::disk::Disk;
use vm_tests::fault::{Faulty, Way};
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::kind::Kind;
use vm_tests::scene;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;
use vm_tests::writer::{Writer, goes_on};

const SIZE_MIB: u64 = 32;
const NAMES: [&str; 3] = ["n1", "n2", "n3"];
const DISKS: usize = 3;
/// `evms` says so of what it may not touch here (design section 8).
const NOT_OWNER: i32 = 4;
/// On the first disk alone.
const FIRST: &str = "/dev/evms/data/v1";
/// On all of them.
const SPREAD: &str = "/dev/evms/data/spread";
/// Longer than a takeover takes that nobody's word makes shorter, by whoever's turn it is.
const HELD_SECONDS: u32 = 22;
/// How often it was committed, as whoever reads its disks finds.
const COMMITS: &str = "evms history data | wc -l";
const TOO_FEW: &str = "container data has 1 of the 2 votes it needs (missing: disk 2, 3)";
const NO_GATES: &str = "evms-fence status --json | grep -q '\"gates\":\\[\\]'";
/// What a watchdog of 5 s proves, fed once more when it is about to bite, and what is under way then (safety 5.1).
const PROOF: Duration = Duration::from_secs(12);
/// For so long who misses a disk leaves it to those who do not: a turn for each node.
const WAITS: Duration = Duration::from_secs(9);
/// The keeper opened its gates.
const OPEN: &str = "evms-fence status --json | grep -q '\"state\":\"open\"'";

struct Bench<'a> {
    yard: Yard<'a>,
    machines: [Machine; 3],
    /// Of each machine, in the order of the disks.
    faults: [Vec<Faulty>; 3],
}

/// Proves that nothing is committed, taken or brought up on a minority of a container's disks, and that who sees more of them comes
/// first.
#[test]
fn disks_that_are_lost() {
    scene::play("lost", |scene| {
        let disks = (0..DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
        let disks = disks.collect::<Result<Vec<_>, _>>()?;
        let image = Image::of(scene.parts(), Kind::UserMode)?.program("/usr/sbin/dmsetup")?;
        let image = scene.image("lost", image)?;
        let yard = Yard { scene, kind: Kind::UserMode, image, lan: scene.network("lan1"), disks };
        let machines = yard.found(NAMES)?;
        let mut bench = Bench { yard, machines, faults: [const { Vec::new() }; 3] };
        bench.found()?;
        cases::run(
            &mut bench,
            &[
                ("f30_it_is_given_to_nobody_who_sees_less", it_is_given_to_nobody_who_sees_less),
                ("f32_most_disks_are_lost_for_all", most_disks_are_lost_for_all),
                ("f32_nothing_is_taken_on_a_minority", nothing_is_taken_on_a_minority),
                ("f30_who_sees_all_disks_takes_it", who_sees_all_disks_takes_it),
                ("f30_who_sees_less_takes_what_it_sees", who_sees_less_takes_what_it_sees),
            ],
        )
    });
}

impl Bench<'_> {
    fn found(&mut self) -> Result<(), Trouble> {
        for node in 0..3 {
            self.cover(node)?;
        }
        let disks = self.faults[0].iter().map(Faulty::node).collect::<Vec<_>>().join(" ");
        let one = self.machines[0].guest()?;
        one.ok(&format!("evms container create data --private --owner n1 {disks}"))?;
        one.ok("for on in 1 2 3; do evms volume create data/v$on --size 4M --on $on || exit 1; done")?;
        one.ok("evms volume create data/spread --size 6M --stripes 3 && evms activate data").map(drop)
    }

    /// Puts faults in front of a machine's disks, which are well.
    fn cover(&mut self, node: usize) -> Result<(), Trouble> {
        let guest = self.machines[node].guest()?;
        let cover = |(number, disk): (usize, &Disk)| {
            let (device, raw) = (guest.device(disk)?, format!("/run/raw{number}"));
            let name = format!("f{number}");
            // There is no other path to it.
            guest.ok(&format!("mv {device} {raw}"))?;
            let fault = Faulty::over(guest, &name, &raw)?;
            // Of device-mapper's devices only maps of paths are disks to evms.
            guest.ok(&format!("dmsetup rename {name} --setuuid mpath-{name}"))?;
            Ok(fault)
        };
        self.faults[node] = (1..).zip(&self.yard.disks).map(cover).collect::<Result<Vec<_>, Trouble>>()?;
        Ok(())
    }

    /// It loses its power, or is without it, and boots, with faults before its disks again.
    fn reboot(&mut self, node: usize) -> Result<(), Trouble> {
        self.machines[node].cut_power()?;
        self.yard.boot_at_once(&mut self.machines[node..=node])?;
        self.machines[node].kill_evmsd()?;
        self.cover(node)?;
        self.machines[node].start_evmsd()
    }

    /// These disks go that way for these nodes.
    fn all_go(&mut self, nodes: &[usize], disks: &[usize], way: Way) -> Result<(), Trouble> {
        for (node, disk) in nodes.iter().flat_map(|node| disks.iter().map(move |disk| (*node, *disk))) {
            self.faults[node][disk].becomes(self.machines[node].guest()?, way)?;
        }
        Ok(())
    }

    fn are_one(&mut self) -> Result<(), Trouble> {
        for machine in &mut self.machines {
            let guest = machine.guest()?;
            wait_until(guest, "evms status | grep -q '^view .*: n1 n2 n3$'")?;
            wait_until(guest, QUORATE)?;
        }
        Ok(())
    }

    /// Who of the others has taken it and has it up.
    fn taker(&mut self, gone: usize) -> Result<usize, Trouble> {
        let owned = format!("! evms why data | grep -q '^  owner *{} '", NAMES[gone]);
        wait_until(self.machines[1].guest()?, &owned)?;
        let said = self.machines[1].guest()?.ok("evms why data")?;
        let owner = said.lines().find_map(|line| line.strip_prefix("  owner")).unwrap_or_default();
        let owner = owner.split_whitespace().next().unwrap_or_default();
        let taker = NAMES.iter().position(|name| *name == owner);
        let taker = taker.ok_or_else(|| Trouble::Unexpected(said.clone()))?;
        wait_until(self.machines[taker].guest()?, &format!("[ -e {FIRST} ] && {OPEN}"))?;
        Ok(taker)
    }
}

/// It is refused because too few disks are here, and the sentence says which, and what to do.
fn too_few(guest: &mut Guest, command: &str) -> Result<(), Trouble> {
    let said = guest.run(command)?;
    let text = said.text();
    assert_eq!(said.code, NOT_OWNER, "{command}: {text}");
    for words in [TOO_FEW, "nothing was written; bring the missing disks back"] {
        assert!(text.contains(words), "{command}: {text}");
    }
    Ok(())
}

/// F30: who is to have it is asked whether he reads all of its disks; who cannot be asked is told of.
fn it_is_given_to_nobody_who_sees_less(bench: &mut Bench) -> Result<(), Trouble> {
    bench.machines[0].guest()?.ok("evms deactivate data")?;
    bench.all_go(&[2], &[1], Way::Gone)?;
    let one = bench.machines[0].guest()?;
    let before = one.ok(COMMITS)?;
    let said = one.run("evms container modify data --owner n3")?;
    assert!(said.code == 1 && said.text().contains("n3 does not read all of the 3 disks"), "{}", said.text());
    assert_eq!(one.ok(COMMITS)?, before, "nothing was committed");
    bench.all_go(&[2], &[1], Way::Hangs)?;
    let one = bench.machines[0].guest()?;
    let said = one.run("evms container modify data --owner n3")?;
    assert!(
        said.code == 1 && said.text().contains("n3 did not read its disks within 4 s"),
        "{}",
        said.text()
    );
    assert_eq!(one.ok(COMMITS)?, before, "nothing was committed");
    one.ok("evms container modify data --owner n2")?;
    bench.all_go(&[2], &[1], Way::Well)?;
    bench.machines[1].guest()?.ok("evms container modify data --owner n3")?;
    bench.machines[2].guest()?.ok("evms container modify data --owner n1")?;
    bench.machines[0].guest()?.ok("evms activate data").map(drop)
}

/// F32: nothing is committed, whatever is asked; what is whole on the disk that is left goes on, what lies on the others fails, and both
/// are told apart.
fn most_disks_are_lost_for_all(bench: &mut Bench) -> Result<(), Trouble> {
    let one = bench.machines[0].guest()?;
    let command = format!(
        "sh -c 'while dd if=/dev/zero of={SPREAD} bs=192k count=1 oflag=direct conv=notrunc; do :; done; exit 3'"
    );
    let spread = Task::start(one, "spread", &command)?;
    let writer = Writer::start(one, "n1", FIRST, 0)?;
    let before = one.ok(COMMITS)?;
    bench.all_go(&[0, 1, 2], &[1, 2], Way::Gone)?;
    let one = bench.machines[0].guest()?;
    let said = spread.end(one)?;
    assert!(said.code == 3 && said.text().contains("Input/output error"), "{}", said.text());
    goes_on(one)?;
    too_few(one, "evms volume create data/more --size 1M")?;
    too_few(one, "evms container modify data --owner n2")?;
    too_few(one, "evms activate data")?;
    let told = one.ok("evms info data")?;
    for words in [
        "incomplete",
        "1 of 3 are here",
        "disk 2, 3 is missing",
        "too few of its disks are here to change it; a newer model may exist on the others",
    ] {
        assert!(told.contains(words), "no '{words}': {told}");
    }
    for (volume, state) in [
        ("v1", "whole, active on"),
        ("v2", "a disk is missing, active on"),
        ("spread", "a disk is missing, active on"),
    ] {
        let line = told.lines().find(|line| line.starts_with(&format!("data/{volume} ")));
        assert!(line.is_some_and(|line| line.contains(state)), "{volume}: {told}");
    }
    assert_eq!(one.ok(COMMITS)?, before, "nothing was committed");
    goes_on(one)?;
    writer.enough(one)
}

/// F32: its owner dies too. Nobody takes it, by himself or by whosever word, and it comes up nowhere; when the disks are back it is taken.
fn nothing_is_taken_on_a_minority(bench: &mut Bench) -> Result<(), Trouble> {
    let before = bench.machines[1].guest()?.ok(COMMITS)?;
    bench.machines[0].cut_power()?;
    for node in [1, 2] {
        let guest = bench.machines[node].guest()?;
        wait_until(guest, "evms status | grep -q '^view .*: n2 n3$'")?;
        wait_until(guest, QUORATE)?;
    }
    // That nothing happens for longer than a takeover takes is what is proved.
    bench.machines[1].guest()?.ok(&format!("sleep {HELD_SECONDS}"))?;
    for node in [1, 2] {
        let guest = bench.machines[node].guest()?;
        too_few(guest, "evms container takeover data --reason test")?;
        too_few(guest, "evms container takeover data --reason test --sworn 'n1 is off'")?;
        let said = guest.run("evms activate data")?;
        assert_eq!(said.code, NOT_OWNER, "{}", said.text());
        guest.ok(&format!("[ ! -e /dev/evms/data ] && {NO_GATES}"))?;
        assert_eq!(guest.ok(COMMITS)?, before);
    }
    bench.all_go(&[1, 2], &[1, 2], Way::Well)?;
    let taker = bench.taker(0)?;
    let guest = bench.machines[taker].guest()?;
    // All of it is up, on all disks.
    guest.ok(&format!("dd if={SPREAD} of=/dev/null bs=192k iflag=direct 2>&1"))?;
    guest.ok("evms deactivate data && evms container modify data --owner n1")?;
    bench.reboot(0)?;
    bench.are_one()
}

/// F30: a disk of it is lost to the node whose turn it is when the owner dies. It waits for who sees all, and that one takes it.
fn who_sees_all_disks_takes_it(bench: &mut Bench) -> Result<(), Trouble> {
    bench.machines[0].guest()?.ok("evms activate data")?;
    bench.all_go(&[1], &[1], Way::Gone)?;
    bench.machines[0].cut_power()?;
    let taker = bench.taker(0)?;
    assert_eq!(NAMES[taker], "n3");
    let three = bench.machines[2].guest()?;
    three.ok(&format!("dd if={SPREAD} of=/dev/null bs=192k iflag=direct 2>&1"))?;
    let told = three.ok("evms info data")?;
    assert!(told.contains("3 of 3 are here"), "{told}");
    bench.machines[1].guest()?.ok("[ ! -e /dev/evms/data ]").map(drop)
}

/// F30: the owner dies again, and nobody who is left sees all of it. Whoever comes first takes it later than who sees all would have, has
/// up what is whole there, and says what is not, and why.
fn who_sees_less_takes_what_it_sees(bench: &mut Bench) -> Result<(), Trouble> {
    bench.reboot(0)?;
    bench.are_one()?;
    bench.all_go(&[0], &[1], Way::Gone)?;
    bench.machines[2].cut_power()?;
    let one = bench.machines[0].guest()?;
    wait_until(one, "evms status | grep -q '^view .*: n1 n2$'")?;
    let begin = Instant::now();
    let taker = bench.taker(2)?;
    let took = begin.elapsed();
    eprintln!("  n{} took it {:.1} s after the view without its owner", taker + 1, took.as_secs_f32());
    assert!(took >= PROOF + WAITS, "{took:?}");
    let guest = bench.machines[taker].guest()?;
    guest.ok("[ -e /dev/evms/data/v3 ] && [ ! -e /dev/evms/data/v2 ] && [ ! -e /dev/evms/data/spread ]")?;
    wait_until(guest, "dmesg | grep -q 'volume data/spread is not up: disk 2 is not here'")?;
    let told = guest.ok("evms info data")?;
    assert!(told.contains("missing, absent since generation"), "{told}");
    let other = bench.machines[1 - taker].guest()?;
    other.ok("[ ! -e /dev/evms/data ]").map(drop)
}
