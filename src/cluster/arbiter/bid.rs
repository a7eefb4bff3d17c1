//! How a view wins a tie, and keeps it: first, second, renewal (the picture stands in `arbiter`).

use crate::base::sorted::sort_by_key;
use crate::base::time::BootTime;
use crate::cluster::arbiter::{Arbiter, Asked, Heard, Wish};
use crate::cluster::mistake::breaks;
use crate::format::arbitration::{Ballot, ViewRecord};

/// Places in time that two who outbid each other may go to, so that one of them is first.
const BACK_OFF_PLACES: u64 = 5;

impl Arbiter {
    fn asked(&self, now: BootTime) -> Asked<'_> {
        Asked { me: &self.me, timing: &self.timing, rules: self.rules, now }
    }

    /// Does this node extend the lease of the view that it accepted? Only as long as that is its view.
    pub(super) fn renews(&self) -> bool {
        let said = &self.said;
        let mine = self.wish.as_ref().is_some_and(|(wish, _)| wish.view == said.holder);
        let won = said.accepted != Ballot::default() && said.accepted == said.promised;
        won && (mine || breaks!(self.rules, RenewsWhatItLeft))
    }

    pub(super) fn think(&mut self, now: BootTime) {
        let Some((wish, since)) = self.wish.clone().filter(|_| self.recovered) else {
            self.bids = None;
            return;
        };
        if self.renews() {
            self.renew(now, &wish);
        } else if self.bids == Some(wish.view) && self.said.promised > self.said.accepted {
            self.first(now, &wish);
        } else {
            self.begin(now, &wish, since);
        }
    }

    /// On how many disks may this node bid: watched for long enough, and nobody else's lease can run?
    fn free(&self, now: BootTime, wish: &Wish) -> usize {
        let asked = self.asked(now);
        let free = |disk: &&super::Disk| disk.was_watched(&asked) && disk.rival(wish, &asked).is_none();
        self.disks.iter().filter(free).count()
    }

    fn highest(&self) -> Ballot {
        let highest = self.disks.iter().map(|disk| disk.highest(self.me.node)).max();
        highest.unwrap_or_default()
    }

    fn begin(&mut self, now: BootTime, wish: &Wish, since: BootTime) {
        let waited = since.plus_ms(wish.delay_ms).max(self.not_before) <= now;
        if waited && self.free(now, wish) >= self.majority() {
            self.promise(now, wish.view);
        } else {
            self.bids = None;
        }
    }

    fn promise(&mut self, now: BootTime, view: ViewRecord) {
        self.said.promised = Ballot::above(self.highest().max(self.said.promised), self.me.node);
        self.bids = Some(view);
        self.hurry(now);
    }

    fn hurry(&mut self, now: BootTime) {
        for disk in &mut self.disks {
            disk.hurry(now);
        }
    }

    fn first(&mut self, now: BootTime, wish: &Wish) {
        let asked = self.asked(now);
        let stands =
            |disk: &&super::Disk| disk.was_watched(&asked) && disk.stands(&self.said, wish, &asked).is_some();
        if self.disks.iter().filter(stands).count() >= self.majority() {
            self.said.accepted = self.said.promised;
            if self.said.holder != wish.view {
                (self.held, self.stands) = (None, Heard::new());
            }
            self.said.holder = wish.view;
            self.hurry(now);
        } else if self.highest() > self.said.promised {
            let place = (self.said.promised.0 >> 16).wrapping_mul(3) + u64::from(self.me.node.0);
            self.not_before = now.plus_ms(self.timing.disk_beat_ms * (place % BACK_OFF_PLACES) / 2);
            self.bids = None;
        } else if self.free(now, wish) < self.majority() {
            self.bids = None;
        }
    }

    fn renew(&mut self, now: BootTime, wish: &Wish) {
        let asked = self.asked(now);
        let stands = self.disks.iter().filter_map(|disk| disk.stands(&self.said, wish, &asked));
        let mut stands = stands.collect::<Vec<_>>();
        sort_by_key(&mut stands, |(start, _)| core::cmp::Reverse(*start));
        if let Some((start, heard)) = self.majority().checked_sub(1).and_then(|place| stands.get(place)) {
            let until = start.plus_ms(self.timing.disk_lease_ms);
            let heard = (*heard).clone();
            let since = self.held.filter(|(_, until)| now < *until).map_or(now, |(since, _)| since);
            self.held = Some((since, until));
            self.stands = heard;
        }
        // Somebody tried: what it promised holds the next renewals up until this node promises more.
        if self.highest() > self.said.promised {
            self.promise(now, wish.view);
        }
    }

    /// Until when this view is quorate by the arbiter as far as this node's own writes go; and what had been heard of the
    /// others when the write began from which that is counted: it stands for them too, each from its own beat on.
    pub(crate) fn stands_for(&self, view: &ViewRecord) -> Option<(BootTime, &Heard)> {
        let (_, until) = self.held.filter(|_| self.said.holder == *view)?;
        Some((until, &self.stands))
    }
}
