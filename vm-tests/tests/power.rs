//! What was up on a node when its power went comes up again by itself, on machines whose kernel is a process; each keeps over a boot what
//! its own disk would keep.

use vm_tests::cases;
use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::kind::Kind;
use vm_tests::network::Network;
use vm_tests::scene::{self, Scene};
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;
use vm_tests::writer::{Writer, goes_on};

const SIZE_MIB: u64 = 32;
const NAMES: [&str; 3] = ["one", "two", "three"];
/// Every disk: the private container's, and the shared one's.
const DISKS: [&str; 2] = ["private", "shared"];
const HOME: &str = "/dev/evms/data/home";
const POOL: &str = "/dev/evms/pool/mail";
/// What outlives a boot.
const KEPT: &str = "etc/evms.conf etc/evms var/lib/evms";
const ARCHIVE: &str = "/tmp/kept.tar";
/// No gate is anything but open.
const SETTLED: &str = "evms-fence status --json >/tmp/gates && ! grep -qE '\"state\":\"(closed|draining|unknown|refused|gone)\"' /tmp/gates";

struct Bench<'a> {
    scene: &'a Scene,
    image: std::path::PathBuf,
    lan: Network,
    disks: Vec<Disk>,
    nodes: Vec<Guest>,
    starts: u32,
}

/// Proves that nobody has to say anything after a power failure.
#[test]
fn what_was_up_comes_up_again() {
    scene::play("power", |scene| {
        let lan = scene.network("lan1");
        let disks = DISKS.iter().map(|name| scene.disk(name, SIZE_MIB)).collect::<Result<Vec<_>, _>>()?;
        let image = scene.image(
            "power",
            Image::of(scene.parts(), Kind::UserMode)?.own_program(scene.parts(), "struck")?,
        )?;
        let mut bench = Bench { scene, image, lan, disks, nodes: Vec::new(), starts: 0 };
        bench.found()?;
        cases::run(
            &mut bench,
            &[
                ("f28_all_lose_power_and_boot_at_once", all_lose_power),
                ("f14_an_owner_that_is_back_at_once", an_owner_that_is_back_at_once),
                ("what_was_taken_down_stays_down", what_was_taken_down_stays_down),
                ("what_is_suspended_waits_everywhere", what_is_suspended_waits_everywhere),
                ("nobody_suspends_what_he_stands_on", nobody_suspends_what_he_stands_on),
                ("a_suspend_that_is_killed_is_heeded_or_void", a_suspend_that_is_killed_is_heeded_or_void),
                ("f25_a_container_changes_clusters", a_container_changes_clusters),
            ],
        )
    });
}

impl Bench<'_> {
    fn power_on(&self, name: &str) -> Result<Guest, Trouble> {
        let plan = self.scene.guest(name)?.kind(Kind::UserMode).image(&self.image).nic(&self.lan);
        plan.disks(&self.disks).power_on()
    }

    fn found(&mut self) -> Result<(), Trouble> {
        self.nodes = NAMES.iter().map(|name| self.power_on(name)).collect::<Result<_, _>>()?;
        cluster::found(&mut self.nodes.iter_mut().collect::<Vec<_>>(), &self.lan, "")?;
        let [private, shared] = self.disks.as_slice() else { return Ok(()) };
        let (private, shared) = (self.nodes[0].device(private)?, self.nodes[0].device(shared)?);
        self.nodes[0].ok(&format!("evms container create data --private --owner n1 {private}"))?;
        self.nodes[0].ok(&format!("evms container create pool --shared {shared}"))?;
        self.nodes[0]
            .ok("evms volume create data/home --size 8M && evms volume create pool/mail --size 8M")?;
        wait_until(&mut self.nodes[0], "evms activate data")?;
        self.nodes.iter_mut().try_for_each(|node| wait_until(node, "evms activate pool"))
    }

    /// They lose their power at one moment, and boot with what their own disks kept.
    fn lose_power(&mut self, nodes: &[usize]) -> Result<(), Trouble> {
        let mut kept = Vec::new();
        for node in nodes {
            self.nodes[*node].ok(&format!("cd / && tar cf {ARCHIVE} {KEPT}"))?;
            kept.push(self.nodes[*node].pull(ARCHIVE)?);
        }
        // From the last to the first, so that the others keep their places.
        for node in nodes.iter().rev() {
            self.nodes.remove(*node).cut_power()?;
        }
        for node in nodes {
            let guest = self.power_on(NAMES[*node])?;
            self.nodes.insert(*node, guest);
        }
        self.starts += 1;
        for (node, kept) in nodes.iter().zip(kept) {
            let guest = &mut self.nodes[*node];
            guest.wait_for_boot()?;
            guest.push(ARCHIVE, &kept)?;
            guest.ok(&format!("cd / && tar xf {ARCHIVE}"))?;
            Task::start(guest, &format!("evmsd-{}", self.starts), "evmsd")?;
        }
        Ok(())
    }

    /// The private one is up on the first node alone, the shared one on all; and nobody took anything.
    fn is_whole(&mut self) -> Result<(), Trouble> {
        for node in &mut self.nodes {
            wait_until(node, "evms status | grep -q '^view .*: n1 n2 n3$'")?;
            wait_until(node, QUORATE)?;
            wait_until(node, &format!("[ -e {POOL} ] && {SETTLED}"))?;
        }
        wait_until(&mut self.nodes[0], &format!("[ -e {HOME} ] && {SETTLED}"))?;
        for node in [1, 2] {
            self.nodes[node].ok(&format!("[ ! -e {HOME} ]"))?;
        }
        let history = self.nodes[1].ok("evms history data")?;
        assert!(!history.contains("taken over"), "{history}");
        self.nodes[0]
            .ok(&format!("dd if=/dev/zero of={HOME} bs=4096 count=1 oflag=direct conv=notrunc 2>&1"))?;
        Ok(())
    }
}

/// F28: one view, each container up once, where it was.
fn all_lose_power(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lose_power(&[0, 1, 2])?;
    bench.is_whole()
}

/// Nobody may take what it had yet, so nobody but itself brings that up.
fn an_owner_that_is_back_at_once(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lose_power(&[0])?;
    bench.is_whole()
}

/// An administrator's word outlives the boot as well.
fn what_was_taken_down_stays_down(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[0].ok("evms deactivate data")?;
    bench.nodes[1].ok("evms deactivate pool")?;
    bench.lose_power(&[0, 1, 2])?;
    for node in [0, 2] {
        wait_until(&mut bench.nodes[node], &format!("[ -e {POOL} ]"))?;
    }
    // What is meant to be up is the shared one alone, so nothing else is on its way either.
    bench.nodes[0].ok(&format!("[ ! -e {HOME} ] && [ $(ls /var/lib/evms/up-* | wc -l) = 1 ]"))?;
    bench.nodes[1].ok(&format!("[ ! -e {POOL} ] && ! ls /var/lib/evms/up-*"))?;
    // And what is said now is said for the next boot.
    wait_until(&mut bench.nodes[0], "evms activate data")?;
    wait_until(&mut bench.nodes[1], "evms activate pool")?;
    bench.lose_power(&[0])?;
    bench.is_whole()
}

/// So often something is suspended and let go on.
const ROUNDS: u32 = 12;

/// Each gate of the shared container is closed by an administrator, and the kernel says so too.
const SUSPENDED: &str = "evms-fence status --json >/tmp/gates && grep -qE '\"reasons\":\\[\"administrator\"' /tmp/gates \
                         && grep -q '\"state\":\"closed\"' /tmp/gates";

/// Safety 4.4: what an administrator suspends waits on every node, without an error; a node that boots meanwhile finds it so, and so
/// does a new evmsd; and it goes on when he says so, also where he could not be heard.
fn what_is_suspended_waits_everywhere(bench: &mut Bench) -> Result<(), Trouble> {
    let writer = Writer::start(&mut bench.nodes[1], "w", POOL, 0)?;
    goes_on(&mut bench.nodes[1])?;
    wait_until(&mut bench.nodes[0], "evms-fence suspend pool")?;
    for node in &mut bench.nodes {
        node.ok(SUSPENDED)?;
    }
    assert!(bench.nodes[0].ok("evms-fence suspend pool")?.contains("already so"));
    let said = bench.nodes[1].run("evms activate pool")?;
    assert!(said.code == 1 && said.text().contains("evms-fence resume pool"), "{}", said.text());
    // The private one is not concerned.
    let write = format!("dd if=/dev/zero of={HOME} bs=4096 count=1 oflag=direct conv=notrunc 2>&1");
    bench.nodes[0].ok(&write)?;
    let log = "cat /tmp/count";
    let before = bench.nodes[1].ok(log)?;
    bench.lose_power(&[2])?;
    wait_until(&mut bench.nodes[2], QUORATE)?;
    wait_until(&mut bench.nodes[2], "evms why pool | grep -q 'evms-fence resume pool'")?;
    bench.nodes[2].ok(&format!("[ ! -e {POOL} ]"))?;
    bench.nodes[1].ok(SUSPENDED)?;
    assert_eq!(bench.nodes[1].ok(log)?, before, "nothing was written meanwhile");
    wait_until(&mut bench.nodes[2], "evms-fence resume pool")?;
    goes_on(&mut bench.nodes[1])?;
    writer.enough(&mut bench.nodes[1])?;
    wait_until(&mut bench.nodes[2], "evms activate pool")?;
    bench.is_whole()
}

/// Safety 4.7: who suspended his own swap would have nothing left to resume it with; nothing is written then, on any node.
fn nobody_suspends_what_he_stands_on(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[2].ok(&format!("mkswap {POOL} 2>&1 && swapon {POOL}"))?;
    let said = bench.nodes[0].run("evms-fence suspend pool")?;
    assert!(said.code == 1 && said.text().contains("n3 has its swap on it"), "{}", said.text());
    bench.nodes[2].ok(&format!("swapoff {POOL}"))?;
    bench.is_whole()?;
    // Beside it the disks of what is suspended are read, also between the opening of the command that ends it and its commit.
    for _ in 0..ROUNDS {
        wait_until(&mut bench.nodes[0], "evms-fence suspend data")?;
        wait_until(&mut bench.nodes[0], "evms-fence resume data")?;
        wait_until(&mut bench.nodes[0], SETTLED)?;
    }
    bench.is_whole()
}

/// How often a command may call a daemon at most.
const CALLS_MAX: u32 = 60;
/// How `struck` ends when it struck.
const STRUCK: i32 = 9;
/// What a suspended container is told to need.
const TOLD: &str = "evms why pool | grep -q 'evms-fence resume pool'";

/// Whoever suspends is killed at each of his calls to a daemon. Behind his commit nobody is told, and every node reads it by itself, soon
/// after it was asked whether that may be; before it nothing stays closed.
fn a_suspend_that_is_killed_is_heeded_or_void(bench: &mut Bench) -> Result<(), Trouble> {
    let mut untold = 0;
    for call in 1.. {
        assert!(call < CALLS_MAX, "it never came to its end");
        let said = bench.nodes[0].run(&format!("struck {call} evms-fence suspend pool"))?;
        let is_written = bench.nodes[2].run(TOLD)?.code == 0;
        if is_written {
            let open = bench.nodes.iter_mut().map(|node| Ok(node.run(SUSPENDED)?.code != 0));
            untold += u32::from(open.collect::<Result<Vec<_>, Trouble>>()?.contains(&true));
        }
        for node in &mut bench.nodes {
            wait_until(node, if is_written { SUSPENDED } else { SETTLED })?;
        }
        if is_written {
            wait_until(&mut bench.nodes[1], "evms-fence resume pool")?;
        }
        for node in &mut bench.nodes {
            wait_until(node, SETTLED)?;
        }
        assert!([0, STRUCK].contains(&said.code), "{}: {}", said.code, said.text());
        if said.code == 0 {
            break;
        }
    }
    println!("       killed behind the commit, with gates open: {untold} times");
    assert!(untold > 0, "no call was between the commit and the gates");
    bench.is_whole()
}

/// T_take at defaults.
const WATCHED_MS: u64 = 13_265;

/// F25: a container is deported and imported by another cluster, where the same number is another machine's: what the first one promised on
/// the disks in that place is watched, and as it stands still, written over. Nobody has to wipe anything.
fn a_container_changes_clusters(bench: &mut Bench) -> Result<(), Trouble> {
    bench.nodes[0].ok("evms deactivate data")?;
    wait_until(&mut bench.nodes[0], "evms container deport data")?;
    bench.nodes[2].ok("evmsd leave")?;
    let address = bench.lan.address(bench.nodes[2].number());
    let other = &mut bench.nodes[2];
    other.ok("rm -rf /etc/evms.conf /etc/evms/key* /var/lib/evms/*")?;
    // The first daemon is ending still.
    wait_until(other, &format!("evmsd init other --node n1 --link {address}"))?;
    Task::start(other, "evmsd-other", "evmsd")?;
    wait_until(other, QUORATE)?;
    // Of the try that does it, and not of those that were refused before.
    let took = loop {
        let begin = std::time::Instant::now();
        let said = other.run("evms container import data")?;
        if said.code == 0 {
            assert!(said.text().contains("they are watched for 14 s"), "{}", said.text());
            break begin.elapsed();
        }
        assert!(said.text().contains("quorate"), "{}", said.text());
    };
    println!("       after {:.1} s", took.as_secs_f64());
    assert!(took.as_millis() as u64 >= WATCHED_MS, "{took:?}: it was not watched");
    wait_until(other, "evms activate data")?;
    other.ok(&format!("dd if=/dev/zero of={HOME} bs=4096 count=1 oflag=direct conv=notrunc 2>&1"))?;
    let said = bench.nodes[0].run("evms activate data")?;
    assert!(said.code == 4, "{}: {}", said.code, said.text());
    Ok(())
}
