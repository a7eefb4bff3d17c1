//! How a promised view becomes one that counts: all members accepted, all members installed (L4).

use crate::cluster::membership::{Change, Membership};
use crate::cluster::mistake::breaks;
use crate::cluster::view::Stage;

impl Membership {
    /// Are all other members as far as this with the promised view?
    fn all_are_at(&self, wanted: Stage) -> bool {
        let Some((view, _)) = &self.view else { return false };
        view.members.iter().all(|(node, incarnation)| {
            *node == self.node
                || self
                    .hearing
                    .beat_of(*node, *incarnation)
                    .is_some_and(|beat| beat.is_at(view.number, wanted))
        })
    }

    pub(super) fn advance(&mut self) {
        if matches!(self.view, Some((_, Stage::Accepted))) && self.all_are_at(Stage::Accepted) {
            if let Some((_, stage)) = &mut self.view {
                *stage = Stage::Installed;
            }
            self.urgent = true;
            self.tell(Change::Installing(self.promised()));
        }
        let installed = matches!(self.view, Some((_, Stage::Installed)));
        let all = self.all_are_at(Stage::Installed) || breaks!(self.rules, CountedBeforeAllInstalled);
        if installed && !self.counts && all {
            self.counts = true;
            self.urgent = true;
            if let Some((view, _)) = self.view.clone() {
                self.last_view = (view.number, view.nodes());
                self.tell(Change::Installed(view));
            }
        }
    }
}
