//! L12 for views: when faults end, and the network stays as it is, there is one view of as many votes as can hear each
//! other, quorate if that is a majority, and it stays.

use evms::base::id::NodeId;
use evms::cluster::configuration::Configuration;
use evms::cluster::mistake::Rules;
use evms::cluster::view::View;

use crate::laws::Broken;
use crate::machine::Machine;
use crate::network::Network;

fn both_ways(network: &Network, one: usize, other: usize) -> bool {
    !network.is_cut(one, other) && !network.is_cut(other, one)
}

/// Most votes of any set of nodes that hear each other, by looking at all sets.
fn most_votes(configuration: &Configuration, network: &Network, machines: usize) -> u32 {
    let is_clique = |bits: u32| {
        let inside = (0..machines).filter(|place| bits >> place & 1 == 1).collect::<Vec<_>>();
        inside.iter().all(|one| inside.iter().all(|other| one == other || both_ways(network, *one, *other)))
    };
    let votes = |bits: u32| {
        let nodes =
            (0..machines).filter(|place| bits >> place & 1 == 1).map(|place| NodeId(place as u16 + 1));
        configuration.votes(nodes.collect())
    };
    (1..1u32 << machines).filter(|bits| is_clique(*bits)).map(votes).max().unwrap_or(0)
}

/// Asked when the calm is long enough; `changed_us` is when a view last came to count anywhere.
pub fn check(
    configuration: &Configuration,
    machines: &[Machine],
    network: &Network,
    now_us: u64,
    changed_us: u64,
    stable_us: u64,
) -> Result<(), Broken> {
    let broken = |words| Err(Broken { law: "L12", words });
    let nodes = configuration.nodes.len();
    let best = most_votes(configuration, network, nodes);
    let view_of = |machine: &'_ Machine| machine.daemon.as_ref().and_then(|daemon| daemon.view().cloned());
    // Who was left out may have its last view still; one that counts is had by all its members.
    let is_whole = |view: &View| {
        let members = machines.iter().take(nodes).filter(|machine| view.nodes().has(machine.node));
        // A view of two who do not hear each other any more, and are in none that is better, stands for nothing.
        let inside = (0..nodes).filter(|place| view.nodes().has(machines[*place].node)).collect::<Vec<_>>();
        let hear = |one: &usize| inside.iter().all(|other| one == other || both_ways(network, *one, *other));
        inside.iter().all(hear) && members.into_iter().all(|machine| view_of(machine).as_ref() == Some(view))
    };
    let views = machines.iter().take(nodes).filter_map(view_of).filter(&is_whole);
    let heaviest = views.max_by_key(|view| configuration.votes(view.nodes()));
    let Some(view) = heaviest else { return broken("there is no view that all its members have".into()) };
    let votes = configuration.votes(view.nodes());
    if votes != best {
        return broken(format!("the heaviest view is {view} with {votes} votes, and {best} hear each other"));
    }
    if configuration.arbitration_disks > 0 && votes > 0 && votes * 2 == configuration.votes_of_all() {
        return ties(configuration, machines, now_us, is_whole)
            .and_then(|()| stands(now_us, changed_us, stable_us, &view));
    }
    for (place, machine) in machines.iter().enumerate().take(nodes) {
        if !view.nodes().has(machine.node) {
            continue;
        }
        let quorate = machine.claims(now_us) == Some(view.number);
        if quorate != configuration.is_majority(votes, Rules::ALL) {
            return broken(format!("machine {place} in {view}: quorate is {quorate}, with {votes} votes"));
        }
    }
    stands(now_us, changed_us, stable_us, &view)
}

fn stands(now_us: u64, changed_us: u64, stable_us: u64, view: &View) -> Result<(), Broken> {
    if now_us - changed_us >= stable_us {
        return Ok(());
    }
    Err(Broken { law: "L12", words: format!("views still change; the last one was {view}") })
}

/// Where no set has more than half of the votes, and the arbitration disks are there for all: exactly one half is quorate,
/// with all its members, if one of them was since its boot (F2, F4, F27).
fn ties(
    configuration: &Configuration,
    machines: &[Machine],
    now_us: u64,
    is_whole: impl Fn(&View) -> bool,
) -> Result<(), Broken> {
    let broken = |words| Err(Broken { law: "L12", words });
    let nodes = configuration.nodes.len();
    let machines = machines.iter().take(nodes).collect::<Vec<_>>();
    let daemons = machines.iter().filter_map(|machine| machine.daemon.as_ref());
    let halves = daemons.filter_map(|daemon| daemon.view().map(|view| (view, daemon.is_cold(view))));
    let is_half = |view: &View| configuration.votes(view.nodes()) * 2 == configuration.votes_of_all();
    let warm = halves.filter(|(view, _)| is_half(view) && is_whole(view)).any(|(_, cold)| !cold);
    let quorate = machines.iter().filter_map(|machine| machine.claims(now_us));
    let quorate = quorate.collect::<std::collections::BTreeSet<_>>();
    if quorate.len() != usize::from(warm) {
        return broken(format!("of two halves {quorate:?} are quorate; was any since its boot? {warm}"));
    }
    for machine in &machines {
        let view = machine.daemon.as_ref().and_then(|daemon| daemon.view());
        // A member that does not hear the holder is in none that is better, and waits: who holds a tie keeps it (seed 29894).
        let Some(view) = view.filter(|view| quorate.contains(&view.number) && is_whole(view)) else {
            continue;
        };
        if view
            .has(machine.node, machine.daemon.as_ref().map(|daemon| daemon.incarnation()).unwrap_or_default())
            && machine.claims(now_us).is_none()
        {
            return broken(format!("node {} is in {view} and not quorate with the others", machine.node));
        }
    }
    Ok(())
}
