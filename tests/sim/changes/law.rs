//! Of one generation there is one configuration, and when all is well again all go by the newest.

use std::collections::BTreeMap;

use evms::base::id::NodeId;
use evms::cluster::roster::Roster;

use crate::laws::Broken;
use crate::world::World;

/// Safety 1.6: nobody goes by another one of the same generation.
pub fn is_the_only_one(gone_by: &mut BTreeMap<u64, Roster>, next: &Roster) -> Result<(), Broken> {
    let generation = next.configuration.generation;
    let known = gone_by.entry(generation).or_insert_with(|| next.clone());
    if known.says_same(next) {
        return Ok(());
    }
    let votes =
        |of: &Roster| of.configuration.nodes.iter().map(|(id, one)| (id.0, one.votes)).collect::<Vec<_>>();
    let words = format!(
        "generation {generation} is {:?} with {} arbitration disks and {:?} with {}",
        votes(known),
        known.arbitration.len(),
        votes(next),
        next.arbitration.len()
    );
    Err(Broken { law: "1.6", words })
}

/// L12 for configurations: when faults end, and all hear each other, all of the newest one's nodes go by it, in one quorate view;
/// and nobody else counts.
pub fn check(world: &World) -> Result<(), Broken> {
    let Some(changes) = world.changes.as_ref() else { return Ok(()) };
    let broken = |words| Err(Broken { law: "L12", words });
    let papers = changes.papers.iter().flatten();
    let Some(newest) = papers.map(|paper| &paper.roster).max_by_key(|roster| roster.configuration.generation)
    else {
        return Ok(());
    };
    let generation = newest.configuration.generation;
    let mut views = Vec::new();
    for (place, paper) in changes.papers.iter().enumerate() {
        let node = NodeId(place as u16 + 1);
        let claims = world.machines[place].claims(world.now_us);
        if !newest.members.contains_key(&node) {
            if let Some(view) = claims {
                return broken(format!(
                    "node {node} was taken out by generation {generation} and is quorate by {view}"
                ));
            }
            continue;
        }
        let own = paper.as_ref().map_or(0, |paper| paper.roster.configuration.generation);
        if own != generation {
            return broken(format!("node {node} goes by generation {own}, and others by {generation}"));
        }
        let Some(view) = claims else {
            return broken(format!("node {node} is not quorate by generation {generation}"));
        };
        views.push(view);
    }
    if views.windows(2).any(|pair| pair[0] != pair[1]) {
        return broken(format!("the nodes of generation {generation} are in views {views:?}"));
    }
    Ok(())
}
