//! The network between guests does to frames what a test asks for, in the direction asked for, and counts it.

use std::time::Duration;

use vm_tests::cases;
use vm_tests::fabric::{Fates, Rule};
use vm_tests::guest::Guest;
use vm_tests::limits::Limit;
use vm_tests::network::Network;
use vm_tests::scene::{self, Scene};
use vm_tests::trouble::Trouble;

/// Until a frame or an event is where it has to be.
const ARRIVAL: Limit = Limit::seconds("arrival", 30);
/// So many pings are sent where chance decides.
const PINGS: usize = 40;
/// Longer than the answers to a marker take, however busy the machine is.
const DELAY: Duration = Duration::from_secs(3);

struct Bench<'a> {
    scene: &'a Scene,
    one: Guest,
    two: Guest,
    three: Guest,
    lan: Network,
    other: Network,
}

/// Proves every way in which the harness treats frames, between three guests on two networks in one boot. Neighbours
/// know each other's card, so that a ping is one frame there and one back.
#[test]
fn frames_meet_the_fate_that_was_laid_for_them() {
    scene::play("network", |scene| {
        let (lan, other) = (scene.network("lan1"), scene.network("lan2"));
        let plan = |name: &str| Ok::<_, Trouble>(scene.guest(name)?.nic(&lan).nic(&other));
        let (one, two) = (plan("one")?.power_on()?, plan("two")?.power_on()?);
        let three = plan("three")?.power_on()?;
        let mut bench = Bench { scene, one, two, three, lan: lan.clone(), other: other.clone() };
        bench.introduce()?;
        cases::run(
            &mut bench,
            &[
                ("passes_both_ways", passes_both_ways),
                ("a_full_cut", a_full_cut),
                ("a_one_way_cut", a_one_way_cut),
                ("drops_by_the_seed", drops_by_the_seed),
                ("delays", delays),
                ("doubles", doubles),
                ("swaps", swaps),
                ("corrupts", corrupts),
                ("a_partition_of_three", a_partition_of_three),
                ("a_guest_that_stands_still_gets_its_frames_later", a_guest_that_stands_still),
                ("events_have_one_order", events_have_one_order),
                ("a_guest_comes_back_to_its_place", a_guest_comes_back),
            ],
        )
    });
}

impl Bench<'_> {
    /// Everybody is up and knows everybody's card in the first network.
    fn introduce(&mut self) -> Result<(), Trouble> {
        for guest in [&mut self.one, &mut self.two, &mut self.three] {
            guest.wait_for_boot()?;
            know(guest, &self.lan)?;
        }
        Ok(())
    }

    fn ping(&mut self, guest: u8, count: usize) -> Result<Vec<usize>, Trouble> {
        let address = self.lan.address(guest);
        ping(&mut self.one, &address, count)
    }

    /// No ping is answered.
    fn is_silent(&mut self, guest: u8, count: usize) -> Result<bool, Trouble> {
        let address = self.lan.address(guest);
        is_silent(&mut self.one, &address, count)
    }
}

fn know(guest: &mut Guest, lan: &Network) -> Result<(), Trouble> {
    let own = guest.number();
    for number in (1..=3).filter(|number| *number != own) {
        let (address, mac) = (lan.address(number), lan.mac(number));
        guest.ok(&format!("arp -i {} -s {address} {mac}", lan.name()))?;
    }
    Ok(())
}

/// The numbers of the pings that were answered, in the order of their answers. The first answer may take its time on a
/// busy machine; once one has come, ping waits a second or twice the longest way for those that lack.
fn ping(guest: &mut Guest, address: &str, count: usize) -> Result<Vec<usize>, Trouble> {
    let said = guest.run(&format!("ping -c {count} -i 0.02 -W 4 {address}"))?.text();
    let numbers = said.lines().filter_map(|line| line.split_once(" seq=")?.1.split(' ').next()?.parse().ok());
    Ok(numbers.collect())
}

/// No answer comes. Where one could still be under way, the counts say so too.
fn is_silent(guest: &mut Guest, address: &str, count: usize) -> Result<bool, Trouble> {
    let said = guest.run(&format!("ping -c {count} -i 0.02 -W 1 {address}"))?.text();
    Ok(!said.contains(" seq="))
}

/// Every guest reaches every other in both networks, also by asking who has the address.
fn passes_both_ways(bench: &mut Bench) -> Result<(), Trouble> {
    let lan = bench.lan.clone();
    let before = (lan.counts("one", "two"), lan.counts("two", "one"));
    assert_eq!(bench.ping(2, 3)?, [0, 1, 2]);
    let after = (lan.counts("one", "two"), lan.counts("two", "one"));
    assert_eq!(after.0.forwarded - before.0.forwarded, 3);
    assert_eq!(after.1.forwarded - before.1.forwarded, 3);
    assert_eq!(lan.counts("one", "three").sent, 0, "a frame for two is for two alone");
    let (first, second) = (lan.address(1), bench.other.address(1));
    assert_eq!(ping(&mut bench.three, &first, 2)?, [0, 1]);
    assert_eq!(ping(&mut bench.three, &second, 2)?, [0, 1]);
    assert!(bench.other.counts("three", "two").forwarded > 0, "asking for an address is for all");
    bench.two.ok(&format!("arping -f -c 5 -I lan1 {first}"))?;
    Ok(())
}

/// Nothing passes, the other network is as it was, and healed is healed.
fn a_full_cut(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lan.cut("one", "two");
    assert!(bench.is_silent(2, 3)?);
    assert_eq!(bench.lan.counts("one", "two").cut, 3);
    assert_eq!(bench.ping(3, 2)?, [0, 1], "three is not meant");
    let beside = bench.other.address(2);
    assert_eq!(ping(&mut bench.one, &beside, 2)?, [0, 1]);
    bench.lan.heal();
    assert_eq!(bench.ping(2, 2)?, [0, 1]);
    Ok(())
}

/// How many echoes of others a guest has heard.
fn heard(guest: &mut Guest) -> Result<u64, Trouble> {
    let said = guest
        .ok("awk '/^Icmp:/ { if (!n) { for (i = 1; i <= NF; i++) if ($i == \"InEchos\") n = i }
        else print $n }' /proc/net/snmp")?;
    said.trim().parse().map_err(|_| Trouble::Unexpected(said))
}

/// One is not heard by two, and hears two: two's questions arrive at one, one's answers do not come.
fn a_one_way_cut(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lan.cut_one_way("one", "two");
    let before = (heard(&mut bench.one)?, heard(&mut bench.two)?);
    let address = bench.lan.address(1);
    assert!(is_silent(&mut bench.two, &address, 3)?);
    assert!(bench.is_silent(2, 4)?);
    let after = (heard(&mut bench.one)?, heard(&mut bench.two)?);
    assert_eq!((after.0 - before.0, after.1 - before.1), (3, 0));
    bench.lan.heal();
    assert_eq!(bench.ping(2, 1)?, [0]);
    Ok(())
}

/// Exactly those are lost that the seed says, and the same ones again.
fn drops_by_the_seed(bench: &mut Bench) -> Result<(), Trouble> {
    let rule = Rule { drop: 30, ..Rule::default() };
    let mut fates = Fates::of(bench.lan.seed(), "one", "two");
    let wanted: Vec<usize> = (0..PINGS).filter(|_| !fates.next(&rule).is_dropped).collect();
    let dropped = bench.lan.counts("one", "two").dropped;
    for _ in 0..2 {
        bench.lan.lay("one", "two", rule);
        assert_eq!(bench.ping(2, PINGS)?, wanted, "seed {}", bench.lan.seed());
    }
    let dropped = bench.lan.counts("one", "two").dropped - dropped;
    assert_eq!(dropped as usize, 2 * (PINGS - wanted.len()));
    bench.lan.heal();
    Ok(())
}

/// A frame that was sent before a marker arrives after it: the marker takes the other network.
fn delays(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lan.lay("one", "two", Rule { delay: DELAY, ..Rule::default() });
    let late = bench.lan.counts("one", "two").late;
    let (slow, quick) = (bench.lan.address(2), bench.other.address(2));
    let events = bench.scene.events().from_now();
    let send = |address: &str, name: &str| {
        format!(
            "(ping -c 1 -W 20 {address} | grep -q seq=0 && echo {name} came >/run/events) >/dev/null 2>&1 &"
        )
    };
    bench.one.ok(&send(&slow, "slow"))?;
    bench.lan.wait_for("one", "two", ARRIVAL, |counts| counts.late > late)?;
    bench.one.ok(&send(&quick, "quick"))?;
    let quick = events.wait_for("one", "quick came", ARRIVAL)?;
    let slow = events.wait_for("one", "slow came", ARRIVAL)?;
    assert!(quick.number < slow.number, "{quick} and {slow}");
    bench.lan.heal();
    Ok(())
}

/// The receiver itself says that it got everything twice.
fn doubles(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lan.lay("two", "one", Rule { double: 100, ..Rule::default() });
    let address = bench.lan.address(2);
    let said = bench.one.ok(&format!("ping -c 3 -i 0.1 -W 1 {address}"))?;
    assert!(said.matches("DUP!").count() >= 2, "{said}");
    assert_eq!(bench.lan.counts("two", "one").doubled, 3);
    bench.lan.heal();
    Ok(())
}

/// Answers come in pairs, the later one first.
fn swaps(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lan.lay("two", "one", Rule { swap: 100, ..Rule::default() });
    assert_eq!(bench.ping(2, 6)?, [1, 0, 3, 2, 5, 4]);
    assert_eq!(bench.lan.counts("two", "one").swapped, 3);
    bench.lan.heal();
    Ok(())
}

/// A changed byte is seen by the receiver's checksums: the frame arrives at the card and goes no further.
fn corrupts(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lan.lay("one", "two", Rule { corrupt: 100, ..Rule::default() });
    let received = "cat /sys/class/net/lan1/statistics/rx_packets";
    let before = (number(&bench.two.ok(received)?)?, heard(&mut bench.two)?);
    assert!(bench.is_silent(2, 5)?);
    let after = number(&bench.two.ok(received)?)?;
    assert_eq!(after - before.0, 5);
    assert_eq!(heard(&mut bench.two)?, before.1, "none of them is an echo");
    assert_eq!(bench.lan.counts("one", "two").corrupted, 5);
    bench.lan.heal();
    Ok(())
}

fn number(said: &str) -> Result<u64, Trouble> {
    said.trim().parse().map_err(|_| Trouble::Unexpected(said.into()))
}

/// One alone; two and three with each other.
fn a_partition_of_three(bench: &mut Bench) -> Result<(), Trouble> {
    bench.lan.partition(&[&["one"], &["two", "three"]]);
    assert!(bench.is_silent(2, 1)?);
    assert!(bench.is_silent(3, 1)?);
    let (first, third) = (bench.lan.address(1), bench.lan.address(3));
    assert_eq!(ping(&mut bench.two, &third, 1)?, [0]);
    assert!(is_silent(&mut bench.two, &first, 1)?);
    bench.lan.heal();
    assert_eq!(bench.ping(2, 1)?, [0]);
    assert_eq!(bench.ping(3, 1)?, [0]);
    Ok(())
}

/// Nothing blocks while a guest is paused, and it gets its frames when it goes on.
fn a_guest_that_stands_still(bench: &mut Bench) -> Result<(), Trouble> {
    let before = heard(&mut bench.two)?;
    bench.two.pause()?;
    assert!(bench.is_silent(2, 3)?);
    assert_eq!(bench.ping(3, 2)?, [0, 1], "the others go on");
    let answers = bench.lan.counts("two", "one").sent;
    bench.two.resume()?;
    bench.lan.wait_for("two", "one", ARRIVAL, |counts| counts.sent >= answers + 3)?;
    assert_eq!(heard(&mut bench.two)? - before, 3);
    Ok(())
}

/// What guests say and what was done to them stands in one order, in the list and in the file.
fn events_have_one_order(bench: &mut Bench) -> Result<(), Trouble> {
    let events = bench.scene.events().from_now();
    bench.one.ok("echo before the cut >/run/events")?;
    let before = events.wait_for("one", "before the cut", ARRIVAL)?;
    bench.lan.cut("one", "three");
    bench.lan.heal();
    bench.three.ok("for i in 1 2 3; do (echo after $i >/run/events) & done; wait")?;
    events.wait_for("three", "after 3", ARRIVAL)?;
    let cut = events.after(&before).wait_for("lan1", "cut between one and three", ARRIVAL)?;
    let healed = events.after(&cut).wait_for("lan1", "heal", ARRIVAL)?;
    for line in ["after 1", "after 2", "after 3"] {
        events.after(&healed).wait_for("three", line, ARRIVAL)?;
    }
    let path = bench.scene.folder().join("events.log");
    let log = std::fs::read_to_string(&path).map_err(Trouble::file("reading", &path))?;
    assert_eq!(log.lines().nth(cut.number), Some(cut.to_string().as_str()));
    let stamps: Vec<Duration> = events.list().iter().map(|event| event.at).collect();
    assert!(stamps.is_sorted(), "{stamps:?}");
    Ok(())
}

/// After it was off a guest has the same card, the same address, the same neighbours.
fn a_guest_comes_back(bench: &mut Bench) -> Result<(), Trouble> {
    bench.two.control("quit", "{}")?;
    bench.two.wait_for_off(ARRIVAL)?;
    bench.two = bench.scene.guest("two")?.nic(&bench.lan).nic(&bench.other).power_on()?;
    bench.two.wait_for_boot()?;
    know(&mut bench.two, &bench.lan)?;
    assert_eq!(bench.ping(2, 2)?, [0, 1]);
    Ok(())
}
