//! Fence agents: the owner of a container is cut off, says nothing over its disks either, and has no watchdog, so that nothing but the
//! word of an agent can prove that it writes no more. The agent is a script that asks this test to pull the owner's cord; it waits until that is done, or lies, or hangs.

use vm_tests::cases;
use vm_tests::cluster::{self, QUORATE};
use vm_tests::disk::Disk;
use vm_tests::guest::Guest;
use vm_tests::network::Network;
use vm_tests::scene;
use vm_tests::task::{Task, wait_until};
use vm_tests::trouble::Trouble;

const SIZE_MIB: u64 = 32;
const DISKS: usize = 4;
const VOLUME: &str = "/dev/evms/data/home";
const NO_GATES: &str = "evms-fence status --json | grep -q '\"gates\":\\[\\]'";
/// From the moment at which `status` reads off: 2.04 s for what was under way, and what guests under emulation take for the rest (2 s
/// on one that has a processor to itself).
const TAKEN_SECONDS: f64 = 12.0;
/// From the cut, where the watchdog's time is waited for (see `takeover`).
const WATCHED_SECONDS: f64 = 30.0;
/// Of one call of the agent.
const LIMIT_SECONDS: u32 = 40;
/// What stands in a node's file.
const SECTION: &str = "\\n[[fence]]\\nnode = \"n3\"\\nagent = \"/tmp/fence_test\"\\ntimeout_s = 40\\nretries = 0\\n\
                       [fence.options]\\nip = \"10.9.9.9\"\\npassword = \"hidden\"\\n";
const AGENT: &str = "#!/bin/sh
while read -r line; do
    case $line in action=*) action=${line#action=};; ip=10.9.9.9) told=yes;; esac
done
echo \"$action $told $*\" >>/tmp/fence/log
case $action in
off)
    case $(cat /tmp/fence/mode) in
    lies) echo 'it is off, hidden'; exit 0;;
    hangs) trap '' TERM; sleep 1234 & echo $! >/tmp/fence/pid; wait;;
    good) : >/tmp/fence/request; until [ -e /tmp/fence/off ]; do usleep 20000; done; exit 0;;
    esac;;
status) [ -e /tmp/fence/off ] && exit 2; exit 0;;
esac
exit 1
";

struct Bench {
    /// Who take over.
    others: [Guest; 2],
    /// Who owns the container.
    victim: Option<Guest>,
    /// Its evmsd.
    daemon: Option<Task>,
    lan: Network,
    disks: Vec<Disk>,
    /// Of a container that all share.
    common: Vec<Disk>,
}

/// Proves that an agent's word is believed when its status reads off, and not before, and that one that hangs delays nothing.
#[test]
fn an_agents_word_is_good_when_its_status_reads_off() {
    scene::play("agents", |scene| {
        let lan = scene.network("lan1");
        let disks = (0..DISKS).map(|number| scene.disk(&format!("shared{number}"), SIZE_MIB));
        let mut disks = disks.collect::<Result<Vec<_>, _>>()?;
        let plan = |name: &str| scene.guest(name)?.nic(&lan).disks(&disks).power_on();
        let others = [plan("one")?, plan("two")?];
        let victim = Some(plan("three")?);
        let common = disks.split_off(DISKS - 1);
        let mut bench = Bench { others, victim, daemon: None, lan: lan.clone(), disks, common };
        bench.found()?;
        cases::run(
            &mut bench,
            &[
                ("one_that_lies_proves_nothing", one_that_lies),
                ("one_that_hangs_delays_nothing", one_that_hangs),
                ("who_lives_is_not_switched_off_for_what_it_shares", who_shares),
                ("what_is_proven_off_is_taken_soon", what_is_off_is_taken),
            ],
        )
    });
}

impl Bench {
    /// A cluster of three nodes, of which two can have the third one's power cut; and a container of that one.
    fn found(&mut self) -> Result<(), Trouble> {
        let [one, two] = &mut self.others;
        let victim = self.victim.as_mut().ok_or_else(gone)?;
        let own = format!("printf '{SECTION}' >>/etc/evms.conf");
        // Before there is a node of that name, and before the file is written anew with it.
        let mut daemons = cluster::found(&mut [&mut *one, &mut *two, &mut *victim], &self.lan, &own)?;
        two.ok(&own)?;
        for (guest, daemon) in [&mut *one, &mut *two].into_iter().zip(&daemons) {
            guest.ok("mkdir -p /tmp/fence")?;
            guest.push("/tmp/fence_test", AGENT.as_bytes())?;
            guest.ok(&format!("chmod 700 /tmp/fence_test && kill -HUP {}", daemon.pid()))?;
            wait_until(guest, "evms-fence status | grep -q '/tmp/fence_test *n3 '")?;
        }
        self.daemon = daemons.pop();
        let said = one.ok("evmsd --check; cat /etc/evms.conf")?;
        assert!(said.contains("n3: /tmp/fence_test is told off") && said.contains("id = 3"), "{said}");
        let disks = self.disks.iter().map(|disk| victim.device(disk)).collect::<Result<Vec<_>, _>>()?;
        victim.ok(&format!("evms container create data --private --owner n3 {}", disks.join(" ")))?;
        victim.ok("evms volume create data/home --size 8M --stripes 3 && evms deactivate data")?;
        for disk in &self.common {
            let path = victim.device(disk)?;
            victim.ok(&format!("evms container create common --shared {path}"))?;
        }
        victim.ok("evms volume create common/pool --size 8M && evms deactivate common").map(drop)
    }

    fn victim(&mut self) -> Result<&mut Guest, Trouble> {
        self.victim.as_mut().ok_or_else(gone)
    }

    /// The agents are of this kind now, and forget what they did.
    fn become_(&mut self, mode: &str) -> Result<(), Trouble> {
        for guest in &mut self.others {
            guest.ok(&format!("rm -f /tmp/fence/* && echo {mode} >/tmp/fence/mode"))?;
        }
        Ok(())
    }

    /// The owner hears nobody, and the others go on without it.
    fn cut_off(&mut self) -> Result<(), Trouble> {
        self.lan.partition(&[&["three"], &["one", "two"]]);
        for guest in &mut self.others {
            wait_until(guest, "evms status | grep -q '^view .*: n1 n2$'")?;
            wait_until(guest, QUORATE)?;
        }
        Ok(())
    }

    /// It has its container up, and nobody hears it over the disks.
    fn up_and_mute(&mut self) -> Result<(), Trouble> {
        let victim = self.victim()?;
        victim.ok("evms activate data")?;
        cluster::mute(victim)
    }

    fn heal(&mut self) -> Result<(), Trouble> {
        self.lan.heal();
        for guest in self.others.iter_mut().chain(self.victim.as_mut()) {
            wait_until(guest, "evms status | grep -q '^view .*: n1 n2 n3$'")?;
            wait_until(guest, QUORATE)?;
        }
        Ok(())
    }

    /// Takes the owner's watchdog away, which a keeper lets go of when there is no evmsd any more. Meanwhile it is absent and holds
    /// nothing, and so nobody fences it.
    fn unwatch(&mut self) -> Result<(), Trouble> {
        let daemon = self.daemon.take().ok_or_else(gone)?;
        let victim = self.victim.as_mut().ok_or_else(gone)?;
        daemon.kill(victim)?;
        daemon.end(victim)?;
        wait_until(victim, "rmmod softdog")?;
        for guest in &mut self.others {
            wait_until(guest, "evms status | grep -q '^view .*: n1 n2$'")?;
            wait_until(guest, QUORATE)?;
        }
        // That nothing happens for longer than an agent needs to be asked is what is proved.
        self.others[0].ok("sleep 4 && [ ! -e /tmp/fence/log ]")?;
        Task::start(self.victim()?, "evmsd", "evmsd")?;
        self.heal()
    }

    fn nobody_took_it(&mut self) -> Result<(), Trouble> {
        for guest in &mut self.others {
            let said = guest.ok("[ ! -e /dev/evms/data ] && evms info data --json")?;
            assert!(said.contains("\"owner_name\":\"n3\""), "{said}");
        }
        Ok(())
    }
}

fn gone() -> Trouble {
    Trouble::Unexpected("the owner is off already".into())
}

fn seconds(guest: &mut Guest) -> Result<f64, Trouble> {
    let text = guest.ok("cut -d' ' -f1 /proc/uptime")?;
    text.trim().parse().map_err(|_| Trouble::Unexpected(format!("'{text}' is no number of seconds")))
}

/// It says over the disk that its gate is closed: that is a partition, and no death.
fn who_shares(bench: &mut Bench) -> Result<(), Trouble> {
    bench.become_("lies")?;
    bench.victim()?.ok("evms activate common")?;
    bench.cut_off()?;
    let one = &mut bench.others[0];
    wait_until(one, "dmesg | grep -q 'its power is not cut for what it shares'")?;
    one.ok("[ ! -e /tmp/fence/log ]")?;
    wait_until(one, "evms-fence status | grep -q '/tmp/fence_test *n3 .*it says so, and is asked again'")?;
    bench.heal()?;
    bench.victim()?.ok("[ ! -e /tmp/fence/log ] && evms deactivate common").map(drop)
}

/// `off` says that it is done, and `status` that it runs: nothing is taken, whatever `off` said.
fn one_that_lies(bench: &mut Bench) -> Result<(), Trouble> {
    bench.become_("lies")?;
    bench.victim()?.ok("rmmod softdog")?;
    bench.up_and_mute()?;
    bench.cut_off()?;
    let one = &mut bench.others[0];
    // It is asked once more after a while, by the first of the view; the second one waits for its turn.
    wait_until(one, "[ $(grep -c '^off yes $' /tmp/fence/log) -ge 2 ]")?;
    wait_until(
        one,
        "evms-fence status | grep -q 'off ended with 0, last line .it is off, \\*\\*\\*.; status ended with 0 (on)'",
    )?;
    let why = one.ok("evms why data")?;
    assert!(why.contains("this node asks /tmp/fence_test to cut its power"), "{why}");
    assert!(
        one.run("dmesg | grep -i hidden; grep -rs hidden /run/evms /tmp/task-evmsd.said")?.text().is_empty()
    );
    bench.others[1].ok("[ ! -e /tmp/fence/log ]")?;
    bench.nobody_took_it()?;
    bench.heal()?;
    // It goes on as it was.
    let victim = bench.victim()?;
    wait_until(victim, "evms-fence status --json | grep -q '\"state\":\"open\"'")?;
    cluster::unmute(victim)?;
    victim.ok("evms deactivate data && modprobe softdog").map(drop)
}

/// With a watchdog it is taken when that one's time is over, while the agent hangs still; which is ended at its limit, and all of it.
fn one_that_hangs(bench: &mut Bench) -> Result<(), Trouble> {
    bench.become_("hangs")?;
    bench.up_and_mute()?;
    let before = seconds(&mut bench.others[0])?;
    bench.lan.partition(&[&["three"], &["one", "two"]]);
    let one = &mut bench.others[0];
    wait_until(one, "[ -s /tmp/fence/pid ]")?;
    wait_until(one, &format!("[ -e {VOLUME} ]"))?;
    let took = seconds(one)? - before;
    eprintln!("  up {took:.1} s after the cut, while the agent hangs");
    assert!(took <= WATCHED_SECONDS, "{took}");
    one.ok("[ -d /proc/$(cat /tmp/fence/pid) ]")?;
    let history = one.ok("evms history data")?;
    assert!(history.contains("taken over from n3") && history.contains("watchdog of 5000 ms"), "{history}");
    one.ok(&format!("sleep {}", LIMIT_SECONDS / 2))?;
    wait_until(one, "[ ! -d /proc/$(cat /tmp/fence/pid) ]")?;
    wait_until(one, "evms-fence status | grep -q 'off was killed after 40 s; status was not asked'")?;
    bench.heal()?;
    wait_until(bench.victim()?, NO_GATES)?;
    cluster::unmute(bench.victim()?)?;
    bench.others[0].ok("evms deactivate data && evms container modify data --owner n3").map(drop)
}

/// Without a watchdog, and nobody swears anything.
fn what_is_off_is_taken(bench: &mut Bench) -> Result<(), Trouble> {
    bench.become_("good")?;
    bench.unwatch()?;
    bench.up_and_mute()?;
    let victim = bench.victim()?;
    victim.ok(&format!("echo mine | dd of={VOLUME} bs=4096 conv=notrunc,sync oflag=direct"))?;
    let _writer = Task::start(
        victim,
        "writer",
        &format!(
            "sh -c 'while dd if=/tmp/task-writer.sh of={VOLUME} bs=4096 seek=5 conv=notrunc,sync oflag=direct; do :; done'"
        ),
    )?;
    bench.cut_off()?;
    let one = &mut bench.others[0];
    wait_until(one, "[ -e /tmp/fence/request ]")?;
    bench.nobody_took_it()?;
    bench.victim.take().ok_or_else(gone)?.cut_power()?;
    // Not before the agent says so.
    bench.others[0].ok("sleep 5")?;
    bench.nobody_took_it()?;
    let one = &mut bench.others[0];
    let before = seconds(one)?;
    one.ok(": >/tmp/fence/off")?;
    wait_until(one, &format!("[ -e {VOLUME} ]"))?;
    let took = seconds(one)? - before;
    eprintln!("  up {took:.1} s after the agent could tell");
    assert!(took <= TAKEN_SECONDS, "{took}");
    assert_eq!(
        one.ok(&format!("dd if={VOLUME} bs=4096 count=1 iflag=direct 2>/dev/null | head -c 4"))?,
        "mine"
    );
    let history = one.ok("evms-fence history data")?;
    assert!(
        history.contains("taken over from n3 by the fence agent fence_test, whose status read off"),
        "{history}"
    );
    one.ok("[ \"$(cat /tmp/fence/log)\" = \"$(printf 'off yes \\nstatus yes ')\" ]")?;
    bench.others[1].ok("[ ! -e /tmp/fence/log ] && [ ! -e /dev/evms/data ]").map(drop)
}
