//! Two nodes, no third vote, nothing that cuts power: an arbitration disk decides between the halves (F2, F3). Both see the disks of the
//! container, and the arbitration disk through a fault of their own.

use vm_tests::cases;
use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::fault::{Faulty, Way};
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::network::Network;
use vm_tests::scene;
use vm_tests::task::wait_until;
use vm_tests::trouble::Trouble;
use vm_tests::writer::{Writer, goes_on};

const SIZE_MIB: u64 = 16;
const DISKS: usize = 3;
const VOLUME: &str = "/dev/evms/data/home";
/// A disk lease, a watchdog and what is under way, by clocks that differ (safety 1.5).
const WATCHED_SECONDS: u32 = 16;
/// Longer than a takeover takes.
const HELD_SECONDS: u32 = 20;
const NOT_QUORATE: &str = "evms status --json | grep -q '\"quorate\":false'";
/// As the kernel has it: of every gate, whether it is stopped.
const GATES: &str = "for d in /sys/block/dm-*/dm; do case $(cat $d/name) in evms:gate:*) cat $d/suspended;; esac; done 2>/dev/null | sort -u";

/// The volume is up.
const UP: &str = "[ -e /dev/evms/data/home ]";

struct Bench {
    nodes: Vec<Guest>,
    lan: Network,
    ties: [Faulty; 2],
}

/// Proves that a cut between two nodes has exactly one winner, who is the one with the volumes up; that a holder which dies is taken
/// over from; and that without the arbitration disk nobody goes on or takes anything.
#[test]
fn a_disk_decides_between_two() {
    scene::play("two", |scene| {
        let lan = scene.network("lan1");
        let disks = (0..DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
        let disks = disks.collect::<Result<Vec<_>, _>>()?;
        let tie = scene.disk("tie", SIZE_MIB)?;
        let all = disks.iter().chain([&tie]).cloned().collect::<Vec<_>>();
        // A fault in front of the arbitration disk is made with it.
        let image = scene.image("tools", Image::usual(scene.parts())?.program("/usr/sbin/dmsetup")?)?;
        let plan = |name: &str| scene.guest(name)?.image(&image).nic(&lan).disks(&all).power_on();
        let (mut one, mut two) = (plan("one")?, plan("two")?);
        cluster::found(&mut [&mut one, &mut two], &lan, "")?;
        let ties = [fault(&mut one, &tie)?, fault(&mut two, &tie)?];
        let mut bench = Bench { nodes: vec![one, two], lan: lan.clone(), ties };
        bench.found(&disks)?;
        cases::run(
            &mut bench,
            &[
                ("f2_the_holder_wins_every_cut", the_holder_wins),
                ("f3_the_link_and_the_disk_are_gone", both_gone),
                ("f14_the_holder_loses_power", the_holder_dies),
            ],
        )
    });
}

fn fault(guest: &mut Guest, tie: &Disk) -> Result<Faulty, Trouble> {
    let disk = guest.device(tie)?;
    let fault = Faulty::over(guest, "tie", &disk)?;
    // Of device-mapper's devices only maps of paths are disks to evms.
    guest.ok("dmsetup rename tie --setuuid mpath-tie")?;
    Ok(fault)
}

impl Bench {
    /// The disk decides ties from now on, and a container is up on the first node.
    fn found(&mut self, disks: &[Disk]) -> Result<(), Trouble> {
        let [one, two] = self.nodes.as_mut_slice() else {
            return Err(Trouble::Unexpected("there are not two nodes".into()));
        };
        let node = self.ties[0].node().to_string();
        assert_eq!(node, self.ties[1].node(), "it has one path in all of them");
        // As `evmsd prepare` says: what it prints, and the next generation.
        one.ok(&format!(
            "evmsd prepare {node} >/tmp/said && sed -n '/^\\[\\[arbitration/,$p' /tmp/said >>/etc/evms.conf &&
             g=$(sed -n 's/^generation = //p' /etc/evms.conf) &&
             sed -i \"s/^generation = .*/generation = $((g + 1))/\" /etc/evms.conf && kill -HUP $(cat /tmp/task-evmsd.pid)"
        ))?;
        for guest in [&mut *one, &mut *two] {
            wait_until(guest, "evms status --json | grep -q '\"answers\":true'")?;
            wait_until(guest, QUORATE)?;
        }
        // Who has not watched it for as long as another's lease may last bids for nothing, and which of both began first decides then.
        one.ok(&format!("sleep {WATCHED_SECONDS}"))?;
        let members = disks.iter().map(|disk| one.device(disk)).collect::<Result<Vec<_>, _>>()?;
        one.ok(&format!("evms container create data --private --owner n1 {}", members.join(" ")))?;
        one.ok("evms volume create data/home --size 8M --stripes 3 && evms activate data").map(drop)
    }

    /// By which opening the container is whose it is.
    fn epoch(&mut self, node: usize) -> Result<String, Trouble> {
        let said = self.nodes[node].ok("evms why data --json | sed 's/.*\"epoch\":\\([0-9]*\\).*/\\1/'")?;
        assert!(said.trim().parse::<u64>().is_ok(), "{said}");
        Ok(said)
    }

    fn cut(&self) {
        self.lan.partition(&[&["one"], &["two"]]);
    }

    /// Both are in one view again, by which they are quorate.
    fn heal(&mut self) -> Result<(), Trouble> {
        self.lan.heal();
        for guest in &mut self.nodes {
            wait_until(guest, "evms status | grep -q '^view .*: n1 n2$'")?;
            wait_until(guest, QUORATE)?;
        }
        Ok(())
    }

    fn give(&mut self, from: usize, to: usize) -> Result<(), Trouble> {
        self.nodes[from]
            .ok(&format!("evms deactivate data && evms container modify data --owner n{}", to + 1))?;
        self.nodes[to].ok("evms activate data").map(drop)
    }

    /// It is alone in its view and quorate.
    fn wins(&mut self, node: usize) -> Result<(), Trouble> {
        let guest = &mut self.nodes[node];
        wait_until(guest, &format!("evms status | grep -q '^view .*: n{}$'", node + 1))?;
        wait_until(guest, QUORATE)
    }

    fn stands(&mut self, node: usize) -> Result<(), Trouble> {
        let guest = &mut self.nodes[node];
        guest.ok(NOT_QUORATE)?;
        guest.ok(&format!("! {UP}")).map(drop)
    }

    fn seconds(&mut self, node: usize) -> Result<f64, Trouble> {
        let text = self.nodes[node].ok("cut -d' ' -f1 /proc/uptime")?;
        text.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{text}' is no number of seconds")))
    }
}

/// F2, R14: whoever has the volumes up goes on after every cut, and its writer sees no error; the other one never has a quorum.
fn the_holder_wins(bench: &mut Bench) -> Result<(), Trouble> {
    for (round, holder) in [0, 1, 1, 0].into_iter().enumerate() {
        let (other, before) = (1 - holder, if round == 0 { 0 } else { [0, 1, 1, 0][round - 1] });
        if before != holder {
            bench.give(before, holder)?;
        }
        let writer = Writer::start(&mut bench.nodes[holder], &format!("n{}", holder + 1), VOLUME, 0)?;
        let begin = bench.seconds(holder)?;
        bench.cut();
        wait_until(&mut bench.nodes[other], NOT_QUORATE)?;
        bench.wins(holder)?;
        eprintln!("  n{} goes on {:.1} s after the cut", holder + 1, bench.seconds(holder)? - begin);
        goes_on(&mut bench.nodes[holder])?;
        // That the other one does not wake in the time of a takeover is what is proved.
        bench.nodes[other].ok(&format!("sleep {HELD_SECONDS}"))?;
        bench.stands(other)?;
        bench.nodes[holder].ok(QUORATE)?;
        bench.heal()?;
        goes_on(&mut bench.nodes[holder])?;
        writer.enough(&mut bench.nodes[holder])?;
    }
    Ok(())
}

/// F3: both stop, and nobody takes anything; whichever of both returns first, the writer goes on without an error, by the same epoch.
fn both_gone(bench: &mut Bench) -> Result<(), Trouble> {
    let before = bench.epoch(0)?;
    for disk_first in [true, false] {
        let writer = Writer::start(&mut bench.nodes[0], "n1", VOLUME, 0)?;
        for (guest, tie) in bench.nodes.iter_mut().zip(&bench.ties) {
            tie.becomes(guest, Way::Gone)?;
        }
        bench.cut();
        wait_until(&mut bench.nodes[0], &format!("{NOT_QUORATE} && [ \"$({GATES})\" = 1 ]"))?;
        wait_until(&mut bench.nodes[1], NOT_QUORATE)?;
        bench.nodes[1].ok(&format!("sleep {HELD_SECONDS}"))?;
        bench.stands(1)?;
        bench.nodes[0].ok(NOT_QUORATE)?;
        if !disk_first {
            bench.heal()?;
            goes_on(&mut bench.nodes[0])?;
        }
        for (guest, tie) in bench.nodes.iter_mut().zip(&bench.ties) {
            tie.becomes(guest, Way::Well)?;
        }
        if disk_first {
            bench.wins(0)?;
            goes_on(&mut bench.nodes[0])?;
            bench.stands(1)?;
            bench.heal()?;
        }
        writer.enough(&mut bench.nodes[0])?;
        assert_eq!(bench.epoch(0)?, before, "it went on with what there was");
    }
    let history = bench.nodes[1].ok("evms-fence history")?;
    assert!(history.starts_with("no takeover"), "{history}");
    Ok(())
}

/// F14: the other half of two takes over by itself: the disk gives it the quorum when the record there stood still for long enough.
fn the_holder_dies(bench: &mut Bench) -> Result<(), Trouble> {
    let _writer = Writer::start(&mut bench.nodes[0], "n1", VOLUME, 0)?;
    let begin = bench.seconds(1)?;
    bench.nodes.remove(0).cut_power()?;
    let two = &mut bench.nodes[0];
    // Twice: the tie and the takeover may each take the time of a watchdog.
    wait_until(two, QUORATE)?;
    wait_until(two, UP)?;
    let history = two.ok("evms-fence history")?;
    assert!(history.contains("taken over from n1"), "{history}");
    let end = two.ok("cut -d' ' -f1 /proc/uptime")?;
    eprintln!(
        "  up on n2 {:.1} s after the power of n1",
        end.trim().parse::<f64>().unwrap_or_default() - begin
    );
    two.ok(&format!("dd if={VOLUME} of=/dev/null bs=1M iflag=direct 2>&1 && evms deactivate data")).map(drop)
}
