//! Others who are at it: an opening waits for them, and behind its promise for those who do not know it yet.

use crate::base::epoch::Epoch;
use crate::format::node_block::NodeBlock;
use crate::volume::choose::Chosen;
use crate::volume::commit::lane::GUARD_LASTS_MS;
use crate::volume::commit::opening::Opening;
use crate::volume::mistake::breaks;

/// Milliseconds that pass behind the promise where what counts is not settled: twice as long as a guard's word is taken, and a
/// write's time to land.
pub(super) const SETTLE_MS: u64 = 2 * GUARD_LASTS_MS + 100;

/// Milliseconds between two looks whether somebody else is done.
pub(super) const GIVE_WAY_LOOK_MS: u64 = 200;

/// So many looks at which nothing has changed: longer than another one's [`SETTLE_MS`], and than the two beats of a first claim.
pub(super) const GIVE_WAY_LOOKS: u32 = 13;

/// So many looks in all, however much goes on there.
pub(super) const GIVE_WAY_LOOKS_MAX: u32 = 60;

impl Opening {
    /// Is somebody at it, as far as the disks show, and had he no time yet to come to an end? A newcomer that has two beats to wait does not
    /// wait before: many of them do that side by side, each behind his promise, and find themselves outbid by one.
    pub(super) fn is_to_wait(&mut self, chosen: &Chosen) -> bool {
        let order = chosen.image.header.order;
        let mut all = self.lanes.iter().flat_map(|lane| &lane.blocks.newest);
        let is_new = !self.is_among_own && !all.any(|block| block.node == self.me.node);
        let another = |block: &&NodeBlock| {
            block.node != self.me.node && Some((block.node, block.incarnation)) != self.past
        };
        let blocks = self.lanes.iter().flat_map(|lane| lane.blocks.newest.iter().filter(another));
        let promised = blocks.map(|block| block.epoch).max().unwrap_or(Epoch::NONE);
        if !self.gives_way || is_new || (self.is_left(chosen) && promised <= order.epoch) {
            return false;
        }
        let (seen, same, all) = &mut self.way;
        if *seen != Some((order, promised)) {
            (*seen, *same) = (Some((order, promised)), GIVE_WAY_LOOKS);
        }
        (*same, *all) = (same.saturating_sub(1), all.saturating_sub(1));
        *same > 0 && *all > 0
    }

    /// Does nobody write any more what counts: it stands at both ends of most disks, or whoever wrote it is past, or a process of this
    /// machine that has gone? (What he found unsettled he let settle himself, so nobody before him is at it either.)
    fn is_left(&self, chosen: &Chosen) -> bool {
        let by = &chosen.image.header;
        chosen.settled || by.writer == self.me.node || self.past == Some((by.writer, by.incarnation))
    }

    /// Whoever wrote it at one end may stand still before he writes the other, where nobody had promised anything when he looked; and one
    /// before him may stand still before he writes the first. What this opening commits could be gone at both ends then. After some time
    /// both look again first ([`GUARD_LASTS_MS`]). Where all is settled nobody is at his second end, and one end stays.
    pub(super) fn may_be_written_late(&self, chosen: &Chosen) -> bool {
        !self.is_left(chosen) && !self.is_awaited && !breaks!(self.rules, UnsettledIsOpenedAtOnce)
    }
}
