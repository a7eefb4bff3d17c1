//! Containers of a cluster: touched by its nodes alone, by whoever owns them, and by nobody who is not quorate. Two nodes of a
//! cluster and a machine that is in none have the same disks.

use vm_tests::cases;
use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::network::Network;
use vm_tests::scene;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 32;
/// Disks of the container, and one that is nobody's.
const DISKS: usize = 3;
/// `evms` says so of what is another's (design section 8).
const NOT_OWNER: i32 = 4;
const INQUORATE: &str = "evms status --json | grep -q '\"quorate\":false'";

struct Bench {
    one: Guest,
    two: Guest,
    /// In no cluster.
    stranger: Guest,
    lan: Network,
    disks: Vec<Disk>,
    daemons: Vec<Task>,
}

/// Proves who may change a cluster's container, and that what is refused has changed nothing.
#[test]
fn a_clusters_containers_are_for_its_quorate_owners() {
    scene::play("owners", |scene| {
        let lan = scene.network("lan1");
        let disks = (0..=DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
        let disks = disks.collect::<Result<Vec<_>, _>>()?;
        let plan = |name: &str| Ok::<_, Trouble>(scene.guest(name)?.nic(&lan).disks(&disks));
        let (one, two) = (plan("one")?.power_on()?, plan("two")?.power_on()?);
        let stranger = plan("stranger")?.power_on()?;
        let mut bench = Bench { one, two, stranger, lan: lan.clone(), disks, daemons: Vec::new() };
        bench.found()?;
        cases::run(
            &mut bench,
            &[
                ("made_for_another_node", made_for_another_node),
                ("f17_a_lease_that_ends_within_a_change_ends_it", a_lease_that_ends_within_a_change_ends_it),
                ("its_owner_alone_changes_it", its_owner_alone_changes_it),
                ("a_machine_of_no_cluster_is_refused", a_machine_of_no_cluster_is_refused),
                ("f19_without_quorum_nothing_is_written", f19_without_quorum_nothing_is_written),
                ("handed_over_by_its_owner", handed_over_by_its_owner),
                ("deported_and_imported", deported_and_imported),
                ("shared_by_all_nodes", shared_by_all_nodes),
                ("without_evmsd_nothing_is_written", without_evmsd_nothing_is_written),
            ],
        )
    });
}

impl Bench {
    /// A cluster of two nodes.
    fn found(&mut self) -> Result<(), Trouble> {
        self.stranger.wait_for_boot()?;
        self.daemons = cluster::found(&mut [&mut self.one, &mut self.two], &self.lan, "")?;
        Ok(())
    }

    /// Is there a volume of this name?
    fn has(&mut self, volume: &str) -> Result<bool, Trouble> {
        Ok(self.stands()?.contains(&format!("\"name\":\"data/{volume}\"")))
    }

    /// What stands on the disks of a container, as a machine reads it that has no part in it.
    fn stands(&mut self) -> Result<String, Trouble> {
        self.stranger.ok("evms info data --json")
    }

    fn paths(&mut self) -> Result<String, Trouble> {
        let paths =
            self.disks.iter().take(DISKS).map(|disk| self.two.device(disk)).collect::<Result<Vec<_>, _>>()?;
        Ok(paths.join(" "))
    }
}

/// Refused in one sentence that says this, with the exit code of what is another's.
fn refused(guest: &mut Guest, command: &str, why: &str) -> Result<(), Trouble> {
    let said = guest.run(command)?;
    assert_eq!(said.code, NOT_OWNER, "{command}: {}", said.text());
    assert!(said.text().contains(why) && said.text().contains("nothing was"), "{command}: {}", said.text());
    Ok(())
}

/// One node makes it, another one owns it.
fn made_for_another_node(bench: &mut Bench) -> Result<(), Trouble> {
    let disks = bench.paths()?;
    let said = bench.one.run(&format!("evms container create data --private --owner n9 {disks}"))?;
    assert!(said.code != 0 && said.text().contains("its nodes are n1, n2"), "{}", said.text());
    bench.one.ok(&format!("evms container create data --private --owner n2 {disks}"))?;
    let stands = bench.stands()?;
    let cluster = bench.one.ok("evms status --json | sed 's/.*\"cluster_id\":\"\\([^\"]*\\)\".*/\\1/'")?;
    assert!(cluster.trim().len() > 30 && stands.contains(cluster.trim()), "{cluster}: {stands}");
    Ok(())
}

/// F17: evmsd stands still when a command has its warrant and has begun: it rests two beats of the disks over the block that it claims,
/// which is longer than a lease. What it would write then is not written.
fn a_lease_that_ends_within_a_change_ends_it(bench: &mut Bench) -> Result<(), Trouble> {
    let before = bench.stands()?;
    let evmsd = bench.daemons[1].pid();
    let change = Task::start(&mut bench.two, "change", "evms volume create data/home --size 8M")?;
    // Nobody else sleeps here; it does so in its second process, or in a thread.
    wait_until(&mut bench.two, "cat /proc/[0-9]*/task/*/wchan 2>/dev/null | grep -q nanosleep")?;
    bench.two.ok(&format!("kill -STOP {evmsd}"))?;
    let said = change.end(&mut bench.two)?;
    bench.two.ok(&format!("kill -CONT {evmsd}"))?;
    assert_eq!(said.code, NOT_OWNER, "{}", said.text());
    assert!(said.text().contains("not quorate any more"), "{}", said.text());
    assert!(said.text().contains("no copy of the container was changed"), "{}", said.text());
    assert_eq!(bench.stands()?, before);
    wait_until(&mut bench.two, QUORATE)
}

fn its_owner_alone_changes_it(bench: &mut Bench) -> Result<(), Trouble> {
    bench.two.ok("evms volume create data/home --size 8M")?;
    let before = bench.stands()?;
    assert!(bench.has("home")?, "{before}");
    refused(&mut bench.one, "evms volume create data/more --size 8M", "owned by another machine (n2")?;
    refused(&mut bench.one, "evms container modify data --owner n1", "owned by another machine (n2")?;
    refused(&mut bench.one, "evms container delete data", "owned by another machine (n2")?;
    refused(&mut bench.one, "evms activate data", "owned by another machine (n2")?;
    assert_eq!(bench.stands()?, before);
    Ok(())
}

fn a_machine_of_no_cluster_is_refused(bench: &mut Bench) -> Result<(), Trouble> {
    let before = bench.stands()?;
    for command in [
        "evms volume create data/more --size 8M",
        "evms container import data",
        "evms container delete data",
        "evms activate data",
    ] {
        refused(&mut bench.stranger, command, "run the command on a node of that cluster")?;
    }
    // Nor is it wiped by the word that destroys labels, there or by a node that does not own it.
    let disk = bench.stranger.device(&bench.disks[0])?;
    let wipe = format!("evms container create mine --private --wipe evms {disk}");
    refused(&mut bench.stranger, &wipe, "run the command on a node of that cluster")?;
    let disk = bench.one.device(&bench.disks[0])?;
    let wipe = format!("evms container create mine --private --wipe evms {disk}");
    refused(&mut bench.one, &wipe, "owned by another machine (n2")?;
    assert_eq!(bench.stands()?, before);
    Ok(())
}

/// F19: the owner is cut off. What it is asked for is refused until the cut is mended, and then it is done.
fn f19_without_quorum_nothing_is_written(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lan.cut("one", "two");
    for guest in [&mut bench.one, &mut bench.two] {
        wait_until(guest, INQUORATE)?;
    }
    let before = bench.stands()?;
    refused(&mut bench.two, "evms volume create data/late --size 8M", "this node may not act now")?;
    refused(&mut bench.one, "evms volume create data/late --size 8M", "this node may not act now")?;
    let free = bench.two.device(&bench.disks[DISKS])?;
    let command = format!("evms container create more --shared {free}");
    refused(&mut bench.two, &command, "this node may not act now")?;
    bench.two.ok(&format!("head -c 65536 {free} | cmp -n 65536 - /dev/zero"))?;
    assert_eq!(bench.stands()?, before);
    bench.lan.heal();
    wait_until(&mut bench.two, QUORATE)?;
    bench.two.ok("evms volume create data/late --size 8M")?;
    assert!(bench.has("late")?);
    Ok(())
}

/// Switchover: the owner gives it away, and may not touch it from then on.
fn handed_over_by_its_owner(bench: &mut Bench) -> Result<(), Trouble> {
    bench.two.ok("evms container modify data --owner n1")?;
    refused(&mut bench.two, "evms volume delete data/late", "owned by another machine (n1")?;
    bench.one.ok("evms volume delete data/late")?;
    assert!(!bench.has("late")?);
    Ok(())
}

/// Nobody's until a node of the cluster takes it; no other machine may.
fn deported_and_imported(bench: &mut Bench) -> Result<(), Trouble> {
    bench.one.ok("evms container deport data")?;
    refused(&mut bench.two, "evms volume create data/more --size 8M", "is deported")?;
    refused(
        &mut bench.stranger,
        "evms container import data",
        "a node of a cluster takes it when it is quorate",
    )?;
    bench.two.ok("evms container import data")?;
    bench.two.ok("evms volume create data/more --size 8M")?;
    refused(&mut bench.one, "evms volume delete data/more", "owned by another machine (n2")
}

/// All nodes may change it, one after the other, and each sees what the other did.
fn shared_by_all_nodes(bench: &mut Bench) -> Result<(), Trouble> {
    bench.two.ok("evms container modify data --type shared")?;
    bench.one.ok("evms volume create data/first --size 8M")?;
    bench.two.ok("evms volume create data/second --size 8M")?;
    bench.one.ok("evms volume delete data/second")?;
    refused(
        &mut bench.stranger,
        "evms volume delete data/first",
        "run the command on a node of that cluster",
    )?;
    // Who has tables that point at it is asked first.
    bench.one.ok("evms activate data")?;
    let said = bench.two.run("evms volume delete data/first")?;
    assert!(
        said.code == 1 && said.text().contains("1 other machine may still write to it"),
        "{}",
        said.text()
    );
    bench.one.ok("evms deactivate data")?;
    assert!(bench.has("first")? && !bench.has("second")?);
    Ok(())
}

/// Killed: its lease ends by itself, and nobody goes on by what it said.
fn without_evmsd_nothing_is_written(bench: &mut Bench) -> Result<(), Trouble> {
    let before = bench.stands()?;
    bench.daemons.remove(0).kill(&mut bench.one)?;
    refused(&mut bench.one, "evms volume delete data/first", "evmsd cannot be reached")?;
    assert_eq!(bench.stands()?, before);
    Ok(())
}
