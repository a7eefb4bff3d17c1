//! L4 (I5): all members of an installed view agree on its number and members; for one boot of a node numbers only rise; and a
//! view counts nowhere before all its members have installed it.

use std::collections::{BTreeMap, BTreeSet};

use evms::base::id::{Incarnation, NodeId};
use evms::cluster::view::{View, ViewNumber};

use crate::laws::Broken;

#[derive(Default)]
pub struct Agreement {
    views: BTreeMap<ViewNumber, View>,
    last: BTreeMap<Incarnation, ViewNumber>,
    installing: BTreeSet<(Incarnation, ViewNumber)>,
}

impl Agreement {
    pub fn installing(&mut self, incarnation: Incarnation, number: ViewNumber) {
        self.installing.insert((incarnation, number));
    }

    /// Nobody is quorate by a view that does not count for him.
    pub fn quorate(&self, node: NodeId, incarnation: Incarnation, number: ViewNumber) -> Result<(), Broken> {
        if self.last.get(&incarnation) == Some(&number) {
            return Ok(());
        }
        let words = format!("node {node} is quorate by view {number}, which does not count for it");
        Err(Broken { law: "L4", words })
    }

    pub fn installed(&mut self, node: NodeId, incarnation: Incarnation, view: &View) -> Result<(), Broken> {
        let broken = |words| Err(Broken { law: "L4", words });
        if !view.has(node, incarnation) {
            return broken(format!("node {node} installed view {view} and is no member of it in this boot"));
        }
        let known = self.views.entry(view.number).or_insert_with(|| view.clone());
        if known != view {
            return broken(format!("node {node} installed {view}, others {known}, with other boots perhaps"));
        }
        let missing =
            view.members.iter().find(|(_, member)| !self.installing.contains(&(**member, view.number)));
        if let Some((member, _)) = missing {
            return broken(format!(
                "view {view} counts on node {node}, and node {member} has not installed it"
            ));
        }
        let last = self.last.entry(incarnation).or_default();
        // The same one counts anew after a restart of the daemon.
        if view.number < *last {
            return broken(format!("node {node} installed {view} after {last}"));
        }
        *last = view.number;
        Ok(())
    }
}
