//! A machine that boots with what it knew last year, on machines whose kernel is a process: the container that was its own was taken over
//! since, and the cluster goes by another configuration.

use vm_tests::cases;
use vm_tests::cluster::QUORATE;
use vm_tests::crew::{Machine, Yard};
use vm_tests::image::Image;
use vm_tests::kind::Kind;
use vm_tests::scene;
use vm_tests::task::wait_until;
use vm_tests::trouble::Trouble;
use vm_tests::writer::{Writer, goes_on};

const SIZE_MIB: u64 = 32;
const NAMES: [&str; 3] = ["n1", "n2", "n3"];
const HOME: &str = "/dev/evms/data/home";
/// `evms` says so of what it may not touch here (design section 8).
const NOT_OWNER: i32 = 4;
const NOT_QUORATE: &str = "evms status --json | grep -q '\"quorate\":false'";
/// The keeper opened its gates.
const OPEN: &str = "evms-fence status --json | grep -q '\"state\":\"open\"'";
const NO_GATES: &str = "evms-fence status --json | grep -q '\"gates\":\\[\\]'";
/// What evmsd was told is its own to bring up.
const MEANT_UP: &str = "ls /var/lib/evms/up-* 2>/dev/null";
const GENERATION: &str = "evms status --json | sed 's/.*\"generation\":\\([0-9]*\\).*/\\1/'";

struct Bench<'a> {
    yard: Yard<'a>,
    machines: [Machine; 3],
    /// Who has the container by now, and on it a writer that began when it did.
    holder: usize,
    writer: Option<Writer>,
    /// The configurations: last year's, and the one that is.
    generations: [u64; 2],
}

/// Proves that what stands on the disks counts, and what the others go by, and not what a machine remembers.
#[test]
fn who_remembers_last_year() {
    scene::play("stale", |scene| {
        let disks = vec![scene.disk("private", SIZE_MIB)?];
        let image = scene.image("stale", Image::of(scene.parts(), Kind::UserMode)?)?;
        let yard = Yard { scene, kind: Kind::UserMode, image, lan: scene.network("lan1"), disks };
        let machines = yard.found(NAMES)?;
        let mut bench = Bench { yard, machines, holder: 0, writer: None, generations: [0; 2] };
        bench.last_year()?;
        bench.this_year()?;
        cases::run(
            &mut bench,
            &[
                ("f55_a_stale_configuration_in_the_initramfs", a_stale_configuration_in_the_initramfs),
                ("f55_nothing_is_asked_before_evmsd_runs", nothing_is_asked_before_evmsd_runs),
            ],
        )
    });
}

impl Bench<'_> {
    /// The first node owns the container and has it up: so its initramfs has it for good.
    fn last_year(&mut self) -> Result<(), Trouble> {
        let one = self.machines[0].guest()?;
        let disk = one.device(&self.yard.disks[0])?;
        one.ok(&format!("evms container create data --private --owner n1 {disk}"))?;
        one.ok("evms volume create data/home --size 8M && evms activate data")?;
        one.ok(MEANT_UP)?;
        self.generations[0] = self.generation(0)?;
        self.machines[0].keep()
    }

    /// It is gone, and the next one took what it had; and the configuration is another one.
    fn this_year(&mut self) -> Result<(), Trouble> {
        self.machines[0].cut_power()?;
        let two = self.machines[1].guest()?;
        wait_until(two, "evms history data | grep -q 'taken over from n1'")?;
        let is_here = two.run("evms why data | grep -q '^  owner *n2 '")?.code == 0;
        self.holder = if is_here { 1 } else { 2 };
        let holder = self.machines[self.holder].guest()?;
        wait_until(holder, &format!("[ -e {HOME} ] && {OPEN}"))?;
        self.writer = Some(Writer::start(holder, "new", HOME, 0)?);
        let next = self.generations[0] + 1;
        let pid = self.machines[1].evmsd().unwrap_or_default();
        self.machines[1].guest()?.ok(&format!(
            "sed -i -e 's/^generation = .*/generation = {next}/' -e 's/^drain = .*/drain = 2100/' /etc/evms.conf && kill -HUP {pid}"
        ))?;
        for node in [1, 2] {
            let guest = self.machines[node].guest()?;
            wait_until(guest, &format!("[ \"$({GENERATION})\" = {next} ]"))?;
            wait_until(guest, QUORATE)?;
        }
        self.generations[1] = next;
        Ok(())
    }

    fn generation(&mut self, node: usize) -> Result<u64, Trouble> {
        let said = self.machines[node].guest()?.ok(GENERATION)?;
        said.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{said}' is no generation")))
    }

    /// What the first node wrote to the container, and who took it, as its holder reads it. (The holder opens it again in each view.)
    fn stands(&mut self) -> Result<String, Trouble> {
        self.machines[self.holder].guest()?.ok("evms history data | grep -E 'Z  n1 |taken over'")
    }

    fn has_nothing_up(&mut self) -> Result<(), Trouble> {
        self.machines[0].guest()?.ok(&format!("[ ! -e {HOME} ] && {NO_GATES}")).map(drop)
    }
}

/// F55: alone it has no quorum, and what it remembers to be its own is nothing to go by. When it hears the others it asks them, goes by
/// what they go by, says so, and finds on the disk that the container is another's: it brings nothing up, and wants to no more.
fn a_stale_configuration_in_the_initramfs(bench: &mut Bench) -> Result<(), Trouble> {
    let ([old, new], holder) = (bench.generations, NAMES[bench.holder]);
    let before = bench.stands()?;
    bench.yard.lan.partition(&[&["n1"], &["n2", "n3"]]);
    bench.yard.boot_at_once(&mut bench.machines[..1])?;
    let one = bench.machines[0].guest()?;
    wait_until(one, &format!("[ \"$({GENERATION})\" = {old} ]"))?;
    one.ok(&format!("{NOT_QUORATE} && {MEANT_UP}"))?;
    let said = one.run("evms activate data")?;
    assert!(said.code == NOT_OWNER && said.text().contains("this node may not act now"), "{}", said.text());
    bench.has_nothing_up()?;
    bench.yard.lan.heal();
    let one = bench.machines[0].guest()?;
    wait_until(one, &format!("[ \"$({GENERATION})\" = {new} ]"))?;
    wait_until(one, "evms status | grep -q '^view .*: n1 n2 n3$'")?;
    wait_until(one, QUORATE)?;
    let told = one.ok("dmesg | grep -a 'evmsd: '")?;
    assert!(told.contains(&format!("goes by configuration {new} from now on")), "{told}");
    one.ok("grep -q '^drain = 2100$' /etc/evms.conf /var/lib/evms/cluster")?;
    // It looked, and wants it no more.
    wait_until(one, &format!("! {MEANT_UP}"))?;
    let said = one.run("evms activate data")?;
    let words = format!("owned by another machine ({holder}");
    assert!(said.code == NOT_OWNER && said.text().contains(&words), "{}", said.text());
    bench.has_nothing_up()?;
    assert_eq!(bench.stands()?, before);
    goes_on(bench.machines[bench.holder].guest()?)
}

/// In the initramfs itself there is no evmsd yet, and there may be no configuration: whatever the machine remembers, it is told that only
/// the cluster's evmsd may touch it.
fn nothing_is_asked_before_evmsd_runs(bench: &mut Bench) -> Result<(), Trouble> {
    let before = bench.stands()?;
    bench.machines[0].cut_power()?;
    bench.yard.boot_at_once(&mut bench.machines[..1])?;
    bench.machines[0].kill_evmsd()?;
    let one = bench.machines[0].guest()?;
    for (first, words) in [
        ("true", "evmsd cannot be reached"),
        ("rm /etc/evms.conf", "run the command on a node of that cluster"),
    ] {
        one.ok(first)?;
        let said = one.run("evms activate data")?;
        assert!(said.code == NOT_OWNER && said.text().contains(words), "{first}: {}", said.text());
    }
    bench.machines[0].guest()?.ok(&format!("[ ! -e {HOME} ] && ! ls /sys/block/dm-* 2>/dev/null"))?;
    assert_eq!(bench.stands()?, before);
    let holder = bench.machines[bench.holder].guest()?;
    goes_on(holder)?;
    match bench.writer.take() {
        Some(writer) => writer.enough(holder),
        None => Ok(()),
    }
}
