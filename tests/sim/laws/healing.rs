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
        members.into_iter().all(|machine| view_of(machine).as_ref() == Some(view))
    };
    let views = machines.iter().take(nodes).filter_map(view_of).filter(is_whole);
    let heaviest = views.max_by_key(|view| configuration.votes(view.nodes()));
    let Some(view) = heaviest else { return broken("there is no view that all its members have".into()) };
    let votes = configuration.votes(view.nodes());
    if votes != best {
        return broken(format!("the heaviest view is {view} with {votes} votes, and {best} hear each other"));
    }
    for (place, machine) in machines.iter().enumerate().take(nodes) {
        if !view.nodes().has(machine.node) {
            continue;
        }
        let quorate = machine.claims(now_us, configuration.timing.lease_ms) == Some(view.number);
        if quorate != configuration.is_majority(votes, Rules::ALL) {
            return broken(format!("machine {place} in {view}: quorate is {quorate}, with {votes} votes"));
        }
    }
    if now_us - changed_us < stable_us {
        return broken(format!("views still change; the last one was {view}"));
    }
    Ok(())
}
