//! Cold starts of a cluster, on machines whose kernel is a process: all of it boots at once, one machine of it comes back alone, and one
//! comes back with what it kept of last year.

use std::fs;
use std::time::{Duration, Instant};

use vm_tests::cases;
use vm_tests::cluster::QUORATE;
use vm_tests::crew::{Machine, Yard};
use vm_tests::image::Image;
use vm_tests::kind::Kind;
use vm_tests::scene;
use vm_tests::task::{until_done, wait_until};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 32;
const NAMES: [&str; 3] = ["n1", "n2", "n3"];
/// Every disk: the private container's, and the shared one's.
const DISKS: [&str; 2] = ["private", "shared"];
const HOME: &str = "/dev/evms/data/home";
const POOL: &str = "/dev/evms/pool/mail";
/// `evms` says so of what it may not touch here (design section 8).
const NOT_OWNER: i32 = 4;
/// Longer than a takeover takes that nobody's word makes shorter.
const HELD_SECONDS: u32 = 16;
/// What a watchdog of 5 s proves, fed once more when it is about to bite, and what is under way then (safety 5.1).
const PROOF: Duration = Duration::from_secs(12);
/// What a node says that came back alone, before it names who is not here.
const ALONE: &str = "the view has 1 of 3 votes and 2 are needed, 1 more; not here: ";
/// By so many views they are quorate at most until all are there.
const VIEWS_MAX: u64 = 2;
/// Openings of what all three share: each once, and each again for whoever outbids it meanwhile, twice at most.
const OPENINGS_MAX: u64 = 9;
const NOT_QUORATE: &str = "evms status --json | grep -q '\"quorate\":false'";
/// No gate is anything but open.
const SETTLED: &str = "evms-fence status --json >/tmp/gates && ! grep -qE '\"state\":\"(closed|draining|unknown|refused|gone)\"' /tmp/gates";

struct Bench<'a> {
    yard: Yard<'a>,
    machines: [Machine; 3],
}

/// Whose a container is, and by which opening, counted from its making.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tenure {
    owner: String,
    round: u64,
}

/// Proves what a cluster does whose nodes begin anew: what it may, once, and nothing before it may.
#[test]
fn a_cluster_that_begins_anew() {
    scene::play("cold", |scene| {
        let disks = DISKS.iter().map(|name| scene.disk(name, SIZE_MIB)).collect::<Result<Vec<_>, _>>()?;
        let image = scene.image("cold", Image::of(scene.parts(), Kind::UserMode)?)?;
        let yard = Yard { scene, kind: Kind::UserMode, image, lan: scene.network("lan1"), disks };
        let machines = yard.found(NAMES)?;
        let mut bench = Bench { yard, machines };
        bench.found()?;
        cases::run(
            &mut bench,
            &[
                ("f28_all_boot_at_once", all_boot_at_once),
                ("f27_the_owner_comes_back_to_its_own", the_owner_comes_back_to_its_own),
                ("f27_all_down_one_returns_and_waits", all_down_one_returns_and_waits),
            ],
        )
    });
}

impl Bench<'_> {
    fn found(&mut self) -> Result<(), Trouble> {
        let one = self.machines[0].guest()?;
        let (private, shared) = (one.device(&self.yard.disks[0])?, one.device(&self.yard.disks[1])?);
        one.ok(&format!("evms container create data --private --owner n1 {private}"))?;
        one.ok(&format!("evms container create pool --shared {shared}"))?;
        one.ok("evms volume create data/home --size 8M && evms volume create pool/mail --size 8M")?;
        until_done(one, "evms activate data")?;
        self.machines.iter_mut().try_for_each(|machine| until_done(machine.guest()?, "evms activate pool"))
    }

    fn tenure(&mut self, node: usize, container: &str) -> Result<Tenure, Trouble> {
        let said = self.machines[node].guest()?.ok(&format!("evms why {container} --json"))?;
        let value: serde_json::Value = serde_json::from_str(&said).unwrap_or_default();
        let (owner, epoch) = (&value["result"]["owner"], &value["result"]["epoch"]);
        match (owner.as_str(), epoch.as_u64()) {
            // Below it stands the node that opened it.
            (Some(owner), Some(epoch)) => Ok(Tenure { owner: owner.into(), round: epoch >> 16 }),
            _ => Err(Trouble::Unexpected(format!("evms why said {said}"))),
        }
    }

    /// All of them lose their power, with what their disks keep by then.
    fn all_lose_power(&mut self) -> Result<(), Trouble> {
        self.machines.iter_mut().try_for_each(Machine::keep)?;
        self.machines.iter_mut().try_for_each(Machine::cut_power)
    }

    fn boot(&mut self, nodes: &[usize]) -> Result<(), Trouble> {
        nodes.iter().try_for_each(|node| self.yard.boot_at_once(&mut self.machines[*node..=*node]))
    }

    /// These are in one view, by which they are quorate, and have up what they share.
    fn are_one(&mut self, nodes: &[usize]) -> Result<(), Trouble> {
        let members = nodes.iter().map(|node| NAMES[*node]).collect::<Vec<_>>().join(" ");
        for node in nodes {
            let guest = self.machines[*node].guest()?;
            wait_until(guest, &format!("evms status | grep -q '^view .*: {members}$'"))?;
            wait_until(guest, QUORATE)?;
            wait_until(guest, &format!("[ -e {POOL} ] && {SETTLED}"))?;
        }
        Ok(())
    }

    /// The private container is up there, where it can be written to, and on no other one of these.
    fn has_it(&mut self, holder: usize, others: &[usize]) -> Result<(), Trouble> {
        let guest = self.machines[holder].guest()?;
        wait_until(guest, &format!("[ -e {HOME} ] && {SETTLED}"))?;
        guest.ok(&format!("dd if=/dev/zero of={HOME} bs=4096 count=1 oflag=direct conv=notrunc 2>&1"))?;
        for other in others {
            self.machines[*other].guest()?.ok(&format!("[ ! -e {HOME} ]"))?;
        }
        Ok(())
    }

    /// Every byte of all disks.
    fn stands(&self) -> Result<Vec<Vec<u8>>, Trouble> {
        let read = |disk: &vm_tests::disk::Disk| {
            fs::read(disk.path()).map_err(Trouble::file("reading the disk", disk.path()))
        };
        self.yard.disks.iter().map(read).collect()
    }

    /// By how many views this machine was quorate in this boot.
    fn quorate_views(&mut self, node: usize) -> Result<u64, Trouble> {
        let said = self.machines[node].guest()?.ok("dmesg | grep -c 'quorate by view'")?;
        said.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{said}' is no count")))
    }

    /// Nobody was taken over from, nobody was counted out, and nobody's power was cut.
    fn was_peaceful(&mut self) -> Result<(), Trouble> {
        let history = self.machines[1].guest()?.ok("evms history data; evms history pool")?;
        assert!(!history.contains("taken over") && !history.contains("counted out"), "{history}");
        let fences = self.machines[1].guest()?.ok("evms-fence history")?;
        assert!(fences.starts_with("no takeover"), "{fences}");
        Ok(())
    }
}

/// F28: one view of all, each container opened as often as it has to be and up where it was, and nobody is taken from, counted out or
/// fenced.
fn all_boot_at_once(bench: &mut Bench) -> Result<(), Trouble> {
    let (data, pool) = (bench.tenure(0, "data")?, bench.tenure(0, "pool")?);
    bench.all_lose_power()?;
    bench.yard.boot_at_once(&mut bench.machines)?;
    bench.are_one(&[0, 1, 2])?;
    bench.has_it(0, &[1, 2])?;
    let views = bench.quorate_views(0)?;
    let (after, shared) = (bench.tenure(1, "data")?, bench.tenure(1, "pool")?);
    let (own, all) = (after.round - data.round, shared.round - pool.round);
    eprintln!("  {views} views that were quorate; opened {own} times, and what is shared {all} times");
    // Who is late by a beat comes into the next one, and then what is up is opened once more.
    assert!(views <= VIEWS_MAX, "{views}");
    assert!(
        after.owner == "n1" && (1..=views).contains(&own),
        "opened {own} times by {views} views, by {}",
        after.owner
    );
    assert!((3..=OPENINGS_MAX * views).contains(&all), "{all} openings by {views} views");
    bench.was_peaceful()
}

/// F27: the owner comes back as the second one, and so its container comes up with it, at once and by no takeover.
fn the_owner_comes_back_to_its_own(bench: &mut Bench) -> Result<(), Trouble> {
    bench.all_lose_power()?;
    bench.boot(&[2])?;
    waits_alone(bench, 2, 0)?;
    bench.boot(&[0])?;
    bench.are_one(&[0, 2])?;
    bench.has_it(0, &[2])?;
    bench.boot(&[1])?;
    bench.are_one(&[0, 1, 2])?;
    bench.has_it(0, &[1, 2])?;
    bench.was_peaceful()
}

/// F27: all are off, and one comes back: alone it is no majority, and waits. The second one makes them two of three: they have up what
/// they share, and what the third one had when its watchdog's time proves that it cannot write any more.
fn all_down_one_returns_and_waits(bench: &mut Bench) -> Result<(), Trouble> {
    let before = bench.tenure(0, "data")?;
    bench.all_lose_power()?;
    let stood = bench.stands()?;
    bench.boot(&[1])?;
    waits_alone(bench, 1, HELD_SECONDS)?;
    assert!(bench.stands()? == stood, "who is alone wrote to a disk");
    bench.boot(&[2])?;
    let begin = Instant::now();
    bench.are_one(&[1, 2])?;
    for node in [1, 2] {
        bench.machines[node].guest()?.ok(&format!("[ ! -e {HOME} ]"))?;
    }
    wait_until(bench.machines[1].guest()?, "evms history data | grep -q 'taken over from n1'")?;
    let took = begin.elapsed();
    eprintln!("  taken over {:.1} s after the second one came back", took.as_secs_f32());
    assert!(took >= PROOF, "{took:?}");
    let history = bench.machines[1].guest()?.ok("evms history data")?;
    assert!(history.contains("its watchdog of 5000 ms is over"), "{history}");
    let after = bench.tenure(1, "data")?;
    assert!(after.owner != "n1" && after.round > before.round, "{after:?} after {before:?}");
    let holder = NAMES.iter().position(|name| *name == after.owner).unwrap_or_default();
    bench.has_it(holder, &[3 - holder])?;
    bench.boot(&[0])?;
    bench.are_one(&[0, 1, 2])?;
    bench.has_it(holder, &[0, 3 - holder])
}

/// It has no quorum and says why, whoever asks; it has nothing up, and begins nothing in so many seconds.
fn waits_alone(bench: &mut Bench, node: usize, seconds: u32) -> Result<(), Trouble> {
    let guest = bench.machines[node].guest()?;
    // At first it says that it is silent for as long as what it promised in the life before may count.
    wait_until(guest, &format!("evms status | grep -q 'NO: {ALONE}'"))?;
    guest.ok(&format!("sleep {seconds}"))?;
    guest.ok(&format!("{NOT_QUORATE} && [ ! -e {HOME} ] && [ ! -e {POOL} ]"))?;
    guest.ok("! ls /sys/block/dm-*/dm/name 2>/dev/null | grep -q . && evms-fence status --json | grep -q '\"gates\":\\[\\]'")?;
    let status = guest.ok("evms status")?;
    let quorum = status.lines().find(|line| line.starts_with("quorum ")).unwrap_or_default();
    assert!(quorum.contains(&format!("NO: {ALONE}")), "{status}");
    let why = guest.ok("evms why")?;
    assert!(why.contains(&format!("is not quorate: {ALONE}")), "{why}");
    let data = guest.ok("evms why data")?;
    let next = data.lines().find(|line| line.starts_with("  next ")).unwrap_or_default();
    assert!(next.contains(&format!("this node may not act now: {ALONE}")), "{data}");
    for command in ["evms activate data", "evms activate pool", "evms volume create pool/late --size 1M"] {
        let said = guest.run(command)?;
        let text = said.text();
        assert_eq!(said.code, NOT_OWNER, "{command}: {text}");
        assert!(text.contains("nothing was written") && text.contains(ALONE), "{command}: {text}");
    }
    let said = guest.run("evms container takeover data --reason test")?;
    assert!(said.code == NOT_OWNER && said.text().contains("nothing proves"), "{}", said.text());
    Ok(())
}
