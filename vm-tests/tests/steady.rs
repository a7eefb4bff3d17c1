//! What who writes hears nothing of, at the timings that a cluster has unless somebody says otherwise: an evmsd that is killed, and
//! another program in its place. And what comes of an owner that hangs, and of a quorum that is lost for good. On machines whose kernel
//! is a process, with writers that stamp what they write.

use std::time::{Duration, Instant};

use vm_tests::cases;
use vm_tests::limits::Limit;
use vm_tests::scene;
use vm_tests::script::Fault;
use vm_tests::task::{until_done, wait_until};
use vm_tests::town::{BOARD, BOOT, HOME, SETTLED, Town};
use vm_tests::trouble::Trouble;

const KILLS: usize = 3;
/// Gates of the first node: of the private container's disks, and of that one on which the shared volume lies.
const GATE_COUNT: usize = 4;
/// In which the others are of one view without who was killed.
const DEAD: Limit = Limit { name: "a view without who is dead", time: Duration::from_millis(1500) };
/// Longer than a takeover takes that nobody's word makes shorter.
const HELD_SECONDS: u32 = 16;
/// What a watchdog of 5 s proves, fed once more when it is about to bite, and what is under way then (safety 5.1).
const PROOF: Duration = Duration::from_secs(12);
/// As the kernel has it: of every gate, whether it is stopped.
const GATES: &str = "for d in /sys/block/dm-*/dm; do case $(cat $d/name) in evms:gate:*) cat $d/suspended;; esac; done 2>/dev/null | sort -u";

/// Proves what an evmsd that is away for a moment costs, and a node that is away for good.
#[test]
fn evmsd_comes_and_goes() {
    scene::play("steady", |scene| {
        let mut town = Town::found(scene)?;
        cases::run(
            &mut town,
            &[
                ("f18_evmsd_alone_is_killed", evmsd_alone_is_killed),
                ("f18_another_program_over_a_living_keeper", another_program_over_a_living_keeper),
                ("f1_evmsd_and_its_keeper_are_killed", evmsd_and_its_keeper_are_killed),
                ("f15_an_owner_that_hangs", an_owner_that_hangs),
                ("f57_a_quorum_that_is_lost_for_good", a_quorum_that_is_lost_for_good),
            ],
        )
    });
}

/// F18: its keeper lives and its gates are as they were. Where it is back before its lease is over nobody notices: not one view or epoch
/// is another.
fn evmsd_alone_is_killed(bench: &mut Town) -> Result<(), Trouble> {
    let (keeper, boots) = (bench.keepers()?, bench.boots()?);
    bench.begin()?;
    let mut unnoticed = 0;
    for _ in 0..KILLS {
        let before = (bench.view()?, bench.tenure(0, "data")?, bench.tenure(0, "pool")?);
        bench.machines[0].kill_evmsd()?;
        bench.machines[0].start_evmsd()?;
        bench.are_one()?;
        let after = (bench.view()?, bench.tenure(0, "data")?, bench.tenure(0, "pool")?);
        unnoticed += usize::from(after == before);
    }
    assert_eq!(bench.keepers()?, keeper, "it is the same one");
    let writes = bench.enough()?;
    eprintln!("  {writes} writes without an error; {unnoticed} of {KILLS} times nobody noticed");
    // One that has to wait for its processor may be late.
    assert!(unnoticed > 0);
    assert_eq!(bench.boots()?, boots);
    bench.was_peaceful()
}

/// F18: the file of the program is another one, and evmsd is started anew from it, as an upgrade does. The keeper is of the old one, and
/// goes on; so do the gates, which the new one finds.
fn another_program_over_a_living_keeper(bench: &mut Town) -> Result<(), Trouble> {
    let (keeper, boots) = (bench.keepers()?, bench.boots()?);
    bench.begin()?;
    let path = bench.machines[0].guest()?.ok("readlink -f $(which evmsd)")?;
    let (path, pid) = (path.trim(), bench.machines[0].evmsd().unwrap_or_default());
    let one = bench.machines[0].guest()?;
    // Not the same bytes, and not the same file.
    one.ok(&format!("cp {path} {path}.new && echo another >>{path}.new && mv {path}.new {path}"))?;
    one.ok(&format!("kill -TERM {pid}"))?;
    wait_until(one, &format!("! kill -0 {pid} 2>/dev/null"))?;
    bench.machines[0].start_evmsd()?;
    bench.are_one()?;
    assert_eq!(bench.keepers()?, keeper, "it is the same one");
    let one = bench.machines[0].guest()?;
    let old = one.ok(&format!("ls -l /proc/{}/exe", keeper.trim()))?;
    assert!(old.contains("(deleted)"), "{old}");
    let status = one.ok("evms-fence status --json")?;
    let open = status.matches("\"state\":\"open\"").count();
    assert!(open == GATE_COUNT, "{status}");
    let writes = bench.enough()?;
    eprintln!("  {writes} writes without an error");
    assert_eq!(bench.boots()?, boots);
    // And both take down and bring up what the other one knows of.
    bench.machines[0].guest()?.ok("evms deactivate data && evms activate data")?;
    bench.was_peaceful()
}

/// F15: it hangs with its gates open. Its watchdog's time is the evidence; when it goes on that bites, in its first moment, and nothing
/// of it lands. What is shared goes on without it.
fn an_owner_that_hangs(bench: &mut Town) -> Result<(), Trouble> {
    bench.begin()?;
    let begin = Instant::now();
    bench.machines[0].suffer(&Fault::Paused(0))?;
    wait_until(bench.machines[1].guest()?, "evms history data | grep -q 'taken over from n1'")?;
    let took = begin.elapsed();
    let history = bench.machines[1].guest()?.ok("evms history data")?;
    assert!(history.contains("its watchdog of 5000 ms is over"), "{history}");
    assert!(took >= PROOF, "{took:?}");
    let next = bench.tenure(1, "data")?;
    let holder = bench.holder(1)?;
    let name = bench.name(holder);
    let guest = bench.machines[holder].guest()?;
    wait_until(guest, &format!("[ -e {HOME} ] && {SETTLED}"))?;
    bench.private.fill(guest, holder, &name, next.epoch)?;
    let stands = bench.private.read(guest)?;
    bench.shared[0].note_loss(0);
    let is_bitten = bench.machines[0].recover(&Fault::Paused(0), &bench.yard)?;
    eprintln!("  taken over {:.1} s after it hung", took.as_secs_f32());
    assert!(is_bitten, "its watchdog resets it");
    bench.are_one()?;
    let guest = bench.machines[holder].guest()?;
    assert_eq!(bench.private.read(guest)?, stands, "nothing of it landed");
    bench.machines[0].guest()?.ok(&format!("[ ! -e {HOME} ] && evms activate pool"))?;
    for node in [1, 2] {
        let part = &mut bench.shared[node];
        part.end(node, &mut bench.machines[node])?;
        assert!(part.runs().iter().all(|run| run.failed.is_none()), "n{}", node + 1);
    }
    Ok(())
}

/// Both at once, with gates open: the others are of one view without it, the watchdog bites, and it comes back.
fn evmsd_and_its_keeper_are_killed(bench: &mut Town) -> Result<(), Trouble> {
    bench.are_one()?;
    let (dead, begin) = (Fault::Bitten(2), Instant::now());
    bench.machines[2].suffer(&dead)?;
    for node in [0, 1] {
        wait_until(bench.machines[node].guest()?, "evms status | grep -q '^view .*: n1 n2$'")?;
    }
    let took = begin.elapsed();
    eprintln!("  one view of the others {:.2} s after the kill", took.as_secs_f32());
    assert!(took <= DEAD.here(), "{took:?}");
    assert!(bench.machines[2].recover(&dead, &bench.yard)?, "it booted");
    until_done(bench.machines[2].guest()?, "evms activate pool")?;
    bench.are_one()
}

/// F57: two of three never come back. What is written waits, for as long as anybody looks; that it fails is somebody's word, of one
/// container, and he is told what it does.
fn a_quorum_that_is_lost_for_good(bench: &mut Town) -> Result<(), Trouble> {
    let holder = bench.holder(0)?;
    if holder != 0 {
        let give = "evms deactivate data && evms container modify data --owner n1";
        bench.machines[holder].guest()?.ok(give)?;
        bench.machines[0].guest()?.ok("evms activate data")?;
    }
    let epoch = bench.tenure(0, "data")?.epoch;
    let name = bench.name(0);
    let one = bench.machines[0].guest()?;
    bench.private.start(one, 0, &name, epoch)?;
    bench.private.wait_for_begin(one)?;
    bench.machines[1].cut_power()?;
    bench.machines[2].cut_power()?;
    let one = bench.machines[0].guest()?;
    let waits = format!("[ \"$({GATES})\" = 1 ] && [ ! -e /tmp/task-w-{name}.code ]");
    wait_until(one, &waits)?;
    let boot = one.ok(BOOT)?;
    one.ok(&format!("sleep {HELD_SECONDS} && {waits}"))?;
    let status = one.ok("evms-fence status")?;
    assert!(status.contains("this node is not quorate"), "{status}");
    let why = one.ok("evms why data")?;
    assert!(why.contains("this node may not act now: the view has 1 of 3 votes and 2 are needed"), "{why}");
    let said = one.ok("evms deactivate --fail data 2>&1")?;
    one.ok("dmesg | grep -q 'an administrator lets I/O fail: evms deactivate --fail data'")?;
    // The writer's first error may come before it is looked for, or behind that.
    let told = ["volume data/home: deactivated", "volume data/home is still open"];
    assert!(told.iter().any(|words| said.contains(words)), "{said}");
    wait_until(one, &format!("[ -e /tmp/task-w-{name}.code ]"))?;
    one.ok(&format!("grep -q 'Input/output error' /tmp/task-w-{name}.said"))?;
    wait_until(one, &format!("[ ! -e {HOME} ]"))?;
    // Of the other one nobody said anything: its gate is the only one that is left.
    wait_until(one, "[ $(evms-fence status --json | grep -o '\"name\":\"evms:gate' | wc -l) = 1 ]")?;
    one.ok(&format!("[ -e {BOARD} ] && [ \"$({GATES})\" = 1 ]"))?;
    assert_eq!(one.ok(BOOT)?, boot);
    Ok(())
}
