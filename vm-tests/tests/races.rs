//! Two commands at once on one machine. A disk that does not answer, named beside the members, holds a command in its look,
//! where it has read the container and not yet done anything with it; meanwhile another command runs. The ids in the
//! names of cases are those of the list of invariants.

use serde_json::Value;
use vm_tests::cases;
use vm_tests::console::Output;
use vm_tests::disk::Disk;
use vm_tests::fault::{Faulty, Way};
use vm_tests::guest::Guest;
use vm_tests::image::Image;
use vm_tests::scene;
use vm_tests::tables;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 64;
const NODE: &str = "11111111-2222-4333-8444-555555555555";
const OTHER: &str = "99999999-8888-4777-a666-555555555555";
/// The identity of another machine, for commands that are run as if there.
const ELSEWHERE: &str = "--node-file /etc/evms/elsewhere";
/// Volumes of 1 MiB besides `v1`, so that bringing all of them up takes a while.
const SMALL: usize = 10;
/// How often two commands are let loose at one moment.
const ROUNDS: usize = 6;
/// What one answer of the disk takes where it is late and not hung: a look at it takes several.
const LATE_MS: u32 = 1200;
/// The same of a member: a commit takes many.
const SLOW_MEMBER_MS: u32 = 40;

struct Bench {
    guest: Guest,
    /// The nodes of the members of `data`; the last is the one with the fault in front.
    members: Vec<String>,
    slow: Faulty,
    /// Named beside the members, no member itself.
    window: Faulty,
}

/// Proves that no two commands of one machine, however they fall together, map what is another's or map it twice, and that
/// each ends with success or a sentence.
#[test]
fn commands_at_once_do_not_harm_each_other() {
    scene::play("races", |scene| {
        let disks = ["a", "b", "c", "w"].iter().map(|name| scene.disk(name, SIZE_MIB));
        let disks: Vec<Disk> = disks.collect::<Result<_, _>>()?;
        let image = Image::usual(scene.parts())?.program("/usr/sbin/dmsetup")?.program("/usr/bin/flock")?;
        let image = scene.image("tools", image)?;
        let mut guest = scene.guest("one")?.image(&image).disks(&disks).start()?;
        let mut members = disks.iter().map(|disk| guest.device(disk)).collect::<Result<Vec<_>, _>>()?;
        let window = members.pop().unwrap_or_default();
        let last = members.pop().unwrap_or_default();
        let slow = Faulty::over(&mut guest, "slow", &last)?;
        let window = Faulty::over(&mut guest, "window", &window)?;
        members.push(slow.node().into());
        guest.ok(&format!(
            "mkdir -p /etc/evms; echo {NODE} >/etc/evms/node; echo {OTHER} >/etc/evms/elsewhere"
        ))?;
        cases::run(
            &mut Bench { guest, members, slow, window },
            &[
                ("i1_a_deport_waits_for_who_maps", i1_a_deport_waits_for_who_maps),
                ("i1_who_would_map_waits_for_a_deport", i1_who_would_map_waits_for_a_deport),
                ("i1_a_deport_sees_what_came_up_in_its_look", i1_a_deport_sees_what_came_up_in_its_look),
                ("i10_freed_extents_are_not_mapped_twice", i10_freed_extents_are_not_mapped_twice),
                ("i10_a_lock_is_of_the_disk_not_of_its_node", i10_a_lock_is_of_the_disk_not_of_its_node),
                ("i10_a_delete_sees_what_came_up_in_its_look", i10_a_delete_sees_what_came_up_in_its_look),
                ("i6_a_second_expansion_in_the_look_of_one", i6_a_second_expansion_in_the_look_of_one),
                ("i6_a_second_expansion_before_the_table", i6_a_second_expansion_before_the_table),
                ("f53_one_goes_down_while_it_is_looked_at", f53_one_goes_down_while_it_is_looked_at),
                ("f53_activate_twice_at_once", f53_activate_twice_at_once),
                ("f53_up_and_down_at_once", f53_up_and_down_at_once),
                ("a_turn_that_never_ends_keeps_nobody", a_turn_that_never_ends_keeps_nobody),
                ("a_killed_activate_leaves_no_lock", a_killed_activate_leaves_no_lock),
            ],
        )
    });
}

impl Bench {
    /// `data` over three disks that are well, with `v1` of 8 MiB and ten small volumes, all down; nothing runs any more.
    fn fresh(&mut self) -> Result<(), Trouble> {
        self.slow.becomes(&mut self.guest, Way::Well)?;
        self.window.becomes(&mut self.guest, Way::Well)?;
        wait_until(&mut self.guest, "! pidof evms >/dev/null")?;
        let (slow, tail) = (self.slow.disk().to_string(), SIZE_MIB - 4);
        // A disk with a fault in front is no disk that can be taken.
        self.members[2].clone_from(&slow);
        let all = self.members.join(" ");
        self.guest.ok(&format!(
            "evms deactivate --all >/dev/null && dmsetup remove slow && ! dmsetup ls | grep evms: || exit 1
             for disk in {all}; do for at in 0 {tail}; do
               dd if=/dev/zero of=$disk bs=1M seek=$at count=4 oflag=direct 2>/dev/null
             done; done
             evms container create data --private --extent 1M {all} && evms volume create data/v1 --size 8M &&
             for n in $(seq {SMALL}); do evms volume create data/s$n --size 1M || exit 1; done"
        ))?;
        self.slow = Faulty::over(&mut self.guest, "slow", &slow)?;
        self.members[2] = self.slow.node().into();
        Ok(())
    }

    /// Runs evms on the members.
    fn evms(&mut self, words: &str) -> Result<Output, Trouble> {
        let named = self.members.join(":");
        self.guest.run(&format!("EVMS_DISKS={named} evms {words} 2>&1"))
    }

    fn done(&mut self, words: &str) -> Result<String, Trouble> {
        let output = self.evms(words)?;
        assert_eq!(output.code, 0, "{words}: {}", output.text());
        Ok(output.text())
    }

    /// It ends with 1 and says one of these.
    fn refused(&mut self, words: &str, said: &[&str]) -> Result<(), Trouble> {
        let output = self.evms(words)?;
        is_refused(words, &output, said);
        Ok(())
    }

    fn beside(&mut self, name: &str, words: &str) -> Result<Task, Trouble> {
        let named = self.members.join(":");
        Task::start(&mut self.guest, name, &format!("env EVMS_DISKS={named} evms {words}"))
    }

    /// Starts a command that looks at the window behind the members, and waits until so many commands do: all that is on
    /// the members they have read by then.
    fn in_its_look(&mut self, name: &str, words: &str, many: usize) -> Result<Task, Trouble> {
        let named = format!("{}:{}", self.members.join(":"), self.window.node());
        let task = Task::start(&mut self.guest, name, &format!("env EVMS_DISKS={named} evms {words}"))?;
        self.looked_through_by(many)?;
        Ok(task)
    }

    fn looked_through_by(&mut self, many: usize) -> Result<(), Trouble> {
        let open = "$(dmsetup info -c --noheadings -o open window | tr -d ' ')";
        wait_until(&mut self.guest, &format!("[ {open} = {many} ]"))
    }

    fn window(&mut self, way: Way) -> Result<(), Trouble> {
        self.window.becomes(&mut self.guest, way)
    }

    /// Waits until this command waits for a lock of another, which is all that evms sleeps for, or has ended.
    fn waits_or_ends(&mut self, name: &str) -> Result<(), Trouble> {
        let sleeps =
            "for p in $(pidof evms); do cat /proc/$p/task/*/wchan 2>/dev/null; done | grep -q nanosleep";
        wait_until(&mut self.guest, &format!("{{ [ -e /tmp/task-{name}.code ] || {sleeps}; }}"))
    }

    /// Names of our devices in the kernel.
    fn devices(&mut self) -> Result<Vec<String>, Trouble> {
        let text = self.guest.ok("dmsetup info -c --noheadings -o name")?;
        let names = text.lines().map(|line| line.trim().to_string());
        Ok(names.filter(|name| name.starts_with("evms:")).collect())
    }

    /// What stands in the kernel is whole: no two volumes share a sector, each has its node, which leads to it and can be
    /// read, and there is no other node. How many there are.
    fn whole(&mut self) -> Result<usize, Trouble> {
        let pieces = tables::pieces(&mut self.guest)?;
        assert!(tables::overlap(&pieces).is_none(), "mapped twice: {pieces:?}");
        let volumes = self.devices()?.iter().filter(|name| !name.contains(":gate:")).count();
        let nodes = tables::nodes(&mut self.guest)?;
        assert_eq!(nodes.len(), volumes, "{nodes:?}");
        for node in nodes {
            self.guest.ok(&format!("dd if={node} of=/dev/null bs=4k count=1 iflag=direct 2>&1"))?;
        }
        Ok(volumes)
    }

    /// One value of the first row of a list.
    fn listed(&mut self, what: &str, name: &str, key: &str) -> Result<Value, Trouble> {
        let text = self.done(&format!("--json list {what}"))?;
        let answer: Value = serde_json::from_str(&text)
            .map_err(|why| Trouble::Unexpected(format!("no JSON: {why}: {text}")))?;
        let rows = answer["result"][what].as_array().cloned().unwrap_or_default();
        let row = rows.into_iter().find(|row| row["name"] == name).unwrap_or_default();
        Ok(row[key].clone())
    }

    /// `data` is up only where it is ours.
    fn nothing_of_anothers_is_mapped(&mut self) -> Result<(), Trouble> {
        let owner = self.listed("containers", "data", "owner")?;
        let live = self.devices()?;
        assert!(owner == NODE || live.is_empty(), "{owner} owns what is mapped here: {live:?}");
        Ok(())
    }

    /// It goes down and comes up as if nothing had been, and a change can be made: no lock is left, nor a device.
    fn all_is_well(&mut self) -> Result<(), Trouble> {
        self.done("deactivate data")?;
        assert!(self.devices()?.is_empty());
        self.done("activate data")?;
        self.whole()?;
        self.done("volume create data/last --size 1M")?;
        self.done("deactivate data").map(drop)
    }
}

fn is_refused(words: &str, output: &Output, said: &[&str]) {
    let text = output.text();
    assert_eq!(output.code, 1, "{words}: {text}");
    assert!(said.iter().any(|part| text.contains(part)), "{words}: none of {said:?} in: {text}");
}

fn succeeded(words: &str, output: &Output) {
    assert_eq!(output.code, 0, "{words}: {}", output.text());
}

const LOCKED: &str = "another process has it locked; nothing was touched";
const ACTIVE: &str = "is active here";

/// I1: who has read that a container is ours and is about to map it keeps a deport away, for as long as he looks, and then
/// by what he has mapped. Fails when `look_steadily` does not lock.
fn i1_a_deport_waits_for_who_maps(bench: &mut Bench) -> Result<(), Trouble> {
    for wakes in [false, true] {
        bench.fresh()?;
        bench.window(Way::Hangs)?;
        let up = bench.in_its_look("up", "activate data", 1)?;
        let away = bench.beside("away", "container deport data")?;
        bench.waits_or_ends("away")?;
        if wakes {
            bench.window(Way::Well)?;
        }
        let away = away.end(&mut bench.guest)?;
        if away.code == 0 {
            bench.done(&format!("{ELSEWHERE} container import data"))?;
        }
        bench.window(Way::Well)?;
        let up = up.end(&mut bench.guest)?;
        bench.nothing_of_anothers_is_mapped()?;
        succeeded("activate", &up);
        is_refused("deport", &away, if wakes { &[ACTIVE] } else { &[LOCKED] });
        assert_eq!(bench.whole()?, SMALL + 1);
        bench.done("deactivate data; evms container deport data")?;
    }
    Ok(())
}

/// I1: a deport is in its commit, which takes seconds because a member is slow. Who would map waits for it, and is refused by
/// what stands there then. Fails when `look_steadily` does not lock.
fn i1_who_would_map_waits_for_a_deport(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let before = bench.listed("containers", "data", "generation")?;
    bench.slow.becomes(&mut bench.guest, Way::Late(SLOW_MEMBER_MS))?;
    let away = bench.beside("away", "container deport data")?;
    wait_until(&mut bench.guest, "grep -q 'FLOCK .* WRITE' /proc/locks")?;
    let up = bench.evms("activate data")?;
    let away = away.end(&mut bench.guest)?;
    succeeded("deport", &away);
    assert_ne!(bench.listed("containers", "data", "generation")?, before);
    let live = bench.devices()?;
    assert!(live.is_empty(), "it is deported and mapped: {live:?}: {}", up.text());
    // By what it waited for, or, when that took too long, by the lock.
    let said = ["container data", LOCKED];
    assert!(up.code != 0 && said.iter().any(|part| up.text().contains(part)), "{}", up.text());
    bench.done(&format!("{ELSEWHERE} container import data"))?;
    let up = bench.evms("activate data")?;
    assert!(up.code == 4 && up.text().contains("owned by another machine"), "{}", up.text());
    bench.nothing_of_anothers_is_mapped()
}

/// I1: what a deport saw in its look is a hint; what came up meanwhile forbids it. Fails when what is active is not asked
/// for under the lock.
fn i1_a_deport_sees_what_came_up_in_its_look(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.window(Way::Hangs)?;
    let away = bench.in_its_look("away", "container deport data", 1)?;
    bench.done("activate data")?;
    bench.window(Way::Well)?;
    is_refused("deport", &away.end(&mut bench.guest)?, &[ACTIVE]);
    bench.nothing_of_anothers_is_mapped()?;
    assert_eq!(bench.whole()?, SMALL + 1);
    bench.all_is_well()
}

/// I10: `v1` is about to be mapped; meanwhile somebody deletes it, gives its extents to `w` and brings that up. Fails when
/// `look_steadily` does not lock.
fn i10_freed_extents_are_not_mapped_twice(bench: &mut Bench) -> Result<(), Trouble> {
    for wakes in [false, true] {
        bench.fresh()?;
        let disks = bench.listed("volumes", "data/v1", "disks")?;
        bench.window(Way::Hangs)?;
        let up = bench.in_its_look("up", "activate data/v1", 1)?;
        let other = "volume delete data/v1 && evms volume create data/w --size 8M && evms activate data/w";
        let named = bench.members.join(":");
        let other = format!("sh -c 'export EVMS_DISKS={named}; evms {other}'");
        let other = Task::start(&mut bench.guest, "other", &other)?;
        bench.waits_or_ends("other")?;
        if wakes {
            bench.window(Way::Well)?;
        }
        let other = other.end(&mut bench.guest)?;
        bench.window(Way::Well)?;
        let up = up.end(&mut bench.guest)?;
        assert_eq!(bench.whole()?, 1);
        succeeded("activate", &up);
        is_refused("delete", &other, if wakes { &[ACTIVE] } else { &[LOCKED] });
        // The case is worth nothing unless `w` would have got what `v1` had.
        bench.done("deactivate data; evms volume delete data/v1; evms volume create data/w --size 8M")?;
        assert_eq!(bench.listed("volumes", "data/w", "disks")?, disks);
    }
    Ok(())
}

/// I10: the same disks by nodes of their own, as dmsetup makes them for multipath maps where no udev runs: a lock by one is
/// a lock by the other, for who maps and for who changes. Fails when the node that was named is locked.
fn i10_a_lock_is_of_the_disk_not_of_its_node(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let mut nodes = Vec::new();
    for (number, member) in bench.members.clone().iter().enumerate() {
        let node = format!("/tmp/node-{number}");
        let numbers = "%t %T";
        bench.guest.ok(&format!(
            "rm -f {node}; set -- $(stat -L -c '{numbers}' {member}); mknod {node} b $((0x$1)) $((0x$2))"
        ))?;
        nodes.push(node);
    }
    let by_kernel = std::mem::replace(&mut bench.members, nodes);
    bench.window(Way::Hangs)?;
    let up = bench.in_its_look("up", "activate data/v1", 1);
    bench.members = by_kernel;
    let up = up?;
    let delete = bench.evms("volume delete data/v1")?;
    bench.window(Way::Well)?;
    succeeded("activate", &up.end(&mut bench.guest)?);
    is_refused("delete", &delete, &[LOCKED]);
    assert_eq!(bench.whole()?, 1);
    bench.all_is_well()
}

/// I10: what a delete saw in its look is a hint; what came up meanwhile forbids it, and no extent is free before. Fails when
/// what is active is not asked for under the lock.
fn i10_a_delete_sees_what_came_up_in_its_look(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.window(Way::Hangs)?;
    let gone = bench.in_its_look("gone", "volume delete data/v1", 1)?;
    bench.done("activate data/v1")?;
    bench.window(Way::Well)?;
    is_refused("delete", &gone.end(&mut bench.guest)?, &[ACTIVE]);
    bench.done("volume create data/w --size 8M")?;
    bench.done("activate data/w")?;
    assert_eq!(bench.whole()?, 2);
    bench.all_is_well()
}

impl Bench {
    /// The live table is as long as the model says, and that is so many MiB.
    fn is_long(&mut self, mebibytes: u64) -> Result<(), Trouble> {
        let model = self.listed("volumes", "data/v1", "size_bytes")?;
        let live = self.guest.ok("blockdev --getsize64 /dev/evms/data/v1")?;
        assert_eq!(live.trim(), model.to_string(), "the kernel's size and the model's");
        assert_eq!(model, mebibytes << 20);
        self.whole().map(drop)
    }
}

/// I6: two expansions of a live volume, one whole one in the look of the other: both are made, on what stands there. Fails
/// when the table is not made from what is read after the change.
fn i6_a_second_expansion_in_the_look_of_one(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("activate data")?;
    bench.window(Way::Hangs)?;
    let four = bench.in_its_look("four", "volume expand data/v1 --size +4M", 1)?;
    let eight = bench.done("volume expand data/v1 --size +8M")?;
    bench.is_long(16)?;
    bench.window(Way::Well)?;
    let four = four.end(&mut bench.guest)?;
    succeeded("expand", &four);
    for said in [eight, four.text()] {
        assert!(said.contains("has its new size already"), "{said}");
    }
    bench.is_long(20)?;
    bench.all_is_well()
}

/// I6: the model has grown, the table not yet; meanwhile it grows again. The second waits until the first is live. Fails when
/// `reload` looks without a lock: the first would load an older, shorter table, or say that it could not.
fn i6_a_second_expansion_before_the_table(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("activate data")?;
    bench.window(Way::Late(LATE_MS))?;
    let four = bench.in_its_look("four", "volume expand data/v1 --size +4M", 1)?;
    let named = bench.members.join(":");
    let grown = format!("EVMS_DISKS={named} evms list volumes | grep -q 'data/v1 .*12'");
    wait_until(&mut bench.guest, &format!("{{ {grown}; }}"))?;
    bench.looked_through_by(1)?;
    let eight = bench.done("volume expand data/v1 --size +8M")?;
    let four = four.end(&mut bench.guest)?;
    succeeded("expand", &four);
    for said in [eight, four.text()] {
        assert!(said.contains("has its new size already"), "{said}");
    }
    bench.is_long(20)?;
    bench.all_is_well()
}

/// F53: volumes go down while somebody who found them up is in his look: they come up again, all of them, for what is live
/// is asked after the look. Fails when the kernel is asked before.
fn f53_one_goes_down_while_it_is_looked_at(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.done("activate data")?;
    bench.window(Way::Hangs)?;
    let up = bench.in_its_look("up", "activate data", 1)?;
    bench.done("deactivate data")?;
    assert!(bench.devices()?.is_empty());
    bench.window(Way::Well)?;
    succeeded("activate", &up.end(&mut bench.guest)?);
    assert_eq!(bench.whole()?, SMALL + 1);
    bench.all_is_well()
}

/// F53: two commands bring one container up at one moment: both succeed, and all of it is up once.
fn f53_activate_twice_at_once(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    for _ in 0..ROUNDS {
        bench.window(Way::Hangs)?;
        let one = bench.in_its_look("one", "activate data", 1)?;
        let two = bench.in_its_look("two", "activate --all", 2)?;
        bench.window(Way::Well)?;
        for task in [one, two] {
            succeeded("activate", &task.end(&mut bench.guest)?);
        }
        assert_eq!(bench.whole()?, SMALL + 1);
        bench.done("deactivate data")?;
        assert!(bench.devices()?.is_empty());
    }
    bench.all_is_well()
}

/// F53: one brings it up while another takes it down: whoever comes second finds all of it or nothing.
fn f53_up_and_down_at_once(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    for _ in 0..ROUNDS {
        bench.window(Way::Hangs)?;
        let up = bench.in_its_look("up", "activate data", 1)?;
        bench.window(Way::Well)?;
        let down = bench.evms("deactivate data")?;
        let up = up.end(&mut bench.guest)?;
        for (words, output) in [("activate", &up), ("deactivate", &down)] {
            succeeded(words, output);
        }
        let live = bench.whole()?;
        assert!(live == 0 || live == SMALL + 1, "half of it is up: {live}");
        assert_eq!(bench.devices()?.is_empty(), live == 0, "gates without volumes");
        bench.done("deactivate data")?;
        assert!(bench.devices()?.is_empty());
    }
    bench.all_is_well()
}

/// Safety 4.7: somebody has the turn at device-mapper and never gives it back. Nobody waits for it longer than for a lock, and
/// what is to go down goes down. Fails when the turn is waited for without a limit.
fn a_turn_that_never_ends_keeps_nobody(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    let holder = "flock -x /run/evms/turn sh -c 'touch /tmp/turn; exec sleep 600'";
    bench.guest.ok("rm -f /tmp/turn; mkdir -p /run/evms")?;
    let holder = Task::start(&mut bench.guest, "turn", holder)?;
    wait_until(&mut bench.guest, "[ -e /tmp/turn ]")?;
    bench.done("activate data")?;
    bench.done("deactivate --all")?;
    assert!(bench.devices()?.is_empty());
    bench.guest.ok("kill $(pidof sleep)")?;
    holder.end(&mut bench.guest)?;
    bench.all_is_well()
}

/// A command that is killed in its look leaves nothing that keeps the next one: it comes up while the disk hangs still, and
/// when the disk answers, no lock is left.
fn a_killed_activate_leaves_no_lock(bench: &mut Bench) -> Result<(), Trouble> {
    bench.fresh()?;
    bench.window(Way::Hangs)?;
    let killed = bench.in_its_look("killed", "activate data", 1)?;
    killed.kill(&mut bench.guest)?;
    assert_eq!(killed.end(&mut bench.guest)?.code, 128 + 9);
    bench.done("activate data")?;
    assert_eq!(bench.whole()?, SMALL + 1);
    bench.done("deactivate data")?;
    // What hangs in the kernel cannot be ended, and its lock with it; it is told, and goes with the hang.
    bench.refused("volume create data/x --size 1M", &[LOCKED])?;
    bench.window(Way::Well)?;
    wait_until(&mut bench.guest, "! pidof evms >/dev/null")?;
    bench.done("volume create data/x --size 1M")?;
    bench.all_is_well()
}
