//! What stood still longer than a takeover takes, and goes on: a whole machine with its clocks (F16, F49), evmsd alone (F17), and who
//! was killed with all that would have closed its gates (F19). Each time another node has the volume up by then and has filled it,
//! and what of the old owner stands there is counted on the disks. Three nodes have the same disks.
//!
//! Of these only the first may have written behind the takeover: a lease and a watchdog are no evidence against a machine whose clocks
//! stand (safety 5.1, T6), and that is what grade C says. How much that is, is told, and held against what it may be.

use std::thread;
use std::time::{Duration, Instant};

use vm_tests::cases;
use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::limits::Limit;
use vm_tests::network::Network;
use vm_tests::scene;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 32;
const DISKS: usize = 3;
/// The volume's, all of them written by the next owner.
const BLOCKS: u64 = 2048;
const SECTOR_BYTES: u64 = 512;
const BLOCK_SECTORS: u64 = 8;
/// A machine is stopped for that long at least: twice what a takeover takes.
const STOPPED: Duration = Duration::from_secs(25);
/// Microseconds of its own clock for which who goes on may write: a beat of the others, who tell it, or a look at the clock on its
/// board, and what its detector, its keeper and the kernel's closing of the gates take where an emulator has half a processor for it.
/// What was left of its lease is more: 1.5 s from its last beat that came back.
const WRITES_ON_US: i64 = 800_000;
/// Looks of half a second at who took it over: three times what that takes.
const LOOKS_MAX: usize = 90;
const BITE: Limit = Limit::seconds("the watchdog bites", 60);
const VOLUME: &str = "/dev/evms/data/home";
const NO_GATES: &str = "evms-fence status --json | grep -q '\"gates\":\\[\\]'";
const OPEN: &str = "evms-fence status --json | grep -q '\"state\":\"open\"'";
/// As the kernel has it: of every gate, whether it is stopped.
const GATES: &str = "for d in /sys/block/dm-*/dm; do case $(cat $d/name) in evms:gate:*) cat $d/suspended;; esac; done 2>/dev/null | sort -u";
/// The process that keeps the gates.
const KEEPER: &str =
    "for p in $(pidof evmsd); do tr '\\0' ' ' </proc/$p/cmdline | grep -q keeper && echo $p; done; true";

/// From the mark until it says so, by its own clock: what goes by until the order to stop is there, and a beat of the others.
const NOTICED: Limit = Limit { name: "that time went by", time: Duration::from_millis(100 + 100) };

/// How long after the mark these words came, by the clock of the kernel's log, which stood still in between.
fn noticed(told: &str, words: &[&str]) -> Option<Duration> {
    let seconds = |line: &str| line.strip_prefix('[')?.split(']').next()?.trim().parse::<f64>().ok();
    let mark = seconds(told.lines().next()?)?;
    let said = told.lines().find(|line| words.iter().any(|words| line.contains(words)))?;
    Some(Duration::from_secs_f64((seconds(said)? - mark).max(0.0)))
}

struct Bench {
    nodes: [Guest; 3],
    lan: Network,
    disks: Vec<Disk>,
    daemons: Vec<Task>,
    /// Who took it over last: the second as a rule, the third where that one was late itself.
    next: usize,
}

/// What one writer has on the volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Landed {
    sectors: u64,
    /// When the first and the last of them began to be written, in microseconds of the writer's boot time.
    first_us: i64,
    last_us: i64,
}

/// Proves what a machine does that goes on behind a takeover, and that only one whose clocks stood does any of it.
#[test]
fn who_goes_on_behind_a_takeover_finds_it_gone() {
    scene::play("stopped", |scene| {
        let lan = scene.network("lan1");
        let disks = (0..DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
        let disks = disks.collect::<Result<Vec<_>, _>>()?;
        let image = Image::usual(scene.parts())?.own_program(scene.parts(), "stamps")?;
        let image = scene.image("stamps", image)?;
        let plan = |name: &str| scene.guest(name)?.image(&image).nic(&lan).disks(&disks).power_on();
        let nodes = [plan("one")?, plan("two")?, plan("three")?];
        let mut bench = Bench { nodes, lan: lan.clone(), disks, daemons: Vec::new(), next: 1 };
        bench.found()?;
        cases::run(
            &mut bench,
            &[
                ("f16_f49_a_machine_that_stood_still", a_machine_that_stood_still),
                ("f16_one_that_goes_on_behind_a_cut", one_that_goes_on_behind_a_cut),
                ("f17_an_evmsd_that_stood_still", an_evmsd_that_stood_still),
                ("f19_killed_with_its_keeper", killed_with_its_keeper),
            ],
        )
    });
}

impl Bench {
    /// A cluster of three nodes, and a container of the first one.
    fn found(&mut self) -> Result<(), Trouble> {
        let [one, two, three] = &mut self.nodes;
        self.daemons = cluster::found(&mut [&mut *one, two, three], &self.lan, "")?;
        let disks = self.disks.iter().map(|disk| one.device(disk)).collect::<Result<Vec<_>, _>>()?;
        one.ok(&format!("evms container create data --private --owner n1 {}", disks.join(" ")))?;
        one.ok("evms volume create data/home --size 8M --stripes 3").map(drop)
    }

    /// By which epoch the container is a node's, as its disks say.
    fn epoch(&mut self, node: usize) -> Result<String, Trouble> {
        let said = self.nodes[node].ok("evms why data --json")?;
        let digits = said.split("\"epoch\":").nth(1).unwrap_or_default().chars();
        Ok(digits.take_while(char::is_ascii_digit).collect())
    }

    /// The first node has it up, and writes from now on; what its safety rests on is said before anything happens.
    fn begin(&mut self) -> Result<Task, Trouble> {
        // What failed before this may have left it cut.
        self.lan.heal();
        self.nodes[0].ok("evms activate data")?;
        let epoch = self.epoch(0)?;
        let why = self.nodes[0].ok("evms why data")?;
        assert!(
            why.contains("C: leases and watchdogs") && why.contains("stands still with its clock"),
            "{why}"
        );
        let guest = &mut self.nodes[0];
        guest.ok("rm -f /tmp/log /tmp/log.enough")?;
        let writer =
            Task::start(guest, "writer", &format!("stamps write n1 {epoch} {VOLUME} {BLOCKS} /tmp/log"))?;
        wait_until(guest, "[ -s /tmp/log ] && [ $(od -A n -t d8 /tmp/log) -gt 100 ]")?;
        Ok(writer)
    }

    /// Another node has it up, and every block is that one's own; the volume's sum.
    fn taken(&mut self) -> Result<String, Trouble> {
        self.next = self.taker()?;
        let (epoch, name) = (self.epoch(self.next)?, format!("n{}", self.next + 1));
        self.nodes[self.next].ok(&format!("stamps fill {name} {epoch} {VOLUME} {BLOCKS}"))?;
        let landed = self.landed(&name)?;
        assert_eq!(landed.sectors, BLOCKS * BLOCK_SECTORS);
        self.sum()
    }

    /// Who of the others has it up, with gates that are open.
    fn taker(&mut self) -> Result<usize, Trouble> {
        for _ in 0..LOOKS_MAX {
            for node in [1, 2] {
                if self.nodes[node].run(&format!("[ -e {VOLUME} ] && {OPEN}"))?.code == 0 {
                    return Ok(node);
                }
            }
            self.nodes[2].ok("usleep 500000")?;
        }
        Err(Trouble::Unexpected("nobody took it over".into()))
    }

    /// The same, and the first node has stood for long enough by then; it is not about how long a takeover takes here.
    fn taken_meanwhile(&mut self) -> Result<String, Trouble> {
        let begin = Instant::now();
        let sum = self.taken()?;
        assert_eq!(self.landed("n1")?, Landed::default());
        thread::sleep(STOPPED.saturating_sub(begin.elapsed()));
        Ok(sum)
    }

    /// Tells how much of the first node landed behind the takeover, and that it was for no longer than that by its clock; what waited in
    /// front of its gates has failed by now, and nothing comes behind it.
    fn landed_within(&mut self, limit_us: i64, sum: &str) -> Result<(), Trouble> {
        let landed = self.landed("n1")?;
        let open_us = landed.last_us - landed.first_us;
        eprintln!(
            "  behind the takeover {} bytes of the old owner landed, within {:.1} ms of its clock",
            landed.sectors * SECTOR_BYTES,
            open_us as f64 / 1000.0
        );
        // Whole blocks: it has one under way at a time.
        assert_eq!(landed.sectors % BLOCK_SECTORS, 0, "{landed:?}");
        assert!(open_us <= limit_us, "{landed:?}");
        assert_eq!(self.sum()? == sum, landed.sectors == 0);
        self.nodes[self.next].ok("sleep 3")?;
        assert_eq!(self.landed("n1")?, landed);
        Ok(())
    }

    fn sum(&mut self) -> Result<String, Trouble> {
        self.nodes[self.next].ok(&format!("dd if={VOLUME} bs=1M iflag=direct 2>/dev/null | md5sum"))
    }

    /// What stands of a writer on the volume, as the new owner reads it from the disks.
    fn landed(&mut self, writer: &str) -> Result<Landed, Trouble> {
        let said = self.nodes[self.next].ok(&format!("stamps read {VOLUME} {BLOCKS}"))?;
        let mut all = Landed::default();
        for line in said.lines().filter(|line| line.starts_with(writer)) {
            let numbers = line.split_whitespace().skip(2).filter_map(|word| word.parse::<i64>().ok());
            let [sectors, _, _, first_us, last_us] = numbers.collect::<Vec<_>>()[..] else {
                return Err(Trouble::Unexpected(said));
            };
            assert_eq!(all, Landed::default(), "it wrote by one epoch: {said}");
            all = Landed { sectors: sectors as u64, first_us, last_us };
        }
        Ok(all)
    }

    /// The old owner is back: its writer failed, it has nothing left, all are in one view, and one of them has the volume up.
    fn has_rejoined(&mut self, writer: Task) -> Result<(), Trouble> {
        let said = writer.end(&mut self.nodes[0])?;
        assert!(said.code == 1 && said.text().contains("Input/output error"), "{}", said.text());
        eprintln!("  its writer: {}", said.text().trim());
        wait_until(&mut self.nodes[0], NO_GATES)?;
        for guest in &mut self.nodes {
            wait_until(guest, "evms status | grep -q '^view .*: n1 n2 n3$'")?;
            wait_until(guest, QUORATE)?;
        }
        let mut holders = Vec::new();
        for (node, guest) in self.nodes.iter_mut().enumerate() {
            if guest.run(&format!("[ -e {VOLUME} ]"))?.code == 0 {
                holders.push(node);
            }
        }
        assert_eq!(holders, [self.next]);
        Ok(())
    }

    /// Back where it was.
    fn give_back(&mut self) -> Result<(), Trouble> {
        self.nodes[self.next].ok("evms deactivate data && evms container modify data --owner n1").map(drop)
    }
}

/// F16, F49. The first words of the others tell it that time went by, or the clock on its board does.
fn a_machine_that_stood_still(bench: &mut Bench) -> Result<(), Trouble> {
    let writer = bench.begin()?;
    bench.nodes[0].ok("echo stood still >/dev/kmsg")?;
    bench.nodes[0].pause()?;
    let taken = bench.taken_meanwhile();
    bench.nodes[0].resume()?;
    let sum = taken?;
    bench.has_rejoined(writer)?;
    let told = bench.nodes[0].ok("dmesg | sed -n '/stood still/,$p' | grep -E 'stood still|quorate|view'")?;
    eprintln!("  in its own words, by its own clock:\n{}", told.trim_end());
    bench.landed_within(WRITES_ON_US, &sum)?;
    let is_told = ["the others went on without this node", "this machine stood still with its clock"];
    // Whichever it was: it was told, and not only late.
    let noticed = noticed(&told, &is_told).ok_or_else(|| Trouble::Unexpected(told.clone()))?;
    eprintln!("  it knew after {} ms of its clock", noticed.as_millis());
    assert!(noticed <= NOTICED.here(), "{told}");
    bench.give_back()
}

/// F16 behind a cut: nobody tells it but the clock on its board, which went on.
fn one_that_goes_on_behind_a_cut(bench: &mut Bench) -> Result<(), Trouble> {
    let writer = bench.begin()?;
    bench.nodes[0].ok("echo stood behind a cut >/dev/kmsg")?;
    bench.nodes[0].pause()?;
    // From here on: what came meanwhile would wait in its card, and tell it.
    bench.lan.partition(&[&["one"], &["two", "three"]]);
    let taken = bench.taken_meanwhile();
    bench.nodes[0].resume()?;
    let sum = taken?;
    wait_until(&mut bench.nodes[0], &format!("[ \"$({GATES})\" = 1 ]"))?;
    wait_until(&mut bench.nodes[0], "dmesg | grep -q 'this machine stood still with its clock'")?;
    let told =
        bench.nodes[0].ok("dmesg | sed -n '/stood behind a cut/,$p' | grep -E 'stood|quorate|view'")?;
    let noticed = noticed(&told, &["this machine stood still with its clock"]);
    let noticed = noticed.ok_or_else(|| Trouble::Unexpected(told.clone()))?;
    eprintln!(
        "  it knew after {} ms of its clock; in its own words:\n{}",
        noticed.as_millis(),
        told.trim_end()
    );
    assert!(noticed <= NOTICED.here(), "{told}");
    bench.lan.heal();
    bench.has_rejoined(writer)?;
    bench.landed_within(WRITES_ON_US, &sum)?;
    bench.give_back()
}

/// F17: the keeper closes the gates, and when evmsd goes on they are another's.
fn an_evmsd_that_stood_still(bench: &mut Bench) -> Result<(), Trouble> {
    let writer = bench.begin()?;
    let evmsd = bench.daemons[0].pid();
    bench.nodes[0].ok(&format!("kill -STOP {evmsd}"))?;
    wait_until(&mut bench.nodes[0], &format!("[ \"$({GATES})\" = 1 ]"))?;
    let sum = bench.taken_meanwhile()?;
    assert!(!writer.is_over(&mut bench.nodes[0])?, "what waits waits until its node is told");
    bench.nodes[0].ok(&format!("kill -CONT {evmsd}"))?;
    bench.has_rejoined(writer)?;
    assert_eq!(bench.landed("n1")?, Landed::default());
    assert_eq!(bench.sum()?, sum);
    bench.give_back()
}

/// F19: the gates stay open, and the watchdog has bitten before anybody takes what is behind them.
fn killed_with_its_keeper(bench: &mut Bench) -> Result<(), Trouble> {
    let _writer = bench.begin()?;
    let keeper = bench.nodes[0].ok(KEEPER)?;
    // In this order: one that lives would start another keeper.
    let evmsd = bench.daemons[0].pid();
    let begin = Instant::now();
    bench.nodes[0].ok(&format!("kill -9 {evmsd} {}", keeper.trim()))?;
    bench.nodes[0].wait_for_off(BITE)?;
    let bit = begin.elapsed();
    let sum = bench.taken()?;
    eprintln!(
        "  the watchdog bit {:.1} s after the kill, the volume was the next one's after {:.1} s",
        bit.as_secs_f32(),
        begin.elapsed().as_secs_f32()
    );
    assert_eq!(bench.landed("n1")?, Landed::default());
    assert_eq!(bench.sum()?, sum);
    Ok(())
}
